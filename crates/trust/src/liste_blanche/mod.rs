//! The liste blanche: verified, indexed, compared.

mod diff;
mod index;
mod parse;
mod sign;
mod signature;
mod surface;

pub use diff::{ListDiff, diff};
pub use index::{Entry, ListeBlanche, SkippedEntry};
pub use sign::{ListDraft, sign};
pub use signature::VerifyOptions;

/// Namespace of the list (spec mssante §1.1).
pub(crate) const LIST_NS: &str = "https://listeblanche.mssante.fr/schema";

/// Surface, signature structure, canonicalisation and parse of `bytes`, whatever the signature is
/// worth.
pub(crate) fn fuzz(bytes: &[u8]) {
    if let Ok(surface) = surface::read(bytes) {
        if let Some(signature) = &surface.signature {
            let _ = signature::read(signature);
        }
        if let Ok(payload) = signature::canonical(&surface.payload) {
            let _ = parse::parse(&payload);
        }
    }
}
