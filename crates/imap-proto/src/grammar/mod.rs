//! The command grammar of RFC 9051 9 and RFC 3501 9, one command at a time.

mod acl;
mod append;
mod fetch;
mod list;
mod metadata;
mod search;
mod select;

pub(crate) use append::{AppendLine, parse_append_line, parse_append_next};

use crate::command::{
    Command, FlagChange, PartialRange, Selector, SpecialUse, StatusItem, StoreMode, Tagged,
};
use crate::set::SequenceSet;
use crate::token::{Bad, Tokens};
use crate::{DELIMITER, Limits};
use palombe_vocabulary::Secret;

/// Parses one whole command without its final CRLF, literals in place. `utf8`: names are UTF-8, not modified UTF-7.
///
/// # Errors
/// The tag, when one could be read, and what is wrong.
pub fn parse_command(
    bytes: &[u8],
    limits: &Limits,
    utf8: bool,
) -> Result<Tagged, (Option<String>, Bad)> {
    let mut tokens = Tokens::new(bytes, limits, utf8);
    let tag = tokens.tag().map_err(|bad| (None, bad))?.to_owned();
    let command = tokens.space().and_then(|()| command(&mut tokens));
    match command.and_then(|command| tokens.end().map(|()| command)) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(bad) => Err((Some(tag), bad)),
    }
}

fn command(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    let name = t.word("a command").map_err(|_| Bad::UnknownCommand)?;
    Ok(match name.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "AUTHENTICATE" => authenticate(t)?,
        "LOGIN" => login(t)?,
        "NAMESPACE" => Command::Namespace,
        "IDLE" => Command::Idle,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge,
        "ENABLE" => enable(t)?,
        "SELECT" => {
            let (mailbox, parameters) = select::select(t)?;
            Command::Select { mailbox, parameters }
        }
        "EXAMINE" => {
            let (mailbox, parameters) = select::select(t)?;
            Command::Examine { mailbox, parameters }
        }
        "CREATE" => create(t)?,
        "DELETE" => Command::Delete(spaced(t, Tokens::mailbox)?),
        "RENAME" => {
            let from = spaced(t, Tokens::mailbox)?;
            Command::Rename { from, to: spaced(t, Tokens::mailbox)? }
        }
        "SUBSCRIBE" => Command::Subscribe(spaced(t, Tokens::mailbox)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(spaced(t, Tokens::mailbox)?),
        "LIST" => Command::List(spaced(t, list::list)?),
        "LSUB" => {
            let reference = spaced(t, Tokens::reference)?;
            Command::Lsub { reference, pattern: spaced(t, Tokens::pattern)? }
        }
        "STATUS" => {
            let mailbox = spaced(t, Tokens::mailbox)?;
            Command::Status { mailbox, items: spaced(t, status_items)? }
        }
        "GETMETADATA" => Command::Metadata(metadata::get(t)?),
        "SETMETADATA" => Command::Metadata(metadata::set(t)?),
        "ID" => spaced(t, id)?,
        "COMPRESS" => compress(t)?,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "UID" => uid(t)?,
        // The framing takes an APPEND with a message out of the stream: what comes here has none.
        "APPEND" | "REPLACE" => return Err(Bad::Expected("a message literal")),
        name => match acl::command(t, name) {
            Some(command) => command?,
            None => selected(t, name, Selector::Sequence)?,
        },
    })
}

fn uid(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    t.space()?;
    let name = t.word("a command")?;
    match name.as_str() {
        "EXPUNGE" => Ok(Command::UidExpunge(spaced(t, sequence_set)?)),
        "REPLACE" => Err(Bad::Expected("a message literal")),
        name => selected(t, name, Selector::Uid),
    }
}

fn selected(t: &mut Tokens<'_>, name: &str, by: Selector) -> Result<Command, Bad> {
    Ok(match name {
        "SEARCH" => Command::Search(search::search(t, by)?),
        "SORT" => Command::Sort(search::sort(t, by)?),
        "THREAD" => Command::Thread(search::thread(t, by)?),
        "FETCH" => fetch::fetch(t, by)?,
        "STORE" => store(t, by)?,
        "COPY" => {
            let set = spaced(t, sequence_set)?;
            Command::Copy { by, set, to: spaced(t, Tokens::mailbox)? }
        }
        "MOVE" => {
            let set = spaced(t, sequence_set)?;
            Command::Move { by, set, to: spaced(t, Tokens::mailbox)? }
        }
        _ => return Err(Bad::UnknownCommand),
    })
}

/// A space, then something.
fn spaced<'a, T>(
    t: &mut Tokens<'a>,
    parse: impl FnOnce(&mut Tokens<'a>) -> Result<T, Bad>,
) -> Result<T, Bad> {
    t.space()?;
    parse(t)
}

fn authenticate(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    let mechanism = spaced(t, |t| t.atom("a mechanism"))?.to_ascii_uppercase();
    let initial = if t.take(b' ') { Some(Secret::new(t.base64()?)) } else { None };
    Ok(Command::Authenticate { mechanism, initial })
}

fn login(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    let user = spaced(t, Tokens::astring_text)?;
    let password = Secret::new(spaced(t, Tokens::astring_text)?);
    Ok(Command::Login { user, password })
}

fn enable(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    let mut names = Vec::new();
    while t.take(b' ') {
        if names.len() >= t.limits.list_members_max {
            return Err(Bad::TooMany("capabilities"));
        }
        names.push(t.atom("a capability")?.to_ascii_uppercase());
    }
    if names.is_empty() { Err(Bad::Expected("a capability")) } else { Ok(Command::Enable(names)) }
}

/// RFC 4978 5: the one algorithm there is.
fn compress(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    match spaced(t, |t| t.word("an algorithm"))?.as_str() {
        "DEFLATE" => Ok(Command::Compress),
        _ => Err(Bad::Unknown("compression algorithm")),
    }
}

fn create(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    let mailbox = spaced(t, Tokens::mailbox)?;
    let mut uses = Vec::new();
    if t.take(b' ') {
        t.expect(b'(', "(")?;
        if !t.take_word("USE") {
            return Err(Bad::Unknown("CREATE parameter"));
        }
        t.space()?;
        uses = t.list("special uses", 0, |t| {
            t.expect(b'\\', "a special use")?;
            let name = t.atom("a special use")?;
            SpecialUse::from_attribute(&format!("\\{name}")).ok_or(Bad::Unknown("special use"))
        })?;
        t.expect(b')', ")")?;
    }
    if mailbox.as_str().is_empty() || mailbox.as_str() == DELIMITER.to_string() {
        return Err(Bad::MailboxName);
    }
    Ok(Command::Create { mailbox, uses })
}

fn status_items(t: &mut Tokens<'_>) -> Result<Vec<StatusItem>, Bad> {
    t.list("items", 1, |t| {
        Ok(match t.word("a status item")?.as_str() {
            "MESSAGES" => StatusItem::Messages,
            "RECENT" => StatusItem::Recent,
            "UIDNEXT" => StatusItem::UidNext,
            "UIDVALIDITY" => StatusItem::UidValidity,
            "UNSEEN" => StatusItem::Unseen,
            "DELETED" => StatusItem::Deleted,
            "SIZE" => StatusItem::Size,
            "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
            "DELETED-STORAGE" => StatusItem::DeletedStorage,
            "APPENDLIMIT" => StatusItem::AppendLimit,
            "MAILBOXID" => StatusItem::MailboxId,
            _ => return Err(Bad::Unknown("status item")),
        })
    })
}

fn id(t: &mut Tokens<'_>) -> Result<Command, Bad> {
    if t.take_word("NIL") {
        return Ok(Command::Id(Vec::new()));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = t.list("ID fields", 0, |t| {
        let name = text(&t.string()?);
        t.space()?;
        let value = if t.take_word("NIL") { None } else { Some(text(&t.string()?)) };
        Ok((name, value))
    })?;
    // RFC 2971 3.3: at most 30 pairs.
    if pairs.len() > 30 { Err(Bad::TooMany("ID fields")) } else { Ok(Command::Id(pairs)) }
}

/// `sequence-set`, or `$` (RFC 5182).
fn sequence_set(t: &mut Tokens<'_>) -> Result<SequenceSet, Bad> {
    if t.take(b'$') {
        return Ok(SequenceSet::Saved);
    }
    let mut ranges = Vec::new();
    loop {
        if ranges.len() >= t.limits.sequence_ranges_max {
            return Err(Bad::TooMany("ranges"));
        }
        let first = sequence_number(t)?;
        let last = if t.take(b':') { sequence_number(t)? } else { first };
        ranges.push((first, last));
        if !t.take(b',') {
            return Ok(SequenceSet::Ranges(ranges));
        }
    }
}

/// RFC 9394 4, `partial-range`.
fn partial_range(t: &mut Tokens<'_>) -> Result<PartialRange, Bad> {
    let from_end = t.take(b'-');
    let first = t.nz_number()?;
    t.expect(b':', ":")?;
    if from_end {
        t.expect(b'-', "-")?;
    }
    Ok(PartialRange { from_end, bounds: (first, t.nz_number()?) })
}

fn sequence_number(t: &mut Tokens<'_>) -> Result<Option<u32>, Bad> {
    if t.take(b'*') {
        return Ok(None);
    }
    match t.peek() {
        Some(b'0'..=b'9') => t.nz_number().map(Some),
        _ => Err(Bad::Expected("a sequence set")),
    }
}

/// One flag: `\Seen`, or a keyword. The name is kept as written; the server knows which exist.
fn flag(t: &mut Tokens<'_>) -> Result<String, Bad> {
    let system = t.take(b'\\');
    let name = t.atom("a flag")?;
    if name.len() > t.limits.keyword_bytes_max {
        return Err(Bad::TooMany("octets in a keyword"));
    }
    Ok(if system { format!("\\{name}") } else { name.to_owned() })
}

/// `\Recent` is not the client's to set (RFC 3501 2.3.2); some send it back as they read it.
fn without_recent(mut flags: Vec<String>) -> Vec<String> {
    flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    flags
}

fn store(t: &mut Tokens<'_>, by: Selector) -> Result<Command, Bad> {
    let set = spaced(t, sequence_set)?;
    t.space()?;
    let mut unchanged_since = None;
    if t.take(b'(') {
        if !t.take_word("UNCHANGEDSINCE") {
            return Err(Bad::Unknown("STORE modifier"));
        }
        unchanged_since = Some(spaced(t, Tokens::number64)?);
        t.expect(b')', ")")?;
        t.space()?;
    }
    let mode = if t.take(b'+') {
        StoreMode::Add
    } else if t.take(b'-') {
        StoreMode::Remove
    } else {
        StoreMode::Replace
    };
    let silent = match t.word("FLAGS")?.as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(Bad::Expected("FLAGS")),
    };
    t.space()?;
    let flags = if t.peek() == Some(b'(') {
        t.list("flags", 0, flag)?
    } else {
        let mut flags = vec![flag(t)?];
        while t.take(b' ') {
            if flags.len() >= t.limits.list_members_max {
                return Err(Bad::TooMany("flags"));
            }
            flags.push(flag(t)?);
        }
        flags
    };
    let change = FlagChange { mode, flags: without_recent(flags), silent };
    Ok(Command::Store { by, set, change, unchanged_since })
}
