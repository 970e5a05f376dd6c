//! Opening, closing, and what every other module of this room stands on.

use crate::directory::Directory;
use crate::draft::{Draft, Meaning};
use crate::engine::{
    Backend, Batch, Committed, Durability, Engine, EngineError, Reader, Refused, RocksBackend,
    RocksSettings, Space,
};
use crate::flagging::Flagging;
use crate::keys::{self, UploadId, global};
use crate::members::Sharing;
use crate::{News, StoreError, StoreSettings, StoreStats};
use palombe_vocabulary::BalId;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of every row; another number is another house.
const SCHEMA: u32 = 3;
/// Locks of BAL, shared by number.
const EDIT_LOCKS: usize = 64;

/// Told of every commit.
pub type Listener = Box<dyn Fn(&[News]) + Send + Sync>;

/// The store. Clones share everything; the last one closes it.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) settings: StoreSettings,
    pub(crate) directory: RwLock<Directory>,
    pub(crate) sharing: RwLock<Sharing>,
    /// Held by whoever changes the directory.
    pub(crate) admin: Mutex<()>,
    edits: Vec<Mutex<()>>,
    /// Changes of flags that wait for these locks.
    flaggings: Vec<Mutex<Vec<Flagging>>>,
    listeners: RwLock<Vec<Listener>>,
    /// Of the digests of bodies.
    pub(crate) blob_key: [u8; 32],
    /// Of the hashes in the search index.
    pub(crate) search_key: [u8; 32],
    /// BAL with messages that the search index does not know of yet.
    pub(crate) unplanted: Mutex<BTreeSet<BalId>>,
    epoch: u32,
    uploads: AtomicU64,
    /// The last look at the disk found less free space than the reserve.
    below_reserve: AtomicBool,
    /// Uploads that a spool or a body on its way still holds.
    pub(crate) live_uploads: Mutex<HashSet<UploadId>>,
}

impl Store {
    /// Opens the data folder, or makes it. One process at a time.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Schema`], [`StoreError::Open`]: each names the folder and the cure.
    pub fn open(settings: &StoreSettings) -> Result<Store, StoreError> {
        make_folder(&settings.path)?;
        let rocks = RocksSettings {
            path: settings.path.clone(),
            cache_bytes: settings.cache_bytes,
            reserve_bytes: settings.free_bytes_min,
        };
        let backend = Arc::new(RocksBackend::open(rocks)?);
        Store::with_backend(backend, settings)
    }

    pub(crate) fn with_backend(
        backend: Arc<dyn Backend>,
        settings: &StoreSettings,
    ) -> Result<Store, StoreError> {
        let engine = Engine::start(backend, settings.sync)?;
        check_schema(&engine, &settings.path)?;
        let blob_key = secret(&engine, "blob-key")?;
        let epoch = next_epoch(&engine)?;
        let directory = engine.read(|r| Directory::load(r))?;
        let search_key = secret(&engine, "search-key")?;
        let living: Vec<BalId> = directory.living().map(|bal| bal.id).collect();
        let unplanted = crate::search::prepare(&engine, &living)?;
        let sharing = engine.read(|r| Sharing::load(r))?;
        let inner = Inner {
            engine,
            settings: settings.clone(),
            directory: RwLock::new(directory),
            sharing: RwLock::new(sharing),
            admin: Mutex::new(()),
            edits: (0..EDIT_LOCKS).map(|_| Mutex::new(())).collect(),
            flaggings: (0..EDIT_LOCKS).map(|_| Mutex::default()).collect(),
            listeners: RwLock::default(),
            blob_key,
            search_key,
            unplanted: Mutex::new(unplanted),
            epoch,
            uploads: AtomicU64::new(1),
            below_reserve: AtomicBool::new(false),
            live_uploads: Mutex::default(),
        };
        let store = Store { inner: Arc::new(inner) };
        // S1 of the last process, its leases, and what it was removing.
        store.inner.sweep_uploads(usize::MAX)?;
        store.clear_leases()?;
        store.finish_purges()?;
        store.search_abandoned()?;
        Ok(store)
    }

    /// Calls `listener` after each commit, from the committing or the calling thread: it must be quick and may not
    /// call the store. Hints only: after a restart nothing is told again.
    pub fn on_commit(&self, listener: Listener) {
        self.inner.listeners.write().push(listener);
    }

    /// Numbers for the metrics.
    ///
    /// # Errors
    /// None today.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let counts = self.inner.engine.counts();
        let (domains, bals) = self.inner.directory.read().sizes();
        Ok(StoreStats {
            domains,
            bals,
            batches: counts.batches.load(Ordering::Relaxed),
            groups: counts.groups.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            reopened: counts.reopened.load(Ordering::Relaxed),
            broken: counts.broken.load(Ordering::Relaxed),
            waiting: self.inner.engine.waiting() as u64,
            free_bytes: self.inner.engine.backend().free_bytes(),
            disk_bytes: self.inner.engine.backend().disk_bytes(),
        })
    }

    /// Gives the space of swept bodies back to the disk now, instead of little by little. Takes long.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`].
    pub fn compact(&self) -> Result<(), StoreError> {
        Ok(self.inner.engine.backend().compact()?)
    }

    /// A consistent copy in a folder that does not exist yet; files are linked where the disk is the same.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`], [`StoreError::Full`], [`StoreError::Unavailable`].
    pub fn checkpoint(&self, path: &Path) -> Result<(), StoreError> {
        if path.exists() {
            return Err(StoreError::AlreadyExists(path.display().to_string()));
        }
        Ok(self.inner.engine.backend().checkpoint(path)?)
    }
}

impl Inner {
    /// Reads on one consistent snapshot.
    pub(crate) fn read<T>(
        &self,
        f: impl FnOnce(&dyn Reader) -> Result<T, EngineError>,
    ) -> Result<T, StoreError> {
        Ok(self.engine.read(f)?)
    }

    /// Changes of one BAL that read before they write go one after the other.
    pub(crate) fn edit(&self, bal: BalId) -> MutexGuard<'_, ()> {
        self.edits[(bal.0 % EDIT_LOCKS as u64) as usize].lock()
    }

    pub(crate) fn flaggings(&self, bal: BalId) -> &Mutex<Vec<Flagging>> {
        &self.flaggings[(bal.0 % EDIT_LOCKS as u64) as usize]
    }

    pub(crate) fn next_upload(&self) -> UploadId {
        let id =
            UploadId { epoch: self.epoch, number: self.uploads.fetch_add(1, Ordering::Relaxed) };
        self.live_uploads.lock().insert(id);
        id
    }

    /// New mail is refused before the disk is so full that the engine itself stops.
    pub(crate) fn check_room(&self) -> Result<(), StoreError> {
        let backend = self.engine.backend();
        let full = backend.free_bytes().is_some_and(|free| free < self.settings.free_bytes_min);
        if self.below_reserve.swap(full, Ordering::Relaxed) != full && full {
            // Without new writes nothing would cut the log, which may hold the space that is missing.
            if let Err(error) = backend.flush_soon() {
                tracing::warn!(%error, "the log could not be cut");
            }
        }
        if full { Err(StoreError::Full) } else { Ok(()) }
    }

    /// Commits a draft, tells the news, and gives the counters.
    pub(crate) fn commit(&self, draft: Draft) -> Result<Committed, StoreError> {
        let (batch, meaning) = draft.finish()?;
        self.settle(self.engine.commit(batch), &meaning)
    }

    /// The answer of a batch in the words of the house; its news are told.
    pub(crate) fn settle(
        &self,
        answer: Result<Committed, EngineError>,
        meaning: &Meaning,
    ) -> Result<Committed, StoreError> {
        match answer {
            Ok(committed) => {
                self.tell(&meaning.news(&committed.steps));
                Ok(committed)
            }
            Err(EngineError::Refused(refused)) => Err(meaning.error(refused)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn tell(&self, news: &[News]) {
        if news.is_empty() {
            return;
        }
        for listener in self.listeners.read().iter() {
            listener(news);
        }
    }
}

impl From<EngineError> for StoreError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(_) => StoreError::Conflict,
            EngineError::Full => StoreError::Full,
            EngineError::Busy => StoreError::Busy,
            EngineError::Unavailable(what) => StoreError::Unavailable(what),
            EngineError::Corrupt(what) => StoreError::Corrupt { what },
        }
    }
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    let wrong = |e: std::io::Error| StoreError::Open {
        path: path.to_owned(),
        cause: e.to_string(),
        cure: "make its parent, or give it to the user that runs palombe",
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong)?;
    let meta = std::fs::metadata(path).map_err(wrong)?;
    if meta.permissions().mode() & 0o077 != 0 {
        // Nobody else may even list the folder: that covers the files inside, whatever their own mode.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(wrong)?;
    }
    Ok(())
}

fn check_schema(engine: &Engine, path: &Path) -> Result<(), StoreError> {
    let key = keys::meta("schema");
    match engine.get(Space::Directory, &key)? {
        Some(bytes) => {
            let found = keys::u32_at(&bytes, 0).unwrap_or(0);
            if found == SCHEMA {
                return Ok(());
            }
            Err(StoreError::Schema { path: path.to_owned(), found, expected: SCHEMA })
        }
        None => {
            let mut batch = Batch::new(Durability::Synced);
            batch.put(Space::Directory, key, SCHEMA.to_be_bytes().to_vec());
            engine.commit(batch)?;
            Ok(())
        }
    }
}

/// A random key of this store, made once.
fn secret(engine: &Engine, name: &str) -> Result<[u8; 32], StoreError> {
    let key = keys::meta(name);
    if let Some(bytes) = engine.get(Space::Directory, &key)? {
        return bytes
            .try_into()
            .map_err(|_| StoreError::Corrupt { what: format!("the row {name}") });
    }
    let mut made = [0; 32];
    getrandom::fill(&mut made)
        .map_err(|e| StoreError::Unavailable(format!("no random octets: {e}")))?;
    let mut batch = Batch::new(Durability::Synced);
    batch.put(Space::Directory, key, made.to_vec());
    engine.commit(batch)?;
    Ok(made)
}

fn next_epoch(engine: &Engine) -> Result<u32, StoreError> {
    let mut batch = Batch::new(Durability::Synced);
    let step = batch.step_new(global::KEY, global::EPOCH, 1);
    let committed = engine.commit(batch)?;
    Ok(committed.steps.u32(step))
}

/// A step whose failure means this.
pub(crate) fn refusal(refused: Refused) -> StoreError {
    match refused {
        Refused::Overflow(_) => StoreError::TooMany("numbers of this kind are used up"),
        _ => StoreError::Conflict,
    }
}
