//! Hostile IMAP clients cost only themselves: while they do what they do, another client finishes its work, and
//! afterwards the process has not grown beyond a bound.

use anyhow::{Context, Result, bail, ensure};
use palombe_tests::imap::{Answer, Heard, Imap};
use palombe_tests::palombe::Palombe;
use palombe_tests::{mail, pki, process, repo, skip_if_missing, wait};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

const MIB: u64 = 1024 * 1024;
/// What one kind of attack may add to the memory of the process, at its highest.
const GROWTH_MAX: u64 = 64 * MIB;
/// Commands that a client sends without reading.
const PIPELINED: usize = 10_000;

struct Scene {
    palombe: Palombe,
    address: String,
    bystander: Imap,
    before: u64,
}

impl Scene {
    /// A server with small caches, so that growth is the attack's; a BAL; a client that behaves.
    fn new(sessions: &[(&str, u64)]) -> Result<Scene> {
        let mut palombe = Palombe::prepare("beta")?;
        palombe.set("store", "cache_bytes", &(8 * MIB).to_string());
        for (key, seconds) in sessions {
            palombe.set("sessions", key, &seconds.to_string());
        }
        palombe.resume()?;
        palombe.add_domain(&palombe.domain())?;
        let address = palombe.add_bal("marie")?;
        let mut bystander = Imap::open(&palombe, &address)?;
        bystander.ok("SELECT INBOX")?;
        let mut scene = Scene { palombe, address, bystander, before: 0 };
        scene.others_are_served()?;
        scene.before = scene.palombe.server()?.resident()?.highest_bytes;
        Ok(scene)
    }

    fn attacker(&self) -> Result<Imap> {
        Imap::open(&self.palombe, &self.address)
    }

    fn stranger(&self) -> Result<Imap> {
        Imap::connect(self.palombe.imaps(), &self.palombe.hostname())
    }

    /// A client that behaves files, reads and removes a message; and somebody new can log in.
    fn others_are_served(&mut self) -> Result<()> {
        let message = mail::plain(&self.address, &self.address, "temoin@beta", "Toujours servi.");
        self.bystander.append("INBOX", "", &message)?;
        let found = self.bystander.ok("UID SEARCH SUBJECT temoin")?;
        let found = found.lines().find_map(|line| line.strip_prefix("SEARCH "));
        let uid = found.context("the message was not found")?.to_owned();
        let read = self.bystander.ok(&format!("UID FETCH {uid} (BODY.PEEK[])"))?;
        ensure!(
            read.untagged.iter().any(|(_, octets)| octets.iter().any(|o| o.ends_with(&message)))
        );
        self.bystander.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)"))?;
        self.bystander.ok(&format!("UID EXPUNGE {uid}"))?;
        let mut newcomer = self.attacker()?;
        newcomer.ok("SELECT INBOX")?;
        newcomer.ok("LOGOUT")?;
        Ok(())
    }

    /// The end: others are served, and memory never went beyond the bound.
    fn end(mut self) -> Result<()> {
        self.others_are_served()?;
        let after = self.palombe.server()?.resident()?;
        let growth = after.highest_bytes.saturating_sub(self.before);
        println!(
            "{} MiB before, at most {} MiB, {} MiB now",
            self.before / MIB,
            after.highest_bytes / MIB,
            after.now_bytes / MIB
        );
        ensure!(growth <= GROWTH_MAX, "grew by {} MiB", growth / MIB);
        self.palombe.stop()
    }
}

/// Everything up to the end of the connection, which must come.
fn to_the_end(imap: &mut Imap) -> Result<Vec<Heard>> {
    let mut all = Vec::new();
    loop {
        match imap.heard() {
            Ok(heard) => all.push(heard),
            Err(error) if is_patience(&error) => return Err(error.context("it stays open")),
            Err(_) => return Ok(all),
        }
    }
}

/// The server said nothing for as long as a test waits.
fn is_patience(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn is_refused(answer: &Answer) -> bool {
    answer.end.starts_with("BAD") || answer.end.starts_with("NO")
}

/// Sends the same octets until the server has had enough, or `most` octets are sent; how many were.
fn flood(imap: &mut Imap, octets: &[u8], most: u64) -> u64 {
    let mut sent = 0;
    while sent < most && imap.send(octets).is_ok() {
        sent += octets.len() as u64;
    }
    sent
}

#[test]
fn slow_clients_are_let_go() -> Result<()> {
    let mut scene = Scene::new(&[("imap_login_secs", 3), ("imap_stall_secs", 3)])?;
    // Some never log in and send one octet now and then, some stop in the middle of a command, some in an APPEND.
    let mut strangers: Vec<Imap> = (0..40).map(|_| scene.stranger()).collect::<Result<_>>()?;
    let mut halfway: Vec<Imap> = (0..5).map(|_| scene.attacker()).collect::<Result<_>>()?;
    let mut appending: Vec<Imap> = (0..5).map(|_| scene.attacker()).collect::<Result<_>>()?;
    for imap in &mut halfway {
        imap.send(b"a1 UID FETCH 1:* (FLA")?;
    }
    for imap in &mut appending {
        imap.send(b"a1 APPEND INBOX {30000000+}\r\nSubject: lent\r\n")?;
    }
    scene.others_are_served()?;
    let mut octets = b"a1 LOGIN \"marie".iter().cycle();
    wait::until("the strangers let go", || {
        // An octet now and then does not buy time: a login has one deadline.
        let Some(octet) = octets.next() else { bail!("no octet") };
        strangers.retain_mut(|imap| imap.send(&[*octet]).is_ok());
        Ok(strangers.is_empty().then_some(()))
    })?;
    // RFC 9051 3.4: no connection is closed without a BYE.
    for imap in halfway.iter_mut().chain(&mut appending) {
        let last = to_the_end(imap)?;
        let is_bye = |heard: &Heard| matches!(heard, Heard::Untagged(t, _) if t.starts_with("BYE"));
        ensure!(last.iter().any(is_bye), "no BYE: {last:?}");
    }
    scene.end()
}

#[test]
fn connections_that_never_become_sessions_are_let_go() -> Result<()> {
    let limit = 30;
    let mut scene = Scene::new(&[("handshake_secs", 3), ("imap_login_secs", 3)])?;
    scene.palombe.stop()?;
    scene.palombe.set("imap", "connections_per_peer_max", &limit.to_string());
    scene.palombe.resume()?;
    scene.bystander = scene.attacker()?;
    scene.bystander.ok("SELECT INBOX")?;
    scene.others_are_served()?;
    scene.before = scene.palombe.server()?.resident()?.highest_bytes;

    // Silence, and what is not TLS, on the port that wants TLS; silence on the port that greets.
    let mut silent = Vec::new();
    for number in 0..limit * 2 {
        let port = if number % 3 == 0 { scene.palombe.imap() } else { scene.palombe.imaps() };
        let mut tcp = TcpStream::connect(port)?;
        tcp.set_read_timeout(Some(wait::PATIENCE))?;
        if number % 3 == 1 {
            tcp.write_all(b"GET / HTTP/1.1\r\nHost: palombe\r\n\r\n")?;
        }
        silent.push(tcp);
    }
    // Who was there before is served meanwhile.
    for _ in 0..20 {
        scene.bystander.ok("NOOP")?;
        scene.bystander.ok("UID SEARCH ALL")?;
    }
    for tcp in &mut silent {
        let mut all = Vec::new();
        // A reset is an end, too; only patience that runs out is not.
        if let Err(error) = tcp.read_to_end(&mut all) {
            ensure!(!is_patience(&error.into()), "a connection stays open");
        }
    }
    // Once they are gone, anybody may come again.
    drop(silent);
    wait::until("a place for a newcomer", || Ok(scene.attacker().ok().map(drop)))?;
    scene.end()
}

#[test]
fn literals_without_end_are_cut_off() -> Result<()> {
    let scene = Scene::new(&[])?;
    // Announced, synchronising: refused before an octet of it is sent.
    let mut imap = scene.attacker()?;
    for literal in ["{4294967295}", "{99999999999999999999}", "{9223372036854775808}", "{-1}"] {
        let answer = imap.command(&format!("APPEND INBOX {literal}"))?;
        ensure!(is_refused(&answer), "{literal}: {}", answer.end);
    }
    let answer = imap.command("LOGIN {3000000000}")?;
    ensure!(is_refused(&answer), "{}", answer.end);
    imap.ok("NOOP")?;

    // Not synchronising: it comes anyway, and the server closes after a bound.
    let piece = vec![b'x'; 1024 * 1024];
    for (mut imap, command, bound) in [
        (scene.stranger()?, "a1 LOGIN {4000000000+}\r\n", 32 * MIB),
        (scene.attacker()?, "a1 APPEND INBOX {4000000000+}\r\n", 256 * MIB),
        (scene.attacker()?, "a1 SEARCH SUBJECT {4000000000+}\r\n", 256 * MIB),
    ] {
        let socket = imap.socket().try_clone()?;
        imap.send(command.as_bytes())?;
        let sent = flood(&mut imap, &piece, bound);
        ensure!(sent < bound, "{command}: {sent} octets were taken");
        socket.shutdown(Shutdown::Both).ok();
    }
    // A line without end.
    let mut imap = scene.attacker()?;
    let sent = flood(&mut imap, &piece, 256 * MIB);
    ensure!(sent < 256 * MIB, "a line of {sent} octets was taken");
    scene.end()
}

#[test]
fn compressed_streams_that_explode_are_cut_off() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["python3"]));
    let scene = Scene::new(&[])?;
    let account = scene.palombe.localhost_account(&scene.address);
    // A line, a literal of a search, a message: none of them ends.
    for command in
        ["a NOOP ", "a SEARCH TEXT {4000000000+}\r\n", "a APPEND INBOX {4000000000+}\r\n"]
    {
        let mut bomb = Command::new("python3");
        bomb.arg(repo::root().join("tests/clients/deflate_bomb.py")).arg("localhost");
        bomb.arg(account.imaps.port().to_string()).arg(pki::anchors()).arg(&account.address);
        bomb.arg(scene.palombe.password_file()).arg(command);
        let output = process::run(&mut bomb)?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{command:?}: {}", told.trim());
        ensure!(told.contains("closed True"), "{command}: {told}");
    }
    scene.end()
}

#[test]
fn deep_and_wide_commands_are_refused_and_the_session_lives() -> Result<()> {
    let scene = Scene::new(&[])?;
    let mut imap = scene.attacker()?;
    for number in 1..=3 {
        let id = format!("{number}@beta");
        imap.append("INBOX", "", &mail::plain(&scene.address, &scene.address, &id, "Bonjour."))?;
    }
    imap.ok("SELECT INBOX")?;
    let deep = [
        format!("SEARCH {}ALL{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SEARCH {}", "(".repeat(60_000)),
        format!("SEARCH {}ALL", "NOT ".repeat(15_000)),
        format!("SEARCH {}ALL ALL", "OR ALL ".repeat(8_000)),
        format!("FETCH 1 {}", "(".repeat(60_000)),
        format!("FETCH 1 BODY[{}TEXT]", "1.".repeat(30_000)),
        format!("LIST \"\" {}", "(".repeat(60_000)),
        format!("STORE 1 FLAGS {}", "(".repeat(60_000)),
        format!("ID {}", "(".repeat(60_000)),
    ];
    for command in &deep {
        let answer = imap.command(command)?;
        ensure!(is_refused(&answer), "{:.40}: {}", command, answer.end);
        imap.ok("NOOP")?;
    }
    // Every member of these sets is valid: each message is answered once, or the command is refused.
    let everything = vec!["1:*"; 1000].join(",");
    let backwards = vec!["*:1"; 1000].join(",");
    let many: Vec<String> = (1..=5_000).map(|n| format!("{}:{}", n * 2, n * 2)).collect();
    for set in [&everything, &backwards, &many.join(",")] {
        for (command, rows) in [
            (format!("UID FETCH {set} (UID FLAGS)"), " FETCH "),
            (format!("UID SEARCH UID {set}"), "SEARCH"),
            (format!("UID STORE {set} +FLAGS (\\Seen)"), " FETCH "),
            (format!("UID COPY {set} Archive"), "COPYUID"),
        ] {
            let answer = imap.command(&command)?;
            let count = answer.lines().filter(|line| line.contains(rows)).count();
            ensure!(answer.is_ok() || is_refused(&answer), "{}", answer.end);
            ensure!(count <= 3, "{:.40}: {count} answers", command);
            imap.ok("NOOP")?;
        }
    }
    let status = imap.ok("STATUS Archive (MESSAGES)")?;
    println!("{:?}", status.lines().collect::<Vec<_>>());
    scene.end()
}

#[test]
fn clients_that_never_read_wait_for_themselves() -> Result<()> {
    let mut scene = Scene::new(&[])?;
    let mut imap = scene.attacker()?;
    for number in 0..12 {
        let id = format!("lourd-{number}@beta");
        let message = mail::with_attachment(&scene.address, &scene.address, &id, 4_000_000);
        imap.append("Archive", "", &message)?;
    }
    scene.others_are_served()?;
    scene.before = scene.palombe.server()?.resident()?.highest_bytes;

    // Each asks for 65 MB again and again, reads nothing, and stays.
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let mut imap = scene.attacker()?;
        imap.ok("SELECT Archive")?;
        imap.send(&b"x UID FETCH 1:* (BODY.PEEK[])\r\n".repeat(50))?;
        deaf.push(imap);
    }
    for _ in 0..20 {
        scene.others_are_served()?;
    }
    // One of them changes its mind: nothing is lost for it.
    let mut imap = deaf.pop().context("a client")?;
    let mut octets = 0;
    loop {
        match imap.heard()? {
            Heard::Untagged(_, literals) => octets += literals.iter().map(Vec::len).sum::<usize>(),
            Heard::Tagged(tag, end) => {
                ensure!(tag == "x" && end.starts_with("OK"), "{tag} {end}");
                break;
            }
            other => bail!("{other:?}"),
        }
    }
    ensure!(octets > 12 * 5_000_000, "{octets} octets");
    for imap in &deaf {
        imap.socket().shutdown(Shutdown::Both)?;
    }
    scene.end()
}

#[test]
fn ten_thousand_pipelined_commands_are_answered_in_order() -> Result<()> {
    let mut scene = Scene::new(&[])?;
    let pipeline: String = (0..PIPELINED).map(|n| format!("p{n} NOOP\r\n")).collect();
    // One that never reads, beside one that does.
    let mut deaf = scene.attacker()?;
    let socket = deaf.socket().try_clone()?;
    std::thread::scope(|scope| -> Result<()> {
        let sending = scope.spawn(|| flood(&mut deaf, pipeline.as_bytes(), 64 * MIB));
        let mut imap = scene.attacker()?;
        imap.send(pipeline.as_bytes())?;
        for number in 0..PIPELINED {
            let heard = imap.heard()?;
            let wanted = format!("p{number}");
            let is_next = matches!(&heard, Heard::Tagged(tag, end)
                if *tag == wanted && end.starts_with("OK"));
            ensure!(is_next, "{wanted}: {heard:?}");
        }
        imap.ok("NOOP")?;
        scene.others_are_served()?;
        socket.shutdown(Shutdown::Both)?;
        let sent = sending.join().map_err(|_| anyhow::anyhow!("the deaf client"))?;
        println!("a client that never read was taken {sent} octets from");
        ensure!(sent < 64 * MIB, "the server reads without being read");
        Ok(())
    })?;
    scene.end()
}
