//! # smtp-server: the door for other operators and for submission
//!
//! *Lives here:* two services over `driver::Stream`, [`Service::Interop`] (port 25, mutual TLS) and
//! [`Service::Submission`] (port 587, STARTTLS then AUTH); the order of questions to `trust`, `access` and
//! `delivery`; every reply that comes from the house, in `reply.rs`; limits, rates, back-pressure.
//! *Never enters:* SMTP grammar (`smtp-proto`), storage, certificate rules, message content.
//! *Who may call:* the binary.
//! *Serves:* RFC 5321, 6409, 3207, 4954; spec mssante §1.5, §1.6, §6.2.
//!
//! **Invariants: no MAIL before TLS and before the verdict on the peer; 250 after DATA only on `delivery`'s word;
//! memory stays within the budget whatever the clients do; a slow store answers 4xx early.**

mod budget;
mod limits;
mod metrics;
mod rate;
mod reply;
mod settings;
mod talk;
mod visit;
mod wire;

pub use limits::*;
pub use metrics::{MetricsSnapshot, SmtpMetrics};
pub use palombe_smtp_proto::server::Service;
pub use settings::{House, Settings};

use budget::Budget;
use palombe_driver::{Bound, Connection, DriverError, ListenerSettings, listen};
use palombe_smtp_proto::server::SessionSettings;
use rate::{Failures, Rate};
use std::sync::Arc;

/// One service at work. Clones share everything.
#[derive(Clone)]
pub struct SmtpServer(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) session: Arc<SessionSettings>,
    pub(crate) house: House,
    pub(crate) budget: Budget,
    pub(crate) rate: Rate,
    pub(crate) failures: Failures,
    pub(crate) metrics: Arc<SmtpMetrics>,
}

impl SmtpServer {
    /// Joins the house and the operator's settings.
    pub fn new(settings: Settings, house: House) -> SmtpServer {
        let session = Arc::new(SessionSettings {
            hostname: settings.hostname.clone(),
            service: settings.service,
            message_bytes_max: settings.message_bytes_max,
            recipients_max: settings.recipients_max,
            errors_max: settings.errors_max,
            commands_max: settings.commands_max,
        });
        SmtpServer(Arc::new(Shared {
            session,
            house,
            budget: Budget::new(settings.in_flight_bytes_max),
            rate: Rate::new(settings.messages_per_minute),
            failures: Failures::new(settings.auth_failures_per_peer_max, settings.auth_window_secs),
            metrics: Arc::default(),
            settings,
        }))
    }

    /// Counters, for the metrics page.
    pub fn metrics(&self) -> Arc<SmtpMetrics> {
        self.0.metrics.clone()
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, connection: Connection) {
        talk::serve(self.0.clone(), connection).await;
    }

    /// Opens the listener and serves what comes.
    ///
    /// # Errors
    /// [`DriverError`]: an address cannot be opened.
    pub async fn open(&self, listener: ListenerSettings) -> Result<Bound, DriverError> {
        let server = self.clone();
        let shutdown = self.0.house.shutdown.clone();
        listen(listener, shutdown, move |connection| {
            let server = server.clone();
            async move { server.serve(connection).await }
        })
        .await
    }
}
