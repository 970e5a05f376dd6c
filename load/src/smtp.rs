//! An SMTP client session: EHLO, STARTTLS, AUTH PLAIN, pipelined transactions.

use crate::tls;
use crate::wire::Wire;
use anyhow::{Context, Result, bail};
use base64::Engine;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Where, and as whom.
#[derive(Clone)]
pub struct SmtpTarget {
    /// The server.
    pub address: SocketAddr,
    /// Name that its certificate must bear.
    pub server_name: String,
    /// Name said in EHLO.
    pub helo: String,
    /// TLS side of the client.
    pub tls: Arc<ClientConfig>,
    /// Login and password for AUTH PLAIN.
    pub login: Option<(String, String)>,
    /// MAIL, RCPT and DATA in one write when the server allows it.
    pub pipelining: bool,
}

/// A reply: its code and its last line.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// All lines, joined.
    pub text: String,
}

impl Reply {
    /// 2xx.
    pub fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// What became of one transaction.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// 250 at the end of data.
    Accepted(Reply),
    /// Any other answer, at any point; the session can go on.
    Refused(Reply),
}

/// What follows the addresses, each with its leading space: ` RET=HDRS`, ` NOTIFY=SUCCESS`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'a> {
    /// Of MAIL.
    pub mail: &'a str,
    /// Of each RCPT.
    pub rcpt: &'a str,
}

/// An open session.
pub struct SmtpSession {
    wire: Wire<TlsStream<TcpStream>>,
    pipelining: bool,
    line: Vec<u8>,
}

impl SmtpSession {
    /// Connects, starts TLS, says EHLO again and authenticates when asked.
    pub async fn open(target: &SmtpTarget) -> Result<SmtpSession> {
        let mut line = Vec::new();
        let mut plain = Wire::new(tls::connect(target.address).await?);
        expect(&mut plain, &mut line, 220, "greeting").await?;
        let ehlo = format!("EHLO {}\r\n", target.helo);
        plain.send(ehlo.as_bytes()).await?;
        expect(&mut plain, &mut line, 250, "EHLO").await?;
        plain.send(b"STARTTLS\r\n").await?;
        expect(&mut plain, &mut line, 220, "STARTTLS").await?;
        let stream = tls::start_tls(&target.tls, &target.server_name, plain.into_inner()?).await?;
        let mut wire = Wire::new(stream);
        wire.send(ehlo.as_bytes()).await?;
        let offer = expect(&mut wire, &mut line, 250, "EHLO over TLS").await?;
        let pipelining = target.pipelining && offer.text.contains("PIPELINING");
        if let Some((login, password)) = &target.login {
            let plain = format!("\0{login}\0{password}");
            let encoded = base64::engine::general_purpose::STANDARD.encode(plain);
            wire.send(format!("AUTH PLAIN {encoded}\r\n").as_bytes()).await?;
            expect(&mut wire, &mut line, 235, "AUTH").await?;
        }
        Ok(SmtpSession { wire, pipelining, line })
    }

    /// Sends one message: `content` comes from [`end_of_data`].
    pub async fn send(&mut self, from: &str, to: &[&str], content: &[u8]) -> Result<Outcome> {
        self.send_with(from, to, content, Parameters::default()).await
    }

    /// The same with ESMTP parameters.
    pub async fn send_with(
        &mut self,
        from: &str,
        to: &[&str],
        content: &[u8],
        parameters: Parameters<'_>,
    ) -> Result<Outcome> {
        let Parameters { mail, rcpt } = parameters;
        let mut commands = vec![format!("MAIL FROM:<{from}>{mail}\r\n")];
        commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>{rcpt}\r\n")));
        commands.push("DATA\r\n".to_owned());
        let mut refused = None;
        let mut go = false;
        if self.pipelining {
            // RFC 2920 3.1: DATA ends the group.
            self.wire.send(commands.concat().as_bytes()).await?;
        }
        let last = commands.len() - 1;
        for (index, command) in commands.iter().enumerate() {
            if !self.pipelining {
                self.wire.send(command.as_bytes()).await?;
            }
            let reply = reply(&mut self.wire, &mut self.line).await?;
            let good = if index == last { reply.code == 354 } else { reply.is_positive() };
            go = index == last && good;
            if !good && refused.is_none() {
                refused = Some(reply);
                if !self.pipelining {
                    break;
                }
            }
        }
        if let Some(refusal) = refused {
            if go {
                // Some recipients were refused, but the server waits for content: an empty one ends it.
                self.wire.send(b".\r\n").await?;
                reply(&mut self.wire, &mut self.line).await?;
            }
            self.wire.send(b"RSET\r\n").await?;
            reply(&mut self.wire, &mut self.line).await?;
            return Ok(Outcome::Refused(refusal));
        }
        self.wire.send(content).await?;
        let reply = reply(&mut self.wire, &mut self.line).await?;
        Ok(if reply.is_positive() { Outcome::Accepted(reply) } else { Outcome::Refused(reply) })
    }

    /// QUIT, its reply, and the end of TLS.
    pub async fn quit(mut self) -> Result<()> {
        self.wire.send(b"QUIT\r\n").await?;
        expect(&mut self.wire, &mut self.line, 221, "QUIT").await?;
        self.wire.close().await;
        Ok(())
    }
}

/// Ends the content as SMTP wants it: the final dot. Lines that begin with a dot get a second one.
pub fn end_of_data(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.'); // RFC 5321 4.5.2
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

async fn expect<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    line: &mut Vec<u8>,
    code: u16,
    what: &str,
) -> Result<Reply> {
    let reply = reply(wire, line).await.with_context(|| format!("{what}: no reply"))?;
    if reply.code != code {
        bail!("{what}: {} {}", reply.code, reply.text);
    }
    Ok(reply)
}

async fn reply<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    line: &mut Vec<u8>,
) -> Result<Reply> {
    let mut text = String::new();
    loop {
        wire.line(line).await?;
        let shown = String::from_utf8_lossy(line);
        let code = shown.get(..3).and_then(|digits| digits.parse().ok());
        let Some(code) = code else { bail!("not an SMTP reply: {shown}") };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(shown.get(4..).unwrap_or(""));
        if shown.as_bytes().get(3) != Some(&b'-') {
            return Ok(Reply { code, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::end_of_data;

    #[test]
    fn dots_are_doubled_and_the_end_is_marked() {
        assert_eq!(end_of_data(b"a\r\n.b\r\n..\r\n"), b"a\r\n..b\r\n...\r\n.\r\n");
        assert_eq!(end_of_data(b"a"), b"a\r\n.\r\n");
    }
}
