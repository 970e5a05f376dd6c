//! The response writer (RFC 9051 7 and 9): atoms, quoted strings and literals chosen by what they must carry.

use crate::mailbox::encode_name;
use std::fmt::{Display, Write};

/// Strings up to this length may be quoted; RFC 9051 4.3 recommends literals for long ones.
const QUOTED_BYTES_MAX: usize = 1024;

/// Writes responses into a buffer that the caller flushes.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
    utf8: bool,
}

impl Writer {
    /// Whether the client reads UTF-8 in quoted strings and names (ENABLE IMAP4rev2).
    pub fn set_utf8(&mut self) {
        self.utf8 = true;
    }

    /// Back to seven bits (RFC 8437 4.1).
    pub fn unset_utf8(&mut self) {
        self.utf8 = false;
    }

    /// Whether the client reads UTF-8.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// Octets not yet flushed.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What waits.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Empties the buffer, keeping a little room.
    pub fn clear(&mut self) {
        self.out.clear();
        self.out.shrink_to(4096);
    }

    /// Cuts back to an earlier length: what was written after it is withdrawn.
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// Text of the grammar, never of a client.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// Bytes after a literal header.
    pub fn octets(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    /// A number, a set, or any other value whose text is grammar.
    pub fn show(&mut self, value: impl Display) -> &mut Self {
        // Writing to a Vec does not fail.
        let _ = write!(Text(&mut self.out), "{value}");
        self
    }

    /// Ends a line.
    pub fn crlf(&mut self) -> &mut Self {
        self.raw("\r\n")
    }

    /// `* ` text CRLF.
    pub fn untagged(&mut self, text: impl Display) -> &mut Self {
        self.raw("* ").show(text).crlf()
    }

    /// tag, text, CRLF.
    pub fn tagged(&mut self, tag: &str, text: impl Display) -> &mut Self {
        self.raw(tag).raw(" ").show(text).crlf()
    }

    /// A continuation request.
    pub fn continuation(&mut self, text: &str) -> &mut Self {
        self.raw("+ ").raw(text).crlf()
    }

    /// `string`: quoted when it can be, a literal otherwise. NUL, which neither form may hold (RFC 9051 9, CHAR8),
    /// is left out.
    pub fn string(&mut self, bytes: &[u8]) -> &mut Self {
        if bytes.contains(&0) {
            let cleaned: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0).collect();
            return self.string(&cleaned);
        }
        let ascii = bytes.is_ascii();
        // RFC 9051 4.3: UTF-8 in quoted strings; RFC 3501 4.3: seven bits only.
        let quotable = bytes.len() <= QUOTED_BYTES_MAX
            && !bytes.iter().any(|b| matches!(b, b'\r' | b'\n'))
            && (ascii || (self.utf8 && std::str::from_utf8(bytes).is_ok()));
        if !quotable {
            return self.literal_header(bytes.len() as u64).octets(bytes);
        }
        self.out.push(b'"');
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(*byte);
        }
        self.out.push(b'"');
        self
    }

    /// `nstring`.
    pub fn nstring(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.string(bytes),
            None => self.raw("NIL"),
        }
    }

    /// `{n}` CRLF: the caller writes exactly that many octets next.
    pub fn literal_header(&mut self, size: u64) -> &mut Self {
        self.raw("{").show(size).raw("}\r\n")
    }

    /// `~{n}` CRLF (RFC 3516): for octets that may hold NUL.
    pub fn literal8_header(&mut self, size: u64) -> &mut Self {
        self.raw("~").literal_header(size)
    }

    /// `astring`: an atom when it can be.
    pub fn astring(&mut self, text: &str) -> &mut Self {
        let atom = !text.is_empty()
            && text.len() <= QUOTED_BYTES_MAX
            && text.bytes().all(crate::token::is_astring_char)
            && !text.eq_ignore_ascii_case("NIL");
        if atom { self.raw(text) } else { self.string(text.as_bytes()) }
    }

    /// A mailbox name in the encoding that this client reads.
    pub fn mailbox(&mut self, name: &str) -> &mut Self {
        let encoded = encode_name(name, self.utf8);
        self.astring(&encoded)
    }

    /// Words between parentheses.
    pub fn list<T: Display>(&mut self, words: impl IntoIterator<Item = T>) -> &mut Self {
        self.raw("(");
        for (i, word) in words.into_iter().enumerate() {
            if i > 0 {
                self.raw(" ");
            }
            self.show(word);
        }
        self.raw(")")
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let check = |utf8: bool, bytes: &[u8], expected: &str| {
            let mut writer = Writer::default();
            if utf8 {
                writer.set_utf8();
            }
            writer.string(bytes);
            assert_eq!(String::from_utf8_lossy(writer.bytes()), expected);
        };
        check(false, b"a \"b\" \\", "\"a \\\"b\\\" \\\\\"");
        check(false, "é".as_bytes(), "{2}\r\né");
        check(true, "é".as_bytes(), "\"é\"");
        check(true, b"\xff", "{1}\r\n\u{fffd}");
        check(true, b"a\r\nb", "{4}\r\na\r\nb");
        check(true, b"a\0b", "\"ab\"");
        check(true, b"", "\"\"");
    }

    #[test]
    fn names() {
        let mut writer = Writer::default();
        writer.mailbox("INBOX").raw(" ").mailbox("Envoyés").raw(" ").mailbox("a b").raw(" ");
        writer.mailbox("").raw(" ").mailbox("nil").raw(" ").list(["\\Seen", "x"]);
        let expected = r#"INBOX Envoy&AOk-s "a b" "" "nil" (\Seen x)"#;
        assert_eq!(String::from_utf8_lossy(writer.bytes()), expected);
    }
}
