//! Rows of numbers, and their ratios.

use crate::servers::Took;
use palombe_load::stats::Summary;
use serde::Serialize;

/// One side of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// What the client saw.
    #[serde(flatten)]
    pub summary: Summary,
    /// Until the last message was in its mailbox.
    pub delivered_per_second: Option<f64>,
    /// Highest memory of the server's processes, MiB.
    pub memory_mib: f64,
    /// Processor time of the server for each operation, milliseconds.
    pub cpu_ms: f64,
    /// Processor time of the client for each operation, milliseconds.
    pub client_cpu_ms: f64,
}

impl Cell {
    /// From what was measured.
    pub fn new(summary: Summary, took: Took) -> Cell {
        let each = |seconds: f64| seconds * 1000.0 / summary.done.max(1) as f64;
        Cell {
            delivered_per_second: None,
            memory_mib: took.memory_bytes as f64 / (1024.0 * 1024.0),
            cpu_ms: each(took.cpu_seconds),
            client_cpu_ms: each(took.client_cpu_seconds),
            summary,
        }
    }
}

/// One piece of work on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub name: String,
    /// Palombe.
    pub palombe: Option<Cell>,
    /// Postfix and Dovecot.
    pub reference: Option<Cell>,
}

impl Row {
    /// An empty row.
    pub fn new(name: String) -> Row {
        Row { name, palombe: None, reference: None }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let mut line = format!("{:<36}", self.name);
        for cell in [&self.palombe, &self.reference] {
            line.push_str(&match cell {
                Some(cell) => format!(
                    " |{:>7.0} {:>7.1} {:>7.1} {:>7.1} {:>5.0} {:>6.2}",
                    cell.summary.per_second,
                    cell.summary.p50_ms,
                    cell.summary.p95_ms,
                    cell.summary.p99_ms,
                    cell.memory_mib,
                    cell.cpu_ms
                ),
                None => format!(" |{:>45}", "-"),
            });
        }
        if let (Some(ours), Some(theirs)) = (&self.palombe, &self.reference)
            && ours.summary.per_second > 0.0
            && theirs.summary.per_second > 0.0
        {
            line.push_str(&format!(
                " |{:>6.2} {:>6.2}",
                ours.summary.per_second / theirs.summary.per_second.max(1e-9),
                ours.summary.p99_ms / theirs.summary.p99_ms.max(1e-9)
            ));
        }
        line
    }
}

/// The whole table.
pub fn print(rows: &[Row]) {
    println!();
    println!(
        "{:<36} | {:<44} | {:<44} | Palombe / reference",
        "", "Palombe", "Postfix and Dovecot"
    );
    let heads = format!(
        "{:>6} {:>7} {:>7} {:>7} {:>5} {:>6}",
        "per s", "p50 ms", "p95 ms", "p99 ms", "MiB", "CPU ms"
    );
    println!("{:<36} | {heads} | {heads} |{:>6} {:>6}", "", "per s", "p99");
    for row in rows {
        println!("{}", row.line());
    }
    let sides = |row: &Row| {
        [
            row.palombe.clone().map(|cell| ("Palombe", cell)),
            row.reference.clone().map(|cell| ("Postfix and Dovecot", cell)),
        ]
    };
    for row in rows {
        for (side, cell) in sides(row).into_iter().flatten() {
            for (what, count) in &cell.summary.failed {
                println!("failed: {}, {side}: {count} × {what}", row.name);
            }
        }
    }
}
