//! Counters of one service.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a service has done since it started. Plain atomics: the binary renders them.
#[derive(Debug, Default)]
pub struct SmtpMetrics {
    sessions: AtomicU64,
    sessions_ended: AtomicU64,
    messages: AtomicU64,
    recipients: AtomicU64,
    body_bytes: AtomicU64,
    tls_handshakes: AtomicU64,
    tls_failures: AtomicU64,
    auth_successes: AtomicU64,
    auth_failures: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSnapshot {
    /// Connections so far.
    pub sessions: u64,
    /// Connections now.
    pub sessions_open: u64,
    /// Messages answered 250.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// Their octets.
    pub body_bytes: u64,
    /// TLS handshakes that succeeded.
    pub tls_handshakes: u64,
    /// TLS handshakes that failed.
    pub tls_failures: u64,
    /// Authentications that succeeded.
    pub auth_successes: u64,
    /// Authentications that failed.
    pub auth_failures: u64,
    /// Refusals and deferrals by the code of their rule.
    pub refused: Vec<(&'static str, u64)>,
}

impl SmtpMetrics {
    /// The counters now.
    pub fn snapshot(&self) -> MetricsSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ended = read(&self.sessions_ended);
        let sessions = read(&self.sessions);
        MetricsSnapshot {
            sessions,
            sessions_open: sessions.saturating_sub(ended),
            messages: read(&self.messages),
            recipients: read(&self.recipients),
            body_bytes: read(&self.body_bytes),
            tls_handshakes: read(&self.tls_handshakes),
            tls_failures: read(&self.tls_failures),
            auth_successes: read(&self.auth_successes),
            auth_failures: read(&self.auth_failures),
            refused: self.refused.lock().iter().map(|(k, v)| (*k, *v)).collect(),
        }
    }

    pub(crate) fn session_begins(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn session_ends(&self) {
        self.sessions_ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accepted(&self, recipients: u64, octets: u64) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.recipients.fetch_add(recipients, Ordering::Relaxed);
        self.body_bytes.fetch_add(octets, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, code: &'static str) {
        *self.refused.lock().entry(code).or_insert(0) += 1;
    }

    pub(crate) fn tls(&self, succeeded: bool) {
        let counter = if succeeded { &self.tls_handshakes } else { &self.tls_failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn auth(&self, succeeded: bool) {
        let counter = if succeeded { &self.auth_successes } else { &self.auth_failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
