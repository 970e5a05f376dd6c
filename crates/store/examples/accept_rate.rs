//! How many messages the store accepts durably each second.
//!
//! `cargo run --release -p palombe-store --example accept_rate -- [seconds per row] [folder] [octets]`

use palombe_store::{
    Acceptance, Filing, Flags, INBOX, JournalLine, NewBal, Outcome, Store, StoreSettings,
};
use palombe_vocabulary::{BalId, BalKind, Domain, Publication, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BALS: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(3.0), |s| s.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let sizes: Vec<usize> = match arguments.next() {
        Some(size) => vec![size.parse()?],
        None => vec![4 << 10, 100 << 10, 1 << 20],
    };
    println!(
        "{:>8} {:>8} {:>10} {:>9} {:>8} {:>8} {:>8}",
        "size", "threads", "accept/s", "MiB/s", "p50 ms", "p99 ms", "group"
    );
    for size in sizes {
        for threads in [1, 8, 32] {
            let path = parent.join(format!("palombe-accept-rate-{}", std::process::id()));
            run(&path, size, threads, Duration::from_secs_f64(seconds))?;
            std::fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn run(
    path: &std::path::Path,
    size: usize,
    threads: usize,
    time: Duration,
) -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::open(&StoreSettings::new(path))?;
    let bals = people(&store)?;
    let before = store.stats()?;
    let next = AtomicU64::new(1);
    let start = Instant::now();
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut times = Vec::new();
                    while start.elapsed() < time {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let begun = Instant::now();
                        if let Err(error) = accept(&store, bals[n as usize % BALS], size, n) {
                            eprintln!("{error}");
                            break;
                        }
                        times.push(begun.elapsed());
                    }
                    times
                })
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().unwrap_or_default()).collect()
    });
    let elapsed = start.elapsed().as_secs_f64();
    let after = store.stats()?;
    times.sort();
    let at = |q: f64| {
        times.get((times.len() as f64 * q) as usize).map_or(0.0, |t| t.as_secs_f64() * 1000.0)
    };
    let rate = times.len() as f64 / elapsed;
    let groups = (after.groups - before.groups).max(1);
    println!(
        "{size:>8} {threads:>8} {rate:>10.0} {:>9.1} {:>8.2} {:>8.2} {:>8.1}",
        rate * size as f64 / 1_048_576.0,
        at(0.5),
        at(0.99),
        (after.batches - before.batches) as f64 / groups as f64
    );
    Ok(())
}

fn people(store: &Store) -> Result<Vec<BalId>, Box<dyn std::error::Error>> {
    let domain: Domain = "essai.mssante.fr".parse()?;
    store.domain_add(&domain, Timestamp(0))?;
    let mut bals = Vec::new();
    for i in 0..BALS {
        let new = NewBal {
            address: format!("bal{i}@{domain}").parse()?,
            kind: BalKind::Per,
            label: String::new(),
            publication: Publication::Annuaire,
            quota_bytes: u64::MAX / 4,
            password_hash: None,
        };
        bals.push(store.bal_add(new, Timestamp(0))?);
    }
    Ok(bals)
}

/// A body that no other has, that compresses about like base64.
fn body(size: usize, n: u64) -> Vec<u8> {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = format!("Subject: {n}\r\n\r\n").into_bytes();
    while out.len() < size {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out.extend(x.to_le_bytes().map(|b| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[b as usize % 32]));
    }
    out.truncate(size);
    out
}

fn accept(store: &Store, bal: BalId, size: usize, n: u64) -> Result<(), palombe_store::StoreError> {
    let at = Timestamp(n as i64);
    let mut spool = store.spool();
    for piece in body(size, n).chunks(64 * 1024) {
        spool.write(piece)?;
    }
    store.accept(Acceptance {
        blob: spool.finish()?,
        structure: vec![0; 700],
        filings: vec![Filing {
            bal,
            folder: INBOX,
            prefix: vec![b'R'; 300],
            flags: Flags::default(),
            internal_date: at,
        }],
        queue: Vec::new(),
        journal: vec![JournalLine {
            at,
            event: "smtp.interop.accepted".into(),
            outcome: Outcome::Accepted,
            session: None,
            queue: None,
            bal: Some(bal),
            message_id: Some(format!("{n}@essai.mssante.fr")),
            peer: None,
            peer_dn: Some("CN=operateur".into()),
            domain: "essai.mssante.fr".parse().ok(),
            rule: None,
            detail: "{\"peer\":\"192.0.2.1\"}".repeat(20),
        }],
    })?;
    Ok(())
}
