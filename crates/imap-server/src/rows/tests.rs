//! Tables against maps: every change, every difference, ghosts.

use super::{Recents, Table};
use palombe_store::{Changes, Flags, MessageMeta};
use palombe_vocabulary::{ModSeq, Timestamp, Uid};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Map = BTreeMap<u32, MessageMeta>;

fn meta(uid: u32, modseq: u64, bits: u8) -> MessageMeta {
    let words = ["$A", "b", "$Label1"];
    let keywords = words.iter().enumerate().filter(|(at, _)| bits & (32 << at) != 0);
    MessageMeta {
        uid: Uid(uid),
        modseq: ModSeq(modseq),
        flags: Flags {
            seen: bits & 1 != 0,
            answered: bits & 2 != 0,
            flagged: bits & 4 != 0,
            deleted: bits & 8 != 0,
            draft: bits & 16 != 0,
            keywords: keywords.map(|(_, word)| (*word).to_owned()).collect(),
        },
        internal_date: Timestamp(i64::from(uid)),
        size: u64::from(uid) * 3,
        saved_at: Timestamp(-1),
    }
}

fn read_back(table: &Table) -> Map {
    let read = |row: super::Row<'_>| MessageMeta {
        uid: row.uid(),
        modseq: row.modseq(),
        flags: row.flags(),
        internal_date: row.internal_date(),
        size: row.size(),
        saved_at: row.saved_at(),
    };
    table.iter().map(|row| (row.uid().0, read(row))).collect()
}

/// Picks of what is there become flag changes or removals; then so many arrive.
type Step = (Vec<(usize, u8, bool)>, u8);

fn step() -> impl Strategy<Value = Step> {
    (prop::collection::vec((0usize..4000, any::<u8>(), any::<bool>()), 0..40), any::<u8>())
}

fn apply(map: &mut Map, (picks, arrive): &Step, modseq: u64, uid_next: &mut u32) -> Changes {
    let uids: Vec<u32> = map.keys().copied().collect();
    let mut changes = Changes {
        changed: Vec::new(),
        vanished: Vec::new(),
        highest_modseq: ModSeq(modseq),
        uid_next: Uid(0),
    };
    let mut touched = BTreeMap::new();
    for (pick, bits, gone) in picks {
        if let Some(uid) = uids.get(pick % uids.len().max(1)) {
            touched.insert(*uid, (*bits, *gone));
        }
    }
    for (uid, (bits, gone)) in touched {
        if gone {
            map.remove(&uid);
            changes.vanished.push((Uid(uid), Uid(uid)));
        } else {
            map.insert(uid, meta(uid, modseq, bits));
            changes.changed.push(meta(uid, modseq, bits));
        }
    }
    for _ in 0..u32::from(*arrive) * 4 {
        map.insert(*uid_next, meta(*uid_next, modseq, 0));
        changes.changed.push(meta(*uid_next, modseq, 0));
        *uid_next += 1;
    }
    changes.uid_next = Uid(*uid_next);
    changes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn tables_do_what_maps_do(steps in prop::collection::vec(step(), 1..12)) {
        let (mut map, mut table, mut uid_next) = (Map::new(), Table::empty(), 1);
        for (at, step) in steps.iter().enumerate() {
            let before = map.clone();
            let changes = apply(&mut map, step, at as u64 + 1, &mut uid_next);
            let old = table;
            table = old.after(&changes);
            prop_assert_eq!(read_back(&table), map.clone());
            prop_assert_eq!(table.len(), map.len());
            for (index, uid) in map.keys().enumerate() {
                prop_assert_eq!(table.index(*uid), Some(index));
                prop_assert_eq!(table.get(index).map(|row| row.uid().0), Some(*uid));
            }
            let diff = old.diff(&table);
            let gone: Vec<u32> = before.keys().filter(|u| !map.contains_key(u)).copied().collect();
            let other = |uid: &&u32| before.get(uid).is_some_and(|meta| *meta != map[*uid]);
            let changed: Vec<u32> = map.keys().filter(other).copied().collect();
            prop_assert_eq!(&diff.vanished, &gone);
            prop_assert_eq!(&diff.changed, &changed);
            // Ghosts stand where they stood, as they were.
            let haunted = table.with_ghosts(gone.iter().copied(), Some(&old));
            let mut both = map.clone();
            both.extend(gone.iter().map(|uid| (*uid, before[uid].clone())));
            prop_assert_eq!(read_back(&haunted), both);
            // A table read anew has other chunks and the same rows: nothing differs.
            let all = Changes { changed: map.values().cloned().collect(), ..changes };
            let anew = Table::empty().after(&Changes { vanished: Vec::new(), ..all });
            let diff = anew.diff(&table);
            prop_assert!(diff.vanished.is_empty() && diff.changed.is_empty());
        }
    }
}

#[test]
fn recents_are_counted_by_range() {
    let mut recents = Recents::default();
    recents.add(Uid(3), Uid(5));
    recents.add(Uid(5), Uid(6));
    recents.add(Uid(9), Uid(9));
    recents.add(Uid(10), Uid(12));
    let changed = (1..12).map(|uid| meta(uid, 1, 0)).collect();
    let changes =
        Changes { changed, vanished: Vec::new(), highest_modseq: ModSeq(1), uid_next: Uid(12) };
    let table = Table::empty().after(&changes);
    let found: Vec<u32> = (1..13).filter(|uid| recents.contains(*uid)).collect();
    assert_eq!(found, [3, 4, 5, 10, 11]);
    assert_eq!(recents.count(&table), 5);
}
