//! A ledger of messages: what was handed to a server, what it answered, and whether that answer held.

use crate::inbox::Content;
use crate::palombe::Palombe;
use anyhow::{Context, Result};
use palombe_load::smtp::{Outcome, SmtpSession, SmtpTarget, end_of_data};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bodies above this size leave the memory of the server's spool before they are accepted.
const LARGE_BYTES: u64 = 256 * 1024;

/// Numbers that look random and come again with the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From `low` to `high`, both possible.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    /// Once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.roll().is_multiple_of(n)
    }
}

/// What the server said to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the connection ended first.
    None,
    /// 250.
    Accepted,
    /// Another code.
    Refused(u16),
}

/// A message handed to a server.
struct Sent {
    /// Domain of the operator that it was handed to.
    door: String,
    to: Vec<String>,
    bytes: Vec<u8>,
    answer: Answer,
}

/// A way in: where, as whom, to whom.
#[derive(Clone)]
pub struct Route {
    /// The port.
    pub target: SmtpTarget,
    /// Domain of the operator behind it.
    pub door: String,
    /// Sender, envelope and header.
    pub from: String,
    /// Sets of recipients, of which each message takes one.
    pub to: Vec<Vec<String>>,
    /// Every how many messages one is large.
    pub large_once_in: u64,
}

/// Everything that was sent in one test.
#[derive(Default)]
pub struct Ledger {
    sent: Mutex<BTreeMap<String, Sent>>,
}

/// Messages that are there, by recipient, then Message-ID: how many copies.
type Copies = BTreeMap<String, BTreeMap<String, u32>>;

/// The BAL as they were found, what was removed from them before, and what still waits.
#[derive(Default)]
pub struct Found {
    /// Copies in folders, now or before they were expunged.
    copies: Copies,
    /// Message-ID and recipient of what a queue holds.
    pub queued: BTreeSet<(String, String)>,
    problems: Vec<String>,
}

/// What an audit counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit {
    /// Messages answered 250.
    pub acknowledged: usize,
    /// Of these, recipients at the other operator who have it.
    pub relayed: usize,
    /// Recipients for whom it waits in a queue.
    pub queued: usize,
    /// Copies too many, made by a relay that could not know that its peer had accepted.
    pub duplicates: usize,
    /// Messages without an answer.
    pub unanswered: usize,
    /// Of these, the messages that were accepted all the same.
    pub unanswered_kept: usize,
    /// Messages refused.
    pub refused: usize,
}

impl Ledger {
    fn sent(&self) -> MutexGuard<'_, BTreeMap<String, Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One session; after each answer `go_on` decides whether another message follows.
    pub async fn session(
        &self,
        route: &Route,
        dice: &mut Dice,
        mut go_on: impl AsyncFnMut(&Outcome) -> bool,
    ) -> Result<()> {
        let mut session = SmtpSession::open(&route.target).await?;
        loop {
            let to = &route.to[dice.roll() as usize % route.to.len()];
            let id = format!("{:016x}@{}", dice.roll(), route.door);
            let bytes = message(route, to, &id, dice);
            let content = end_of_data(&bytes);
            let sent =
                Sent { door: route.door.clone(), to: to.clone(), bytes, answer: Answer::None };
            self.sent().insert(id.clone(), sent);
            let recipients: Vec<&str> = to.iter().map(String::as_str).collect();
            let outcome = session.send(&route.from, &recipients, &content).await?;
            let answer = match &outcome {
                Outcome::Accepted(_) => Answer::Accepted,
                Outcome::Refused(reply) => Answer::Refused(reply.code),
            };
            self.sent().get_mut(&id).context("the ledger lost a line")?.answer = answer;
            if !go_on(&outcome).await {
                return session.quit().await;
            }
        }
    }

    /// Compares every answer with what was found.
    pub fn audit(&self, found: &Found) -> (Audit, Vec<String>) {
        let mut audit = Audit::default();
        let mut problems = found.problems.clone();
        for (id, sent) in self.sent().iter() {
            match sent.answer {
                Answer::None => audit.unanswered += 1,
                Answer::Accepted => audit.acknowledged += 1,
                Answer::Refused(_) => audit.refused += 1,
            }
            let mut reached = 0;
            for to in &sent.to {
                let copies = found.copies.get(to).and_then(|bal| bal.get(id)).copied().unwrap_or(0);
                let queued = found.queued.contains(&(id.clone(), to.clone()));
                let local = to.ends_with(&format!("@{}", sent.door));
                reached += usize::from(copies > 0 || queued);
                audit.queued += usize::from(queued);
                if local && copies > 1 {
                    problems.push(format!("{id} for {to}: {copies} copies"));
                }
                if !local && copies > 0 {
                    audit.relayed += 1;
                    audit.duplicates += copies as usize - 1;
                }
            }
            let wanted = match sent.answer {
                Answer::Accepted => reached == sent.to.len(),
                Answer::Refused(_) => reached == 0,
                Answer::None => {
                    audit.unanswered_kept += usize::from(reached > 0);
                    reached == 0 || reached == sent.to.len()
                }
            };
            if !wanted {
                let count = sent.to.len();
                let size = sent.bytes.len();
                problems.push(format!(
                    "{id} ({size} octets): answer {:?}, reached {reached} of {count} recipients",
                    sent.answer
                ));
            }
        }
        (audit, problems)
    }

    /// Messages answered 250 so far.
    pub fn acknowledged(&self) -> usize {
        self.sent().values().filter(|sent| sent.answer == Answer::Accepted).count()
    }

    /// How often each code refused a message.
    pub fn refusals(&self) -> BTreeMap<u16, usize> {
        let mut codes = BTreeMap::new();
        for sent in self.sent().values() {
            if let Answer::Refused(code) = sent.answer {
                *codes.entry(code).or_default() += 1;
            }
        }
        codes
    }
}

impl Found {
    /// Adds what a BAL holds, and compares each octet with what was sent.
    pub fn add(&mut self, ledger: &Ledger, address: &str, content: &Content) {
        let sent = ledger.sent();
        let copies = self.copies.entry(address.to_owned()).or_default();
        for (uid, bytes) in &content.messages {
            let id = message_id(bytes).unwrap_or_default();
            let Some(message) = sent.get(&id) else {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
                self.problems.push(format!("{address} UID {uid}: nobody sent this: {start}"));
                continue;
            };
            if !message.to.iter().any(|to| to == address) {
                self.problems.push(format!("{address} UID {uid}: {id} is not for this BAL"));
            }
            if !is_sent_with_trace(bytes, &message.bytes) {
                let sizes = (message.bytes.len(), bytes.len());
                self.problems.push(format!("{address} UID {uid}: {id} differs: {sizes:?}"));
            }
            *copies.entry(id).or_default() += 1;
        }
    }
}

/// Per BAL and UIDVALIDITY: which message each UID named, and the UIDNEXT that was told last.
#[derive(Default)]
pub struct UidWatch {
    seen: HashMap<(String, u32), (BTreeMap<u32, String>, u32)>,
}

impl UidWatch {
    /// Notes what was read; problems are UIDs that name another message than before, or that come too late.
    pub fn note(&mut self, address: &str, content: &Content) -> Vec<String> {
        let mut problems = Vec::new();
        let key = (address.to_owned(), content.uid_validity);
        let others = self.seen.keys().any(|seen| seen.0 == key.0 && seen.1 != key.1);
        if others {
            problems.push(format!("{address}: another UIDVALIDITY, {}", content.uid_validity));
        }
        let (seen, next) = self.seen.entry(key).or_default();
        for (uid, bytes) in &content.messages {
            let id = message_id(bytes).unwrap_or_default();
            match seen.get(uid) {
                Some(before) if *before != id => {
                    problems.push(format!("{address} UID {uid}: was {before}, is {id}"));
                }
                None if *uid < *next => problems.push(format!(
                    "{address} UID {uid}: {id} came after UIDNEXT {next} had been told"
                )),
                _ => {}
            }
            seen.insert(*uid, id);
        }
        if content.uid_next < *next {
            problems.push(format!("{address}: UIDNEXT fell from {next} to {}", content.uid_next));
        }
        *next = content.uid_next.max(*next);
        problems
    }

    /// UIDs seen.
    pub fn len(&self) -> usize {
        self.seen.values().map(|(seen, _)| seen.len()).sum()
    }

    /// None seen yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Message-ID and recipient of everything in the queue.
pub fn queued(operator: &Palombe) -> Result<BTreeSet<(String, String)>> {
    let text = operator.cli(&["--json", "queue", "list", "--limit", "100000"])?;
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text)?;
    let mut queued = BTreeSet::new();
    for entry in entries {
        let id = entry["message_id"].as_str().context("no Message-ID")?;
        let id = id.trim_start_matches('<').trim_end_matches('>');
        for to in entry["recipients"].as_array().context("no recipients")? {
            queued.insert((id.to_owned(), to.as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(queued)
}

/// A message of this route: lines of noise, some of them with a dot first.
fn message(route: &Route, to: &[String], id: &str, dice: &mut Dice) -> Vec<u8> {
    let size = match dice.once_in(route.large_once_in) {
        true => dice.between(LARGE_BYTES + 1, LARGE_BYTES * 3),
        false => dice.between(1, 6000),
    };
    let mut text = format!(
        "From: <{}>\r\nTo: <{}>\r\nSubject: {id}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
        route.from,
        to.join(">, <"),
    );
    let end = text.len() + size as usize;
    while text.len() < end {
        if dice.once_in(16) {
            text.push('.');
        }
        for _ in 0..dice.between(0, 4) {
            let _ = write!(text, "{:016x}", dice.roll());
        }
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// The first Message-ID of the header.
pub fn message_id(bytes: &[u8]) -> Option<String> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
    let header = std::str::from_utf8(&bytes[..end]).ok()?;
    let line = header.lines().find_map(|line| line.strip_prefix("Message-ID: <"))?;
    Some(line.strip_suffix('>')?.to_owned())
}

/// Is it what was sent, with nothing before it but trace fields?
fn is_sent_with_trace(bytes: &[u8], sent: &[u8]) -> bool {
    let Some(trace) = bytes.strip_suffix(sent) else { return false };
    let Ok(trace) = std::str::from_utf8(trace) else { return false };
    let field = |line: &str| {
        ["Return-Path:", "Received:", " ", "\t"].iter().any(|start| line.starts_with(start))
    };
    trace.ends_with("\r\n") && trace.lines().all(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> (Ledger, Vec<u8>) {
        let ledger = Ledger::default();
        let bytes = b"From: <x@a.test>\r\nMessage-ID: <1@a.test>\r\n\r\n.text\r\n".to_vec();
        let to = vec!["a@a.test".to_owned(), "b@b.test".to_owned()];
        let sent =
            Sent { door: "a.test".to_owned(), to, bytes: bytes.clone(), answer: Answer::Accepted };
        ledger.sent().insert("1@a.test".to_owned(), sent);
        (ledger, bytes)
    }

    fn content(first: u32, messages: &[&[u8]]) -> Content {
        let messages = (first..).zip(messages.iter().map(|bytes| bytes.to_vec())).collect();
        Content { uid_validity: 7, uid_next: 10, messages }
    }

    #[test]
    fn lost_changed_and_doubled_messages_are_told() {
        let (ledger, bytes) = ledger();
        let stored = [b"Return-Path: <x@a.test>\r\nReceived: y\r\n z\r\n", &bytes[..]].concat();
        let audit = |a: &[&[u8]], b: &[&[u8]], queued: bool| {
            let mut found = Found::default();
            found.add(&ledger, "a@a.test", &content(1, a));
            found.add(&ledger, "b@b.test", &content(1, b));
            if queued {
                found.queued.insert(("1@a.test".to_owned(), "b@b.test".to_owned()));
            }
            ledger.audit(&found)
        };
        let good = stored.as_slice();
        assert!(audit(&[good], &[good], false).1.is_empty());
        assert!(audit(&[good], &[], true).1.is_empty());
        let (counts, problems) = audit(&[good], &[good, good], false);
        assert_eq!((counts.duplicates, problems.len()), (1, 0), "a relay may deliver twice");
        assert_eq!(audit(&[good], &[], false).1.len(), 1, "lost at the peer");
        assert_eq!(audit(&[], &[good], false).1.len(), 1, "lost here");
        assert_eq!(audit(&[good, good], &[good], false).1.len(), 1, "twice here");
        let cut = &good[..good.len() - 2];
        assert_eq!(audit(&[cut], &[good], false).1.len(), 1, "cut off");
        let foreign = [b"X-Added: y\r\n", good].concat();
        assert_eq!(audit(&[&foreign], &[good], false).1.len(), 1, "another field");
    }

    #[test]
    fn uids_used_again_are_told() {
        let (_, bytes) = ledger();
        let other = b"Message-ID: <2@a.test>\r\n\r\n".as_slice();
        let mut watch = UidWatch::default();
        assert!(watch.note("a", &content(5, &[&bytes])).is_empty());
        assert!(watch.note("a", &content(5, &[&bytes])).is_empty());
        assert_eq!(watch.note("a", &content(5, &[other])).len(), 1, "another message");
        assert_eq!(watch.note("a", &content(9, &[other])).len(), 1, "below UIDNEXT");
        assert!(watch.note("a", &content(10, &[other])).is_empty());
        let renewed = Content { uid_validity: 8, ..content(1, &[]) };
        assert_eq!(watch.note("a", &renewed).len(), 1, "another UIDVALIDITY");
    }
}
