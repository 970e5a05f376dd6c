//! Faults of a peer that a real one cannot be made to show, and the ordinary course beside them.

mod support;

use palombe_smtp_proto::{Notify, Ret};
use palombe_smtp_sender::UntrustedPeer;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::peer::{Fault, Message, Peer, Script, Step};
use support::{Event, House, job, settings, tls, told};
use tokio::sync::Semaphore;

const BODY: &[u8] = b"Received: x\r\nSubject: essai\r\n\r\n.\r\n..\r\nfin\r\n";

fn all() -> Vec<&'static str> {
    vec!["PIPELINING", "SIZE 100000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "MT-PRIORITY"]
}

fn with_fault(step: Step, fault: Fault) -> Script {
    Script { offer: all(), faults: HashMap::from([(step, fault)]), ..Script::default() }
}

async fn start(script: Script) -> (Peer, House) {
    let (server, client) = tls();
    let peer = Peer::start(server, script).await;
    let house = House::new(settings(peer.at), client);
    (peer, house)
}

/// One message to one recipient; what became of it, and what the peer has.
async fn check(script: Script, expected: &str) -> Peer {
    let (peer, mut house) = start(script).await;
    assert_eq!(house.try_one(job(1, &["a@x.test"], BODY), BODY).await, [expected]);
    peer
}

#[tokio::test]
async fn messages_share_a_connection_and_keep_their_octets() {
    for offer in [all(), vec![], vec!["PIPELINING"], vec!["8BITMIME", "CHUNKING"]] {
        let (peer, mut house) = start(Script { offer, ..Script::default() }).await;
        for id in 1..=3 {
            let result = house.try_one(job(id, &["a@x.test", "b@x.test"], BODY), BODY).await;
            assert_eq!(result, ["delivered 250 2.0.0 taken"; 2]);
        }
        let seen = peer.seen();
        assert_eq!((seen.connections, seen.messages.len()), (1, 3));
        for message in &seen.messages {
            assert_eq!(message.body, BODY);
            assert_eq!(message.rcpt.len(), 2);
        }
        assert_eq!(seen.plain, ["EHLO sender.test", "STARTTLS"]);
        assert_eq!(seen.secret[0], "EHLO sender.test");
    }
}

#[tokio::test]
async fn a_large_message_leaves_by_bdat_where_offered() {
    let body: Vec<u8> = b".line\r\n".iter().copied().cycle().take(7 * 200_000).collect();
    for (offer, bdat) in [(all(), true), (vec!["PIPELINING"], false)] {
        let (peer, mut house) = start(Script { offer, ..Script::default() }).await;
        let result = house.try_one(job(1, &["a@x.test"], &body), &body).await;
        assert_eq!(result, ["delivered 250 2.0.0 taken"]);
        let seen = peer.seen();
        assert_eq!(seen.messages[0].bdat, bdat);
        assert!(seen.messages[0].body == body);
    }
}

#[tokio::test]
async fn parameters_are_passed_where_offered() {
    let (peer, mut house) = start(Script { offer: all(), ..Script::default() }).await;
    let mut sent = job(1, &["a@x.test"], BODY);
    sent.priority = 4;
    sent.ret = Some(Ret::Hdrs);
    sent.envid = Some("QQ314".to_owned());
    sent.eight_bit = true;
    sent.recipients[0].notify = Notify::On { success: true, failure: true, delay: false };
    sent.recipients[0].orcpt = Some("rfc822;b@x.test".to_owned());
    house.try_one(sent, BODY).await;
    let message = peer.seen().messages[0].clone();
    assert_eq!(
        message.mail,
        format!(
            "MAIL FROM:<dr@a.test> SIZE={} BODY=8BITMIME RET=HDRS ENVID=QQ314 MT-PRIORITY=4",
            BODY.len()
        )
    );
    assert_eq!(message.rcpt, ["RCPT TO:<a@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@x.test"]);
}

#[tokio::test]
async fn each_recipient_has_its_own_answer() {
    let rcpt = HashMap::from([
        ("gone@x.test", "550 5.1.1 no such BAL"),
        ("busy@x.test", "450 4.2.1 later"),
        ("many@x.test", "552 too many recipients"),
    ]);
    for offer in [all(), vec![]] {
        let script = Script { offer, rcpt: rcpt.clone(), ..Script::default() };
        let (peer, mut house) = start(script).await;
        let all = ["gone@x.test", "ok@x.test", "busy@x.test", "many@x.test"];
        assert_eq!(
            house.try_one(job(1, &all, BODY), BODY).await,
            [
                "failed 550 5.1.1 no such BAL",
                "delivered 250 2.0.0 taken",
                "deferred 450 4.2.1 later",
                "deferred 552 - too many recipients"
            ]
        );
        // Nobody left: no message, and the connection serves the next.
        let none = house.try_one(job(2, &["gone@x.test"], BODY), BODY).await;
        assert_eq!(none, ["failed 550 5.1.1 no such BAL"]);
        house.try_one(job(3, &["ok@x.test"], BODY), BODY).await;
        let seen = peer.seen();
        assert_eq!((seen.connections, seen.messages.len()), (1, 2));
    }
}

#[tokio::test]
async fn many_recipients_pass_in_windows() {
    let addresses: Vec<String> = (0..333).map(|n| format!("r{n}@x.test")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let (peer, mut house) = start(Script { offer: all(), ..Script::default() }).await;
    let results = house.try_one(job(1, &addresses, BODY), BODY).await;
    assert!(results.len() == 333 && results.iter().all(|r| r.starts_with("delivered")));
    assert_eq!(peer.seen().messages[0].rcpt.len(), 333);
}

#[tokio::test]
async fn a_go_ahead_without_recipients_gets_an_empty_message() {
    let mut script = with_fault(Step::Data, Fault::Say("354 go\r\n".to_owned()));
    script.rcpt = HashMap::from([("gone@x.test", "550 5.1.1 no such BAL")]);
    let (peer, mut house) = start(script).await;
    let result = house.try_one(job(1, &["gone@x.test"], BODY), BODY).await;
    assert_eq!(result, ["failed 550 5.1.1 no such BAL"]);
    let seen = peer.seen();
    assert_eq!(seen.messages, [Message { body: Vec::new(), ..seen.messages[0].clone() }]);
}

#[tokio::test]
async fn a_peer_that_drops_defers_at_every_step() {
    use Step::*;
    for step in [Greeting, PlainHello, Hello, Mail, Rcpt, Data, Body, End] {
        let (peer, mut house) = start(with_fault(step, Fault::Drop)).await;
        let result = house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
        assert!(result[0].starts_with("deferred 0 4.4.2"), "{step:?}: {result:?}");
        // Whether the message arrived is unknown only after its end.
        assert_eq!(peer.seen().messages.len(), usize::from(step == End), "{step:?}");
        assert_eq!(peer.seen().connections, 1, "{step:?}");
    }
    check(with_fault(Starttls, Fault::Drop), CLOSED).await;
}

const CLOSED: &str = "deferred 0 4.4.2 the recipient's operator closed the connection";

#[tokio::test]
async fn a_421_defers_at_every_step_in_the_peers_words() {
    use Step::*;
    for step in [Greeting, PlainHello, Hello, Mail, Rcpt, Data, Body, End] {
        let fault = Fault::SayAndDrop("421 4.3.2 closing\r\n".to_owned());
        let (_peer, mut house) = start(with_fault(step, fault)).await;
        let result = house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
        assert_eq!(result, ["deferred 421 4.3.2 closing"], "{step:?}");
    }
}

#[tokio::test]
async fn refusals_of_the_connection_defer_and_refusals_of_the_message_fail() {
    use Step::*;
    let no = || Fault::Say("554 5.7.1 no\r\n".to_owned());
    for (step, expected) in [
        (Greeting, "deferred 554 5.7.1 no"),
        (Hello, "deferred 554 5.7.1 no"),
        (Mail, "failed 554 5.7.1 no"),
        (Rcpt, "failed 554 5.7.1 no"),
        (Data, "failed 554 5.7.1 no"),
        (End, "failed 554 5.7.1 no"),
    ] {
        check(with_fault(step, no()), expected).await;
    }
}

#[tokio::test]
async fn a_silent_peer_is_left_at_every_step() {
    use Step::*;
    let (server, client) = tls();
    for step in [Greeting, PlainHello, Starttls, Hello, Mail, Rcpt, Data, End] {
        let peer = Peer::start(server.clone(), with_fault(step, Fault::Silence)).await;
        let mut settings = settings(peer.at);
        let short = Duration::from_millis(30);
        let waits = &mut settings.timeouts;
        (waits.greeting, waits.hello, waits.mail) = (short * 10, short * 10, short);
        (waits.rcpt, waits.data, waits.end_of_data) = (short, short, short);
        let mut house = House::new(settings, client.clone());
        let result = house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
        assert!(result[0].starts_with("deferred 0 4.4.2 no answer"), "{step:?}: {result:?}");
    }
}

#[tokio::test]
async fn what_is_not_smtp_is_left() {
    for garbage in [
        "250 ".to_owned() + &"x".repeat(1_000_000),
        "250-x\r\n".repeat(10_000),
        "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned(),
        "250-a\r\n550 b\r\n".to_owned(),
    ] {
        for step in [Step::Greeting, Step::Hello, Step::Rcpt, Step::End] {
            let (_peer, mut house) = start(with_fault(step, Fault::Say(garbage.clone()))).await;
            let result = house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
            assert!(result[0].starts_with("deferred 0 4.5.0"), "{step:?}: {result:?}");
        }
    }
}

#[tokio::test]
async fn plaintext_behind_the_starttls_reply_ends_it() {
    let injected = "220 go\r\n250-mx.test\r\n250 DSN\r\n".to_owned();
    let peer = check(
        with_fault(Step::Starttls, Fault::Say(injected)),
        "deferred 0 4.7.5 peer.no-starttls: the recipient's operator sent plaintext after its reply to STARTTLS",
    )
    .await;
    assert!(peer.seen().secret.is_empty());
}

#[tokio::test]
async fn without_starttls_nothing_is_said() {
    let script = Script { no_starttls: true, ..Script::default() };
    let text = "peer.no-starttls: the recipient's operator does not offer STARTTLS";
    let peer = check(script.clone(), &format!("deferred 0 4.7.4 {text}")).await;
    assert_eq!(peer.seen().plain, ["EHLO sender.test"]);

    let (server, client) = tls();
    let peer = Peer::start(server, script).await;
    let mut settings = settings(peer.at);
    settings.untrusted_peer = UntrustedPeer::Bounce;
    let mut house = House::new(settings, client);
    let result = house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
    assert_eq!(result, [format!("failed 0 5.7.4 {text}")]);
}

#[tokio::test]
async fn an_unproven_peer_gets_no_byte_after_the_handshake() {
    for (policy, class) in
        [(UntrustedPeer::Defer, "deferred 0 4"), (UntrustedPeer::Bounce, "failed 0 5")]
    {
        let (server, client) = tls();
        let peer = Peer::start(server, Script { offer: all(), ..Script::default() }).await;
        let mut settings = settings(peer.at);
        settings.untrusted_peer = policy;
        let mut house = House::new(settings, client);
        house.space.distrust.store(true, Ordering::SeqCst);
        house.send(job(1, &["a@x.test"], BODY), BODY);
        let (_, attempt) = house.settled().await;
        let result = told(&attempt.results[0]);
        assert!(result.starts_with(&format!("{class}.7.1 peer.not-in-list: ")), "{result}");
        assert_eq!(attempt.rule.as_deref(), Some("peer.not-in-list"));
        assert!(attempt.evidence.is_some());
        assert!(peer.seen().secret.is_empty());
    }
}

#[tokio::test]
async fn a_list_that_changes_between_two_messages_holds_the_second_back() {
    let (peer, mut house) = start(Script { offer: all(), ..Script::default() }).await;
    house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
    house.space.forbid.store(true, Ordering::SeqCst);
    let result = house.try_one(job(2, &["a@x.test"], BODY), BODY).await;
    assert!(result[0].starts_with("deferred 0 4.7.1 destination.dn-mismatch: "), "{result:?}");
    assert_eq!(peer.seen().messages.len(), 1);
}

#[tokio::test]
async fn what_the_peer_does_not_offer_is_told_at_once() {
    let (peer, mut house) = start(Script { offer: vec!["SIZE 10"], ..Script::default() }).await;
    let result = house.try_one(job(1, &["a@x.test"], BODY), BODY).await;
    assert!(result[0].starts_with("failed 0 5.3.4"), "{result:?}");
    assert!(peer.seen().messages.is_empty());

    let (peer, mut house) = start(Script::default()).await;
    let mut eight = job(1, &["a@x.test"], BODY);
    eight.eight_bit = true;
    assert!(house.try_one(eight, BODY).await[0].starts_with("failed 0 5.6.3"));
    let mut utf8 = job(2, &["a@x.test"], BODY);
    utf8.smtputf8 = true;
    assert!(house.try_one(utf8, BODY).await[0].starts_with("failed 0 5.6.7"));
    assert!(peer.seen().messages.is_empty());
    assert_eq!(peer.seen().connections, 1);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_never_ended() {
    let body = vec![b'x'; 1_000_000];
    for offer in [all(), vec![]] {
        let (server, client) = tls();
        let peer = Peer::start(server, Script { offer, ..Script::default() }).await;
        let mut house = House::with(settings(peer.at), client, |queue| queue.readable = 500_000);
        let result = house.try_one(job(1, &["a@x.test"], &body), &body).await;
        assert_eq!(result, ["deferred 0 4.3.0 the message could not be read"]);
        assert!(peer.seen().messages.is_empty());
    }
}

#[tokio::test]
async fn a_connection_that_died_idle_costs_nothing() {
    let script = Script { offer: all(), one_message: true, ..Script::default() };
    let (peer, mut house) = start(script).await;
    for id in 1..=3 {
        let result = house.try_one(job(id, &["a@x.test"], BODY), BODY).await;
        assert_eq!(result, ["delivered 250 2.0.0 taken"]);
    }
    assert_eq!(peer.seen().connections, 3);
}

#[tokio::test]
async fn connections_are_left_after_their_share_of_messages() {
    let (server, client) = tls();
    let peer = Peer::start(server, Script { offer: all(), ..Script::default() }).await;
    let mut settings = settings(peer.at);
    settings.messages_per_connection_max = 2;
    let mut house = House::new(settings, client);
    for id in 1..=6 {
        house.try_one(job(id, &["a@x.test"], BODY), BODY).await;
    }
    assert_eq!(peer.seen().connections, 3);
}

#[tokio::test]
async fn an_urgent_message_passes_a_bulk_run() {
    let gate = Arc::new(Semaphore::new(0));
    let script = Script { offer: all(), gate: Some(gate.clone()), ..Script::default() };
    let (peer, mut house) = start(script).await;
    for id in 1..=50 {
        house.queue.put(job(id, &["bulk@x.test"], BODY), BODY, "a.test");
    }
    house.bus.wake_queue();
    // Three ordinary places are taken and stuck; the fourth is kept.
    while peer.seen().connections < 3 {
        tokio::task::yield_now().await;
    }
    let mut urgent = job(100, &["urgent@x.test"], BODY);
    urgent.priority = 1;
    house.send(urgent, BODY);
    while peer.seen().connections < 4 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1000);
    let mut order = Vec::new();
    for _ in 0..51 {
        order.push(house.settled().await.0.0);
    }
    let at = order.iter().position(|id| *id == 100).unwrap();
    assert!(at < 8, "{order:?}");
    assert_eq!(peer.seen().connections, 4);
}

#[tokio::test]
async fn while_a_destination_is_down_only_urgent_messages_try() {
    let (server, client) = tls();
    let fault = Fault::SayAndDrop("421 4.3.2 closed\r\n".to_owned());
    let peer = Peer::start(server, with_fault(Step::Greeting, fault)).await;
    let mut settings = settings(peer.at);
    settings.down = Duration::from_secs(3600);
    let mut house = House::new(settings, client);
    for id in 1..=5 {
        let result = house.try_one(job(id, &["a@x.test"], BODY), BODY).await;
        assert_eq!(result, ["deferred 421 4.3.2 closed"]);
    }
    assert_eq!(peer.seen().connections, 1);
    let mut urgent = job(9, &["a@x.test"], BODY);
    urgent.priority = 1;
    house.try_one(urgent, BODY).await;
    assert_eq!(peer.seen().connections, 2);
}

#[tokio::test]
async fn shutdown_lets_a_message_end_and_starts_no_other() {
    let gate = Arc::new(Semaphore::new(0));
    let script = Script { offer: all(), gate: Some(gate.clone()), ..Script::default() };
    let (peer, mut house) = start(script).await;
    house.send(job(1, &["a@x.test"], BODY), BODY);
    while !peer.seen().secret.iter().any(|line| line == "DATA") {
        tokio::task::yield_now().await;
    }
    house.trigger.request();
    house.send(job(2, &["a@x.test"], BODY), BODY);
    gate.add_permits(10);
    assert_eq!(house.settled().await.0.0, 1);
    assert_eq!(house.sender.task.join().await, Some(()));
    assert_eq!(peer.seen().messages.len(), 1);
}

#[tokio::test]
async fn shutdown_gives_back_what_is_stuck() {
    let (server, client) = tls();
    let peer = Peer::start(server, with_fault(Step::Mail, Fault::Silence)).await;
    let mut settings = settings(peer.at);
    settings.drain = Duration::from_millis(100);
    let mut house = House::new(settings, client);
    house.send(job(1, &["a@x.test"], BODY), BODY);
    while !peer.seen().secret.iter().any(|line| line.starts_with("MAIL")) {
        tokio::task::yield_now().await;
    }
    house.trigger.request();
    assert!(matches!(house.event().await, Event::Released(id) if id.0 == 1));
    assert_eq!(house.sender.task.join().await, Some(()));
}
