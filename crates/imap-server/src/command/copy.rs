//! COPY and MOVE (RFC 9051 6.4.7, 6.4.8), with the UIDs of RFC 4315.

use super::{Outcome, flags, target_named};
use crate::error::{Failure, Stop};
use crate::place;
use crate::reply::{DONE, Done};
use crate::rows::Wants;
use crate::session::{Session, look};
use palombe_imap_proto::{Mailbox, Ranges, Selector, SequenceSet};
use palombe_store::{Carriage, CarryMode, CopyOutcome, Store};
use palombe_vocabulary::Uid;

pub(super) async fn copy(
    session: &mut Session,
    by: Selector,
    set: &SequenceSet,
    to: &Mailbox,
) -> Outcome {
    let Some(what) = prepare(session, CarryMode::Copy, by, set, to).await? else {
        return Ok(DONE);
    };
    let now = palombe_driver::now();
    let copied = session.in_store(move |store| store.carry(&what, now)).await?;
    Ok(copy_uid(&copied).map_or(DONE, Done::with))
}

pub(super) async fn move_to(
    session: &mut Session,
    by: Selector,
    set: &SequenceSet,
    to: &Mailbox,
) -> Outcome {
    session.selected_for_writing()?;
    let at = session.selected_at()?;
    // RFC 6851 4.4: what EXPUNGE and \Deleted need here.
    if !(at.may('e') && at.may('t')) {
        return Err(Failure::NoPermission.into());
    }
    let Some(what) = prepare(session, CarryMode::Move, by, set, to).await? else {
        return Ok(DONE);
    };
    let now = palombe_driver::now();
    let last = session.last(Wants::Rows).ok_or(Failure::WrongState)?;
    let tables = session.server.tables.clone();
    let work = move |store: &Store| {
        let moved = store.carry(&what, now)?;
        Ok((moved, look(&tables, store, &last)?))
    };
    let (moved, seen) = session.in_store(work).await?;
    // RFC 6851 4.3: COPYUID in an untagged OK, before the EXPUNGEs.
    if let Some(code) = copy_uid(&moved) {
        session.wire.out.untagged(format_args!("OK [{code}] Moved"));
    }
    let gone: Vec<Uid> = moved.pairs.iter().map(|(source, _)| *source).collect();
    session.take_news(Ok(seen))?;
    super::expunge::done_with_modseq(session, &gone)
}

/// Messages that still exist, where they are, where they go. `None`: nothing to do.
async fn prepare(
    session: &mut Session,
    mode: CarryMode,
    by: Selector,
    set: &SequenceSet,
    to: &Mailbox,
) -> Result<Option<Carriage>, Stop> {
    session.rows().await?;
    let at = session.selected_at()?;
    let selected = session.selected()?;
    let indexes = selected.resolve(set, by)?;
    let uids = selected.uids(&indexes);
    let target = target_named(session, to.as_str()).await?;
    if uids.is_empty() {
        return Ok(None);
    }
    Ok(Some(Carriage {
        mode,
        from: (at.bal(), at.folder()),
        uids,
        to: (target.bal(), target.id),
        scope: flags::scope(target.open),
        deed: place::deed(session, at).or_else(|| place::deed(session, target.open)),
    }))
}

/// RFC 4315 3. The two sets correspond in order, so new UIDs are only joined while both run upwards together.
fn copy_uid(copied: &CopyOutcome) -> Option<String> {
    if copied.pairs.is_empty() {
        return None;
    }
    let mut pairs = copied.pairs.clone();
    pairs.sort_unstable();
    let source = Ranges::from_ascending(pairs.iter().map(|(source, _)| source.0));
    let mut new = String::new();
    let mut run: Option<(u32, u32)> = None;
    for (_, Uid(uid)) in &pairs {
        run = match run {
            Some((first, last)) if *uid == last + 1 => Some((first, *uid)),
            other => {
                push_run(&mut new, other);
                Some((*uid, *uid))
            }
        };
    }
    push_run(&mut new, run);
    Some(format!("COPYUID {} {source} {new}", copied.uid_validity))
}

fn push_run(text: &mut String, run: Option<(u32, u32)>) {
    let Some((first, last)) = run else { return };
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(&first.to_string());
    if last > first {
        text.push_str(&format!(":{last}"));
    }
}
