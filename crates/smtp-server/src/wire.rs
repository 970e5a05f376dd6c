//! The bytes of one connection: one read buffer, whole writes, and an orderly end.

use crate::limits::{LINGER_BYTES_MAX, LINGER_TIME_MAX, READ_BUFFER_BYTES, WRITE_TIME_MAX};
use palombe_driver::{Stream, TlsError};
use rustls::ServerConfig;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

pub(crate) struct Wire {
    /// `None` once a handshake has failed.
    stream: Option<Stream>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Wire {
        let buffer = vec![0; READ_BUFFER_BYTES].into_boxed_slice();
        Wire { stream: Some(stream), buffer, start: 0, end: 0 }
    }

    /// What was read and not consumed.
    pub(crate) fn input(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn consume(&mut self, octets: usize) {
        self.start = (self.start + octets).min(self.end);
    }

    /// Reads behind what is there; 0 at the end of the stream. Cancel-safe.
    pub(crate) async fn read(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let Some(stream) = &mut self.stream else { return Ok(0) };
        let octets = stream.read(&mut self.buffer[self.end..]).await?;
        self.end += octets;
        Ok(octets)
    }

    /// Sends everything. Not cancel-safe.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = timeout(WRITE_TIME_MAX, async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        sent.await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    /// The TLS handshake. Nothing that was read before survives it (RFC 3207 4.2).
    pub(crate) async fn upgrade(
        &mut self,
        config: Arc<ServerConfig>,
        time: Duration,
    ) -> Result<&Stream, TlsError> {
        (self.start, self.end) = (0, 0);
        let gone = || TlsError::Handshake(io::ErrorKind::NotConnected.into());
        let stream = self.stream.take().ok_or_else(gone)?;
        let stream = stream.start_tls_server(config, time).await?;
        Ok(self.stream.insert(stream))
    }

    /// Closes our side, then reads on for a moment: a reset would take our last reply away from the peer.
    pub(crate) async fn close(mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        let buffer = &mut self.buffer;
        let end = async {
            stream.shutdown().await?;
            let mut left = LINGER_BYTES_MAX;
            while left > 0 {
                match stream.read(buffer).await? {
                    0 => break,
                    octets => left = left.saturating_sub(octets),
                }
            }
            io::Result::Ok(())
        };
        // The peer may be gone in any way it likes: nothing is owed to it any more.
        let _ = timeout(LINGER_TIME_MAX, end).await;
    }
}
