//! An organisational BAL opened by a person: made by the administrator's commands, seen by a mail client, told by the
//! journal, and over when the administrator says so.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::palombe::Palombe;
use palombe_tests::{clients, mail, process, skip_if_missing};
use serde_json::Value;

fn json(operator: &Palombe, arguments: &[&str]) -> Result<Value> {
    let output = operator.cli(&[&["--json"], arguments].concat())?;
    serde_json::from_str(&output).context(output)
}

#[test]
fn a_member_reads_and_sends_for_an_organisational_bal_until_it_is_removed() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["curl"]));
    let beta = Palombe::start("beta")?;
    let marie = beta.add_bal("marie")?;
    let shared = beta.add_bal("urgences")?;
    let (person, owner) = (beta.account(&marie), beta.account(&shared));
    let letter = mail::plain(&shared, &shared, "garde@beta", "Tableau de garde");
    clients::submit(&owner, &shared, &letter, Parameters::default())?;

    // A stranger learns nothing, not even that the BAL exists.
    let folder = format!("Partages/{shared}/INBOX");
    let status = format!("STATUS \"{folder}\" (MESSAGES)");
    let refused = |what: &str| clients::curl_command(&person, "", what).is_err();
    ensure!(refused(&status) && refused(&status.replace("urgences", "personne")));
    let for_all = mail::plain(&shared, &marie, "annonce@beta", "Annonce");
    let as_shared = || clients::submit_as(&person, &shared, &marie, &for_all);
    ensure!(as_shared().is_err(), "a stranger sent as {shared}");

    beta.cli(&["bal", "member", "add", &shared, &marie, "--rights", "read,write,send-as"])?;
    let members = json(&beta, &["bal", "member", "list", &shared])?;
    ensure!(members[0]["member"] == marie.as_str(), "{members:#}");
    let listed = clients::curl_command(&person, "", "LIST \"\" \"Partages/*\"")?;
    ensure!(listed.contains(&folder), "{listed}");
    let told = clients::curl_command(&person, "", &status)?;
    ensure!(told.contains("MESSAGES 1"), "{told}");
    let rights = clients::curl_command(&person, "", &format!("MYRIGHTS \"{folder}\""))?;
    ensure!(rights.contains("MYRIGHTS") && rights.contains("lrs"), "{rights}");
    as_shared()?;
    let read = clients::curl_fetch(&person, "INBOX;MAILINDEX=1")?;
    ensure!(read.ends_with(&for_all), "{}", String::from_utf8_lossy(&read));

    beta.cli(&["bal", "member", "remove", &shared, &marie])?;
    ensure!(refused(&status) && as_shared().is_err());
    let none = json(&beta, &["bal", "member", "list", &shared])?;
    ensure!(none == Value::Array(Vec::new()), "{none:#}");
    let lines = json(&beta, &["journal", "list", "--bal", &shared, "--event", "bal.member"])?;
    let told = |word: &str| {
        lines.as_array().is_some_and(|all| {
            all.iter().any(|line| line["event"].as_str().is_some_and(|event| event.contains(word)))
        })
    };
    ensure!(told("bal.member"), "{lines:#}");
    // Every line so far stands in the chain.
    let proof = json(&beta, &["journal", "verify"])?;
    ensure!(proof["problems"] == Value::Array(Vec::new()) && proof["lines"] != 0, "{proof:#}");
    beta.cli(&["store", "check"])?;
    Ok(())
}
