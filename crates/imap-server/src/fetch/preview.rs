//! PREVIEW (RFC 8970): the first words of a message, from a bounded piece of its first text part.

use super::{Source, read_range};
use crate::error::Failure;
use crate::limits::{PREVIEW_CHARS_MAX, PREVIEW_PART_BYTES_MAX};
use palombe_message::{Encoding, Part, TransferDecoder, decode_text};
use palombe_store::Store;

/// Empty when there is no text to show (RFC 8970 3.2). Bounded reading makes it quick enough for LAZY too.
pub(super) fn preview(store: &Store, source: &Source) -> Result<String, Failure> {
    let Some(part) = first_text(source) else { return Ok(String::new()) };
    let end = part.body.end.min(part.body.start + PREVIEW_PART_BYTES_MAX);
    let octets = read_range(store, &source.stored.digest, part.body.start..end)?;
    // A part cut in the middle of its encoding is decoded as far as it goes.
    let decoded = match TransferDecoder::new(&part.encoding) {
        Some(mut decoder) => {
            let mut decoded = Vec::new();
            decoder.push(&octets, &mut decoded);
            decoder.finish(&mut decoded);
            decoded
        }
        None if part.encoding.is_identity() => octets,
        None => return Ok(String::new()),
    };
    let part = Part { encoding: Encoding::EightBit, ..part.clone() };
    Ok(words(&decode_text(&part, &decoded)))
}

/// The first plain text that is not an attachment, or else the first HTML.
fn first_text(source: &Source) -> Option<&Part> {
    let shown = |part: &&Part| {
        part.is_text() && part.disposition.as_ref().is_none_or(|d| !d.kind.is("attachment"))
    };
    let mut texts = source.structure.walk().filter(shown);
    let first = texts.next()?;
    if first.content_type.sub.is("html") {
        return texts.find(|part| part.content_type.sub.is("plain")).or(Some(first));
    }
    Some(first)
}

/// White space and control characters become one space; cut at the limit (RFC 8970 3.3).
fn words(text: &str) -> String {
    let mut out = String::new();
    let mut room = PREVIEW_CHARS_MAX;
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control());
    while let Some(word) = words.next().filter(|_| room > 0) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
            room -= 1;
        }
        for c in word.chars().take(room) {
            out.push(c);
            room -= 1;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_short_and_on_one_line() {
        let check = |text: &str, expected: &str| assert_eq!(words(text), expected, "{text:?}");
        check("", "");
        check(" \r\n\t ", "");
        check(
            "Bonjour,\r\n\r\nla  glycémie\0 est normale.\r\n",
            "Bonjour, la glycémie est normale.",
        );
        check(&"é".repeat(300), &"é".repeat(200));
        check(&"ab ".repeat(100), "ab ".repeat(67).trim_end());
        assert_eq!(words(&"abc ".repeat(100)).chars().count(), 199);
    }
}
