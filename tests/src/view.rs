//! What a client believes of a folder, kept up only by what the server tells it, as RFC 9051 7.5.1 and RFC 2180 have
//! it. A number that would change its meaning silently is an error here.

use crate::imap::{Answer, Imap};
use crate::palombe::Palombe;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// Flags by UID; `\Recent` belongs to one session and is left out.
pub type Flags = BTreeMap<u32, BTreeSet<String>>;

/// One message.
#[derive(Clone, Debug, Default)]
struct Row {
    uid: Option<u32>,
    flags: BTreeSet<String>,
}

/// A session with one folder selected.
pub struct View {
    imap: Imap,
    rows: Vec<Row>,
}

impl View {
    /// Logs in, selects, reads UID and flags of every message.
    pub fn open(operator: &Palombe, address: &str, folder: &str) -> Result<View> {
        let mut view = View { imap: Imap::open(operator, address)?, rows: Vec::new() };
        let answer = view.imap.ok(&format!("SELECT {folder}"))?;
        view.take(&answer, true)?;
        view.fill()?;
        Ok(view)
    }

    /// UID of each message in the order of its number; all are known after a command.
    pub fn uids(&self) -> Vec<u32> {
        self.rows.iter().filter_map(|row| row.uid).collect()
    }

    /// Flags of every message.
    pub fn flags(&self) -> Flags {
        self.rows.iter().filter_map(|row| Some((row.uid?, row.flags.clone()))).collect()
    }

    /// Sends a command and reads nothing.
    pub fn say(&mut self, command: &str) -> Result<String> {
        self.imap.say(command)
    }

    /// Reads to the end of the command and takes in what it told. BAD is an error: a number that this client was
    /// told is never wrong. NO is not: another client may have taken the message away.
    pub fn end(&mut self, tag: &str, command: &str) -> Result<Answer> {
        let answer = self.imap.answer(tag).with_context(|| command.to_owned())?;
        ensure!(!answer.end.starts_with("BAD"), "{command}: {}", answer.end);
        let mut words = command.split(' ');
        // RFC 9051 7.5.1: no EXPUNGE in answer to these.
        let may_renumber = !matches!(words.next(), Some("FETCH" | "STORE" | "SEARCH"));
        self.take(&answer, may_renumber).with_context(|| command.to_owned())?;
        Ok(answer)
    }

    /// A command from beginning to end.
    pub fn command(&mut self, command: &str) -> Result<Answer> {
        let tag = self.say(command)?;
        let answer = self.end(&tag, command)?;
        self.fill()?;
        Ok(answer)
    }

    /// APPEND; the UID that the message got.
    pub fn append(&mut self, folder: &str, flags: &str, message: &[u8]) -> Result<u32> {
        let answer = self.imap.append(folder, flags, message)?;
        self.take(&answer, true)?;
        self.fill()?;
        let told = answer.end.split("[APPENDUID ").nth(1).and_then(|rest| rest.split(']').next());
        let uid = told.and_then(|told| told.split(' ').nth(1)?.parse().ok()); // RFC 4315 3
        uid.with_context(|| format!("no APPENDUID: {}", answer.end))
    }

    /// Enters IDLE.
    pub fn idle(&mut self) -> Result<String> {
        self.imap.idle()
    }

    /// Leaves IDLE and takes in what it told.
    pub fn done(&mut self, tag: &str) -> Result<()> {
        let answer = self.imap.done(tag)?;
        ensure!(answer.is_ok(), "IDLE: {}", answer.end);
        self.take(&answer, true)?;
        self.fill()
    }

    /// Asks what is new until two answers in a row told nothing.
    pub fn settle(&mut self) -> Result<()> {
        while !self.command("NOOP")?.untagged.is_empty() {}
        Ok(())
    }

    /// Asks for the UIDs that are not known yet: those of new messages.
    pub fn fill(&mut self) -> Result<()> {
        let mut rounds = 0;
        while self.rows.iter().any(|row| row.uid.is_none()) {
            let next = self.uids().into_iter().max().unwrap_or(0) + 1;
            let command = format!("UID FETCH {next}:* (UID FLAGS)");
            let tag = self.say(&command)?;
            ensure!(self.end(&tag, &command)?.is_ok(), "{command}");
            rounds += 1;
            ensure!(rounds < 10, "messages without UID: {:?}", self.rows);
        }
        Ok(())
    }

    fn take(&mut self, answer: &Answer, may_renumber: bool) -> Result<()> {
        for text in answer.lines() {
            let mut words = text.splitn(3, ' ');
            let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else {
                continue;
            };
            match (words.next(), words.next()) {
                (Some("EXISTS"), None) => self.exists(number)?,
                (Some("EXPUNGE"), None) => {
                    ensure!(may_renumber, "EXPUNGE where numbers must not change");
                    let valid = number >= 1 && number <= self.rows.len();
                    ensure!(valid, "{text} of {} messages", self.rows.len());
                    self.rows.remove(number - 1);
                }
                (Some("FETCH"), Some(items)) => self.fetched(number, items)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn exists(&mut self, count: usize) -> Result<()> {
        ensure!(count >= self.rows.len(), "{count} EXISTS after {}", self.rows.len());
        self.rows.resize_with(count, Row::default);
        Ok(())
    }

    fn fetched(&mut self, number: usize, items: &str) -> Result<()> {
        let count = self.rows.len();
        let row = number.checked_sub(1).and_then(|index| self.rows.get_mut(index));
        let Some(row) = row else { bail!("{number} FETCH {items} of {count} messages") };
        let after = |name: &str| items.split(name).nth(1);
        if let Some(uid) = after("UID ").and_then(|rest| rest.split([' ', ')']).next()) {
            let uid: u32 = uid.parse()?;
            ensure!(row.uid.is_none_or(|known| known == uid), "{number} is {row:?}, now {items}");
            row.uid = Some(uid);
        }
        if let Some(flags) = after("FLAGS (").and_then(|rest| rest.split(')').next()) {
            let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
            row.flags = flags.map(str::to_owned).collect();
        }
        Ok(())
    }
}
