//! Checksums that the specifications ask for.

use aws_lc_rs::digest;
use std::fmt::Write;

/// SHA-1 in lower-case hexadecimal: the `hash` of XDS (IHE ITI TF-3 4.2.3.2.10), a checksum and no proof.
pub fn sha1_hex(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes);
    let mut out = String::with_capacity(40);
    for byte in digest.as_ref() {
        let _ = write!(out, "{byte:02x}"); // Writing to a String does not fail.
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_digest() {
        assert_eq!(super::sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
