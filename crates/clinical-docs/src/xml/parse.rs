//! Events of quick-xml into the tree, with every limit.

use super::tree::{Attribute, Content, Item, NONE, Ns, Span, Tree};
use crate::error::{Bound, DocError, XmlFault};
use crate::limits::Limits;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesPI, BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// Stylesheet instructions that are noted.
const STYLESHEETS_MAX: usize = 8;

/// Parses a text that [`decode`](super::decode) gave.
///
/// # Errors
/// A limit of XML, or an [`XmlFault`].
pub(crate) fn parse<'t>(text: &'t str, limits: &Limits) -> Result<Tree<'t>, DocError> {
    let mut reader = Reader::from_str(text);
    let mut builder = Builder::new(limits);
    loop {
        let event = reader.read_event().map_err(|_| malformed())?;
        match event {
            Event::Start(start) => {
                builder.open(&start)?;
            }
            Event::Empty(start) => {
                builder.open(&start)?;
                builder.close();
            }
            Event::End(_) => builder.close(),
            Event::Text(text) => builder.text(text.into_inner())?,
            Event::CData(text) => builder.text(text.into_inner())?,
            Event::GeneralRef(reference) => builder.reference(&reference)?,
            Event::DocType(_) => return Err(DocError::xml(XmlFault::Doctype)),
            Event::PI(instruction) => builder.instruction(&instruction),
            Event::Comment(_) | Event::Decl(_) => {}
            Event::Eof => return builder.finish(),
        }
    }
}

fn malformed() -> DocError {
    DocError::xml(XmlFault::Malformed)
}

struct Builder<'t, 'l> {
    limits: &'l Limits,
    tree: Tree<'t>,
    /// Open elements, outermost first.
    open: Vec<u32>,
    /// Prefixes in scope: prefix, namespace, and how many elements were open when it was declared.
    scope: Vec<(String, Ns, usize)>,
    rooted: bool,
}

impl<'t, 'l> Builder<'t, 'l> {
    fn new(limits: &'l Limits) -> Self {
        let tree = Tree {
            items: Vec::new(),
            attributes: Vec::new(),
            strings: String::new(),
            stylesheets: Vec::new(),
        };
        Builder { limits, tree, open: Vec::new(), scope: Vec::new(), rooted: false }
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.tree.strings.len() as u32; // bounded by xml_bytes_max
        self.tree.strings.push_str(text);
        Span { start, end: self.tree.strings.len() as u32 }
    }

    fn add(&mut self, content: Content<'t>) -> Result<u32, DocError> {
        if self.tree.items.len() >= self.limits.xml_nodes_max {
            return Err(DocError::over(Bound::XmlNodes));
        }
        let id = self.tree.items.len() as u32;
        self.tree.items.push(Item { content, next: NONE });
        let Some(&parent) = self.open.last() else { return Ok(id) };
        let mut before = NONE;
        if let Some(item) = self.tree.items.get_mut(parent as usize)
            && let Content::Element { first, last, .. } = &mut item.content
        {
            before = std::mem::replace(last, id);
            if *first == NONE {
                *first = id;
            }
        }
        if let Some(item) = self.tree.items.get_mut(before as usize) {
            item.next = id;
        }
        Ok(id)
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), DocError> {
        if self.open.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(malformed()); // A second document element.
        }
        if self.open.len() >= self.limits.xml_depth_max {
            return Err(DocError::over(Bound::XmlDepth));
        }
        let mut found: Vec<(String, String)> = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| malformed())?;
            let total = self.tree.attributes.len() + found.len();
            if found.len() >= self.limits.xml_attributes_max
                || total >= self.limits.xml_attributes_total_max
            {
                return Err(DocError::over(Bound::XmlAttributes));
            }
            if attribute.value.len() > self.limits.xml_attribute_bytes_max {
                return Err(DocError::over(Bound::XmlAttributeBytes));
            }
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| DocError::xml(XmlFault::Entity))?;
            if value.chars().any(|c| !is_xml_char(c)) {
                return Err(DocError::xml(XmlFault::Character));
            }
            found.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        let depth = self.open.len() + 1;
        self.declare(&found, depth)?;
        let from = self.tree.attributes.len() as u32;
        for (key, value) in &found {
            if key == "xmlns" || key.starts_with("xmlns:") {
                continue;
            }
            let (prefix, local) = key.split_once(':').unwrap_or(("", key));
            // An attribute without prefix has no namespace (XML Names 6.2).
            let ns = if prefix.is_empty() { Ns::None } else { self.namespace(prefix) };
            let (name, value) = (self.keep(local), self.keep(value));
            self.tree.attributes.push(Attribute { ns, name, value });
        }
        let name = start.name();
        let name: &str = name.as_ref();
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let ns = self.namespace(prefix);
        let name = self.keep(local);
        let attributes = (from, self.tree.attributes.len() as u32);
        let id = self.add(Content::Element { ns, name, attributes, first: NONE, last: NONE })?;
        self.open.push(id);
        Ok(())
    }

    fn declare(&mut self, found: &[(String, String)], depth: usize) -> Result<(), DocError> {
        for (key, value) in found {
            let prefix = match key.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) if rest.starts_with(':') => &rest[1..],
                _ => continue,
            };
            if self.scope.len() >= self.limits.xml_namespaces_max {
                return Err(DocError::over(Bound::XmlNamespaces));
            }
            self.scope.push((prefix.to_owned(), Ns::of(value), depth));
        }
        Ok(())
    }

    fn namespace(&self, prefix: &str) -> Ns {
        let declared = self.scope.iter().rev().find(|(p, _, _)| p == prefix);
        match declared {
            Some((_, ns, _)) => *ns,
            None if prefix.is_empty() => Ns::None,
            None => Ns::Other,
        }
    }

    fn close(&mut self) {
        let depth = self.open.len();
        self.open.pop();
        while self.scope.last().is_some_and(|(_, _, at)| *at >= depth) {
            self.scope.pop();
        }
    }

    fn text(&mut self, text: Cow<'t, str>) -> Result<(), DocError> {
        if self.open.is_empty() {
            // Only blanks stand outside the document element.
            return if text.trim().is_empty() { Ok(()) } else { Err(malformed()) };
        }
        let limit = self.limits.xml_text_bytes_max;
        if text.len() > limit {
            return Err(DocError::over(Bound::XmlTextBytes));
        }
        // XML 1.0 2.11: line ends are one line feed.
        let text = if text.contains('\r') {
            Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
        } else {
            text
        };
        match self.text_before() {
            Some(before) if before.len() + text.len() > limit => {
                Err(DocError::over(Bound::XmlTextBytes))
            }
            Some(before) => {
                before.to_mut().push_str(&text);
                Ok(())
            }
            None => self.add(Content::Text(text)).map(|_| ()),
        }
    }

    /// The run of text that ends where we stand: what follows is joined to it.
    fn text_before(&mut self) -> Option<&mut Cow<'t, str>> {
        let parent = self.open.last().copied()?;
        let last = match self.tree.items.get(parent as usize)?.content {
            Content::Element { last, .. } => last,
            Content::Text(_) => NONE,
        };
        match &mut self.tree.items.get_mut(last as usize)?.content {
            Content::Text(text) => Some(text),
            Content::Element { .. } => None,
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), DocError> {
        let unknown = || DocError::xml(XmlFault::Entity);
        let name: &str = reference;
        let character = match reference.resolve_char_ref().map_err(|_| unknown())? {
            Some(c) if is_xml_char(c) => c,
            Some(_) => return Err(DocError::xml(XmlFault::Character)),
            None => match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => return Err(unknown()),
            },
        };
        if self.open.is_empty() {
            return Err(malformed());
        }
        self.text(Cow::Owned(character.to_string()))
    }

    fn instruction(&mut self, instruction: &BytesPI<'_>) {
        if instruction.target() != "xml-stylesheet"
            || self.tree.stylesheets.len() >= STYLESHEETS_MAX
        {
            return;
        }
        let href = instruction.attributes().flatten().find(|a| a.key.as_ref() == "href");
        if let Some(href) = href.and_then(|a| a.normalized_value(XmlVersion::Implicit1_0).ok()) {
            self.tree.stylesheets.push(href.chars().take(self.limits.field_chars_max).collect());
        }
    }

    fn finish(self) -> Result<Tree<'t>, DocError> {
        if self.open.is_empty() && self.rooted { Ok(self.tree) } else { Err(malformed()) }
    }
}

/// XML 1.0 2.2.
fn is_xml_char(c: char) -> bool {
    // Surrogates are no char.
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(text: &str) -> DocError {
        parse(text, &Limits::default()).expect_err(text)
    }

    #[test]
    fn a_small_tree() {
        let text = "<?xml-stylesheet href='x.xsl'?>\
                    <a xmlns='urn:hl7-org:v3' xmlns:s='urn:hl7-org:sdtc' \
                    id='1&amp;2'><b>x&#233;&lt;<![CDATA[&]]></b><s:b s:k='v' k='w'/>\r\n</a>";
        let tree = parse(text, &Limits::default()).unwrap();
        let root = tree.root().unwrap();
        assert_eq!((root.ns(), root.name(), root.attribute("id")), (Ns::Hl7, "a", Some("1&2")));
        assert_eq!(root.first(Ns::Hl7, "b").unwrap().own_text(), "xé<&");
        let second = root.first(Ns::Sdtc, "b").unwrap();
        assert_eq!(second.attribute("k"), Some("w"));
        assert_eq!(tree.stylesheets, ["x.xsl"]);
        assert_eq!(root.descendants().count(), 4);
    }

    #[test]
    fn refused() {
        let xml = DocError::xml;
        assert_eq!(fault("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), xml(XmlFault::Doctype));
        assert_eq!(fault("<a>&b;</a>"), xml(XmlFault::Entity));
        assert_eq!(fault("<a x='&b;'/>"), xml(XmlFault::Entity));
        for broken in
            ["", "<a>", "<a></b>", "<a/><b/>", "x<a/>", "<a/>x", "<a x='1' x='2'/>", "<a>&b</a>"]
        {
            assert_eq!(fault(broken), xml(XmlFault::Malformed), "{broken}");
        }
        assert_eq!(fault("<a>&#1;</a>"), xml(XmlFault::Character));
        let deep = "<a>".repeat(100_000);
        assert_eq!(fault(&deep), DocError::over(Bound::XmlDepth));
        let wide: String = (0..1_000).map(|n| format!(" a{n}='1'")).collect();
        assert_eq!(fault(&format!("<a{wide}/>")), DocError::over(Bound::XmlAttributes));
        let many = format!("<a>{}</a>", "<b/>".repeat(500_000));
        assert_eq!(fault(&many), DocError::over(Bound::XmlNodes));
    }

    proptest! {
        /// Whatever both parsers accept, they read alike.
        #[test]
        fn same_as_another_parser(text in "(<[ab]( x='[a-z&;]{0,3}')?>|</[ab]>|[a-z ]|&amp;|&#65;|<b/>){0,12}") {
            let text = format!("<a>{text}</a>");
            let other = roxmltree::Document::parse(&text);
            match (parse(&text, &Limits::default()), other) {
                (Ok(ours), Ok(theirs)) => {
                    let theirs: Vec<_> = theirs.descendants().filter(|n| n.is_element())
                        .map(|n| (n.tag_name().name().to_owned(), n.attribute("x").map(str::to_owned))).collect();
                    let ours: Vec<_> = ours.elements()
                        .map(|e| (e.name().to_owned(), e.attribute("x").map(str::to_owned))).collect();
                    prop_assert_eq!(ours, theirs);
                }
                (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text),
            }
        }
    }
}
