//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8).

use super::{Outcome, mailbox_id};
use crate::error::{Failure, Stop};
use crate::place;
use crate::reply::{DONE, Done};
use crate::session::Session;
use palombe_imap_proto::{DELIMITER, Mailbox, SpecialUse as Attribute};
use palombe_store::{JournalLine, Outcome as Ended, SpecialUse, Store, StoreError};
use palombe_vocabulary::BalId;
use serde_json::json;

pub(super) async fn create(
    session: &mut Session,
    mailbox: &Mailbox,
    uses: &[Attribute],
) -> Outcome {
    // RFC 9051 6.3.4: a trailing delimiter declares children to come.
    let name = mailbox.without_trailing_delimiter().as_str().to_owned();
    let special_use = match uses {
        [] => None,
        [Attribute::Archive] => Some(SpecialUse::Archive),
        [Attribute::Drafts] => Some(SpecialUse::Drafts),
        [Attribute::Junk] => Some(SpecialUse::Junk),
        [Attribute::Sent] => Some(SpecialUse::Sent),
        [Attribute::Trash] => Some(SpecialUse::Trash),
        _ => return Err(Failure::SpecialUse.into()), // RFC 6154 3
    };
    let located = place::creatable(session, &name).await?;
    let (bal, name) = (located.bal, located.inner);
    if special_use.is_some() && bal != session.bal()? {
        return Err(Failure::SpecialUse.into());
    }
    let trace = trace(session, bal, "create", &[&name])?;
    let now = palombe_driver::now();
    let work = move |store: &Store| {
        let folders = store.folders(bal)?;
        if special_use.is_some() && folders.iter().any(|f| f.special_use == special_use) {
            return Ok(Err(Failure::SpecialUse));
        }
        // RFC 9051 6.3.4: superior names come into being with it.
        for (at, _) in name.match_indices(DELIMITER) {
            let superior = &name[..at];
            if !folders.iter().any(|folder| folder.name == superior) {
                store.folder_create(bal, superior, None, now)?;
            }
        }
        let folder = store.folder_create(bal, &name, special_use, now)?;
        store.journal_append(trace)?;
        Ok(Ok(folder))
    };
    let folder = session.in_store(work).await.map_err(name_error)??;
    Ok(Done::with(format!("MAILBOXID ({})", mailbox_id(bal, folder)))) // RFC 8474 4.2
}

/// What the store says of names, in IMAP's terms.
fn name_error(stop: Stop) -> Stop {
    match stop {
        Stop::Failure(Failure::Store(error)) => Stop::Failure(match error {
            StoreError::AlreadyExists(_) => Failure::FolderExists,
            StoreError::BadFolderName => Failure::FolderName,
            StoreError::FolderReserved => Failure::FolderFixed,
            other => Failure::Store(other),
        }),
        other => other,
    }
}

pub(super) async fn delete(session: &mut Session, mailbox: &Mailbox) -> Outcome {
    let place = place::find(session, mailbox.as_str(), 'x').await?;
    let (bal, name) = (place.bal(), place.inner().to_owned());
    let trace = trace(session, bal, "delete", &[&name])?;
    let work = move |store: &Store| {
        let folders = store.folders(bal)?;
        let Some(folder) = folders.iter().find(|folder| folder.name == name) else {
            return Ok(Err(Failure::NoSuchFolder));
        };
        if folder.id == palombe_store::INBOX {
            return Ok(Err(Failure::FolderFixed)); // RFC 9051 6.3.5
        }
        // RFC 9051 6.3.5: a name with inferiors stays; this server keeps no empty husks.
        let inside = format!("{name}{DELIMITER}");
        if folders.iter().any(|other| other.name.starts_with(&inside)) {
            return Ok(Err(Failure::HasChildren));
        }
        store.folder_delete(bal, folder.id)?;
        store.journal_append(trace)?;
        Ok(Ok(folder.id))
    };
    let deleted = session.in_store(work).await.map_err(name_error)??;
    if session.at.is_some_and(|at| (at.bal(), at.folder()) == (bal, deleted)) {
        session.unselect();
    }
    Ok(DONE)
}

pub(super) async fn rename(session: &mut Session, from: &Mailbox, to: &Mailbox) -> Outcome {
    let place = place::find(session, from.as_str(), 'x').await?;
    let located = place::creatable(session, to.without_trailing_delimiter().as_str()).await?;
    // A folder stays in its BAL, and the INBOX of another BAL is not emptied by renaming it.
    let foreign = place.open.member().is_some();
    if located.bal != place.bal() || foreign && place::is_inbox(&place) {
        return Err(Failure::FolderName.into());
    }
    let (bal, from, to) = (place.bal(), place.inner().to_owned(), located.inner);
    let trace = trace(session, bal, "rename", &[&from, &to])?;
    let now = palombe_driver::now();
    let work = move |store: &Store| {
        let folders = store.folders(bal)?;
        let Some(folder) = folders.iter().find(|folder| folder.name == from) else {
            return Ok(Err(Failure::NoSuchFolder));
        };
        let inside = format!("{from}{DELIMITER}");
        if to.starts_with(&inside) || to == "INBOX" {
            return Ok(Err(Failure::FolderName));
        }
        if folders.iter().any(|other| other.name == to) {
            return Ok(Err(Failure::FolderExists));
        }
        if folder.id == palombe_store::INBOX {
            // RFC 9051 6.3.6: the messages move to a new folder, INBOX stays, empty.
            let target = store.folder_create(bal, &to, None, now)?;
            let all: Vec<_> = store.view(bal, folder.id)?.messages.iter().map(|m| m.uid).collect();
            if !all.is_empty() {
                store.move_to(bal, folder.id, &all, target, now)?;
            }
            return Ok(Ok(()));
        }
        // Inferior names follow in the same batch (RFC 9051 6.3.6).
        store.folder_rename(bal, folder.id, &to)?;
        store.journal_append(trace)?;
        Ok(Ok(()))
    };
    session.in_store(work).await.map_err(name_error)??;
    Ok(DONE)
}

pub(super) async fn subscribe(session: &mut Session, mailbox: &Mailbox) -> Outcome {
    set_subscribed(session, mailbox, true).await
}

pub(super) async fn unsubscribe(session: &mut Session, mailbox: &Mailbox) -> Outcome {
    set_subscribed(session, mailbox, false).await
}

async fn set_subscribed(session: &mut Session, mailbox: &Mailbox, subscribed: bool) -> Outcome {
    let name = mailbox.without_trailing_delimiter();
    let place = place::find(session, name.as_str(), 'l').await?;
    let (bal, folder) = (place.bal(), place.id);
    // What a member wants to see in LSUB is its own affair.
    let member = place.open.member();
    session
        .in_store(move |store| match member {
            None => store.folder_subscribe(bal, folder, subscribed),
            Some(member) => store.subscription_set(member, (bal, folder), subscribed),
        })
        .await?;
    Ok(DONE)
}

/// What the journal tells of a change of folders in a BAL that is not one's own.
fn trace(
    session: &Session,
    bal: BalId,
    action: &str,
    names: &[&str],
) -> Result<Vec<JournalLine>, Failure> {
    let open = &session.account()?.open;
    if open.id() == bal {
        return Ok(Vec::new());
    }
    let detail = json!({ "by": open.address().to_string(), "action": action, "names": names });
    Ok(vec![JournalLine {
        at: palombe_driver::now(),
        event: "bal.shared.folder".to_owned(),
        outcome: Ended::Accepted,
        session: Some(session.id),
        queue: None,
        bal: Some(bal),
        message_id: None,
        peer: None,
        peer_dn: None,
        domain: None,
        rule: None,
        detail: detail.to_string(),
    }])
}
