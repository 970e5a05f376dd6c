//! An IMAP client session that counts what it gets.

use crate::limits::REPLY_TIMEOUT;
use crate::tls;
use crate::wire::Wire;
use anyhow::{Context, Result, bail};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// Where, over TLS from the first byte.
#[derive(Clone)]
pub struct ImapTarget {
    /// The server.
    pub address: SocketAddr,
    /// Name that its certificate must bear.
    pub server_name: String,
    /// TLS side of the client.
    pub tls: Arc<ClientConfig>,
}

/// The answer to one command.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Untagged lines; literals are not in them.
    pub lines: Vec<String>,
    /// Octets of all literals.
    pub literal_bytes: u64,
    /// Text after `OK`.
    pub text: String,
}

impl Answer {
    /// The number of messages that `SELECT` told.
    pub fn exists(&self) -> Option<u64> {
        self.lines.iter().rev().find_map(|line| exists(line))
    }
}

/// An open, authenticated session.
pub struct ImapSession {
    wire: Wire<TlsStream<TcpStream>>,
    line: Vec<u8>,
    tag: u64,
}

impl ImapSession {
    /// Connects and logs in.
    pub async fn open(target: &ImapTarget, login: &str, password: &str) -> Result<ImapSession> {
        let stream = tls::connect(target.address).await?;
        let stream = tls::start_tls(&target.tls, &target.server_name, stream).await?;
        let mut session = ImapSession { wire: Wire::new(stream), line: Vec::new(), tag: 0 };
        session.read_line(&mut Answer::default()).await.context("greeting")?;
        session.command(&format!("LOGIN {} {}", quoted(login), quoted(password))).await?;
        Ok(session)
    }

    /// Sends a command and reads up to its tagged OK; NO and BAD are errors.
    pub async fn command(&mut self, text: &str) -> Result<Answer> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        self.wire.send(format!("{tag} {text}\r\n").as_bytes()).await?;
        self.finish(&tag, text).await
    }

    /// APPEND with a synchronising literal.
    pub async fn append(&mut self, folder: &str, flags: &str, message: &[u8]) -> Result<Answer> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        let command =
            format!("{tag} APPEND {} ({flags}) {{{}}}\r\n", quoted(folder), message.len());
        self.wire.send(command.as_bytes()).await?;
        self.continuation().await?;
        self.wire.send(&[message, b"\r\n"].concat()).await?;
        self.finish(&tag, "APPEND").await
    }

    /// Several messages by one APPEND (RFC 3502), without waiting before each (RFC 7888).
    pub async fn append_many(&mut self, folder: &str, messages: &[Vec<u8>]) -> Result<Answer> {
        self.tag += 1;
        let tag = format!("a{}", self.tag);
        let mut command = format!("{tag} APPEND {}", quoted(folder)).into_bytes();
        for message in messages {
            command.extend_from_slice(format!(" () {{{}+}}\r\n", message.len()).as_bytes());
            command.extend_from_slice(message);
        }
        command.extend_from_slice(b"\r\n");
        self.wire.send(&command).await?;
        self.finish(&tag, "APPEND").await
    }

    /// Enters IDLE; the server has confirmed it on return.
    pub async fn idle(&mut self) -> Result<()> {
        self.tag += 1;
        self.wire.send(format!("a{} IDLE\r\n", self.tag).as_bytes()).await?;
        self.continuation().await
    }

    /// Waits in IDLE for the folder to hold at least `count` messages.
    pub async fn wait_exists(&mut self, count: u64) -> Result<()> {
        let wait = async {
            loop {
                let line = self.read_line(&mut Answer::default()).await?;
                if exists(&line).is_some_and(|now| now >= count) {
                    return Ok(());
                }
            }
        };
        timeout(REPLY_TIMEOUT, wait).await.context("no EXISTS in IDLE")?
    }

    /// Leaves IDLE.
    pub async fn done(&mut self) -> Result<Answer> {
        self.wire.send(b"DONE\r\n").await?;
        let tag = format!("a{}", self.tag);
        self.finish(&tag, "DONE").await
    }

    /// LOGOUT.
    pub async fn logout(mut self) -> Result<()> {
        self.command("LOGOUT").await?;
        self.wire.close().await;
        Ok(())
    }

    async fn continuation(&mut self) -> Result<()> {
        loop {
            let line = self.read_line(&mut Answer::default()).await?;
            if line.starts_with('+') {
                return Ok(());
            }
            if !line.starts_with('*') {
                bail!("no continuation: {}", without_timing(&line));
            }
        }
    }

    async fn finish(&mut self, tag: &str, what: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.read_line(&mut answer).await.with_context(|| what.to_owned())?;
            match line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                None => answer.lines.push(line),
                Some(rest) => match rest.strip_prefix("OK") {
                    Some(text) => {
                        answer.text = text.trim_start().to_owned();
                        return Ok(answer);
                    }
                    None => bail!("{what}: {}", without_timing(rest)),
                },
            }
        }
    }

    /// One logical line; the octets of its literals are counted and dropped.
    async fn read_line(&mut self, answer: &mut Answer) -> Result<String> {
        let mut whole = String::new();
        loop {
            self.wire.line(&mut self.line).await?;
            whole.push_str(&String::from_utf8_lossy(&self.line));
            let Some(count) = literal(&whole) else { return Ok(whole) };
            self.wire.octets(count, |_| {}).await?;
            answer.literal_bytes += count;
            whole.push(' ');
        }
    }
}

/// `…{123}` at the end of a line.
fn literal(line: &str) -> Option<u64> {
    let (_, count) = line.strip_suffix('}')?.rsplit_once('{')?;
    count.parse().ok()
}

/// `* 12 EXISTS`
fn exists(line: &str) -> Option<u64> {
    line.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok()
}

/// Dovecot ends each answer with the time that it took: alike answers must count as one.
fn without_timing(line: &str) -> &str {
    line.split(" (0.").next().unwrap_or(line)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{exists, literal, quoted};

    #[test]
    fn lines_are_read() {
        assert_eq!(literal("* 1 FETCH (BODY[] {42}"), Some(42));
        assert_eq!(literal("* 1 FETCH (FLAGS ())"), None);
        assert_eq!(exists("* 7 EXISTS"), Some(7));
        assert_eq!(quoted("a\"b"), "\"a\\\"b\"");
    }
}
