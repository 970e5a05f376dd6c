//! Commands of RFC 4314 (ACL) and RFC 9208 (QUOTA).

use crate::Mailbox;

/// RFC 4314 3.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the RFC's own
pub enum AclCommand {
    Set {
        mailbox: Mailbox,
        identifier: String,
        change: RightsChange,
    },
    Delete {
        mailbox: Mailbox,
        identifier: String,
    },
    Get(Mailbox),
    /// LISTRIGHTS.
    List {
        mailbox: Mailbox,
        identifier: String,
    },
    /// MYRIGHTS.
    Mine(Mailbox),
}

/// How a SETACL changes what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightsChange {
    /// Add, remove or replace.
    pub mode: RightsMode,
    /// Letters of RFC 4314 2.1, `c` and `d` among them; no others.
    pub letters: String,
}

/// RFC 4314 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RightsMode {
    Replace,
    Add,
    Remove,
}

/// RFC 9208 4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum QuotaCommand {
    /// GETQUOTA and the name of a quota root.
    Get(String),
    /// GETQUOTAROOT.
    Root(Mailbox),
    /// SETQUOTA: read to its end, then refused.
    Set(String),
}
