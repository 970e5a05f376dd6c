//! Members of a BAL: other BAL that may open it, and how a shared BAL behaves. All of it stays in memory: the
//! question "may this one?" never reads the disk.

use crate::acl::{self, AclEntry};
use crate::draft::Draft;
use crate::engine::{Direction, Durability, EngineError, Reader, Space, after};
use crate::keys::sharing;
use crate::limits::{MEMBERS_MAX, MEMBERSHIPS_MAX};
use crate::rows;
use crate::{FolderRights, INBOX, JournalLine, MemberRights, News, Store, StoreError};
use palombe_vocabulary::{BalId, BalStatus, FolderId, ModSeq, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A BAL that may open another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The BAL that is opened.
    pub bal: BalId,
    /// The BAL that opens it.
    pub member: BalId,
    /// What it may do there.
    pub rights: MemberRights,
    /// Since when.
    pub since: Timestamp,
}

/// Whose `\Seen` a member of a shared BAL sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeenMode {
    /// One for all.
    #[default]
    Shared,
    /// Each member its own.
    Own,
}

/// How a shared BAL behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharingOptions {
    /// Whose `\Seen`.
    pub seen: SeenMode,
}

#[derive(Serialize, Deserialize)]
struct MemberRow {
    rights: MemberRights,
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct OptionsRow {
    seen: SeenMode,
}

/// Takes a row in.
type Take<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), EngineError>;

/// Everything about sharing but what is one member's own.
#[derive(Default)]
pub(crate) struct Sharing {
    members: BTreeMap<(BalId, BalId), Member>,
    /// Member first.
    memberships: BTreeSet<(BalId, BalId)>,
    options: BTreeMap<BalId, SharingOptions>,
    pub(crate) acl: BTreeMap<(BalId, FolderId, BalId), FolderRights>,
}

impl Sharing {
    pub(crate) fn load(reader: &dyn Reader) -> Result<Sharing, EngineError> {
        let mut sharing = Sharing::default();
        let each = |kind: u8, take: Take<'_>| {
            let from = [kind];
            reader.scan(Space::Sharing, &from, &after(&from), Direction::Up, &mut |key, value| {
                take(key, value).map(|()| true)
            })
        };
        each(sharing::MEMBER, &mut |key, value| {
            sharing.put(member_of(key, value)?);
            Ok(())
        })?;
        each(sharing::OPTIONS, &mut |key, value| {
            let bal = sharing::bal_of(key).ok_or_else(|| rows::damaged("an options key"))?;
            sharing.options.insert(bal, options_of(value)?);
            Ok(())
        })?;
        each(sharing::ACL, &mut |key, value| {
            let entry = acl::entry_of(key, value)?;
            sharing.acl.insert((entry.bal, entry.folder, entry.member), entry.rights);
            Ok(())
        })?;
        Ok(sharing)
    }

    fn put(&mut self, member: Member) {
        self.memberships.insert((member.member, member.bal));
        self.members.insert((member.bal, member.member), member);
    }

    pub(crate) fn remove(&mut self, bal: BalId, member: BalId) {
        self.members.remove(&(bal, member));
        self.memberships.remove(&(member, bal));
    }

    pub(crate) fn member(&self, bal: BalId, member: BalId) -> Option<&Member> {
        self.members.get(&(bal, member))
    }

    fn of_bal(&self, bal: BalId) -> impl Iterator<Item = &Member> {
        self.members.range((bal, BalId(0))..=(bal, BalId(u64::MAX))).map(|(_, member)| member)
    }

    fn of_member(&self, member: BalId) -> impl Iterator<Item = &Member> {
        let range = (member, BalId(0))..=(member, BalId(u64::MAX));
        self.memberships.range(range).filter_map(|(member, bal)| self.member(*bal, *member))
    }

    pub(crate) fn options(&self, bal: BalId) -> SharingOptions {
        self.options.get(&bal).copied().unwrap_or_default()
    }

    /// Explicit rights in the folders of a BAL.
    pub(crate) fn acl_of_bal(&self, bal: BalId) -> impl Iterator<Item = AclEntry> {
        let to = (bal, FolderId(u32::MAX), BalId(u64::MAX));
        self.acl.range((bal, FolderId(0), BalId(0))..=to).map(acl::entry)
    }

    /// Explicit rights in one folder.
    pub(crate) fn acl_of_folder(
        &self,
        bal: BalId,
        folder: FolderId,
    ) -> impl Iterator<Item = AclEntry> {
        let range = (bal, folder, BalId(0))..=(bal, folder, BalId(u64::MAX));
        self.acl.range(range).map(acl::entry)
    }

    /// Forgets everything about a BAL that is deleted, as owner and as member.
    pub(crate) fn forget_bal(&mut self, bal: BalId) {
        let gone = |owner: BalId, member: BalId| owner == bal || member == bal;
        self.members.retain(|(owner, member), _| !gone(*owner, *member));
        self.memberships.retain(|(member, owner)| !gone(*owner, *member));
        self.acl.retain(|(owner, _, member), _| !gone(*owner, *member));
        self.options.remove(&bal);
    }
}

pub(crate) fn member_of(key: &[u8], value: &[u8]) -> Result<Member, EngineError> {
    let bad = || rows::damaged("a member key");
    let (bal, member) = sharing::member_parts(key).ok_or_else(bad)?;
    let row: MemberRow = rows::decode(value, "a member row")?;
    Ok(Member { bal, member, rights: row.rights, since: row.since })
}

pub(crate) fn options_of(value: &[u8]) -> Result<SharingOptions, EngineError> {
    let row: OptionsRow = rows::decode(value, "an options row")?;
    Ok(SharingOptions { seen: row.seen })
}

/// Draws up the removal of a BAL's rows about sharing, as owner and as member.
pub(crate) fn draft_forget(sharing: &Sharing, batch: &mut crate::engine::Batch, bal: BalId) {
    for kind in sharing::KINDS {
        let own = sharing::bal_rows(kind, bal);
        batch.delete_range(Space::Sharing, own.clone(), after(&own));
    }
    for member in sharing.of_bal(bal) {
        let wanted = sharing::subscriptions(member.member, bal);
        batch.delete_range(Space::Sharing, wanted.clone(), after(&wanted));
    }
    for member in sharing.of_member(bal) {
        batch.delete(Space::Sharing, sharing::member(member.bal, bal));
        for entry in sharing.acl_of_bal(member.bal).filter(|entry| entry.member == bal) {
            let key = sharing::acl(entry.bal, entry.folder, entry.member);
            batch.delete(Space::Sharing, key);
        }
    }
}

impl Store {
    /// Makes a BAL a member of another, or gives a member other rights. The journal tells it in the same batch.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`] for either, [`StoreError::OwnMember`], [`StoreError::TooMany`], or the engine's.
    pub fn member_set(
        &self,
        (bal, member): (BalId, BalId),
        rights: MemberRights,
        now: Timestamp,
        journal: &[JournalLine],
    ) -> Result<Member, StoreError> {
        let _admin = self.administer()?;
        let mut draft = self.draft(Durability::Synced);
        let member = self.draft_member(&mut draft, (bal, member), rights, now)?;
        journal.iter().for_each(|line| draft.line(line));
        self.inner.commit(draft)?;
        self.inner.sharing.write().put(member);
        self.tell_sharing(bal, member.member);
        Ok(member)
    }

    /// Under the lock of the directory.
    pub(crate) fn draft_member(
        &self,
        draft: &mut Draft,
        (bal, member): (BalId, BalId),
        rights: MemberRights,
        now: Timestamp,
    ) -> Result<Member, StoreError> {
        self.living_bal(bal)?;
        self.living_bal(member)?;
        if bal == member {
            return Err(StoreError::OwnMember);
        }
        let sharing = self.inner.sharing.read();
        let known = sharing.member(bal, member);
        if known.is_none() && sharing.of_bal(bal).count() >= MEMBERS_MAX {
            return Err(StoreError::TooMany("members of the BAL"));
        }
        if known.is_none() && sharing.of_member(member).count() >= MEMBERSHIPS_MAX {
            return Err(StoreError::TooMany("BAL of which it is a member"));
        }
        let since = known.map_or(now, |known| known.since);
        let row = rows::encode(&MemberRow { rights, since })?;
        draft.batch.put(Space::Sharing, sharing::member(bal, member), row);
        Ok(Member { bal, member, rights, since })
    }

    pub(crate) fn put_member(&self, member: Member) {
        self.inner.sharing.write().put(member);
    }

    /// Takes a member out, with what folders and the member's own rows say of it.
    ///
    /// # Errors
    /// [`StoreError::UnknownMember`], or the engine's.
    pub fn member_remove(
        &self,
        bal: BalId,
        member: BalId,
        journal: &[JournalLine],
    ) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        let _edit = self.inner.edit(bal);
        let mut draft = self.draft(Durability::Synced);
        let entries: Vec<AclEntry> = {
            let sharing = self.inner.sharing.read();
            sharing.member(bal, member).ok_or(StoreError::UnknownMember)?;
            sharing.acl_of_bal(bal).filter(|entry| entry.member == member).collect()
        };
        draft.batch.delete(Space::Sharing, sharing::member(bal, member));
        self.draft_forget_own(&mut draft.batch, bal, member)?;
        let wanted = sharing::subscriptions(member, bal);
        draft.batch.delete_range(Space::Sharing, wanted.clone(), after(&wanted));
        for entry in &entries {
            draft.batch.delete(Space::Sharing, sharing::acl(bal, entry.folder, member));
        }
        journal.iter().for_each(|line| draft.line(line));
        self.inner.commit(draft)?;
        {
            let mut sharing = self.inner.sharing.write();
            sharing.remove(bal, member);
            for entry in entries {
                sharing.acl.remove(&(bal, entry.folder, member));
            }
        }
        self.tell_sharing(bal, member);
        Ok(())
    }

    /// The members of a BAL, by number. Memory only.
    pub fn members(&self, bal: BalId) -> Vec<Member> {
        self.inner.sharing.read().of_bal(bal).copied().collect()
    }

    /// The BAL of which this one is a member, by number. Memory only.
    pub fn memberships(&self, member: BalId) -> Vec<Member> {
        self.inner.sharing.read().of_member(member).copied().collect()
    }

    /// Memory only.
    pub fn member(&self, bal: BalId, member: BalId) -> Option<Member> {
        self.inner.sharing.read().member(bal, member).copied()
    }

    /// How a shared BAL behaves. Memory only.
    pub fn sharing_options(&self, bal: BalId) -> SharingOptions {
        self.inner.sharing.read().options(bal)
    }

    /// Changes how a shared BAL behaves.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn sharing_options_set(
        &self,
        bal: BalId,
        options: SharingOptions,
        journal: &[JournalLine],
    ) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        let _edit = self.inner.edit(bal);
        self.living_bal(bal)?;
        let mut draft = self.draft(Durability::Synced);
        if options.seen == SeenMode::Shared {
            let members: Vec<BalId> = self.members(bal).iter().map(|m| m.member).collect();
            self.draft_forget_marks(&mut draft.batch, bal, &members)?;
        }
        let row = rows::encode(&OptionsRow { seen: options.seen })?;
        draft.batch.put(Space::Sharing, sharing::bal_rows(sharing::OPTIONS, bal), row);
        journal.iter().for_each(|line| draft.line(line));
        self.inner.commit(draft)?;
        self.inner.sharing.write().options.insert(bal, options);
        self.inner.tell(&[hint(bal)]);
        Ok(())
    }

    /// Folders of other BAL that a member wants in LSUB.
    ///
    /// # Errors
    /// The engine's.
    pub fn subscriptions(&self, member: BalId) -> Result<BTreeSet<(BalId, FolderId)>, StoreError> {
        let from = sharing::bal_rows(sharing::SUBSCRIPTION, member);
        let mut out = BTreeSet::new();
        self.inner.read(|r| {
            r.scan(Space::Sharing, &from, &after(&from), Direction::Up, &mut |key, _| {
                let (_, bal, folder) = sharing::subscription_parts(key)
                    .ok_or_else(|| rows::damaged("a subscription key"))?;
                out.insert((bal, folder));
                Ok(true)
            })
        })?;
        Ok(out)
    }

    /// Shows a folder of another BAL to this member in LSUB, or not.
    ///
    /// # Errors
    /// [`StoreError::UnknownMember`], or the engine's.
    pub fn subscription_set(
        &self,
        member: BalId,
        (bal, folder): (BalId, FolderId),
        subscribed: bool,
    ) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        self.member(bal, member).ok_or(StoreError::UnknownMember)?;
        let mut draft = self.draft(Durability::Synced);
        let key = sharing::subscription(member, bal, folder);
        if subscribed {
            draft.batch.put(Space::Sharing, key, vec![1]);
        } else {
            draft.batch.delete(Space::Sharing, key);
        }
        self.inner.commit(draft)?;
        self.inner.tell(&[hint(member)]);
        Ok(())
    }

    /// Sessions of both look again at what they may see.
    pub(crate) fn tell_sharing(&self, bal: BalId, member: BalId) {
        self.inner.tell(&[hint(bal), hint(member)]);
    }

    /// Whether the BAL may be opened at the moment. Memory only.
    pub fn is_active(&self, bal: BalId) -> bool {
        let directory = self.inner.directory.read();
        directory.by_id(bal).is_some_and(|bal| bal.status == BalStatus::Active)
    }
}

fn hint(bal: BalId) -> News {
    News::Bal { bal, folder: INBOX, modseq: ModSeq(0) }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestStore, bal, settings};
    use crate::{FolderRights, INBOX, JournalLine, MemberRights, Outcome, Store, StoreError};
    use palombe_vocabulary::{BalId, FolderId, Timestamp};

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    fn line(bal: BalId, event: &str) -> JournalLine {
        JournalLine {
            at: NOW,
            event: event.to_owned(),
            outcome: Outcome::Info,
            session: None,
            queue: None,
            bal: Some(bal),
            message_id: None,
            peer: None,
            peer_dn: None,
            domain: None,
            rule: None,
            detail: "{}".to_owned(),
        }
    }

    fn rights(store: &Store, bal: BalId, folder: FolderId, who: BalId) -> String {
        store.folder_rights(bal, folder, who).letters()
    }

    #[test]
    fn members_come_change_and_go_and_the_journal_tells() {
        TestStore::each(|store| {
            let (team, doctor) = (bal(store, "equipe"), bal(store, "docteur"));
            let read = MemberRights::READ;
            let own = store.member_set((team, team), read, NOW, &[]);
            assert!(matches!(own, Err(StoreError::OwnMember)));
            let ghost = store.member_set((team, BalId(99)), read, NOW, &[]);
            assert!(matches!(ghost, Err(StoreError::UnknownBal)));
            store.member_set((team, doctor), read, NOW, &[line(team, "bal.member.set")]).unwrap();
            let later = Timestamp(NOW.0 + 5);
            let changed = store.member_set((team, doctor), MemberRights::MANAGE, later, &[]);
            assert_eq!(changed.unwrap().since, NOW);
            assert_eq!(store.members(team).len(), 1);
            assert_eq!(store.memberships(doctor)[0].bal, team);
            assert!(store.memberships(team).is_empty());
            store.member_remove(team, doctor, &[line(team, "bal.member.removed")]).unwrap();
            let again = store.member_remove(team, doctor, &[]);
            assert!(matches!(again, Err(StoreError::UnknownMember)));
            let query = crate::JournalQuery {
                from: None,
                to: None,
                message_id: None,
                peer: None,
                peer_dn: None,
                domain: None,
                event_prefix: Some("bal.member".to_owned()),
                rule_prefix: None,
                bal: Some(team),
                limit: 10,
            };
            assert_eq!(store.journal(&query).unwrap().len(), 2);
        });
    }

    #[test]
    fn a_folder_says_otherwise_and_its_subfolders_take_it_over() {
        TestStore::each(|store| {
            let (team, doctor) = (bal(store, "equipe"), bal(store, "docteur"));
            let write = MemberRights::WRITE;
            store.member_set((team, doctor), write, NOW, &[]).unwrap();
            let folder = store.folder_create(team, "Projets", None, NOW).unwrap();
            assert_eq!(rights(store, team, folder, doctor), "lrswipkxtecd");
            let lr = FolderRights::of("lr");
            store.acl_set((team, folder), doctor, lr, NOW, &[]).unwrap();
            let below = store.folder_create(team, "Projets/2026", None, NOW).unwrap();
            assert_eq!(rights(store, team, below, doctor), "lr");
            assert_eq!(rights(store, team, INBOX, doctor), "lrswipkxtecd");
            assert_eq!(rights(store, team, below, team), "lrswipkxteacd");
            store.acl_set((team, below), doctor, FolderRights::NONE, NOW, &[]).unwrap();
            assert_eq!(store.folder_acl(team, below), [(team, FolderRights::ALL)]);
            store.acl_set((team, below), doctor, write.in_folders(), NOW, &[]).unwrap();
            assert_eq!(rights(store, team, below, doctor), "lrswipkxtecd");
            store.folder_delete(team, below).unwrap();
            store.folder_delete(team, folder).unwrap();
            let gone = store.acl_set((team, folder), doctor, lr, NOW, &[]);
            assert!(matches!(gone, Err(StoreError::UnknownFolder)));
        });
    }

    #[test]
    fn a_guest_is_a_member_while_some_folder_names_it() {
        TestStore::each(|store| {
            let (owner, guest) = (bal(store, "hote"), bal(store, "invite"));
            let folder = store.folder_create(owner, "Commun", None, NOW).unwrap();
            let lr = FolderRights::of("lr");
            store.acl_set((owner, folder), guest, lr, NOW, &[]).unwrap();
            assert_eq!(rights(store, owner, folder, guest), "lr");
            assert_eq!(rights(store, owner, INBOX, guest), "");
            store.subscription_set(guest, (owner, folder), true).unwrap();
            assert!(store.subscriptions(guest).unwrap().contains(&(owner, folder)));
            store.acl_set((owner, folder), guest, FolderRights::NONE, NOW, &[]).unwrap();
            assert!(store.members(owner).is_empty());
            assert!(store.subscriptions(guest).unwrap().is_empty());
        });
    }

    #[test]
    fn a_deleted_bal_leaves_nothing_on_either_side() {
        TestStore::each(|store| {
            let (a, b, c) = (bal(store, "a"), bal(store, "b"), bal(store, "c"));
            for (owner, member) in [(a, b), (b, c), (c, b)] {
                store.member_set((owner, member), MemberRights::READ, NOW, &[]).unwrap();
                let lr = FolderRights::of("lr");
                store.acl_set((owner, INBOX), member, lr, NOW, &[]).unwrap();
                store.subscription_set(member, (owner, INBOX), true).unwrap();
            }
            store.bal_delete(b, NOW).unwrap();
            assert!(store.members(a).is_empty() && store.members(c).is_empty());
            assert!(store.memberships(c).is_empty());
            assert_eq!(rights(store, a, INBOX, b), "");
        });
    }

    #[test]
    fn sharing_is_read_again_at_the_next_opening() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let (team, doctor) = {
            let store = Store::open(&settings).unwrap();
            let (team, doctor) = (bal(&store, "equipe"), bal(&store, "docteur"));
            store.member_set((team, doctor), MemberRights::READ, NOW, &[]).unwrap();
            store.acl_set((team, INBOX), doctor, FolderRights::of("l"), NOW, &[]).unwrap();
            (team, doctor)
        };
        let store = Store::open(&settings).unwrap();
        assert_eq!(store.members(team)[0].rights, MemberRights::READ);
        assert_eq!(rights(&store, team, INBOX, doctor), "l");
        assert_eq!(store.check().unwrap().problems, Vec::<String>::new());
    }
}
