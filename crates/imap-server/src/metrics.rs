//! Counters that the binary renders.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of the IMAP door; totals since start, except those that say "now".
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(pub(crate) $name: AtomicU64,)*
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct MetricsSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Metrics {
            /// Reads them all.
            pub fn snapshot(&self) -> MetricsSnapshot {
                MetricsSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

metrics! {
    /// Connections accepted.
    connections,
    /// Connections open now.
    connections_open,
    /// Sessions in IDLE now.
    idling,
    /// Logins that succeeded.
    logins,
    /// Logins that failed.
    login_failures,
    /// Commands completed with OK.
    commands_ok,
    /// Commands completed with NO.
    commands_no,
    /// Commands completed with BAD, or not understood.
    commands_bad,
    /// Messages taken by APPEND.
    appends,
    /// Octets written to clients.
    bytes_written,
    /// Connections closed because a limit was passed.
    limits_passed,
    /// Connections closed because the client stalled.
    stalls,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts something while it lives.
pub(crate) struct Present(std::sync::Arc<Metrics>, fn(&Metrics) -> &AtomicU64);

impl Present {
    pub(crate) fn new(
        metrics: &std::sync::Arc<Metrics>,
        counter: fn(&Metrics) -> &AtomicU64,
    ) -> Self {
        count(counter(metrics));
        Present(metrics.clone(), counter)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.1(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}
