//! BAL that are opened by their members: which, and what may be done in their folders.
//!
//! Everything here reads memory only, so that doors may ask at each command.

use crate::{Access, AccessError, OpenBal};
use palombe_store::{FolderRights, Member, MemberRights};
use palombe_vocabulary::{BalAddress, BalId, BalKind, FolderId};

/// A BAL that somebody opens as a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedBal {
    /// Its number in the store.
    pub id: BalId,
    /// Its address.
    pub address: BalAddress,
    /// PER, ORG, APP or CAB.
    pub kind: BalKind,
}

/// Proof that somebody may do something in a folder, its own or one of a shared BAL. Made only in this room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFolder {
    bal: BalId,
    folder: FolderId,
    opener: BalId,
    rights: FolderRights,
    viewer: Option<BalId>,
}

impl OpenFolder {
    /// The BAL that holds the folder.
    pub fn bal(&self) -> BalId {
        self.bal
    }

    /// The folder.
    pub fn folder(&self) -> FolderId {
        self.folder
    }

    /// What may be done there.
    pub fn rights(&self) -> FolderRights {
        self.rights
    }

    /// Whether this letter of RFC 4314 2.1 is given.
    pub fn may(&self, letter: char) -> bool {
        self.rights.may(letter)
    }

    /// The member whose own `\Seen` counts, where each has its own.
    pub fn viewer(&self) -> Option<BalId> {
        self.viewer
    }

    /// The member that opened a folder which is not its own.
    pub fn member(&self) -> Option<BalId> {
        (self.bal != self.opener).then_some(self.opener)
    }
}

/// An address other than its own under which a member may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delegation {
    pub(crate) address: BalAddress,
    pub(crate) rights: MemberRights,
}

impl Access {
    /// The BAL of which the opener is a member and which are open at the moment, by address. A suspended one is as
    /// if it were not there.
    ///
    /// # Errors
    /// [`AccessError::Unavailable`].
    pub fn shared(&self, open: &OpenBal) -> Result<Vec<SharedBal>, AccessError> {
        let mut shared = Vec::new();
        for Member { bal, .. } in self.store.memberships(open.id()) {
            if self.store.is_active(bal)
                && let Some(bal) = self.store.bal(bal)?
            {
                shared.push(SharedBal { id: bal.id, address: bal.address, kind: bal.kind });
            }
        }
        shared.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(shared)
    }

    /// What the opener may do in a folder; nothing in a BAL that is not shared with it, exists or not.
    pub fn folder(&self, open: &OpenBal, bal: BalId, folder: FolderId) -> OpenFolder {
        let rights = if bal == open.id() || self.store.is_active(bal) {
            self.store.folder_rights(bal, folder, open.id())
        } else {
            FolderRights::NONE
        };
        let viewer = self.store.own_viewer(bal, open.id());
        OpenFolder { bal, folder, opener: open.id(), rights, viewer }
    }

    /// Addresses under which the BAL may send besides its own.
    pub(crate) fn delegations(&self, bal: BalId) -> Result<Vec<Delegation>, AccessError> {
        let mut out = Vec::new();
        for member in self.store.memberships(bal) {
            let sends = member.rights.has(MemberRights::SEND_AS)
                || member.rights.has(MemberRights::SEND_ON_BEHALF);
            if sends
                && self.store.is_active(member.bal)
                && let Some(owner) = self.store.bal(member.bal)?
            {
                out.push(Delegation { address: owner.address, rights: member.rights });
            }
        }
        Ok(out)
    }
}
