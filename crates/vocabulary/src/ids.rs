//! Identifiers that must not be confused with each other.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A BAL in this store. Never reused.
    BalId(u64)
);
id!(
    /// A folder of one BAL. Never reused within it.
    FolderId(u32)
);
id!(
    /// IMAP unique identifier within a folder (RFC 9051 2.3.1.1). Never reused.
    Uid(u32)
);
id!(
    /// IMAP UIDVALIDITY of a folder (RFC 9051 2.3.1.1).
    UidValidity(u32)
);
id!(
    /// Modification sequence of one BAL, one step per batch (RFC 7162 3.1); below 2^63.
    ModSeq(u64)
);

/// One message bound for one destination domain, waiting in the queue. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueId(pub u64);

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for QueueId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(QueueId)
    }
}

/// One connection, unique in this process's logs and journal. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
