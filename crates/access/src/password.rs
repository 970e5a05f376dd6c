//! Argon2id in PHC strings (RFC 9106).

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use palombe_vocabulary::Secret;

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

/// Constant-time comparison inside the library; a malformed stored hash verifies nothing.
pub(crate) fn verify(hash: &str, password: &Secret<String>) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_verifies_against_its_own_hash_only() {
        let right = Secret::new("colombe".to_owned());
        let hash = hash_password(&right).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"));
        assert!(verify(&hash, &right));
        assert!(!verify(&hash, &Secret::new("corbeau".to_owned())));
        assert!(!verify("pas un hachage", &right));
    }
}
