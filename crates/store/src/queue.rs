//! The outgoing queue: entries, leases with a fence, and the due index `lane | due | id`.

use crate::accept::keep_all;
use crate::draft::Draft;
use crate::engine::{Direction, Durability, EngineError, Expect, Reader, Space, after};
use crate::keys::{self, LANES};
use crate::limits::CONFLICT_ATTEMPTS_MAX;
use crate::rows::{self, DueRow, QueueRow, QueueState};
use crate::{
    Accepted, DueEntry, JournalLine, Lease, NewQueueItem, QueueChange, QueueFilter, QueueItem,
    Settlement, Store, StoreError,
};
use palombe_vocabulary::{QueueId, Timestamp};
use std::sync::mpsc::channel;

/// An entry as it is now, with the octets of its state for the precondition.
struct Found {
    row: QueueRow,
    state: QueueState,
    state_bytes: Vec<u8>,
}

fn find(reader: &dyn Reader, id: QueueId) -> Result<Option<Found>, EngineError> {
    let Some(row) = reader.get(Space::Queue, &keys::queue_item(id))? else { return Ok(None) };
    let state_bytes = reader
        .get(Space::Queue, &keys::queue_state(id))?
        .ok_or_else(|| rows::damaged("a queue entry without its state"))?;
    Ok(Some(Found {
        row: rows::decode(&row, "a queue row")?,
        state: rows::decode(&state_bytes, "a queue state")?,
        state_bytes,
    }))
}

impl Found {
    fn item(self, id: QueueId) -> QueueItem {
        let QueueState { next_due, .. } = self.state;
        QueueItem {
            id,
            item: NewQueueItem { next_due, ..self.row.item },
            digest: self.row.digest,
            blob_size: self.row.blob_size,
            attempts: self.state.attempts,
            last_attempt_at: self.state.last_attempt_at,
            last_reply: self.state.last_reply,
            delay_warned: self.state.delay_warned,
            held: self.state.held,
            lease: self.state.lease,
        }
    }
}

impl Draft {
    /// The entry gets another state, and its place in the due index; nobody may have changed it meanwhile.
    fn requeue(&mut self, id: QueueId, found: &Found, new: &QueueState) -> Result<(), StoreError> {
        let key = keys::queue_state(id);
        self.expect(Expect::Equals(Space::Queue, key.clone(), found.state_bytes.clone()));
        self.batch.put(Space::Queue, key, rows::encode(new)?);
        let lane = keys::lane(found.row.item.priority);
        if let Some(due) = found.state.due() {
            self.batch.delete(Space::Queue, keys::due(lane, due, id));
        }
        if let Some(due) = new.due() {
            let row = rows::encode(&DueRow::from(&found.row.item))?;
            self.batch.put(Space::Queue, keys::due(lane, due, id), row);
            self.queue_news(due);
        }
        Ok(())
    }

    /// The entry goes, and its link.
    fn dequeue(&mut self, id: QueueId, found: &Found) {
        let key = keys::queue_state(id);
        self.expect(Expect::Equals(Space::Queue, key.clone(), found.state_bytes.clone()));
        self.batch.delete(Space::Queue, key);
        self.batch.delete(Space::Queue, keys::queue_item(id));
        if let Some(due) = found.state.due() {
            let lane = keys::lane(found.row.item.priority);
            self.batch.delete(Space::Queue, keys::due(lane, due, id));
        }
        let digest = found.row.digest;
        self.unlink(&digest, keys::link_queue(&digest, id));
    }
}

impl Store {
    /// Entries that are due, most urgent lane first, then the longest due; claimed ones left out until their lease
    /// ends.
    ///
    /// # Errors
    /// The engine's.
    pub fn queue_due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueEntry>, StoreError> {
        self.queue_due_where(now, limit, &|_| true)
    }

    /// As [`Store::queue_due`], passing over entries that are not wanted now: a destination that is busy does not
    /// hide the others.
    ///
    /// # Errors
    /// The engine's.
    pub fn queue_due_where(
        &self,
        now: Timestamp,
        limit: usize,
        wanted: &dyn Fn(&DueEntry) -> bool,
    ) -> Result<Vec<DueEntry>, StoreError> {
        let mut out = Vec::new();
        self.inner.read(|r| {
            for lane in 0..LANES {
                if out.len() >= limit {
                    break;
                }
                let from = keys::due_from(lane, Timestamp(i64::MIN));
                let to = keys::due_from(lane, now.plus_millis(1));
                r.scan(Space::Queue, &from, &to, Direction::Up, &mut |key, value| {
                    let entry = due_entry(key, value)?;
                    if wanted(&entry) {
                        out.push(entry);
                    }
                    Ok(out.len() < limit)
                })?;
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// When the next entry is due, if any waits; may be in the past.
    ///
    /// # Errors
    /// The engine's.
    pub fn queue_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut next: Option<Timestamp> = None;
        self.inner.read(|r| {
            for lane in 0..LANES {
                let from = keys::due_from(lane, Timestamp(i64::MIN));
                let to = after(&[keys::QUEUE_DUE, &[lane]].concat());
                r.scan(Space::Queue, &from, &to, Direction::Up, &mut |key, _| {
                    let (_, due, _) =
                        keys::due_parts(key).ok_or_else(|| rows::damaged("a due key"))?;
                    next = Some(next.map_or(due, |n| n.min(due)));
                    Ok(false)
                })?;
            }
            Ok(())
        })?;
        Ok(next)
    }

    /// Claims entries until `lease_until`; those that are gone, held, or claimed by a living lease are left out.
    /// Unsynced: after a crash every lease is void anyway.
    ///
    /// # Errors
    /// The engine's.
    pub fn queue_claim(
        &self,
        ids: &[QueueId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<QueueItem>, StoreError> {
        // Handed in together, so that they wait for one group, not for one each.
        let (tell, told) = channel();
        for (at, id) in ids.iter().enumerate() {
            let Some((draft, found)) = self.draft_claim(*id, now, lease_until)? else { continue };
            let (batch, meaning) = draft.finish()?;
            let (tell, inner, id) = (tell.clone(), self.inner.clone(), *id);
            let done = move |answer| {
                let claimed = inner.settle(answer, &meaning).map(|_| found.item(id));
                // Nobody listens only when an earlier claim failed hard.
                let _ = tell.send((at, claimed));
            };
            self.inner.engine.commit_then(batch, Box::new(done));
        }
        drop(tell);
        let mut out = Vec::with_capacity(ids.len());
        for (at, claimed) in told {
            match claimed {
                Ok(item) => out.push((at, item)),
                Err(StoreError::Conflict | StoreError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        out.sort_by_key(|(at, _)| *at);
        Ok(out.into_iter().map(|(_, item)| item).collect())
    }

    /// The entry as it will be claimed; `None` when it is gone, held or taken.
    fn draft_claim(
        &self,
        id: QueueId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(Draft, Found)>, StoreError> {
        let Some(mut found) = self.inner.read(|r| find(r, id))? else { return Ok(None) };
        let taken = found.state.lease.as_ref().is_some_and(|lease| lease.until > now);
        if taken || found.state.held {
            return Ok(None);
        }
        let fence = found.state.fence + 1;
        let lease = Lease { until, fence };
        let state = QueueState { lease: Some(lease), fence, ..found.state.clone() };
        let mut draft = self.draft(Durability::Relaxed);
        draft.requeue(id, &found, &state)?;
        found.state = state;
        Ok(Some((draft, found)))
    }

    /// Changes an entry's state, again when another change crossed it.
    fn change_state(
        &self,
        id: QueueId,
        durability: Durability,
        change: impl Fn(&QueueState) -> Result<QueueState, StoreError>,
    ) -> Result<(), StoreError> {
        for _ in 0..CONFLICT_ATTEMPTS_MAX {
            let found = self.inner.read(|r| find(r, id))?;
            let found = found.ok_or(StoreError::UnknownQueueItem)?;
            let state = change(&found.state)?;
            if state == found.state {
                return Ok(());
            }
            let mut draft = self.draft(durability);
            draft.requeue(id, &found, &state)?;
            match self.inner.commit(draft) {
                Err(StoreError::Conflict) => {}
                other => return other.map(|_| ()),
            }
        }
        Err(StoreError::Busy)
    }

    /// Gives a claimed entry back untouched: due as before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the lease was lost, [`StoreError::UnknownQueueItem`], or the engine's.
    pub fn queue_release(&self, id: QueueId, fence: u64) -> Result<(), StoreError> {
        self.change_state(id, Durability::Relaxed, |state| {
            check_fence(state, fence)?;
            Ok(QueueState { lease: None, ..state.clone() })
        })
    }

    /// Ends an attempt in one synced batch: the entry changes or goes, reports are accepted, the journal tells.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the lease was lost or the entry is gone, or as [`Store::accept`].
    pub fn queue_settle(&self, settlement: Settlement) -> Result<Vec<Accepted>, StoreError> {
        for _ in 0..CONFLICT_ATTEMPTS_MAX {
            let found = self.inner.read(|r| find(r, settlement.id))?;
            let found = found.ok_or(StoreError::Conflict)?;
            check_fence(&found.state, settlement.fence)?;
            let mut draft = self.draft(Durability::Synced);
            self.draft_settlement(&mut draft, &settlement, &found)?;
            let promises = self.draft_acceptances(&mut draft, &settlement.reports)?;
            settlement.journal.iter().for_each(|line| draft.line(line));
            match self.inner.commit(draft) {
                Ok(committed) => {
                    keep_all(settlement.reports);
                    return Ok(promises.iter().map(|p| p.told(&committed.steps)).collect());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    fn draft_settlement(
        &self,
        draft: &mut Draft,
        settlement: &Settlement,
        found: &Found,
    ) -> Result<(), StoreError> {
        let id = settlement.id;
        let QueueChange::Keep {
            recipients,
            next_due,
            attempts,
            last_attempt_at,
            last_reply,
            delay_warned,
        } = &settlement.change
        else {
            draft.dequeue(id, found);
            return Ok(());
        };
        let state = QueueState {
            attempts: *attempts,
            last_attempt_at: Some(*last_attempt_at),
            last_reply: last_reply.clone(),
            delay_warned: *delay_warned,
            held: found.state.held,
            lease: None,
            fence: found.state.fence,
            next_due: *next_due,
        };
        draft.requeue(id, found, &state)?;
        if *recipients != found.row.item.recipients {
            let item = NewQueueItem { recipients: recipients.clone(), ..found.row.item.clone() };
            let row = QueueRow { item, ..found.row.clone() };
            draft.batch.put(Space::Queue, keys::queue_item(id), rows::encode(&row)?);
        }
        Ok(())
    }

    /// Entries in order of number.
    ///
    /// # Errors
    /// The engine's.
    pub fn queue_items(
        &self,
        filter: &QueueFilter,
        limit: usize,
    ) -> Result<Vec<QueueItem>, StoreError> {
        let mut out = Vec::new();
        if limit == 0 {
            return Ok(out);
        }
        let end = after(keys::QUEUE_ITEMS);
        self.inner.read(|r| {
            r.scan(Space::Queue, keys::QUEUE_ITEMS, &end, Direction::Up, &mut |key, _| {
                let id = keys::u64_at(key, keys::QUEUE_ID_AT)
                    .ok_or_else(|| rows::damaged("a queue key"))?;
                let id = QueueId(id);
                let found = find(r, id)?.map(|found| found.item(id));
                out.extend(found.filter(|item| matches(filter, item)));
                Ok(out.len() < limit)
            })
        })?;
        Ok(out)
    }

    /// One entry.
    ///
    /// # Errors
    /// The engine's.
    pub fn queue_item(&self, id: QueueId) -> Result<Option<QueueItem>, StoreError> {
        Ok(self.inner.read(|r| find(r, id))?.map(|found| found.item(id)))
    }

    /// Holds an entry back, or lets it go on. An attempt under way still ends.
    ///
    /// # Errors
    /// [`StoreError::UnknownQueueItem`], or the engine's.
    pub fn queue_hold(&self, id: QueueId, held: bool) -> Result<(), StoreError> {
        let change = |state: &QueueState| Ok(QueueState { held, ..state.clone() });
        self.change_state(id, Durability::Synced, change)
    }

    /// Makes an entry due now; an attempt under way goes on.
    ///
    /// # Errors
    /// [`StoreError::UnknownQueueItem`], or the engine's.
    pub fn queue_retry(&self, id: QueueId, now: Timestamp) -> Result<(), StoreError> {
        let change = |state: &QueueState| {
            let lease = state.lease.filter(|lease| lease.until > now);
            Ok(QueueState { next_due: state.next_due.min(now), lease, ..state.clone() })
        };
        self.change_state(id, Durability::Synced, change)
    }

    /// Drops an entry: nothing is sent, nothing is reported but to the journal.
    ///
    /// # Errors
    /// [`StoreError::UnknownQueueItem`], or the engine's.
    pub fn queue_drop(&self, id: QueueId, journal: Vec<JournalLine>) -> Result<(), StoreError> {
        for _ in 0..CONFLICT_ATTEMPTS_MAX {
            let found = self.inner.read(|r| find(r, id))?;
            let found = found.ok_or(StoreError::UnknownQueueItem)?;
            let mut draft = self.draft(Durability::Synced);
            draft.dequeue(id, &found);
            journal.iter().for_each(|line| draft.line(line));
            match self.inner.commit(draft) {
                Err(StoreError::Conflict) => {}
                other => return other.map(|_| ()),
            }
        }
        Err(StoreError::Busy)
    }

    /// One process at a time: at opening, nobody holds a lease any more.
    pub(crate) fn clear_leases(&self) -> Result<(), StoreError> {
        let mut leased = Vec::new();
        let end = after(keys::QUEUE_STATES);
        self.inner.read(|r| {
            r.scan(Space::Queue, keys::QUEUE_STATES, &end, Direction::Up, &mut |key, value| {
                let state: QueueState = rows::decode(value, "a queue state")?;
                if state.lease.is_some() {
                    leased.extend(keys::u64_at(key, keys::QUEUE_ID_AT).map(QueueId));
                }
                Ok(true)
            })
        })?;
        for id in leased {
            let change = |state: &QueueState| Ok(QueueState { lease: None, ..state.clone() });
            self.change_state(id, Durability::Relaxed, change)?;
        }
        Ok(())
    }
}

fn check_fence(state: &QueueState, fence: u64) -> Result<(), StoreError> {
    match &state.lease {
        Some(lease) if lease.fence == fence => Ok(()),
        _ => Err(StoreError::Conflict),
    }
}

fn matches(filter: &QueueFilter, item: &QueueItem) -> bool {
    filter.destination.as_ref().is_none_or(|d| *d == item.item.destination)
        && filter.hosted.as_ref().is_none_or(|d| *d == item.item.hosted)
        && filter.held.is_none_or(|held| held == item.held)
}

pub(crate) fn due_entry(key: &[u8], value: &[u8]) -> Result<DueEntry, EngineError> {
    let (_, due, id) = keys::due_parts(key).ok_or_else(|| rows::damaged("a due key"))?;
    let row: DueRow = rows::decode(value, "a due row")?;
    Ok(DueEntry {
        id,
        destination: row.destination,
        hosted: row.hosted,
        priority: row.priority,
        due,
        size: row.size,
    })
}
