//! TLS on both ports, injection, large messages byte for byte, slow and hostile clients.

mod common;

use common::{LOGIN, PASSWORD, settings, world};
use palombe_imap_server::{CleartextLogin, Settings};
use std::time::Duration;

fn strict() -> Settings {
    Settings { cleartext_login: CleartextLogin::Refused, ..settings() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_only_under_tls() {
    let world = world(strict()).await;
    let mut client = world.connect().await;
    let greeting = client.line().await;
    assert!(greeting.contains("STARTTLS LOGINDISABLED"), "{greeting}");
    assert!(!greeting.contains("AUTH="), "{greeting}");
    let refused = client.ask(&format!("a LOGIN {LOGIN} {PASSWORD}")).await;
    assert_eq!(refused, ["a NO [PRIVACYREQUIRED] Use STARTTLS first"]);
    assert_eq!(client.ask("a STARTTLS").await, ["a OK Begin TLS negotiation now"]);
    client.start_tls(&world).await;
    let capability = client.ask("a CAPABILITY").await;
    assert!(capability[0].ends_with("ID APPENDLIMIT=37748736 AUTH=PLAIN"), "{capability:?}");
    assert_eq!(client.ask("a STARTTLS").await, ["a BAD TLS is already in use"]);
    let ok = client.ask(&format!("a LOGIN {LOGIN} {PASSWORD}")).await;
    assert!(ok[0].starts_with("a OK"), "{ok:?}");

    let mut client = world.connect_tls().await;
    assert!(client.line().await.contains("AUTH=PLAIN"));
    let ok = client.ask(&format!("a LOGIN {LOGIN} {PASSWORD}")).await;
    assert!(ok[0].starts_with("a OK"), "{ok:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_said_before_starttls_counts_after_it() {
    let world = world(strict()).await;
    let mut client = world.connect().await;
    client.line().await;
    client.send(b"a STARTTLS\r\nb NOOP\r\n").await;
    assert_eq!(client.line().await, "a OK Begin TLS negotiation now");
    client.start_tls(&world).await;
    // The injected NOOP is not answered: the first answer is to what came under TLS.
    assert_eq!(client.ask("c NOOP").await, ["c OK Completed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_comes_back_byte_for_byte() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    let mut message = b"Subject: grand\r\nContent-Type: application/octet-stream\r\n\r\n".to_vec();
    let mut state = 1u32;
    while message.len() < 20 * 1024 * 1024 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        message.extend_from_slice(format!("{state:08x}{:08x}\r\n", !state).as_bytes());
    }
    let done = client.append("INBOX", &message).await;
    assert!(done.starts_with("u OK [APPENDUID "), "{done}");
    let body = client.body(1, "[]").await;
    assert!(body == message, "the message came back changed");
    let text = client.body(1, "[TEXT]").await;
    assert!(text == message[58..], "TEXT differs");
    let part = client.body(1, "[]<700000.300000>").await;
    assert!(part == message[700_000..1_000_000], "the partial differs");
    // Filed with a prefix by delivery: the prefix comes first.
    world.file("Return-Path: <>\r\n", &message, "2026-03-02T09:00:00Z");
    client.ask("n NOOP").await;
    let body = client.body(2, "[]").await;
    assert!(body[..17] == *b"Return-Path: <>\r\n" && body[17..] == message[..]);
    assert!(client.body(2, "[TEXT]").await == message[58..]);
    assert!(world.store.check().unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_larger_than_said_is_never_taken() {
    let world = world(Settings { message_bytes_max: 1000, ..settings() }).await;
    let mut client = world.selected().await;
    assert_eq!(
        client.append("INBOX", &[b'x'; 1001]).await,
        "u NO [TOOBIG] The message is too large"
    );
    assert!(client.append("INBOX", &[b'x'; 1000]).await.starts_with("u OK"));
    // The connection goes away in the middle: nothing is there.
    let mut other = world.selected().await;
    other.send(b"u APPEND INBOX {900+}\r\nSubject: half").await;
    drop(other);
    let status = client.ask("t STATUS INBOX (MESSAGES)").await;
    assert_eq!(status[0], "* STATUS INBOX (MESSAGES 1)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_nothing_is_dropped() {
    let login_timeout = Duration::from_millis(200);
    let world = world(Settings { login_timeout, ..settings() }).await;
    let mut client = world.connect().await;
    client.line().await;
    client.send(b"a NOOP").await;
    assert_eq!(client.line().await, "* BYE Autologout; idle for too long");
    assert_eq!(client.line().await, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_costs_its_own_session() {
    let stall_timeout = Duration::from_millis(300);
    let world = world(Settings { stall_timeout, ..settings() }).await;
    let message = vec![b'x'; 8 * 1024 * 1024];
    world.file("", &message, "2026-03-02T09:00:00Z");
    let mut greedy = world.selected().await;
    for _ in 0..16 {
        greedy.send(b"f FETCH 1 BODY.PEEK[]\r\n").await;
    }
    // Others are served meanwhile.
    let mut other = world.selected().await;
    assert_eq!(other.ask("n NOOP").await, ["n OK Completed"]);
    while world.server.metrics().snapshot().stalls == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.ask("n NOOP").await, ["n OK Completed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_end_their_own_session() {
    let world = world(settings()).await;
    let mut client = world.connect().await;
    client.line().await;
    client.send(&vec![b'x'; 100_000]).await;
    assert_eq!(client.line().await, "* BAD too much input");
    assert_eq!(client.line().await, "* BYE Too much input");
    let mut client = world.selected().await;
    let sets = vec!["1:*"; 9000].join(",");
    let refused = client.ask(&format!("a FETCH {sets} FLAGS")).await;
    assert_eq!(refused, ["a BAD too many ranges"]);
    let nested = "(".repeat(1000);
    let refused = client.ask(&format!("a SEARCH {nested}")).await;
    assert_eq!(refused, ["a BAD nested too deep"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_commands_are_answered_in_order() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    let commands: String = (0..500).map(|i| format!("t{i} NOOP\r\n")).collect();
    client.send(commands.as_bytes()).await;
    for i in 0..500 {
        assert_eq!(client.line().await, format!("t{i} OK Completed"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_server_is_said() {
    let world = world(settings()).await;
    let mut client = world.selected().await;
    client.send(b"i IDLE\r\n").await;
    assert_eq!(client.line().await, "+ idling");
    world.trigger.request();
    assert_eq!(client.line().await, "* BYE [UNAVAILABLE] Server shutting down");
    assert_eq!(client.line().await, "closed");
}
