//! The client's side of a session: its stream and the responses on their way to it.

use crate::error::Gone;
use crate::limits::{FLUSH_BYTES, READ_BYTES};
use crate::metrics::Metrics;
use crate::packing::Packing;
use palombe_driver::Stream;
use palombe_imap_proto::Writer;
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) struct Wire {
    stream: Option<Stream>,
    /// Responses not yet written. Handlers write here and call [`Wire::relieve`] in loops.
    pub(crate) out: Writer,
    stall_timeout: Duration,
    metrics: Arc<Metrics>,
    packing: Option<Box<Packing>>,
}

impl Wire {
    pub(crate) fn new(stream: Stream, stall_timeout: Duration, metrics: Arc<Metrics>) -> Self {
        Wire { stream: Some(stream), out: Writer::default(), stall_timeout, metrics, packing: None }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_tls)
    }

    /// What the client sends next. Cancel-safe. The buffer lives while octets are copied: a session that waits has
    /// none.
    pub(crate) async fn read(&mut self) -> Result<Vec<u8>, Gone> {
        let Some(stream) = &mut self.stream else { return Err(Gone::Closed) };
        let Some(packing) = &mut self.packing else {
            let mut stream = Pin::new(stream);
            return poll_fn(|cx| {
                let mut space = [MaybeUninit::uninit(); READ_BYTES];
                let mut buffer = ReadBuf::uninit(&mut space);
                Poll::Ready(match ready!(stream.as_mut().poll_read(cx, &mut buffer)) {
                    Ok(()) if !buffer.filled().is_empty() => Ok(buffer.filled().to_vec()),
                    _ => Err(Gone::Closed),
                })
            })
            .await;
        };
        loop {
            let mut buffer = vec![0; READ_BYTES];
            let unpacked = packing.unpack(&mut buffer)?;
            if unpacked > 0 {
                buffer.truncate(unpacked);
                return Ok(buffer);
            }
            drop(buffer);
            match stream.read(packing.room()).await {
                Ok(0) | Err(_) => return Err(Gone::Closed),
                Ok(read) => packing.filled(read),
            }
        }
    }

    /// Before a wait: gives back what the last responses needed.
    pub(crate) fn rest(&mut self) {
        if self.out.is_empty() {
            let utf8 = self.out.utf8();
            self.out = Writer::default();
            if utf8 {
                self.out.set_utf8();
            }
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.packing.is_some()
    }

    /// From the next octet on, both ways (RFC 4978 3). Everything before was flushed.
    pub(crate) fn start_compression(&mut self, permit: OwnedSemaphorePermit) {
        self.packing = Some(Box::new(Packing::new(permit)));
    }

    /// As before (RFC 8437 4.1).
    pub(crate) fn end_compression(&mut self) {
        self.packing = None;
    }

    /// Writes everything out. The client has a bounded time to take it: that is the back-pressure, and the end of a
    /// client that never reads.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        if self.out.is_empty() {
            return Ok(());
        }
        let Some(stream) = &mut self.stream else { return Err(Gone::Closed) };
        let packed = match &mut self.packing {
            Some(packing) => Some(packing.pack(self.out.bytes())?),
            None => None,
        };
        let octets = packed.as_deref().unwrap_or(self.out.bytes());
        // In pieces, so that the time is for each and not for a whole body.
        for piece in octets.chunks(FLUSH_BYTES) {
            match tokio::time::timeout(self.stall_timeout, stream.write_all(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Gone::Closed),
                Err(_) => return Err(Gone::Stalled),
            }
            self.metrics.bytes_written.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        match tokio::time::timeout(self.stall_timeout, stream.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Gone::Closed),
            Err(_) => return Err(Gone::Stalled),
        }
        self.out.clear();
        Ok(())
    }

    /// Writes out when enough waits.
    pub(crate) async fn relieve(&mut self) -> Result<(), Gone> {
        if self.out.len() >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Upgrades to TLS as server.
    pub(crate) async fn start_tls(
        &mut self,
        config: Arc<rustls::ServerConfig>,
        timeout: Duration,
    ) -> Result<(), Gone> {
        let stream = self.stream.take().ok_or(Gone::Closed)?;
        let upgraded = stream.start_tls_server(config, timeout).await.map_err(|_| Gone::Tls)?;
        self.stream = Some(upgraded);
        Ok(())
    }

    /// Ends the connection politely: TLS close_notify, FIN.
    pub(crate) async fn close(&mut self) {
        if let Some(stream) = &mut self.stream {
            let _ = tokio::time::timeout(Duration::from_secs(5), stream.shutdown()).await;
        }
        self.stream = None;
    }
}
