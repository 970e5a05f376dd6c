//! Rights in one folder that differ from what a member has in the whole BAL (RFC 4314).

use crate::draft::Draft;
use crate::engine::{Durability, EngineError, Space, after};
use crate::keys::sharing;
use crate::members::Member;
use crate::rows;
use crate::{FolderRights, JournalLine, MemberRights, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, Timestamp};
use parking_lot::MutexGuard;
use serde::{Deserialize, Serialize};

/// Explicit rights of one member in one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AclEntry {
    pub(crate) bal: BalId,
    pub(crate) folder: FolderId,
    pub(crate) member: BalId,
    pub(crate) rights: FolderRights,
}

#[derive(Serialize, Deserialize)]
struct AclRow {
    rights: FolderRights,
}

pub(crate) fn entry(
    ((bal, folder, member), rights): (&(BalId, FolderId, BalId), &FolderRights),
) -> AclEntry {
    AclEntry { bal: *bal, folder: *folder, member: *member, rights: *rights }
}

pub(crate) fn entry_of(key: &[u8], value: &[u8]) -> Result<AclEntry, EngineError> {
    let bad = || rows::damaged("an access key");
    let (bal, folder, member) = sharing::acl_parts(key).ok_or_else(bad)?;
    let row: AclRow = rows::decode(value, "an access row")?;
    Ok(AclEntry { bal, folder, member, rights: row.rights })
}

pub(crate) fn encode(rights: FolderRights) -> Result<Vec<u8>, EngineError> {
    rows::encode(&AclRow { rights })
}

impl Store {
    /// Held by changes of folders where rights of folders change too.
    pub(crate) fn administer_acl(
        &self,
        bal: BalId,
    ) -> Result<Option<MutexGuard<'_, ()>>, StoreError> {
        let has_rows = self.inner.sharing.read().acl_of_bal(bal).next().is_some();
        has_rows.then(|| self.administer()).transpose()
    }

    /// A new folder takes over the rights of the folder above it (RFC 4314 4, CREATE).
    pub(crate) fn draft_inherited(
        &self,
        draft: &mut Draft,
        bal: BalId,
        (parent, new): (FolderId, FolderId),
    ) -> Result<Vec<AclEntry>, StoreError> {
        let entries: Vec<AclEntry> = {
            let sharing = self.inner.sharing.read();
            let inherit = |entry: AclEntry| AclEntry { folder: new, ..entry };
            sharing.acl_of_folder(bal, parent).map(inherit).collect()
        };
        for entry in &entries {
            let row = encode(entry.rights)?;
            draft.batch.put(Space::Sharing, sharing::acl(bal, new, entry.member), row);
        }
        Ok(entries)
    }

    pub(crate) fn put_acl(&self, entries: &[AclEntry]) {
        let mut sharing = self.inner.sharing.write();
        for entry in entries {
            sharing.acl.insert((entry.bal, entry.folder, entry.member), entry.rights);
        }
    }

    /// The rights of a folder go with it (RFC 4314 4, DELETE).
    pub(crate) fn draft_folder_acl_removal(draft: &mut Draft, bal: BalId, folder: FolderId) {
        for rows in [sharing::acl_rows(bal, folder), sharing::annotations_of_folder(bal, folder)] {
            draft.batch.delete_range(Space::Sharing, rows.clone(), after(&rows));
        }
    }

    pub(crate) fn forget_folder_acl(&self, bal: BalId, folder: FolderId) {
        self.inner.sharing.write().acl.retain(|(b, f, _), _| (*b, *f) != (bal, folder));
    }

    /// What a BAL may do in a folder: everything in its own, in another what the folder says of it, or else what it
    /// may do in the whole BAL. Memory only.
    pub fn folder_rights(&self, bal: BalId, folder: FolderId, who: BalId) -> FolderRights {
        if bal == who {
            return FolderRights::ALL;
        }
        let sharing = self.inner.sharing.read();
        let Some(member) = sharing.member(bal, who) else { return FolderRights::NONE };
        let explicit = sharing.acl.get(&(bal, folder, who)).copied();
        explicit.unwrap_or_else(|| member.rights.in_folders())
    }

    /// Everybody who may do something in a folder, the BAL itself first. Memory only.
    pub fn folder_acl(&self, bal: BalId, folder: FolderId) -> Vec<(BalId, FolderRights)> {
        let mut out = vec![(bal, FolderRights::ALL)];
        for member in self.members(bal) {
            let rights = self.folder_rights(bal, folder, member.member);
            if !rights.is_none() {
                out.push((member.member, rights));
            }
        }
        out
    }

    /// Gives a BAL these rights in a folder. One that was no member becomes one without any other right.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], [`StoreError::UnknownFolder`], [`StoreError::OwnMember`],
    /// [`StoreError::TooMany`], or the engine's.
    pub fn acl_set(
        &self,
        (bal, folder): (BalId, FolderId),
        who: BalId,
        rights: FolderRights,
        now: Timestamp,
        journal: &[JournalLine],
    ) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        let _edit = self.inner.edit(bal);
        if !self.folders(bal)?.iter().any(|known| known.id == folder) {
            return Err(StoreError::UnknownFolder);
        }
        let known = self.member(bal, who);
        if known.is_none() && rights.is_none() {
            return Ok(());
        }
        let mut draft = self.draft(Durability::Synced);
        let guest = match known {
            Some(_) => None,
            None => Some(self.draft_member(&mut draft, (bal, who), MemberRights::NONE, now)?),
        };
        // What the whole BAL gives already needs no row, and follows it when it changes.
        let default = known.map_or(FolderRights::NONE, |member| member.rights.in_folders());
        let key = sharing::acl(bal, folder, who);
        if rights == default {
            draft.batch.delete(Space::Sharing, key);
        } else {
            draft.batch.put(Space::Sharing, key, encode(rights)?);
        }
        let last = rights == default && known.is_some_and(|known| self.is_spent(&known, folder));
        if last {
            draft.batch.delete(Space::Sharing, sharing::member(bal, who));
            self.draft_forget_own(&mut draft.batch, bal, who)?;
            let wanted = sharing::subscriptions(who, bal);
            draft.batch.delete_range(Space::Sharing, wanted.clone(), after(&wanted));
        }
        journal.iter().for_each(|line| draft.line(line));
        self.inner.commit(draft)?;
        if let Some(guest) = guest {
            self.put_member(guest);
        }
        {
            let mut sharing = self.inner.sharing.write();
            if rights == default {
                sharing.acl.remove(&(bal, folder, who));
            } else {
                sharing.acl.insert((bal, folder, who), rights);
            }
            if last {
                sharing.remove(bal, who);
            }
        }
        self.tell_sharing(bal, who);
        Ok(())
    }

    /// Whether a member has no right at all but for what this folder says.
    fn is_spent(&self, member: &Member, folder: FolderId) -> bool {
        let elsewhere =
            |entry: &crate::acl::AclEntry| entry.member == member.member && entry.folder != folder;
        let sharing = self.inner.sharing.read();
        member.rights == MemberRights::NONE
            && !sharing.acl_of_bal(member.bal).any(|e| elsewhere(&e))
    }
}
