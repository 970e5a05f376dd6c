//! LIST in all its forms (RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 3348) and LSUB (RFC 3501 6.3.9).

use super::Outcome;
use super::acl::write_my_rights;
use super::status::{Facts, write_status};
use crate::error::Stop;
use crate::place::{self, Place};
use crate::reply::DONE;
use crate::session::Session;
use palombe_imap_proto::{DELIMITER, ListCommand, Pattern};
use palombe_store::{Folder, SpecialUse};
use std::collections::BTreeMap;

/// The attribute of a folder's special use, if it has one.
pub(super) fn special_use_attribute(folder: &Folder) -> Option<&'static str> {
    folder.special_use.map(|special_use| match special_use {
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    })
}

/// A name to show: a folder, or only the superior of one.
struct Entry<'a> {
    folder: Option<&'a Place>,
    has_children: bool,
    /// RFC 5258 4: a name below matches the selection though this one may not.
    child_info: bool,
}

/// Every folder and every superior name, with what is below it.
fn tree<'a>(
    folders: &'a [Place],
    selected: impl Fn(&Place) -> bool,
) -> BTreeMap<(bool, &'a str), Entry<'a>> {
    let mut tree: BTreeMap<(bool, &str), Entry<'_>> = BTreeMap::new();
    let key = |name: &'a str| (name != "INBOX", name);
    for folder in folders {
        let entry = Entry { folder: Some(folder), has_children: false, child_info: false };
        tree.insert(key(&folder.name), entry);
    }
    for folder in folders {
        for (at, _) in folder.name.match_indices(DELIMITER) {
            let superior = tree.entry(key(&folder.name[..at]));
            let entry =
                superior.or_insert(Entry { folder: None, has_children: true, child_info: false });
            entry.has_children = true;
            entry.child_info |= selected(folder);
        }
    }
    tree
}

pub(super) async fn list(session: &mut Session, command: &ListCommand) -> Outcome {
    // RFC 9051 6.3.9: an empty pattern asks for the delimiter.
    if let [only] = command.patterns.as_slice()
        && only.as_str().is_empty()
        && !command.extended
    {
        session.wire.out.untagged("LIST (\\Noselect) \"/\" \"\"");
        return Ok(DONE);
    }
    let folders = place::all(session).await?;
    let selection = command.selection;
    let selects = |folder: &Place| {
        (!selection.subscribed || folder.subscribed)
            && (!selection.special_use || folder.special_use.is_some())
    };
    let restricted = selection.subscribed || selection.special_use;
    for ((_, name), entry) in &tree(&folders, selects) {
        if !command.patterns.iter().any(|pattern| pattern.matches(&command.reference, name)) {
            continue;
        }
        let matches = entry.folder.is_some_and(selects);
        let by_child = restricted && selection.recursive_match && entry.child_info;
        let superior_only = !restricted && entry.folder.is_none();
        if !(matches || by_child || superior_only) {
            continue;
        }
        write_entry(session, command, name, entry, by_child).await?;
        session.wire.relieve().await?;
    }
    Ok(DONE)
}

async fn write_entry(
    session: &mut Session,
    command: &ListCommand,
    name: &str,
    entry: &Entry<'_>,
    by_child: bool,
) -> Result<(), Stop> {
    let rev2 = session.enabled.rev2;
    let out = &mut session.wire.out;
    let mut attributes: Vec<&str> = Vec::new();
    match entry.folder {
        // RFC 5258 3: \NonExistent implies \Noselect; older clients know only the latter.
        None if rev2 || command.extended => attributes.push("\\NonExistent"),
        None => attributes.push("\\Noselect"),
        Some(folder) => {
            let asked = command.returns.subscribed || command.selection.subscribed;
            if asked && folder.subscribed {
                attributes.push("\\Subscribed");
            }
            attributes.extend(special_use_attribute(folder));
        }
    }
    attributes.push(if entry.has_children { "\\HasChildren" } else { "\\HasNoChildren" });
    out.raw("* LIST ").list(&attributes).raw(" \"/\" ").mailbox(name);
    if by_child {
        // RFC 5258 3.5
        let word = if command.selection.subscribed { "SUBSCRIBED" } else { "SPECIAL-USE" };
        out.raw(" (\"CHILDINFO\" (\"").raw(word).raw("\"))");
    }
    out.crlf();
    let Some(folder) = entry.folder else { return Ok(()) };
    let items = &command.returns.status;
    if !items.is_empty() && folder.open.may('r') {
        let facts = Facts::of(session, folder, items).await?;
        write_status(&mut session.wire.out, folder, items, &facts);
    }
    if command.returns.my_rights {
        write_my_rights(session, folder); // RFC 8440
    }
    Ok(())
}

pub(super) async fn lsub(session: &mut Session, reference: &str, pattern: &Pattern) -> Outcome {
    let folders = place::all(session).await?;
    let by_level = pattern.as_str().ends_with('%');
    for ((_, name), entry) in &tree(&folders, |folder| folder.subscribed) {
        if !pattern.matches(reference, name) {
            continue;
        }
        let subscribed = entry.folder.is_some_and(|folder| folder.subscribed);
        // RFC 3501 6.3.9: with `%`, an unsubscribed superior of a subscribed name is shown as \Noselect.
        let attribute = match (subscribed, by_level && entry.child_info) {
            (true, _) => "",
            (false, true) => "\\Noselect",
            (false, false) => continue,
        };
        let out = &mut session.wire.out;
        out.raw("* LSUB (").raw(attribute).raw(") \"/\" ").mailbox(name).crlf();
        session.wire.relieve().await?;
    }
    Ok(DONE)
}
