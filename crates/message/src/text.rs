//! Text for SEARCH: decoded, without markup, compared without case.

use crate::structure::{Encoding, Part};
use mail_parser::Charset;
use std::borrow::Cow;

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
        return mail_parser::html_to_text(&text);
    }
    text.into_owned()
}

/// The form in which texts are compared: lower case in Unicode's sense.
pub fn fold_for_search(text: &str) -> String {
    text.to_lowercase()
}

/// True when `text` holds a needle that [`fold_for_search`] made.
pub fn contains_folded(text: &str, folded_needle: &str) -> bool {
    folded_needle.is_empty() || fold_for_search(text).contains(folded_needle)
}
