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

/// How this session hears that messages went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// EXPUNGE, by number.
    Expunge,
    /// VANISHED, by UID: QRESYNC is enabled (RFC 7162 3.2.10).
    Vanished,
}

/// A session with one folder selected.
pub struct View {
    imap: Imap,
    rows: Vec<Row>,
    removal: Removal,
}

impl View {
    /// Logs in, selects, reads UID and flags of every message.
    pub fn open(operator: &Palombe, address: &str, folder: &str, removal: Removal) -> Result<View> {
        let mut view = View { imap: Imap::open(operator, address)?, rows: Vec::new(), removal };
        if removal == Removal::Vanished {
            view.imap.ok("ENABLE QRESYNC")?;
        }
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
            if let Some(set) = text.strip_prefix("VANISHED ") {
                ensure!(may_renumber, "VANISHED where numbers must not change");
                ensure!(self.removal == Removal::Vanished, "{text}, which nobody asked for");
                self.rows.retain(|row| row.uid.is_none_or(|uid| !holds(set, uid)));
                continue;
            }
            let mut words = text.splitn(3, ' ');
            let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else {
                continue;
            };
            match (words.next(), words.next()) {
                (Some("EXISTS"), None) => self.exists(number)?,
                (Some("EXPUNGE"), None) => {
                    ensure!(may_renumber, "EXPUNGE where numbers must not change");
                    ensure!(self.removal == Removal::Expunge, "{text}, not VANISHED");
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
        if let Some(uid) = uid_of(items) {
            ensure!(row.uid.is_none_or(|known| known == uid), "{number} is {row:?}, now {items}");
            row.uid = Some(uid);
        }
        if let Some(flags) = flags_of(items) {
            row.flags = flags;
        }
        Ok(())
    }
}

/// A client that comes and goes: what it believes lives between its sessions, and each session brings only what
/// changed since the last one (RFC 7162 3.2.5).
#[derive(Default)]
pub struct Visitor {
    flags: Flags,
    uid_validity: u32,
    modseq: u64,
}

impl Visitor {
    /// What it believes.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// One session. With `known`, it also says which UIDs it has.
    pub fn visit(
        &mut self,
        operator: &Palombe,
        address: &str,
        folder: &str,
        known: Known,
    ) -> Result<()> {
        let mut imap = Imap::open(operator, address)?;
        imap.ok("ENABLE QRESYNC")?;
        let uids: Vec<String> = self.flags.keys().map(u32::to_string).collect();
        let known = match known {
            Known::Said if !uids.is_empty() => format!(" {}", uids.join(",")),
            _ => String::new(),
        };
        let parameter = format!("(QRESYNC ({} {}{known}))", self.uid_validity, self.modseq);
        let is_first = self.modseq == 0;
        let parameter = if is_first { "(CONDSTORE)" } else { &parameter };
        let mut answer = imap.ok(&format!("SELECT {folder} {parameter}"))?;
        // RFC 7162 3.2.5: who names UIDs hears of these only, and asks for what is new.
        if is_first || !known.is_empty() {
            let next = self.flags.keys().last().unwrap_or(&0) + 1;
            answer.untagged.extend(imap.ok(&format!("UID FETCH {next}:* (FLAGS)"))?.untagged);
        }
        let code = |name: &str| {
            let text = answer.lines().find_map(|line| line.split(name).nth(1))?;
            text.split(']').next()?.parse::<u64>().ok()
        };
        let modseq = code("[HIGHESTMODSEQ ").context("no HIGHESTMODSEQ")?;
        ensure!(modseq >= self.modseq, "HIGHESTMODSEQ {modseq} after {}", self.modseq);
        let validity = code("[UIDVALIDITY ").context("no UIDVALIDITY")? as u32;
        ensure!(is_first || validity == self.uid_validity, "another UIDVALIDITY");
        (self.modseq, self.uid_validity) = (modseq, validity);
        let mut exists = None;
        for text in answer.lines() {
            if let Some(set) = text.strip_prefix("VANISHED (EARLIER) ") {
                self.flags.retain(|uid, _| !holds(set, *uid));
            } else if let Some(count) = text.strip_suffix(" EXISTS") {
                exists = Some(count.parse::<usize>()?);
            } else if let Some((_, items)) = text.split_once(" FETCH ") {
                let uid = uid_of(items).with_context(|| text.to_owned())?;
                self.flags.insert(uid, flags_of(items).with_context(|| text.to_owned())?);
            }
        }
        ensure!(exists == Some(self.flags.len()), "{exists:?} exist, has {}", self.flags.len());
        imap.ok("LOGOUT")?;
        Ok(())
    }
}

/// Does a visitor say which UIDs it has?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It says so, and hears of none but these that they went away.
    Said,
    /// It leaves that to the server.
    Unsaid,
}

fn uid_of(items: &str) -> Option<u32> {
    items.split("UID ").nth(1)?.split([' ', ')']).next()?.parse().ok()
}

fn flags_of(items: &str) -> Option<BTreeSet<String>> {
    let flags = items.split("FLAGS (").nth(1)?.split(')').next()?;
    let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
    Some(flags.map(str::to_owned).collect())
}

/// Is the UID in a set such as `1:3,7`?
fn holds(set: &str, uid: u32) -> bool {
    set.split(',').any(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last) = (first.parse().unwrap_or(0), last.parse().unwrap_or(0));
        (u32::min(first, last)..=u32::max(first, last)).contains(&uid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        assert!(holds("1:3,7", 2) && holds("1:3,7", 7) && !holds("1:3,7", 4));
        let items = "(UID 12 MODSEQ (3) FLAGS (\\Recent \\Seen))";
        assert_eq!(uid_of(items), Some(12));
        assert_eq!(flags_of(items), Some(["\\Seen".to_owned()].into()));
        assert_eq!(flags_of("(UID 12)"), None);
    }
}
