//! The MIME tree of one message, with the octet ranges that IMAP serves.

use crate::envelope::Envelope;
use crate::facts::Facts;
use crate::raw::Raw;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a message is made of. Offsets count from the first octet given to the scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Octets of the whole message.
    pub size: u64,
    /// The message's header as received, its blank line included; cut at [`crate::Limits::root_header_bytes_max`].
    pub header: Vec<u8>,
    /// The tree.
    pub root: Part,
    /// What is wrong or unusual with the message.
    pub damage: Damage,
    /// Number of parts, containers and nested messages' roots included.
    pub parts: u32,
    /// Deepest level: 0 for a message of one part.
    pub depth: u32,
}

/// One entity: the message itself, a body part, or the root of a nested message.
///
/// `children` is not empty exactly when the type is `multipart`; `message` is there exactly when the type is
/// `message/rfc822` or `message/global`. When the scanner could not or would not look inside (no boundary, too deep,
/// encoded), it puts a placeholder there and flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The header with its blank line. IMAP `[n.MIME]`.
    pub header: Range<u64>,
    /// The body, without the line break that belongs to the next delimiter. IMAP `[n]`.
    pub body: Range<u64>,
    /// Line breaks in the body.
    pub lines: u64,
    /// Content-Type, or its default (RFC 2045 5.2, RFC 2046 5.1.5).
    pub content_type: ContentType,
    /// Content-ID as written, brackets included.
    pub id: Option<Raw>,
    /// Content-Description as written.
    pub description: Option<Raw>,
    /// Content-Transfer-Encoding.
    pub encoding: Encoding,
    /// Content-MD5.
    pub md5: Option<Raw>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language, one item per tag.
    pub language: Vec<Raw>,
    /// Content-Location.
    pub location: Option<Raw>,
    /// Parts of a multipart.
    pub children: Vec<Part>,
    /// The message inside a `message/rfc822` or `message/global` part.
    pub message: Option<Box<Nested>>,
}

/// A message inside a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its ENVELOPE.
    pub envelope: Envelope,
    /// Its tree; `root.header` is IMAP `[n.HEADER]`, `root.body` is `[n.TEXT]`.
    pub root: Part,
}

/// A media type with its parameters, case kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentType {
    /// `text` of `text/plain`.
    pub main: Raw,
    /// `plain` of `text/plain`.
    pub sub: Raw,
    /// Parameters in order; RFC 2231 names (`filename*0*`) are shown as written.
    pub params: Vec<Param>,
}

/// A parameter: quoting removed, nothing decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Attribute as written.
    pub name: Raw,
    /// Value.
    pub value: Raw,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposition {
    /// `inline`, `attachment`, or another word.
    pub kind: Raw,
    /// Parameters in order.
    pub params: Vec<Param>,
}

/// Content-Transfer-Encoding (RFC 2045 6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// `7bit`, or no header.
    #[default]
    SevenBit,
    /// `8bit`
    EightBit,
    /// `binary`
    Binary,
    /// `quoted-printable`
    QuotedPrintable,
    /// `base64`
    Base64,
    /// Another word, as written.
    Other(Raw),
}

impl Encoding {
    /// As IMAP shows it.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Encoding::SevenBit => b"7BIT",
            Encoding::EightBit => b"8BIT",
            Encoding::Binary => b"BINARY",
            Encoding::QuotedPrintable => b"QUOTED-PRINTABLE",
            Encoding::Base64 => b"BASE64",
            Encoding::Other(word) => word,
        }
    }

    /// True when the octets on the wire are the content itself.
    pub fn is_identity(&self) -> bool {
        matches!(self, Encoding::SevenBit | Encoding::EightBit | Encoding::Binary)
    }
}

/// What the scanner found wrong or unusual. `delivery` decides which of these refuse a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// A CR without LF somewhere (RFC 5322 2.3 forbids it).
    pub bare_cr: bool,
    /// A LF without CR somewhere.
    pub bare_lf: bool,
    /// A NUL octet somewhere.
    pub nul: bool,
    /// A line longer than 998 octets.
    pub long_line: bool,
    /// Octets over 127 in a header: needs SMTPUTF8 (RFC 6532), or is not valid mail.
    pub header_eight_bit: bool,
    /// Header octets over 127 that are not UTF-8.
    pub header_not_utf8: bool,
    /// Octets over 127 in a body: needs 8BITMIME.
    pub body_eight_bit: bool,
    /// Octets over 127 in a part that declares 7bit, quoted-printable or base64.
    pub eight_bit_undeclared: bool,
    /// A container below the depth limit was not looked into.
    pub too_deep: bool,
    /// More parts than the limit: the rest of that multipart was not looked into.
    pub too_many_parts: bool,
    /// A header larger than its limit: what came after was not read.
    pub header_too_long: bool,
    /// The message's header holds a line that is neither a field nor a continuation.
    pub malformed_header: bool,
    /// More than one From field (RFC 5322 3.6 allows one).
    pub duplicate_from: bool,
    /// Another field that RFC 5322 3.6 allows once comes more than once (Sender, Subject, Date, Message-ID, MIME ones…).
    pub duplicate_field: bool,
    /// A header without its blank line.
    pub header_unterminated: bool,
    /// A multipart without a usable boundary, or whose boundary never comes.
    pub missing_boundary: bool,
    /// A multipart that ends without its close delimiter.
    pub missing_close: bool,
    /// A `message/rfc822` part under base64 or quoted-printable (RFC 2046 5.2.1 forbids it): not looked into.
    pub encoded_message: bool,
}

/// Which octets of a part IMAP asks for (RFC 9051 6.4.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[n]`, or the whole message for an empty path.
    Full,
    /// `[n.HEADER]`
    Header,
    /// `[n.TEXT]`
    Text,
    /// `[n.MIME]`
    Mime,
}

impl Structure {
    /// Facts for acceptance, read from the kept header.
    pub fn facts(&self) -> Facts {
        Facts::new(self)
    }

    /// The ENVELOPE of the message itself.
    pub fn envelope(&self) -> Envelope {
        Envelope::parse(&self.header)
    }

    /// The part with these IMAP numbers; an empty path is the message itself. RFC 9051 6.4.5.1.
    pub fn part(&self, path: &[u32]) -> Option<&Part> {
        let Some((first, rest)) = path.split_first() else { return Some(&self.root) };
        let mut part = self.root.in_message(*first)?;
        for number in rest {
            part = match &part.message {
                // Numbers after a message part count inside that message.
                Some(nested) => nested.root.in_message(*number)?,
                None => part.child(*number)?,
            };
        }
        Some(part)
    }

    /// Octets of one section. `None` when there is no such part, or when `HEADER`/`TEXT` is asked of a part that is not
    /// a message. An empty path is the message; it has no `MIME` section.
    pub fn range(&self, path: &[u32], section: Section) -> Option<Range<u64>> {
        if path.is_empty() {
            return match section {
                Section::Full => Some(0..self.size),
                Section::Header => Some(self.root.header.clone()),
                Section::Text => Some(self.root.body.clone()),
                Section::Mime => None,
            };
        }
        let part = self.part(path)?;
        match section {
            Section::Full => Some(part.body.clone()),
            Section::Mime => Some(part.header.clone()),
            Section::Header => part.message.as_ref().map(|nested| nested.root.header.clone()),
            Section::Text => part.message.as_ref().map(|nested| nested.root.body.clone()),
        }
    }

    /// Every part in the order of its octets, the root first.
    pub fn walk(&self) -> impl Iterator<Item = &Part> {
        let mut stack = vec![&self.root];
        std::iter::from_fn(move || {
            let part = stack.pop()?;
            stack.extend(part.children.iter().rev());
            stack.extend(part.message.iter().map(|nested| &nested.root));
            Some(part)
        })
    }
}

impl Part {
    /// `multipart/*`
    pub fn is_multipart(&self) -> bool {
        self.content_type.main.is("multipart")
    }

    /// `message/rfc822` or `message/global`.
    pub fn is_message(&self) -> bool {
        self.content_type.is_message()
    }

    /// `text/*`
    pub fn is_text(&self) -> bool {
        self.content_type.main.is("text")
    }

    /// The charset parameter.
    pub fn charset(&self) -> Option<&Raw> {
        self.content_type.param("charset")
    }

    fn child(&self, number: u32) -> Option<&Part> {
        self.children.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// Part `number` of the message whose root this is: a message that is not multipart has one part, itself.
    fn in_message(&self, number: u32) -> Option<&Part> {
        if self.is_multipart() { self.child(number) } else { (number == 1).then_some(self) }
    }
}

impl ContentType {
    pub(crate) fn new(main: &str, sub: &str) -> ContentType {
        ContentType { main: main.into(), sub: sub.into(), params: Vec::new() }
    }

    /// RFC 2045 5.2
    pub(crate) fn text_plain() -> ContentType {
        let charset = Param { name: "charset".into(), value: "us-ascii".into() };
        ContentType { params: vec![charset], ..ContentType::new("text", "plain") }
    }

    /// True for this type, without case.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.is(main) && self.sub.is(sub)
    }

    /// `message/rfc822` or `message/global` (RFC 6532 3.7).
    pub fn is_message(&self) -> bool {
        self.main.is("message") && (self.sub.is("rfc822") || self.sub.is("global"))
    }

    /// The first parameter of that name.
    pub fn param(&self, name: &str) -> Option<&Raw> {
        self.params.iter().find(|param| param.name.is(name)).map(|param| &param.value)
    }
}
