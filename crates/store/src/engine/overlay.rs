//! What the earlier batches of a group will have written, for the later ones to be checked against.

use super::{Backend, Direction, EngineError, Op, Space, after, read};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Pending rows over the backend: `None` is a pending delete.
#[derive(Default)]
pub(crate) struct Overlay {
    rows: BTreeMap<(Space, Vec<u8>), Option<Vec<u8>>>,
    ranges: Vec<(Space, Vec<u8>, Vec<u8>)>,
}

impl Overlay {
    /// Values of spaces that no expectation reads are not copied.
    fn keeps_value(space: Space) -> bool {
        matches!(space, Space::Directory | Space::Queue | Space::Blobs | Space::Search)
    }

    pub(crate) fn note(&mut self, op: &Op) {
        match op {
            Op::Put(space, key, value) => {
                // Nothing expects or guards anything of these; their rows would only cost copies.
                if matches!(space, Space::Chunks | Space::Journal | Space::Log | Space::Postings) {
                    return;
                }
                let kept = if Self::keeps_value(*space) { value.clone() } else { Vec::new() };
                self.rows.insert((*space, key.clone()), Some(kept));
            }
            Op::Delete(space, key) => {
                self.rows.insert((*space, key.clone()), None);
            }
            Op::DeleteRange(space, from, to) => {
                let range = (*space, from.clone())..(*space, to.clone());
                for (_, row) in self.rows.range_mut(range) {
                    *row = None;
                }
                self.ranges.push((*space, from.clone(), to.clone()));
            }
        }
    }

    fn erased(&self, space: Space, key: &[u8]) -> bool {
        self.ranges.iter().any(|(s, from, to)| *s == space && from.as_slice() <= key && key < to)
    }

    pub(crate) fn get(
        &self,
        backend: &dyn Backend,
        space: Space,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, EngineError> {
        match self.rows.get(&(space, key.to_vec())) {
            Some(row) => Ok(row.clone()),
            None if self.erased(space, key) => Ok(None),
            None => backend.get(space, key),
        }
    }

    pub(crate) fn has(
        &self,
        backend: &dyn Backend,
        space: Space,
        key: &[u8],
    ) -> Result<bool, EngineError> {
        Ok(self.get(backend, space, key)?.is_some())
    }

    pub(crate) fn none_under(
        &self,
        backend: &dyn Backend,
        space: Space,
        prefix: &[u8],
    ) -> Result<bool, EngineError> {
        let end = after(prefix);
        let range =
            (Bound::Included((space, prefix.to_vec())), Bound::Excluded((space, end.clone())));
        if self.rows.range(range).any(|(_, row)| row.is_some()) {
            return Ok(false);
        }
        read(backend, |reader| {
            let mut none = true;
            reader.scan(space, prefix, &end, Direction::Up, &mut |key, _| {
                let pending = self.rows.contains_key(&(space, key.to_vec()));
                none = pending || self.erased(space, key);
                Ok(none)
            })?;
            Ok(none)
        })
    }
}
