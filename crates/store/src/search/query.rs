//! Candidates of a search.

use super::block::{bucket_of, find};
use super::rows::{self, PENDING, Segment, State};
use super::terms::{SearchField, always, needle_hashes, word_hash};
use crate::engine::{Direction, EngineError, Reader, Space, after};
use crate::{BlobDigest, Store, StoreError};
use crate::{keys, rows::damaged};
use palombe_vocabulary::{BalId, FolderId, Uid};

/// What a message must hold. There is no "not": a document that may hold something is still a candidate for not
/// holding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchQuery {
    /// Something that the index does not know: any document may match.
    Anything,
    /// This folded text in this field.
    Holds(SearchField, String),
    /// This whole word.
    HasWord(String),
    /// All of them.
    And(Vec<SearchQuery>),
    /// One of them.
    Or(Vec<SearchQuery>),
}

/// Which messages may match. No other message does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// The index cannot tell: each one.
    All,
    /// These, in order.
    Only(Vec<(FolderId, Uid)>),
}

/// A query with its hashes.
enum Plan {
    Anything,
    /// All of these.
    Grams(Vec<u64>),
    And(Vec<Plan>),
    Or(Vec<Plan>),
}

/// Documents of a segment, ascending; `None` is all of them.
type Documents = Option<Vec<u32>>;

impl Store {
    /// Messages of a BAL, or of one of its folders, that may match each of the queries, on one snapshot.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_candidates(
        &self,
        bal: BalId,
        folder: Option<FolderId>,
        queries: &[SearchQuery],
    ) -> Result<Vec<Candidates>, StoreError> {
        let key = &self.inner.search_key;
        let plans: Vec<Plan> = queries.iter().map(|query| plan(key, query)).collect();
        if plans.iter().all(|plan| matches!(plan, Plan::Anything)) {
            return Ok(plans.iter().map(|_| Candidates::All).collect());
        }
        self.inner.read(|reader| {
            let state = State::read(reader, bal)?.map(|(state, _)| state).unwrap_or_default();
            let search = Search { reader, bal, folder, always: always(key) };
            let uncovered = search.uncovered(&state)?;
            plans
                .iter()
                .map(|plan| match plan {
                    Plan::Anything => Ok(Candidates::All),
                    plan => {
                        let mut found = search.run(&state, plan)?;
                        found.extend_from_slice(&uncovered);
                        found.sort_unstable();
                        found.dedup();
                        Ok(Candidates::Only(found))
                    }
                })
                .collect()
        })
    }
}

fn plan(key: &[u8; 32], query: &SearchQuery) -> Plan {
    match query {
        SearchQuery::Anything => Plan::Anything,
        SearchQuery::Holds(field, text) => match needle_hashes(key, *field, text) {
            Some(hashes) => Plan::Grams(hashes),
            None => Plan::Anything,
        },
        SearchQuery::HasWord(word) => Plan::Grams(vec![word_hash(key, word)]),
        SearchQuery::And(queries) => {
            let mut plans: Vec<Plan> = queries.iter().map(|query| plan(key, query)).collect();
            plans.retain(|plan| !matches!(plan, Plan::Anything));
            if plans.is_empty() { Plan::Anything } else { Plan::And(plans) }
        }
        SearchQuery::Or(queries) => {
            let plans: Vec<Plan> = queries.iter().map(|query| plan(key, query)).collect();
            let open = plans.iter().any(|plan| matches!(plan, Plan::Anything));
            if open { Plan::Anything } else { Plan::Or(plans) }
        }
    }
}

struct Search<'a> {
    reader: &'a dyn Reader,
    bal: BalId,
    folder: Option<FolderId>,
    always: u64,
}

impl Search<'_> {
    fn run(&self, state: &State, plan: &Plan) -> Result<Vec<(FolderId, Uid)>, EngineError> {
        let mut out = Vec::new();
        for segment in &state.segments {
            let documents = match self.documents(segment, plan)? {
                Some(found) => union(found, self.list(segment, self.always)?),
                None => (0..segment.span).collect(),
            };
            for document in documents {
                let key = rows::document(self.bal, segment.first.saturating_add(document));
                // None: every message of it is gone.
                if let Some(value) = self.reader.get(Space::Search, &key)? {
                    self.messages(&rows::document_digest(&value)?, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    fn documents(&self, segment: &Segment, plan: &Plan) -> Result<Documents, EngineError> {
        match plan {
            Plan::Anything => Ok(None),
            Plan::Grams(hashes) => {
                let mut left: Documents = None;
                for hash in hashes {
                    let list = self.list(segment, *hash)?;
                    left = Some(intersect(left, list));
                    if left.as_ref().is_some_and(Vec::is_empty) {
                        break;
                    }
                }
                Ok(left)
            }
            Plan::And(plans) => {
                let mut left: Documents = None;
                for plan in plans {
                    if let Some(list) = self.documents(segment, plan)? {
                        left = Some(intersect(left, list));
                    }
                    if left.as_ref().is_some_and(Vec::is_empty) {
                        break;
                    }
                }
                Ok(left)
            }
            Plan::Or(plans) => {
                let mut any = Vec::new();
                for plan in plans {
                    match self.documents(segment, plan)? {
                        Some(list) => any = union(any, list),
                        None => return Ok(None),
                    }
                }
                Ok(Some(any))
            }
        }
    }

    fn list(&self, segment: &Segment, hash: u64) -> Result<Vec<u32>, EngineError> {
        let key = rows::block(self.bal, segment.id, bucket_of(hash, segment.bits));
        match self.reader.get(Space::Postings, &key)? {
            Some(block) => find(&block, hash),
            None => Ok(Vec::new()),
        }
    }

    /// Where a body is filed now: its links tell, they change in the batch of every copy, move and removal.
    fn messages(
        &self,
        digest: &BlobDigest,
        out: &mut Vec<(FolderId, Uid)>,
    ) -> Result<(), EngineError> {
        let from = rows::links(digest, self.bal, self.folder);
        self.reader.scan(Space::Blobs, &from, &after(&from), Direction::Up, &mut |key, _| {
            match keys::link_parts(key) {
                Some((_, keys::Holder::Message(_, folder, uid))) => out.push((folder, uid)),
                _ => return Err(damaged("a link key")),
            }
            Ok(true)
        })
    }

    /// Messages that no segment covers.
    fn uncovered(&self, state: &State) -> Result<Vec<(FolderId, Uid)>, EngineError> {
        let mut out = Vec::new();
        let from = match self.folder {
            Some(folder) => rows::pending_of_folder(self.bal, folder),
            None => rows::of_bal(PENDING, self.bal),
        };
        self.reader.scan(
            Space::Search,
            &from,
            &after(&from),
            Direction::Up,
            &mut |key, value| {
                let (_, folder, uid) = rows::pending_parts(key)?;
                let (digest, email_id) = rows::content(value)?;
                // A copy, or a message that was moved: its content is indexed already.
                let entry = rows::entry(self.bal, &digest, &email_id);
                if self.reader.get(Space::Search, &entry)?.is_none() {
                    out.push((folder, uid));
                }
                Ok(true)
            },
        )?;
        let Some((folder, uid)) = state.plant else { return Ok(out) };
        let all = match self.folder {
            Some(folder) => keys::messages(self.bal, folder),
            None => rows::postings(self.bal),
        };
        let planted = keys::message(self.bal, FolderId(folder), Uid(uid));
        let from = all.clone().max([&planted[..], &[0]].concat());
        self.reader.scan(Space::Messages, &from, &after(&all), Direction::Up, &mut |key, _| {
            let (_, folder, uid) =
                keys::message_parts(key).ok_or_else(|| damaged("a message key"))?;
            out.push((folder, uid));
            Ok(true)
        })?;
        Ok(out)
    }
}

fn intersect(left: Documents, right: Vec<u32>) -> Vec<u32> {
    let Some(left) = left else { return right };
    let (small, large) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let mut rest = large.as_slice();
    let mut out = Vec::new();
    for document in small {
        let at = rest.partition_point(|other| *other < document);
        rest = &rest[at..];
        if rest.first() == Some(&document) {
            out.push(document);
        }
    }
    out
}

fn union(mut left: Vec<u32>, right: Vec<u32>) -> Vec<u32> {
    if right.is_empty() {
        return left;
    }
    left.extend(right);
    left.sort_unstable();
    left.dedup();
    left
}
