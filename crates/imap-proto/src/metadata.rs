//! Commands of RFC 5464 (METADATA).

use crate::Mailbox;

/// RFC 5464 4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the RFC's own
pub enum MetadataCommand {
    Get {
        /// `None`: the server.
        mailbox: Option<Mailbox>,
        entries: Vec<Entry>,
        depth: Depth,
        /// Values longer than this are not told.
        max_size: Option<u64>,
    },
    Set {
        /// `None`: the server.
        mailbox: Option<Mailbox>,
        /// `None` removes an entry.
        values: Vec<(Entry, Option<Vec<u8>>)>,
    },
}

/// A name, checked and in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `/private`, not `/shared`.
    pub private: bool,
    /// What follows that, with its slash.
    pub name: String,
}

/// RFC 5464 4.2.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Depth {
    #[default]
    Zero,
    One,
    Infinity,
}
