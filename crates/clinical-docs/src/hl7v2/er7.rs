//! ER7, the vertical-bar notation of HL7v2: segments, fields, repetitions, components, subcomponents.
//!
//! Fields stay as written until somebody asks for a component, so that a CDA of many megabytes in OBX-5 is never
//! copied for nothing.

use crate::error::{Bound, DocError, Hl7Fault};
use crate::facts::redacted;
use crate::limits::Limits;
use encoding_rs::ISO_8859_15;
use std::borrow::Cow;

/// The separators of MSH-1 and MSH-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Separators {
    /// `|`
    pub field: char,
    /// `^`
    pub component: char,
    /// `~`
    pub repetition: char,
    /// `\`
    pub escape: char,
    /// `&`
    pub subcomponent: char,
}

impl Default for Separators {
    fn default() -> Self {
        Separators { field: '|', component: '^', repetition: '~', escape: '\\', subcomponent: '&' }
    }
}

/// One segment: its name and its fields as written. Field 1 is the first after the name; in MSH it is the separator.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    name: String,
    fields: Vec<String>,
}
redacted!(Segment);

impl Segment {
    /// An empty segment.
    pub fn new(name: &str) -> Segment {
        Segment { name: name.to_owned(), fields: Vec::new() }
    }

    /// `MSH`, `PID`…
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A field as written, escapes kept; nothing when it is absent.
    pub fn raw(&self, field: usize) -> &str {
        field.checked_sub(1).and_then(|n| self.fields.get(n)).map_or("", String::as_str)
    }

    /// Sets a field to text that is already ER7.
    #[must_use]
    pub fn with(mut self, field: usize, raw: impl Into<String>) -> Segment {
        if let Some(index) = field.checked_sub(1) {
            if self.fields.len() <= index {
                self.fields.resize(index + 1, String::new());
            }
            self.fields[index] = raw.into();
        }
        self
    }

    /// Number of the last field that is there.
    pub fn fields(&self) -> usize {
        self.fields.len()
    }
}

/// A whole message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    separators: Separators,
    segments: Vec<Segment>,
}
redacted!(Message);

impl Message {
    /// A message of these segments, with the usual separators.
    pub fn new(segments: Vec<Segment>) -> Message {
        Message { separators: Separators::default(), segments }
    }

    /// Reads a message. Segments end with CR; LF and CRLF are taken too, as files and some senders write them.
    ///
    /// # Errors
    /// A limit of HL7v2 or an [`Hl7Fault`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Message, DocError> {
        if bytes.len() > limits.hl7_bytes_max {
            return Err(DocError::over(Bound::Hl7Bytes));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
        let text = decode(bytes)?;
        let separators = separators(&text)?;
        let mut segments = Vec::new();
        for line in text.split(['\r', '\n']) {
            if line.trim().is_empty() {
                continue;
            }
            if segments.len() >= limits.hl7_segments_max {
                return Err(DocError::over(Bound::Hl7Segments));
            }
            segments.push(segment(line, separators.field, limits)?);
        }
        Ok(Message { separators, segments })
    }

    /// The separators of its MSH.
    pub fn separators(&self) -> Separators {
        self.separators
    }

    /// All segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first segment of a name.
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.name == name)
    }

    /// Repetitions of a field, as written, within the limit.
    pub fn repetitions<'m>(
        &self,
        segment: &'m Segment,
        field: usize,
        limits: &Limits,
    ) -> impl Iterator<Item = &'m str> + use<'m> {
        let raw = segment.raw(field);
        // MSH-1 and MSH-2 are the separators themselves.
        let whole = segment.name == "MSH" && field <= 2;
        let separator = if whole { '\u{0}' } else { self.separators.repetition };
        raw.split(separator).take(limits.hl7_repetitions_max).filter(|text| !text.is_empty())
    }

    /// A component (and subcomponent) of one repetition, unescaped. Both count from 1; a component asked without
    /// subcomponents comes whole.
    pub fn component(&self, repetition: &str, component: usize, sub: Option<usize>) -> String {
        let part = component
            .checked_sub(1)
            .and_then(|n| repetition.split(self.separators.component).nth(n))
            .unwrap_or_default();
        let part = match sub {
            Some(sub) => sub
                .checked_sub(1)
                .and_then(|n| part.split(self.separators.subcomponent).nth(n))
                .unwrap_or_default(),
            None => part,
        };
        unescape_with(part, &self.separators)
    }

    /// A component of the first repetition of a field of the first segment of a name.
    pub fn first(&self, name: &str, field: usize, component: usize) -> String {
        self.segment(name).map(|segment| self.of(segment, field, component)).unwrap_or_default()
    }

    /// A component of the first repetition of a field.
    pub fn of(&self, segment: &Segment, field: usize, component: usize) -> String {
        let raw = segment.raw(field);
        if segment.name == "MSH" && field <= 2 {
            return raw.to_owned();
        }
        let first = raw.split(self.separators.repetition).next().unwrap_or_default();
        self.component(first, component, None)
    }

    /// The message as octets: UTF-8, each segment ended by CR (HL7 v2.6 2.5).
    pub fn encode(&self) -> Vec<u8> {
        let field = self.separators.field;
        let mut out = String::new();
        for segment in &self.segments {
            out.push_str(&segment.name);
            // MSH-1 is the separator that follows the name.
            let skipped = usize::from(segment.name == "MSH");
            for value in segment.fields.iter().skip(skipped) {
                out.push(field);
                out.push_str(value);
            }
            out.push('\r');
        }
        out.into_bytes()
    }
}

/// By MSH-18: UTF-8, or one of the Latin sets; files without it are UTF-8 when they can be.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, DocError> {
    let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    let header = String::from_utf8_lossy(&bytes[..end]);
    let field = header.chars().nth(3).unwrap_or('|');
    let name = header.split(field).nth(17).unwrap_or_default();
    let name = name.split('~').next().unwrap_or_default().trim().to_ascii_uppercase();
    let utf8 = || std::str::from_utf8(bytes).map(Cow::Borrowed);
    let latin = || Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect());
    match name.as_str() {
        "" => Ok(utf8().unwrap_or_else(|_| latin())),
        "8859/1" | "ISO IR100" => Ok(latin()),
        "8859/15" => Ok(ISO_8859_15.decode_without_bom_handling(bytes).0),
        "UNICODE UTF-8" | "ASCII" | "UNICODE" => {
            utf8().map_err(|_| DocError::hl7(Hl7Fault::Charset))
        }
        _ => Err(DocError::hl7(Hl7Fault::Charset)),
    }
}

fn separators(text: &str) -> Result<Separators, DocError> {
    let header = || DocError::hl7(Hl7Fault::Header);
    let mut chars = text.strip_prefix("MSH").ok_or_else(header)?.chars();
    let mut next = || chars.next().filter(|c| c.is_ascii_punctuation()).ok_or_else(header);
    let found = Separators {
        field: next()?,
        component: next()?,
        repetition: next()?,
        escape: next()?,
        subcomponent: next()?,
    };
    let all = [found.field, found.component, found.repetition, found.escape, found.subcomponent];
    let distinct = (1..all.len()).all(|n| !all[..n].contains(&all[n]));
    if distinct { Ok(found) } else { Err(header()) }
}

fn segment(line: &str, separator: char, limits: &Limits) -> Result<Segment, DocError> {
    let mut parts = line.split(separator);
    let name = parts.next().unwrap_or_default();
    if name.len() != 3 || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return Err(DocError::hl7(Hl7Fault::Segment));
    }
    let mut fields = Vec::new();
    if name == "MSH" {
        fields.push(separator.to_string());
    }
    for part in parts {
        if fields.len() >= limits.hl7_fields_max {
            return Err(DocError::over(Bound::Hl7Fields));
        }
        fields.push(part.to_owned());
    }
    Ok(Segment { name: name.to_owned(), fields })
}

/// Text for a field with the usual separators: what would separate is escaped, line ends become `\.br\`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '|' => out.push_str("\\F\\"),
            '^' => out.push_str("\\S\\"),
            '~' => out.push_str("\\R\\"),
            '\\' => out.push_str("\\E\\"),
            '&' => out.push_str("\\T\\"),
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\\.br\\");
            }
            '\n' => out.push_str("\\.br\\"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The text that [`escape`] gave, line ends as `\n`.
pub fn unescape(text: &str) -> String {
    unescape_with(text, &Separators::default())
}

fn unescape_with(text: &str, separators: &Separators) -> String {
    let mark = separators.escape;
    if !text.contains(mark) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        let Some((sequence, tail)) = after.split_once(mark) else {
            out.push(mark); // No sequence: as written.
            rest = after;
            continue;
        };
        match sequence {
            "F" => out.push(separators.field),
            "S" => out.push(separators.component),
            "R" => out.push(separators.repetition),
            "E" => out.push(mark),
            "T" => out.push(separators.subcomponent),
            ".br" => out.push('\n'),
            "H" | "N" => {}
            other => match hexadecimal(other) {
                Some(text) => out.push_str(&text),
                None => {
                    out.push(mark);
                    rest = after;
                    continue;
                }
            },
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// `Xdd…`: octets in UTF-8 (HL7 v2.6 2.7.1).
fn hexadecimal(sequence: &str) -> Option<String> {
    let digits = sequence.strip_prefix('X')?.as_bytes();
    if digits.is_empty() || digits.len() % 2 != 0 {
        return None;
    }
    let octets: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(octets?).ok().map(|text| text.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Message, DocError> {
        Message::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn parts_of_a_message() {
        let m = read("MSH|^~\\&|A|B||||||||||||||||FRA\rPID|||1^^^N&1.2&ISO^PI~2||X\\T\\Y^Z\n")
            .unwrap();
        assert_eq!(m.segments().len(), 2);
        let pid = m.segment("PID").unwrap();
        let ids: Vec<_> = m.repetitions(pid, 3, &Limits::default()).collect();
        assert_eq!(ids, ["1^^^N&1.2&ISO^PI", "2"]);
        assert_eq!(m.component(ids[0], 4, Some(2)), "1.2");
        assert_eq!(m.first("PID", 5, 1), "X&Y");
        assert_eq!(m.first("MSH", 3, 1), "A");
        assert_eq!(m.first("MSH", 2, 1), "^~\\&");
        assert_eq!(m.first("ZZZ", 3, 1), "");
        assert_eq!(pid.raw(0), "");
        assert_eq!(Message::parse(&m.encode(), &Limits::default()).unwrap(), m);
    }

    #[test]
    fn other_separators_and_sets() {
        let m = read("MSH#*~!$#A\rPID###1*2\r").unwrap();
        assert_eq!(m.first("PID", 3, 2), "2");
        let latin = b"MSH|^~\\&|A||||||||||||||FRA|8859/15\rPID|\xA4\xE9\r";
        assert_eq!(Message::parse(latin, &Limits::default()).unwrap().first("PID", 1, 1), "€é");
        let none = b"MSH|^~\\&|\xE9\r";
        assert_eq!(Message::parse(none, &Limits::default()).unwrap().first("MSH", 3, 1), "é");
    }

    #[test]
    fn refused() {
        let hl7 = DocError::hl7;
        assert_eq!(read(""), Err(hl7(Hl7Fault::Header)));
        assert_eq!(read("MSH|^^\\&|"), Err(hl7(Hl7Fault::Header)));
        assert_eq!(read("MSH|^~\\&|\rpid|"), Err(hl7(Hl7Fault::Segment)));
        assert_eq!(
            Message::parse(b"MSH|^~\\&|||||||||||||||\xE9|UNICODE UTF-8\r", &Limits::default()),
            Err(hl7(Hl7Fault::Charset))
        );
        let long = format!("MSH|^~\\&|{}", "\rPID|".repeat(3_000));
        assert_eq!(read(&long), Err(DocError::over(Bound::Hl7Segments)));
        let wide = format!("MSH|^~\\&|{}", "|".repeat(400));
        assert_eq!(read(&wide), Err(DocError::over(Bound::Hl7Fields)));
    }

    #[test]
    fn escapes() {
        assert_eq!(escape("a|b^c~d\\e&f\r\ng"), "a\\F\\b\\S\\c\\R\\d\\E\\e\\T\\f\\.br\\g");
        assert_eq!(unescape("\\XC3A9\\ \\Z\\ \\"), "é \\Z\\ \\");
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back(text in "[ -~é\\n]{0,40}") {
            prop_assert_eq!(unescape(&escape(&text)), text);
        }

        #[test]
        fn octets_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut message = b"MSH|^~\\&|".to_vec();
            message.extend(bytes);
            if let Ok(m) = Message::parse(&message, &Limits::default()) {
                let again = Message::parse(&m.encode(), &Limits::default());
                prop_assert!(again.is_ok() || !m.first("MSH", 18, 1).is_empty());
            }
        }
    }
}
