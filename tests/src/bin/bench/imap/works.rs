//! The pieces of work, and how one is measured.

use super::sides::{self, Server};
use super::table::Cell;
use super::{LETTER_BYTES, fill};
use anyhow::{Context, Result};
use palombe_load::imap::{ImapSession, ImapTarget};
use palombe_load::letter::letter;
use palombe_load::stats::{Summary, Tally};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Idle sessions of the memory row.
const IDLE_SESSIONS: usize = 500;
const IDLE_SESSIONS_QUICK: usize = 100;
/// Messages of one COPY or MOVE.
const CARRIED: u64 = 1000;
/// Operations of one row on one side, at most.
const OPERATIONS_MAX: u64 = 200_000;

/// What one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    LoginSelect,
    List,
    Body,
    Append,
    Store,
    Copy,
    Move,
    Search(&'static str),
    Mixed,
    Idle,
    /// Not operations: memory.
    Wait,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    title: &'static str,
    does: Does,
    sessions: usize,
}

impl Work {
    /// Every row, in order: what changes the listed mailbox comes last.
    pub fn all(quick: bool) -> Vec<Work> {
        let work = |title, does, sessions| Work { title, does, sessions };
        let idle = if quick { IDLE_SESSIONS_QUICK } else { IDLE_SESSIONS };
        vec![
            work("connect, LOGIN, SELECT", Does::LoginSelect, 8),
            work("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)", Does::List, 1),
            work("FETCH of one BODY[] at random", Does::Body, 8),
            work("SEARCH SUBJECT", Does::Search("SUBJECT \"biologie 77\""), 1),
            work("SEARCH FROM", Does::Search("FROM \"garnier.7\""), 1),
            work("SEARCH TEXT", Does::Search("TEXT \"anticoagulant\""), 1),
            work("SEARCH BODY", Does::Search("BODY \"anticoagulant\""), 1),
            work("APPEND 4 KiB", Does::Append, 8),
            work("APPEND 4 KiB", Does::Append, 32),
            work("STORE +FLAGS, -FLAGS of one at random", Does::Store, 8),
            work("COPY of 1,000", Does::Copy, 1),
            work("MOVE of 1,000 and back", Does::Move, 1),
            work("mixed: NOOP, FETCH, STORE, SEARCH, APPEND", Does::Mixed, 8),
            work("APPEND to EXISTS in IDLE", Does::Idle, 1),
            work("memory of idle sessions", Does::Wait, idle),
        ]
    }

    /// Of the row.
    pub fn name(&self, filled: u64) -> String {
        format!("{}, {} sessions, INBOX of {filled}", self.title, self.sessions)
    }
}

struct Shared {
    work: Work,
    target: ImapTarget,
    filled: u64,
    next: AtomicU64,
    deadline: Instant,
}

/// What a worker keeps from one operation to the next.
struct Hand {
    mailbox: usize,
    session: ImapSession,
    other: Option<ImapSession>,
    exists: u64,
}

/// Runs one row on one side.
pub fn measure(
    runtime: &Runtime,
    server: &Server,
    work: &Work,
    (seconds, filled): (u64, u64),
) -> Result<Cell> {
    let target = server.target()?;
    if work.does == Does::Wait {
        return idle_memory(runtime, server, &target, work.sessions);
    }
    runtime.block_on(prepare(&target, work))?;
    let before = server.cpu_seconds();
    let shared = Shared {
        work: *work,
        target,
        filled,
        next: AtomicU64::new(0),
        deadline: Instant::now() + Duration::from_secs(seconds),
    };
    let summary = runtime.block_on(run(Arc::new(shared)))?;
    let cpu = server.cpu_seconds() - before;
    Ok(Cell {
        memory_mib: server.memory_bytes() as f64 / (1024.0 * 1024.0),
        cpu_ms: cpu * 1000.0 / summary.done.max(1) as f64,
        idle_mib: None,
        summary,
    })
}

async fn prepare(target: &ImapTarget, work: &Work) -> Result<()> {
    match work.does {
        // Twice the messages that one operation moves are not needed: they come back.
        Does::Copy | Does::Move => fill(target, "Drafts", (0, CARRIED)).await,
        _ => Ok(()),
    }
}

async fn run(shared: Arc<Shared>) -> Result<Summary> {
    let began = Instant::now();
    let workers: Vec<_> = (0..shared.work.sessions)
        .map(|index| tokio::spawn(worker(shared.clone(), index)))
        .collect();
    let mut tally = Tally::default();
    for worker in workers {
        tally.merge(worker.await?);
    }
    Ok(tally.summary(began.elapsed()))
}

/// Ends at its first failure: what fails once is told, not repeated.
async fn worker(shared: Arc<Shared>, index: usize) -> Tally {
    let mut tally = Tally::default();
    let mut hand = match Hand::open(&shared, index).await {
        Ok(hand) => hand,
        Err(error) => {
            tally.failed(format!("{error:#}"));
            return tally;
        }
    };
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if Instant::now() >= shared.deadline || number >= OPERATIONS_MAX {
            break;
        }
        match hand.operate(&shared, number).await {
            Ok(latency) => tally.done(latency, 0),
            Err(error) => {
                tally.failed(format!("{error:#}"));
                break;
            }
        }
    }
    let _ = hand.session.logout().await;
    tally
}

async fn open(target: &ImapTarget, mailbox: usize) -> Result<ImapSession> {
    ImapSession::open(target, &sides::mailbox(mailbox), sides::PASSWORD).await
}

async fn select(session: &mut ImapSession, folder: &str) -> Result<u64> {
    session.command(&format!("SELECT {folder}")).await?.exists().context("SELECT told no EXISTS")
}

impl Hand {
    async fn open(shared: &Shared, index: usize) -> Result<Hand> {
        // The listed mailbox for what reads it, one for each session where messages are made.
        let mailbox = match shared.work.does {
            Does::Append | Does::Mixed => index % crate::servers::MAILBOXES,
            Does::Idle => 1,
            _ => 0,
        };
        let mut session = open(&shared.target, mailbox).await?;
        let folder = match shared.work.does {
            Does::Copy | Does::Move => "Drafts",
            _ => "INBOX",
        };
        let exists = select(&mut session, folder).await?;
        let other = match shared.work.does {
            Does::Idle => Some(open(&shared.target, mailbox).await?),
            _ => None,
        };
        if shared.work.does == Does::List {
            // Caches of both are filled by the first listing.
            list(&mut session).await?;
        }
        Ok(Hand { mailbox, session, other, exists })
    }

    /// How long it took.
    async fn operate(&mut self, shared: &Shared, number: u64) -> Result<Duration> {
        let began = Instant::now();
        let any = 1 + number.wrapping_mul(0x9e37_79b9) % shared.filled;
        match shared.work.does {
            Does::LoginSelect => {
                let mut session = open(&shared.target, self.mailbox).await?;
                select(&mut session, "INBOX").await?;
                session.logout().await?;
            }
            Does::List => {
                let lines = list(&mut self.session).await?;
                anyhow::ensure!(lines >= self.exists, "{lines} lines for {}", self.exists);
            }
            Does::Body => {
                self.session.command(&format!("FETCH {any} BODY.PEEK[]")).await?;
            }
            Does::Append => {
                let message = letter("append", number, LETTER_BYTES);
                self.session.append("Trash", "", &message).await?;
            }
            // Each pass over the folder undoes the one before: every STORE changes something.
            Does::Store => self.store(any, number / shared.filled).await?,
            Does::Copy => {
                self.session.command(&format!("COPY 1:{CARRIED} Archive")).await?;
            }
            Does::Move => {
                self.session.command(&format!("MOVE 1:{CARRIED} Trash")).await?;
                let trash = select(&mut self.session, "Trash").await?;
                let first = trash + 1 - CARRIED.min(trash);
                self.session.command(&format!("MOVE {first}:* Drafts")).await?;
                select(&mut self.session, "Drafts").await?;
            }
            Does::Search(key) => {
                self.session.command(&format!("SEARCH {key}")).await?;
            }
            Does::Mixed => self.mixed(number).await?,
            Does::Idle => return self.idle(number).await,
            Does::Wait => {}
        }
        Ok(began.elapsed())
    }

    async fn store(&mut self, any: u64, pass: u64) -> Result<()> {
        let sign = if pass.is_multiple_of(2) { '+' } else { '-' };
        self.session.command(&format!("STORE {any} {sign}FLAGS (\\Flagged)")).await?;
        Ok(())
    }

    /// A client at work: it looks often, reads now and then, writes seldom.
    async fn mixed(&mut self, number: u64) -> Result<()> {
        let last = self.exists.max(1);
        let any = 1 + number.wrapping_mul(0x9e37_79b9) % last;
        match number % 20 {
            0 => {
                let message = letter("mixed", number, LETTER_BYTES);
                self.session.append("INBOX", "", &message).await?;
                self.exists += 1;
            }
            1 => {
                self.session.command("SEARCH UNSEEN").await?;
            }
            2..=4 if self.exists > 0 => self.store(any, number / last).await?,
            5..=9 if self.exists > 0 => {
                let from = any.saturating_sub(49).max(1);
                let text = format!("FETCH {from}:{any} (FLAGS ENVELOPE)");
                self.session.command(&text).await?;
            }
            10..=13 if self.exists > 0 => {
                self.session.command(&format!("FETCH {any} BODY.PEEK[]")).await?;
            }
            _ => {
                self.session.command("NOOP").await?;
            }
        }
        Ok(())
    }

    /// From the moment another session sends a message to the EXISTS here.
    async fn idle(&mut self, number: u64) -> Result<Duration> {
        let other = self.other.as_mut().context("no second session")?;
        let message = letter("idle", number, LETTER_BYTES);
        self.session.idle().await?;
        let began = Instant::now();
        let heard = async {
            self.session.wait_exists(self.exists + 1).await?;
            anyhow::Ok(began.elapsed())
        };
        let (heard, told) = tokio::join!(heard, other.append("INBOX", "", &message));
        told?;
        self.exists += 1;
        let latency = heard?;
        self.session.done().await?;
        Ok(latency)
    }
}

async fn list(session: &mut ImapSession) -> Result<u64> {
    let answer = session.command("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)").await?;
    Ok(answer.lines.len() as u64)
}

/// Sessions that selected the listed mailbox and wait in IDLE: what they add to the server's memory.
pub fn idle_memory(
    runtime: &Runtime,
    server: &Server,
    target: &ImapTarget,
    sessions: usize,
) -> Result<Cell> {
    let before = server.memory_bytes();
    let open_all = async {
        let mut open_sessions = Vec::with_capacity(sessions);
        for index in 0..sessions {
            let mut session = open(target, index % crate::servers::MAILBOXES).await?;
            select(&mut session, "INBOX").await?;
            session.idle().await?;
            open_sessions.push(session);
        }
        anyhow::Ok(open_sessions)
    };
    let open_sessions = runtime.block_on(open_all)?;
    let grown = server.memory_bytes().saturating_sub(before) as f64 / (1024.0 * 1024.0);
    drop(open_sessions);
    Ok(Cell {
        summary: Summary::default(),
        memory_mib: server.memory_bytes() as f64 / (1024.0 * 1024.0),
        cpu_ms: 0.0,
        idle_mib: Some(grown * 1000.0 / sessions as f64),
    })
}
