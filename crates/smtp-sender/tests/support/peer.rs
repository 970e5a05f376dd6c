//! A peer that follows a script: an ordinary server but for one fault.

use rustls::ServerConfig;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Where a fault strikes: what the peer would answer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Greeting,
    PlainHello,
    Starttls,
    Hello,
    Mail,
    Rcpt,
    Data,
    /// In the middle of the message, before its end.
    Body,
    End,
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// Closes without an answer.
    Drop,
    /// Says nothing and stays.
    Silence,
    /// Says this, which need not be SMTP.
    Say(String),
    /// Says this and closes.
    SayAndDrop(String),
}

#[derive(Clone, Default)]
pub struct Script {
    /// Lines of the reply to EHLO under TLS.
    pub offer: Vec<&'static str>,
    pub faults: HashMap<Step, Fault>,
    /// Faults of the first connection only.
    pub first_only: bool,
    /// Replies to RCPT by address.
    pub rcpt: HashMap<&'static str, &'static str>,
    pub no_starttls: bool,
    /// Closes after each message, without a word.
    pub one_message: bool,
    /// Each end of data waits for a permit.
    pub gate: Option<Arc<Semaphore>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub mail: String,
    pub rcpt: Vec<String>,
    pub bdat: bool,
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub connections: usize,
    pub messages: Vec<Message>,
    pub plain: Vec<String>,
    pub secret: Vec<String>,
}

#[derive(Clone)]
pub struct Peer {
    pub at: SocketAddr,
    pub seen: Arc<Mutex<Seen>>,
}

impl Peer {
    pub async fn start(tls: Arc<ServerConfig>, script: Script) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let peer = Peer { at: listener.local_addr().unwrap(), seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tcp.set_nodelay(true).unwrap();
                let mut script = script.clone();
                let mut counted = seen.lock().unwrap();
                counted.connections += 1;
                if script.first_only && counted.connections > 1 {
                    script.faults.clear();
                }
                drop(counted);
                tokio::spawn(serve(tcp, tls.clone(), script, seen.clone()));
            }
        });
        peer
    }

    pub fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

struct Session<T> {
    io: BufReader<T>,
    script: Script,
    seen: Arc<Mutex<Seen>>,
}

async fn serve(
    tcp: TcpStream,
    tls: Arc<ServerConfig>,
    script: Script,
    seen: Arc<Mutex<Seen>>,
) -> Option<()> {
    let mut plain = Session { io: BufReader::new(tcp), script, seen };
    plain.answer(Step::Greeting, "220 mx.test\r\n").await?;
    loop {
        let line = plain.line().await?;
        plain.seen.lock().unwrap().plain.push(line.clone());
        match line.split(' ').next()? {
            "EHLO" if plain.script.no_starttls => {
                plain.answer(Step::PlainHello, "250 mx.test\r\n").await?;
            }
            "EHLO" => {
                plain.answer(Step::PlainHello, "250-mx.test\r\n250 STARTTLS\r\n").await?;
            }
            "STARTTLS" => {
                plain.answer(Step::Starttls, "220 2.0.0 go\r\n").await?;
                break;
            }
            _ => plain.say("502 5.5.1 no\r\n").await?,
        }
    }
    let Session { io, script, seen } = plain;
    let io = TlsAcceptor::from(tls).accept(io.into_inner()).await.ok()?;
    Session { io: BufReader::new(io), script, seen }.mail().await
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    async fn say(&mut self, text: &str) -> Option<()> {
        self.io.get_mut().write_all(text.as_bytes()).await.ok()?;
        self.io.get_mut().flush().await.ok()
    }

    /// The ordinary answer, or the fault of this step; `None` ends the connection.
    async fn answer(&mut self, step: Step, ordinary: &str) -> Option<()> {
        match self.script.faults.get(&step).cloned() {
            None => self.say(ordinary).await,
            Some(Fault::Drop) => None,
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::Say(text)) => self.say(&text).await,
            Some(Fault::SayAndDrop(text)) => {
                self.say(&text).await;
                let _ = self.io.get_mut().shutdown().await;
                None
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(self.io.read_u8().await.ok()?);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).ok()
    }

    async fn mail(&mut self) -> Option<()> {
        let mut message = Message::default();
        loop {
            let line = self.line().await?;
            self.seen.lock().unwrap().secret.push(line.clone());
            match line.split([' ', ':']).next()? {
                "EHLO" => {
                    let mut lines = vec!["mx.test"];
                    lines.extend(&self.script.offer);
                    let last = lines.pop()?;
                    let mut text: String = lines.iter().map(|l| format!("250-{l}\r\n")).collect();
                    text.push_str(&format!("250 {last}\r\n"));
                    self.answer(Step::Hello, &text).await?;
                }
                "MAIL" => {
                    message = Message { mail: line, ..Message::default() };
                    self.answer(Step::Mail, "250 2.1.0 ok\r\n").await?;
                }
                "RCPT" => self.rcpt(line, &mut message).await?,
                "DATA"
                    if message.rcpt.is_empty() && !self.script.faults.contains_key(&Step::Data) =>
                {
                    self.say("554 5.5.1 no valid recipients\r\n").await?;
                }
                "DATA" => {
                    let fault = self.script.faults.contains_key(&Step::Data);
                    self.answer(Step::Data, "354 go\r\n").await?;
                    let refused = matches!(self.script.faults.get(&Step::Data),
                        Some(Fault::Say(text)) if !text.starts_with("354"));
                    if !(fault && refused) {
                        self.data(&mut message).await?;
                        self.end(&mut message).await?;
                    }
                }
                "BDAT" => {
                    self.bdat(&line, &mut message).await?;
                    self.end(&mut message).await?;
                }
                "RSET" => {
                    message = Message::default();
                    self.say("250 2.0.0 reset\r\n").await?;
                }
                "QUIT" => return self.say("221 2.0.0 bye\r\n").await,
                _ => self.say("502 5.5.1 no\r\n").await?,
            }
        }
    }

    async fn rcpt(&mut self, line: String, message: &mut Message) -> Option<()> {
        let address = line.split(['<', '>']).nth(1)?.to_owned();
        let reply = self.script.rcpt.get(address.as_str()).copied().unwrap_or("250 2.1.5 ok");
        if reply.starts_with('2') {
            message.rcpt.push(line);
        }
        self.answer(Step::Rcpt, &format!("{reply}\r\n")).await
    }

    async fn data(&mut self, message: &mut Message) -> Option<()> {
        let mut raw = Vec::new();
        while raw != b".\r\n" && !raw.ends_with(b"\r\n.\r\n") {
            raw.push(self.io.read_u8().await.ok()?);
            if raw.len() == 10 && self.script.faults.contains_key(&Step::Body) {
                self.answer(Step::Body, "").await?;
            }
        }
        raw.truncate(raw.len() - 3);
        // Unstuffed.
        let mut at_line = true;
        for byte in raw {
            if !(at_line && byte == b'.') {
                message.body.push(byte);
            }
            at_line = byte == b'\n';
        }
        Some(())
    }

    async fn bdat(&mut self, line: &str, message: &mut Message) -> Option<()> {
        let size: usize = line.split(' ').nth(1)?.parse().ok()?;
        assert!(line.ends_with(" LAST"));
        message.bdat = true;
        if self.script.faults.contains_key(&Step::Body) {
            self.answer(Step::Body, "").await?;
        }
        message.body = vec![0; size];
        self.io.read_exact(&mut message.body).await.ok().map(|_| ())
    }

    async fn end(&mut self, message: &mut Message) -> Option<()> {
        if let Some(gate) = self.script.gate.clone() {
            gate.acquire().await.ok()?.forget();
        }
        self.seen.lock().unwrap().messages.push(std::mem::take(message));
        self.answer(Step::End, "250 2.0.0 taken\r\n").await?;
        if self.script.one_message { None } else { Some(()) }
    }
}
