//! What is looked at before canonicalisation: the bytes as received.
//!
//! Whatever the signature would not cover is refused here, so that one changed byte is one refusal:
//! DTD, entities, comments, processing instructions, CDATA, lone CR, line ends and tabs inside
//! tags, references in another form than the one we read. Two of these also keep bergshamra-c14n
//! 0.11 from its known faults (line ends in CDATA and attributes, white space in attribute values).
//! CRLF becomes LF as XML 1.0 2.11 says.

use crate::TrustError;
use crate::limits::{LIST_BYTES_MAX, SIGNATURE_BYTES_MAX, XML_ATTRIBUTES_MAX, XML_DEPTH_MAX};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The document without its `Signature`, as the enveloped-signature transform leaves it, and the
/// `Signature`.
pub(super) struct Surface {
    pub payload: String,
    pub signature: Option<String>,
}

const DECLARATIONS: &[&str] = &[
    r#"<?xml version="1.0" encoding="UTF-8"?>"#,
    r#"<?xml version="1.0" encoding="utf-8"?>"#,
    r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#,
    r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>"#,
    r#"<?xml version="1.0"?>"#,
];

struct Walk<'a> {
    text: &'a str,
    depth: usize,
    roots: usize,
    signature_start: Option<usize>,
    signature: Option<(usize, usize)>,
}

/// Reads the surface of a list.
///
/// # Errors
/// [`TrustError::TooLarge`] and [`TrustError::Xml`].
pub(super) fn read(bytes: &[u8]) -> Result<Surface, TrustError> {
    if bytes.len() > LIST_BYTES_MAX {
        return Err(TrustError::TooLarge { what: "the liste blanche", limit: LIST_BYTES_MAX });
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| xml(e.valid_up_to(), "it is not UTF-8"))?
        .trim_start_matches('\u{feff}');
    let unified;
    let text = if text.contains('\r') {
        unified = text.replace("\r\n", "\n");
        unified.as_str()
    } else {
        text
    };
    if let Some(at) = text.bytes().position(|b| b < 0x20 && b != b'\n' && b != b'\t') {
        return Err(xml(at, "a lone CR or a control character"));
    }
    if let Some(at) = text.find(['\u{fffe}', '\u{ffff}']) {
        return Err(xml(at, "a character that XML does not allow"));
    }
    let walk = walk(text)?;
    let (payload, signature) = match walk.signature {
        Some((start, end)) if end - start > SIGNATURE_BYTES_MAX => {
            return Err(TrustError::TooLarge {
                what: "the signature of the list",
                limit: SIGNATURE_BYTES_MAX,
            });
        }
        Some((start, end)) => {
            ([&text[..start], &text[end..]].concat(), Some(text[start..end].to_owned()))
        }
        None => (text.to_owned(), None),
    };
    Ok(Surface { payload, signature })
}

pub(super) fn xml(at: usize, reason: impl Into<String>) -> TrustError {
    TrustError::Xml { at: at as u64, reason: reason.into() }
}

fn walk(text: &str) -> Result<Walk<'_>, TrustError> {
    let mut reader = Reader::from_str(text);
    let mut walk = Walk { text, depth: 0, roots: 0, signature_start: None, signature: None };
    loop {
        let start = reader.buffer_position() as usize;
        let event = reader
            .read_event()
            .map_err(|e| xml(reader.error_position() as usize, e.to_string()))?;
        let end = reader.buffer_position() as usize;
        match event {
            Event::Decl(_) if start == 0 && DECLARATIONS.contains(&&text[..end]) => {}
            Event::Decl(_) => return Err(xml(start, "the XML declaration is not one we accept")),
            Event::DocType(_) => return Err(xml(start, "a DTD is refused")),
            Event::PI(_) => return Err(xml(start, "a processing instruction is refused")),
            Event::Comment(_) => return Err(xml(start, "a comment is refused: nobody signed it")),
            Event::CData(_) => return Err(xml(start, "a CDATA section is refused")),
            Event::Start(e) => {
                walk.open(&e, start, end)?;
                walk.depth += 1;
                if walk.depth > XML_DEPTH_MAX {
                    return Err(xml(start, "elements are nested too deep"));
                }
            }
            Event::Empty(e) => {
                walk.open(&e, start, end)?;
                walk.close(end);
            }
            Event::End(_) => {
                if text[start..end].contains(char::is_whitespace) {
                    return Err(xml(start, "white space in a closing tag"));
                }
                walk.depth = walk.depth.saturating_sub(1);
                walk.close(end);
            }
            Event::Text(_) => walk.text(start, end)?,
            Event::GeneralRef(e) => {
                reference(&e, start)?;
                if walk.depth == 0 || (walk.depth == 1 && walk.signature.is_some()) {
                    return Err(xml(start, "a reference where only line ends may stand"));
                }
            }
            Event::Eof => break,
        }
    }
    if walk.depth != 0 || walk.roots != 1 {
        return Err(xml(text.len(), "there is not exactly one complete root element"));
    }
    Ok(walk)
}

impl Walk<'_> {
    fn open(&mut self, e: &BytesStart<'_>, start: usize, end: usize) -> Result<(), TrustError> {
        if self.text[start..end].contains(['\n', '\t']) {
            return Err(xml(start, "a line end or a tab inside a tag"));
        }
        // Counted while read: the check for duplicates is quadratic.
        for (count, attribute) in e.attributes().enumerate() {
            let attribute = attribute.map_err(|e| xml(start, e.to_string()))?;
            if count == XML_ATTRIBUTES_MAX {
                return Err(xml(start, "a tag has too many attributes"));
            }
            if attribute.value.contains(['<', '&']) {
                return Err(xml(start, "a reference or < in an attribute value"));
            }
        }
        if self.depth == 0 {
            self.roots += 1;
            if self.roots > 1 {
                return Err(xml(start, "a second root element"));
            }
        }
        if self.signature.is_some() {
            return Err(xml(start, "an element after the signature, which must be the last one"));
        }
        if e.local_name().as_ref() == "Signature" {
            if self.depth != 1 || self.signature_start.is_some() {
                return Err(xml(start, "a Signature that is not the one last child of the root"));
            }
            self.signature_start = Some(start);
        }
        Ok(())
    }

    fn close(&mut self, end: usize) {
        if self.depth == 1
            && let Some(start) = self.signature_start
            && self.signature.is_none()
        {
            self.signature = Some((start, end));
        }
    }

    fn text(&self, start: usize, end: usize) -> Result<(), TrustError> {
        let text = &self.text[start..end];
        if text.contains("]]>") {
            return Err(xml(start, "]]> in a text"));
        }
        let outside = self.depth == 0;
        if (outside || self.signature.is_some()) && !matches!(text, "" | "\n") {
            return Err(xml(start, "text where at most one line end may stand"));
        }
        Ok(())
    }
}

/// The five predefined entities and character references in the one form C14N and signers write.
fn reference(name: &str, at: usize) -> Result<(), TrustError> {
    let canonical = |digits: &str, hex: bool| {
        !digits.starts_with('0')
            && (1..=6).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit() || hex && (b'A'..=b'F').contains(&b))
    };
    let fine = match name.strip_prefix('#') {
        None => matches!(name, "amp" | "lt" | "gt" | "quot" | "apos"),
        Some(digits) => match digits.strip_prefix('x') {
            Some(hex) => canonical(hex, true),
            None => canonical(digits, false),
        },
    };
    if fine { Ok(()) } else { Err(xml(at, "an entity or an unusual character reference")) }
}
