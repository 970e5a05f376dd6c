//! Several sessions on one folder, in any order of commands, against a map of what the folder holds: sequence numbers
//! keep their meaning, expunges are told only where they may be, no change of flags is lost on the way.

mod common;

use common::{Client, LOGIN, PASSWORD, World, settings, world};
use palombe_store::{Filing, Flags};
use palombe_vocabulary::{FolderId, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

type FlagSet = BTreeSet<String>;

const FLAGS: [&str; 4] = ["\\Seen", "\\Flagged", "\\Deleted", "$Suivi"];
const SESSIONS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// A message arrives, with these flags.
    File(u8),
    Append(usize, u8),
    Noop(usize),
    Select(usize),
    /// Session, pick, how many, mode, flags, silent, by UID.
    Store {
        at: usize,
        pick: usize,
        many: usize,
        mode: u8,
        flags: u8,
        silent: bool,
        by_uid: bool,
    },
    Fetch {
        at: usize,
        pick: usize,
        many: usize,
        by_uid: bool,
    },
    Search(usize),
    Expunge(usize),
    Move {
        at: usize,
        pick: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let at = || 0..SESSIONS;
    prop_oneof![
        3 => (0u8..16).prop_map(Op::File),
        1 => (at(), 0u8..16).prop_map(|(at, flags)| Op::Append(at, flags)),
        2 => at().prop_map(Op::Noop),
        1 => at().prop_map(Op::Select),
        5 => (at(), 0usize..20, 1usize..5, 0u8..3, 1u8..16, any::<bool>(), any::<bool>()).prop_map(
            |(at, pick, many, mode, flags, silent, by_uid)| Op::Store {
                at, pick, many, mode, flags, silent, by_uid
            }
        ),
        4 => (at(), 0usize..20, 1usize..5, any::<bool>())
            .prop_map(|(at, pick, many, by_uid)| Op::Fetch { at, pick, many, by_uid }),
        1 => at().prop_map(Op::Search),
        2 => at().prop_map(Op::Expunge),
        1 => (at(), 0usize..20).prop_map(|(at, pick)| Op::Move { at, pick }),
    ]
}

fn names(bits: u8) -> FlagSet {
    let set = FLAGS.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
    set.map(|(_, name)| (*name).to_owned()).collect()
}

fn written(flags: &FlagSet) -> String {
    flags.iter().cloned().collect::<Vec<_>>().join(" ")
}

/// What the folder holds.
#[derive(Default)]
struct Truth {
    messages: BTreeMap<u32, FlagSet>,
    last_uid: u32,
}

impl Truth {
    fn arrive(&mut self, flags: FlagSet) {
        self.last_uid += 1;
        self.messages.insert(self.last_uid, flags);
    }

    fn after(&self, uid: u32) -> Vec<u32> {
        self.messages.range(uid + 1..).map(|(uid, _)| *uid).collect()
    }
}

/// A client, and what it must believe.
struct Session {
    client: Client,
    /// What each sequence number means.
    numbers: Vec<u32>,
    /// Largest UID that ever was counted.
    counted: u32,
    /// Flags that the client was told, or makes of its own commands.
    flags: BTreeMap<u32, FlagSet>,
    modseqs: BTreeMap<u32, u64>,
    condstore: bool,
}

/// What a command may be answered.
#[derive(Clone, Copy, PartialEq)]
enum May {
    TellExpunges,
    KeepExpunges,
}

impl Session {
    async fn select(&mut self, folder: &str, truth: &Truth) {
        let wish = if self.condstore { " (CONDSTORE)" } else { "" };
        let lines = self.client.ask(&format!("s SELECT {folder}{wish}")).await;
        assert!(lines.last().is_some_and(|line| line.starts_with("s OK")), "{lines:?}");
        let exists = format!("* {} EXISTS", truth.messages.len());
        assert!(lines.contains(&exists), "{exists}: {lines:?}");
        let next = format!("[UIDNEXT {}]", truth.last_uid + 1);
        assert!(lines.iter().any(|line| line.contains(&next)), "{next}: {lines:?}");
        self.numbers = truth.messages.keys().copied().collect();
        self.counted = truth.last_uid;
        self.flags.clear();
        self.modseqs.clear();
    }

    /// A command; `before` is what the folder held before it. Gives how it ended.
    async fn command(&mut self, text: &str, may: May, before: &[u32], truth: &Truth) -> String {
        let mut lines = self.client.ask(&format!("c {text}")).await;
        let end = lines.pop().unwrap_or_default();
        for line in lines {
            self.hear(&line, may, before, truth, text);
        }
        assert!(end.starts_with("c OK") || end.starts_with("c NO"), "{text}: {end}");
        end
    }

    fn hear(&mut self, line: &str, may: May, before: &[u32], truth: &Truth, text: &str) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let number = words.get(1).and_then(|word| word.parse::<usize>().ok());
        let (Some(number), Some(what)) = (number, words.get(2)) else { return };
        match *what {
            "EXISTS" => {
                let mut new = truth.after(self.counted);
                if self.numbers.len() + new.len() != number {
                    // Some of them were expunged by this very command, and are told so next.
                    let gone = before.iter().filter(|uid| **uid > self.counted);
                    new.extend(gone);
                    new.sort_unstable();
                    new.dedup();
                }
                self.numbers.extend(&new);
                assert_eq!(self.numbers.len(), number, "{text}: {line}");
                self.counted = self.numbers.last().copied().unwrap_or(0).max(self.counted);
            }
            "EXPUNGE" => {
                // RFC 9051 7.5.1
                assert!(may == May::TellExpunges, "{text}: {line}");
                assert!((1..=self.numbers.len()).contains(&number), "{text}: {line}");
                let uid = self.numbers.remove(number - 1);
                assert!(!truth.messages.contains_key(&uid), "{text}: {line}: {uid} is there");
                self.flags.remove(&uid);
            }
            "FETCH" => self.hear_fetch(number, words.get(3).unwrap_or(&""), text),
            _ => {}
        }
    }

    fn hear_fetch(&mut self, number: usize, items: &str, text: &str) {
        assert!((1..=self.numbers.len()).contains(&number), "{text}: {number} FETCH {items}");
        let uid = self.numbers[number - 1];
        if let Some(told) = items.split("UID ").nth(1) {
            let told = told.trim_end_matches(')').split(' ').next().unwrap_or("");
            assert_eq!(told, uid.to_string(), "{text}: {number} FETCH {items}");
        }
        if let Some(flags) = items.split("FLAGS (").nth(1).and_then(|rest| rest.split(')').next()) {
            let flags = flags.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent");
            self.flags.insert(uid, flags.map(str::to_owned).collect());
        }
        let modseq = items.split("MODSEQ (").nth(1).and_then(|rest| rest.split(')').next());
        if let Some(modseq) = modseq.and_then(|digits| digits.parse::<u64>().ok()) {
            let last = self.modseqs.insert(uid, modseq).unwrap_or(0);
            assert!(modseq >= last, "{text}: MODSEQ of {uid} fell from {last} to {modseq}");
        }
    }

    /// Everything was told: numbers and flags are those of the folder.
    fn check(&self, truth: &Truth) {
        assert_eq!(self.numbers, truth.messages.keys().copied().collect::<Vec<_>>());
        for (uid, flags) in &self.flags {
            assert_eq!(flags, &truth.messages[uid], "flags of {uid}");
        }
    }
}

struct Run<'a> {
    world: &'a World,
    folder: FolderId,
    name: String,
    truth: Truth,
    sessions: Vec<Session>,
}

fn changed(old: &FlagSet, mode: u8, flags: &FlagSet) -> FlagSet {
    match mode {
        0 => old.union(flags).cloned().collect(),
        1 => old.difference(flags).cloned().collect(),
        _ => flags.clone(),
    }
}

impl<'a> Run<'a> {
    async fn new(world: &'a World, case: u32) -> Run<'a> {
        let name = format!("F{case}");
        let now = palombe_driver::now();
        let folder = world.store.folder_create(world.bal, &name, None, now).unwrap();
        let mut run = Run { world, folder, name, truth: Truth::default(), sessions: Vec::new() };
        for number in 0..SESSIONS {
            let mut client = world.connect().await;
            client.line().await;
            client.ask(&format!("l LOGIN {LOGIN} {PASSWORD}")).await;
            run.sessions.push(Session {
                client,
                numbers: Vec::new(),
                counted: 0,
                flags: BTreeMap::new(),
                modseqs: BTreeMap::new(),
                condstore: number == 1,
            });
            run.sessions[number].select(&run.name, &run.truth).await;
        }
        run
    }

    fn file(&mut self, bits: u8) {
        let mut spool = self.world.delivery.spool();
        spool.write(format!("Subject: {}\r\n\r\n.", self.truth.last_uid).as_bytes()).unwrap();
        let (blob, structure) = spool.finish().unwrap().into_parts();
        let flags = names(bits);
        let filing = Filing {
            bal: self.world.bal,
            folder: self.folder,
            prefix: Vec::new(),
            flags: Flags {
                seen: flags.contains("\\Seen"),
                flagged: flags.contains("\\Flagged"),
                deleted: flags.contains("\\Deleted"),
                keywords: flags.iter().filter(|f| f.starts_with('$')).cloned().collect(),
                ..Flags::default()
            },
            internal_date: Timestamp(0),
        };
        self.world.store.file(filing, blob, structure, Vec::new(), palombe_driver::now()).unwrap();
        self.truth.arrive(flags);
    }

    async fn step(&mut self, op: &Op) {
        let before: Vec<u32> = self.truth.messages.keys().copied().collect();
        match op.clone() {
            Op::File(bits) => self.file(bits),
            Op::Append(at, bits) => {
                let flags = names(bits);
                self.truth.arrive(flags.clone());
                let head = format!("u APPEND {} ({}) {{4+}}\r\n", self.name, written(&flags));
                let session = &mut self.sessions[at];
                session.client.send(format!("{head}X: y\r\n").as_bytes()).await;
                loop {
                    let line = session.client.line().await;
                    if line.starts_with("u ") {
                        assert!(line.starts_with("u OK [APPENDUID"), "{line}");
                        break;
                    }
                    session.hear(&line, May::TellExpunges, &before, &self.truth, "APPEND");
                }
                session.check(&self.truth);
            }
            Op::Noop(at) => self.settle(at).await,
            Op::Select(at) => {
                let (name, truth) = (self.name.clone(), &self.truth);
                self.sessions[at].select(&name, truth).await;
            }
            Op::Store { .. } => self.store(op, &before).await,
            Op::Fetch { at, pick, many, by_uid } => {
                let session = &mut self.sessions[at];
                let Some(set) = picked(&session.numbers, pick, many, by_uid) else { return };
                let (prefix, may) = by(by_uid);
                let text = format!("{prefix}FETCH {set} (UID FLAGS)");
                session.command(&text, may, &before, &self.truth).await;
            }
            Op::Search(at) => {
                let session = &mut self.sessions[at];
                session.command("SEARCH DELETED", May::KeepExpunges, &before, &self.truth).await;
            }
            Op::Expunge(at) => {
                self.truth.messages.retain(|_, flags| !flags.contains("\\Deleted"));
                let session = &mut self.sessions[at];
                session.command("EXPUNGE", May::TellExpunges, &before, &self.truth).await;
                session.check(&self.truth);
            }
            Op::Move { at, pick } => {
                let Some(uid) = self.sessions[at].numbers.get(pick).copied() else { return };
                self.truth.messages.remove(&uid);
                let text = format!("MOVE {} Archive", pick + 1);
                let session = &mut self.sessions[at];
                session.command(&text, May::TellExpunges, &before, &self.truth).await;
                session.check(&self.truth);
            }
        }
    }

    async fn store(&mut self, op: &Op, before: &[u32]) {
        let Op::Store { at, pick, many, mode, flags, silent, by_uid } = op.clone() else { return };
        let session = &mut self.sessions[at];
        let Some(set) = picked(&session.numbers, pick, many, by_uid) else { return };
        let flags = names(flags);
        let end = session.numbers.len().min(pick + many);
        for uid in &session.numbers[pick..end] {
            if let Some(old) = self.truth.messages.get_mut(uid) {
                *old = changed(old, mode, &flags);
            }
            // RFC 9051 6.4.6: a silent client works out the result itself.
            if silent && let Some(known) = session.flags.get_mut(uid) {
                *known = changed(known, mode, &flags);
            }
        }
        let sign = ["+", "-", ""][usize::from(mode)];
        let (prefix, may) = by(by_uid);
        let suffix = if silent { ".SILENT" } else { "" };
        let text = format!("{prefix}STORE {set} {sign}FLAGS{suffix} ({})", written(&flags));
        session.command(&text, may, before, &self.truth).await;
        // The session has looked at the folder: it knows all flags of what it still counts.
        for (uid, known) in &session.flags {
            if let Some(flags) = self.truth.messages.get(uid) {
                assert_eq!(known, flags, "{text}: flags of {uid}");
            }
        }
    }

    /// NOOP tells everything.
    async fn settle(&mut self, at: usize) {
        let before: Vec<u32> = self.truth.messages.keys().copied().collect();
        let session = &mut self.sessions[at];
        session.command("NOOP", May::TellExpunges, &before, &self.truth).await;
        session.check(&self.truth);
    }

    async fn finish(mut self) {
        for at in 0..SESSIONS {
            self.settle(at).await;
            if self.truth.messages.is_empty() {
                continue;
            }
            let before: Vec<u32> = self.truth.messages.keys().copied().collect();
            let session = &mut self.sessions[at];
            let text = "FETCH 1:* (FLAGS UID)";
            session.command(text, May::KeepExpunges, &before, &self.truth).await;
            session.check(&self.truth);
            assert_eq!(session.flags.len(), self.truth.messages.len());
        }
    }
}

fn by(by_uid: bool) -> (&'static str, May) {
    if by_uid { ("UID ", May::TellExpunges) } else { ("", May::KeepExpunges) }
}

/// Some messages, in the terms of the command.
fn picked(numbers: &[u32], pick: usize, many: usize, by_uid: bool) -> Option<String> {
    let end = numbers.len().min(pick + many);
    let some = numbers.get(pick..end).filter(|some| !some.is_empty())?;
    Some(match by_uid {
        true => some.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        false => format!("{}:{end}", pick + 1),
    })
}

#[test]
fn any_order_of_commands_keeps_numbers_and_flags() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(world(settings()));
    let cases = AtomicU32::new(0);
    let mut runner = TestRunner::new(Config { cases: 48, ..Config::default() });
    let result = runner.run(&prop::collection::vec(op(), 1..60), |ops| {
        let case = cases.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(async {
            let mut run = Run::new(&world, case).await;
            for op in &ops {
                run.step(op).await;
            }
            run.finish().await;
        });
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    assert!(world.store.check().unwrap().problems.is_empty());
}
