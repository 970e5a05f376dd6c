//! Tables that sessions share, the ones used last within a bound of octets.

use super::Table;
use crate::selected::News;
use palombe_store::{Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Uid};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// BAL, folder, and the member that has its own `\Seen` there.
type Key = (BalId, FolderId, Option<BalId>);

/// Where the table of one folder is kept. Whoever holds the lock reads or brings it forward for all who wait.
#[derive(Default)]
struct Slot(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Given up when room is needed.
    strong: Option<Arc<Table>>,
    /// As long as some session has it.
    weak: Weak<Table>,
}

impl Kept {
    fn table(&self) -> Option<Arc<Table>> {
        self.strong.clone().or_else(|| self.weak.upgrade())
    }
}

#[derive(Default)]
struct Shelf {
    slots: HashMap<Key, Place>,
    bytes: usize,
    /// Counts uses.
    clock: u64,
}

struct Place {
    slot: Arc<Slot>,
    bytes: usize,
    used: u64,
}

/// What a look is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Something that needs the rows.
    Rows,
    /// Only what happened: arrivals are told without reading rows.
    News,
}

/// Where a session stands.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) bal: BalId,
    pub(crate) folder: FolderId,
    /// The member whose own `\Seen` counts, where each has its own.
    pub(crate) viewer: Option<BalId>,
    pub(crate) modseq: ModSeq,
    pub(crate) uid_next: Uid,
    pub(crate) loaded: bool,
    pub(crate) wants: Wants,
    /// Messages that arrived are recent to this session.
    pub(crate) takes_recent: bool,
}

/// The tables of every folder that was looked into lately.
pub(crate) struct Tables {
    bytes_max: usize,
    shelf: Mutex<Shelf>,
}

impl Tables {
    /// Keeps up to so many octets of tables that no session uses.
    pub(crate) fn new(bytes_max: usize) -> Tables {
        Tables { bytes_max, shelf: Mutex::default() }
    }

    /// The folder as it is now. Blocks.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub(crate) fn current(
        &self,
        store: &Store,
        (bal, folder, viewer): Key,
    ) -> Result<Arc<Table>, StoreError> {
        let slot = self.slot((bal, folder, viewer));
        let mut kept = slot.0.lock();
        let table = match kept.table() {
            None => Arc::new(Table::read(store, (bal, folder), viewer)?),
            Some(table) => match store.changes_for((bal, folder), table.modseq, viewer) {
                Ok(changes) if changes.highest_modseq > table.modseq => {
                    Arc::new(table.after(&changes))
                }
                Ok(_) => table,
                Err(error) => {
                    *kept = Kept::default();
                    return Err(error);
                }
            },
        };
        kept.weak = Arc::downgrade(&table);
        kept.strong = Some(table.clone());
        drop(kept);
        self.keep((bal, folder, viewer), table.bytes());
        Ok(table)
    }

    /// What happened in a folder since a session looked last. Blocks.
    ///
    /// # Errors
    /// As for [`Tables::current`].
    pub(crate) fn look(&self, store: &Store, last: &Last) -> Result<News, StoreError> {
        let key = (last.bal, last.folder, last.viewer);
        let changes = || store.changes_for((last.bal, last.folder), last.modseq, last.viewer);
        if last.loaded {
            let table = self.current(store, key)?;
            return Ok(News::Table { table, changes: None });
        }
        if last.wants == Wants::News {
            let changes = changes()?;
            let old = |uid: Uid| uid < last.uid_next;
            let arrivals_only = !changes.vanished.iter().any(|(first, _)| old(*first))
                && !changes.changed.iter().any(|meta| old(meta.uid));
            if arrivals_only {
                return Ok(News::Arrived {
                    uids: changes.changed.iter().map(|meta| meta.uid).collect(),
                    uid_next: changes.uid_next,
                    modseq: changes.highest_modseq,
                });
            }
        }
        let table = self.current(store, key)?;
        // After the table was read: whatever is not in it is in the log.
        let changes = (table.modseq > last.modseq).then(changes).transpose()?;
        Ok(News::Table { table, changes })
    }

    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut shelf = self.shelf.lock();
        shelf.clock += 1;
        let used = shelf.clock;
        let place = shelf.slots.entry(key);
        let place = place.or_insert_with(|| Place { slot: Arc::default(), bytes: 0, used });
        place.used = used;
        place.slot.clone()
    }

    /// Accounts for a table, and lets go of those used longest ago.
    fn keep(&self, key: Key, bytes: usize) {
        let mut shelf = self.shelf.lock();
        let Shelf { slots, bytes: sum, .. } = &mut *shelf;
        let Some(place) = slots.get_mut(&key) else { return };
        *sum = *sum - place.bytes + bytes;
        place.bytes = bytes;
        while *sum > self.bytes_max {
            let kept = slots.iter().filter(|(_, place)| place.bytes > 0);
            let Some((oldest, _)) = kept.min_by_key(|(_, place)| place.used) else { return };
            let oldest = *oldest;
            let Some(place) = slots.get_mut(&oldest) else { return };
            *sum -= place.bytes;
            place.bytes = 0;
            // Somebody at work on it keeps it a little longer.
            let in_use = match place.slot.0.try_lock() {
                Some(mut kept) => {
                    kept.strong = None;
                    kept.weak.strong_count() > 0
                }
                None => true,
            };
            if !in_use {
                slots.remove(&oldest);
            }
        }
        if slots.len() > self.slots_max() {
            slots.retain(|_, place| {
                place.bytes > 0 || place.slot.0.try_lock().is_none_or(|kept| kept.table().is_some())
            });
        }
    }

    /// Slots of tables that only sessions hold are few: past this many the empty ones are looked for.
    fn slots_max(&self) -> usize {
        (self.bytes_max / 4096).max(64)
    }
}
