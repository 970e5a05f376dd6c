//! Latencies and rates of a run.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// What happened, for one kind of operation.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Operations that ended well.
    pub done: u64,
    /// Operations that did not, by what was said ("451", "connection").
    pub failed: BTreeMap<String, u64>,
    /// From the first connection to the last answer, seconds.
    pub seconds: f64,
    /// Operations that ended well, per second.
    pub per_second: f64,
    /// Octets of message, per second, in MiB.
    pub mib_per_second: f64,
    /// Median latency, milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 are faster.
    pub p95_ms: f64,
    /// 99 of 100 are faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// Collects while a run goes on; one per connection, then merged.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    micros: Vec<u32>,
    failed: BTreeMap<String, u64>,
    bytes: u64,
}

impl Tally {
    /// One operation ended well.
    pub fn done(&mut self, latency: Duration, bytes: u64) {
        self.micros.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        self.bytes += bytes;
    }

    /// One operation failed.
    pub fn failed(&mut self, what: impl Into<String>) {
        *self.failed.entry(what.into()).or_default() += 1;
    }

    /// Operations that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds another connection's.
    pub fn merge(&mut self, other: Tally) {
        self.micros.extend(other.micros);
        self.bytes += other.bytes;
        for (what, count) in other.failed {
            *self.failed.entry(what).or_default() += count;
        }
    }

    /// Closes the books.
    pub fn summary(mut self, elapsed: Duration) -> Summary {
        self.micros.sort_unstable();
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let rank = |share: f64| {
            let last = self.micros.len().saturating_sub(1);
            let index =
                ((self.micros.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last);
            self.micros.get(index).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
        };
        Summary {
            done: self.micros.len() as u64,
            failed: self.failed.clone(),
            seconds,
            per_second: self.micros.len() as f64 / seconds,
            mib_per_second: self.bytes as f64 / seconds / (1024.0 * 1024.0),
            p50_ms: rank(0.50),
            p95_ms: rank(0.95),
            p99_ms: rank(0.99),
            max_ms: rank(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use std::time::Duration;

    #[test]
    fn percentiles_are_ranks() {
        let mut tally = Tally::default();
        for millis in (1..=100).rev() {
            tally.done(Duration::from_millis(millis), 1024 * 1024);
        }
        tally.failed("451");
        let summary = tally.summary(Duration::from_secs(10));
        assert_eq!((summary.p50_ms, summary.p95_ms, summary.p99_ms), (50.0, 95.0, 99.0));
        assert_eq!(
            (summary.max_ms, summary.per_second, summary.mib_per_second),
            (100.0, 10.0, 10.0)
        );
        assert_eq!(summary.failed["451"], 1);
    }

    #[test]
    fn nothing_measured_is_not_a_panic() {
        assert_eq!(Tally::default().summary(Duration::ZERO).done, 0);
    }
}
