//! SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314).
//!
//! Identifiers are addresses of BAL of this operator. `anyone` and negative rights are not taken: nobody reads health
//! mail without being named, and a right that is not given needs no second way of being withheld.

use super::Outcome;
use crate::error::{Failure, Stop};
use crate::place::{self, Place};
use crate::reply::DONE;
use crate::session::Session;
use palombe_imap_proto::{AclCommand, Mailbox, RightsChange, RightsMode};
use palombe_store::{FolderRights, JournalLine, Outcome as Ended, Store, StoreError};
use palombe_vocabulary::{BalAddress, BalId, BalStatus};
use serde_json::json;

/// Any of these lets somebody ask for its own rights (RFC 4314 4).
const ASK_OWN: &str = "lrikxa";

pub(super) async fn acl(session: &mut Session, command: AclCommand) -> Outcome {
    match command {
        AclCommand::Set { mailbox, identifier, change } => {
            set(session, &mailbox, &identifier, &change).await
        }
        AclCommand::Delete { mailbox, identifier } => {
            let nothing = RightsChange { mode: RightsMode::Replace, letters: String::new() };
            set(session, &mailbox, &identifier, &nothing).await
        }
        AclCommand::Get(mailbox) => get(session, &mailbox).await,
        AclCommand::List { mailbox, identifier } => list(session, &mailbox, &identifier).await,
        AclCommand::Mine(mailbox) => mine(session, &mailbox).await,
    }
}

/// The BAL that an identifier names; one that does not live here and one that is closed are alike.
fn identified(store: &Store, identifier: &str) -> Result<BalId, Failure> {
    let address: BalAddress = identifier.parse().map_err(|_| Failure::Identifier)?;
    let bal = store.bal_by_address(&address)?;
    let bal = bal.filter(|bal| bal.status == BalStatus::Active);
    Ok(bal.ok_or(Failure::Identifier)?.id)
}

async fn set(
    session: &mut Session,
    mailbox: &Mailbox,
    identifier: &str,
    change: &RightsChange,
) -> Outcome {
    let place = place::find(session, mailbox.as_str(), 'a').await?;
    let (bal, folder) = (place.bal(), place.id);
    let by = session.account()?.open.address().to_string();
    let (id, identifier, change) = (session.id, identifier.to_owned(), change.clone());
    session
        .in_pool(move |house| {
            let store = &house.store;
            let who = identified(store, &identifier)?;
            if who == bal {
                // The BAL itself always has every right: LISTRIGHTS says so.
                return Err(Failure::OwnRights);
            }
            let old = store.folder_rights(bal, folder, who);
            let asked = FolderRights::of(&change.letters);
            let new = match change.mode {
                RightsMode::Replace => asked,
                RightsMode::Add => old.and(asked),
                RightsMode::Remove => old.without(asked),
            };
            let now = palombe_driver::now();
            let line = JournalLine {
                at: now,
                event: "bal.acl".to_owned(),
                outcome: Ended::Accepted,
                session: Some(id),
                queue: None,
                bal: Some(bal),
                message_id: None,
                peer: None,
                peer_dn: None,
                domain: None,
                rule: None,
                detail: json!({
                    "by": by,
                    "folder": folder.0,
                    "member": store.bal(who)?.map(|bal| bal.address.to_string()),
                    "old": old.letters(),
                    "new": new.letters(),
                })
                .to_string(),
            };
            Ok(store.acl_set((bal, folder), who, new, now, &[line])?)
        })
        .await?;
    Ok(DONE)
}

async fn get(session: &mut Session, mailbox: &Mailbox) -> Outcome {
    let place = place::find(session, mailbox.as_str(), 'a').await?;
    let (bal, folder) = (place.bal(), place.id);
    let entries = session
        .in_store(move |store| {
            let mut out = Vec::new();
            for (who, rights) in store.folder_acl(bal, folder) {
                if let Some(who) = store.bal(who)? {
                    out.push((who.address.to_string(), rights.letters()));
                }
            }
            Ok::<_, StoreError>(out)
        })
        .await?;
    let out = &mut session.wire.out;
    out.raw("* ACL ").mailbox(&place.name);
    for (identifier, rights) in entries {
        out.raw(" ").astring(&identifier).raw(" ").astring(&rights);
    }
    out.crlf();
    Ok(DONE)
}

async fn list(session: &mut Session, mailbox: &Mailbox, identifier: &str) -> Outcome {
    let place = place::find(session, mailbox.as_str(), 'a').await?;
    let asked = identifier.to_owned();
    let who = session.in_pool(move |house| identified(&house.store, &asked)).await?;
    let out = &mut session.wire.out;
    out.raw("* LISTRIGHTS ").mailbox(&place.name).raw(" ").astring(identifier);
    if who == place.bal() {
        // RFC 4314 3.7: what it always has.
        out.raw(" ").astring(&FolderRights::ALL.letters());
    } else {
        out.raw(" \"\" l r s w i p k x t e a c d");
    }
    out.crlf();
    Ok(DONE)
}

async fn mine(session: &mut Session, mailbox: &Mailbox) -> Outcome {
    let place = place::look_up(session, mailbox.as_str()).await?;
    if !place.open.rights().any(FolderRights::of(ASK_OWN)) {
        return Err(Stop::from(Failure::NoSuchFolder));
    }
    write_my_rights(session, &place);
    Ok(DONE)
}

/// `* MYRIGHTS name rights`, also for LIST RETURN (MYRIGHTS) (RFC 8440).
pub(super) fn write_my_rights(session: &mut Session, place: &Place) {
    let letters = place.open.rights().letters();
    let out = &mut session.wire.out;
    out.raw("* MYRIGHTS ").mailbox(&place.name).raw(" ").astring(&letters).crlf();
}
