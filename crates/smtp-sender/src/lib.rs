//! # smtp-sender: the outgoing queue to other operators
//!
//! *Lives here:* the order of sending ([`Scheduler`]), MX, connections to peers and their reuse, the client's side
//! of SMTP, and what a peer's answer means.
//! *Never enters:* the store; the retry calendar, reports and expiry (`delivery`); who may receive what (`trust`).
//! *Who may call:* the binary. *Serves:* RFC 5321 §4.5.4, §5.1, RFC 7505, 3207, 2920, 3030, 3461, 6152, 6531, 6710;
//! spec mssante §1.5, §1.6.
//!
//! **Invariants: not a byte of a message goes to a peer that `trust` has not permitted for its destination, by the
//! list of that moment. A message is sent to its end or its connection is dropped before it. No entry is tried twice
//! at once. What is not known for sure is deferred: a message twice, never a message lost.**

mod attempt;
mod convert;
pub mod limits;
mod link;
mod memory;
mod metrics;
mod reply;
mod route;
mod scheduler;
mod seam;
mod settings;
mod transaction;
mod worker;

pub use metrics::SenderMetrics;
pub use route::{Host, RouteError, Router};
pub use scheduler::{Candidate, Running, Scheduler, Site};
pub use seam::{Job, JobRecipient, Queue, Space};
pub use settings::{
    Concurrency, SenderSettings, StaticRoute, Timeouts, UnknownDomain, UntrustedPeer,
};
pub use worker::{Sender, SenderParts};
