//! Port 25, over real sockets and real mutual TLS.

mod common;

use common::{Client, interop, world, world_with};
use palombe_smtp_server::Settings;
use std::time::Duration;

const BODY: &str =
    "From: <dr.a@alpha.mssante.test>\r\nMessage-ID: <1@alpha>\r\nSubject: x\r\n\r\nBonjour\r\n";
const SENDER_OK: &str = "250 2.1.0 Sender OK";
const RECIPIENT_OK: &str = "250 2.1.5 Recipient OK";

fn message(from: &str, to: &str, body: &str) -> Vec<u8> {
    format!("MAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n{body}.\r\n").into_bytes()
}

async fn send(client: &mut Client, to: &str, body: &str) -> String {
    let bytes = message("dr.a@alpha.mssante.test", to, body);
    let replies = client.ask_all(&bytes, 4).await;
    assert_eq!(replies[..2], [SENDER_OK, RECIPIENT_OK]);
    assert!(replies[2].starts_with("354 "));
    replies[3].clone()
}

#[tokio::test]
async fn two_pipelined_messages_are_accepted() {
    let world = world(interop()).await;
    let mut client = world.tls(Some("op-alpha")).await;
    let one = message("dr.a@alpha.mssante.test", "dr.b@beta.mssante.test", BODY);
    let replies = client.ask_all(&[one.as_slice(), &one, b"QUIT\r\n"].concat(), 9).await;
    for first in [0, 4] {
        assert_eq!(replies[first..first + 2], [SENDER_OK, RECIPIENT_OK]);
        assert!(replies[first + 3].starts_with("250 2.0.0 "), "{replies:?}");
        assert!(replies[first + 3].ends_with(" accepted"), "{replies:?}");
    }
    assert_eq!(replies[8], "221 2.0.0 Bye");
    assert_eq!(client.reply().await, "closed");
    let counts = world.server.metrics().snapshot();
    assert_eq!((counts.messages, counts.recipients), (2, 2));
    assert_eq!(counts.body_bytes, 2 * BODY.len() as u64);
    assert_eq!(counts.tls_handshakes, 1);
}

#[tokio::test]
async fn chunks_and_a_large_body_are_accepted() {
    let world = world(interop()).await;
    let mut client = world.tls(Some("op-alpha")).await;
    let large = format!("{BODY}{}", "0123456789abcdef\r\n".repeat(60_000)); // 1 MB
    let envelope = "MAIL FROM:<dr.a@alpha.mssante.test> SIZE=1100000 BODY=8BITMIME\r\n\
                    RCPT TO:<dr.b@beta.mssante.test>\r\n";
    let (head, tail) = large.split_at(500_001);
    let bytes =
        format!("{envelope}BDAT {}\r\n{head}BDAT {} LAST\r\n{tail}", head.len(), tail.len());
    let replies = client.ask_all(bytes.as_bytes(), 4).await;
    assert_eq!(replies[2], "250 2.0.0 500001 octets received");
    assert!(replies[3].ends_with(" accepted"), "{replies:?}");
    let reply = send(&mut client, "dr.b@beta.mssante.test", &large).await;
    assert!(reply.ends_with(" accepted"), "{reply}");
    assert_eq!(world.server.metrics().snapshot().body_bytes, 2 * large.len() as u64);
}

#[tokio::test]
async fn nothing_happens_before_tls() {
    let world = world(interop()).await;
    let mut client = world.connect().await;
    assert!(client.ask("EHLO a").await.contains(" STARTTLS"));
    let required = "530 5.7.0 Must issue a STARTTLS command first";
    assert_eq!(client.ask("MAIL FROM:<dr.a@alpha.mssante.test>").await, required);
    assert_eq!(client.ask("RCPT TO:<dr.b@beta.mssante.test>").await, required);
    assert_eq!(client.ask("DATA").await, required);
    assert_eq!(world.refused("smtp.tls-required"), 3);
}

/// spec mssante §1.7: each audit case hears the reply of its rule, whatever it asks.
#[tokio::test]
async fn audit_certificates() {
    let world = world(interop()).await;
    let refused = |text: &str| format!("550 5.7.1 {text}");
    for (certificate, text) in [
        (Some("audit-expire"), "the certificate presented has expired"),
        (Some("audit-revoque"), "the certificate presented is revoked"),
        (
            Some("audit-non-igc"),
            "the certificate presented was not issued by IGC-Sante for operators",
        ),
        (Some("audit-production"), "a production certificate is not accepted here"),
        (
            Some("audit-personnes"),
            "the certificate presented was not issued by IGC-Sante for operators",
        ),
        (None, "a client certificate of IGC-Sante is required"),
    ] {
        let mut client = world.tls(certificate).await;
        let mail = "MAIL FROM:<x@cert-valide-audit.espacedeconfiance.mssante.test>";
        assert_eq!(client.ask(mail).await, refused(text), "{certificate:?}");
        assert_eq!(client.ask("RCPT TO:<dr.b@beta.mssante.test>").await, refused(text));
        assert_eq!(client.ask("DATA").await, refused(text));
        // The octets of a chunk are thrown away before the reply.
        let replies = client.ask_all(b"BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n", 2).await;
        assert_eq!(replies, [refused(text), "250 2.0.0 OK".to_owned()]);
        assert_eq!(client.ask("RSET").await, "250 2.0.0 OK");
        assert_eq!(client.ask("QUIT").await, "221 2.0.0 Bye");
    }
    assert_eq!(world.refused("peer.revoked"), 1);
    assert_eq!(world.refused("peer.no-certificate"), 1);
}

#[tokio::test]
async fn senders_are_held_to_their_certificate() {
    let world = world(interop()).await;
    let not_covered = "550 5.7.1 the sender domain is not covered by the certificate presented";
    for (certificate, sender, expected) in [
        ("op-alpha", "x@beta.mssante.test", not_covered),
        ("op-alpha", "x@sub.alpha.mssante.test", not_covered),
        ("op-alpha", "x@CHU-alpha.mssante.test", SENDER_OK),
        ("op-alpha", "", SENDER_OK),
        (
            "op-absent",
            "x@alpha.mssante.test",
            "550 5.7.1 the certificate presented is not in the liste blanche",
        ),
        (
            "audit-cn-diff-dn",
            "x@cert-cn-diff-dn-audit.espacedeconfiance.mssante.test",
            "550 5.7.1 the certificate presented is not in the liste blanche",
        ),
        ("op-absent", "", "550 5.7.1 the certificate presented is not in the liste blanche"),
        ("audit-no-match", "x@cert-no-match-audit.espacedeconfiance.mssante.test", not_covered),
        ("audit-valide", "x@cert-valide-audit.espacedeconfiance.mssante.test", SENDER_OK),
    ] {
        let mut client = world.tls(Some(certificate)).await;
        let reply = client.ask(&format!("MAIL FROM:<{sender}>")).await;
        assert_eq!(reply, expected, "{certificate} {sender}");
    }
    let mut client = world.tls(Some("op-alpha")).await;
    let body = BODY.replace("dr.a@alpha", "dr.b@beta");
    assert_eq!(
        send(&mut client, "dr.b@beta.mssante.test", &body).await,
        "550 5.7.1 the author domain is not covered by the certificate presented"
    );
    let none = BODY.replace("From:", "X-From:");
    assert_eq!(
        send(&mut client, "dr.b@beta.mssante.test", &none).await,
        "550 5.6.0 The message has no From field, or more than one"
    );
}

#[tokio::test]
async fn recipients() {
    let world = world(interop()).await;
    let mut client = world.tls(Some("op-alpha")).await;
    client.ask("MAIL FROM:<dr.a@alpha.mssante.test>").await;
    for (recipient, expected) in [
        ("personne@beta.mssante.test", "550 5.1.1 No such BAL"),
        ("dr.x@alpha.mssante.test", "550 5.7.1 The recipient domain is not hosted here, no relay"),
        ("x@gmail.com", "550 5.7.1 The recipient domain is not hosted here, no relay"),
        ("DR.B@beta.mssante.test", RECIPIENT_OK),
        ("Postmaster", "550 5.1.1 No postmaster without a domain here"),
    ] {
        let reply = client.ask(&format!("RCPT TO:<{recipient}>")).await;
        assert_eq!(reply, expected, "{recipient}");
    }
    client.ask("RSET").await;
    let full = send(&mut client, "plein@beta.mssante.test", BODY).await;
    assert_eq!(full, "452 4.2.2 The BAL is full, try again later");
}

#[tokio::test]
async fn limits_speak() {
    let world = world(Settings {
        message_bytes_max: 1000,
        recipients_max: 2,
        messages_per_minute: 4,
        ..interop()
    })
    .await;
    let mut client = world.tls(Some("op-alpha")).await;
    let long = format!("{BODY}{}", "x\r\n".repeat(1000));
    let large = "552 5.3.4 Message size exceeds the fixed maximum";
    assert_eq!(client.ask("MAIL FROM:<dr.a@alpha.mssante.test> SIZE=1001").await, large);
    assert_eq!(send(&mut client, "dr.b@beta.mssante.test", &long).await, large);
    assert!(send(&mut client, "dr.b@beta.mssante.test", BODY).await.ends_with(" accepted"));
    client.ask("MAIL FROM:<dr.a@alpha.mssante.test>").await;
    for expected in [RECIPIENT_OK, RECIPIENT_OK, "452 4.5.3 Too many recipients"] {
        assert_eq!(client.ask("RCPT TO:<dr.b@beta.mssante.test>").await, expected);
    }
    client.ask("RSET").await;
    client.ask("MAIL FROM:<dr.a@alpha.mssante.test>").await;
    client.ask("RSET").await;
    assert_eq!(
        client.ask("MAIL FROM:<dr.a@alpha.mssante.test>").await,
        "451 4.7.1 Too many messages for now, try again later"
    );
}

#[tokio::test]
async fn bodies_stay_within_the_budget() {
    let budget = 2 * 256 * 1024;
    let world = world(Settings { in_flight_bytes_max: budget, ..interop() }).await;
    let (mut one, mut two) = (world.tls(Some("op-alpha")).await, world.tls(Some("op-alpha")).await);
    let envelope = "MAIL FROM:<dr.a@alpha.mssante.test>\r\nRCPT TO:<dr.b@beta.mssante.test>\r\n";
    let replies = one.ask_all(format!("{envelope}DATA\r\n").as_bytes(), 3).await;
    assert!(replies[2].starts_with("354"));
    // A second body finds room for its first step, and not for the next.
    let replies = two.ask_all(format!("{envelope}DATA\r\n").as_bytes(), 3).await;
    assert!(replies[2].starts_with("354"));
    let room = "452 4.3.1 Insufficient room for now, try again later";
    let long = format!("{BODY}{}.\r\n", "0123456789\r\n".repeat(50_000));
    assert_eq!(two.ask_all(long.as_bytes(), 1).await, [room]);
    // What the second held came back; the first is not hurt.
    assert!(one.ask_all(format!("{BODY}.\r\n").as_bytes(), 1).await[0].ends_with(" accepted"));
    // Declared sizes are refused before their octets come, and MAIL when there is nothing left at all.
    let declared = envelope.replacen(">\r\n", "> SIZE=600000\r\n", 1);
    let replies = two.ask_all(format!("{declared}DATA\r\n").as_bytes(), 3).await;
    assert_eq!(replies[2], room);
}

#[tokio::test]
async fn silence_ends_in_421() {
    let world = world(Settings { command_time: Duration::from_millis(50), ..interop() }).await;
    let mut client = world.connect().await;
    assert_eq!(client.reply().await, "421 4.4.2 Timeout, closing connection");
    assert_eq!(client.reply().await, "closed");
}

#[tokio::test]
async fn a_connection_too_many_hears_421() {
    let world = world_with(interop(), 1).await;
    let _first = world.connect().await;
    let mut second = world.connect_silent().await;
    assert_eq!(second.reply().await, "421 4.3.2 Too many connections, try again later");
    assert_eq!(second.reply().await, "closed");
}

#[tokio::test]
async fn shutdown_lets_the_transaction_end() {
    let mut world = world(interop()).await;
    let mut idle = world.tls(Some("op-alpha")).await;
    let mut busy = world.tls(Some("op-alpha")).await;
    let envelope =
        "MAIL FROM:<dr.a@alpha.mssante.test>\r\nRCPT TO:<dr.b@beta.mssante.test>\r\nDATA\r\n";
    assert!(busy.ask_all(envelope.as_bytes(), 3).await[2].starts_with("354"));
    world.trigger.request();
    let bye = "421 4.3.2 Service shutting down, try again later";
    assert_eq!(idle.reply().await, bye);
    let replies = busy.ask_all(format!("{BODY}.\r\n").as_bytes(), 2).await;
    assert!(replies[0].ends_with(" accepted"), "{replies:?}");
    assert_eq!(replies[1], bye);
    world.bound.task.join().await;
    assert_eq!(world.server.metrics().snapshot().sessions_open, 0);
}

#[tokio::test]
async fn starttls_is_followed_by_nothing() {
    let world = world(interop()).await;
    let mut client = world.connect().await;
    client.ask("EHLO a").await;
    let replies = client.ask_all(b"STARTTLS\r\nMAIL FROM:<x@alpha.mssante.test>\r\n", 2).await;
    assert_eq!(replies, ["503 5.5.1 Nothing may follow STARTTLS, closing connection", "closed"]);
    assert_eq!(world.refused("smtp.starttls-injection"), 1);
}

#[tokio::test]
async fn smuggled_messages_stay_content() {
    let world = world(interop()).await;
    let hidden = "MAIL FROM:<evil@alpha.mssante.test>\r\nRCPT TO:<dr.c@beta.mssante.test>\r\n\
                  DATA\r\nhidden\r\n";
    for end in ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"] {
        let mut client = world.tls(Some("op-alpha")).await;
        let body = format!("{BODY}text{end}{hidden}");
        let reply = send(&mut client, "dr.b@beta.mssante.test", &body).await;
        assert!(reply.starts_with("550 5.6.11 "), "{end:?}: {reply}");
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 OK");
    }
    assert_eq!(world.server.metrics().snapshot().messages, 0);
}
