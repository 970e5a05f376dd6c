//! Merging: neighbouring segments of about the same size become one, without the documents that are gone. The work
//! comes in bounded steps; the new segment is invisible until one batch puts it in the place of the old ones.

use super::block::{Packer, Posting, all, bits_for};
use super::index::{Change, commit};
use super::rows::{self, Segment};
use crate::engine::{Batch, Direction, Durability, EngineError, Expect, Reader, Space, after};
use crate::limits::{
    SEARCH_MERGE_SEGMENTS, SEARCH_MERGE_STEP_BYTES, SEARCH_REWRITE_DOCUMENTS_MIN,
    SEARCH_SEGMENT_DOCUMENTS_MAX, SEARCH_SINGLE_DELETES_BITS,
};
use crate::{Store, StoreError};
use palombe_vocabulary::BalId;
use std::collections::VecDeque;

/// A merge on its way.
pub struct SearchMerge {
    bal: BalId,
    inputs: Vec<Input>,
    /// Documents that still have a message, one bit each, from the first of the first input.
    living: Vec<u64>,
    output: Segment,
    packer: Packer,
}

struct Input {
    segment: Segment,
    next_bucket: u32,
    /// Postings of the block at hand.
    waiting: VecDeque<Posting>,
}

impl Store {
    /// Begins the merge that a BAL's index needs most, if any.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_merge(&self, bal: BalId) -> Result<Option<SearchMerge>, StoreError> {
        self.inner.check_room()?;
        let Some(mut change) = Change::begin(self, bal, false)? else { return Ok(None) };
        let Some(inputs) = choose(&change.state.segments) else { return Ok(None) };
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else { return Ok(None) };
        let octets = inputs.iter().map(|s| s.octets).sum();
        let output = Segment {
            id: change.state.next_segment,
            first: first.first,
            span: last.end() - first.first,
            documents: 0,
            dead: 0,
            octets: 0,
            bits: bits_for(octets),
        };
        change.state.next_segment += 1;
        change.batch.put(Space::Search, rows::build(bal, output.id), vec![1]);
        if !change.commit(self)? {
            return Ok(None);
        }
        let living = self.inner.read(|reader| living(reader, bal, &output))?;
        let input = |segment| Input { segment, next_bucket: 0, waiting: VecDeque::new() };
        let inputs = inputs.into_iter().map(input).collect();
        let packer = Packer::new(output.bits, output.span);
        Ok(Some(SearchMerge { bal, inputs, living, output, packer }))
    }

    /// Goes on with a merge; `None` when it is done, or was overtaken by another change.
    ///
    /// # Errors
    /// The engine's. What was written is removed by the next [`Store::search_abandoned`] or opening.
    pub fn search_merge_step(
        &self,
        mut merge: SearchMerge,
    ) -> Result<Option<SearchMerge>, StoreError> {
        self.inner.check_room()?;
        let (bal, id) = (merge.bal, merge.output.id);
        let mut batch = Batch::new(Durability::Relaxed);
        batch.expect(Expect::Present(Space::Search, rows::build(bal, id)));
        let mut octets = 0;
        let more = self.inner.read(|reader| {
            while octets < SEARCH_MERGE_STEP_BYTES {
                let Some(posting) = merge.next(reader)? else { return Ok(false) };
                if posting.documents.is_empty() {
                    continue;
                }
                if let Some((bucket, block)) = merge.packer.push(&posting) {
                    octets += block.len();
                    batch.put(Space::Postings, rows::block(bal, id, bucket), block);
                }
            }
            Ok(true)
        })?;
        if !more && let Some((bucket, block)) = merge.packer.finish() {
            batch.put(Space::Postings, rows::block(bal, id, bucket), block);
        }
        if !commit(self, batch)? {
            return Ok(None);
        }
        if more {
            return Ok(Some(merge));
        }
        merge.output.octets = merge.packer.octets;
        self.finish_merge(&merge)?;
        Ok(None)
    }

    /// The new segment takes the place of the old ones.
    fn finish_merge(&self, merge: &SearchMerge) -> Result<(), StoreError> {
        let SearchMerge { bal, inputs, output, .. } = merge;
        let Some(mut change) = Change::begin(self, *bal, false)? else { return Ok(()) };
        let build = rows::build(*bal, output.id);
        change.batch.expect(Expect::Present(Space::Search, build.clone()));
        let now: Vec<Segment> = inputs
            .iter()
            .filter_map(|i| change.state.segments.iter().find(|s| s.id == i.segment.id).copied())
            .collect();
        if now.len() != inputs.len() {
            return Ok(()); // the index was begun again
        }
        let living: u32 = merge.living.iter().map(|word| word.count_ones()).sum();
        // Some may have died since the merge began.
        let alive = now.iter().map(|s| s.alive()).sum::<u32>();
        let output = Segment { documents: living, dead: living.saturating_sub(alive), ..*output };
        let at = change.state.segments.iter().position(|s| s.id == now[0].id).unwrap_or(0);
        change.state.segments.retain(|s| !now.iter().any(|old| old.id == s.id));
        if living > 0 {
            change.state.segments.insert(at, output);
        }
        now.iter().for_each(|old| drop_blocks(&mut change.batch, *bal, old));
        change.batch.delete(Space::Search, build);
        change.commit(self)?;
        Ok(())
    }

    /// Removes segments that were begun and never finished. Only while no merge is on its way.
    ///
    /// # Errors
    /// The engine's.
    pub fn search_abandoned(&self) -> Result<(), StoreError> {
        let mut batch = Batch::new(Durability::Relaxed);
        let mut found = false;
        self.inner.read(|reader| {
            let (from, to) = (rows::BUILDS, after(rows::BUILDS));
            reader.scan(Space::Search, from, &to, Direction::Up, &mut |key, _| {
                let blocks = key[rows::BUILDS.len()..].to_vec();
                batch.delete_range(Space::Postings, blocks.clone(), after(&blocks));
                batch.delete(Space::Search, key.to_vec());
                found = true;
                Ok(true)
            })
        })?;
        if found {
            self.inner.engine.commit(batch)?;
        }
        Ok(())
    }
}

/// One by one where they are few: ranges slow down the reading of their neighbours until they are compacted.
fn drop_blocks(batch: &mut Batch, bal: BalId, segment: &Segment) {
    if segment.bits <= SEARCH_SINGLE_DELETES_BITS {
        for bucket in 0..1 << segment.bits {
            batch.delete(Space::Postings, rows::block(bal, segment.id, bucket));
        }
    } else {
        let blocks = rows::segment(bal, segment.id);
        batch.delete_range(Space::Postings, blocks.clone(), after(&blocks));
    }
}

/// Size classes are powers of the number of segments that make a merge.
fn tier(segment: &Segment) -> u32 {
    segment.alive().max(1).ilog(SEARCH_MERGE_SEGMENTS as u32)
}

/// Neighbours worth merging: the newest ones of about one size, or one that is mostly dead.
fn choose(segments: &[Segment]) -> Option<Vec<Segment>> {
    let top = SEARCH_SEGMENT_DOCUMENTS_MAX.ilog(SEARCH_MERGE_SEGMENTS as u32);
    for up_to in 0..=top {
        let run = segments.iter().rev().take_while(|s| tier(s) <= up_to).count();
        let mut chosen: Vec<Segment> = Vec::new();
        for segment in &segments[segments.len() - run..] {
            let first = chosen.first().unwrap_or(segment).first;
            if segment.end() - first > SEARCH_SEGMENT_DOCUMENTS_MAX {
                // These are full together, or the one that there is stays as it is.
                if chosen.len() > 1 {
                    break;
                }
                chosen.clear();
            }
            chosen.push(*segment);
        }
        let full = chosen.last().map(|s| s.id) != segments.last().map(|s| s.id);
        if chosen.len() >= SEARCH_MERGE_SEGMENTS || (full && chosen.len() > 1) {
            return Some(chosen);
        }
    }
    let decayed = |s: &&Segment| {
        s.dead >= s.documents
            || (s.documents >= SEARCH_REWRITE_DOCUMENTS_MIN && s.dead > s.documents / 2)
    };
    segments.iter().find(decayed).map(|s| vec![*s])
}

/// Which documents of the segment have a message.
fn living(reader: &dyn Reader, bal: BalId, of: &Segment) -> Result<Vec<u64>, EngineError> {
    let mut bits = vec![0u64; of.span.div_ceil(64) as usize];
    let (from, to) = (rows::document(bal, of.first), rows::document(bal, of.end()));
    reader.scan(Space::Search, &from, &to, Direction::Up, &mut |key, _| {
        let at = rows::document_number(key)? - of.first;
        if let Some(word) = bits.get_mut((at / 64) as usize) {
            *word |= 1 << (at % 64);
        }
        Ok(true)
    })?;
    Ok(bits)
}

impl SearchMerge {
    /// The posting of the next hash, of every input and without the dead.
    fn next(&mut self, reader: &dyn Reader) -> Result<Option<Posting>, EngineError> {
        for input in &mut self.inputs {
            input.fill(reader, self.bal)?;
        }
        let hashes = self.inputs.iter().filter_map(|i| i.waiting.front()).map(|p| p.hash);
        let Some(hash) = hashes.min() else { return Ok(None) };
        let mut documents = Vec::new();
        for input in &mut self.inputs {
            let Some(posting) = input.waiting.pop_front_if(|p| p.hash == hash) else { continue };
            let by = input.segment.first - self.output.first;
            documents.extend(posting.documents.iter().map(|d| d + by));
        }
        let living = &self.living;
        documents.retain(|d| {
            living.get((d / 64) as usize).is_some_and(|word| word >> (d % 64) & 1 == 1)
        });
        Ok(Some(Posting { hash, documents }))
    }
}

impl Input {
    fn fill(&mut self, reader: &dyn Reader, bal: BalId) -> Result<(), EngineError> {
        let buckets = 1u32 << self.segment.bits;
        while self.waiting.is_empty() && self.next_bucket < buckets {
            let key = rows::block(bal, self.segment.id, self.next_bucket);
            if let Some(block) = reader.get(Space::Postings, &key)? {
                self.waiting = all(&block)?.into();
            }
            self.next_bucket += 1;
        }
        Ok(())
    }
}
