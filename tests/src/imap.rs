//! A test's own IMAP client: it says exactly what it is told, and shows exactly what it hears.

use crate::palombe::Palombe;
use crate::pki;
use crate::wait::PATIENCE;
use anyhow::{Context, Result, bail, ensure};
use palombe_load::tls::client_config;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One line of the server with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// `* …`: its text, without the literals, and the literals that stood in it.
    Untagged(String, Vec<Vec<u8>>),
    /// `+ …`
    Continue(String),
    /// The end of the command with this tag: its text from `OK`, `NO` or `BAD` on.
    Tagged(String, String),
}

/// What one command brought.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Untagged lines with their literals.
    pub untagged: Vec<(String, Vec<Vec<u8>>)>,
    /// `OK …`, `NO …` or `BAD …`.
    pub end: String,
}

impl Answer {
    /// Did the server say OK?
    pub fn is_ok(&self) -> bool {
        self.end.starts_with("OK")
    }

    /// Texts of the untagged lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.untagged.iter().map(|(text, _)| text.as_str())
    }
}

/// A connection over TLS; a read that lasts longer than [`PATIENCE`] is an error.
pub struct Imap {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    tag: u32,
    /// Told while something else was waited for.
    held: VecDeque<Heard>,
}

impl Imap {
    /// Connects, checks the certificate, reads the greeting.
    pub fn connect(address: SocketAddr, host: &str) -> Result<Imap> {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned())?;
        let tls = ClientConnection::new(client_config(&pki::anchors(), None)?, name)?;
        let stream = BufReader::with_capacity(64 * 1024, StreamOwned::new(tls, tcp));
        let mut imap = Imap { stream, tag: 0, held: VecDeque::new() };
        match imap.heard().context("greeting")? {
            Heard::Untagged(text, _) if text.starts_with("OK") => Ok(imap),
            other => bail!("not a greeting: {other:?}"),
        }
    }

    /// Connects and logs in as the holder of a BAL.
    pub fn open(operator: &Palombe, address: &str) -> Result<Imap> {
        let mut imap = Imap::connect(operator.imaps(), &operator.hostname())?;
        imap.ok(&format!("LOGIN \"{address}\" \"{}\"", operator.password))?;
        Ok(imap)
    }

    /// The socket, to ask for other patience or to end it rudely.
    pub fn socket(&self) -> &TcpStream {
        &self.stream.get_ref().sock
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(octets)?;
        stream.flush()?;
        Ok(())
    }

    /// Sends a command with a tag of its own, which it returns, and reads nothing.
    pub fn say(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(format!("{tag} {command}\r\n").as_bytes())?;
        Ok(tag)
    }

    /// Sends a command and reads to its end, whatever that is.
    pub fn command(&mut self, command: &str) -> Result<Answer> {
        let tag = self.say(command)?;
        self.answer(&tag).with_context(|| shortened(command))
    }

    /// The same, and it must end with OK.
    pub fn ok(&mut self, command: &str) -> Result<Answer> {
        let answer = self.command(command)?;
        ensure!(answer.is_ok(), "{}: {}", shortened(command), answer.end);
        Ok(answer)
    }

    /// Reads to the end of the command with this tag.
    pub fn answer(&mut self, tag: &str) -> Result<Answer> {
        let mut answer = Answer::default();
        loop {
            match self.heard()? {
                Heard::Untagged(text, literals) => answer.untagged.push((text, literals)),
                Heard::Tagged(of, end) if of == tag => return Ok(Answer { end, ..answer }),
                other => bail!("waiting for the end of {tag}: {other:?}"),
            }
        }
    }

    /// APPEND with a synchronising literal; what the command brought.
    pub fn append(&mut self, folder: &str, flags: &str, message: &[u8]) -> Result<Answer> {
        let tag = self.say(&format!("APPEND {folder} ({flags}) {{{}}}", message.len()))?;
        self.continuation()?;
        self.send(&[message, b"\r\n"].concat())?;
        let answer = self.answer(&tag)?;
        ensure!(answer.is_ok(), "APPEND: {}", answer.end);
        Ok(answer)
    }

    /// Enters IDLE; the server has confirmed it on return. The tag for [`Imap::done`].
    pub fn idle(&mut self) -> Result<String> {
        let tag = self.say("IDLE")?;
        self.continuation()?;
        Ok(tag)
    }

    /// Leaves IDLE.
    pub fn done(&mut self, tag: &str) -> Result<Answer> {
        self.send(b"DONE\r\n")?;
        self.answer(tag)
    }

    /// Reads untagged lines until one is `wanted`; that one.
    pub fn hear(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut others = Vec::new();
        loop {
            match self.heard().with_context(|| format!("waiting for {what}, heard {others:?}"))? {
                Heard::Untagged(text, _) if wanted(&text) => return Ok(text),
                other => others.push(other),
            }
        }
    }

    /// The next line of the server.
    pub fn heard(&mut self) -> Result<Heard> {
        match self.held.pop_front() {
            Some(heard) => Ok(heard),
            None => self.read(),
        }
    }

    fn read(&mut self) -> Result<Heard> {
        let (mut text, mut literals) = (String::new(), Vec::new());
        loop {
            let mut line = Vec::new();
            self.stream.read_until(b'\n', &mut line)?;
            let line = String::from_utf8(line)?;
            let Some(line) = line.strip_suffix("\r\n") else { bail!("cut off: {text}{line}") };
            text.push_str(line);
            let size = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            let Some(size) = size.and_then(|(_, digits)| digits.parse().ok()) else { break };
            let mut literal = vec![0; size];
            self.stream.read_exact(&mut literal)?;
            literals.push(literal);
        }
        if let Some(rest) = text.strip_prefix("* ") {
            return Ok(Heard::Untagged(rest.to_owned(), literals));
        }
        let (tag, rest) = text.split_once(' ').unwrap_or((&text, ""));
        Ok(match tag {
            "+" => Heard::Continue(rest.to_owned()),
            _ => Heard::Tagged(tag.to_owned(), rest.to_owned()),
        })
    }

    /// Reads to the server's `+`; what it told before waits for the next reader.
    fn continuation(&mut self) -> Result<()> {
        loop {
            match self.read()? {
                Heard::Continue(_) => return Ok(()),
                Heard::Tagged(_, end) => bail!("no continuation: {end}"),
                told => self.held.push_back(told),
            }
        }
    }
}

/// The beginning of a command, for messages.
fn shortened(command: &str) -> String {
    command.chars().take(80).collect()
}
