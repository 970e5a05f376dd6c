//! GETQUOTA and GETQUOTAROOT (RFC 9208). One quota root per BAL, named by its address; limits are the operator's to
//! set.

use super::Outcome;
use crate::error::Failure;
use crate::place;
use crate::reply::DONE;
use crate::session::Session;
use palombe_imap_proto::{Mailbox, QuotaCommand};
use palombe_vocabulary::{BalAddress, BalId};

/// RFC 9208 5.1: STORAGE counts units of 1,024 octets.
const STORAGE_UNIT: u64 = 1024;

pub(super) async fn quota(session: &mut Session, command: QuotaCommand) -> Outcome {
    match command {
        QuotaCommand::Get(root) => get(session, &root).await,
        QuotaCommand::Root(mailbox) => root_of(session, &mailbox).await,
        // RFC 9208 4.1.3: without QUOTASET nobody sets limits here.
        QuotaCommand::Set(_) => Err(Failure::NoPermission.into()),
    }
}

/// The BAL of a root that this client may ask about: its own, and those of which it is a member.
fn bal_of(session: &Session, root: &str) -> Result<BalId, Failure> {
    let open = &session.account()?.open;
    let address: BalAddress = root.parse().map_err(|_| Failure::NoSuchRoot)?;
    if *open.address() == address {
        return Ok(open.id());
    }
    let shared = session.server.house.access.shared(open)?;
    let found = shared.iter().find(|bal| bal.address == address);
    found.map(|bal| bal.id).ok_or(Failure::NoSuchRoot)
}

async fn get(session: &mut Session, root: &str) -> Outcome {
    let bal = bal_of(session, root)?;
    write_quota(session, bal).await
}

async fn root_of(session: &mut Session, mailbox: &Mailbox) -> Outcome {
    let place = place::find(session, mailbox.as_str(), 'r').await?;
    let bal = place.bal();
    let root = session.in_store(move |store| store.bal(bal)).await?;
    let root = root.ok_or(Failure::NoSuchFolder)?.address.to_string();
    let out = &mut session.wire.out;
    out.raw("* QUOTAROOT ").mailbox(&place.name).raw(" ").astring(&root).crlf();
    write_quota(session, bal).await
}

async fn write_quota(session: &mut Session, id: BalId) -> Outcome {
    let found = session
        .in_store(move |store| {
            let usage = store.bal_usage(id)?;
            Ok((store.bal(id)?, usage))
        })
        .await?;
    let (Some(bal), usage) = found else { return Err(Failure::NoSuchRoot.into()) };
    let out = &mut session.wire.out;
    out.raw("* QUOTA ").astring(&bal.address.to_string());
    // Rounded so that a full BAL never looks as if something still fitted.
    let used = usage.bytes.div_ceil(STORAGE_UNIT);
    out.raw(" (STORAGE ").show(used).raw(" ").show(bal.quota_bytes / STORAGE_UNIT);
    out.raw(" MESSAGE ").show(usage.messages).raw(" ").show(palombe_store::limits::MESSAGES_MAX);
    out.raw(")").crlf();
    Ok(DONE)
}
