//! Every bound of this process.

use std::time::Duration;

/// Largest list fetched; the real one weighs 3.7 MB.
pub const LIST_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Largest CRL fetched.
pub const CRL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest configuration, bundle of anchors or memory of validators read.
pub const SMALL_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest `ETag` or `Last-Modified` kept.
pub const VALIDATOR_BYTES_MAX: usize = 512;
/// Most CRLs configured.
pub const CRLS_MAX: usize = 32;
/// Time to connect and shake hands.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(20);
/// Longest silence within an answer.
pub const SILENCE_TIME_MAX: Duration = Duration::from_secs(30);
/// Time for a whole answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(300);
/// Shortest period between two rounds.
pub const PERIOD_SECS_MIN: u64 = 60;
/// First wait after a failed round; it doubles, up to the period.
pub const BACKOFF_SECS_MIN: u64 = 30;
