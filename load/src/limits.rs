//! Ends of every run and of every wait.

use std::time::Duration;

/// Messages or operations of one run, at most.
pub const OPERATIONS_MAX: u64 = 1_000_000;
/// Connections of one run, at most.
pub const CONNECTIONS_MAX: usize = 512;
/// Length of one run, at most, seconds.
pub const RUN_SECS_MAX: u64 = 600;
/// Size of one message, at most.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A reply line longer than this is an error.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// A server that says nothing for this long is an error.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections or messages that fail before a run gives up.
pub const FAILURES_MAX: u64 = 200;
