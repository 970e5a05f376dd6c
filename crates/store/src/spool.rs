//! Bodies on their way in. Up to one piece stays in memory and joins the acceptance's own batch; more is written in
//! pieces, unsynced and unreferenced, under an upload number: the acceptance's sync covers them, because the log is
//! sequential.

use crate::engine::{Batch, Direction, Durability, EngineError, Expect, Op, Space};
use crate::keys::{self, UploadId};
use crate::limits::CHUNK_BYTES;
use crate::store::Inner;
use crate::{BlobDigest, Store, StoreError};
use std::sync::Arc;

/// A body being received. Dropped, it leaves nothing.
pub struct Spool {
    upload: Upload,
    hasher: blake3::Hasher,
    tail: Vec<u8>,
    size: u64,
}

/// A body received whole (state S1). Dropped without an acceptance, it leaves nothing.
pub struct SpooledBlob {
    upload: Upload,
    digest: BlobDigest,
    size: u64,
    octets: Option<Arc<Vec<u8>>>,
    listing: Vec<u8>,
}

/// Where the octets are.
pub(crate) enum Pieces<'a> {
    Memory(&'a Arc<Vec<u8>>),
    Disk,
}

/// Owns the pieces on disk until a batch refers to them.
struct Upload {
    inner: Arc<Inner>,
    id: UploadId,
    written: u32,
    kept: bool,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.written > 0 && !self.kept {
            // Never blocks: this may run in the committer. What fails is left to the next sweep of uploads.
            let batch = removal(self.id, 0..self.written);
            self.inner.engine.commit_then(batch, Box::new(|_| {}));
        }
        self.inner.live_uploads.lock().remove(&self.id);
    }
}

/// Removes the pieces of an upload, unless a batch referred to them: that batch removes the upload's row.
fn removal(id: UploadId, pieces: impl Iterator<Item = u32>) -> Batch {
    let mut batch = Batch::new(Durability::Relaxed);
    let row = keys::upload(id);
    batch.expect(Expect::Present(Space::Blobs, row.clone()));
    for index in pieces {
        batch.delete(Space::Chunks, keys::chunk(id, index));
    }
    batch.delete(Space::Blobs, row);
    batch
}

impl Store {
    /// Begins to receive a body.
    pub fn spool(&self) -> Spool {
        let inner = self.inner.clone();
        let id = inner.next_upload();
        Spool {
            hasher: blake3::Hasher::new_keyed(&inner.blob_key),
            upload: Upload { inner, id, written: 0, kept: false },
            tail: Vec::new(),
            size: 0,
        }
    }
}

impl Spool {
    /// Takes the next octets; blocks on the disk only when [`Spool::would_flush`] said so.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        while self.tail.len() + bytes.len() > CHUNK_BYTES {
            let (now, later) = bytes.split_at(CHUNK_BYTES - self.tail.len());
            self.tail.extend_from_slice(now);
            bytes = later;
            self.flush()?;
        }
        self.tail.extend_from_slice(bytes);
        Ok(())
    }

    /// True when writing that many octets goes to the disk.
    pub fn would_flush(&self, octets: usize) -> bool {
        self.tail.len() + octets > CHUNK_BYTES
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let Upload { inner, id, written, .. } = &mut self.upload;
        inner.check_room()?;
        let mut ops = Vec::with_capacity(2);
        if *written == 0 {
            ops.push(Op::Put(Space::Blobs, keys::upload(*id), vec![1]));
        }
        let piece = std::mem::replace(&mut self.tail, Vec::with_capacity(CHUNK_BYTES));
        ops.push(Op::Put(Space::Chunks, keys::chunk(*id, *written), piece));
        *written += 1;
        Ok(inner.engine.write_unreferenced(&ops)?)
    }

    /// Ends the body. Blocks on the disk when more than one piece was received.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub fn finish(mut self) -> Result<SpooledBlob, StoreError> {
        let octets = if self.upload.written == 0 {
            Some(Arc::new(std::mem::take(&mut self.tail)))
        } else {
            if !self.tail.is_empty() {
                self.flush()?;
            }
            None
        };
        let digest = BlobDigest(*self.hasher.finalize().as_bytes());
        let listing = Vec::new();
        Ok(SpooledBlob { upload: self.upload, digest, size: self.size, octets, listing })
    }
}

impl SpooledBlob {
    /// Keyed digest.
    pub fn digest(&self) -> BlobDigest {
        self.digest
    }

    /// Octets.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What a list of messages shows of this one, kept beside each filed copy: opaque here.
    pub fn with_listing(self, listing: Vec<u8>) -> SpooledBlob {
        SpooledBlob { listing, ..self }
    }

    pub(crate) fn listing(&self) -> &[u8] {
        &self.listing
    }

    pub(crate) fn upload(&self) -> UploadId {
        self.upload.id
    }

    pub(crate) fn pieces(&self) -> Pieces<'_> {
        match &self.octets {
            Some(octets) => Pieces::Memory(octets),
            None => Pieces::Disk,
        }
    }

    /// A batch refers to the pieces now.
    pub(crate) fn keep(mut self) {
        self.upload.kept = true;
    }

    /// True when both come from the same store.
    pub(crate) fn belongs_to(&self, inner: &Arc<Inner>) -> bool {
        Arc::ptr_eq(&self.upload.inner, inner)
    }
}

impl Inner {
    fn remove_upload(&self, id: UploadId) -> Result<(), StoreError> {
        let mut pieces = Vec::new();
        let (from, to) = (keys::chunk(id, 0), keys::chunk(id, u32::MAX));
        self.read(|r| {
            r.scan(Space::Chunks, &from, &to, Direction::Up, &mut |key, _| {
                pieces.extend(keys::chunk_parts(key).map(|(_, index)| index));
                Ok(true)
            })
        })?;
        match self.engine.commit(removal(id, pieces.into_iter())) {
            Ok(_) | Err(EngineError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes up to `limit` uploads that nobody holds any more; gives how many.
    pub(crate) fn sweep_uploads(&self, limit: usize) -> Result<u64, StoreError> {
        let mut found = Vec::new();
        let end = crate::engine::after(keys::UPLOADS);
        self.read(|r| {
            r.scan(Space::Blobs, keys::UPLOADS, &end, Direction::Up, &mut |key, _| {
                found.extend(keys::upload_parts(key));
                Ok(found.len() < limit)
            })
        })?;
        found.retain(|id| !self.live_uploads.lock().contains(id));
        for id in &found {
            self.remove_upload(*id)?;
        }
        Ok(found.len() as u64)
    }
}
