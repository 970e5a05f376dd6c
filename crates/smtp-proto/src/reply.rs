//! One SMTP reply, written and read (RFC 5321 4.2, RFC 2034).

use crate::limits::REPLY_LINE_BYTES_WRITTEN_MAX;
use std::borrow::Cow;
use std::fmt;

/// Enhanced status code `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedCode(pub u8, pub u16, pub u16);

impl EnhancedCode {
    /// Reads `5.7.1`; `None` for anything else.
    pub fn parse(text: &str) -> Option<EnhancedCode> {
        let mut numbers = text.split('.');
        let class = numbers.next()?;
        let (subject, detail) = (numbers.next()?, numbers.next()?);
        let digits = |t: &str, max: usize| {
            (1..=max).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit())
        };
        if numbers.next().is_some() || !matches!(class, "2" | "4" | "5") {
            return None;
        }
        if !digits(subject, 3) || !digits(detail, 3) {
            return None;
        }
        Some(EnhancedCode(class.parse().ok()?, subject.parse().ok()?, detail.parse().ok()?))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A reply: three digits, the enhanced code where there is one, and the text, its lines separated by `\n`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reply {
    /// 200 to 599
    pub code: u16,
    /// RFC 2034
    pub enhanced: Option<EnhancedCode>,
    /// Without codes. Several lines are separated by `\n`.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply with its enhanced code.
    pub const fn new(code: u16, enhanced: EnhancedCode, text: &'static str) -> Reply {
        Reply { code, enhanced: Some(enhanced), text: Cow::Borrowed(text) }
    }

    /// A reply without enhanced code: greeting, EHLO, 334 and 354 have none (RFC 2034 3, 4).
    pub const fn plain(code: u16, text: &'static str) -> Reply {
        Reply { code, enhanced: None, text: Cow::Borrowed(text) }
    }

    /// The same with a text made on the spot.
    pub fn with_text(code: u16, enhanced: EnhancedCode, text: String) -> Reply {
        Reply { code, enhanced: Some(enhanced), text: Cow::Owned(text) }
    }

    /// 2xx
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx: the server waits for more.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx: the same command may succeed later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the reply as it goes on the wire. What is not printable ASCII leaves as `?`, long lines are cut:
    /// nothing that the text holds can start a line of its own (RFC 5321 4.2.1, 4.5.3.1.5).
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut lines = self.text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let start = out.len();
            let code = self.code.clamp(200, 599);
            let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or(0);
            out.extend_from_slice(&[digit(code / 100), digit(code / 10), digit(code)]);
            out.push(if lines.peek().is_some() { b'-' } else { b' ' });
            if let Some(enhanced) = self.enhanced {
                write_enhanced(enhanced, out);
                out.push(b' ');
            }
            out.extend(line.chars().map(printable));
            out.truncate(start + REPLY_LINE_BYTES_WRITTEN_MAX - 2);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn write_enhanced(code: EnhancedCode, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{code}");
}

fn printable(c: char) -> u8 {
    match u8::try_from(c) {
        Ok(b) if (b' '..=b'~').contains(&b) => b,
        _ => b'?',
    }
}

impl fmt::Display for Reply {
    /// On one line: `550 5.7.1 text, its lines joined by a space`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.text.split('\n') {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &Reply, expected: &str) {
        let mut out = Vec::new();
        reply.write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn on_the_wire() {
        check(&Reply::plain(354, "Go ahead"), "354 Go ahead\r\n");
        check(&Reply::new(250, EnhancedCode(2, 1, 0), "OK"), "250 2.1.0 OK\r\n");
        check(&Reply::plain(250, "a\nb"), "250-a\r\n250 b\r\n");
        let hostile = Reply::with_text(550, EnhancedCode(5, 1, 1), "é\r250 OK\0".to_owned());
        check(&hostile, "550 5.1.1 ??250 OK?\r\n");
        let long = Reply::with_text(550, EnhancedCode(5, 1, 1), "x".repeat(2000));
        let mut out = Vec::new();
        long.write(&mut out);
        assert_eq!(out.len(), 512);
    }

    #[test]
    fn enhanced_codes() {
        assert_eq!(EnhancedCode::parse("5.7.1"), Some(EnhancedCode(5, 7, 1)));
        for bad in ["3.1.1", "5.7", "5.7.1.2", "5.7.", "5..1", "5.+7.1", "5.7.1000", "OK"] {
            assert_eq!(EnhancedCode::parse(bad), None, "{bad}");
        }
    }
}
