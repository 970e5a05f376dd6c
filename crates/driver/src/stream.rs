//! A connection, plain or under TLS.
//!
//! Nothing is buffered above the socket: an upgrade takes the raw socket, so plaintext that a door has read before
//! STARTTLS is the door's to drop, and plaintext that it has not read becomes the first bytes of the handshake, which
//! fails on them (RFC 3207 4.2, the STARTTLS injection of 2011 and 2021).

use crate::{ConnectError, TlsError};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A TCP connection, plain or under TLS.
pub struct Stream(Inner);

enum Inner {
    Plain(TcpStream),
    Server(Box<server::TlsStream<TcpStream>>),
    Client(Box<client::TlsStream<TcpStream>>),
}

/// Connects within `timeout`.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(address: SocketAddr, timeout: Duration) -> Result<Stream, ConnectError> {
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Err(_) => Err(ConnectError::Timeout(address)),
        Ok(Err(error)) => Err(ConnectError::Io(address, error)),
        Ok(Ok(tcp)) => Stream::new(tcp).map_err(|error| ConnectError::Io(address, error)),
    }
}

impl Stream {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// The socket is dead already.
    pub fn new(tcp: TcpStream) -> io::Result<Self> {
        // Nagle's algorithm and delayed acknowledgements stall each TLS 1.3 connection by some 45 ms.
        tcp.set_nodelay(true)?;
        Ok(Stream(Inner::Plain(tcp)))
    }

    /// Under TLS?
    pub fn is_tls(&self) -> bool {
        !matches!(self.0, Inner::Plain(_))
    }

    /// The TLS handshake as server, within `timeout`. The chain of the peer is not judged yet.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is closed then.
    pub async fn start_tls_server(
        self,
        config: Arc<ServerConfig>,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        let Inner::Plain(tcp) = self.0 else { return Err(TlsError::AlreadyTls) };
        let handshake = TlsAcceptor::from(config).accept(tcp);
        match tokio::time::timeout(timeout, handshake).await {
            Err(_) => Err(TlsError::Timeout),
            Ok(Err(error)) => Err(TlsError::Handshake(error)),
            Ok(Ok(tls)) => Ok(Stream(Inner::Server(Box::new(tls)))),
        }
    }

    /// The TLS handshake as client, within `timeout`. The chain of the peer is not judged yet.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is closed then.
    pub async fn start_tls_client(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        let Inner::Plain(tcp) = self.0 else { return Err(TlsError::AlreadyTls) };
        let handshake = TlsConnector::from(config).connect(name, tcp);
        match tokio::time::timeout(timeout, handshake).await {
            Err(_) => Err(TlsError::Timeout),
            Ok(Err(error)) => Err(TlsError::Handshake(error)),
            Ok(Ok(tls)) => Ok(Stream(Inner::Client(Box::new(tls)))),
        }
    }

    /// The chain that the peer presented, leaf first; empty when it presented none.
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let chain = match &self.0 {
            Inner::Plain(_) => None,
            Inner::Server(tls) => tls.get_ref().1.peer_certificates(),
            Inner::Client(tls) => tls.get_ref().1.peer_certificates(),
        };
        chain.unwrap_or_default().iter().map(|cert| cert.clone().into_owned()).collect()
    }

    /// Version and suite, as trace headers write them: `TLSv1.3 TLS13_AES_256_GCM_SHA384`.
    pub fn tls_summary(&self) -> Option<String> {
        let (version, suite) = match &self.0 {
            Inner::Plain(_) => return None,
            Inner::Server(tls) => {
                (tls.get_ref().1.protocol_version(), tls.get_ref().1.negotiated_cipher_suite())
            }
            Inner::Client(tls) => {
                (tls.get_ref().1.protocol_version(), tls.get_ref().1.negotiated_cipher_suite())
            }
        };
        let version = match version? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "TLS",
        };
        Some(format!("{version} {:?}", suite?.suite()))
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The socket is dead.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().local_addr()
    }

    /// The address of the other end of the socket (of the proxy, where there is one).
    ///
    /// # Errors
    /// The socket is dead.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().peer_addr()
    }

    fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Plain(tcp) => tcp,
            Inner::Server(tls) => tls.get_ref().0,
            Inner::Client(tls) => tls.get_ref().0,
        }
    }
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().0 {
            Inner::Plain(tcp) => {
                let $stream = Pin::new(tcp);
                $call
            }
            Inner::Server(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
            Inner::Client(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Plain(tcp) => tcp.is_write_vectored(),
            Inner::Server(tls) => tls.is_write_vectored(),
            Inner::Client(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_shutdown(cx))
    }
}
