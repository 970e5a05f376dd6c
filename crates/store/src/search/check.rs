//! What must hold of the index.

use super::block::{all, bucket_of};
use super::rows::{self, PENDING, STATES, Segment, State};
use crate::engine::{Direction, EngineError, Reader, Space, after};
use crate::keys;
use crate::rows::{BodyRow, damaged, decode};
use palombe_vocabulary::{BalId, BalStatus};
use std::collections::{BTreeMap, HashMap};

type Result<T> = std::result::Result<T, EngineError>;

/// Every message is pending, indexed, or not planted yet; every document leads to a body and back; every block belongs
/// to a segment.
pub(crate) fn check(
    reader: &dyn Reader,
    bals: &[(BalId, BalStatus)],
    problem: &mut dyn FnMut(String),
) -> Result<()> {
    for (bal, status) in bals {
        let mut check = Check { reader, bal: *bal, problem: &mut *problem };
        let result = match status {
            BalStatus::Deleted => check.nothing(),
            _ => check.bal(),
        };
        match result {
            Err(EngineError::Corrupt(what)) => problem(what),
            other => other?,
        }
    }
    Ok(())
}

struct Check<'a> {
    reader: &'a dyn Reader,
    bal: BalId,
    problem: &'a mut dyn FnMut(String),
}

impl Check<'_> {
    fn expect(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            (self.problem)(text());
        }
    }

    fn each(
        &mut self,
        space: Space,
        prefix: &[u8],
        mut look: impl FnMut(&mut Self, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let reader = self.reader;
        reader.scan(space, prefix, &after(prefix), Direction::Up, &mut |key, value| {
            look(self, key, value).map(|()| true)
        })
    }

    /// A deleted BAL: bodies that lost a link may wait to be looked at, nothing else is left.
    fn nothing(&mut self) -> Result<()> {
        let bal = self.bal;
        for kind in [PENDING, STATES, rows::ENTRIES, rows::DOCUMENTS, rows::BUILDS] {
            self.each(Space::Search, &rows::of_bal(kind, bal), |check, _, _| {
                check.expect(false, || format!("the deleted BAL {bal} has rows in the index"));
                Ok(())
            })?;
        }
        self.each(Space::Postings, &rows::postings(bal), |check, _, _| {
            check.expect(false, || format!("the deleted BAL {bal} has blocks in the index"));
            Ok(())
        })
    }

    fn bal(&mut self) -> Result<()> {
        let state = State::read(self.reader, self.bal)?.map(|(s, _)| s).unwrap_or_default();
        self.segments(&state);
        self.messages(&state)?;
        self.pending()?;
        self.documents(&state)?;
        self.blocks(&state)
    }

    fn segments(&mut self, state: &State) {
        let bal = self.bal;
        let mut end = 0;
        for segment in &state.segments {
            let fine = segment.first >= end
                && segment.end() <= state.next_document
                && segment.id < state.next_segment
                && segment.dead <= segment.documents
                && segment.documents <= segment.span;
            self.expect(fine, || format!("BAL {bal}: segment {} is out of order", segment.id));
            end = segment.end();
        }
    }

    fn messages(&mut self, state: &State) -> Result<()> {
        let bal = self.bal;
        self.each(Space::Bodies, &rows::postings(bal), |check, key, value| {
            let (_, folder, uid) =
                keys::message_parts(key).ok_or_else(|| damaged("a message key"))?;
            let body: BodyRow = decode(value, "a body row")?;
            let entry = rows::entry(bal, &body.digest, &body.email_id);
            let waits = check.reader.get(Space::Search, &rows::pending(bal, folder, uid))?;
            let covered = waits.is_some()
                || state.plant.is_some_and(|planted| (folder.0, uid.0) > planted)
                || check.reader.get(Space::Search, &entry)?.is_some();
            check.expect(covered, || {
                format!("message {uid} of folder {folder} of BAL {bal} is not in the index")
            });
            Ok(())
        })
    }

    fn pending(&mut self) -> Result<()> {
        let bal = self.bal;
        self.each(Space::Search, &rows::of_bal(PENDING, bal), |check, key, value| {
            let (_, folder, uid) = rows::pending_parts(key)?;
            let body = check.reader.get(Space::Bodies, &keys::message(bal, folder, uid))?;
            let body: Option<BodyRow> = body.map(|b| decode(&b, "a body row")).transpose()?;
            let same = match body {
                Some(body) => (body.digest, body.email_id) == rows::content(value)?,
                None => false,
            };
            check.expect(same, || {
                format!("message {uid} of folder {folder} of BAL {bal} waits and is not there")
            });
            Ok(())
        })
    }

    fn documents(&mut self, state: &State) -> Result<()> {
        let bal = self.bal;
        let mut entries: HashMap<u32, Vec<u8>> = HashMap::new();
        self.each(Space::Search, &rows::of_bal(rows::ENTRIES, bal), |check, key, value| {
            let number = keys::u32_at(value, 0).ok_or_else(|| damaged("an entry of the index"))?;
            let twice = entries.insert(number, key.to_vec()).is_some();
            check.expect(!twice, || format!("BAL {bal}: document {number} stands for two"));
            Ok(())
        })?;
        let mut alive: BTreeMap<u32, u32> = BTreeMap::new();
        let mut state = state.clone();
        self.each(Space::Search, &rows::of_bal(rows::DOCUMENTS, bal), |check, key, value| {
            let number = rows::document_number(key)?;
            let digest = rows::document_digest(value)?;
            let prefix = rows::entries(bal, &digest);
            let named = entries.remove(&number).is_some_and(|entry| entry.starts_with(&prefix));
            check.expect(named, || format!("BAL {bal}: document {number} has no entry"));
            match state.segment_of(number) {
                Some(segment) => *alive.entry(segment.id).or_default() += 1,
                None => check.expect(false, || format!("BAL {bal}: stray document {number}")),
            }
            let links = rows::links(&digest, bal, None);
            let mut held = check.reader.get(Space::Search, &rows::loose(bal, &digest))?.is_some();
            check.each(Space::Blobs, &links, |_, _, _| {
                held = true;
                Ok(())
            })?;
            check.expect(held, || format!("BAL {bal}: document {number} has no message"));
            Ok(())
        })?;
        let rest = entries.len();
        self.expect(rest == 0, || format!("BAL {bal}: {rest} entries without a document"));
        for segment in &state.segments {
            let found = alive.get(&segment.id).copied().unwrap_or(0);
            self.expect(found == segment.alive(), || {
                format!("BAL {bal}: segment {} has {found} documents", segment.id)
            });
        }
        Ok(())
    }

    fn blocks(&mut self, state: &State) -> Result<()> {
        let bal = self.bal;
        let known: HashMap<u32, &Segment> = state.segments.iter().map(|s| (s.id, s)).collect();
        let mut octets: HashMap<u32, u64> = HashMap::new();
        self.each(Space::Postings, &rows::postings(bal), |check, key, block| {
            let (_, id, bucket) =
                rows::block_parts(key).ok_or_else(|| damaged("a block's key of the index"))?;
            let Some(segment) = known.get(&id) else {
                let building = check.reader.get(Space::Search, &rows::build(bal, id))?.is_some();
                check.expect(building, || format!("BAL {bal}: a block of no segment {id}"));
                return Ok(());
            };
            *octets.entry(id).or_default() += block.len() as u64;
            let inside = all(block)?.iter().all(|posting| {
                bucket_of(posting.hash, segment.bits) == bucket
                    && posting.documents.is_sorted_by(|a, b| a < b)
                    && posting.documents.last().is_some_and(|last| *last < segment.span)
            });
            check.expect(inside, || format!("BAL {bal}: block {bucket} of segment {id} is wrong"));
            Ok(())
        })?;
        for segment in &state.segments {
            let found = octets.get(&segment.id).copied().unwrap_or(0);
            self.expect(found == segment.octets, || {
                format!("BAL {bal}: segment {} has {found} octets of blocks", segment.id)
            });
        }
        Ok(())
    }
}
