//! Argon2id in PHC strings (RFC 9106).

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use palombe_vocabulary::Secret;
use parking_lot::Mutex;

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The operating system refused random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The password is longer than [`crate::PASSWORD_BYTES_MAX`] or the library refused its parameters.
    #[error("the password cannot be hashed: {0}")]
    Refused(String),
}

/// The PHC string to store: Argon2id v19 with the library's recommended cost and a random salt.
///
/// # Errors
/// [`HashError`].
pub fn hash_password(password: &Secret<String>) -> Result<String, HashError> {
    if password.expose().len() > crate::PASSWORD_BYTES_MAX {
        return Err(HashError::Refused("longer than 1024 octets".to_owned()));
    }
    let hash = Argon2::default()
        .hash_password(password.expose().as_bytes())
        .map_err(|e| HashError::Refused(e.to_string()))?;
    Ok(hash.to_string())
}

/// Memory for Argon2id, some 19 MiB for each verification at one time: used again, because what many threads give
/// back to the allocator stays with each of them.
#[derive(Default)]
pub(crate) struct Verifier {
    spare: Mutex<Vec<Vec<Block>>>,
}

/// Verifications at one time whose memory is kept.
const SPARE_MAX: usize = 2;

impl Verifier {
    /// Constant-time comparison inside the library; a malformed stored hash verifies nothing.
    pub(crate) fn verify(&self, hash: &str, password: &Secret<String>) -> bool {
        PasswordHash::new(hash).is_ok_and(|hash| self.matches(&hash, password) == Some(true))
    }

    fn matches(&self, hash: &PasswordHash, password: &Secret<String>) -> Option<bool> {
        let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
        let params = Params::try_from(hash).ok()?;
        let mut memory = self.spare.lock().pop().unwrap_or_default();
        memory.resize(params.block_count(), Block::default());
        let mut octets = [0; Output::MAX_LENGTH];
        let out = octets.get_mut(..expected.len())?;
        let computed = Argon2::new(algorithm, version, params).hash_password_into_with_memory(
            password.expose().as_bytes(),
            salt,
            out,
            &mut memory[..],
        );
        let mut spare = self.spare.lock();
        if spare.len() < SPARE_MAX {
            spare.push(memory);
        }
        drop(spare);
        computed.ok()?;
        Some(Output::new(out).ok()? == *expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let verifier = Verifier::default();
        let right = Secret::new("colombe".to_owned());
        let hash = hash_password(&right).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"));
        assert!(verifier.verify(&hash, &right));
        assert!(!verifier.verify(&hash, &Secret::new("corbeau".to_owned())));
        assert!(!verifier.verify("pas un hachage", &right));
    }
}
