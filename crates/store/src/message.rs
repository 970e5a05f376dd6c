//! Messages of a folder: views, changes, flags, copies, moves, removals.

use crate::deed::{Carriage, CarryMode, Deed, FlagScope};
use crate::directory::counter;
use crate::draft::{Arrival, Draft};
use crate::engine::{Direction, Durability, EngineError, Expect, Reader, Space, after};
use crate::folder::Numbers;
use crate::keys::{self, bal_field};
use crate::limits::{CHANGE_BATCH_MESSAGES, DENSE_SPAN, MULTI_GET_MAX};
use crate::own_seen::View;
use crate::rows::{self, BodyRow, LogKind, MetaRow};
use crate::{
    BodyView, Changes, CopyOutcome, FlagChange, Flags, FolderView, MessageMeta, Store, StoreError,
    StoredMessage,
};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Timestamp, Uid, UidValidity};
use std::collections::BTreeMap;

/// Looks at a row of a message; `false` ends it.
type Look<'a> = &'a mut dyn FnMut(Uid, &[u8]) -> Result<bool, EngineError>;

/// Messages that a change starts from.
pub(crate) struct Seen {
    pub(crate) edit: i64,
    pub(crate) messages: Vec<(Uid, MetaRow)>,
}

fn meta_row(
    reader: &dyn Reader,
    bal: BalId,
    folder: FolderId,
    uid: Uid,
) -> Result<Option<MetaRow>, EngineError> {
    let row = reader.get(Space::Messages, &keys::message(bal, folder, uid))?;
    row.map(|bytes| MetaRow::decode(&bytes)).transpose()
}

/// Shows the rows of these messages that exist, while `look` says so; the UIDs ascend. One scan where they stand
/// close together, else many at a time.
fn each_row(
    reader: &dyn Reader,
    space: Space,
    (bal, folder): (BalId, FolderId),
    uids: &[Uid],
    look: Look<'_>,
) -> Result<(), EngineError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
    let span = u64::from(last.0.saturating_sub(first.0)) + 1;
    if uids.len() > 1 && span <= DENSE_SPAN * uids.len() as u64 {
        let from = keys::message(bal, folder, *first);
        let mut to = keys::message(bal, folder, *last);
        to.push(0);
        let mut wanted = uids.iter().peekable();
        return reader.scan(space, &from, &to, Direction::Up, &mut |key, value| {
            let uid = keys::u32_at(key, keys::MESSAGE_UID_AT)
                .ok_or_else(|| rows::damaged("a message key"))?;
            while wanted.next_if(|next| next.0 < uid).is_some() {}
            match wanted.next_if(|next| next.0 == uid) {
                Some(uid) => look(*uid, value),
                None => Ok(true),
            }
        });
    }
    for some in uids.chunks(MULTI_GET_MAX) {
        let keys: Vec<Vec<u8>> = some.iter().map(|uid| keys::message(bal, folder, *uid)).collect();
        for (uid, row) in some.iter().zip(reader.get_many(space, &keys)?) {
            if let Some(row) = row
                && !look(*uid, &row)?
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The rows of these messages that exist.
fn meta_rows(
    reader: &dyn Reader,
    at: (BalId, FolderId),
    uids: &[Uid],
) -> Result<Vec<(Uid, MetaRow)>, EngineError> {
    let mut found = Vec::with_capacity(uids.len());
    each_row(reader, Space::Messages, at, uids, &mut |uid, row| {
        found.push((uid, MetaRow::decode(row)?));
        Ok(true)
    })?;
    Ok(found)
}

/// The body rows of messages that exist, in the order of the UIDs.
fn body_rows(
    reader: &dyn Reader,
    at: (BalId, FolderId),
    messages: &[(Uid, MetaRow)],
) -> Result<Vec<BodyRow>, EngineError> {
    let uids: Vec<Uid> = messages.iter().map(|(uid, _)| *uid).collect();
    let mut found = Vec::with_capacity(uids.len());
    each_row(reader, Space::Bodies, at, &uids, &mut |_, row| {
        found.push(BodyRow::decode(row)?);
        Ok(true)
    })?;
    if found.len() < uids.len() {
        return Err(rows::damaged("a message without its body row"));
    }
    Ok(found)
}

/// Shows the messages between two keys, in UID order, while `look` says so.
pub(crate) fn scan_metas(
    reader: &dyn Reader,
    (from, to): (Vec<u8>, Vec<u8>),
    look: &mut dyn FnMut(MessageMeta) -> Result<bool, EngineError>,
) -> Result<(), EngineError> {
    reader.scan(Space::Messages, &from, &to, Direction::Up, &mut |key, value| {
        let (_, _, uid) = keys::message_parts(key).ok_or_else(|| rows::damaged("a message key"))?;
        look(MetaRow::decode(value)?.meta(uid))
    })
}

fn body_row(
    reader: &dyn Reader,
    bal: BalId,
    folder: FolderId,
    uid: Uid,
) -> Result<BodyRow, EngineError> {
    match reader.get(Space::Bodies, &keys::message(bal, folder, uid))? {
        Some(bytes) => BodyRow::decode(&bytes),
        None => Err(rows::damaged("a message without its body row")),
    }
}

impl Store {
    /// One consistent view of a folder.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn view(&self, bal: BalId, folder: FolderId) -> Result<FolderView, StoreError> {
        let mut messages = Vec::new();
        let view = self.scan_folder(bal, folder, &mut |meta| messages.push(meta))?;
        Ok(FolderView { messages, ..view })
    }

    /// As [`Store::view`], with each message shown to `look` in UID order instead of kept: `messages` stays empty.
    ///
    /// # Errors
    /// As there.
    pub fn scan_folder(
        &self,
        bal: BalId,
        folder: FolderId,
        look: &mut dyn FnMut(MessageMeta),
    ) -> Result<FolderView, StoreError> {
        self.scan_folder_for((bal, folder), None, look)
    }

    /// The same, as this member sees it where each has its own `\Seen` ([`Store::own_viewer`]).
    ///
    /// # Errors
    /// As there.
    pub fn scan_folder_for(
        &self,
        (bal, folder): (BalId, FolderId),
        viewer: Option<BalId>,
        look: &mut dyn FnMut(MessageMeta),
    ) -> Result<FolderView, StoreError> {
        let from = keys::messages(bal, folder);
        let view = self.inner.read(|r| {
            let Some(numbers) = Numbers::read(r, bal, folder)? else { return Ok(None) };
            let own = viewer.map(|member| View { bal, folder, member }.all(r)).transpose()?;
            scan_metas(r, (from.clone(), after(&from)), &mut |meta| {
                look(match &own {
                    Some(own) => View::show_from(own, meta),
                    None => meta,
                });
                Ok(true)
            })?;
            Ok(Some(FolderView {
                uid_validity: numbers.uid_validity,
                uid_next: numbers.uid_next,
                highest_modseq: numbers.highest_modseq,
                messages: Vec::new(),
            }))
        })?;
        view.ok_or(StoreError::UnknownFolder)
    }

    /// A message and where its octets are.
    ///
    /// # Errors
    /// The engine's.
    pub fn message(
        &self,
        bal: BalId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<Option<StoredMessage>, StoreError> {
        self.inner.read(|r| {
            let Some(row) = meta_row(r, bal, folder, uid)? else { return Ok(None) };
            let body = body_row(r, bal, folder, uid)?;
            Ok(Some(StoredMessage {
                meta: row.meta(uid),
                prefix: body.prefix,
                digest: body.digest,
                blob_size: body.blob_size,
                email_id: body.email_id.iter().map(|b| format!("{b:02x}")).collect(),
            }))
        })
    }

    /// Shows where the octets of these messages are, those that exist, while `look` says so. The UIDs ascend.
    ///
    /// # Errors
    /// The engine's.
    pub fn bodies(
        &self,
        bal: BalId,
        folder: FolderId,
        uids: &[Uid],
        look: &mut dyn FnMut(BodyView<'_>) -> bool,
    ) -> Result<(), StoreError> {
        self.inner.read(|r| {
            each_row(r, Space::Bodies, (bal, folder), uids, &mut |uid, row| {
                Ok(look(rows::body_view(uid, row)?))
            })
        })
    }

    /// What happened in a folder after `since`, from the BAL's change log.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn changes(
        &self,
        bal: BalId,
        folder: FolderId,
        since: ModSeq,
    ) -> Result<Changes, StoreError> {
        self.changes_for((bal, folder), since, None)
    }

    /// The same, as this member sees it where each has its own `\Seen` ([`Store::own_viewer`]).
    ///
    /// # Errors
    /// As there.
    pub fn changes_for(
        &self,
        (bal, folder): (BalId, FolderId),
        since: ModSeq,
        viewer: Option<BalId>,
    ) -> Result<Changes, StoreError> {
        let changes = self.inner.read(|r| {
            let Some(numbers) = Numbers::read(r, bal, folder)? else { return Ok(None) };
            let (mut changed, vanished) = if numbers.highest_modseq <= since {
                (Vec::new(), Ranges::default())
            } else if since < log_floor(r, bal)? {
                compared(r, (bal, folder), since, numbers.uid_next)?
            } else {
                logged(r, (bal, folder), (since, numbers.highest_modseq))?
            };
            if let Some(member) = viewer {
                let view = View { bal, folder, member };
                changed = own_changes(r, view, since, changed)?;
            }
            // What others marked for themselves is in the log and no change here.
            changed.retain(|meta| meta.modseq > since);
            Ok(Some(Changes {
                changed,
                vanished: vanished.0,
                highest_modseq: numbers.highest_modseq,
                uid_next: numbers.uid_next,
            }))
        })?;
        changes.ok_or(StoreError::UnknownFolder)
    }

    /// Reads the messages asked for that exist, and the BAL's edit number of the same snapshot.
    pub(crate) fn seen(
        &self,
        bal: BalId,
        folder: FolderId,
        uids: &[Uid],
    ) -> Result<Seen, StoreError> {
        let mut wanted = uids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        self.inner.read(|r| {
            let Some(edit) = counter(r, &keys::bal_counters(bal), bal_field::EDIT)? else {
                return Ok(Err(StoreError::UnknownBal));
            };
            if Numbers::read(r, bal, folder)?.is_none() {
                return Ok(Err(StoreError::UnknownFolder));
            }
            let messages = meta_rows(r, (bal, folder), &wanted)?;
            Ok(Ok(Seen { edit, messages }))
        })?
    }

    /// How a member sees a folder where each has its own `\Seen`. Whoever is a member no more changes nothing.
    pub(crate) fn own_view(
        &self,
        (bal, folder): (BalId, FolderId),
        deed: Option<&Deed>,
        draft: &mut Draft,
    ) -> Result<Option<View>, StoreError> {
        let Some(deed) = deed.filter(|deed| deed.member != bal) else { return Ok(None) };
        let member = deed.member;
        self.member(bal, member).ok_or(StoreError::UnknownMember)?;
        let key = crate::keys::sharing::member(bal, member);
        draft.expect(Expect::Present(Space::Sharing, key));
        let viewer = self.own_viewer(bal, member);
        Ok(viewer.map(|member| View { bal, folder, member }))
    }

    /// Copies messages, all or none; flags and dates are kept (RFC 9051 6.4.7).
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], [`StoreError::OverQuota`], or the engine's.
    pub fn copy(
        &self,
        bal: BalId,
        from: FolderId,
        uids: &[Uid],
        to: FolderId,
        now: Timestamp,
    ) -> Result<CopyOutcome, StoreError> {
        self.carry(&within(CarryMode::Copy, bal, (from, to), uids), now)
    }

    /// Moves messages, all or none (RFC 6851).
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn move_to(
        &self,
        bal: BalId,
        from: FolderId,
        uids: &[Uid],
        to: FolderId,
        now: Timestamp,
    ) -> Result<CopyOutcome, StoreError> {
        self.carry(&within(CarryMode::Move, bal, (from, to), uids), now)
    }

    /// Copies messages, all or none, or moves them, in bounded batches, from one BAL to another too: one batch takes
    /// them out there and files
    /// them here. What comes in counts against the quota of the BAL that takes it.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], [`StoreError::UnknownFolder`], [`StoreError::OverQuota`], or the engine's.
    pub fn carry(&self, what: &Carriage, now: Timestamp) -> Result<CopyOutcome, StoreError> {
        if what.mode == CarryMode::Copy || what.uids.len() <= CHANGE_BATCH_MESSAGES {
            return self.carry_some(what, now);
        }
        // RFC 6851 3.3: each message is here or there, not all of them together.
        let mut outcome: Option<CopyOutcome> = None;
        for uids in what.uids.chunks(CHANGE_BATCH_MESSAGES) {
            let moved = self.carry_some(&Carriage { uids: uids.to_vec(), ..what.clone() }, now);
            match (&mut outcome, moved) {
                (None, moved) => outcome = Some(moved?),
                (Some(outcome), Ok(moved)) => outcome.pairs.extend(moved.pairs),
                // Those before are there already, and are told.
                (Some(_), Err(_)) => break,
            }
        }
        outcome.ok_or(StoreError::Conflict)
    }

    fn carry_some(&self, what: &Carriage, now: Timestamp) -> Result<CopyOutcome, StoreError> {
        let ((source, from), (target, to)) = (what.from, what.to);
        let grows = what.mode == CarryMode::Copy || source != target;
        if grows {
            self.inner.check_room()?;
        }
        self.living_bal(source)?;
        let quota = self.living_bal(target)?.quota_bytes;
        // The target needs no lock: nothing of it is read that a delivery might not change as well.
        let _edit = self.inner.edit(source);
        let seen = self.seen(source, from, &what.uids)?;
        let numbers = self.inner.read(|r| Numbers::read(r, target, to))?;
        let numbers = numbers.ok_or(StoreError::UnknownFolder)?;
        if seen.messages.is_empty() {
            return Ok(CopyOutcome { uid_validity: numbers.uid_validity, pairs: Vec::new() });
        }
        let mut draft = self.draft(Durability::Synced);
        draft.edits(source, seen.edit);
        if grows {
            draft.quota(target, quota);
        }
        let deed = what.deed.as_ref();
        let source_view = self.own_view((source, from), deed, &mut draft)?;
        let target_view = self.own_view((target, to), deed, &mut draft)?;
        let validity = draft.validity(target, to);
        let mut steps = Vec::with_capacity(seen.messages.len());
        let bodies = self.inner.read(|r| body_rows(r, (source, from), &seen.messages))?;
        for ((uid, row), body) in seen.messages.iter().zip(bodies) {
            let mut flags = row.flags.clone();
            if let Some(view) = source_view {
                flags.seen = self.inner.read(|r| view.get(r, *uid))?.seen;
            }
            if what.mode == CarryMode::Move {
                draft.vanish(source, from, *uid, (row, &body.digest));
                self.draft_marks_gone(&mut draft, (source, from), &[*uid])?;
            }
            let mut flags = what.scope.cut(&Flags::default(), flags);
            // Where each has its own, what one has seen is not seen by all.
            let own = target_view.filter(|_| flags.seen);
            flags.seen &= target_view.is_none();
            let internal_date = row.internal_date;
            let filed =
                draft.arrive(target, to, &Arrival { flags, internal_date, saved_at: now, body });
            if let Some(view) = own {
                view.draft_arrival(&mut draft, &filed);
            }
            steps.push((*uid, filed.uid));
        }
        if let Some(deed) = &what.deed {
            let uids: Vec<Uid> = seen.messages.iter().map(|(uid, _)| *uid).collect();
            deed.tell_carriage(&mut draft, what, &uids);
        }
        let committed = self.inner.commit(draft)?;
        Ok(CopyOutcome {
            uid_validity: UidValidity(committed.steps.u32(validity)),
            pairs: steps
                .into_iter()
                .map(|(uid, step)| (uid, Uid(committed.steps.u32(step))))
                .collect(),
        })
    }

    /// Removes messages for good (S4); gives those that were there.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn expunge(
        &self,
        bal: BalId,
        folder: FolderId,
        uids: &[Uid],
    ) -> Result<Vec<Uid>, StoreError> {
        self.expunge_by((bal, folder), uids, None)
    }

    /// The same, by somebody in whose name the journal tells it.
    ///
    /// # Errors
    /// As there.
    pub fn expunge_by(
        &self,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
        deed: Option<&Deed>,
    ) -> Result<Vec<Uid>, StoreError> {
        let mut gone = Vec::with_capacity(uids.len());
        for some in uids.chunks(CHANGE_BATCH_MESSAGES) {
            gone.extend(self.expunge_some((bal, folder), some, deed)?);
        }
        gone.sort_unstable();
        Ok(gone)
    }

    fn expunge_some(
        &self,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
        deed: Option<&Deed>,
    ) -> Result<Vec<Uid>, StoreError> {
        let _edit = self.inner.edit(bal);
        let seen = self.seen(bal, folder, uids)?;
        if seen.messages.is_empty() {
            return Ok(Vec::new());
        }
        let mut draft: Draft = self.draft(Durability::Synced);
        draft.edits(bal, seen.edit);
        let bodies = self.inner.read(|r| body_rows(r, (bal, folder), &seen.messages))?;
        for ((uid, row), body) in seen.messages.iter().zip(bodies) {
            draft.vanish(bal, folder, *uid, (row, &body.digest));
        }
        let gone: Vec<Uid> = seen.messages.into_iter().map(|(uid, _)| uid).collect();
        self.draft_marks_gone(&mut draft, (bal, folder), &gone)?;
        if let Some(deed) = deed {
            deed.tell_expunge(&mut draft, (bal, folder), &gone);
        }
        self.inner.commit(draft)?;
        Ok(gone)
    }
}

fn within(mode: CarryMode, bal: BalId, (from, to): (FolderId, FolderId), uids: &[Uid]) -> Carriage {
    let uids = uids.to_vec();
    let (from, to, scope) = ((bal, from), (bal, to), FlagScope::ALL);
    Carriage { mode, from, uids, to, scope, deed: None }
}

impl Store {
    /// Takes one message out, as the batch sees it; false when it is not there.
    pub(crate) fn draft_removal(
        &self,
        draft: &mut Draft,
        bal: BalId,
        folder: FolderId,
        uid: Uid,
    ) -> Result<bool, StoreError> {
        let seen = self.seen(bal, folder, &[uid])?;
        draft.edits(bal, seen.edit);
        for (uid, row) in &seen.messages {
            let body = self.inner.read(|r| body_row(r, bal, folder, *uid))?;
            draft.vanish(bal, folder, *uid, (row, &body.digest));
            self.draft_marks_gone(draft, (bal, folder), &[*uid])?;
        }
        Ok(!seen.messages.is_empty())
    }
}

/// What changed for a member that has its own `\Seen`.
fn own_changes(
    reader: &dyn Reader,
    view: View,
    since: ModSeq,
    changed: Vec<MessageMeta>,
) -> Result<Vec<MessageMeta>, EngineError> {
    let mut out = BTreeMap::new();
    for meta in changed {
        out.insert(meta.uid, view.show(reader, meta)?);
    }
    // Past what the log still tells, the member's own rows tell it.
    if since < log_floor(reader, view.bal)? {
        for (uid, own) in view.all(reader)? {
            if own.modseq > since.0
                && !out.contains_key(&uid)
                && let Some(row) = meta_row(reader, view.bal, view.folder, uid)?
            {
                out.insert(uid, own.over(&row).meta(uid));
            }
        }
    }
    Ok(out.into_values().collect())
}

/// Ranges of UIDs, first and last, ascending.
#[derive(Default)]
struct Ranges(Vec<(Uid, Uid)>);

impl Ranges {
    /// Larger than everything before.
    fn push(&mut self, first: u32, last: u32) {
        match self.0.last_mut() {
            Some((_, end)) if end.0.checked_add(1) == Some(first) => *end = Uid(last),
            _ if first <= last => self.0.push((Uid(first), Uid(last))),
            _ => {}
        }
    }
}

/// Up to here the change log of the BAL was trimmed.
pub(crate) fn log_floor(reader: &dyn Reader, bal: BalId) -> Result<ModSeq, EngineError> {
    let row = reader.get(Space::Directory, &keys::log_floor(bal))?;
    let floor =
        row.map(|bytes| keys::u64_at(&bytes, 0).ok_or_else(|| rows::damaged("a log floor")));
    Ok(ModSeq(floor.transpose()?.unwrap_or(0)))
}

type Difference = (Vec<MessageMeta>, Ranges);

/// From the log.
fn logged(
    reader: &dyn Reader,
    (bal, folder): (BalId, FolderId),
    span: (ModSeq, ModSeq),
) -> Result<Difference, EngineError> {
    let (mut wanted, mut vanished) = (Vec::new(), Ranges::default());
    for (uid, kind) in touched(reader, bal, folder, span)? {
        match kind {
            LogKind::Vanished => vanished.push(uid.0, uid.0),
            LogKind::Changed => wanted.push(uid),
        }
    }
    let rows = meta_rows(reader, (bal, folder), &wanted)?;
    if rows.len() < wanted.len() {
        return Err(rows::damaged("a logged message"));
    }
    Ok((rows.into_iter().map(|(uid, row)| row.meta(uid)).collect(), vanished))
}

/// From the folder itself.
fn compared(
    reader: &dyn Reader,
    (bal, folder): (BalId, FolderId),
    since: ModSeq,
    uid_next: Uid,
) -> Result<Difference, EngineError> {
    let (mut changed, mut vanished) = (Vec::new(), Ranges::default());
    let from = keys::messages(bal, folder);
    let mut expected = 1;
    scan_metas(reader, (from.clone(), after(&from)), &mut |meta| {
        vanished.push(expected, meta.uid.0.saturating_sub(1));
        expected = meta.uid.0.saturating_add(1);
        if meta.modseq > since {
            changed.push(meta);
        }
        Ok(true)
    })?;
    vanished.push(expected, uid_next.0.saturating_sub(1));
    Ok((changed, vanished))
}

/// The last thing that happened to each message of a folder after the first of these and up to the second.
fn touched(
    reader: &dyn Reader,
    bal: BalId,
    folder: FolderId,
    (since, until): (ModSeq, ModSeq),
) -> Result<BTreeMap<Uid, LogKind>, EngineError> {
    let from = keys::log(bal, ModSeq(since.0.saturating_add(1)));
    let to = keys::log(bal, ModSeq(until.0.saturating_add(1)));
    let mut touched = BTreeMap::new();
    reader.scan(Space::Log, &from, &to, Direction::Up, &mut |_, value| {
        for (at, kind, uid) in rows::log_entries(value)? {
            if at == folder {
                touched.insert(uid, kind);
            }
        }
        Ok(true)
    })?;
    Ok(touched)
}

impl FlagChange {
    /// The flags after this change, tidy.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] keywords.
    pub fn applied_to(&self, old: &Flags) -> Result<Flags, StoreError> {
        changed(old, self)
    }
}

fn changed(old: &Flags, change: &FlagChange) -> Result<Flags, StoreError> {
    let each = |mask: &Flags, value: bool| {
        let mut new = old.clone();
        let pairs = [
            (mask.seen, &mut new.seen),
            (mask.answered, &mut new.answered),
            (mask.flagged, &mut new.flagged),
            (mask.deleted, &mut new.deleted),
            (mask.draft, &mut new.draft),
        ];
        for (asked, flag) in pairs {
            if asked {
                *flag = value;
            }
        }
        new.keywords.retain(|k| !mask.keywords.iter().any(|m| m.eq_ignore_ascii_case(k)));
        new
    };
    match change {
        FlagChange::Replace(flags) => keep_spelling(old, flags.clone()).tidy(),
        FlagChange::Remove(mask) => Ok(each(mask, false)),
        FlagChange::Add(mask) => {
            let mut new = each(mask, true);
            new.keywords.extend(mask.keywords.iter().cloned());
            keep_spelling(old, new).tidy()
        }
    }
}

/// A keyword keeps the case in which it was first written.
fn keep_spelling(old: &Flags, mut new: Flags) -> Flags {
    for keyword in &mut new.keywords {
        if let Some(first) = old.keywords.iter().find(|k| k.eq_ignore_ascii_case(keyword)) {
            keyword.clone_from(first);
        }
    }
    new
}
