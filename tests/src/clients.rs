//! Mail clients that people have, driven from the command line.

use crate::pki;
use crate::process;
use anyhow::{Context, Result, bail};
use palombe_load::smtp::{Outcome, Parameters, SmtpSession, SmtpTarget, end_of_data};
use palombe_load::tls::{Identity, client_config};
use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

/// A person's way in: names that the certificate bears, ports of this machine, a BAL.
#[derive(Clone, Debug)]
pub struct Account {
    /// Name of the host.
    pub host: String,
    /// Where submission answers.
    pub submission: SocketAddr,
    /// Where IMAP over TLS answers.
    pub imaps: SocketAddr,
    /// The BAL.
    pub address: String,
    /// Its password.
    pub password: String,
}

/// curl: submits a file.
pub fn curl_submit(account: &Account, to: &str, message: &Path) -> Result<Output> {
    let port = account.submission.port();
    let mut command = curl(account, port, account.submission);
    command.args([
        "--ssl-reqd",
        "--mail-from",
        &account.address,
        "--mail-rcpt",
        to,
        "--upload-file",
    ]);
    command.arg(message).arg(format!("smtp://{}:{port}/client", account.host));
    process::run(&mut command)
}

/// curl: fetches what an IMAP URL path names, such as `INBOX;MAILINDEX=1`.
pub fn curl_fetch(account: &Account, path: &str) -> Result<Vec<u8>> {
    let port = account.imaps.port();
    let mut command = curl(account, port, account.imaps);
    command.arg(format!("imaps://{}:{port}/{path}", account.host));
    Ok(process::run(&mut command)?.stdout)
}

/// curl: sends one IMAP command in a folder and returns the untagged answers.
pub fn curl_command(account: &Account, folder: &str, imap_command: &str) -> Result<String> {
    let port = account.imaps.port();
    let mut command = curl(account, port, account.imaps);
    command.arg(format!("imaps://{}:{port}/{folder}", account.host)).args(["-X", imap_command]);
    Ok(String::from_utf8_lossy(&process::run(&mut command)?.stdout).into_owned())
}

fn curl(account: &Account, port: u16, address: SocketAddr) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "120", "--cacert"]).arg(pki::anchors());
    command.arg("--resolve").arg(format!("{}:{port}:{}", account.host, address.ip()));
    command.arg("--user").arg(format!("{}:{}", account.address, account.password));
    command
}

/// swaks: submits a file (or, with `None`, stops after RCPT); its transcript, whatever happened.
pub fn swaks_submit(account: &Account, to: &str, message: Option<&Path>) -> Result<Output> {
    let mut command = Command::new("swaks");
    command.args(["--server", &account.submission.ip().to_string()]);
    command.args(["--port", &account.submission.port().to_string(), "--timeout", "30"]);
    command.args(["--tls", "--tls-verify", "--tls-ca-path"]).arg(pki::anchors());
    command.args(["--auth", "PLAIN", "--auth-user", &account.address]);
    command.args(["--auth-password", &account.password, "--helo", "client.invalid"]);
    command.args(["--from", &account.address, "--to", to]);
    match message {
        Some(file) => command.arg("--data").arg(format!("@{}", file.display())),
        None => command.args(["--quit-after", "RCPT"]),
    };
    command.output().context("swaks")
}

/// mbsync: its configuration for one account and one local maildir folder, both ways. The host must be `localhost`.
pub fn mbsync_config(account: &Account, local: &Path, password: &Path) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "IMAPAccount bal\nHost localhost\nPort {}", account.imaps.port())?;
    writeln!(text, "User {}\nPassCmd \"cat '{}'\"", account.address, password.display())?;
    writeln!(text, "SSLType IMAPS\nSystemCertificates no")?;
    writeln!(text, "CertificateFile {}\n", pki::anchors().display())?;
    writeln!(text, "IMAPStore far\nAccount bal\n")?;
    writeln!(
        text,
        "MaildirStore near\nPath {0}/\nInbox {0}/INBOX\nSubFolders Verbatim\n",
        local.display()
    )?;
    writeln!(
        text,
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSync All"
    )?;
    writeln!(text, "SyncState *")?;
    Ok(text)
}

/// mbsync: one synchronisation; what it printed.
pub fn mbsync(config: &Path) -> Result<String> {
    let output =
        process::run(Command::new("mbsync").arg("-c").arg(config).args(["--verbose", "--all"]))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// offlineimap: its configuration for one account and one local folder of maildirs, both ways.
pub fn offlineimap_config(
    account: &Account,
    local: &Path,
    state: &Path,
    password: &Path,
) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "[general]\nmetadata = {}\naccounts = bal\nui = basic", state.display())?;
    writeln!(text, "socktimeout = 60\n")?;
    writeln!(text, "[Account bal]\nlocalrepository = near\nremoterepository = far\n")?;
    writeln!(text, "[Repository near]\ntype = Maildir\nlocalfolders = {}\n", local.display())?;
    writeln!(text, "[Repository far]\ntype = IMAP\nremotehost = {}", account.host)?;
    writeln!(text, "remoteport = {}\nssl = yes", account.imaps.port())?;
    writeln!(text, "sslcacertfile = {}", pki::anchors().display())?;
    writeln!(text, "remoteuser = {}", account.address)?;
    writeln!(text, "remotepassfile = {}\nauth_mechanisms = PLAIN", password.display())?;
    Ok(text)
}

/// offlineimap: one synchronisation.
pub fn offlineimap(config: &Path) -> Result<Output> {
    process::run(Command::new("offlineimap").arg("-c").arg(config).arg("-o"))
}

/// What getmail does at the server with a message that it has fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Nothing.
    Stays,
    /// `\Deleted`, then EXPUNGE.
    Goes,
}

/// getmail: its configuration for INBOX and one local maildir.
pub fn getmail_config(account: &Account, local: &Path, fetched: Fetched) -> String {
    format!(
        "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = {host}\nport = {port}\n\
         username = {user}\npassword = {password}\nca_certs = {ca}\n\n\
         [destination]\ntype = Maildir\npath = {local}/\n\n\
         [options]\nread_all = {read_all}\ndelete = {delete}\ndelivered_to = false\nreceived = false\n",
        host = account.host,
        port = account.imaps.port(),
        user = account.address,
        password = account.password,
        ca = pki::anchors().display(),
        local = local.display(),
        read_all = false,
        delete = fetched == Fetched::Goes,
    )
}

/// getmail: one run; `state` is where it remembers what it has fetched. It refuses to deliver as the super-user, so
/// that one runs it as nobody: `state` and the maildir are [`give_to_nobody`]'s.
pub fn getmail(state: &Path, config: &Path) -> Result<Output> {
    let mut command = Command::new("getmail");
    command.arg("--getmaildir").arg(state).arg("--rcfile").arg(config).env("HOME", state);
    if process::is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    process::run(&mut command)
}

/// On Debian: the user and the group without rights.
const NOBODY: u32 = 65_534;

/// Lets [`getmail`] write there.
pub fn give_to_nobody(folder: &Path) -> Result<()> {
    if process::is_root() {
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

/// Connects to a port of operators with mutual TLS, as the operator `certificate`.
pub fn operator_target(
    certificate: &str,
    address: SocketAddr,
    server_name: &str,
) -> Result<SmtpTarget> {
    let (chain, key) = (pki::certificate(certificate), pki::key(certificate));
    Ok(SmtpTarget {
        address,
        server_name: server_name.to_owned(),
        helo: "peer.mssante.test".to_owned(),
        tls: client_config(&pki::anchors(), Some(Identity { certificate: &chain, key: &key }))?,
        login: None,
        pipelining: true,
    })
}

/// Connects to the submission port as the holder of a BAL.
pub fn submission_target(account: &Account) -> Result<SmtpTarget> {
    Ok(SmtpTarget {
        address: account.submission,
        server_name: account.host.clone(),
        helo: "client.invalid".to_owned(),
        tls: client_config(&pki::anchors(), None)?,
        login: Some((account.address.clone(), account.password.clone())),
        pipelining: true,
    })
}

/// Sends one message over a session of its own and returns what became of it.
pub fn send(
    target: &SmtpTarget,
    from: &str,
    to: &[&str],
    message: &[u8],
    parameters: Parameters<'_>,
) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = SmtpSession::open(target).await?;
        let outcome = session.send_with(from, to, &end_of_data(message), parameters).await?;
        session.quit().await?;
        Ok(outcome)
    })
}

/// Submits one message as the holder of a BAL; anything but 250 is an error.
pub fn submit(
    account: &Account,
    to: &str,
    message: &[u8],
    parameters: Parameters<'_>,
) -> Result<()> {
    submit_from(account, &account.address, to, message, parameters)
}

/// The same under the address of another BAL.
pub fn submit_as(account: &Account, from: &str, to: &str, message: &[u8]) -> Result<()> {
    submit_from(account, from, to, message, Parameters::default())
}

fn submit_from(
    account: &Account,
    from: &str,
    to: &str,
    message: &[u8],
    parameters: Parameters<'_>,
) -> Result<()> {
    let target = submission_target(account)?;
    match send(&target, from, &[to], message, parameters)? {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Refused(reply) => bail!("{} {}", reply.code, reply.text),
    }
}

/// Every message of a folder, as an IMAP client gets it.
pub fn curl_folder(account: &Account, folder: &str) -> Result<Vec<Vec<u8>>> {
    let status = curl_command(account, "", &format!("STATUS {folder} (MESSAGES)"))?;
    let count = status.split("MESSAGES ").nth(1).and_then(|rest| rest.split([')', ' ']).next());
    let count: u32 = count.and_then(|count| count.parse().ok()).context(status.clone())?;
    (1..=count).map(|index| curl_fetch(account, &format!("{folder};MAILINDEX={index}"))).collect()
}

/// Plain SMTP without TLS, as Postfix takes it from its own people; optional DSN parameters of MAIL and RCPT.
pub fn plain_send(
    address: SocketAddr,
    from: &str,
    mail_parameters: &str,
    to: &str,
    rcpt_parameters: &str,
    message: &[u8],
) -> Result<()> {
    use std::io::{BufRead, BufReader, Write as _};
    let stream = std::net::TcpStream::connect(address)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut step = |bytes: &[u8], wanted: &str| -> Result<()> {
        writer.write_all(bytes)?;
        let mut line = String::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            if line.len() < 4 || &line[3..4] != "-" {
                break;
            }
        }
        anyhow::ensure!(line.starts_with(wanted), "wanted {wanted}, got {line:?}");
        Ok(())
    };
    step(b"", "220")?;
    step(b"EHLO client.invalid\r\n", "250")?;
    step(format!("MAIL FROM:<{from}>{mail_parameters}\r\n").as_bytes(), "250")?;
    step(format!("RCPT TO:<{to}>{rcpt_parameters}\r\n").as_bytes(), "250")?;
    step(b"DATA\r\n", "354")?;
    step(&end_of_data(message), "250")?;
    step(b"QUIT\r\n", "221")
}
