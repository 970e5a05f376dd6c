//! What the operator decides about a service.

use palombe_access::Access;
use palombe_delivery::Delivery;
use palombe_driver::{Pool, Shutdown};
use palombe_smtp_proto::server::Service;
use palombe_trust::TrustState;
use palombe_vocabulary::MailAddress;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;

/// What the door asks.
#[derive(Clone)]
pub struct House {
    /// Recipients and acceptance.
    pub delivery: Delivery,
    /// Verdicts on operators.
    pub trust: TrustState,
    /// Who may open which BAL.
    pub access: Access,
    /// Where blocking work runs.
    pub pool: Pool,
    /// Our certificate: `ClientAuth::Request` on interop, `ClientAuth::None` on submission.
    pub tls: Arc<ServerConfig>,
    /// The end.
    pub shutdown: Shutdown,
}

/// Settings of one service. [`Settings::interop`] and [`Settings::submission`] give the defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which service.
    pub service: Service,
    /// Our name in the greeting.
    pub hostname: String,
    /// Where mail for `<Postmaster>` without domain goes (RFC 5321 4.5.1).
    pub postmaster: Option<MailAddress>,
    /// Largest message, octets.
    pub message_bytes_max: u64,
    /// Most recipients of one message.
    pub recipients_max: usize,
    /// Refused commands since the last accepted message.
    pub errors_max: u32,
    /// Commands since the last accepted message.
    pub commands_max: u32,
    /// Messages a minute from one peer (IPv4 address or IPv6 /64); 0: no limit.
    pub messages_per_minute: u32,
    /// Octets of all bodies in flight at once.
    pub in_flight_bytes_max: u64,
    /// Failed authentications in one session.
    pub auth_failures_max: u32,
    /// Failed authentications of one peer within the window, after which it is told to wait.
    pub auth_failures_per_peer_max: u32,
    /// That window, seconds.
    pub auth_window_secs: i64,
    /// Pause before a failed authentication is answered.
    pub auth_failure_pause: Duration,
    /// Time for the TLS handshake.
    pub handshake_time: Duration,
    /// Time for the next command (RFC 5321 4.5.3.2.7: at least 5 minutes).
    pub command_time: Duration,
    /// Time for the next octets of a body (RFC 5321 4.5.3.2.5: 3 minutes).
    pub data_time: Duration,
    /// Time for a whole body.
    pub body_time: Duration,
}

impl Settings {
    /// Defaults of port 25.
    pub fn interop(hostname: &str) -> Settings {
        Settings {
            service: Service::Interop,
            hostname: hostname.to_owned(),
            postmaster: None,
            message_bytes_max: 36 * 1024 * 1024,
            recipients_max: 1000,
            errors_max: 20,
            commands_max: 10_000,
            messages_per_minute: 6000,
            in_flight_bytes_max: 512 * 1024 * 1024,
            auth_failures_max: 3,
            auth_failures_per_peer_max: 30,
            auth_window_secs: 600,
            auth_failure_pause: Duration::from_secs(1),
            handshake_time: Duration::from_secs(30),
            command_time: Duration::from_secs(300),
            data_time: Duration::from_secs(180),
            body_time: Duration::from_secs(3600),
        }
    }

    /// Defaults of port 587.
    pub fn submission(hostname: &str) -> Settings {
        Settings {
            service: Service::Submission,
            messages_per_minute: 600,
            ..Settings::interop(hostname)
        }
    }
}
