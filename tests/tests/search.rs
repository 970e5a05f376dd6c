//! Searches of a running server: exact from the first moment, after kill -9, and while the index is made again.

use anyhow::{Context, Result, ensure};
use palombe_tests::imap::Imap;
use palombe_tests::palombe::Palombe;
use palombe_tests::{mail, wait};
use serde_json::Value;

const MESSAGES: u32 = 40;

fn found(imap: &mut Imap, criteria: &str) -> Result<Vec<u32>> {
    let answer = imap.ok(&format!("UID SEARCH {criteria}"))?;
    let line = answer.lines().find_map(|line| line.strip_prefix("SEARCH").map(str::to_owned));
    let line = line.context("no SEARCH line")?;
    line.split_whitespace().map(|uid| Ok(uid.parse()?)).collect()
}

fn status(palombe: &Palombe) -> Result<Value> {
    Ok(serde_json::from_str(&palombe.cli(&["--json", "search", "status"])?)?)
}

/// Until no message waits any more.
fn indexed(palombe: &Palombe) -> Result<Value> {
    wait::until("the end of the indexing", || {
        let status = status(palombe)?;
        let done = status["waiting"] == 0 && status["bals_to_read"] == 0;
        Ok(done.then_some(status))
    })
}

#[test]
fn searches_are_exact_whatever_the_index_holds() -> Result<()> {
    let mut palombe = Palombe::start("beta")?;
    let address = palombe.add_bal("marie")?;
    let mut imap = Imap::open(&palombe, &address)?;
    imap.ok("SELECT INBOX")?;
    for number in 1..=MESSAGES {
        let text = format!("Consultation numéro {number:03}, service de néphrologie");
        let message = mail::plain(&address, &address, &format!("{number}@beta"), &text);
        ensure!(imap.append("INBOX", "", &message)?.is_ok());
        // Accepted a moment ago, and only just known to this session.
        imap.ok("NOOP")?;
        ensure!(found(&mut imap, &format!("TEXT {number:03}"))?.contains(&number));
    }
    let before = indexed(&palombe)?;
    ensure!(before["documents"] == MESSAGES, "{before:#}");
    let check = |imap: &mut Imap, gone: u32| -> Result<()> {
        let all: Vec<u32> = (1..=MESSAGES).filter(|uid| *uid != gone).collect();
        ensure!(found(imap, "BODY NEPHROLOGIE")? == all);
        ensure!(found(imap, "BODY \"numero 017\"")? == [17]);
        ensure!(found(imap, "BODY cardiologie")? == Vec::<u32>::new());
        ensure!(found(imap, "NOT BODY \"numero 0\"")? == Vec::<u32>::new());
        Ok(())
    };
    check(&mut imap, 0)?;

    // A removal that the index never hears of before the end.
    imap.ok("UID STORE 5 +FLAGS (\\Deleted)")?;
    imap.ok("EXPUNGE")?;
    palombe.kill()?;
    palombe.resume()?;
    let mut imap = Imap::open(&palombe, &address)?;
    imap.ok("SELECT INBOX")?;
    check(&mut imap, 5)?;

    palombe.cli(&["search", "rebuild"])?;
    check(&mut imap, 5)?;
    palombe.cli(&["search", "rebuild", "--bal", &address, "--wait"])?;
    let after = status(&palombe)?;
    ensure!(after["documents"] == MESSAGES - 1 && after["waiting"] == 0, "{after:#}");
    check(&mut imap, 5)?;
    drop(imap);
    palombe.stop()
}
