//! Checksums and base64 as the specifications ask for them, and as senders write them.

use crate::error::DocError;
use aws_lc_rs::digest;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt::Write;

/// Padding or not, bits left over or not: some senders cut the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 without blanks.
pub(crate) fn decode_base64(digits: &[u8]) -> Result<Vec<u8>, DocError> {
    BASE64.decode(digits).map_err(|_| DocError::Base64)
}

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
