//! FETCH and its sections (RFC 9051 6.4.5).

use super::{partial_range, sequence_set, spaced};
use crate::command::{
    BinaryPart, Command, FetchItem, FetchModifiers, HeaderFields, Partial, Section, SectionText,
    Selector,
};
use crate::token::{Bad, Tokens};

pub(super) fn fetch(t: &mut Tokens<'_>, by: Selector) -> Result<Command, Bad> {
    let set = spaced(t, sequence_set)?;
    t.space()?;
    let items = items(t)?;
    let modifiers = if t.take(b' ') { modifiers(t, by)? } else { FetchModifiers::default() };
    Ok(Command::Fetch { by, set, items, modifiers })
}

fn modifiers(t: &mut Tokens<'_>, by: Selector) -> Result<FetchModifiers, Bad> {
    let mut modifiers = FetchModifiers::default();
    t.list("modifiers", 1, |t| {
        if t.take_word("CHANGEDSINCE") {
            let modseq = spaced(t, Tokens::number64)?;
            modifiers.changed_since = Some(modseq);
            // RFC 7162 3.1.4.1: the value is a mod-sequence-value, not zero.
            return if modseq == 0 { Err(Bad::Number) } else { Ok(()) };
        }
        if by == Selector::Uid && t.take_word("VANISHED") {
            modifiers.vanished = true;
            return Ok(());
        }
        if by == Selector::Uid && t.take_word("PARTIAL") {
            modifiers.partial = Some(spaced(t, partial_range)?);
            return Ok(());
        }
        // RFC 7162 3.2.6: VANISHED is BAD in a FETCH by sequence number; RFC 9394 3.3 extends UID FETCH only.
        Err(Bad::Unknown("FETCH modifier"))
    })?;
    // RFC 7162 3.2.6
    if modifiers.vanished && modifiers.changed_since.is_none() {
        return Err(Bad::Expected("CHANGEDSINCE with VANISHED"));
    }
    Ok(modifiers)
}

fn items(t: &mut Tokens<'_>) -> Result<Vec<FetchItem>, Bad> {
    use FetchItem::*;
    if t.take_word("ALL") {
        return Ok(vec![Flags, InternalDate, Rfc822Size, Envelope]);
    }
    if t.take_word("FAST") {
        return Ok(vec![Flags, InternalDate, Rfc822Size]);
    }
    if t.take_word("FULL") {
        return Ok(vec![Flags, InternalDate, Rfc822Size, Envelope, Body]);
    }
    if t.peek() != Some(b'(') {
        return Ok(vec![item(t)?]);
    }
    let items = t.list("items", 1, item)?;
    if items.len() > t.limits.fetch_items_max {
        return Err(Bad::TooMany("items"));
    }
    Ok(items)
}

fn item(t: &mut Tokens<'_>) -> Result<FetchItem, Bad> {
    let word = t.word("an item")?;
    let bracket = t.peek() == Some(b'[');
    Ok(match (word.as_str(), bracket) {
        ("BODY", true) => section_item(t, false)?,
        ("BODY.PEEK", true) => section_item(t, true)?,
        ("BINARY", true) => binary(t, false)?,
        ("BINARY.PEEK", true) => binary(t, true)?,
        ("BINARY.SIZE", true) => FetchItem::BinarySize { part: binary_part(t)? },
        (_, true) => return Err(Bad::Unknown("item")),
        ("BODY", _) => FetchItem::Body,
        ("BODYSTRUCTURE", _) => FetchItem::BodyStructure,
        ("ENVELOPE", _) => FetchItem::Envelope,
        ("FLAGS", _) => FetchItem::Flags,
        ("INTERNALDATE", _) => FetchItem::InternalDate,
        ("MODSEQ", _) => FetchItem::ModSeq,
        ("RFC822", _) => FetchItem::Rfc822,
        ("RFC822.HEADER", _) => FetchItem::Rfc822Header,
        ("RFC822.SIZE", _) => FetchItem::Rfc822Size,
        ("RFC822.TEXT", _) => FetchItem::Rfc822Text,
        ("UID", _) => FetchItem::Uid,
        ("EMAILID", _) => FetchItem::EmailId,
        ("THREADID", _) => FetchItem::ThreadId,
        ("SAVEDATE", _) => FetchItem::SaveDate,
        ("PREVIEW", _) => FetchItem::Preview { lazy: preview_modifiers(t)? },
        _ => return Err(Bad::Unknown("item")),
    })
}

/// RFC 8970 6: the modifiers stand behind a space, as a further item would.
fn preview_modifiers(t: &mut Tokens<'_>) -> Result<bool, Bad> {
    if !t.take_all(b" (") {
        return Ok(false);
    }
    if !t.take_word("LAZY") {
        return Err(Bad::Unknown("PREVIEW modifier"));
    }
    t.expect(b')', ")")?;
    Ok(true)
}

fn section_item(t: &mut Tokens<'_>, peek: bool) -> Result<FetchItem, Bad> {
    t.expect(b'[', "[")?;
    let section = section(t)?;
    t.expect(b']', "]")?;
    Ok(FetchItem::Section { section, partial: partial(t)?, peek })
}

/// `section-spec`: a number, a specifier, or both with a dot between.
fn section(t: &mut Tokens<'_>) -> Result<Section, Bad> {
    let mut part = Vec::new();
    while matches!(t.peek(), Some(b'0'..=b'9')) {
        if part.len() >= t.limits.section_depth_max {
            return Err(Bad::TooDeep);
        }
        part.push(t.nz_number()?);
        if !t.take(b'.') {
            return Ok(Section { part, text: None });
        }
    }
    if part.is_empty() && t.peek() == Some(b']') {
        return Ok(Section::default());
    }
    let text = match t.word("a section")?.as_str() {
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "HEADER.FIELDS" => SectionText::HeaderFields(header_fields(t, false)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFields(header_fields(t, true)?),
        // RFC 9051 6.4.5.1: MIME only after a part number.
        "MIME" if !part.is_empty() => SectionText::Mime,
        _ => return Err(Bad::Unknown("section")),
    };
    Ok(Section { part, text: Some(text) })
}

fn header_fields(t: &mut Tokens<'_>, not: bool) -> Result<HeaderFields, Bad> {
    t.space()?;
    let names = t.list("header fields", 1, Tokens::astring_text)?;
    Ok(HeaderFields { names, not })
}

fn binary(t: &mut Tokens<'_>, peek: bool) -> Result<FetchItem, Bad> {
    let part = binary_part(t)?;
    Ok(FetchItem::Binary(BinaryPart { part, partial: partial(t)?, peek }))
}

fn binary_part(t: &mut Tokens<'_>) -> Result<Vec<u32>, Bad> {
    t.expect(b'[', "[")?;
    let section = section(t)?;
    t.expect(b']', "]")?;
    // RFC 9051 9: `section-binary` holds a part number only.
    if section.text.is_some() { Err(Bad::Unknown("section")) } else { Ok(section.part) }
}

fn partial(t: &mut Tokens<'_>) -> Result<Option<Partial>, Bad> {
    if !t.take(b'<') {
        return Ok(None);
    }
    let offset = t.number64()?;
    t.expect(b'.', ".")?;
    let length = t.number64()?;
    t.expect(b'>', ">")?;
    // RFC 9051 9: the count is an nz-number64.
    if length == 0 { Err(Bad::Number) } else { Ok(Some(Partial { offset, length })) }
}
