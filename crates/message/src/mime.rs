//! Content-* fields, read leniently and kept raw.

use crate::header::{self, Field};
use crate::limits::PARAMS_MAX;
use crate::raw::Raw;
use crate::structure::{ContentType, Disposition, Encoding, Param, Part};

/// Fills a part from its header. The first field of each name wins.
pub(crate) fn read_fields(raw_header: &[u8], part: &mut Part) {
    let mut content_type = None;
    let mut encoding = None;
    for field in header::fields(raw_header) {
        let Some(name) = content_name(&field) else { continue };
        let value = field.value;
        match name.as_slice() {
            b"type" if content_type.is_none() => content_type = Some(parse_content_type(value)),
            b"transfer-encoding" if encoding.is_none() => encoding = Some(parse_encoding(value)),
            b"disposition" if part.disposition.is_none() => {
                part.disposition = parse_disposition(value);
            }
            b"id" if part.id.is_none() => part.id = text(value),
            b"description" if part.description.is_none() => part.description = text(value),
            b"md5" if part.md5.is_none() => part.md5 = text(value),
            b"location" if part.location.is_none() => part.location = text(value),
            b"language" if part.language.is_empty() => part.language = parse_language(value),
            _ => {}
        }
    }
    // RFC 2045 5.2: what cannot be read is text/plain; what is absent keeps the default given by the container.
    if let Some(parsed) = content_type {
        part.content_type = parsed.unwrap_or_else(ContentType::text_plain);
    }
    part.encoding = encoding.unwrap_or_default();
}

/// The lower-case rest of a `Content-…` name.
fn content_name(field: &Field<'_>) -> Option<Vec<u8>> {
    let (prefix, rest) = field.name.split_at_checked(8)?;
    (prefix.eq_ignore_ascii_case(b"content-") && rest.len() <= 20)
        .then(|| rest.to_ascii_lowercase())
}

fn text(value: &[u8]) -> Option<Raw> {
    let unfolded = header::unfold(value);
    (!unfolded.is_empty()).then_some(unfolded)
}

fn parse_language(value: &[u8]) -> Vec<Raw> {
    let mut lexer = Lexer { bytes: value, at: 0 };
    let mut tags = Vec::new();
    while lexer.at < value.len() && tags.len() < PARAMS_MAX {
        let tag = lexer.until(b",");
        lexer.at += 1;
        if !tag.is_empty() {
            tags.push(tag);
        }
    }
    tags
}

fn parse_encoding(value: &[u8]) -> Encoding {
    let word = Lexer { bytes: value, at: 0 }.until(b";");
    match word.to_ascii_lowercase().as_slice() {
        b"" | b"7bit" => Encoding::SevenBit,
        b"8bit" => Encoding::EightBit,
        b"binary" => Encoding::Binary,
        b"quoted-printable" => Encoding::QuotedPrintable,
        b"base64" => Encoding::Base64,
        _ => Encoding::Other(word),
    }
}

pub(crate) fn parse_content_type(value: &[u8]) -> Option<ContentType> {
    let mut lexer = Lexer { bytes: value, at: 0 };
    let main = lexer.token()?;
    lexer.skip_white();
    if lexer.peek() != Some(b'/') {
        return None;
    }
    lexer.at += 1;
    let sub = lexer.token()?;
    Some(ContentType { main, sub, params: lexer.params() })
}

fn parse_disposition(value: &[u8]) -> Option<Disposition> {
    let mut lexer = Lexer { bytes: value, at: 0 };
    let kind = lexer.token()?;
    Some(Disposition { kind, params: lexer.params() })
}

struct Lexer<'v> {
    bytes: &'v [u8],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// White space, line breaks and comments (RFC 5322 3.2.2).
    fn skip_white(&mut self) {
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | 0 => self.at += 1,
                b'(' => self.at = comment_end(self.bytes, self.at),
                _ => return,
            }
        }
    }

    /// RFC 2045 5.1 token.
    fn token(&mut self) -> Option<Raw> {
        self.skip_white();
        let start = self.at;
        while self.peek().is_some_and(is_token) {
            self.at += 1;
        }
        (self.at > start).then(|| self.bytes[start..self.at].into())
    }

    /// Everything up to one of `stops`, comments left out, ends trimmed: what an unquoted value means in practice, even
    /// with spaces in a file name.
    fn until(&mut self, stops: &[u8]) -> Raw {
        let mut out = Vec::new();
        while let Some(octet) = self.peek() {
            match octet {
                b'(' => {
                    self.at = comment_end(self.bytes, self.at);
                    continue;
                }
                _ if stops.contains(&octet) => break,
                b'\r' | b'\n' | 0 => {}
                _ => out.push(octet),
            }
            self.at += 1;
        }
        out.trim_ascii().into()
    }

    /// `*(";" attribute "=" value)`; a missing semicolon and empty parameters are forgiven.
    fn params(&mut self) -> Vec<Param> {
        let mut params = Vec::new();
        while self.at < self.bytes.len() && params.len() < PARAMS_MAX {
            self.skip_white();
            if self.peek() == Some(b';') {
                self.at += 1;
                continue;
            }
            let Some(name) = self.param_name() else { continue };
            let value = self.param_value();
            params.push(Param { name, value });
        }
        params
    }

    /// The attribute and its `=`, or `None` after skipping what is not a parameter.
    fn param_name(&mut self) -> Option<Raw> {
        let name = self.token();
        self.skip_white();
        if name.is_some() && self.peek() == Some(b'=') {
            self.at += 1;
            return name;
        }
        // A word without value: skip it alone, the next word may be a parameter (missing semicolon).
        if name.is_none() {
            self.at += 1;
        }
        None
    }

    fn param_value(&mut self) -> Raw {
        self.skip_white();
        if self.peek() != Some(b'"') {
            return self.until(b";");
        }
        self.at += 1;
        let mut out = Vec::new();
        while let Some(octet) = self.peek() {
            self.at += 1;
            match octet {
                b'"' => break,
                b'\\' => {
                    out.extend(self.peek().filter(|next| !matches!(next, b'\r' | b'\n' | 0)));
                    self.at += 1;
                }
                b'\r' | b'\n' | 0 => {}
                _ => out.push(octet),
            }
        }
        self.at = self.at.min(self.bytes.len());
        out.into()
    }
}

/// The octet after a comment that opens at `at`; comments nest, and an unclosed one runs to the end.
pub(crate) fn comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut at = at;
    while let Some(&octet) = bytes.get(at) {
        at += 1;
        match octet {
            b'(' => depth += 1,
            b')' if depth == 1 => return at,
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
    }
    bytes.len()
}

fn is_token(octet: u8) -> bool {
    (33..=126).contains(&octet) && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let shown = parse_content_type(value.as_bytes()).map(|parsed| {
            let params = parsed.params.iter().map(|p| format!("[{}={}]", p.name, p.value));
            format!("{}/{}{}", parsed.main, parsed.sub, params.collect::<String>())
        });
        assert_eq!(shown.as_deref(), expected, "{value}");
    }

    #[test]
    fn content_types() {
        check(" text/plain; charset=utf-8", Some("text/plain[charset=utf-8]"));
        check(" text/plain; charset=us-ascii (Plain text)", Some("text/plain[charset=us-ascii]"));
        check(" (c(d)) text / html ;;; a = \"b\\\"c;\" ; x", Some("text/html[a=b\"c;]"));
        check(" multipart/mixed boundary=\"x y\"", Some("multipart/mixed[boundary=x y]"));
        check(
            " application/pdf; name=Compte rendu.pdf; q=1",
            Some("application/pdf[name=Compte rendu.pdf][q=1]"),
        );
        check(
            " application/pdf;\r\n\tname*0*=utf-8''a%20;\r\n name*1=b",
            Some("application/pdf[name*0*=utf-8''a%20][name*1=b]"),
        );
        check(" text/plain; a=\"unterminated", Some("text/plain[a=unterminated]"));
        check(" text/plain; a=\"x\\", Some("text/plain[a=x]"));
        check(" text", None);
        check(" /plain", None);
        check("", None);
        check(" text/plain; =x; y=", Some("text/plain[y=]"));
    }
}
