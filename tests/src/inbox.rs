//! A folder of a BAL as an IMAP client reads it: every UID with every octet, in one session.

use crate::palombe::Palombe;
use crate::pki;
use anyhow::{Context, Result, bail};
use palombe_load::tls::client_config;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What INBOX held at one instant.
#[derive(Debug, Default)]
pub struct Content {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT, told before the messages were read.
    pub uid_next: u32,
    /// Messages by UID.
    pub messages: BTreeMap<u32, Vec<u8>>,
}

/// A session with INBOX selected.
pub struct Inbox {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    tag: u32,
    uid_validity: u32,
    uid_next: u32,
}

/// An untagged answer: its text, and the literals that stood in it.
type Untagged = (String, Vec<Vec<u8>>);

impl Inbox {
    /// Signs in as the holder of `address` and selects INBOX.
    pub fn open(operator: &Palombe, address: &str) -> Result<Inbox> {
        let tcp = TcpStream::connect(operator.imaps())?;
        tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(operator.hostname())?;
        let tls = ClientConnection::new(client_config(&pki::anchors(), None)?, name)?;
        let stream = BufReader::with_capacity(64 * 1024, StreamOwned::new(tls, tcp));
        let mut inbox = Inbox { stream, tag: 0, uid_validity: 0, uid_next: 0 };
        inbox.untagged()?.context("no greeting")?;
        inbox.command(&format!("LOGIN \"{address}\" \"{}\"", operator.password))?;
        for (text, _) in inbox.command("SELECT INBOX")? {
            let number = |name: &str| {
                let digits = text.split(name).nth(1)?.split(']').next()?;
                digits.trim().parse().ok()
            };
            inbox.uid_validity = number("[UIDVALIDITY").unwrap_or(inbox.uid_validity);
            inbox.uid_next = number("[UIDNEXT").unwrap_or(inbox.uid_next);
        }
        if inbox.uid_validity == 0 || inbox.uid_next == 0 {
            bail!("SELECT told no UIDVALIDITY or no UIDNEXT");
        }
        Ok(inbox)
    }

    /// Every message with every octet.
    pub fn read(&mut self) -> Result<Content> {
        let mut content = Content {
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            messages: BTreeMap::new(),
        };
        for (text, mut literals) in self.command("UID FETCH 1:* (UID BODY.PEEK[])")? {
            if !text.contains(" FETCH ") {
                continue;
            }
            let uid = text.split("UID ").nth(1).context("no UID")?;
            let uid = uid.split([' ', ')']).next().unwrap_or_default().parse()?;
            let body = literals.pop().with_context(|| format!("no body: {text}"))?;
            if content.messages.insert(uid, body).is_some() {
                bail!("UID {uid} told twice");
            }
        }
        Ok(content)
    }

    /// Removes these messages for good.
    pub fn expunge(&mut self, uids: impl Iterator<Item = u32>) -> Result<()> {
        let uids: Vec<String> = uids.map(|uid| uid.to_string()).collect();
        for some in uids.chunks(500) {
            let set = some.join(",");
            self.command(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)"))?;
            self.command(&format!("UID EXPUNGE {set}"))?;
        }
        Ok(())
    }

    fn command(&mut self, text: &str) -> Result<Vec<Untagged>> {
        self.tag += 1;
        write!(self.stream.get_mut(), "a{} {text}\r\n", self.tag)?;
        self.stream.get_mut().flush()?;
        let mut answers = Vec::new();
        while let Some(answer) = self.untagged().with_context(|| text.to_owned())? {
            answers.push(answer);
        }
        Ok(answers)
    }

    /// The next answer; `None` at the tagged OK.
    fn untagged(&mut self) -> Result<Option<Untagged>> {
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
        if text.starts_with("* ") {
            return Ok(Some((text, literals)));
        }
        if text.split(' ').nth(1) != Some("OK") {
            bail!("{text}");
        }
        Ok(None)
    }
}
