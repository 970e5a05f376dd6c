//! The order of the work: what waits, then what is to be merged, then what an older store holds.

use crate::document::terms;
use crate::limits::{BATCH_MESSAGES, BATCH_TERMS, FORGET_BODIES, PLANT_MESSAGES};
use palombe_message::SEARCH_TEXT_VERSION;
use palombe_store::{PendingMessage, SearchMerge, SearchTerms, Store, StoreError};
use palombe_vocabulary::BalId;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something was done.
    Worked,
    /// Nothing is left.
    Idle,
}

/// Makes the index of a store, in bounded steps. One at a time.
pub struct Indexer {
    store: Store,
    /// The last BAL whose messages were indexed.
    at: Option<BalId>,
    /// BAL whose segments may be worth merging.
    grown: BTreeSet<BalId>,
    merge: Option<SearchMerge>,
    /// Changes committed by this worker.
    pub(crate) batches: u64,
}

impl Indexer {
    /// Begins; to be called before anybody searches.
    ///
    /// # Errors
    /// The store's.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        store.search_version(SEARCH_TEXT_VERSION)?;
        store.search_abandoned()?;
        Ok(Indexer { store, at: None, grown: BTreeSet::new(), merge: None, batches: 0 })
    }

    /// Works for about that long, one step at least.
    ///
    /// # Errors
    /// The store's; nothing is lost, the same work is done later.
    pub fn run(&mut self, time: Duration) -> Result<Progress, StoreError> {
        let began = Instant::now();
        loop {
            let step = self.step();
            if step.is_err() {
                // A merge is begun again, whatever became of it.
                self.merge = None;
                self.store.search_abandoned()?;
            }
            if step? == Progress::Idle {
                return Ok(Progress::Idle);
            }
            if began.elapsed() >= time {
                return Ok(Progress::Worked);
            }
        }
    }

    /// One piece of work. What waits comes before a merge, and a merge goes on between two such pieces, so that
    /// neither keeps the other from its end.
    fn step(&mut self) -> Result<Progress, StoreError> {
        let merged = self.merge_some()?;
        if self.index_some()? || merged {
            return Ok(Progress::Worked);
        }
        let forgotten = self.store.search_forget(FORGET_BODIES)?;
        if !forgotten.is_empty() {
            self.batches += forgotten.len() as u64;
            self.grown.extend(forgotten);
            return Ok(Progress::Worked);
        }
        if let Some(bal) = self.store.search_unplanted() {
            self.store.search_plant(bal, PLANT_MESSAGES)?;
            self.batches += 1;
            return Ok(Progress::Worked);
        }
        Ok(Progress::Idle)
    }

    fn merge_some(&mut self) -> Result<bool, StoreError> {
        if let Some(merge) = self.merge.take() {
            self.merge = self.store.search_merge_step(merge)?;
            self.batches += 1;
            return Ok(true);
        }
        let Some(bal) = self.grown.first().copied() else { return Ok(false) };
        self.merge = self.store.search_merge(bal)?;
        match self.merge {
            Some(_) => self.batches += 1,
            None => drop(self.grown.remove(&bal)),
        }
        Ok(true)
    }

    fn index_some(&mut self) -> Result<bool, StoreError> {
        let Some((bal, pending)) = self.store.search_pending(self.at, BATCH_MESSAGES)? else {
            // Round again, when this was not the first BAL.
            return Ok(self.at.take().is_some());
        };
        self.at = Some(bal);
        let mut messages = Vec::with_capacity(pending.len());
        let mut count = 0;
        for message in pending {
            let terms = match message.known {
                true => None,
                false => match self.terms(bal, &message)? {
                    Some(terms) => Some(terms),
                    None => continue,
                },
            };
            count += terms.as_ref().map_or(0, SearchTerms::len);
            messages.push((message, terms));
            if count > BATCH_TERMS {
                break;
            }
        }
        if !messages.is_empty() {
            self.store.search_index(bal, messages)?;
            self.batches += 1;
        }
        self.grown.insert(bal);
        Ok(true)
    }

    /// A message that cannot be read, or that breaks a decoder, is a candidate of every search.
    fn terms(
        &self,
        bal: BalId,
        message: &PendingMessage,
    ) -> Result<Option<SearchTerms>, StoreError> {
        let unread = || {
            let mut none = self.store.search_terms();
            none.incomplete();
            Ok(Some(none))
        };
        let (folder, uid) = (message.folder, message.uid);
        match catch_unwind(AssertUnwindSafe(|| terms(&self.store, bal, message))) {
            Ok(Err(StoreError::Corrupt { what })) => {
                tracing::error!(%bal, %folder, %uid, what, "a message cannot be indexed");
                unread()
            }
            Ok(result) => result,
            Err(_) => {
                tracing::error!(%bal, %folder, %uid, "a message broke the indexing: our defect");
                unread()
            }
        }
    }
}
