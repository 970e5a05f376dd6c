//! The worker on a store: what it indexes, and what cannot stop it.

use palombe_driver::Shutdown;
use palombe_indexing::{Indexer, Progress, start};
use palombe_message::{Limits, Scanner};
use palombe_store::{
    Candidates, Filing, Flags, INBOX, NewBal, SearchField, SearchQuery, Store, StoreSettings,
};
use palombe_vocabulary::{BalId, BalKind, FolderId, Publication, Timestamp};
use std::time::Duration;

struct House {
    store: Store,
    bal: BalId,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { free_bytes_min: 0, ..StoreSettings::new(folder.path()) };
    let store = Store::open(&settings).unwrap();
    store.domain_add(&"hopital.mssante.fr".parse().unwrap(), Timestamp(0)).unwrap();
    let new = NewBal {
        address: "secretariat@hopital.mssante.fr".parse().unwrap(),
        kind: BalKind::Org,
        label: String::new(),
        publication: Publication::Annuaire,
        quota_bytes: 1 << 40,
        password_hash: None,
    };
    let bal = store.bal_add(new, Timestamp(0)).unwrap();
    House { store, bal, _folder: folder }
}

impl House {
    fn deliver(&self, octets: &[u8], structure: Option<&[u8]>) -> u32 {
        let mut spool = self.store.spool();
        spool.write(octets).unwrap();
        let mut scanner = Scanner::new(Limits::default());
        scanner.push(octets);
        let structure = structure.map_or_else(|| scanner.finish().encode(), <[u8]>::to_vec);
        let filing = Filing {
            bal: self.bal,
            folder: INBOX,
            prefix: Vec::new(),
            flags: Flags::default(),
            internal_date: Timestamp(5),
        };
        let blob = spool.finish().unwrap();
        let filed = self.store.file(filing, blob, structure, Vec::new(), Timestamp(5)).unwrap();
        filed.uid.0
    }

    fn found(&self, field: SearchField, text: &str) -> Vec<u32> {
        let query = SearchQuery::Holds(field, text.to_owned());
        match self.store.search_candidates(self.bal, Some(INBOX), &[query]).unwrap().remove(0) {
            Candidates::All => panic!("the index knows"),
            Candidates::Only(found) => found.into_iter().map(|(_, uid)| uid.0).collect(),
        }
    }

    fn work(&self) {
        let mut indexer = Indexer::new(self.store.clone()).unwrap();
        while indexer.run(Duration::from_secs(1)).unwrap() == Progress::Worked {}
    }
}

#[test]
fn broken_and_enormous_messages_stay_candidates_and_stop_nothing() {
    let house = house();
    let damaged = house.deliver(b"Subject: abcdef\r\n\r\n", Some(b"no structure"));
    let good = house.deliver("Subject: Opération\r\n\r\nle genou\r\n".as_bytes(), None);
    let mut large = b"Subject: x\r\n\r\n".to_vec();
    large.resize(5 << 20, b'a');
    let large = house.deliver(&large, None);
    house.work();
    assert_eq!(house.store.search_stats(None).unwrap().pending, 0);
    assert_eq!(house.found(SearchField::Subject, "operation"), [damaged, good, large]);
    assert_eq!(house.found(SearchField::Body, "genou"), [damaged, good, large]);
    assert_eq!(house.found(SearchField::Body, "coude"), [damaged, large]);
    assert_eq!(house.store.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn copies_share_a_document_and_deleted_messages_leave_none() {
    let house = house();
    for n in 0..30 {
        house.deliver(format!("Subject: n{n}\r\n\r\ntexte commun {n}\r\n").as_bytes(), None);
    }
    house.work();
    let octets = house.store.search_stats(None).unwrap().octets;
    let all: Vec<_> = (1..=30).map(palombe_vocabulary::Uid).collect();
    house.store.copy(house.bal, INBOX, &all, FolderId(6), Timestamp(6)).unwrap();
    house.store.move_to(house.bal, INBOX, &all, FolderId(2), Timestamp(6)).unwrap();
    house.work();
    let stats = house.store.search_stats(Some(house.bal)).unwrap();
    assert_eq!((stats.documents, stats.octets, stats.pending), (30, octets, 0));
    assert_eq!(house.found(SearchField::Body, "commun"), Vec::<u32>::new());
    let query = [SearchQuery::Holds(SearchField::Body, "commun 17".to_owned())];
    let told = house.store.search_candidates(house.bal, None, &query).unwrap().remove(0);
    let Candidates::Only(told) = told else { panic!("the index knows") };
    assert_eq!(told.len(), 2, "{told:?}");
    for folder in [FolderId(6), FolderId(2)] {
        house.store.expunge(house.bal, folder, &all).unwrap();
    }
    house.work();
    assert_eq!(house.store.search_stats(None).unwrap().octets, 0);
    assert_eq!(house.store.check().unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn the_task_indexes_beside_and_ends_with_the_server() {
    let house = house();
    house.deliver(b"Subject: un\r\n\r\ndeux trois\r\n", None);
    let (trigger, shutdown) = Shutdown::new();
    let mut task = start(house.store.clone(), shutdown).unwrap();
    while house.store.search_stats(None).unwrap().pending > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.found(SearchField::Body, "quatre"), Vec::<u32>::new());
    trigger.request();
    assert_eq!(task.join().await, Some(()));
}
