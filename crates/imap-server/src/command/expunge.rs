//! EXPUNGE, UID EXPUNGE (RFC 4315) and CLOSE.

use super::Outcome;
use crate::error::Stop;
use crate::reply::{DONE, Done};
use crate::session::Session;
use palombe_imap_proto::{Selector, SequenceSet};
use palombe_vocabulary::Uid;

pub(super) async fn expunge(session: &mut Session, set: Option<&SequenceSet>) -> Outcome {
    session.selected_for_writing()?;
    // `\Deleted` may have been set by another session a moment ago.
    session.refresh().await?;
    let uids = deleted(session, set)?;
    let gone = remove(session, uids).await?;
    session.selected()?.expunged_here(&gone);
    done_with_modseq(session, &gone).await
}

/// RFC 7162 3.2.7: whoever enabled QRESYNC and lost messages by a command is told where the folder stands now. What
/// others did before that is told with it.
pub(super) async fn done_with_modseq(session: &mut Session, gone: &[Uid]) -> Outcome {
    if !session.enabled.qresync || gone.is_empty() {
        return Ok(DONE);
    }
    session.refresh().await?;
    let modseq = session.selected()?.modseq.0.max(1);
    Ok(Done::with(format!("HIGHESTMODSEQ {modseq}")))
}

/// RFC 7162 3.2.8: without HIGHESTMODSEQ. RFC 9051 6.4.2: expunges without a word, unless the folder is read-only.
pub(super) async fn close(session: &mut Session) -> Outcome {
    if !session.selected()?.read_only {
        session.refresh().await?;
        let uids = deleted(session, None)?;
        remove(session, uids).await?;
    }
    session.unselect();
    Ok(DONE)
}

fn deleted(session: &mut Session, set: Option<&SequenceSet>) -> Result<Vec<Uid>, Stop> {
    let selected = session.selected()?;
    let mut indexes = match set {
        Some(set) => selected.resolve(set, Selector::Uid)?,
        None => (0..selected.rows.len()).collect(),
    };
    indexes.retain(|index| selected.rows[*index].meta.flags.deleted);
    Ok(selected.uids(&indexes))
}

async fn remove(session: &mut Session, uids: Vec<Uid>) -> Result<Vec<Uid>, Stop> {
    if uids.is_empty() {
        return Ok(uids);
    }
    let (bal, folder) = (session.bal()?, session.selected()?.folder);
    session.in_store(move |store| store.expunge(bal, folder, &uids)).await
}
