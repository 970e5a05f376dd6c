//! Keys: subspace first, then the BAL, all numbers big-endian, nothing but opaque numbers and keyed digests, save for
//! the names of the directory.

use crate::BlobDigest;
use palombe_vocabulary::{BalAddress, BalId, Domain, FolderId, ModSeq, QueueId, Timestamp, Uid};

/// Counter row of the whole store and its fields.
pub(crate) mod global {
    pub(crate) const KEY: &[u8] = b"g";
    pub(crate) const JOURNAL: usize = 0;
    pub(crate) const QUEUE: usize = 1;
    pub(crate) const BAL: usize = 2;
    pub(crate) const EPOCH: usize = 3;
}

/// Fields of a BAL's counter row.
pub(crate) mod bal_field {
    pub(crate) const MODSEQ: usize = 0;
    /// One more with each change that reads before it writes.
    pub(crate) const EDIT: usize = 1;
    pub(crate) const BYTES: usize = 2;
    pub(crate) const MESSAGES: usize = 3;
    pub(crate) const FOLDER: usize = 4;
    pub(crate) const UID_VALIDITY: usize = 5;
}

/// Fields of a folder's counter row.
pub(crate) mod folder_field {
    /// Largest UID given so far.
    pub(crate) const UID: usize = 0;
    pub(crate) const MODSEQ: usize = 1;
    pub(crate) const MESSAGES: usize = 2;
    pub(crate) const UNSEEN: usize = 3;
    pub(crate) const DELETED: usize = 4;
    pub(crate) const BYTES: usize = 5;
    /// Largest UID that some session has seen.
    pub(crate) const RECENT: usize = 6;
    pub(crate) const UID_VALIDITY: usize = 7;
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn bal_counters(bal: BalId) -> Vec<u8> {
    join(&[b"B", &bal.0.to_be_bytes()])
}

pub(crate) fn folder_counters(bal: BalId, folder: FolderId) -> Vec<u8> {
    join(&[b"F", &bal.0.to_be_bytes(), &folder.0.to_be_bytes()])
}

pub(crate) const OWN_COUNTERS: &[u8] = b"S";

/// How much of a folder a member has seen, where each has its own `\Seen`.
pub(crate) fn own_counters(bal: BalId, folder: FolderId, member: BalId) -> Vec<u8> {
    let folder = folder.0.to_be_bytes();
    join(&[OWN_COUNTERS, &bal.0.to_be_bytes(), &folder, &member.0.to_be_bytes()])
}

// Directory

pub(crate) fn meta(name: &str) -> Vec<u8> {
    join(&[b"m", name.as_bytes()])
}

pub(crate) const DOMAINS: &[u8] = b"d";

pub(crate) fn domain(name: &Domain) -> Vec<u8> {
    join(&[DOMAINS, name.as_str().as_bytes()])
}

pub(crate) const BALS: &[u8] = b"b";

pub(crate) fn bal(id: BalId) -> Vec<u8> {
    join(&[BALS, &id.0.to_be_bytes()])
}

pub(crate) fn address(address: &BalAddress) -> Vec<u8> {
    join(&[b"a", address.to_string().as_bytes()])
}

pub(crate) fn folders(bal: BalId) -> Vec<u8> {
    join(&[b"f", &bal.0.to_be_bytes()])
}

pub(crate) fn folder(bal: BalId, folder: FolderId) -> Vec<u8> {
    join(&[b"f", &bal.0.to_be_bytes(), &folder.0.to_be_bytes()])
}

/// Keywords in use in the folders of a BAL.
pub(crate) fn keywords_of(bal: BalId) -> Vec<u8> {
    join(&[b"k", &bal.0.to_be_bytes()])
}

/// Keywords in use in a folder.
pub(crate) fn keywords(bal: BalId, folder: FolderId) -> Vec<u8> {
    join(&[b"k", &bal.0.to_be_bytes(), &folder.0.to_be_bytes()])
}

/// A keyword that some message of the folder bears or bore; without case.
pub(crate) fn keyword(bal: BalId, folder: FolderId, word: &str) -> Vec<u8> {
    join(&[&keywords(bal, folder), word.to_ascii_lowercase().as_bytes()])
}

pub(crate) const PURGES: &[u8] = b"p";

/// Messages of this folder are being removed.
pub(crate) fn purge(bal: BalId, folder: FolderId) -> Vec<u8> {
    join(&[PURGES, &bal.0.to_be_bytes(), &folder.0.to_be_bytes()])
}

pub(crate) fn purge_parts(key: &[u8]) -> Option<(BalId, FolderId)> {
    let rest = key.strip_prefix(PURGES)?;
    Some((BalId(u64_at(rest, 0)?), FolderId(u32_at(rest, 8)?)))
}

/// Modification sequence up to which the change log of the BAL was trimmed.
pub(crate) fn log_floor(bal: BalId) -> Vec<u8> {
    join(&[b"t", &bal.0.to_be_bytes()])
}

// Messages and bodies share their keys.

pub(crate) fn messages(bal: BalId, folder: FolderId) -> Vec<u8> {
    join(&[&bal.0.to_be_bytes(), &folder.0.to_be_bytes()])
}

pub(crate) fn message(bal: BalId, folder: FolderId, uid: Uid) -> Vec<u8> {
    join(&[&bal.0.to_be_bytes(), &folder.0.to_be_bytes(), &uid.0.to_be_bytes()])
}

/// Where the UID stands in a message key.
pub(crate) const MESSAGE_UID_AT: usize = 12;

pub(crate) fn message_parts(key: &[u8]) -> Option<(BalId, FolderId, Uid)> {
    Some((BalId(u64_at(key, 0)?), FolderId(u32_at(key, 8)?), Uid(u32_at(key, 12)?)))
}

// Log

pub(crate) fn log(bal: BalId, modseq: ModSeq) -> Vec<u8> {
    join(&[&bal.0.to_be_bytes(), &modseq.0.to_be_bytes()])
}

/// Where the modification sequence stands in a log key.
pub(crate) const LOG_MODSEQ_AT: usize = 8;

// Blobs

pub(crate) const BLOBS: &[u8] = b"d";

pub(crate) fn blob(digest: &BlobDigest) -> Vec<u8> {
    join(&[BLOBS, &digest.0])
}

pub(crate) const LINKS: &[u8] = b"l";

pub(crate) fn links(digest: &BlobDigest) -> Vec<u8> {
    join(&[LINKS, &digest.0])
}

pub(crate) fn link_message(digest: &BlobDigest, bal: BalId, folder: FolderId, uid: Uid) -> Vec<u8> {
    join(&[LINKS, &digest.0, b"m", &message(bal, folder, uid)])
}

/// Where the UID stands in a message's link key.
pub(crate) const LINK_UID_AT: usize = 1 + 32 + 1 + MESSAGE_UID_AT;

pub(crate) fn link_queue(digest: &BlobDigest, id: QueueId) -> Vec<u8> {
    join(&[LINKS, &digest.0, b"q", &id.0.to_be_bytes()])
}

/// Where the queue number stands in an entry's link key.
pub(crate) const LINK_QUEUE_AT: usize = 1 + 32 + 1;

/// Who holds a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Message(BalId, FolderId, Uid),
    Queue(QueueId),
}

pub(crate) fn link_parts(key: &[u8]) -> Option<(BlobDigest, Holder)> {
    let digest = digest_at(key, 1)?;
    let holder = match key.get(33)? {
        b'm' => {
            let (bal, folder, uid) = message_parts(key.get(34..)?)?;
            Holder::Message(bal, folder, uid)
        }
        b'q' => Holder::Queue(QueueId(u64_at(key, 34)?)),
        _ => return None,
    };
    Some((digest, holder))
}

pub(crate) const UNLINKED: &[u8] = b"u";

/// A link of this body was removed: it may be the last one.
pub(crate) fn unlinked(digest: &BlobDigest) -> Vec<u8> {
    join(&[UNLINKED, &digest.0])
}

pub(crate) const SWEEPS: &[u8] = b"w";

/// The body is looked at again by the first sweep a grace period after this instant.
pub(crate) fn sweep(since: Timestamp, digest: &BlobDigest) -> Vec<u8> {
    join(&[SWEEPS, &time(since), &digest.0])
}

pub(crate) const UPLOADS: &[u8] = b"s";

pub(crate) fn upload(upload: UploadId) -> Vec<u8> {
    join(&[UPLOADS, &upload.bytes()])
}

pub(crate) fn upload_parts(key: &[u8]) -> Option<UploadId> {
    UploadId::read(key.strip_prefix(UPLOADS)?)
}

/// Where the pieces of a body are: numbers that only grow, so that pieces are written in key order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct UploadId {
    /// One more with each opening of the store.
    pub(crate) epoch: u32,
    pub(crate) number: u64,
}

impl UploadId {
    fn bytes(self) -> [u8; 12] {
        let mut out = [0; 12];
        out[..4].copy_from_slice(&self.epoch.to_be_bytes());
        out[4..].copy_from_slice(&self.number.to_be_bytes());
        out
    }

    fn read(bytes: &[u8]) -> Option<UploadId> {
        Some(UploadId { epoch: u32_at(bytes, 0)?, number: u64_at(bytes, 4)? })
    }
}

pub(crate) fn structure(digest: &BlobDigest) -> Vec<u8> {
    digest.0.to_vec()
}

pub(crate) fn chunk(upload: UploadId, index: u32) -> Vec<u8> {
    join(&[&upload.bytes(), &index.to_be_bytes()])
}

pub(crate) fn chunk_parts(key: &[u8]) -> Option<(UploadId, u32)> {
    Some((UploadId::read(key)?, u32_at(key, 12)?))
}

/// Keys of [`Space::Sharing`](crate::engine::Space::Sharing): kind, then the BAL.
pub(crate) mod sharing {
    use super::{join, u32_at, u64_at};
    use palombe_vocabulary::{BalId, FolderId, Uid};

    pub(crate) const MEMBER: u8 = b'm';
    pub(crate) const OPTIONS: u8 = b'o';
    pub(crate) const ACL: u8 = b'a';
    /// Folders of other BAL that a member wants in LSUB; the member's BAL comes first.
    pub(crate) const SUBSCRIPTION: u8 = b'u';
    /// Messages that a member has seen, where each has its own `\Seen`.
    pub(crate) const OWN_SEEN: u8 = b's';
    /// Annotations: of a folder, or of none; then whose.
    pub(crate) const ANNOTATION: u8 = b'n';
    pub(crate) const KINDS: [u8; 6] = [MEMBER, OPTIONS, ACL, SUBSCRIPTION, OWN_SEEN, ANNOTATION];

    pub(crate) fn bal_rows(kind: u8, bal: BalId) -> Vec<u8> {
        join(&[&[kind], &bal.0.to_be_bytes()])
    }

    pub(crate) fn bal_of(key: &[u8]) -> Option<BalId> {
        u64_at(key, 1).map(BalId)
    }

    pub(crate) fn member(bal: BalId, member: BalId) -> Vec<u8> {
        join(&[&bal_rows(MEMBER, bal), &member.0.to_be_bytes()])
    }

    pub(crate) fn member_parts(key: &[u8]) -> Option<(BalId, BalId)> {
        Some((bal_of(key)?, BalId(u64_at(key, 9)?)))
    }

    pub(crate) fn acl_rows(bal: BalId, folder: FolderId) -> Vec<u8> {
        join(&[&bal_rows(ACL, bal), &folder.0.to_be_bytes()])
    }

    pub(crate) fn acl(bal: BalId, folder: FolderId, member: BalId) -> Vec<u8> {
        join(&[&acl_rows(bal, folder), &member.0.to_be_bytes()])
    }

    pub(crate) fn acl_parts(key: &[u8]) -> Option<(BalId, FolderId, BalId)> {
        Some((bal_of(key)?, FolderId(u32_at(key, 9)?), BalId(u64_at(key, 13)?)))
    }

    pub(crate) fn own_seen_of(bal: BalId, folder: FolderId, member: BalId) -> Vec<u8> {
        let rows = bal_rows(OWN_SEEN, bal);
        join(&[&rows, &folder.0.to_be_bytes(), &member.0.to_be_bytes()])
    }

    /// Where the UID stands in such a key.
    pub(crate) const OWN_SEEN_UID_AT: usize = 21;

    pub(crate) fn own_seen(bal: BalId, folder: FolderId, member: BalId, uid: Uid) -> Vec<u8> {
        join(&[&own_seen_of(bal, folder, member), &uid.0.to_be_bytes()])
    }

    pub(crate) fn own_seen_parts(key: &[u8]) -> Option<(BalId, FolderId, BalId, Uid)> {
        let (bal, folder) = (bal_of(key)?, FolderId(u32_at(key, 9)?));
        Some((bal, folder, BalId(u64_at(key, 13)?), Uid(u32_at(key, OWN_SEEN_UID_AT)?)))
    }

    pub(crate) fn annotations_of_folder(bal: BalId, folder: FolderId) -> Vec<u8> {
        join(&[&bal_rows(ANNOTATION, bal), &folder.0.to_be_bytes()])
    }

    pub(crate) fn annotations(bal: BalId, folder: FolderId, owner: BalId) -> Vec<u8> {
        join(&[&annotations_of_folder(bal, folder), &owner.0.to_be_bytes()])
    }

    /// Where the name stands in the key of an annotation.
    pub(crate) const ANNOTATION_NAME_AT: usize = 21;

    pub(crate) fn annotation_parts(key: &[u8]) -> Option<(BalId, FolderId, BalId)> {
        Some((bal_of(key)?, FolderId(u32_at(key, 9)?), BalId(u64_at(key, 13)?)))
    }

    pub(crate) fn subscriptions(member: BalId, bal: BalId) -> Vec<u8> {
        join(&[&bal_rows(SUBSCRIPTION, member), &bal.0.to_be_bytes()])
    }

    pub(crate) fn subscription(member: BalId, bal: BalId, folder: FolderId) -> Vec<u8> {
        join(&[&subscriptions(member, bal), &folder.0.to_be_bytes()])
    }

    pub(crate) fn subscription_parts(key: &[u8]) -> Option<(BalId, BalId, FolderId)> {
        Some((bal_of(key)?, BalId(u64_at(key, 9)?), FolderId(u32_at(key, 17)?)))
    }
}

// Queue

pub(crate) const QUEUE_ITEMS: &[u8] = b"i";

pub(crate) fn queue_item(id: QueueId) -> Vec<u8> {
    join(&[QUEUE_ITEMS, &id.0.to_be_bytes()])
}

pub(crate) const QUEUE_STATES: &[u8] = b"s";

pub(crate) fn queue_state(id: QueueId) -> Vec<u8> {
    join(&[QUEUE_STATES, &id.0.to_be_bytes()])
}

/// Where the number stands in the keys of an entry and of its state.
pub(crate) const QUEUE_ID_AT: usize = 1;

pub(crate) const QUEUE_DUE: &[u8] = b"d";

/// Lanes of the due index: the most urgent first (RFC 6710).
pub(crate) const LANES: u8 = 19;

pub(crate) fn lane(priority: i8) -> u8 {
    (9 - priority.clamp(-9, 9)) as u8
}

pub(crate) fn due(lane: u8, due: Timestamp, id: QueueId) -> Vec<u8> {
    join(&[&due_from(lane, due), &id.0.to_be_bytes()])
}

/// Where the number stands in a due key.
pub(crate) const DUE_ID_AT: usize = 10;

/// First key of this lane at this instant.
pub(crate) fn due_from(lane: u8, due: Timestamp) -> Vec<u8> {
    join(&[QUEUE_DUE, &[lane], &time(due)])
}

pub(crate) fn due_parts(key: &[u8]) -> Option<(u8, Timestamp, QueueId)> {
    Some((*key.get(1)?, time_at(key, 2)?, QueueId(u64_at(key, DUE_ID_AT)?)))
}

// Journal

pub(crate) const JOURNAL_LINES: &[u8] = b"l";

/// First key of the lines at this instant.
pub(crate) fn journal_from(at: Timestamp) -> Vec<u8> {
    join(&[JOURNAL_LINES, &time(at)])
}

pub(crate) fn journal_line(at: Timestamp, seq: u64) -> Vec<u8> {
    join(&[JOURNAL_LINES, &time(at), &seq.to_be_bytes()])
}

pub(crate) const JOURNAL_LINKS: &[u8] = b"c";

/// The link of a line in the chain of all lines.
pub(crate) fn journal_link(seq: u64) -> Vec<u8> {
    join(&[JOURNAL_LINKS, &seq.to_be_bytes()])
}

/// Where the number stands in the key of a link.
pub(crate) const JOURNAL_LINK_SEQ_AT: usize = 1;

/// Digest of the last link.
pub(crate) const JOURNAL_HEAD: &[u8] = b"h";

/// Number and digest of the last link that was trimmed.
pub(crate) const JOURNAL_ANCHOR: &[u8] = b"t";

/// Where the instant stands in the key of a line.
pub(crate) const LINE_TIME_AT: usize = 1;
/// Where the number stands in the key of a line.
pub(crate) const LINE_SEQ_AT: usize = 9;

/// First index key of this value at this instant.
pub(crate) fn journal_index_from(kind: u8, hash: u64, at: Timestamp) -> Vec<u8> {
    join(&[b"i", &[kind], &hash.to_be_bytes(), &time(at)])
}

pub(crate) fn journal_index(kind: u8, hash: u64, at: Timestamp, seq: u64) -> Vec<u8> {
    join(&[&journal_index_from(kind, hash, at), &seq.to_be_bytes()])
}

/// Where instant and number stand in an index key.
pub(crate) const INDEX_TIME_AT: usize = 10;
/// Where the number stands in an index key.
pub(crate) const INDEX_SEQ_AT: usize = 18;

/// Milliseconds in an order that bytes keep, negative ones too.
fn time(at: Timestamp) -> [u8; 8] {
    ((at.0 as u64) ^ (1 << 63)).to_be_bytes()
}

pub(crate) fn time_at(key: &[u8], at: usize) -> Option<Timestamp> {
    u64_at(key, at).map(|v| Timestamp((v ^ (1 << 63)) as i64))
}

pub(crate) fn u64_at(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?))
}

pub(crate) fn u32_at(key: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn digest_at(key: &[u8], at: usize) -> Option<BlobDigest> {
    Some(BlobDigest(key.get(at..at + 32)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_keep_their_order() {
        let digest = BlobDigest([7; 32]);
        let link = link_message(&digest, BalId(1), FolderId(2), Uid(3));
        let holder = Holder::Message(BalId(1), FolderId(2), Uid(3));
        assert_eq!(link_parts(&link), Some((digest, holder)));
        assert_eq!(u32_at(&link, LINK_UID_AT), Some(3));
        let link = link_queue(&digest, QueueId(9));
        assert_eq!(link_parts(&link), Some((digest, Holder::Queue(QueueId(9)))));
        assert_eq!(u64_at(&link, LINK_QUEUE_AT), Some(9));
        let due_key = due(lane(4), Timestamp(-5), QueueId(8));
        assert_eq!(due_parts(&due_key), Some((5, Timestamp(-5), QueueId(8))));
        assert!(due_key < due(lane(4), Timestamp(5), QueueId(1)));
        let index = journal_index(1, 2, Timestamp(3), 4);
        assert_eq!(time_at(&index, INDEX_TIME_AT), Some(Timestamp(3)));
        assert_eq!(u64_at(&index, INDEX_SEQ_AT), Some(4));
        assert_eq!(u64_at(&journal_line(Timestamp(3), 4), LINE_SEQ_AT), Some(4));
        let id = UploadId { epoch: 1, number: 2 };
        assert_eq!(chunk_parts(&chunk(id, 3)), Some((id, 3)));
        assert_eq!(upload_parts(&upload(id)), Some(id));
    }
}
