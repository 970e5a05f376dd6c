//! Octets of an XML file to text, by its byte order mark and its declaration.

use crate::error::{Bound, DocError, XmlFault};
use crate::limits::Limits;
use encoding_rs::{Encoding, ISO_8859_15, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Octets in which the XML declaration must end.
const DECLARATION_BYTES_MAX: usize = 256;

/// The text of an XML file.
///
/// # Errors
/// [`Bound::XmlBytes`], [`XmlFault::Encoding`], [`XmlFault::Character`].
pub(crate) fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Cow<'a, str>, DocError> {
    if bytes.len() > limits.xml_bytes_max {
        return Err(DocError::over(Bound::XmlBytes));
    }
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => strict_utf8(rest)?,
        [0xFF, 0xFE, 0, 0, ..]
        | [0, 0, 0xFE, 0xFF, ..]
        | [b'<', 0, 0, 0, ..]
        | [0, 0, 0, b'<', ..] => {
            return Err(DocError::xml(XmlFault::Encoding)); // UTF-32
        }
        [0xFF, 0xFE, rest @ ..] => with(UTF_16LE, rest)?,
        [0xFE, 0xFF, rest @ ..] => with(UTF_16BE, rest)?,
        [b'<', 0, ..] => with(UTF_16LE, bytes)?,
        [0, b'<', ..] => with(UTF_16BE, bytes)?,
        _ => by_declaration(bytes)?,
    };
    let forbidden = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    if text.bytes().any(forbidden) || text.contains(['\u{FFFE}', '\u{FFFF}']) {
        return Err(DocError::xml(XmlFault::Character));
    }
    Ok(text)
}

fn strict_utf8(bytes: &[u8]) -> Result<Cow<'_, str>, DocError> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| DocError::xml(XmlFault::Character))
}

fn with<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Result<Cow<'a, str>, DocError> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or(DocError::xml(XmlFault::Character))
}

fn by_declaration(bytes: &[u8]) -> Result<Cow<'_, str>, DocError> {
    let Some(name) = declared(bytes) else { return strict_utf8(bytes) };
    match name.to_ascii_lowercase().as_slice() {
        b"utf-8" | b"utf8" | b"us-ascii" | b"ascii" => strict_utf8(bytes),
        b"iso-8859-1" | b"iso8859-1" | b"latin1" | b"latin-1" => {
            // The web reads this name as windows-1252; documents mean the standard.
            Ok(Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()))
        }
        b"iso-8859-15" | b"latin-9" => with(ISO_8859_15, bytes),
        b"windows-1252" | b"cp1252" => with(WINDOWS_1252, bytes),
        _ => Err(DocError::xml(XmlFault::Encoding)),
    }
}

/// The encoding name of the XML declaration, when there is one.
fn declared(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.strip_prefix(b"<?xml")?;
    let head = &head[..head.len().min(DECLARATION_BYTES_MAX)];
    let head = &head[..memchr::memmem::find(head, b"?>")?];
    let after = &head[memchr::memmem::find(head, b"encoding")? + b"encoding".len()..];
    let after = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, name) = after.split_first()?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    Some(&name[..memchr::memchr(quote, name)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<&str, XmlFault>) {
        let found = decode(bytes, &Limits::default());
        assert_eq!(found.as_deref().map_err(Clone::clone), expected.map_err(DocError::xml));
    }

    #[test]
    fn encodings() {
        check("<a>é</a>".as_bytes(), Ok("<a>é</a>"));
        check(b"\xEF\xBB\xBF<a/>", Ok("<a/>"));
        let sixteen: Vec<u8> = "<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&sixteen, Ok("<a>é</a>"));
        let big: Vec<u8> = "\u{FEFF}<a>é</a>".encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&big, Ok("<a>é</a>"));
        check(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9\x80</a>",
            Ok("<?xml version='1.0' encoding='ISO-8859-1'?><a>é\u{80}</a>"),
        );
        check(
            b"<?xml version=\"1.0\" encoding = \"iso-8859-15\"?><a>\xA4</a>",
            Ok("<?xml version=\"1.0\" encoding = \"iso-8859-15\"?><a>€</a>"),
        );
        check(b"<a>\xE9</a>", Err(XmlFault::Character));
        check(b"<?xml version='1.0' encoding='UTF-7'?><a/>", Err(XmlFault::Encoding));
        check(b"<?xml version='1.0' encoding='UTF-16'?><a/>", Err(XmlFault::Encoding));
        check(b"<a>\x01</a>", Err(XmlFault::Character));
        check(b"\xFF\xFE\x00\xD8", Err(XmlFault::Character));
        check(b"<\0\0\0", Err(XmlFault::Encoding));
        check(b"", Ok(""));
    }
}
