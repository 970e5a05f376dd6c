//! The process: options, logs, clock, signals, and the loop.

use anyhow::Context;
use clap::Parser;
use palombe_directory_sync::{Config, Sync, config};
use palombe_vocabulary::Timestamp;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};

const EXAMPLES: &str = "Examples:
  palombe-directory-sync --print-example > /etc/palombe/directory-sync.toml
  palombe-directory-sync --config /etc/palombe/directory-sync.toml --once
  palombe-directory-sync --config /etc/palombe/directory-sync.toml --json";

/// Fetches the liste blanche and the CRLs of IGC-Santé, verifies them, and hands them over to
/// palombe.
///
/// What does not verify never replaces what is in place. Exit status of --once: 0 when everything
/// is up to date, 1 when something could not be fetched or was refused.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Options {
    /// The configuration file (TOML).
    #[arg(long, value_name = "FILE", required_unless_present = "print_example")]
    config: Option<PathBuf>,
    /// One round, then exit.
    #[arg(long)]
    once: bool,
    /// Logs as JSON, one object per line.
    #[arg(long)]
    json: bool,
    /// Print an example configuration and exit.
    #[arg(long)]
    print_example: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(path) = options.config.as_ref().filter(|_| !options.print_example) else {
        print!("{}", config::EXAMPLE);
        return ExitCode::SUCCESS;
    };
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    if options.json {
        logs.json().init();
    } else {
        logs.init();
    }
    match run(path, options.once) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("palombe-directory-sync: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// One task on one thread: nothing else waits while it reads, writes or verifies.
fn run(path: &std::path::Path, once: bool) -> anyhow::Result<bool> {
    let config = Config::load(path).with_context(|| path.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    runtime.block_on(async {
        let mut sync = Sync::open(config, now())?;
        if once {
            return Ok(sync.round(now()).await.is_good());
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            let work = async {
                sync.round(now()).await;
                let wait = sync.wait(random()?);
                tracing::info!(wait_secs = wait.as_secs(), "next round");
                tokio::time::sleep(wait).await;
                anyhow::Ok(())
            };
            // A round dropped half-way leaves nothing behind: files appear by rename only.
            tokio::select! {
                done = work => done?,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        tracing::info!("stopped");
        Ok(true)
    })
}

/// The clock of this process, read here and nowhere below.
fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
    Timestamp(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn random() -> anyhow::Result<u32> {
    getrandom::u32().map_err(|e| anyhow::anyhow!("no randomness: {e}"))
}
