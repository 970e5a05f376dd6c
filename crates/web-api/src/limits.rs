//! Bounds of this door.

/// Rows of one list answer when the caller names no limit.
pub const ROWS_DEFAULT: usize = 1_000;
/// Rows of one list answer at most.
pub const ROWS_MAX: usize = 100_000;
/// Octets of a request body at most.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
