//! STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).

use super::{Outcome, flags};
use crate::reply::{DONE, Done};
use crate::session::Session;
use palombe_imap_proto::{FlagChange as Wanted, Ranges, Selector, SequenceSet, StoreMode};
use palombe_store::FlagChange;
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
    let bal = session.bal()?;
    let selected = session.selected_for_writing()?;
    let indexes = selected.resolve(set, by)?;
    let uids = selected.uids(&indexes);
    let all_there = uids.len() == indexes.len();
    if uids.is_empty() {
        return Ok(if all_there { DONE } else { Done::with("EXPUNGEISSUED") });
    }
    let folder = selected.folder;
    let since = unchanged_since.map(ModSeq);
    let outcome = session
        .in_store(move |store| store.flags_update(bal, folder, &uids, &change, since))
        .await?;
    let selected = session.selected()?;
    // RFC 7162 3.1.3: MODSEQ is told even of silent changes, so the FETCH is written all the same.
    selected.changed_here(outcome.changed, wanted.silent && !condstore);
    if !outcome.conflicts.is_empty() {
        return Ok(Done::with(format!("MODIFIED {}", conflicts(session, by, outcome.conflicts)?)));
    }
    Ok(if all_there { DONE } else { Done::with("EXPUNGEISSUED") })
}

/// The numbers of the messages in conflict, in the terms of the command.
fn conflicts(
    session: &mut Session,
    by: Selector,
    mut uids: Vec<Uid>,
) -> Result<Ranges, crate::error::Stop> {
    uids.sort_unstable();
    let selected = session.selected()?;
    let number = |uid: Uid| match by {
        Selector::Uid => Some(uid.0),
        Selector::Sequence => selected.index(uid.0).and_then(|i| u32::try_from(i + 1).ok()),
    };
    Ok(Ranges::from_ascending(uids.into_iter().filter_map(number)))
}
