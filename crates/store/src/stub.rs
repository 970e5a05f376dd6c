//! Signatures before their bodies; goes in the next commits.
#![allow(missing_docs, clippy::missing_errors_doc)]
use crate::*;
use palombe_vocabulary::*;
use std::path::Path;

/// What [`Store::accept_then`] calls when the batch is durable, or was refused.
pub type OnAccepted = Box<dyn FnOnce(Result<Vec<Accepted>, StoreError>) + Send>;

#[derive(Clone)]
pub struct Store;

impl Store {
    pub fn is_hosted(&self, _name: &Domain) -> bool {
        false
    }
    pub fn spool(&self) -> Spool {
        Spool::new()
    }
    pub fn accept_then(&self, _acceptances: Vec<Acceptance>, _done: OnAccepted) {}
    pub fn on_commit(&self, _listener: Box<dyn Fn(&[News]) + Send + Sync>) {}
    pub fn domain_add(&self, _name: &Domain, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn domain_set_status(&self, _name: &Domain, _status: BalStatus) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn domain_delete(&self, _name: &Domain) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn domains(&self) -> Result<Vec<DomainRow>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_add(&self, _new: NewBal, _now: Timestamp) -> Result<BalId, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal(&self, _id: BalId) -> Result<Option<Bal>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_by_address(&self, _address: &BalAddress) -> Result<Option<Bal>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bals(&self, _domain: Option<&Domain>) -> Result<Vec<Bal>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_set_status(&self, _id: BalId, _status: BalStatus) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_set_password(&self, _id: BalId, _hash: Option<String>) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_set_quota(&self, _id: BalId, _bytes: u64) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_authenticated(&self, _id: BalId, _at: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_delete(&self, _id: BalId, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn bal_usage(&self, _id: BalId) -> Result<Usage, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn read_blob(
        &self,
        _digest: &BlobDigest,
        _offset: u64,
        _len: usize,
    ) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn structure(&self, _digest: &BlobDigest) -> Result<Vec<u8>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn accept(&self, _acceptance: Acceptance) -> Result<Accepted, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn accept_all(&self, _acceptances: Vec<Acceptance>) -> Result<Vec<Accepted>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn file(
        &self,
        _filing: Filing,
        _blob: SpooledBlob,
        _structure: Vec<u8>,
        _journal: Vec<JournalLine>,
        _now: Timestamp,
    ) -> Result<Filed, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn folders(&self, _bal: BalId) -> Result<Vec<Folder>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn folder_create(
        &self,
        _bal: BalId,
        _name: &str,
        _special_use: Option<SpecialUse>,
        _now: Timestamp,
    ) -> Result<FolderId, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn folder_rename(
        &self,
        _bal: BalId,
        _folder: FolderId,
        _name: &str,
    ) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn folder_delete(&self, _bal: BalId, _folder: FolderId) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn folder_subscribe(
        &self,
        _bal: BalId,
        _folder: FolderId,
        _subscribed: bool,
    ) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn view(&self, _bal: BalId, _folder: FolderId) -> Result<FolderView, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn message(
        &self,
        _bal: BalId,
        _folder: FolderId,
        _uid: Uid,
    ) -> Result<Option<StoredMessage>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn changes(
        &self,
        _bal: BalId,
        _folder: FolderId,
        _since: ModSeq,
    ) -> Result<Changes, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn flags_update(
        &self,
        _bal: BalId,
        _folder: FolderId,
        _uids: &[Uid],
        _change: &FlagChange,
        _unchanged_since: Option<ModSeq>,
    ) -> Result<FlagOutcome, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn copy(
        &self,
        _bal: BalId,
        _from: FolderId,
        _uids: &[Uid],
        _to: FolderId,
        _now: Timestamp,
    ) -> Result<CopyOutcome, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn move_to(
        &self,
        _bal: BalId,
        _from: FolderId,
        _uids: &[Uid],
        _to: FolderId,
        _now: Timestamp,
    ) -> Result<CopyOutcome, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn expunge(
        &self,
        _bal: BalId,
        _folder: FolderId,
        _uids: &[Uid],
    ) -> Result<Vec<Uid>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn take_recent(&self, _bal: BalId, _folder: FolderId) -> Result<Uid, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_due(&self, _now: Timestamp, _limit: usize) -> Result<Vec<DueEntry>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_due_where(
        &self,
        _now: Timestamp,
        _limit: usize,
        _wanted: &dyn Fn(&DueEntry) -> bool,
    ) -> Result<Vec<DueEntry>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_claim(
        &self,
        _ids: &[QueueId],
        _now: Timestamp,
        _lease_until: Timestamp,
    ) -> Result<Vec<QueueItem>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_release(&self, _id: QueueId, _fence: u64) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_settle(&self, _settlement: Settlement) -> Result<Vec<Accepted>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_items(
        &self,
        _filter: &QueueFilter,
        _limit: usize,
    ) -> Result<Vec<QueueItem>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_item(&self, _id: QueueId) -> Result<Option<QueueItem>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_hold(&self, _id: QueueId, _held: bool) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_retry(&self, _id: QueueId, _now: Timestamp) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn queue_drop(&self, _id: QueueId, _journal: Vec<JournalLine>) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn journal_append(&self, _lines: Vec<JournalLine>) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn journal(&self, _query: &JournalQuery) -> Result<Vec<(u64, JournalLine)>, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn sweep(&self, _now: Timestamp, _budget: usize) -> Result<SweepReport, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        Err(StoreError::Busy)
    }
    pub fn checkpoint(&self, _path: &Path) -> Result<(), StoreError> {
        Err(StoreError::Busy)
    }
    pub fn open(_settings: &StoreSettings) -> Result<Store, StoreError> {
        Err(StoreError::Busy)
    }
}
