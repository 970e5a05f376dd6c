//! # web-api: door for HTTP
//!
//! *Lives here:* the administration interface on a Unix socket (JSON) and the metrics page. Later: JMAP, sign-in,
//! the web client's files.
//! *Never enters:* SMTP or IMAP, database rows as such, message bodies.
//! *Who may call:* the binary; the CLI speaks to the socket.
//! *Serves:* the operator's engineers; Prometheus text format 0.0.4.
//!
//! **Invariant: the administration interface listens on a Unix socket of mode 0600 only; the metrics page holds
//! counts, never an address.**

mod admin;
mod limits;
mod metrics;
mod reply;
mod views;

pub use admin::{Admin, Notes, bind_admin, serve_admin};
pub use metrics::serve_metrics;
pub use views::check_view;
