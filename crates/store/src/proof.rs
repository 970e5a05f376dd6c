//! Whether the journal is still what was written (spec mssante §9): each line is chained to all lines before it.

use crate::directory::counter;
use crate::engine::chain::{self, DIGEST_BYTES, START};
use crate::engine::{Direction, EngineError, Reader, Space, after};
use crate::keys::{self, global};
use crate::limits::CHECK_PROBLEMS_MAX;
use crate::rows;
use crate::{JournalProof, Store, StoreError};

type Digest = [u8; DIGEST_BYTES];

/// What a link row says.
pub(crate) struct Link {
    pub(crate) seq: u64,
    /// Key of the line.
    pub(crate) line: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Link {
    pub(crate) fn read(key: &[u8], value: &[u8]) -> Result<Link, EngineError> {
        let damaged = || rows::damaged("a link of the journal");
        let seq = keys::u64_at(key, keys::JOURNAL_LINK_SEQ_AT).ok_or_else(damaged)?;
        let at = value.len().checked_sub(DIGEST_BYTES).ok_or_else(damaged)?;
        let (line, digest) = value.split_at(at);
        let digest = digest.try_into().map_err(|_| damaged())?;
        Ok(Link { seq, line: line.to_vec(), digest })
    }
}

/// Number and digest of the last link that was trimmed.
pub(crate) fn anchor(reader: &dyn Reader) -> Result<(u64, Digest), EngineError> {
    let Some(row) = reader.get(Space::Journal, keys::JOURNAL_ANCHOR)? else {
        return Ok((0, START));
    };
    let digest = row.get(8..).and_then(|octets| octets.try_into().ok());
    let read = keys::u64_at(&row, 0).zip(digest);
    read.ok_or_else(|| rows::damaged("the anchor of the journal"))
}

/// A walk along the chain.
struct Walk {
    proof: JournalProof,
    seq: u64,
    digest: Digest,
}

impl Walk {
    fn problem(&mut self, what: String) {
        if self.proof.problems.len() < CHECK_PROBLEMS_MAX {
            self.proof.problems.push(what);
        }
    }

    fn step(&mut self, reader: &dyn Reader, link: &Link) -> Result<(), EngineError> {
        // A forged link may bear any number.
        let next = self.seq.saturating_add(1);
        if link.seq != next {
            let (from, to) = (next, link.seq.saturating_sub(1));
            self.problem(format!("lines {from} to {to} were removed with their links"));
        }
        self.seq = link.seq;
        match reader.get(Space::Journal, &link.line)? {
            None => self.problem(format!("line {} was removed", link.seq)),
            Some(value) => {
                self.proof.lines += 1;
                let named = keys::u64_at(&link.line, keys::LINE_SEQ_AT) == Some(link.seq);
                let digest = chain::link(&self.digest, &link.line, &value);
                if digest != link.digest || !named {
                    self.problem(format!("line {} is not what was written", link.seq));
                }
            }
        }
        self.digest = link.digest;
        Ok(())
    }
}

impl Store {
    /// Walks the chain of the journal from its oldest line to its last.
    ///
    /// # Errors
    /// The engine's. What was changed, removed, inserted or moved is a problem in the proof.
    pub fn journal_verify(&self) -> Result<JournalProof, StoreError> {
        self.inner.read(verify)
    }
}

pub(crate) fn verify(r: &dyn Reader) -> Result<JournalProof, EngineError> {
    let (seq, digest) = anchor(r)?;
    let proof = JournalProof { first: seq + 1, ..JournalProof::default() };
    let mut walk = Walk { proof, seq, digest };
    let end = after(keys::JOURNAL_LINKS);
    r.scan(Space::Journal, keys::JOURNAL_LINKS, &end, Direction::Up, &mut |key, value| {
        walk.step(r, &Link::read(key, value)?)?;
        Ok(true)
    })?;
    let last = counter(r, global::KEY, global::JOURNAL)?.unwrap_or(0).unsigned_abs();
    let head = r.get(Space::Journal, keys::JOURNAL_HEAD)?.unwrap_or_else(|| START.to_vec());
    if walk.seq != last {
        walk.problem(format!("lines {} to {last} were removed", walk.seq.saturating_add(1)));
    }
    if head != walk.digest {
        walk.problem("the last line is not the one that the head of the chain names".to_owned());
    }
    let mut present = 0;
    let end = after(keys::JOURNAL_LINES);
    r.scan(Space::Journal, keys::JOURNAL_LINES, &end, Direction::Up, &mut |_, _| {
        present += 1;
        Ok(true)
    })?;
    if present > walk.proof.lines {
        let more = present - walk.proof.lines;
        walk.problem(format!("{more} lines were inserted"));
    }
    walk.proof.last = walk.seq;
    walk.proof.head = head.iter().map(|b| format!("{b:02x}")).collect();
    Ok(walk.proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Batch, Durability, MemoryBackend};
    use crate::testing::{TestStore, assert_clean, line, settings};
    use palombe_vocabulary::Timestamp;
    use std::sync::Arc;

    /// A journal of nine lines in three batches, the fourth of them older than the third.
    fn journal(store: &Store) {
        for batch in 0..3 {
            let lines = (0..3).map(|i| {
                let at = Timestamp(1000 * batch + 10 * i - if i == 0 { 5 } else { 0 });
                crate::JournalLine { at, ..line(&format!("event.{batch}.{i}")) }
            });
            store.journal_append(lines.collect()).unwrap();
        }
    }

    fn links(store: &Store) -> Vec<Link> {
        let mut links = Vec::new();
        let end = after(keys::JOURNAL_LINKS);
        let read = store.inner.read(|r| {
            r.scan(Space::Journal, keys::JOURNAL_LINKS, &end, Direction::Up, &mut |key, value| {
                links.push(Link::read(key, value)?);
                Ok(true)
            })
        });
        read.unwrap();
        links
    }

    /// Edits what it likes; it may read the value of any line.
    type Tamper<'a> = &'a dyn Fn(&mut Batch, &[Link], &dyn Fn(usize) -> Vec<u8>);

    /// Tampers with a fresh journal; the words of the problems found.
    fn found(store: &Store, tamper: Tamper<'_>) -> String {
        journal(store);
        let proof = store.journal_verify().unwrap();
        assert_eq!((proof.lines, proof.problems.len()), (9, 0), "{:?}", proof.problems);
        let links = links(store);
        let value =
            |i: usize| store.inner.engine.get(Space::Journal, &links[i].line).unwrap().unwrap();
        let mut batch = Batch::new(Durability::Relaxed);
        tamper(&mut batch, &links, &value);
        store.inner.engine.commit(batch).unwrap();
        store.journal_verify().unwrap().problems.join("; ")
    }

    #[test]
    fn a_line_changed_removed_moved_or_inserted_is_found() {
        let check = |told: &str, tamper: Tamper<'_>| {
            let folder = tempfile::tempdir().unwrap();
            let memory = Arc::new(MemoryBackend::default());
            let stores = [
                Store::with_backend(memory, &settings("nowhere".as_ref())).unwrap(),
                Store::open(&settings(folder.path())).unwrap(),
            ];
            for store in &stores {
                let problems = found(store, tamper);
                assert!(problems.contains(told), "{told}: {problems}");
                let clean = store.check().is_ok_and(|report| report.problems.is_empty());
                assert!(!clean, "{told}: the check of the store saw nothing");
            }
        };
        check("line 5 is not what was written", &|batch, links, value| {
            let mut changed = value(4);
            *changed.last_mut().unwrap() ^= 1;
            batch.put(Space::Journal, links[4].line.clone(), changed);
        });
        check("line 5 was removed", &|batch, links, _| {
            batch.delete(Space::Journal, links[4].line.clone());
        });
        check("lines 5 to 5 were removed with their links", &|batch, links, _| {
            batch.delete(Space::Journal, links[4].line.clone());
            batch.delete(Space::Journal, keys::journal_link(5));
        });
        check("line 5 is not what was written", &|batch, links, value| {
            batch.put(Space::Journal, links[4].line.clone(), value(5));
            batch.put(Space::Journal, links[5].line.clone(), value(4));
        });
        check("lines 9 to 9 were removed", &|batch, links, _| {
            batch.delete(Space::Journal, links[8].line.clone());
            batch.delete(Space::Journal, keys::journal_link(9));
        });
        for forged in [0, u64::MAX] {
            check("is not what was written", &|batch, links, _| {
                let link = [&links[0].line[..], &[7; DIGEST_BYTES]].concat();
                batch.put(Space::Journal, keys::journal_link(forged), link);
            });
        }
        check("1 lines were inserted", &|batch, _, value| {
            batch.put(Space::Journal, keys::journal_line(Timestamp(7), 77), value(0));
        });
    }

    #[test]
    fn trimming_leaves_a_chain_that_verifies() {
        TestStore::each(|store| {
            journal(store);
            assert_eq!(store.journal_trim(Timestamp(1500), 4).unwrap(), 4);
            assert_eq!(store.journal_trim(Timestamp(1500), 100).unwrap(), 2);
            let proof = store.journal_verify().unwrap();
            assert_eq!((proof.first, proof.last, proof.lines), (7, 9, 3));
            assert!(proof.problems.is_empty(), "{:?}", proof.problems);
            assert_clean(store);
        });
    }
}
