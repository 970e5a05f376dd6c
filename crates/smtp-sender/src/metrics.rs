//! Counters of the sender, read by the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters since the start, and a few gauges.
        #[derive(Debug, Default)]
        pub struct SenderMetrics { $($(#[$doc])* pub $name: AtomicU64,)* }

        impl SenderMetrics {
            /// Every name with its value, for a metrics page.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Entries tried.
    attempts,
    /// Recipients that a peer has taken.
    recipients_delivered,
    /// Recipients refused for good.
    recipients_failed,
    /// Recipients put off.
    recipients_deferred,
    /// Octets of messages taken by peers.
    octets_delivered,
    /// Connections opened, peer proven.
    connections_opened,
    /// Messages sent on a connection that had sent others.
    connections_reused,
    /// Connections that failed before the first message.
    connections_failed,
    /// Peers refused by the trust space.
    peers_untrusted,
    /// Answers of DNS that failed for the moment.
    dns_failures,
    /// Outcomes that the store did not take.
    outcomes_lost,
    /// Gauge: messages under way.
    running,
    /// Gauge: entries known to be due and not under way.
    waiting,
    /// Gauge: open connections without work.
    connections_idle,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn set(gauge: &AtomicU64, n: usize) {
    gauge.store(n as u64, Ordering::Relaxed);
}
