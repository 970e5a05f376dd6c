//! Flags between their names on the wire and the store's (RFC 9051 2.3.2).

use crate::error::Failure;
use palombe_access::OpenFolder;
use palombe_store::{FlagScope, Flags};

/// The system flags that a client may set, in the order they are shown.
pub(crate) const SYSTEM: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

/// Names of the flags that are set.
pub(crate) fn flag_names(flags: &Flags) -> Vec<&str> {
    let set = [flags.answered, flags.flagged, flags.deleted, flags.seen, flags.draft];
    let system = SYSTEM.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name);
    system.chain(flags.keywords.iter().map(String::as_str)).collect()
}

/// Which flags may be changed there (RFC 4314 4).
pub(crate) fn scope(at: OpenFolder) -> FlagScope {
    FlagScope { seen: at.may('s'), deleted: at.may('t'), others: at.may('w') }
}

/// Flags from the names of a client.
pub(crate) fn from_names(names: &[String]) -> Result<Flags, Failure> {
    let mut flags = Flags::default();
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "\\answered" => flags.answered = true,
            "\\flagged" => flags.flagged = true,
            "\\deleted" => flags.deleted = true,
            "\\seen" => flags.seen = true,
            "\\draft" => flags.draft = true,
            system if system.starts_with('\\') => return Err(Failure::Flag),
            _ => flags.keywords.push(name.clone()),
        }
    }
    flags.keywords.sort_by_key(|keyword| keyword.to_ascii_lowercase());
    flags.keywords.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    Ok(flags)
}
