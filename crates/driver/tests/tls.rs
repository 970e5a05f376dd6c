//! The upgrade over real sockets.

use palombe_driver::{Stream, TlsError};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const WAIT: Duration = Duration::from_secs(20);

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["mx.test".to_owned()]).unwrap();
    let der = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

async fn pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(at));
    (Stream::new(accepted.unwrap().0).unwrap(), connected.unwrap())
}

fn name() -> ServerName<'static> {
    ServerName::try_from("mx.test").unwrap()
}

#[tokio::test]
async fn both_ends_upgrade_and_tell_what_they_agreed() {
    let (server, client) = configs();
    let (here, there) = pair().await;
    let there = Stream::new(there).unwrap();
    let (here, there) = tokio::join!(
        here.start_tls_server(server.clone(), WAIT),
        there.start_tls_client(client, name(), WAIT)
    );
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    assert!(here.is_tls() && there.is_tls());
    assert_eq!(there.peer_certificates().len(), 1);
    assert!(here.peer_certificates().is_empty());
    assert!(here.tls_summary().unwrap().starts_with("TLSv1.3 TLS13_"), "{:?}", here.tls_summary());
    here.write_all(b"220").await.unwrap();
    here.flush().await.unwrap();
    let mut buffer = [0; 3];
    there.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"220");
    let again = here.start_tls_server(server, WAIT).await;
    assert!(matches!(again, Err(TlsError::AlreadyTls)));
}

#[tokio::test]
async fn plaintext_sent_ahead_of_the_handshake_never_reaches_the_door() {
    let (server, _) = configs();
    let (here, mut there) = pair().await;
    there.write_all(b"MAIL FROM:<injected@evil.example>\r\n").await.unwrap();
    let upgraded = here.start_tls_server(server, WAIT).await;
    assert!(matches!(upgraded, Err(TlsError::Handshake(_))));
}

#[tokio::test]
async fn a_silent_peer_is_left() {
    let (server, client) = configs();
    let (here, _there) = pair().await;
    let upgraded = here.start_tls_server(server, Duration::from_millis(1)).await;
    assert!(matches!(upgraded, Err(TlsError::Timeout)));
    let (here, _there) = pair().await;
    let upgraded = here.start_tls_client(client, name(), Duration::from_millis(1)).await;
    assert!(matches!(upgraded, Err(TlsError::Timeout)));
}
