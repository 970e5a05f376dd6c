//! The selected folder as this client knows it: which sequence number means which message, and what the client has
//! not been told yet (RFC 9051 7.5.1, RFC 2180).
//!
//! Rows leave only when their EXPUNGE is written, so a number never changes its meaning silently. New messages come at
//! the end and are announced by the same call that adds them.

use crate::error::Failure;
use crate::session::Enabled;
use palombe_imap_proto::{Ranges, Selector, SequenceSet, Writer};
use palombe_store::{Changes, FolderView, MessageMeta};
use palombe_vocabulary::{FolderId, ModSeq, Uid, UidValidity};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One message of the folder.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) meta: MessageMeta,
    /// RFC 3501 2.3.2: this session was the first to be told.
    pub(crate) recent: bool,
}

/// Whether this is the moment to tell of expunged messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expunges {
    /// Any command but the ones below.
    Tell,
    /// RFC 9051 7.5.1: not in answer to FETCH, STORE and SEARCH by sequence number.
    Keep,
}

/// The selected folder.
pub(crate) struct Selected {
    pub(crate) folder: FolderId,
    /// EXAMINE.
    pub(crate) read_only: bool,
    pub(crate) uid_validity: UidValidity,
    pub(crate) uid_next: Uid,
    /// Everything up to here is in `rows`.
    pub(crate) modseq: ModSeq,
    /// In UID order; the index plus one is the sequence number. Shared with jobs in the pool.
    pub(crate) rows: Arc<Vec<Row>>,
    /// UIDs still in `rows` whose messages are gone.
    vanished: BTreeSet<u32>,
    /// UIDs whose flags changed behind this client's back.
    changed: BTreeSet<u32>,
    /// What the client believes to be the number of messages and of recent ones.
    told_exists: usize,
    told_recent: usize,
    /// RFC 5182: UIDs of the last SEARCH with SAVE.
    saved: Option<Ranges>,
}

impl Selected {
    /// The folder as it is now. `recent_from`: messages from this UID on are recent to this session.
    pub(crate) fn new(
        folder: FolderId,
        read_only: bool,
        view: FolderView,
        recent_from: Option<Uid>,
    ) -> Self {
        let recent = |uid: Uid| recent_from.is_some_and(|from| uid >= from);
        let row = |meta: MessageMeta| Row { recent: recent(meta.uid), meta };
        let rows: Vec<Row> = view.messages.into_iter().map(row).collect();
        let told_recent = rows.iter().filter(|row| row.recent).count();
        Selected {
            folder,
            read_only,
            uid_validity: view.uid_validity,
            uid_next: view.uid_next,
            modseq: view.highest_modseq,
            told_exists: rows.len(),
            told_recent,
            rows: Arc::new(rows),
            vanished: BTreeSet::new(),
            changed: BTreeSet::new(),
            saved: None,
        }
    }

    pub(crate) fn exists(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn recent(&self) -> usize {
        self.rows.iter().filter(|row| row.recent).count()
    }

    /// Index of a UID.
    pub(crate) fn index(&self, uid: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&uid, |row| row.meta.uid.0).ok()
    }

    /// Takes in what happened since `modseq`. `recent_from` as in [`Selected::new`].
    pub(crate) fn apply(&mut self, changes: Changes, recent_from: Option<Uid>) {
        self.modseq = self.modseq.max(changes.highest_modseq);
        self.uid_next = self.uid_next.max(changes.uid_next);
        for (first, last) in changes.vanished {
            let from = self.rows.partition_point(|row| row.meta.uid < first);
            let to = self.rows.partition_point(|row| row.meta.uid <= last);
            self.vanished.extend(self.rows[from..to].iter().map(|row| row.meta.uid.0));
        }
        let mut changed = changes.changed;
        changed.sort_unstable_by_key(|meta| meta.uid);
        for meta in changed {
            self.take(meta, recent_from);
        }
    }

    fn take(&mut self, meta: MessageMeta, recent_from: Option<Uid>) {
        let rows = Arc::make_mut(&mut self.rows);
        match rows.binary_search_by_key(&meta.uid, |row| row.meta.uid) {
            Ok(index) => {
                let row = &mut rows[index];
                if meta.modseq > row.meta.modseq {
                    if row.meta.flags != meta.flags {
                        self.changed.insert(meta.uid.0);
                    }
                    row.meta = meta;
                }
            }
            // UIDs only grow: what is not known comes after all that is.
            Err(index) if index == rows.len() => {
                let recent = recent_from.is_some_and(|from| meta.uid >= from);
                rows.push(Row { meta, recent });
            }
            Err(_) => {}
        }
    }

    /// Takes in what this session changed itself; `silent` ones are not told.
    pub(crate) fn changed_here(&mut self, metas: Vec<MessageMeta>, silent: bool) {
        for meta in metas {
            let uid = meta.uid.0;
            self.take(meta, None);
            if silent {
                self.changed.remove(&uid);
            } else if self.index(uid).is_some() {
                self.changed.insert(uid);
            }
        }
    }

    /// The client is told of these flags by other means.
    pub(crate) fn flags_told(&mut self, uid: u32) {
        self.changed.remove(&uid);
    }

    /// These messages were expunged by this session.
    pub(crate) fn expunged_here(&mut self, uids: &[Uid]) {
        for uid in uids {
            if self.index(uid.0).is_some() {
                self.vanished.insert(uid.0);
            }
        }
    }

    /// Writes what the client does not know yet.
    pub(crate) fn announce(&mut self, out: &mut Writer, expunges: Expunges, enabled: Enabled) {
        if expunges == Expunges::Tell && !self.vanished.is_empty() {
            self.write_expunges(out, enabled);
        }
        if self.rows.len() != self.told_exists {
            self.told_exists = self.rows.len();
            out.untagged(format_args!("{} EXISTS", self.told_exists));
        }
        // RFC 9051 A: rev2 has no RECENT.
        let recent = if enabled.rev2 { self.told_recent } else { self.recent() };
        if recent != self.told_recent {
            self.told_recent = recent;
            out.untagged(format_args!("{recent} RECENT"));
        }
        for uid in std::mem::take(&mut self.changed) {
            if let Some(index) = self.index(uid)
                && !self.vanished.contains(&uid)
            {
                write_flags(out, index + 1, &self.rows[index], enabled);
            }
        }
    }

    fn write_expunges(&mut self, out: &mut Writer, enabled: Enabled) {
        let vanished = std::mem::take(&mut self.vanished);
        let by_uid = enabled.qresync;
        if by_uid {
            // RFC 7162 3.2.10: in place of every EXPUNGE.
            let uids = Ranges::from_ascending(vanished.iter().copied());
            out.untagged(format_args!("VANISHED {uids}"));
        }
        let mut number = 0;
        let mut gone = 0;
        // Each EXPUNGE renumbers what follows (RFC 9051 7.5.1).
        Arc::make_mut(&mut self.rows).retain(|row| {
            number += 1;
            if !vanished.contains(&row.meta.uid.0) {
                return true;
            }
            if !by_uid {
                out.untagged(format_args!("{} EXPUNGE", number - gone));
            }
            gone += 1;
            false
        });
        self.told_exists -= gone;
        self.told_recent = self.recent();
        if let Some(saved) = &self.saved {
            let left = saved.iter().flat_map(|(a, b)| a..=b).filter(|uid| !vanished.contains(uid));
            self.saved = Some(Ranges::from_ascending(left)); // RFC 5182 2.1
        }
    }

    /// Remembers a search result (RFC 5182).
    pub(crate) fn save(&mut self, uids: Ranges) {
        self.saved = Some(uids);
    }

    /// What `$` means now: UIDs.
    pub(crate) fn saved(&self) -> Ranges {
        self.saved.clone().unwrap_or_default()
    }

    /// Indexes of the messages that a set means, ascending. UIDs that are not there are skipped (RFC 9051 6.4.9), a
    /// sequence number that is not there is the client's error.
    pub(crate) fn resolve(&self, set: &SequenceSet, by: Selector) -> Result<Vec<usize>, Failure> {
        let last = match by {
            Selector::Sequence => u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            Selector::Uid => self.rows.last().map_or(0, |row| row.meta.uid.0),
        };
        if *set == SequenceSet::Saved {
            return Ok(self.indexes_of_uids(&self.saved()));
        }
        let ranges = set.ranges(last);
        match by {
            Selector::Uid => Ok(self.indexes_of_uids(&ranges)),
            Selector::Sequence if ranges.last().is_some_and(|number| number > last) => {
                Err(Failure::SequenceNumber)
            }
            Selector::Sequence => {
                Ok(ranges.iter().flat_map(|(a, b)| a as usize - 1..b as usize).collect())
            }
        }
    }

    fn indexes_of_uids(&self, ranges: &Ranges) -> Vec<usize> {
        let mut indexes = Vec::new();
        for (first, last) in ranges.iter() {
            let from = self.rows.partition_point(|row| row.meta.uid.0 < first);
            let to = self.rows.partition_point(|row| row.meta.uid.0 <= last);
            indexes.extend(from..to);
        }
        indexes
    }

    /// UIDs of these indexes whose messages still exist.
    pub(crate) fn uids(&self, indexes: &[usize]) -> Vec<Uid> {
        let uids = indexes.iter().map(|index| self.rows[*index].meta.uid);
        uids.filter(|uid| !self.vanished.contains(&uid.0)).collect()
    }
}

/// `* n FETCH (UID u FLAGS (…))`
pub(crate) fn write_flags(out: &mut Writer, number: usize, row: &Row, enabled: Enabled) {
    out.raw("* ").show(number).raw(" FETCH (UID ").show(row.meta.uid.0);
    if enabled.condstore {
        out.raw(" MODSEQ (").show(row.meta.modseq.0).raw(")"); // RFC 7162 3.2
    }
    out.raw(" FLAGS ");
    crate::fetch::write_flag_list(out, row, enabled.rev2);
    out.raw(")").crlf();
}
