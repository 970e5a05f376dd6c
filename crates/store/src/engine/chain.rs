//! Hash chains: each row of a chain has a link row that holds the digest of everything up to it, so that a row changed,
//! removed, inserted or moved later is found. Only the committer knows the order, so it makes the links.

use super::{Backend, EngineError, Space};
use std::collections::HashMap;

/// Octets of a digest.
pub(crate) const DIGEST_BYTES: usize = 32;
/// What the first link of a chain stands on.
pub(crate) const START: [u8; DIGEST_BYTES] = [0; DIGEST_BYTES];

/// Digest of a chain that ended in `before`, with this row. Lengths are digested, so that no octet can move from key
/// to value.
pub(crate) fn link(before: &[u8; DIGEST_BYTES], key: &[u8], value: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&(key.len() as u64).to_be_bytes()).update(key).update(value);
    *hasher.finalize().as_bytes()
}

type Head = (Space, Vec<u8>);

/// Where each chain stands, as the group being built sees it.
#[derive(Default)]
pub(crate) struct Heads {
    known: HashMap<Head, [u8; DIGEST_BYTES]>,
    dirty: Vec<Head>,
}

impl Heads {
    /// Reads the head of a chain, unless it is known.
    pub(crate) fn load(
        &mut self,
        backend: &dyn Backend,
        space: Space,
        key: &[u8],
    ) -> Result<(), EngineError> {
        let head = (space, key.to_vec());
        if self.known.contains_key(&head) {
            return Ok(());
        }
        let damaged = |_| EngineError::Corrupt("the head of a chain".to_owned());
        let digest = match backend.get(space, key)? {
            Some(bytes) => bytes.try_into().map_err(damaged)?,
            None => START,
        };
        self.known.insert(head, digest);
        Ok(())
    }

    /// Adds a row; gives the digest of its link.
    pub(crate) fn add(
        &mut self,
        head: (Space, &[u8]),
        key: &[u8],
        value: &[u8],
    ) -> [u8; DIGEST_BYTES] {
        let head = (head.0, head.1.to_vec());
        let before = self.known.get(&head).unwrap_or(&START);
        let digest = link(before, key, value);
        if !self.dirty.contains(&head) {
            self.dirty.push(head.clone());
        }
        self.known.insert(head, digest);
        digest
    }

    /// Heads that the group moved, to be written with it.
    pub(crate) fn take_dirty(&mut self) -> Vec<(Head, [u8; DIGEST_BYTES])> {
        let dirty = std::mem::take(&mut self.dirty);
        let with_digest = |head: Head| {
            let digest = *self.known.get(&head).unwrap_or(&START);
            (head, digest)
        };
        dirty.into_iter().map(with_digest).collect()
    }

    /// What is on disk is unknown until it is read again.
    pub(crate) fn forget(&mut self) {
        *self = Heads::default();
    }
}
