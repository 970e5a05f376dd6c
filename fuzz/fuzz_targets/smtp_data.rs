//! Octets after DATA or BDAT. Whatever message comes out ends where RFC 5321 4.1.1.4 says, nowhere else, and holds no
//! bare CR, no bare LF and no NUL.
#![no_main]

#[path = "../../crates/smtp-proto/tests/runner/mod.rs"]
mod runner;

use libfuzzer_sys::fuzz_target;
use palombe_smtp_proto::server::Service;
use runner::{Peer, Told};

const ENVELOPE: &[u8] = b"MAIL FROM:<a@b.fr>\r\nRCPT TO:<c@d.fr>\r\n";

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let cut = usize::from(choice >> 1).max(1);
    let start: &[u8] = if choice & 1 == 0 { b"DATA\r\n" } else { b"BDAT " };
    let stream = [ENVELOPE, start, bytes].concat();
    let told = run(&stream, stream.len());
    assert_eq!(run(&stream, cut), told, "cut by {cut}");
    for message in
        told.iter().filter_map(|told| if let Told::Message(m) = told { Some(m) } else { None })
    {
        assert!(is_clean(message), "{message:?}");
    }
    if choice & 1 == 0 {
        let first = told.iter().find(|told| !matches!(told, Told::Mail(_) | Told::Rcpt(_)));
        if let Some(Told::Message(message)) = first {
            assert_eq!(Some(message), reference(bytes).as_ref());
        }
    }
});

fn run(stream: &[u8], cut: usize) -> Vec<Told> {
    let mut peer = Peer::ready(runner::settings(Service::Interop));
    stream.chunks(cut).for_each(|piece| peer.feed(piece));
    peer.told
}

fn is_clean(message: &[u8]) -> bool {
    let mut before = 0;
    for &octet in message {
        if octet == 0 || (octet == b'\n') != (before == b'\r') {
            return false;
        }
        before = octet;
    }
    before != b'\r'
}

/// The body by the letter of RFC 5321 4.5.2: lines up to a lone dot, one leading dot removed.
fn reference(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut rest = bytes;
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")? + 2;
        let (line, after) = rest.split_at(end);
        if line == b".\r\n" {
            return Some(body);
        }
        body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        rest = after;
    }
}
