//! # indexing: the worker that makes the search index
//!
//! *Lives here:* what is indexed of a message ([`terms`]), the order of the work ([`Indexer`]), and the task that does
//! it beside everything else ([`start`]).
//! *Never enters:* the form of the index (`store`), decoding (`message`), searching (`imap-server`).
//! *Who may call:* the binary. *Serves:* RFC 9051 6.4.4.
//!
//! **Invariants: whatever a search compares with is indexed, or the document is marked as not wholly indexed; no
//! message, however broken, stops the others; acceptance never waits for this room.**

mod document;
pub mod limits;
mod task;
mod worker;

pub use document::terms;
pub use task::start;
pub use worker::{Indexer, Progress};
