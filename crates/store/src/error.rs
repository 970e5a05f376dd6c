//! What can go wrong in the store.

use palombe_vocabulary::BalId;
use std::path::PathBuf;

/// Why the store did not do it. Nothing of a refused change is visible.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such BAL, or it was deleted.
    #[error("no such BAL")]
    UnknownBal,
    /// The BAL is suspended.
    #[error("the BAL is suspended")]
    BalSuspended,
    /// Not a member of the BAL.
    #[error("not a member of this BAL; see: palombe bal member list")]
    UnknownMember,
    /// A BAL cannot be a member of itself.
    #[error("a BAL is not a member of itself: it has every right already")]
    OwnMember,
    /// No such folder in this BAL.
    #[error("no such folder")]
    UnknownFolder,
    /// The domain is not hosted here.
    #[error("the domain {0} is not hosted here; add it with: palombe domain add {0}")]
    UnknownDomain(String),
    /// No such queue entry.
    #[error("no such queue entry")]
    UnknownQueueItem,
    /// No such body.
    #[error("no such body")]
    UnknownBlob,
    /// The BAL would hold more than its quota; temporary.
    #[error("the BAL is over its quota")]
    OverQuota(BalId),
    /// No room on the disk (ENOSPC), or less than the reserve; temporary.
    #[error("no room on the disk of the data folder")]
    Full,
    /// Too many changes wait already; temporary.
    #[error("the store is busy")]
    Busy,
    /// Somebody else changed it meanwhile, or the lease was lost.
    #[error("changed meanwhile by somebody else")]
    Conflict,
    /// That name exists already.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// The address belonged to a deleted BAL and is never given again.
    #[error("{0} belonged to a deleted BAL; an address is never given again")]
    NeverReused(String),
    /// The domain still has BAL.
    #[error("{0} still has BAL; delete them first")]
    NotEmpty(String),
    /// A folder name that is empty, too long, or holds control characters or an empty level.
    #[error(
        "a folder name is 1 to {max} octets without control characters or empty levels",
        max = crate::limits::FOLDER_NAME_BYTES_MAX
    )]
    BadFolderName,
    /// INBOX can be neither renamed nor deleted here.
    #[error("INBOX cannot be renamed or deleted")]
    FolderReserved,
    /// A bound of `limits.rs`.
    #[error("too many: {0}")]
    TooMany(&'static str),
    /// A row does not decode or contradicts another.
    #[error("the store is damaged: {what}; run `palombe store check` and restore a checkpoint")]
    Corrupt {
        /// Which row, without its content.
        what: String,
    },
    /// Another process has the data folder open.
    #[error(
        "{} is in use by another process (file LOCK); stop the other palombe, or give this one another data folder",
        path.display()
    )]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// The data folder was written by another version.
    #[error(
        "{} has schema {found}, this palombe reads schema {expected}; run the palombe version that wrote it, or export and import",
        path.display()
    )]
    Schema {
        /// The data folder.
        path: PathBuf,
        /// Schema of the folder.
        found: u32,
        /// Schema of this program.
        expected: u32,
    },
    /// The data folder could not be opened.
    #[error("data folder {}: {cause}; {cure}", path.display())]
    Open {
        /// The data folder.
        path: PathBuf,
        /// What the system said.
        cause: String,
        /// What to do.
        cure: &'static str,
    },
    /// The disk or the database cannot answer now; temporary.
    #[error("the store cannot answer now: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// Whether the same request may succeed later. Unknown failures are temporary (style.md, errors 4).
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            StoreError::OverQuota(_)
                | StoreError::Full
                | StoreError::Busy
                | StoreError::Conflict
                | StoreError::Corrupt { .. }
                | StoreError::Unavailable(_)
        )
    }
}
