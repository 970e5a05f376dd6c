//! Bodies at rest, and what removes them.

use crate::engine::{Batch, Direction, Durability, EngineError, Expect, Reader, Space, after};
use crate::keys;
use crate::limits::CHUNK_BYTES;
use crate::rows::{self, BlobRow};
use crate::{BlobDigest, Store, StoreError, SweepReport};
use palombe_vocabulary::Timestamp;
use std::ops::Range;

pub(crate) fn blob_row(
    reader: &dyn Reader,
    digest: &BlobDigest,
) -> Result<Option<BlobRow>, EngineError> {
    let row = reader.get(Space::Blobs, &keys::blob(digest))?;
    row.map(|bytes| rows::decode(&bytes, "a blob row")).transpose()
}

/// Up to `len` octets from `offset`; fewer at the end.
pub(crate) fn read_range(
    reader: &dyn Reader,
    row: &BlobRow,
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, EngineError> {
    let end = row.size.min(offset.saturating_add(len as u64));
    let mut out = Vec::new();
    let mut at = offset;
    while at < end {
        let index = u32::try_from(at / CHUNK_BYTES as u64)
            .map_err(|_| rows::damaged("the size of a body"))?;
        let piece = reader
            .get(Space::Chunks, &keys::chunk(row.upload, index))?
            .ok_or_else(|| rows::damaged("a piece of a body"))?;
        let start = (at % CHUNK_BYTES as u64) as usize;
        let stop = piece.len().min(start + (end - at) as usize);
        let part = piece.get(start..stop).filter(|part| !part.is_empty());
        let part = part.ok_or_else(|| rows::damaged("a piece of a body"))?;
        if start == 0 && stop == piece.len() && out.is_empty() {
            out = piece;
        } else {
            out.extend_from_slice(part);
        }
        at += (stop - start) as u64;
    }
    Ok(out)
}

/// Reads ranges of one body, the last piece kept: many small ranges of a piece cost one read.
pub struct BlobReader<'a> {
    store: &'a Store,
    digest: BlobDigest,
    /// Offset and octets.
    piece: (u64, Vec<u8>),
}

impl BlobReader<'_> {
    /// A whole range; the caller has bounded it.
    ///
    /// # Errors
    /// [`StoreError::UnknownBlob`], [`StoreError::Corrupt`] when the body is shorter, or the engine's.
    pub fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let start = at - at % CHUNK_BYTES as u64;
            if self.piece.0 != start || self.piece.1.is_empty() {
                self.piece = (start, self.store.read_blob(&self.digest, start, CHUNK_BYTES)?);
            }
            let from = (at - start) as usize;
            let to = self.piece.1.len().min((range.end - start) as usize);
            let part = self.piece.1.get(from..to).filter(|part| !part.is_empty());
            let part = part.ok_or_else(|| rows::damaged("a piece of a body"))?;
            out.extend_from_slice(part);
            at += part.len() as u64;
        }
        Ok(out)
    }
}

fn structure_of(row: Option<Vec<u8>>) -> Result<Vec<u8>, StoreError> {
    match row {
        Some(mut bytes) if bytes.first() == Some(&1) => {
            bytes.remove(0);
            Ok(bytes)
        }
        Some(_) => Err(StoreError::Corrupt { what: "a structure row".to_owned() }),
        None => Err(StoreError::UnknownBlob),
    }
}

impl Store {
    /// Reads ranges of a body.
    pub fn blob_reader(&self, digest: BlobDigest) -> BlobReader<'_> {
        BlobReader { store: self, digest, piece: (0, Vec::new()) }
    }

    /// Up to `len` octets of a body from `offset`; fewer at its end, none past it. Cheapest in pieces of
    /// [`CHUNK_BYTES`] from multiples of it.
    ///
    /// # Errors
    /// [`StoreError::UnknownBlob`], or the engine's.
    pub fn read_blob(
        &self,
        digest: &BlobDigest,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let found = self.inner.read(|r| match blob_row(r, digest)? {
            Some(row) => read_range(r, &row, offset, len).map(Some),
            None => Ok(None),
        })?;
        found.ok_or(StoreError::UnknownBlob)
    }

    /// The encoded structure that came with a body.
    ///
    /// # Errors
    /// [`StoreError::UnknownBlob`], or the engine's.
    pub fn structure(&self, digest: &BlobDigest) -> Result<Vec<u8>, StoreError> {
        structure_of(self.inner.engine.get(Space::Structures, &keys::structure(digest))?)
    }

    /// The encoded structures of several bodies, in the order asked; the caller bounds how many.
    ///
    /// # Errors
    /// As for [`Store::structure`].
    pub fn structures(&self, digests: &[BlobDigest]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut order: Vec<usize> = (0..digests.len()).collect();
        order.sort_unstable_by_key(|at| digests[*at].0);
        let keys: Vec<Vec<u8>> = order.iter().map(|at| keys::structure(&digests[*at])).collect();
        let rows = self.inner.read(|r| r.get_many(Space::Structures, &keys))?;
        let mut found = vec![Vec::new(); digests.len()];
        for (at, row) in order.into_iter().zip(rows) {
            found[at] = structure_of(row)?;
        }
        Ok(found)
    }

    /// Removes what nobody refers to: bodies that lost their last link a grace period ago, abandoned uploads, rests
    /// of deleted folders. Looks at `budget` candidates at most.
    ///
    /// # Errors
    /// The engine's.
    pub fn sweep(&self, now: Timestamp, budget: usize) -> Result<SweepReport, StoreError> {
        self.finish_purges()?;
        self.date_candidates(now, budget)?;
        let mut report =
            SweepReport { uploads: self.inner.sweep_uploads(budget)?, ..SweepReport::default() };
        let until = now.plus_secs(-self.inner.settings.unlinked_grace_secs).plus_millis(1);
        let end = keys::sweep(until, &BlobDigest([0; 32]));
        for key in self.candidates(keys::SWEEPS, &end, budget)? {
            if let Some(row) = self.sweep_one(key)? {
                report.blobs += 1;
                report.bytes += row.size;
            }
        }
        Ok(report)
    }

    fn candidates(
        &self,
        from: &[u8],
        to: &[u8],
        budget: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        if budget > 0 {
            self.inner.read(|r| {
                r.scan(Space::Blobs, from, to, Direction::Up, &mut |key, _| {
                    found.push(key.to_vec());
                    Ok(found.len() < budget)
                })
            })?;
        }
        Ok(found)
    }

    /// The grace period of a candidate begins with the first sweep that sees it.
    fn date_candidates(&self, now: Timestamp, budget: usize) -> Result<(), StoreError> {
        let end = after(keys::UNLINKED);
        let found = self.candidates(keys::UNLINKED, &end, budget)?;
        let mut batch = Batch::new(Durability::Relaxed);
        for key in found {
            let digest = keys::digest_at(&key, 1).ok_or_else(|| rows::damaged("a candidate"))?;
            batch.put(Space::Blobs, keys::sweep(now, &digest), vec![1]);
            batch.delete(Space::Blobs, key);
        }
        self.inner.engine.commit(batch)?;
        Ok(())
    }

    /// Removes a body unless somebody refers to it again; the candidate goes either way.
    fn sweep_one(&self, candidate: Vec<u8>) -> Result<Option<BlobRow>, StoreError> {
        let digest = keys::digest_at(&candidate, 9).ok_or_else(|| rows::damaged("a candidate"))?;
        let row = self.inner.read(|r| blob_row(r, &digest))?;
        if let Some(row) = row {
            let mut batch = Batch::new(Durability::Relaxed);
            batch.expect(Expect::NoneUnder(Space::Blobs, keys::links(&digest)));
            batch.expect(Expect::Equals(Space::Blobs, keys::blob(&digest), rows::encode(&row)?));
            batch.delete(Space::Blobs, keys::blob(&digest));
            batch.delete(Space::Blobs, keys::unlinked(&digest));
            batch.delete(Space::Blobs, candidate.clone());
            batch.delete(Space::Structures, keys::structure(&digest));
            for index in 0..row.chunks() {
                batch.delete(Space::Chunks, keys::chunk(row.upload, index));
            }
            match self.inner.engine.commit(batch) {
                Ok(_) => return Ok(Some(row)),
                Err(EngineError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut batch = Batch::new(Durability::Relaxed);
        batch.delete(Space::Blobs, candidate);
        self.inner.engine.commit(batch)?;
        Ok(None)
    }
}
