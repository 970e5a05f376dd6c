//! Messages of another operator: how many are durably accepted each second, and how long each waits for its 250.

use crate::servers::{self, Server};
use crate::table::{Cell, Row};
use crate::{Amount, Side};
use anyhow::Result;
use palombe_load::limits::OPERATIONS_MAX;
use palombe_load::smtp::SmtpTarget;
use palombe_load::smtp_load::{self, SmtpLoad};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

struct Work {
    bytes: usize,
    connections: usize,
    one_per_connection: bool,
}

/// All rows.
pub fn run(runtime: &Runtime, amount: &Amount) -> Result<Vec<Row>> {
    let servers: Vec<Server> = amount
        .sides
        .iter()
        .map(|side| Server::start(*side, amount.delivery))
        .collect::<Result<_>>()?;
    for server in &servers {
        // Files opened, code paged in, caches filled: not measured.
        measure(
            runtime,
            server,
            "warm",
            2,
            &Work { bytes: 4096, connections: 8, one_per_connection: false },
        )?;
    }
    let mut rows = Vec::new();
    for (index, work) in works(amount.quick).into_iter().enumerate() {
        let mut row = Row::new(work.name());
        if !row.name.contains(&amount.row) {
            continue;
        }
        // Whoever came first in this row comes second in the next.
        let mut order: Vec<&Server> = servers.iter().collect();
        if index % 2 == 1 {
            order.reverse();
        }
        for server in order {
            let run = format!("{index}-{:?}-{}", server.side(), std::process::id());
            let cell = measure(runtime, server, &run, amount.seconds, &work)?;
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

fn works(quick: bool) -> Vec<Work> {
    let mut works = Vec::new();
    for bytes in [4 * 1024, 100 * 1024, 1024 * 1024] {
        for one_per_connection in [false, true] {
            for connections in [1, 8, 32] {
                let kept = !one_per_connection && (connections == 32 || bytes == 4096);
                let wanted = connections != 8 && (kept || (connections == 32 && bytes == 4096));
                if !quick || wanted {
                    works.push(Work { bytes, connections, one_per_connection });
                }
            }
        }
    }
    works
}

impl Work {
    fn name(&self) -> String {
        let size = match self.bytes / 1024 {
            1024 => "1 MiB".to_owned(),
            kib => format!("{kib} KiB"),
        };
        let mode = if self.one_per_connection { "one per connection" } else { "kept" };
        format!("{size}, {} conn, {mode}", self.connections)
    }
}

fn measure(
    runtime: &Runtime,
    server: &Server,
    run: &str,
    seconds: u64,
    work: &Work,
) -> Result<Cell> {
    let target = SmtpTarget {
        address: server.smtp(),
        server_name: servers::HOSTNAME.to_owned(),
        helo: "smtp.charge.mssante.test".to_owned(),
        tls: servers::client_tls()?,
        login: None,
        pipelining: true,
    };
    let load = SmtpLoad {
        run: run.to_owned(),
        connections: work.connections,
        messages: OPERATIONS_MAX,
        seconds,
        bytes: work.bytes,
        one_per_connection: work.one_per_connection,
        from: "injecteur@charge.mssante.test".to_owned(),
        to: (0..servers::MAILBOXES).map(servers::mailbox).collect(),
        recipients: 1,
    };
    let began = Instant::now();
    let (outcome, took) =
        server.measure(|| runtime.block_on(smtp_load::run(target.clone(), load.clone())))?;
    server.settle();
    let delivered = began.elapsed().max(Duration::from_millis(1));
    let mut cell = Cell::new(outcome.summary, took);
    cell.delivered_per_second = Some(cell.summary.done as f64 / delivered.as_secs_f64());
    Ok(cell)
}
