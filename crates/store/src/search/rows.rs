//! Keys and values of the index.

use crate::BlobDigest;
use crate::engine::{EngineError, Reader, Space};
use crate::keys;
use crate::rows::{damaged, decode, encode};
use palombe_vocabulary::{BalId, FolderId, Uid};
use serde::{Deserialize, Serialize};

/// A message that no segment covers yet.
pub(crate) const PENDING: &[u8] = b"p";
/// Where the UID stands in its key.
pub(crate) const PENDING_UID_AT: usize = 1 + keys::MESSAGE_UID_AT;
/// The state of a BAL's index.
pub(crate) const STATES: &[u8] = b"i";
/// A content that is indexed: its document number.
pub(crate) const ENTRIES: &[u8] = b"e";
/// A document number: the body that it stands for.
pub(crate) const DOCUMENTS: &[u8] = b"d";
/// A body that lost a link in this BAL.
pub(crate) const LOOSE: &[u8] = b"x";
/// A segment being written.
pub(crate) const BUILDS: &[u8] = b"b";

const VERSION: u8 = 1;

/// RFC 8474 EMAILID of a content.
pub(crate) type EmailId = [u8; 16];

pub(crate) fn of_bal(kind: &[u8], bal: BalId) -> Vec<u8> {
    [kind, &bal.0.to_be_bytes()].concat()
}

pub(crate) fn pending(bal: BalId, folder: FolderId, uid: Uid) -> Vec<u8> {
    [PENDING, &keys::message(bal, folder, uid)].concat()
}

pub(crate) fn pending_of_folder(bal: BalId, folder: FolderId) -> Vec<u8> {
    [PENDING, &keys::messages(bal, folder)].concat()
}

pub(crate) fn pending_parts(key: &[u8]) -> Result<(BalId, FolderId, Uid), EngineError> {
    let parts = key.strip_prefix(PENDING).and_then(keys::message_parts);
    parts.ok_or_else(|| damaged("a pending key of the search index"))
}

pub(crate) fn pending_value(digest: &BlobDigest, email_id: &EmailId) -> Vec<u8> {
    [&[VERSION], &digest.0[..], email_id].concat()
}

pub(crate) fn content(value: &[u8]) -> Result<(BlobDigest, EmailId), EngineError> {
    let bad = || damaged("a pending row of the search index");
    if value.first() != Some(&VERSION) {
        return Err(bad());
    }
    let digest = keys::digest_at(value, 1).ok_or_else(bad)?;
    let email_id = value.get(33..49).and_then(|id| id.try_into().ok()).ok_or_else(bad)?;
    Ok((digest, email_id))
}

pub(crate) fn entries(bal: BalId, digest: &BlobDigest) -> Vec<u8> {
    [ENTRIES, &bal.0.to_be_bytes(), &digest.0].concat()
}

pub(crate) fn entry(bal: BalId, digest: &BlobDigest, email_id: &EmailId) -> Vec<u8> {
    [ENTRIES, &bal.0.to_be_bytes(), &digest.0, email_id].concat()
}

pub(crate) fn document(bal: BalId, number: u32) -> Vec<u8> {
    [DOCUMENTS, &bal.0.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// Number of a document's key.
pub(crate) fn document_number(key: &[u8]) -> Result<u32, EngineError> {
    keys::u32_at(key, 9).ok_or_else(|| damaged("a document key of the search index"))
}

pub(crate) fn document_value(digest: &BlobDigest) -> Vec<u8> {
    [&[VERSION], &digest.0[..]].concat()
}

pub(crate) fn document_digest(value: &[u8]) -> Result<BlobDigest, EngineError> {
    let digest = (value.first() == Some(&VERSION)).then(|| keys::digest_at(value, 1)).flatten();
    digest.ok_or_else(|| damaged("a document of the search index"))
}

pub(crate) fn loose(bal: BalId, digest: &BlobDigest) -> Vec<u8> {
    [LOOSE, &bal.0.to_be_bytes(), &digest.0].concat()
}

pub(crate) fn loose_parts(key: &[u8]) -> Result<(BalId, BlobDigest), EngineError> {
    let parts = keys::u64_at(key, 1).zip(keys::digest_at(key, 9));
    let (bal, digest) = parts.ok_or_else(|| damaged("a loose key of the search index"))?;
    Ok((BalId(bal), digest))
}

pub(crate) fn build(bal: BalId, segment: u32) -> Vec<u8> {
    [BUILDS, &bal.0.to_be_bytes(), &segment.to_be_bytes()].concat()
}

/// Every link of a body to messages of a BAL, or of one folder of it.
pub(crate) fn links(digest: &BlobDigest, bal: BalId, folder: Option<FolderId>) -> Vec<u8> {
    let mut key = [keys::LINKS, &digest.0, b"m", &bal.0.to_be_bytes()].concat();
    key.extend(folder.iter().flat_map(|f| f.0.to_be_bytes()));
    key
}

/// Blocks of a BAL.
pub(crate) fn postings(bal: BalId) -> Vec<u8> {
    bal.0.to_be_bytes().to_vec()
}

/// Blocks of a segment.
pub(crate) fn segment(bal: BalId, segment: u32) -> Vec<u8> {
    [&bal.0.to_be_bytes()[..], &segment.to_be_bytes()].concat()
}

pub(crate) fn block(bal: BalId, segment: u32, bucket: u32) -> Vec<u8> {
    [&bal.0.to_be_bytes()[..], &segment.to_be_bytes(), &bucket.to_be_bytes()].concat()
}

pub(crate) fn block_parts(key: &[u8]) -> Option<(BalId, u32, u32)> {
    Some((BalId(keys::u64_at(key, 0)?), keys::u32_at(key, 8)?, keys::u32_at(key, 12)?))
}

/// An immutable part of the index: documents `first..first + span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) id: u32,
    pub(crate) first: u32,
    pub(crate) span: u32,
    /// Documents when it was written, and how many of them have no message any more.
    pub(crate) documents: u32,
    pub(crate) dead: u32,
    /// Of its blocks.
    pub(crate) octets: u64,
    /// Upper bits of a hash that name its block.
    pub(crate) bits: u8,
}

impl Segment {
    pub(crate) fn end(&self) -> u32 {
        self.first.saturating_add(self.span)
    }

    pub(crate) fn alive(&self) -> u32 {
        self.documents.saturating_sub(self.dead)
    }
}

/// Where messages of an older store are already pending: keys up to this one.
pub(crate) type Cursor = (u32, u32);

/// What is indexed of a BAL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) next_document: u32,
    pub(crate) next_segment: u32,
    /// In document order.
    pub(crate) segments: Vec<Segment>,
    /// Messages after this one are neither pending nor indexed yet.
    pub(crate) plant: Option<Cursor>,
}

impl State {
    /// The state and its octets, for the condition of a change.
    pub(crate) fn read(
        reader: &dyn Reader,
        bal: BalId,
    ) -> Result<Option<(State, Vec<u8>)>, EngineError> {
        match reader.get(Space::Search, &of_bal(STATES, bal))? {
            Some(bytes) => Ok(Some((State::decode(&bytes)?, bytes))),
            None => Ok(None),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<State, EngineError> {
        decode(bytes, "the state of a search index")
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, EngineError> {
        encode(self)
    }

    /// The segment that holds a document.
    pub(crate) fn segment_of(&mut self, document: u32) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|s| (s.first..s.end()).contains(&document))
    }
}
