//! From stored messages to FETCH responses.

mod job;
mod piece;
mod preview;
mod section;

pub(crate) use job::Job;
pub(crate) use piece::{Piece, read_range};
pub(crate) use section::{Source, Stored};

use crate::command::{SYSTEM, flag_names};
use crate::rows::{Row, Rows};
use crate::session::Enabled;
use palombe_imap_proto::{DateTime, FetchItem, Selector, Writer};
use palombe_store::MessageMeta;

/// `(\Seen …)`, with `\Recent` where the protocol still has it and the message is.
pub(crate) fn write_flag_list(out: &mut Writer, row: &Row<'_>, recent: bool) {
    let set = [row.answered(), row.flagged(), row.deleted(), row.seen(), row.draft()];
    let system = SYSTEM.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name);
    let recent = recent.then_some("\\Recent");
    out.list(system.chain(row.keywords().iter().map(String::as_str)).chain(recent));
}

/// A message in a FETCH response.
pub(crate) struct Shown<'a> {
    row: &'a Row<'a>,
    recent: bool,
    /// What this command made of it.
    marked: Option<&'a MessageMeta>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(row: &'a Row<'a>, rows: &Rows) -> Self {
        Shown { row, recent: rows.is_recent(row), marked: None }
    }

    fn write_flags(&self, out: &mut Writer, rev2: bool) {
        let recent = self.recent && !rev2;
        match self.marked {
            Some(meta) => {
                let recent = recent.then_some("\\Recent");
                out.list(flag_names(&meta.flags).into_iter().chain(recent));
            }
            None => write_flag_list(out, self.row, recent),
        }
    }

    fn modseq(&self) -> u64 {
        self.marked.map_or(self.row.modseq().0, |meta| meta.modseq.0)
    }
}

/// `* n FETCH (`, or `* uid UIDFETCH (` (RFC 9586 3).
pub(crate) fn write_start(out: &mut Writer, number: usize, row: &Row<'_>, enabled: Enabled) {
    if enabled.uid_only {
        out.raw("* ").show(row.uid().0).raw(" UIDFETCH (");
    } else {
        out.raw("* ").show(number).raw(" FETCH (");
    }
}

/// What a FETCH asks for, of every message alike.
pub(crate) struct Plan {
    pub(crate) items: Vec<FetchItem>,
    pub(crate) enabled: Enabled,
}

impl Plan {
    pub(crate) fn new(
        mut items: Vec<FetchItem>,
        by: Selector,
        with_modseq: bool,
        enabled: Enabled,
    ) -> Self {
        // RFC 9051 6.4.9: UID FETCH answers with the UID.
        // Where every response names its message by UID, once is enough.
        if by == Selector::Uid && !enabled.uid_only && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        // RFC 7162 3.1.4.1: CHANGEDSINCE answers with the MODSEQ.
        if with_modseq && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        Plan { items, enabled }
    }

    /// Whether anything but the folder's rows is needed.
    pub(crate) fn reads_messages(&self) -> bool {
        !self.items.iter().all(is_meta)
    }

    /// Whether most messages need their structure: what their row and their listing do not tell.
    fn reads_structures(&self) -> bool {
        use FetchItem::{BodyStructure, EmailId, Envelope, Rfc822};
        !self.items.iter().all(|item| match item {
            Envelope | BodyStructure | EmailId | Rfc822 => true,
            FetchItem::Section { section, .. } => job::is_whole(section),
            other => is_meta(other),
        })
    }

    /// Whether it implies `\Seen` (RFC 9051 6.4.5).
    pub(crate) fn sets_seen(&self) -> bool {
        self.items.iter().any(|item| match item {
            FetchItem::Section { peek, .. } => !peek,
            FetchItem::Binary(binary) => !binary.peek,
            FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
            _ => false,
        })
    }

    /// Known even of messages that were gone before their rows were read.
    pub(crate) fn tells_only_uids(&self) -> bool {
        self.items.iter().all(|item| *item == FetchItem::Uid)
    }

    pub(crate) fn tells_flags(&self) -> bool {
        self.items.contains(&FetchItem::Flags)
    }

    /// A whole response from a row alone.
    pub(crate) fn write_meta(&self, out: &mut Writer, number: usize, row: &Shown<'_>) {
        write_start(out, number, row.row, self.enabled);
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                out.raw(" ");
            }
            self.write_meta_item(out, item, row);
        }
        out.raw(")").crlf();
    }

    /// RFC 7162 3.2: with flags that the client did not ask for, once it knows of mod-sequences.
    pub(crate) fn write_new_modseq(&self, out: &mut Writer, row: &Shown<'_>) {
        if self.enabled.condstore && !self.items.contains(&FetchItem::ModSeq) {
            out.raw(" ");
            self.write_meta_item(out, &FetchItem::ModSeq, row);
        }
    }

    /// One item of a row; false when the item is not in the row.
    pub(crate) fn write_meta_item(
        &self,
        out: &mut Writer,
        item: &FetchItem,
        row: &Shown<'_>,
    ) -> bool {
        match item {
            FetchItem::Flags => {
                out.raw("FLAGS ");
                row.write_flags(out, self.enabled.rev2);
            }
            FetchItem::InternalDate => {
                out.raw("INTERNALDATE \"").show(DateTime(row.row.internal_date())).raw("\"");
            }
            FetchItem::ModSeq => {
                out.raw("MODSEQ (").show(row.modseq()).raw(")");
            }
            FetchItem::Rfc822Size => {
                out.raw("RFC822.SIZE ").show(row.row.size());
            }
            FetchItem::Uid => {
                out.raw("UID ").show(row.row.uid().0);
            }
            FetchItem::SaveDate => {
                // RFC 8514 4.1
                out.raw("SAVEDATE \"").show(DateTime(row.row.saved_at())).raw("\"");
            }
            // RFC 8474 5.2: threads are computed where they are asked for, they have no names.
            FetchItem::ThreadId => {
                out.raw("THREADID NIL");
            }
            _ => return false,
        }
        true
    }
}

fn is_meta(item: &FetchItem) -> bool {
    use FetchItem::{Flags, InternalDate, ModSeq, Rfc822Size, SaveDate, ThreadId, Uid};
    matches!(item, Flags | InternalDate | ModSeq | Rfc822Size | Uid | SaveDate | ThreadId)
}
