//! Where a command line ends. CRLF, and nothing else.

use super::Fault;
use crate::limits::SKIPPED_LINE_BYTES_MAX;

/// What stands at the beginning of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line without its CRLF, and the octets that it took with it.
    Whole(&'a [u8], usize),
    /// No end yet, and room for more.
    Partial,
    /// Too long already: this many octets may be thrown away, the end is still to come.
    Skip(usize),
    /// Too long, and its end is here: this many octets.
    SkippedEnd(usize),
    /// A bare LF, or no end within all bounds.
    Broken(Fault),
}

/// Reads a line; `skipped` octets of it were thrown away before.
pub(super) fn read(input: &[u8], limit: usize, skipped: usize) -> Line<'_> {
    let Some(lf) = memchr::memchr(b'\n', input) else {
        // A CR at the very end may be the first half of CRLF: it stays.
        let known = if input.ends_with(b"\r") { input.len() - 1 } else { input.len() };
        return match () {
            () if skipped + input.len() > SKIPPED_LINE_BYTES_MAX => {
                Line::Broken(Fault::LineTooLong)
            }
            () if skipped == 0 && input.len() <= limit => Line::Partial,
            () if known == 0 => Line::Partial,
            () => Line::Skip(known),
        };
    };
    let octets = lf + 1;
    if skipped + octets > SKIPPED_LINE_BYTES_MAX {
        return Line::Broken(Fault::LineTooLong);
    }
    let Some(line) = input[..lf].strip_suffix(b"\r") else {
        return Line::Broken(Fault::BareLfLine); // RFC 5321 2.3.8
    };
    if skipped + octets > limit {
        return Line::SkippedEnd(octets);
    }
    Line::Whole(line, octets)
}

/// The line as text, if it holds nothing but printable characters.
pub(super) fn text(line: &[u8]) -> Result<&str, Fault> {
    if line.iter().any(|b| *b < b' ' || *b == 0x7f) {
        return Err(Fault::BadLine);
    }
    std::str::from_utf8(line).map_err(|_| Fault::BadLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], skipped: usize, expected: Line<'_>) {
        assert_eq!(read(input, 10, skipped), expected, "{input:?}");
    }

    #[test]
    fn ends() {
        check(b"", 0, Line::Partial);
        check(b"NOOP\r", 0, Line::Partial);
        check(b"NOOP\r\nQUIT", 0, Line::Whole(b"NOOP", 6));
        check(b"NO\rP\r\n", 0, Line::Whole(b"NO\rP", 6));
        check(b"NOOP\nQUIT\r\n", 0, Line::Broken(Fault::BareLfLine));
        check(b"\n", 0, Line::Broken(Fault::BareLfLine));
        check(b"12345678\r\n", 0, Line::Whole(b"12345678", 10));
        check(b"123456789\r\n", 0, Line::SkippedEnd(11));
        check(b"1234567890a", 0, Line::Skip(11));
        check(b"1234567890\r", 0, Line::Skip(10));
        check(b"\r", 10, Line::Partial);
        check(b"\r\n", 10, Line::SkippedEnd(2));
        check(b"x\n", 10, Line::Broken(Fault::BareLfLine));
        check(b"x", SKIPPED_LINE_BYTES_MAX, Line::Broken(Fault::LineTooLong));
    }

    #[test]
    fn texts() {
        assert_eq!(text("é".as_bytes()), Ok("é"));
        for bad in [&b"a\0"[..], b"a\rb", b"a\tb", b"\x7f", b"\xff"] {
            assert_eq!(text(bad), Err(Fault::BadLine));
        }
    }
}
