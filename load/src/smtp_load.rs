//! Many messages over many connections, and what each cost.

use crate::limits::{
    CONNECTIONS_MAX, FAILURES_MAX, MESSAGE_BYTES_MAX, OPERATIONS_MAX, RUN_SECS_MAX,
};
use crate::message::MessageMaker;
use crate::smtp::{Outcome, SmtpSession, SmtpTarget};
use crate::stats::{Summary, Tally};
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The work.
#[derive(Clone)]
pub struct SmtpLoad {
    /// Names the run in each Message-ID.
    pub run: String,
    /// Connections at once.
    pub connections: usize,
    /// Messages in all; the run ends there or at `seconds`, whichever comes first.
    pub messages: u64,
    /// Length at most.
    pub seconds: u64,
    /// Octets of each message.
    pub bytes: usize,
    /// A new connection, with its handshake, for each message.
    pub one_per_connection: bool,
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients, taken in turn.
    pub to: Vec<String>,
    /// Recipients of each message.
    pub recipients: usize,
}

/// What came out.
pub struct SmtpOutcome {
    /// Numbers.
    pub summary: Summary,
    /// Numbers of the messages that were answered 250.
    pub accepted: Vec<u64>,
}

struct Shared {
    load: SmtpLoad,
    target: SmtpTarget,
    maker: MessageMaker,
    next: AtomicU64,
    failures: AtomicU64,
    deadline: Instant,
}

/// Runs it.
pub async fn run(target: SmtpTarget, load: SmtpLoad) -> Result<SmtpOutcome> {
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
    let workers: Vec<_> =
        (0..shared.load.connections).map(|_| tokio::spawn(worker(shared.clone()))).collect();
    let mut tally = Tally::default();
    let mut accepted = Vec::new();
    for worker in workers {
        let (part, numbers) = worker.await?;
        tally.merge(part);
        accepted.extend(numbers);
    }
    accepted.sort_unstable();
    Ok(SmtpOutcome { summary: tally.summary(began.elapsed()), accepted })
}

fn check(load: &SmtpLoad) -> Result<()> {
    let bounds = [
        ("connections", load.connections as u64, CONNECTIONS_MAX as u64),
        ("messages", load.messages, OPERATIONS_MAX),
        ("seconds", load.seconds, RUN_SECS_MAX),
        ("size", load.bytes as u64, MESSAGE_BYTES_MAX as u64),
        ("recipients", load.to.len() as u64, OPERATIONS_MAX),
        ("recipients of one message", load.recipients as u64, load.to.len() as u64),
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
        (number < self.load.messages).then_some(number)
    }

    fn fail(&self, tally: &mut Tally, what: String) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        tally.failed(what);
    }
}

async fn worker(shared: Arc<Shared>) -> (Tally, Vec<u64>) {
    let mut tally = Tally::default();
    let mut accepted = Vec::new();
    let mut session: Option<SmtpSession> = None;
    let mut content = Vec::with_capacity(shared.load.bytes + 1024);
    while let Some(number) = shared.take() {
        let to: Vec<&str> = (0..shared.load.recipients as u64)
            .map(|index| {
                let position = (number + index) % shared.load.to.len() as u64;
                shared.load.to[position as usize].as_str()
            })
            .collect();
        content.clear();
        shared.maker.write(&mut content, number, &shared.load.from, to[0]);
        content.extend_from_slice(b".\r\n");
        let before = Instant::now();
        let mut open = match session.take() {
            Some(open) => open,
            None => match SmtpSession::open(&shared.target).await {
                Ok(open) => open,
                Err(error) => {
                    shared.fail(&mut tally, format!("{error:#}"));
                    continue;
                }
            },
        };
        // On kept connections the first handshake is not the message's; on the others it is.
        let began = if shared.load.one_per_connection { before } else { Instant::now() };
        match open.send(&shared.load.from, &to, &content).await {
            Ok(Outcome::Accepted(_)) => {
                tally.done(began.elapsed(), content.len() as u64);
                accepted.push(number);
            }
            Ok(Outcome::Refused(reply)) => {
                shared.fail(&mut tally, format!("{} {}", reply.code, reply.text));
            }
            Err(error) => {
                shared.fail(&mut tally, format!("{error:#}"));
                continue;
            }
        }
        if shared.load.one_per_connection {
            let _ = open.quit().await;
        } else {
            session = Some(open);
        }
    }
    if let Some(open) = session {
        let _ = open.quit().await;
    }
    (tally, accepted)
}
