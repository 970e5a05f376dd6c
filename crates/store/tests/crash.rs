//! kill -9 at random instants: every acknowledged message is there once with its octets, every invariant holds, no
//! UID is ever given twice.

mod support;

use palombe_store::{INBOX, QueueChange, QueueFilter, SearchField, Settlement, Store};
use palombe_vocabulary::{Timestamp, Uid};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use support::{assert_clean, bal, message, octets, read, settings};

const FOLDER: &str = "PALOMBE_STORE_CRASH_FOLDER";
const ROUND: &str = "PALOMBE_STORE_CRASH_ROUND";
const ROUNDS: u64 = 24;
const WRITERS: u64 = 4;

/// Told before or after the fact, one line each: `F n uid`, `Q n id` after acceptance; `E uid`, `S id` before a
/// removal.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    // The parent may be gone: then so are we.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Runs only as the child of the test below.
#[test]
fn child() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else { return };
    let round: u64 = round.parse().unwrap();
    let store = Store::open(&settings(Path::new(&folder))).unwrap();
    for writer in 0..WRITERS {
        bal(&store, &format!("w{writer}"));
    }
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || work(store, round, writer));
        }
        scope.spawn(|| index(&store, round));
    });
}

fn work(store: &Store, round: u64, writer: u64) {
    let id = bal(store, &format!("w{writer}"));
    for i in 0..100_000u64 {
        let n = round * 1_000_000 + writer * 100_000 + i;
        let size = match i % 9 {
            4 => 600_000,
            7 => 300_000,
            _ => 100 + (n as usize * 37) % 9_000,
        };
        let body = octets(n, size);
        let destination = (i % 3 == 0).then_some("pair.mssante.fr");
        let done = store.accept(message(store, &body, &[id], destination).unwrap()).unwrap();
        say(format_args!("F {n} {writer} {}", done.filed[0].uid));
        if let Some(queued) = done.queued.first() {
            say(format_args!("Q {n} {queued}"));
        }
        if i % 5 == 4 {
            let uid = Uid(done.filed[0].uid.0 / 2 + 1);
            say(format_args!("E {writer} {uid}"));
            store.expunge(id, INBOX, &[uid]).unwrap();
        }
        if i % 4 == 3 {
            settle_one(store);
        }
        if i % 11 == 10 {
            store.sweep(Timestamp(i as i64 + 5), 50).unwrap();
        }
    }
}

/// What the indexing worker does, as fast as it can; every seventh round begins an index again.
fn index(store: &Store, round: u64) {
    let mut bal = None;
    for i in 0.. {
        if i == 5 && round.is_multiple_of(7) {
            let first = store.bals(None).unwrap()[0].id;
            store.search_rebuild(first).unwrap();
        }
        if let Some(unplanted) = store.search_unplanted() {
            store.search_plant(unplanted, 20).unwrap();
        }
        let Some((of, pending)) = store.search_pending(bal, 4).unwrap() else {
            bal = None;
            store.search_forget(20).unwrap();
            continue;
        };
        let terms = |known: bool, uid: Uid| {
            (!known).then(|| {
                let mut terms = store.search_terms();
                terms.text(SearchField::Body, &format!("the text of message {uid}"));
                terms
            })
        };
        let pending = pending.into_iter().map(|p| (p.clone(), terms(p.known, p.uid)));
        store.search_index(of, pending.collect()).unwrap();
        let mut merge = store.search_merge(of).unwrap();
        while let Some(going) = merge {
            merge = store.search_merge_step(going).unwrap();
        }
        bal = Some(of);
    }
}

fn settle_one(store: &Store) {
    let due = store.queue_due(Timestamp(1000), 1).unwrap();
    let ids: Vec<_> = due.iter().map(|d| d.id).collect();
    for item in store.queue_claim(&ids, Timestamp(1000), Timestamp(2000)).unwrap() {
        say(format_args!("S {}", item.id));
        let settlement = Settlement {
            id: item.id,
            fence: item.lease.unwrap().fence,
            change: QueueChange::Done,
            reports: Vec::new(),
            journal: Vec::new(),
        };
        store.queue_settle(settlement).unwrap();
    }
}

/// What the children said, over all rounds.
#[derive(Default)]
struct Told {
    filed: HashMap<(u64, Uid), u64>,
    queued: HashMap<String, u64>,
    expunging: HashSet<(u64, Uid)>,
    settling: HashSet<String>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        match words.as_slice() {
            ["F", _, _, _] => {
                let (n, writer, uid) = (number(1), number(2), Uid(number(3) as u32));
                let before = self.filed.insert((writer, uid), n);
                assert_eq!(before, None, "UID {uid} of writer {writer} was given twice");
            }
            ["Q", _, id] => {
                let before = self.queued.insert((*id).to_owned(), number(1));
                assert_eq!(before, None, "queue number {id} was given twice");
            }
            ["E", _, _] => drop(self.expunging.insert((number(1), Uid(number(2) as u32)))),
            ["S", id] => drop(self.settling.insert((*id).to_owned())),
            _ => {} // the test harness talks too
        }
    }

    fn compare(&self, store: &Store) {
        let mut seen: HashMap<u64, u64> = HashMap::new();
        for writer in 0..WRITERS {
            let id = bal(store, &format!("w{writer}"));
            let view = store.view(id, INBOX).unwrap();
            let present: HashMap<Uid, u64> = view
                .messages
                .iter()
                .map(|m| {
                    let message = store.message(id, INBOX, m.uid).unwrap().unwrap();
                    let body = read(store, &message.digest, message.blob_size);
                    let n = std::str::from_utf8(&body[..20]).unwrap().parse().unwrap();
                    assert_eq!(body, octets(n, body.len()), "other octets");
                    *seen.entry(n).or_default() += 1;
                    (m.uid, n)
                })
                .collect();
            for ((_, uid), n) in self.filed.iter().filter(|((w, _), _)| *w == writer) {
                assert!(*uid < view.uid_next);
                match present.get(uid) {
                    Some(found) => assert_eq!(found, n, "UID {uid} of writer {writer} was reused"),
                    None => assert!(
                        self.expunging.contains(&(writer, *uid)),
                        "acknowledged message {n}, UID {uid} of writer {writer}, is lost"
                    ),
                }
            }
        }
        assert!(seen.values().all(|count| *count == 1), "a message is there twice");
        let items = store.queue_items(&QueueFilter::default(), usize::MAX).unwrap();
        let waiting: HashMap<String, _> =
            items.into_iter().map(|item| (item.id.to_string(), item)).collect();
        for (id, n) in &self.queued {
            match waiting.get(id) {
                Some(item) => {
                    assert!(item.lease.is_none());
                    let body = read(store, &item.digest, item.blob_size);
                    assert_eq!(body, octets(*n, body.len()));
                }
                None => assert!(self.settling.contains(id), "queue entry {id} is lost"),
            }
        }
    }
}

#[test]
fn killed_at_any_instant_it_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    let mut dice = 0x2545_f491_4f6c_dd1du64;
    for round in 1..=ROUNDS {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        run_and_kill(folder.path(), round, dice % 120, &mut told);
        let store = Store::open(&settings(folder.path())).unwrap();
        assert_clean(&store);
        told.compare(&store);
    }
    assert!(told.filed.len() as u64 > ROUNDS, "the children did something");
    println!(
        "{ROUNDS} rounds, {} messages and {} queue entries acknowledged",
        told.filed.len(),
        told.queued.len()
    );
}

/// Kills the child after it said so many lines, with whatever it was doing under way.
fn run_and_kill(folder: &Path, round: u64, lines: u64, told: &mut Told) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = 0;
    for line in out.by_ref() {
        told.hear(&line.unwrap());
        heard += 1;
        if heard > lines + 5 {
            break;
        }
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    // What it said before it died, up to a half line.
    for line in out {
        let Ok(line) = line else { break };
        if line.split(' ').count() >= 2 {
            told.hear(&line);
        }
    }
}
