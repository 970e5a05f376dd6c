//! A house on a temporary folder, the toy IGC-Santé, and a client that shows what it reads.

#![allow(dead_code)] // each test binary uses its part

use base64::Engine as _;
use palombe_access::{Access, hash_password};
use palombe_delivery::{Delivery, DeliverySettings};
use palombe_driver::{
    Bound, ListenerSettings, Pool, Shutdown, ShutdownTrigger, Stream, connect, now,
};
use palombe_smtp_proto::client::ReplyReader;
use palombe_smtp_server::{House, Settings, SmtpServer};
use palombe_store::{NewBal, Store, StoreSettings};
use palombe_trust::{Anchors, ClientAuth, TlsIdentity, TrustPolicy, TrustState};
use palombe_vocabulary::{BalKind, Publication, Secret};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const PASSWORD: &str = "colombe";
const WAIT: Duration = Duration::from_secs(20);

pub struct World {
    pub server: SmtpServer,
    pub address: SocketAddr,
    pub store: Store,
    pub trust: TrustState,
    pub trigger: ShutdownTrigger,
    pub bound: Bound,
    _folder: tempfile::TempDir,
}

fn pki(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../certs/test-pki").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn identity(name: &str) -> TlsIdentity {
    let key = Secret::new(pki(&format!("{name}.key")));
    TlsIdentity::from_pem(&pki(&format!("{name}.pem")), &key).unwrap()
}

fn trust() -> TrustState {
    let anchors = Anchors::from_pem(&pki("ca-bundle.pem")).unwrap();
    let trust = TrustState::new(TrustPolicy::test(), anchors);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../certs/test-pki/crl");
    let crls =
        std::fs::read_dir(folder).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap());
    trust.install_crls(crls.collect(), now());
    trust.install_list(&pki("liste-blanche.xml"), now()).unwrap();
    trust
}

/// Operator beta: domain beta.mssante.test, BAL dr.b and plein (full).
pub async fn world(settings: Settings) -> World {
    world_with(settings, 100).await
}

pub async fn world_with(settings: Settings, connections_max: usize) -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreSettings {
        free_bytes_min: 0,
        ..StoreSettings::new(folder.path().join("data"))
    })
    .unwrap();
    store.domain_add(&"beta.mssante.test".parse().unwrap(), now()).unwrap();
    let hash = hash_password(&Secret::new(PASSWORD.to_owned())).unwrap();
    for (address, quota_bytes) in [("dr.b", 1 << 30), ("dr.c", 1 << 30), ("plein", 10)] {
        let bal = NewBal {
            address: format!("{address}@beta.mssante.test").parse().unwrap(),
            kind: BalKind::Per,
            label: address.to_owned(),
            publication: Publication::Annuaire,
            quota_bytes,
            password_hash: Some(hash.clone()),
        };
        store.bal_add(bal, now()).unwrap();
    }
    let trust = trust();
    let delivery = Delivery::new(
        store.clone(),
        trust.clone(),
        DeliverySettings {
            message_bytes_max: settings.message_bytes_max,
            ..DeliverySettings::new(settings.hostname.parse().unwrap())
        },
    );
    let auth = match settings.service {
        palombe_smtp_server::Service::Interop => ClientAuth::Request,
        palombe_smtp_server::Service::Submission => ClientAuth::None,
    };
    let (trigger, shutdown) = Shutdown::new();
    let house = House {
        delivery,
        access: Access::new(store.clone()).unwrap(),
        pool: Pool::new(4, 64),
        tls: trust.server_tls(&identity("op-beta"), auth).unwrap(),
        trust: trust.clone(),
        shutdown,
    };
    let server = SmtpServer::new(settings, house);
    let listener = ListenerSettings {
        name: "test",
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        connections_max,
        connections_per_peer_max: connections_max,
        proxy_from: Vec::new(),
        drain_secs: 10,
    };
    let bound = server.open(listener).await.unwrap();
    let address = bound.addresses[0];
    World { server, address, store, trust, trigger, bound, _folder: folder }
}

pub fn interop() -> Settings {
    Settings::interop("mx.beta.mssante.test")
}

pub fn submission() -> Settings {
    Settings {
        auth_failure_pause: Duration::ZERO,
        ..Settings::submission("smtp.beta.mssante.test")
    }
}

pub struct Client {
    stream: Option<Stream>,
    reader: ReplyReader,
}

impl World {
    /// A connection whose greeting was read.
    pub async fn connect(&self) -> Client {
        let mut client = self.connect_silent().await;
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    pub async fn connect_silent(&self) -> Client {
        let stream = connect(self.address, WAIT).await.unwrap();
        Client { stream: Some(stream), reader: ReplyReader::new() }
    }

    /// Past STARTTLS with this certificate (`None`: none), and EHLO.
    pub async fn tls(&self, certificate: Option<&str>) -> Client {
        let mut client = self.connect().await;
        assert!(client.ask("EHLO client.test").await.starts_with("250 "));
        assert_eq!(client.ask("STARTTLS").await, "220 2.0.0 Ready to start TLS");
        let config = match certificate {
            Some(name) => self.trust.client_tls(&identity(name)).unwrap(),
            None => anonymous(),
        };
        client.start_tls(config).await;
        assert!(client.ask("EHLO client.test").await.starts_with("250 "));
        client
    }

    /// Logged in as dr.b.
    pub async fn logged_in(&self) -> Client {
        let mut client = self.tls(None).await;
        let reply = client.ask(&format!("AUTH PLAIN {}", plain("dr.b", PASSWORD))).await;
        assert_eq!(reply, "235 2.7.0 Authentication successful");
        client
    }

    pub fn refused(&self, code: &str) -> u64 {
        let snapshot = self.server.metrics().snapshot();
        snapshot.refused.iter().find(|(k, _)| *k == code).map_or(0, |(_, n)| *n)
    }
}

pub fn plain(bal: &str, password: &str) -> String {
    let text = format!("\0{bal}@beta.mssante.test\0{password}");
    base64::engine::general_purpose::STANDARD.encode(text)
}

impl Client {
    pub async fn start_tls(&mut self, config: Arc<ClientConfig>) {
        assert!(self.reader.is_empty());
        let name = ServerName::try_from("mx.beta.mssante.test").unwrap();
        let stream = self.stream.take().unwrap();
        self.stream = Some(stream.start_tls_client(config, name, WAIT).await.unwrap());
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream.as_mut().unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }

    /// The next reply on one line, or `closed`.
    pub async fn reply(&mut self) -> String {
        loop {
            if let Some(reply) = self.reader.next_reply().unwrap() {
                return reply.to_string();
            }
            let mut buffer = [0; 4096];
            let stream = self.stream.as_mut().unwrap();
            let read = tokio::time::timeout(WAIT, stream.read(&mut buffer)).await;
            match read.expect("a reply in time") {
                Ok(0) | Err(_) => return "closed".to_owned(),
                Ok(n) => self.reader.push(&buffer[..n]),
            }
        }
    }

    pub async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Sends everything at once, and reads that many replies.
    pub async fn ask_all(&mut self, bytes: &[u8], replies: usize) -> Vec<String> {
        self.send(bytes).await;
        let mut all = Vec::new();
        for _ in 0..replies {
            all.push(self.reply().await);
        }
        all
    }
}

/// A client without a certificate that trusts whom it meets.
fn anonymous() -> Arc<ClientConfig> {
    let provider = palombe_trust::provider();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    Arc::new(config)
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        palombe_trust::provider().signature_verification_algorithms.supported_schemes()
    }
}
