//! `palombe-load`: the command line of the load generator.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use palombe_load::imap::ImapTarget;
use palombe_load::imap_load::{self, ImapLoad, Scenario};
use palombe_load::smtp::SmtpTarget;
use palombe_load::smtp_load::{self, SmtpLoad};
use palombe_load::stats::Summary;
use palombe_load::tls::{Identity, client_config};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Load generator: the same client work for every server, on loopback only, bounded in count and time.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Examples:
  palombe-load smtp --target 127.0.0.1:2525 --server-name smtp.beta.mssante.test --ca ca-bundle.pem \\
      --certificate op-alpha.pem --key op-alpha.key --from a@alpha.mssante.test --to b@beta.mssante.test \\
      --connections 32 --messages 5000 --size 4096
  palombe-load imap append --target 127.0.0.1:9930 --server-name imap.beta.mssante.test --ca ca-bundle.pem \\
      --login b@beta.mssante.test --password-file secret --operations 1000"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Threads of the client.
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Messages over STARTTLS, mutual when a certificate is given.
    Smtp(Smtp),
    /// Operations of a mail client over TLS.
    Imap(Imap),
}

#[derive(Args)]
struct Server {
    /// Server, an address of this machine.
    #[arg(long)]
    target: SocketAddr,
    /// Name that the server's certificate bears.
    #[arg(long)]
    server_name: String,
    /// PEM: authority of the server's certificate.
    #[arg(long)]
    ca: PathBuf,
    /// PEM: our certificate and its intermediates.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM: our private key.
    #[arg(long)]
    key: Option<PathBuf>,
    /// Connections at once.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Stop after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Octets of each message.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Name of this run in each Message-ID; process id and time when not given.
    #[arg(long)]
    run: Option<String>,
    /// File that holds the password of the logins.
    #[arg(long)]
    password_file: Option<PathBuf>,
}

#[derive(Args)]
struct Smtp {
    #[command(flatten)]
    server: Server,
    /// Messages in all.
    #[arg(long, default_value_t = 1000)]
    messages: u64,
    /// A new connection for each message.
    #[arg(long)]
    one_per_connection: bool,
    /// Recipients of each message.
    #[arg(long, default_value_t = 1)]
    recipients: usize,
    /// Envelope sender.
    #[arg(long)]
    from: String,
    /// Envelope recipients, taken in turn.
    #[arg(long, value_delimiter = ',', required = true)]
    to: Vec<String>,
    /// Name said in EHLO.
    #[arg(long, default_value = "load.invalid")]
    helo: String,
    /// AUTH PLAIN as this BAL.
    #[arg(long, requires = "password_file")]
    login: Option<String>,
    /// One command at a time.
    #[arg(long)]
    no_pipelining: bool,
    /// Write the Message-ID of each message that was answered 250 into this file.
    #[arg(long)]
    accepted: Option<PathBuf>,
}

#[derive(Args)]
struct Imap {
    /// What to do.
    scenario: ScenarioName,
    #[command(flatten)]
    server: Server,
    /// Operations in all.
    #[arg(long, default_value_t = 1000)]
    operations: u64,
    /// The folder.
    #[arg(long, default_value = "INBOX")]
    folder: String,
    /// Logins, taken in turn by the sessions.
    #[arg(long, value_delimiter = ',', required = true)]
    login: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScenarioName {
    /// APPEND one message.
    Append,
    /// Connect, TLS, LOGIN, LOGOUT.
    Login,
    /// SELECT, then the flags of every message.
    FetchFlags,
    /// The whole text of one message.
    FetchOne,
    /// The whole text of every message.
    FetchAll,
    /// SEARCH by subject.
    Search,
    /// From another session's APPEND to the EXISTS in IDLE.
    Idle,
}

impl Server {
    fn tls(&self) -> Result<std::sync::Arc<rustls::ClientConfig>> {
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            _ => None,
        };
        client_config(&self.ca, identity)
    }

    fn password(&self) -> Result<String> {
        let Some(file) = &self.password_file else { bail!("--login needs --password-file") };
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn run(&self) -> String {
        self.run.clone().unwrap_or_else(|| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            format!("{}-{}", std::process::id(), since.map_or(0, |since| since.as_millis()))
        })
    }
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let threads = cli.threads.clamp(1, 8);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let summary = match cli.command {
        Command::Smtp(smtp) => runtime.block_on(run_smtp(smtp))?,
        Command::Imap(imap) => runtime.block_on(run_imap(imap))?,
    };
    if cli.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print(&summary);
    }
    if summary.done == 0 {
        bail!("nothing was done");
    }
    Ok(())
}

async fn run_smtp(smtp: Smtp) -> Result<Summary> {
    let server = &smtp.server;
    let login = match smtp.login {
        Some(login) => Some((login, server.password()?)),
        None => None,
    };
    let target = SmtpTarget {
        address: server.target,
        server_name: server.server_name.clone(),
        helo: smtp.helo,
        tls: server.tls()?,
        login,
        pipelining: !smtp.no_pipelining,
    };
    let run = server.run();
    let load = SmtpLoad {
        run: run.clone(),
        connections: server.connections,
        messages: smtp.messages,
        seconds: server.seconds,
        bytes: server.size,
        one_per_connection: smtp.one_per_connection,
        from: smtp.from,
        to: smtp.to,
        recipients: smtp.recipients,
    };
    let outcome = smtp_load::run(target, load).await?;
    if let Some(path) = smtp.accepted {
        let maker = palombe_load::message::MessageMaker::new(&run, 1);
        let mut file = std::fs::File::create(&path).with_context(|| path.display().to_string())?;
        for number in outcome.accepted {
            writeln!(file, "<{}>", maker.id(number))?;
        }
    }
    Ok(outcome.summary)
}

async fn run_imap(imap: Imap) -> Result<Summary> {
    let server = &imap.server;
    let target = ImapTarget {
        address: server.target,
        server_name: server.server_name.clone(),
        tls: server.tls()?,
    };
    let load = ImapLoad {
        scenario: match imap.scenario {
            ScenarioName::Append => Scenario::Append,
            ScenarioName::Login => Scenario::Login,
            ScenarioName::FetchFlags => Scenario::FetchFlags,
            ScenarioName::FetchOne => Scenario::FetchOne,
            ScenarioName::FetchAll => Scenario::FetchAll,
            ScenarioName::Search => Scenario::Search,
            ScenarioName::Idle => Scenario::Idle,
        },
        run: server.run(),
        connections: server.connections,
        operations: imap.operations,
        seconds: server.seconds,
        bytes: server.size,
        folder: imap.folder,
        logins: imap.login,
        password: server.password()?,
    };
    imap_load::run(target, load).await
}

fn print(summary: &Summary) {
    println!(
        "{} done in {:.2} s: {:.0} /s, {:.1} MiB/s; ms: p50 {:.2}, p95 {:.2}, p99 {:.2}, max {:.2}",
        summary.done,
        summary.seconds,
        summary.per_second,
        summary.mib_per_second,
        summary.p50_ms,
        summary.p95_ms,
        summary.p99_ms,
        summary.max_ms
    );
    for (what, count) in &summary.failed {
        println!("{count} failed: {what}");
    }
}
