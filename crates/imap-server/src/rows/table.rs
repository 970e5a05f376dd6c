//! Every message of a folder at one modification sequence.

use super::chunk::{Chunk, Row};
use crate::limits::CHUNK_ROWS;
use palombe_store::{Changes, FolderView, MessageMeta, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Uid};
use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::Arc;

/// Rows in UID order, in chunks that tables share. Nothing in it ever changes.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// None of them is empty.
    chunks: Vec<Arc<Chunk>>,
    /// Index of the first row of each chunk.
    starts: Vec<usize>,
    len: usize,
    pub(crate) uid_next: Uid,
    pub(crate) modseq: ModSeq,
}

/// From one table to a later one.
#[derive(Debug, Default)]
pub(crate) struct Diff {
    /// UIDs that are gone.
    pub(crate) vanished: Vec<u32>,
    /// UIDs whose rows differ: flags, or only the modification sequence.
    pub(crate) changed: Vec<u32>,
}

/// Chunks on their way into a table.
#[derive(Default)]
struct Builder {
    chunks: Vec<Arc<Chunk>>,
    open: Chunk,
}

impl Builder {
    fn room(&mut self) -> &mut Chunk {
        if self.open.len() >= CHUNK_ROWS {
            self.cut();
        }
        if self.open.len() == 0 {
            self.open = Chunk::with_capacity(CHUNK_ROWS);
        }
        &mut self.open
    }

    fn cut(&mut self) {
        let mut chunk = std::mem::take(&mut self.open);
        if chunk.len() > 0 {
            chunk.fit();
            self.chunks.push(Arc::new(chunk));
        }
    }

    /// A chunk as it is.
    fn share(&mut self, chunk: &Arc<Chunk>) {
        self.cut();
        self.chunks.push(chunk.clone());
    }

    fn finish(mut self, uid_next: Uid, modseq: ModSeq) -> Table {
        self.cut();
        let mut len = 0;
        let mut starts = Vec::with_capacity(self.chunks.len());
        for chunk in &self.chunks {
            starts.push(len);
            len += chunk.len();
        }
        Table { chunks: self.chunks, starts, len, uid_next, modseq }
    }
}

impl Table {
    /// Reads the folder.
    pub(crate) fn read(
        store: &Store,
        folder: (BalId, FolderId),
        viewer: Option<BalId>,
    ) -> Result<Table, StoreError> {
        let mut builder = Builder::default();
        let view: FolderView =
            store.scan_folder_for(folder, viewer, &mut |meta| builder.room().push(&meta))?;
        Ok(builder.finish(view.uid_next, view.highest_modseq))
    }

    /// A folder without messages.
    pub(crate) fn empty() -> Table {
        Builder::default().finish(Uid(1), ModSeq(0))
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, index: usize) -> Option<Row<'_>> {
        let at = self.starts.partition_point(|start| *start <= index).checked_sub(1)?;
        self.chunks[at].get(index - self.starts[at])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.chunks.iter().flat_map(|chunk| chunk.rows())
    }

    pub(crate) fn last_uid(&self) -> u32 {
        self.chunks.last().map_or(0, |chunk| chunk.last())
    }

    /// How many messages have a smaller UID.
    pub(crate) fn rank(&self, uid: u32) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk.first() < uid);
        let Some(at) = after.checked_sub(1) else { return 0 };
        self.starts[at] + self.chunks[at].rank(uid)
    }

    pub(crate) fn index(&self, uid: u32) -> Option<usize> {
        let rank = self.rank(uid);
        self.get(rank).filter(|row| row.uid().0 == uid).map(|_| rank)
    }

    pub(crate) fn by_uid(&self, uid: u32) -> Option<Row<'_>> {
        self.get(self.rank(uid)).filter(|row| row.uid().0 == uid)
    }

    /// Octets in memory, about; chunks shared with other tables count in each.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes()).sum()
    }

    /// The table after these changes.
    pub(crate) fn after(&self, changes: &Changes) -> Table {
        let mut changed: Vec<&MessageMeta> = changes.changed.iter().collect();
        changed.sort_unstable_by_key(|meta| meta.uid);
        let mut gone = changes.vanished.iter().map(|(a, b)| (a.0, b.0)).peekable();
        let mut changed = changed.into_iter().peekable();
        let mut builder = Builder::default();
        for (at, chunk) in self.chunks.iter().enumerate() {
            // The last chunk takes what comes after it.
            let end = self.chunks.get(at + 1).map_or(u32::MAX, |next| next.first());
            let touched = changed.peek().is_some_and(|meta| meta.uid.0 < end)
                || gone.peek().is_some_and(|(first, _)| *first < end);
            if !touched {
                builder.share(chunk);
                continue;
            }
            builder.cut();
            for row in chunk.rows() {
                let uid = row.uid().0;
                while let Some(meta) = changed.next_if(|meta| meta.uid.0 < uid) {
                    builder.room().push(meta);
                }
                let is_gone = is_next(&mut gone, uid);
                match changed.next_if(|meta| meta.uid.0 == uid) {
                    Some(meta) => builder.room().push(meta),
                    None if is_gone => {}
                    None => builder.room().copy(row),
                }
            }
        }
        for meta in changed {
            builder.room().push(meta);
        }
        builder.finish(changes.uid_next, changes.highest_modseq)
    }

    /// This table with rows of messages that are gone from it: as `old` had them, or hollow.
    pub(crate) fn with_ghosts<'a>(
        &self,
        ghosts: impl Iterator<Item = u32> + 'a,
        old: Option<&Table>,
    ) -> Table {
        let mut ghosts = ghosts.peekable();
        let mut builder = Builder::default();
        let push = |builder: &mut Builder, uid: u32| match old.and_then(|old| old.by_uid(uid)) {
            Some(row) => builder.room().copy(row),
            None => builder.room().push_hollow(uid),
        };
        for chunk in &self.chunks {
            if ghosts.peek().is_none_or(|uid| *uid > chunk.last()) {
                builder.share(chunk);
                continue;
            }
            for row in chunk.rows() {
                while let Some(uid) = ghosts.next_if(|uid| *uid < row.uid().0) {
                    push(&mut builder, uid);
                }
                builder.room().copy(row);
            }
        }
        for uid in ghosts {
            push(&mut builder, uid);
        }
        builder.finish(self.uid_next, self.modseq)
    }

    /// What happened from this table to `new`, arrivals left out. Chunks that both share are passed over.
    pub(crate) fn diff(&self, new: &Table) -> Diff {
        let mut diff = Diff::default();
        let (mut old_at, mut new_at) = (Place::default(), Place::default());
        loop {
            while old_at.is_start() && new_at.is_start() {
                let (old, new) = (self.chunks.get(old_at.chunk), new.chunks.get(new_at.chunk));
                match (old, new) {
                    (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {
                        old_at.chunk += 1;
                        new_at.chunk += 1;
                    }
                    _ => break,
                }
            }
            let (Some(old), new_row) = (old_at.row(self), new_at.row(new)) else { return diff };
            let order = new_row.map_or(Ordering::Less, |new| old.uid().cmp(&new.uid()));
            match (order, new_row) {
                (Ordering::Equal, Some(row))
                    if old.modseq() != row.modseq() || !old.same_flags(&row) =>
                {
                    diff.changed.push(old.uid().0);
                }
                (Ordering::Less, _) => diff.vanished.push(old.uid().0),
                _ => {}
            }
            if order.is_le() {
                old_at.step(self);
            }
            if order.is_ge() {
                new_at.step(new);
            }
        }
    }
}

/// Whether a UID is in ascending ranges; those before it are passed.
fn is_next(ranges: &mut Peekable<impl Iterator<Item = (u32, u32)>>, uid: u32) -> bool {
    while ranges.next_if(|(_, last)| *last < uid).is_some() {}
    ranges.peek().is_some_and(|(first, _)| *first <= uid)
}

/// A place in a table.
#[derive(Default)]
struct Place {
    chunk: usize,
    row: usize,
}

impl Place {
    fn is_start(&self) -> bool {
        self.row == 0
    }

    fn row<'a>(&self, table: &'a Table) -> Option<Row<'a>> {
        table.chunks.get(self.chunk)?.get(self.row)
    }

    fn step(&mut self, table: &Table) {
        self.row += 1;
        if table.chunks.get(self.chunk).is_none_or(|chunk| self.row >= chunk.len()) {
            self.chunk += 1;
            self.row = 0;
        }
    }
}
