//! APPEND (RFC 9051 6.3.12, RFC 4315): the message goes from the socket to the store's spool piece by piece.

use super::target_named;
use crate::command::flags;
use crate::error::{Failure, Gone, Stop};
use crate::metrics::count;
use crate::reply::Done;
use crate::selected::Expunges;
use crate::session::{Pending, Session};
use palombe_delivery::{BodySpool, DeliveryError};
use palombe_imap_proto::{AppendHead, Bad};
use palombe_store::{Filed, Filing, Flags, JournalLine, Outcome};
use palombe_vocabulary::{FolderId, Timestamp};

/// A message on its way in.
pub(crate) struct Append {
    tag: String,
    folder: FolderId,
    flags: Flags,
    internal_date: Timestamp,
    /// Away while a job of the pool writes.
    body: Option<BodySpool>,
}

pub(crate) async fn append_begin(session: &mut Session, head: AppendHead) -> Result<(), Gone> {
    match prepare(session, &head).await {
        Ok(append) => {
            session.receiver.accept_append();
            if head.message.waits {
                session.wire.out.continuation("Ready for the message");
            }
            session.pending = Pending::Append(Box::new(append));
            Ok(())
        }
        Err(stop) => {
            session.receiver.refuse_append();
            session.complete(&head.tag, Err(stop))
        }
    }
}

async fn prepare(session: &mut Session, head: &AppendHead) -> Result<Append, Stop> {
    if !session.state().allows_append() {
        return Err(Failure::WrongState.into());
    }
    session.check_bal().await?;
    if head.replaces.is_some() {
        return Err(Failure::Bad(Bad::UnknownCommand).into());
    }
    if head.message.size == 0 {
        return Err(Failure::EmptyMessage.into());
    }
    if head.message.size > session.server.settings.message_bytes_max {
        return Err(DeliveryError::TooLarge.into());
    }
    let flags = flags::from_names(&head.message.flags)?;
    let folder = target_named(session, head.mailbox.as_str()).await?;
    let (bal, size) = (session.bal()?, head.message.size);
    let room = move |store: &palombe_store::Store| {
        let quota = store.bal(bal)?.map_or(0, |bal| bal.quota_bytes);
        Ok(store.bal_usage(bal)?.bytes.saturating_add(size) <= quota)
    };
    // Said before the message travels; the batch checks again.
    if !session.in_store(room).await? {
        return Err(DeliveryError::OverQuota.into());
    }
    Ok(Append {
        tag: head.tag.clone(),
        folder: folder.id,
        flags,
        internal_date: head.message.date.map_or_else(palombe_driver::now, |date| date.0),
        body: Some(session.server.house.delivery.spool()),
    })
}

pub(crate) async fn append_data(session: &mut Session, piece: &[u8]) -> Result<(), Gone> {
    let Pending::Append(append) = &mut session.pending else { return Ok(()) };
    let Some(mut body) = append.body.take() else { return Ok(()) };
    let written = if body.would_block(piece.len()) {
        let piece = piece.to_vec();
        session
            .in_pool(move |_| {
                body.write(&piece)?;
                Ok(body)
            })
            .await
    } else {
        body.write(piece).map(|()| body).map_err(Stop::from)
    };
    match (written, &mut session.pending) {
        (Ok(body), Pending::Append(append)) => {
            append.body = Some(body);
            Ok(())
        }
        (Err(stop), _) => {
            session.receiver.abandon_append();
            refuse(session, stop)
        }
        (Ok(_), _) => Ok(()),
    }
}

/// Answers the APPEND in progress with a failure; its bytes are dropped with it.
fn refuse(session: &mut Session, stop: Stop) -> Result<(), Gone> {
    match std::mem::replace(&mut session.pending, Pending::None) {
        Pending::Append(append) => session.complete(&append.tag, Err(stop)),
        _ => Ok(()),
    }
}

pub(crate) fn append_bad(session: &mut Session, bad: Bad) {
    // `complete` only fails for a connection that is gone, which this is not.
    let _ = refuse(session, Failure::Bad(bad).into());
}

pub(crate) async fn append_end(session: &mut Session) -> Result<(), Gone> {
    let Pending::Append(append) = std::mem::replace(&mut session.pending, Pending::None) else {
        return Ok(());
    };
    let Append { tag, folder, flags, internal_date, body } = *append;
    let Some(body) = body else {
        return session.complete(&tag, Err(Failure::Bad(Bad::Trailing).into()));
    };
    let outcome = file(session, folder, flags, internal_date, body).await.map(|filed| {
        count(&session.server.metrics.appends);
        // RFC 4315 3
        Done::with(format!("APPENDUID {} {}", filed.uid_validity, filed.uid))
    });
    // RFC 9051 6.3.12: a message for the selected folder is announced at once.
    if session.selected().is_ok_and(|selected| selected.folder == folder)
        && let Err(Stop::Gone(gone)) = session.refresh().await
    {
        return Err(gone);
    }
    super::end(session, &tag, outcome, Expunges::Tell).await
}

async fn file(
    session: &Session,
    folder: FolderId,
    flags: Flags,
    internal_date: Timestamp,
    body: BodySpool,
) -> Result<Filed, Stop> {
    let bal = session.bal()?;
    let (id, peer) = (session.id, session.peer.ip());
    session
        .in_pool(move |house| {
            let body = body.finish()?;
            let now = palombe_driver::now();
            let journal = JournalLine {
                at: now,
                event: "imap.append".to_owned(),
                outcome: Outcome::Accepted,
                session: Some(id),
                queue: None,
                bal: Some(bal),
                message_id: body.facts().message_id,
                peer: Some(peer),
                peer_dn: None,
                domain: None,
                rule: None,
                detail: "{}".to_owned(),
            };
            let filing = Filing { bal, folder, prefix: Vec::new(), flags, internal_date };
            let (blob, structure) = body.into_parts();
            Ok(house.store.file(filing, blob, structure, vec![journal], now)?)
        })
        .await
}
