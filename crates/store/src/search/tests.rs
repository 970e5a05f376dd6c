//! Candidates against the texts themselves, on both engines, whatever the worker has done so far.

use super::{Candidates, SearchField, SearchMerge, SearchQuery};
use crate::testing::{TestStore, acceptance, bal, body, settings};
use crate::{Acceptance, Filing, Flags, INBOX, Store};
use palombe_vocabulary::{BalId, FolderId, Timestamp, Uid};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SENT: FolderId = FolderId(2);
const NOW: Timestamp = Timestamp(7);

fn file(store: &Store, bal: BalId, folder: FolderId, text: &str) -> Uid {
    let filing = Filing {
        bal,
        folder,
        prefix: Vec::new(),
        flags: Flags::default(),
        internal_date: Timestamp(5),
    };
    let blob = body(store, text.as_bytes());
    let done = store.accept(Acceptance { filings: vec![filing], ..acceptance(blob) }).unwrap();
    done.filed[0].uid
}

fn text_of(store: &Store, bal: BalId, folder: FolderId, uid: Uid) -> String {
    let message = store.message(bal, folder, uid).unwrap().unwrap();
    String::from_utf8(store.read_blob(&message.digest, 0, 1 << 16).unwrap()).unwrap()
}

/// Indexes what waits, `limit` messages at once.
fn index(store: &Store, limit: usize) -> bool {
    let Some((bal, pending)) = store.search_pending(None, limit).unwrap() else { return false };
    let with_terms = pending.into_iter().map(|message| {
        let terms = (!message.known).then(|| {
            let mut terms = store.search_terms();
            let text = text_of(store, bal, message.folder, message.uid);
            terms.text(SearchField::Body, &text);
            let head: String = text.chars().take(4).collect();
            terms.text(SearchField::Subject, &head);
            if text.starts_with('a') {
                terms.word("field x-a");
            }
            if text.ends_with("zz") {
                terms.incomplete();
            }
            terms
        });
        (message, terms)
    });
    store.search_index(bal, with_terms.collect()).unwrap()
}

fn merge_all(store: &Store, bal: BalId) -> usize {
    let mut merges = 0;
    while let Some(merge) = store.search_merge(bal).unwrap() {
        let mut merge = Some(merge);
        while let Some(going) = merge {
            merge = store.search_merge_step(going).unwrap();
        }
        merges += 1;
    }
    merges
}

fn settle(store: &Store, bal: BalId) {
    while let Some(bal) = store.search_unplanted() {
        store.search_plant(bal, 3).unwrap();
    }
    while index(store, 5) {}
    while !store.search_forget(100).unwrap().is_empty() {}
    merge_all(store, bal);
}

fn body_query(text: &str) -> SearchQuery {
    SearchQuery::Holds(SearchField::Body, text.to_owned())
}

fn found(store: &Store, bal: BalId, folder: FolderId, query: SearchQuery) -> BTreeSet<Uid> {
    match store.search_candidates(bal, Some(folder), &[query]).unwrap().remove(0) {
        Candidates::All => panic!("the index knows"),
        Candidates::Only(found) => found.into_iter().map(|(_, uid)| uid).collect(),
    }
}

/// Messages of the folder whose text passes.
fn real(store: &Store, bal: BalId, folder: FolderId, is: impl Fn(&str) -> bool) -> BTreeSet<Uid> {
    let messages = store.view(bal, folder).unwrap().messages;
    let matches = |uid: &Uid| is(&text_of(store, bal, folder, *uid));
    messages.into_iter().map(|m| m.uid).filter(matches).collect()
}

#[derive(Clone, Debug)]
enum Operation {
    File { sent: bool, text: String },
    Copy { pick: usize },
    Move { pick: usize },
    Expunge { sent: bool, pick: usize },
    Index { limit: usize },
    Forget,
    MergeBegin,
    MergeStep,
    Rebuild,
    Plant,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (any::<bool>(), "[ab]{0,3}[abé]{0,9}z{0,2}")
            .prop_map(|(sent, text)| Operation::File { sent, text }),
        1 => (0usize..20).prop_map(|pick| Operation::Copy { pick }),
        1 => (0usize..20).prop_map(|pick| Operation::Move { pick }),
        2 => (any::<bool>(), 0usize..20).prop_map(|(sent, pick)| Operation::Expunge { sent, pick }),
        6 => (1usize..3).prop_map(|limit| Operation::Index { limit }),
        2 => Just(Operation::Forget),
        2 => Just(Operation::MergeBegin),
        3 => Just(Operation::MergeStep),
        1 => Just(Operation::Rebuild),
        1 => Just(Operation::Plant),
    ]
}

/// One store and the merge that its worker has under way.
struct Run {
    store: TestStore,
    bal: BalId,
    merge: Option<SearchMerge>,
}

impl Run {
    fn pick(&self, folder: FolderId, pick: usize) -> Vec<Uid> {
        let messages = self.store.view(self.bal, folder).unwrap().messages;
        messages.get(pick).map(|m| m.uid).into_iter().collect()
    }

    fn apply(&mut self, operation: &Operation) {
        let (store, bal) = (&self.store, self.bal);
        let folder = |sent: bool| if sent { SENT } else { INBOX };
        match operation {
            Operation::File { sent, text } => drop(file(store, bal, folder(*sent), text)),
            Operation::Copy { pick } => {
                store.copy(bal, INBOX, &self.pick(INBOX, *pick), SENT, NOW).unwrap();
            }
            Operation::Move { pick } => {
                store.move_to(bal, INBOX, &self.pick(INBOX, *pick), SENT, NOW).unwrap();
            }
            Operation::Expunge { sent, pick } => {
                let folder = folder(*sent);
                store.expunge(bal, folder, &self.pick(folder, *pick)).unwrap();
            }
            Operation::Index { limit } => drop(index(store, *limit)),
            Operation::Forget => drop(store.search_forget(3).unwrap()),
            Operation::MergeBegin => {
                self.merge = None;
                store.search_abandoned().unwrap();
                self.merge = store.search_merge(bal).unwrap();
            }
            Operation::MergeStep => {
                let Some(merge) = self.merge.take() else { return };
                self.merge = self.store.search_merge_step(merge).unwrap();
            }
            Operation::Rebuild => store.search_rebuild(bal).unwrap(),
            Operation::Plant => store.search_plant(bal, 2).unwrap(),
        }
    }

    /// Nothing is missed; with `exactly`, nothing is there that has not every gram.
    fn compare(&self, exactly: bool) {
        for folder in [INBOX, SENT] {
            for needle in ["aab", "bba", "abab", "éab", "zzz"] {
                let found = found(&self.store, self.bal, folder, body_query(needle));
                let holds = |t: &str| t.contains(needle);
                assert!(found.is_superset(&real(&self.store, self.bal, folder, holds)));
                let grams: Vec<char> = needle.chars().collect();
                let grams: Vec<String> = grams.windows(3).map(|w| w.iter().collect()).collect();
                let has = |t: &str| t.ends_with("zz") || grams.iter().all(|g| t.contains(g));
                if exactly {
                    assert_eq!(found, real(&self.store, self.bal, folder, has), "{needle}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missed_whatever_the_worker_did(
        operations in proptest::collection::vec(operation(), 1..120),
    ) {
        for store in [TestStore::memory(), TestStore::rocks()] {
            let bal = bal(&store, "a");
            let mut run = Run { store, bal, merge: None };
            for (i, operation) in operations.iter().enumerate() {
                run.apply(operation);
                if i % 4 == 0 {
                    run.compare(false);
                }
            }
            run.compare(false);
            run.merge = None;
            run.store.search_abandoned().unwrap();
            settle(&run.store, bal);
            run.compare(true);
        }
    }
}

#[test]
fn queries_join_fields() {
    TestStore::each(|store| {
        let bal = bal(store, "a");
        let texts = ["abcd efgh", "abcd wxyz", "bcde efgh", "nothing", "seul zz"];
        for text in texts {
            file(store, bal, INBOX, text);
        }
        settle(store, bal);
        let uids = |query: SearchQuery| -> Vec<u32> {
            found(store, bal, INBOX, query).into_iter().map(|uid| uid.0).collect()
        };
        let holds = |field, text: &str| SearchQuery::Holds(field, text.to_owned());
        // The fifth is not wholly indexed, so it always may match.
        assert_eq!(uids(body_query("efgh")), [1, 3, 5]);
        let and = vec![body_query("abcd"), body_query("efgh"), SearchQuery::Anything];
        assert_eq!(uids(SearchQuery::And(and)), [1, 5]);
        assert_eq!(uids(SearchQuery::Or(vec![body_query("wxyz"), body_query("hin")])), [2, 4, 5]);
        assert_eq!(uids(holds(SearchField::Subject, "bc")), [1, 2, 3, 5]);
        assert_eq!(uids(holds(SearchField::Subject, "efgh")), [5]);
        assert_eq!(uids(SearchQuery::HasWord("field x-a".to_owned())), [1, 2, 5]);
        let all = [
            body_query("ab"),
            holds(SearchField::Subject, "a"),
            SearchQuery::Or(vec![body_query("abcd"), SearchQuery::Anything]),
            SearchQuery::And(vec![SearchQuery::Anything]),
        ];
        let told = store.search_candidates(bal, None, &all).unwrap();
        assert!(told.iter().all(|one| *one == Candidates::All));
    });
}

#[test]
fn segments_are_merged_and_forget_what_is_gone() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        let text = |n: u32| format!("number {:02} {}", n % 7, n);
        for n in 0..100 {
            file(store, id, INBOX, &text(n));
            assert!(index(store, 1));
        }
        assert_eq!(store.search_stats(Some(id)).unwrap().segments, 100);
        assert!(merge_all(store, id) > 0);
        let stats = store.search_stats(None).unwrap();
        assert!(stats.segments < 8, "{stats:?}");
        assert_eq!((stats.documents, stats.pending), (100, 0));
        assert_eq!(found(store, id, INBOX, body_query("number 03")).len(), 14);
        let gone: Vec<Uid> = (1..=90).map(Uid).collect();
        store.expunge(id, INBOX, &gone).unwrap();
        assert_eq!(found(store, id, INBOX, body_query("number")).len(), 10);
        while !store.search_forget(7).unwrap().is_empty() {}
        let before = store.search_stats(None).unwrap();
        merge_all(store, id);
        let after = store.search_stats(None).unwrap();
        assert_eq!((before.documents, after.documents), (10, 10));
        assert!(after.octets < before.octets / 2, "{before:?} {after:?}");
        assert_eq!(found(store, id, INBOX, body_query("number")).len(), 10);
        store.bal_delete(id, NOW).unwrap();
        while !store.search_forget(7).unwrap().is_empty() {}
        assert_eq!(store.search_stats(None).unwrap(), super::SearchStats::default());
    });
}

#[test]
fn an_older_store_is_searched_at_once_and_indexed_in_the_background() {
    use crate::engine::{Batch, Durability, Space};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&settings(folder.path())).unwrap();
    let id = bal(&store, "a");
    for n in 0..20 {
        file(&store, id, if n % 2 == 0 { INBOX } else { SENT }, &format!("text {n:02}"));
    }
    // As the last version left it: no row of the index.
    let mut batch = Batch::new(Durability::Synced);
    super::plant::remove(&mut batch, id);
    batch.delete(Space::Directory, crate::keys::meta("search"));
    store.inner.engine.commit(batch).unwrap();
    drop(store);
    let store = Store::open(&settings(folder.path())).unwrap();
    crate::testing::assert_clean(&store);
    let sixteen = || found(&store, id, INBOX, body_query("text 16"));
    assert_eq!(sixteen().len(), 10, "each is a candidate");
    store.search_plant(id, 4).unwrap();
    assert_eq!(sixteen().len(), 10);
    assert_eq!(store.search_stats(None).unwrap().pending, 4);
    crate::testing::assert_clean(&store);
    settle(&store, id);
    assert_eq!(sixteen(), BTreeSet::from([Uid(9)]));
    assert_eq!(store.search_unplanted(), None);
    store.search_version(1).unwrap();
    assert_eq!(store.search_unplanted(), None, "the first version told");
    store.search_version(2).unwrap();
    assert_eq!(store.search_unplanted(), Some(id));
    assert_eq!(found(&store, id, SENT, body_query("text 17")).len(), 10);
    settle(&store, id);
    assert_eq!(found(&store, id, SENT, body_query("text 17")), BTreeSet::from([Uid(9)]));
    crate::testing::assert_clean(&store);
}

#[test]
fn large_merges_come_in_steps() {
    let store = TestStore::memory();
    let id = bal(&store, "a");
    let mut x = 1u64;
    let mut word = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let letter = char::from_u32(0x4e00 + (x >> 40) as u32 % 5000).unwrap();
        format!("{:x}{letter}", x >> 16)
    };
    for _ in 0..8 {
        let mut text = String::new();
        while text.len() < 60_000 {
            text.push_str(&word());
        }
        file(&store, id, INBOX, &text);
        assert!(index(&store, 1));
    }
    let mut merge = store.search_merge(id).unwrap();
    let mut steps = 0;
    while let Some(going) = merge {
        merge = store.search_merge_step(going).unwrap();
        steps += 1;
    }
    assert!(steps > 1, "{steps}");
    assert_eq!(store.search_stats(None).unwrap().segments, 1);
}
