//! What an operator may set.

use palombe_imap_proto::Limits;
use std::time::Duration;

/// Whether LOGIN and AUTHENTICATE work without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CleartextLogin {
    /// LOGINDISABLED before STARTTLS (RFC 9051 11.1).
    #[default]
    Refused,
    /// Passwords travel in clear: only where something else protects the line.
    Allowed,
}

/// Whether a connection may serve one user after another (RFC 8437 8: it must be possible to switch it off).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unauthenticate {
    /// UNAUTHENTICATE is an unknown command.
    #[default]
    Refused,
    /// For clients that act for several BAL in turn.
    Allowed,
}

/// Settings of the IMAP door.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in the greeting.
    pub hostname: String,
    /// Largest message that APPEND takes, octets.
    pub message_bytes_max: u64,
    /// See there.
    pub cleartext_login: CleartextLogin,
    /// See there.
    pub unauthenticate: Unauthenticate,
    /// Time from connection to authentication.
    pub login_timeout: Duration,
    /// Time without a command after which a session ends; RFC 9051 5.4 asks for at least 30 minutes.
    pub idle_timeout: Duration,
    /// Time that a client may take to read one buffer of ours, or to send the rest of a command.
    pub stall_timeout: Duration,
    /// Time for a TLS handshake.
    pub tls_timeout: Duration,
    /// Passwords verified at one time; others wait their turn within the login time.
    pub logins_at_once_max: usize,
    /// Failed logins after which the connection is closed.
    pub login_failures_max: u32,
    /// Delay after the first failed login; it doubles with each.
    pub login_failure_delay: Duration,
    /// Memory for rows of folders that no session has open at the moment, octets; forty for each message.
    pub rows_cache_bytes: usize,
    /// Limits of the grammar.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            hostname: "localhost".to_owned(),
            message_bytes_max: 36 * 1024 * 1024,
            cleartext_login: CleartextLogin::Refused,
            unauthenticate: Unauthenticate::Refused,
            login_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30 * 60 + 10),
            stall_timeout: Duration::from_secs(120),
            tls_timeout: Duration::from_secs(20),
            logins_at_once_max: 2,
            login_failures_max: 4,
            login_failure_delay: Duration::from_secs(1),
            rows_cache_bytes: 64 * 1024 * 1024,
            limits: Limits::default(),
        }
    }
}
