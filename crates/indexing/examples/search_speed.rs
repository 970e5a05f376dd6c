//! How long a search takes with the index and without it, how fast the index is made and how large it is.
//!
//! `cargo run --release -p palombe-indexing --example search_speed -- [messages] [folder]`
//!
//! With `load` in the place of messages: how many are filed each second, without the worker and beside it.

use palombe_driver::Shutdown;
use palombe_indexing::{Indexer, Progress, start};
use palombe_message::{
    Limits, Scanner, Searchable, Structure, contains_folded, decode_text, fold_for_search, header,
};
use palombe_store::{
    Candidates, Filing, Flags, INBOX, NewBal, SearchField, SearchQuery, Store, StoreError,
    StoreSettings,
};
use palombe_vocabulary::{BalId, BalKind, Publication, Timestamp, Uid};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Different words of the corpus; they follow Zipf's law, as in a language.
const WORDS: usize = 20_000;
const WORDS_OF_A_BODY: usize = 320;

struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }

    /// A rank: twice as rare when twice as high.
    fn rank(&mut self) -> usize {
        let uniform = (self.throw() % (1 << 30)) as f64 / (1u64 << 30) as f64;
        ((WORDS as f64).powf(uniform) as usize).min(WORDS) - 1
    }
}

/// Words of one to four syllables out of some four thousand, as many as French has in use.
fn vocabulary() -> Vec<String> {
    let onsets = [
        "b", "bl", "br", "c", "ch", "cl", "cr", "d", "dr", "f", "fl", "fr", "g", "gl", "gr", "j",
        "l", "m", "n", "p", "ph", "pl", "pr", "qu", "r", "s", "st", "t", "th", "tr", "v", "",
    ];
    let vowels = ["a", "e", "é", "è", "ê", "i", "o", "u", "ou", "oi", "ai", "eu", "œ", "an", "in"];
    let codas = ["", "", "", "", "r", "l", "s", "t", "c", "ne", "gie", "tion"];
    let mut dice = Dice(11);
    let mut pick = |of: &[&'static str]| of[dice.throw() as usize % of.len()];
    let mut syllables = || [pick(&onsets), pick(&vowels), pick(&codas)].concat();
    (0..WORDS).map(|rank| (0..1 + rank % 4).map(|_| syllables()).collect()).collect()
}

fn text(words: &[String], dice: &mut Dice, count: usize) -> String {
    let mut out = String::new();
    for i in 0..count {
        out.push_str(&words[dice.rank()]);
        out.push_str(if i % 12 == 11 { "\r\n" } else { " " });
    }
    out
}

fn message(words: &[String], dice: &mut Dice, number: usize) -> Vec<u8> {
    let planted = [(10, "aiguille"), (1_000, "rarissime"), (10_000, "introuvable")];
    let planted = planted.iter().filter(|(each, _)| number % each == 7).map(|(_, word)| *word);
    let planted: Vec<&str> = planted.collect();
    let subject = text(words, dice, 5).trim_end().to_owned();
    let sender = &words[dice.rank()];
    let id = format!("{:016x}{:016x}", dice.throw(), dice.throw());
    let signature: String = (0..6).map(|_| format!("{:016x}", dice.throw())).collect();
    let body = text(words, dice, WORDS_OF_A_BODY);
    let header = [
        format!("Received: from smtp.essai.mssante.fr ([192.0.2.{}])", number % 250),
        format!("\tby mx.hopital.mssante.fr with ESMTPS id {}", &id[..12]),
        "\tfor <secretariat@hopital.mssante.fr>; Sat, 21 Nov 2026 09:00:00 +0100".to_owned(),
        format!("DKIM-Signature: v=1; a=rsa-sha256; d=essai.mssante.fr; s=1; b={signature}"),
        format!("Message-ID: <{id}@essai.mssante.fr>"),
        format!("Date: {} Nov 2026 09:00:00 +0100", 1 + number % 28),
        format!("From: Dr {sender} <{sender}@essai.mssante.fr>"),
        "To: secretariat@hopital.mssante.fr".to_owned(),
        format!("Subject: {subject}"),
        "MIME-Version: 1.0".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Content-Transfer-Encoding: 8bit".to_owned(),
    ];
    format!("{}\r\n\r\n{body}{}\r\n", header.join("\r\n"), planted.join(" ")).into_bytes()
}

fn bal(store: &Store) -> Result<BalId, Box<dyn Error>> {
    store.domain_add(&"hopital.mssante.fr".parse()?, Timestamp(0))?;
    let new = NewBal {
        address: "secretariat@hopital.mssante.fr".parse()?,
        kind: BalKind::Org,
        label: String::new(),
        publication: Publication::Annuaire,
        quota_bytes: 1 << 50,
        password_hash: None,
    };
    Ok(store.bal_add(new, Timestamp(0))?)
}

fn file(store: &Store, bal: BalId, octets: &[u8]) -> Result<(), StoreError> {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(octets);
    let mut spool = store.spool();
    spool.write(octets)?;
    let filing = Filing {
        bal,
        folder: INBOX,
        prefix: Vec::new(),
        flags: Flags::default(),
        internal_date: Timestamp(5),
    };
    let structure = scanner.finish().encode();
    store.file(filing, spool.finish()?, structure, Vec::new(), Timestamp(5)).map(drop)
}

fn fill(store: &Store, count: usize) -> Result<BalId, Box<dyn Error>> {
    let bal = bal(store)?;
    let (words, mut dice) = (vocabulary(), Dice(5));
    for number in 0..count {
        file(store, bal, &message(&words, &mut dice, number))?;
    }
    Ok(bal)
}

/// Eight senders at once for a while; messages are made before.
fn load(path: &Path, with_worker: bool) -> Result<(), Box<dyn Error>> {
    const TIME: Duration = Duration::from_secs(8);
    let store = Store::open(&StoreSettings::new(path))?;
    let bal = bal(&store)?;
    let (words, mut dice) = (vocabulary(), Dice(5));
    let made: Vec<Vec<u8>> = (0..2_000).map(|n| message(&words, &mut dice, n)).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let (trigger, shutdown) = Shutdown::new();
    let _entered = runtime.enter();
    let task = with_worker.then(|| start(store.clone(), shutdown)).transpose()?;
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while begun.elapsed() < TIME {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let id = format!("X-Number: {number}\r\n").into_bytes();
                    let octets = [&id[..], &made[number % made.len()]].concat();
                    if let Err(error) = file(&store, bal, &octets) {
                        eprintln!("{error}");
                        return;
                    }
                }
            });
        }
    });
    let rate = next.into_inner() as f64 / begun.elapsed().as_secs_f64();
    let stats = store.search_stats(None)?;
    println!(
        "{} the worker: {rate:.0} messages/s; {} indexed, {} waiting",
        if with_worker { "beside" } else { "without" },
        stats.documents,
        stats.pending
    );
    trigger.request();
    if let Some(mut task) = task {
        runtime.block_on(task.join());
    }
    drop(store);
    std::fs::remove_dir_all(path)?;
    Ok(())
}

/// As the IMAP door compares.
fn holds(
    store: &Store,
    bal: BalId,
    uid: Uid,
    field: SearchField,
    needle: &str,
) -> Result<bool, StoreError> {
    let Some(stored) = store.message(bal, INBOX, uid)? else { return Ok(false) };
    let Ok(structure) = Structure::decode(&store.structure(&stored.digest)?) else {
        return Ok(false);
    };
    if field == SearchField::Subject {
        return Ok(header::search(&structure.header, "Subject", needle));
    }
    let mut blob = store.blob_reader(stored.digest);
    for piece in structure.searchable() {
        if let Searchable::Text(part) = piece
            && contains_folded(&decode_text(part, &blob.read(part.body.clone())?), needle)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compare(
    store: &Store,
    bal: BalId,
    uids: impl Iterator<Item = Uid>,
    field: SearchField,
    needle: &str,
) -> Result<usize, StoreError> {
    let mut found = 0;
    for uid in uids {
        found += usize::from(holds(store, bal, uid, field, needle)?);
    }
    Ok(found)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn search(store: &Store, bal: BalId, field: SearchField, needle: &str) -> Result<(), StoreError> {
    let needle = fold_for_search(needle);
    let query = SearchQuery::Holds(field, needle.clone());
    let begun = Instant::now();
    let told = store.search_candidates(bal, Some(INBOX), &[query])?.pop();
    let asked = begun.elapsed();
    let all = store.view(bal, INBOX)?.messages;
    let candidates: Vec<Uid> = match told {
        Some(Candidates::Only(found)) => found.into_iter().map(|(_, uid)| uid).collect(),
        _ => all.iter().map(|m| m.uid).collect(),
    };
    let begun = Instant::now();
    let count = candidates.len();
    let found = compare(store, bal, candidates.into_iter(), field, &needle)?;
    let with = asked + begun.elapsed();
    let begun = Instant::now();
    let brute = compare(store, bal, all.iter().map(|m| m.uid), field, &needle)?;
    let without = begun.elapsed();
    assert_eq!(found, brute, "{needle}");
    println!(
        "{:<9}{needle:<14}{found:>9}{count:>12}{:>12.2}{:>12.2}{:>14.1}",
        format!("{field:?}"),
        ms(asked),
        ms(with),
        ms(without)
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().unwrap_or_else(|| "10000".to_owned());
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let path = parent.join(format!("palombe-search-speed-{}", std::process::id()));
    if first == "load" {
        for with_worker in [false, true, false, true] {
            load(&path, with_worker)?;
        }
        return Ok(());
    }
    let count: usize = first.parse()?;
    let store = Store::open(&StoreSettings { sync: false, ..StoreSettings::new(&path) })?;
    let begun = Instant::now();
    let bal = fill(&store, count)?;
    println!("{count} messages filed in {:.1} s", begun.elapsed().as_secs_f64());
    let mut indexer = Indexer::new(store.clone())?;
    let begun = Instant::now();
    while indexer.run(Duration::from_secs(1))? == Progress::Worked {}
    let seconds = begun.elapsed().as_secs_f64();
    let (stats, usage) = (store.search_stats(None)?, store.bal_usage(bal)?);
    println!(
        "indexed in {seconds:.1} s: {:.0}/s, {} octets for a message of {}, {} segments",
        count as f64 / seconds,
        stats.octets / stats.documents.max(1),
        usage.bytes / usage.messages.max(1),
        stats.segments
    );
    println!(
        "{:<9}{:<14}{:>9}{:>12}{:>12}{:>12}{:>14}",
        "field", "needle", "found", "candidates", "asking ms", "index ms", "brute ms"
    );
    for needle in ["introuvable", "rarissime", "aiguille", "nulle part", "stétan"] {
        search(&store, bal, SearchField::Body, needle)?;
    }
    search(&store, bal, SearchField::Subject, "tion")?;
    search(&store, bal, SearchField::Subject, "grèphi")?;
    drop(store);
    std::fs::remove_dir_all(&path)?;
    Ok(())
}
