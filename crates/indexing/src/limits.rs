//! Bounds of this room.

use std::time::Duration;

/// Messages of one BAL that become one segment.
pub const BATCH_MESSAGES: usize = 64;
/// N-grams of such messages together, about; what is left waits for the next one.
pub const BATCH_TERMS: usize = 200_000;
/// Octets of a message's header that are read.
pub const HEADER_BYTES_MAX: u64 = 1024 * 1024;
/// Octets of one message's texts that are read and decoded; one that has more is a candidate of every search.
pub const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Messages of an older store that are made to wait at once.
pub const PLANT_MESSAGES: usize = 500;
/// Bodies without a message that are forgotten at once.
pub const FORGET_BODIES: usize = 200;
/// Work between two pauses.
pub const SLICE: Duration = Duration::from_millis(50);
/// Pause when there is nothing to do. What waits is found by searches all the same.
pub const IDLE: Duration = Duration::from_secs(2);
/// Pause after a failure of the store.
pub const FAILED: Duration = Duration::from_secs(10);
/// Changes committed by others in a second from which on the worker steps back.
pub const BUSY_BATCHES_PER_SEC: u64 = 25;
/// Pause in slices, when others work and when they do not.
pub const REST_BUSY_SLICES: u32 = 15;
/// As above, in quarters of a slice.
pub const REST_QUIET_QUARTERS: u32 = 1;
/// Scheduling priority of the worker's thread: everything else comes first.
pub const NICE: i32 = 10;
