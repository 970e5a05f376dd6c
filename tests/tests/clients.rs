//! Mail clients that people have, against a running Palombe.

use anyhow::{Context, Result, ensure};
use palombe_load::imap::{ImapSession, ImapTarget};
use palombe_load::imap_load::{self, ImapLoad, Scenario};
use palombe_load::tls::client_config;
use palombe_tests::clients::{self, Account};
use palombe_tests::palombe::Palombe;
use palombe_tests::{mail, pki, process, repo, skip_if_missing};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const MESSAGES: u64 = 2000;
/// For clients that are slower than mbsync.
const SOME: u64 = 100;
/// For one that starts a process for each message.
const FEW: u64 = 20;

/// One operator with one BAL.
fn one_bal() -> Result<(Palombe, Account)> {
    let palombe = Palombe::start("beta")?;
    let address = palombe.add_bal("marie")?;
    let account = palombe.localhost_account(&address);
    Ok((palombe, account))
}

/// Files `count` messages by IMAP.
fn fill(account: &Account, count: u64) -> Result<()> {
    let target = imap_target(account)?;
    let load = ImapLoad {
        scenario: Scenario::Append,
        run: "clients".to_owned(),
        connections: 4,
        operations: count,
        seconds: 120,
        bytes: 2000,
        folder: "INBOX".to_owned(),
        logins: vec![account.address.clone()],
        password: account.password.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let summary = runtime.block_on(imap_load::run(target, load))?;
    ensure!(summary.done == count, "{summary:?}");
    Ok(())
}

/// Message-ID to flags ("S", "FS"…) of a local maildir.
fn local(inbox: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for folder in ["new", "cur"] {
        for entry in std::fs::read_dir(inbox.join(folder))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let flags = name.split_once(":2,").map_or("", |(_, flags)| flags).to_owned();
            found.insert(message_id(&std::fs::read_to_string(&path)?)?, flags);
        }
    }
    Ok(found)
}

fn message_id(text: &str) -> Result<String> {
    let line =
        text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).context("no Message-ID")?;
    Ok(line.trim().to_owned())
}

/// The local message with this id.
fn local_file(inbox: &Path, id: &str) -> Result<PathBuf> {
    for folder in ["new", "cur"] {
        for entry in std::fs::read_dir(inbox.join(folder))? {
            let path = entry?.path();
            if message_id(&std::fs::read_to_string(&path)?)? == id {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("{id} is not in {}", inbox.display())
}

/// Renames the local message with this id: other flags, in `cur`.
fn flag_locally(inbox: &Path, id: &str, flags: &str) -> Result<()> {
    let path = local_file(inbox, id)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.split(":2,").next().unwrap_or_default();
    std::fs::rename(&path, inbox.join("cur").join(format!("{stem}:2,{flags}")))?;
    Ok(())
}

/// UID and flags of every message at the server.
fn far_flags(account: &Account) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (login, password) = (&account.address, &account.password);
        let mut session = ImapSession::open(&imap_target(account)?, login, password).await?;
        session.command("EXAMINE INBOX").await?;
        let answer = session.command("FETCH 1:* (UID FLAGS)").await?;
        session.logout().await?;
        Ok(answer.lines)
    })
}

fn imap_target(account: &Account) -> Result<ImapTarget> {
    Ok(ImapTarget {
        address: account.imaps,
        server_name: account.host.clone(),
        tls: client_config(&pki::anchors(), None)?,
    })
}

/// Names of all files under a folder.
fn listing(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                names.push(entry.path().display().to_string());
            }
        }
    }
    names.sort();
    Ok(names)
}

#[test]
fn mbsync_synchronises_2000_messages_both_ways() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["mbsync", "curl"]));
    let (palombe, account) = one_bal()?;
    fill(&account, MESSAGES)?;
    let near = palombe.site().subfolder("near")?;
    let text = clients::mbsync_config(&account, &near, &palombe.password_file())?;
    let config = palombe.site().write("mbsyncrc", text)?;
    let inbox = near.join("INBOX");

    clients::mbsync(&config)?;
    let pulled = local(&inbox)?;
    assert_eq!(pulled.len() as u64, MESSAGES);

    // Changes on both sides.
    flag_locally(&inbox, "<1.clients@load.invalid>", "FS")?;
    flag_locally(&inbox, "<2.clients@load.invalid>", "ST")?;
    let mine = mail::plain(&account.address, &account.address, "local@near", "Brouillon.");
    std::fs::write(inbox.join("new/1.local.near"), &mine)?;
    // Sequence numbers say nothing: the messages were filed over several connections.
    let far = |id: &str| -> Result<String> {
        let search = format!("SEARCH HEADER Message-ID {id}");
        let found = clients::curl_command(&account, "INBOX", &search)?;
        Ok(found.trim().rsplit(' ').next().unwrap_or_default().to_owned())
    };
    let answered = far("<11.clients@load.invalid>")?;
    let gone = far("<12.clients@load.invalid>")?;
    let store = |number: &str, flag: &str| {
        clients::curl_command(&account, "INBOX", &format!("STORE {number} +FLAGS ({flag})"))
    };
    store(&answered, "\\Answered")?;
    store(&gone, "\\Deleted")?;
    clients::curl_command(&account, "INBOX", "EXPUNGE")?;
    clients::mbsync(&config)?;

    let merged = local(&inbox)?;
    assert_eq!(merged.len() as u64, MESSAGES - 1, "one added, two removed");
    assert_eq!(merged["<1.clients@load.invalid>"], "FS");
    assert!(
        merged.contains_key("<local@near>") && !merged.contains_key("<2.clients@load.invalid>")
    );
    assert_eq!(merged["<11.clients@load.invalid>"], "R");
    assert!(!merged.contains_key("<12.clients@load.invalid>"));
    let far = clients::curl_command(&account, "INBOX", "SEARCH FLAGGED SEEN")?;
    assert_eq!(far.trim().split(' ').count(), 3, "{far}");
    let there = clients::curl_command(&account, "INBOX", "SEARCH HEADER Message-ID local@near")?;
    assert_eq!(there.trim().split(' ').count(), 3, "{there}");

    // Then no difference.
    let before = (listing(&near)?, far_flags(&account)?);
    clients::mbsync(&config)?;
    assert_eq!(before, (listing(&near)?, far_flags(&account)?));
    Ok(())
}

#[test]
fn curl_submits_and_reads() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["curl"]));
    let (palombe, account) = one_bal()?;
    let message = mail::with_attachment(&account.address, &account.address, "curl@beta", 300_000);
    let file = palombe.site().write("message.eml", &message)?;
    clients::curl_submit(&account, &account.address, &file)?;
    let read = clients::curl_fetch(&account, "INBOX;MAILINDEX=1")?;
    assert!(read.ends_with(&message), "the message is not the one that was sent");
    let header =
        clients::curl_fetch(&account, "INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)")?;
    assert_eq!(header, b"Subject: curl@beta\r\n\r\n");
    Ok(())
}

#[test]
fn swaks_submits_and_hears_why_not() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["swaks", "curl"]));
    let (palombe, account) = one_bal()?;
    let message = mail::plain(&account.address, &account.address, "swaks@beta", ".\r\nBonjour.");
    // swaks ends the file with a line end of its own.
    let file = palombe.site().write("message.eml", message.trim_ascii_end())?;
    let sent = clients::swaks_submit(&account, &account.address, Some(&file))?;
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    let read = clients::curl_fetch(&account, "INBOX;MAILINDEX=1")?;
    let shown = String::from_utf8_lossy(&read);
    assert!(
        read.ends_with(&message),
        "sent:\n{}\nread:\n{shown}",
        String::from_utf8_lossy(&message)
    );
    let refused = clients::swaks_submit(&account, "ami@messagerie-ordinaire.example", None)?;
    let transcript = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(!refused.status.success() && transcript.contains(" 550 5.7.1"), "{transcript}");
    Ok(())
}

#[test]
fn imaplib_goes_through_a_session() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["python3"]));
    let (palombe, account) = one_bal()?;
    let mut command = Command::new("python3");
    command.arg(repo::root().join("tests/clients/imaplib_session.py"));
    command.arg(account.imaps.port().to_string()).arg(pki::anchors()).arg(&account.address);
    command.arg(palombe.password_file());
    let output = process::run(&mut command).context(process::tail(&palombe.log()))?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("all well"));
    Ok(())
}

fn muttrc(account: &Account) -> String {
    let url_user = account.address.replace('@', "%40");
    format!(
        "set from=\"{address}\"\nset realname=\"Marie\"\nset use_from=yes\nset copy=no\nset record=\"\"\n\
         set ssl_starttls=yes\nset ssl_force_tls=yes\nset certificate_file=\"{ca}\"\n\
         set ssl_usesystemcerts=no\nset imap_user=\"{address}\"\nset imap_pass=\"{password}\"\n\
         set smtp_url=\"smtp://{url_user}@localhost:{submission}/\"\nset smtp_pass=\"{password}\"\n\
         set smtp_authenticators=\"plain\"\nset quit=yes\nset delete=yes\nset mail_check_stats=no\n\
         set confirmappend=no\nset confirmcreate=no\nset wait_key=no\nset move=no\n\
         set mark_old=no\nset sort=mailbox-order\nset folder=\"imaps://{url_user}@localhost:{imaps}/\"\n",
        address = account.address,
        ca = pki::anchors().display(),
        password = account.password,
        submission = account.submission.port(),
        imaps = account.imaps.port(),
    )
}

/// mutt opens INBOX and these keys are typed. Reading needs a terminal: "script" lends one.
fn mutt_reads(palombe: &Palombe, account: &Account, rc: &Path, keys: &str) -> Result<()> {
    let url_user = account.address.replace('@', "%40");
    let folder = format!("imaps://{url_user}@localhost:{}/INBOX", account.imaps.port());
    let line = format!("mutt -n -d 2 -F '{}' -f '{folder}' -e 'push \"{keys}\"'", rc.display());
    let mut read = Command::new("script");
    read.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
    // For .muttdebug0, what was said; older ones get higher numbers.
    read.env("HOME", palombe.folder());
    process::run(&mut read).context(process::tail(&palombe.log()))?;
    Ok(())
}

#[test]
fn mutt_sends_and_saves_in_batch() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["mutt", "script"]));
    let (palombe, account) = one_bal()?;
    let attachment = palombe.site().write("document.txt", "Document joint, à lire.\n")?;
    let saved = palombe.site().folder().join("saved.eml");
    let rc = palombe.site().write("muttrc", muttrc(&account))?;
    let mut send = Command::new("mutt");
    send.arg("-n").arg("-F").arg(&rc).args(["-s", "Envoi par mutt"]);
    send.arg("-a").arg(&attachment).arg("--").arg(&account.address);
    process::run(&mut send).context(process::tail(&palombe.log()))?;

    let keys = format!("<copy-message><kill-line>{}<enter><exit>", saved.display());
    mutt_reads(&palombe, &account, &rc, &keys)?;
    let bytes = std::fs::read(&saved).context("mutt saved nothing")?;
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("Subject: Envoi par mutt") && text.contains("document.txt"), "{text}");
    Ok(())
}

/// What both sides hold of INBOX; nothing of it may change when there is nothing to do.
fn both_sides(near: &Path, account: &Account) -> Result<(Vec<String>, Vec<String>)> {
    Ok((listing(near)?, far_flags(account)?))
}

#[test]
fn offlineimap_synchronises_both_ways() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["offlineimap", "curl"]));
    let (palombe, account) = one_bal()?;
    fill(&account, SOME)?;
    let near = palombe.site().subfolder("near")?;
    let state = palombe.site().subfolder("offlineimap")?;
    let text = clients::offlineimap_config(&account, &near, &state, &palombe.password_file())?;
    let config = palombe.site().write("offlineimaprc", text)?;
    let inbox = near.join("INBOX");

    clients::offlineimap(&config)?;
    assert_eq!(local(&inbox)?.len() as u64, SOME);

    // Changes on both sides: flags, a new message, a message gone.
    flag_locally(&inbox, "<1.clients@load.invalid>", "FS")?;
    std::fs::remove_file(local_file(&inbox, "<2.clients@load.invalid>")?)?;
    let mine = mail::plain(&account.address, &account.address, "local@near", "Brouillon.");
    std::fs::write(inbox.join("new/1.local.near"), &mine)?;
    clients::curl_command(&account, "INBOX", "STORE 11 +FLAGS (\\Answered)")?;
    clients::curl_command(&account, "INBOX", "STORE 12 +FLAGS (\\Deleted)")?;
    clients::curl_command(&account, "INBOX", "EXPUNGE")?;
    let theirs = mail::plain(&account.address, &account.address, "far@beta", "Arrivé.");
    let theirs = palombe.site().write("far.eml", theirs)?;
    clients::curl_submit(&account, &account.address, &theirs)?;
    clients::offlineimap(&config)?;

    let merged = local(&inbox)?;
    assert_eq!(merged.len() as u64, SOME, "two added, two removed");
    assert_eq!(merged["<1.clients@load.invalid>"], "FS");
    assert!(merged.contains_key("<local@near>") && merged.contains_key("<far@beta>"));
    assert!(!merged.contains_key("<2.clients@load.invalid>"));
    assert_eq!(merged.values().filter(|flags| flags.contains('R')).count(), 1);
    for keys in ["FLAGGED SEEN", "HEADER Message-ID local@near"] {
        let far = clients::curl_command(&account, "INBOX", &format!("SEARCH {keys}"))?;
        assert_eq!(far.trim().split(' ').count(), 3, "{keys}: {far}");
    }
    assert_eq!(far_flags(&account)?.len() as u64, SOME);

    let before = both_sides(&near, &account)?;
    clients::offlineimap(&config)?;
    assert_eq!(before, both_sides(&near, &account)?);
    Ok(())
}

#[test]
fn getmail_fetches_each_message_once_and_empties_the_folder_when_asked() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["getmail", "curl"]));
    let (palombe, account) = one_bal()?;
    fill(&account, FEW)?;
    let near = palombe.site().subfolder("near")?;
    let state = palombe.site().subfolder("getmail")?;
    for folder in ["near", "near/new", "near/cur", "near/tmp", "getmail"] {
        clients::give_to_nobody(&palombe.site().subfolder(folder)?)?;
    }
    let config = clients::getmail_config(&account, &near, clients::Fetched::Stays);
    let keeping = palombe.site().write("getmail/keeping", config)?;
    clients::getmail(&state, &keeping)?;
    assert_eq!(local(&near)?.len() as u64, FEW);

    let before = both_sides(&near, &account)?;
    clients::getmail(&state, &keeping)?;
    assert_eq!(before, both_sides(&near, &account)?, "fetched twice");

    // One arrives, one is gone: one is fetched, nothing else moves.
    clients::curl_command(&account, "INBOX", "STORE 12 +FLAGS (\\Deleted)")?;
    clients::curl_command(&account, "INBOX", "EXPUNGE")?;
    let message = mail::plain(&account.address, &account.address, "far@beta", "Arrivé.");
    let message = palombe.site().write("far.eml", message)?;
    clients::curl_submit(&account, &account.address, &message)?;
    clients::getmail(&state, &keeping)?;
    let fetched = local(&near)?;
    assert_eq!(fetched.len() as u64, FEW + 1);
    assert!(fetched.contains_key("<far@beta>"));
    assert_eq!(far_flags(&account)?.len() as u64, FEW);

    // Told to delete what it has fetched, it leaves an empty folder.
    let config = clients::getmail_config(&account, &near, clients::Fetched::Goes);
    let deleting = palombe.site().write("getmail/keeping", config)?;
    clients::getmail(&state, &deleting)?;
    assert_eq!(local(&near)?.len() as u64, FEW + 1);
    assert!(far_flags(&account)?.is_empty());
    Ok(())
}

#[test]
fn imaplib_follows_a_folder_by_modseq() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["python3"]));
    let (palombe, account) = one_bal()?;
    fill(&account, SOME)?;
    let mut command = Command::new("python3");
    command.arg(repo::root().join("tests/clients/imaplib_follow.py"));
    command.arg(account.imaps.port().to_string()).arg(pki::anchors()).arg(&account.address);
    command.arg(palombe.password_file()).arg(SOME.to_string());
    let output = process::run(&mut command).context(process::tail(&palombe.log()))?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("all well"));
    Ok(())
}

#[test]
fn mutt_and_curl_change_one_folder_in_turn() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["mutt", "script", "curl"]));
    mutt_and_curl_in_turn("")
}

/// RFC 4978 and RFC 7162 3.2.5: mutt compresses, keeps headers, and asks for what changed since.
#[test]
fn mutt_resynchronises_over_a_compressed_connection() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["mutt", "script", "curl"]));
    mutt_and_curl_in_turn(
        "set imap_deflate=yes\nset imap_condstore=yes\nset imap_qresync=yes\nset header_cache=CACHE\n",
    )
}

/// `more`: lines for muttrc, in which `CACHE` stands for a folder.
fn mutt_and_curl_in_turn(more: &str) -> Result<()> {
    let (palombe, account) = one_bal()?;
    let cache = palombe.site().subfolder("headers")?;
    let more = more.replace("CACHE", &cache.display().to_string());
    for number in 1..=4 {
        let id = format!("{number}@beta");
        let message = mail::plain(&account.address, &account.address, &id, "Bonjour.");
        let file = palombe.site().write("message.eml", message)?;
        clients::curl_submit(&account, &account.address, &file)?;
    }
    let rc = palombe.site().write("muttrc", muttrc(&account) + &more)?;
    let read = |keys: &str| mutt_reads(&palombe, &account, &rc, keys);
    // mutt flags the first, removes the second, saves the third.
    read(
        "1<enter><flag-message>2<enter><delete-message>3<enter><save-message><kill-line>=Archive\
         <enter><sync-mailbox><exit>",
    )?;
    let search = |folder: &str, keys: &str| -> Result<String> {
        let answer = clients::curl_command(&account, folder, &format!("SEARCH {keys}"))?;
        Ok(answer.trim_start_matches("* SEARCH").trim().to_owned())
    };
    assert_eq!(search("INBOX", "ALL")?, "1 2");
    assert_eq!(search("INBOX", "FLAGGED SUBJECT 1@beta")?, "1");
    assert_eq!(search("INBOX", "SUBJECT 4@beta")?, "2");
    assert_eq!(search("Archive", "SUBJECT 3@beta")?, "1");

    // curl flags the last; mutt copies what is flagged.
    clients::curl_command(&account, "INBOX", "STORE 2 +FLAGS (\\Flagged)")?;
    let saved = palombe.site().folder().join("flagged.mbox");
    read(&format!(
        "<tag-pattern>~F<enter><tag-prefix><copy-message><kill-line>{}<enter><exit>",
        saved.display()
    ))?;
    let text = std::fs::read_to_string(&saved).context("mutt saved nothing")?;
    assert!(text.contains("Subject: 1@beta") && text.contains("Subject: 4@beta"), "{text}");

    let before = far_flags(&account)?;
    read("<sync-mailbox><exit>")?;
    assert_eq!(before, far_flags(&account)?);
    if !more.is_empty() {
        assert!(!listing(&cache)?.is_empty(), "mutt kept no headers");
        let mut said = String::new();
        for session in 0..3 {
            let log = std::fs::read(palombe.folder().join(format!(".muttdebug{session}")))?;
            said.push_str(&String::from_utf8_lossy(&log));
        }
        assert!(said.contains("COMPRESS DEFLATE") && said.contains(" VANISHED)"), "{said}");
    }
    Ok(())
}
