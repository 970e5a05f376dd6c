//! A search on its way: candidates from the index, then each compared with the message itself.

use super::{Criteria, Key, Leaf, What};
use crate::error::Failure;
use crate::fetch::{Source, Stored};
use crate::limits::{SEARCH_PART_BYTES_MAX, SEARCH_SLICE};
use crate::rows::{Row, Rows};
use palombe_imap_proto::Day;
use palombe_message::{Searchable, contains_folded, decode_text, header};
use palombe_store::{Candidates, SearchQuery, Store};
use palombe_vocabulary::{BalId, FolderId};
use std::cell::OnceCell;
use std::ops::Range;
use std::time::Instant;

/// A row as this session sees it.
pub(super) struct Seen<'a> {
    pub(super) row: Row<'a>,
    pub(super) recent: bool,
}

/// What was found: indexes, ascending.
pub(crate) struct Found {
    pub(crate) indexes: Vec<usize>,
    /// A message was gone already.
    pub(crate) expunged: bool,
}

/// What the index says: which rows are to be looked at, and which may hold what a leaf asks for.
#[derive(Default)]
struct Hints {
    /// Indexes, ascending; `None` is every row.
    rows: Option<Vec<usize>>,
    /// UIDs of each leaf, ascending; `None` is any.
    leaves: Vec<Option<Vec<u32>>>,
}

/// A search on its way.
pub(crate) struct Hunt {
    bal: BalId,
    folder: FolderId,
    rows: Rows,
    criteria: Criteria,
    hints: Option<Hints>,
    at: usize,
    found: Found,
}

impl Hunt {
    pub(crate) fn new(bal: BalId, folder: FolderId, rows: Rows, criteria: Criteria) -> Self {
        let found = Found { indexes: Vec::new(), expunged: false };
        Hunt { bal, folder, rows, criteria, hints: None, at: 0, found }
    }

    pub(crate) fn needs_no_store(&self) -> bool {
        self.criteria.key.cost() == 0
    }

    pub(crate) fn is_done(&self) -> bool {
        let some = self.hints.as_ref().and_then(|hints| hints.rows.as_ref());
        self.at >= some.map_or(self.rows.len(), Vec::len)
    }

    pub(crate) fn into_found(self) -> Found {
        self.found
    }

    /// All of it: only rows are read, so nothing can fail.
    pub(crate) fn run_in_memory(&mut self) {
        while !self.is_done() {
            if self.examine(None).is_err() {
                return;
            }
        }
    }

    /// For a while.
    pub(crate) fn run_slice(&mut self, store: &Store) -> Result<(), Failure> {
        let began = Instant::now();
        if self.hints.is_none() {
            self.hints = Some(self.ask(store)?);
        }
        while !self.is_done() && began.elapsed() < SEARCH_SLICE {
            self.examine(Some(store))?;
        }
        Ok(())
    }

    /// Every row is compared, as if there were no index.
    #[cfg(test)]
    pub(super) fn without_index(mut self) -> Self {
        self.hints = Some(Hints::default());
        self
    }

    /// How many messages are compared.
    #[cfg(test)]
    pub(super) fn comparisons(&mut self, store: &Store) -> usize {
        let hints = self.ask(store).unwrap();
        hints.rows.map_or(self.rows.len(), |rows| rows.len())
    }

    fn ask(&self, store: &Store) -> Result<Hints, Failure> {
        let (bound, leaves) = self.criteria.queries();
        let mut asked = Vec::with_capacity(leaves.len() + 1);
        asked.push(bound);
        asked.extend(leaves);
        let mut told = store.search_candidates(self.bal, Some(self.folder), &asked)?.into_iter();
        let rows = told.next().and_then(uids).map(|uids| {
            let mut rows: Vec<usize> =
                uids.into_iter().filter_map(|uid| self.rows.table.index(uid)).collect();
            rows.sort_unstable();
            rows
        });
        Ok(Hints { rows, leaves: told.map(uids).collect() })
    }

    fn examine(&mut self, store: Option<&Store>) -> Result<(), Failure> {
        let none = Hints::default();
        let hints = self.hints.as_ref().unwrap_or(&none);
        let index = match &hints.rows {
            Some(rows) => rows.get(self.at).copied(),
            None => Some(self.at),
        };
        self.at += 1;
        let Some((index, row)) = index.and_then(|i| Some((i, self.rows.get(i)?))) else {
            return Ok(());
        };
        if row.is_hollow() {
            self.found.expunged = true;
            return Ok(());
        }
        let row = Seen { recent: self.rows.is_recent(&row), row };
        let message = Message {
            store: store.map(|store| (store, self.bal, self.folder)),
            index,
            row,
            leaves: &hints.leaves,
            source: OnceCell::new(),
        };
        let matches = self.criteria.key.matches(&message)?;
        let gone = matches!(message.source.get(), Some(None)) && store.is_some();
        if gone {
            self.found.expunged = true;
        } else if matches {
            self.found.indexes.push(index);
        }
        Ok(())
    }
}

fn uids(candidates: Candidates) -> Option<Vec<u32>> {
    match candidates {
        Candidates::All => None,
        Candidates::Only(found) => Some(found.into_iter().map(|(_, uid)| uid.0).collect()),
    }
}

/// One message under examination; read as far as the criteria ask.
pub(super) struct Message<'a> {
    store: Option<(&'a Store, BalId, FolderId)>,
    index: usize,
    row: Seen<'a>,
    leaves: &'a [Option<Vec<u32>>],
    source: OnceCell<Option<(Source, Vec<u8>)>>,
}

impl Key {
    pub(super) fn matches(&self, message: &Message<'_>) -> Result<bool, Failure> {
        Ok(match self {
            Key::And(keys) => {
                for key in keys {
                    if !key.matches(message)? {
                        return Ok(false);
                    }
                }
                true
            }
            Key::Or(pair) => pair.0.matches(message)? || pair.1.matches(message)?,
            Key::Not(key) => !key.matches(message)?,
            Key::Row(test) => test(message.index, &message.row),
            Key::Leaf(leaf) => message.may_match(leaf) && leaf.what.matches(message)?,
        })
    }
}

impl What {
    fn matches(&self, message: &Message<'_>) -> Result<bool, Failure> {
        Ok(match self {
            What::Header { name, text } => header::search(message.header()?, name, text),
            What::EmailId(id) => {
                message.source()?.is_some_and(|(source, _)| source.stored.email_id() == *id)
            }
            What::SentBefore(day) => message.sent()?.is_some_and(|sent| sent < *day),
            What::SentOn(day) => message.sent()?.is_some_and(|sent| sent == *day),
            What::SentSince(day) => message.sent()?.is_some_and(|sent| sent >= *day),
            What::Body(folded) => {
                message.body_holds(folded, |piece| !matches!(piece, Searchable::PartHeader(_)))?
            }
            What::Text(folded) => {
                header::search_any(message.header()?, folded)
                    || message.body_holds(folded, |_| true)?
            }
        })
    }
}

impl Message<'_> {
    /// False when the index knows that the leaf does not match.
    fn may_match(&self, leaf: &Leaf) -> bool {
        match leaf.hint.and_then(|at| self.leaves.get(at)) {
            Some(Some(uids)) => uids.binary_search(&self.row.row.uid().0).is_ok(),
            _ => true,
        }
    }

    /// `None`: expunged meanwhile.
    fn source(&self) -> Result<Option<&(Source, Vec<u8>)>, Failure> {
        if let Some(source) = self.source.get() {
            return Ok(source.as_ref());
        }
        let Some((store, bal, folder)) = self.store else { return Ok(None) };
        let source = match Stored::find(store, bal, folder, self.row.row.uid())? {
            None => None,
            Some(stored) => {
                let source = Source::read(store, stored)?;
                let header = source.header(store)?;
                Some((source, header))
            }
        };
        Ok(self.source.get_or_init(|| source).as_ref())
    }

    fn header(&self) -> Result<&[u8], Failure> {
        Ok(self.source()?.map_or(&[], |(_, header)| header))
    }

    /// The day of the Date header, as written there (RFC 9051 6.4.4: "disregarding time and timezone").
    fn sent(&self) -> Result<Option<Day>, Failure> {
        let date = header::first(self.header()?, "Date");
        let day = date.and_then(|field| header::decode_day(field.value));
        Ok(day.and_then(|(year, month, day)| {
            Day::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?)
        }))
    }

    /// Whether one of these pieces, decoded, holds the text; read one at a time.
    fn body_holds(
        &self,
        folded: &str,
        looks_into: impl Fn(&Searchable<'_>) -> bool,
    ) -> Result<bool, Failure> {
        let (Some((source, _)), Some((store, ..))) = (self.source()?, self.store) else {
            return Ok(false);
        };
        if folded.is_empty() {
            return Ok(true);
        }
        let mut blob = store.blob_reader(source.stored.digest);
        let mut read = |range: &Range<u64>| {
            blob.read(range.start..range.end.min(range.start + SEARCH_PART_BYTES_MAX))
        };
        for piece in source.structure.searchable().filter(looks_into) {
            let holds = match &piece {
                Searchable::Text(part) => {
                    contains_folded(&decode_text(part, &read(&part.body)?), folded)
                }
                // Headers of attached messages are text of the body: people expect it.
                Searchable::AttachedHeader(range) | Searchable::PartHeader(range) => {
                    header::search_any(&read(range)?, folded)
                }
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Criteria {
    /// What every match must hold, and what each leaf asks for where that alone leaves messages to be read for
    /// nothing: below a NOT, or when there is no bound.
    fn queries(&self) -> (SearchQuery, Vec<SearchQuery>) {
        let bound = self.key.bound();
        let mut leaves = vec![SearchQuery::Anything; self.leaves];
        let open = bound == SearchQuery::Anything;
        self.key.each_leaf(open, &mut |leaf, wanted| {
            if let Some(at) = leaf.hint.filter(|_| wanted)
                && let Some(query) = leaves.get_mut(at)
            {
                *query = leaf.what.query();
            }
        });
        (bound, leaves)
    }
}
