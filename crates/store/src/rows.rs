//! Values: a version octet, then postcard; the few fields that counters fill stand at fixed places.

use crate::engine::EngineError;
use crate::keys::UploadId;
use crate::{
    Bal, BlobDigest, BodyView, DomainRow, Flags, Lease, MessageMeta, NewQueueItem, SpecialUse,
};
use palombe_vocabulary::{
    BalAddress, BalId, BalKind, BalStatus, Domain, FolderId, ModSeq, Publication, Timestamp, Uid,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u8 = 1;

/// Version octet and postcard.
pub(crate) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, EngineError> {
    postcard::to_extend(row, vec![VERSION])
        .map_err(|e| EngineError::Corrupt(format!("a row does not encode: {e}")))
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, EngineError> {
    match bytes {
        [VERSION, rest @ ..] => postcard::from_bytes(rest).map_err(|_| damaged(what)),
        _ => Err(damaged(what)),
    }
}

pub(crate) fn damaged(what: &str) -> EngineError {
    EngineError::Corrupt(format!("{what} does not decode"))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StoredDomain {
    pub(crate) name: Domain,
    pub(crate) status: BalStatus,
    pub(crate) created_at: Timestamp,
}

impl From<StoredDomain> for DomainRow {
    fn from(r: StoredDomain) -> Self {
        DomainRow { name: r.name, status: r.status, created_at: r.created_at }
    }
}

impl From<&DomainRow> for StoredDomain {
    fn from(r: &DomainRow) -> Self {
        StoredDomain { name: r.name.clone(), status: r.status, created_at: r.created_at }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StoredBal {
    id: BalId,
    address: BalAddress,
    kind: BalKind,
    label: String,
    publication: Publication,
    status: BalStatus,
    quota_bytes: u64,
    password_hash: Option<String>,
    created_at: Timestamp,
    last_auth_at: Option<Timestamp>,
}

impl From<StoredBal> for Bal {
    fn from(r: StoredBal) -> Self {
        Bal {
            id: r.id,
            address: r.address,
            kind: r.kind,
            label: r.label,
            publication: r.publication,
            status: r.status,
            quota_bytes: r.quota_bytes,
            password_hash: r.password_hash,
            created_at: r.created_at,
            last_auth_at: r.last_auth_at,
        }
    }
}

impl From<&Bal> for StoredBal {
    fn from(b: &Bal) -> Self {
        StoredBal {
            id: b.id,
            address: b.address.clone(),
            kind: b.kind,
            label: b.label.clone(),
            publication: b.publication,
            status: b.status,
            quota_bytes: b.quota_bytes,
            password_hash: b.password_hash.clone(),
            created_at: b.created_at,
            last_auth_at: b.last_auth_at,
        }
    }
}

/// A folder without its counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FolderRow {
    pub(crate) name: String,
    pub(crate) special_use: Option<SpecialUse>,
    pub(crate) subscribed: bool,
}

/// What a view shows of a message; the modification sequence stands before the postcard, for its slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaRow {
    #[serde(skip)]
    pub(crate) modseq: u64,
    pub(crate) flags: Flags,
    pub(crate) internal_date: Timestamp,
    pub(crate) saved_at: Timestamp,
    pub(crate) size: u64,
}

/// Where the modification sequence stands in a message row.
pub(crate) const META_MODSEQ_AT: usize = 1;

impl MetaRow {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EngineError> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.modseq.to_be_bytes());
        postcard::to_extend(self, out)
            .map_err(|e| EngineError::Corrupt(format!("a message row does not encode: {e}")))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<MetaRow, EngineError> {
        let bad = || damaged("a message row");
        if bytes.first() != Some(&VERSION) {
            return Err(bad());
        }
        let modseq = crate::keys::u64_at(bytes, META_MODSEQ_AT).ok_or_else(bad)?;
        let row: MetaRow = postcard::from_bytes(&bytes[9..]).map_err(|_| bad())?;
        Ok(MetaRow { modseq, ..row })
    }

    pub(crate) fn meta(self, uid: Uid) -> MessageMeta {
        MessageMeta {
            uid,
            modseq: ModSeq(self.modseq),
            flags: self.flags,
            internal_date: self.internal_date,
            size: self.size,
            saved_at: self.saved_at,
        }
    }
}

/// Where the octets of a message are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BodyRow {
    pub(crate) prefix: Vec<u8>,
    pub(crate) digest: BlobDigest,
    pub(crate) blob_size: u64,
    pub(crate) email_id: [u8; 16],
    /// What a list shows; it stands behind the postcard, so that rows without it read alike.
    #[serde(skip)]
    pub(crate) listing: Vec<u8>,
}

/// The same, read in place.
#[derive(Deserialize)]
struct BodyInPlace<'a> {
    #[serde(borrow)]
    prefix: &'a [u8],
    digest: BlobDigest,
    blob_size: u64,
    email_id: [u8; 16],
}

impl BodyRow {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, EngineError> {
        let mut out = encode(self)?;
        out.extend_from_slice(&self.listing);
        Ok(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<BodyRow, EngineError> {
        let view = body_view(Uid(0), bytes)?;
        Ok(BodyRow {
            prefix: view.prefix.to_vec(),
            digest: view.digest,
            blob_size: view.blob_size,
            email_id: view.email_id,
            listing: view.listing.to_vec(),
        })
    }
}

pub(crate) fn body_view(uid: Uid, bytes: &[u8]) -> Result<BodyView<'_>, EngineError> {
    let bad = || damaged("a body row");
    let [VERSION, rest @ ..] = bytes else { return Err(bad()) };
    let (body, listing) = postcard::take_from_bytes::<BodyInPlace<'_>>(rest).map_err(|_| bad())?;
    let BodyInPlace { prefix, digest, blob_size, email_id } = body;
    Ok(BodyView { uid, prefix, digest, blob_size, email_id, listing })
}

/// What happened to a message in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LogKind {
    /// New, or its flags changed.
    Changed = 1,
    /// Expunged or moved away.
    Vanished = 2,
}

/// A log row being written: version, then entries of folder, kind and UID, nine octets each.
#[derive(Clone, Debug)]
pub(crate) struct LogRow(pub(crate) Vec<u8>);

const LOG_ENTRY_BYTES: usize = 9;

impl LogRow {
    pub(crate) fn new() -> LogRow {
        LogRow(vec![VERSION])
    }

    /// Adds an entry and gives the place of its UID.
    pub(crate) fn push(&mut self, folder: FolderId, kind: LogKind, uid: Uid) -> usize {
        self.0.extend_from_slice(&folder.0.to_be_bytes());
        self.0.push(kind as u8);
        self.0.extend_from_slice(&uid.0.to_be_bytes());
        self.0.len() - 4
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }
}

pub(crate) fn log_entries(bytes: &[u8]) -> Result<Vec<(FolderId, LogKind, Uid)>, EngineError> {
    let bad = || damaged("a log row");
    let [VERSION, rest @ ..] = bytes else { return Err(bad()) };
    if rest.len() % LOG_ENTRY_BYTES != 0 {
        return Err(bad());
    }
    let entry = |e: &[u8]| {
        let kind = match e[4] {
            1 => LogKind::Changed,
            2 => LogKind::Vanished,
            _ => return None,
        };
        Some((FolderId(crate::keys::u32_at(e, 0)?), kind, Uid(crate::keys::u32_at(e, 5)?)))
    };
    rest.chunks(LOG_ENTRY_BYTES).map(|e| entry(e).ok_or_else(bad)).collect()
}

/// A body: its size and its pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRow {
    pub(crate) size: u64,
    pub(crate) upload: UploadId,
}

impl BlobRow {
    pub(crate) fn chunks(&self) -> u32 {
        chunks_of(self.size)
    }
}

/// Pieces of a body of this size.
pub(crate) fn chunks_of(size: u64) -> u32 {
    u32::try_from(size.div_ceil(crate::limits::CHUNK_BYTES as u64)).unwrap_or(u32::MAX)
}

/// What was queued; rewritten only when recipients are settled one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRow {
    pub(crate) item: NewQueueItem,
    pub(crate) digest: BlobDigest,
    pub(crate) blob_size: u64,
}

/// What attempts change of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueState {
    pub(crate) attempts: u32,
    pub(crate) last_attempt_at: Option<Timestamp>,
    pub(crate) last_reply: Option<String>,
    pub(crate) delay_warned: bool,
    pub(crate) held: bool,
    pub(crate) lease: Option<Lease>,
    /// Of the last lease.
    pub(crate) fence: u64,
    pub(crate) next_due: Timestamp,
}

impl QueueState {
    /// Where the entry stands in the due index; nowhere when held. A lease that ends is due again.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        match (self.held, &self.lease) {
            (true, _) => None,
            (false, Some(lease)) => Some(lease.until),
            (false, None) => Some(self.next_due),
        }
    }
}

/// What the due index tells without reading the entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DueRow {
    pub(crate) destination: Domain,
    pub(crate) hosted: Domain,
    pub(crate) priority: i8,
    pub(crate) size: u64,
}

impl From<&NewQueueItem> for DueRow {
    fn from(item: &NewQueueItem) -> Self {
        DueRow {
            destination: item.destination.clone(),
            hosted: item.hosted.clone(),
            priority: item.priority,
            size: item.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_decode_as_encoded() {
        let meta = MetaRow {
            modseq: 77,
            flags: Flags { seen: true, keywords: vec!["$Forwarded".into()], ..Flags::default() },
            internal_date: Timestamp(-3),
            saved_at: Timestamp(9),
            size: 1 << 40,
        };
        assert_eq!(MetaRow::decode(&meta.encode().unwrap()), Ok(meta));
        let bare = BodyRow {
            prefix: b"Received: x".to_vec(),
            digest: BlobDigest([7; 32]),
            blob_size: 300,
            email_id: [9; 16],
            listing: Vec::new(),
        };
        let listed = BodyRow { listing: b"(list)".to_vec(), ..bare.clone() };
        for row in [bare, listed] {
            assert_eq!(BodyRow::decode(&row.encode().unwrap()), Ok(row));
        }
        let mut log = LogRow::new();
        let at = log.push(FolderId(4), LogKind::Vanished, Uid(5));
        assert_eq!(crate::keys::u32_at(&log.0, at), Some(5));
        assert_eq!(log_entries(&log.0), Ok(vec![(FolderId(4), LogKind::Vanished, Uid(5))]));
        assert!(log_entries(&[1, 2]).is_err());
        assert!(decode::<FolderRow>(&[2, 0], "x").is_err());
    }
}
