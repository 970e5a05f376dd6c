//! SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3).

use super::flags::SYSTEM;
use super::{Outcome, folder_named, mailbox_id, resync};
use crate::error::{Failure, Stop};
use crate::reply::Done;
use crate::selected::Selected;
use crate::session::{Session, Stage};
use palombe_imap_proto::{Mailbox, SelectParameters};
use palombe_store::Folder;
use palombe_vocabulary::BalId;
use std::collections::BTreeSet;

/// SELECT or EXAMINE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    ReadWrite,
    ReadOnly,
}

pub(super) async fn select(
    session: &mut Session,
    mailbox: &Mailbox,
    access: Access,
    parameters: &SelectParameters,
) -> Outcome {
    // RFC 7162 3.2.5: BAD, and the folder that was selected stays.
    if parameters.qresync.is_some() && !session.enabled.qresync {
        return Err(Failure::NotEnabled.into());
    }
    let was_selected = matches!(session.stage, Stage::Selected(..));
    // RFC 9051 6.3.2: even a SELECT that fails leaves the folder that was selected.
    session.unselect();
    // RFC 7162 3.2.11 and RFC 9051 7.1: what follows is about another folder.
    if was_selected {
        session.wire.out.untagged("OK [CLOSED] Previous mailbox closed");
    }
    session.enabled.condstore |= parameters.condstore;
    let folder = folder_named(session, mailbox.as_str()).await?;
    let selected = open(session, &folder, access).await?;
    let bal = session.bal()?;
    describe(session, bal, &selected, &folder);
    if let Some(known) = &parameters.qresync {
        resync::resynchronise(session, &selected, known).await?;
    }
    let code = if selected.read_only { "READ-ONLY" } else { "READ-WRITE" };
    session.stage = match std::mem::replace(&mut session.stage, Stage::NotAuthenticated) {
        Stage::Authenticated(account) => Stage::Selected(account, Box::new(selected)),
        other => other,
    };
    Ok(Done::with(code))
}

async fn open(session: &Session, folder: &Folder, access: Access) -> Result<Selected, Stop> {
    let (bal, id) = (session.bal()?, folder.id);
    let recents = access == Access::ReadWrite && !session.enabled.rev2;
    let (view, recent) = session
        .in_store(move |store| {
            let recent = recents.then(|| store.take_recent(bal, id)).transpose()?;
            Ok((store.view(bal, id)?, recent))
        })
        .await?;
    // EXAMINE sees which messages are recent without taking that from them (RFC 3501 6.3.2).
    let recent = match access {
        Access::ReadOnly if !session.enabled.rev2 => Some(folder.recent_from),
        _ => recent,
    };
    let read_only = access == Access::ReadOnly;
    Ok(Selected::new(id, read_only, view, recent))
}

/// The untagged responses that RFC 9051 6.3.2 and RFC 3501 6.3.1 ask for.
fn describe(session: &mut Session, bal: BalId, selected: &Selected, folder: &Folder) {
    let enabled = session.enabled;
    let out = &mut session.wire.out;
    let keywords: BTreeSet<&str> =
        selected.rows.iter().flat_map(|row| &row.meta.flags.keywords).map(String::as_str).collect();
    let known: Vec<&str> = SYSTEM.into_iter().chain(keywords).collect();
    out.raw("* FLAGS ").list(&known).crlf();
    out.raw("* OK [PERMANENTFLAGS ");
    if selected.read_only {
        out.raw("()] No permanent flags permitted");
    } else {
        out.list(known.iter().chain(&["\\*"])).raw("] Flags permitted");
    }
    out.crlf();
    out.untagged(format_args!("{} EXISTS", selected.exists()));
    if !enabled.rev2 {
        out.untagged(format_args!("{} RECENT", selected.recent()));
        let unseen = selected.rows.iter().position(|row| !row.meta.flags.seen);
        if let Some(index) = unseen {
            out.untagged(format_args!("OK [UNSEEN {}] First unseen", index + 1));
        }
    }
    out.untagged(format_args!("OK [UIDVALIDITY {}] UIDs valid", selected.uid_validity));
    out.untagged(format_args!("OK [UIDNEXT {}] Predicted next UID", selected.uid_next));
    // RFC 7162 3.1.2.1: zero is not a mod-sequence.
    let modseq = selected.modseq.0.max(1);
    out.untagged(format_args!("OK [HIGHESTMODSEQ {modseq}] Highest"));
    out.untagged(format_args!(
        "OK [MAILBOXID ({})] Mailbox identifier",
        mailbox_id(bal, folder.id)
    ));
    if enabled.rev2 {
        // RFC 9051 6.3.2: the LIST response with the name that was opened.
        let special_use = super::list::special_use_attribute(folder);
        out.raw("* LIST ").list(special_use).raw(" \"/\" ").mailbox(&folder.name).crlf();
    }
}
