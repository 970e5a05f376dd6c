//! The schema of the list, read as a stream from the canonical bytes that were digested, and from
//! nothing else.

use super::LIST_NS;
use crate::TrustError;
use crate::limits::{LIST_ENTRIES_MAX, LIST_FIELD_BYTES_MAX};
use palombe_vocabulary::Timestamp;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

pub(super) struct Row {
    pub domain: String,
    pub description: String,
    pub dn: String,
    pub contact: String,
    pub support: String,
    pub updated_at: Timestamp,
}

pub(super) struct Parsed {
    pub generated_at: Timestamp,
    pub rows: Vec<Row>,
}

/// Reads the canonical payload: exactly the elements of spec mssante §1.1, in their order, and no
/// attribute.
pub(super) fn parse(canonical: &[u8]) -> Result<Parsed, TrustError> {
    let text = std::str::from_utf8(canonical).map_err(|_| schema("it is not UTF-8"))?;
    let mut stream = Stream { reader: NsReader::from_str(text) };
    stream.expect("ListeBlancheMSSante")?;
    let generated_at = stream.instant("DateDeGeneration")?;
    stream.expect("ListeDomaines")?;
    let mut rows = Vec::new();
    while stream.open_or_end("Domaine")? {
        if rows.len() == LIST_ENTRIES_MAX {
            return Err(TrustError::TooLarge {
                what: "the number of entries",
                limit: LIST_ENTRIES_MAX,
            });
        }
        rows.push(Row {
            domain: stream.field("Nom")?,
            description: stream.field("Description")?,
            dn: stream.field("DNCertificatOperateur")?,
            contact: stream.field("ResponsableContact")?,
            support: stream.field("SupportContact")?,
            updated_at: stream.instant("DateMAJ")?,
        });
        stream.end()?;
    }
    // The End of ListeDomaines was taken by the loop; then the root ends, and the text with it.
    stream.end()?;
    stream.nothing_more()?;
    if rows.is_empty() {
        return Err(schema("it lists no domain"));
    }
    Ok(Parsed { generated_at, rows })
}

fn schema(reason: impl Into<String>) -> TrustError {
    TrustError::Schema(reason.into())
}

struct Stream<'a> {
    reader: NsReader<&'a [u8]>,
}

impl<'a> Stream<'a> {
    fn next(&mut self) -> Result<(bool, Event<'a>), TrustError> {
        let (namespace, event) =
            self.reader.read_resolved_event().map_err(|e| schema(e.to_string()))?;
        let ours = namespace == ResolveResult::Bound(Namespace(LIST_NS));
        Ok((ours, event))
    }

    /// The next event that is not white space between elements.
    fn next_element(&mut self) -> Result<(bool, Event<'a>), TrustError> {
        loop {
            match self.next()? {
                (_, Event::Text(text)) if text.trim().is_empty() => {}
                other => return Ok(other),
            }
        }
    }

    fn expect(&mut self, name: &str) -> Result<(), TrustError> {
        match self.next_element()? {
            (true, Event::Start(e)) if is(&e, name) => Ok(()),
            _ => Err(schema(format!("{name} was expected"))),
        }
    }

    fn open_or_end(&mut self, name: &str) -> Result<bool, TrustError> {
        match self.next_element()? {
            (true, Event::Start(e)) if is(&e, name) => Ok(true),
            (_, Event::End(_)) => Ok(false),
            _ => Err(schema(format!("{name} or the end of its list was expected"))),
        }
    }

    fn end(&mut self) -> Result<(), TrustError> {
        match self.next_element()? {
            (_, Event::End(_)) => Ok(()),
            _ => Err(schema("an unexpected element or text")),
        }
    }

    fn nothing_more(&mut self) -> Result<(), TrustError> {
        match self.next_element()? {
            (_, Event::Eof) => Ok(()),
            _ => Err(schema("something follows the root")),
        }
    }

    fn field(&mut self, name: &str) -> Result<String, TrustError> {
        self.expect(name)?;
        let mut value = String::new();
        loop {
            match self.next()?.1 {
                Event::Text(text) => value.push_str(&text),
                Event::GeneralRef(reference) => value.push(resolve(&reference)?),
                Event::End(_) => return Ok(value),
                _ => return Err(schema(format!("{name} holds something else than text"))),
            }
            if value.len() > LIST_FIELD_BYTES_MAX {
                return Err(schema(format!("{name} is longer than {LIST_FIELD_BYTES_MAX} octets")));
            }
        }
    }

    fn instant(&mut self, name: &str) -> Result<Timestamp, TrustError> {
        let text = self.field(name)?;
        // One form only, UTC, so that one instant has one text: YYYY-MM-DDThh:mm:ssZ.
        if text.len() != 20 || !text.ends_with('Z') {
            return Err(schema(format!("{name} is not of the form YYYY-MM-DDThh:mm:ssZ")));
        }
        text.parse().map_err(|_| schema(format!("{name} is not an instant")))
    }
}

fn is(e: &BytesStart<'_>, name: &str) -> bool {
    let only_namespaces = e.attributes().all(|a| a.is_ok_and(|a| a.key.as_ref() == "xmlns"));
    e.local_name().as_ref() == name && only_namespaces
}

/// One reference of canonical text.
pub(super) fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<char, TrustError> {
    if let Some(c) = reference.resolve_char_ref().map_err(|e| schema(e.to_string()))? {
        return Ok(c);
    }
    match &**reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(schema("an entity")),
    }
}
