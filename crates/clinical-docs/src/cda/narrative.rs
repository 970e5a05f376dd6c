//! The narrative block (CDA R2 4.3.5): to plain text, and to HTML by our own rules.
//!
//! Elements and attributes are chosen from a list; everything else gives its text only. No address is ever made a
//! link, no image is loaded: embedded ones become data of the page.

use super::body::Attachment;
use crate::error::{Bound, DocError};
use crate::limits::Limits;
use crate::xml::{Element, Node, Ns, escape_into};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Images that a page may hold.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/jpg"];
/// Cells that a cell may span.
const SPAN_MAX: u32 = 100;

/// Plain text of a narrative block: one line per paragraph, item or row, cells apart.
pub(super) fn plain(text: Element<'_>) -> String {
    let mut out = String::new();
    let mut steps = vec![Step::Children(text)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Children(element) => {
                let at = steps.len();
                steps.extend(element.nodes().map(|node| match node {
                    Node::Element(child) => Step::Element(child),
                    Node::Text(text) => Step::Text(text),
                }));
                steps[at..].reverse();
            }
            Step::Text(text) => push_words(&mut out, text),
            Step::Mark(mark) => mark_end(&mut out, mark),
            Step::Element(element) if is_deleted(element) => {}
            Step::Element(element) => {
                let mark = match element.name() {
                    "br" | "paragraph" | "item" | "tr" | "caption" | "list" | "table" => '\n',
                    "td" | "th" => '\t',
                    _ => '\0',
                };
                if mark == '\n' && element.name() != "br" {
                    mark_end(&mut out, '\n');
                }
                steps.push(Step::Mark(mark));
                steps.push(Step::Children(element));
            }
        }
    }
    out.trim().to_owned()
}

enum Step<'a> {
    Element(Element<'a>),
    Children(Element<'a>),
    Text(&'a str),
    Mark(char),
}

/// CDA R2 4.3.5.2: content that a revision removed.
fn is_deleted(element: Element<'_>) -> bool {
    element.attribute("revised") == Some("delete")
}

fn push_words(out: &mut String, text: &str) {
    let blank_first = text.starts_with(char::is_whitespace);
    let mut first = true;
    for word in text.split_whitespace() {
        if (!first || blank_first) && !out.is_empty() && !out.ends_with(char::is_whitespace) {
            out.push(' ');
        }
        out.push_str(word);
        first = false;
    }
    if !first && text.ends_with(char::is_whitespace) {
        out.push(' ');
    }
}

fn mark_end(out: &mut String, mark: char) {
    if mark == '\0' {
        return;
    }
    while out.ends_with(if mark == '\n' { &[' ', '\t'][..] } else { &[' '][..] }) {
        out.pop();
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push(mark);
    }
}

/// Plain text of the narrative of a whole document, sections with their titles.
///
/// # Errors
/// As [`read_cda`](super::read_cda).
pub fn narrative_text(bytes: &[u8], limits: &Limits) -> Result<String, DocError> {
    super::read_cda(bytes, limits).map(|cda| cda.body.plain_text())
}

/// HTML of the sections of a whole document: a fragment without scripts, styles, links or loads.
///
/// # Errors
/// As [`read_cda`](super::read_cda), and [`Bound::HtmlBytes`].
pub fn narrative_html(bytes: &[u8], limits: &Limits) -> Result<String, DocError> {
    let cda = super::read_cda(bytes, limits)?;
    super::with_document(bytes, limits, |document| {
        let mut out = String::new();
        sections(document, &cda.body.attachments, limits, &mut out)?;
        Ok(out)
    })
}

/// Appends every section of a ClinicalDocument.
pub(crate) fn sections(
    document: Element<'_>,
    attachments: &[Attachment],
    limits: &Limits,
    out: &mut String,
) -> Result<(), DocError> {
    for node in document.descendants() {
        let Node::Element(section) = node else { continue };
        // A section of the body, not an entry of that name.
        if !section.is(Ns::Hl7, "section") {
            continue;
        }
        out.push_str("<section>\n");
        if let Some(title) = section.first(Ns::Hl7, "title") {
            out.push_str("<h2>");
            escape_text(out, &plain(title));
            out.push_str("</h2>\n");
        }
        if let Some(text) = section.first(Ns::Hl7, "text") {
            out.push_str("<div class=\"narrative\">");
            block(text, attachments, limits, out)?;
            out.push_str("</div>\n");
        }
        out.push_str("</section>\n");
    }
    Ok(())
}

/// Text of an element: line ends stay line ends.
fn escape_text(out: &mut String, text: &str) {
    let mut escaped = String::new();
    escape_into(&mut escaped, text);
    out.push_str(&escaped.replace("&#10;", "\n").replace("&#9;", " ").replace("&#13;", ""));
}

enum Html<'a> {
    Node(Node<'a>),
    Close(&'static str),
}

fn block(
    text: Element<'_>,
    attachments: &[Attachment],
    limits: &Limits,
    out: &mut String,
) -> Result<(), DocError> {
    let mut steps: Vec<Html<'_>> = text.nodes().map(Html::Node).collect();
    steps.reverse();
    while let Some(step) = steps.pop() {
        if out.len() > limits.html_bytes_max {
            return Err(DocError::over(Bound::HtmlBytes));
        }
        match step {
            Html::Close(tag) => {
                out.push_str("</");
                out.push_str(tag);
                out.push('>');
            }
            Html::Node(Node::Text(text)) => escape_text(out, text),
            Html::Node(Node::Element(element)) if is_deleted(element) => {}
            Html::Node(Node::Element(element)) => {
                if element.is(Ns::Hl7, "renderMultiMedia") {
                    image(element, attachments, limits, out)?;
                }
                if let Some(tag) = open(element, out) {
                    steps.push(Html::Close(tag));
                }
                let at = steps.len();
                steps.extend(element.nodes().map(Html::Node));
                steps[at..].reverse();
            }
        }
    }
    Ok(())
}

/// Opens what stands for an element; gives the tag that is to be closed.
fn open(element: Element<'_>, out: &mut String) -> Option<&'static str> {
    if element.ns() != Ns::Hl7 {
        return None;
    }
    let tag = match element.name() {
        "paragraph" => "p",
        "content" | "linkHtml" | "footnote" | "footnoteRef" => "span",
        "list" if element.attribute("listType") == Some("ordered") => "ol",
        "list" => "ul",
        "item" => "li",
        "table" => "table",
        "thead" => "thead",
        "tbody" => "tbody",
        "tfoot" => "tfoot",
        "tr" => "tr",
        "td" => "td",
        "th" => "th",
        "sub" => "sub",
        "sup" => "sup",
        // In HTML only tables have captions, and lists may not hold text: a block suits both.
        "caption" => "div",
        "br" => {
            out.push_str("<br>");
            return None;
        }
        _ => return None,
    };
    out.push('<');
    out.push_str(tag);
    let classes = classes(element);
    if !classes.is_empty() {
        out.push_str(" class=\"");
        out.push_str(&classes.join(" "));
        out.push('"');
    }
    for name in ["colspan", "rowspan"] {
        let span = element.attribute(name).and_then(|value| value.trim().parse::<u32>().ok());
        if let Some(span) = span.filter(|n| (2..=SPAN_MAX).contains(n))
            && matches!(tag, "td" | "th")
        {
            out.push_str(&format!(" {name}=\"{span}\""));
        }
    }
    out.push('>');
    if element.name() == "linkHtml" {
        address(element, out);
    }
    Some(tag)
}

/// Style codes that have a meaning (CDA R2 4.3.5.11), as classes of the page's own style sheet.
fn classes(element: Element<'_>) -> Vec<&'static str> {
    let mut found = Vec::new();
    for word in element.attribute("styleCode").unwrap_or_default().split_whitespace() {
        let class = match word.to_ascii_lowercase().as_str() {
            "bold" | "xbold" => "bold",
            "italics" | "xitalics" => "italics",
            "underline" | "xunderline" => "underline",
            "emphasis" => "emphasis",
            "xfgred" | "xfgcolourred" => "alert",
            _ => continue,
        };
        if !found.contains(&class) {
            found.push(class);
        }
    }
    if element.name() == "footnote" {
        found.push("footnote");
    }
    found
}

/// Shows where a link leads, as text that nobody can click.
fn address(element: Element<'_>, out: &mut String) {
    let href = element.attribute("href").unwrap_or_default().trim();
    let scheme = href.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("http" | "https" | "mailto")) {
        out.push_str("<span class=\"address\">[");
        escape_text(out, href);
        out.push_str("] </span>");
    }
}

fn image(
    element: Element<'_>,
    attachments: &[Attachment],
    limits: &Limits,
    out: &mut String,
) -> Result<(), DocError> {
    let names = element.attribute("referencedObject").unwrap_or_default();
    for name in names.split_whitespace() {
        let Some(found) = attachments.iter().find(|a| a.name.as_deref() == Some(name)) else {
            out.push_str("<span class=\"media\">[média absent]</span>");
            continue;
        };
        let kind = found.media_type.to_ascii_lowercase();
        if !IMAGES.contains(&kind.as_str()) {
            out.push_str("<span class=\"media\">[fichier joint au document]</span>");
            continue;
        }
        if out.len() + found.size / 3 * 4 > limits.html_bytes_max {
            return Err(DocError::over(Bound::HtmlBytes));
        }
        out.push_str("<img alt=\"image du document\" src=\"data:");
        out.push_str(if kind == "image/jpg" { "image/jpeg" } else { &kind });
        out.push_str(";base64,");
        STANDARD.encode_string(&found.bytes, out);
        out.push_str("\">");
    }
    Ok(())
}
