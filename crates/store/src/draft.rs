//! A batch being written in the words of the house: filings, removals, flags, bodies, queue entries, journal lines.
//! Counts of folders and BAL are summed here and stepped once.

use crate::engine::{
    Batch, Durability, EngineError, Expect, Refused, Slot, Space, StepId, Steps, When,
};
use crate::keys::{self, bal_field, folder_field, global};
use crate::limits::MESSAGES_MAX;
use crate::rows::{
    self, BlobRow, BodyRow, DueRow, LogKind, LogRow, META_MODSEQ_AT, MetaRow, QueueRow, QueueState,
};
use crate::search;
use crate::spool::{Pieces, SpooledBlob};
use crate::store::refusal;
use crate::{BlobDigest, Flags, JournalLine, NewQueueItem, News, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, QueueId, Timestamp, Uid};
use std::collections::HashSet;

/// Everything of one change.
pub(crate) struct Draft {
    pub(crate) batch: Batch,
    bals: Vec<BalDraft>,
    folders: Vec<FolderDraft>,
    queue_due: Vec<Timestamp>,
    blob_key: [u8; 32],
    /// Keys of the keywords that this batch notes.
    keywords: HashSet<Vec<u8>>,
    /// Bodies that this batch makes known.
    bodies: HashSet<BlobDigest>,
    failed: Option<EngineError>,
}

struct BalDraft {
    bal: BalId,
    modseq: StepId,
    bytes: i64,
    messages: i64,
    quota: Option<u64>,
    log: LogRow,
    log_slots: Vec<Slot>,
}

struct FolderDraft {
    bal: BalId,
    folder: FolderId,
    validity: StepId,
    messages: i64,
    unseen: i64,
    deleted: i64,
    bytes: i64,
}

/// A message that comes into a folder.
pub(crate) struct Arrival {
    pub(crate) flags: Flags,
    pub(crate) internal_date: Timestamp,
    pub(crate) saved_at: Timestamp,
    pub(crate) body: BodyRow,
}

/// Steps that tell where a message was filed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FiledSteps {
    pub(crate) bal: BalId,
    pub(crate) folder: FolderId,
    pub(crate) uid: StepId,
    pub(crate) modseq: StepId,
    pub(crate) validity: StepId,
}

/// What refused steps mean, and what to tell when none is.
pub(crate) struct Meaning {
    bal_steps: Vec<(StepId, BalId)>,
    folder_steps: Vec<StepId>,
    changed: Vec<(BalId, FolderId, StepId)>,
    queue_due: Option<Timestamp>,
}

impl Meaning {
    pub(crate) fn error(&self, refused: Refused) -> StoreError {
        match refused {
            Refused::TooLarge(step) => match self.bal_steps.iter().find(|(s, _)| *s == step) {
                Some((_, bal)) => StoreError::OverQuota(*bal),
                None => StoreError::Conflict,
            },
            Refused::Missing(step) if self.folder_steps.contains(&step) => {
                StoreError::UnknownFolder
            }
            Refused::Missing(step) if self.bal_steps.iter().any(|(s, _)| *s == step) => {
                StoreError::UnknownBal
            }
            other => refusal(other),
        }
    }

    pub(crate) fn news(&self, steps: &Steps) -> Vec<News> {
        let bal = |(bal, folder, modseq): &(BalId, FolderId, StepId)| News::Bal {
            bal: *bal,
            folder: *folder,
            modseq: ModSeq(steps.u64(*modseq)),
        };
        let queue = self.queue_due.map(|due| News::Queue { due });
        self.changed.iter().map(bal).chain(queue).collect()
    }
}

impl Draft {
    pub(crate) fn new(durability: Durability, blob_key: [u8; 32]) -> Draft {
        Draft {
            batch: Batch::new(durability),
            bals: Vec::new(),
            folders: Vec::new(),
            queue_due: Vec::new(),
            blob_key,
            keywords: HashSet::new(),
            bodies: HashSet::new(),
            failed: None,
        }
    }

    /// The folder has messages with these keywords, unless `known` has them already.
    fn keywords(&mut self, bal: BalId, folder: FolderId, (new, known): (&Flags, &Flags)) {
        for word in &new.keywords {
            if known.keywords.contains(word) {
                continue;
            }
            let key = keys::keyword(bal, folder, word);
            if self.keywords.insert(key.clone()) {
                // A keyword keeps the case in which it was first written.
                let noted = self.batch.guard(Space::Directory, key.clone());
                let word = word.as_bytes().to_vec();
                self.batch.put_when(When::Absent(noted), Space::Directory, key, word);
            }
        }
    }

    /// The row, or none and the whole draft fails at its end.
    fn row(&mut self, row: Result<Vec<u8>, EngineError>) -> Vec<u8> {
        row.unwrap_or_else(|error| {
            self.failed = Some(error);
            Vec::new()
        })
    }

    fn bal(&mut self, bal: BalId) -> usize {
        if let Some(at) = self.bals.iter().position(|b| b.bal == bal) {
            return at;
        }
        let modseq = self.batch.step(&keys::bal_counters(bal), bal_field::MODSEQ, 1);
        self.bals.push(BalDraft {
            bal,
            modseq,
            bytes: 0,
            messages: 0,
            quota: None,
            log: LogRow::new(),
            log_slots: Vec::new(),
        });
        self.bals.len() - 1
    }

    fn folder(&mut self, bal: BalId, folder: FolderId) -> usize {
        let same = |f: &FolderDraft| f.bal == bal && f.folder == folder;
        if let Some(at) = self.folders.iter().position(same) {
            return at;
        }
        let key = keys::folder_counters(bal, folder);
        let validity = self.batch.step(&key, folder_field::UID_VALIDITY, 0);
        self.folders.push(FolderDraft {
            bal,
            folder,
            validity,
            messages: 0,
            unseen: 0,
            deleted: 0,
            bytes: 0,
        });
        self.folders.len() - 1
    }

    /// The BAL may not hold more than this afterwards.
    pub(crate) fn quota(&mut self, bal: BalId, bytes: u64) {
        let at = self.bal(bal);
        self.bals[at].quota = Some(bytes);
    }

    /// The change was made from this state of the BAL: another change meanwhile is a conflict.
    pub(crate) fn edits(&mut self, bal: BalId, seen: i64) {
        let step = self.batch.step(&keys::bal_counters(bal), bal_field::EDIT, 1);
        self.batch.was(step, seen);
    }

    /// This batch's step of the BAL's modification sequence.
    pub(crate) fn modseq(&mut self, bal: BalId) -> StepId {
        let at = self.bal(bal);
        self.bals[at].modseq
    }

    /// UIDVALIDITY of the folder, which must exist.
    pub(crate) fn validity(&mut self, bal: BalId, folder: FolderId) -> StepId {
        let at = self.folder(bal, folder);
        self.folders[at].validity
    }

    fn count(&mut self, bal: BalId, folder: FolderId, flags: &Flags, size: u64, sign: i64) {
        let size = i64::try_from(size).unwrap_or(i64::MAX / 4);
        let (b, f) = (self.bal(bal), self.folder(bal, folder));
        let (b, f) = (&mut self.bals[b], &mut self.folders[f]);
        b.bytes += sign * size;
        b.messages += sign;
        f.messages += sign;
        f.bytes += sign * size;
        f.unseen += sign * i64::from(!flags.seen);
        f.deleted += sign * i64::from(flags.deleted);
    }

    /// Files a message: a new UID, its rows, its link, its log entry.
    pub(crate) fn arrive(&mut self, bal: BalId, folder: FolderId, arrival: &Arrival) -> FiledSteps {
        let body = &arrival.body;
        let size = body.prefix.len() as u64 + body.blob_size;
        self.count(bal, folder, &arrival.flags, size, 1);
        self.keywords(bal, folder, (&arrival.flags, &Flags::default()));
        let (modseq, validity) = (self.modseq(bal), self.validity(bal, folder));
        let uid = self.batch.step(&keys::folder_counters(bal, folder), folder_field::UID, 1);
        let meta = MetaRow {
            modseq: 0,
            flags: arrival.flags.clone(),
            internal_date: arrival.internal_date,
            saved_at: arrival.saved_at,
            size,
        };
        let meta = self.row(meta.encode());
        let body_row = self.row(body.encode());
        let key = keys::message(bal, folder, Uid(0));
        let key_slots = vec![Slot::u32(uid, keys::MESSAGE_UID_AT)];
        self.batch.put_slots(
            Space::Messages,
            (key.clone(), key_slots.clone()),
            (meta.into(), vec![Slot::u64(modseq, META_MODSEQ_AT)]),
            When::Always,
        );
        self.batch.put_slots(
            Space::Bodies,
            (key, key_slots),
            (body_row.into(), Vec::new()),
            When::Always,
        );
        self.batch.put_slots(
            Space::Blobs,
            (
                keys::link_message(&body.digest, bal, folder, Uid(0)),
                vec![Slot::u32(uid, keys::LINK_UID_AT)],
            ),
            (vec![1].into(), Vec::new()),
            When::Always,
        );
        // Not indexed yet: a search reads it itself until then.
        self.batch.put_slots(
            Space::Search,
            (search::pending(bal, folder, Uid(0)), vec![Slot::u32(uid, search::PENDING_UID_AT)]),
            (search::pending_value(&body.digest, &body.email_id).into(), Vec::new()),
            When::Always,
        );
        let b = self.bal(bal);
        let at = self.bals[b].log.push(folder, LogKind::Changed, Uid(0));
        self.bals[b].log_slots.push(Slot::u32(uid, at));
        FiledSteps { bal, folder, uid, modseq, validity }
    }

    /// Takes a message out of its folder; its body may have lost its last link.
    pub(crate) fn vanish(
        &mut self,
        bal: BalId,
        folder: FolderId,
        uid: Uid,
        (meta, digest): (&MetaRow, &BlobDigest),
    ) {
        self.count(bal, folder, &meta.flags, meta.size, -1);
        let b = self.bal(bal);
        self.bals[b].log.push(folder, LogKind::Vanished, uid);
        self.forget_message(bal, folder, uid, digest);
    }

    /// Removes the rows of a message, counting nothing and logging nothing.
    pub(crate) fn forget_message(
        &mut self,
        bal: BalId,
        folder: FolderId,
        uid: Uid,
        digest: &BlobDigest,
    ) {
        let key = keys::message(bal, folder, uid);
        self.batch.delete(Space::Messages, key.clone());
        self.batch.delete(Space::Bodies, key);
        self.batch.delete(Space::Search, search::pending(bal, folder, uid));
        self.batch.put(Space::Search, search::loose(bal, digest), vec![1]);
        self.unlink(digest, keys::link_message(digest, bal, folder, uid));
    }

    /// Removes a link.
    pub(crate) fn unlink(&mut self, digest: &BlobDigest, link: Vec<u8>) {
        self.batch.delete(Space::Blobs, link);
        self.batch.put(Space::Blobs, keys::unlinked(digest), vec![1]);
    }

    /// Gives a message other flags.
    pub(crate) fn flag(
        &mut self,
        bal: BalId,
        folder: FolderId,
        uid: Uid,
        (old, new): (&MetaRow, &Flags),
    ) {
        let modseq = self.modseq(bal);
        let f = self.folder(bal, folder);
        self.keywords(bal, folder, (new, &old.flags));
        self.folders[f].unseen += i64::from(old.flags.seen) - i64::from(new.seen);
        self.folders[f].deleted += i64::from(new.deleted) - i64::from(old.flags.deleted);
        let row = MetaRow { flags: new.clone(), ..old.clone() };
        let row = self.row(row.encode());
        self.batch.put_slots(
            Space::Messages,
            (keys::message(bal, folder, uid), Vec::new()),
            (row.into(), vec![Slot::u64(modseq, META_MODSEQ_AT)]),
            When::Always,
        );
        let b = self.bal(bal);
        self.bals[b].log.push(folder, LogKind::Changed, uid);
    }

    /// Something about a message changed that its row does not hold.
    pub(crate) fn touch(&mut self, bal: BalId, folder: FolderId, uid: Uid) {
        self.folder(bal, folder);
        let b = self.bal(bal);
        self.bals[b].log.push(folder, LogKind::Changed, uid);
    }

    /// Makes a body known, unless the same octets are; its structure too.
    pub(crate) fn body(&mut self, blob: &SpooledBlob, structure: &[u8]) {
        let digest = blob.digest();
        if !self.bodies.insert(digest) {
            self.forget_pieces(blob);
            return;
        }
        let known = self.batch.guard(Space::Blobs, keys::blob(&digest));
        let row = BlobRow { size: blob.size(), upload: blob.upload() };
        let encoded = self.row(rows::encode(&row));
        let absent = When::Absent(known);
        self.batch.put_when(absent, Space::Blobs, keys::blob(&digest), encoded);
        let mut versioned = Vec::with_capacity(structure.len() + 1);
        versioned.push(1);
        versioned.extend_from_slice(structure);
        let key = keys::structure(&digest);
        self.batch.put_when(absent, Space::Structures, key, versioned);
        match blob.pieces() {
            Pieces::Memory(octets) if octets.is_empty() => {}
            Pieces::Memory(octets) => {
                let key = keys::chunk(row.upload, 0);
                self.batch.put_when(absent, Space::Chunks, key, octets.clone());
            }
            Pieces::Disk => {
                // The same octets are here already: ours go.
                for index in 0..row.chunks() {
                    let key = keys::chunk(row.upload, index);
                    self.batch.delete_when(When::Present(known), Space::Chunks, key);
                }
                self.batch.delete(Space::Blobs, keys::upload(row.upload));
            }
        }
    }

    /// The same octets came before in this batch: theirs stay.
    fn forget_pieces(&mut self, blob: &SpooledBlob) {
        if let Pieces::Disk = blob.pieces() {
            let row = BlobRow { size: blob.size(), upload: blob.upload() };
            for index in 0..row.chunks() {
                self.batch.delete(Space::Chunks, keys::chunk(row.upload, index));
            }
            self.batch.delete(Space::Blobs, keys::upload(row.upload));
        }
    }

    /// Queues a message for one destination.
    pub(crate) fn queue(&mut self, item: &NewQueueItem, blob: &SpooledBlob) -> StepId {
        let id = self.batch.step_new(global::KEY, global::QUEUE, 1);
        let digest = blob.digest();
        let row = QueueRow { item: item.clone(), digest, blob_size: blob.size() };
        let state = QueueState {
            attempts: 0,
            last_attempt_at: None,
            last_reply: None,
            delay_warned: false,
            held: false,
            lease: None,
            fence: 0,
            next_due: item.next_due,
        };
        let (row, state) = (self.row(rows::encode(&row)), self.row(rows::encode(&state)));
        let due = self.row(rows::encode(&DueRow::from(item)));
        let zero = QueueId(0);
        let slot = |at| vec![Slot::u64(id, at)];
        let puts = [
            (Space::Queue, keys::queue_item(zero), keys::QUEUE_ID_AT, row),
            (Space::Queue, keys::queue_state(zero), keys::QUEUE_ID_AT, state),
            (
                Space::Queue,
                keys::due(keys::lane(item.priority), item.next_due, zero),
                keys::DUE_ID_AT,
                due,
            ),
            (Space::Blobs, keys::link_queue(&digest, zero), keys::LINK_QUEUE_AT, vec![1]),
        ];
        for (space, key, at, value) in puts {
            let value = (value.into(), Vec::new());
            self.batch.put_slots(space, (key, slot(at)), value, When::Always);
        }
        self.queue_due.push(item.next_due);
        id
    }

    /// Something in the queue is due then.
    pub(crate) fn queue_news(&mut self, due: Timestamp) {
        self.queue_due.push(due);
    }

    /// Adds a line to the journal.
    pub(crate) fn line(&mut self, line: &JournalLine) {
        let seq = self.batch.step_new(global::KEY, global::JOURNAL, 1);
        let row = crate::journal::bounded(line);
        let row = self.row(rows::encode(&*row));
        self.batch.put_chained(
            Space::Journal,
            (keys::journal_line(line.at, 0), vec![Slot::u64(seq, keys::LINE_SEQ_AT)]),
            row,
            (keys::journal_link(0), vec![Slot::u64(seq, keys::JOURNAL_LINK_SEQ_AT)]),
            keys::JOURNAL_HEAD,
        );
        for (kind, hash) in crate::journal::index_of(&self.blob_key, line) {
            let key = keys::journal_index(kind, hash, line.at, 0);
            self.batch.put_slots(
                Space::Journal,
                (key, vec![Slot::u64(seq, keys::INDEX_SEQ_AT)]),
                (Vec::new().into(), Vec::new()),
                When::Always,
            );
        }
    }

    /// Steps the sums, writes the log rows; the batch is ready.
    pub(crate) fn finish(self) -> Result<(Batch, Meaning), StoreError> {
        let Draft { mut batch, bals, folders, queue_due, failed, .. } = self;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut meaning = Meaning {
            bal_steps: Vec::new(),
            folder_steps: Vec::new(),
            changed: Vec::new(),
            queue_due: queue_due.into_iter().min(),
        };
        for b in bals {
            let key = keys::bal_counters(b.bal);
            meaning.bal_steps.push((b.modseq, b.bal));
            let bytes = batch.step(&key, bal_field::BYTES, b.bytes);
            if let Some(quota) = b.quota
                && b.bytes > 0
            {
                batch.at_most(bytes, i64::try_from(quota).unwrap_or(i64::MAX));
            }
            meaning.bal_steps.push((bytes, b.bal));
            let messages = batch.step(&key, bal_field::MESSAGES, b.messages);
            if b.quota.is_some() && b.messages > 0 {
                batch.at_most(messages, i64::try_from(MESSAGES_MAX).unwrap_or(i64::MAX));
            }
            meaning.bal_steps.push((messages, b.bal));
            if !b.log.is_empty() {
                batch.put_slots(
                    Space::Log,
                    (keys::log(b.bal, ModSeq(0)), vec![Slot::u64(b.modseq, keys::LOG_MODSEQ_AT)]),
                    (b.log.0.into(), b.log_slots),
                    When::Always,
                );
            }
            for f in folders.iter().filter(|f| f.bal == b.bal) {
                let key = keys::folder_counters(f.bal, f.folder);
                meaning.folder_steps.push(f.validity);
                batch.same(&key, folder_field::MODSEQ, b.modseq);
                batch.step(&key, folder_field::MESSAGES, f.messages);
                batch.step(&key, folder_field::UNSEEN, f.unseen);
                batch.step(&key, folder_field::DELETED, f.deleted);
                batch.step(&key, folder_field::BYTES, f.bytes);
                meaning.changed.push((f.bal, f.folder, b.modseq));
            }
        }
        Ok((batch, meaning))
    }

    /// Refuses the draft unless this holds.
    pub(crate) fn expect(&mut self, expect: Expect) {
        self.batch.expect(expect);
    }
}
