//! Bounds of this door that nobody needs to configure. The others are fields of [`crate::Settings`].

use std::time::Duration;

/// Octets read at once. A TLS record holds 16 KiB, an AUTH line 12 KiB.
pub const READ_BUFFER_BYTES: usize = 32 * 1024;
/// Budget that a body without declared size asks for at a time.
pub const RESERVATION_STEP_BYTES: u64 = 256 * 1024;
/// A body up to this size is accepted without a thread of the pool: nothing of it was written to disk before.
pub const SMALL_BODY_BYTES_MAX: u64 = 256 * 1024;
/// Time for a peer to take our replies.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(60);
/// Time for the house to accept a message; past it the client hears 451 and may send it again
/// (RFC 5321 4.5.3.2.6 has it wait ten minutes).
pub const ACCEPT_TIME_MAX: Duration = Duration::from_secs(300);
/// Peers whose failed authentications are remembered.
pub const FAILING_PEERS_MAX: usize = 10_000;
/// Jobs waiting in the pool from which MAIL is answered 451.
pub const POOL_WAITING_AT_MAIL_MAX: usize = 512;
/// After our last reply the peer may take this long to close.
pub const LINGER_TIME_MAX: Duration = Duration::from_secs(1);
/// After our last reply the peer may send this much more, unread.
pub const LINGER_BYTES_MAX: usize = 256 * 1024;
/// A verdict on a peer's certificate is given again at the first MAIL after this time.
pub const VERDICT_TIME_MAX: Duration = Duration::from_secs(300);
