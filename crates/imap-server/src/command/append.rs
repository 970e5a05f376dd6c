//! APPEND (RFC 9051 6.3.12, RFC 3502, RFC 4315) and REPLACE (RFC 8508): messages go from the socket to the store's
//! spool piece by piece, and become visible together or not at all.

use super::capability::append_limit;
use super::{expunge, target_named};
use crate::command::flags;
use crate::error::{Failure, Gone, Stop};
use crate::limits::{APPEND_LARGEST_MAX, APPEND_MESSAGES_MAX};
use crate::place;
use crate::reply::Done;
use crate::selected::Expunges;
use crate::session::{Pending, Session};
use palombe_access::OpenFolder;
use palombe_delivery::{BodySpool, DeliveryError, ReceivedBody};
use palombe_imap_proto::{AppendHead, AppendMessage, Bad, Ranges, Replaced, Selector};
use palombe_store::{
    Deed, Filed, Filing, FlagChange, FlagScope, FlagUpdate, Flags, JournalLine, Outcome, Store,
    Upload,
};
use palombe_vocabulary::{FolderId, Timestamp, Uid};
use serde_json::json;
use std::sync::atomic::Ordering;

/// Messages on their way in.
pub(crate) struct Append {
    tag: String,
    at: OpenFolder,
    /// REPLACE: folder and UID of the message that goes.
    replaces: Option<(FolderId, Uid)>,
    /// Complete ones, in order.
    complete: Vec<Incoming>,
    /// The one that the client is sending.
    current: Incoming,
    octets: u64,
    /// What the BAL still takes.
    room: u64,
}

/// One message.
struct Incoming {
    flags: Flags,
    internal_date: Timestamp,
    /// Away while a job of the pool writes.
    body: Option<BodySpool>,
}

impl Incoming {
    fn new(session: &Session, message: &AppendMessage) -> Result<Incoming, Failure> {
        if message.size == 0 {
            return Err(Failure::EmptyMessage);
        }
        if message.size > append_limit(session) {
            return Err(DeliveryError::TooLarge.into());
        }
        Ok(Incoming {
            flags: flags::from_names(&message.flags)?,
            internal_date: message.date.map_or_else(palombe_driver::now, |date| date.0),
            body: Some(session.server.house.delivery.spool()),
        })
    }
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
    let replaces = match head.replaces {
        Some(replaced) => Some(replaced_message(session, replaced).await?),
        None => None,
    };
    let current = Incoming::new(session, &head.message)?;
    let at = target_named(session, head.mailbox.as_str()).await?.open;
    let bal = at.bal();
    if replaces.is_some() && session.selected_at()?.bal() != bal {
        return Err(Failure::OtherBal.into());
    }
    let room = move |store: &Store| {
        let quota = store.bal(bal)?.map_or(0, |bal| bal.quota_bytes);
        let freed = match replaces {
            Some((folder, uid)) => store.message(bal, folder, uid)?.map_or(0, |m| m.meta.size),
            None => 0,
        };
        Ok(quota.saturating_add(freed).saturating_sub(store.bal_usage(bal)?.bytes))
    };
    let room = session.in_store(room).await?;
    // Said before the message travels; the batch checks again.
    if head.message.size > room {
        return Err(DeliveryError::OverQuota.into());
    }
    let octets = head.message.size;
    let tag = head.tag.clone();
    Ok(Append { tag, at, replaces, complete: Vec::new(), current, octets, room })
}

/// RFC 8508 3.4: a message of the selected folder, which must be writable.
async fn replaced_message(
    session: &mut Session,
    replaced: Replaced,
) -> Result<(FolderId, Uid), Stop> {
    if session.enabled.uid_only && replaced.by == Selector::Sequence {
        return Err(Failure::UidRequired.into());
    }
    session.check_folder()?;
    session.selected_for_writing()?;
    let at = session.selected_at()?;
    // RFC 8508 3.4: what EXPUNGE and \Deleted need.
    if !(at.may('e') && at.may('t')) {
        return Err(Failure::NoPermission.into());
    }
    let rows = session.rows().await?;
    let index = match (replaced.by, replaced.number) {
        (_, None) => rows.len().checked_sub(1),
        (Selector::Uid, Some(uid)) => rows.table.index(uid),
        (Selector::Sequence, Some(number)) => {
            let index = usize::try_from(number).map_or(usize::MAX, |number| number - 1);
            if index >= rows.len() {
                return Err(Failure::SequenceNumber.into());
            }
            Some(index)
        }
    };
    let index = index.ok_or(Failure::NoSuchMessage)?;
    Ok((session.selected()?.folder, Uid(rows.uid(index))))
}

/// RFC 3502: the message before is complete.
pub(crate) fn append_next(session: &mut Session, message: AppendMessage) -> Result<(), Gone> {
    let next = Incoming::new(session, &message);
    let most = append_limit(session).saturating_mul(APPEND_LARGEST_MAX);
    let Pending::Append(append) = &mut session.pending else { return Ok(()) };
    append.octets = append.octets.saturating_add(message.size);
    let refused = match next {
        Err(failure) => failure,
        Ok(_) if append.complete.len() + 1 >= APPEND_MESSAGES_MAX => Failure::TooManyMessages,
        Ok(_) if append.octets > most => Failure::TooManyMessages,
        Ok(_) if append.octets > append.room => DeliveryError::OverQuota.into(),
        Ok(next) => {
            append.complete.push(std::mem::replace(&mut append.current, next));
            session.receiver.accept_append();
            if message.waits {
                session.wire.out.continuation("Ready for the next message");
            }
            return Ok(());
        }
    };
    session.receiver.refuse_append();
    refuse(session, refused.into())
}

pub(crate) async fn append_data(session: &mut Session, piece: &[u8]) -> Result<(), Gone> {
    let Pending::Append(append) = &mut session.pending else { return Ok(()) };
    let Some(mut body) = append.current.body.take() else { return Ok(()) };
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
            append.current.body = Some(body);
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
    let (tag, at, replaces) = (append.tag.clone(), append.at, append.replaces);
    let outcome = match file(session, *append).await {
        Ok(filed) => told(session, &filed, replaces).await,
        Err(stop) => Err(stop),
    };
    // RFC 9051 6.3.12: a message for the selected folder is announced at once.
    let here = (at.bal(), at.folder());
    if session.at.is_some_and(|at| (at.bal(), at.folder()) == here)
        && let Err(Stop::Gone(gone)) = session.refresh().await
    {
        return Err(gone);
    }
    super::end(session, &tag, outcome, Expunges::Tell).await
}

/// RFC 4315 3, in the tagged line; RFC 8508 4.3: of REPLACE before its EXPUNGE.
async fn told(
    session: &mut Session,
    filed: &[Filed],
    replaces: Option<(FolderId, Uid)>,
) -> super::Outcome {
    session.server.metrics.appends.fetch_add(filed.len() as u64, Ordering::Relaxed);
    let uids = Ranges::from_ascending(filed.iter().map(|filed| filed.uid.0));
    let validity = filed.first().map_or(0, |filed| filed.uid_validity.0);
    let code = format!("APPENDUID {validity} {uids}");
    let Some((_, uid)) = replaces else { return Ok(Done::with(code)) };
    session.wire.out.untagged(format_args!("OK [{code}] Replacement message ready"));
    session.refresh().await?;
    expunge::done_with_modseq(session, &[uid])
}

async fn file(session: &Session, append: Append) -> Result<Vec<Filed>, Stop> {
    let utf8 = session.wire.out.utf8();
    let at = append.at;
    let (bal, folder) = (at.bal(), at.folder());
    let (id, peer) = (session.id, session.peer.ip());
    let deed = place::deed(session, at);
    let detail = match &deed {
        Some(deed) => json!({ "by": deed.by.to_string(), "folder": folder.0 }).to_string(),
        None => "{}".to_owned(),
    };
    // RFC 4314 4: flags that may not be set are lost, the message is not.
    let scope = flags::scope(at);
    let own_seen = at.viewer().is_some();
    let mut marks = Vec::new();
    let journal = move |message_id: Option<String>, now: Timestamp| JournalLine {
        at: now,
        event: "imap.append".to_owned(),
        outcome: Outcome::Accepted,
        session: Some(id),
        queue: None,
        bal: Some(bal),
        message_id,
        peer: Some(peer),
        peer_dn: None,
        domain: None,
        rule: None,
        detail: detail.clone(),
    };
    let Append { replaces, complete, current, .. } = append;
    session
        .in_pool(move |house| {
            let now = palombe_driver::now();
            let mut uploads = Vec::new();
            for Incoming { flags, internal_date, body } in complete.into_iter().chain([current]) {
                let body = body.ok_or(Failure::Bad(Bad::Trailing))?.finish()?;
                check(&body, utf8)?;
                let journal = vec![journal(body.facts().message_id, now)];
                let mut flags = scope.cut(&Flags::default(), flags);
                // Where each has its own `\Seen`, what one has seen is not seen by all.
                marks.push(own_seen && flags.seen);
                flags.seen &= !own_seen;
                let filing = Filing { bal, folder, prefix: Vec::new(), flags, internal_date };
                let (blob, structure) = body.into_parts();
                uploads.push(Upload { filing, blob, structure, journal });
            }
            let Some(replaced) = replaces else {
                let filed = house.store.file_all(uploads, now)?;
                mark_own(&house.store, at, &filed, &marks, deed)?;
                return Ok(filed);
            };
            let mut upload = uploads.pop().ok_or(Failure::EmptyMessage)?;
            if let Some(deed) = &deed {
                let (from, uid) = replaced;
                upload.journal.extend(deed.expunge_line((bal, from), &[uid]));
            }
            let filed = house.store.replace(upload, replaced, now)?;
            let filed = vec![filed.ok_or(Failure::NoSuchMessage)?];
            mark_own(&house.store, at, &filed, &marks, deed)?;
            Ok(filed)
        })
        .await
}

/// Marks as seen by this member alone what it uploaded as seen.
fn mark_own(
    store: &Store,
    at: OpenFolder,
    filed: &[Filed],
    marks: &[bool],
    deed: Option<Deed>,
) -> Result<(), Failure> {
    let uids: Vec<Uid> =
        filed.iter().zip(marks).filter(|(_, mark)| **mark).map(|(filed, _)| filed.uid).collect();
    if uids.is_empty() {
        return Ok(());
    }
    let change = FlagChange::Add(Flags { seen: true, ..Flags::default() });
    let update = FlagUpdate { change, unchanged_since: None, scope: FlagScope::ALL, deed };
    store.flags_update_by((at.bal(), at.folder()), &uids, &update)?;
    Ok(())
}

/// What is not taken, whatever its literal was.
fn check(body: &ReceivedBody, utf8: bool) -> Result<(), Failure> {
    let damage = body.facts().damage;
    // RFC 3516 4.4: binary content that the folder cannot store. RFC 9051 9: no NUL in a literal.
    if damage.nul {
        return Err(Failure::BinaryMessage);
    }
    // RFC 6855 4
    if damage.header_eight_bit && !utf8 {
        return Err(Failure::EightBitHeader);
    }
    Ok(())
}
