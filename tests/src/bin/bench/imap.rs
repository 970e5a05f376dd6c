//! What mail clients do, on mailboxes that hold the same messages.

use crate::servers::{self, Server};
use crate::table::{Cell, Row};
use crate::{Amount, Side};
use anyhow::{Result, bail};
use palombe_load::imap::ImapTarget;
use palombe_load::imap_load::{self, ImapLoad, Scenario};
use palombe_load::limits::OPERATIONS_MAX;
use tokio::runtime::Runtime;

struct Work {
    name: &'static str,
    scenario: Scenario,
    connections: usize,
    bytes: usize,
    folder: &'static str,
}

/// Messages in the INBOX of each of the first mailboxes.
const FILLED: u64 = 2000;
const FILLED_QUICK: u64 = 500;
/// Mailboxes in use.
const LOGINS: usize = 8;

/// All rows.
pub fn run(runtime: &Runtime, amount: &Amount) -> Result<Vec<Row>> {
    let servers: Vec<Server> = amount
        .sides
        .iter()
        .map(|side| Server::start(*side, amount.delivery))
        .collect::<Result<_>>()?;
    let filled = if amount.quick { FILLED_QUICK } else { FILLED };
    for server in &servers {
        fill(runtime, server, filled)?;
    }
    let mut rows = Vec::new();
    for (index, work) in works(amount.quick).into_iter().enumerate() {
        let mut row = Row::new(format!("{}, {} conn", work.name, work.connections));
        if !row.name.contains(&amount.row) {
            continue;
        }
        let mut order: Vec<&Server> = servers.iter().collect();
        if index % 2 == 1 {
            order.reverse();
        }
        for server in order {
            let run = format!("{index}-{:?}-{}", server.side(), std::process::id());
            let cell = measure(runtime, server, &run, amount.seconds, OPERATIONS_MAX, &work)?;
            match server.side() {
                Side::Palombe => row.palombe = Some(cell),
                Side::Reference => row.reference = Some(cell),
            }
        }
        eprintln!("{}", row.line());
        rows.push(row);
    }
    Ok(rows)
}

/// The same messages everywhere, by IMAP.
fn fill(runtime: &Runtime, server: &Server, messages: u64) -> Result<()> {
    let work = Work {
        name: "fill",
        scenario: Scenario::Append,
        connections: LOGINS,
        bytes: 4096,
        folder: "INBOX",
    };
    let all = messages * LOGINS as u64;
    let cell = measure(runtime, server, "fill", 300, all, &work)?;
    if cell.summary.done != all {
        bail!(
            "{:?}: {} of {all} messages filed: {:?}",
            server.side(),
            cell.summary.done,
            cell.summary.failed
        );
    }
    Ok(())
}

fn works(quick: bool) -> Vec<Work> {
    let work = |name, scenario, connections, bytes, folder| Work {
        name,
        scenario,
        connections,
        bytes,
        folder,
    };
    let mut works = Vec::new();
    for connections in if quick { vec![8] } else { vec![1, 8] } {
        works.extend([
            work("connect and LOGIN", Scenario::Login, connections, 4096, "INBOX"),
            work("SELECT, FETCH FLAGS of all", Scenario::FetchFlags, connections, 4096, "INBOX"),
            work("FETCH one body", Scenario::FetchOne, connections, 4096, "INBOX"),
            work("FETCH all bodies", Scenario::FetchAll, connections, 4096, "INBOX"),
            work("SEARCH SUBJECT", Scenario::Search, connections, 4096, "INBOX"),
            work("APPEND 4 KiB", Scenario::Append, connections, 4096, "Drafts"),
            work("APPEND 1 MiB", Scenario::Append, connections, 1024 * 1024, "Drafts"),
            work("APPEND to EXISTS in IDLE", Scenario::Idle, connections, 4096, "Trash"),
        ]);
    }
    works
}

fn measure(
    runtime: &Runtime,
    server: &Server,
    run: &str,
    seconds: u64,
    operations: u64,
    work: &Work,
) -> Result<Cell> {
    let target = ImapTarget {
        address: server.imaps(),
        server_name: servers::HOSTNAME.to_owned(),
        tls: palombe_load::tls::client_config(&palombe_tests::pki::anchors(), None)?,
    };
    let load = ImapLoad {
        scenario: work.scenario,
        run: run.to_owned(),
        connections: work.connections,
        operations,
        seconds,
        bytes: work.bytes,
        folder: work.folder.to_owned(),
        logins: (0..LOGINS).map(servers::mailbox).collect(),
        password: servers::PASSWORD.to_owned(),
    };
    let (summary, took) =
        server.measure(|| runtime.block_on(imap_load::run(target.clone(), load.clone())))?;
    Ok(Cell::new(summary, took))
}
