//! The listener over real sockets: limits, PROXY v2, shutdown.

use palombe_driver::{Bound, Connection, ListenerSettings, Shutdown, ShutdownTrigger, listen};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const WAIT: Duration = Duration::from_secs(20);

fn settings() -> ListenerSettings {
    ListenerSettings {
        name: "test",
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        connections_max: 100,
        connections_per_peer_max: 100,
        proxy_from: Vec::new(),
        drain_secs: 20,
    }
}

/// Says who is there, then echoes one line's worth of bytes at a time until the end.
async fn echo(mut connection: Connection) {
    let Connection { peer, local, over_limit, .. } = connection;
    let greeting = format!("{} {} {over_limit}\n", peer.ip(), local.port());
    if connection.stream.write_all(greeting.as_bytes()).await.is_err() || over_limit {
        return;
    }
    let mut buffer = [0; 64];
    while let Ok(n @ 1..) = connection.stream.read(&mut buffer).await {
        if connection.stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn start(settings: ListenerSettings) -> (Bound, ShutdownTrigger) {
    let (trigger, shutdown) = Shutdown::new();
    (listen(settings, shutdown, echo).await.unwrap(), trigger)
}

struct Client(TcpStream);

impl Client {
    async fn new(at: SocketAddr) -> Self {
        Client(TcpStream::connect(at).await.unwrap())
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = async {
            while !line.ends_with(b"\n") {
                match self.0.read_u8().await {
                    Ok(byte) => line.push(byte),
                    Err(_) => break,
                }
            }
        };
        tokio::time::timeout(WAIT, read).await.unwrap();
        String::from_utf8(line).unwrap()
    }
}

fn port(bound: &Bound) -> SocketAddr {
    bound.addresses[0]
}

#[tokio::test]
async fn over_the_total_the_door_refuses_politely() {
    let (bound, _trigger) = start(ListenerSettings { connections_max: 1, ..settings() }).await;
    let at = port(&bound);
    let mut first = Client::new(at).await;
    assert!(first.line().await.ends_with("false\n"));
    let mut second = Client::new(at).await;
    assert!(second.line().await.ends_with("true\n"));
    assert_eq!(second.line().await, "", "closed after the refusal");
    // The first leaves; its place is free again. The server notices in its own time.
    drop(first);
    tokio::time::timeout(WAIT, async {
        while !Client::new(at).await.line().await.ends_with("false\n") {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn one_peer_may_not_take_every_place() {
    let limits = ListenerSettings {
        connections_per_peer_max: 2,
        proxy_from: vec!["127.0.0.0/8".parse().unwrap()],
        ..settings()
    };
    let (bound, _trigger) = start(limits).await;
    let mut clients = Vec::new();
    for (octet, expected) in [
        (1, "192.0.2.1 25 false\n"),
        (1, "192.0.2.1 25 false\n"),
        (1, "192.0.2.1 25 true\n"),
        (2, "192.0.2.2 25 false\n"),
    ] {
        let mut client = Client::new(port(&bound)).await;
        client.send(&proxy_header(octet)).await;
        assert_eq!(client.line().await, expected);
        clients.push(client);
    }
}

fn proxy_header(last_octet: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([192, 0, 2, last_octet, 198, 51, 100, 1, 0x80, 0, 0, 25]);
    header
}

#[tokio::test]
async fn proxy_header_is_mandatory_from_the_proxy_and_leaves_the_protocol_bytes() {
    let limits =
        ListenerSettings { proxy_from: vec!["127.0.0.1/32".parse().unwrap()], ..settings() };
    let (bound, _trigger) = start(limits).await;
    let mut client = Client::new(port(&bound)).await;
    let header = proxy_header(7);
    client.send(&header[..5]).await;
    client.send(&[&header[5..], b"hello\n"].concat()).await;
    assert_eq!(client.line().await, "192.0.2.7 25 false\n");
    assert_eq!(client.line().await, "hello\n");

    for wrong in [&b"EHLO client.example\r\n"[..], b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n"] {
        let mut client = Client::new(port(&bound)).await;
        client.send(wrong).await;
        assert_eq!(client.line().await, "", "closed without a byte");
    }
}

#[tokio::test]
async fn from_anyone_else_the_header_is_the_protocols() {
    let limits = ListenerSettings { proxy_from: vec!["10.0.0.0/8".parse().unwrap()], ..settings() };
    let (bound, _trigger) = start(limits).await;
    let mut client = Client::new(port(&bound)).await;
    assert!(client.line().await.starts_with("127.0.0.1 "));
    client.send(b"PROXY TCP4\n").await;
    assert_eq!(client.line().await, "PROXY TCP4\n");
}

#[tokio::test]
async fn shutdown_lets_open_connections_end() {
    let (mut bound, trigger) = start(settings()).await;
    let at = port(&bound);
    let mut client = Client::new(at).await;
    client.line().await;
    trigger.request();
    tokio::time::timeout(WAIT, async { while TcpStream::connect(at).await.is_ok() {} })
        .await
        .unwrap();
    assert!(!bound.task.is_finished());
    client.send(b"still served\n").await;
    assert_eq!(client.line().await, "still served\n");
    drop(client);
    assert_eq!(tokio::time::timeout(WAIT, bound.task.join()).await.unwrap(), Some(()));
}

#[tokio::test]
async fn shutdown_cuts_what_outlives_its_patience() {
    let (mut bound, trigger) = start(ListenerSettings { drain_secs: 0, ..settings() }).await;
    let mut client = Client::new(port(&bound)).await;
    client.line().await;
    trigger.request();
    assert_eq!(tokio::time::timeout(WAIT, bound.task.join()).await.unwrap(), Some(()));
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn a_taken_port_is_named_and_a_missing_address_too() {
    let (bound, _trigger) = start(settings()).await;
    let (_other, shutdown) = Shutdown::new();
    let same = ListenerSettings { addresses: vec![port(&bound)], ..settings() };
    let error = listen(same, shutdown.clone(), echo).await.err().unwrap().to_string();
    assert!(error.contains(&port(&bound).to_string()), "{error}");
    let none = ListenerSettings { addresses: Vec::new(), ..settings() };
    assert!(listen(none, shutdown, echo).await.is_err());
}
