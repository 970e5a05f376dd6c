//! Header fields as octets: iteration, selection for IMAP, decoded values for SEARCH.

use crate::fold::{contains_folded, fold_for_search};
use crate::raw::Raw;
use mail_parser::{HeaderForm, HeaderValue};
use memchr::memchr;
use palombe_vocabulary::Timestamp;

/// One field, or one line that is not a field (then `name` is empty).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'h> {
    /// Name as written, without the white space that the obsolete syntax allows before the colon.
    pub name: &'h [u8],
    /// Everything after the colon, folding and final line break included.
    pub value: &'h [u8],
    /// The whole field, name and final line break included.
    pub raw: &'h [u8],
}

impl Field<'_> {
    /// True for this name, without case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a raw header, in order, up to its blank line.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { rest: header }
}

/// Iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'h> {
    rest: &'h [u8],
}

impl<'h> Iterator for Fields<'h> {
    type Item = Field<'h>;

    fn next(&mut self) -> Option<Field<'h>> {
        if self.rest.is_empty() || self.rest.starts_with(b"\r\n") || self.rest[0] == b'\n' {
            return None;
        }
        let mut end = line_end(self.rest, 0);
        // RFC 5322 2.2.3: a line that starts with white space continues the field.
        while matches!(self.rest.get(end), Some(b' ' | b'\t')) {
            end = line_end(self.rest, end);
        }
        let (raw, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(split_field(raw))
    }
}

fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1)
}

fn split_field(raw: &[u8]) -> Field<'_> {
    let malformed = Field { name: b"", value: raw, raw };
    let Some(colon) = memchr(b':', raw) else { return malformed };
    // RFC 5322 4.5: obsolete fields may have white space before the colon.
    let name = raw[..colon].trim_ascii_end();
    // RFC 5322 3.6.8: printable ASCII without colon. UTF-8 names do not exist.
    if name.is_empty() || !name.iter().all(|octet| (33..=126).contains(octet)) {
        return malformed;
    }
    Field { name, value: &raw[colon + 1..], raw }
}

/// Which fields [`select`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// `HEADER.FIELDS`
    Only,
    /// `HEADER.FIELDS.NOT`
    Except,
}

/// The part of a raw header that IMAP `HEADER.FIELDS` or `HEADER.FIELDS.NOT` shows, always with a blank line at the end
/// (RFC 9051 6.4.5.1).
pub fn select<N: AsRef<[u8]>>(header: &[u8], names: &[N], select: Select) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(header) {
        let named = names.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_ref()));
        if named == (select == Select::Only) {
            out.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The first field of that name.
pub fn first<'h>(header: &'h [u8], name: &str) -> Option<Field<'h>> {
    fields(header).find(|field| field.is(name))
}

/// A value on one line: line breaks removed, the folding white space kept, both ends trimmed (RFC 5322 2.2.3). CR, LF
/// and NUL never remain, so that the result fits an IMAP quoted string or literal.
pub fn unfold(value: &[u8]) -> Raw {
    let trimmed = value.trim_ascii();
    Raw(trimmed.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)).collect())
}

/// A value as text: unfolded, encoded words decoded (RFC 2047), octets that are not UTF-8 shown as they can be.
pub fn decode_value(value: &[u8]) -> String {
    match HeaderForm::Text.parse(value).value() {
        HeaderValue::Text(text) => text.to_owned(),
        _ => unfold(value).to_text().into_owned(),
    }
}

/// A date as an instant (RFC 5322 3.3, obsolete zones included).
pub fn decode_date(value: &[u8]) -> Option<Timestamp> {
    match HeaderForm::Date.parse(value).value() {
        HeaderValue::DateTime(date) if date.is_valid() => {
            Some(Timestamp(date.to_timestamp().checked_mul(1000)?))
        }
        _ => None,
    }
}

/// The day that a Date field writes, whatever its zone: year, month, day (RFC 9051 6.4.4 SENTON).
pub fn decode_day(value: &[u8]) -> Option<(u16, u8, u8)> {
    match HeaderForm::Date.parse(value).value() {
        HeaderValue::DateTime(date) if date.is_valid() => Some((date.year, date.month, date.day)),
        _ => None,
    }
}

/// SEARCH HEADER: true when a field of that name holds `needle`, decoded and folded. An empty needle asks only
/// whether the field is there (RFC 9051 6.4.4).
pub fn search(header: &[u8], name: &str, needle: &str) -> bool {
    let needle = fold_for_search(needle);
    fields(header)
        .filter(|field| field.is(name))
        .any(|field| needle.is_empty() || contains_folded(&decode_value(field.value), &needle))
}

/// SEARCH TEXT over a header: true when any field, name included, holds `needle`.
pub fn search_any(header: &[u8], needle: &str) -> bool {
    let needle = fold_for_search(needle);
    fields(header).any(|field| contains_folded(&search_line(&field), &needle))
}

/// A field as SEARCH TEXT sees it, decoded, not folded yet: name, colon, value.
pub fn search_line(field: &Field<'_>) -> String {
    format!("{}: {}", String::from_utf8_lossy(field.name), decode_value(field.value))
}
