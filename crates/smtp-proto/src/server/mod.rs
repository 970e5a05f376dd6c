//! The server's side: a session that is fed bytes and asks its door what it may not decide itself.

mod body;
mod fault;
mod lines;
mod session;
mod settings;

pub use fault::Fault;
pub use session::{Event, PlainCredentials, Session, Step};
pub use settings::{Service, SessionSettings};
