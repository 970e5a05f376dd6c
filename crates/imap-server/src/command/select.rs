//! SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3).

use super::flags::SYSTEM;
use super::{Outcome, flags, mailbox_id, resync};
use crate::error::{Failure, Stop};
use crate::place::{self, Place};
use crate::reply::Done;
use crate::selected::Selected;
use crate::session::{Session, Stage};
use palombe_access::OpenFolder;
use palombe_imap_proto::{Mailbox, SelectParameters, Writer};
use palombe_store::{Opening, Recents, StoreError};

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
    let place = place::find(session, mailbox.as_str(), 'r').await?;
    // RFC 4314 5.1.1: a folder in which nothing may be changed is read-only.
    let changes = flags::scope(place.open).any() || place.open.may('e') || place.open.may('i');
    let access = if changes { access } else { Access::ReadOnly };
    let opening = open(session, &place, access).await?;
    let selected = Selected::new(place.bal(), access == Access::ReadOnly, &opening);
    describe(session, &place, &opening, access);
    let code = if selected.read_only { "READ-ONLY" } else { "READ-WRITE" };
    session.enter(place.open, selected);
    if let Some(known) = &parameters.qresync {
        resync::resynchronise(session, known, opening.folder.uid_validity).await?;
    }
    Ok(Done::with(code))
}

/// Counters and a bounded number of rows, whatever the size of the folder.
async fn open(session: &Session, place: &Place, access: Access) -> Result<Opening, Stop> {
    let (bal, name) = (place.bal(), place.inner().to_owned());
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
fn describe(session: &mut Session, place: &Place, opening: &Opening, access: Access) {
    let enabled = session.enabled;
    // RFC 3501 6.3.1: where each member has its own marks, the first unseen message is not looked for.
    let first_unseen = !enabled.uid_only && place.open.viewer().is_none();
    let out = &mut session.wire.out;
    let folder = &opening.folder;
    let keywords = opening.keywords.iter().map(String::as_str);
    let known: Vec<&str> = SYSTEM.into_iter().chain(keywords).collect();
    out.raw("* FLAGS ").list(&known).crlf();
    if access == Access::ReadOnly {
        out.untagged("OK [PERMANENTFLAGS ()] No permanent flags permitted");
    } else {
        write_permanent_flags(out, place.open, known.iter().copied().skip(SYSTEM.len()));
    }
    out.untagged(format_args!("{} EXISTS", folder.messages));
    if !enabled.rev2 {
        out.untagged(format_args!("{} RECENT", opening.recent));
        // RFC 9586 3: it is a sequence number.
        if let Some(number) = opening.first_unseen.filter(|_| first_unseen) {
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
        mailbox_id(place.bal(), folder.id)
    ));
    if enabled.rev2 {
        // RFC 9051 6.3.2: the LIST response with the name that was opened.
        let special_use = super::list::special_use_attribute(place);
        out.raw("* LIST ").list(special_use).raw(" \"/\" ").mailbox(&place.name).crlf();
    }
}

/// The flags that may be changed there (RFC 4314 5.1.1).
pub(crate) fn write_permanent_flags<'a>(
    out: &mut Writer,
    at: OpenFolder,
    keywords: impl IntoIterator<Item = &'a str>,
) {
    let scope = flags::scope(at);
    let system = SYSTEM.into_iter().filter(|name| match *name {
        "\\Seen" => scope.seen,
        "\\Deleted" => scope.deleted,
        _ => scope.others,
    });
    let keywords = keywords.into_iter().chain(["\\*"]).filter(|_| scope.others);
    out.raw("* OK [PERMANENTFLAGS ").list(system.chain(keywords)).raw("] Flags permitted").crlf();
}
