//! The list itself was changed on its way.

use crate::{
    ALPHA, LIST_ABSENT, MARIE, SENDER_OK, check_evidence, hand_over, inbox, metrics_address, text,
    whole, why, with_own_list,
};
use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::palombe::Palombe;
use palombe_tests::peer::{Caller, fingerprint};
use palombe_tests::{clients, mail, wait};
use std::io::{Read, Write};
use std::net::TcpStream;

/// The value of a series of the Prometheus page.
fn metric(operator: &Palombe, name: &str) -> Result<i64> {
    let mut stream = TcpStream::connect(metrics_address(operator))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    Ok(line.with_context(|| format!("{name}: {page}"))?.trim().parse()?)
}

// ANS spec mssante §1.3, §1.7: a list that was changed lets nobody in and nothing out.
#[test]
fn a_tampered_list_and_no_other_stops_everything() -> Result<()> {
    let mut beta = with_own_list("beta", "liste-blanche-alteree.xml")?;
    beta.resume()?;
    beta.add_domain("beta.mssante.test")?;
    beta.add_bal("marie")?;
    let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), Some("op-alpha"))?;
    for path in [ALPHA, "", "x@postfix.mssante.test"] {
        let reply = caller.ask(&format!("MAIL FROM:<{path}>"))?;
        ensure!(reply == LIST_ABSENT, "{path}: {reply}");
    }
    ensure!(caller.ask(&format!("RCPT TO:<{MARIE}>"))? == "503 5.5.1 Send MAIL first");
    let line = why(&beta, &["--domain", "alpha.mssante.test"], |line| {
        text(line, "/rule") == "list.absent"
    })?;
    ensure!(text(&line, "/outcome") == "deferred", "{line:#}");
    ensure!(line.pointer("/detail/evidence/list").is_none(), "{line:#}");
    let told = text(&line, "/detail/evidence/fingerprint_sha256");
    ensure!(told == fingerprint("op-alpha")?, "{line:#}");

    // Nothing out, and in words that a doctor understands.
    let refused = clients::submit(
        &beta.account(MARIE),
        "x@postfix.mssante.test",
        &mail::plain(MARIE, "x@postfix.mssante.test", "out@audit", "Bonjour"),
        Parameters::default(),
    );
    let told = refused.map_or_else(|error| error.to_string(), |()| "accepted".to_owned());
    let sentence = "La liste des domaines MSSante n'est pas disponible: reessayez plus tard.";
    ensure!(told == format!("451 4.7.1 {sentence}"), "{told}");
    ensure!(beta.cli(&["--json", "queue", "list"])?.trim() == "[]");

    ensure!(metric(&beta, "palombe_liste_blanche_entries")? == 0);
    ensure!(metric(&beta, "palombe_liste_blanche_age_seconds")? == -1);
    ensure!(metric(&beta, "palombe_liste_blanche_refused_total")? >= 1);
    for words in ["liste blanche refused", "no usable liste blanche: nobody gets in"] {
        ensure!(beta.log().contains(words), "{}", beta.log());
    }

    // The cure: a good list, without a restart.
    hand_over(&beta, "liste-blanche.xml")?;
    wait::until("a sender is let in again", || {
        let reply = caller.ask(&format!("MAIL FROM:<{ALPHA}>"))?;
        ensure!(reply == SENDER_OK || reply == LIST_ABSENT, "{reply}");
        Ok((reply == SENDER_OK).then_some(()))
    })?;
    ensure!(metric(&beta, "palombe_liste_blanche_entries")? > 20);
    Ok(())
}

// ANS spec mssante §1.3, §1.7: the last good list serves on, also after a restart.
#[test]
fn a_tampered_list_does_not_replace_the_last_good_one() -> Result<()> {
    let mut beta = with_own_list("beta", "liste-blanche.xml")?;
    beta.resume()?;
    beta.add_domain("beta.mssante.test")?;
    beta.add_bal("marie")?;
    let entries = metric(&beta, "palombe_liste_blanche_entries")?;
    ensure!(metric(&beta, "palombe_liste_blanche_refused_total")? == 0);
    let bad = [
        "liste-blanche-alteree.xml",
        "liste-blanche-ajout.xml",
        "liste-blanche-non-signee.xml",
        "liste-blanche-signataire-revoque.xml",
        "liste-blanche-ancienne.xml",
    ];
    for (index, list) in bad.into_iter().enumerate() {
        hand_over(&beta, list)?;
        wait::until(&format!("{list} is refused"), || {
            let refused = metric(&beta, "palombe_liste_blanche_refused_total")?;
            Ok((refused == index as i64 + 1).then_some(()))
        })?;
        a_letter_comes_in(&beta, list)?;
    }
    let told = beta.log().matches("liste blanche refused; the last good one stays in use").count();
    ensure!(told == bad.len(), "{}", beta.log());
    // Tampered on disk, and a restart: the kept one serves.
    hand_over(&beta, "liste-blanche-alteree.xml")?;
    beta.stop()?;
    beta.resume()?;
    ensure!(beta.log().contains("the last good liste blanche is in use"), "{}", beta.log());
    a_letter_comes_in(&beta, "restart")?;
    ensure!(metric(&beta, "palombe_liste_blanche_entries")? == entries);
    ensure!(metric(&beta, "palombe_liste_blanche_refused_total")? == 1);
    ensure!(inbox(&beta, MARIE)?.len() == bad.len() + 1);
    Ok(())
}

fn a_letter_comes_in(beta: &Palombe, id: &str) -> Result<()> {
    let mut caller = Caller::over_tls(beta.smtp(), &beta.hostname(), Some("op-alpha"))?;
    let message = mail::plain(ALPHA, MARIE, &format!("{id}@audit"), "Bonjour");
    let reply = whole(&mut caller, ALPHA, MARIE, &message)?;
    ensure!(reply.ends_with(" accepted"), "{id}: {reply}");
    let id = format!("<{id}@audit>");
    let line = why(beta, &[&id], |line| text(line, "/rule") == "accepted")?;
    check_evidence(&line, Some("op-alpha"), "liste-blanche.xml")
}
