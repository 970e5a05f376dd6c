//! We send: whom we call, what the doctor reads, what the journal keeps.

use crate::{audit, check_evidence, hand_over, inbox, text, why, with_own_list};
use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::dns::{self, Dns};
use palombe_tests::palombe::Palombe;
use palombe_tests::peer::{Operator, fingerprint};
use palombe_tests::{clients, mail, skip_if_missing, wait};
use serde_json::Value;
use std::fmt::Write;

/// What a doctor reads of a server that we refused.
const NOT_PROVEN: &str = "Motif : le serveur du destinataire n’a pas prouvé qu’il appartient à \
                          l’espace de confiance MSSanté";
const NO_TLS: &str = "Motif : le serveur du destinataire n’offre pas de connexion sécurisée";

/// An operator of ours, `alpha`, with a doctor, and the servers of the audit domains.
struct Outbound {
    alpha: Palombe,
    doctor: String,
    peers: Vec<(&'static str, Operator)>,
    dns: Dns,
}

impl Outbound {
    /// `peers`: the case, and the certificate of its server, or none for a server without TLS.
    fn start(
        mut alpha: Palombe,
        peers: &[(&'static str, Option<&str>)],
        keys: &[(&str, &str, &str)],
    ) -> Result<Outbound> {
        let mut servers = Vec::new();
        for (case, certificate) in peers {
            servers.push((*case, Operator::start(*certificate)?));
        }
        let names: Vec<_> = servers
            .iter()
            .map(|(case, peer)| (audit(case), format!("mx1.{}", audit(case)), peer.ip()))
            .collect();
        let records: Vec<_> =
            names.iter().map(|(d, h, ip)| (d.as_str(), h.as_str(), *ip)).collect();
        let dns = Dns::start(&records)?;
        alpha.set("relay", "dns_servers", &format!("[\"{}\"]", dns.address()));
        for (section, key, value) in keys {
            alpha.set(section, key, value);
        }
        alpha.resume()?;
        alpha.add_domain("alpha.mssante.test")?;
        let doctor = alpha.add_bal("dr.jeanne")?;
        Ok(Outbound { alpha, doctor, peers: servers, dns })
    }

    /// The doctor writes to the audit domain of a case.
    fn write(&self, case: &str) -> Result<Vec<u8>> {
        let to = format!("controle@{}", audit(case));
        let message = mail::plain(&self.doctor, &to, &format!("{case}@alpha"), "CONTENU-SECRET");
        clients::submit(&self.alpha.account(&self.doctor), &to, &message, Parameters::default())?;
        Ok(message)
    }

    fn peer(&self, case: &str) -> Result<&Operator> {
        let found = self.peers.iter().find(|(name, _)| *name == case);
        found.map(|(_, peer)| peer).with_context(|| case.to_owned())
    }

    /// The report about a case that has this action, as it lies in the doctor's INBOX.
    fn report(&self, case: &str, action: &str) -> Result<String> {
        let reference = format!("In-Reply-To: <{case}@alpha>\r\n");
        let action = format!("\r\nAction: {action}\r\n");
        let found = wait::until(&format!("a report about {case}"), || {
            let messages = inbox(&self.alpha, &self.doctor)?;
            let found = mail::holding(&messages, &[&reference, &action]);
            Ok(found.map(|message| String::from_utf8_lossy(message).into_owned()))
        });
        found.with_context(|| self.alpha.log())
    }

    /// The peer was greeted, and told nothing: no command but EHLO and STARTTLS, and no octet of the message.
    fn heard_nothing(&self, case: &str) -> Result<()> {
        let heard = self.peer(case)?.heard();
        ensure!(heard.connections >= 1, "{case}: never called");
        let with_tls = ["EHLO smtp.alpha.mssante.test", "STARTTLS"];
        let wanted = if case == "sans-tls" { &with_tls[..1] } else { &with_tls };
        ensure!(heard.clear.len() == heard.connections * wanted.len(), "{case}: {heard:?}");
        for said in heard.clear.chunks(wanted.len()) {
            ensure!(said == wanted, "{case}: {heard:?}");
        }
        ensure!(heard.secret.is_empty() && heard.messages.is_empty(), "{case}: {heard:?}");
        Ok(())
    }
}

/// A report as a person sees it: quoted-printable undone, header fields unfolded.
fn readable(report: &str) -> String {
    let joined = report.replace("=\r\n", "").replace("\r\n ", " ");
    let mut octets = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let value = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        match value.filter(|_| *first == b'=') {
            Some(value) => {
                octets.push(value);
                rest = &tail[2..];
            }
            None => {
                octets.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// One server that is called.
struct Called {
    case: &'static str,
    certificate: Option<&'static str>,
    rule: &'static str,
    status: &'static str,
    words: &'static str,
}

impl Called {
    fn motive(&self) -> String {
        match self.certificate {
            None => format!("    {NO_TLS} (code 554, {}).", self.status),
            Some(_) => format!("    {NOT_PROVEN} (code 541, {}).", self.status),
        }
    }
}

const CALLED: [Called; 9] = [
    Called {
        case: "sans-tls",
        certificate: None,
        rule: "peer.no-starttls",
        status: "5.7.4",
        words: "the recipient's operator does not offer STARTTLS",
    },
    Called {
        case: "cert-expire",
        certificate: Some("audit-expire"),
        rule: "peer.expired",
        status: "5.7.1",
        words: "the certificate presented has expired",
    },
    Called {
        case: "cert-revoque",
        certificate: Some("audit-revoque"),
        rule: "peer.revoked",
        status: "5.7.1",
        words: "the certificate presented is revoked",
    },
    Called {
        case: "cert-non-igc",
        certificate: Some("audit-non-igc"),
        rule: "peer.not-igc-sante",
        status: "5.7.1",
        words: "the certificate presented was not issued by IGC-Sante for operators",
    },
    Called {
        case: "cert-cn-diff-dn",
        certificate: Some("audit-cn-diff-dn"),
        rule: "destination.dn-mismatch",
        status: "5.7.1",
        words: "the certificate presented does not serve the recipient domain",
    },
    Called {
        case: "cert-no-match",
        certificate: Some("audit-no-match"),
        rule: "destination.dn-mismatch",
        status: "5.7.1",
        words: "the certificate presented does not serve the recipient domain",
    },
    Called {
        case: "cert-production",
        certificate: Some("audit-production"),
        rule: "peer.production-certificate",
        status: "5.7.1",
        words: "a production certificate is not accepted here",
    },
    Called {
        case: "cert-personnes",
        certificate: Some("audit-personnes"),
        rule: "peer.not-igc-sante",
        status: "5.7.1",
        words: "the certificate presented was not issued by IGC-Sante for operators",
    },
    Called {
        case: "cert-auth-cli",
        certificate: Some("audit-auth-cli-only"),
        rule: "peer.wrong-usage",
        status: "5.7.1",
        words: "the certificate presented is not meant for this use",
    },
];

// ANS spec mssante §1.7: we send. RFC 3464 2.3, RFC 3463 3.8.
#[test]
fn a_server_without_right_is_told_nothing_and_the_doctor_reads_why() -> Result<()> {
    skip_if_missing!(dns::missing());
    let mut peers: Vec<_> = CALLED.iter().map(|called| (called.case, called.certificate)).collect();
    peers.push(("cert-valide", Some("audit-valide")));
    let bounce = [("relay", "untrusted_peer", "\"bounce\"")];
    let world = Outbound::start(Palombe::prepare("alpha")?, &peers, &bounce)?;
    for called in &CALLED {
        let message = world.write(called.case)?;
        bounced(&world, called, &message).with_context(|| called.case)?;
    }
    let message = world.write("cert-valide")?;
    let peer = world.peer("cert-valide")?;
    let heard = wait::until("the valid server has the message", || {
        let heard = peer.heard();
        Ok((!heard.messages.is_empty()).then_some(heard))
    })?;
    ensure!(heard.messages.len() == 1 && heard.messages[0].ends_with(&message), "{heard:?}");
    ensure!(heard.client == Some(fingerprint("op-alpha")?), "{heard:?}");
    let journal = |line: &Value| text(line, "/event") == "relay.delivered";
    let line = why(&world.alpha, &["<cert-valide@alpha>"], journal)?;
    ensure!(text(&line, "/domain") == audit("cert-valide"), "{line:#}");
    check_evidence(&line, Some("audit-valide"), "liste-blanche.xml")?;
    ensure!(inbox(&world.alpha, &world.doctor)?.len() == CALLED.len());
    ensure!(world.alpha.cli(&["--json", "queue", "list"])?.trim() == "[]");
    Ok(())
}

fn bounced(world: &Outbound, called: &Called, message: &[u8]) -> Result<()> {
    let Called { case, certificate, rule, status, words } = *called;
    let report = world.report(case, "failed")?;
    let domain = audit(case);
    let shown = readable(&report);
    let mut wanted = String::new();
    write!(
        wanted,
        "Votre message n’a pas pu être remis à :\r\n  • controle@{domain}\r\n{}\r\n\r\n\
         Le contenu n’a pas été transmis à ces destinataires. Vérifiez l’adresse dans l’Annuaire \
         Santé, ou joignez le destinataire par un autre moyen si l’information est urgente.\r\n",
        called.motive()
    )?;
    // Unfolding has joined the lines that begin with a space.
    let joined = wanted.replace("\r\n ", " ");
    ensure!(shown.contains(&joined), "wanted {joined}, got {shown}");
    for field in [
        "\r\nSubject: Message non remis\r\n".to_owned(),
        format!("\r\nTo: <{}>\r\n", world.doctor),
        "\r\nReporting-MTA: dns; smtp.alpha.mssante.test\r\n".to_owned(),
        format!("\r\nFinal-Recipient: rfc822; controle@{domain}\r\n"),
        "\r\nAction: failed\r\n".to_owned(),
        format!("\r\nStatus: {status}\r\n"),
        format!("\r\nRemote-MTA: dns; mx1.{domain}\r\n"),
        format!("\r\nDiagnostic-Code: smtp; {status} {rule}: {words}\r\n"),
    ] {
        ensure!(shown.contains(&field), "{field:?} is missing: {shown}");
    }
    // The doctor gets the message back, whole: nobody else has it.
    ensure!(report.contains(std::str::from_utf8(message)?), "{report}");
    world.heard_nothing(case)?;
    let id = format!("<{case}@alpha>");
    let line = why(&world.alpha, &[&id], |line| text(line, "/event") == "relay.failed")?;
    ensure!(text(&line, "/rule") == rule && text(&line, "/outcome") == "refused", "{line:#}");
    ensure!(text(&line, "/domain") == domain, "{line:#}");
    let told = text(&line, "/detail/recipients/0");
    let failed = format!("controle@{domain} failed: {status} {rule}: {words}");
    ensure!(told == failed, "{line:#}");
    match certificate {
        Some(_) => check_evidence(&line, certificate, "liste-blanche.xml")?,
        None => ensure!(line.pointer("/detail/evidence").is_none(), "{line:#}"),
    }
    Ok(())
}

// RFC 3464 2.3.3, RFC 3463 3.5: deferred, the doctor warned once, then given up.
#[test]
fn a_server_that_stays_without_right_is_tried_until_the_message_expires() -> Result<()> {
    skip_if_missing!(dns::missing());
    let keys = [
        ("relay", "untrusted_peer", "\"defer\""),
        ("relay", "host_down_secs", "1"),
        ("queue", "retry_secs", "[1]"),
        ("queue", "delay_warning_secs", "1"),
        ("queue", "expiry_secs", "8"),
    ];
    let peers = [("cert-revoque", Some("audit-revoque"))];
    let world = Outbound::start(Palombe::prepare("alpha")?, &peers, &keys)?;
    let message = world.write("cert-revoque")?;
    let domain = audit("cert-revoque");
    let because = "peer.revoked: the certificate presented is revoked";

    let warning = readable(&world.report("cert-revoque", "delayed")?);
    for field in [
        "\r\nSubject: Message en attente de remise\r\n".to_owned(),
        "Votre message n’est pas encore remis à :".to_owned(),
        format!("{NOT_PROVEN} (code 451, 4.7.1)."),
        format!("\r\nFinal-Recipient: rfc822; controle@{domain}\r\n"),
        "\r\nStatus: 4.7.1\r\n".to_owned(),
        format!("\r\nDiagnostic-Code: smtp; 4.7.1 {because}\r\n"),
        "\r\nWill-Retry-Until: ".to_owned(),
    ] {
        ensure!(warning.contains(&field), "{field:?} is missing: {warning}");
    }
    ensure!(!warning.contains("CONTENU-SECRET"), "a warning returns headers only: {warning}");
    let id = ["<cert-revoque@alpha>"];
    let line = why(&world.alpha, &id, |line| text(line, "/event") == "relay.deferred")?;
    ensure!(text(&line, "/rule") == "peer.revoked", "{line:#}");
    check_evidence(&line, Some("audit-revoque"), "liste-blanche.xml")?;

    let failure = readable(&world.report("cert-revoque", "failed")?);
    for field in [
        "\r\nSubject: Message non remis\r\n".to_owned(),
        "Votre message n’a pas pu être remis à :".to_owned(),
        format!("{NOT_PROVEN} (code 441, 4.4.7).\r\n"),
        format!("\r\nFinal-Recipient: rfc822; controle@{domain}\r\n"),
        "\r\nStatus: 4.4.7\r\n".to_owned(),
        format!("\r\nRemote-MTA: dns; mx1.{domain}\r\n"),
        format!("\r\nDiagnostic-Code: smtp; 4.7.1 {because}\r\n"),
    ] {
        ensure!(failure.contains(&field), "{field:?} is missing: {failure}");
    }
    ensure!(failure.contains(std::str::from_utf8(&message)?), "{failure}");
    // One warning, one failure, however many attempts.
    ensure!(inbox(&world.alpha, &world.doctor)?.len() == 2);
    ensure!(world.peer("cert-revoque")?.heard().connections >= 2);
    world.heard_nothing("cert-revoque")?;
    ensure!(world.alpha.cli(&["--json", "queue", "list"])?.trim() == "[]");
    Ok(())
}

// ANS spec mssante §1.7: what waits in the queue does not leave on the word of a tampered list.
#[test]
fn what_waits_stays_while_the_list_is_tampered_and_leaves_with_a_good_one() -> Result<()> {
    skip_if_missing!(dns::missing());
    let alpha = with_own_list("alpha", "liste-blanche.xml")?;
    let keys = [("relay", "host_down_secs", "1"), ("queue", "retry_secs", "[1]")];
    let mut world = Outbound::start(alpha, &[], &keys)?;
    // The server has an address, and is down.
    let mut peer = Operator::prepare()?;
    let domain = audit("cert-valide");
    world.dns.stop()?;
    world.dns = Dns::start(&[(&domain, &format!("mx1.{domain}"), peer.ip())])?;
    let dns = format!("[\"{}\"]", world.dns.address());
    world.alpha.stop()?;
    world.alpha.set("relay", "dns_servers", &dns);
    world.alpha.resume()?;
    let message = world.write("cert-valide")?;
    let id = ["<cert-valide@alpha>"];
    why(&world.alpha, &id, |line| text(line, "/event") == "relay.deferred")?;

    // Neither a good list nor a kept one; and the server is up.
    world.alpha.stop()?;
    hand_over(&world.alpha, "liste-blanche-alteree.xml")?;
    std::fs::remove_file(world.alpha.data_folder().join("liste-blanche.last-good.xml"))?;
    peer.listen(Some("audit-valide"))?;
    world.peers.push(("cert-valide", peer));
    world.alpha.resume()?;
    let line = why(&world.alpha, &id, |line| text(line, "/rule") == "list.absent")?;
    ensure!(text(&line, "/event") == "relay.deferred", "{line:#}");
    let told = text(&line, "/detail/recipients/0");
    let words = "4.7.1 list.absent: trust information is not available now, try again later";
    ensure!(told == format!("controle@{domain} deferred: {words}"), "{line:#}");
    world.heard_nothing("cert-valide")?;

    hand_over(&world.alpha, "liste-blanche.xml")?;
    wait::until("the message leaves", || {
        let heard = world.peer("cert-valide")?.heard();
        Ok(heard.messages.iter().any(|m| m.ends_with(&message)).then_some(()))
    })?;
    let line = why(&world.alpha, &id, |line| text(line, "/event") == "relay.delivered")?;
    check_evidence(&line, Some("audit-valide"), "liste-blanche.xml")
}

// ANS spec mssante §1.5: outside the list nothing is accepted at all.
#[test]
fn a_recipient_outside_the_trust_space_is_refused_at_once_in_french() -> Result<()> {
    let alpha = Palombe::start("alpha")?;
    let doctor = alpha.add_bal("dr.jeanne")?;
    let account = alpha.account(&doctor);
    for domain in ["messagerie-ordinaire.example", "absent.mssante.test", "xalpha.mssante.test"] {
        let to = format!("quelqu.un@{domain}");
        let message = mail::plain(&doctor, &to, "outside@alpha", "Bonjour");
        let refused = clients::submit(&account, &to, &message, Parameters::default());
        let told = refused.map_or_else(|error| error.to_string(), |()| "accepted".to_owned());
        // Each line of the reply bears its code; the reader of these tests keeps that of the first.
        let told = told.replace("\n5.7.1 ", "\n");
        ensure!(
            told == "550 5.7.1 L'adresse du destinataire n'appartient pas a l'espace de confiance MSSante.\n\
                     Ce message de sante ne peut pas lui etre envoye: verifiez l'adresse,\n\
                     ou demandez a votre correspondant son adresse MSSante.",
            "{told}"
        );
        let line = why(&alpha, &["--domain", domain], |line| {
            text(line, "/rule") == "destination.not-in-list"
        })?;
        ensure!(text(&line, "/event") == "smtp.submission.refused", "{line:#}");
        check_evidence(&line, None, "liste-blanche.xml")?;
    }
    ensure!(alpha.cli(&["--json", "queue", "list"])?.trim() == "[]");
    Ok(())
}
