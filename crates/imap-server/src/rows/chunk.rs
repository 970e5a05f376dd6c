//! A chunk of a table: up to some hundred messages in UID order, forty octets each, with the sets of keywords that
//! they bear.

use palombe_store::{Flags, MessageMeta};
use palombe_vocabulary::{ModSeq, Timestamp, Uid};
use std::sync::Arc;

const SEEN: u8 = 1;
const ANSWERED: u8 = 2;
const FLAGGED: u8 = 4;
const DELETED: u8 = 8;
const DRAFT: u8 = 16;
/// Only the UID is known: the message was gone before its row was read.
const HOLLOW: u8 = 32;

/// Everything about a message but its keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    uid: u32,
    /// Place in the chunk's sets of keywords plus one; zero for none.
    keywords: u16,
    flags: u8,
    modseq: u64,
    internal_date: i64,
    saved_at: i64,
    size: u64,
}

/// Octets of one message in a table.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>();

#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    entries: Vec<Entry>,
    keywords: Vec<Arc<[String]>>,
}

/// One message of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    entry: &'a Entry,
    keywords: Option<&'a Arc<[String]>>,
}

fn bits(flags: &Flags) -> u8 {
    let pairs = [
        (flags.seen, SEEN),
        (flags.answered, ANSWERED),
        (flags.flagged, FLAGGED),
        (flags.deleted, DELETED),
        (flags.draft, DRAFT),
    ];
    pairs.into_iter().filter(|(set, _)| *set).fold(0, |bits, (_, bit)| bits | bit)
}

impl Chunk {
    pub(super) fn with_capacity(rows: usize) -> Chunk {
        Chunk { entries: Vec::with_capacity(rows), keywords: Vec::new() }
    }

    /// Nothing more will be added.
    pub(super) fn fit(&mut self) {
        self.entries.shrink_to_fit();
        self.keywords.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn first(&self) -> u32 {
        self.entries.first().map_or(u32::MAX, |entry| entry.uid)
    }

    pub(super) fn last(&self) -> u32 {
        self.entries.last().map_or(0, |entry| entry.uid)
    }

    /// Messages with a smaller UID.
    pub(super) fn rank(&self, uid: u32) -> usize {
        self.entries.partition_point(|entry| entry.uid < uid)
    }

    pub(super) fn get(&self, at: usize) -> Option<Row<'_>> {
        let entry = self.entries.get(at)?;
        let keywords = usize::from(entry.keywords).checked_sub(1);
        Some(Row { entry, keywords: keywords.and_then(|at| self.keywords.get(at)) })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Adds a message whose UID is larger than all.
    pub(super) fn push(&mut self, meta: &MessageMeta) {
        let words = &meta.flags.keywords;
        let keywords = match self.keywords.iter().position(|set| **set == **words) {
            _ if words.is_empty() => None,
            Some(at) => Some(at),
            None => {
                self.keywords.push(words.as_slice().into());
                Some(self.keywords.len() - 1)
            }
        };
        let mut entry = Entry {
            uid: meta.uid.0,
            keywords: 0,
            flags: bits(&meta.flags),
            modseq: meta.modseq.0,
            internal_date: meta.internal_date.0,
            saved_at: meta.saved_at.0,
            size: meta.size,
        };
        // A chunk holds far fewer messages, and so sets, than this can count.
        entry.keywords = keywords.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0);
        self.entries.push(entry);
    }

    /// Adds a row of another chunk.
    pub(super) fn copy(&mut self, row: Row<'_>) {
        let mut entry = *row.entry;
        entry.keywords = 0;
        if let Some(words) = row.keywords {
            let at = self.keywords.iter().position(|set| Arc::ptr_eq(set, words) || set == words);
            let at = at.unwrap_or_else(|| {
                self.keywords.push(words.clone());
                self.keywords.len() - 1
            });
            entry.keywords = u16::try_from(at + 1).unwrap_or(0);
        }
        self.entries.push(entry);
    }

    /// Adds a message of which only the UID is known.
    pub(super) fn push_hollow(&mut self, uid: u32) {
        self.entries.push(Entry {
            uid,
            keywords: 0,
            flags: HOLLOW,
            modseq: 0,
            internal_date: 0,
            saved_at: 0,
            size: 0,
        });
    }

    /// Octets in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let words =
            |set: &Arc<[String]>| set.iter().map(|word| word.len() + 24).sum::<usize>() + 32;
        self.entries.capacity() * ENTRY_BYTES + self.keywords.iter().map(words).sum::<usize>() + 80
    }
}

impl<'a> Row<'a> {
    pub(crate) fn uid(&self) -> Uid {
        Uid(self.entry.uid)
    }

    pub(crate) fn modseq(&self) -> ModSeq {
        ModSeq(self.entry.modseq)
    }

    /// INTERNALDATE
    pub(crate) fn internal_date(&self) -> Timestamp {
        Timestamp(self.entry.internal_date)
    }

    /// When it came into the folder (RFC 8514).
    pub(crate) fn saved_at(&self) -> Timestamp {
        Timestamp(self.entry.saved_at)
    }

    /// Octets, prefix and body.
    pub(crate) fn size(&self) -> u64 {
        self.entry.size
    }

    pub(crate) fn seen(&self) -> bool {
        self.entry.flags & SEEN != 0
    }

    pub(crate) fn answered(&self) -> bool {
        self.entry.flags & ANSWERED != 0
    }

    pub(crate) fn flagged(&self) -> bool {
        self.entry.flags & FLAGGED != 0
    }

    pub(crate) fn deleted(&self) -> bool {
        self.entry.flags & DELETED != 0
    }

    pub(crate) fn draft(&self) -> bool {
        self.entry.flags & DRAFT != 0
    }

    /// Gone before anything but its UID was read: it stands here only until its EXPUNGE.
    pub(crate) fn is_hollow(&self) -> bool {
        self.entry.flags & HOLLOW != 0
    }

    pub(crate) fn keywords(&self) -> &'a [String] {
        self.keywords.map_or(&[], |words| words)
    }

    pub(crate) fn flags(&self) -> Flags {
        Flags {
            seen: self.seen(),
            answered: self.answered(),
            flagged: self.flagged(),
            deleted: self.deleted(),
            draft: self.draft(),
            keywords: self.keywords().to_vec(),
        }
    }

    pub(crate) fn has_flags(&self, flags: &Flags) -> bool {
        self.entry.flags == bits(flags) && *self.keywords() == *flags.keywords
    }

    pub(crate) fn same_flags(&self, other: &Row<'_>) -> bool {
        self.entry.flags == other.entry.flags && self.keywords() == other.keywords()
    }
}
