//! Counter rows: a few signed numbers under one key, kept in the committer's memory.

use super::{Backend, Refused, Space, StepId};
use super::{EngineError, batch::Change, batch::CounterStep};
use crate::limits::COUNTERS_CACHED_MAX;
use std::collections::HashMap;

/// Fields of a counter row.
pub(crate) const FIELDS: usize = 8;
const VERSION: u8 = 1;

/// One row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CounterRow(pub(crate) [i64; FIELDS]);

impl CounterRow {
    /// Version, then each field as a zigzag varint; zeros at the end are left out.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let used = self.0.iter().rposition(|v| *v != 0).map_or(0, |i| i + 1);
        let mut out = Vec::with_capacity(1 + 4 * used);
        out.push(VERSION);
        for value in &self.0[..used] {
            let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
            while zigzag >= 0x80 {
                out.push(zigzag as u8 | 0x80);
                zigzag >>= 7;
            }
            out.push(zigzag as u8);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<CounterRow, EngineError> {
        let damaged = || EngineError::Corrupt("a counter row".to_owned());
        let [VERSION, rest @ ..] = bytes else { return Err(damaged()) };
        let mut row = CounterRow::default();
        let (mut field, mut shift, mut zigzag) = (0, 0u32, 0u64);
        for byte in rest {
            if field >= FIELDS || shift > 63 {
                return Err(damaged());
            }
            zigzag |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                row.0[field] = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                (field, shift, zigzag) = (field + 1, 0, 0);
            }
        }
        if shift == 0 { Ok(row) } else { Err(damaged()) }
    }
}

/// Counter rows as the group being built sees them. Authoritative: only the committer writes them.
#[derive(Default)]
pub(crate) struct Counters {
    rows: HashMap<Vec<u8>, Option<CounterRow>>,
    /// Rows changed by the group.
    dirty: Vec<Vec<u8>>,
}

/// Rows changed by one batch, before it is known to be applied.
#[derive(Default)]
pub(crate) struct Draft {
    rows: Vec<(Vec<u8>, CounterRow)>,
    pub(crate) results: Vec<i64>,
}

impl Counters {
    fn load(
        &mut self,
        backend: &dyn Backend,
        key: &[u8],
    ) -> Result<Option<CounterRow>, EngineError> {
        if let Some(row) = self.rows.get(key) {
            return Ok(*row);
        }
        let row = match backend.get(Space::Counters, key)? {
            Some(bytes) => Some(CounterRow::decode(&bytes)?),
            None => None,
        };
        self.rows.insert(key.to_vec(), row);
        Ok(row)
    }

    /// Runs the steps of a batch on a draft.
    pub(crate) fn run(
        &mut self,
        backend: &dyn Backend,
        steps: &[CounterStep],
    ) -> Result<Draft, EngineError> {
        let mut draft = Draft::default();
        for (i, step) in steps.iter().enumerate() {
            let result = self.run_one(backend, &mut draft, step, StepId(i))?;
            draft.results.push(result);
        }
        Ok(draft)
    }

    fn run_one(
        &mut self,
        backend: &dyn Backend,
        draft: &mut Draft,
        step: &CounterStep,
        id: StepId,
    ) -> Result<i64, EngineError> {
        let refused = |why| Err(EngineError::Refused(why));
        let at = match draft.rows.iter().position(|(key, _)| *key == step.key) {
            Some(at) => at,
            None => {
                let row = match self.load(backend, &step.key)? {
                    Some(row) => row,
                    None if step.exists => return refused(Refused::Missing(id)),
                    None => CounterRow::default(),
                };
                draft.rows.push((step.key.clone(), row));
                draft.rows.len() - 1
            }
        };
        let old = draft.rows[at].1.0[step.field];
        if step.was.is_some_and(|was| was != old) {
            return refused(Refused::Changed(id));
        }
        let new = match step.change {
            Change::Add(n) => old.checked_add(n),
            Change::Raise(to) => old.checked_add(1).map(|next| next.max(to)),
            Change::Same(other) => draft.results.get(other.0).copied(),
        };
        let Some(new) = new else { return refused(Refused::Overflow(id)) };
        if step.at_most.is_some_and(|most| new > most) {
            return refused(Refused::TooLarge(id));
        }
        draft.rows[at].1.0[step.field] = new;
        Ok(new)
    }

    /// The batch is applied: its draft is what the next one sees.
    pub(crate) fn apply(&mut self, draft: Draft, deletes: &[Vec<u8>]) {
        for (key, row) in draft.rows {
            if self.rows.insert(key.clone(), Some(row)) != Some(Some(row)) {
                self.dirty.push(key);
            }
        }
        for key in deletes {
            self.rows.insert(key.clone(), None);
            self.dirty.push(key.clone());
        }
    }

    /// Last state of every row that the group changed; `None` for deleted ones.
    pub(crate) fn take_dirty(&mut self) -> Vec<(Vec<u8>, Option<CounterRow>)> {
        let mut keys = std::mem::take(&mut self.dirty);
        keys.sort();
        keys.dedup();
        keys.into_iter()
            .map(|key| {
                let row = self.rows.get(&key).copied().flatten();
                (key, row)
            })
            .collect()
    }

    /// After a failed write nothing in memory can be believed.
    pub(crate) fn forget(&mut self) {
        self.rows.clear();
        self.dirty.clear();
    }

    /// Between groups: keeps the memory bounded.
    pub(crate) fn bound(&mut self) {
        if self.rows.len() > COUNTERS_CACHED_MAX {
            self.rows.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_decode_as_encoded() {
        for row in [[0; 8], [1, -1, i64::MAX, i64::MIN, 0, 300, 0, 0], [0, 0, 0, 0, 0, 0, 0, 9]] {
            let row = CounterRow(row);
            assert_eq!(CounterRow::decode(&row.encode()), Ok(row));
        }
        assert!(CounterRow::decode(&[]).is_err());
        assert!(CounterRow::decode(&[2]).is_err());
        assert!(CounterRow::decode(&[1, 0x80]).is_err());
        assert!(CounterRow::decode(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]).is_err());
    }
}
