//! How fast one peer may come: messages, and failed authentications.

use crate::limits::FAILING_PEERS_MAX;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use palombe_vocabulary::Timestamp;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// Checks between two sweeps of peers that were quiet long enough to be forgotten.
const SWEEP_EVERY: u32 = 4096;

/// One subscriber: an IPv4 address, or an IPv6 /64.
pub(crate) fn peer_key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
    }
}

/// Messages a minute from one peer.
pub(crate) struct Rate {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    checks: AtomicU32,
}

impl Rate {
    /// 0: no limit.
    pub(crate) fn new(per_minute: u32) -> Rate {
        let limiter = NonZeroU32::new(per_minute).map(|n| RateLimiter::keyed(Quota::per_minute(n)));
        Rate { limiter, checks: AtomicU32::new(0) }
    }

    /// Whether one more may come now.
    pub(crate) fn allows(&self, peer: IpAddr) -> bool {
        let Some(limiter) = &self.limiter else { return true };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(&peer_key(peer)).is_ok()
    }
}

/// Failed authentications of peers, in windows. Successes cost nothing: a client that logs in again for each message
/// is not locked out (ANS R2 SC.MSS/CONF.11).
pub(crate) struct Failures {
    max: u32,
    window_millis: i64,
    peers: Mutex<HashMap<IpAddr, (Timestamp, u32)>>,
}

impl Failures {
    pub(crate) fn new(max: u32, window_secs: i64) -> Failures {
        Failures { max, window_millis: window_secs.saturating_mul(1000), peers: Mutex::default() }
    }

    /// Whether the peer has failed too often to be heard now.
    pub(crate) fn too_many(&self, peer: IpAddr, now: Timestamp) -> bool {
        let peers = self.peers.lock();
        let found = peers.get(&peer_key(peer)).filter(|(since, _)| self.current(*since, now));
        found.is_some_and(|(_, count)| *count >= self.max)
    }

    pub(crate) fn note(&self, peer: IpAddr, now: Timestamp) {
        let mut peers = self.peers.lock();
        if peers.len() >= FAILING_PEERS_MAX {
            peers.retain(|_, (since, _)| self.current(*since, now));
        }
        if peers.len() >= FAILING_PEERS_MAX {
            // A flood from everywhere: forgetting it all is cheaper than remembering it badly.
            peers.clear();
        }
        let entry = peers.entry(peer_key(peer)).or_insert((now, 0));
        if !self.current(entry.0, now) {
            *entry = (now, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }

    fn current(&self, since: Timestamp, now: Timestamp) -> bool {
        (0..self.window_millis).contains(&now.millis_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_within_their_window() {
        let failures = Failures::new(2, 10);
        let peer: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let now = Timestamp(1_000_000);
        failures.note(peer, now);
        assert!(!failures.too_many(peer, now));
        failures.note(neighbour, now);
        assert!(failures.too_many(peer, now));
        assert!(!failures.too_many("192.0.2.1".parse().unwrap(), now));
        assert!(!failures.too_many(peer, now.plus_secs(10)));
    }

    #[test]
    fn rates() {
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let rate = Rate::new(2);
        assert!(rate.allows(peer) && rate.allows(peer) && !rate.allows(peer));
        assert!(rate.allows("192.0.2.2".parse().unwrap()));
        let unlimited = Rate::new(0);
        assert!((0..10_000).all(|_| unlimited.allows(peer)));
    }
}
