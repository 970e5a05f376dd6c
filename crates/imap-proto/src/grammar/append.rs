//! APPEND and REPLACE up to their messages (RFC 9051 6.3.12, RFC 3502, RFC 3516 4.4, RFC 6855 4, RFC 8508).

use super::{flag, spaced, without_recent};
use crate::command::{AppendHead, AppendMessage, Replaced, Selector};
use crate::framing::Marker;
use crate::token::{Bad, Tokens};
use crate::{DateTime, Mailbox};

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

/// Reads everything in front of the literal marker.
pub(crate) fn parse_append_line(mut t: Tokens<'_>, marker: Marker) -> AppendLine {
    let Ok(tag) = t.tag().map(str::to_owned) else { return AppendLine::Other };
    if !t.take(b' ') {
        return AppendLine::Other;
    }
    let by = if t.take_word("UID") { Selector::Uid } else { Selector::Sequence };
    if by == Selector::Uid && !t.take(b' ') {
        return AppendLine::Other;
    }
    let replaces = if t.take_word("REPLACE") {
        match spaced(&mut t, replaced_number) {
            Ok(number) => Some(Replaced { by, number }),
            Err(bad) => return AppendLine::Bad(bad),
        }
    } else if by == Selector::Sequence && t.take_word("APPEND") {
        None
    } else {
        return AppendLine::Other;
    };
    if !t.take(b' ') {
        return AppendLine::Bad(Bad::Expected("a space"));
    }
    if t.is_at_end() {
        return AppendLine::Other; // the literal is the mailbox name
    }
    match arguments(&mut t, marker) {
        Ok((mailbox, message)) => {
            AppendLine::Message(AppendHead { tag, mailbox, replaces, message })
        }
        Err(bad) => AppendLine::Bad(bad),
    }
}

/// RFC 9051 9, `seq-number`.
fn replaced_number(t: &mut Tokens<'_>) -> Result<Option<u32>, Bad> {
    if t.take(b'*') { Ok(None) } else { t.nz_number().map(Some) }
}

fn arguments(t: &mut Tokens<'_>, marker: Marker) -> Result<(Mailbox, AppendMessage), Bad> {
    let mailbox = t.mailbox()?;
    Ok((mailbox, spaced(t, |t| message(t, marker))?))
}

/// What stands between two messages of an APPEND (RFC 3502), or behind the last one when it has no marker.
pub(crate) fn parse_append_next(
    mut t: Tokens<'_>,
    closes_utf8: bool,
    marker: Marker,
) -> Result<AppendMessage, Bad> {
    if closes_utf8 {
        t.expect(b')', ")")?;
    }
    spaced(&mut t, |t| message(t, marker))
}

fn message(t: &mut Tokens<'_>, marker: Marker) -> Result<AppendMessage, Bad> {
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
    // RFC 6855 4: the literal is then a literal8.
    let utf8 = t.take_word("UTF8");
    if utf8 {
        t.space()?;
        t.expect(b'(', "(")?;
        if !marker.literal8 {
            return Err(Bad::Expected("a literal8"));
        }
    }
    t.end()?;
    Ok(AppendMessage {
        flags: without_recent(flags),
        date,
        size: marker.size,
        waits: marker.waits,
        literal8: marker.literal8,
        utf8,
    })
}
