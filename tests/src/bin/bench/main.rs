//! `palombe-bench`: the same client work on Palombe and on Postfix or Dovecot, interleaved in one run.

mod imap;
mod servers;
mod smtp;
mod table;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

/// Compares Palombe with Postfix and Dovecot on this machine: default durability, the same certificates, the same
/// client, one after the other for each row. Each connection of the client is mutual TLS with a full handshake.
#[derive(Parser)]
#[command(
    name = "script/bench",
    after_help = "Examples:
  script/bench smtp
  script/bench imap --quick
  script/bench smtp --only reference     Postfix and Dovecot alone"
)]
struct Cli {
    /// Which doors.
    what: What,
    /// Fewer rows, shorter runs.
    #[arg(long)]
    quick: bool,
    /// Seconds of each run; 6, or 3 with --quick, when not given.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=30))]
    seconds: Option<u64>,
    /// One side only.
    #[arg(long)]
    only: Option<Side>,
    /// IMAP: 200,000 messages in the listed mailbox instead of 10,000.
    #[arg(long)]
    large: bool,
    /// IMAP: Palombe alone, with a folder that grows to a million messages.
    #[arg(long)]
    growth: bool,
    /// Only the rows whose name holds this, such as "4 KiB" or "kept".
    #[arg(long)]
    row: Option<String>,
    /// How Postfix hands mail to Dovecot's maildirs; by itself costs it the least.
    #[arg(long, default_value = "maildir")]
    reference_delivery: ReferenceDelivery,
    /// Where to write the numbers as JSON; bench-smtp.json or bench-imap.json in the target folder when not given.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Messages from another operator, durably accepted.
    Smtp,
    /// What mail clients do.
    Imap,
}

/// A side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// Palombe.
    Palombe,
    /// Postfix and Dovecot.
    Reference,
}

/// How Postfix delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReferenceDelivery {
    /// By its own virtual(8).
    Maildir,
    /// By Dovecot's LMTP service.
    Lmtp,
}

/// How much.
pub struct Amount {
    /// How Postfix delivers.
    pub delivery: ReferenceDelivery,
    /// Fewer rows.
    pub quick: bool,
    /// Of each run.
    pub seconds: u64,
    /// Which.
    pub sides: Vec<Side>,
    /// Part of the row's name.
    pub row: String,
    /// A large mailbox.
    pub large: bool,
    /// A growing one.
    pub growth: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let amount = Amount {
        quick: cli.quick,
        seconds: cli.seconds.unwrap_or(if cli.quick { 3 } else { 6 }),
        sides: cli.only.map_or(vec![Side::Palombe, Side::Reference], |side| vec![side]),
        delivery: cli.reference_delivery,
        row: cli.row.unwrap_or_default(),
        large: cli.large,
        growth: cli.growth,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (name, rows) = match cli.what {
        What::Smtp => {
            let rows = smtp::run(&runtime, &amount)?;
            table::print(&rows);
            ("smtp", json!(rows))
        }
        What::Imap => ("imap", imap::run(&runtime, &amount)?),
    };
    let path = match cli.json {
        Some(path) => path,
        None => palombe_tests::repo::target()?.join(format!("bench-{name}.json")),
    };
    let machine = json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "seconds_per_run": amount.seconds,
    });
    let all = json!({ "what": name, "machine": machine, "rows": rows });
    std::fs::write(&path, serde_json::to_vec_pretty(&all)?)
        .with_context(|| path.display().to_string())?;
    println!("\nJSON: {}", path.display());
    Ok(())
}
