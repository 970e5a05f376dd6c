//! What mail clients do, on mailboxes that hold the same messages: Palombe, Dovecot over maildir, Dovecot over sdbox.

mod growth;
mod sides;
mod table;
mod works;

use crate::Amount;
use anyhow::Result;
use palombe_load::imap::{ImapSession, ImapTarget};
use palombe_load::letter::letter;
use serde_json::{Value, json};
use sides::{Kind, Server};
use table::Row;
use tokio::runtime::Runtime;
use works::Work;

/// Messages of the INBOX that is listed.
const FILLED: u64 = 10_000;
const FILLED_QUICK: u64 = 1_000;
const FILLED_LARGE: u64 = 200_000;
/// Messages of one APPEND that fills.
const FILL_BATCH: u64 = 50;
/// Octets of a letter.
const LETTER_BYTES: usize = 4096;

/// All rows, printed; gives them as JSON.
pub fn run(runtime: &Runtime, amount: &Amount) -> Result<Value> {
    if amount.growth {
        return growth::run(runtime, amount);
    }
    let kinds = Kind::wanted(&amount.sides);
    let servers: Vec<Server> = kinds.into_iter().map(Server::start).collect::<Result<_>>()?;
    let filled = match (amount.large, amount.quick) {
        (true, _) => FILLED_LARGE,
        (_, true) => FILLED_QUICK,
        _ => FILLED,
    };
    for server in &servers {
        runtime.block_on(fill(&server.target()?, "INBOX", (0, filled)))?;
    }
    let mut rows = Vec::new();
    for (index, work) in Work::all(amount.quick).into_iter().enumerate() {
        let mut row = Row::new(work.name(filled));
        if !row.name.contains(&amount.row) {
            continue;
        }
        // Whoever came first in this row comes second in the next.
        let mut order: Vec<&Server> = servers.iter().collect();
        order.rotate_left(index % servers.len().max(1));
        for server in order {
            row.put(server.kind, works::measure(runtime, server, &work, (amount.seconds, filled))?);
        }
        eprintln!("{}", row.line());
        rows.push(row);
    }
    table::print(&rows);
    Ok(json!({ "filled": filled, "rows": rows }))
}

/// The same letters everywhere, from `first` on.
async fn fill(target: &ImapTarget, folder: &str, (first, end): (u64, u64)) -> Result<()> {
    let mut session = ImapSession::open(target, &sides::mailbox(0), sides::PASSWORD).await?;
    let mut at = first;
    while at < end {
        let until = end.min(at + FILL_BATCH);
        let letters: Vec<Vec<u8>> =
            (at..until).map(|number| letter("fill", number, LETTER_BYTES)).collect();
        session.append_many(folder, &letters).await?;
        at = until;
    }
    session.logout().await
}
