//! tests: what stands around the house to try it.
//!
//! Lives here: the harness. It starts real servers on loopback addresses of their own (Palombe, Postfix, Dovecot, a
//! name server), each in a folder of its own, waits until they answer, drives real clients against them, and ends
//! only what it started. `tests/tests/` holds the tests, `tests/src/bin/` the benchmark.
//!
//! Never enters: code that the product runs; a wait without a deadline; an address that is not loopback.
//! A test whose tools are missing prints `SKIP: reason` and returns.

#![forbid(unsafe_code)]

pub mod acknowledged;
pub mod clients;
pub mod dns;
pub mod dovecot;
pub mod imap;
pub mod inbox;
pub mod mail;
pub mod marionette;
pub mod palombe;
pub mod peer;
pub mod pki;
pub mod postfix;
pub mod process;
pub mod repo;
pub mod site;
pub mod thunderbird;
pub mod view;
pub mod wait;

/// Prints the agreed line and leaves the test: `skip_unless!(postfix::missing())`, where the argument is an
/// `Option<String>` that holds what is missing.
#[macro_export]
macro_rules! skip_if_missing {
    ($missing:expr) => {
        if let Some(reason) = $missing {
            println!("SKIP: {reason}");
            return Ok(());
        }
    };
}
