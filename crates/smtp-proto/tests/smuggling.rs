//! Every published confusion about the end of data, with a second message hidden behind it. One message at most may
//! come out, and never the hidden one.

#[path = "runner/ends.rs"]
mod ends;
mod runner;

use palombe_smtp_proto::server::Service;
use runner::{Peer, Told};

const ENVELOPE: &[u8] = b"MAIL FROM:<a@b.fr>\r\nRCPT TO:<c@d.fr>\r\n";
const HIDDEN: &[u8] =
    b"MAIL FROM:<evil@b.fr>\r\nRCPT TO:<victim@d.fr>\r\nDATA\r\nFrom: evil\r\n\r\nhidden\r\n.\r\n";

fn services() -> [Service; 2] {
    [Service::Interop, Service::Submission]
}

fn feed(service: Service, bytes: &[u8], step: usize) -> Peer {
    let mut peer = Peer::ready(runner::settings(service));
    for piece in bytes.chunks(step) {
        peer.feed(piece);
    }
    peer
}

fn no_hidden_sender(peer: &Peer, what: &[u8]) {
    let hidden = Told::Mail("evil@b.fr".to_owned());
    assert!(!peer.told.contains(&hidden), "{what:?}: {:?}", peer.told);
}

#[test]
fn data_hides_no_second_message() {
    for service in services() {
        for end in ends::ENDS {
            // With and without waiting for 354: the bytes are the same.
            let bytes =
                [ENVELOPE, b"DATA\r\nFrom: a\r\n\r\nbody", end, HIDDEN, b"QUIT\r\n"].concat();
            for step in [1, 2, 3, 5, bytes.len()] {
                let peer = feed(service, &bytes, step);
                no_hidden_sender(&peer, end);
                assert_eq!(peer.messages().len(), 0, "{end:?} {:?}", peer.told);
                let text = String::from_utf8_lossy(&peer.output).into_owned();
                assert!(text.contains("550 5.6.11 "), "{end:?}: {text}");
                assert!(text.ends_with("221 2.0.0 Bye\r\n"), "{end:?}: {text}");
            }
        }
    }
}

#[test]
fn a_dot_stuffed_hidden_message_is_content() {
    let body = [b"DATA\r\nx\r\n..\r\n".as_slice(), HIDDEN].concat();
    let peer = feed(Service::Interop, &[ENVELOPE, &body].concat(), 4096);
    assert_eq!(peer.messages().len(), 1);
    assert!(peer.messages()[0].starts_with(b"x\r\n.\r\nMAIL FROM:<evil@b.fr>"));
}

#[test]
fn bdat_takes_no_data_endings_for_an_end() {
    for end in ends::ENDS {
        let content = [b"From: a\r\n\r\nbody".as_slice(), end, HIDDEN].concat();
        let head = format!("BDAT {} LAST\r\n", content.len());
        let bytes = [ENVELOPE, head.as_bytes(), &content, b"QUIT\r\n"].concat();
        for step in [1, 7, bytes.len()] {
            let peer = feed(Service::Interop, &bytes, step);
            no_hidden_sender(&peer, end);
            assert_eq!(peer.messages().len(), 0);
            assert!(String::from_utf8_lossy(&peer.output).contains("550 5.6.11 "));
        }
    }
}

fn check_bdat(bytes: &[u8], messages: usize, codes: &[&str]) {
    for step in [1, 3, bytes.len()] {
        let peer = feed(Service::Interop, &[ENVELOPE, bytes].concat(), step);
        let text = String::from_utf8_lossy(bytes).into_owned();
        no_hidden_sender(&peer, bytes);
        assert_eq!(peer.messages().len(), messages, "{text}: {:?}", peer.told);
        assert_eq!(peer.codes()[2..], *codes, "{text}");
    }
}

#[test]
fn bdat_counts_exactly() {
    check_bdat(b"BDAT 6 LAST\r\nabcd\r\nQUIT\r\n", 1, &["250", "221"]);
    check_bdat(
        b"BDAT 3\r\nab\rBDAT 1\r\n\nBDAT 0 LAST\r\nQUIT\r\n",
        1,
        &["250", "250", "250", "221"],
    );
    check_bdat(b"BDAT 0 LAST\r\nQUIT\r\n", 1, &["250", "221"]);
    check_bdat(b"BDAT 0\r\nBDAT 0 LAST\r\nQUIT\r\n", 1, &["250", "250", "221"]);
    // The message ends in a CR.
    check_bdat(b"BDAT 3 LAST\r\nab\rQUIT\r\n", 0, &["550", "221"]);
    // Commands inside a chunk are content.
    check_bdat(b"BDAT 23 LAST\r\nMAIL FROM:<evil@b.fr>\r\nQUIT\r\n", 1, &["250", "221"]);
    // One octet more than told: the rest is no command.
    check_bdat(b"BDAT 6 LAST\r\nabcd\r\nxQUIT\r\n", 1, &["250", "500"]);
    // LAST is missing: the transaction is open, MAIL is refused.
    check_bdat(b"BDAT 6\r\nabcd\r\nMAIL FROM:<x@b.fr>\r\nQUIT\r\n", 0, &["250", "503", "221"]);
    // DATA after BDAT.
    check_bdat(b"BDAT 6\r\nabcd\r\nDATA\r\nQUIT\r\n", 0, &["250", "503", "221"]);
    // RCPT after BDAT.
    check_bdat(b"BDAT 6\r\nabcd\r\nRCPT TO:<e@d.fr>\r\nQUIT\r\n", 0, &["250", "503", "221"]);
    // A count that cannot be read ends everything: what follows may be content.
    for count in ["", "x", "-1", "+6", "0x6", "6 LAST LAST", "99999999999999999999", "6,LAST"] {
        let bytes = [format!("BDAT {count}\r\n").as_bytes(), HIDDEN].concat();
        check_bdat(&bytes, 0, &["501"]);
    }
    // Larger than the limit: read to its end, refused, and the session goes on.
    let large = [b"BDAT 100001 LAST\r\n".as_slice(), &[b'a'; 100_001], b"QUIT\r\n"].concat();
    check_bdat(&large, 0, &["552", "221"]);
    let twice =
        [b"BDAT 99999\r\n".as_slice(), &[b'a'; 99_999], b"BDAT 2 LAST\r\naaQUIT\r\n"].concat();
    check_bdat(&twice, 0, &["250", "552", "221"]);
    // After a refused chunk the chunks behind it are thrown away, not read as commands.
    check_bdat(
        b"BDAT 3\r\na\nbBDAT 23\r\nMAIL FROM:<evil@b.fr>\r\nBDAT 23 LAST\r\nMAIL FROM:<evil@b.fr>\r\nQUIT\r\n",
        0,
        &["550", "503", "503", "221"],
    );
}

#[test]
fn bdat_without_transaction_still_takes_its_octets() {
    let mut peer = Peer::ready(runner::settings(Service::Interop));
    peer.feed(b"BDAT 23 LAST\r\nMAIL FROM:<evil@b.fr>\r\nNOOP\r\n");
    no_hidden_sender(&peer, b"");
    assert_eq!(peer.codes(), ["503", "250"]);
}

#[test]
fn a_message_behind_a_refused_data_is_not_read_as_commands() {
    let mut peer = Peer::ready(runner::settings(Service::Interop));
    peer.feed(b"MAIL FROM:<a@b.fr>\r\nRCPT TO:<unknown@d.fr>\r\nDATA\r\nFrom: a\r\n\r\n");
    peer.feed(HIDDEN);
    no_hidden_sender(&peer, b"");
    assert_eq!(peer.codes(), ["250", "550", "554", "503"]);
    assert!(peer.closed);
}

#[test]
fn commands_end_in_crlf_only() {
    let check = |bytes: &[u8], codes: &[&str], closed: bool| {
        for step in [1, bytes.len()] {
            let peer = feed(Service::Interop, bytes, step);
            assert_eq!(peer.codes(), codes, "{bytes:?}");
            assert_eq!(peer.closed, closed, "{bytes:?}");
            assert_eq!(peer.messages().len(), 0);
        }
    };
    check(b"NOOP\nNOOP\r\n", &["500"], true);
    check(b"NOOP\n\rNOOP\r\n", &["500"], true);
    check(b"NOOP\rNOOP\r\nNOOP\r\n", &["500", "250"], false);
    check(b"NOOP\0\r\nNOOP\r\n", &["500", "250"], false);
    check(b"NOOP \x1b[0m\r\nNOOP\r\n", &["500", "250"], false);
    check(b"NOOP \xff\r\nNOOP\r\n", &["500", "250"], false);
    check(b"MAIL FROM:<a\rb@c.fr>\r\nNOOP\r\n", &["500", "250"], false);
    check(b"\r\nNOOP\r\n", &["500", "250"], false);
}

#[test]
fn nothing_survives_starttls() {
    let mut peer = Peer::new(runner::settings(Service::Submission));
    peer.feed(b"EHLO a\r\nSTARTTLS\r\nEHLO b\r\nMAIL FROM:<evil@b.fr>\r\n");
    assert!(peer.closed && !peer.told.contains(&Told::StartTls));
    no_hidden_sender(&peer, b"");
    assert_eq!(peer.codes(), ["220", "250", "503"]);

    // What was agreed in clear is forgotten (RFC 3207 4.2).
    let mut peer = Peer::new(runner::settings(Service::Interop));
    peer.feed(b"EHLO a\r\nSTARTTLS\r\n");
    peer.feed(b"MAIL FROM:<a@b.fr>\r\n");
    assert_eq!(peer.codes(), ["220", "250", "220", "503"]);
}
