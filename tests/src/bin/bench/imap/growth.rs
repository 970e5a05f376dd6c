//! What becomes of Palombe as a folder grows: the same work on 10,000 to 1,000,000 messages.

use super::sides::{self, Kind, Server};
use super::{FILL_BATCH, works};
use crate::Amount;
use anyhow::{Context, Result};
use palombe_load::imap::{ImapSession, ImapTarget};
use palombe_load::letter::letter;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const SIZES: [u64; 4] = [10_000, 100_000, 300_000, 1_000_000];
const SIZES_QUICK: [u64; 2] = [1_000, 10_000];
/// Octets of each letter: what grows is the folder, not the disk.
const LETTER_BYTES: usize = 1400;
/// Sessions that fill.
const FILLERS: u64 = 4;
/// A size that takes longer to reach is left out, and so are those after it.
const FILL_TIME_MAX: Duration = Duration::from_secs(900);
/// Times that each operation is measured; the median is told.
const TIMES: usize = 7;
/// Idle sessions of the memory figure.
const IDLE_SESSIONS: usize = 1000;

/// Fills and measures; gives the table as JSON.
pub fn run(runtime: &Runtime, amount: &Amount) -> Result<Value> {
    let server = Server::start(Kind::Palombe)?;
    let target = server.target()?;
    let sizes: &[u64] = if amount.quick { &SIZES_QUICK } else { &SIZES };
    let mut rows = Vec::new();
    let mut at = 0;
    println!(
        "{:>9} {:>9} {:>12} {:>9} {:>9} {:>10} {:>9} {:>9} {:>7}",
        "messages",
        "fill /s",
        "LOGIN+SELECT",
        "last 50",
        "NOOP",
        "flags 1:*",
        "UNSEEN",
        "IDLE",
        "MiB"
    );
    for size in sizes {
        let began = Instant::now();
        if !runtime.block_on(fill(&target, (at, *size)))? {
            println!("{size:>9}: not reached in {} s", FILL_TIME_MAX.as_secs());
            break;
        }
        let rate = (size - at) as f64 / began.elapsed().as_secs_f64();
        at = *size;
        let ms = runtime.block_on(measure(&target))?;
        let memory = server.memory_bytes() as f64 / (1024.0 * 1024.0);
        println!(
            "{size:>9} {rate:>9.0} {:>12.2} {:>9.2} {:>9.2} {:>10.1} {:>9.2} {:>9.2} {memory:>7.0}",
            ms[0], ms[1], ms[2], ms[3], ms[4], ms[5]
        );
        rows.push(json!({
            "messages": size, "fill_per_second": rate, "login_select_ms": ms[0],
            "list_last_50_ms": ms[1], "noop_ms": ms[2], "flags_of_all_ms": ms[3],
            "search_unseen_ms": ms[4], "append_to_idle_ms": ms[5], "memory_mib": memory,
        }));
    }
    let sessions = if amount.quick { IDLE_SESSIONS / 10 } else { IDLE_SESSIONS };
    let idle = works::idle_memory(runtime, &server, &target, sessions)?.idle_mib;
    println!("{sessions} idle sessions: {:.1} MiB for 1,000", idle.unwrap_or(0.0));
    Ok(json!({ "growth": rows, "idle_mib_per_1000": idle }))
}

async fn fill(target: &ImapTarget, (first, end): (u64, u64)) -> Result<bool> {
    let deadline = Instant::now() + FILL_TIME_MAX;
    let fillers: Vec<_> = (0..FILLERS)
        .map(|filler| tokio::spawn(fill_some(target.clone(), (first, end), filler, deadline)))
        .collect();
    let mut whole = true;
    for filler in fillers {
        whole &= filler.await??;
    }
    Ok(whole)
}

async fn fill_some(
    target: ImapTarget,
    (first, end): (u64, u64),
    filler: u64,
    deadline: Instant,
) -> Result<bool> {
    let mut session = ImapSession::open(&target, &sides::mailbox(0), sides::PASSWORD).await?;
    let mut at = first + filler * FILL_BATCH;
    while at < end {
        if Instant::now() > deadline {
            return Ok(false);
        }
        let until = end.min(at + FILL_BATCH);
        let letters: Vec<Vec<u8>> =
            (at..until).map(|number| letter("growth", number, LETTER_BYTES)).collect();
        session.append_many("INBOX", &letters).await?;
        at += FILLERS * FILL_BATCH;
    }
    session.logout().await?;
    Ok(true)
}

/// Median milliseconds: LOGIN and SELECT; the last fifty listed by a session that just opened the folder; NOOP;
/// flags of all; SEARCH UNSEEN; from APPEND to EXISTS in IDLE.
async fn measure(target: &ImapTarget) -> Result<[f64; 6]> {
    let mut times: [Vec<f64>; 6] = Default::default();
    let login = sides::mailbox(0);
    let open = || ImapSession::open(target, &login, sides::PASSWORD);
    let mut other = open().await?;
    for time in 0..TIMES {
        let mut note = |what: usize, began: Instant| {
            times[what].push(began.elapsed().as_secs_f64() * 1000.0);
        };
        let began = Instant::now();
        let mut session = open().await?;
        let exists = session.command("SELECT INBOX").await?.exists().context("no EXISTS")?;
        note(0, began);
        let began = Instant::now();
        let from = exists.saturating_sub(49).max(1);
        let text = format!("FETCH {from}:{exists} (UID FLAGS ENVELOPE BODYSTRUCTURE)");
        session.command(&text).await?;
        note(1, began);
        let began = Instant::now();
        session.command("NOOP").await?;
        note(2, began);
        let began = Instant::now();
        session.command("UID SEARCH RETURN (COUNT) UNSEEN").await?;
        note(4, began);
        session.idle().await?;
        let message = letter("idle", time as u64, LETTER_BYTES);
        let began = Instant::now();
        let heard = async {
            session.wait_exists(exists + 1).await?;
            anyhow::Ok(began.elapsed())
        };
        let (heard, told) = tokio::join!(heard, other.append("INBOX", "", &message));
        told?;
        times[5].push(heard?.as_secs_f64() * 1000.0);
        session.done().await?;
        let began = Instant::now();
        session.command("FETCH 1:* (FLAGS)").await?;
        times[3].push(began.elapsed().as_secs_f64() * 1000.0);
        session.logout().await?;
    }
    other.logout().await?;
    Ok(times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap_or(0.0)
    }))
}
