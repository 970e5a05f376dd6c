//! A running operator reads its configuration again: a renewed certificate serves at once and in both directions,
//! what would lose the trust is refused whole, and what needs a restart is named.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::{Outcome, Parameters};
use palombe_tests::clients::Account;
use palombe_tests::inbox::Inbox;
use palombe_tests::palombe::Palombe;
use palombe_tests::{clients, mail, pki, wait};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn arrived(at: &Palombe, address: &str, message: &[u8]) -> Result<()> {
    wait::until("the message at its recipient", || {
        let found: Vec<Vec<u8>> =
            Inbox::open(at, address)?.read()?.messages.into_values().collect();
        Ok(mail::find(&found, message).map(drop))
    })
}

fn journal(operator: &Palombe, event: &str) -> Result<Vec<Value>> {
    let lines = operator.cli(&["--json", "journal", "list", "--event", event])?;
    Ok(serde_json::from_str::<Value>(&lines)?.as_array().context("no list")?.clone())
}

#[test]
fn a_renewed_certificate_serves_without_a_restart() -> Result<()> {
    let mut beta = Palombe::start("beta")?;
    let marie = beta.add_bal("marie")?;
    // alpha shows a certificate that no list knows.
    let mut alpha = Palombe::prepare("alpha")?;
    alpha.show_certificate("op-absent")?;
    alpha.route("beta.mssante.test", beta.smtp());
    alpha.resume()?;
    alpha.add_domain(&alpha.domain())?;
    let jeanne = alpha.add_bal("jeanne")?;
    let before = mail::plain(&jeanne, &marie, "avant@alpha.mssante.test", "Bonjour");
    let account = Account { host: "smtp.absent.mssante.test".to_owned(), ..alpha.account(&jeanne) };
    clients::submit(&account, &marie, &before, Parameters::default())?;
    wait::until("a refusal by beta", || {
        let refused = journal(&beta, "smtp.interop.refused")?;
        Ok(refused.iter().any(|line| line["rule"] == "peer.not-in-list").then_some(()))
    })?;

    alpha.show_certificate("op-alpha")?;
    alpha.configure()?;
    let told: Value = serde_json::from_str(&alpha.cli(&["--json", "reload"])?)?;
    ensure!(told["restart_needed_for"] == serde_json::json!([]), "{told:#}");
    // People see the new one: the client checks its name. And so does beta.
    let after = mail::plain(&jeanne, &marie, "apres@alpha.mssante.test", "Bonjour");
    clients::submit(&alpha.account(&jeanne), &marie, &after, Parameters::default())?;
    arrived(&beta, &marie, &after)?;

    // The same by signal; what a reload cannot change is named.
    beta.set("relay", "port", "2526");
    beta.configure()?;
    let pid = beta.server()?.id();
    ensure!(Command::new("kill").args(["-HUP", &pid.to_string()]).status()?.success());
    wait::until("the reload in the journal", || {
        let lines = journal(&beta, "server.reload")?;
        Ok(lines.iter().any(|line| line["outcome"] == "accepted").then_some(()))
    })?;
    let line = &journal(&beta, "server.reload")?[0];
    ensure!(line["detail"]["restart_needed_for"] == serde_json::json!(["relay.port"]), "{line:#}");
    alpha.stop()?;
    beta.stop()
}

#[test]
fn what_would_lose_the_trust_is_refused_and_nothing_changes() -> Result<()> {
    let mut beta = Palombe::start("beta")?;
    let marie = beta.add_bal("marie")?;
    let config = beta.folder().join("palombe.toml");
    let own = std::fs::read_to_string(&config)?;
    let foreign = pki::file("non-igc-bundle.pem").display().to_string();
    let other_key = beta.folder().join("other.key");
    std::fs::copy(pki::key("op-alpha"), &other_key)?;
    std::fs::set_permissions(&other_key, std::fs::Permissions::from_mode(0o600))?;
    let other_key = other_key.display().to_string();
    let cases = [
        ("anchors", foreign.as_str(), "liste blanche"),
        ("key", &other_key, "tls"),
        ("environment", "production", "liste blanche"),
        ("environment", "nowhere", "trust.environment"),
    ];
    for (name, value, told) in cases {
        let spoil = |line: &str| match line.starts_with(&format!("{name} = ")) {
            true => format!("{name} = \"{value}\"\n"),
            false => format!("{line}\n"),
        };
        std::fs::write(&config, own.lines().map(spoil).collect::<String>())?;
        let output = beta.cli_output(&["reload"])?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && error.contains(told), "{name} {value}: {error}");
        // It serves on, with the certificate and the list of before.
        let from = "labo@charge.mssante.test";
        let message = mail::plain(from, &marie, &format!("{}@essai", told.len()), "Bonjour");
        let target = clients::operator_target("op-charge", beta.smtp(), &beta.hostname())?;
        let outcome = clients::send(&target, from, &[&marie], &message, Parameters::default())?;
        ensure!(matches!(outcome, Outcome::Accepted(_)), "{name} {value}: {outcome:?}");
    }
    std::fs::write(&config, own)?;
    let told: Value = serde_json::from_str(&beta.cli(&["--json", "reload"])?)?;
    ensure!(told["liste_blanche"].as_str().is_some_and(|at| at.starts_with("2025-01-01")));
    let refused = journal(&beta, "server.reload")?;
    ensure!(refused.iter().filter(|line| line["outcome"] == "refused").count() == 4);
    beta.stop()
}
