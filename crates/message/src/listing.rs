//! What a list of messages shows of one: ENVELOPE, BODY and BODYSTRUCTURE as IMAP writes them (RFC 9051 7.5.2), and
//! the two that clients list with, made once and kept.

use crate::envelope::{Envelope, EnvelopeAddress};
use crate::limits::LISTING_BYTES_MAX;
use crate::raw::Raw;
use crate::structure::{Disposition, Param, Part, Structure};

/// Where the text goes. Whoever writes to a client chooses between quoted strings and literals.
pub trait TextSink {
    /// Text of the grammar.
    fn raw(&mut self, text: &str);
    /// `string`
    fn string(&mut self, octets: &[u8]);

    /// `nstring`
    fn nstring(&mut self, octets: Option<&Raw>) {
        match octets {
            Some(octets) => self.string(octets),
            None => self.raw("NIL"),
        }
    }
}

/// Whether extension data follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// BODY
    Basic,
    /// BODYSTRUCTURE
    Extended,
}

/// The kept texts of one message: the same for every client, for they need no literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing<'a> {
    /// ENVELOPE
    pub envelope: &'a str,
    /// BODYSTRUCTURE
    pub body_structure: &'a str,
}

const VERSION: u8 = 1;
/// Version, then the length of the ENVELOPE.
const HEAD_BYTES: usize = 5;
/// Longer strings travel as literals (RFC 9051 4.3).
const QUOTED_BYTES_MAX: usize = 1024;

impl<'a> Listing<'a> {
    /// Reads what [`Structure::listing`] wrote; `None` for nothing, and for what a later Palombe wrote.
    pub fn decode(bytes: &'a [u8]) -> Option<Listing<'a>> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let (version, length) = head.split_first()?;
        if *version != VERSION {
            return None;
        }
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let text = std::str::from_utf8(rest).ok()?;
        let (envelope, body_structure) = text.split_at_checked(usize::try_from(length).ok()?)?;
        Some(Listing { envelope, body_structure })
    }
}

impl Structure {
    /// ENVELOPE and BODYSTRUCTURE to keep with the message; nothing when some string of them needs a literal, which
    /// clients do not read alike, or when they are long.
    pub fn listing(&self) -> Vec<u8> {
        let mut envelope = Plain::default();
        write_envelope(&mut envelope, &self.envelope());
        let mut body = Plain::default();
        write_body(&mut body, &self.root, Form::Extended);
        let (Some(envelope), Some(body)) = (envelope.finish(), body.finish()) else {
            return Vec::new();
        };
        let length = u32::try_from(envelope.len()).unwrap_or(u32::MAX);
        let out = [&[VERSION], &length.to_be_bytes()[..], &envelope, &body].concat();
        if out.len() > LISTING_BYTES_MAX { Vec::new() } else { out }
    }
}

/// Text without literals, while it is that.
#[derive(Default)]
struct Plain {
    out: Vec<u8>,
    unfit: bool,
}

impl Plain {
    fn finish(self) -> Option<Vec<u8>> {
        (!self.unfit).then_some(self.out)
    }
}

impl TextSink for Plain {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, octets: &[u8]) {
        let plain = |b: &u8| b.is_ascii() && !matches!(b, 0 | b'\r' | b'\n');
        let room = octets.len() <= QUOTED_BYTES_MAX && self.out.len() <= LISTING_BYTES_MAX;
        if self.unfit || !room || !octets.iter().all(plain) {
            self.unfit = true;
            return;
        }
        self.out.push(b'"');
        for byte in octets {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(*byte);
        }
        self.out.push(b'"');
    }
}

/// ENVELOPE
pub fn write_envelope(out: &mut dyn TextSink, envelope: &Envelope) {
    out.raw("(");
    out.nstring(envelope.date.as_ref());
    out.raw(" ");
    out.nstring(envelope.subject.as_ref());
    let lists = [
        &envelope.from,
        &envelope.sender,
        &envelope.reply_to,
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        out.raw(" ");
        write_addresses(out, list);
    }
    out.raw(" ");
    out.nstring(envelope.in_reply_to.as_ref());
    out.raw(" ");
    out.nstring(envelope.message_id.as_ref());
    out.raw(")");
}

fn write_addresses(out: &mut dyn TextSink, addresses: &[EnvelopeAddress]) {
    if addresses.is_empty() {
        out.raw("NIL");
        return;
    }
    out.raw("(");
    for address in addresses {
        let parts = [&address.name, &address.adl, &address.mailbox, &address.host];
        for (at, part) in parts.into_iter().enumerate() {
            out.raw(if at == 0 { "(" } else { " " });
            out.nstring(part.as_ref());
        }
        out.raw(")");
    }
    out.raw(")");
}

/// BODY or BODYSTRUCTURE. The scanner bounds the depth of the tree, and so this recursion.
pub fn write_body(out: &mut dyn TextSink, part: &Part, form: Form) {
    out.raw("(");
    if part.is_multipart() {
        for child in &part.children {
            write_body(out, child, form);
        }
        out.raw(" ");
        out.string(&part.content_type.sub);
        if form == Form::Extended {
            out.raw(" ");
            write_params(out, &part.content_type.params);
        }
    } else {
        write_single(out, part, form);
    }
    if form == Form::Extended {
        if !part.is_multipart() {
            out.raw(" ");
            out.nstring(part.md5.as_ref());
        }
        out.raw(" ");
        write_disposition(out, part.disposition.as_ref());
        out.raw(" ");
        write_language(out, &part.language);
        out.raw(" ");
        out.nstring(part.location.as_ref());
    }
    out.raw(")");
}

fn write_single(out: &mut dyn TextSink, part: &Part, form: Form) {
    let content_type = &part.content_type;
    out.string(&content_type.main);
    out.raw(" ");
    out.string(&content_type.sub);
    out.raw(" ");
    write_params(out, &content_type.params);
    out.raw(" ");
    out.nstring(part.id.as_ref());
    out.raw(" ");
    out.nstring(part.description.as_ref());
    out.raw(" ");
    out.string(part.encoding.as_bytes());
    out.raw(&format!(" {}", part.body.end.saturating_sub(part.body.start)));
    if let Some(nested) = &part.message {
        out.raw(" ");
        write_envelope(out, &nested.envelope);
        out.raw(" ");
        write_body(out, &nested.root, form);
        out.raw(&format!(" {}", part.lines));
    } else if part.is_text() {
        out.raw(&format!(" {}", part.lines));
    }
}

fn write_params(out: &mut dyn TextSink, params: &[Param]) {
    if params.is_empty() {
        out.raw("NIL");
        return;
    }
    for (at, param) in params.iter().enumerate() {
        out.raw(if at == 0 { "(" } else { " " });
        out.string(&param.name);
        out.raw(" ");
        out.string(&param.value);
    }
    out.raw(")");
}

fn write_disposition(out: &mut dyn TextSink, disposition: Option<&Disposition>) {
    match disposition {
        None => out.raw("NIL"),
        Some(disposition) => {
            out.raw("(");
            out.string(&disposition.kind);
            out.raw(" ");
            write_params(out, &disposition.params);
            out.raw(")");
        }
    }
}

fn write_language(out: &mut dyn TextSink, tags: &[Raw]) {
    match tags {
        [] => out.raw("NIL"),
        [only] => out.string(only),
        several => {
            for (at, tag) in several.iter().enumerate() {
                out.raw(if at == 0 { "(" } else { " " });
                out.string(tag);
            }
            out.raw(")");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Listing;
    use crate::{Limits, Scanner, Structure};

    fn structure(message: &str) -> Structure {
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(message.as_bytes());
        scanner.finish()
    }

    #[test]
    fn a_listing_reads_back() {
        let kept = structure("Subject: a \"b\"\r\nFrom: Dr A <a@x>\r\n\r\nun\r\n").listing();
        let listing = Listing::decode(&kept).expect("a listing");
        let from = "((\"Dr A\" NIL \"a\" \"x\"))";
        assert_eq!(
            listing.envelope,
            format!("(NIL \"a \\\"b\\\"\" {from} {from} {from} NIL NIL NIL NIL NIL)")
        );
        assert_eq!(
            listing.body_structure,
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" 4 1 NIL NIL NIL NIL)"
        );
    }

    #[test]
    fn what_needs_a_literal_or_is_long_is_not_kept() {
        let check = |message: &str| assert!(structure(message).listing().is_empty(), "{message}");
        check("Subject: glyc\u{e9}mie\r\n\r\n");
        check(&format!("Subject: {}\r\n\r\n", "x".repeat(2000)));
        check(&format!("To: {}\r\n\r\n", "a@example.invalid, ".repeat(2000)));
        assert_eq!(Listing::decode(b""), None);
        assert_eq!(Listing::decode(&[1, 0, 0, 0, 9, b'x']), None);
        assert_eq!(Listing::decode(&[2, 0, 0, 0, 0, b'x']), None);
    }
}
