//! The room's behaviour, on both engines.

use crate::testing::{
    TestStore, acceptance, assert_clean, bal, bal_of, body, domain, filing, line, queued, settings,
};
use crate::{
    Acceptance, FlagChange, Flags, INBOX, JournalQuery, News, QueueChange, QueueFilter, Settlement,
    Store, StoreError, Upload,
};
use palombe_vocabulary::{BalStatus, FolderId, ModSeq, QueueId, Timestamp, Uid};
use std::sync::Arc;
use std::sync::mpsc::channel;

const NOW: Timestamp = Timestamp(2_000_000);

fn deliver(store: &Store, to: palombe_vocabulary::BalId, octets: &[u8]) -> Uid {
    let filings = vec![filing(to)];
    let done = store.accept(Acceptance { filings, ..acceptance(body(store, octets)) }).unwrap();
    done.filed[0].uid
}

fn text(store: &Store, bal: palombe_vocabulary::BalId, folder: FolderId, uid: Uid) -> Vec<u8> {
    let message = store.message(bal, folder, uid).unwrap().unwrap();
    let mut out = Vec::new();
    while (out.len() as u64) < message.blob_size {
        out.extend(store.read_blob(&message.digest, out.len() as u64, 70_000).unwrap());
    }
    out
}

#[test]
fn bodies_of_every_size_come_back() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        let chunk = crate::limits::CHUNK_BYTES;
        for size in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 7] {
            let octets: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
            let uid = deliver(store, id, &octets);
            assert_eq!(text(store, id, INBOX, uid), octets, "{size}");
            // The same octets again: one body, two messages.
            let again = deliver(store, id, &octets);
            assert_eq!(text(store, id, INBOX, again), octets, "{size} again");
        }
        let counts = store.check().unwrap().counts;
        assert_eq!((counts.blobs, counts.messages), (7, 14));
        let message = store.message(id, INBOX, Uid(3)).unwrap().unwrap();
        assert_eq!(store.structure(&message.digest).unwrap(), b"structure");
        assert_eq!(message.meta.size, message.blob_size + message.prefix.len() as u64);
        assert!(store.read_blob(&message.digest, 99, 10).unwrap().is_empty());
    });
}

#[test]
fn an_abandoned_body_leaves_nothing() {
    TestStore::each(|store| {
        bal(store, "a");
        drop(body(store, &vec![1; 600_000]));
        let mut spool = store.spool();
        spool.write(&vec![2; 600_000]).unwrap();
        drop(spool);
        store.journal_append(vec![line("barrier")]).unwrap();
        let report = store.sweep(NOW, 100).unwrap();
        assert_eq!(report.uploads, 0, "dropping removed them already");
    });
}

#[test]
fn one_acceptance_is_all_or_nothing() {
    TestStore::each(|store| {
        let (rich, poor) = (bal(store, "rich"), bal_of(store, "poor", 20));
        let both = vec![filing(rich), filing(poor)];
        let refused = store.accept(Acceptance {
            filings: both,
            queue: vec![queued("autre.mssante.fr", 0, 1)],
            journal: vec![line("x")],
            ..acceptance(body(store, b"more than twenty octets"))
        });
        assert!(matches!(refused, Err(StoreError::OverQuota(id)) if id == poor));
        assert!(store.view(rich, INBOX).unwrap().messages.is_empty());
        assert!(store.queue_items(&QueueFilter::default(), 9).unwrap().is_empty());
        let counts = store.check().unwrap().counts;
        assert_eq!((counts.blobs, counts.journal_lines), (0, 0));
        let unknown = crate::Filing { folder: FolderId(99), ..filing(rich) };
        let refused =
            store.accept(Acceptance { filings: vec![unknown], ..acceptance(body(store, b"x")) });
        assert!(matches!(refused, Err(StoreError::UnknownFolder)));
        store.bal_set_status(rich, BalStatus::Suspended).unwrap();
        let refused = store
            .accept(Acceptance { filings: vec![filing(rich)], ..acceptance(body(store, b"x")) });
        assert!(matches!(refused, Err(StoreError::BalSuspended)));
    });
}

fn upload(store: &Store, to: palombe_vocabulary::BalId, octets: &[u8]) -> Upload {
    let (filing, blob) = (filing(to), body(store, octets));
    Upload { filing, blob, structure: b"structure".to_vec(), journal: vec![line("up")] }
}

#[test]
fn several_uploads_are_all_or_nothing() {
    TestStore::each(|store| {
        let id = bal_of(store, "a", 100);
        let large = vec![5; 700_000];
        // The same octets twice in one batch are one body.
        let uploads = [b"one".as_slice(), b"two", b"one"].map(|octets| upload(store, id, octets));
        let filed = store.file_all(uploads.into(), NOW).unwrap();
        let uids: Vec<Uid> = filed.iter().map(|filed| filed.uid).collect();
        assert_eq!(uids, [Uid(1), Uid(2), Uid(3)]);
        assert!(filed.iter().all(|one| one.modseq == filed[0].modseq));
        assert_eq!(text(store, id, INBOX, Uid(3)), b"one");
        assert_eq!(store.check().unwrap().counts.blobs, 2);
        // So are large ones, whose pieces are on disk already.
        store.bal_set_quota(id, 10_000_000).unwrap();
        let uploads = vec![upload(store, id, &large), upload(store, id, &large)];
        let filed = store.file_all(uploads, NOW).unwrap();
        assert_eq!(text(store, id, INBOX, filed[0].uid), large);
        assert_eq!(text(store, id, INBOX, filed[1].uid), large);
        store.expunge(id, INBOX, &[filed[0].uid, filed[1].uid]).unwrap();
        store.bal_set_quota(id, 100).unwrap();
        let uploads = vec![upload(store, id, b"three"), upload(store, id, &large)];
        assert!(matches!(store.file_all(uploads, NOW), Err(StoreError::OverQuota(_))));
        let nowhere = upload(store, id, b"three");
        let filing = crate::Filing { folder: FolderId(99), ..filing(id) };
        let uploads = vec![upload(store, id, b"four"), Upload { filing, ..nowhere }];
        assert!(matches!(store.file_all(uploads, NOW), Err(StoreError::UnknownFolder)));
        assert_eq!(store.view(id, INBOX).unwrap().messages.len(), 3);
        assert_eq!(store.check().unwrap().counts.journal_lines, 5);
        assert!(store.file_all(Vec::new(), NOW).unwrap().is_empty());
        // The pieces of the refused body are taken back behind the committer.
        store.journal_append(vec![line("barrier")]).unwrap();
    });
}

#[test]
fn a_replacement_takes_the_place_in_one_batch() {
    TestStore::each(|store| {
        let id = bal_of(store, "a", 30);
        let first = deliver(store, id, b"0123456789");
        let before = store.view(id, INBOX).unwrap().highest_modseq;
        // Twice ten octets and the prefixes would be too much.
        let filed = store.replace(upload(store, id, b"9876543210"), (INBOX, first), NOW);
        let filed = filed.unwrap().unwrap();
        let changes = store.changes(id, INBOX, before).unwrap();
        assert_eq!(changes.vanished, [(first, first)]);
        assert_eq!(changes.changed[0].uid, filed.uid);
        assert_eq!(changes.highest_modseq, filed.modseq);
        // Its like, by the same octets: the body stays.
        let again = store.replace(upload(store, id, b"9876543210"), (INBOX, filed.uid), NOW);
        let again = again.unwrap().unwrap();
        assert_eq!(text(store, id, INBOX, again.uid), b"9876543210");
        // What is not there is not replaced, and nothing is filed.
        let gone = store.replace(upload(store, id, b"x"), (INBOX, first), NOW).unwrap();
        assert!(gone.is_none());
        let large = upload(store, id, &[7; 60]);
        let refused = store.replace(large, (INBOX, again.uid), NOW);
        assert!(matches!(refused, Err(StoreError::OverQuota(_))));
        assert_eq!(store.view(id, INBOX).unwrap().messages.len(), 1);
    });
}

#[test]
fn accept_then_answers_from_the_committer_and_news_are_told() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let own = heard.clone();
        store.on_commit(Box::new(move |news| own.lock().extend_from_slice(news)));
        let (tell, told) = channel();
        let message = Acceptance {
            filings: vec![filing(id)],
            queue: vec![queued("autre.mssante.fr", 0, 77)],
            ..acceptance(body(store, b"hello"))
        };
        store.accept_then(vec![message], Box::new(move |r| tell.send(r).unwrap()));
        let done = told.recv().unwrap().unwrap();
        assert_eq!((done[0].filed[0].uid, done[0].queued[0]), (Uid(1), QueueId(1)));
        let modseq = done[0].filed[0].modseq;
        let expected =
            [News::Bal { bal: id, folder: INBOX, modseq }, News::Queue { due: Timestamp(77) }];
        assert_eq!(*heard.lock(), expected);
    });
}

#[test]
fn the_last_link_lets_the_sweep_take_the_body() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        let octets = vec![3; 700_000];
        let uid = deliver(store, id, &octets);
        let copied = store.copy(id, INBOX, &[uid], FolderId(4), NOW).unwrap();
        store.expunge(id, INBOX, &[uid]).unwrap();
        store.sweep(NOW, 100).unwrap();
        let later = NOW.plus_secs(11);
        assert_eq!(store.sweep(later, 100).unwrap().blobs, 0, "a copy still holds it");
        let target = copied.pairs[0].1;
        assert_eq!(text(store, id, FolderId(4), target), octets);
        store.expunge(id, FolderId(4), &[target]).unwrap();
        assert_eq!(store.sweep(later, 100).unwrap().blobs, 0, "the grace period begins");
        assert_eq!(store.sweep(later.plus_secs(9), 100).unwrap().blobs, 0);
        let report = store.sweep(later.plus_secs(10), 100).unwrap();
        assert_eq!((report.blobs, report.bytes), (1, 700_000));
        assert_eq!(store.check().unwrap().counts.blobs, 0);
        // The same octets may come again.
        let uid = deliver(store, id, &octets);
        assert_eq!((uid, text(store, id, INBOX, uid)), (Uid(2), octets));
    });
}

#[test]
fn changes_tell_what_a_view_would() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        let uids: Vec<Uid> = (0..5).map(|i| deliver(store, id, &[i])).collect();
        let before = store.view(id, INBOX).unwrap();
        let seen = Flags { seen: true, keywords: vec!["$Lu".into()], ..Flags::default() };
        let add = FlagChange::Add(seen);
        store.flags_update(id, INBOX, &uids[1..3], &add, None).unwrap();
        store.expunge(id, INBOX, &uids[2..4]).unwrap();
        let new = deliver(store, id, b"new");
        let changes = store.changes(id, INBOX, before.highest_modseq).unwrap();
        let changed: Vec<Uid> = changes.changed.iter().map(|m| m.uid).collect();
        assert_eq!(changed, [uids[1], new]);
        assert_eq!(changes.vanished, [(uids[2], uids[3])]);
        assert!(changes.changed[0].flags.seen);
        let folder = &store.folders(id).unwrap()[0];
        assert_eq!((folder.messages, folder.unseen), (4, 3));
        // RFC 7162 3.1.3: a message changed since is left alone and told.
        let outcome = store
            .flags_update(id, INBOX, &[uids[0], uids[1]], &add, Some(before.highest_modseq))
            .unwrap();
        assert_eq!(outcome.conflicts, [uids[1]]);
        assert_eq!(outcome.changed.len(), 1);
        // Nothing to change writes nothing.
        let now = store.view(id, INBOX).unwrap().highest_modseq;
        store.flags_update(id, INBOX, &uids, &FlagChange::Add(Flags::default()), None).unwrap();
        assert_eq!(store.view(id, INBOX).unwrap().highest_modseq, now);
        assert!(store.changes(id, INBOX, ModSeq(now.0)).unwrap().changed.is_empty());
    });
}

#[test]
fn recent_is_taken_once() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        deliver(store, id, b"1");
        assert_eq!(store.take_recent(id, INBOX).unwrap(), Uid(1));
        assert_eq!(store.take_recent(id, INBOX).unwrap(), Uid(2));
        deliver(store, id, b"2");
        assert_eq!(store.take_recent(id, INBOX).unwrap(), Uid(2));
        assert_eq!(store.take_recent(id, INBOX).unwrap(), Uid(3));
    });
}

#[test]
fn a_folder_made_again_has_a_larger_uid_validity() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        let first = store.folder_create(id, "Dossiers/2026", None, NOW).unwrap();
        let filed = crate::Filing { folder: first, ..filing(id) };
        store.accept(Acceptance { filings: vec![filed], ..acceptance(body(store, b"x")) }).unwrap();
        let validity = |folder| store.view(id, folder).unwrap().uid_validity;
        let old = validity(first);
        store.folder_delete(id, first).unwrap();
        assert_eq!(store.bal_usage(id).unwrap().messages, 0);
        assert!(matches!(store.view(id, first), Err(StoreError::UnknownFolder)));
        let second = store.folder_create(id, "Dossiers/2026", None, NOW).unwrap();
        assert!(second > first && validity(second) > old);
        assert!(matches!(
            store.folder_create(id, "inbox", None, NOW),
            Err(StoreError::AlreadyExists(_))
        ));
        for bad in ["", "a//b", "/a", "a/", "a\r", &"x".repeat(1001)] {
            let refused = store.folder_create(id, bad, None, NOW);
            assert!(matches!(refused, Err(StoreError::BadFolderName)), "{bad:?}");
        }
        store.folder_create(id, "Dossiers", None, NOW).unwrap();
        let parent = store.folders(id).unwrap().last().unwrap().id;
        store.folder_rename(id, parent, "Archives").unwrap();
        let names: Vec<String> =
            store.folders(id).unwrap().into_iter().skip(6).map(|f| f.name).collect();
        assert_eq!(names, ["Archives/2026", "Archives"]);
        assert!(matches!(store.folder_rename(id, INBOX, "x"), Err(StoreError::FolderReserved)));
    });
}

#[test]
fn a_deleted_bal_leaves_its_tombstone() {
    TestStore::each(|store| {
        let id = bal(store, "a");
        deliver(store, id, b"1");
        store.bal_delete(id, NOW).unwrap();
        let address = format!("a@{}", domain()).parse().unwrap();
        let tombstone = store.bal_by_address(&address).unwrap().unwrap();
        assert_eq!(tombstone.status, BalStatus::Deleted);
        assert!(store.bals(None).unwrap().is_empty());
        assert_eq!(store.check().unwrap().counts.messages, 0);
        let again = crate::NewBal {
            address,
            kind: palombe_vocabulary::BalKind::Per,
            label: String::new(),
            publication: palombe_vocabulary::Publication::Annuaire,
            quota_bytes: 1,
            password_hash: None,
        };
        assert!(matches!(store.bal_add(again, NOW), Err(StoreError::NeverReused(_))));
        let refused =
            store.accept(Acceptance { filings: vec![filing(id)], ..acceptance(body(store, b"x")) });
        assert!(matches!(refused, Err(StoreError::UnknownBal)));
        store.domain_delete(&domain()).unwrap();
        assert!(!store.is_hosted(&domain()));
    });
}

fn send(store: &Store, to: &str, priority: i8, due: i64) -> QueueId {
    let queue = vec![queued(to, priority, due)];
    let octets = format!("{to} {priority} {due}");
    let message = Acceptance { queue, ..acceptance(body(store, octets.as_bytes())) };
    store.accept(message).unwrap().queued[0]
}

#[test]
fn the_queue_is_urgent_first_and_leases_are_fenced() {
    TestStore::each(|store| {
        bal(store, "a");
        let slow = send(store, "b.mssante.fr", -4, 10);
        let late = send(store, "b.mssante.fr", 0, 30);
        let early = send(store, "c.mssante.fr", 0, 20);
        let urgent = send(store, "b.mssante.fr", 9, 40);
        let due = |at| -> Vec<QueueId> {
            let due = store.queue_due(Timestamp(at), 99).unwrap();
            due.into_iter().map(|e| e.id).collect()
        };
        assert_eq!(due(100), [urgent, early, late, slow]);
        assert_eq!(due(20), [early, slow]);
        assert_eq!(store.queue_next_due().unwrap(), Some(Timestamp(10)));
        let others = |e: &crate::DueEntry| e.destination.as_str() != "b.mssante.fr";
        let due_where = store.queue_due_where(Timestamp(100), 9, &others).unwrap();
        assert_eq!(due_where[0].id, early);
        let claimed = store.queue_claim(&[urgent, early], Timestamp(50), Timestamp(90)).unwrap();
        assert_eq!(claimed.len(), 2);
        assert!(store.queue_claim(&[urgent], Timestamp(60), Timestamp(99)).unwrap().is_empty());
        assert_eq!(due(60), [late, slow]);
        let old = claimed[0].lease.unwrap().fence;
        // The lease ended: another claims, the first may not settle any more.
        let again = store.queue_claim(&[urgent], Timestamp(90), Timestamp(200)).unwrap();
        let fence = again[0].lease.unwrap().fence;
        let settle = |fence| Settlement {
            id: urgent,
            fence,
            change: QueueChange::Done,
            reports: Vec::new(),
            journal: vec![line("relay.delivered")],
        };
        assert!(matches!(store.queue_settle(settle(old)), Err(StoreError::Conflict)));
        store.queue_settle(settle(fence)).unwrap();
        assert!(store.queue_item(urgent).unwrap().is_none());
        let fence = claimed[1].lease.unwrap().fence;
        store.queue_release(early, fence).unwrap();
        assert!(matches!(store.queue_release(early, fence), Err(StoreError::Conflict)));
        assert_eq!(due(60), [early, late, slow]);
    });
}

#[test]
fn a_settlement_changes_the_entry_and_files_its_report_at_once() {
    TestStore::each(|store| {
        let sender = bal(store, "a");
        let id = send(store, "b.mssante.fr", 0, 10);
        let claimed = store.queue_claim(&[id], Timestamp(20), Timestamp(90)).unwrap();
        store.queue_hold(id, true).unwrap();
        let report =
            Acceptance { filings: vec![filing(sender)], ..acceptance(body(store, b"DSN")) };
        let done = store
            .queue_settle(Settlement {
                id,
                fence: claimed[0].lease.unwrap().fence,
                change: QueueChange::Keep {
                    recipients: Vec::new(),
                    next_due: Timestamp(500),
                    attempts: 1,
                    last_attempt_at: Timestamp(21),
                    last_reply: Some("451 4.3.0 later".into()),
                    delay_warned: true,
                },
                reports: vec![report],
                journal: vec![line("relay.deferred")],
            })
            .unwrap();
        assert_eq!(done[0].filed[0].uid, Uid(1));
        let item = store.queue_item(id).unwrap().unwrap();
        assert!(item.held && item.delay_warned && item.lease.is_none());
        assert_eq!((item.attempts, item.item.next_due), (1, Timestamp(500)));
        assert!(item.item.recipients.is_empty());
        assert!(store.queue_due(Timestamp(999), 9).unwrap().is_empty(), "held");
        store.queue_hold(id, false).unwrap();
        assert_eq!(store.queue_next_due().unwrap(), Some(Timestamp(500)));
        store.queue_retry(id, Timestamp(100)).unwrap();
        assert_eq!(store.queue_next_due().unwrap(), Some(Timestamp(100)));
        store.queue_drop(id, vec![line("queue.dropped")]).unwrap();
        assert!(matches!(store.queue_hold(id, true), Err(StoreError::UnknownQueueItem)));
    });
}

#[test]
fn the_journal_answers_by_each_index() {
    TestStore::each(|store| {
        for i in 0..20i64 {
            let mut l = line(if i % 2 == 0 { "smtp.accepted" } else { "trust.refused" });
            l.at = Timestamp(i * 10 - 50);
            l.message_id = Some(format!("m{}", i % 5));
            l.peer_dn = Some(format!("CN=peer{}", i % 4));
            l.domain = (i % 3 == 0).then(domain);
            l.bal = Some(palombe_vocabulary::BalId((i % 2) as u64));
            store.journal_append(vec![l]).unwrap();
        }
        let all = JournalQuery {
            from: None,
            to: None,
            message_id: None,
            peer: None,
            peer_dn: None,
            domain: None,
            event_prefix: None,
            rule_prefix: None,
            bal: None,
            limit: 100,
        };
        let seqs = |q: &JournalQuery| -> Vec<u64> {
            store.journal(q).unwrap().into_iter().map(|(seq, _)| seq).collect()
        };
        assert_eq!(seqs(&all), (1..=20).collect::<Vec<_>>());
        let q = JournalQuery { message_id: Some("m1".into()), ..all.clone() };
        assert_eq!(seqs(&q), [2, 7, 12, 17]);
        let q = JournalQuery { peer_dn: Some("CN=peer1".into()), ..q };
        assert_eq!(seqs(&q), [2]);
        let q = JournalQuery { domain: Some(domain()), limit: 2, ..all.clone() };
        assert_eq!(seqs(&q), [16, 19], "the latest two, oldest first");
        let q = JournalQuery {
            event_prefix: Some("trust.".into()),
            from: Some(Timestamp(0)),
            to: Some(Timestamp(40)),
            ..all.clone()
        };
        assert_eq!(seqs(&q), [6, 8]);
        let bal = Some(palombe_vocabulary::BalId(0));
        assert_eq!(seqs(&JournalQuery { bal, limit: 1, ..all }), [19]);
    });
}

#[test]
fn a_store_opened_again_is_the_same_without_leases() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let store = Store::open(&settings).unwrap();
    let id = bal(&store, "a");
    deliver(&store, id, &vec![9; 400_000]);
    let entry = send(&store, "b.mssante.fr", 0, 10);
    store.queue_claim(&[entry], Timestamp(20), Timestamp(1 << 40)).unwrap();
    let locked = Store::open(&settings);
    assert!(matches!(locked, Err(StoreError::Locked { .. })), "{:?}", locked.err());
    let view = store.view(id, INBOX).unwrap();
    let copy = folder.path().join("copy");
    store.checkpoint(&copy).unwrap();
    assert!(matches!(store.checkpoint(&copy), Err(StoreError::AlreadyExists(_))));
    drop(store);
    for path in [folder.path(), &copy] {
        let store = Store::open(&super::testing::settings(path)).unwrap();
        assert_eq!(store.view(id, INBOX).unwrap(), view);
        assert_eq!(store.queue_due(Timestamp(20), 9).unwrap()[0].id, entry);
        assert_eq!(deliver(&store, id, b"next"), Uid(2));
        assert_clean(&store);
    }
}

#[test]
fn bad_data_folders_are_named_with_their_cure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"not a folder").unwrap();
    let error = Store::open(&settings(&file)).err().unwrap().to_string();
    assert!(error.contains("file") && error.contains("parent"), "{error}");
    let data = folder.path().join("data");
    drop(Store::open(&settings(&data)).unwrap());
    std::fs::write(data.join("CURRENT"), b"MANIFEST-999999\n").unwrap();
    let error = Store::open(&settings(&data)).err().unwrap();
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

#[test]
fn many_claims_at_once_keep_their_order() {
    TestStore::each(|store| {
        bal(store, "a");
        let ids: Vec<QueueId> = (0..20).map(|i| send(store, "b.mssante.fr", 0, i)).collect();
        let claimed = store.queue_claim(&ids, Timestamp(50), Timestamp(90)).unwrap();
        assert_eq!(claimed.iter().map(|c| c.id).collect::<Vec<_>>(), ids);
        let twice = store.queue_claim(&[ids[0], ids[0]], Timestamp(95), Timestamp(99)).unwrap();
        assert_eq!(twice.len(), 1, "one of two claims at once");
        assert_eq!(twice[0].lease.unwrap().fence, 2);
    });
}
