//! Postfix as the other operator, in the same liste blanche, over mutual TLS and a real name server.

use anyhow::{Context, Result};
use palombe_load::smtp::Parameters;
use palombe_tests::clients::{self, Account};
use palombe_tests::dns::{self, Dns};
use palombe_tests::palombe::Palombe;
use palombe_tests::postfix::{self, Postfix, PostfixSettings};
use palombe_tests::{mail, process, skip_if_missing, wait};

const THEIRS: &str = "medecin@postfix.mssante.test";
const OURS: &str = "marie@beta.mssante.test";
const NONE: Parameters<'_> = Parameters { mail: "", rcpt: "" };

/// Two operators who find each other.
struct World {
    palombe: Palombe,
    postfix: Postfix,
    marie: Account,
    _dns: Dns,
}

fn missing() -> Option<String> {
    postfix::missing().or_else(dns::missing).or_else(|| process::missing_programs(&["curl"]))
}

impl World {
    fn start() -> Result<World> {
        let mut palombe = Palombe::prepare("beta")?;
        let mut postfix = Postfix::prepare(PostfixSettings::peer())?;
        postfix.route("beta.mssante.test", palombe.smtp());
        let dns = Dns::start(&[
            ("beta.mssante.test", "mx1.beta.mssante.test", palombe.smtp().ip()),
            ("postfix.mssante.test", "mx1.postfix.mssante.test", postfix.smtp().ip()),
        ])?;
        palombe.set("relay", "dns_servers", &format!("[\"{}\"]", dns.address()));
        palombe.resume()?;
        palombe.add_domain("beta.mssante.test")?;
        palombe.add_bal("marie")?;
        postfix.resume()?;
        let marie = palombe.account(OURS);
        Ok(World { palombe, postfix, marie, _dns: dns })
    }

    /// Submits at Palombe as marie.
    fn we_send(&self, to: &str, message: &[u8], parameters: Parameters<'_>) -> Result<()> {
        self.explain(clients::submit(&self.marie, to, message, parameters))
    }

    /// Submits at Postfix as medecin.
    fn they_send(&self, to: &str, message: &[u8], rcpt: &str) -> Result<()> {
        self.explain(clients::plain_send(self.postfix.submission(), THEIRS, "", to, rcpt, message))
    }

    /// Waits for a message in the maildir of medecin.
    fn they_get(&self, what: &str, is_it: impl Fn(&[Vec<u8>]) -> bool) -> Result<()> {
        let ask = || Ok(is_it(&mail::maildir(&self.postfix.maildir("medecin"))?).then_some(()));
        self.explain(wait::until(what, ask))
    }

    /// Waits for a message in the INBOX of marie.
    fn we_get(&self, what: &str, is_it: impl Fn(&[Vec<u8>]) -> bool) -> Result<()> {
        let ask = || Ok(is_it(&clients::curl_folder(&self.marie, "INBOX")?).then_some(()));
        self.explain(wait::until(what, ask))
    }

    fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.with_context(|| {
            let (ours, theirs) = (self.palombe.log(), self.postfix.log());
            format!("Palombe:\n{}Postfix:\n{}", process::tail(&ours), process::tail(&theirs))
        })
    }
}

#[test]
fn mail_both_ways_plain_and_with_20_mib() -> Result<()> {
    skip_if_missing!(missing());
    let world = World::start()?;
    let large = 20 * 1024 * 1024;
    let there = [
        mail::plain(OURS, THEIRS, "aller@beta", "Compte rendu.\r\n.\r\n..deux points"),
        mail::with_attachment(OURS, THEIRS, "aller-joint@beta", large),
    ];
    let back = [
        mail::plain(THEIRS, OURS, "retour@postfix", "Reçu.\r\n.\r\n..deux points"),
        mail::with_attachment(THEIRS, OURS, "retour-joint@postfix", large),
    ];
    for message in &there {
        world.we_send(THEIRS, message, NONE)?;
    }
    for message in &back {
        world.they_send(OURS, message, "")?;
    }
    for message in &there {
        world.they_get("our message at Postfix", |all| mail::find(all, message).is_some())?;
    }
    for message in &back {
        world.we_get("their message at Palombe", |all| mail::find(all, message).is_some())?;
    }
    Ok(())
}

#[test]
fn reports_of_what_we_send() -> Result<()> {
    skip_if_missing!(missing());
    let world = World::start()?;
    let unknown = "inconnu@postfix.mssante.test";
    world.we_send(unknown, &mail::plain(OURS, unknown, "echec@beta", "Bonjour."), NONE)?;
    // Palombe reports what Postfix refuses.
    world.we_get("a failure report", |all| {
        let marks = ["multipart/report", "Action: failed", "Status: 5.1.1", unknown, "echec@beta"];
        mail::holding(all, &marks).is_some()
    })?;
    // Postfix reports what it delivered, since Palombe passed the wish on.
    let wish = Parameters { mail: " RET=HDRS ENVID=enveloppe-7", rcpt: " NOTIFY=SUCCESS,FAILURE" };
    world.we_send(THEIRS, &mail::plain(OURS, THEIRS, "succes@beta", "Bonjour."), wish)?;
    world.we_get("a success report from Postfix", |all| {
        let marks = ["multipart/report", "Action: delivered", "Original-Envelope-Id: enveloppe-7"];
        mail::holding(all, &marks).is_some()
    })
}

#[test]
fn reports_of_what_they_send() -> Result<()> {
    skip_if_missing!(missing());
    let world = World::start()?;
    let unknown = "inconnue@beta.mssante.test";
    world.they_send(unknown, &mail::plain(THEIRS, unknown, "echec@postfix", "Bonjour."), "")?;
    // Postfix reports what Palombe refuses.
    world.they_get("a failure report", |all| {
        mail::holding(all, &["Action: failed", "Status: 5.1.1", unknown]).is_some()
    })?;
    // Palombe reports what it filed.
    let message = mail::plain(THEIRS, OURS, "succes@postfix", "Bonjour.");
    world.they_send(OURS, &message, " NOTIFY=SUCCESS")?;
    world.they_get("a success report from Palombe", |all| {
        let marks = ["multipart/report", "Action: delivered", "Status: 2.", OURS, "succes@postfix"];
        mail::holding(all, &marks).is_some()
    })
}

#[test]
fn deferred_then_delivered_after_they_were_down() -> Result<()> {
    skip_if_missing!(missing());
    let mut world = World::start()?;
    world.postfix.stop()?;
    let message = mail::plain(OURS, THEIRS, "patience@beta", "Bonjour.");
    world.we_send(THEIRS, &message, NONE)?;
    wait::until("a deferral in the journal", || {
        let lines =
            world.palombe.cli(&["journal", "list", "--event", "relay.deferred", "--json"])?;
        Ok(lines.contains("postfix.mssante.test").then_some(()))
    })?;
    assert!(world.palombe.cli(&["queue", "list"])?.contains("postfix.mssante.test"));
    world.postfix.resume()?;
    world.they_get("the deferred message", |all| mail::find(all, &message).is_some())?;
    wait::until("an empty queue", || {
        Ok((!world.palombe.cli(&["queue", "list"])?.contains("postfix.mssante.test")).then_some(()))
    })
}

#[test]
fn deferred_then_delivered_after_we_were_down() -> Result<()> {
    skip_if_missing!(missing());
    let mut world = World::start()?;
    world.palombe.stop()?;
    let message = mail::plain(THEIRS, OURS, "patience@postfix", "Bonjour.");
    world.they_send(OURS, &message, "")?;
    wait::until("a deferral at Postfix", || {
        Ok(world.postfix.log().contains("status=deferred").then_some(()))
    })?;
    world.palombe.resume()?;
    world.postfix.flush()?;
    world.we_get("the deferred message", |all| mail::find(all, &message).is_some())
}
