//! STATUS (RFC 9051 6.3.11).

use super::capability::append_limit;
use super::{Outcome, folder_named, mailbox_id};
use crate::error::Failure;
use crate::reply::DONE;
use crate::session::Session;
use palombe_imap_proto::{Mailbox, StatusItem, Writer};
use palombe_store::Folder;
use palombe_vocabulary::BalId;

pub(super) async fn status(
    session: &mut Session,
    mailbox: &Mailbox,
    items: &[StatusItem],
) -> Outcome {
    let folder = folder_named(session, mailbox.as_str()).await?;
    // RFC 7162 3.1: asking for HIGHESTMODSEQ is a use of CONDSTORE.
    session.enabled.condstore |= items.contains(&StatusItem::HighestModSeq);
    let facts = Facts::of(session)?;
    write_status(&mut session.wire.out, &folder, items, &facts);
    Ok(DONE)
}

/// What STATUS tells that is not of the folder.
pub(super) struct Facts {
    bal: BalId,
    append_limit: u64,
}

impl Facts {
    pub(super) fn of(session: &Session) -> Result<Facts, Failure> {
        Ok(Facts { bal: session.bal()?, append_limit: append_limit(session) })
    }
}

/// `* STATUS name (…)`, also for LIST-STATUS.
pub(super) fn write_status(out: &mut Writer, folder: &Folder, items: &[StatusItem], facts: &Facts) {
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
        StatusItem::MailboxId => format!("MAILBOXID ({})", mailbox_id(facts.bal, folder.id)),
    };
    out.list(items.iter().map(value)).crlf();
}
