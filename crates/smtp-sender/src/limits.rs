//! Bounds of this room. What an operator may change is a field of `SenderSettings`.

use std::time::Duration;

/// Octets of the message read from the store and written to the peer at one time.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;
/// Messages of at least this size leave by BDAT where the peer offers it; smaller ones by DATA, whose round trip is
/// saved by PIPELINING.
pub const BDAT_BYTES_MIN: u64 = 256 * 1024;
/// `RCPT` commands written before their replies are read: neither side's buffers fill up.
pub const RCPT_WINDOW: usize = 50;
/// Octets read from the peer at one time.
pub const REPLY_READ_BYTES: usize = 4096;
/// Hosts of one domain tried in one attempt.
pub const HOSTS_TRIED_MAX: usize = 8;
/// Addresses of one host tried in one attempt.
pub const ADDRESSES_TRIED_MAX: usize = 4;
/// Entries asked of the queue at one time, urgent first, then the oldest.
pub const WINDOW: usize = 1000;
/// Entries kept of a look over the whole queue, which is taken when more is due than the window holds.
pub const WIDE_WINDOW: usize = 8000;
/// Of these, entries of one priority from one hosted domain to one destination: nobody hides the others.
pub const CROWD_MAX: usize = 64;
/// The whole queue is looked over at most once in this time, and in ten times what the look took.
pub const WIDE_PAUSE_MIN: Duration = Duration::from_millis(250);
/// The queue is read at most once in this time, however many wakes come.
pub const SCAN_PAUSE_MIN: Duration = Duration::from_millis(5);
/// Pause after the store failed to answer, and shortest wait for an entry that is due but cannot be started.
pub const SCAN_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Longest sleep without a wake: the wakes are hints.
pub const SLEEP_MAX: Duration = Duration::from_secs(60);
/// Destinations whose last failure is remembered.
pub const DOWN_MAX: usize = 10_000;
/// Destinations whose host is remembered.
pub const SITES_MAX: usize = 10_000;
/// Quantum of the round robin between hosted domains, in octets.
pub const QUANTUM_BYTES: i64 = 64 * 1024;
/// What a message costs beside its octets: its commands and its sync.
pub const MESSAGE_COST_BYTES: i64 = 16 * 1024;
/// An attempt ends this long before its lease does.
pub const LEASE_MARGIN: Duration = Duration::from_secs(60);
/// Answers that the resolver keeps.
pub const DNS_CACHE_ENTRIES: u64 = 10_000;
/// Time for a farewell.
pub const QUIT: Duration = Duration::from_secs(2);
/// Time to hear why a peer closed in the middle of a message.
pub const LAST_WORDS: Duration = Duration::from_secs(2);
/// Attempts at settling one outcome before its lease is left to end.
pub const SETTLE_TRIES: u32 = 5;
