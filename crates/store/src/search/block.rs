//! Blocks: the posting lists of neighbouring hashes in one row, so that a segment is few rows and a lookup is one get.

use crate::engine::EngineError;
use crate::limits::{SEARCH_BLOCK_BYTES, SEARCH_BUCKET_BITS_MAX};
use crate::rows::damaged;

/// Bits of a gram's hash.
pub(crate) const HASH_BITS: u32 = 40;
const VERSION: u8 = 1;

/// One gram of a segment: the documents that hold it, counted from the segment's first, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) hash: u64,
    pub(crate) documents: Vec<u32>,
}

/// Upper bits of a hash that spread this many octets over blocks of the usual size.
pub(crate) fn bits_for(octets: u64) -> u8 {
    let blocks = octets.div_ceil(SEARCH_BLOCK_BYTES as u64).max(1);
    let bits = u64::BITS - (blocks - 1).leading_zeros();
    bits.min(SEARCH_BUCKET_BITS_MAX) as u8
}

/// The block that a hash stands in.
pub(crate) fn bucket_of(hash: u64, bits: u8) -> u32 {
    (hash >> (HASH_BITS - u32::from(bits))) as u32
}

/// Packs postings, in order of their hashes, into blocks.
pub(crate) struct Packer {
    bits: u8,
    span: u32,
    bucket: u32,
    last: u64,
    block: Vec<u8>,
    /// Of the blocks given so far.
    pub(crate) octets: u64,
}

impl Packer {
    pub(crate) fn new(bits: u8, span: u32) -> Packer {
        Packer { bits, span, bucket: 0, last: 0, block: vec![VERSION], octets: 0 }
    }

    /// Adds a posting; gives the block that it ended, if any.
    pub(crate) fn push(&mut self, posting: &Posting) -> Option<(u32, Vec<u8>)> {
        let bucket = bucket_of(posting.hash, self.bits);
        let ended = if bucket == self.bucket { None } else { self.end(bucket) };
        varint(posting.hash - self.last, &mut self.block);
        self.last = posting.hash;
        write_list(&posting.documents, self.span, &mut self.block);
        ended
    }

    /// The last block.
    pub(crate) fn finish(&mut self) -> Option<(u32, Vec<u8>)> {
        self.end(0)
    }

    fn end(&mut self, next: u32) -> Option<(u32, Vec<u8>)> {
        let block = std::mem::replace(&mut self.block, vec![VERSION]);
        let bucket = std::mem::replace(&mut self.bucket, next);
        self.last = 0;
        if block.len() == 1 {
            return None;
        }
        self.octets += block.len() as u64;
        Some((bucket, block))
    }
}

/// About how many octets a list takes.
pub(crate) fn list_octets(documents: usize, span: u32) -> u64 {
    (documents as u64).min(u64::from(span / 8) + 1) + 6
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bad() -> EngineError {
    damaged("a block of the search index")
}

fn read_varint(bytes: &mut &[u8]) -> Result<u64, EngineError> {
    let (mut value, mut shift) = (0u64, 0);
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).ok_or_else(bad)?;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
        shift += 7;
    }
    Err(bad())
}

/// Differences, or a bit for each document of the span where that is shorter.
fn write_list(documents: &[u32], span: u32, out: &mut Vec<u8>) {
    let dense_bytes = span.div_ceil(8) as usize;
    let mut list = Vec::with_capacity(documents.len());
    let mut next = 0;
    for document in documents {
        varint(u64::from(document - next), &mut list);
        next = document + 1;
        if list.len() > dense_bytes {
            break;
        }
    }
    let dense = list.len() > dense_bytes;
    if dense {
        list = vec![0; dense_bytes];
        for document in documents {
            list[(document / 8) as usize] |= 1 << (document % 8);
        }
    }
    varint((list.len() as u64) << 1 | u64::from(dense), out);
    out.extend_from_slice(&list);
}

fn read_list(dense: bool, mut bytes: &[u8]) -> Result<Vec<u32>, EngineError> {
    let mut out = Vec::new();
    if dense {
        for (at, byte) in bytes.iter().enumerate() {
            out.extend((0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| at as u32 * 8 + bit));
        }
        return Ok(out);
    }
    let mut next = 0u32;
    while !bytes.is_empty() {
        let step = u32::try_from(read_varint(&mut bytes)?).map_err(|_| bad())?;
        let document = next.checked_add(step).ok_or_else(bad)?;
        out.push(document);
        next = document.checked_add(1).ok_or_else(bad)?;
    }
    Ok(out)
}

/// Takes a hash, whether its list is dense, and the list; `Ok(false)` ends the walk.
type VisitList<'a> = &'a mut dyn FnMut(u64, bool, &[u8]) -> Result<bool, EngineError>;

/// Walks the lists of a block.
fn walk(mut bytes: &[u8], visit: VisitList<'_>) -> Result<(), EngineError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => bytes = rest,
        _ => return Err(bad()),
    }
    let mut hash = 0u64;
    while !bytes.is_empty() {
        hash = hash.checked_add(read_varint(&mut bytes)?).ok_or_else(bad)?;
        let head = read_varint(&mut bytes)?;
        let len = usize::try_from(head >> 1).map_err(|_| bad())?;
        let list = bytes.get(..len).ok_or_else(bad)?;
        bytes = &bytes[len..];
        if !visit(hash, head & 1 == 1, list)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The documents of one hash; none when the block does not know it.
pub(crate) fn find(block: &[u8], wanted: u64) -> Result<Vec<u32>, EngineError> {
    let mut found = Vec::new();
    walk(block, &mut |hash, dense, list| {
        if hash == wanted {
            found = read_list(dense, list)?;
        }
        Ok(hash < wanted)
    })?;
    Ok(found)
}

/// Every posting of a block.
pub(crate) fn all(block: &[u8]) -> Result<Vec<Posting>, EngineError> {
    let mut out = Vec::new();
    walk(block, &mut |hash, dense, list| {
        out.push(Posting { hash, documents: read_list(dense, list)? });
        Ok(true)
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn blocks_hold_what_was_packed(
            lists in proptest::collection::btree_map(
                0u64..1 << HASH_BITS,
                proptest::collection::btree_set(0u32..900, 1..300),
                0..60,
            ),
            bits in 0u8..8,
        ) {
            let lists: BTreeMap<u64, BTreeSet<u32>> = lists;
            let mut packer = Packer::new(bits, 900);
            let mut blocks = BTreeMap::new();
            for (hash, documents) in &lists {
                let posting =
                    Posting { hash: *hash, documents: documents.iter().copied().collect() };
                blocks.extend(packer.push(&posting));
            }
            blocks.extend(packer.finish());
            let mut seen = 0;
            for (bucket, block) in &blocks {
                for posting in all(block).unwrap() {
                    prop_assert_eq!(bucket_of(posting.hash, bits), *bucket);
                    let documents: BTreeSet<u32> = posting.documents.into_iter().collect();
                    prop_assert_eq!(&documents, &lists[&posting.hash]);
                    seen += 1;
                }
            }
            prop_assert_eq!(seen, lists.len());
            for (hash, documents) in &lists {
                let found = find(&blocks[&bucket_of(*hash, bits)], *hash).unwrap();
                prop_assert!(found.iter().eq(documents.iter()));
            }
        }

        #[test]
        fn no_octets_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
            let _ = find(&[&[VERSION][..], &bytes].concat(), 7);
        }
    }
}
