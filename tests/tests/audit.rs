//! The eight audit cases of the trust space, in both directions, on the real server: what a peer reads, what a doctor
//! reads, what the journal keeps, and that nothing moved. ANS spec mssante §1.7.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::clients;
use palombe_tests::dns::{self, Dns};
use palombe_tests::inbox::Inbox;
use palombe_tests::palombe::Palombe;
use palombe_tests::peer::{Caller, Operator, fingerprint, sha256};
use palombe_tests::{mail, pki, skip_if_missing, wait};
use serde_json::Value;
use std::fmt::Write;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};

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

/// One peer that calls.
struct Call<'a> {
    certificate: &'a str,
    from: String,
    rule: &'a str,
    reply: &'a str,
    dn: String,
}

fn beta() -> Result<Palombe> {
    let beta = Palombe::start("beta")?;
    beta.add_bal("marie")?;
    Ok(beta)
}

fn inbox(operator: &Palombe, address: &str) -> Result<Vec<Vec<u8>>> {
    Ok(Inbox::open(operator, address)?.read()?.messages.into_values().collect())
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
    ensure!(text(&line, "/detail/peer").starts_with("127."), "{line:#}");

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

// We send.

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
    fn motive(&self) -> &'static str {
        match self.rule {
            "peer.no-starttls" => {
                "    Motif : le serveur du destinataire n’offre pas de connexion sécurisée (code 554, 5.7.4)."
            }
            _ => {
                "    Motif : le serveur du destinataire n’a pas prouvé qu’il appartient à l’espace de confiance \
                 MSSanté (code 541, 5.7.1)."
            }
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
         Le contenu n’a pas été transmis à ces destinataires. Vérifiez l’adresse dans l’Annuaire Santé, ou \
         joignez le destinataire par un autre moyen si l’information est urgente.\r\n",
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
        ("queue", "expiry_secs", "5"),
    ];
    let peers = [("cert-revoque", Some("audit-revoque"))];
    let world = Outbound::start(Palombe::prepare("alpha")?, &peers, &keys)?;
    let message = world.write("cert-revoque")?;
    let domain = audit("cert-revoque");
    let because = "peer.revoked: the certificate presented is revoked";
    let motive = "Motif : le serveur du destinataire n’a pas prouvé qu’il appartient à l’espace de confiance MSSanté";

    let warning = readable(&world.report("cert-revoque", "delayed")?);
    for field in [
        "\r\nSubject: Message en attente de remise\r\n".to_owned(),
        "Votre message n’est pas encore remis à :".to_owned(),
        format!("{motive} (code 451, 4.7.1)."),
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
        format!("{motive} (code 441, 4.4.7).\r\n"),
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
