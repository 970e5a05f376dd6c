//! Every invariant of the rows, verified on one snapshot.

mod sharing;

use crate::blob::{blob_row, read_range};
use crate::directory::counter_row;
use crate::engine::{CounterRow, Direction, EngineError, Reader, Space, after};
use crate::folder::rows_of;
use crate::keys::{self, Holder, UploadId, bal_field, folder_field, global};
use crate::limits::{CHECK_PROBLEMS_MAX, CHUNK_BYTES};
use crate::rows::{self, BlobRow, BodyRow, DueRow, LogKind, MetaRow, QueueRow, QueueState};
use crate::{BlobDigest, CheckReport, JournalLine, Store, StoreError};
use palombe_vocabulary::{BalId, BalStatus, FolderId, ModSeq, QueueId, Uid};
use std::collections::{HashMap, HashSet};

/// How deep a check looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckDepth {
    /// Rows, links, counts; that every piece of a body is there.
    Rows,
    /// Also the octets of every body against its digest.
    Bodies,
}

type Result<T> = std::result::Result<T, EngineError>;

struct Check<'a> {
    reader: &'a dyn Reader,
    blob_key: &'a [u8; 32],
    depth: CheckDepth,
    report: CheckReport,
}

impl Store {
    /// Verifies every invariant on one snapshot; problems are told, nothing is changed.
    ///
    /// # Errors
    /// The engine's.
    pub fn check(&self) -> std::result::Result<CheckReport, StoreError> {
        self.check_to(CheckDepth::Rows)
    }

    /// As [`Store::check`], to this depth.
    ///
    /// # Errors
    /// The engine's.
    pub fn check_to(&self, depth: CheckDepth) -> std::result::Result<CheckReport, StoreError> {
        let bals: Vec<(BalId, BalStatus)> = {
            let directory = self.inner.directory.read();
            directory.all().map(|b| (b.id, b.status)).collect()
        };
        self.inner.read(|reader| {
            let report = CheckReport::default();
            let blob_key = &self.inner.blob_key;
            let mut check = Check { reader, blob_key, depth, report };
            check.directory()?;
            for (bal, status) in &bals {
                check.bal(*bal, *status)?;
            }
            crate::search::check(reader, &bals, &mut |problem| check.problem(|| problem))?;
            check.sharing()?;
            check.strays()?;
            check.links()?;
            check.blobs()?;
            check.queue()?;
            check.journal()?;
            Ok(check.report)
        })
    }
}

/// Sums over the messages of a folder.
#[derive(Default)]
struct Sums {
    messages: i64,
    unseen: i64,
    deleted: i64,
    bytes: i64,
    uid: i64,
    modseq: i64,
}

impl Check<'_> {
    fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.report.problems.len() < CHECK_PROBLEMS_MAX {
            self.report.problems.push(text());
        }
    }

    fn expect(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.problem(text);
        }
    }

    /// Rows of one kind, read before they are looked at: the visitor may read and complain.
    fn each(
        &mut self,
        space: Space,
        prefix: &[u8],
        mut look: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let reader = self.reader;
        reader.scan(space, prefix, &after(prefix), Direction::Up, &mut |key, value| {
            match look(self, key, value) {
                Err(EngineError::Corrupt(what)) => self.problem(|| what),
                other => other?,
            }
            Ok(true)
        })
    }

    fn counters(&mut self, key: &[u8], what: impl FnOnce() -> String) -> Result<CounterRow> {
        let row = counter_row(self.reader, key)?;
        self.expect(row.is_some(), || format!("{} has no counters", what()));
        Ok(row.unwrap_or_default())
    }

    fn directory(&mut self) -> Result<()> {
        self.each(Space::Directory, keys::PURGES, |check, key, _| {
            let (bal, folder) = keys::purge_parts(key).ok_or_else(|| rows::damaged("a purge"))?;
            check.problem(|| format!("the purge of folder {folder} of BAL {bal} is not finished"));
            Ok(())
        })?;
        self.each(Space::Directory, keys::BALS, |check, _, value| {
            let bal = crate::Bal::from(rows::decode::<rows::StoredBal>(value, "a BAL row")?);
            let row = check.reader.get(Space::Directory, &keys::address(&bal.address))?;
            let same = row.as_deref() == Some(&bal.id.0.to_be_bytes());
            check.expect(same, || format!("the address of BAL {} leads elsewhere", bal.id));
            Ok(())
        })
    }

    fn bal(&mut self, bal: BalId, status: BalStatus) -> Result<()> {
        let folders = rows_of(self.reader, bal)?;
        if status == BalStatus::Deleted {
            self.expect(folders.is_empty(), || format!("the deleted BAL {bal} has folders"));
            return Ok(());
        }
        self.report.counts.bals += 1;
        let key = keys::bal_counters(bal);
        let counters = self.counters(&key, || format!("BAL {bal}"))?;
        let (mut bytes, mut messages) = (0, 0);
        let mut names = HashSet::new();
        for (folder, row) in folders {
            self.expect(names.insert(row.name), || format!("BAL {bal} has a folder name twice"));
            self.expect(i64::from(folder.0) <= counters.0[bal_field::FOLDER], || {
                format!("folder {folder} of BAL {bal} is past the folder counter")
            });
            let sums = self.folder(bal, folder, &counters)?;
            bytes += sums.bytes;
            messages += sums.messages;
        }
        self.expect(counters.0[bal_field::BYTES] == bytes, || {
            format!("BAL {bal} counts {} octets, holds {bytes}", counters.0[bal_field::BYTES])
        });
        self.expect(counters.0[bal_field::MESSAGES] == messages, || {
            let counted = counters.0[bal_field::MESSAGES];
            format!("BAL {bal} counts {counted} messages, holds {messages}")
        });
        self.log(bal, counters.0[bal_field::MODSEQ])
    }

    fn folder(&mut self, bal: BalId, folder: FolderId, of_bal: &CounterRow) -> Result<Sums> {
        self.report.counts.folders += 1;
        let key = keys::folder_counters(bal, folder);
        let counters = self.counters(&key, || format!("folder {folder} of BAL {bal}"))?;
        let mut sums = Sums::default();
        self.each(Space::Messages, &keys::messages(bal, folder), |check, key, value| {
            check.message(&mut sums, key, value)
        })?;
        let told = |field: usize| counters.0[field];
        let pairs = [
            ("messages", told(folder_field::MESSAGES) == sums.messages),
            ("unseen", told(folder_field::UNSEEN) == sums.unseen),
            ("deleted", told(folder_field::DELETED) == sums.deleted),
            ("octets", told(folder_field::BYTES) == sums.bytes),
            ("uid", told(folder_field::UID) >= sums.uid),
            ("modseq", told(folder_field::MODSEQ) >= sums.modseq),
            ("modseq of the BAL", of_bal.0[bal_field::MODSEQ] >= told(folder_field::MODSEQ)),
            ("recent", told(folder_field::RECENT) <= told(folder_field::UID)),
            ("uid validity", told(folder_field::UID_VALIDITY) > 0),
        ];
        for (what, holds) in pairs {
            self.expect(holds, || format!("folder {folder} of BAL {bal}: wrong {what}"));
        }
        Ok(sums)
    }

    fn message(&mut self, sums: &mut Sums, key: &[u8], value: &[u8]) -> Result<()> {
        let (bal, folder, uid) =
            keys::message_parts(key).ok_or_else(|| rows::damaged("a message key"))?;
        let at = || format!("message {uid} of folder {folder} of BAL {bal}");
        self.report.counts.messages += 1;
        let meta = MetaRow::decode(value)?;
        sums.messages += 1;
        sums.unseen += i64::from(!meta.flags.seen);
        sums.deleted += i64::from(meta.flags.deleted);
        sums.bytes += meta.size as i64;
        sums.uid = sums.uid.max(i64::from(uid.0));
        sums.modseq = sums.modseq.max(meta.modseq as i64);
        let Some(body) = self.reader.get(Space::Bodies, key)? else {
            self.problem(|| format!("{} has no body row", at()));
            return Ok(());
        };
        let body: BodyRow = rows::decode(&body, "a body row")?;
        let size = body.prefix.len() as u64 + body.blob_size;
        self.expect(size == meta.size, || format!("{}: wrong size", at()));
        let blob = blob_row(self.reader, &body.digest)?;
        self.expect(blob.is_some_and(|b| b.size == body.blob_size), || {
            format!("{}: its body is absent or has another size", at())
        });
        let link = keys::link_message(&body.digest, bal, folder, uid);
        let linked = self.reader.get(Space::Blobs, &link)?.is_some();
        self.expect(linked, || format!("{}: no link to its body", at()));
        if meta.modseq <= crate::message::log_floor(self.reader, bal)?.0 {
            return Ok(());
        }
        let log = self.reader.get(Space::Log, &keys::log(bal, ModSeq(meta.modseq)))?;
        let entries = log.map(|l| rows::log_entries(&l)).transpose()?.unwrap_or_default();
        let logged = entries.contains(&(folder, LogKind::Changed, uid));
        self.expect(logged, || format!("{}: its last change is not in the log", at()));
        Ok(())
    }

    fn log(&mut self, bal: BalId, modseq: i64) -> Result<()> {
        let mut last: HashMap<(FolderId, Uid), LogKind> = HashMap::new();
        self.each(Space::Log, &bal.0.to_be_bytes(), |check, key, value| {
            let at =
                keys::u64_at(key, keys::LOG_MODSEQ_AT).ok_or_else(|| rows::damaged("a log key"))?;
            check.expect(at <= modseq.unsigned_abs(), || {
                format!("the log of BAL {bal} is past its modification sequence")
            });
            for (folder, kind, uid) in rows::log_entries(value)? {
                last.insert((folder, uid), kind);
            }
            Ok(())
        })?;
        for ((folder, uid), kind) in last {
            let gone = kind == LogKind::Vanished;
            let row = self.reader.get(Space::Messages, &keys::message(bal, folder, uid))?;
            self.expect(!(gone && row.is_some()), || {
                format!("message {uid} of folder {folder} of BAL {bal} vanished and is there")
            });
        }
        Ok(())
    }

    /// Messages and bodies outside every folder, counters of nobody.
    fn strays(&mut self) -> Result<()> {
        let mut messages = 0u64;
        self.each(Space::Messages, &[], |_, _, _| {
            messages += 1;
            Ok(())
        })?;
        let mut bodies = 0u64;
        self.each(Space::Bodies, &[], |_, _, _| {
            bodies += 1;
            Ok(())
        })?;
        let counted = self.report.counts.messages;
        self.expect(messages == counted, || format!("{messages} message rows, {counted} filed"));
        self.expect(bodies == counted, || format!("{bodies} body rows, {counted} filed"));
        let mut counters = 0u64;
        self.each(Space::Counters, b"F", |_, _, _| {
            counters += 1;
            Ok(())
        })?;
        let folders = self.report.counts.folders;
        self.expect(counters == folders, || format!("{counters} counter rows, {folders} folders"));
        Ok(())
    }

    fn links(&mut self) -> Result<()> {
        self.each(Space::Blobs, keys::LINKS, |check, key, _| {
            check.report.counts.links += 1;
            let (digest, holder) =
                keys::link_parts(key).ok_or_else(|| rows::damaged("a link key"))?;
            let held = match holder {
                Holder::Message(bal, folder, uid) => {
                    let row = check.reader.get(Space::Bodies, &keys::message(bal, folder, uid))?;
                    let row: Option<BodyRow> =
                        row.map(|r| rows::decode(&r, "a body row")).transpose()?;
                    row.is_some_and(|row| row.digest == digest)
                }
                Holder::Queue(id) => {
                    let row = check.reader.get(Space::Queue, &keys::queue_item(id))?;
                    let row: Option<QueueRow> =
                        row.map(|r| rows::decode(&r, "a queue row")).transpose()?;
                    row.is_some_and(|row| row.digest == digest)
                }
            };
            check.expect(held, || format!("a link of body {digest:?} has no holder: {holder:?}"));
            let blob = blob_row(check.reader, &digest)?;
            check.expect(blob.is_some(), || format!("a link to the absent body {digest:?}"));
            Ok(())
        })
    }

    fn blobs(&mut self) -> Result<()> {
        let mut uploads: HashSet<UploadId> = HashSet::new();
        let mut candidates: HashSet<BlobDigest> = HashSet::new();
        for (prefix, at) in [(keys::UNLINKED, 1), (keys::SWEEPS, 9)] {
            self.each(Space::Blobs, prefix, |_, key, _| {
                candidates.extend(keys::digest_at(key, at));
                Ok(())
            })?;
        }
        self.each(Space::Blobs, keys::UPLOADS, |_, key, _| {
            uploads.extend(keys::upload_parts(key));
            Ok(())
        })?;
        self.each(Space::Blobs, keys::BLOBS, |check, key, value| {
            let digest = keys::digest_at(key, 1).ok_or_else(|| rows::damaged("a blob key"))?;
            let row: BlobRow = rows::decode(value, "a blob row")?;
            check.report.counts.blobs += 1;
            uploads.insert(row.upload);
            check.blob(&digest, &row, candidates.contains(&digest))
        })?;
        self.each(Space::Chunks, &[], |check, key, _| {
            let (upload, _) = keys::chunk_parts(key).ok_or_else(|| rows::damaged("a chunk key"))?;
            let known = uploads.contains(&upload);
            check.expect(known, || format!("a piece of the unknown upload {upload:?}"));
            Ok(())
        })
    }

    fn blob(&mut self, digest: &BlobDigest, row: &BlobRow, candidate: bool) -> Result<()> {
        let links = keys::links(digest);
        let mut linked = false;
        self.reader.scan(Space::Blobs, &links, &after(&links), Direction::Up, &mut |_, _| {
            linked = true;
            Ok(false)
        })?;
        self.expect(linked || candidate, || format!("nobody refers to body {digest:?}"));
        let structure = self.reader.get(Space::Structures, &keys::structure(digest))?;
        self.expect(structure.is_some(), || format!("body {digest:?} has no structure"));
        if self.depth == CheckDepth::Rows {
            let from = keys::chunk(row.upload, 0);
            let to = keys::chunk(row.upload, u32::MAX);
            let mut pieces = 0;
            self.reader.scan(Space::Chunks, &from, &to, Direction::Up, &mut |_, _| {
                pieces += 1;
                Ok(true)
            })?;
            self.expect(pieces == row.chunks(), || format!("body {digest:?} lacks pieces"));
            return Ok(());
        }
        let mut hasher = blake3::Hasher::new_keyed(self.blob_key);
        let mut at = 0;
        while at < row.size {
            let piece = read_range(self.reader, row, at, CHUNK_BYTES)?;
            hasher.update(&piece);
            at += piece.len() as u64;
        }
        let same = *hasher.finalize().as_bytes() == digest.0;
        self.expect(same, || format!("the octets of body {digest:?} are not its own"));
        Ok(())
    }

    fn queue(&mut self) -> Result<()> {
        let counters = counter_row(self.reader, global::KEY)?.unwrap_or_default();
        let mut due = 0u64;
        self.each(Space::Queue, keys::QUEUE_ITEMS, |check, key, value| {
            let id =
                keys::u64_at(key, keys::QUEUE_ID_AT).ok_or_else(|| rows::damaged("a queue key"))?;
            check.report.counts.queue_items += 1;
            let past = id > counters.0[global::QUEUE].unsigned_abs();
            check.expect(!past, || format!("queue entry {id:016x} is past its counter"));
            let row: QueueRow = rows::decode(value, "a queue row")?;
            due += u64::from(check.entry(QueueId(id), &row)?);
            Ok(())
        })?;
        let (mut states, mut indexed) = (0u64, 0u64);
        self.each(Space::Queue, keys::QUEUE_STATES, |_, _, _| {
            states += 1;
            Ok(())
        })?;
        self.each(Space::Queue, keys::QUEUE_DUE, |_, _, _| {
            indexed += 1;
            Ok(())
        })?;
        let items = self.report.counts.queue_items;
        self.expect(states == items, || format!("{states} queue states, {items} entries"));
        self.expect(indexed == due, || format!("{indexed} rows in the due index, {due} expected"));
        Ok(())
    }

    /// True when the entry stands in the due index.
    fn entry(&mut self, id: QueueId, row: &QueueRow) -> Result<bool> {
        let blob = blob_row(self.reader, &row.digest)?;
        self.expect(blob.is_some_and(|b| b.size == row.blob_size), || {
            format!("queue entry {id}: its body is absent or has another size")
        });
        let link = keys::link_queue(&row.digest, id);
        let linked = self.reader.get(Space::Blobs, &link)?.is_some();
        self.expect(linked, || format!("queue entry {id}: no link to its body"));
        let Some(state) = self.reader.get(Space::Queue, &keys::queue_state(id))? else {
            self.problem(|| format!("queue entry {id} has no state"));
            return Ok(false);
        };
        let state: QueueState = rows::decode(&state, "a queue state")?;
        let Some(due) = state.due() else { return Ok(false) };
        let key = keys::due(keys::lane(row.item.priority), due, id);
        let found = self.reader.get(Space::Queue, &key)?;
        let found: Option<DueRow> = found.map(|f| rows::decode(&f, "a due row")).transpose()?;
        self.expect(found == Some(DueRow::from(&row.item)), || {
            format!("queue entry {id} is not in the due index as it should")
        });
        Ok(true)
    }

    fn journal(&mut self) -> Result<()> {
        let counters = counter_row(self.reader, global::KEY)?.unwrap_or_default();
        let last = counters.0[global::JOURNAL].unsigned_abs();
        let mut expected = 0u64;
        self.each(Space::Journal, keys::JOURNAL_LINES, |check, key, value| {
            check.report.counts.journal_lines += 1;
            let seq = keys::u64_at(key, keys::LINE_SEQ_AT)
                .ok_or_else(|| rows::damaged("a journal key"))?;
            check.expect(seq <= last, || format!("journal line {seq} is past its counter"));
            let line: JournalLine = rows::decode(value, "a journal line")?;
            for (kind, hash) in crate::journal::index_of(check.blob_key, &line) {
                expected += 1;
                let index = keys::journal_index(kind, hash, line.at, seq);
                let found = check.reader.get(Space::Journal, &index)?.is_some();
                check.expect(found, || format!("journal line {seq} is not indexed"));
            }
            Ok(())
        })?;
        for problem in crate::proof::verify(self.reader)?.problems {
            self.problem(|| format!("journal: {problem}"));
        }
        let mut found = 0u64;
        self.each(Space::Journal, b"i", |_, _, _| {
            found += 1;
            Ok(())
        })?;
        self.expect(found == expected, || {
            format!("{found} index rows of the journal, {expected} expected")
        });
        Ok(())
    }
}
