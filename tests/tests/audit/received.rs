//! We receive: who may call, and for whom.

use crate::{
    ALPHA, MARIE, SENDER_OK, audit, beta, check_evidence, dn, inbox, lines, text, whole, why,
};
use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::palombe::Palombe;
use palombe_tests::peer::{Caller, fingerprint};
use palombe_tests::{clients, mail, pki, wait};
use std::path::Path;

/// One peer that calls.
struct Call<'a> {
    certificate: &'a str,
    from: String,
    rule: &'a str,
    reply: &'a str,
    dn: String,
}

// ANS spec mssante §1.7: we receive.
#[test]
fn whoever_calls_without_right_reads_why_and_leaves_nothing() -> Result<()> {
    let beta = beta()?;
    let call = |certificate, case: &str, rule, reply, name: &str| Call {
        certificate,
        from: format!("auditeur@{}", audit(case)),
        rule,
        reply,
        dn: dn(name),
    };
    let calls = [
        call(
            "audit-expire",
            "cert-expire",
            "peer.expired",
            "550 5.7.1 the certificate presented has expired",
            "cert-expire-audit",
        ),
        call(
            "audit-revoque",
            "cert-revoque",
            "peer.revoked",
            "550 5.7.1 the certificate presented is revoked",
            "cert-revoque-audit",
        ),
        call(
            "audit-non-igc",
            "cert-non-igc",
            "peer.not-igc-sante",
            "550 5.7.1 the certificate presented was not issued by IGC-Sante for operators",
            "cert-non-igc-audit",
        ),
        call(
            "audit-cn-diff-dn",
            "cert-cn-diff-dn",
            "peer.not-in-list",
            "550 5.7.1 the certificate presented is not in the liste blanche",
            "autre-nom",
        ),
        call(
            "audit-no-match",
            "cert-no-match",
            "sender.domain-not-covered",
            "550 5.7.1 the sender domain is not covered by the certificate presented",
            "autre-domaine",
        ),
        call(
            "audit-production",
            "cert-production",
            "peer.production-certificate",
            "550 5.7.1 a production certificate is not accepted here",
            "cert-production-audit",
        ),
        call(
            "audit-personnes",
            "cert-personnes",
            "peer.not-igc-sante",
            "550 5.7.1 the certificate presented was not issued by IGC-Sante for operators",
            "cert-personnes-audit",
        ),
    ];
    for call in &calls {
        refused_call(&beta, call).with_context(|| call.certificate.to_owned())?;
    }
    ensure!(inbox(&beta, MARIE)?.is_empty());
    Ok(())
}

fn refused_call(beta: &Palombe, call: &Call<'_>) -> Result<()> {
    let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), Some(call.certificate))?;
    let reply = caller.ask(&format!("MAIL FROM:<{}>", call.from))?;
    ensure!(reply == call.reply, "{reply}");
    // Whatever it tries next.
    let barred = call.rule.starts_with("peer.") && call.rule != "peer.not-in-list";
    for command in [&format!("RCPT TO:<{MARIE}>"), "DATA", "BDAT 0 LAST"] {
        let reply = caller.ask(command)?;
        let wanted = if barred { call.reply } else { "503 5.5.1 Send MAIL first" };
        ensure!(reply == wanted, "{command}: {reply}");
    }
    ensure!(caller.ask("QUIT")? == "221 2.0.0 Bye");
    let line = why(beta, &["--peer", &call.dn], |line| text(line, "/rule") == call.rule)?;
    ensure!(text(&line, "/event") == "smtp.interop.refused", "{line:#}");
    ensure!(text(&line, "/outcome") == "refused", "{line:#}");
    ensure!(text(&line, "/peer_dn") == call.dn, "{line:#}");
    check_evidence(&line, Some(call.certificate), "liste-blanche.xml")?;
    // The same in words.
    let words = beta.cli(&["trust", "why", "--peer", &call.dn])?;
    for told in [call.rule, &fingerprint(call.certificate)?, "2025-01-01T01:00:00"] {
        ensure!(words.contains(told), "{told}: {words}");
    }
    Ok(())
}

// ANS spec mssante §1.5, §1.7: sans-tls, and TLS without a certificate.
#[test]
fn without_tls_or_without_a_certificate_nothing_is_taken() -> Result<()> {
    let beta = beta()?;
    let mut caller = Caller::connect(beta.smtp())?;
    caller.reply()?;
    caller.ask("EHLO client.example")?;
    for command in ["MAIL FROM:<auditeur@sans-tls-audit.espacedeconfiance.mssante.test>", "DATA"] {
        let reply = caller.ask(command)?;
        ensure!(reply == "530 5.7.0 Must issue a STARTTLS command first", "{reply}");
    }
    let journal = ["--json", "journal", "list", "--event", "smtp.interop.refused"];
    let line = lines(&beta, &journal, |line| text(line, "/rule") == "smtp.tls-required")?;
    check_evidence(&line, None, "liste-blanche.xml")?;
    let (ip, at) = (text(&line, "/peer").to_owned(), text(&line, "/at").to_owned());
    ensure!(ip.starts_with("127."), "{line:#}");
    // Nobody knows more of this caller than its address, and when.
    let by_address = ["--ip", &ip, "--rule", "smtp.tls", "--at", &at];
    let again = why(&beta, &by_address, |line| text(line, "/rule") == "smtp.tls-required")?;
    ensure!(again == line, "{again:#}");

    let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), None)?;
    let reply = caller.ask(&format!("MAIL FROM:<{ALPHA}>"))?;
    ensure!(reply == "550 5.7.1 a client certificate of IGC-Sante is required", "{reply}");
    let line = lines(&beta, &journal, |line| text(line, "/rule") == "peer.no-certificate")?;
    check_evidence(&line, None, "liste-blanche.xml")?;
    ensure!(inbox(&beta, MARIE)?.is_empty());
    Ok(())
}

// ANS spec mssante §1.7: cert-valide. A certificate whose usage is clientAuth alone may call, not be called.
#[test]
fn a_valid_operator_is_let_in_and_the_journal_tells_on_what_evidence() -> Result<()> {
    let beta = beta()?;
    for (certificate, case) in
        [("audit-valide", "cert-valide"), ("audit-auth-cli-only", "cert-auth-cli")]
    {
        let from = format!("auditeur@{}", audit(case));
        let message = mail::plain(&from, MARIE, &format!("{case}@audit"), "Bonjour");
        let target = clients::operator_target(certificate, beta.smtp(), &beta.hostname())?;
        let outcome = clients::send(&target, &from, &[MARIE], &message, Parameters::default())?;
        ensure!(matches!(outcome, palombe_load::smtp::Outcome::Accepted(_)), "{outcome:?}");
        let found = inbox(&beta, MARIE)?;
        ensure!(mail::find(&found, &message).is_some(), "{case}: not in INBOX");
        let id = format!("<{case}@audit>");
        let line = why(&beta, &[&id], |line| text(line, "/event") == "smtp.interop.accepted")?;
        ensure!(text(&line, "/rule") == "accepted", "{line:#}");
        ensure!(text(&line, "/domain") == audit(case), "{line:#}");
        check_evidence(&line, Some(certificate), "liste-blanche.xml")?;
    }
    Ok(())
}

// ANS spec mssante §1.5: envelope, author, null sender, relay.
#[test]
fn a_good_certificate_speaks_for_its_own_domains_only() -> Result<()> {
    let beta = beta()?;
    let open = || Caller::over_tls(beta.smtp(), &beta.hostname(), Some("op-alpha"));
    let mut caller = open()?;
    let reply = caller.ask("MAIL FROM:<x@postfix.mssante.test>")?;
    let sender_refused = "550 5.7.1 the sender domain is not covered by the certificate presented";
    ensure!(reply == sender_refused, "{reply}");
    let domain = ["--domain", "postfix.mssante.test"];
    let line = why(&beta, &domain, |line| text(line, "/rule") == "sender.domain-not-covered")?;
    check_evidence(&line, Some("op-alpha"), "liste-blanche.xml")?;
    // No suffix of a listed domain is listed.
    for other in ["sous.alpha.mssante.test", "mssante.test", "xalpha.mssante.test"] {
        let reply = caller.ask(&format!("MAIL FROM:<x@{other}>"))?;
        ensure!(reply == sender_refused, "{other}: {reply}");
    }
    // No relay, to a listed domain no more than to the Internet.
    ensure!(caller.ask(&format!("MAIL FROM:<{ALPHA}>"))? == SENDER_OK);
    for (to, refused) in [
        ("x@postfix.mssante.test", "550 5.7.1 The recipient domain is not hosted here, no relay"),
        ("x@ordinaire.example", "550 5.7.1 The recipient domain is not hosted here, no relay"),
        ("personne@beta.mssante.test", "550 5.1.1 No such BAL"),
    ] {
        let reply = caller.ask(&format!("RCPT TO:<{to}>"))?;
        ensure!(reply == refused, "{to}: {reply}");
    }
    ensure!(caller.ask("DATA")? == "554 5.5.1 No valid recipients");

    // The author.
    let refused = "550 5.7.1 the author domain is not covered by the certificate presented";
    let stranger = mail::plain("x@postfix.mssante.test", MARIE, "author@audit", "Bonjour");
    for (from, id) in [(ALPHA, "author@audit"), ("", "null-author@audit")] {
        let message = String::from_utf8(stranger.clone())?.replace("author@audit", id);
        let reply = whole(&mut open()?, from, MARIE, message.as_bytes())?;
        ensure!(reply == refused, "{from:?}: {reply}");
        let id = format!("<{id}>");
        let line = why(&beta, &[&id], |line| text(line, "/rule") == "header-from.not-covered")?;
        check_evidence(&line, Some("op-alpha"), "liste-blanche.xml")?;
    }
    // Two authors, one of them a stranger.
    let two = mail::plain(ALPHA, MARIE, "two@audit", "Bonjour");
    let two = String::from_utf8(two)?.replacen(
        &format!("<{ALPHA}>"),
        &format!("<{ALPHA}>, <x@postfix.mssante.test>"),
        1,
    );
    let reply = whole(&mut open()?, ALPHA, MARIE, two.as_bytes())?;
    ensure!(reply == refused, "{reply}");
    ensure!(inbox(&beta, MARIE)?.is_empty());

    // A report of alpha's has the null sender.
    let report = mail::plain("postmaster@alpha.mssante.test", MARIE, "report@audit", "Bonjour");
    let reply = whole(&mut open()?, "", MARIE, &report)?;
    ensure!(reply.starts_with("250 2.0.0 ") && reply.ends_with(" accepted"), "{reply}");
    ensure!(mail::find(&inbox(&beta, MARIE)?, &report).is_some());
    // Not of an operator that the list does not know.
    let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), Some("op-absent"))?;
    let reply = caller.ask("MAIL FROM:<>")?;
    ensure!(reply == "550 5.7.1 the certificate presented is not in the liste blanche", "{reply}");
    Ok(())
}

// ANS spec mssante §1.7: cert-revoque needs revocation lists; without usable ones nobody is let in, and nobody is
// sent away for good.
#[test]
fn without_usable_revocation_lists_everybody_waits() -> Result<()> {
    let mut beta = Palombe::prepare("beta")?;
    let crls = beta.site().subfolder("crl")?;
    copy_files("crl-expired", &crls)?;
    beta.set("trust", "crl_folder", &format!("\"{}\"", crls.display()));
    beta.set("trust", "refresh_secs", "1");
    beta.resume()?;
    let unknown = "451 4.7.1 the status of the certificate cannot be checked now, try again later";
    for certificate in ["op-alpha", "audit-revoque"] {
        let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), Some(certificate))?;
        let reply = caller.ask(&format!("MAIL FROM:<{ALPHA}>"))?;
        ensure!(reply == unknown, "{certificate}: {reply}");
    }
    let line = why(&beta, &["--peer", &dn("cert-revoque-audit")], |line| {
        text(line, "/rule") == "peer.revocation-unknown"
    })?;
    ensure!(text(&line, "/outcome") == "deferred", "{line:#}");
    check_evidence(&line, Some("audit-revoque"), "liste-blanche.xml")?;

    // The lists arrive, without a restart.
    copy_files("crl", &crls)?;
    let revoked = "550 5.7.1 the certificate presented is revoked";
    for (certificate, wanted) in [("op-alpha", SENDER_OK), ("audit-revoque", revoked)] {
        wait::until(&format!("{certificate} is judged"), || {
            let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), Some(certificate))?;
            let reply = caller.ask(&format!("MAIL FROM:<{ALPHA}>"))?;
            ensure!(reply == wanted || reply == unknown, "{certificate}: {reply}");
            Ok((reply == wanted).then_some(()))
        })?;
    }
    Ok(())
}

fn copy_files(from: &str, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(pki::file(from))? {
        let file = entry?;
        // Under its name in one step, so that it is never read half written.
        let beside = to.join("beside");
        std::fs::copy(file.path(), &beside)?;
        std::fs::rename(beside, to.join(file.file_name()))?;
    }
    Ok(())
}
