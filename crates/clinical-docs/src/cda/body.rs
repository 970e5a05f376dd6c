//! The body: one embedded file (level 1), or sections with their narrative (level 3).

use super::header::Reader;
use super::narrative;
use crate::digest::{decode_base64, sha1_hex};
use crate::error::{Bound, DocError};
use crate::facts::{Code, Id, redacted};
use crate::limits::Limits;
use crate::xml::{Element, Node, Ns};
use serde::{Deserialize, Serialize};

/// Section that holds the whole document as a PDF (FR-Document-PDF-copie): shown first.
const PDF_COPY: &str = "1.2.250.1.213.1.1.2.243";
/// Media types are short.
const MEDIA_TYPE_CHARS_MAX: usize = 100;
/// How the body is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// nonXMLBody: one file (N1).
    Unstructured,
    /// structuredBody: sections (N3).
    Structured,
    /// No body.
    #[default]
    Absent,
}

/// The body of a document.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Body {
    /// How it is made.
    pub level: Level,
    /// Files within it: the body of N1, the PDF copy and the media of N3.
    pub attachments: Vec<Attachment>,
    /// Sections in document order.
    pub sections: Vec<Section>,
    /// Something was left out by a limit.
    pub truncated: bool,
}

/// What an embedded file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentRole {
    /// The body itself.
    Body,
    /// The whole document as a PDF.
    PdfCopy,
    /// An image or another file.
    Media,
}

/// A file within a document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is for.
    pub role: AttachmentRole,
    /// Its media type, as written.
    pub media_type: String,
    /// `ID` of the observationMedia, by which the narrative names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its size once decoded.
    pub size: usize,
    /// Its SHA-1 once decoded.
    pub sha1: String,
    /// Its octets; not part of the facts that are stored.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// A section.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// 0 for those of the body.
    pub depth: usize,
    /// Its title.
    pub title: String,
    /// Its code.
    pub code: Option<Code>,
    /// templateId.
    pub templates: Vec<Id>,
    /// Its narrative as plain text.
    pub text: String,
    /// Coded entries right below.
    pub entries: usize,
}
redacted!(Body, Attachment, Section);

impl Body {
    /// The PDF that stands for the document: the body of N1, or the copy in N3.
    pub fn pdf(&self) -> Option<&Attachment> {
        let whole = |a: &&Attachment| a.role != AttachmentRole::Media && a.is_pdf();
        self.attachments.iter().find(whole)
    }

    /// True for level 1.
    pub fn is_flat(&self) -> bool {
        self.level == Level::Unstructured
    }

    /// All plain text, sections one after the other.
    pub fn plain_text(&self) -> String {
        let mut out = String::new();
        for section in &self.sections {
            for part in [&section.title, &section.text] {
                if !part.is_empty() {
                    out.push_str(part);
                    out.push('\n');
                }
            }
        }
        out
    }
}

impl Attachment {
    /// True when it says that it is a PDF.
    pub fn is_pdf(&self) -> bool {
        self.media_type.eq_ignore_ascii_case("application/pdf")
    }
}

/// Reads the body of a ClinicalDocument.
pub(super) fn read(document: Element<'_>, reader: &Reader<'_>) -> Result<Body, DocError> {
    let limits = reader.limits;
    let mut body = Body::default();
    let Some(component) = document.all(Ns::Hl7, "component").find(|c| {
        c.children().any(|child| matches!(child.name(), "nonXMLBody" | "structuredBody"))
    }) else {
        return Ok(body);
    };
    if let Some(text) = component.path(Ns::Hl7, &["nonXMLBody", "text"]) {
        body.level = Level::Unstructured;
        body.attachments.push(attachment(text, AttachmentRole::Body, None, limits)?);
        return Ok(body);
    }
    let Some(structured) = component.first(Ns::Hl7, "structuredBody") else { return Ok(body) };
    body.level = Level::Structured;
    // Without recursion: what is still to read, innermost last.
    let mut left: Vec<(Element<'_>, usize)> = sections_of(structured).map(|s| (s, 0)).collect();
    left.reverse();
    let mut room = limits.narrative_bytes_max;
    while let Some((element, depth)) = left.pop() {
        if body.sections.len() >= limits.sections_max {
            body.truncated = true;
            break;
        }
        let section = section(element, depth, room, reader);
        room = room.saturating_sub(section.text.len());
        body.truncated |= room == 0;
        body.sections.push(section);
        let at = left.len();
        left.extend(sections_of(element).map(|inner| (inner, depth + 1)));
        left[at..].reverse();
    }
    media(structured, &mut body, limits)?;
    Ok(body)
}

fn sections_of(parent: Element<'_>) -> impl Iterator<Item = Element<'_>> {
    parent.all(Ns::Hl7, "component").filter_map(|c| c.first(Ns::Hl7, "section"))
}

fn section(element: Element<'_>, depth: usize, room: usize, reader: &Reader<'_>) -> Section {
    let mut text = element.first(Ns::Hl7, "text").map(narrative::plain).unwrap_or_default();
    if text.len() > room {
        let cut = (0..=room).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(cut);
    }
    let title = element.first(Ns::Hl7, "title").map(narrative::plain).unwrap_or_default();
    Section {
        depth,
        title: title.chars().take(reader.limits.field_chars_max).collect(),
        code: element.first(Ns::Hl7, "code").map(|code| reader.code(code)),
        templates: element
            .all(Ns::Hl7, "templateId")
            .take(reader.limits.repeats_max)
            .map(|id| Id {
                root: id.attribute("root").unwrap_or_default().to_owned(),
                extension: id.attribute("extension").map(str::to_owned),
            })
            .collect(),
        text,
        entries: element.all(Ns::Hl7, "entry").count(),
    }
}

/// Every observationMedia with an embedded value, and whether it is the copy of the whole.
fn media(structured: Element<'_>, body: &mut Body, limits: &Limits) -> Result<(), DocError> {
    let mut total = 0;
    // Where the outermost section of a copy ends: what is within stands before.
    let mut copy_end = 0;
    for node in structured.descendants() {
        let Node::Element(element) = node else { continue };
        if element.is(Ns::Hl7, "section") {
            let mut ids = element.all(Ns::Hl7, "templateId");
            if ids.any(|id| id.attribute("root") == Some(PDF_COPY)) {
                copy_end = copy_end.max(element.end());
            }
        }
        if !element.is(Ns::Hl7, "observationMedia") {
            continue;
        }
        let Some(value) = element.first(Ns::Hl7, "value") else { continue };
        if value.attribute("representation") != Some("B64") {
            continue;
        }
        if body.attachments.len() >= limits.attachments_max {
            body.truncated = true;
            break;
        }
        let copy = (element.id as usize) < copy_end;
        let role = if copy { AttachmentRole::PdfCopy } else { AttachmentRole::Media };
        let found = attachment(value, role, element.attribute("ID"), limits)?;
        total += found.size;
        if total > limits.attachment_bytes_max {
            return Err(DocError::over(Bound::AttachmentBytes));
        }
        body.attachments.push(found);
    }
    Ok(())
}

fn attachment(
    element: Element<'_>,
    role: AttachmentRole,
    name: Option<&str>,
    limits: &Limits,
) -> Result<Attachment, DocError> {
    let media_type = element.attribute("mediaType").unwrap_or("text/plain");
    let bytes = if element.attribute("representation") == Some("B64") {
        decode(element, limits)?
    } else {
        element.own_text().into_bytes()
    };
    Ok(Attachment {
        role,
        media_type: media_type.chars().take(MEDIA_TYPE_CHARS_MAX).collect(),
        name: name.map(|name| name.chars().take(MEDIA_TYPE_CHARS_MAX).collect()),
        size: bytes.len(),
        sha1: sha1_hex(&bytes),
        bytes,
    })
}

/// Base64 with the line ends and blanks that documents have in it.
fn decode(element: Element<'_>, limits: &Limits) -> Result<Vec<u8>, DocError> {
    let mut digits = Vec::new();
    for node in element.nodes() {
        if let Node::Text(text) = node {
            digits.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        }
        if digits.len() / 4 * 3 > limits.attachment_bytes_max {
            return Err(DocError::over(Bound::AttachmentBytes));
        }
    }
    decode_base64(&digits)
}
