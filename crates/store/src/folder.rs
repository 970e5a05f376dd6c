//! Folders of a BAL, and what is left of deleted ones.

use crate::directory::{counter_row, first_validity};
use crate::engine::{CounterRow, Direction, Durability, EngineError, Reader, Space, after};
use crate::keys::{self, bal_field, folder_field};
use crate::limits::{
    FOLDER_NAME_BYTES_MAX, FOLDERS_MAX, KEYWORDS_TOLD_MAX, OPENING_ROWS_MAX, PURGE_BATCH_MESSAGES,
};
use crate::message::scan_metas;
use crate::rows::{self, BodyRow, FolderRow};
use crate::{BlobDigest, Folder, INBOX, Opening, Recents, SpecialUse, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId, ModSeq, Timestamp, Uid, UidValidity};

/// Levels of a folder name.
const SEPARATOR: char = '/';

pub(crate) fn rows_of(
    reader: &dyn Reader,
    bal: BalId,
) -> Result<Vec<(FolderId, FolderRow)>, EngineError> {
    let from = keys::folders(bal);
    let mut out = Vec::new();
    reader.scan(Space::Directory, &from, &after(&from), Direction::Up, &mut |key, value| {
        let id = keys::u32_at(key, from.len()).ok_or_else(|| rows::damaged("a folder key"))?;
        out.push((FolderId(id), rows::decode(value, "a folder row")?));
        Ok(true)
    })?;
    Ok(out)
}

/// Numbers of a folder, from its counter row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) uid_validity: UidValidity,
    pub(crate) uid_next: Uid,
    pub(crate) highest_modseq: ModSeq,
}

impl Numbers {
    pub(crate) fn read(
        reader: &dyn Reader,
        bal: BalId,
        folder: FolderId,
    ) -> Result<Option<Numbers>, EngineError> {
        Ok(counter_row(reader, &keys::folder_counters(bal, folder))?.map(Numbers::of))
    }

    fn of(row: CounterRow) -> Numbers {
        Numbers {
            uid_validity: UidValidity(small(row.0[folder_field::UID_VALIDITY])),
            uid_next: Uid(small(row.0[folder_field::UID]).saturating_add(1)),
            highest_modseq: ModSeq(row.0[folder_field::MODSEQ].unsigned_abs()),
        }
    }
}

fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn folder_of(id: FolderId, row: FolderRow, counters: CounterRow) -> Folder {
    let numbers = Numbers::of(counters);
    let field = |f: usize| counters.0[f].unsigned_abs();
    Folder {
        id,
        name: row.name,
        uid_validity: numbers.uid_validity,
        uid_next: numbers.uid_next,
        special_use: row.special_use,
        subscribed: row.subscribed,
        highest_modseq: numbers.highest_modseq,
        messages: field(folder_field::MESSAGES),
        unseen: field(folder_field::UNSEEN),
        deleted: field(folder_field::DELETED),
        bytes: field(folder_field::BYTES),
        recent_from: Uid(small(counters.0[folder_field::RECENT]).saturating_add(1)),
    }
}

/// Keywords in use in a folder, some of them where there are too many.
fn keywords_of(
    reader: &dyn Reader,
    bal: BalId,
    folder: FolderId,
) -> Result<Vec<String>, EngineError> {
    let from = keys::keywords(bal, folder);
    let mut words = Vec::new();
    reader.scan(Space::Directory, &from, &after(&from), Direction::Up, &mut |_, value| {
        let word = std::str::from_utf8(value).map_err(|_| rows::damaged("a keyword row"))?;
        words.push(word.to_owned());
        Ok(words.len() < KEYWORDS_TOLD_MAX)
    })?;
    Ok(words)
}

/// Messages from this UID on: counted where they are few, else the most that there may be.
fn recent(reader: &dyn Reader, bal: BalId, folder: &Folder, from: Uid) -> Result<u64, EngineError> {
    let width = u64::from(folder.uid_next.0.saturating_sub(from.0));
    let holes = u64::from(folder.uid_next.0.saturating_sub(1)).saturating_sub(folder.messages);
    if width == 0 || holes == 0 {
        return Ok(width);
    }
    let (mut found, mut seen) = (0, 0);
    let to = after(&keys::messages(bal, folder.id));
    let from = keys::message(bal, folder.id, from);
    reader.scan(Space::Messages, &from, &to, Direction::Up, &mut |_, _| {
        found += 1;
        seen += 1;
        Ok(seen < OPENING_ROWS_MAX)
    })?;
    let all = seen < OPENING_ROWS_MAX;
    Ok(if all { found } else { width.min(folder.messages) })
}

/// Sequence number of the first message without `\Seen`, when it stands near the beginning (RFC 3501 6.3.1).
fn first_unseen(
    reader: &dyn Reader,
    bal: BalId,
    folder: &Folder,
) -> Result<Option<u32>, EngineError> {
    if folder.unseen == 0 {
        return Ok(None);
    }
    let from = keys::messages(bal, folder.id);
    let (mut number, mut found) = (0, None);
    scan_metas(reader, (from.clone(), after(&from)), &mut |meta| {
        number += 1;
        if !meta.flags.seen {
            found = Some(number);
        }
        Ok(found.is_none() && (number as usize) < OPENING_ROWS_MAX)
    })?;
    Ok(found)
}

/// 1 to 1000 octets, no control characters, no empty level.
fn check_name(name: &str) -> Result<(), StoreError> {
    let fine = name.len() <= FOLDER_NAME_BYTES_MAX
        && !name.chars().any(char::is_control)
        && name.split(SEPARATOR).all(|level| !level.is_empty());
    if fine { Ok(()) } else { Err(StoreError::BadFolderName) }
}

/// INBOX is INBOX in any case (RFC 9051 5.1).
fn same_name(a: &str, b: &str) -> bool {
    a == b || (a.eq_ignore_ascii_case("INBOX") && b.eq_ignore_ascii_case("INBOX"))
}

/// What a change of folders starts from.
struct Seen {
    folders: Vec<(FolderId, FolderRow)>,
    edit: i64,
}

impl Seen {
    fn find(&self, folder: FolderId) -> Result<&FolderRow, StoreError> {
        let found = self.folders.iter().find(|(id, _)| *id == folder);
        found.map(|(_, row)| row).ok_or(StoreError::UnknownFolder)
    }

    /// The nearest folder above a name.
    fn above(&self, name: &str) -> Option<FolderId> {
        let above = |row: &FolderRow| {
            name.strip_prefix(&row.name).is_some_and(|rest| rest.starts_with(SEPARATOR))
        };
        let found = self.folders.iter().filter(|(_, row)| above(row));
        found.max_by_key(|(_, row)| row.name.len()).map(|(id, _)| *id)
    }

    fn check_free(&self, name: &str) -> Result<(), StoreError> {
        match self.folders.iter().any(|(_, row)| same_name(&row.name, name)) {
            true => Err(StoreError::AlreadyExists(name.to_owned())),
            false => Ok(()),
        }
    }
}

impl Store {
    /// Folders of a BAL with their counts, INBOX first, then in order of making.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn folders(&self, bal: BalId) -> Result<Vec<Folder>, StoreError> {
        self.living_bal(bal)?;
        self.inner.read(|r| {
            let mut out = Vec::new();
            for (id, row) in rows_of(r, bal)? {
                let counters = counter_row(r, &keys::folder_counters(bal, id))?;
                let counters = counters.ok_or_else(|| rows::damaged("a folder's counters"))?;
                out.push(folder_of(id, row, counters));
            }
            Ok(out)
        })
    }

    /// What the opening of a folder tells, from its counters and a bounded number of rows, whatever its size.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], [`StoreError::UnknownFolder`] when none bears the name, or the engine's.
    pub fn folder_open(
        &self,
        bal: BalId,
        name: &str,
        recents: Recents,
    ) -> Result<Opening, StoreError> {
        self.living_bal(bal)?;
        let found = self.inner.read(|r| {
            let mut rows = rows_of(r, bal)?.into_iter();
            Ok(rows.find(|(_, row)| row.name == name))
        })?;
        let (id, row) = found.ok_or(StoreError::UnknownFolder)?;
        let taken = match recents {
            Recents::Take => Some(self.take_recent(bal, id)?),
            Recents::Look | Recents::Without => None,
        };
        let opening = self.inner.read(|r| {
            let Some(counters) = counter_row(r, &keys::folder_counters(bal, id))? else {
                return Ok(None);
            };
            let folder = folder_of(id, row, counters);
            let recent_from = match recents {
                Recents::Without => None,
                Recents::Take | Recents::Look => Some(taken.unwrap_or(folder.recent_from)),
            };
            Ok(Some(Opening {
                keywords: keywords_of(r, bal, id)?,
                recent: recent_from.map_or(Ok(0), |from| recent(r, bal, &folder, from))?,
                first_unseen: first_unseen(r, bal, &folder)?,
                recent_from,
                folder,
            }))
        })?;
        opening.ok_or(StoreError::UnknownFolder)
    }

    /// Messages of a folder with `\Deleted`, from its counters.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn folder_deleted(&self, bal: BalId, folder: FolderId) -> Result<u64, StoreError> {
        let row = self.inner.read(|r| counter_row(r, &keys::folder_counters(bal, folder)))?;
        let row = row.ok_or(StoreError::UnknownFolder)?;
        Ok(row.0[folder_field::DELETED].unsigned_abs())
    }

    fn seen_folders(&self, bal: BalId) -> Result<Seen, StoreError> {
        self.living_bal(bal)?;
        let found = self.inner.read(|r| {
            let Some(counters) = counter_row(r, &keys::bal_counters(bal))? else {
                return Ok(None);
            };
            let folders = rows_of(r, bal)?;
            Ok(Some(Seen { folders, edit: counters.0[bal_field::EDIT] }))
        })?;
        found.ok_or(StoreError::UnknownBal)
    }

    /// Makes a folder. Parents are made by whoever wants them.
    ///
    /// # Errors
    /// [`StoreError::BadFolderName`], [`StoreError::AlreadyExists`], [`StoreError::TooMany`], or the engine's.
    pub fn folder_create(
        &self,
        bal: BalId,
        name: &str,
        special_use: Option<SpecialUse>,
        now: Timestamp,
    ) -> Result<FolderId, StoreError> {
        check_name(name)?;
        let _admin = self.administer_acl(bal)?;
        let _edit = self.inner.edit(bal);
        let seen = self.seen_folders(bal)?;
        seen.check_free(name)?;
        if seen.folders.len() >= FOLDERS_MAX {
            return Err(StoreError::TooMany("folders in the BAL"));
        }
        let last = self.inner.read(|r| {
            let row = counter_row(r, &keys::bal_counters(bal))?;
            Ok(row.map_or(0, |row| row.0[bal_field::FOLDER]))
        })?;
        let id = FolderId(small(last + 1));
        let mut draft = self.draft(Durability::Synced);
        draft.edits(bal, seen.edit);
        let modseq = draft.modseq(bal);
        let counters = keys::bal_counters(bal);
        let step = draft.batch.step(&counters, bal_field::FOLDER, 1);
        draft.batch.was(step, last);
        let validity = draft.batch.raise(&counters, bal_field::UID_VALIDITY, first_validity(now));
        let own = keys::folder_counters(bal, id);
        draft.batch.step_new(&own, folder_field::UID, 0);
        draft.batch.same(&own, folder_field::UID_VALIDITY, validity);
        draft.batch.same(&own, folder_field::MODSEQ, modseq);
        let row = FolderRow { name: name.to_owned(), special_use, subscribed: false };
        draft.batch.put(Space::Directory, keys::folder(bal, id), rows::encode(&row)?);
        let inherited = match seen.above(name) {
            Some(parent) => self.draft_inherited(&mut draft, bal, (parent, id))?,
            None => Vec::new(),
        };
        self.inner.commit(draft)?;
        self.put_acl(&inherited);
        Ok(id)
    }

    /// Renames a folder and everything below it (RFC 9051 6.3.6).
    ///
    /// # Errors
    /// [`StoreError::FolderReserved`] for INBOX, [`StoreError::UnknownFolder`], [`StoreError::BadFolderName`],
    /// [`StoreError::AlreadyExists`], or the engine's.
    pub fn folder_rename(
        &self,
        bal: BalId,
        folder: FolderId,
        name: &str,
    ) -> Result<(), StoreError> {
        check_name(name)?;
        if folder == INBOX {
            return Err(StoreError::FolderReserved);
        }
        let _edit = self.inner.edit(bal);
        let seen = self.seen_folders(bal)?;
        let old = seen.find(folder)?.name.clone();
        let below = format!("{old}{SEPARATOR}");
        if name.starts_with(&below) {
            return Err(StoreError::BadFolderName);
        }
        let mut draft = self.draft(Durability::Synced);
        draft.edits(bal, seen.edit);
        draft.modseq(bal);
        for (id, row) in &seen.folders {
            let new = match row.name.strip_prefix(&below) {
                Some(rest) => format!("{name}{SEPARATOR}{rest}"),
                None if *id == folder => name.to_owned(),
                None => continue,
            };
            check_name(&new)?;
            seen.check_free(&new)?;
            let row = FolderRow { name: new, ..row.clone() };
            draft.batch.put(Space::Directory, keys::folder(bal, *id), rows::encode(&row)?);
        }
        self.inner.commit(draft)?;
        Ok(())
    }

    /// Deletes a folder and its messages; folders below it stay. The name is gone at once; the messages are removed
    /// in bounded batches, going on at the next opening if the process dies.
    ///
    /// # Errors
    /// [`StoreError::FolderReserved`] for INBOX, [`StoreError::UnknownFolder`], or the engine's.
    pub fn folder_delete(&self, bal: BalId, folder: FolderId) -> Result<(), StoreError> {
        if folder == INBOX {
            return Err(StoreError::FolderReserved);
        }
        {
            let _admin = self.administer_acl(bal)?;
            let _edit = self.inner.edit(bal);
            let seen = self.seen_folders(bal)?;
            seen.find(folder)?;
            self.detach(bal, folder, &seen)?;
            self.forget_folder_acl(bal, folder);
        }
        self.finish_purges()
    }

    /// The folder's rows go, its messages are left to the purge, its sums leave the BAL's. A delivery in between
    /// changes the sums: then it is read again.
    fn detach(&self, bal: BalId, folder: FolderId, seen: &Seen) -> Result<(), StoreError> {
        for _ in 0..crate::limits::CONFLICT_ATTEMPTS_MAX {
            let own = keys::folder_counters(bal, folder);
            let row = self.inner.read(|r| counter_row(r, &own))?;
            let row = row.ok_or(StoreError::UnknownFolder)?;
            let mut draft = self.draft(Durability::Synced);
            draft.edits(bal, seen.edit);
            draft.modseq(bal);
            let uid = draft.batch.step(&own, folder_field::UID, 0);
            draft.batch.was(uid, row.0[folder_field::UID]);
            let counters = keys::bal_counters(bal);
            let bytes = -row.0[folder_field::BYTES];
            draft.batch.step(&counters, bal_field::BYTES, bytes);
            let messages = -row.0[folder_field::MESSAGES];
            draft.batch.step(&counters, bal_field::MESSAGES, messages);
            draft.batch.counter_delete(own);
            draft.batch.delete(Space::Directory, keys::folder(bal, folder));
            Store::draft_folder_acl_removal(&mut draft, bal, folder);
            for member in self.members(bal) {
                let member = member.member;
                crate::own_seen::View { bal, folder, member }.draft_forget(&mut draft.batch);
            }
            let keywords = keys::keywords(bal, folder);
            draft.batch.delete_range(Space::Directory, keywords.clone(), after(&keywords));
            draft.batch.put(Space::Directory, keys::purge(bal, folder), vec![1]);
            match self.inner.commit(draft) {
                Err(StoreError::Conflict) => {}
                other => return other.map(|_| ()),
            }
        }
        Err(StoreError::Busy)
    }

    /// Shows a folder in LSUB, or not.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn folder_subscribe(
        &self,
        bal: BalId,
        folder: FolderId,
        subscribed: bool,
    ) -> Result<(), StoreError> {
        let _edit = self.inner.edit(bal);
        let seen = self.seen_folders(bal)?;
        let row = seen.find(folder)?;
        if row.subscribed == subscribed {
            return Ok(());
        }
        let row = FolderRow { subscribed, ..row.clone() };
        let mut draft = self.draft(Durability::Synced);
        draft.edits(bal, seen.edit);
        draft.modseq(bal);
        draft.batch.put(Space::Directory, keys::folder(bal, folder), rows::encode(&row)?);
        self.inner.commit(draft)?;
        Ok(())
    }

    /// The watermark of \Recent (RFC 3501 2.3.2): gives the first UID that no session has seen, and moves it to
    /// UIDNEXT.
    ///
    /// # Errors
    /// [`StoreError::UnknownFolder`], or the engine's.
    pub fn take_recent(&self, bal: BalId, folder: FolderId) -> Result<Uid, StoreError> {
        self.living_bal(bal)?;
        let key = keys::folder_counters(bal, folder);
        let row = self.inner.read(|r| counter_row(r, &key))?;
        let row = row.ok_or(StoreError::UnknownFolder)?;
        if row.0[folder_field::RECENT] == row.0[folder_field::UID] {
            return Ok(Uid(small(row.0[folder_field::RECENT]).saturating_add(1)));
        }
        let mut batch = crate::engine::Batch::new(Durability::Relaxed);
        let before = batch.step(&key, folder_field::RECENT, 0);
        let last = batch.step(&key, folder_field::UID, 0);
        batch.same(&key, folder_field::RECENT, last);
        match self.inner.engine.commit(batch) {
            Ok(committed) => Ok(Uid(committed.steps.u32(before).saturating_add(1))),
            Err(EngineError::Refused(_)) => Err(StoreError::UnknownFolder),
            // Nobody may be kept from reading because this could not be noted: the messages stay recent.
            Err(EngineError::Full) => Ok(Uid(small(row.0[folder_field::RECENT]).saturating_add(1))),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the messages of deleted folders, in bounded batches.
    pub(crate) fn finish_purges(&self) -> Result<(), StoreError> {
        let mut pending = Vec::new();
        let end = after(keys::PURGES);
        self.inner.read(|r| {
            r.scan(Space::Directory, keys::PURGES, &end, Direction::Up, &mut |key, _| {
                pending.extend(keys::purge_parts(key));
                Ok(true)
            })
        })?;
        for (bal, folder) in pending {
            while self.purge_some(bal, folder)? {}
        }
        Ok(())
    }

    /// One batch of a purge; false when it was the last.
    fn purge_some(&self, bal: BalId, folder: FolderId) -> Result<bool, StoreError> {
        let from = keys::messages(bal, folder);
        let mut found: Vec<(Uid, BlobDigest)> = Vec::new();
        self.inner.read(|r| {
            r.scan(Space::Bodies, &from, &after(&from), Direction::Up, &mut |key, value| {
                let (_, _, uid) =
                    keys::message_parts(key).ok_or_else(|| rows::damaged("a message key"))?;
                let body: BodyRow = rows::decode(value, "a body row")?;
                found.push((uid, body.digest));
                Ok(found.len() < PURGE_BATCH_MESSAGES)
            })
        })?;
        let mut draft = self.draft(Durability::Relaxed);
        for (uid, digest) in &found {
            draft.forget_message(bal, folder, *uid, digest);
        }
        let more = found.len() == PURGE_BATCH_MESSAGES;
        if !more {
            draft.batch.delete(Space::Directory, keys::purge(bal, folder));
        }
        self.inner.commit(draft)?;
        Ok(more)
    }
}
