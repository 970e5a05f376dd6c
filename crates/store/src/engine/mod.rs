//! The seam: ordered keys, atomic conditional batches, scans. Nothing above knows which engine runs.
//!
//! A [`Batch`] is declarative, so that it maps to one RocksDB write and, later, to one PostgreSQL transaction:
//! preconditions, counter steps whose results are patched into keys and values, puts, deletes, range deletes. It is
//! applied whole, or refused whole with the reason. Reads happen on one consistent snapshot.

mod batch;
pub(crate) mod chain;
mod committer;
#[cfg(test)]
mod conformance;
mod counters;
#[cfg(test)]
mod memory;
mod overlay;
mod rocks;

pub(crate) use batch::{Batch, Committed, Durability, Expect, Refused, Slot, StepId, Steps, When};
pub(crate) use committer::Engine;
pub(crate) use counters::CounterRow;
#[cfg(test)]
pub(crate) use memory::MemoryBackend;
pub(crate) use rocks::{RocksBackend, RocksSettings};

use std::path::Path;

/// A column family: rows with one access pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Space {
    /// Schema, domains, BAL, folders, pending purges: small, read at open.
    Directory,
    /// Counter rows; written only by counter steps.
    Counters,
    /// What a folder view reads: flags, dates, sizes.
    Messages,
    /// Prefix and body reference of a filed message.
    Bodies,
    /// Change log of each BAL.
    Log,
    /// Body rows, links, unlinked candidates, uploads.
    Blobs,
    /// Encoded structures.
    Structures,
    /// Pieces of bodies.
    Chunks,
    /// Queue entries, their state, their due index.
    Queue,
    /// Journal lines and their indexes.
    Journal,
    /// Search index: what waits, states, documents.
    Search,
    /// Search index: blocks of posting lists.
    Postings,
    /// Members of BAL, rights in folders, what is one member's own.
    Sharing,
}

impl Space {
    pub(crate) const ALL: [Space; 13] = [
        Space::Directory,
        Space::Counters,
        Space::Messages,
        Space::Bodies,
        Space::Log,
        Space::Blobs,
        Space::Structures,
        Space::Chunks,
        Space::Queue,
        Space::Journal,
        Space::Search,
        Space::Postings,
        Space::Sharing,
    ];
}

/// Why the engine could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    /// The batch was refused; nothing of it is visible.
    #[error("refused: {0:?}")]
    Refused(Refused),
    /// No room on the disk.
    #[error("no room on the disk")]
    Full,
    /// Too many batches wait.
    #[error("busy")]
    Busy,
    /// Any other failure of the disk or the database.
    #[error("{0}")]
    Unavailable(String),
    /// A row that does not decode.
    #[error("damaged: {0}")]
    Corrupt(String),
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Smallest key first.
    Up,
    /// Largest key first.
    Down,
}

/// Called for each row of a scan; `Ok(false)` ends it.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<bool, EngineError>;

/// Reads from one consistent snapshot.
pub(crate) trait Reader {
    /// The value under a key.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;
    /// The values under ascending keys, in their order: cheaper than one by one.
    fn get_many(
        &self,
        space: Space,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        keys.iter().map(|key| self.get(space, key)).collect()
    }
    /// Rows with `from <= key < to`.
    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), EngineError>;
}

/// One write of a group, resolved: no slots, no conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Key and value.
    Put(Space, Vec<u8>, Vec<u8>),
    /// Key.
    Delete(Space, Vec<u8>),
    /// `from <= key < to`
    DeleteRange(Space, Vec<u8>, Vec<u8>),
}

/// What a storage engine behind the committer gives. After a failed `write` the committer refuses everything until
/// `reopen` succeeds; reads go on meanwhile.
pub(crate) trait Backend: Send + Sync + 'static {
    /// One key, latest state.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;
    /// Runs `f` on one consistent snapshot.
    fn read(&self, f: &mut dyn FnMut(&dyn Reader)) -> Result<(), EngineError>;
    /// Writes all or nothing; `synced` returns only when it survives power loss, with everything written before.
    fn write(&self, ops: &[Op], synced: bool) -> Result<(), EngineError>;
    /// Starts afresh from what is on disk after a failed write.
    fn reopen(&self) -> Result<(), EngineError>;
    /// A consistent copy of everything in a new folder.
    fn checkpoint(&self, path: &Path) -> Result<(), EngineError>;
    /// Gives the space of removed rows back to the disk.
    fn compact(&self) -> Result<(), EngineError>;
    /// Begins to move what is in memory and in the log into files, where that fits; returns at once.
    fn flush_soon(&self) -> Result<(), EngineError>;
    /// Free octets where the data is.
    fn free_bytes(&self) -> Option<u64>;
    /// Octets of files.
    fn disk_bytes(&self) -> u64;
}

/// Runs `f` on one consistent snapshot and gives its result.
pub(crate) fn read<T>(
    backend: &dyn Backend,
    f: impl FnOnce(&dyn Reader) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let mut f = Some(f);
    let mut out = None;
    backend.read(&mut |reader| out = f.take().map(|f| f(reader)))?;
    out.unwrap_or_else(|| Err(EngineError::Unavailable("the snapshot was not read".to_owned())))
}

/// The smallest key after every key that begins with `prefix`.
pub(crate) fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; 64] // no key of ours is that large
}
