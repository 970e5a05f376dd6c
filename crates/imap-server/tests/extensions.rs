//! Extensions that lines cannot show: compression, binary messages, hostile sizes, settings.

mod common;

use common::{LOGIN, PASSWORD, settings, world};
use flate2::{Compress, Compression, FlushCompress};
use palombe_imap_server::{Settings, Unauthenticate, limits};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_session_says_the_same() {
    let world = world(settings()).await;
    let mut message = b"Subject: grand\r\n\r\n".to_vec();
    for i in 0..100_000 {
        message.extend_from_slice(format!("ligne {i}\r\n").as_bytes());
    }
    world.file("", &message, "2026-03-02T09:00:00Z");
    let mut client = world.selected().await;
    assert_eq!(client.ask("c COMPRESS DEFLATE").await, ["c OK DEFLATE active"]);
    client.start_compression();
    assert_eq!(client.ask("a NOOP").await, ["a OK Completed"]);
    let before = world.server.metrics().snapshot().bytes_written;
    assert!(client.body(1, "[]").await == message);
    let written = world.server.metrics().snapshot().bytes_written - before;
    assert!(written < message.len() as u64 / 3, "{written} octets");
    assert!(client.append("INBOX", &message).await.starts_with("u OK [APPENDUID "));
    assert!(client.body(2, "[TEXT]").await == message[18..]);
    let twice = client.ask("c COMPRESS DEFLATE").await;
    assert_eq!(twice, ["c NO [COMPRESSIONACTIVE] DEFLATE is active"]);
    // RFC 8437 4.1: it ends with the login.
    assert_eq!(client.ask("u UNAUTHENTICATE").await, ["u OK Completed"]);
    client.end_compression();
    let ok = client.ask(&format!("l LOGIN {LOGIN} {PASSWORD}")).await;
    assert!(ok[0].starts_with("l OK"), "{ok:?}");
    assert_eq!(client.ask("c COMPRESS DEFLATE").await, ["c OK DEFLATE active"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_costs_its_session_only() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    client.ask("c COMPRESS DEFLATE").await;
    let mut bomb = Vec::with_capacity(1024 * 1024);
    let command = b"a NOOP\r\n".repeat(1024);
    let mut deflate = Compress::new(Compression::best(), false);
    // Twice what is free.
    for _ in 0..(2 * limits::INFLATED_BYTES_FREE / 8192) {
        bomb.reserve(8192);
        deflate.compress_vec(&[b' '; 8192], &mut bomb, FlushCompress::None).unwrap();
    }
    bomb.reserve(16_384);
    deflate.compress_vec(&command, &mut bomb, FlushCompress::Sync).unwrap();
    // The server closes in the middle: what is left cannot be sent.
    client.try_send(&bomb).await;
    client.raw_to_end().await;
    assert_eq!(world.server.metrics().snapshot().limits_passed, 1);
    let mut other = world.selected().await;
    assert_eq!(other.ask("n NOOP").await, ["n OK Completed"]);
    // What is no DEFLATE at all.
    let mut client = world.selected().await;
    client.ask("c COMPRESS DEFLATE").await;
    client.try_send(b"\xff\xff\xff\xff a NOOP\r\n").await;
    client.start_compression();
    assert_eq!(client.line().await, "* BYE The compressed stream cannot be followed");
    assert_eq!(client.line().await, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_with_the_compress_command_is_never_read() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    client.send(b"c COMPRESS DEFLATE\r\nx LOGOUT\r\n").await;
    assert_eq!(client.line().await, "c OK DEFLATE active");
    client.start_compression();
    assert_eq!(client.ask("a NOOP").await, ["a OK Completed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binary_messages() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    client.send(b"u APPEND INBOX ~{19+}\r\nSubject: x\r\n\r\ncorps\r\n").await;
    while !client.line().await.starts_with("u OK [APPENDUID ") {}
    // RFC 3516 4.4: NUL is not stored, whichever literal brings it.
    for tilde in ["~", ""] {
        client.send(format!("u APPEND INBOX {tilde}{{20+}}\r\n").as_bytes()).await;
        client.send(b"Subject: x\r\n\r\nco\0rps\r\n").await;
        assert_eq!(client.line().await, "u NO [UNKNOWN-CTE] Messages with NUL are not stored");
    }
    // One of several spoils them all.
    client.send(b"u APPEND INBOX {19+}\r\nSubject: x\r\n\r\ncorps {1+}\r\n\0\r\n").await;
    assert_eq!(client.line().await, "u NO [UNKNOWN-CTE] Messages with NUL are not stored");
    let status = client.ask("t STATUS INBOX (MESSAGES)").await;
    assert_eq!(status[0], "* STATUS INBOX (MESSAGES 1)");
    assert!(world.store.check().unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_append_takes_so_much() {
    let world = world(Settings { message_bytes_max: 1000, ..settings() }).await;
    let mut client = world.selected().await;
    let many = |count: usize| format!("u APPEND INBOX{}\r\n", " {3+}\r\nabc".repeat(count));
    client.send(many(limits::APPEND_MESSAGES_MAX).as_bytes()).await;
    assert_eq!(client.line().await, format!("* {} EXISTS", limits::APPEND_MESSAGES_MAX));
    while !client.line().await.starts_with("u OK [APPENDUID ") {}
    client.send(many(limits::APPEND_MESSAGES_MAX + 1).as_bytes()).await;
    let refused = "u NO [LIMIT] Too many messages in one command";
    assert_eq!(client.line().await, refused);
    // Each message fits, all of them do not.
    let large = format!(" {{900+}}\r\n{}", "x".repeat(900)).repeat(3);
    client.send(format!("u APPEND INBOX{large}\r\n").as_bytes()).await;
    assert_eq!(client.line().await, refused);
    let status = client.ask("t STATUS INBOX (MESSAGES)").await;
    assert_eq!(status[0], format!("* STATUS INBOX (MESSAGES {})", limits::APPEND_MESSAGES_MAX));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_counts_what_it_frees() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    assert!(client.append("INBOX", &[b'x'; 900]).await.starts_with("u OK"));
    world.store.bal_set_quota(world.bal, 1000).unwrap();
    assert!(client.append("INBOX", &[b'x'; 900]).await.starts_with("u NO [OVERQUOTA]"));
    client.ask("n NOOP").await;
    client.send(format!("r REPLACE 1 INBOX {{950+}}\r\n{}\r\n", "y".repeat(950)).as_bytes()).await;
    assert!(client.line().await.starts_with("* OK [APPENDUID "));
    while client.line().await != "r OK Completed" {}
    assert!(client.body(1, "[]").await == [b'y'; 950]);
    client.send(b"r REPLACE 1 INBOX {1001}\r\n").await;
    assert!(client.line().await.starts_with("r NO [OVERQUOTA]"));
    assert!(world.store.check().unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unauthenticate_must_be_allowed() {
    let refused = Settings { unauthenticate: Unauthenticate::Refused, ..settings() };
    let world = world(refused).await;
    let mut client = world.connect().await;
    client.line().await;
    let ok = client.ask(&format!("l LOGIN {LOGIN} {PASSWORD}")).await;
    assert!(!ok[0].contains("UNAUTHENTICATE"), "{ok:?}");
    assert_eq!(client.ask("u UNAUTHENTICATE").await, ["u BAD unknown command"]);
    assert_eq!(client.ask("n NOOP").await, ["n OK Completed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_logins_count_on_after_unauthenticate() {
    let world = world(Settings { login_failures_max: 3, ..settings() }).await;
    let mut client = world.connect().await;
    client.line().await;
    for _ in 0..2 {
        assert!(client.ask(&format!("l LOGIN {LOGIN} faux")).await[0].starts_with("l NO"));
        assert!(client.ask(&format!("l LOGIN {LOGIN} {PASSWORD}")).await[0].starts_with("l OK"));
        assert_eq!(client.ask("u UNAUTHENTICATE").await, ["u OK Completed"]);
    }
    let last = client.ask(&format!("l LOGIN {LOGIN} faux")).await;
    assert_eq!(last, ["* BYE Too many failed logins", "closed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_orders_and_samples_are_bounded() {
    let world = world(settings()).await;
    world.file("", b"Subject: x\r\n\r\n", "2026-03-02T09:00:00Z");
    let mut client = world.selected().await;
    let criteria = vec!["SUBJECT"; 17].join(" ");
    let refused = client.ask(&format!("a SORT ({criteria}) UTF-8 ALL")).await;
    assert_eq!(refused, ["a BAD too many sort criteria"]);
    client.ask("e ENABLE QRESYNC").await;
    // Four thousand million numbers in the sample and in the set: as many steps as there are messages.
    let line = "a SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:4294967295 1:4294967295)))";
    assert!(client.ask(line).await.last().unwrap().starts_with("a OK [READ-WRITE]"));
    let line = "a UID FETCH 1:4294967295 (UID) (CHANGEDSINCE 1 VANISHED PARTIAL -1:-4294967295)";
    assert_eq!(client.ask(line).await.last().unwrap(), "a OK Completed");
    // References by the thousand, subjects of brackets, a chain of messages that answer each other in a ring.
    let references: String = (0..2000).map(|i| format!(" <{i}@x>\r\n")).collect();
    for i in 0..20 {
        let message = format!(
            "Message-ID: <{i}@x>\r\nReferences:{references} <{}@x>\r\nSubject: {}\r\n\r\n",
            (i + 1) % 20,
            "[".repeat(60_000)
        );
        world.file("", message.as_bytes(), "2026-03-02T09:00:00Z");
    }
    let thread = client.ask("t UID THREAD REFERENCES UTF-8 ALL").await;
    assert!(thread.iter().any(|line| line.starts_with("* THREAD (")), "{thread:?}");
    let sorted = client.ask("t UID SORT (SUBJECT DISPLAYFROM) UTF-8 ALL").await;
    assert!(sorted[0].starts_with("* SORT 1 2 3"), "{sorted:?}");
}
