//! GETMETADATA and SETMETADATA (RFC 5464 5).

use super::spaced;
use crate::Mailbox;
use crate::metadata::{Depth, Entry, MetadataCommand};
use crate::token::{Bad, Tokens};

pub(super) fn get(t: &mut Tokens<'_>) -> Result<MetadataCommand, Bad> {
    t.space()?;
    let (mut depth, mut max_size) = (Depth::Zero, None);
    if t.peek() == Some(b'(') {
        t.list("options", 1, |t| {
            match t.word("an option")?.as_str() {
                "MAXSIZE" => max_size = Some(spaced(t, Tokens::number64)?),
                "DEPTH" => depth = spaced(t, depth_of)?,
                _ => return Err(Bad::Unknown("option")),
            }
            Ok(())
        })?;
        t.space()?;
    }
    let mailbox = mailbox(t)?;
    t.space()?;
    let entries =
        if t.peek() == Some(b'(') { t.list("entries", 1, entry)? } else { vec![entry(t)?] };
    Ok(MetadataCommand::Get { mailbox, entries, depth, max_size })
}

pub(super) fn set(t: &mut Tokens<'_>) -> Result<MetadataCommand, Bad> {
    let mailbox = spaced(t, mailbox)?;
    t.space()?;
    let values = t.list("entries", 1, |t| {
        let entry = entry(t)?;
        t.space()?;
        let value = if t.take_word("NIL") { None } else { Some(t.string()?.into_owned()) };
        Ok((entry, value))
    })?;
    Ok(MetadataCommand::Set { mailbox, values })
}

fn depth_of(t: &mut Tokens<'_>) -> Result<Depth, Bad> {
    match t.word("a depth")?.as_str() {
        "0" => Ok(Depth::Zero),
        "1" => Ok(Depth::One),
        "INFINITY" => Ok(Depth::Infinity),
        _ => Err(Bad::Unknown("depth")),
    }
}

/// RFC 5464 4.2: the empty name is the server.
fn mailbox(t: &mut Tokens<'_>) -> Result<Option<Mailbox>, Bad> {
    let mailbox = t.mailbox()?;
    Ok((!mailbox.as_str().is_empty()).then_some(mailbox))
}

/// RFC 5464 3.2: names have no case, no empty level, no wildcard, and begin with their scope.
fn entry(t: &mut Tokens<'_>) -> Result<Entry, Bad> {
    let text = t.astring_text()?.to_ascii_lowercase();
    let (private, name) = match (text.strip_prefix("/private"), text.strip_prefix("/shared")) {
        (Some(name), _) => (true, name),
        (_, Some(name)) => (false, name),
        _ => return Err(Bad::Expected("/private or /shared")),
    };
    let plain = |b: u8| (0x20..0x7f).contains(&b) && b != b'*' && b != b'%';
    let levels = name.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|l| !l.is_empty()));
    if !(name.is_empty() || levels && name.bytes().all(plain)) {
        return Err(Bad::Expected("an entry name"));
    }
    Ok(Entry { private, name: name.to_owned() })
}
