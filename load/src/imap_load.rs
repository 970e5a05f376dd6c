//! What mail clients do all day, many times, and what each time cost.

use crate::imap::{ImapSession, ImapTarget};
use crate::limits::{
    CONNECTIONS_MAX, FAILURES_MAX, MESSAGE_BYTES_MAX, OPERATIONS_MAX, RUN_SECS_MAX,
};
use crate::message::MessageMaker;
use crate::stats::{Summary, Tally};
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// APPEND one message.
    Append,
    /// Connect, TLS, LOGIN, LOGOUT.
    Login,
    /// SELECT, then the flags of every message.
    FetchFlags,
    /// The whole text of one message.
    FetchOne,
    /// The whole text of every message.
    FetchAll,
    /// SEARCH by subject.
    Search,
    /// From the start of another session's APPEND to the EXISTS in IDLE.
    Idle,
}

/// The work.
#[derive(Clone)]
pub struct ImapLoad {
    /// What.
    pub scenario: Scenario,
    /// Names the run in each Message-ID.
    pub run: String,
    /// Sessions at once.
    pub connections: usize,
    /// Operations in all; the run ends there or at `seconds`.
    pub operations: u64,
    /// Length at most.
    pub seconds: u64,
    /// Octets of each appended message.
    pub bytes: usize,
    /// The folder.
    pub folder: String,
    /// Logins, taken in turn by the sessions.
    pub logins: Vec<String>,
    /// Their common password.
    pub password: String,
}

struct Shared {
    load: ImapLoad,
    target: ImapTarget,
    maker: MessageMaker,
    next: AtomicU64,
    failures: AtomicU64,
    deadline: Instant,
}

/// Runs it.
pub async fn run(target: ImapTarget, load: ImapLoad) -> Result<Summary> {
    check(&load)?;
    let began = Instant::now();
    let shared = Arc::new(Shared {
        maker: MessageMaker::new(&load.run, load.bytes),
        deadline: began + Duration::from_secs(load.seconds),
        next: AtomicU64::new(0),
        failures: AtomicU64::new(0),
        target,
        load,
    });
    let workers: Vec<_> = (0..shared.load.connections)
        .map(|index| tokio::spawn(worker(shared.clone(), index)))
        .collect();
    let mut tally = Tally::default();
    for worker in workers {
        tally.merge(worker.await?);
    }
    Ok(tally.summary(began.elapsed()))
}

fn check(load: &ImapLoad) -> Result<()> {
    let bounds = [
        ("connections", load.connections as u64, CONNECTIONS_MAX as u64),
        ("operations", load.operations, OPERATIONS_MAX),
        ("seconds", load.seconds, RUN_SECS_MAX),
        ("size", load.bytes as u64, MESSAGE_BYTES_MAX as u64),
        ("logins", load.logins.len() as u64, OPERATIONS_MAX),
    ];
    for (what, value, max) in bounds {
        if value == 0 || value > max {
            bail!("{what}: {value} is not between 1 and {max}");
        }
    }
    Ok(())
}

impl Shared {
    fn take(&self) -> Option<u64> {
        if Instant::now() >= self.deadline || self.failures.load(Ordering::Relaxed) > FAILURES_MAX {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.load.operations).then_some(number)
    }

    async fn open(&self, index: usize) -> Result<ImapSession> {
        let login = &self.load.logins[index % self.load.logins.len()];
        ImapSession::open(&self.target, login, &self.load.password).await
    }

    fn message(&self, number: u64) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.load.bytes + 1024);
        self.maker.write(&mut message, number, "load@load.invalid", "load@load.invalid");
        message
    }
}

/// The sessions of one worker.
struct Hands {
    session: ImapSession,
    /// IDLE needs a second one, which appends.
    other: Option<ImapSession>,
    exists: u64,
}

async fn worker(shared: Arc<Shared>, index: usize) -> Tally {
    let mut tally = Tally::default();
    let mut hands: Option<Hands> = None;
    while let Some(number) = shared.take() {
        let mut mine = match hands.take() {
            Some(mine) => mine,
            None => match prepare(&shared, index).await {
                Ok(mine) => mine,
                Err(error) => {
                    shared.failures.fetch_add(1, Ordering::Relaxed);
                    tally.failed(format!("{error:#}"));
                    continue;
                }
            },
        };
        match operation(&shared, &mut mine, index, number).await {
            Ok((latency, bytes)) => {
                tally.done(latency, bytes);
                hands = Some(mine);
            }
            Err(error) => {
                shared.failures.fetch_add(1, Ordering::Relaxed);
                tally.failed(format!("{error:#}"));
            }
        }
    }
    if let Some(mine) = hands {
        let _ = mine.session.logout().await;
        if let Some(other) = mine.other {
            let _ = other.logout().await;
        }
    }
    tally
}

async fn prepare(shared: &Shared, index: usize) -> Result<Hands> {
    let mut session = shared.open(index).await?;
    let mut other = None;
    let mut exists = 0;
    if shared.load.scenario != Scenario::Append {
        exists = select(&mut session, &shared.load.folder).await?;
    }
    if shared.load.scenario == Scenario::Idle {
        other = Some(shared.open(index).await?);
    }
    Ok(Hands { session, other, exists })
}

async fn select(session: &mut ImapSession, folder: &str) -> Result<u64> {
    let answer = session.command(&format!("SELECT {folder}")).await?;
    answer.exists().context("SELECT told no EXISTS")
}

async fn operation(
    shared: &Shared,
    hands: &mut Hands,
    index: usize,
    number: u64,
) -> Result<(Duration, u64)> {
    let folder = &shared.load.folder;
    let session = &mut hands.session;
    let message = match shared.load.scenario {
        Scenario::Append | Scenario::Idle => shared.message(number),
        _ => Vec::new(),
    };
    let began = Instant::now();
    let bytes = match shared.load.scenario {
        Scenario::Append => {
            session.append(folder, "", &message).await?;
            message.len() as u64
        }
        Scenario::Login => {
            shared.open(index).await?.logout().await?;
            0
        }
        Scenario::FetchFlags => {
            let exists = select(session, folder).await?;
            let answer = session.command("FETCH 1:* (UID FLAGS)").await?;
            if (answer.lines.len() as u64) < exists {
                bail!("{} lines for {exists} messages", answer.lines.len());
            }
            0
        }
        Scenario::FetchOne => {
            let one = 1 + number % hands.exists.max(1);
            session.command(&format!("FETCH {one} BODY.PEEK[]")).await?.literal_bytes
        }
        Scenario::FetchAll => session.command("FETCH 1:* BODY.PEEK[]").await?.literal_bytes,
        Scenario::Search => {
            session.command(&format!("SEARCH SUBJECT \"load {}\"", number % 100)).await?;
            0
        }
        Scenario::Idle => {
            let other = hands.other.as_mut().context("IDLE without a second session")?;
            // The other one may be heard by every session of this BAL: start from what is known now.
            hands.exists = hands.exists.max(select(session, folder).await?);
            session.idle().await?;
            let began = Instant::now();
            let (heard, told) = tokio::join!(
                session.wait_exists(hands.exists + 1),
                other.append(folder, "", &message)
            );
            heard?;
            told?;
            let latency = began.elapsed();
            session.done().await?;
            return Ok((latency, 0));
        }
    };
    Ok((began.elapsed(), bytes))
}
