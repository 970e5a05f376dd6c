//! Changes of flags. Those of one BAL that wait for each other are written by one batch: whoever gets the BAL's edit
//! lock does the work of all who wait, so that many sessions share one sync.

use crate::engine::Durability;
use crate::limits::FLAGGINGS_TOGETHER_MAX;
use crate::rows::MetaRow;
use crate::{FlagChange, FlagOutcome, FlagScope, FlagUpdate, Flags, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Uid};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

type Answer = Arc<Mutex<Option<Result<FlagOutcome, StoreError>>>>;

/// A change that waits.
pub(crate) struct Flagging {
    bal: BalId,
    folder: FolderId,
    uids: Vec<Uid>,
    update: FlagUpdate,
    answer: Answer,
}

/// Rows as the batch being written leaves them.
type Known = HashMap<(FolderId, Uid), MetaRow>;

/// Of a row that the batch being written changed: larger than every real one, so that UNCHANGEDSINCE meets a
/// conflict.
const PENDING: u64 = u64::MAX;

impl Store {
    /// Changes flags; messages that do not exist are passed over. Nothing is written for those that stay the same.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], [`StoreError::TooMany`] keywords, or the engine's.
    pub fn flags_update(
        &self,
        bal: BalId,
        folder: FolderId,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<FlagOutcome, StoreError> {
        let (change, scope) = (change.clone(), FlagScope::ALL);
        let update = FlagUpdate { change, unchanged_since, scope, deed: None };
        self.flags_update_by((bal, folder), uids, &update)
    }

    /// The same, by somebody who may not change every flag, or in whose name the journal tells it.
    ///
    /// # Errors
    /// As there.
    pub fn flags_update_by(
        &self,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
        update: &FlagUpdate,
    ) -> Result<FlagOutcome, StoreError> {
        if let Some(deed) = update.deed.as_ref().filter(|deed| deed.member != bal) {
            // Whoever is a member no more changes nothing.
            self.member(bal, deed.member).ok_or(StoreError::UnknownMember)?;
            if self.own_viewer(bal, deed.member).is_some() {
                return self.flags_update_own((bal, folder), uids, update);
            }
        }
        let answer = Answer::default();
        let (uids, update) = (uids.to_vec(), update.clone());
        let flagging = Flagging { bal, folder, uids, update, answer: answer.clone() };
        self.inner.flaggings(bal).lock().push(flagging);
        let _edit = self.inner.edit(bal);
        loop {
            if let Some(told) = answer.lock().take() {
                return told;
            }
            let group = self.next_flaggings(bal);
            if group.is_empty() {
                return Err(StoreError::Busy); // whoever had taken it on could not go on
            }
            self.flag_together(bal, group);
        }
    }

    /// Those of this BAL that waited longest.
    fn next_flaggings(&self, bal: BalId) -> Vec<Flagging> {
        let mut waiting = self.inner.flaggings(bal).lock();
        let mut left = FLAGGINGS_TOGETHER_MAX;
        waiting
            .extract_if(.., |flagging| {
                let taken = flagging.bal == bal && left > 0;
                left -= usize::from(taken);
                taken
            })
            .collect()
    }

    /// Under the BAL's edit lock: nobody else changes its flags meanwhile.
    fn flag_together(&self, bal: BalId, group: Vec<Flagging>) {
        let mut draft = self.draft(Durability::Synced);
        let (mut known, mut edited) = (Known::new(), false);
        let mut done: Vec<(Flagging, FlagOutcome, Vec<usize>)> = Vec::new();
        for flagging in group {
            let (edit, changes, outcome, new) = match self.flag_one(&known, &flagging) {
                Ok(worked_out) => worked_out,
                Err(error) => {
                    *flagging.answer.lock() = Some(Err(error));
                    continue;
                }
            };
            if !changes.is_empty() && !edited {
                draft.edits(bal, edit);
                edited = true;
            }
            let told: Vec<Uid> = changes.iter().map(|(uid, ..)| *uid).collect();
            for (uid, old, flags) in changes {
                draft.flag(bal, flagging.folder, uid, (&old, &flags));
                let row = MetaRow { flags, modseq: PENDING, ..old };
                known.insert((flagging.folder, uid), row);
            }
            if let Some(deed) = flagging.update.deed.as_ref().filter(|_| !told.is_empty()) {
                deed.tell_flags(&mut draft, (bal, flagging.folder), &told, &flagging.update.change);
            }
            done.push((flagging, outcome, new));
        }
        let committed = edited.then(|| {
            let step = draft.modseq(bal);
            self.inner.commit(draft).map(|committed| ModSeq(committed.steps.u64(step)))
        });
        for (flagging, mut outcome, new) in done {
            let answer = match &committed {
                Some(Err(error)) => Err(again(error)),
                Some(Ok(modseq)) => {
                    for at in new {
                        outcome.changed[at].modseq = *modseq;
                    }
                    Ok(outcome)
                }
                None => Ok(outcome),
            };
            *flagging.answer.lock() = Some(answer);
        }
    }

    /// What one of them changes, after those before it; which of its messages get the batch's modification sequence.
    fn flag_one(&self, known: &Known, flagging: &Flagging) -> Result<WorkedOut, StoreError> {
        let Flagging { bal, folder, uids, update, .. } = flagging;
        let seen = self.seen(*bal, *folder, uids)?;
        let (mut changes, mut outcome, mut new) = (Vec::new(), FlagOutcome::default(), Vec::new());
        for (uid, row) in seen.messages {
            let row = known.get(&(*folder, uid)).cloned().unwrap_or(row);
            if update.unchanged_since.is_some_and(|since| row.modseq > since.0) {
                outcome.conflicts.push(uid);
                continue;
            }
            let flags = update.scope.cut(&row.flags, update.change.applied_to(&row.flags)?);
            if flags != row.flags || row.modseq == PENDING {
                new.push(outcome.changed.len());
            }
            if flags != row.flags {
                changes.push((uid, row.clone(), flags.clone()));
            }
            outcome.changed.push(MetaRow { flags, ..row }.meta(uid));
        }
        Ok((seen.edit, changes, outcome, new))
    }
}

/// The BAL's edit number; messages with their old row and new flags; the answer; places in it that are new.
type WorkedOut = (i64, Vec<(Uid, MetaRow, Flags)>, FlagOutcome, Vec<usize>);

/// One failure, told to each who shared the batch.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Full => StoreError::Full,
        StoreError::Busy => StoreError::Busy,
        StoreError::UnknownBal => StoreError::UnknownBal,
        StoreError::UnknownFolder => StoreError::UnknownFolder,
        StoreError::Conflict => StoreError::Conflict,
        StoreError::Corrupt { what } => StoreError::Corrupt { what: what.clone() },
        other => StoreError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestStore, bal, body};
    use crate::{Filing, FlagChange, Flags, INBOX, Store};
    use palombe_vocabulary::{BalId, Timestamp, Uid};
    use std::collections::BTreeSet;

    fn deliver(store: &Store, bal: BalId, octets: &[u8]) -> Uid {
        let filing = Filing {
            bal,
            folder: INBOX,
            prefix: Vec::new(),
            flags: Flags::default(),
            internal_date: Timestamp(0),
        };
        let blob = body(store, octets);
        store.file(filing, blob, Vec::new(), Vec::new(), Timestamp(0)).unwrap().uid
    }

    #[test]
    fn changes_made_together_are_all_there() {
        TestStore::each(|store| {
            let id = bal(store, "a");
            let uids: Vec<Uid> = (0..3).map(|octet| deliver(store, id, &[octet])).collect();
            let add = |thread: usize, turn: usize| {
                let keywords = vec![format!("$t{thread}-{turn}")];
                let change = FlagChange::Add(Flags { keywords, ..Flags::default() });
                let uids = &uids[thread % 2..];
                let outcome = store.flags_update(id, INBOX, uids, &change, None).unwrap();
                assert_eq!(outcome.changed.len(), uids.len());
                outcome.changed[0].modseq
            };
            let modseqs: Vec<BTreeSet<_>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|thread| {
                        let add = &add;
                        scope.spawn(move || (0..5).map(|turn| add(thread, turn)).collect())
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            // Each thread's own changes came one after the other.
            assert!(modseqs.iter().all(|own| own.len() == 5));
            let view = store.view(id, INBOX).unwrap();
            let keywords: Vec<usize> =
                view.messages.iter().map(|meta| meta.flags.keywords.len()).collect();
            assert_eq!(keywords, [20, 40, 40]);
            let last = modseqs.iter().flatten().max().copied();
            assert_eq!(last, Some(view.highest_modseq));
        });
    }
}
