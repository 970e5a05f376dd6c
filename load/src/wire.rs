//! Lines and exact octet counts over a stream, with a limit and a timeout on each wait.

use crate::limits::{LINE_BYTES_MAX, REPLY_TIMEOUT};
use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A stream with a read buffer.
pub struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> Self {
        Wire { stream, buffer: Vec::with_capacity(16 * 1024), start: 0 }
    }

    /// Gives the stream back; octets read ahead are an error (a server must not speak before TLS).
    pub fn into_inner(self) -> Result<S> {
        if self.start < self.buffer.len() {
            bail!("the server sent octets ahead of TLS");
        }
        Ok(self.stream)
    }

    /// Writes everything and flushes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(REPLY_TIMEOUT, write).await.context("the server does not read")?.context("writing")
    }

    /// Reads one line into `line`, without its CRLF.
    pub async fn line(&mut self, line: &mut Vec<u8>) -> Result<()> {
        line.clear();
        loop {
            if let Some(end) = self.buffer[self.start..].iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&self.buffer[self.start..self.start + end]);
                self.start += end + 1;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(());
            }
            if self.buffer.len() - self.start > LINE_BYTES_MAX {
                bail!("a line longer than {LINE_BYTES_MAX} octets");
            }
            self.fill().await?;
        }
    }

    /// Reads exactly `count` octets and hands them to `take` in pieces.
    pub async fn octets(&mut self, count: u64, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut left = count;
        while left > 0 {
            if self.start == self.buffer.len() {
                self.fill().await?;
            }
            let here = ((self.buffer.len() - self.start) as u64).min(left) as usize;
            take(&self.buffer[self.start..self.start + here]);
            self.start += here;
            left -= here as u64;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > 8 * 1024 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(16 * 1024);
        let read = timeout(REPLY_TIMEOUT, self.stream.read_buf(&mut self.buffer));
        let count = read.await.context("the server does not answer")?.context("reading")?;
        if count == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    /// Ends the connection politely.
    pub async fn close(mut self) {
        let _ = timeout(REPLY_TIMEOUT, self.stream.shutdown()).await;
    }
}
