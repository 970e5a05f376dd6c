//! Where the tests find their material.

#![allow(dead_code)] // each test binary uses its part

use palombe_vocabulary::{Secret, Timestamp};
use std::path::PathBuf;

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the toy IGC-Santé.
pub fn pki(name: &str) -> Vec<u8> {
    let path = workspace().join("certs/test-pki").join(name);
    std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run certs/test-pki/rebuild", path.display()))
}

pub fn key(name: &str) -> Secret<Vec<u8>> {
    Secret::new(pki(name))
}

/// A file of the shared material, or `None` after a clear line.
pub fn shared(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("PALOMBE_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from);
    match std::fs::read(root.join(name)) {
        Ok(bytes) => Some(bytes),
        Err(_) => {
            println!("skipped: shared/{name} is absent (set PALOMBE_SHARED)");
            None
        }
    }
}

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant in a test")
}
