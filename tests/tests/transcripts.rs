//! The transcripts of `tests/transcripts/smtp`, the smuggling suite and the STARTTLS injections against the whole
//! server: real process, real TLS, both ports.

#[path = "../../crates/smtp-proto/tests/runner/ends.rs"]
mod ends;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use palombe_tests::inbox::Inbox;
use palombe_tests::palombe::Palombe;
use palombe_tests::peer::Caller;
use palombe_tests::repo;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const SENDER: &str = "medecin@alpha.mssante.test";
const RECIPIENT: &str = "marie@beta.mssante.test";
const PEER: &str = "op-alpha";
const BYE: &str = "221 2.0.0 Bye";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Interop,
    Submission,
}

const SERVICES: [Service; 2] = [Service::Interop, Service::Submission];

/// One operator with one BAL.
struct World(Palombe);

impl World {
    fn start() -> Result<World> {
        let palombe = Palombe::start("beta")?;
        palombe.add_bal("marie")?;
        Ok(World(palombe))
    }

    fn address(&self, service: Service) -> SocketAddr {
        match service {
            Service::Interop => self.0.smtp(),
            Service::Submission => self.0.submission(),
        }
    }

    fn certificate(service: Service) -> Option<&'static str> {
        (service == Service::Interop).then_some(PEER)
    }

    fn auth(&self, password: &str) -> String {
        let response = format!("\0{RECIPIENT}\0{password}");
        base64::engine::general_purpose::STANDARD.encode(response)
    }

    /// Past STARTTLS and EHLO, and past AUTH on submission.
    fn ready(&self, service: Service) -> Result<Caller> {
        let (address, name) = (self.address(service), self.0.hostname());
        let mut caller = Caller::over_tls(address, &name, World::certificate(service))?;
        if service == Service::Submission {
            let reply = caller.ask(&format!("AUTH PLAIN {}", self.auth(&self.0.password)))?;
            ensure!(reply.starts_with("235 "), "{reply}");
        }
        Ok(caller)
    }

    fn names(&self, text: &str, service: Service) -> String {
        let sender = if service == Service::Interop { SENDER } else { RECIPIENT };
        text.replace("{hostname}", &self.0.hostname())
            .replace("{sender}", sender)
            .replace("{recipient}", RECIPIENT)
            .replace("{unknown}", "personne@beta.mssante.test")
            .replace("{auth}", &self.auth(&self.0.password))
            .replace("{auth-wrong}", &self.auth("faux"))
    }

    fn inbox(&self) -> Result<Vec<Vec<u8>>> {
        Ok(Inbox::open(&self.0, RECIPIENT)?.read()?.messages.into_values().collect())
    }
}

/// A transcript that a live server cannot follow, and why. Empty: all of them can.
const SKIPPED: [(&str, &str); 0] = [];

#[test]
fn transcripts_hold_on_the_whole_server() -> Result<()> {
    let world = World::start()?;
    let root = repo::root().join("tests/transcripts/smtp");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    ensure!(files.len() > 20, "transcripts in {}", root.display());
    let mut runs = 0;
    for file in &files {
        let shown = file.strip_prefix(&root)?.display().to_string();
        if let Some((_, why)) = SKIPPED.iter().find(|(name, _)| *name == shown) {
            println!("SKIP: {shown}: {why}");
            continue;
        }
        let text = std::fs::read_to_string(file)?;
        let steps: &[usize] =
            if text.contains("# whole:") { &[usize::MAX] } else { &[usize::MAX, 1, 7] };
        for step in steps {
            run(&world, &text, *step).with_context(|| format!("{shown} (step {step})"))?;
            runs += 1;
        }
    }
    println!("{} transcripts, {runs} runs", files.len());
    // What the transcripts handed over as good mail, and nothing else.
    let messages = world.inbox()?;
    ensure!(!messages.is_empty() && messages.iter().all(|m| m.starts_with(b"Return-Path: <")));
    for message in messages {
        let text = String::from_utf8_lossy(&message).into_owned();
        ensure!(!text.contains("hidden") && !text.contains("MAIL FROM"), "{text}");
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    Ok(())
}

/// One transcript, its octets in pieces of `step`.
fn run(world: &World, text: &str, step: usize) -> Result<()> {
    let mut service = Service::Interop;
    let mut caller = None;
    let mut sent = Vec::new();
    let mut closed = false;
    for (number, line) in text.lines().enumerate() {
        let place = || format!("line {}: {}", number + 1, &line[..line.len().min(100)]);
        match line.split_once(": ").unwrap_or((line, "")) {
            ("service", "submission") => service = Service::Submission,
            ("service", "interop") => {}
            ("start", "clear") => caller = Some(Caller::connect(world.address(service))?),
            ("start", "ready") => caller = Some(world.ready(service)?),
            ("C", said) => sent.extend(unescape(&world.names(said, service))?),
            ("S", expected) => {
                let caller = caller.as_mut().context("start: first")?;
                for piece in std::mem::take(&mut sent).chunks(step) {
                    caller.send(piece).with_context(place)?;
                }
                closed = expected == "<close>";
                expect(caller, &world.names(expected, service)).with_context(place)?;
            }
            (comment, _) if comment.is_empty() || comment.starts_with('#') => {}
            _ => bail!("{}", place()),
        }
    }
    // Nothing is left over: the next reply is that to QUIT.
    if !closed {
        let mut caller = caller.context("start: is missing")?;
        let reply = caller.ask("QUIT")?;
        ensure!(reply == BYE, "left over: {reply}");
        ensure!(caller.line()?.is_none(), "open after QUIT");
    }
    Ok(())
}

fn expect(caller: &mut Caller, expected: &str) -> Result<()> {
    loop {
        let Some(line) = caller.line()? else {
            ensure!(expected == "<close>", "expected {expected}, got the end");
            return Ok(());
        };
        if let Some(code) = expected.strip_suffix("-...") {
            ensure!(line.starts_with(code), "expected {expected}, got {line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return Ok(());
            }
            continue;
        }
        let same = match expected.strip_suffix('*') {
            Some(start) => line.starts_with(start),
            None => line == expected,
        };
        ensure!(same, "expected {expected}, got {line}");
        return Ok(());
    }
}

/// `\r \n \0 \\ \xHH`, and CRLF at the end unless the line ends in `\c`.
fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('0') => out.push(0),
            Some('c') => return Ok(out),
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16)?);
            }
            Some(other) => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {}
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// The envelope, and the message that hides behind the false end.
fn smuggler(service: Service) -> (String, String) {
    let sender = if service == Service::Interop { SENDER } else { RECIPIENT };
    let envelope = format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{RECIPIENT}>\r\n");
    let hidden = format!("{envelope}DATA\r\nFrom: <{sender}>\r\n\r\nhidden\r\n.\r\n");
    (envelope, hidden)
}

/// How the message is sent.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Each command after the reply to the one before.
    InTurn,
    /// Commands together, content after 354.
    Pipelined,
    /// Everything in one write.
    AtOnce,
    /// The content in one chunk.
    Bdat,
    /// In two chunks and an empty last one, cut after the first octet of the false end.
    CutChunks,
}

/// The replies to the whole attempt, QUIT among them.
fn smuggle(world: &World, service: Service, end: &[u8], way: Way) -> Result<Vec<String>> {
    let (envelope, hidden) = smuggler(service);
    let head = b"From: <a@b.fr>\r\n\r\nbody".as_slice();
    let content = [head, end, hidden.as_bytes()].concat();
    let mut caller = world.ready(service)?;
    let mut replies = Vec::new();
    let mut send = |bytes: &[u8], count: usize| -> Result<()> {
        caller.send(bytes)?;
        for _ in 0..count {
            replies.push(caller.reply()?);
        }
        Ok(())
    };
    match way {
        Way::InTurn => {
            for command in envelope.split_inclusive("\r\n") {
                send(command.as_bytes(), 1)?;
            }
            send(b"DATA\r\n", 1)?;
            send(&[&content, b"QUIT\r\n".as_slice()].concat(), 2)?;
        }
        Way::Pipelined => {
            send(format!("{envelope}DATA\r\n").as_bytes(), 3)?;
            send(&[&content, b"QUIT\r\n".as_slice()].concat(), 2)?;
        }
        Way::AtOnce => {
            send(&[envelope.as_bytes(), b"DATA\r\n", &content, b"QUIT\r\n"].concat(), 5)?;
        }
        Way::Bdat => {
            let head = format!("{envelope}BDAT {} LAST\r\n", content.len());
            send(&[head.as_bytes(), &content, b"QUIT\r\n"].concat(), 4)?;
        }
        Way::CutChunks => {
            send(envelope.as_bytes(), 2)?;
            let (first, second) = content.split_at(head.len() + 1);
            for chunk in [first, second] {
                send(&[format!("BDAT {}\r\n", chunk.len()).as_bytes(), chunk].concat(), 1)?;
            }
            send(b"BDAT 0 LAST\r\nQUIT\r\n", 2)?;
        }
    }
    replies.push(caller.reply()?);
    Ok(replies)
}

// RFC 5321 2.3.8, 4.1.1.4: only CRLF.CRLF ends a message; RFC 3030 2: nothing but its count ends a chunk.
#[test]
fn no_second_message_hides_behind_a_false_end() -> Result<()> {
    let world = World::start()?;
    for service in SERVICES {
        for end in ends::ENDS {
            for way in [Way::InTurn, Way::Pipelined, Way::AtOnce, Way::Bdat, Way::CutChunks] {
                let what = || format!("{service:?} {way:?} {:?}", String::from_utf8_lossy(end));
                let replies = smuggle(&world, service, end, way).with_context(what)?;
                let rest = &replies[2..];
                ensure!(replies[0] == "250 2.1.0 Sender OK", "{}: {replies:?}", what());
                ensure!(replies[1] == "250 2.1.5 Recipient OK", "{}: {replies:?}", what());
                ensure!(rest[rest.len() - 2..] == [BYE, "closed"], "{}: {replies:?}", what());
                let refused = rest.iter().filter(|reply| reply.starts_with("550 5.6.11 ")).count();
                ensure!(refused == 1, "{}: {replies:?}", what());
                // No reply that accepts a sender, a recipient or a message.
                let accepts = |r: &&String| r.starts_with("250 2.1.") || r.ends_with(" accepted");
                ensure!(!rest.iter().any(|r| accepts(&r)), "{}: {replies:?}", what());
            }
        }
    }
    let left = world.inbox()?;
    ensure!(left.is_empty(), "{} messages came through", left.len());
    let queue = world.0.cli(&["--json", "queue", "list"])?;
    ensure!(queue.trim() == "[]", "{queue}");
    Ok(())
}

// RFC 5321 4.5.2
#[test]
fn a_dot_stuffed_message_in_a_message_is_content_octet_for_octet() -> Result<()> {
    let world = World::start()?;
    for service in SERVICES {
        let (envelope, hidden) = smuggler(service);
        let sender = if service == Service::Interop { SENDER } else { RECIPIENT };
        let head = format!("From: <{sender}>\r\nSubject: {service:?}\r\n\r\n");
        let inner = hidden.replace("\r\n.\r\n", "\r\n..\r\n");
        let mut caller = world.ready(service)?;
        caller.send(format!("{envelope}DATA\r\n{head}..\r\n{inner}.\r\nQUIT\r\n").as_bytes())?;
        let replies: Vec<String> = (0..5).map(|_| caller.reply()).collect::<Result<_>>()?;
        ensure!(replies[3].ends_with(" accepted") && replies[4] == BYE, "{replies:?}");
        let wanted = format!("{head}.\r\n{hidden}");
        let found = world.inbox()?;
        ensure!(found.iter().any(|m| m.ends_with(wanted.as_bytes())), "{service:?}");
    }
    ensure!(world.inbox()?.len() == 2);
    Ok(())
}

// RFC 3207 6, CVE-2011-0411: nothing said before TLS counts after it.
#[test]
fn nothing_is_injected_into_tls() -> Result<()> {
    let world = World::start()?;
    let refused = "503 5.5.1 Nothing may follow STARTTLS, closing connection";
    for service in SERVICES {
        let (envelope, _) = smuggler(service);
        let behind = [
            "NOOP\r\n".to_owned(),
            "EHLO injected.example\r\n".to_owned(),
            format!("EHLO injected.example\r\n{envelope}"),
            format!("AUTH PLAIN {}\r\n", world.auth(&world.0.password)),
            "\r\n".to_owned(),
            "\n".to_owned(),
            "\0".to_owned(),
            // The beginning of a TLS record.
            "\u{16}\u{3}\u{1}".to_owned(),
        ];
        for injected in behind {
            let mut caller = Caller::connect(world.address(service))?;
            caller.reply()?;
            caller.ask("EHLO client.example")?;
            caller.send(format!("STARTTLS\r\n{injected}").as_bytes())?;
            let reply = caller.reply().with_context(|| format!("{service:?} {injected:?}"))?;
            ensure!(reply == refused, "{service:?} {injected:?}: {reply}");
            ensure!(caller.reply()? == "closed", "{service:?} {injected:?}");
        }
        // A bare LF ends no command, STARTTLS least of all.
        let mut caller = Caller::connect(world.address(service))?;
        caller.reply()?;
        caller.ask("EHLO client.example")?;
        let reply = caller.ask("STARTTLS\nNOOP")?;
        ensure!(reply == "500 5.5.2 Bare LF in a command line, closing connection", "{reply}");
        ensure!(caller.reply()? == "closed");
        in_clear_after_the_220(&world, service)?;
        forgotten_after_tls(&world, service)?;
    }
    ensure!(world.inbox()?.is_empty());
    Ok(())
}

/// Commands instead of a handshake: no reply to them, and the end.
fn in_clear_after_the_220(world: &World, service: Service) -> Result<()> {
    let (envelope, _) = smuggler(service);
    let mut caller = Caller::connect(world.address(service))?;
    caller.reply()?;
    caller.ask("EHLO client.example")?;
    let reply = caller.ask("STARTTLS")?;
    ensure!(reply.starts_with("220 "), "{reply}");
    caller.send(envelope.as_bytes())?;
    // At most a TLS alert, which is no line.
    match caller.line() {
        Ok(None) => Ok(()),
        Ok(Some(line)) => bail!("{service:?}: {line}"),
        Err(error) if error.to_string().starts_with("cut off: \"\\u{15}\\u{3}") => Ok(()),
        Err(error) => Err(error),
    }
}

/// RFC 3207 4.2: EHLO and sender said in clear are forgotten.
fn forgotten_after_tls(world: &World, service: Service) -> Result<()> {
    let (envelope, _) = smuggler(service);
    let mut caller = Caller::connect(world.address(service))?;
    caller.reply()?;
    caller.ask("EHLO client.example")?;
    caller.send(envelope.as_bytes())?;
    for _ in 0..2 {
        let reply = caller.reply()?;
        ensure!(reply == "530 5.7.0 Must issue a STARTTLS command first", "{reply}");
    }
    caller.start_tls(&world.0.hostname(), World::certificate(service))?;
    for command in [envelope.lines().next().unwrap_or_default(), "DATA", "BDAT 0 LAST"] {
        let reply = caller.ask(command)?;
        ensure!(reply == "503 5.5.1 Send EHLO first", "{service:?} {command}: {reply}");
    }
    Ok(())
}
