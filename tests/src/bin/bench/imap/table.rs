//! Rows of numbers for several sides, and their ratios to Palombe.

use super::sides::Kind;
use palombe_load::stats::Summary;
use serde::Serialize;
use std::collections::BTreeMap;

/// One side of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// What the client saw.
    #[serde(flatten)]
    pub summary: Summary,
    /// Memory of the server's processes afterwards, MiB.
    pub memory_mib: f64,
    /// Processor time of the server for each operation, milliseconds.
    pub cpu_ms: f64,
    /// In the rows that measure memory: MiB for a thousand idle sessions.
    pub idle_mib: Option<f64>,
}

/// One piece of work on every side.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub name: String,
    cells: BTreeMap<Kind, Cell>,
}

impl Row {
    pub fn new(name: String) -> Row {
        Row { name, cells: BTreeMap::new() }
    }

    pub fn put(&mut self, kind: Kind, cell: Cell) {
        self.cells.insert(kind, cell);
    }

    /// One line for each side.
    pub fn line(&self) -> String {
        let mut text = self.name.clone();
        let ours = self.cells.get(&Kind::Palombe);
        for (kind, cell) in &self.cells {
            text.push_str(&format!("\n  {:<16}", kind.title()));
            if let Some(mib) = cell.idle_mib {
                text.push_str(&format!("{mib:>9.1} MiB for 1,000 idle sessions"));
                if let Some(own) = ours.and_then(|cell| cell.idle_mib)
                    && *kind != Kind::Palombe
                {
                    text.push_str(&format!(", {:.2} times Palombe's", mib / own.max(1e-9)));
                }
                continue;
            }
            let summary = &cell.summary;
            text.push_str(&format!(
                "{:>9.1} /s {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>7.0}",
                summary.per_second,
                summary.p50_ms,
                summary.p95_ms,
                summary.p99_ms,
                cell.cpu_ms,
                cell.memory_mib
            ));
            if let Some(own) = ours.filter(|_| *kind != Kind::Palombe) {
                text.push_str(&format!(
                    "   Palombe: {:>6.2} times as many per s, {:>5.2} of its p99",
                    own.summary.per_second / summary.per_second.max(1e-9),
                    own.summary.p99_ms / summary.p99_ms.max(1e-9)
                ));
            }
            for (what, count) in &summary.failed {
                text.push_str(&format!("\n    failed: {count} × {what}"));
            }
        }
        text
    }
}

/// The whole table.
pub fn print(rows: &[Row]) {
    println!(
        "\n  {:<16}{:>9}    {:>8} {:>8} {:>8} {:>8} {:>7}",
        "", "per s", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "MiB"
    );
    for row in rows {
        println!("{}", row.line());
    }
}
