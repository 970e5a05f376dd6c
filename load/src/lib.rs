//! load: the same client work for every server.
//!
//! Lives here: an SMTP client (mutual TLS after STARTTLS, pipelining) and an IMAP client that measure, the scenarios
//! made of them, and their statistics. `palombe-load` prints them; the tests and `script/bench` call them.
//!
//! Never enters: any crate of the server (a bug shared by both sides would not be seen), any address that is not
//! loopback, any run without an end in count and in time.

#![forbid(unsafe_code)]

pub mod imap;
pub mod imap_load;
pub mod letter;
pub mod limits;
pub mod message;
pub mod smtp;
pub mod smtp_load;
pub mod stats;
pub mod tls;
pub mod wire;
