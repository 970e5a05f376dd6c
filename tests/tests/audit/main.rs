//! The eight audit cases of the trust space, in both directions, on the real server: what a peer reads, what a doctor
//! reads, what the journal keeps, and that nothing moved. ANS spec mssante §1.7.

mod list;
mod received;
mod sent;

use anyhow::{Context, Result, ensure};
use palombe_tests::inbox::Inbox;
use palombe_tests::palombe::Palombe;
use palombe_tests::peer::{Caller, fingerprint, sha256};
use palombe_tests::{pki, wait};
use serde_json::Value;
use std::net::SocketAddr;

const MARIE: &str = "marie@beta.mssante.test";
const ALPHA: &str = "medecin@alpha.mssante.test";
const AUDITOR: &str = "OU=300000000099622,O=GIP - TEST9962,L=Paris (75),C=FR";
const SENDER_OK: &str = "250 2.1.0 Sender OK";
const RECIPIENT_OK: &str = "250 2.1.5 Recipient OK";
const LIST_ABSENT: &str = "451 4.7.1 trust information is not available now, try again later";

fn audit(case: &str) -> String {
    format!("{case}-audit.espacedeconfiance.mssante.test")
}

/// The distinguished name of an audit certificate, as the journal writes it.
fn dn(name: &str) -> String {
    format!("CN={name}.espacedeconfiance.mssante.test,{AUDITOR}")
}

fn list_digest(name: &str) -> Result<String> {
    sha256(&std::fs::read(pki::file(name))?)
}

/// `palombe trust why`, once it knows a line that fits: journal lines of refusals are not waited for by replies.
fn why(operator: &Palombe, arguments: &[&str], fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let arguments = [&["--json", "trust", "why"], arguments].concat();
    lines(operator, &arguments, fits)
}

fn lines(operator: &Palombe, arguments: &[&str], fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = String::new();
    let found = wait::until(&format!("palombe {arguments:?}"), || {
        last = operator.cli(arguments)?;
        let lines: Vec<Value> = serde_json::from_str(&last)?;
        Ok(lines.into_iter().rev().find(&fits))
    });
    found.with_context(|| last)
}

fn text<'a>(line: &'a Value, pointer: &str) -> &'a str {
    line.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The evidence names this certificate (or none) and this list.
fn check_evidence(line: &Value, certificate: Option<&str>, list: &str) -> Result<()> {
    let certificate = certificate.map(fingerprint).transpose()?.unwrap_or_default();
    let told = text(line, "/detail/evidence/fingerprint_sha256");
    ensure!(told == certificate, "certificate: {line:#}");
    ensure!(text(line, "/detail/evidence/list/digest_hex") == list_digest(list)?, "{line:#}");
    Ok(())
}

fn beta() -> Result<Palombe> {
    let beta = Palombe::start("beta")?;
    beta.add_bal("marie")?;
    Ok(beta)
}

fn inbox(operator: &Palombe, address: &str) -> Result<Vec<Vec<u8>>> {
    Ok(Inbox::open(operator, address)?.read()?.messages.into_values().collect())
}

/// MAIL, RCPT and the reply to the whole message.
fn whole(caller: &mut Caller, from: &str, to: &str, message: &[u8]) -> Result<String> {
    let reply = caller.ask(&format!("MAIL FROM:<{from}>"))?;
    ensure!(reply == SENDER_OK, "{reply}");
    let reply = caller.ask(&format!("RCPT TO:<{to}>"))?;
    ensure!(reply == RECIPIENT_OK, "{reply}");
    ensure!(caller.ask("DATA")?.starts_with("354 "));
    caller.send(&palombe_load::smtp::end_of_data(message))?;
    caller.reply()
}

/// Prepares an operator whose list is a file of the test, looked at every second.
fn with_own_list(name: &str, list: &str) -> Result<Palombe> {
    let mut operator = Palombe::prepare(name)?;
    hand_over(&operator, list)?;
    let file = operator.folder().join("liste.xml");
    let metrics = metrics_address(&operator);
    operator.set("trust", "liste_blanche", &format!("\"{}\"", file.display()));
    operator.set("trust", "refresh_secs", "1");
    operator.set("metrics", "listen", &format!("\"{metrics}\""));
    Ok(operator)
}

/// As directory-sync does: a new file under the old name.
fn hand_over(operator: &Palombe, list: &str) -> Result<()> {
    let beside = operator.site().write("liste.new", std::fs::read(pki::file(list))?)?;
    Ok(std::fs::rename(beside, operator.folder().join("liste.xml"))?)
}

fn metrics_address(operator: &Palombe) -> SocketAddr {
    operator.site().at(2925)
}
