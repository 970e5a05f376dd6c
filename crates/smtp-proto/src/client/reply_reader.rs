//! Replies read from a peer that is not trusted to write them well.

use crate::limits::{REPLY_LINE_BYTES_MAX, REPLY_LINES_MAX};
use crate::{EnhancedCode, Reply};
use std::borrow::Cow;

/// What a peer sent instead of a reply. The connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line longer than the limit.
    #[error("a reply line is longer than {REPLY_LINE_BYTES_MAX} octets")]
    LineTooLong,
    /// More lines than the limit.
    #[error("a reply has more than {REPLY_LINES_MAX} lines")]
    TooManyLines,
    /// No three digits, or a code outside 200 to 599.
    #[error("a reply line does not begin with a reply code")]
    NoCode,
    /// Lines of one reply with different codes (RFC 5321 4.2.1).
    #[error("the lines of one reply have different codes")]
    MixedCodes,
    /// A line that ends in LF alone, or holds a NUL or a CR.
    #[error("a reply line holds a bare LF, a bare CR or a NUL")]
    BadLine,
}

/// Reads replies out of bytes as they come.
#[derive(Debug, Default)]
pub struct ReplyReader {
    buffer: Vec<u8>,
    read: usize,
    lines: Vec<String>,
    code: Option<u16>,
    enhanced: Option<EnhancedCode>,
}

impl ReplyReader {
    /// A reader for a fresh connection, or for the same one after its TLS handshake.
    pub fn new() -> Self {
        ReplyReader::default()
    }

    /// Takes bytes from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// True when no byte waits and no reply is half read.
    pub fn is_empty(&self) -> bool {
        self.read == self.buffer.len() && self.lines.is_empty()
    }

    /// The next whole reply; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`ReplyError`]; close the connection then.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some((start, end)) = self.line()? {
            let line = &self.buffer[start..end];
            let (code, last, text) = split(line)?;
            match self.code {
                Some(first) if first != code => return Err(ReplyError::MixedCodes),
                _ => self.code = Some(code),
            }
            let (enhanced, text) = take_enhanced(code, text);
            self.enhanced = self.enhanced.or(enhanced);
            if self.lines.len() == REPLY_LINES_MAX {
                return Err(ReplyError::TooManyLines);
            }
            self.lines.push(String::from_utf8_lossy(text).into_owned());
            if last {
                self.code = None;
                let text = std::mem::take(&mut self.lines).join("\n");
                let enhanced = self.enhanced.take();
                return Ok(Some(Reply { code, enhanced, text: Cow::Owned(text) }));
            }
        }
        Ok(None)
    }

    /// Bounds of the next line, without its CRLF.
    fn line(&mut self) -> Result<Option<(usize, usize)>, ReplyError> {
        let waiting = &self.buffer[self.read..];
        let Some(lf) = memchr::memchr(b'\n', waiting) else {
            let long = waiting.len() >= REPLY_LINE_BYTES_MAX;
            return if long { Err(ReplyError::LineTooLong) } else { Ok(None) };
        };
        if lf >= REPLY_LINE_BYTES_MAX {
            return Err(ReplyError::LineTooLong);
        }
        let Some(line) = waiting[..lf].strip_suffix(b"\r") else {
            return Err(ReplyError::BadLine); // RFC 5321 2.3.8
        };
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return Err(ReplyError::BadLine);
        }
        let start = self.read;
        self.read += lf + 1;
        Ok(Some((start, start + lf - 1)))
    }
}

/// Code, whether it is the last line, and the rest.
fn split(line: &[u8]) -> Result<(u16, bool, &[u8]), ReplyError> {
    let (digits, rest) = line.split_at_checked(3).ok_or(ReplyError::NoCode)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return Err(ReplyError::NoCode);
    }
    let code = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    match rest.split_first() {
        None => Ok((code, true, rest)), // RFC 5321 4.2: the space may be missing, clients accept
        Some((b' ', text)) => Ok((code, true, text)),
        Some((b'-', text)) => Ok((code, false, text)),
        Some(_) => Err(ReplyError::NoCode),
    }
}

/// RFC 2034 4: the enhanced code opens the text, and its class is that of the reply.
fn take_enhanced(code: u16, text: &[u8]) -> (Option<EnhancedCode>, &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let word = std::str::from_utf8(&text[..end]).ok().and_then(EnhancedCode::parse);
    match word {
        Some(enhanced) if u16::from(enhanced.0) == code / 100 => {
            (Some(enhanced), text.get(end + 1..).unwrap_or_default())
        }
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> Result<Vec<String>, ReplyError> {
        let mut reader = ReplyReader::new();
        let mut replies = Vec::new();
        for piece in bytes.chunks(step) {
            reader.push(piece);
            while let Some(reply) = reader.next_reply()? {
                replies.push(reply.to_string());
            }
        }
        Ok(replies)
    }

    fn check(bytes: &[u8], expected: Result<&[&str], ReplyError>) {
        for step in [1, 2, 7, bytes.len().max(1)] {
            let expected = expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect());
            assert_eq!(read(bytes, step), expected, "step {step}");
        }
    }

    #[test]
    fn replies() {
        check(b"220 ready\r\n250 2.1.0 OK\r\n", Ok(&["220 ready", "250 2.1.0 OK"]));
        check(b"250-a\r\n250-SIZE 10\r\n250 DSN\r\n", Ok(&["250 a SIZE 10 DSN"]));
        check(b"550-5.1.1 no\r\n550 5.1.1 such\r\n", Ok(&["550 5.1.1 no such"]));
        check(b"250\r\n", Ok(&["250 "]));
        check(b"250 5.1.1 odd\r\n", Ok(&["250 5.1.1 odd"]));
        check(b"250-a\r\n550 b\r\n", Err(ReplyError::MixedCodes));
        check(b"250 a\n", Err(ReplyError::BadLine));
        check(b"250 a\r250 b\r\n", Err(ReplyError::BadLine));
        check(b"150 a\r\n", Err(ReplyError::NoCode));
        check(b"650 a\r\n", Err(ReplyError::NoCode));
        check(b"+OK\r\n", Err(ReplyError::NoCode));
        check(b"2\r\n", Err(ReplyError::NoCode));
        check(&[b'2'; 5000], Err(ReplyError::LineTooLong));
        check("250-x\r\n".repeat(101).as_bytes(), Err(ReplyError::TooManyLines));
    }

    #[test]
    fn bytes_after_the_starttls_reply_are_seen() {
        let mut reader = ReplyReader::new();
        reader.push(b"220 go\r\n250 injected\r\n");
        assert!(reader.next_reply().unwrap().is_some());
        assert!(!reader.is_empty());
    }
}
