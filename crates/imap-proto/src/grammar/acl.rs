//! SETACL and its company (RFC 4314 7), GETQUOTA and its company (RFC 9208 7).

use super::spaced;
use crate::acl::{AclCommand, QuotaCommand, RightsChange, RightsMode};
use crate::command::Command;
use crate::token::{Bad, Tokens};

/// Rights of RFC 4314 2.1 and the virtual ones of 2.1.1.
const LETTERS: &str = "lrswipkxteacd";

/// `None`: not a command of these.
pub(super) fn command(t: &mut Tokens<'_>, name: &str) -> Option<Result<Command, Bad>> {
    Some(match name {
        "SETACL" => set(t).map(Command::Acl),
        "DELETEACL" => named(t)
            .map(|(mailbox, identifier)| Command::Acl(AclCommand::Delete { mailbox, identifier })),
        "LISTRIGHTS" => named(t)
            .map(|(mailbox, identifier)| Command::Acl(AclCommand::List { mailbox, identifier })),
        "GETACL" => spaced(t, Tokens::mailbox).map(|m| Command::Acl(AclCommand::Get(m))),
        "MYRIGHTS" => spaced(t, Tokens::mailbox).map(|m| Command::Acl(AclCommand::Mine(m))),
        "GETQUOTA" => spaced(t, Tokens::astring_text).map(|r| Command::Quota(QuotaCommand::Get(r))),
        "GETQUOTAROOT" => spaced(t, Tokens::mailbox).map(|m| Command::Quota(QuotaCommand::Root(m))),
        "SETQUOTA" => set_quota(t).map(Command::Quota),
        _ => return None,
    })
}

fn named(t: &mut Tokens<'_>) -> Result<(crate::Mailbox, String), Bad> {
    let mailbox = spaced(t, Tokens::mailbox)?;
    let identifier = spaced(t, Tokens::astring_text)?;
    // RFC 4314 3: an identifier that is empty once prepared is BAD.
    let fine = !identifier.is_empty() && !identifier.chars().any(char::is_control);
    if fine { Ok((mailbox, identifier)) } else { Err(Bad::Expected("an identifier")) }
}

fn set(t: &mut Tokens<'_>) -> Result<AclCommand, Bad> {
    let (mailbox, identifier) = named(t)?;
    let text = spaced(t, Tokens::astring_text)?;
    let (mode, letters) = match text.as_bytes().first() {
        Some(b'+') => (RightsMode::Add, &text[1..]),
        Some(b'-') => (RightsMode::Remove, &text[1..]),
        _ => (RightsMode::Replace, text.as_str()),
    };
    // RFC 4314 3.1: an unknown right is BAD, never passed over.
    if !letters.chars().all(|letter| LETTERS.contains(letter)) {
        return Err(Bad::Unknown("right"));
    }
    let change = RightsChange { mode, letters: letters.to_owned() };
    Ok(AclCommand::Set { mailbox, identifier, change })
}

fn set_quota(t: &mut Tokens<'_>) -> Result<QuotaCommand, Bad> {
    let root = spaced(t, Tokens::astring_text)?;
    t.space()?;
    t.list("resources", 0, |t| {
        t.atom("a resource")?;
        spaced(t, Tokens::number64)
    })?;
    Ok(QuotaCommand::Set(root))
}
