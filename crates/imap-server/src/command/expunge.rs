//! EXPUNGE, UID EXPUNGE (RFC 4315) and CLOSE.

use super::Outcome;
use crate::error::{Failure, Stop};
use crate::place;
use crate::reply::{DONE, Done};
use crate::rows::Wants;
use crate::session::{Session, look};
use palombe_imap_proto::{Selector, SequenceSet};
use palombe_store::Store;
use palombe_vocabulary::Uid;

pub(super) async fn expunge(session: &mut Session, set: Option<&SequenceSet>) -> Outcome {
    session.selected_for_writing()?;
    if !session.selected_at()?.may('e') {
        return Err(Failure::NoPermission.into());
    }
    let uids = deleted(session, set).await?;
    let gone = remove(session, uids).await?;
    done_with_modseq(session, &gone)
}

/// RFC 7162 3.2.7: whoever enabled QRESYNC and lost messages by a command is told where the folder stands now. The
/// command took in what others did before that, so it is told with it.
pub(super) fn done_with_modseq(session: &mut Session, gone: &[Uid]) -> Outcome {
    if !session.enabled.qresync || gone.is_empty() {
        return Ok(DONE);
    }
    let modseq = session.selected()?.modseq.0.max(1);
    Ok(Done::with(format!("HIGHESTMODSEQ {modseq}")))
}

/// RFC 7162 3.2.8: without HIGHESTMODSEQ. RFC 9051 6.4.2: expunges without a word, unless the folder is read-only.
pub(super) async fn close(session: &mut Session) -> Outcome {
    // RFC 4314 4: without the right, CLOSE closes all the same.
    if !session.selected()?.read_only && session.selected_at()?.may('e') {
        let uids = deleted(session, None).await?;
        remove(session, uids).await?;
    }
    session.unselect();
    Ok(DONE)
}

async fn deleted(session: &mut Session, set: Option<&SequenceSet>) -> Result<Vec<Uid>, Stop> {
    // `\Deleted` may have been set by another session a moment ago.
    session.refresh().await?;
    let selected = session.selected()?;
    if !selected.is_loaded() {
        // The counters know whether there is anything to do: CLOSE of a large folder reads nothing.
        let (bal, folder) = (selected.bal, selected.folder);
        if session.in_store(move |store| store.folder_deleted(bal, folder)).await? == 0 {
            return Ok(Vec::new());
        }
    }
    let rows = session.rows().await?;
    let selected = session.selected()?;
    let indexes = match set {
        Some(set) => selected.resolve(set, Selector::Uid)?,
        None => (0..rows.len()).collect(),
    };
    let deleted = |index: &usize| rows.get(*index).is_some_and(|row| row.deleted());
    let indexes: Vec<usize> = indexes.into_iter().filter(deleted).collect();
    Ok(selected.uids(&indexes))
}

async fn remove(session: &mut Session, uids: Vec<Uid>) -> Result<Vec<Uid>, Stop> {
    if uids.is_empty() {
        return Ok(uids);
    }
    let last = session.last(Wants::Rows).ok_or(Failure::WrongState)?;
    let tables = session.server.tables.clone();
    let deed = place::deed(session, session.selected_at()?);
    let work = move |store: &Store| {
        let gone = store.expunge_by((last.bal, last.folder), &uids, deed.as_ref())?;
        Ok((gone, look(&tables, store, &last)?))
    };
    let (gone, seen) = session.in_store(work).await?;
    session.take_news(Ok(seen))?;
    Ok(gone)
}
