//! Rows of folders in memory: compact, immutable, shared between sessions.
//!
//! A table holds every message of a folder at one modification sequence. The next table shares with it each chunk of
//! rows in which nothing changed, so that a delivery into a folder of 200,000 messages copies one chunk, and comparing
//! two tables looks only at chunks that differ.

mod chunk;
mod table;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use chunk::Row;
pub(crate) use table::Table;
pub(crate) use tables::{Last, Tables, Wants};

use palombe_vocabulary::Uid;
use std::ops::Range;
use std::sync::Arc;

/// Which messages are recent to one session (RFC 3501 2.3.2): ranges of UIDs, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recents(Vec<Range<u32>>);

impl Recents {
    /// These messages too; they come after all before them.
    pub(crate) fn add(&mut self, from: Uid, to: Uid) {
        let from = from.0.max(self.0.last().map_or(0, |last| last.end));
        match self.0.last_mut() {
            Some(last) if last.end == from => last.end = last.end.max(to.0),
            _ if from < to.0 => self.0.push(from..to.0),
            _ => {}
        }
    }

    pub(crate) fn contains(&self, uid: u32) -> bool {
        let at = self.0.partition_point(|range| range.end <= uid);
        self.0.get(at).is_some_and(|range| range.contains(&uid))
    }

    /// How many of a table's messages.
    pub(crate) fn count(&self, table: &Table) -> usize {
        self.0.iter().map(|range| table.rank(range.end) - table.rank(range.start)).sum()
    }
}

/// The messages that a client knows, in the order of their sequence numbers. Clones are cheap: jobs take one along.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) table: Arc<Table>,
    pub(crate) recents: Arc<Recents>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The message of this index: the sequence number less one.
    pub(crate) fn get(&self, index: usize) -> Option<Row<'_>> {
        self.table.get(index)
    }

    /// The UID of this index; 0 past the end.
    pub(crate) fn uid(&self, index: usize) -> u32 {
        self.table.get(index).map_or(0, |row| row.uid().0)
    }

    pub(crate) fn last_uid(&self) -> u32 {
        self.table.last_uid()
    }

    pub(crate) fn is_recent(&self, row: &Row<'_>) -> bool {
        self.recents.contains(row.uid().0)
    }
}
