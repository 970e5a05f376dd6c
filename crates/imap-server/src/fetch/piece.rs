//! Octets on their way out: bytes at hand, or ranges of a stored body read when their turn comes.

use crate::error::Failure;
use palombe_message::TransferDecoder;
use palombe_store::{BlobDigest, Store};
use std::ops::Range;

/// A piece of the responses.
pub(crate) enum Piece {
    /// As they are.
    Bytes(Vec<u8>),
    /// Octets of a stored body.
    Blob { digest: BlobDigest, range: Range<u64> },
    /// Octets of a stored part, its transfer encoding undone: `skip` of them left out, then `take`.
    Decoded {
        digest: BlobDigest,
        range: Range<u64>,
        decoder: TransferDecoder,
        skip: u64,
        take: u64,
    },
}

impl Piece {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Piece::Bytes(bytes) => bytes.is_empty(),
            Piece::Blob { range, .. } => range.is_empty(),
            Piece::Decoded { take, .. } => *take == 0,
        }
    }

    /// The next octets, of at most `max` stored ones.
    pub(crate) fn read(&mut self, store: &Store, max: usize) -> Result<Vec<u8>, Failure> {
        match self {
            Piece::Bytes(bytes) => Ok(std::mem::take(bytes)),
            Piece::Blob { digest, range } => next_octets(store, digest, range, max),
            Piece::Decoded { digest, range, decoder, skip, take } => {
                let mut decoded = Vec::new();
                if range.is_empty() {
                    decoder.finish(&mut decoded);
                } else {
                    let octets = next_octets(store, digest, range, max)?;
                    decoder.push(&octets, &mut decoded);
                    if range.is_empty() {
                        decoder.finish(&mut decoded);
                    }
                }
                let skipped = usize::try_from(*skip).unwrap_or(usize::MAX).min(decoded.len());
                *skip -= skipped as u64;
                decoded.drain(..skipped);
                decoded.truncate(usize::try_from(*take).unwrap_or(usize::MAX));
                *take -= decoded.len() as u64;
                if range.is_empty() && *take > 0 {
                    // The size was counted by the same decoder: fewer octets now means a damaged store.
                    return Err(corrupt());
                }
                Ok(decoded)
            }
        }
    }
}

fn corrupt() -> Failure {
    palombe_store::StoreError::Corrupt { what: "a body is shorter than its size".to_owned() }.into()
}

/// Reads from the front of a range, which shrinks.
fn next_octets(
    store: &Store,
    digest: &BlobDigest,
    range: &mut Range<u64>,
    max: usize,
) -> Result<Vec<u8>, Failure> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(max);
    let octets = store.read_blob(digest, range.start, wanted)?;
    if octets.is_empty() && wanted > 0 {
        return Err(corrupt());
    }
    range.start += octets.len() as u64;
    Ok(octets)
}

/// A whole range in memory; the caller has bounded it.
pub(crate) fn read_range(
    store: &Store,
    digest: &BlobDigest,
    mut range: Range<u64>,
) -> Result<Vec<u8>, Failure> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let mut octets = next_octets(store, digest, &mut range, wanted)?;
    while !range.is_empty() {
        octets.extend(next_octets(store, digest, &mut range, wanted)?);
    }
    Ok(octets)
}
