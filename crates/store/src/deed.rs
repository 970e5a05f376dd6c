//! What members do in a BAL that is not their own: the batch that changes it tells the journal who did it.

use crate::draft::Draft;
use crate::{FlagChange, Flags, JournalLine, Outcome};
use palombe_vocabulary::{BalAddress, BalId, FolderId, SessionId, Timestamp, Uid};
use serde_json::{Value, json};

/// Who changes a BAL that may not be its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The member's BAL.
    pub member: BalId,
    /// Its address.
    pub by: BalAddress,
    /// The connection.
    pub session: Option<SessionId>,
    /// When.
    pub at: Timestamp,
}

/// Which flags somebody may change (RFC 4314 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagScope {
    /// `\Seen`
    pub seen: bool,
    /// `\Deleted`
    pub deleted: bool,
    /// Every other one.
    pub others: bool,
}

impl FlagScope {
    /// Every flag.
    pub const ALL: FlagScope = FlagScope { seen: true, deleted: true, others: true };

    /// Whether any flag may be changed.
    pub fn any(self) -> bool {
        self.seen || self.deleted || self.others
    }

    /// `new`, with what may not be changed as in `old`.
    pub fn cut(self, old: &Flags, new: Flags) -> Flags {
        let mut out = if self.others { new.clone() } else { old.clone() };
        out.seen = if self.seen { new.seen } else { old.seen };
        out.deleted = if self.deleted { new.deleted } else { old.deleted };
        out
    }
}

/// A change of flags and its conditions.
#[derive(Clone, Debug)]
pub struct FlagUpdate {
    /// What changes.
    pub change: FlagChange,
    /// RFC 7162 3.1.3
    pub unchanged_since: Option<palombe_vocabulary::ModSeq>,
    /// What may change.
    pub scope: FlagScope,
    /// Told to the journal when the BAL is not the member's own.
    pub deed: Option<Deed>,
}

/// Whether messages stay where they are copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarryMode {
    /// They stay.
    Copy,
    /// They go.
    Move,
}

/// Messages to copy or move, within a BAL or from one to another, all or none.
#[derive(Clone, Debug)]
pub struct Carriage {
    /// Copy or move.
    pub mode: CarryMode,
    /// BAL and folder they come from.
    pub from: (BalId, FolderId),
    /// Which.
    pub uids: Vec<Uid>,
    /// BAL and folder they come to.
    pub to: (BalId, FolderId),
    /// Flags that may be set there; others are lost (RFC 4314 4).
    pub scope: FlagScope,
    /// Told to the journal of each BAL that is not the member's own.
    pub deed: Option<Deed>,
}

/// Ranges of UIDs told by one line at most; a longer list is told by its count.
const TOLD_RANGES_MAX: usize = 1000;

/// `1:3,7`, or nothing when it would be too long.
fn ranges(uids: &[Uid]) -> Option<String> {
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for Uid(uid) in sorted {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => runs.push((uid, uid)),
        }
        if runs.len() > TOLD_RANGES_MAX {
            return None;
        }
    }
    let run = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}:{last}"),
    };
    Some(runs.iter().map(run).collect::<Vec<_>>().join(","))
}

fn flags_of(change: &FlagChange) -> (&'static str, &Flags) {
    match change {
        FlagChange::Add(flags) => ("add", flags),
        FlagChange::Remove(flags) => ("remove", flags),
        FlagChange::Replace(flags) => ("replace", flags),
    }
}

/// System flags by name; keywords are counted only, since a client may write anything into them.
fn told_flags(change: &FlagChange) -> Value {
    let (mode, flags) = flags_of(change);
    let system = [
        ("seen", flags.seen),
        ("answered", flags.answered),
        ("flagged", flags.flagged),
        ("deleted", flags.deleted),
        ("draft", flags.draft),
    ];
    let names: Vec<&str> = system.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    json!({ "mode": mode, "flags": names, "keywords": flags.keywords.len() })
}

/// What was done, before it is told.
struct Told<'a> {
    event: &'a str,
    bal: BalId,
    folder: FolderId,
    uids: &'a [Uid],
    more: Option<(&'a str, Value)>,
}

impl Deed {
    fn line(&self, told: Told<'_>) -> JournalLine {
        let mut detail = json!({
            "by": self.by.to_string(),
            "folder": told.folder.0,
            "messages": told.uids.len(),
            "uids": ranges(told.uids),
        });
        if let (Some((name, value)), Some(object)) = (told.more, detail.as_object_mut()) {
            object.insert(name.to_owned(), value);
        }
        JournalLine {
            at: self.at,
            event: told.event.to_owned(),
            outcome: Outcome::Accepted,
            session: self.session,
            queue: None,
            bal: Some(told.bal),
            message_id: None,
            peer: None,
            peer_dn: None,
            domain: None,
            rule: None,
            detail: detail.to_string(),
        }
    }

    pub(crate) fn tell_flags(
        &self,
        draft: &mut Draft,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
        change: &FlagChange,
    ) {
        if bal != self.member {
            let more = Some(("change", told_flags(change)));
            draft.line(&self.line(Told { event: "bal.shared.flags", bal, folder, uids, more }));
        }
    }

    pub(crate) fn tell_expunge(
        &self,
        draft: &mut Draft,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
    ) {
        if let Some(line) = self.expunge_line((bal, folder), uids) {
            draft.line(&line);
        }
    }

    /// What the journal tells of messages that go, unless they were the member's own.
    pub fn expunge_line(
        &self,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
    ) -> Option<JournalLine> {
        let told = Told { event: "bal.shared.expunge", bal, folder, uids, more: None };
        (bal != self.member).then(|| self.line(told))
    }

    /// One line in each BAL that is not the member's own.
    pub(crate) fn tell_carriage(&self, draft: &mut Draft, what: &Carriage, uids: &[Uid]) {
        let event = match what.mode {
            CarryMode::Copy => "bal.shared.copy",
            CarryMode::Move => "bal.shared.move",
        };
        let mut tell = |(bal, folder): (BalId, FolderId), side: &'static str| {
            if bal != self.member {
                let more = Some(("side", json!(side)));
                draft.line(&self.line(Told { event, bal, folder, uids, more }));
            }
        };
        tell(what.from, "from");
        if what.to.0 != what.from.0 {
            tell(what.to, "to");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_told_as_ranges() {
        let uids = [5, 1, 2, 3].map(Uid);
        assert_eq!(ranges(&uids).as_deref(), Some("1:3,5"));
        let many: Vec<Uid> = (0..5000).map(|i| Uid(2 * i)).collect();
        assert_eq!(ranges(&many), None);
    }

    #[test]
    fn what_may_not_change_stays() {
        let old = Flags { seen: true, flagged: true, ..Flags::default() };
        let new = Flags { deleted: true, keywords: vec!["a".to_owned()], ..Flags::default() };
        let scope = FlagScope { seen: false, deleted: true, others: false };
        let cut = scope.cut(&old, new.clone());
        assert_eq!(cut, Flags { seen: true, flagged: true, deleted: true, ..Flags::default() });
        assert_eq!(FlagScope::ALL.cut(&old, new.clone()), new);
    }
}
