//! STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).

use super::{Outcome, flags};
use crate::error::{Failure, Stop};
use crate::place;
use crate::reply::{DONE, Done};
use crate::rows::Wants;
use crate::selected::Answer;
use crate::session::{Seen, Session, look};
use palombe_imap_proto::{FlagChange as Wanted, Ranges, Selector, SequenceSet, StoreMode};
use palombe_store::{FlagChange, FlagOutcome, FlagScope, FlagUpdate, Flags};
use palombe_vocabulary::{ModSeq, Uid};

pub(super) async fn store(
    session: &mut Session,
    by: Selector,
    set: &SequenceSet,
    wanted: &Wanted,
    unchanged_since: Option<u64>,
) -> Outcome {
    let flags = flags::from_names(&wanted.flags)?;
    let change = match wanted.mode {
        StoreMode::Add => FlagChange::Add(flags),
        StoreMode::Remove => FlagChange::Remove(flags),
        StoreMode::Replace => FlagChange::Replace(flags),
    };
    // RFC 7162 3.1: UNCHANGEDSINCE is a use of CONDSTORE.
    session.enabled.condstore |= unchanged_since.is_some();
    let condstore = session.enabled.condstore;
    session.selected_for_writing()?;
    let at = session.selected_at()?;
    let scope = flags::scope(at);
    if !may_change(scope, &change) {
        return Err(Failure::NoPermission.into());
    }
    session.rows().await?;
    let selected = session.selected()?;
    let indexes = selected.resolve(set, by)?;
    let uids = selected.uids(&indexes);
    let all_there = uids.len() == indexes.len();
    if uids.is_empty() {
        return Ok(if all_there { DONE } else { Done::with("EXPUNGEISSUED") });
    }
    let unchanged_since = unchanged_since.map(ModSeq);
    let wanted_change =
        FlagUpdate { change, unchanged_since, scope, deed: place::deed(session, at) };
    // RFC 7162 3.1.3: MODSEQ is told even of silent changes, so the FETCH is written all the same.
    let answer = if wanted.silent && !condstore { Answer::Silent } else { Answer::Fetch };
    let (outcome, seen) = update(session, uids, wanted_change.clone()).await?;
    session.selected()?.changed_here(&outcome.changed, &wanted_change.change, answer);
    session.take_news(Ok(seen))?;
    if !outcome.conflicts.is_empty() {
        return Ok(Done::with(format!("MODIFIED {}", conflicts(session, by, outcome.conflicts)?)));
    }
    Ok(if all_there { DONE } else { Done::with("EXPUNGEISSUED") })
}

/// RFC 4314 4: refused only when nothing of it may be changed.
fn may_change(scope: FlagScope, change: &FlagChange) -> bool {
    match change {
        FlagChange::Replace(_) => scope.any(),
        FlagChange::Add(flags) | FlagChange::Remove(flags) => {
            let nothing = Flags::default();
            scope.cut(&nothing, flags.clone()) != nothing || *flags == nothing && scope.any()
        }
    }
}

/// Changes flags, and sees in the same turn what came of it and of others.
async fn update(
    session: &mut Session,
    uids: Vec<Uid>,
    wanted: FlagUpdate,
) -> Result<(FlagOutcome, Seen), Stop> {
    let last = session.last(Wants::Rows).ok_or(Failure::WrongState)?;
    let tables = session.server.tables.clone();
    session
        .in_store(move |store| {
            let outcome = store.flags_update_by((last.bal, last.folder), &uids, &wanted)?;
            Ok((outcome, look(&tables, store, &last)?))
        })
        .await
}

/// The numbers of the messages in conflict, in the terms of the command.
fn conflicts(session: &mut Session, by: Selector, mut uids: Vec<Uid>) -> Result<Ranges, Stop> {
    uids.sort_unstable();
    let selected = session.selected()?;
    let number = |uid: Uid| match by {
        Selector::Uid => Some(uid.0),
        Selector::Sequence => selected.index(uid.0).and_then(|i| u32::try_from(i + 1).ok()),
    };
    Ok(Ranges::from_ascending(uids.into_iter().filter_map(number)))
}
