//! # imap-server: the door for mail clients
//!
//! *Lives here:* IMAP sessions over a [`palombe_driver::Stream`]: authentication, the selected folder's sequence
//! numbers, FETCH streamed from the store, SEARCH, APPEND into the store, IDLE.
//! *Never enters:* the wire grammar (`imap-proto`), MIME parsing (`message`), passwords' rules (`access`), and any
//! message held whole in memory.
//! *Who may call:* the binary.
//! *Serves:* RFC 9051, RFC 3501 and the extensions in `SUPPORT.md`, written from the table of `support.rs`.
//!
//! **Invariants: what a client sees of a message is its trace prefix and its bytes as received, nothing changed.
//! A sequence number means one message until an EXPUNGE was written. A slow or hostile client costs its own session
//! only: every buffer, wait and list has a limit.**

mod command;
mod error;
mod fetch;
pub mod limits;
mod metrics;
mod ordering;
mod packing;
mod place;
mod reply;
mod rows;
mod searching;
mod selected;
mod session;
mod settings;
pub mod support;
mod wire;

pub use metrics::{Metrics, MetricsSnapshot};
pub use session::{Entry, House, ImapServer};
pub use settings::{CleartextLogin, Settings, Unauthenticate};
