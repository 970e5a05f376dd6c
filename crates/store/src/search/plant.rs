//! Making the index of what is there already: messages of an older store, or of a BAL whose index is begun again,
//! become pending in bounded batches. Until then a search takes each of them for a candidate.

use super::index::Change;
use super::rows::{self, PENDING, STATES, State};
use crate::engine::{Batch, Direction, Durability, Engine, Expect, Space, after};
use crate::rows::{BodyRow, damaged, decode};
use crate::{Store, StoreError, keys};
use palombe_vocabulary::{BalId, FolderId, Uid};
use std::collections::BTreeSet;

/// Of the grams and the rows; another number is another index, which is made again.
const SCHEME: u32 = 1;
/// BAL marked in one batch.
const MARKS_AT_ONCE: usize = 1000;

/// How far the index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Messages that wait; a search reads them itself.
    pub pending: u64,
    /// BAL of which some messages do not even wait yet.
    pub unplanted_bals: u64,
    /// Documents indexed.
    pub documents: u64,
    /// Segments.
    pub segments: u64,
    /// Octets of their blocks.
    pub octets: u64,
}

/// At opening: removes what a process left half made, and begins the index of a store that has none, or another one.
/// Gives the BAL that are to be planted.
pub(crate) fn prepare(engine: &Engine, bals: &[BalId]) -> Result<BTreeSet<BalId>, StoreError> {
    let meta = keys::meta("search");
    let current = SCHEME.to_be_bytes().to_vec();
    let found = engine.get(Space::Directory, &meta)?;
    if found.as_ref() != Some(&current) {
        for some in bals.chunks(MARKS_AT_ONCE) {
            let mut batch = Batch::new(Durability::Relaxed);
            for bal in some {
                let next_segment = match engine.read(|r| State::read(r, *bal)) {
                    Ok(Some((state, _))) => state.next_segment,
                    _ => 0,
                };
                wipe(&mut batch, *bal);
                let state = State { next_segment, plant: Some((0, 0)), ..State::default() };
                batch.put(Space::Search, rows::of_bal(STATES, *bal), state.encode()?);
            }
            engine.commit(batch)?;
        }
        let mut batch = Batch::new(Durability::Synced);
        batch.put(Space::Directory, meta, current);
        engine.commit(batch)?;
    }
    let mut unplanted = BTreeSet::new();
    engine.read(|reader| {
        reader.scan(Space::Search, STATES, &after(STATES), Direction::Up, &mut |key, value| {
            if State::decode(value)?.plant.is_some() {
                unplanted.extend(keys::u64_at(key, STATES.len()).map(BalId));
            }
            Ok(true)
        })
    })?;
    Ok(unplanted)
}

/// Removes the index of a BAL; what is pending stays so.
fn wipe(batch: &mut Batch, bal: BalId) {
    for kind in [rows::ENTRIES, rows::DOCUMENTS, rows::LOOSE, rows::BUILDS] {
        let from = rows::of_bal(kind, bal);
        batch.delete_range(Space::Search, from.clone(), after(&from));
    }
    let from = rows::postings(bal);
    batch.delete_range(Space::Postings, from.clone(), after(&from));
}

/// Removes all that the index knows of a BAL.
pub(crate) fn remove(batch: &mut Batch, bal: BalId) {
    wipe(batch, bal);
    let from = rows::of_bal(PENDING, bal);
    batch.delete_range(Space::Search, from.clone(), after(&from));
    batch.delete(Space::Search, rows::of_bal(STATES, bal));
}

impl Store {
    /// The version of the folding and of the texts that the terms come from: with another one than last time, every
    /// index is made again in the background. To be told before anybody searches.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_version(&self, version: u32) -> Result<(), StoreError> {
        let (key, value) = (keys::meta("search-text"), version.to_be_bytes().to_vec());
        let found = self.inner.engine.get(Space::Directory, &key)?;
        if found.as_ref() == Some(&value) {
            return Ok(());
        }
        if found.is_some() {
            for bal in self.bals(None)? {
                self.search_rebuild(bal.id)?;
            }
        }
        let mut batch = Batch::new(Durability::Synced);
        batch.put(Space::Directory, key, value);
        self.inner.engine.commit(batch)?;
        Ok(())
    }

    /// Begins the index of a BAL again. Searches stay exact meanwhile: they read what is not indexed.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn search_rebuild(&self, bal: BalId) -> Result<(), StoreError> {
        self.living_bal(bal)?;
        for _ in 0..crate::limits::CONFLICT_ATTEMPTS_MAX {
            let Some(mut change) = Change::begin(self, bal, true)? else { continue };
            let next_segment = change.state.next_segment;
            change.state = State { next_segment, plant: Some((0, 0)), ..State::default() };
            wipe(&mut change.batch, bal);
            if change.commit(self)? {
                self.inner.unplanted.lock().insert(bal);
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }

    /// A BAL of which some messages do not wait yet; for [`Store::search_plant`].
    pub fn search_unplanted(&self) -> Option<BalId> {
        self.inner.unplanted.lock().first().copied()
    }

    /// Lets up to `limit` more messages of such a BAL wait.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_plant(&self, bal: BalId, limit: usize) -> Result<(), StoreError> {
        self.inner.check_room()?;
        let done = match Change::begin(self, bal, false)? {
            None => true,
            Some(change) => self.plant_some(bal, change, limit)?,
        };
        if done {
            self.inner.unplanted.lock().remove(&bal);
        }
        Ok(())
    }

    fn plant_some(&self, bal: BalId, mut change: Change, limit: usize) -> Result<bool, StoreError> {
        let Some((folder, uid)) = change.state.plant else { return Ok(true) };
        let from = [&keys::message(bal, FolderId(folder), Uid(uid))[..], &[0]].concat();
        let to = after(&rows::postings(bal));
        let mut last = None;
        let mut count = 0;
        let batch = &mut change.batch;
        self.inner.read(|reader| {
            reader.scan(Space::Bodies, &from, &to, Direction::Up, &mut |key, value| {
                let (_, folder, uid) =
                    keys::message_parts(key).ok_or_else(|| damaged("a message key"))?;
                let body: BodyRow = decode(value, "a body row")?;
                batch.expect(Expect::Present(Space::Bodies, key.to_vec()));
                let value = rows::pending_value(&body.digest, &body.email_id);
                batch.put(Space::Search, rows::pending(bal, folder, uid), value);
                last = Some((folder.0, uid.0));
                count += 1;
                Ok(count < limit)
            })
        })?;
        let done = count < limit;
        change.state.plant = if done { None } else { last };
        Ok(change.commit(self)? && done)
    }

    /// How far the index of one BAL is, or of all.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_stats(&self, bal: Option<BalId>) -> Result<SearchStats, StoreError> {
        let prefix = |kind: &[u8]| match bal {
            Some(bal) => rows::of_bal(kind, bal),
            None => kind.to_vec(),
        };
        let (states, pending) = (prefix(STATES), prefix(PENDING));
        self.inner.read(|reader| {
            let mut stats = SearchStats::default();
            let to = after(&states);
            reader.scan(Space::Search, &states, &to, Direction::Up, &mut |_, value| {
                let state = State::decode(value)?;
                stats.unplanted_bals += u64::from(state.plant.is_some());
                stats.segments += state.segments.len() as u64;
                stats.documents += state.segments.iter().map(|s| u64::from(s.alive())).sum::<u64>();
                stats.octets += state.segments.iter().map(|s| s.octets).sum::<u64>();
                Ok(true)
            })?;
            let to = after(&pending);
            reader.scan(Space::Search, &pending, &to, Direction::Up, &mut |_, _| {
                stats.pending += 1;
                Ok(true)
            })?;
            Ok(stats)
        })
    }
}
