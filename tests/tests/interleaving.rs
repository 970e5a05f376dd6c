//! Several clients flag, move and expunge in the same folder at the same time: one hears of EXPUNGE, one of VANISHED,
//! one comes and goes with QRESYNC, and mbsync runs beside them. Afterwards each of them believes what a new session
//! reads, mbsync has the same on disk, and nothing is gone that nobody deleted.
//!
//! `PALOMBE_SEED=n` repeats a run; without it each run is another one.

use anyhow::{Context, Result, ensure};
use palombe_tests::acknowledged::{Dice, message_id};
use palombe_tests::imap::Imap;
use palombe_tests::palombe::Palombe;
use palombe_tests::view::{Flags, Known, Removal, View, Visitor};
use palombe_tests::{clients, mail, process, skip_if_missing};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const STEPS: u64 = 300;
const MESSAGES: u64 = 40;
/// Steps between two runs of mbsync.
const MBSYNC_EVERY: u64 = 60;
/// Steps between two sessions of the client that comes and goes.
const VISIT_EVERY: u64 = 25;
/// Sets of UIDs that one command names, at most.
const SET_MAX: u64 = 6;

/// What was filed, and what may be gone.
#[derive(Default)]
struct Ledger {
    filed: BTreeSet<String>,
    by_uid: BTreeMap<u32, String>,
    /// Somebody asked for `\Deleted` on these.
    deletable: BTreeSet<String>,
}

struct Game {
    dice: Dice,
    ledger: Ledger,
    address: String,
}

impl Game {
    fn file(&mut self, view: &mut View, flags: &str) -> Result<()> {
        let id = format!("{}.game@beta", self.ledger.filed.len());
        let message = mail::plain(&self.address, &self.address, &id, "Un parmi d'autres.");
        let uid = view.append("INBOX", flags, &message)?;
        self.ledger.by_uid.insert(uid, id.clone());
        self.ledger.filed.insert(id);
        Ok(())
    }

    fn flag(&mut self) -> &'static str {
        let flags = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Urgent"];
        flags[self.dice.between(0, flags.len() as u64 - 1) as usize]
    }

    /// Some UIDs of a view, as a set and as a list.
    fn some(&mut self, uids: &[u32]) -> (String, Vec<u32>) {
        let count = self.dice.between(1, SET_MAX.min(uids.len() as u64));
        let picked: BTreeSet<u32> =
            (0..count).map(|_| uids[self.dice.roll() as usize % uids.len()]).collect();
        let set: Vec<String> = picked.iter().map(u32::to_string).collect();
        (set.join(","), picked.into_iter().collect())
    }

    /// A command for this view; what it may delete is in the ledger before it is sent.
    fn command(&mut self, view: &View) -> String {
        let uids = view.uids();
        if uids.is_empty() {
            return "NOOP".to_owned();
        }
        let number = self.dice.between(1, uids.len() as u64);
        let last = self.dice.between(number, uids.len() as u64).min(number + SET_MAX);
        let sign = if self.dice.once_in(3) { '-' } else { '+' };
        let flag = self.flag();
        let (set, picked) = self.some(&uids);
        match self.dice.between(0, 19) {
            0..=4 => format!("STORE {number}:{last} {sign}FLAGS ({flag})"),
            5..=7 => format!("UID STORE {set} {sign}FLAGS ({flag})"),
            8 => format!("UID STORE {set} FLAGS.SILENT ({flag} \\Seen)"),
            9 => format!("UID STORE {set} FLAGS ({flag})"),
            10..=11 => {
                let ids = picked.iter().filter_map(|uid| self.ledger.by_uid.get(uid));
                self.ledger.deletable.extend(ids.cloned());
                format!("UID STORE {set} +FLAGS (\\Deleted)")
            }
            12 => "EXPUNGE".to_owned(),
            13 => format!("UID EXPUNGE {set}"),
            14 => format!("UID MOVE {set} Archive"),
            15 => format!("MOVE {number} Archive"),
            16 => format!("FETCH {number}:{last} (UID FLAGS MODSEQ)"),
            17 => format!("SEARCH {number}:{last} UNSEEN"),
            _ => "NOOP".to_owned(),
        }
    }
}

/// Both send before either reads.
fn both(game: &mut Game, one: &mut View, two: &mut View) -> Result<()> {
    let commands = [game.command(one), game.command(two)];
    let tags = [one.say(&commands[0])?, two.say(&commands[1])?];
    for (view, at) in [(one, 0), (two, 1)] {
        let wrong = || format!("at the same time: {commands:?}");
        let is_silent = commands[at].contains(".SILENT");
        view.end(&tags[at], &commands[at]).with_context(wrong)?;
        view.fill().with_context(wrong)?;
        if is_silent {
            // A client that asks for silence must look for itself.
            view.command("UID FETCH 1:* (UID FLAGS)").with_context(wrong)?;
        }
    }
    Ok(())
}

/// One idles while the other acts.
fn idle_beside(game: &mut Game, idling: &mut View, acting: &mut View) -> Result<()> {
    let tag = idling.idle()?;
    for _ in 0..3 {
        let command = game.command(acting);
        acting.command(&command)?;
        acting.command("UID FETCH 1:* (UID FLAGS)")?; // after a silent STORE
    }
    idling.done(&tag)
}

/// UID and flags as a session reads them that was not there before; and Message-IDs.
fn fresh(palombe: &Palombe, address: &str, folder: &str) -> Result<(Flags, Vec<String>)> {
    let flags = View::open(palombe, address, folder, Removal::Expunge)?.flags();
    let mut imap = Imap::open(palombe, address)?;
    imap.ok(&format!("EXAMINE {folder}"))?;
    let answer = imap.ok("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")?;
    let ids = answer.untagged.iter().filter_map(|(_, literals)| message_id(literals.last()?));
    Ok((flags, ids.collect()))
}

fn mbsync(config: &Path) -> Result<Child> {
    let mut command = Command::new("mbsync");
    command.arg("-c").arg(config).arg("--all").stdout(Stdio::null()).stderr(Stdio::null());
    command.stdin(Stdio::null()).spawn().context("mbsync")
}

/// Message-IDs of a local maildir.
fn local_ids(folder: &Path) -> Result<Vec<String>> {
    let ids = mail::maildir(folder)?.iter().filter_map(|message| message_id(message)).collect();
    Ok(ids)
}

fn seed() -> Result<u64> {
    match std::env::var("PALOMBE_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64),
    }
}

#[test]
fn clients_that_change_one_folder_together_agree() -> Result<()> {
    skip_if_missing!(process::missing_programs(&["mbsync"]));
    let seed = seed()?;
    println!("PALOMBE_SEED={seed}");
    let palombe = Palombe::start("beta")?;
    let address = palombe.add_bal("marie")?;
    let near = palombe.site().subfolder("near")?;
    let account = palombe.localhost_account(&address);
    let text = clients::mbsync_config(&account, &near, &palombe.password_file())?;
    let config = palombe.site().write("mbsyncrc", text)?;

    let mut game = Game { dice: Dice(seed), ledger: Ledger::default(), address: address.clone() };
    let mut one = View::open(&palombe, &address, "INBOX", Removal::Expunge)?;
    let mut two = View::open(&palombe, &address, "INBOX", Removal::Vanished)?;
    let mut visitor = Visitor::default();
    for _ in 0..MESSAGES {
        game.file(&mut one, "")?;
    }
    two.settle()?;

    let mut third: Option<Child> = None;
    for step in 0..STEPS {
        if step % VISIT_EVERY == 0 {
            let known = if game.dice.once_in(2) { Known::Said } else { Known::Unsaid };
            let at = || format!("visit at step {step}, {known:?}");
            visitor.visit(&palombe, &address, "INBOX", known).with_context(at)?;
        }
        if step % MBSYNC_EVERY == 0 {
            // What it says does not count yet: messages go away under it.
            if let Some(mut child) = third.take() {
                child.wait()?;
            }
            third = Some(mbsync(&config)?);
        }
        let at = || format!("step {step}");
        match game.dice.between(0, 9) {
            0 => idle_beside(&mut game, &mut one, &mut two).with_context(at)?,
            1 => idle_beside(&mut game, &mut two, &mut one).with_context(at)?,
            // The folder neither runs empty nor grows without end.
            2.. if one.uids().len() < MESSAGES as usize / 2 => {
                game.file(&mut one, "\\Seen").with_context(at)?;
                game.file(&mut two, "$Urgent").with_context(at)?;
            }
            _ => both(&mut game, &mut one, &mut two).with_context(at)?,
        }
    }
    if let Some(mut child) = third.take() {
        child.wait()?;
    }
    agree(&palombe, &game, &config, [&mut one, &mut two], &mut visitor)
}

/// The end of the game: everybody has the same.
fn agree(
    palombe: &Palombe,
    game: &Game,
    config: &Path,
    views: [&mut View; 2],
    visitor: &mut Visitor,
) -> Result<()> {
    let near = palombe.site().subfolder("near")?;
    clients::mbsync(config)?; // the last one to change anything
    let address = &game.address;
    let (inbox, inbox_ids) = fresh(palombe, address, "INBOX")?;
    let (archive, archive_ids) = fresh(palombe, address, "Archive")?;
    for view in views {
        view.settle()?;
        ensure!(view.flags() == inbox, "believes {:?}\nread {inbox:?}", view.flags());
    }
    visitor.visit(palombe, address, "INBOX", Known::Unsaid)?;
    ensure!(visitor.flags() == &inbox, "visits left {:?}\nread {inbox:?}", visitor.flags());
    ensure!(inbox.len() == inbox_ids.len() && archive.len() == archive_ids.len());

    // Each message is in one place, once; what nobody deleted is still there.
    let here: Vec<&String> = inbox_ids.iter().chain(&archive_ids).collect();
    let distinct: BTreeSet<&String> = here.iter().copied().collect();
    ensure!(distinct.len() == here.len(), "a message is there twice: {here:?}");
    ensure!(distinct.iter().all(|id| game.ledger.filed.contains(*id)), "{here:?}");
    let mut kept = game.ledger.filed.difference(&game.ledger.deletable);
    ensure!(kept.all(|id| distinct.contains(id)), "a message is gone that nobody deleted");

    // On disk the same; and a second run changes nothing.
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    ensure!(sorted(local_ids(&near.join("INBOX"))?) == sorted(inbox_ids), "mbsync: INBOX");
    ensure!(sorted(local_ids(&near.join("Archive"))?) == sorted(archive_ids), "mbsync: Archive");
    clients::mbsync(config)?;
    ensure!(fresh(palombe, address, "INBOX")?.0 == inbox, "the second run changed flags");
    let report = palombe.cli(&["store", "check"])?;
    println!(
        "{} filed, {} in INBOX, {} in Archive; {}",
        game.ledger.filed.len(),
        inbox.len(),
        archive.len(),
        report.lines().last().unwrap_or_default()
    );
    Ok(())
}
