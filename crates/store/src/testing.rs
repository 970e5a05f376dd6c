//! A store for tests that verifies every invariant when it is dropped.

use crate::engine::MemoryBackend;
use crate::{Acceptance, CheckDepth, Filing, Flags, INBOX, NewBal, SpooledBlob, Store};
use crate::{JournalLine, NewQueueItem, Notify, Outcome, QueueRecipient, StoreSettings};
use palombe_vocabulary::{BalId, BalKind, Domain, Publication, ReversePath, Timestamp};
use std::sync::Arc;

pub(crate) struct TestStore {
    store: Store,
    _folder: Option<tempfile::TempDir>,
}

impl std::ops::Deref for TestStore {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_clean(&self.store);
        }
    }
}

pub(crate) fn assert_clean(store: &Store) {
    let report = store.check_to(CheckDepth::Bodies).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

impl TestStore {
    pub(crate) fn rocks() -> TestStore {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&settings(folder.path())).unwrap();
        TestStore { store, _folder: Some(folder) }
    }

    pub(crate) fn memory() -> TestStore {
        let backend = Arc::new(MemoryBackend::default());
        let store = Store::with_backend(backend, &settings("nowhere".as_ref())).unwrap();
        TestStore { store, _folder: None }
    }

    /// Both engines, the same test.
    pub(crate) fn each(test: impl Fn(&TestStore)) {
        test(&TestStore::memory());
        test(&TestStore::rocks());
    }
}

pub(crate) fn settings(path: &std::path::Path) -> StoreSettings {
    StoreSettings {
        cache_bytes: 8 * 1024 * 1024,
        free_bytes_min: 0,
        unlinked_grace_secs: 10,
        ..StoreSettings::new(path)
    }
}

pub(crate) fn domain() -> Domain {
    "hopital.mssante.fr".parse().unwrap()
}

/// A BAL `name@hopital.mssante.fr`; the domain is added when it is new.
pub(crate) fn bal(store: &Store, name: &str) -> BalId {
    bal_of(store, name, 1 << 40)
}

pub(crate) fn bal_of(store: &Store, name: &str, quota_bytes: u64) -> BalId {
    if !store.is_hosted(&domain()) {
        store.domain_add(&domain(), Timestamp(0)).unwrap();
    }
    let new = NewBal {
        address: format!("{name}@{}", domain()).parse().unwrap(),
        kind: BalKind::Per,
        label: name.to_owned(),
        publication: Publication::Annuaire,
        quota_bytes,
        password_hash: None,
    };
    store.bal_add(new, Timestamp(1_000_000)).unwrap()
}

pub(crate) fn body(store: &Store, octets: &[u8]) -> SpooledBlob {
    let mut spool = store.spool();
    octets.chunks(10_000).for_each(|piece| spool.write(piece).unwrap());
    spool.finish().unwrap()
}

pub(crate) fn filing(bal: BalId) -> Filing {
    Filing {
        bal,
        folder: INBOX,
        prefix: b"Received: x\r\n".to_vec(),
        flags: Flags::default(),
        internal_date: Timestamp(5),
    }
}

pub(crate) fn line(event: &str) -> JournalLine {
    JournalLine {
        at: Timestamp(5),
        event: event.to_owned(),
        outcome: Outcome::Info,
        session: None,
        queue: None,
        bal: None,
        message_id: None,
        peer: None,
        peer_dn: None,
        domain: None,
        rule: None,
        detail: "{}".to_owned(),
    }
}

pub(crate) fn queued(destination: &str, priority: i8, due: i64) -> NewQueueItem {
    NewQueueItem {
        destination: destination.parse().unwrap(),
        hosted: domain(),
        sender: ReversePath::Null,
        recipients: vec![QueueRecipient {
            address: format!("x@{destination}").parse().unwrap(),
            notify: Notify::default(),
            orcpt: None,
        }],
        prefix: Vec::new(),
        size: 3,
        priority,
        ret: None,
        envid: None,
        smtputf8: false,
        eight_bit: false,
        message_id: Some("m@x".to_owned()),
        origin_bal: None,
        created_at: Timestamp(due),
        next_due: Timestamp(due),
        expires_at: Timestamp(due + 1_000_000),
    }
}

pub(crate) fn acceptance(blob: SpooledBlob) -> Acceptance {
    Acceptance {
        blob,
        structure: b"structure".to_vec(),
        filings: Vec::new(),
        queue: Vec::new(),
        journal: Vec::new(),
    }
}
