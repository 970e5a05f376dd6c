//! # trust: who is in the trust space, and for which domains
//!
//! *Lives here:* the liste blanche (XML-DSig, index), distinguished names, IGC-Santé paths, CRLs,
//! product category, TLS configurations, and the verdicts: [`TrustedPeer`], [`AuthorizedSender`],
//! [`AuthorizedDestination`], proofs that only this room makes. Every refusal is a [`Rule`] with
//! its [`Evidence`].
//! *Never enters:* files, sockets, clocks, tokio. Bytes and instants in, verdicts out.
//! *Who may call:* doors and workers, `delivery`, the binary, `directory-sync`.
//! *Serves:* spec mssante §1, identity-directory §3 and §4; XML-DSig 1.1, exclusive C14N, RFC 5280.

mod anchors;
mod certificate;
mod crl;
mod dn;
mod error;
pub mod limits;
mod liste_blanche;
mod path;
mod policy;
mod rule;
mod state;
mod tls;

pub use anchors::Anchors;
pub use certificate::validity_of;
pub use crl::{CrlInfo, CrlReport, CrlSet};
pub use dn::{Dn, DnKey};
pub use error::TrustError;
pub use liste_blanche::{
    Entry, ListDiff, ListDraft, ListeBlanche, SkippedEntry, VerifyOptions, diff, sign,
};
pub use policy::{
    DnMatching, EkuPolicy, Environment, MissingCategory, NullSender, POLICY_TABLE, RevocationDepth,
    TrustPolicy, UnknownRevocation,
};
pub use rule::{Evidence, ListSnapshot, Refusal, Rule};
pub use rustls::pki_types::CertificateDer;
pub use state::{
    AuthorizedDestination, AuthorizedSender, ListInstalled, PeerRole, TrustState, TrustedPeer,
};
pub use tls::{ClientAuth, TlsIdentity, provider};

#[doc(hidden)]
pub mod fuzz {
    //! One pure entry per decoder, for `script/fuzz`. Nothing here gives trust.

    /// The distinguished name reader.
    pub fn dn(text: &str) {
        if let Ok(dn) = text.parse::<crate::Dn>() {
            let shown = dn.to_string();
            if shown.len() > crate::limits::DN_BYTES_MAX {
                return; // escapes made it longer than what is read
            }
            let again = shown.parse::<crate::Dn>();
            assert!(again.is_ok_and(|again| again == dn), "a name must read back as itself");
        }
    }

    /// Everything that runs on a liste blanche before its signature is known to be good.
    pub fn liste_blanche(bytes: &[u8]) {
        crate::liste_blanche::fuzz(bytes);
    }
}
