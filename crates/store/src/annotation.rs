//! Annotations of folders and of the BAL itself (RFC 5464): shared by all who open it, or one member's own.

use crate::engine::{Direction, Durability, Reader, Space, after};
use crate::keys::sharing;
use crate::limits::{
    ANNOTATION_BYTES_MAX, ANNOTATION_NAME_BYTES_MAX, ANNOTATIONS_BYTES_MAX, ANNOTATIONS_MAX,
};
use crate::{JournalLine, Store, StoreError};
use palombe_vocabulary::{BalId, FolderId};

const VERSION: u8 = 1;
/// The place of annotations that are of no folder.
const NO_FOLDER: FolderId = FolderId(0);

/// Where annotations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnotationPlace {
    /// The BAL that keeps them.
    pub bal: BalId,
    /// The folder; `None`: the BAL itself.
    pub folder: Option<FolderId>,
    /// Whose they are; `None`: shared.
    pub owner: Option<BalId>,
}

/// A change of one annotation: its name in lower case, without its scope, and its new value; `None` removes it.
pub type AnnotationChange = (String, Option<Vec<u8>>);

impl AnnotationPlace {
    fn rows(self) -> Vec<u8> {
        let owner = self.owner.unwrap_or(BalId(0));
        sharing::annotations(self.bal, self.folder.unwrap_or(NO_FOLDER), owner)
    }

    fn key(self, name: &str) -> Vec<u8> {
        let mut key = self.rows();
        key.extend_from_slice(name.as_bytes());
        key
    }
}

fn value_of(row: &[u8]) -> Result<&[u8], crate::engine::EngineError> {
    match row {
        [VERSION, value @ ..] => Ok(value),
        _ => Err(crate::rows::damaged("an annotation")),
    }
}

fn scan(
    reader: &dyn Reader,
    from: &[u8],
    each: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), crate::engine::EngineError> {
    reader.scan(Space::Sharing, from, &after(from), Direction::Up, &mut |key, row| {
        each(key.get(sharing::ANNOTATION_NAME_AT..).unwrap_or_default(), value_of(row)?);
        Ok(true)
    })
}

impl Store {
    /// Every annotation of a place, by name.
    ///
    /// # Errors
    /// The engine's.
    pub fn annotations(
        &self,
        place: AnnotationPlace,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut out = Vec::new();
        self.inner.read(|r| {
            scan(r, &place.rows(), &mut |name, value| {
                out.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            })
        })?;
        Ok(out)
    }

    /// Changes annotations of one BAL, all or none.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] past a bound of `limits.rs`, [`StoreError::UnknownFolder`], or the engine's.
    pub fn annotate(
        &self,
        bal: BalId,
        changes: &[(AnnotationPlace, AnnotationChange)],
        journal: &[JournalLine],
    ) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        let _edit = self.inner.edit(bal);
        let folders = self.folders(bal)?;
        let (mut count, mut octets) = (0usize, 0usize);
        let all = sharing::bal_rows(sharing::ANNOTATION, bal);
        self.inner.read(|r| {
            scan(r, &all, &mut |name, value| {
                count += 1;
                octets += name.len() + value.len();
            })
        })?;
        let mut draft = self.draft(Durability::Synced);
        for (place, (name, value)) in changes {
            if place.folder.is_some_and(|folder| !folders.iter().any(|f| f.id == folder)) {
                return Err(StoreError::UnknownFolder);
            }
            let key = place.key(name);
            let old = self.inner.read(|r| r.get(Space::Sharing, &key))?;
            if let Some(old) = &old {
                count = count.saturating_sub(1);
                octets = octets.saturating_sub(name.len() + old.len() - 1);
            }
            match value {
                None => draft.batch.delete(Space::Sharing, key),
                Some(value) => {
                    if value.len() > ANNOTATION_BYTES_MAX || name.len() > ANNOTATION_NAME_BYTES_MAX
                    {
                        return Err(StoreError::TooMany("octets of an annotation"));
                    }
                    count += 1;
                    octets += name.len() + value.len();
                    let row = [&[VERSION], value.as_slice()].concat();
                    draft.batch.put(Space::Sharing, key, row);
                }
            }
        }
        if count > ANNOTATIONS_MAX || octets > ANNOTATIONS_BYTES_MAX {
            return Err(StoreError::TooMany("annotations of the BAL"));
        }
        journal.iter().for_each(|line| draft.line(line));
        self.inner.commit(draft)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestStore, bal};
    use crate::{INBOX, MemberRights};
    use palombe_vocabulary::Timestamp;

    #[test]
    fn annotations_are_kept_apart_bounded_and_go_with_what_they_are_about() {
        TestStore::each(|store| {
            let now = Timestamp(0);
            let (team, a) = (bal(store, "equipe"), bal(store, "a"));
            store.member_set((team, a), MemberRights::READ, now, &[]).unwrap();
            let folder = store.folder_create(team, "Projets", None, now).unwrap();
            let place = |folder, owner| AnnotationPlace { bal: team, folder, owner };
            let set = |place, name: &str, value: Option<&[u8]>| {
                let change = (name.to_owned(), value.map(<[u8]>::to_vec));
                store.annotate(team, &[(place, change)], &[])
            };
            for folder in [None, Some(INBOX), Some(folder)] {
                set(place(folder, None), "/comment", Some(b"pour tous")).unwrap();
                set(place(folder, Some(a)), "/comment", Some(b"pour moi")).unwrap();
            }
            let mine = store.annotations(place(Some(INBOX), Some(a))).unwrap();
            assert_eq!(mine, [("/comment".to_owned(), b"pour moi".to_vec())]);
            let long = vec![b'x'; ANNOTATION_BYTES_MAX + 1];
            assert!(matches!(
                set(place(None, None), "/long", Some(&long)),
                Err(StoreError::TooMany(_))
            ));
            set(place(Some(INBOX), None), "/comment", None).unwrap();
            assert!(store.annotations(place(Some(INBOX), None)).unwrap().is_empty());
            store.folder_delete(team, folder).unwrap();
            assert!(store.annotations(place(Some(folder), None)).unwrap().is_empty());
            store.member_remove(team, a, &[]).unwrap();
            assert!(store.annotations(place(Some(INBOX), Some(a))).unwrap().is_empty());
            assert!(store.annotations(place(None, Some(a))).unwrap().is_empty());
            let names = 0..=ANNOTATIONS_MAX;
            let all: Vec<_> = names
                .map(|i| (place(Some(INBOX), None), (format!("/n{i}"), Some(vec![1]))))
                .collect();
            assert!(matches!(store.annotate(team, &all, &[]), Err(StoreError::TooMany(_))));
            assert!(store.annotations(place(Some(INBOX), None)).unwrap().is_empty());
        });
    }
}
