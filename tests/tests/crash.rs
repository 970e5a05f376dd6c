//! Two operators under load; alpha is killed (SIGKILL) at random instants, again and again. Whatever
//! was answered 250 is there afterwards, exact and once; nothing is there in part; no UID ever names
//! a second message.
//!
//! `PALOMBE_CRASH_ROUNDS` sets the number of rounds, `PALOMBE_CRASH_SEED` repeats a run's choices.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::SmtpTarget;
use palombe_load::tls::client_config;
use palombe_tests::acknowledged::{Audit, Dice, Found, Ledger, Route, UidWatch, queued};
use palombe_tests::inbox::{Content, Inbox};
use palombe_tests::palombe::Palombe;
use palombe_tests::process::Running;
use palombe_tests::{clients, pki, process, repo, wait};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ROUNDS: u64 = 200;
/// A full check after so many rounds.
const CHECK_EVERY: u64 = 20;
/// Once in so many rounds, the server is killed while it starts, too.
const KILLED_AT_START: u64 = 8;

struct Client {
    route: Route,
    /// Speaks to alpha: its connection ends with the kill. Others end their session themselves.
    is_killed: bool,
}

struct Crash {
    alpha: Palombe,
    beta: Palombe,
    /// At alpha: the last one is emptied at each check.
    alpha_bals: Vec<String>,
    beta_bals: Vec<String>,
    clients: Vec<Client>,
    ledger: Ledger,
    uids: UidWatch,
    /// What was read before it was expunged.
    expunged: Vec<Content>,
    dice: Dice,
    kills: usize,
}

#[test]
fn what_was_answered_250_survives_every_kill() -> Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let rounds = number("PALOMBE_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let seed = number("PALOMBE_CRASH_SEED").unwrap_or(now);
    println!("PALOMBE_CRASH_SEED={seed}");
    let start = Instant::now();
    let mut crash = Crash::new(seed)?;
    for round in 1..=rounds {
        crash.round(round).with_context(|| format!("round {round}, seed {seed}"))?;
        if round % CHECK_EVERY == 0 {
            let audit = crash.check().with_context(|| format!("round {round}, seed {seed}"))?;
            println!("round {round}, {} s: {audit:?}", start.elapsed().as_secs());
        }
    }
    let audit = crash.finish().with_context(|| format!("the end, seed {seed}"))?;
    let relays = crash.clients.len();
    println!(
        "{rounds} rounds, {} kills, {} messages acknowledged, {} recipients reached by relay, {} duplicates by \
         relay, {} unanswered ({} of them kept), {} UIDs, {} s, seed {seed}",
        crash.kills,
        audit.acknowledged,
        audit.relayed,
        audit.duplicates,
        audit.unanswered,
        audit.unanswered_kept,
        crash.uids.len(),
        start.elapsed().as_secs(),
    );
    // The run has tried something: every door, relay both ways, and answers that a kill cut off.
    ensure!(audit.acknowledged as u64 >= rounds * 5, "too little load: {audit:?}");
    ensure!(audit.relayed as u64 >= rounds, "too little relay: {audit:?}");
    ensure!(audit.unanswered as u64 >= rounds / 4, "no kill hit a transaction: {audit:?}");
    // At least once, never endlessly: each kill repeats at most what was on its way then.
    ensure!(audit.duplicates <= crash.kills * relays * 10, "too many duplicates: {audit:?}");
    ensure!(audit.refused == 0, "{:?}", crash.ledger.refusals());
    Ok(())
}

impl Crash {
    fn new(seed: u64) -> Result<Crash> {
        let mut alpha = Palombe::prepare("alpha")?;
        let mut beta = Palombe::prepare("beta")?;
        for operator in [&mut alpha, &mut beta] {
            // A free port of `localhost` may be taken between two starts; addresses of our own are not.
            let (submission, imaps) = (operator.submission(), operator.imaps());
            operator.set("submission", "listen", &format!("[\"{submission}\"]"));
            operator.set("imap", "listen_tls", &format!("[\"{imaps}\"]"));
            operator.set("submission", "messages_per_minute", "0");
            operator.set("interop", "messages_per_minute", "0");
            operator.set("relay", "host_down_secs", "1");
            operator.set("store", "free_bytes_min", "16777216");
        }
        let (at_alpha, at_beta) = (alpha.smtp(), beta.smtp());
        alpha.route("beta.mssante.test", at_beta);
        beta.route("alpha.mssante.test", at_alpha);
        for operator in [&mut alpha, &mut beta] {
            operator.resume()?;
            operator.add_domain(&operator.domain())?;
        }
        let add = |operator: &Palombe, names: &[&str]| -> Result<Vec<String>> {
            names.iter().map(|name| operator.add_bal(name)).collect()
        };
        let alpha_bals = add(&alpha, &["jeanne", "paul", "urgences"])?;
        let beta_bals = add(&beta, &["marie", "secretariat"])?;
        let clients = clients_of(&alpha, &beta, &alpha_bals, &beta_bals)?;
        Ok(Crash {
            alpha,
            beta,
            alpha_bals,
            beta_bals,
            clients,
            ledger: Ledger::default(),
            uids: UidWatch::default(),
            expunged: Vec::new(),
            dice: Dice(seed),
            kills: 0,
        })
    }

    /// Load, a kill at a random instant, a new start.
    fn round(&mut self, round: u64) -> Result<()> {
        let ending = AtomicBool::new(false);
        let (told, answers) = channel();
        std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for client in &self.clients {
                let dice = Dice(self.dice.roll());
                let (ledger, ending, told) = (&self.ledger, &ending, told.clone());
                threads.push(scope.spawn(move || talk(client, ledger, dice, ending, &told)));
            }
            drop(told);
            // Even rounds count from the start, when sessions are being opened; odd ones from the first answer.
            if !round.is_multiple_of(2) {
                answers.recv_timeout(wait::PATIENCE).context("no message was accepted")?;
            }
            let delay = Duration::from_millis(self.dice.between(20, 400));
            drain_until(&answers, Instant::now() + delay);
            ending.store(true, Ordering::SeqCst);
            self.alpha.kill()?;
            self.kills += 1;
            for thread in threads {
                thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            }
            anyhow::Ok(())
        })?;
        if self.dice.once_in(KILLED_AT_START) {
            self.kill_at_start(&answers)?;
        }
        self.alpha.resume().context("alpha does not come up again")
    }

    /// A start that does not reach its end.
    fn kill_at_start(&mut self, silent: &Receiver<()>) -> Result<()> {
        let mut command = Command::new(repo::binary("palombe")?);
        command.arg("run").arg("--config").arg(self.alpha.folder().join("palombe.toml"));
        let log = self.alpha.folder().join("log-of-cut-starts");
        let mut server = Running::start("alpha", &mut command, &log)?;
        let delay = Duration::from_millis(self.dice.between(0, 120));
        drain_until(silent, Instant::now() + delay);
        ensure!(server.is_running(), "a start failed\n{}", process::tail(&server.log()));
        self.kills += 1;
        server.kill()
    }

    /// Every answer so far, with nobody connected; the queues go on meanwhile.
    fn check(&mut self) -> Result<Audit> {
        for operator in [&self.alpha, &self.beta] {
            operator.cli(&["store", "check"])?;
        }
        let mut found = Found::default();
        // First the queues, then the BAL: what has left a queue by then is in a BAL.
        found.queued = queued(&self.alpha)?;
        found.queued.extend(queued(&self.beta)?);
        let emptied = self.alpha_bals.last().context("no BAL")?.clone();
        let mut problems = Vec::new();
        for (operator, bals) in [(&self.alpha, &self.alpha_bals), (&self.beta, &self.beta_bals)] {
            for address in bals {
                let mut inbox = Inbox::open(operator, address)?;
                let content = inbox.read()?;
                problems.extend(self.uids.note(address, &content));
                found.add(&self.ledger, address, &content);
                if *address == emptied {
                    inbox.expunge(content.messages.keys().copied())?;
                    self.expunged.push(content);
                }
            }
        }
        let before = self.expunged.len().saturating_sub(1);
        for content in &self.expunged[..before] {
            found.add(&self.ledger, &emptied, content);
        }
        let (audit, more) = self.ledger.audit(&found);
        problems.extend(more);
        let log = process::tail(&self.alpha.log());
        ensure!(problems.is_empty(), "{audit:?}\n{}\n{log}", problems.join("\n"));
        Ok(audit)
    }

    /// Lets the queues run dry, checks all, stops both, and checks the folders at rest.
    fn finish(&mut self) -> Result<Audit> {
        for operator in [&self.alpha, &self.beta] {
            wait::until("an empty queue", || Ok(queued(operator)?.is_empty().then_some(())))?;
        }
        let audit = self.check()?;
        ensure!(audit.queued == 0, "{audit:?}");
        for operator in [&mut self.alpha, &mut self.beta] {
            operator.stop()?;
            operator.cli(&["store", "check"])?;
        }
        Ok(audit)
    }
}

/// People of alpha who write to alpha and to beta, another operator that writes to alpha, and people of beta.
fn clients_of(
    alpha: &Palombe,
    beta: &Palombe,
    at_alpha: &[String],
    at_beta: &[String],
) -> Result<Vec<Client>> {
    let set = |all: &[&String]| all.iter().map(|one| (*one).clone()).collect::<Vec<_>>();
    let [jeanne, paul, urgences] = at_alpha else { unreachable!("three BAL at alpha") };
    let [marie, secretariat] = at_beta else { unreachable!("two BAL at beta") };
    let person = |operator: &Palombe, from: &String, to: Vec<Vec<String>>| -> Result<Client> {
        let target = SmtpTarget {
            address: operator.submission(),
            server_name: operator.hostname(),
            helo: "poste.invalid".to_owned(),
            tls: client_config(&pki::anchors(), None)?,
            login: Some((from.clone(), operator.password.clone())),
            pipelining: true,
        };
        let route =
            Route { target, door: operator.domain(), from: from.clone(), to, large_once_in: 50 };
        Ok(Client { route, is_killed: operator.name == "alpha" })
    };
    let mixed = vec![
        set(&[urgences]),
        set(&[jeanne, urgences]),
        set(&[marie]),
        set(&[paul, secretariat]),
        set(&[marie, secretariat]),
    ];
    let relayed = vec![set(&[marie]), set(&[secretariat]), set(&[marie, secretariat])];
    let mut clients = vec![
        person(alpha, jeanne, mixed)?,
        person(alpha, paul, relayed)?,
        person(beta, marie, vec![set(&[jeanne]), set(&[paul]), set(&[secretariat, paul])])?,
    ];
    for local in [vec![set(&[jeanne]), set(&[urgences])], vec![set(&[paul, urgences, jeanne])]] {
        clients.push(Client {
            route: Route {
                target: clients::operator_target("op-charge", alpha.smtp(), &alpha.hostname())?,
                door: alpha.domain(),
                from: "labo@charge.mssante.test".to_owned(),
                to: local,
                large_once_in: 50,
            },
            is_killed: true,
        });
    }
    Ok(clients)
}

/// Sessions of a few messages, until the server is killed. An error before that is a failure.
fn talk(
    client: &Client,
    ledger: &Ledger,
    mut dice: Dice,
    ending: &AtomicBool,
    told: &Sender<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_ending = || ending.load(Ordering::SeqCst);
    loop {
        let mut left = dice.between(1, 20);
        let mut pace = Dice(dice.roll());
        let session = ledger.session(&client.route, &mut dice, async |_| {
            let _ = told.send(());
            left -= 1;
            if left == 0 || (!client.is_killed && is_ending()) {
                return false;
            }
            if pace.once_in(2) {
                // People and software do not write at full speed: it also keeps the stores small.
                let rest = Duration::from_millis(pace.between(1, 60));
                let _ = tokio::time::timeout(rest, std::future::pending::<()>()).await;
            }
            true
        });
        match runtime.block_on(session) {
            Ok(()) if !client.is_killed && is_ending() => return Ok(()),
            Ok(()) => {}
            Err(_) if client.is_killed && is_ending() => return Ok(()),
            Err(error) => return Err(error.context(format!("a client of {}", client.route.door))),
        }
    }
}

/// The random instant of a kill.
fn drain_until(answers: &Receiver<()>, instant: Instant) {
    // When every sender is gone there is nothing to hear: the rest of the time passes on a channel that stays silent.
    let (_open, silent) = channel::<()>();
    let mut heard = answers;
    loop {
        let left = instant.saturating_duration_since(Instant::now());
        match heard.recv_timeout(left) {
            Ok(()) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => heard = &silent,
        }
    }
}
