//! What goes in and out of the store.

use crate::spool::SpooledBlob;
use palombe_vocabulary::{
    BalAddress, BalId, BalKind, BalStatus, Domain, FolderId, MailAddress, ModSeq, Publication,
    QueueId, ReversePath, SessionId, Timestamp, Uid, UidValidity,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// The INBOX of every BAL.
pub const INBOX: FolderId = FolderId(1);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Data folder; made with mode 0700 when absent.
    pub path: PathBuf,
    /// Memory for cached blocks, octets.
    pub cache_bytes: usize,
    /// Whether acceptances wait for the disk. `false` only for load experiments: a power cut then loses mail.
    pub sync: bool,
    /// New mail is refused with [`crate::StoreError::Full`] below this free space on the disk, octets.
    pub free_bytes_min: u64,
    /// How long a body that nobody refers to stays before it is swept, seconds.
    pub unlinked_grace_secs: i64,
}

impl StoreSettings {
    /// The documented defaults for this data folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        StoreSettings {
            path: path.into(),
            cache_bytes: 128 * 1024 * 1024,
            sync: true,
            free_bytes_min: 256 * 1024 * 1024,
            unlinked_grace_secs: 24 * 3600,
        }
    }
}

/// A hosted domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRow {
    /// Its name.
    pub name: Domain,
    /// Active or suspended.
    pub status: BalStatus,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A BAL to make.
#[derive(Clone, Debug)]
pub struct NewBal {
    /// Its address, in a hosted domain.
    pub address: BalAddress,
    /// PER, ORG, APP or CAB.
    pub kind: BalKind,
    /// Name shown to people.
    pub label: String,
    /// Published or liste rouge.
    pub publication: Publication,
    /// Most octets it may hold.
    pub quota_bytes: u64,
    /// PHC string of its password, if it has one.
    pub password_hash: Option<String>,
}

/// A BAL.
#[derive(Clone, PartialEq, Eq)]
pub struct Bal {
    /// Its number, never given again.
    pub id: BalId,
    /// Its address.
    pub address: BalAddress,
    /// PER, ORG, APP or CAB.
    pub kind: BalKind,
    /// Name shown to people.
    pub label: String,
    /// Published or liste rouge.
    pub publication: Publication,
    /// Active, suspended, or the tombstone of a deleted one.
    pub status: BalStatus,
    /// Most octets it may hold.
    pub quota_bytes: u64,
    /// PHC string of its password, if it has one.
    pub password_hash: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody last opened it, to the hour.
    pub last_auth_at: Option<Timestamp>,
}

impl std::fmt::Debug for Bal {
    /// Without the password hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bal")
            .field("id", &self.id)
            .field("address", &self.address)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What a BAL holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets of its messages, as a client sees them.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

/// Keyed BLAKE3 digest of a body: the same octets have the same digest in one store only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobDigest(pub [u8; 32]);

impl std::fmt::Debug for BlobDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for b in &self.0[..8] {
            write!(f, "{b:02x}")?;
        }
        f.write_str("…")
    }
}

/// A message to accept: everything of it becomes durable in one batch, or nothing.
pub struct Acceptance {
    /// Its body.
    pub blob: SpooledBlob,
    /// The encoded structure of the body; opaque here.
    pub structure: Vec<u8>,
    /// Folders that take it.
    pub filings: Vec<Filing>,
    /// Queue entries, one for each destination domain.
    pub queue: Vec<NewQueueItem>,
    /// What the journal tells.
    pub journal: Vec<JournalLine>,
}

/// One folder that takes a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// The BAL.
    pub bal: BalId,
    /// The folder, [`INBOX`] for deliveries.
    pub folder: FolderId,
    /// Trace header, read before the body.
    pub prefix: Vec<u8>,
    /// First flags.
    pub flags: Flags,
    /// INTERNALDATE (RFC 9051 2.3.3).
    pub internal_date: Timestamp,
}

/// A body to file without an envelope: IMAP APPEND.
pub struct Upload {
    /// Where.
    pub filing: Filing,
    /// Its body.
    pub blob: SpooledBlob,
    /// The encoded structure of the body; opaque here.
    pub structure: Vec<u8>,
    /// What the journal tells.
    pub journal: Vec<JournalLine>,
}

/// What an acceptance became.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// In the order of the filings.
    pub filed: Vec<Filed>,
    /// In the order of the queue entries.
    pub queued: Vec<QueueId>,
}

/// A message in its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// The BAL.
    pub bal: BalId,
    /// The folder.
    pub folder: FolderId,
    /// Its UID there.
    pub uid: Uid,
    /// The BAL's modification sequence at that moment.
    pub modseq: ModSeq,
    /// UIDVALIDITY of the folder.
    pub uid_validity: UidValidity,
}

/// SPECIAL-USE attribute of a folder (RFC 6154 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

/// A folder and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its number in the BAL, never given again.
    pub id: FolderId,
    /// Full name, levels separated by `/`.
    pub name: String,
    /// UIDVALIDITY; a folder that is deleted and made again gets a larger one.
    pub uid_validity: UidValidity,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// RFC 6154
    pub special_use: Option<SpecialUse>,
    /// Whether LSUB shows it.
    pub subscribed: bool,
    /// Modification sequence of its last change.
    pub highest_modseq: ModSeq,
    /// Messages.
    pub messages: u64,
    /// Messages without `\Seen`.
    pub unseen: u64,
    /// Messages with `\Deleted` (RFC 9051 STATUS DELETED).
    pub deleted: u64,
    /// Octets.
    pub bytes: u64,
    /// First UID that no session has seen yet (RFC 3501 \Recent).
    pub recent_from: Uid,
}

/// What the opening of a folder does about `\Recent` (RFC 3501 2.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recents {
    /// Messages that no session has seen are recent to this one, and to none after it.
    Take,
    /// They are shown and stay recent to the next session.
    Look,
    /// Nobody asks: IMAP4rev2.
    Without,
}

/// A folder that is being opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Its counts at one instant.
    pub folder: Folder,
    /// Keywords that messages of it bear or bore.
    pub keywords: Vec<String>,
    /// Messages from this UID on are recent.
    pub recent_from: Option<Uid>,
    /// How many those are; where they are many, the most that there may be.
    pub recent: u64,
    /// Sequence number of the first message without `\Seen`, if it was near the beginning.
    pub first_unseen: Option<u32>,
}

/// System flags (RFC 9051 2.3.2) and keywords of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flags {
    /// `\Seen`
    pub seen: bool,
    /// `\Answered`
    pub answered: bool,
    /// `\Flagged`
    pub flagged: bool,
    /// `\Deleted`
    pub deleted: bool,
    /// `\Draft`
    pub draft: bool,
    /// Keywords, sorted, without doubles; compared without case, kept as first written.
    pub keywords: Vec<String>,
}

/// A change of flags (RFC 9051 6.4.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagChange {
    /// `+FLAGS`
    Add(Flags),
    /// `-FLAGS`
    Remove(Flags),
    /// `FLAGS`
    Replace(Flags),
}

/// What a client sees of a message without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMeta {
    /// In its folder.
    pub uid: Uid,
    /// Of its last change.
    pub modseq: ModSeq,
    /// Flags.
    pub flags: Flags,
    /// INTERNALDATE
    pub internal_date: Timestamp,
    /// Octets, prefix and body.
    pub size: u64,
    /// When it came into this folder (RFC 8514).
    pub saved_at: Timestamp,
}

/// One consistent view of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderView {
    /// UIDVALIDITY
    pub uid_validity: UidValidity,
    /// UIDNEXT
    pub uid_next: Uid,
    /// HIGHESTMODSEQ
    pub highest_modseq: ModSeq,
    /// In UID order.
    pub messages: Vec<MessageMeta>,
}

/// A message and where its octets are: first `prefix`, then the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Flags, dates, size.
    pub meta: MessageMeta,
    /// Trace header.
    pub prefix: Vec<u8>,
    /// The body, for [`crate::Store::read_blob`] and [`crate::Store::structure`].
    pub digest: BlobDigest,
    /// Octets of the body.
    pub blob_size: u64,
    /// The same for every copy of this content (RFC 8474 EMAILID), hexadecimal.
    pub email_id: String,
}

/// Where the octets of a filed message are, as a scan shows it: first `prefix`, then the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyView<'a> {
    /// In its folder.
    pub uid: Uid,
    /// Trace header.
    pub prefix: &'a [u8],
    /// The body.
    pub digest: BlobDigest,
    /// Octets of the body.
    pub blob_size: u64,
    /// The same for every copy of this content (RFC 8474 EMAILID).
    pub email_id: [u8; 16],
    /// What came with [`crate::SpooledBlob::with_listing`].
    pub listing: &'a [u8],
}

/// What happened in a folder since a modification sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// New or changed, in UID order.
    pub changed: Vec<MessageMeta>,
    /// Gone: first and last of each range, ascending. Where the change log was trimmed since, every UID that is not
    /// there is told (RFC 7162 3.2.6 allows more than what vanished since).
    pub vanished: Vec<(Uid, Uid)>,
    /// HIGHESTMODSEQ now.
    pub highest_modseq: ModSeq,
    /// UIDNEXT now.
    pub uid_next: Uid,
}

/// What a change of flags did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagOutcome {
    /// Every message asked for that exists and was not in conflict, as it is now.
    pub changed: Vec<MessageMeta>,
    /// Changed since `unchanged_since` (RFC 7162 3.1.3).
    pub conflicts: Vec<Uid>,
}

/// What a copy or a move did (RFC 4315 COPYUID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOutcome {
    /// Of the target.
    pub uid_validity: UidValidity,
    /// Source UID and new UID, in source order.
    pub pairs: Vec<(Uid, Uid)>,
}

/// Which reports a recipient asked for (RFC 3461 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Notify(u8);

impl Notify {
    /// `NOTIFY=NEVER`
    pub const NEVER: Notify = Notify(0);
    /// `NOTIFY=SUCCESS`
    pub const SUCCESS: Notify = Notify(1);
    /// `NOTIFY=FAILURE`
    pub const FAILURE: Notify = Notify(2);
    /// `NOTIFY=DELAY`
    pub const DELAY: Notify = Notify(4);

    /// Both.
    #[must_use]
    pub fn and(self, other: Notify) -> Notify {
        Notify(self.0 | other.0)
    }

    /// Report when delivered?
    pub fn success(self) -> bool {
        self.0 & 1 != 0
    }

    /// Report when refused for good?
    pub fn failure(self) -> bool {
        self.0 & 2 != 0
    }

    /// Report when late?
    pub fn delay(self) -> bool {
        self.0 & 4 != 0
    }
}

impl Default for Notify {
    /// Without a NOTIFY parameter: failure, and delay at the server's will (RFC 3461 4.1).
    fn default() -> Self {
        Notify::FAILURE.and(Notify::DELAY)
    }
}

/// What a failure report carries of the message (RFC 3461 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header.
    Hdrs,
}

/// One recipient of a queue entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRecipient {
    /// As given.
    pub address: MailAddress,
    /// RFC 3461 4.1
    pub notify: Notify,
    /// RFC 3461 4.2, decoded.
    pub orcpt: Option<String>,
}

/// One message bound for one destination domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewQueueItem {
    /// Where it goes.
    pub destination: Domain,
    /// The hosted domain that sends: the key of fairness.
    pub hosted: Domain,
    /// Envelope sender.
    pub sender: ReversePath,
    /// Recipients still waiting.
    pub recipients: Vec<QueueRecipient>,
    /// Trace header, sent before the body.
    pub prefix: Vec<u8>,
    /// Octets, prefix and body.
    pub size: u64,
    /// RFC 6710, -9 to 9; higher goes first.
    pub priority: i8,
    /// RFC 3461 4.3
    pub ret: Option<Ret>,
    /// RFC 3461 4.4
    pub envid: Option<String>,
    /// RFC 6531
    pub smtputf8: bool,
    /// RFC 6152
    pub eight_bit: bool,
    /// For the journal and reports.
    pub message_id: Option<String>,
    /// The BAL that submitted it.
    pub origin_bal: Option<BalId>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// First attempt.
    pub next_due: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
}

/// A worker's right to settle an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// When others may claim it again.
    pub until: Timestamp,
    /// Grows with each claim of this entry.
    pub fence: u64,
}

/// A queue entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueItem {
    /// Its number, never given again.
    pub id: QueueId,
    /// What was queued; `recipients` and `next_due` as they are now.
    pub item: NewQueueItem,
    /// The body.
    pub digest: BlobDigest,
    /// Octets of the body.
    pub blob_size: u64,
    /// Attempts made.
    pub attempts: u32,
    /// When the last one was.
    pub last_attempt_at: Option<Timestamp>,
    /// What the peer said.
    pub last_reply: Option<String>,
    /// The sender was told that it is late.
    pub delay_warned: bool,
    /// Held by an administrator: not due until released.
    pub held: bool,
    /// The claim on it, if any.
    pub lease: Option<Lease>,
}

/// An entry that is due, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueEntry {
    /// Its number.
    pub id: QueueId,
    /// Where it goes.
    pub destination: Domain,
    /// Who sends.
    pub hosted: Domain,
    /// RFC 6710
    pub priority: i8,
    /// Since when.
    pub due: Timestamp,
    /// Octets.
    pub size: u64,
}

/// What an attempt makes of its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueChange {
    /// It waits again.
    Keep {
        /// Still waiting.
        recipients: Vec<QueueRecipient>,
        /// Next attempt.
        next_due: Timestamp,
        /// Attempts so far.
        attempts: u32,
        /// When this one was.
        last_attempt_at: Timestamp,
        /// What the peer said.
        last_reply: Option<String>,
        /// The sender was told that it is late.
        delay_warned: bool,
    },
    /// Every recipient is settled: the entry goes.
    Done,
}

/// The end of an attempt: the entry changes, reports are accepted, the journal tells, in one batch.
pub struct Settlement {
    /// The entry.
    pub id: QueueId,
    /// Of the lease; another fence changes nothing and gives [`crate::StoreError::Conflict`].
    pub fence: u64,
    /// What becomes of the entry.
    pub change: QueueChange,
    /// Reports, filed or queued.
    pub reports: Vec<Acceptance>,
    /// What the journal tells.
    pub journal: Vec<JournalLine>,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct QueueFilter {
    /// For this destination only.
    pub destination: Option<Domain>,
    /// Sent by this hosted domain only.
    pub hosted: Option<Domain>,
    /// Held ones only.
    pub held: Option<bool>,
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Yes.
    Accepted,
    /// No.
    Refused,
    /// Not now.
    Deferred,
    /// Nothing was decided.
    Info,
}

/// One line of the journal (traces d'imputabilité). Never content of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalLine {
    /// When.
    pub at: Timestamp,
    /// `smtp.interop.accepted`, `relay.delivered`…
    pub event: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The connection.
    pub session: Option<SessionId>,
    /// The queue entry.
    pub queue: Option<QueueId>,
    /// The BAL.
    pub bal: Option<BalId>,
    /// The message.
    pub message_id: Option<String>,
    /// Address of the peer.
    pub peer: Option<IpAddr>,
    /// DN of the peer's certificate.
    pub peer_dn: Option<String>,
    /// The domain in question.
    pub domain: Option<Domain>,
    /// Stable code of the rule that decided.
    pub rule: Option<String>,
    /// JSON text.
    pub detail: String,
}

/// Which lines of the journal to read. Everything given must match.
#[derive(Clone, Debug, Default)]
pub struct JournalQuery {
    /// From this instant on.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// Message-ID, exact.
    pub message_id: Option<String>,
    /// Address of the peer.
    pub peer: Option<IpAddr>,
    /// DN, exact.
    pub peer_dn: Option<String>,
    /// Domain.
    pub domain: Option<Domain>,
    /// Beginning of the event.
    pub event_prefix: Option<String>,
    /// Beginning of the rule that decided.
    pub rule_prefix: Option<String>,
    /// BAL.
    pub bal: Option<BalId>,
    /// The latest so many.
    pub limit: usize,
}

/// What a walk along the journal's chain saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalProof {
    /// Lines that are there.
    pub lines: u64,
    /// Number of the oldest line that was not trimmed.
    pub first: u64,
    /// Number of the last line.
    pub last: u64,
    /// Digest of the whole chain, hexadecimal: kept elsewhere, it proves later that nothing before was rewritten.
    pub head: String,
    /// What is wrong, the first few.
    pub problems: Vec<String>,
}

/// A hint that something changed; the rows are the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A folder changed.
    Bal {
        /// The BAL.
        bal: BalId,
        /// The folder.
        folder: FolderId,
        /// Its modification sequence.
        modseq: ModSeq,
    },
    /// A queue entry became due or will.
    Queue {
        /// When.
        due: Timestamp,
    },
}

/// What [`crate::Store::check`] saw.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// One sentence each; empty when all is well.
    pub problems: Vec<String>,
    /// How much was looked at.
    pub counts: CheckCounts,
}

/// How much a check looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// BAL, tombstones left out.
    pub bals: u64,
    /// Folders.
    pub folders: u64,
    /// Messages.
    pub messages: u64,
    /// Bodies.
    pub blobs: u64,
    /// Links from messages and queue entries to bodies.
    pub links: u64,
    /// Queue entries.
    pub queue_items: u64,
    /// Journal lines.
    pub journal_lines: u64,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Bodies without links.
    pub blobs: u64,
    /// Their octets.
    pub bytes: u64,
    /// Abandoned uploads.
    pub uploads: u64,
}

/// Numbers for the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Hosted domains.
    pub domains: u64,
    /// BAL, tombstones left out.
    pub bals: u64,
    /// Batches committed since the start.
    pub batches: u64,
    /// Synced or unsynced group writes since the start.
    pub groups: u64,
    /// Batches refused: precondition, limit, quota.
    pub refused: u64,
    /// Times that the engine stopped writing and was opened again.
    pub reopened: u64,
    /// Batches that wait now.
    pub waiting: u64,
    /// The engine refuses writes at the moment.
    pub broken: bool,
    /// Free space on the disk of the data folder, octets.
    pub free_bytes: Option<u64>,
    /// Octets of files, as the engine counts them.
    pub disk_bytes: u64,
}
