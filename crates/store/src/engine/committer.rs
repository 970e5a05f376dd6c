//! The one thread that writes: group commit.

use super::batch::Edit;
use super::chain::Heads;
use super::counters::Counters;
use super::overlay::Overlay;
use super::{
    Backend, Batch, Committed, Durability, EngineError, Expect, Op, Reader, Refused, Slot, Space,
    StepId, When, read,
};
use crate::limits::{
    BATCH_BYTES_WAITING_MAX, BATCHES_WAITING_MAX, GROUP_BATCHES_MAX, GROUP_BYTES_MAX,
};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a batch's owner is told.
pub(crate) type Answer = Result<Committed, EngineError>;

/// First and longest pause between attempts to open a broken engine again.
const REOPEN_PAUSE_FIRST: Duration = Duration::from_millis(100);
const REOPEN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Calls its function once, whatever happens: a batch that is dropped unanswered gets `Unavailable`.
struct Reply(Option<Box<dyn FnOnce(Answer) + Send>>);

impl Reply {
    fn send(mut self, answer: Answer) {
        self.call(answer);
    }

    fn call(&mut self, answer: Answer) {
        // A listener that panics must not take the committer with it.
        if let Some(f) = self.0.take()
            && catch_unwind(AssertUnwindSafe(|| f(answer))).is_err()
        {
            tracing::error!("a commit listener panicked");
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.call(Err(stopped()));
    }
}

fn stopped() -> EngineError {
    EngineError::Unavailable("the store is closing".to_owned())
}

struct Job {
    batch: Batch,
    bytes: usize,
    reply: Reply,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

/// Counts for the metrics.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) batches: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) reopened: AtomicU64,
    pub(crate) broken: AtomicBool,
}

struct Shared {
    backend: Arc<dyn Backend>,
    waiting: Mutex<Waiting>,
    /// Something to do, or closed.
    work: Condvar,
    /// Room for another batch.
    room: Condvar,
    counts: Counts,
    /// Of the last failed write.
    cause: Mutex<EngineError>,
    sync: bool,
}

impl Shared {
    fn broke(&self, error: &EngineError) {
        *self.cause.lock() = error.clone();
        self.counts.broken.store(true, Ordering::Release);
    }

    /// What a batch is told while the engine does not write.
    fn excuse(&self) -> EngineError {
        match &*self.cause.lock() {
            EngineError::Full => EngineError::Full,
            _ => EngineError::Unavailable("the disk refused a write; trying again".to_owned()),
        }
    }
}

/// A storage engine with its committer. Closing waits for every batch that was handed in.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the committer. Without `sync` even synced batches do not wait for the disk.
    pub(crate) fn start(backend: Arc<dyn Backend>, sync: bool) -> Result<Engine, EngineError> {
        let shared = Arc::new(Shared {
            backend,
            waiting: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            counts: Counts::default(),
            cause: Mutex::new(stopped()),
            sync,
        });
        let own = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || {
                let closing = CloseOnDrop(own);
                Committer {
                    shared: &closing.0,
                    counters: Counters::default(),
                    heads: Heads::default(),
                }
                .run();
            })
            .map_err(|e| EngineError::Unavailable(format!("no committer thread: {e}")))?;
        Ok(Engine { shared, thread: Some(thread) })
    }

    /// Reads on one consistent snapshot of everything answered so far.
    pub(crate) fn read<T>(
        &self,
        f: impl FnOnce(&dyn Reader) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        read(&*self.shared.backend, f)
    }

    /// One key, latest state.
    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.shared.backend.get(space, key)
    }

    /// Applies a batch and waits for its answer; waits also for room in the queue.
    pub(crate) fn commit(&self, batch: Batch) -> Answer {
        let cell = Arc::new((Mutex::new(None), Condvar::new()));
        let own = cell.clone();
        let reply = Box::new(move |answer| {
            *own.0.lock() = Some(answer);
            own.1.notify_one();
        });
        let mut waiting = self.shared.waiting.lock();
        while !waiting.closed && !waiting.has_room() {
            self.shared.room.wait(&mut waiting);
        }
        self.push(waiting, batch, reply);
        let mut answer = cell.0.lock();
        loop {
            match answer.take() {
                Some(answer) => return answer,
                None => cell.1.wait(&mut answer),
            }
        }
    }

    /// Applies a batch; `done` is called from the committing thread, or at once when the queue is full.
    pub(crate) fn commit_then(&self, batch: Batch, done: Box<dyn FnOnce(Answer) + Send>) {
        let waiting = self.shared.waiting.lock();
        if !waiting.closed && !waiting.has_room() {
            drop(waiting);
            return done(Err(EngineError::Busy));
        }
        self.push(waiting, batch, done);
    }

    fn push(
        &self,
        mut waiting: parking_lot::MutexGuard<'_, Waiting>,
        batch: Batch,
        done: Box<dyn FnOnce(Answer) + Send>,
    ) {
        let reply = Reply(Some(done));
        if waiting.closed {
            drop(waiting);
            return reply.send(Err(stopped()));
        }
        let bytes = batch.bytes();
        waiting.bytes += bytes;
        waiting.jobs.push_back(Job { batch, bytes, reply });
        drop(waiting);
        self.shared.work.notify_one();
    }

    /// Rows written around the committer, unsynced: pieces of bodies that nothing refers to yet. A later synced
    /// batch makes them durable too, since the log is sequential.
    pub(crate) fn write_unreferenced(&self, ops: &[Op]) -> Result<(), EngineError> {
        if self.shared.counts.broken.load(Ordering::Acquire) {
            return Err(self.shared.excuse());
        }
        let result = self.shared.backend.write(ops, false);
        if let Err(error) = &result {
            self.shared.broke(error);
            let _waiting = self.shared.waiting.lock(); // no wake is lost
            self.shared.work.notify_one();
        }
        result
    }

    /// The engine itself, for checkpoints and measures.
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.shared.backend
    }

    /// Counts since the start.
    pub(crate) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Batches that wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.waiting.lock().jobs.len()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.waiting.lock().closed = true;
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        let Some(thread) = self.thread.take() else { return };
        // The last owner may be a callback that the committer itself runs: it ends by itself then.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the committer panicked");
        }
    }
}

/// If the committer ever ends by itself, whoever waits is answered.
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.closed = true;
        let jobs = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        drop(jobs);
        self.0.room.notify_all();
    }
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.jobs.len() < BATCHES_WAITING_MAX && self.bytes < BATCH_BYTES_WAITING_MAX
    }
}

struct Committer<'a> {
    shared: &'a Shared,
    counters: Counters,
    heads: Heads,
}

/// A group being built.
#[derive(Default)]
struct Group {
    overlay: Overlay,
    ops: Vec<Op>,
    applied: Vec<(Reply, Committed)>,
    synced: bool,
}

impl Committer<'_> {
    fn run(&mut self) {
        loop {
            if self.shared.counts.broken.load(Ordering::Acquire) && !self.recover() {
                return;
            }
            match self.take() {
                Some(jobs) => self.write(jobs),
                None => return,
            }
        }
    }

    /// Every waiting batch up to the bounds of a group; empty when woken by a failed side write; `None` when closed
    /// and empty.
    fn take(&self) -> Option<Vec<Job>> {
        let mut waiting = self.shared.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            if self.shared.counts.broken.load(Ordering::Acquire) {
                return Some(Vec::new());
            }
            self.shared.work.wait(&mut waiting);
        }
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while jobs.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
            let Some(job) = waiting.jobs.pop_front() else { break };
            bytes += job.bytes;
            jobs.push(job);
        }
        waiting.bytes -= bytes;
        drop(waiting);
        self.shared.room.notify_all();
        Some(jobs)
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let mut group = Group::default();
        let counts = &self.shared.counts;
        for Job { batch, reply, .. } in jobs {
            let durability = batch.durability;
            match self.add(&mut group, batch) {
                Ok(committed) => {
                    group.synced |= durability == Durability::Synced;
                    group.applied.push((reply, committed));
                }
                Err(error) => {
                    counts.refused.fetch_add(1, Ordering::Relaxed);
                    reply.send(Err(error));
                }
            }
        }
        for (key, row) in self.counters.take_dirty() {
            group.ops.push(match row {
                Some(row) => Op::Put(Space::Counters, key, row.encode()),
                None => Op::Delete(Space::Counters, key),
            });
        }
        for ((space, key), digest) in self.heads.take_dirty() {
            group.ops.push(Op::Put(space, key, digest.to_vec()));
        }
        let result = match group.ops.is_empty() {
            true => Ok(()),
            false => self.shared.backend.write(&group.ops, group.synced && self.shared.sync),
        };
        if let Err(error) = &result {
            // What is on disk is unknown until it is read again.
            tracing::error!(%error, "a group could not be written");
            self.counters.forget();
            self.heads.forget();
            self.shared.broke(error);
        }
        self.counters.bound();
        counts.groups.fetch_add(1, Ordering::Relaxed);
        counts.batches.fetch_add(group.applied.len() as u64, Ordering::Relaxed);
        for (reply, committed) in group.applied {
            reply.send(result.clone().map(|()| committed));
        }
    }

    /// Checks a batch against everything before it, and adds it to the group whole or not at all.
    fn add(&mut self, group: &mut Group, batch: Batch) -> Answer {
        let backend = &*self.shared.backend;
        for (i, expect) in batch.expects.iter().enumerate() {
            if !holds(backend, &group.overlay, expect)? {
                return Err(EngineError::Refused(Refused::Expectation(i)));
            }
        }
        for edit in &batch.edits {
            if let Edit::Chained { space, head, .. } = edit {
                self.heads.load(backend, *space, head)?;
            }
        }
        let draft = self.counters.run(backend, &batch.steps)?;
        check_slots(&batch, &draft.results)?;
        let mut guards = Vec::with_capacity(batch.guards.len());
        for (space, key) in &batch.guards {
            guards.push(group.overlay.has(backend, *space, key)?);
        }
        let steps = super::Steps(draft.results.clone());
        for edit in batch.edits {
            group.edit(edit, &steps.0, &guards, &mut self.heads);
        }
        self.counters.apply(draft, &batch.counter_deletes);
        Ok(Committed { steps, guards })
    }

    /// Until the engine writes again: answers everybody, then opens it again, with growing pauses. False when the
    /// store closes meanwhile.
    fn recover(&mut self) -> bool {
        let mut pause = REOPEN_PAUSE_FIRST;
        let mut next = Instant::now();
        loop {
            {
                let mut waiting = self.shared.waiting.lock();
                if waiting.jobs.is_empty() && !waiting.closed {
                    self.shared.work.wait_until(&mut waiting, next);
                }
                let closed = waiting.closed;
                waiting.bytes = 0;
                let jobs = std::mem::take(&mut waiting.jobs);
                drop(waiting);
                self.shared.room.notify_all();
                let error = self.shared.excuse();
                for job in jobs {
                    job.reply.send(Err(error.clone()));
                }
                if closed {
                    return false;
                }
            }
            if Instant::now() < next {
                continue;
            }
            match self.shared.backend.reopen() {
                Ok(()) => {
                    tracing::warn!("the store writes again");
                    self.counters.forget();
                    self.heads.forget();
                    self.shared.counts.reopened.fetch_add(1, Ordering::Relaxed);
                    self.shared.counts.broken.store(false, Ordering::Release);
                    return true;
                }
                Err(error) => tracing::warn!(%error, "the store still cannot write"),
            }
            next = Instant::now() + pause;
            pause = (pause * 2).min(REOPEN_PAUSE_MAX);
        }
    }
}

fn holds(backend: &dyn Backend, overlay: &Overlay, expect: &Expect) -> Result<bool, EngineError> {
    Ok(match expect {
        Expect::Absent(space, key) => !overlay.has(backend, *space, key)?,
        Expect::Present(space, key) => overlay.has(backend, *space, key)?,
        Expect::Equals(space, key, value) => {
            overlay.get(backend, *space, key)?.as_ref() == Some(value)
        }
        Expect::NoneUnder(space, prefix) => overlay.none_under(backend, *space, prefix)?,
    })
}

/// A result must fit each of its slots, so that patching cannot fail half-way.
fn check_slots(batch: &Batch, results: &[i64]) -> Result<(), EngineError> {
    for edit in &batch.edits {
        let patched = match edit {
            Edit::Put { key, value, key_slots, value_slots, .. } => {
                [(key_slots, key.len()), (value_slots, value.len())]
            }
            Edit::Chained { key, key_slots, link: (link, link_slots), .. } => {
                [(key_slots, key.len()), (link_slots, link.len())]
            }
            Edit::Delete { .. } | Edit::DeleteRange { .. } => continue,
        };
        for (slots, len) in patched {
            for slot in slots {
                let fits = match (results.get(slot.step.0), slot.width) {
                    (Some(v), 4) => u32::try_from(*v).is_ok(),
                    (Some(v), 8) => *v >= 0,
                    _ => false,
                };
                if !fits || slot.at + slot.width > len {
                    return Err(EngineError::Refused(Refused::Overflow(slot.step)));
                }
            }
        }
    }
    Ok(())
}

fn patch(bytes: &mut [u8], slots: &[Slot], results: &[i64]) {
    for Slot { step: StepId(step), at, width } in slots {
        let value = results.get(*step).copied().unwrap_or(0).to_be_bytes();
        if let Some(target) = bytes.get_mut(*at..at + width) {
            target.copy_from_slice(&value[8 - width..]);
        }
    }
}

impl Group {
    fn edit(&mut self, edit: Edit, results: &[i64], guards: &[bool], heads: &mut Heads) {
        let applies = |when: When| match when {
            When::Always => true,
            When::Absent(g) => guards.get(g.0) == Some(&false),
            When::Present(g) => guards.get(g.0) == Some(&true),
        };
        let op = match edit {
            Edit::Put { space, mut key, value, key_slots, value_slots, when } if applies(when) => {
                let mut value = value.into_vec();
                patch(&mut key, &key_slots, results);
                patch(&mut value, &value_slots, results);
                Op::Put(space, key, value)
            }
            Edit::Chained { space, mut key, value, key_slots, link, head } => {
                let (mut link, link_slots) = link;
                patch(&mut key, &key_slots, results);
                patch(&mut link, &link_slots, results);
                let digest = heads.add((space, &head), &key, &value);
                self.push(Op::Put(space, link, [&key[..], &digest].concat()));
                Op::Put(space, key, value)
            }
            Edit::Delete { space, key, when } if applies(when) => Op::Delete(space, key),
            Edit::DeleteRange { space, from, to } => Op::DeleteRange(space, from, to),
            _ => return,
        };
        self.push(op);
    }

    fn push(&mut self, op: Op) {
        self.overlay.note(&op);
        self.ops.push(op);
    }
}
