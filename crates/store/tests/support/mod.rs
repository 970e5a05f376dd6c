//! Shared by the tests of the whole room.
#![allow(dead_code)] // each test file uses its part

use palombe_store::{
    Acceptance, CheckDepth, Filing, Flags, INBOX, NewBal, NewQueueItem, Notify, QueueRecipient,
    Store, StoreError, StoreSettings,
};
use palombe_vocabulary::{BalId, BalKind, Domain, Publication, ReversePath, Timestamp};
use std::path::Path;

pub fn settings(path: &Path) -> StoreSettings {
    StoreSettings {
        cache_bytes: 8 << 20,
        free_bytes_min: 0,
        unlinked_grace_secs: 0,
        ..StoreSettings::new(path)
    }
}

pub fn bal(store: &Store, name: &str) -> BalId {
    let domain: Domain = "hopital.mssante.fr".parse().unwrap();
    if !store.is_hosted(&domain) {
        store.domain_add(&domain, Timestamp(0)).unwrap();
    }
    let address = format!("{name}@{domain}").parse().unwrap();
    if let Some(bal) = store.bal_by_address(&address).unwrap() {
        return bal.id;
    }
    let new = NewBal {
        address,
        kind: BalKind::Per,
        label: String::new(),
        publication: Publication::Annuaire,
        quota_bytes: 1 << 50,
        password_hash: None,
    };
    store.bal_add(new, Timestamp(0)).unwrap()
}

/// Octets that name their message at the beginning and depend on it to the end.
pub fn octets(n: u64, size: usize) -> Vec<u8> {
    let mut out = format!("{n:020}").into_bytes();
    let mut x = n | 1;
    while out.len() < size.max(20) {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend(x.to_le_bytes());
    }
    out.truncate(size.max(20));
    out
}

pub fn message(
    store: &Store,
    body: &[u8],
    filings: &[BalId],
    destination: Option<&str>,
) -> Result<Acceptance, StoreError> {
    let mut spool = store.spool();
    for piece in body.chunks(100_000) {
        spool.write(piece)?;
    }
    let filing = |bal: &BalId| Filing {
        bal: *bal,
        folder: INBOX,
        prefix: b"Received: x\r\n".to_vec(),
        flags: Flags::default(),
        internal_date: Timestamp(1),
    };
    Ok(Acceptance {
        blob: spool.finish()?,
        structure: vec![7; 100],
        filings: filings.iter().map(filing).collect(),
        queue: destination.map(|d| entry(d, body.len() as u64)).into_iter().collect(),
        journal: Vec::new(),
    })
}

fn entry(destination: &str, size: u64) -> NewQueueItem {
    NewQueueItem {
        destination: destination.parse().unwrap(),
        hosted: "hopital.mssante.fr".parse().unwrap(),
        sender: ReversePath::Null,
        recipients: vec![QueueRecipient {
            address: format!("x@{destination}").parse().unwrap(),
            notify: Notify::NEVER,
            orcpt: None,
        }],
        prefix: Vec::new(),
        size,
        priority: 0,
        ret: None,
        envid: None,
        smtputf8: false,
        eight_bit: false,
        message_id: None,
        origin_bal: None,
        created_at: Timestamp(1),
        next_due: Timestamp(1),
        expires_at: Timestamp(1 << 40),
    }
}

pub fn read(store: &Store, digest: &palombe_store::BlobDigest, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while (out.len() as u64) < size {
        out.extend(store.read_blob(digest, out.len() as u64, 1 << 20).unwrap());
    }
    out
}

pub fn assert_clean(store: &Store) {
    let report = store.check_to(CheckDepth::Bodies).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}
