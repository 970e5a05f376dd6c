//! # delivery: what happens to a message
//!
//! *Lives here:* the one way in ([`Delivery::accept`]), routing, retry calendar, delivery reports, loop protection,
//! and what the journal says of them.
//! *Never enters:* sockets, async, SMTP grammar, reply texts.
//! *Who may call:* doors (accept), `smtp-sender` (due, claim, read, outcome).
//! *Serves:* RFC 5321, RFC 3461–3464, RFC 6522, spec mssante §1.5, §1.8.
//!
//! **Invariants: only `accept` moves a message from S1 to S2, in one synced batch; no other code may lead to a
//! `250`. A message is never rewritten: what is prepended is kept beside it.** A report is filed or queued in the
//! same batch as the change it reports.

mod accept;
mod error;
mod journal;
mod outcome;
mod report;
mod settings;

pub use accept::{
    Accepted, BodySpool, Door, Envelope, EnvelopeRecipient, Handover, Origin, ReceivedBody,
    Recipient, Trace,
};
pub use error::DeliveryError;
pub use journal::RefusalRecord;
pub use outcome::{Attempt, Outgoing, RecipientResult, RemoteReply};
// Doors and workers speak of these without seeing the store.
pub use palombe_message::Limits;
pub use palombe_store::{DueEntry, Notify, Ret};
pub use settings::{DeliverySettings, RetryCalendar};

use palombe_store::Store;
use palombe_trust::TrustState;
use std::sync::Arc;

/// The house rules of a message. Clones share everything.
#[derive(Clone)]
pub struct Delivery {
    store: Store,
    trust: TrustState,
    settings: Arc<DeliverySettings>,
}

impl Delivery {
    /// Joins the store, the trust space and the operator's settings.
    pub fn new(store: Store, trust: TrustState, settings: DeliverySettings) -> Self {
        Delivery { store, trust, settings: Arc::new(settings) }
    }

    /// The operator's settings.
    pub fn settings(&self) -> &DeliverySettings {
        &self.settings
    }
}
