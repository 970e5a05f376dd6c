//! The data of older versions is read as it was written: a data folder of each released version stands in
//! `tests/upgrades/VERSION.tar.gz`, with what a client and an administrator saw in it. The running version reads its
//! own data by the same rules.
//!
//! `PALOMBE_RECORD=VERSION` leaves the folder of the running version there, to be committed with the release.

use anyhow::{Context, Result, ensure};
use palombe_load::smtp::Parameters;
use palombe_tests::imap::Imap;
use palombe_tests::palombe::Palombe;
use palombe_tests::{acknowledged, clients, mail, process, repo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a message showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Message {
    flags: Vec<String>,
    internal_date: String,
    text: String,
}

/// What a folder showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Folder {
    attributes: Vec<String>,
    uid_validity: u32,
    uid_next: u32,
    messages: BTreeMap<u32, Message>,
}

/// What an operator held: folders by BAL and name; Message-ID and recipient of what waits in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    password: String,
    bals: BTreeMap<String, BTreeMap<String, Folder>>,
    queued: Vec<(String, String)>,
}

/// The number after a response code such as `[UIDNEXT`.
fn number(lines: &[String], code: &str) -> Result<u32> {
    let text = lines.iter().find_map(|line| line.split(code).nth(1)).context(code.to_owned())?;
    Ok(text.split(']').next().unwrap_or_default().trim().parse()?)
}

/// What stands between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Result<&'a str> {
    let rest = text.split(start).nth(1).with_context(|| format!("no {start} in {text}"))?;
    Ok(rest.split(end).next().unwrap_or_default())
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> =
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.sort();
    words
}

fn folder(imap: &mut Imap, name: &str, attributes: &str) -> Result<Folder> {
    let examined = imap.ok(&format!("EXAMINE {name}"))?;
    let lines: Vec<String> = examined.lines().map(str::to_owned).collect();
    let mut messages = BTreeMap::new();
    if !lines.iter().any(|line| line == "0 EXISTS") {
        let items = "(UID FLAGS INTERNALDATE BODY.PEEK[])";
        for (line, mut literals) in imap.ok(&format!("FETCH 1:* {items}"))?.untagged {
            if !line.contains(" FETCH ") {
                continue;
            }
            let text = String::from_utf8(literals.pop().context("no text")?)?;
            let uid = between(&line, "UID ", " ")?.trim_end_matches(')').parse()?;
            let flags = words(between(&line, "FLAGS (", ")")?);
            let internal_date = between(&line, "INTERNALDATE \"", "\"")?.to_owned();
            messages.insert(uid, Message { flags, internal_date, text });
        }
    }
    Ok(Folder {
        attributes: words(attributes),
        uid_validity: number(&lines, "[UIDVALIDITY")?,
        uid_next: number(&lines, "[UIDNEXT")?,
        messages,
    })
}

/// Everything that `bals` hold, as their holders see it.
fn held<'a>(palombe: &Palombe, bals: impl Iterator<Item = &'a String>) -> Result<Held> {
    let mut all = BTreeMap::new();
    for address in bals {
        let mut imap = Imap::open(palombe, address)?;
        let mut folders = BTreeMap::new();
        let listed = imap.ok("LIST \"\" \"*\" RETURN (SUBSCRIBED SPECIAL-USE)")?;
        for line in listed.lines() {
            let (_, name) = line.split_once(" \"/\" ").with_context(|| line.to_owned())?;
            let attributes = between(line, "LIST (", ")")?;
            folders.insert(name.to_owned(), folder(&mut imap, name, attributes)?);
        }
        all.insert(address.clone(), folders);
    }
    let queued = acknowledged::queued(palombe)?.into_iter().collect();
    Ok(Held { password: palombe.password.clone(), bals: all, queued })
}

/// An operator that nothing leaves: the other one has a closed port.
fn operator() -> Result<Palombe> {
    let mut palombe = Palombe::prepare("alpha")?;
    palombe.route("beta.mssante.test", palombe.site().at(1));
    palombe.set("queue", "retry_secs", "[3600]");
    Ok(palombe)
}

/// Something of everything: flags, keywords, gaps, large bodies, names beyond ASCII, a message that waits.
fn fill(palombe: &Palombe) -> Result<Vec<String>> {
    palombe.add_domain(&palombe.domain())?;
    let bals = vec![palombe.add_bal("marie")?, palombe.add_bal("paul")?];
    let marie = &bals[0];
    let mut imap = Imap::open(palombe, marie)?;
    for name in ["Projets", "Projets/2026", "\"R&AOk-sultats\""] {
        imap.ok(&format!("CREATE {name}"))?;
    }
    imap.ok("SUBSCRIBE Projets/2026")?;
    for number in 0..20 {
        let message = mail::plain(marie, marie, &format!("{number}@alpha"), "Bonjour.");
        imap.append("INBOX", if number % 3 == 0 { "\\Seen $Urgent" } else { "" }, &message)?;
    }
    imap.append("Projets/2026", "", &mail::with_attachment(marie, marie, "grand@alpha", 400_000))?;
    imap.ok("SELECT INBOX")?;
    imap.ok("STORE 2,5 +FLAGS (\\Flagged \\Answered)")?;
    imap.ok("MOVE 7 Archive")?;
    imap.ok("COPY 8 \"R&AOk-sultats\"")?;
    imap.ok("STORE 3,9,19 +FLAGS (\\Deleted)")?;
    imap.ok("EXPUNGE")?;
    let account = palombe.account(marie);
    for (to, id) in [(&bals[1], "ici@alpha"), (&"jean@beta.mssante.test".to_owned(), "loin@alpha")]
    {
        clients::submit(
            &account,
            to,
            &mail::plain(marie, to, id, "Bonjour."),
            Parameters::default(),
        )?;
    }
    Ok(bals)
}

fn tar(arguments: &[&str], folder: &Path, archive: &Path) -> Result<()> {
    let mut command = Command::new("tar");
    process::run(
        command.arg(arguments[0]).arg(archive).arg("-C").arg(folder).args(&arguments[1..]),
    )?;
    Ok(())
}

fn folder_of_archives() -> PathBuf {
    repo::root().join("tests/upgrades")
}

/// A data folder of this version, with what it showed.
fn record(archive: &Path) -> Result<()> {
    let mut palombe = operator()?;
    palombe.resume()?;
    let bals = fill(&palombe)?;
    let shown = held(&palombe, bals.iter())?;
    palombe.stop()?;
    ensure!(shown.queued.len() == 1, "{:?}", shown.queued);
    palombe.site().write("held.json", serde_json::to_vec_pretty(&shown)?)?;
    tar(&["-czf", "data", "held.json"], palombe.folder(), archive)
}

/// The running version on an archived data folder.
fn upgrade(archive: &Path) -> Result<()> {
    let mut palombe = operator()?;
    tar(&["-xzf"], palombe.folder(), archive)?;
    let expected: Held =
        serde_json::from_slice(&std::fs::read(palombe.folder().join("held.json"))?)?;
    ensure!(expected.password == palombe.password, "another password");
    palombe.resume()?;
    let shown = held(&palombe, expected.bals.keys())?;
    for (address, folders) in &expected.bals {
        for (name, folder) in folders {
            let now = shown.bals[address].get(name);
            ensure!(now == Some(folder), "{address} {name}: {now:?}\nwas {folder:?}");
        }
    }
    ensure!(shown.queued == expected.queued, "waiting: {:?}", shown.queued);
    palombe.cli(&["store", "check"])?;

    // It goes on where the old version stopped, and survives its own restart.
    let (address, folders) = expected.bals.first_key_value().context("no BAL")?;
    let message = mail::plain(address, address, "apres@alpha", "Bonjour.");
    let appended = Imap::open(&palombe, address)?.append("INBOX", "", &message)?;
    let inbox = &folders["INBOX"];
    let wanted = format!("[APPENDUID {} {}]", inbox.uid_validity, inbox.uid_next);
    ensure!(appended.end.contains(&wanted), "{}, not {wanted}", appended.end);
    palombe.stop()?;
    palombe.resume()?;
    let now = held(&palombe, expected.bals.keys())?;
    ensure!(now.bals[address]["INBOX"].messages.len() == inbox.messages.len() + 1);
    palombe.stop()
}

#[test]
fn data_of_every_version_is_read_as_it_was_written() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mine = match std::env::var("PALOMBE_RECORD") {
        Ok(version) => {
            std::fs::create_dir_all(folder_of_archives())?;
            folder_of_archives().join(format!("{version}.tar.gz"))
        }
        Err(_) => scratch.path().join("this-version.tar.gz"),
    };
    record(&mine)?;
    let mut archives = vec![mine];
    if let Ok(entries) = std::fs::read_dir(folder_of_archives()) {
        for entry in entries {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".tar.gz") && !archives.contains(&path) {
                archives.push(path);
            }
        }
    }
    for archive in &archives {
        upgrade(archive).with_context(|| archive.display().to_string())?;
        println!("read: {}", archive.display());
    }
    Ok(())
}
