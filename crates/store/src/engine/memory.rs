//! An engine in memory, for tests: the same answers, no disk. It can be told to fail.

use super::{Backend, Direction, EngineError, Op, Reader, Space, Visit};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::Path;

type Rows = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

/// Rows in a map.
#[derive(Default)]
pub(crate) struct MemoryBackend {
    rows: RwLock<Rows>,
    /// The next writes fail with this.
    pub(crate) failure: Mutex<Option<EngineError>>,
}

struct MemoryReader<'a>(&'a Rows);

impl Reader for MemoryReader<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.0.get(&(space, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), EngineError> {
        if from >= to {
            return Ok(());
        }
        let range = self.0.range((space, from.to_vec())..(space, to.to_vec()));
        let rows: Box<dyn Iterator<Item = _>> = match direction {
            Direction::Up => Box::new(range),
            Direction::Down => Box::new(range.rev()),
        };
        for ((_, key), value) in rows {
            if !visit(key, value)? {
                break;
            }
        }
        Ok(())
    }
}

impl Backend for MemoryBackend {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        MemoryReader(&self.rows.read_recursive()).get(space, key)
    }

    fn read(&self, f: &mut dyn FnMut(&dyn Reader)) -> Result<(), EngineError> {
        f(&MemoryReader(&self.rows.read_recursive()));
        Ok(())
    }

    fn write(&self, ops: &[Op], _synced: bool) -> Result<(), EngineError> {
        if let Some(error) = self.failure.lock().clone() {
            return Err(error);
        }
        let mut rows = self.rows.write();
        for op in ops {
            match op {
                Op::Put(space, key, value) => {
                    rows.insert((*space, key.clone()), value.clone());
                }
                Op::Delete(space, key) => {
                    rows.remove(&(*space, key.clone()));
                }
                Op::DeleteRange(space, from, to) => {
                    let range = (*space, from.clone())..(*space, to.clone());
                    let keys: Vec<_> = rows.range(range).map(|(k, _)| k.clone()).collect();
                    for key in keys {
                        rows.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }

    fn reopen(&self) -> Result<(), EngineError> {
        match self.failure.lock().clone() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn checkpoint(&self, _path: &Path) -> Result<(), EngineError> {
        Err(EngineError::Unavailable("nothing to copy".to_owned()))
    }

    fn compact(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn flush_soon(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn free_bytes(&self) -> Option<u64> {
        match *self.failure.lock() {
            Some(EngineError::Full) => Some(0),
            _ => None,
        }
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}
