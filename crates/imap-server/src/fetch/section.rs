//! Sections of a message (RFC 9051 6.4.5.1). What the client sees is the trace prefix followed by the stored body;
//! offsets of the structure count in the body, offsets here in what the client sees.

use super::read_range;
use crate::error::Failure;
use crate::limits::NESTED_HEADER_BYTES_MAX;
use palombe_imap_proto::{HeaderFields, Section, SectionText};
use palombe_message::header::{Select, select};
use palombe_message::{Section as Which, Structure};
use palombe_store::{BlobDigest, BodyView, Store};
use palombe_vocabulary::{BalId, FolderId, Uid};
use std::ops::Range;

/// Where the octets of a message are: first `prefix`, then the body.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) uid: Uid,
    pub(crate) prefix: Vec<u8>,
    pub(crate) digest: BlobDigest,
    pub(crate) blob_size: u64,
    email_id: [u8; 16],
}

impl From<BodyView<'_>> for Stored {
    fn from(body: BodyView<'_>) -> Self {
        Stored {
            uid: body.uid,
            prefix: body.prefix.to_vec(),
            digest: body.digest,
            blob_size: body.blob_size,
            email_id: body.email_id,
        }
    }
}

impl Stored {
    /// The message, if it is still there.
    pub(crate) fn find(
        store: &Store,
        bal: BalId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<Option<Stored>, Failure> {
        let mut found = None;
        store.bodies(bal, folder, &[uid], &mut |body| {
            found = Some(Stored::from(body));
            false
        })?;
        Ok(found)
    }

    /// The whole message.
    pub(crate) fn whole(&self) -> Range<u64> {
        0..self.prefix.len() as u64 + self.blob_size
    }

    /// RFC 8474 4.2, hexadecimal.
    pub(crate) fn email_id(&self) -> String {
        self.email_id.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// A stored message with its structure.
pub(crate) struct Source {
    pub(crate) stored: Stored,
    pub(crate) structure: Structure,
}

/// What stands in a section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// There is no such section.
    Absent,
    /// Octets of the message as the client sees it.
    Range(Range<u64>),
    /// Octets made of several places.
    Bytes(Vec<u8>),
}

impl Source {
    pub(crate) fn read(store: &Store, stored: Stored) -> Result<Self, Failure> {
        let encoded = store.structure(&stored.digest)?;
        Source::decode(stored, &encoded)
    }

    /// With its structure read already.
    pub(crate) fn decode(stored: Stored, encoded: &[u8]) -> Result<Self, Failure> {
        Ok(Source { stored, structure: Structure::decode(encoded)? })
    }

    fn prefix_len(&self) -> u64 {
        self.stored.prefix.len() as u64
    }

    /// A range of the body, as the client counts. The message's own header begins with the prefix.
    fn shifted(&self, range: Range<u64>) -> Range<u64> {
        let end = range.end.min(self.stored.blob_size) + self.prefix_len();
        if range.start == 0 { 0..end } else { (range.start + self.prefix_len()).min(end)..end }
    }

    /// The whole message.
    pub(crate) fn whole(&self) -> Range<u64> {
        self.stored.whole()
    }

    /// The message's header, prefix included.
    pub(crate) fn header(&self, store: &Store) -> Result<Vec<u8>, Failure> {
        let range = self.structure.root.header.clone();
        let mut header = self.stored.prefix.clone();
        if self.structure.header.len() as u64 == range.end - range.start {
            header.extend_from_slice(&self.structure.header);
        } else {
            let end = range.end.min(range.start + NESTED_HEADER_BYTES_MAX);
            header.extend(read_range(store, &self.stored.digest, range.start..end)?);
        }
        Ok(header)
    }

    pub(crate) fn content(&self, store: &Store, section: &Section) -> Result<Content, Failure> {
        let which = match &section.text {
            None => Which::Full,
            Some(SectionText::Header) => Which::Header,
            Some(SectionText::Text) => Which::Text,
            Some(SectionText::Mime) => Which::Mime,
            Some(SectionText::HeaderFields(fields)) => {
                return self.header_fields(store, &section.part, fields);
            }
        };
        match (section.part.as_slice(), which) {
            ([], Which::Full) => Ok(Content::Range(self.whole())),
            // From memory, unless it is too long to have been kept.
            ([], Which::Header)
                if self.structure.header.len() as u64 == self.structure.root.header.end =>
            {
                Ok(Content::Bytes(self.header(store)?))
            }
            (part, which) => {
                let range = self.structure.range(part, which);
                Ok(range.map_or(Content::Absent, |range| {
                    Content::Range(self.section_range(part, which, range))
                }))
            }
        }
    }

    fn section_range(&self, part: &[u32], which: Which, range: Range<u64>) -> Range<u64> {
        // Only a header can begin with the prefix: a body at offset 0 has none in front of it.
        let is_header = matches!(which, Which::Header | Which::Mime);
        if is_header || (part.is_empty() && which == Which::Full) || range.start > 0 {
            return self.shifted(range);
        }
        let by = self.prefix_len();
        range.start + by..range.end.min(self.stored.blob_size) + by
    }

    fn header_fields(
        &self,
        store: &Store,
        part: &[u32],
        fields: &HeaderFields,
    ) -> Result<Content, Failure> {
        let header = if part.is_empty() {
            self.header(store)?
        } else {
            let Some(range) = self.structure.range(part, Which::Header) else {
                return Ok(Content::Absent);
            };
            let end = range.end.min(range.start + NESTED_HEADER_BYTES_MAX);
            read_range(store, &self.stored.digest, range.start..end)?
        };
        let which = if fields.not { Select::Except } else { Select::Only };
        Ok(Content::Bytes(select(&header, &fields.names, which)))
    }
}
