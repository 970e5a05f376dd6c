//! FETCH (RFC 9051 6.4.5): what the folder's rows tell is written at once; the rest is read by jobs of the pool, and
//! long bodies are then streamed.

use super::{Outcome, resync};
use crate::error::{Failure, Gone, Stop};
use crate::fetch::{Job, Piece, Plan, Shown};
use crate::limits::BODY_PIECE_BYTES;
use crate::place;
use crate::reply::{DONE, Done};
use crate::rows::{Row, Rows};
use crate::session::Session;
use palombe_imap_proto::{FetchItem, FetchModifiers, Selector, SequenceSet};
use palombe_store::Store;
use std::sync::Arc;

pub(super) async fn fetch(
    session: &mut Session,
    by: Selector,
    set: &SequenceSet,
    items: Vec<FetchItem>,
    modifiers: &FetchModifiers,
) -> Outcome {
    let changed_since = modifiers.changed_since;
    // RFC 7162 3.1: both are uses of CONDSTORE.
    session.enabled.condstore |= changed_since.is_some() || items.contains(&FetchItem::ModSeq);
    let plan = Arc::new(Plan::new(items, by, changed_since.is_some(), session.enabled));
    let rows = session.rows().await?;
    if let Some(since) = changed_since.filter(|_| modifiers.vanished) {
        resync::vanished_before_fetch(session, set, since).await?;
    }
    let at = session.selected_at()?;
    let deed = place::deed(session, at);
    let selected = session.selected()?;
    let mut indexes = selected.resolve(set, by)?;
    // RFC 9394 3.4: the range is taken first, then the changed ones of it.
    if let Some(partial) = modifiers.partial {
        indexes = indexes[partial.within(indexes.len())].to_vec();
    }
    if let Some(since) = changed_since {
        indexes.retain(|index| rows.get(*index).is_some_and(|row| row.modseq().0 > since));
    }
    if !plan.reads_messages() {
        return from_rows(session, &plan, &rows, &indexes).await;
    }
    // RFC 4314 4: without `s` nothing becomes seen.
    let marks = (!selected.read_only && at.may('s')).then_some(deed);
    let mut job = Job::new(at, plan, (rows, indexes), marks);
    while !job.is_done() {
        job = step(session, job).await?;
    }
    if job.unknown_cte {
        return Err(Failure::UnknownCte.into());
    }
    Ok(if job.expunged { Done::with("EXPUNGEISSUED") } else { DONE })
}

/// What the rows tell, at once.
async fn from_rows(session: &mut Session, plan: &Plan, rows: &Rows, indexes: &[usize]) -> Outcome {
    let mut expunged = false;
    for index in indexes {
        let shown = |row: &Row<'_>| !row.is_hollow() || plan.tells_only_uids();
        let Some(row) = rows.get(*index).filter(shown) else {
            expunged = true; // RFC 5530 EXPUNGEISSUED
            continue;
        };
        plan.write_meta(&mut session.wire.out, index + 1, &Shown::new(&row, rows));
        if plan.tells_flags() {
            session.selected()?.flags_told(row.uid().0, None);
        }
        session.wire.relieve().await?;
    }
    Ok(if expunged { Done::with("EXPUNGEISSUED") } else { DONE })
}

/// Some messages: read, written, streamed.
async fn step(session: &mut Session, mut job: Job) -> Result<Job, Stop> {
    let utf8 = session.wire.out.utf8();
    let (job, step) = session
        .in_pool(move |house| {
            let step = job.step(&house.store, utf8)?;
            Ok((job, step))
        })
        .await?;
    for meta in step.seen {
        session.selected()?.flags_told(meta.uid.0, Some(&meta.flags));
    }
    for piece in step.pieces {
        match piece {
            Piece::Bytes(bytes) => {
                session.wire.out.octets(&bytes);
                session.wire.relieve().await?;
            }
            other => stream(session, other).await?,
        }
    }
    Ok(job)
}

/// A long body. Once its literal is announced nothing but its octets may follow: a failure ends the connection.
async fn stream(session: &mut Session, mut piece: Piece) -> Result<(), Gone> {
    loop {
        let read = session
            .in_pool(move |house| {
                let bytes = read_piece(&house.store, &mut piece)?;
                Ok((bytes, piece))
            })
            .await;
        let (bytes, rest) = match read {
            Ok(read) => read,
            Err(Stop::Gone(gone)) => return Err(gone),
            Err(Stop::Failure(failure)) => {
                tracing::error!(session = %session.id, %failure, "imap body cut short");
                return Err(Gone::Closed);
            }
        };
        session.wire.out.octets(&bytes);
        session.wire.flush().await?;
        if rest.is_empty() {
            return Ok(());
        }
        piece = rest;
    }
}

fn read_piece(store: &Store, piece: &mut Piece) -> Result<Vec<u8>, Failure> {
    piece.read(store, BODY_PIECE_BYTES)
}
