//! The other side of a connection, word for word: a caller that reads every reply line, and an operator's server that
//! notes every octet it was told. Loopback only.

use crate::pki;
use crate::site::{self, Site};
use anyhow::{Context, Result, bail};
use palombe_load::tls::{Identity, client_config};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> Result<String> {
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().context("TLS 1.3")?;
    let hash = suite.common.hash_provider.hash(bytes);
    Ok(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256 of a certificate of the toy IGC-Santé, as the journal tells it.
pub fn fingerprint(certificate: &str) -> Result<String> {
    sha256(&CertificateDer::from_pem_file(pki::certificate(certificate))?)
}

trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}

/// A client of an SMTP port.
pub struct Caller {
    channel: Option<Box<dyn Channel>>,
    /// The socket, for the handshake.
    tcp: TcpStream,
    read: Vec<u8>,
}

impl Caller {
    /// Connects, and has read nothing yet.
    pub fn connect(address: SocketAddr) -> Result<Caller> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_nodelay(true)?;
        let channel: Box<dyn Channel> = Box::new(tcp.try_clone()?);
        Ok(Caller { channel: Some(channel), tcp, read: Vec::new() })
    }

    /// Connects and goes through greeting, EHLO, STARTTLS (with this certificate, or none) and EHLO again.
    pub fn over_tls(address: SocketAddr, name: &str, certificate: Option<&str>) -> Result<Caller> {
        let mut caller = Caller::connect(address)?;
        caller.reply()?;
        caller.ask("EHLO client.example")?;
        caller.start_tls(name, certificate)?;
        caller.ask("EHLO client.example")?;
        Ok(caller)
    }

    /// STARTTLS, its 220, and the handshake.
    pub fn start_tls(&mut self, name: &str, certificate: Option<&str>) -> Result<()> {
        let reply = self.ask("STARTTLS")?;
        if !reply.starts_with("220 ") || !self.read.is_empty() {
            bail!("STARTTLS: {reply}");
        }
        self.handshake(name, certificate)
    }

    /// The handshake alone.
    pub fn handshake(&mut self, name: &str, certificate: Option<&str>) -> Result<()> {
        let files = certificate.map(|name| (pki::certificate(name), pki::key(name)));
        let identity = files.as_ref().map(|(certificate, key)| Identity { certificate, key });
        let config = client_config(&pki::anchors(), identity)?;
        let mut tls = ClientConnection::new(config, ServerName::try_from(name.to_owned())?)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut self.tcp).context("TLS handshake")?;
        }
        self.channel = Some(Box::new(StreamOwned::new(tls, self.tcp.try_clone()?)));
        Ok(())
    }

    /// Writes octets in one write.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        let channel = self.channel.as_mut().context("closed")?;
        channel.write_all(octets)?;
        Ok(channel.flush()?)
    }

    /// The next line, without CRLF; `None` when the server has closed.
    pub fn line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8(self.read[..end].to_vec())?;
                self.read.drain(..end + 2);
                return Ok(Some(line));
            }
            let mut piece = [0; 4096];
            match self.channel.as_mut().context("closed")?.read(&mut piece) {
                Ok(0) if self.read.is_empty() => return Ok(None),
                Ok(0) => bail!("cut off: {:?}", String::from_utf8_lossy(&self.read)),
                Ok(count) => self.read.extend_from_slice(&piece[..count]),
                Err(error) if is_end(&error) && self.read.is_empty() => return Ok(None),
                Err(error) => return Err(error).context("waiting for a reply"),
            }
        }
    }

    /// The next reply, its lines joined by `\n`; `closed` when the server has closed.
    pub fn reply(&mut self) -> Result<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.line()? {
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                return Ok(lines.join("\n"));
            }
        }
        if lines.is_empty() { Ok("closed".to_owned()) } else { bail!("cut off: {lines:?}") }
    }

    /// One command and its reply.
    pub fn ask(&mut self, command: &str) -> Result<String> {
        self.send(format!("{command}\r\n").as_bytes())?;
        self.reply().with_context(|| command.to_owned())
    }
}

/// The other side is gone: closed, reset, or closed without the end of TLS.
fn is_end(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
    )
}

/// What a server of another operator was told.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Connections so far.
    pub connections: usize,
    /// Every line in clear, then every line under TLS, in the order of their arrival.
    pub clear: Vec<String>,
    /// Under TLS.
    pub secret: Vec<String>,
    /// Messages that were ended by their dot, dot-stuffing undone.
    pub messages: Vec<Vec<u8>>,
    /// SHA-256 of the certificate that the client presented.
    pub client: Option<String>,
}

/// A server of another operator; ends with the value.
pub struct Operator {
    site: Site,
    heard: Arc<Mutex<Heard>>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Operator {
    /// Prepares an address; nothing listens there yet.
    pub fn prepare() -> Result<Operator> {
        let site = Site::new("operator")?;
        let (heard, stop) = (Arc::default(), Arc::default());
        Ok(Operator { site, heard, stop, accepting: None })
    }

    /// Listens on port [`site::SMTP`] with this certificate, or without STARTTLS.
    pub fn start(certificate: Option<&str>) -> Result<Operator> {
        let mut operator = Operator::prepare()?;
        operator.listen(certificate)?;
        Ok(operator)
    }

    /// Begins to listen.
    pub fn listen(&mut self, certificate: Option<&str>) -> Result<()> {
        let tls = certificate.map(server_config).transpose()?;
        let listener = TcpListener::bind(self.site.at(site::SMTP))?;
        let (heard, stop) = (self.heard.clone(), self.stop.clone());
        self.accepting = Some(std::thread::spawn(move || {
            while let Ok((tcp, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                note(&heard).connections += 1;
                let (heard, tls) = (heard.clone(), tls.clone());
                // It ends with its connection; what went wrong shows in what was heard.
                std::thread::spawn(move || drop(serve(tcp, tls, &heard)));
            }
        }));
        Ok(())
    }

    /// Its address.
    pub fn ip(&self) -> IpAddr {
        self.site.ip
    }

    /// What it was told so far.
    pub fn heard(&self) -> Heard {
        note(&self.heard).clone()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take()
            && TcpStream::connect(self.site.at(site::SMTP)).is_ok()
        {
            let _ = accepting.join();
        }
    }
}

fn note(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for a certificate of IGC-Santé, as operators do.
fn server_config(certificate: &str) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(pki::certificate(certificate))?;
    let key = PrivateKeyDer::from_pem_file(pki::key(certificate))?;
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_file_iter(pki::anchors())? {
        roots.add(anchor?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.collect::<Result<_, _>>()?, key)?;
    Ok(Arc::new(config))
}

/// One connection, to its end.
fn serve(mut tcp: TcpStream, tls: Option<Arc<ServerConfig>>, heard: &Mutex<Heard>) -> Result<()> {
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_nodelay(true)?;
    tcp.write_all(b"220 audit.mssante.test ESMTP\r\n")?;
    let mut read = Vec::new();
    let offer: &[u8] = match tls {
        Some(_) => b"250-audit.mssante.test\r\n250 STARTTLS\r\n",
        None => b"250 audit.mssante.test\r\n",
    };
    loop {
        let Some(line) = next_line(&mut tcp, &mut read)? else { return Ok(()) };
        note(heard).clear.push(line.clone());
        match (verb(&line).as_str(), &tls) {
            ("EHLO", _) => tcp.write_all(offer)?,
            ("QUIT", _) => return Ok(tcp.write_all(b"221 2.0.0 Bye\r\n")?),
            ("STARTTLS", Some(config)) => {
                tcp.write_all(b"220 2.0.0 Go ahead\r\n")?;
                let mut connection = ServerConnection::new(config.clone())?;
                while connection.is_handshaking() {
                    connection.complete_io(&mut tcp)?;
                }
                if let Some(leaf) = connection.peer_certificates().and_then(<[_]>::first) {
                    note(heard).client = Some(sha256(leaf)?);
                }
                return talk(StreamOwned::new(connection, tcp), heard);
            }
            // As bad a server as there can be: it would take everything in clear.
            ("DATA", _) => tcp.write_all(b"354 Go ahead\r\n")?,
            _ => tcp.write_all(b"250 2.0.0 OK\r\n")?,
        }
    }
}

/// Takes everything.
fn talk(mut stream: impl Read + Write, heard: &Mutex<Heard>) -> Result<()> {
    let mut read = Vec::new();
    let mut body: Option<Vec<u8>> = None;
    while let Some(line) = next_line(&mut stream, &mut read)? {
        note(heard).secret.push(line.clone());
        let reply: &[u8] = match (&mut body, verb(&line).as_str()) {
            (Some(text), _) if line == "." => {
                note(heard).messages.push(std::mem::take(text));
                body = None;
                b"250 2.0.0 Kept\r\n"
            }
            (Some(text), _) => {
                text.extend_from_slice(line.strip_prefix('.').unwrap_or(&line).as_bytes());
                text.extend_from_slice(b"\r\n");
                continue;
            }
            (None, "EHLO") => b"250-audit.mssante.test\r\n250 8BITMIME\r\n",
            (None, "DATA") => {
                body = Some(Vec::new());
                b"354 Go ahead\r\n"
            }
            (None, "QUIT") => b"221 2.0.0 Bye\r\n",
            (None, _) => b"250 2.0.0 OK\r\n",
        };
        stream.write_all(reply)?;
        stream.flush()?;
    }
    Ok(())
}

fn verb(line: &str) -> String {
    line.split(' ').next().unwrap_or_default().to_ascii_uppercase()
}

/// The next line; `None` when the client has closed.
fn next_line(stream: &mut impl Read, read: &mut Vec<u8>) -> Result<Option<String>> {
    loop {
        if let Some(end) = read.windows(2).position(|two| two == b"\r\n") {
            let line = String::from_utf8_lossy(&read[..end]).into_owned();
            read.drain(..end + 2);
            return Ok(Some(line));
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(count) => read.extend_from_slice(&piece[..count]),
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}
