//! Every bound of this room. The real list of 2025-02-28: 3.7 MB, 6,494 entries, longest field 156
//! characters.

/// Largest liste blanche read.
pub const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most `Domaine` elements in a list.
pub const LIST_ENTRIES_MAX: usize = 100_000;
/// Longest text of one field of a list.
pub const LIST_FIELD_BYTES_MAX: usize = 4096;
/// Longest `Signature` element.
pub const SIGNATURE_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of elements read; the list needs 3, its signature 6.
pub const XML_DEPTH_MAX: usize = 12;
/// Most attributes of one tag; the list needs 1.
pub const XML_ATTRIBUTES_MAX: usize = 8;
/// Longest distinguished name read.
pub const DN_BYTES_MAX: usize = 2048;
/// Most attributes in one distinguished name.
pub const DN_ATTRIBUTES_MAX: usize = 32;
/// Most certificates looked at in what a peer sends.
pub const PEER_CHAIN_CERTIFICATES_MAX: usize = 8;
/// Largest CRL read.
pub const CRL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most CRLs kept.
pub const CRLS_MAX: usize = 64;
/// Most certificates in a bundle of anchors.
pub const ANCHORS_MAX: usize = 256;
/// Verdicts on chains kept in memory; the map is emptied when full.
pub const VERDICTS_MAX: usize = 1024;
/// How long a favourable verdict on a chain may be reused, at most.
pub const VERDICT_SECS_MAX: i64 = 60;
/// Entries of a list that could not be indexed and are named in the report; the rest are counted.
pub const SKIPPED_NAMED_MAX: usize = 20;
