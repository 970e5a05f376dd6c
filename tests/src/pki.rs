//! The toy IGC-Santé of `certs/test-pki`.

use crate::repo;
use std::path::PathBuf;

/// A file of the toy IGC-Santé, such as `liste-blanche.xml` or `crl`.
pub fn file(name: &str) -> PathBuf {
    repo::root().join("certs/test-pki").join(name)
}

/// The anchors.
pub fn anchors() -> PathBuf {
    file("ca-bundle.pem")
}

/// Certificate of `op-alpha`, `audit-revoque`…
pub fn certificate(name: &str) -> PathBuf {
    file(&format!("{name}.pem"))
}

/// Its key.
pub fn key(name: &str) -> PathBuf {
    file(&format!("{name}.key"))
}
