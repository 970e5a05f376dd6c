//! Domains and BAL. All of them stay in memory: the question "is this recipient ours?" never reads the disk.

use crate::engine::{Batch, Direction, Durability, EngineError, Expect, Reader, Space, after};
use crate::keys::{self, bal_field, folder_field, global};
use crate::members::{self, Sharing};
use crate::rows::{self, FolderRow, StoredBal, StoredDomain};
use crate::{Bal, DomainRow, INBOX, NewBal, SpecialUse, Store, StoreError, Usage};
use palombe_vocabulary::{BalAddress, BalId, BalStatus, Domain, FolderId, Timestamp};
use parking_lot::MutexGuard;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The instant of a BAL's last opening is written at most this often, seconds.
const LAST_AUTH_EVERY_SECS: i64 = 3600;

/// Every domain and BAL, tombstones too.
#[derive(Default)]
pub(crate) struct Directory {
    domains: BTreeMap<Domain, DomainRow>,
    by_id: BTreeMap<BalId, Arc<Bal>>,
    by_address: HashMap<BalAddress, BalId>,
    /// How often the engine had been opened again when this was read.
    reopened: u64,
}

impl Directory {
    pub(crate) fn load(reader: &dyn Reader) -> Result<Directory, EngineError> {
        let mut directory = Directory::default();
        let end = after(keys::DOMAINS);
        reader.scan(Space::Directory, keys::DOMAINS, &end, Direction::Up, &mut |_, value| {
            let row = DomainRow::from(rows::decode::<StoredDomain>(value, "a domain row")?);
            directory.domains.insert(row.name.clone(), row);
            Ok(true)
        })?;
        let end = after(keys::BALS);
        reader.scan(Space::Directory, keys::BALS, &end, Direction::Up, &mut |_, value| {
            directory.put(Bal::from(rows::decode::<StoredBal>(value, "a BAL row")?));
            Ok(true)
        })?;
        Ok(directory)
    }

    fn put(&mut self, bal: Bal) {
        self.by_address.insert(bal.address.clone(), bal.id);
        self.by_id.insert(bal.id, Arc::new(bal));
    }

    pub(crate) fn by_id(&self, id: BalId) -> Option<&Arc<Bal>> {
        self.by_id.get(&id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Bal>> {
        self.by_id.values()
    }

    pub(crate) fn living(&self) -> impl Iterator<Item = &Arc<Bal>> {
        self.by_id.values().filter(|b| b.status != BalStatus::Deleted)
    }

    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.domains.len() as u64, self.living().count() as u64)
    }
}

impl Bal {
    /// Whether an authentication at this instant needs no note of its own.
    pub fn auth_is_noted(&self, at: Timestamp) -> bool {
        self.last_auth_at.is_some_and(|last| at.millis_since(last) < LAST_AUTH_EVERY_SECS * 1000)
    }
}

impl Store {
    /// Whoever changes the directory holds this. A change whose write failed may be on disk all the same once the
    /// engine is opened again: then everything is read again first.
    pub(crate) fn administer(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let guard = self.inner.admin.lock();
        let reopened = self.inner.engine.counts().reopened.load(Ordering::Relaxed);
        if self.inner.directory.read().reopened != reopened {
            let mut fresh = self.inner.read(|r| Directory::load(r))?;
            fresh.reopened = reopened;
            *self.inner.directory.write() = fresh;
            *self.inner.sharing.write() = self.inner.read(|r| Sharing::load(r))?;
        }
        Ok(guard)
    }

    /// Hosts a domain.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], or the engine's.
    pub fn domain_add(&self, name: &Domain, now: Timestamp) -> Result<(), StoreError> {
        let row = DomainRow { name: name.clone(), status: BalStatus::Active, created_at: now };
        let _admin = self.administer()?;
        if self.inner.directory.read().domains.contains_key(name) {
            return Err(StoreError::AlreadyExists(name.to_string()));
        }
        self.write_domain(row)
    }

    /// Suspends a domain or lets it go on.
    ///
    /// # Errors
    /// [`StoreError::UnknownDomain`], or the engine's.
    pub fn domain_set_status(&self, name: &Domain, status: BalStatus) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        let row = self.inner.directory.read().domains.get(name).cloned();
        let row = row.ok_or_else(|| StoreError::UnknownDomain(name.to_string()))?;
        self.write_domain(DomainRow { status, ..row })
    }

    fn write_domain(&self, row: DomainRow) -> Result<(), StoreError> {
        let mut batch = Batch::new(Durability::Synced);
        let value = rows::encode(&StoredDomain::from(&row))?;
        batch.put(Space::Directory, keys::domain(&row.name), value);
        self.inner.engine.commit(batch)?;
        self.inner.directory.write().domains.insert(row.name.clone(), row);
        Ok(())
    }

    /// Hosts a domain no more.
    ///
    /// # Errors
    /// [`StoreError::UnknownDomain`], [`StoreError::NotEmpty`] while it has BAL, or the engine's.
    pub fn domain_delete(&self, name: &Domain) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        {
            let directory = self.inner.directory.read();
            if !directory.domains.contains_key(name) {
                return Err(StoreError::UnknownDomain(name.to_string()));
            }
            if directory.living().any(|b| b.address.domain() == name) {
                return Err(StoreError::NotEmpty(name.to_string()));
            }
        }
        let mut batch = Batch::new(Durability::Synced);
        batch.delete(Space::Directory, keys::domain(name));
        self.inner.engine.commit(batch)?;
        self.inner.directory.write().domains.remove(name);
        Ok(())
    }

    /// Every hosted domain, by name.
    ///
    /// # Errors
    /// None today.
    pub fn domains(&self) -> Result<Vec<DomainRow>, StoreError> {
        Ok(self.inner.directory.read().domains.values().cloned().collect())
    }

    /// Whether mail for the domain is ours, suspended or not. Memory only.
    pub fn is_hosted(&self, name: &Domain) -> bool {
        self.inner.directory.read().domains.contains_key(name)
    }

    /// Whether mail for the domain is taken at the moment; `None` when it is not ours. Memory only.
    pub fn domain_status(&self, name: &Domain) -> Option<BalStatus> {
        self.inner.directory.read().domains.get(name).map(|row| row.status)
    }

    /// Makes a BAL with its INBOX, Sent, Drafts, Trash, Junk and Archive (RFC 6154).
    ///
    /// # Errors
    /// [`StoreError::UnknownDomain`], [`StoreError::AlreadyExists`], [`StoreError::NeverReused`], or the engine's.
    pub fn bal_add(&self, new: NewBal, now: Timestamp) -> Result<BalId, StoreError> {
        let _admin = self.administer()?;
        self.check_new(&new.address)?;
        // Only this function takes BAL numbers, under the lock.
        let last = self.global(global::BAL)?;
        let id = BalId(last.unsigned_abs() + 1);
        let bal = Bal {
            id,
            address: new.address,
            kind: new.kind,
            label: new.label,
            publication: new.publication,
            status: BalStatus::Active,
            quota_bytes: new.quota_bytes,
            password_hash: new.password_hash,
            created_at: now,
            last_auth_at: None,
        };
        let mut batch = Batch::new(Durability::Synced);
        let step = batch.step_new(global::KEY, global::BAL, 1);
        batch.was(step, last);
        let address = keys::address(&bal.address);
        batch.expect(Expect::Absent(Space::Directory, address.clone()));
        batch.put(Space::Directory, address, id.0.to_be_bytes().to_vec());
        batch.put(Space::Directory, keys::bal(id), rows::encode(&StoredBal::from(&bal))?);
        let validity = first_validity(now);
        let counters = keys::bal_counters(id);
        batch.step_new(&counters, bal_field::MODSEQ, 1);
        batch.step(&counters, bal_field::UID_VALIDITY, validity);
        batch.step(&counters, bal_field::FOLDER, FIRST_FOLDERS.len() as i64);
        for (folder, name, special_use) in FIRST_FOLDERS {
            let row =
                FolderRow { name: (*name).to_owned(), special_use: *special_use, subscribed: true };
            batch.put(Space::Directory, keys::folder(id, *folder), rows::encode(&row)?);
            let counters = keys::folder_counters(id, *folder);
            batch.step_new(&counters, folder_field::UID_VALIDITY, validity);
            batch.step(&counters, folder_field::MODSEQ, 1);
        }
        self.inner.engine.commit(batch)?;
        self.inner.directory.write().put(bal);
        Ok(id)
    }

    fn check_new(&self, address: &BalAddress) -> Result<(), StoreError> {
        let directory = self.inner.directory.read();
        if !directory.domains.contains_key(address.domain()) {
            return Err(StoreError::UnknownDomain(address.domain().to_string()));
        }
        let known = directory.by_address.get(address).and_then(|id| directory.by_id(*id));
        match known.map(|b| b.status) {
            None => Ok(()),
            Some(BalStatus::Deleted) => Err(StoreError::NeverReused(address.to_string())),
            Some(_) => Err(StoreError::AlreadyExists(address.to_string())),
        }
    }

    fn global(&self, field: usize) -> Result<i64, StoreError> {
        Ok(self.inner.engine.read(|r| counter(r, global::KEY, field))?.unwrap_or(0))
    }

    /// A BAL by its number; a deleted one is its tombstone. Memory only.
    ///
    /// # Errors
    /// None today.
    pub fn bal(&self, id: BalId) -> Result<Option<Bal>, StoreError> {
        Ok(self.inner.directory.read().by_id(id).map(|b| Bal::clone(b)))
    }

    /// A BAL by its address; a deleted one is its tombstone. Memory only.
    ///
    /// # Errors
    /// None today.
    pub fn bal_by_address(&self, address: &BalAddress) -> Result<Option<Bal>, StoreError> {
        let directory = self.inner.directory.read();
        let id = directory.by_address.get(address);
        Ok(id.and_then(|id| directory.by_id(*id)).map(|b| Bal::clone(b)))
    }

    /// The BAL of a domain, or all; tombstones left out; by number.
    ///
    /// # Errors
    /// None today.
    pub fn bals(&self, domain: Option<&Domain>) -> Result<Vec<Bal>, StoreError> {
        let directory = self.inner.directory.read();
        let wanted = |b: &&Arc<Bal>| domain.is_none_or(|d| b.address.domain() == d);
        Ok(directory.living().filter(wanted).map(|b| Bal::clone(b)).collect())
    }

    /// Suspends a BAL or lets it go on. [`BalStatus::Deleted`] goes through [`Store::bal_delete`].
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn bal_set_status(&self, id: BalId, status: BalStatus) -> Result<(), StoreError> {
        if status == BalStatus::Deleted {
            return Err(StoreError::Conflict);
        }
        self.change_bal(id, Durability::Synced, |bal| bal.status = status)
    }

    /// Changes the password hash, or takes it away.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn bal_set_password(&self, id: BalId, hash: Option<String>) -> Result<(), StoreError> {
        self.change_bal(id, Durability::Synced, |bal| bal.password_hash = hash)
    }

    /// Changes the quota. A BAL over it keeps what it holds.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn bal_set_quota(&self, id: BalId, bytes: u64) -> Result<(), StoreError> {
        self.change_bal(id, Durability::Synced, |bal| bal.quota_bytes = bytes)
    }

    /// Notes that somebody opened the BAL; written once an hour at most, unsynced.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn bal_authenticated(&self, id: BalId, at: Timestamp) -> Result<(), StoreError> {
        if self.inner.directory.read().by_id(id).is_some_and(|bal| bal.auth_is_noted(at)) {
            return Ok(());
        }
        self.change_bal(id, Durability::Relaxed, |bal| bal.last_auth_at = Some(at))
    }

    fn change_bal(
        &self,
        id: BalId,
        durability: Durability,
        change: impl FnOnce(&mut Bal),
    ) -> Result<(), StoreError> {
        let _admin = self.administer()?;
        let mut bal = self.living_bal(id)?;
        change(&mut bal);
        let mut batch = Batch::new(durability);
        batch.put(Space::Directory, keys::bal(id), rows::encode(&StoredBal::from(&bal))?);
        self.inner.engine.commit(batch)?;
        self.inner.directory.write().put(bal);
        Ok(())
    }

    pub(crate) fn living_bal(&self, id: BalId) -> Result<Bal, StoreError> {
        let bal = self.inner.directory.read().by_id(id).map(|b| Bal::clone(b));
        bal.filter(|b| b.status != BalStatus::Deleted).ok_or(StoreError::UnknownBal)
    }

    /// Deletes a BAL and everything in it. Its address is never given again. The tombstone is durable first; what
    /// it held is then removed in bounded batches, going on at the next opening if the process dies.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn bal_delete(&self, id: BalId, _now: Timestamp) -> Result<(), StoreError> {
        {
            let _admin = self.administer()?;
            let _edit = self.inner.edit(id);
            let bal =
                Bal { status: BalStatus::Deleted, password_hash: None, ..self.living_bal(id)? };
            let folders = self.inner.read(|r| crate::folder::rows_of(r, id))?;
            let mut batch = Batch::new(Durability::Synced);
            batch.put(Space::Directory, keys::bal(id), rows::encode(&StoredBal::from(&bal))?);
            // Without its counters, no batch under way can file anything more.
            batch.counter_delete(keys::bal_counters(id));
            for (folder, _) in folders {
                batch.counter_delete(keys::folder_counters(id, folder));
                batch.delete(Space::Directory, keys::folder(id, folder));
                batch.put(Space::Directory, keys::purge(id, folder), vec![1]);
            }
            let keywords = keys::keywords_of(id);
            batch.delete_range(Space::Directory, keywords.clone(), after(&keywords));
            let log = id.0.to_be_bytes().to_vec();
            batch.delete_range(Space::Log, log.clone(), after(&log));
            batch.delete(Space::Directory, keys::log_floor(id));
            crate::search::remove(&mut batch, id);
            members::draft_forget(&self.inner.sharing.read(), &mut batch, id);
            let members: Vec<BalId> = self.members(id).iter().map(|m| m.member).collect();
            self.draft_forget_marks(&mut batch, id, &members)?;
            for membership in self.memberships(id) {
                self.draft_forget_own(&mut batch, membership.bal, id)?;
            }
            self.inner.engine.commit(batch)?;
            self.inner.directory.write().put(bal);
            self.inner.sharing.write().forget_bal(id);
        }
        self.finish_purges()
    }

    /// What the BAL holds.
    ///
    /// # Errors
    /// [`StoreError::UnknownBal`], or the engine's.
    pub fn bal_usage(&self, id: BalId) -> Result<Usage, StoreError> {
        let row = self.inner.read(|r| counter_row(r, &keys::bal_counters(id)))?;
        let row = row.ok_or(StoreError::UnknownBal)?;
        Ok(Usage {
            bytes: row.0[bal_field::BYTES].unsigned_abs(),
            messages: row.0[bal_field::MESSAGES].unsigned_abs(),
        })
    }
}

/// Folders of a new BAL.
const FIRST_FOLDERS: &[(FolderId, &str, Option<SpecialUse>)] = &[
    (INBOX, "INBOX", None),
    (FolderId(2), "Sent", Some(SpecialUse::Sent)),
    (FolderId(3), "Drafts", Some(SpecialUse::Drafts)),
    (FolderId(4), "Trash", Some(SpecialUse::Trash)),
    (FolderId(5), "Junk", Some(SpecialUse::Junk)),
    (FolderId(6), "Archive", Some(SpecialUse::Archive)),
];

/// UIDVALIDITY grows with time, so that a folder made again never shows an old one (RFC 9051 2.3.1.1).
pub(crate) fn first_validity(now: Timestamp) -> i64 {
    now.seconds().clamp(1, i64::from(u32::MAX / 2))
}

pub(crate) fn counter_row(
    reader: &dyn Reader,
    key: &[u8],
) -> Result<Option<crate::engine::CounterRow>, EngineError> {
    let row = reader.get(Space::Counters, key)?;
    row.map(|bytes| crate::engine::CounterRow::decode(&bytes)).transpose()
}

pub(crate) fn counter(
    reader: &dyn Reader,
    key: &[u8],
    field: usize,
) -> Result<Option<i64>, EngineError> {
    Ok(counter_row(reader, key)?.map(|row| row.0[field]))
}
