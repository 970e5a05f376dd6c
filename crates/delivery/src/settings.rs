//! What the operator decides about delivery. Every unknown of the référentiels is a named value here.

use palombe_vocabulary::{Domain, Timestamp};

/// Settings of this room. The binary fills them from its configuration.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Name of this operator's host in trace headers and reports.
    pub hostname: Domain,
    /// Largest message accepted, octets, trace headers not counted.
    pub message_bytes_max: u64,
    /// Bounds of the MIME structure: nesting, parts, header octets.
    pub structure: palombe_message::Limits,
    /// More `Received` fields than this is a loop (RFC 5321 6.3).
    pub received_max: u32,
    /// When to try again.
    pub retry: RetryCalendar,
    /// A `delayed` report leaves once after this many seconds in the queue (RFC 3461 4.1, `DELAY`).
    pub delay_warning_secs: i64,
    /// A message waits at most this long for its peer, in seconds; then a `failed` report leaves.
    pub expiry_secs: i64,
    /// Where `RET` was not given, a failure report holds the whole message up to this size, else its header.
    pub report_full_bytes_max: u64,
    /// Destination domains of one message, at most.
    pub destinations_max: usize,
    /// Local part of the report author on each hosted domain.
    pub report_author: String,
}

impl DeliverySettings {
    /// The documented defaults for this host.
    pub fn new(hostname: Domain) -> Self {
        DeliverySettings {
            hostname,
            message_bytes_max: 36 * 1024 * 1024,
            structure: palombe_message::Limits::default(),
            received_max: 30,
            retry: RetryCalendar::default(),
            delay_warning_secs: 3600,
            expiry_secs: 48 * 3600,
            report_full_bytes_max: 64 * 1024,
            destinations_max: 100,
            report_author: "mailer-daemon".to_owned(),
        }
    }
}

/// Seconds before each next attempt; the last one repeats.
#[derive(Clone, Debug)]
pub struct RetryCalendar(Vec<u32>);

impl Default for RetryCalendar {
    /// A medical result is wanted soon: dense at first, hourly in the end.
    fn default() -> Self {
        RetryCalendar(vec![30, 60, 120, 300, 600, 900, 1800, 3600])
    }
}

impl RetryCalendar {
    /// A calendar with at least one step; `None` when there is no step or a step of zero.
    pub fn new(secs: Vec<u32>) -> Option<Self> {
        (!secs.is_empty() && secs.iter().all(|s| *s > 0)).then_some(RetryCalendar(secs))
    }

    /// When to try again after `attempts` failed attempts (1 for the first). Jitter of ±12.5 % drawn from `seed`
    /// spreads a herd that a returning peer would otherwise meet at once.
    pub fn next(&self, attempts: u32, seed: u64, now: Timestamp) -> Timestamp {
        let step = (attempts.max(1) as usize - 1).min(self.0.len() - 1);
        let millis = i64::from(self.0[step]) * 1000;
        let hash = blake3::hash(&[seed.to_le_bytes(), u64::from(attempts).to_le_bytes()].concat());
        let draw = i64::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]));
        let jitter = millis / 4 * draw / i64::from(u16::MAX) - millis / 8;
        now.plus_millis(millis + jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_grows_then_repeats_within_its_jitter() {
        let calendar = RetryCalendar::new(vec![10, 100]).unwrap();
        let now = Timestamp(0);
        for (attempts, secs) in [(1, 10), (2, 100), (3, 100), (40, 100)] {
            for seed in 0..200 {
                let at = calendar.next(attempts, seed, now).0;
                let (low, high) = (secs * 875, secs * 1125);
                assert!((low..=high).contains(&at), "attempt {attempts} seed {seed}: {at}");
            }
        }
        assert!(RetryCalendar::new(vec![]).is_none());
        assert!(RetryCalendar::new(vec![0]).is_none());
    }
}
