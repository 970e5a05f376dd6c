//! What waits to be indexed, new segments, and documents whose messages are gone.

use super::block::{Packer, Posting, bits_for, list_octets};
use super::rows::{self, EmailId, LOOSE, PENDING, STATES, Segment, State};
use super::terms::SearchTerms;
use crate::engine::{Batch, Direction, Durability, EngineError, Expect, Reader, Space, after};
use crate::keys::{self, bal_field};
use crate::{BlobDigest, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, Uid};
use std::collections::{BTreeMap, HashSet};

/// A message that waits to be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMessage {
    /// Its folder.
    pub folder: FolderId,
    /// Its UID.
    pub uid: Uid,
    /// Its content is indexed already, or an earlier one of the same list has it: no terms are needed.
    pub known: bool,
    digest: BlobDigest,
    email_id: EmailId,
}

/// The state that a change starts from, and the conditions that keep two changes apart.
pub(super) struct Change {
    pub(super) state: State,
    pub(super) batch: Batch,
    bal: BalId,
}

impl Change {
    /// `None` for a BAL without an index, unless one may be `made`.
    pub(super) fn begin(
        store: &Store,
        bal: BalId,
        made: bool,
    ) -> Result<Option<Change>, StoreError> {
        let mut batch = Batch::new(Durability::Relaxed);
        // A BAL deleted meanwhile has no counters: nothing is written for it.
        batch.step(&keys::bal_counters(bal), bal_field::MODSEQ, 0);
        let key = rows::of_bal(STATES, bal);
        let state = match store.inner.read(|r| State::read(r, bal))? {
            Some((state, octets)) => {
                batch.expect(Expect::Equals(Space::Search, key, octets));
                state
            }
            None if made => {
                batch.expect(Expect::Absent(Space::Search, key));
                State::default()
            }
            None => return Ok(None),
        };
        Ok(Some(Change { state, batch, bal }))
    }

    /// False when something changed meanwhile: nothing was done.
    pub(super) fn commit(mut self, store: &Store) -> Result<bool, StoreError> {
        let value = self.state.encode()?;
        self.batch.put(Space::Search, rows::of_bal(STATES, self.bal), value);
        commit(store, self.batch)
    }
}

/// False when the batch was refused.
pub(super) fn commit(store: &Store, batch: Batch) -> Result<bool, StoreError> {
    match store.inner.engine.commit(batch) {
        Ok(_) => Ok(true),
        Err(EngineError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Store {
    /// Up to `limit` messages that wait, of the first BAL after this one that has any; none when the last BAL is
    /// passed.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_pending(
        &self,
        after_bal: Option<BalId>,
        limit: usize,
    ) -> Result<Option<(BalId, Vec<PendingMessage>)>, StoreError> {
        let from = match after_bal {
            Some(bal) => after(&rows::of_bal(PENDING, bal)),
            None => PENDING.to_vec(),
        };
        self.inner.read(|reader| {
            let (mut of, mut found) = (None, Vec::new());
            let mut seen = HashSet::new();
            let to = after(PENDING);
            reader.scan(Space::Search, &from, &to, Direction::Up, &mut |key, value| {
                let (bal, folder, uid) = rows::pending_parts(key)?;
                if *of.get_or_insert(bal) != bal || found.len() == limit {
                    return Ok(false);
                }
                let (digest, email_id) = rows::content(value)?;
                let entry = rows::entry(bal, &digest, &email_id);
                let known = reader.get(Space::Search, &entry)?.is_some()
                    || !seen.insert((digest, email_id));
                found.push(PendingMessage { folder, uid, known, digest, email_id });
                Ok(true)
            })?;
            Ok(of.map(|bal| (bal, found)))
        })
    }

    /// Indexes messages of [`Store::search_pending`]: terms for those that are not known. Written unsynced: what a
    /// power cut takes is pending again. False when something changed meanwhile and nothing was done.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_index(
        &self,
        bal: BalId,
        messages: Vec<(PendingMessage, Option<SearchTerms>)>,
    ) -> Result<bool, StoreError> {
        self.inner.check_room()?;
        let Some(mut change) = Change::begin(self, bal, true)? else { return Ok(false) };
        let first = change.state.next_document;
        let mut pairs: Vec<(u64, u32)> = Vec::new();
        let mut span = 0u32;
        let mut new = HashSet::new();
        for (message, terms) in messages {
            let pending = rows::pending(bal, message.folder, message.uid);
            let entry = rows::entry(bal, &message.digest, &message.email_id);
            change.batch.delete(Space::Search, pending.clone());
            let Some(terms) = terms else {
                if !new.contains(&entry) {
                    change.batch.expect(Expect::Present(Space::Search, entry));
                }
                continue;
            };
            new.insert(entry.clone());
            change.batch.expect(Expect::Present(Space::Search, pending));
            change.batch.expect(Expect::Absent(Space::Search, entry.clone()));
            let number =
                first.checked_add(span).ok_or(StoreError::TooMany("documents of a BAL"))?;
            change.batch.put(Space::Search, entry, number.to_be_bytes().to_vec());
            let value = rows::document_value(&message.digest);
            change.batch.put(Space::Search, rows::document(bal, number), value);
            pairs.extend(terms.hashes().into_iter().map(|hash| (hash, span)));
            span += 1;
        }
        if span > 0 {
            add_segment(&mut change, bal, span, pairs);
        }
        change.commit(self)
    }

    /// Looks at up to `limit` bodies that lost a message, and forgets the documents of those that have none left;
    /// gives their BAL, none when nothing waits.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_forget(&self, limit: usize) -> Result<Vec<BalId>, StoreError> {
        let mut found: BTreeMap<BalId, Vec<BlobDigest>> = BTreeMap::new();
        let mut count = 0;
        self.inner.read(|reader| {
            let to = after(LOOSE);
            reader.scan(Space::Search, LOOSE, &to, Direction::Up, &mut |key, _| {
                let (bal, digest) = rows::loose_parts(key)?;
                found.entry(bal).or_default().push(digest);
                count += 1;
                Ok(count < limit)
            })
        })?;
        for (bal, digests) in &found {
            self.forget(*bal, digests)?;
        }
        Ok(found.into_keys().collect())
    }

    fn forget(&self, bal: BalId, digests: &[BlobDigest]) -> Result<bool, StoreError> {
        let Some(mut change) = Change::begin(self, bal, false)? else {
            return self.drop_loose(bal, digests);
        };
        for digest in digests {
            let all = rows::links(digest, bal, None);
            let from = rows::entries(bal, digest);
            let (link, documents) = self.inner.read(|reader| {
                let mut link = None;
                reader.scan(Space::Blobs, &all, &after(&all), Direction::Up, &mut |key, _| {
                    link = Some(key.to_vec());
                    Ok(false)
                })?;
                Ok((link, entries_of(reader, &from)?))
            })?;
            change.batch.delete(Space::Search, rows::loose(bal, digest));
            if let Some(link) = link {
                // It is filed elsewhere. Should that go meanwhile, the row must stay.
                change.batch.expect(Expect::Present(Space::Blobs, link));
                continue;
            }
            change.batch.expect(Expect::NoneUnder(Space::Blobs, all));
            for (entry, number) in documents {
                change.batch.delete(Space::Search, entry);
                change.batch.delete(Space::Search, rows::document(bal, number));
                if let Some(segment) = change.state.segment_of(number) {
                    segment.dead += 1;
                }
            }
        }
        change.commit(self)
    }

    /// Rows of a BAL that has no index: nothing stands behind them.
    fn drop_loose(&self, bal: BalId, digests: &[BlobDigest]) -> Result<bool, StoreError> {
        let mut batch = Batch::new(Durability::Relaxed);
        batch.expect(Expect::Absent(Space::Search, rows::of_bal(STATES, bal)));
        for digest in digests {
            batch.delete(Space::Search, rows::loose(bal, digest));
        }
        commit(self, batch)
    }
}

type Entries = Vec<(Vec<u8>, u32)>;

fn entries_of(reader: &dyn Reader, from: &[u8]) -> Result<Entries, EngineError> {
    let mut out = Vec::new();
    reader.scan(Space::Search, from, &after(from), Direction::Up, &mut |key, value| {
        let number = keys::u32_at(value, 0)
            .ok_or_else(|| crate::rows::damaged("an entry of the search index"))?;
        out.push((key.to_vec(), number));
        Ok(true)
    })?;
    Ok(out)
}

/// Adds documents with their hashes.
fn add_segment(change: &mut Change, bal: BalId, span: u32, mut pairs: Vec<(u64, u32)>) {
    pairs.sort_unstable();
    let lists = || pairs.chunk_by(|a, b| a.0 == b.0);
    let octets = lists().map(|list| list_octets(list.len(), span)).sum();
    let (id, bits) = (change.state.next_segment, bits_for(octets));
    let mut packer = Packer::new(bits, span);
    let put = |change: &mut Change, ended: Option<(u32, Vec<u8>)>| {
        if let Some((bucket, block)) = ended {
            change.batch.put(Space::Postings, rows::block(bal, id, bucket), block);
        }
    };
    for list in lists() {
        let documents = list.iter().map(|(_, document)| *document).collect();
        let ended = packer.push(&Posting { hash: list[0].0, documents });
        put(change, ended);
    }
    let ended = packer.finish();
    put(change, ended);
    let first = change.state.next_document;
    let octets = packer.octets;
    let segment = Segment { id, first, span, documents: span, dead: 0, octets, bits };
    change.state.segments.push(segment);
    change.state.next_document += span;
    change.state.next_segment += 1;
}
