//! One connection to a peer, from the greeting to the proof, and its commands.
//!
//! **A [`Link`] exists only for a peer that trust has judged good; before that no command but EHLO and STARTTLS is
//! written.**

use crate::limits::{QUIT, REPLY_READ_BYTES};
use crate::route::Host;
use crate::seam::Space;
use crate::settings::Timeouts;
use palombe_driver::{ConnectError, Stream, TlsError, connect, now, session_id};
use palombe_smtp_proto::Reply;
use palombe_smtp_proto::client::{
    Capabilities, ReplyError, ReplyReader, write_ehlo, write_quit, write_rset, write_starttls,
};
use palombe_trust::Refusal;
use palombe_vocabulary::{Domain, SessionId};
use rustls::ClientConfig;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

/// Why a connection cannot be used, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// TCP.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The peer closed.
    #[error("the recipient's operator closed the connection")]
    Closed,
    /// The socket failed.
    #[error("the connection to the recipient's operator broke: {0}")]
    Io(std::io::Error),
    /// RFC 5321 4.5.3.2
    #[error("no answer from the recipient's operator to {0} in time")]
    Timeout(&'static str),
    /// Not SMTP.
    #[error("the recipient's operator does not speak SMTP: {0}")]
    Reply(#[from] ReplyError),
    /// A reply that has no meaning at this step.
    #[error("the recipient's operator answered out of turn: {0}")]
    Unexpected(String),
    /// The peer wants no connection, or no EHLO.
    #[error("the recipient's operator refuses the connection: {0}")]
    Unwilling(Reply),
    /// The peer does not offer STARTTLS, or refuses it.
    #[error("peer.no-starttls: the recipient's operator does not offer STARTTLS")]
    NoStartTls,
    /// Bytes between the reply to STARTTLS and the handshake (RFC 3207 6).
    #[error(
        "peer.no-starttls: the recipient's operator sent plaintext after its reply to STARTTLS"
    )]
    Injected,
    /// The handshake.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate is not that of an operator of the trust space, or not of this destination.
    #[error("{}: {}", .0.rule.code(), .0.rule.peer_text())]
    Untrusted(Box<Refusal>),
    /// Our own name.
    #[error("our own host name cannot be said in EHLO")]
    HelloName,
    /// The store did not give the message to its end; the peer was left without an end of data.
    #[error("the message could not be read")]
    Body,
}

/// Where a link goes, and who we are.
#[derive(Clone)]
pub struct Dialer {
    /// Name given in EHLO.
    pub hostname: String,
    /// Our certificate.
    pub tls: Arc<ClientConfig>,
    /// How often it was renewed.
    pub renewals: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Waits.
    pub timeouts: Timeouts,
}

/// A connection whose peer is proven.
pub struct Link<S: Space> {
    wire: Wire,
    /// What the peer offers under TLS.
    pub capabilities: Capabilities,
    /// The proof.
    pub peer: S::Peer,
    /// Host that was dialled.
    pub host: Host,
    /// For logs.
    pub session: SessionId,
    /// Messages sent so far.
    pub sent: u32,
    /// Since when.
    pub opened: Instant,
    /// The certificate that we showed, by its number.
    pub renewal: u64,
}

/// Bytes and replies.
pub(crate) struct Wire {
    stream: Stream,
    replies: ReplyReader,
    buffer: Vec<u8>,
}

impl Dialer {
    /// Connects, upgrades, and has the peer judged for `domain`.
    ///
    /// # Errors
    /// [`LinkError`]
    pub async fn dial<S: Space>(
        &self,
        space: &S,
        host: &Host,
        address: SocketAddr,
        domain: &Domain,
    ) -> Result<Link<S>, LinkError> {
        let (session, renewal) = (session_id(), (self.renewals)());
        let stream = connect(address, self.timeouts.connect).await?;
        let mut wire = Wire::new(stream);
        let greeting = wire.reply("the connection", self.timeouts.greeting).await?;
        if !greeting.is_positive() {
            return Err(LinkError::Unwilling(greeting));
        }
        let plain = wire.hello(&self.hostname, &self.timeouts).await?;
        if !plain.starttls {
            return Err(LinkError::NoStartTls);
        }
        let wire = self.upgrade(wire, host).await?;
        let chain = wire.stream.peer_certificates();
        let judged = space.judge(&chain, now()).and_then(|peer| {
            // Asked here too, although each message asks again: a peer that may not receive for the destination
            // is not even greeted.
            space.permit(&peer, domain).map(|_| peer)
        });
        let peer = judged.map_err(LinkError::Untrusted)?;
        warn_of_other_name(host, &chain, session);
        let mut wire = wire;
        let capabilities = wire.hello(&self.hostname, &self.timeouts).await?;
        tracing::debug!(%session, host = host.name, %address, "peer proven");
        Ok(Link {
            wire,
            capabilities,
            peer,
            host: host.clone(),
            session,
            sent: 0,
            opened: Instant::now(),
            renewal,
        })
    }

    /// RFC 3207
    async fn upgrade(&self, mut wire: Wire, host: &Host) -> Result<Wire, LinkError> {
        let mut out = Vec::new();
        write_starttls(&mut out);
        wire.write(&out, self.timeouts.hello).await?;
        let reply = wire.reply("STARTTLS", self.timeouts.hello).await?;
        if reply.code != 220 {
            return Err(LinkError::NoStartTls);
        }
        if !wire.replies.is_empty() {
            return Err(LinkError::Injected);
        }
        let name = server_name(host)
            .ok_or_else(|| LinkError::Unexpected("host name not usable in TLS".to_owned()))?;
        let stream =
            wire.stream.start_tls_client(self.tls.clone(), name, self.timeouts.handshake).await?;
        Ok(Wire::new(stream))
    }
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    ServerName::try_from(host.name.clone()).ok()
}

/// What binds a peer to a destination is its subject DN in the liste blanche; its host name proves nothing here, but
/// a difference is worth a look.
fn warn_of_other_name(host: &Host, chain: &[CertificateDer<'_>], session: SessionId) {
    let parsed = chain.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    let named = parsed
        .zip(server_name(host))
        .is_some_and(|(leaf, name)| verify_server_name(&leaf, &name).is_ok());
    if !named {
        tracing::warn!(%session, host = host.name, "the peer's certificate bears another host name");
    }
}

impl Wire {
    fn new(stream: Stream) -> Self {
        Wire { stream, replies: ReplyReader::new(), buffer: vec![0; REPLY_READ_BYTES] }
    }

    async fn hello(&mut self, name: &str, waits: &Timeouts) -> Result<Capabilities, LinkError> {
        let mut out = Vec::new();
        write_ehlo(&mut out, name).map_err(|_| LinkError::HelloName)?;
        self.write(&out, waits.hello).await?;
        let reply = self.reply("EHLO", waits.hello).await?;
        // No HELO for old servers: without EHLO there is no STARTTLS, and without STARTTLS nothing.
        if !reply.is_positive() {
            return Err(LinkError::Unwilling(reply));
        }
        Ok(Capabilities::from_ehlo(&reply))
    }

    /// Writes all of it, and flushes.
    async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), LinkError> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(wait, write).await {
            Err(_) => Err(LinkError::Timeout("what we write")),
            Ok(Err(error)) => Err(LinkError::Io(error)),
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Waits for the next reply.
    async fn reply(&mut self, to: &'static str, wait: Duration) -> Result<Reply, LinkError> {
        timeout(wait, self.next_reply()).await.unwrap_or(Err(LinkError::Timeout(to)))
    }

    async fn next_reply(&mut self) -> Result<Reply, LinkError> {
        loop {
            if let Some(reply) = self.replies.next_reply()? {
                return Ok(reply);
            }
            match self.stream.read(&mut self.buffer).await {
                Ok(0) => return Err(LinkError::Closed),
                Ok(n) => self.replies.push(&self.buffer[..n]),
                Err(error) => return Err(LinkError::Io(error)),
            }
        }
    }
}

impl<S: Space> Link<S> {
    /// Writes commands or a piece of a message.
    pub(crate) async fn write(&mut self, bytes: &[u8], wait: Duration) -> Result<(), LinkError> {
        self.wire.write(bytes, wait).await
    }

    /// Waits for the reply to the oldest command without one.
    pub(crate) async fn reply(
        &mut self,
        to: &'static str,
        wait: Duration,
    ) -> Result<Reply, LinkError> {
        self.wire.reply(to, wait).await
    }

    /// Ready for the next message after one that was refused.
    pub(crate) async fn reset(&mut self, waits: &Timeouts) -> Result<(), LinkError> {
        let mut out = Vec::new();
        write_rset(&mut out);
        self.write(&out, waits.hello).await?;
        let reply = self.reply("RSET", waits.hello).await?;
        if reply.is_positive() { Ok(()) } else { Err(LinkError::Unwilling(reply)) }
    }

    /// Whether the peer is silent, as it must be between two messages: it has not closed, nor said 421.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        if !self.wire.replies.is_empty() {
            return false;
        }
        let mut byte = [0; 1];
        // A read that is ready at once is a farewell.
        let read = timeout(Duration::ZERO, self.wire.stream.read(&mut byte));
        read.await.is_err()
    }

    /// Says QUIT and closes; whatever the peer answers.
    pub(crate) async fn quit(mut self) {
        let mut out = Vec::new();
        write_quit(&mut out);
        let farewell = async {
            if self.wire.write(&out, QUIT).await.is_ok() {
                let _ = self.wire.next_reply().await;
            }
            let _ = self.wire.stream.shutdown().await;
        };
        let _ = timeout(QUIT, farewell).await;
    }
}
