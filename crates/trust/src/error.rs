//! What can go wrong with the material of trust itself.

use palombe_vocabulary::Timestamp;

/// Why a list, a bundle, a certificate or a key of ours is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Larger than a named limit.
    #[error("{what} is larger than {limit}: refused unread")]
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit, in bytes or items.
        limit: usize,
    },
    /// The text is not the XML we read.
    #[error("the liste blanche is not readable XML at byte {at}: {reason}")]
    Xml {
        /// Offset in the received text.
        at: u64,
        /// What is wrong.
        reason: String,
    },
    /// Well-formed, but not the schema of the list.
    #[error("the liste blanche does not follow its schema: {0}")]
    Schema(String),
    /// No `Signature` as last child of the root.
    #[error(
        "the liste blanche is not signed: get the signed file from espacedeconfiance.mssante.fr"
    )]
    Unsigned,
    /// The signature says something else than what we accept.
    #[error("the signature of the liste blanche is not of the accepted form: {0}")]
    SignatureForm(String),
    /// What is there is not what was signed.
    #[error("the liste blanche was altered: its digest differs from the signed one")]
    DigestMismatch,
    /// `SignedInfo` was not signed by the key of the certificate.
    #[error("the signature of the liste blanche does not verify with the certificate it carries")]
    SignatureInvalid,
    /// The signer is not who may sign.
    #[error("the signer of the liste blanche is refused: {0}")]
    Signer(String),
    /// Older than the list in use.
    #[error("the liste blanche offered ({offered}) is older than the one in use ({in_use})")]
    Rollback {
        /// `DateDeGeneration` in use.
        in_use: Timestamp,
        /// `DateDeGeneration` offered.
        offered: Timestamp,
    },
    /// Dated in the future.
    #[error("the liste blanche is dated {offered}, in the future: check our clock")]
    FromTheFuture {
        /// `DateDeGeneration` offered.
        offered: Timestamp,
    },
    /// A bundle of anchors.
    #[error("the anchors cannot be used: {0}")]
    Anchors(String),
    /// Our own certificate or key.
    #[error("the certificate or key of this operator cannot be used: {0}")]
    Identity(String),
    /// rustls refused a configuration.
    #[error("TLS cannot be configured: {0}")]
    Tls(String),
    /// A distinguished name.
    #[error("not a distinguished name: {0}")]
    Dn(&'static str),
    /// A certificate or CRL.
    #[error("not a readable {what}: {reason}")]
    Der {
        /// Certificate or CRL.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
}
