//! SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3).

use super::flags::SYSTEM;
use super::{Outcome, mailbox_id, resync};
use crate::error::{Failure, Stop};
use crate::reply::Done;
use crate::selected::Selected;
use crate::session::{Session, Stage};
use palombe_imap_proto::{Mailbox, SelectParameters};
use palombe_store::{Opening, Recents, StoreError};
use palombe_vocabulary::BalId;

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
    // RFC 9586 3: its sample holds sequence numbers.
    let samples = parameters.qresync.as_ref().is_some_and(|known| known.sample.is_some());
    if session.enabled.uid_only && samples {
        return Err(Failure::UidRequired.into());
    }
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
    let opening = open(session, mailbox, access).await?;
    let bal = session.bal()?;
    let selected = Selected::new(bal, access == Access::ReadOnly, &opening);
    describe(session, bal, &opening, access);
    let code = if selected.read_only { "READ-ONLY" } else { "READ-WRITE" };
    session.stage = match std::mem::replace(&mut session.stage, Stage::NotAuthenticated) {
        Stage::Authenticated(account) => Stage::Selected(account, Box::new(selected)),
        other => other,
    };
    if let Some(known) = &parameters.qresync {
        resync::resynchronise(session, known, opening.folder.uid_validity).await?;
    }
    Ok(Done::with(code))
}

/// Counters and a bounded number of rows, whatever the size of the folder.
async fn open(session: &Session, mailbox: &Mailbox, access: Access) -> Result<Opening, Stop> {
    let (bal, name) = (session.bal()?, mailbox.as_str().to_owned());
    let recents = match access {
        _ if session.enabled.rev2 => Recents::Without,
        Access::ReadWrite => Recents::Take,
        // EXAMINE sees which messages are recent without taking that from them (RFC 3501 6.3.2).
        Access::ReadOnly => Recents::Look,
    };
    match session.in_store(move |store| store.folder_open(bal, &name, recents)).await {
        Err(Stop::Failure(Failure::Store(StoreError::UnknownFolder))) => {
            Err(Failure::NoSuchFolder.into())
        }
        other => other,
    }
}

/// The untagged responses that RFC 9051 6.3.2 and RFC 3501 6.3.1 ask for.
fn describe(session: &mut Session, bal: BalId, opening: &Opening, access: Access) {
    let enabled = session.enabled;
    let out = &mut session.wire.out;
    let folder = &opening.folder;
    let keywords = opening.keywords.iter().map(String::as_str);
    let known: Vec<&str> = SYSTEM.into_iter().chain(keywords).collect();
    out.raw("* FLAGS ").list(&known).crlf();
    out.raw("* OK [PERMANENTFLAGS ");
    if access == Access::ReadOnly {
        out.raw("()] No permanent flags permitted");
    } else {
        out.list(known.iter().chain(&["\\*"])).raw("] Flags permitted");
    }
    out.crlf();
    out.untagged(format_args!("{} EXISTS", folder.messages));
    if !enabled.rev2 {
        out.untagged(format_args!("{} RECENT", opening.recent));
        // RFC 9586 3: it is a sequence number.
        if let Some(number) = opening.first_unseen.filter(|_| !enabled.uid_only) {
            out.untagged(format_args!("OK [UNSEEN {number}] First unseen"));
        }
    }
    out.untagged(format_args!("OK [UIDVALIDITY {}] UIDs valid", folder.uid_validity));
    out.untagged(format_args!("OK [UIDNEXT {}] Predicted next UID", folder.uid_next));
    // RFC 7162 3.1.2.1: zero is not a mod-sequence.
    let modseq = folder.highest_modseq.0.max(1);
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
