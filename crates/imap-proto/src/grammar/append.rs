//! APPEND up to its message (RFC 9051 6.3.12, RFC 3516 4.4).

use super::{flag, without_recent};
use crate::DateTime;
use crate::command::AppendHead;
use crate::token::{Bad, Tokens};

/// What a line that ends in a literal is.
pub(crate) enum AppendLine {
    /// Not an APPEND, or the literal is its mailbox name: an ordinary literal.
    Other,
    /// The literal is the message.
    Message(AppendHead),
    /// An APPEND with something wrong in front of its literal. The literal is then thrown away: kept as an argument
    /// it could be a message.
    Bad(Bad),
}

/// Reads everything in front of the literal marker. `size` and `waits` come from the marker.
pub(crate) fn parse_append_line(mut t: Tokens<'_>, size: u64, waits: bool) -> AppendLine {
    let Ok(tag) = t.tag().map(str::to_owned) else { return AppendLine::Other };
    if !t.take(b' ') || !t.take_word("APPEND") {
        return AppendLine::Other;
    }
    if !t.take(b' ') {
        return AppendLine::Bad(Bad::Expected("a space"));
    }
    if t.is_at_end() {
        return AppendLine::Other; // the literal is the mailbox name
    }
    match arguments(&mut t) {
        Ok((mailbox, flags, date)) => {
            AppendLine::Message(AppendHead { tag, mailbox, flags, date, size, waits })
        }
        Err(bad) => AppendLine::Bad(bad),
    }
}

type Arguments = (crate::Mailbox, Vec<String>, Option<DateTime>);

fn arguments(t: &mut Tokens<'_>) -> Result<Arguments, Bad> {
    let mailbox = t.mailbox()?;
    t.space()?;
    let mut flags = Vec::new();
    if t.peek() == Some(b'(') {
        flags = t.list("flags", 0, flag)?;
        t.space()?;
    }
    let mut date = None;
    if t.peek() == Some(b'"') {
        date = Some(DateTime::parse(&t.string()?).ok_or(Bad::Date)?);
        t.space()?;
    }
    t.end()?;
    Ok((mailbox, without_recent(flags), date))
}
