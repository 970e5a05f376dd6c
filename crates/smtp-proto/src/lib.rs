//! # smtp-proto: SMTP grammar, replies, server and client sessions
//!
//! *Lives here:* the byte-exact reading of SMTP: lines, commands, DATA and BDAT bodies, replies, and the order in
//! which RFC 5321 allows them. [`server::Session`] is one side; [`client`] holds the sender's.
//! *Never enters:* sockets, clocks, house rules (who may send, where a recipient is), reply texts of the house.
//! *Who may call:* `smtp-server`, `smtp-sender`, tests, fuzz targets.
//! *Serves:* RFC 5321, 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 6710.
//!
//! The grammar is our own and not the published `smtp-proto` crate: that one lets bare LF and CR through, drops
//! bytes inside addresses and answers what RFC 3461 parameters hold only in part; what remained to take from it was
//! smaller than the framing that it needed in front.
//!
//! **Invariants: a line ends at CRLF and nowhere else; DATA ends at CRLF.CRLF and nowhere else; a body that holds a
//! bare CR, a bare LF or a NUL is read to its true end and refused; no byte is ever read twice in two meanings.**

pub mod client;
mod command;
mod limits;
mod params;
mod reply;
pub mod server;
mod xtext;

pub use command::{ForwardPath, MailFrom, RcptTo, Verb};
pub use limits::*;
pub use params::{Notify, Ret};
pub use reply::{EnhancedCode, Reply};
pub use xtext::{xtext_decode, xtext_encode};
