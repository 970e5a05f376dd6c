//! `\Seen` of each member where a BAL keeps them apart. The BAL's own login keeps the flag in the message row; a member
//! has a row for each message that it marked, with the modification sequence of that change, and a count per folder.

use crate::directory::counter;
use crate::draft::{Draft, FiledSteps};
use crate::engine::{Batch, Direction, Durability, EngineError, Reader, Slot, Space, When, after};
use crate::keys::{self, sharing};
use crate::rows::{self, MetaRow};
use crate::{FlagOutcome, FlagUpdate, Flags, MessageMeta, SeenMode, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Uid};
use std::collections::BTreeMap;

const VERSION: u8 = 1;
/// Where the modification sequence stands in a row.
const MODSEQ_AT: usize = 1;
/// Field of the counter row: messages that the member has seen.
pub(crate) const SEEN: usize = 0;

/// What a member made of one message; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnSeen {
    pub(crate) modseq: u64,
    pub(crate) seen: bool,
}

impl OwnSeen {
    pub(crate) fn decode(row: &[u8]) -> Result<OwnSeen, EngineError> {
        match row {
            [VERSION, .., seen @ (0 | 1)] if row.len() == 10 => {
                Ok(OwnSeen { modseq: keys::u64_at(row, MODSEQ_AT).unwrap_or(0), seen: *seen == 1 })
            }
            _ => Err(rows::damaged("an own seen row")),
        }
    }

    /// The message row as this member sees it.
    pub(crate) fn over(self, row: &MetaRow) -> MetaRow {
        let flags = Flags { seen: self.seen, ..row.flags.clone() };
        MetaRow { flags, modseq: row.modseq.max(self.modseq), ..row.clone() }
    }

    fn over_meta(self, mut meta: MessageMeta) -> MessageMeta {
        meta.flags.seen = self.seen;
        meta.modseq = meta.modseq.max(ModSeq(self.modseq));
        meta
    }
}

fn row_with(seen: bool) -> Vec<u8> {
    let mut row = vec![VERSION];
    row.extend_from_slice(&[0; 8]);
    row.push(u8::from(seen));
    row
}

/// One folder as one member sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) bal: BalId,
    pub(crate) folder: FolderId,
    pub(crate) member: BalId,
}

impl View {
    fn key(self, uid: Uid) -> Vec<u8> {
        sharing::own_seen(self.bal, self.folder, self.member, uid)
    }

    pub(crate) fn get(self, reader: &dyn Reader, uid: Uid) -> Result<OwnSeen, EngineError> {
        let row = reader.get(Space::Sharing, &self.key(uid))?;
        row.map_or(Ok(OwnSeen::default()), |row| OwnSeen::decode(&row))
    }

    /// Everything that the member marked here.
    pub(crate) fn all(self, reader: &dyn Reader) -> Result<BTreeMap<Uid, OwnSeen>, EngineError> {
        let from = sharing::own_seen_of(self.bal, self.folder, self.member);
        let mut out = BTreeMap::new();
        reader.scan(Space::Sharing, &from, &after(&from), Direction::Up, &mut |key, row| {
            let uid = keys::u32_at(key, sharing::OWN_SEEN_UID_AT)
                .ok_or_else(|| rows::damaged("an own seen key"))?;
            out.insert(Uid(uid), OwnSeen::decode(row)?);
            Ok(true)
        })?;
        Ok(out)
    }

    pub(crate) fn show(
        self,
        reader: &dyn Reader,
        meta: MessageMeta,
    ) -> Result<MessageMeta, EngineError> {
        Ok(self.get(reader, meta.uid)?.over_meta(meta))
    }

    pub(crate) fn show_from(marks: &BTreeMap<Uid, OwnSeen>, meta: MessageMeta) -> MessageMeta {
        marks.get(&meta.uid).copied().unwrap_or_default().over_meta(meta)
    }

    /// Marks a message for this member alone, or takes the mark away; `old` is what was there.
    pub(crate) fn draft_mark(self, draft: &mut Draft, uid: Uid, old: OwnSeen, seen: bool) {
        let modseq = draft.modseq(self.bal);
        let value = (row_with(seen).into(), vec![Slot::u64(modseq, MODSEQ_AT)]);
        let key = (self.key(uid), Vec::new());
        draft.batch.put_slots(Space::Sharing, key, value, When::Always);
        self.count(&mut draft.batch, i64::from(seen) - i64::from(old.seen));
        draft.touch(self.bal, self.folder, uid);
    }

    /// Marks a message that the draft files as seen by this member.
    pub(crate) fn draft_arrival(self, draft: &mut Draft, filed: &FiledSteps) {
        let value = (row_with(true).into(), vec![Slot::u64(filed.modseq, MODSEQ_AT)]);
        let slot = Slot::u32(filed.uid, sharing::OWN_SEEN_UID_AT);
        let key = (self.key(Uid(0)), vec![slot]);
        draft.batch.put_slots(Space::Sharing, key, value, When::Always);
        self.count(&mut draft.batch, 1);
    }

    fn count(self, batch: &mut Batch, add: i64) {
        if add != 0 {
            let key = keys::own_counters(self.bal, self.folder, self.member);
            batch.step_new(&key, SEEN, add);
        }
    }

    /// Forgets everything that the member marked here.
    pub(crate) fn draft_forget(self, batch: &mut Batch) {
        let rows = sharing::own_seen_of(self.bal, self.folder, self.member);
        batch.delete_range(Space::Sharing, rows.clone(), after(&rows));
        batch.counter_delete(keys::own_counters(self.bal, self.folder, self.member));
    }
}

impl Store {
    /// The member whose own `\Seen` counts when `who` looks into a BAL. Memory only.
    pub fn own_viewer(&self, bal: BalId, who: BalId) -> Option<BalId> {
        let sharing = self.inner.sharing.read();
        let own = bal != who && sharing.options(bal).seen == SeenMode::Own;
        (own && sharing.member(bal, who).is_some()).then_some(who)
    }

    /// Changes flags in the name of a member that has its own `\Seen`.
    pub(crate) fn flags_update_own(
        &self,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
        update: &FlagUpdate,
    ) -> Result<FlagOutcome, StoreError> {
        let _edit = self.inner.edit(bal);
        let seen = self.seen(bal, folder, uids)?;
        let mut outcome = FlagOutcome::default();
        let mut draft = self.draft(Durability::Synced);
        draft.edits(bal, seen.edit);
        let view = self.own_view((bal, folder), update.deed.as_ref(), &mut draft)?;
        let mut new_modseq = Vec::new();
        for (uid, row) in seen.messages {
            let own = view.map(|view| self.inner.read(|r| view.get(r, uid))).transpose()?;
            let shown = own.map_or_else(|| row.clone(), |own| own.over(&row));
            if update.unchanged_since.is_some_and(|since| shown.modseq > since.0) {
                outcome.conflicts.push(uid);
                continue;
            }
            let flags = update.scope.cut(&shown.flags, update.change.applied_to(&shown.flags)?);
            if flags != shown.flags {
                let mut shared = flags.clone();
                if let (Some(view), Some(own)) = (view, own) {
                    shared.seen = row.flags.seen;
                    if flags.seen != own.seen {
                        view.draft_mark(&mut draft, uid, own, flags.seen);
                    }
                }
                if shared != row.flags {
                    draft.flag(bal, folder, uid, (&row, &shared));
                }
                new_modseq.push(outcome.changed.len());
            }
            outcome.changed.push(MetaRow { flags, ..shown }.meta(uid));
        }
        if !new_modseq.is_empty() {
            if let Some(deed) = &update.deed {
                let told: Vec<Uid> = new_modseq.iter().map(|at| outcome.changed[*at].uid).collect();
                deed.tell_flags(&mut draft, (bal, folder), &told, &update.change);
            }
            let step = draft.modseq(bal);
            let modseq = ModSeq(self.inner.commit(draft)?.steps.u64(step));
            for at in new_modseq {
                outcome.changed[at].modseq = modseq;
            }
        }
        Ok(outcome)
    }

    /// How many messages of a folder that holds so many this member has not seen.
    ///
    /// # Errors
    /// The engine's.
    pub fn own_unseen(
        &self,
        (bal, folder): (BalId, FolderId),
        member: BalId,
        messages: u64,
    ) -> Result<u64, StoreError> {
        let key = keys::own_counters(bal, folder, member);
        let seen = self.inner.read(|r| counter(r, &key, SEEN))?.unwrap_or(0);
        Ok(messages.saturating_sub(seen.unsigned_abs()))
    }

    /// What members marked of messages that go, goes with them.
    pub(crate) fn draft_marks_gone(
        &self,
        draft: &mut Draft,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
    ) -> Result<(), StoreError> {
        if self.sharing_options(bal).seen != SeenMode::Own {
            return Ok(());
        }
        for member in self.members(bal) {
            let view = View { bal, folder, member: member.member };
            for uid in uids {
                let key = view.key(*uid);
                let row = self.inner.read(|r| r.get(Space::Sharing, &key))?;
                let Some(row) = row else { continue };
                view.count(&mut draft.batch, -i64::from(OwnSeen::decode(&row)?.seen));
                draft.batch.delete(Space::Sharing, key);
            }
        }
        Ok(())
    }

    /// Everything that members marked in a BAL, folder by folder.
    pub(crate) fn draft_forget_marks(
        &self,
        batch: &mut Batch,
        bal: BalId,
        members: &[BalId],
    ) -> Result<(), StoreError> {
        let folders = self.inner.read(|r| crate::folder::rows_of(r, bal))?;
        for (folder, _) in folders {
            for member in members {
                View { bal, folder, member: *member }.draft_forget(batch);
            }
        }
        Ok(())
    }

    /// What members keep for themselves in a BAL: marks and annotations.
    pub(crate) fn draft_forget_own(
        &self,
        batch: &mut Batch,
        bal: BalId,
        member: BalId,
    ) -> Result<(), StoreError> {
        self.draft_forget_marks(batch, bal, &[member])?;
        let folders = self.inner.read(|r| crate::folder::rows_of(r, bal))?;
        let folders = folders.into_iter().map(|(folder, _)| folder);
        for folder in folders.chain([FolderId(0)]) {
            let rows = sharing::annotations(bal, folder, member);
            batch.delete_range(Space::Sharing, rows.clone(), after(&rows));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestStore, bal};
    use crate::*;
    use palombe_vocabulary::{BalId, ModSeq, Timestamp, Uid};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    struct Team {
        team: BalId,
        members: [BalId; 2],
    }

    fn team(store: &Store) -> Team {
        let (team, a, b) = (bal(store, "equipe"), bal(store, "a"), bal(store, "b"));
        for member in [a, b] {
            store.member_set((team, member), MemberRights::WRITE, NOW, &[]).unwrap();
        }
        let own = SharingOptions { seen: SeenMode::Own };
        store.sharing_options_set(team, own, &[]).unwrap();
        Team { team, members: [a, b] }
    }

    fn file(store: &Store, bal: BalId) -> Uid {
        let mut spool = store.spool();
        spool.write(b"corps").unwrap();
        let blob = spool.finish().unwrap();
        let flags = Flags::default();
        let prefix = Vec::new();
        let filing = Filing { bal, folder: INBOX, prefix, flags, internal_date: NOW };
        store.file(filing, blob, vec![1], Vec::new(), NOW).unwrap().uid
    }

    fn deed(store: &Store, member: BalId) -> Deed {
        let by = store.bal(member).unwrap().unwrap().address;
        Deed { member, by, session: None, at: NOW }
    }

    fn mark(store: &Store, team: BalId, who: BalId, uid: Uid, change: FlagChange) {
        let deed = (who != team).then(|| deed(store, who));
        let scope = FlagScope::ALL;
        let update = FlagUpdate { change, unchanged_since: None, scope, deed };
        store.flags_update_by((team, INBOX), &[uid], &update).unwrap();
    }

    fn seen() -> Flags {
        Flags { seen: true, ..Flags::default() }
    }

    fn unseen(store: &Store, team: BalId, who: BalId) -> u64 {
        let folder = store.folders(team).unwrap().into_iter().find(|f| f.id == INBOX).unwrap();
        match store.own_viewer(team, who) {
            None => folder.unseen,
            Some(member) => store.own_unseen((team, INBOX), member, folder.messages).unwrap(),
        }
    }

    fn looks(store: &Store, team: BalId, who: BalId) -> Vec<(u32, bool, bool)> {
        let mut out = Vec::new();
        store
            .scan_folder_for((team, INBOX), store.own_viewer(team, who), &mut |meta| {
                out.push((meta.uid.0, meta.flags.seen, meta.flags.flagged));
            })
            .unwrap();
        out
    }

    #[test]
    fn what_one_has_seen_others_have_not() {
        TestStore::each(|store| {
            let Team { team, members: [a, b] } = team(store);
            let (one, two) = (file(store, team), file(store, team));
            let before = store.view(team, INBOX).unwrap().highest_modseq;
            mark(store, team, a, one, FlagChange::Add(seen()));
            assert_eq!(looks(store, team, a), [(1, true, false), (2, false, false)]);
            for other in [b, team] {
                assert_eq!(looks(store, team, other), [(1, false, false), (2, false, false)]);
                assert_eq!(unseen(store, team, other), 2);
                let viewer = store.own_viewer(team, other);
                let changes = store.changes_for((team, INBOX), before, viewer).unwrap();
                assert_eq!(changes.changed, []);
                assert!(changes.highest_modseq > before);
            }
            assert_eq!(unseen(store, team, a), 1);
            let mine = store.changes_for((team, INBOX), before, Some(a)).unwrap();
            assert_eq!(mine.changed.len(), 1);
            assert!(mine.changed[0].flags.seen && mine.changed[0].modseq > before);
            // Everything else is one for all.
            let flagged = Flags { flagged: true, ..Flags::default() };
            mark(store, team, b, two, FlagChange::Add(flagged));
            assert_eq!(looks(store, team, a), [(1, true, false), (2, false, true)]);
            // A message takes its marks along, and what is copied to one's own BAL keeps them.
            let what = Carriage {
                mode: CarryMode::Move,
                from: (team, INBOX),
                uids: vec![one],
                to: (a, INBOX),
                scope: FlagScope::ALL,
                deed: Some(deed(store, a)),
            };
            store.carry(&what, NOW).unwrap();
            assert!(store.view(a, INBOX).unwrap().messages[0].flags.seen);
            assert_eq!(unseen(store, team, a), 1);
            let back = Carriage { from: (a, INBOX), to: (team, INBOX), ..what };
            store.carry(&back, NOW).unwrap();
            assert_eq!(looks(store, team, a), [(2, false, true), (3, true, false)]);
            assert_eq!(looks(store, team, b), [(2, false, true), (3, false, false)]);
        });
    }

    #[test]
    fn marks_end_with_the_member_the_folder_and_the_mode() {
        TestStore::each(|store| {
            let Team { team, members: [a, b] } = team(store);
            let uid = file(store, team);
            mark(store, team, a, uid, FlagChange::Add(seen()));
            mark(store, team, b, uid, FlagChange::Add(seen()));
            store.member_remove(team, a, &[]).unwrap();
            let gone = FlagUpdate {
                change: FlagChange::Add(seen()),
                unchanged_since: None,
                scope: FlagScope::ALL,
                deed: Some(deed(store, a)),
            };
            let refused = store.flags_update_by((team, INBOX), &[uid], &gone);
            assert!(matches!(refused, Err(StoreError::UnknownMember)));
            store.sharing_options_set(team, SharingOptions::default(), &[]).unwrap();
            assert_eq!(looks(store, team, b), [(1, false, false)]);
            store.sharing_options_set(team, SharingOptions { seen: SeenMode::Own }, &[]).unwrap();
            mark(store, team, b, uid, FlagChange::Add(seen()));
            store.bal_delete(b, NOW).unwrap();
            assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
            store.bal_delete(team, NOW).unwrap();
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Two members and the BAL itself on one folder: each sees its own marks, all see the other flags, the counts
        /// are right at each step, and nothing that changed is missing from the changes.
        #[test]
        fn two_members_on_one_folder(
            steps in prop::collection::vec((0..3usize, 0..5u8, 1..6u32), 1..40)
        ) {
            let store = TestStore::memory();
            let Team { team, members: [a, b] } = team(&store);
            let who = [team, a, b];
            let mut model: std::collections::BTreeMap<u32, ([bool; 3], bool)> = Default::default();
            for (actor, action, uid) in steps {
                let before: Vec<ModSeq> =
                    vec![store.view(team, INBOX).unwrap().highest_modseq; 3];
                let old = model.clone();
                match action {
                    0 => {
                        let uid = file(&store, team);
                        model.insert(uid.0, ([false; 3], false));
                    }
                    1 | 2 => {
                        let change = match action {
                            1 => FlagChange::Add(seen()),
                            _ => FlagChange::Remove(seen()),
                        };
                        mark(&store, team, who[actor], Uid(uid), change);
                        if let Some(row) = model.get_mut(&uid) {
                            row.0[actor] = action == 1;
                        }
                    }
                    3 => {
                        let flags = Flags { flagged: true, ..Flags::default() };
                        mark(&store, team, who[actor], Uid(uid), FlagChange::Add(flags));
                        if let Some(row) = model.get_mut(&uid) {
                            row.1 = true;
                        }
                    }
                    _ => {
                        let deed = deed(&store, who[actor]);
                        store.expunge_by((team, INBOX), &[Uid(uid)], Some(&deed)).unwrap();
                        model.remove(&uid);
                    }
                }
                for (at, viewer) in who.iter().enumerate() {
                    let expected: Vec<(u32, bool, bool)> =
                        model.iter().map(|(uid, row)| (*uid, row.0[at], row.1)).collect();
                    prop_assert_eq!(looks(&store, team, *viewer), expected.clone());
                    let left = expected.iter().filter(|row| !row.1).count() as u64;
                    prop_assert_eq!(unseen(&store, team, *viewer), left);
                    let viewer = store.own_viewer(team, *viewer);
                    let changes = store.changes_for((team, INBOX), before[at], viewer).unwrap();
                    for (uid, row) in &model {
                        let was = old.get(uid).map(|old| (old.0[at], old.1));
                        if was != Some((row.0[at], row.1)) {
                            prop_assert!(changes.changed.iter().any(|meta| meta.uid.0 == *uid));
                        }
                    }
                }
            }
            prop_assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
        }
    }
}
