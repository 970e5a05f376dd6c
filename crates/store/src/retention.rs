//! What is kept for a time only: lines of the journal, and the change log that clients catch up from.

use crate::directory::counter;
use crate::engine::{Batch, Direction, Durability, Space, after};
use crate::journal::index_of;
use crate::keys::{self, bal_field};
use crate::limits::{JOURNAL_TRIM_BATCH, LOG_KEPT_MODSEQS, LOG_TRIM_SLACK};
use crate::message::log_floor;
use crate::proof::Link;
use crate::rows;
use crate::{JournalLine, Store, StoreError};
use palombe_vocabulary::{BalId, ModSeq, Timestamp};

impl Store {
    /// Removes the lines of the journal from before `before`, at most `budget` of them, in the order in which they were
    /// written; gives how many. A younger line ends it.
    ///
    /// # Errors
    /// The engine's.
    pub fn journal_trim(&self, before: Timestamp, budget: usize) -> Result<u64, StoreError> {
        let mut trimmed = 0;
        while trimmed < budget as u64 {
            let limit = JOURNAL_TRIM_BATCH.min(budget - trimmed as usize);
            let count = self.journal_trim_some(before, limit)?;
            trimmed += count as u64;
            if count < limit {
                break;
            }
        }
        Ok(trimmed)
    }

    /// In the order of the chain, so that what stays can still be verified.
    fn journal_trim_some(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut lines = Vec::new();
        let end = after(keys::JOURNAL_LINKS);
        self.inner.read(|r| {
            r.scan(Space::Journal, keys::JOURNAL_LINKS, &end, Direction::Up, &mut |key, value| {
                let link = Link::read(key, value)?;
                let at = keys::time_at(&link.line, keys::LINE_TIME_AT);
                if at.is_none_or(|at| at >= before) {
                    return Ok(false);
                }
                let line = match r.get(Space::Journal, &link.line)? {
                    Some(value) => Some(rows::decode::<JournalLine>(&value, "a journal line")?),
                    None => None,
                };
                lines.push((link, line));
                Ok(lines.len() < limit)
            })
        })?;
        let Some((last, _)) = lines.last() else { return Ok(0) };
        let mut batch = Batch::new(Durability::Relaxed);
        let anchor = [&last.seq.to_be_bytes()[..], &last.digest].concat();
        batch.put(Space::Journal, keys::JOURNAL_ANCHOR.to_vec(), anchor);
        let count = lines.len();
        for (link, line) in lines {
            for (kind, hash) in line.iter().flat_map(|l| index_of(&self.inner.blob_key, l)) {
                let at = keys::time_at(&link.line, keys::LINE_TIME_AT).unwrap_or(before);
                batch.delete(Space::Journal, keys::journal_index(kind, hash, at, link.seq));
            }
            batch.delete(Space::Journal, link.line);
            batch.delete(Space::Journal, keys::journal_link(link.seq));
        }
        self.inner.engine.commit(batch)?;
        Ok(count)
    }

    /// Cuts the change log of every BAL that grew past what is kept; gives how many were cut. Clients that were
    /// away for longer are told by comparison ([`Store::changes`]).
    ///
    /// # Errors
    /// The engine's.
    pub fn trim_logs(&self) -> Result<u64, StoreError> {
        let mut cut = 0;
        for bal in self.bals(None)? {
            cut += u64::from(self.trim_log(bal.id, LOG_KEPT_MODSEQS, LOG_TRIM_SLACK)?);
        }
        Ok(cut)
    }

    /// Leaves the last `kept` modification sequences, once there are `slack` more.
    pub(crate) fn trim_log(&self, bal: BalId, kept: u64, slack: u64) -> Result<bool, StoreError> {
        let (modseq, floor) = self.inner.read(|r| {
            let modseq = counter(r, &keys::bal_counters(bal), bal_field::MODSEQ)?;
            Ok((modseq.unwrap_or(0).unsigned_abs(), log_floor(r, bal)?.0))
        })?;
        if modseq.saturating_sub(floor) <= kept.saturating_add(slack) {
            return Ok(false);
        }
        let floor = modseq - kept;
        let mut batch = Batch::new(Durability::Relaxed);
        batch.put(Space::Directory, keys::log_floor(bal), floor.to_be_bytes().to_vec());
        let (first, last) = (keys::log(bal, ModSeq(0)), keys::log(bal, ModSeq(floor + 1)));
        batch.delete_range(Space::Log, first, last);
        self.inner.engine.commit(batch)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, acceptance, assert_clean, bal, body, filing};
    use crate::{Acceptance, INBOX, JournalQuery};
    use palombe_vocabulary::Uid;

    fn line(at: i64) -> JournalLine {
        let (message_id, peer) = (Some("<a@b>".to_owned()), "192.0.2.1".parse().ok());
        let peer_dn = Some("CN=a".to_owned());
        let event = crate::testing::line("test");
        JournalLine { at: Timestamp(at), message_id, peer, peer_dn, ..event }
    }

    fn deliver(store: &Store, to: BalId, octets: &[u8]) -> Uid {
        let filings = vec![filing(to)];
        let message = Acceptance { filings, ..acceptance(body(store, octets)) };
        store.accept(message).unwrap().filed[0].uid
    }

    fn found(store: &Store, query: &JournalQuery) -> Vec<i64> {
        store.journal(query).unwrap().into_iter().map(|(_, line)| line.at.0).collect()
    }

    #[test]
    fn old_lines_leave_with_their_indexes() {
        TestStore::each(|store| {
            let lines: Vec<JournalLine> = (0..20).map(|i| line(i * 100)).collect();
            store.journal_append(lines).unwrap();
            assert_eq!(store.journal_trim(Timestamp(1000), 4).unwrap(), 4);
            assert_eq!(store.journal_trim(Timestamp(1000), 100).unwrap(), 6);
            assert_eq!(store.journal_trim(Timestamp(1000), 100).unwrap(), 0);
            let all = JournalQuery { limit: 100, ..JournalQuery::default() };
            let left: Vec<i64> = (10..20).map(|i| i * 100).collect();
            assert_eq!(found(store, &all), left);
            let by_message = JournalQuery { message_id: Some("<a@b>".to_owned()), ..all.clone() };
            assert_eq!(found(store, &by_message), left);
            let by_peer = JournalQuery { peer_dn: Some("CN=a".to_owned()), ..all.clone() };
            assert_eq!(found(store, &by_peer), left);
            let by_address = JournalQuery { peer: "192.0.2.1".parse().ok(), ..all.clone() };
            assert_eq!(found(store, &by_address), left);
            let other = JournalQuery { peer: "192.0.2.2".parse().ok(), ..all };
            assert!(found(store, &other).is_empty());
            assert_clean(store);
        });
    }

    #[test]
    fn a_client_that_was_away_longer_than_the_log_is_told_by_comparison() {
        TestStore::each(|store| {
            let id = bal(store, "a");
            let uids: Vec<Uid> = (0..9).map(|i| deliver(store, id, &[i])).collect();
            let before = store.view(id, INBOX).unwrap().highest_modseq;
            store.expunge(id, INBOX, &[uids[1], uids[2], uids[8]]).unwrap();
            let new = deliver(store, id, b"new");
            assert!(!store.trim_log(id, 1, 100).unwrap());
            assert!(store.trim_log(id, 1, 0).unwrap());
            let changes = store.changes(id, INBOX, before).unwrap();
            assert_eq!(changes.vanished, [(uids[1], uids[2]), (uids[8], uids[8])]);
            assert_eq!(changes.changed.iter().map(|m| m.uid).collect::<Vec<_>>(), [new]);
            assert_clean(store);
        });
    }
}
