//! STATUS (RFC 9051 6.3.11).

use super::capability::append_limit;
use super::{Outcome, mailbox_id};
use crate::error::Stop;
use crate::place::{self, Place};
use crate::reply::DONE;
use crate::session::Session;
use palombe_imap_proto::{Mailbox, StatusItem, Writer};

pub(super) async fn status(
    session: &mut Session,
    mailbox: &Mailbox,
    items: &[StatusItem],
) -> Outcome {
    let folder = place::find(session, mailbox.as_str(), 'r').await?;
    // RFC 7162 3.1: asking for HIGHESTMODSEQ is a use of CONDSTORE.
    session.enabled.condstore |= items.contains(&StatusItem::HighestModSeq);
    let facts = Facts::of(session, &folder, items).await?;
    write_status(&mut session.wire.out, &folder, items, &facts);
    Ok(DONE)
}

/// What STATUS tells that is not in the folder's counts.
pub(super) struct Facts {
    append_limit: u64,
    /// Octets of messages with `\Deleted`; 0 unless asked for.
    deleted_bytes: u64,
}

impl Facts {
    pub(super) async fn of(
        session: &Session,
        place: &Place,
        items: &[StatusItem],
    ) -> Result<Facts, Stop> {
        let mut facts = Facts { append_limit: append_limit(session), deleted_bytes: 0 };
        // Rows are only read where something is to be found.
        if items.contains(&StatusItem::DeletedStorage) && place.deleted > 0 {
            let (bal, folder) = (place.bal(), place.id);
            let count = session.in_store(move |store| {
                let mut bytes = 0u64;
                store.scan_folder(bal, folder, &mut |meta| {
                    if meta.flags.deleted {
                        bytes = bytes.saturating_add(meta.size);
                    }
                })?;
                Ok(bytes)
            });
            facts.deleted_bytes = count.await?;
        }
        Ok(facts)
    }
}

/// `* STATUS name (…)`, also for LIST-STATUS.
pub(super) fn write_status(out: &mut Writer, folder: &Place, items: &[StatusItem], facts: &Facts) {
    out.raw("* STATUS ").mailbox(&folder.name).raw(" ");
    let recent = u64::from(folder.uid_next.0.saturating_sub(folder.recent_from.0));
    let value = |item: &StatusItem| match item {
        StatusItem::Messages => format!("MESSAGES {}", folder.messages),
        // An upper bound where recent messages were expunged unseen: no rows are read for STATUS.
        StatusItem::Recent => format!("RECENT {}", recent.min(folder.messages)),
        StatusItem::UidNext => format!("UIDNEXT {}", folder.uid_next),
        StatusItem::UidValidity => format!("UIDVALIDITY {}", folder.uid_validity),
        StatusItem::Unseen => format!("UNSEEN {}", folder.unseen),
        StatusItem::Deleted => format!("DELETED {}", folder.deleted),
        StatusItem::Size => format!("SIZE {}", folder.bytes),
        StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", folder.highest_modseq.0.max(1)),
        StatusItem::AppendLimit => format!("APPENDLIMIT {}", facts.append_limit), // RFC 7889 3
        StatusItem::MailboxId => format!("MAILBOXID ({})", mailbox_id(folder.bal(), folder.id)),
        StatusItem::DeletedStorage => format!("DELETED-STORAGE {}", facts.deleted_bytes), // RFC 9208 4.1.4
    };
    out.list(items.iter().map(value)).crlf();
}
