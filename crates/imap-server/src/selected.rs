//! The selected folder as this client knows it: which sequence number means which message, and what the client has
//! not been told yet (RFC 9051 7.5.1, RFC 2180).
//!
//! Rows leave only when their EXPUNGE is written, so a number never changes its meaning silently. New messages come at
//! the end and are announced by the same call that adds them. At first only the number of messages is known: the rows
//! are read when something needs them, and messages that vanished until then stand as ghosts in their places.

use crate::error::{Failure, Gone};
use crate::rows::{Recents, Row, Rows, Table};
use crate::session::Enabled;
use palombe_imap_proto::{Ranges, Selector, SequenceSet, Writer};
use palombe_store::{Changes, FlagChange, Flags, MessageMeta, Opening};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Uid};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Whether this is the moment to tell of expunged messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expunges {
    /// Any command but the ones below.
    Tell,
    /// RFC 9051 7.5.1: not in answer to FETCH, STORE and SEARCH by sequence number.
    Keep,
}

/// How a client hears of a change that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By a FETCH response.
    Fetch,
    /// Not at all, unless there is more to tell.
    Silent,
}

/// The selected folder.
pub(crate) struct Selected {
    pub(crate) bal: BalId,
    pub(crate) folder: FolderId,
    /// EXAMINE.
    pub(crate) read_only: bool,
    pub(crate) uid_next: Uid,
    /// Everything up to here is taken in.
    pub(crate) modseq: ModSeq,
    /// How many messages the client counts: those of `rows`, once they are read.
    exists: usize,
    loaded: Option<Loaded>,
    recents: Arc<Recents>,
    /// How many messages are recent, before the rows are read.
    recent: usize,
    /// UIDs the client still counts whose messages are gone.
    vanished: BTreeSet<u32>,
    /// UIDs whose flags changed behind this client's back.
    changed: BTreeSet<u32>,
    /// Flags that the client knows already, or expects, before they are taken in.
    believed: HashMap<u32, Flags>,
    /// What the client believes to be the number of messages and of recent ones.
    told_exists: usize,
    told_recent: usize,
    /// RFC 5182: UIDs of the last SEARCH with SAVE.
    saved: Option<Ranges>,
}

struct Loaded {
    /// The folder at `modseq`, shared with other sessions.
    table: Arc<Table>,
    /// The same with the ghosts: in UID order; the index plus one is the sequence number.
    rows: Arc<Table>,
}

/// What a look at the store brought, for [`Selected::take`].
pub(crate) enum News {
    /// Only messages that arrived, and the folder's numbers.
    Arrived { uids: Vec<Uid>, uid_next: Uid, modseq: ModSeq },
    /// The folder as it is now; what happened since the last look, for sessions without rows.
    Table { table: Arc<Table>, changes: Option<Changes> },
}

impl News {
    /// UIDNEXT of then.
    pub(crate) fn uid_next(&self) -> Uid {
        match self {
            News::Arrived { uid_next, .. } => *uid_next,
            News::Table { table, .. } => table.uid_next,
        }
    }
}

impl Selected {
    /// A folder as it was opened; nothing of its rows is known.
    pub(crate) fn new(bal: BalId, read_only: bool, opening: &Opening) -> Self {
        let folder = &opening.folder;
        let exists = usize::try_from(folder.messages).unwrap_or(usize::MAX);
        let recent = usize::try_from(opening.recent).unwrap_or(usize::MAX);
        let mut recents = Recents::default();
        if let Some(from) = opening.recent_from {
            recents.add(from, folder.uid_next);
        }
        Selected {
            bal,
            folder: folder.id,
            read_only,
            uid_next: folder.uid_next,
            modseq: folder.highest_modseq,
            exists,
            loaded: None,
            recents: Arc::new(recents),
            recent,
            vanished: BTreeSet::new(),
            changed: BTreeSet::new(),
            believed: HashMap::new(),
            told_exists: exists,
            told_recent: recent,
            saved: None,
        }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    /// The messages that the client counts. Empty before they are read: [`crate::session::Session::rows`] reads.
    pub(crate) fn rows(&self) -> Rows {
        let table = self.loaded.as_ref().map(|loaded| loaded.rows.clone());
        Rows {
            table: table.unwrap_or_else(|| Arc::new(Table::empty())),
            recents: self.recents.clone(),
        }
    }

    /// Index of a UID.
    pub(crate) fn index(&self, uid: u32) -> Option<usize> {
        self.loaded.as_ref()?.rows.index(uid)
    }

    /// Takes in what happened. `recent_from`: messages from this UID on that arrived are recent to this session.
    ///
    /// # Errors
    /// [`Gone::Outdated`]: so much happened before the rows were read that the change log was cut, and nobody can say
    /// which sequence numbers the messages had.
    pub(crate) fn take(&mut self, news: News, recent_from: Option<Uid>) -> Result<(), Gone> {
        let arrived_from = self.uid_next;
        match news {
            News::Arrived { uids, uid_next, modseq } => {
                self.exists += uids.len();
                let is_recent = |uid: &&Uid| recent_from.is_some_and(|from| **uid >= from);
                self.recent += uids.iter().filter(is_recent).count();
                self.uid_next = self.uid_next.max(uid_next);
                self.modseq = self.modseq.max(modseq);
            }
            News::Table { table, changes } => {
                // A slower reader of an older table has nothing to say.
                if self.loaded.is_some() && table.modseq < self.modseq {
                    return Ok(());
                }
                let first = self.loaded.is_none();
                self.note(&table, changes);
                if first && table.rank(self.uid_next.0) + self.vanished.len() != self.exists {
                    return Err(Gone::Outdated);
                }
                self.put(table);
            }
        }
        if let Some(from) = recent_from {
            Arc::make_mut(&mut self.recents).add(from.max(arrived_from), self.uid_next);
        }
        Ok(())
    }

    /// What of a new table the client does not know.
    fn note(&mut self, table: &Table, changes: Option<Changes>) {
        let (vanished, changed) = match (&self.loaded, changes) {
            (Some(loaded), _) => {
                let diff = loaded.table.diff(table);
                (diff.vanished, diff.changed)
            }
            (None, Some(changes)) => {
                let counted = |uid: &u32| *uid < self.uid_next.0;
                let end = self.uid_next.0.saturating_sub(1);
                let ranges = changes.vanished.iter();
                let gone = ranges.flat_map(|(first, last)| first.0..=last.0.min(end));
                let here = changes.changed.iter().map(|meta| meta.uid.0).filter(counted);
                // The log may be ahead of the table.
                (gone.filter(|uid| table.index(*uid).is_none()).collect(), here.collect())
            }
            (None, None) => (Vec::new(), Vec::new()),
        };
        self.vanished.extend(vanished);
        let believed = std::mem::take(&mut self.believed);
        for uid in changed {
            let Some(new) = table.by_uid(uid) else { continue };
            let known = match believed.get(&uid) {
                Some(flags) => new.has_flags(flags),
                // Without rows nothing is known of what it was.
                None => self
                    .loaded
                    .as_ref()
                    .and_then(|loaded| loaded.table.by_uid(uid))
                    .is_some_and(|old| old.same_flags(&new)),
            };
            if !known {
                self.changed.insert(uid);
            }
        }
    }

    fn put(&mut self, table: Arc<Table>) {
        self.uid_next = self.uid_next.max(table.uid_next);
        self.modseq = self.modseq.max(table.modseq);
        let rows = if self.vanished.is_empty() {
            table.clone()
        } else {
            let old = self.loaded.as_ref().map(|loaded| &*loaded.rows);
            Arc::new(table.with_ghosts(self.vanished.iter().copied(), old))
        };
        self.exists = rows.len();
        self.loaded = Some(Loaded { table, rows });
    }

    /// This session is about to take in its own change: what the client makes of it already. `silent`: it asked not
    /// to be told, and is told only where others changed more (RFC 9051 6.4.6).
    pub(crate) fn changed_here(
        &mut self,
        metas: &[MessageMeta],
        change: &FlagChange,
        answer: Answer,
    ) {
        for meta in metas {
            let uid = meta.uid.0;
            let row = self.loaded.as_ref().and_then(|loaded| loaded.table.by_uid(uid));
            let Some(row) = row else { continue };
            match answer {
                Answer::Fetch => {
                    self.changed.insert(uid);
                }
                Answer::Silent => {
                    let known = self.believed.remove(&uid).unwrap_or_else(|| row.flags());
                    if let Ok(flags) = change.applied_to(&known) {
                        self.believed.insert(uid, flags);
                    }
                }
            }
        }
    }

    /// The client is told of these flags by other means.
    pub(crate) fn flags_told(&mut self, uid: u32, flags: Option<&Flags>) {
        self.changed.remove(&uid);
        if let Some(flags) = flags {
            self.believed.insert(uid, flags.clone());
        }
    }

    /// Writes what the client does not know yet. The rows are there if there is more than arrivals to tell.
    pub(crate) fn announce(&mut self, out: &mut Writer, expunges: Expunges, enabled: Enabled) {
        if expunges == Expunges::Tell && !self.vanished.is_empty() {
            self.write_expunges(out, enabled);
        }
        self.announce_arrivals(out, enabled);
        for uid in std::mem::take(&mut self.changed) {
            let Some(loaded) = &self.loaded else { return };
            if let Some(row) = loaded.table.by_uid(uid)
                && let Some(index) = loaded.rows.index(uid)
            {
                let recent = self.recents.contains(uid);
                write_flags(out, index + 1, (&row, recent), enabled);
            }
        }
    }

    /// Only how many messages there are.
    pub(crate) fn announce_arrivals(&mut self, out: &mut Writer, enabled: Enabled) {
        if self.exists != self.told_exists {
            self.told_exists = self.exists;
            out.untagged(format_args!("{} EXISTS", self.told_exists));
        }
        // RFC 9051 A: rev2 has no RECENT.
        let recent = if enabled.rev2 { self.told_recent } else { self.recent() };
        if recent != self.told_recent {
            self.told_recent = recent;
            out.untagged(format_args!("{recent} RECENT"));
        }
    }

    /// Recent messages, as far as is known before the rows are read.
    fn recent(&self) -> usize {
        self.loaded.as_ref().map_or(self.recent, |loaded| self.recents.count(&loaded.rows))
    }

    fn write_expunges(&mut self, out: &mut Writer, enabled: Enabled) {
        // A message that came and went before it was told has a number only once it is counted.
        let last = self.vanished.last().and_then(|uid| self.index(*uid));
        if last.is_some_and(|index| index >= self.told_exists) {
            self.announce_arrivals(out, enabled);
        }
        let vanished = std::mem::take(&mut self.vanished);
        let Some(loaded) = &mut self.loaded else { return };
        let by_uid = enabled.qresync || enabled.uid_only;
        if by_uid {
            // RFC 7162 3.2.10 and RFC 9586 3: in place of every EXPUNGE.
            let uids = Ranges::from_ascending(vanished.iter().copied());
            out.untagged(format_args!("VANISHED {uids}"));
        }
        // Each EXPUNGE renumbers what follows (RFC 9051 7.5.1).
        let mut gone = 0;
        for index in vanished.iter().filter_map(|uid| loaded.rows.index(*uid)) {
            if !by_uid {
                out.untagged(format_args!("{} EXPUNGE", index + 1 - gone));
            }
            gone += 1;
        }
        loaded.rows = loaded.table.clone();
        self.exists = loaded.rows.len();
        self.told_exists -= gone;
        self.told_recent = self.recents.count(&loaded.rows);
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
    /// sequence number that is not there is the client's error. The rows have been read.
    pub(crate) fn resolve(&self, set: &SequenceSet, by: Selector) -> Result<Vec<usize>, Failure> {
        let rows = self.rows();
        let last = match by {
            Selector::Sequence => u32::try_from(rows.len()).unwrap_or(u32::MAX),
            Selector::Uid => rows.last_uid(),
        };
        if *set == SequenceSet::Saved {
            return Ok(indexes_of_uids(&rows, &self.saved()));
        }
        let ranges = set.ranges(last);
        match by {
            Selector::Uid => Ok(indexes_of_uids(&rows, &ranges)),
            Selector::Sequence if ranges.last().is_some_and(|number| number > last) => {
                Err(Failure::SequenceNumber)
            }
            Selector::Sequence => {
                Ok(ranges.iter().flat_map(|(a, b)| a as usize - 1..b as usize).collect())
            }
        }
    }

    /// UIDs of these indexes whose messages still exist.
    pub(crate) fn uids(&self, indexes: &[usize]) -> Vec<Uid> {
        let rows = self.rows();
        let uids = indexes.iter().map(|index| Uid(rows.uid(*index)));
        uids.filter(|uid| !self.vanished.contains(&uid.0)).collect()
    }
}

fn indexes_of_uids(rows: &Rows, ranges: &Ranges) -> Vec<usize> {
    let mut indexes = Vec::new();
    for (first, last) in ranges.iter() {
        let to = last.checked_add(1).map_or(rows.len(), |end| rows.table.rank(end));
        indexes.extend(rows.table.rank(first)..to);
    }
    indexes
}

/// `* n FETCH (UID u FLAGS (…))`
pub(crate) fn write_flags(
    out: &mut Writer,
    number: usize,
    (row, recent): (&Row<'_>, bool),
    enabled: Enabled,
) {
    crate::fetch::write_start(out, number, row, enabled);
    if !enabled.uid_only {
        out.raw("UID ").show(row.uid().0).raw(" ");
    }
    if enabled.condstore {
        out.raw("MODSEQ (").show(row.modseq().0).raw(") "); // RFC 7162 3.2
    }
    out.raw("FLAGS ");
    crate::fetch::write_flag_list(out, row, recent && !enabled.rev2);
    out.raw(")").crlf();
}
