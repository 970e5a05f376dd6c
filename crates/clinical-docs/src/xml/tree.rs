//! The parsed document: nodes in one vector, strings in one buffer. Handles are `Copy`.

use std::borrow::Cow;

/// Namespaces that mean something here. Others are kept apart from these and from each other's names only by being
/// `Other`: nothing is ever read from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ns {
    None,
    /// `urn:hl7-org:v3`
    Hl7,
    /// `urn:hl7-org:sdtc`
    Sdtc,
    /// ebRIM 3.0
    Rim,
    /// ebRS life cycle 3.0
    Lcm,
    /// XML signatures
    Dsig,
    /// XML Schema instance
    Xsi,
    Other,
}

impl Ns {
    pub(crate) fn of(uri: &str) -> Ns {
        match uri {
            "" => Ns::None,
            "urn:hl7-org:v3" => Ns::Hl7,
            "urn:hl7-org:sdtc" => Ns::Sdtc,
            "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" => Ns::Rim,
            "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" => Ns::Lcm,
            "http://www.w3.org/2000/09/xmldsig#" => Ns::Dsig,
            "http://www.w3.org/2001/XMLSchema-instance" => Ns::Xsi,
            _ => Ns::Other,
        }
    }
}

/// A range of [`Tree::strings`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) ns: Ns,
    pub(crate) name: Span,
    pub(crate) value: Span,
}

#[derive(Debug)]
pub(crate) enum Content<'t> {
    Element { ns: Ns, name: Span, attributes: (u32, u32), first: u32, last: u32 },
    Text(Cow<'t, str>),
}

#[derive(Debug)]
pub(crate) struct Item<'t> {
    pub(crate) content: Content<'t>,
    pub(crate) next: u32,
}

/// A whole XML document, in document order.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    pub(crate) items: Vec<Item<'t>>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) strings: String,
    /// `href` of the `xml-stylesheet` instructions, never fetched.
    pub(crate) stylesheets: Vec<String>,
}

impl<'t> Tree<'t> {
    pub(crate) fn string(&self, span: Span) -> &str {
        self.strings.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The document element.
    pub(crate) fn root(&self) -> Option<Element<'_>> {
        if self.items.is_empty() { None } else { Some(Element { tree: self, id: 0 }) }
    }

    /// Every element, in document order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        self.items.iter().enumerate().filter_map(|(id, item)| match item.content {
            Content::Element { .. } => Some(Element { tree: self, id: id as u32 }),
            Content::Text(_) => None,
        })
    }
}

/// One element of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tree: &'a Tree<'a>,
    pub(crate) id: u32,
}

/// A child of an element.
pub(crate) enum Node<'a> {
    Element(Element<'a>),
    Text(&'a str),
}

impl<'a> Element<'a> {
    fn item(self) -> Option<&'a Item<'a>> {
        self.tree.items.get(self.id as usize)
    }

    pub(crate) fn ns(self) -> Ns {
        match self.item().map(|item| &item.content) {
            Some(Content::Element { ns, .. }) => *ns,
            _ => Ns::None,
        }
    }

    pub(crate) fn name(self) -> &'a str {
        match self.item().map(|item| &item.content) {
            Some(Content::Element { name, .. }) => self.tree.string(*name),
            _ => "",
        }
    }

    pub(crate) fn is(self, ns: Ns, name: &str) -> bool {
        self.ns() == ns && self.name() == name
    }

    pub(crate) fn nodes(self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let mut at = match self.item().map(|item| &item.content) {
            Some(Content::Element { first, .. }) => *first,
            _ => NONE,
        };
        let tree = self.tree;
        std::iter::from_fn(move || {
            let item = tree.items.get(at as usize)?;
            let id = std::mem::replace(&mut at, item.next);
            Some(match &item.content {
                Content::Element { .. } => Node::Element(Element { tree, id }),
                Content::Text(text) => Node::Text(text),
            })
        })
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        self.nodes().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Children of this name.
    pub(crate) fn all(self, ns: Ns, name: &'a str) -> impl Iterator<Item = Element<'a>> + use<'a> {
        self.children().filter(move |child| child.is(ns, name))
    }

    /// The first child of this name.
    pub(crate) fn first(self, ns: Ns, name: &str) -> Option<Element<'a>> {
        self.children().find(|child| child.is(ns, name))
    }

    /// The element at the end of a path of first children.
    pub(crate) fn path(self, ns: Ns, names: &[&str]) -> Option<Element<'a>> {
        names.iter().try_fold(self, |element, name| element.first(ns, name))
    }

    pub(crate) fn attributes(self) -> impl Iterator<Item = (Ns, &'a str, &'a str)> + use<'a> {
        let range = match self.item().map(|item| &item.content) {
            Some(Content::Element { attributes: (from, to), .. }) => *from as usize..*to as usize,
            _ => 0..0,
        };
        let tree = self.tree;
        let found = tree.attributes.get(range).unwrap_or_default();
        found.iter().map(move |a| (a.ns, tree.string(a.name), tree.string(a.value)))
    }

    /// An attribute without prefix.
    pub(crate) fn attribute(self, name: &str) -> Option<&'a str> {
        self.attributes().find(|(ns, n, _)| *ns == Ns::None && *n == name).map(|(_, _, v)| v)
    }

    /// The text right below, children skipped, blanks at both ends removed.
    pub(crate) fn own_text(self) -> String {
        let mut text = String::new();
        for node in self.nodes() {
            if let Node::Text(piece) = node {
                text.push_str(piece);
            }
        }
        text.trim().to_owned()
    }

    /// Runs of text below, at any depth, in order. Without recursion: descendants are contiguous.
    pub(crate) fn descendants(self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let tree = self.tree;
        let from = self.id as usize + 1;
        let to = self.end().max(from);
        (from..to).filter_map(move |id| {
            tree.items.get(id).map(|item| match &item.content {
                Content::Element { .. } => Node::Element(Element { tree, id: id as u32 }),
                Content::Text(text) => Node::Text(text),
            })
        })
    }

    /// One past the last descendant.
    pub(crate) fn end(self) -> usize {
        let mut at = self.id;
        loop {
            match self.tree.items.get(at as usize).map(|item| &item.content) {
                Some(Content::Element { last, .. }) if *last != NONE => at = *last,
                _ => return at as usize + 1,
            }
        }
    }
}
