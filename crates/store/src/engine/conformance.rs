//! What every engine must do, run on each.

use super::{
    Backend, Batch, Direction, Durability, Engine, EngineError, Expect, MemoryBackend, Refused,
    RocksBackend, RocksSettings, Slot, Space, StepId, When, after,
};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// A backend and what keeps its folder alive.
type Made = (Arc<dyn Backend>, Option<tempfile::TempDir>);

fn memory() -> Made {
    (Arc::new(MemoryBackend::default()), None)
}

fn rocks() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let settings = RocksSettings {
        path: folder.path().to_owned(),
        cache_bytes: 8 * 1024 * 1024,
        reserve_bytes: 0,
    };
    (Arc::new(RocksBackend::open(settings).unwrap()), Some(folder))
}

fn on_each(test: impl Fn(Arc<dyn Backend>)) {
    for make in [memory, rocks] {
        let (backend, _folder) = make();
        test(backend);
    }
}

fn engine(backend: &Arc<dyn Backend>) -> Engine {
    Engine::start(backend.clone(), true).unwrap()
}

fn synced() -> Batch {
    Batch::new(Durability::Synced)
}

fn put(key: &[u8], value: &[u8]) -> Batch {
    let mut batch = synced();
    batch.put(Space::Queue, key.to_vec(), value.to_vec());
    batch
}

fn keys_of(engine: &Engine, from: &[u8], to: &[u8], direction: Direction) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    engine
        .read(|r| {
            r.scan(Space::Queue, from, to, direction, &mut |key, _| {
                out.push(key.to_vec());
                Ok(true)
            })
        })
        .unwrap();
    out
}

/// Hands in batches while the committer is busy answering another, so that they make one group.
fn group(engine: &Engine, batches: Vec<Batch>) -> Vec<Result<super::Committed, EngineError>> {
    let (go, gone) = channel::<()>();
    let gone = std::sync::Mutex::new(gone);
    let (busy, is_busy) = channel();
    engine.commit_then(
        synced(),
        Box::new(move |_| {
            busy.send(()).unwrap();
            let _ = gone.lock().unwrap().recv();
        }),
    );
    is_busy.recv().unwrap();
    let answers: Vec<Receiver<_>> = batches
        .into_iter()
        .map(|batch| {
            let (tell, told) = channel();
            engine.commit_then(batch, Box::new(move |answer| tell.send(answer).unwrap()));
            told
        })
        .collect();
    go.send(()).unwrap();
    answers.into_iter().map(|told| told.recv().unwrap()).collect()
}

#[test]
fn scans_keep_bounds_and_order() {
    on_each(|backend| {
        let engine = engine(&backend);
        for key in [&b"b"[..], b"a", b"c", b"a\xff", b"a\0"] {
            engine.commit(put(key, key)).unwrap();
        }
        let expected: Vec<Vec<u8>> =
            vec![b"a".to_vec(), b"a\0".to_vec(), b"a\xff".to_vec(), b"b".to_vec()];
        assert_eq!(keys_of(&engine, b"a", b"c", Direction::Up), expected);
        let mut down = keys_of(&engine, b"a", b"c", Direction::Down);
        down.reverse();
        assert_eq!(down, expected);
        assert_eq!(keys_of(&engine, b"c", b"c", Direction::Up), Vec::<Vec<u8>>::new());
        assert_eq!(keys_of(&engine, b"a", &after(b"a"), Direction::Up).len(), 3);
        // Spaces do not mix.
        assert_eq!(engine.get(Space::Directory, b"a").unwrap(), None);
        assert_eq!(engine.get(Space::Queue, b"a").unwrap(), Some(b"a".to_vec()));
    });
}

#[test]
fn a_refused_batch_leaves_nothing_and_spoils_nobody() {
    on_each(|backend| {
        let engine = engine(&backend);
        engine.commit(put(b"there", b"1")).unwrap();
        let mut refused = put(b"refused", b"x");
        refused.expect(Expect::Present(Space::Queue, b"there".to_vec()));
        refused.expect(Expect::Absent(Space::Queue, b"there".to_vec()));
        refused.step_new(b"n", 0, 5);
        let mut equal = put(b"equal", b"x");
        equal.expect(Expect::Equals(Space::Queue, b"there".to_vec(), b"1".to_vec()));
        let answers = group(&engine, vec![put(b"one", b"1"), refused, put(b"two", b"2"), equal]);
        assert!(answers[0].is_ok() && answers[2].is_ok() && answers[3].is_ok());
        let why = Err(EngineError::Refused(Refused::Expectation(1)));
        assert_eq!(answers[1], why);
        assert_eq!(engine.get(Space::Queue, b"refused").unwrap(), None);
        let mut n = synced();
        let step = n.step_new(b"n", 0, 1);
        assert_eq!(engine.commit(n).unwrap().steps.u64(step), 1);
    });
}

#[test]
fn later_batches_of_a_group_see_earlier_ones() {
    on_each(|backend| {
        let engine = engine(&backend);
        let key = || b"k".to_vec();
        let mut second = put(b"k", b"2");
        second.expect(Expect::Absent(Space::Queue, key()));
        let mut third = synced();
        third.expect(Expect::Equals(Space::Queue, key(), b"1".to_vec()));
        third.delete(Space::Queue, key());
        let mut fourth = put(b"ka", b"4");
        fourth.expect(Expect::NoneUnder(Space::Queue, key()));
        let mut fifth = synced();
        fifth.expect(Expect::NoneUnder(Space::Queue, key()));
        let answers = group(&engine, vec![put(b"k", b"1"), second, third, fourth, fifth]);
        let held: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(held, [true, false, true, true, false]);
        let mut range = synced();
        range.delete_range(Space::Queue, b"k".to_vec(), b"l".to_vec());
        let mut empty = put(b"kz", b"1");
        empty.expect(Expect::NoneUnder(Space::Queue, key()));
        let answers = group(&engine, vec![range, empty]);
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(keys_of(&engine, b"k", b"l", Direction::Up), [b"kz".to_vec()]);
    });
}

#[test]
fn counters_step_in_order_and_fill_slots() {
    on_each(|backend| {
        let engine = engine(&backend);
        let batch = || {
            let mut batch = synced();
            let uid = batch.step_new(b"f", 0, 1);
            let modseq = batch.step_new(b"b", 2, 1);
            batch.same(b"f", 1, modseq);
            let next = batch.step(b"f", 0, 1);
            batch.put_slots(
                Space::Queue,
                (b"m....".to_vec(), vec![Slot::u32(uid, 1)]),
                (vec![9; 13].into(), vec![Slot::u64(modseq, 1), Slot::u32(next, 9)]),
                When::Always,
            );
            batch
        };
        assert_eq!(engine.commit(batch()).unwrap().steps.0, [1, 1, 1, 2]);
        let answers = group(&engine, vec![batch(), batch()]);
        assert_eq!(answers[1].as_ref().unwrap().steps.0, [5, 3, 3, 6]);
        let row = engine.get(Space::Queue, b"m\0\0\0\x05").unwrap().unwrap();
        assert_eq!(row, [9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 6]);
        drop(engine);
        // What a new committer reads is what the last one wrote.
        let engine = super::conformance::engine(&backend);
        assert_eq!(engine.commit(batch()).unwrap().steps.0, [7, 4, 4, 8]);
    });
}

#[test]
fn counters_refuse_what_they_were_told_to() {
    on_each(|backend| {
        let engine = engine(&backend);
        let refused = |change: &dyn Fn(&mut Batch)| {
            let mut batch = synced();
            change(&mut batch);
            match engine.commit(batch) {
                Err(EngineError::Refused(why)) => Some(why),
                _ => None,
            }
        };
        let missing = refused(&|b| {
            b.step(b"c", 0, 1);
        });
        assert_eq!(missing, Some(Refused::Missing(StepId(0))));
        let made = refused(&|b| {
            let s = b.step_new(b"c", 0, 10);
            b.at_most(s, 10);
        });
        assert_eq!(made, None);
        let large = refused(&|b| {
            b.step(b"c", 1, 1);
            let s = b.step(b"c", 0, 1);
            b.at_most(s, 10);
        });
        assert_eq!(large, Some(Refused::TooLarge(StepId(1))));
        let changed = refused(&|b| {
            let s = b.step(b"c", 0, 1);
            b.was(s, 9);
        });
        assert_eq!(changed, Some(Refused::Changed(StepId(0))));
        let wide = refused(&|b| {
            let s = b.step(b"c", 0, 1 << 40);
            b.put_slots(
                Space::Queue,
                (vec![0; 4], vec![Slot::u32(s, 0)]),
                (Vec::new().into(), Vec::new()),
                When::Always,
            );
        });
        assert_eq!(wide, Some(Refused::Overflow(StepId(0))));
        let raised = refused(&|b| {
            b.raise(b"c", 0, 5);
            let s = b.raise(b"c", 0, 50);
            let s = b.same(b"c", 3, s);
            b.was(s, 0);
            let s = b.step(b"c", 3, 0);
            b.was(s, 50);
        });
        assert_eq!(raised, None);
        let gone = refused(&|b| b.counter_delete(b"c".to_vec()));
        assert_eq!(gone, None);
        let missing = refused(&|b| {
            b.step(b"c", 0, 1);
        });
        assert_eq!(missing, Some(Refused::Missing(StepId(0))));
        assert_eq!(backend.get(Space::Counters, b"c").unwrap(), None);
    });
}

#[test]
fn guards_choose_between_first_and_again() {
    on_each(|backend| {
        let engine = engine(&backend);
        let body = |piece: &[u8]| {
            let mut batch = synced();
            let known = batch.guard(Space::Blobs, b"digest".to_vec());
            batch.put_when(When::Absent(known), Space::Blobs, b"digest".to_vec(), piece.to_vec());
            batch.put(Space::Queue, piece.to_vec(), Vec::new());
            batch.delete_when(When::Present(known), Space::Queue, piece.to_vec());
            batch
        };
        let answers = group(&engine, vec![body(b"1"), body(b"2")]);
        let guards: Vec<bool> = answers.iter().map(|a| a.as_ref().unwrap().guards[0]).collect();
        assert_eq!(guards, [false, true]);
        assert!(engine.commit(body(b"3")).unwrap().guards[0]);
        assert_eq!(engine.get(Space::Blobs, b"digest").unwrap(), Some(b"1".to_vec()));
        assert_eq!(keys_of(&engine, b"0", b"9", Direction::Up), [b"1".to_vec()]);
    });
}

#[test]
fn crowds_share_groups_and_never_a_number() {
    on_each(|backend| {
        let engine = engine(&backend);
        let (threads, each) = (8, 100);
        let mut numbers: Vec<u64> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let one = || {
                            let mut batch = synced();
                            let step = batch.step_new(b"n", 0, 1);
                            engine.commit(batch).unwrap().steps.u64(step)
                        };
                        (0..each).map(|_| one()).collect::<Vec<_>>()
                    })
                })
                .collect();
            workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=threads * each).collect::<Vec<u64>>());
    });
}

#[test]
fn a_snapshot_stays_as_it_was() {
    on_each(|backend| {
        let engine = engine(&backend);
        let pair = |value: u8| {
            let mut batch = synced();
            batch.put(Space::Queue, b"a".to_vec(), vec![value]);
            batch.put(Space::Directory, b"b".to_vec(), vec![value]);
            batch
        };
        engine.commit(pair(0)).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (1..100).for_each(|v| drop(engine.commit(pair(v)))));
            while !writer.is_finished() {
                let (a, b) = engine
                    .read(|r| Ok((r.get(Space::Queue, b"a")?, r.get(Space::Directory, b"b")?)))
                    .unwrap();
                assert_eq!(a, b);
            }
        });
    });
}

#[test]
fn closing_answers_everybody() {
    on_each(|backend| {
        let engine = engine(&backend);
        let (tell, told) = channel();
        for i in 0..50u8 {
            let tell = tell.clone();
            engine.commit_then(put(&[i], b""), Box::new(move |a| tell.send(a.is_ok()).unwrap()));
        }
        drop((engine, tell));
        assert_eq!(told.iter().filter(|ok| *ok).count(), 50);
    });
}

#[test]
fn a_failed_write_is_an_answer_and_the_engine_comes_back() {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let engine = engine(&backend);
    let step = || {
        let mut batch = synced();
        let step = batch.step_new(b"n", 0, 1);
        (batch, step)
    };
    let (batch, id) = step();
    assert_eq!(engine.commit(batch).unwrap().steps.u64(id), 1);
    *memory.failure.lock() = Some(EngineError::Full);
    let answers = group(&engine, vec![step().0, step().0]);
    assert!(answers.iter().all(|a| *a == Err(EngineError::Full)));
    assert_eq!(engine.commit(step().0), Err(EngineError::Full));
    assert!(engine.write_unreferenced(&[]).is_err());
    assert!(engine.get(Space::Counters, b"n").unwrap().is_some(), "reads go on");
    *memory.failure.lock() = None;
    let number = loop {
        let (batch, id) = step();
        match engine.commit(batch) {
            Ok(committed) => break committed.steps.u64(id),
            Err(error) => assert_eq!(error, EngineError::Full),
        }
    };
    assert_eq!(number, 2, "numbers of failed batches were not kept");
}
