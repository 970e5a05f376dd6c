//! # palombe: the binary
//!
//! *Lives here:* configuration, wiring, commands.
//! *Never enters:* protocol, storage or trust logic: those rooms are called, not repeated.
//! *Who may call:* people and systemd. *Serves:* the operator's engineers.

mod cli;
mod client;
mod commands;
mod config;
mod doors;
mod logs;
mod metrics;
mod reload;
mod run;
mod snapshots;
mod table;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand, JournalCommand, StoreCommand, TrustCommand};
use client::Client;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match command(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("palombe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(cli: Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    match cli.command {
        Command::Run => return run::run(&cli.config),
        Command::Config(ConfigCommand::Example) => print!("{}", config::example()),
        Command::Config(ConfigCommand::Check) => {
            config::load(&cli.config)?;
            println!("{}: no problem found", cli.config.display());
        }
        Command::Config(ConfigCommand::Policy) => commands::liste_blanche::policy(json)?,
        Command::ListeBlanche(list) => {
            return commands::liste_blanche::run(list, &cli.config, json);
        }
        Command::Documents(documents) => return commands::documents::documents(json, documents),
        Command::Store(StoreCommand::Check { data_folder }) => {
            return commands::store::check(data_folder, &cli.config, cli.socket, json);
        }
        command => {
            let client = Client::new(&socket(cli.socket, &cli.config)?);
            runtime()?.block_on(ask(&client, json, command))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(client: &Client, json: bool, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Reload => commands::admin::reload(client, json).await,
        Command::Status => commands::admin::status(client, json).await,
        Command::Domain(c) => commands::admin::domain(client, json, c).await,
        Command::Bal(c) => commands::admin::bal(client, json, c).await,
        Command::Queue(c) => commands::admin::queue(client, json, c).await,
        Command::Trust(TrustCommand::Why(why)) => commands::why::why(client, json, why).await,
        Command::Journal(JournalCommand::List(list)) => {
            commands::admin::journal(client, json, list).await
        }
        Command::Journal(JournalCommand::Verify) => {
            commands::admin::journal_verify(client, json).await
        }
        Command::Search(c) => commands::search::search(client, json, c).await,
        Command::Run
        | Command::Config(_)
        | Command::Documents(_)
        | Command::ListeBlanche(_)
        | Command::Store(_) => Ok(()),
    }
}

fn socket(given: Option<PathBuf>, config: &std::path::Path) -> anyhow::Result<PathBuf> {
    match given {
        Some(socket) => Ok(socket),
        None => Ok(config::admin_socket(config)?),
    }
}

/// A small runtime for commands that ask the server.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
