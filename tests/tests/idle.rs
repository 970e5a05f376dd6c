//! What one client or another operator does is told to every client that idles there.

use anyhow::{Result, ensure};
use palombe_load::smtp::{Outcome, Parameters};
use palombe_tests::imap::Imap;
use palombe_tests::palombe::Palombe;
use palombe_tests::{clients, mail};

const BALS: usize = 5;
const SESSIONS_PER_BAL: usize = 10;
/// Sessions whose memory is measured; `PALOMBE_IDLE_SESSIONS=1000` asks for more.
const MEASURED: usize = 300;
/// What one idle session over TLS may cost, octets. The buffers of TLS alone are some 40 KiB.
const SESSION_BYTES_MAX: u64 = 256 * 1024;

/// A session that idles in INBOX.
fn idling(palombe: &Palombe, address: &str) -> Result<Imap> {
    let mut imap = Imap::open(palombe, address)?;
    imap.ok("SELECT INBOX")?;
    imap.idle()?;
    Ok(imap)
}

#[test]
fn a_message_from_another_operator_wakes_fifty_idle_sessions() -> Result<()> {
    let palombe = Palombe::start("beta")?;
    let bals: Vec<String> =
        (0..BALS).map(|n| palombe.add_bal(&format!("bal{n}"))).collect::<Result<_>>()?;
    let mut sessions = Vec::new();
    for address in &bals {
        for _ in 0..SESSIONS_PER_BAL {
            sessions.push(idling(&palombe, address)?);
        }
    }
    let target = clients::operator_target("op-alpha", palombe.smtp(), &palombe.hostname())?;
    let from = "laboratoire@alpha.mssante.test";
    let to: Vec<&str> = bals.iter().map(String::as_str).collect();
    // Twice: the first wake must not be the last.
    for round in 1..=2 {
        let message = mail::plain(from, &bals[0], &format!("tous-{round}@alpha"), "Bonjour.");
        let outcome = clients::send(&target, from, &to, &message, Parameters::default())?;
        ensure!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
        let wanted = format!("{round} EXISTS");
        let mut heard = 0;
        for session in &mut sessions {
            session.hear(&wanted, |text| text == wanted)?;
            heard += 1;
        }
        ensure!(heard == BALS * SESSIONS_PER_BAL, "{heard} sessions heard");
    }
    Ok(())
}

#[test]
fn what_one_client_does_is_told_to_the_other_that_idles() -> Result<()> {
    let palombe = Palombe::start("beta")?;
    let address = palombe.add_bal("marie")?;
    let mut acting = Imap::open(&palombe, &address)?;
    for number in 1..=3 {
        let message = mail::plain(&address, &address, &format!("{number}@beta"), "Bonjour.");
        acting.append("INBOX", "", &message)?;
    }
    acting.ok("SELECT INBOX")?;
    let mut idle = idling(&palombe, &address)?;

    acting.ok("STORE 2 +FLAGS (\\Flagged $Urgent)")?;
    let told = idle.hear("the flags", |text| text.starts_with("2 FETCH"))?;
    ensure!(told.contains("\\Flagged") && told.contains("$Urgent"), "{told}");
    acting.ok("STORE 2 -FLAGS (\\Flagged)")?;
    let told = idle.hear("the flag gone", |text| text.starts_with("2 FETCH"))?;
    ensure!(!told.contains("\\Flagged") && told.contains("$Urgent"), "{told}");
    // Silent is for the one who asks (RFC 9051 6.4.6).
    acting.ok("UID STORE 1 +FLAGS.SILENT (\\Answered)")?;
    let told = idle.hear("a silent change", |text| text.starts_with("1 FETCH"))?;
    ensure!(told.contains("\\Answered"), "{told}");
    acting.ok("MOVE 1 Archive")?;
    idle.hear("the move", |text| text == "1 EXPUNGE")?;
    acting.ok("STORE 1 +FLAGS (\\Deleted)")?;
    idle.hear("the mark", |text| text.starts_with("1 FETCH") && text.contains("\\Deleted"))?;
    acting.ok("EXPUNGE")?;
    idle.hear("the expunge", |text| text == "1 EXPUNGE")?;
    let message = mail::plain(&address, &address, "4@beta", "Bonjour.");
    acting.append("INBOX", "", &message)?;
    idle.hear("the new one", |text| text == "2 EXISTS")?;
    Ok(())
}

/// RFC 2180 3: another client renames the folder, then deletes it, under a session that has it open.
#[test]
fn a_folder_goes_away_under_a_session() -> Result<()> {
    let palombe = Palombe::start("beta")?;
    let address = palombe.add_bal("marie")?;
    let mut acting = Imap::open(&palombe, &address)?;
    acting.ok("CREATE Essais")?;
    let message = mail::plain(&address, &address, "1@beta", "Bonjour.");
    acting.append("Essais", "", &message)?;
    let mut reading = Imap::open(&palombe, &address)?;
    reading.ok("SELECT Essais")?;
    let mut idle = Imap::open(&palombe, &address)?;
    idle.ok("SELECT Essais")?;
    idle.idle()?;

    // Under another name it is the same folder: UIDs and numbers hold.
    acting.ok("RENAME Essais Autres")?;
    let read = reading.ok("UID FETCH 1 (UID BODY.PEEK[])")?;
    ensure!(read.untagged.iter().any(|(_, octets)| octets.contains(&message)), "{read:?}");
    acting.append("Autres", "", &message)?;
    idle.hear("a message under the new name", |text| text == "2 EXISTS")?;

    // Once it is deleted, nobody reads it, nobody is told of another folder's messages, and a new one of that name
    // is another folder.
    acting.ok("DELETE Autres")?;
    acting.ok("CREATE Autres")?;
    acting.append("Autres", "", &mail::plain(&address, &address, "2@beta", "Un autre."))?;
    let gone = reading.command("UID FETCH 1:* (UID BODY.PEEK[])");
    let is_told = match &gone {
        Ok(answer) => answer.untagged.iter().all(|(_, octets)| octets.is_empty()),
        Err(_) => true, // BYE, then the end
    };
    ensure!(is_told, "{gone:?}");
    let told = idle.hear("the end", |text| text.starts_with("BYE") || text.contains("EXISTS"))?;
    ensure!(told.starts_with("BYE"), "{told}");
    let mut fresh = Imap::open(&palombe, &address)?;
    let selected = fresh.ok("SELECT Autres")?;
    ensure!(selected.lines().any(|line| line == "1 EXISTS"), "{selected:?}");
    palombe.cli(&["store", "check"])?;
    Ok(())
}

#[test]
fn an_idle_session_costs_little_memory() -> Result<()> {
    let count = match std::env::var("PALOMBE_IDLE_SESSIONS") {
        Ok(count) => count.parse()?,
        Err(_) => MEASURED,
    };
    let mut palombe = Palombe::prepare("beta")?;
    palombe.set("imap", "connections_per_peer_max", &(count + 50).to_string());
    palombe.resume()?;
    palombe.add_domain(&palombe.domain())?;
    let address = palombe.add_bal("marie")?;
    let mut acting = Imap::open(&palombe, &address)?;
    for number in 0..100 {
        let message = mail::plain(&address, &address, &format!("{number}@beta"), "Bonjour.");
        acting.append("INBOX", "", &message)?;
    }
    // The first sessions pay for what is shared: threads, caches, the memory of password checks.
    let mut sessions: Vec<Imap> =
        (0..20).map(|_| idling(&palombe, &address)).collect::<Result<_>>()?;
    let before = palombe.server()?.resident()?.now_bytes;
    for _ in 0..count {
        sessions.push(idling(&palombe, &address)?);
    }
    let after = palombe.server()?.resident()?.now_bytes;
    let each = after.saturating_sub(before) / count as u64;
    println!(
        "{count} idle sessions: {} KiB each, {} MiB for 1,000; the process had {} MiB before",
        each / 1024,
        each * 1000 / 1024 / 1024,
        before / 1024 / 1024
    );
    ensure!(each <= SESSION_BYTES_MAX, "{each} octets for each idle session");
    // All are still there and hear.
    let message = mail::plain(&address, &address, "pour tous@beta", "Bonjour.");
    acting.append("INBOX", "", &message)?;
    for session in &mut sessions {
        session.hear("the new message", |text| text == "101 EXISTS")?;
    }
    Ok(())
}
