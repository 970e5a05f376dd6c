//! Thunderbird against a running Palombe: what a person does in a morning.

use anyhow::{Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::clients::Account;
use palombe_tests::palombe::Palombe;
use palombe_tests::thunderbird::{self, Thunderbird};
use palombe_tests::{clients, mail, repo, skip_if_missing, wait};
use serde_json::{Value, json};

/// Is there a row with this subject?
fn has(subject: &str) -> impl Fn(&Value) -> bool {
    move |rows| rows.as_array().is_some_and(|rows| rows.iter().any(|row| row == subject))
}

/// Where a subject stands in the list.
fn row(rows: &Value, subject: &str) -> usize {
    rows.as_array().into_iter().flatten().position(|row| row == subject).unwrap_or_default()
}

/// What it sends arrives in the other BAL, and a copy in its own Sent.
fn it_sends(thunderbird: &mut Thunderbird, from: &Account, to: &Account) -> Result<()> {
    let none = || json!({});
    let letter =
        json!({ "to": to.address, "subject": "Envoi par Thunderbird", "text": "Bonjour Paul." });
    thunderbird.step("compose", letter)?;
    thunderbird.until("canSend", none(), |can| can == &json!(true))?;
    thunderbird.step("send", none())?;
    thunderbird.until("isComposing", none(), |composing| composing == &json!(false))?;
    let wanted = ["Subject: Envoi par Thunderbird", "Bonjour Paul."];
    for (account, folder) in [(to, "INBOX"), (from, "Sent")] {
        wait::until("the letter", || {
            let messages = clients::curl_folder(account, folder)?;
            Ok(mail::holding(&messages, &wanted).map(drop))
        })?;
    }
    Ok(())
}

#[test]
fn thunderbird_reads_hears_sends_moves_and_searches() -> Result<()> {
    skip_if_missing!(thunderbird::missing());
    let palombe = Palombe::start("beta")?;
    let marie = palombe.localhost_account(&palombe.add_bal("marie")?);
    let paul = palombe.localhost_account(&palombe.add_bal("paul")?);
    let submit = |subject: &str, text: &str| {
        let message = mail::plain(&paul.address, &marie.address, subject, text);
        clients::submit(&paul, &marie.address, &message, Parameters::default())
    };
    submit("ancien@beta", "Le compte rendu attendu.")?;

    let mut thunderbird = Thunderbird::start(&marie, palombe.site())?;
    let none = || json!({});

    // The account opens, with the folders that the server gave the BAL.
    thunderbird.step("connect", none())?;
    let is_complete = |folders: &Value| {
        ["INBOX", "Sent", "Drafts", "Trash", "Archive"].iter().all(|name| has(name)(folders))
    };
    thunderbird.until("folders", none(), is_complete)?;

    // A message that was there is listed, shown, and marked as read at the server.
    thunderbird.step("open", json!({ "name": "INBOX" }))?;
    let rows = thunderbird.until("subjects", none(), has("ancien@beta"))?;
    let first = row(&rows, "ancien@beta");
    thunderbird.step("select", json!({ "row": first }))?;
    let shows = |text: &Value| text.as_str().is_some_and(|text| text.contains("rendu attendu"));
    thunderbird.until("shown", none(), shows)?;
    let search = |keys: &str| clients::curl_command(&marie, "INBOX", &format!("SEARCH {keys}"));
    wait::until("the message marked as read", || {
        Ok(search("SEEN SUBJECT ancien")?.contains(" 1").then_some(()))
    })?;

    // A new one is heard by IDLE: the profile never asks.
    submit("nouveau@beta", "Tension 12/8, potassium 4,1.")?;
    thunderbird.until("subjects", none(), has("nouveau@beta"))?;

    // The server searches the text of messages.
    let found = thunderbird.step("search", json!({ "name": "INBOX", "body": "potassium" }))?;
    ensure!(found == json!(["nouveau@beta"]), "found {found}");

    // A star, and a move to the archive: other clients see both.
    thunderbird.step("flagSelected", none())?;
    wait::until("the star at the server", || {
        Ok(search("FLAGGED SUBJECT ancien")?.contains(" 1").then_some(()))
    })?;
    thunderbird.step("moveSelected", json!({ "name": "Archive" }))?;
    wait::until("the message in the archive", || {
        let status = |name| clients::curl_command(&marie, "", &format!("STATUS {name} (MESSAGES)"));
        let one = "(MESSAGES 1)";
        Ok((status("Archive")?.contains(one) && status("INBOX")?.contains(one)).then_some(()))
    })?;
    let flagged = clients::curl_command(&marie, "Archive", "SEARCH FLAGGED SEEN")?;
    ensure!(flagged.contains(" 1"), "the move lost flags: {flagged}");
    thunderbird.step("open", json!({ "name": "Archive" }))?;
    thunderbird.until("subjects", none(), has("ancien@beta"))?;

    it_sends(&mut thunderbird, &marie, &paul)?;

    let picture = repo::artefact("thunderbird.png")?;
    thunderbird.step("open", json!({ "name": "INBOX" }))?;
    let rows = thunderbird.until("subjects", none(), has("nouveau@beta"))?;
    thunderbird.step("select", json!({ "row": row(&rows, "nouveau@beta") }))?;
    let shows = |text: &Value| text.as_str().is_some_and(|text| text.contains("potassium"));
    thunderbird.until("shown", none(), shows)?;
    thunderbird.screenshot(&picture)?;
    println!("what it showed is in {}", picture.display());
    ensure!(thunderbird.step("dialogs", none())? == json!([]), "a dialogue stands open");
    Ok(())
}
