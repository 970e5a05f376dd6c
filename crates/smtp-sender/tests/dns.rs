//! Where messages go, asked of a name server on loopback.

mod support;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, MX};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use palombe_smtp_sender::{Host, RouteError, Router, SenderSettings, UnknownDomain};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::peer::{Peer, Script};
use support::{House, job, settings, tls};
use tokio::net::UdpSocket;

type Zone = HashMap<(&'static str, RecordType), Vec<RData>>;

const SERVFAIL: &str = "broken.test.";
const SILENT: &str = "silent.test.";

fn mx(preference: u16, host: &str) -> RData {
    RData::MX(MX::new(preference, Name::from_ascii(host).unwrap()))
}

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(127, 0, 0, last)))
}

/// Answers from the zone: NXDOMAIN for a name that is not in it, an empty answer for a type that is not.
async fn name_server(zone: Zone) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            let Ok(query) = Message::from_vec(&buffer[..n]) else { continue };
            count.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = answer(&zone, query) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    (at, asked)
}

fn answer(zone: &Zone, query: Message) -> Option<Vec<u8>> {
    let question = query.queries.first()?.clone();
    let name = question.name().to_ascii().to_lowercase();
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.add_query(question.clone());
    let known = zone.keys().any(|(n, _)| *n == name);
    answer.metadata.response_code = match name.as_str() {
        SILENT => return None,
        SERVFAIL => ResponseCode::ServFail,
        _ if known => ResponseCode::NoError,
        _ => ResponseCode::NXDomain,
    };
    let records = zone.iter().filter(|((n, t), _)| *n == name && *t == question.query_type());
    for data in records.flat_map(|(_, data)| data) {
        answer.add_answer(Record::from_rdata(question.name().clone(), 3600, data.clone()));
    }
    answer.to_vec().ok()
}

fn zone() -> Zone {
    HashMap::from([
        (("x.test.", RecordType::MX), vec![mx(20, "mx2.test."), mx(10, "mx1.test.")]),
        // Nothing listens on the first one's address.
        (("mx1.test.", RecordType::A), vec![a(9)]),
        (("mx2.test.", RecordType::A), vec![a(1)]),
        (("bare.test.", RecordType::A), vec![a(1)]),
        (("null.test.", RecordType::MX), vec![mx(0, ".")]),
        (("loop.test.", RecordType::MX), vec![mx(10, "SENDER.test.")]),
        (("nothing.test.", RecordType::TXT), vec![]),
        (("dangling.test.", RecordType::MX), vec![mx(10, "gone.test.")]),
    ])
}

fn asking(at: SocketAddr, port: u16) -> SenderSettings {
    let mut settings = settings(SocketAddr::from(([127, 0, 0, 1], port)));
    settings.routes.clear();
    settings.port = port;
    settings.name_servers = vec![at];
    settings
}

#[tokio::test]
async fn hosts_of_a_domain() {
    let (at, asked) = name_server(zone()).await;
    let router = Router::new(&asking(at, 2525)).unwrap();
    let host = |name: &str| Host { name: name.to_owned(), port: 2525 };
    for (domain, expected) in [
        ("x.test", Ok(vec![host("mx1.test"), host("mx2.test")])),
        ("bare.test", Ok(vec![host("bare.test")])),
        ("null.test", Err(RouteError::NullMx)),
        ("loop.test", Err(RouteError::Loop)),
        ("absent.test", Err(RouteError::UnknownDomain)),
    ] {
        assert_eq!(router.hosts(&domain.parse().unwrap()).await, expected, "{domain}");
    }
    for temporary in ["broken.test", "silent.test"] {
        let found = router.hosts(&temporary.parse().unwrap()).await;
        assert!(matches!(found, Err(RouteError::Dns(_))), "{temporary}: {found:?}");
    }
    let before = asked.load(Ordering::SeqCst);
    router.hosts(&"x.test".parse().unwrap()).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), before, "kept for its time to live");
    let addresses = router.addresses(&host("mx2.test")).await;
    assert_eq!(addresses, Ok(vec!["127.0.0.1:2525".parse().unwrap()]));
    assert_eq!(router.addresses(&host("gone.test")).await, Err(RouteError::UnknownDomain));
}

#[tokio::test]
async fn the_second_host_takes_over() {
    let (server, client) = tls();
    let peer = Peer::start(server, Script::default()).await;
    let (at, _) = name_server(zone()).await;
    let mut house = House::new(asking(at, peer.at.port()), client);
    house.send(job(1, &["a@x.test"], b"a\r\n"), b"a\r\n");
    let (_, attempt) = house.settled().await;
    assert_eq!(support::told(&attempt.results[0]), "delivered 250 2.0.0 taken");
    assert_eq!(attempt.remote_mta.as_deref(), Some("mx2.test"));
}

#[tokio::test]
async fn what_dns_says_decides_between_later_and_never() {
    let (at, _) = name_server(zone()).await;
    let mut settings = asking(at, 9);
    for (policy, domain, expected) in [
        (UnknownDomain::Bounce, "null.test", "failed 0 5.1.10"),
        (UnknownDomain::Bounce, "absent.test", "failed 0 5.1.2"),
        (UnknownDomain::Bounce, "nothing.test", "failed 0 5.1.2"),
        (UnknownDomain::Bounce, "dangling.test", "failed 0 5.1.2"),
        (UnknownDomain::Bounce, "loop.test", "failed 0 5.4.6"),
        (UnknownDomain::Bounce, "broken.test", "deferred 0 4.4.3"),
        (UnknownDomain::Bounce, "bare.test", "deferred 0 4.4.1"),
        (UnknownDomain::Bounce, "x.test", "deferred 0 4.4.1"),
        (UnknownDomain::Defer, "absent.test", "deferred 0 4.1.2"),
    ] {
        settings.unknown_domain = policy;
        let mut house = House::new(settings.clone(), tls().1);
        let mut sent = job(1, &["a@x.test"], b"a\r\n");
        sent.destination = domain.parse().unwrap();
        let result = house.try_one(sent, b"a\r\n").await;
        assert!(result[0].starts_with(expected), "{domain}: {result:?}");
    }
}
