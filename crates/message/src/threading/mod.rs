//! Orders and threads of messages (RFC 5256): base subjects, collation, and the two threading algorithms.

mod collation;
mod subject;
mod tree;

pub use collation::collation_key;
pub use subject::{BaseSubject, base_subject};
pub use tree::{Threaded, Threads, message_ids};
