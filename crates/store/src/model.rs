//! Random sequences of operations on a BAL: both engines must do what a few maps do.

use crate::testing::{TestStore, acceptance, bal, body};
use crate::{Acceptance, Changes, Filing, FlagChange, Flags, FolderView, MessageMeta, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Timestamp, Uid};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Operation {
    File { folder: usize, body: u8, seen: bool },
    Copy { from: usize, picks: Vec<usize>, to: usize },
    Move { from: usize, picks: Vec<usize>, to: usize },
    Flags { folder: usize, picks: Vec<usize>, kind: u8, flags: u8 },
    Expunge { folder: usize, picks: Vec<usize> },
    Create { name: u8 },
    Rename { folder: usize, name: u8 },
    Delete { folder: usize },
    Recent { folder: usize },
    TrimLog { kept: u64 },
}

fn operation() -> impl Strategy<Value = Operation> {
    let folder = 0usize..8;
    let picks = proptest::collection::vec(0usize..12, 0..4);
    prop_oneof![
        4 => (folder.clone(), 0u8..6, any::<bool>())
            .prop_map(|(folder, body, seen)| Operation::File { folder, body, seen }),
        2 => (folder.clone(), picks.clone(), folder.clone())
            .prop_map(|(from, picks, to)| Operation::Copy { from, picks, to }),
        2 => (folder.clone(), picks.clone(), folder.clone())
            .prop_map(|(from, picks, to)| Operation::Move { from, picks, to }),
        3 => (folder.clone(), picks.clone(), 0u8..3, any::<u8>())
            .prop_map(|(folder, picks, kind, flags)| {
                Operation::Flags { folder, picks, kind, flags }
            }),
        2 => (folder.clone(), picks)
            .prop_map(|(folder, picks)| Operation::Expunge { folder, picks }),
        1 => (0u8..4).prop_map(|name| Operation::Create { name }),
        1 => (folder.clone(), 0u8..4).prop_map(|(folder, name)| Operation::Rename { folder, name }),
        1 => folder.clone().prop_map(|folder| Operation::Delete { folder }),
        1 => folder.prop_map(|folder| Operation::Recent { folder }),
        1 => (0u64..6).prop_map(|kept| Operation::TrimLog { kept }),
    ]
}

#[derive(Clone, Debug, Default)]
struct ModelFolder {
    name: String,
    last_uid: u32,
    recent: u32,
    messages: BTreeMap<Uid, (u8, Flags)>,
}

#[derive(Clone, Debug)]
struct Model {
    folders: BTreeMap<FolderId, ModelFolder>,
}

fn flags_of(bits: u8) -> Flags {
    let mut keywords = Vec::new();
    if bits & 32 != 0 {
        keywords.push("$A".to_owned());
    }
    if bits & 64 != 0 {
        keywords.push("b".to_owned());
    }
    Flags {
        seen: bits & 1 != 0,
        answered: bits & 2 != 0,
        flagged: bits & 4 != 0,
        deleted: bits & 8 != 0,
        draft: bits & 16 != 0,
        keywords,
    }
}

fn bits_of(flags: &Flags) -> u8 {
    u8::from(flags.seen)
        | u8::from(flags.answered) << 1
        | u8::from(flags.flagged) << 2
        | u8::from(flags.deleted) << 3
        | u8::from(flags.draft) << 4
        | u8::from(flags.keywords.contains(&"$A".to_owned())) << 5
        | u8::from(flags.keywords.contains(&"b".to_owned())) << 6
}

impl Model {
    fn pick(&self, folder: usize) -> FolderId {
        *self.folders.keys().nth(folder % self.folders.len()).unwrap()
    }

    fn uids(&self, folder: FolderId, picks: &[usize]) -> Vec<Uid> {
        let known: Vec<Uid> = self.folders[&folder].messages.keys().copied().collect();
        let mut uids: Vec<Uid> =
            picks.iter().map(|p| known.get(*p).copied().unwrap_or(Uid(900))).collect();
        uids.sort_unstable();
        uids.dedup();
        uids
    }

    fn add(&mut self, folder: FolderId, message: (u8, Flags)) -> Uid {
        let folder = self.folders.get_mut(&folder).unwrap();
        folder.last_uid += 1;
        let uid = Uid(folder.last_uid);
        folder.messages.insert(uid, message);
        uid
    }
}

/// Views known at some modification sequence, brought up to date by `changes` only.
type Known = BTreeMap<FolderId, (ModSeq, BTreeMap<Uid, MessageMeta>)>;

struct Run<'a> {
    store: &'a TestStore,
    bal: BalId,
    known: Known,
}

fn octets(body: u8) -> Vec<u8> {
    vec![body; 40 + usize::from(body) * 60_000]
}

impl Run<'_> {
    /// Does it in the store, and says what came of it in words that both engines must share.
    fn apply(&self, operation: &Operation, model: &Model) -> String {
        let (store, bal, now) = (self.store, self.bal, Timestamp(7));
        match operation {
            Operation::File { folder, body: kind, seen } => {
                let filing = Filing {
                    bal,
                    folder: model.pick(*folder),
                    prefix: Vec::new(),
                    flags: Flags { seen: *seen, ..Flags::default() },
                    internal_date: now,
                };
                let blob = body(store, &octets(*kind));
                let message = Acceptance { filings: vec![filing], ..acceptance(blob) };
                format!("{:?}", store.accept(message))
            }
            Operation::Copy { from, picks, to } => {
                let (from, to) = (model.pick(*from), model.pick(*to));
                format!("{:?}", store.copy(bal, from, &model.uids(from, picks), to, now))
            }
            Operation::Move { from, picks, to } => {
                let (from, to) = (model.pick(*from), model.pick(*to));
                format!("{:?}", store.move_to(bal, from, &model.uids(from, picks), to, now))
            }
            Operation::Flags { folder, picks, kind, flags } => {
                let folder = model.pick(*folder);
                let flags = flags_of(*flags);
                let change = match kind {
                    0 => FlagChange::Add(flags),
                    1 => FlagChange::Remove(flags),
                    _ => FlagChange::Replace(flags),
                };
                let uids = model.uids(folder, picks);
                format!("{:?}", store.flags_update(bal, folder, &uids, &change, None))
            }
            Operation::Expunge { folder, picks } => {
                let folder = model.pick(*folder);
                format!("{:?}", store.expunge(bal, folder, &model.uids(folder, picks)))
            }
            Operation::Create { name } => {
                format!("{:?}", store.folder_create(bal, &format!("F{name}"), None, now))
            }
            Operation::Rename { folder, name } => {
                let folder = model.pick(*folder);
                format!("{:?}", store.folder_rename(bal, folder, &format!("F{name}")))
            }
            Operation::Delete { folder } => {
                format!("{:?}", store.folder_delete(bal, model.pick(*folder)))
            }
            Operation::Recent { folder } => {
                format!("{:?}", store.take_recent(bal, model.pick(*folder)))
            }
            Operation::TrimLog { kept } => format!("{:?}", store.trim_log(bal, *kept, 0)),
        }
    }

    /// The store shows what the model holds; `changes` since the last look lead to the same view.
    fn compare(&mut self, model: &Model) {
        let folders = self.store.folders(self.bal).unwrap();
        let ids: Vec<FolderId> = folders.iter().map(|f| f.id).collect();
        assert_eq!(ids, model.folders.keys().copied().collect::<Vec<_>>());
        self.known.retain(|id, _| ids.contains(id));
        for folder in &folders {
            let expected = &model.folders[&folder.id];
            assert_eq!(folder.name, expected.name);
            assert_eq!(folder.uid_next, Uid(expected.last_uid + 1));
            assert_eq!(folder.recent_from, Uid(expected.recent + 1));
            let view = self.store.view(self.bal, folder.id).unwrap();
            let seen: Vec<(Uid, Flags, u64)> =
                view.messages.iter().map(|m| (m.uid, m.flags.clone(), m.size)).collect();
            let size = |body: u8| octets(body).len() as u64;
            let wanted: Vec<(Uid, Flags, u64)> = expected
                .messages
                .iter()
                .map(|(uid, (body, flags))| (*uid, flags.clone(), size(*body)))
                .collect();
            assert_eq!(seen, wanted);
            self.follow(folder.id, &view);
        }
    }

    fn follow(&mut self, folder: FolderId, view: &FolderView) {
        let (since, messages) = self.known.entry(folder).or_insert((ModSeq(0), BTreeMap::new()));
        let changes: Changes = self.store.changes(self.bal, folder, *since).unwrap();
        for (first, last) in changes.vanished {
            messages.retain(|uid, _| *uid < first || *uid > last);
        }
        for meta in changes.changed {
            messages.insert(meta.uid, meta);
        }
        *since = changes.highest_modseq;
        assert_eq!(messages.values().cloned().collect::<Vec<_>>(), view.messages);
        assert!(view.messages.iter().all(|m| m.modseq <= view.highest_modseq));
    }
}

/// What the operation does to the maps.
fn step(model: &mut Model, operation: &Operation, next_folder: &mut u32) {
    match operation {
        Operation::File { folder, body, seen } => {
            let folder = model.pick(*folder);
            model.add(folder, (*body, Flags { seen: *seen, ..Flags::default() }));
        }
        Operation::Copy { from, picks, to } | Operation::Move { from, picks, to } => {
            let moving = matches!(operation, Operation::Move { .. });
            let (from, to) = (model.pick(*from), model.pick(*to));
            for uid in model.uids(from, picks) {
                let source = model.folders.get_mut(&from).unwrap();
                let found = match moving {
                    true => source.messages.remove(&uid),
                    false => source.messages.get(&uid).cloned(),
                };
                if let Some(message) = found {
                    model.add(to, message);
                }
            }
        }
        Operation::Flags { folder, picks, kind, flags } => {
            let folder = model.pick(*folder);
            for uid in model.uids(folder, picks) {
                let folder = model.folders.get_mut(&folder).unwrap();
                if let Some((_, old)) = folder.messages.get_mut(&uid) {
                    let (a, b) = (bits_of(old), flags & 0x7f);
                    *old = flags_of(match kind {
                        0 => a | b,
                        1 => a & !b,
                        _ => b,
                    });
                }
            }
        }
        Operation::Expunge { folder, picks } => {
            let folder = model.pick(*folder);
            for uid in model.uids(folder, picks) {
                model.folders.get_mut(&folder).unwrap().messages.remove(&uid);
            }
        }
        Operation::Create { name } => {
            let name = format!("F{name}");
            if model.folders.values().all(|f| f.name != name) {
                let folder = ModelFolder { name, ..ModelFolder::default() };
                model.folders.insert(FolderId(*next_folder), folder);
                *next_folder += 1;
            }
        }
        Operation::Rename { folder, name } => {
            let (folder, name) = (model.pick(*folder), format!("F{name}"));
            if folder != crate::INBOX && model.folders.values().all(|f| f.name != name) {
                model.folders.get_mut(&folder).unwrap().name = name;
            }
        }
        Operation::Delete { folder } => {
            let folder = model.pick(*folder);
            if folder != crate::INBOX {
                model.folders.remove(&folder);
            }
        }
        Operation::Recent { folder } => {
            let folder = model.pick(*folder);
            let folder = model.folders.get_mut(&folder).unwrap();
            folder.recent = folder.last_uid;
        }
        Operation::TrimLog { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_do_what_the_maps_do(
        operations in proptest::collection::vec(operation(), 1..40),
    ) {
        let stores = [TestStore::memory(), TestStore::rocks()];
        let mut runs: Vec<Run<'_>> = stores
            .iter()
            .map(|store| Run { store, bal: bal(store, "a"), known: Known::new() })
            .collect();
        let first = runs[0].store.folders(runs[0].bal).unwrap();
        let named = |f: crate::Folder| (f.id, ModelFolder { name: f.name, ..Default::default() });
        let mut model = Model { folders: first.into_iter().map(named).collect() };
        let mut next_folder = 7;
        for operation in &operations {
            let before = model.clone();
            step(&mut model, operation, &mut next_folder);
            let told: Vec<String> = runs.iter().map(|run| run.apply(operation, &before)).collect();
            prop_assert_eq!(&told[0], &told[1]);
            for run in &mut runs {
                run.compare(&model);
            }
        }
    }
}

#[test]
fn errors_are_temporary_when_time_may_cure_them() {
    assert!(StoreError::Full.is_temporary() && StoreError::Busy.is_temporary());
    assert!(!StoreError::UnknownBal.is_temporary());
}
