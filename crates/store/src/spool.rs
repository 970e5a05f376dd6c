//! Bodies on their way in.
use crate::{BlobDigest, StoreError};

/// A body being received.
pub struct Spool {
    size: u64,
}

/// A body received whole (state S1). Dropped without an acceptance, it leaves nothing.
pub struct SpooledBlob {
    digest: BlobDigest,
    size: u64,
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
}

impl Spool {
    /// Takes the next octets; blocks on the disk only when [`Spool::would_flush`] said so.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// True when writing that many octets goes to the disk.
    pub fn would_flush(&self, octets: usize) -> bool {
        self.size as usize + octets > crate::limits::CHUNK_BYTES
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub fn finish(self) -> Result<SpooledBlob, StoreError> {
        Ok(SpooledBlob { digest: BlobDigest([0; 32]), size: self.size })
    }

    pub(crate) fn new() -> Self {
        Spool { size: 0 }
    }
}
