//! Text of parts for SEARCH: transfer encoding, charset and markup undone.

use crate::html;
use crate::structure::{Encoding, Part, Structure};
use mail_parser::Charset;
use std::borrow::Cow;
use std::ops::Range;

/// Of the texts and their folding: with another number, what an index was made of is no longer what is compared.
pub const SEARCH_TEXT_VERSION: u32 = 1;

/// A piece of a message, beyond its own header, that SEARCH looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Searchable<'s> {
    /// A text part; its octets are `part.body`.
    Text(&'s Part),
    /// Header of an attached message: text of the body.
    AttachedHeader(Range<u64>),
    /// Header of a body part: BODY does not look at it, TEXT does (RFC 9051 6.4.4).
    PartHeader(Range<u64>),
}

impl Structure {
    /// What SEARCH looks into, in the order of the parts.
    pub fn searchable(&self) -> impl Iterator<Item = Searchable<'_>> {
        self.walk().flat_map(|part| {
            let text = part.is_text().then_some(Searchable::Text(part));
            let nested = part.message.as_ref();
            let attached = nested.map(|n| Searchable::AttachedHeader(n.root.header.clone()));
            let parts = part.children.iter().map(|c| Searchable::PartHeader(c.header.clone()));
            text.into_iter().chain(attached).chain(parts)
        })
    }
}

/// The text of a part from its body octets: transfer encoding and charset decoded, HTML reduced to its words. A part that
/// is not text gives an empty string.
pub fn decode_text(part: &Part, body: &[u8]) -> String {
    if !part.is_text() {
        return String::new();
    }
    let decoded = match part.encoding {
        Encoding::Base64 => mail_parser::Encoding::Base64.decode(body),
        Encoding::QuotedPrintable => mail_parser::Encoding::QuotedPrintable.decode(body),
        _ => Cow::Borrowed(body),
    };
    let charset = part.charset().and_then(|label| Charset::from_label(label));
    let text = match charset {
        Some(charset) => charset.decode(&decoded),
        // No charset, or an unknown one: most unlabelled mail is UTF-8 or ASCII.
        None => String::from_utf8_lossy(&decoded),
    };
    if part.content_type.sub.is("html") {
        return html::words(&text);
    }
    text.into_owned()
}
