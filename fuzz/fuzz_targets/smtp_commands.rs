//! Octets of a peer, from the first one of the connection: the server's session, and the reader of replies.
//!
//! The first octet chooses the port, whether TLS is there already, and how the rest is cut; the cut must not matter.
#![no_main]

#[path = "../../crates/smtp-proto/tests/runner/mod.rs"]
mod runner;

use libfuzzer_sys::fuzz_target;
use palombe_smtp_proto::client::ReplyReader;
use palombe_smtp_proto::server::Service;
use runner::{Peer, Told};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let service = if choice & 1 == 0 { Service::Interop } else { Service::Submission };
    let ready = choice & 2 == 0;
    let cut = usize::from(choice >> 2).max(1);
    let whole = run(service, ready, bytes, bytes.len().max(1));
    // What stands behind STARTTLS in one write is an injection; in another write it is not.
    if !whole.0.contains(&Told::StartTls) && !has_starttls(bytes) {
        assert_eq!(run(service, ready, bytes, cut), whole, "cut by {cut}");
    }
    let mut replies = ReplyReader::new();
    for piece in bytes.chunks(cut) {
        replies.push(piece);
        while let Ok(Some(_)) = replies.next_reply() {}
    }
});

fn has_starttls(bytes: &[u8]) -> bool {
    bytes.windows(8).any(|window| window.eq_ignore_ascii_case(b"STARTTLS"))
}

fn run(service: Service, ready: bool, bytes: &[u8], cut: usize) -> (Vec<Told>, Vec<u8>, bool) {
    let settings = runner::settings(service);
    let mut peer = if ready { Peer::ready(settings) } else { Peer::new(settings) };
    for piece in bytes.chunks(cut) {
        peer.feed(piece);
        assert!(
            peer.closed || peer.waiting.len() < 13_000,
            "the session holds {}",
            peer.waiting.len()
        );
    }
    (peer.told, peer.output, peer.closed)
}
