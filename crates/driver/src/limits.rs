//! Bounds of this room.

use std::time::Duration;

/// Connections waiting in the kernel for `accept`.
pub const LISTEN_BACKLOG: i32 = 1024;
/// Connections over the limit that are given the door's polite refusal at one time; past it they are closed unread.
pub const POLITE_REFUSALS_MAX: usize = 64;
/// Time that the door has for a polite refusal.
pub const POLITE_REFUSAL: Duration = Duration::from_secs(5);
/// Time for a proxy to send its whole PROXY v2 header.
pub const PROXY_HEADER: Duration = Duration::from_secs(5);
/// Octets after the 16 fixed ones of a PROXY v2 header: addresses and TLVs.
pub const PROXY_BODY_BYTES_MAX: usize = 2048;
/// First pause after a failed `accept` (no file descriptor left); doubled up to [`ACCEPT_PAUSE_MAX`].
pub const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(20);
/// Longest pause after a failed `accept`.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// An IPv6 peer is counted by its network of this prefix: one subscriber owns at least a /64.
pub const PEER_V6_PREFIX: u8 = 64;
/// Shards of the map of woken BAL.
pub const BUS_SHARDS: usize = 64;
