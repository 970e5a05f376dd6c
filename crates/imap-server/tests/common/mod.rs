//! An IMAP door on a temporary store, and clients that speak lines.

#![allow(dead_code)] // each test binary uses its part

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use palombe_access::{Access, hash_password};
use palombe_delivery::{Delivery, DeliverySettings};
use palombe_driver::{
    Bound, Bus, ListenerSettings, Pool, Shutdown, ShutdownTrigger, Stream, connect, listen, now,
};
use palombe_imap_server::{CleartextLogin, Entry, House, ImapServer, Settings, Unauthenticate};
use palombe_store::{Filing, Flags, INBOX, JournalQuery, NewBal, News, Store, StoreSettings};
use palombe_trust::{Anchors, ClientAuth, TlsIdentity, TrustPolicy, TrustState};
use palombe_vocabulary::{BalId, BalKind, Publication, Secret, Timestamp};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const LOGIN: &str = "dr.b@beta.mssante.test";
pub const PASSWORD: &str = "colombe";
const WAIT: Duration = Duration::from_secs(20);

pub struct World {
    pub server: ImapServer,
    pub store: Store,
    pub delivery: Delivery,
    pub trust: TrustState,
    pub bal: BalId,
    pub clear: SocketAddr,
    pub tls: SocketAddr,
    pub trigger: ShutdownTrigger,
    pub bound: Vec<Bound>,
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

/// Settings under which transcripts may log in without TLS.
pub fn settings() -> Settings {
    Settings {
        hostname: "imap.beta.mssante.test".to_owned(),
        cleartext_login: CleartextLogin::Allowed,
        unauthenticate: Unauthenticate::Allowed,
        login_failure_delay: Duration::ZERO,
        ..Settings::default()
    }
}

/// Operator beta with the BAL dr.b, and both ports open.
pub async fn world(settings: Settings) -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let store = Store::open(&StoreSettings { free_bytes_min: 0, ..StoreSettings::new(path) });
    let store = store.unwrap();
    store.domain_add(&"beta.mssante.test".parse().unwrap(), now()).unwrap();
    let bal = NewBal {
        address: LOGIN.parse().unwrap(),
        kind: BalKind::Per,
        label: "Dr B".to_owned(),
        publication: Publication::Annuaire,
        quota_bytes: 1 << 30,
        password_hash: Some(hash_password(&Secret::new(PASSWORD.to_owned())).unwrap()),
    };
    let bal = store.bal_add(bal, now()).unwrap();
    let bus = Bus::new();
    let wakes = bus.clone();
    store.on_commit(Box::new(move |news| {
        for one in news {
            if let News::Bal { bal, .. } = one {
                wakes.wake_bal(*bal);
            }
        }
    }));
    let anchors = Anchors::from_pem(&pki("ca-bundle.pem")).unwrap();
    let trust = TrustState::new(TrustPolicy::test(), anchors);
    let delivery_settings = DeliverySettings::new("imap.beta.mssante.test".parse().unwrap());
    let delivery = Delivery::new(store.clone(), trust.clone(), delivery_settings);
    let (trigger, shutdown) = Shutdown::new();
    let tls = trust.server_tls(&identity("op-beta"), ClientAuth::None).unwrap();
    let house = House {
        store: store.clone(),
        delivery: delivery.clone(),
        access: Access::new(store.clone()).unwrap(),
        pool: Pool::new(4, 64),
        bus,
        shutdown: shutdown.clone(),
        tls: Arc::new(move || Some(tls.clone())),
    };
    let server = ImapServer::new(house, settings);
    let mut bound = Vec::new();
    for entry in [Entry::StartTls, Entry::ImplicitTls] {
        bound.push(open(&server, entry, shutdown.clone()).await);
    }
    let (clear, tls) = (bound[0].addresses[0], bound[1].addresses[0]);
    World { server, store, delivery, trust, bal, clear, tls, trigger, bound, _folder: folder }
}

async fn open(server: &ImapServer, entry: Entry, shutdown: Shutdown) -> Bound {
    let listener = ListenerSettings {
        name: "test",
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        connections_max: 100,
        connections_per_peer_max: 100,
        proxy_from: Vec::new(),
        drain_secs: 10,
    };
    let server = server.clone();
    let handler = move |connection| {
        let server = server.clone();
        async move { server.serve(connection, entry).await }
    };
    listen(listener, shutdown, handler).await.unwrap()
}

impl World {
    pub fn bal_named(&self, address: &str) -> BalId {
        let bal = self.store.bal_by_address(&address.parse().unwrap()).unwrap();
        bal.unwrap_or_else(|| panic!("no BAL {address}")).id
    }

    /// Another BAL, with the same password.
    pub fn add_bal(&self, address: &str, kind: &str) {
        let bal = NewBal {
            address: address.parse().unwrap(),
            kind: kind.parse().unwrap(),
            label: String::new(),
            publication: Publication::Annuaire,
            quota_bytes: 1 << 30,
            password_hash: Some(hash_password(&Secret::new(PASSWORD.to_owned())).unwrap()),
        };
        self.store.bal_add(bal, now()).unwrap();
    }

    /// How many lines of the journal of a BAL say that this member did this.
    pub fn told(&self, bal: BalId, event: &str, member: &str) -> usize {
        let query = JournalQuery {
            from: None,
            to: None,
            message_id: None,
            peer: None,
            peer_dn: None,
            domain: None,
            event_prefix: Some(event.to_owned()),
            rule_prefix: None,
            bal: Some(bal),
            limit: 1000,
        };
        let by = format!("\"by\":\"{member}\"");
        let lines = self.store.journal(&query).unwrap();
        lines.iter().filter(|(_, line)| line.detail.contains(&by)).count()
    }

    /// A message as delivery files it, in INBOX.
    pub fn file(&self, prefix: &str, message: &[u8], date: &str) {
        self.file_into(self.bal, prefix, message, date);
    }

    pub fn file_into(&self, bal: BalId, prefix: &str, message: &[u8], date: &str) {
        let mut spool = self.delivery.spool();
        spool.write(message).unwrap();
        let (blob, structure) = spool.finish().unwrap().into_parts();
        let filing = Filing {
            bal,
            folder: INBOX,
            prefix: prefix.as_bytes().to_vec(),
            flags: Flags::default(),
            internal_date: date.parse::<Timestamp>().unwrap(),
        };
        self.store.file(filing, blob, structure, Vec::new(), now()).unwrap();
    }

    pub async fn connect(&self) -> Client {
        Client {
            stream: Some(connect(self.clear, WAIT).await.unwrap()),
            read: Vec::new(),
            packing: None,
        }
    }

    pub async fn connect_tls(&self) -> Client {
        let mut client = Client {
            stream: Some(connect(self.tls, WAIT).await.unwrap()),
            read: Vec::new(),
            packing: None,
        };
        client.start_tls(self).await;
        client
    }

    /// Greeted and logged in, INBOX selected.
    pub async fn selected(&self) -> Client {
        let mut client = self.connect().await;
        client.line().await;
        client.ask(&format!("l LOGIN {LOGIN} {PASSWORD}")).await;
        client.ask("s SELECT INBOX").await;
        client
    }
}

pub struct Client {
    stream: Option<Stream>,
    read: Vec<u8>,
    packing: Option<(Compress, Decompress)>,
}

impl Client {
    pub async fn start_tls(&mut self, world: &World) {
        let config = world.trust.client_tls(&identity("op-alpha")).unwrap();
        let name = ServerName::try_from("imap.beta.mssante.test").unwrap();
        let stream = self.stream.take().unwrap();
        self.stream = Some(stream.start_tls_client(config, name, WAIT).await.unwrap());
    }

    /// COMPRESS was answered OK.
    pub fn start_compression(&mut self) {
        self.packing = Some((Compress::new(Compression::fast(), false), Decompress::new(false)));
    }

    pub fn end_compression(&mut self) {
        self.packing = None;
    }

    /// As far as the server takes it.
    pub async fn try_send(&mut self, bytes: &[u8]) {
        let stream = self.stream.as_mut().unwrap();
        if stream.write_all(bytes).await.is_ok() {
            let _ = stream.flush().await;
        }
    }

    /// Everything that comes until the server closes.
    pub async fn raw_to_end(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.read)
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let packed = self.packing.as_mut().map(|(deflate, _)| {
            let mut packed = Vec::with_capacity(bytes.len() + 1024);
            deflate.compress_vec(bytes, &mut packed, FlushCompress::Sync).unwrap();
            packed
        });
        let bytes = packed.as_deref().unwrap_or(bytes);
        let stream = self.stream.as_mut().unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }

    /// False at the end of the stream.
    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16384];
        let stream = self.stream.as_mut().unwrap();
        let read = tokio::time::timeout(WAIT, stream.read(&mut buffer)).await;
        match read.expect("an answer in time") {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.take(&buffer[..n]);
                true
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some((_, inflate)) = &mut self.packing else {
            self.read.extend_from_slice(bytes);
            return;
        };
        let (mut rest, mut out) = (bytes, [0; 16384]);
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let _ = inflate.decompress(rest, &mut out, FlushDecompress::Sync).unwrap();
            rest = &rest[(inflate.total_in() - before_in) as usize..];
            let length = (inflate.total_out() - before_out) as usize;
            self.read.extend_from_slice(&out[..length]);
            if length == 0 && rest.is_empty() {
                return;
            }
        }
    }

    /// The next line without CRLF, or `closed`.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.read.windows(2).position(|w| w == b"\r\n") {
                let line = String::from_utf8_lossy(&self.read[..at]).into_owned();
                self.read.drain(..at + 2);
                return line;
            }
            if !self.fill().await {
                return "closed".to_owned();
            }
        }
    }

    /// Exactly so many octets.
    pub async fn octets(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.fill().await, "the stream ended");
        }
        self.read.drain(..count).collect()
    }

    /// Sends a line and reads up to its tagged answer.
    pub async fn ask(&mut self, line: &str) -> Vec<String> {
        let tag = line.split(' ').next().unwrap().to_owned() + " ";
        self.send(format!("{line}\r\n").as_bytes()).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let last = line.starts_with(&tag) || line == "closed";
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// Uploads with a synchronising literal.
    pub async fn append(&mut self, folder: &str, message: &[u8]) -> String {
        self.send(format!("u APPEND {folder} {{{}}}\r\n", message.len()).as_bytes()).await;
        let line = self.line().await;
        if !line.starts_with('+') {
            return line;
        }
        self.send(message).await;
        self.send(b"\r\n").await;
        loop {
            let line = self.line().await;
            if line.starts_with("u ") {
                return line;
            }
        }
    }

    /// Everything of `FETCH n BODY.PEEK[section]<partial>`.
    pub async fn body(&mut self, number: u32, section: &str) -> Vec<u8> {
        self.send(format!("b FETCH {number} BODY.PEEK{section}\r\n").as_bytes()).await;
        let line = self.line().await;
        let size = line.rsplit('{').next().unwrap().trim_end_matches('}').parse().expect("{n}");
        let body = self.octets(size).await;
        assert_eq!(self.line().await, ")");
        assert!(self.line().await.starts_with("b OK"));
        body
    }
}
