//! RocksDB behind the seam: one plain database, one write-ahead log, bodies in blob files.

use super::{Backend, Direction, EngineError, Op, Reader, Space, Visit};
use crate::StoreError;
use parking_lot::{Mutex, RwLock};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, FlushOptions, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch,
    WriteOptions,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How the database is opened.
#[derive(Clone, Debug)]
pub(crate) struct RocksSettings {
    pub(crate) path: PathBuf,
    pub(crate) cache_bytes: usize,
    /// Free space under which the store takes no new mail.
    pub(crate) reserve_bytes: u64,
}

/// Memory of rows not yet in files, all families together. Writing them into files takes as much space again, so
/// they stay below the reserve of free space.
const MEMTABLES_BYTES: std::ops::RangeInclusive<u64> = 32 * MIB..=160 * MIB;
/// Opening after a full disk writes the log into files once more: it stays below the reserve too.
const WAL_BYTES: std::ops::RangeInclusive<u64> = 64 * MIB..=224 * MIB;
/// What is under way between two looks at the free space.
const UNSEEN_BYTES: u64 = 32 * MIB;
const MIB: u64 = 1024 * 1024;
/// Values at least this large leave the LSM tree (BlobDB).
const BLOB_BYTES_MIN: u64 = 4 * 1024;

/// Opening again writes what the log holds into files: it is not tried with less free space.
const REOPEN_FREE_BYTES: u64 = 4 * 1024 * 1024;
/// After an opening that failed for want of space, the next one waits for more space, or this long.
const REOPEN_ANYWAY: Duration = Duration::from_secs(60);

/// An open database, replaced after a failed write.
pub(crate) struct RocksBackend {
    settings: RocksSettings,
    cache: Cache,
    db: RwLock<Option<DB>>,
    free: Mutex<Option<(Instant, u64)>>,
    /// Octets written since the free space was measured.
    written: AtomicU64,
    /// When an opening failed, and the free space before it.
    failed: Mutex<Option<(Instant, u64)>>,
}

impl Space {
    fn family(self) -> &'static str {
        match self {
            Space::Directory => "directory",
            Space::Counters => "counters",
            Space::Messages => "messages",
            Space::Bodies => "bodies",
            Space::Log => "log",
            Space::Blobs => "blobs",
            Space::Structures => "structures",
            Space::Chunks => "chunks",
            Space::Queue => "queue",
            Space::Journal => "journal",
            Space::Search => "search",
            Space::Postings => "postings",
            Space::Sharing => "sharing",
        }
    }
}

impl RocksSettings {
    fn memtables_bytes(&self) -> u64 {
        (self.reserve_bytes / 8 * 5).clamp(*MEMTABLES_BYTES.start(), *MEMTABLES_BYTES.end())
    }

    fn wal_bytes(&self) -> u64 {
        (self.reserve_bytes / 8 * 7).clamp(*WAL_BYTES.start(), *WAL_BYTES.end())
    }
}

fn database_options(settings: &RocksSettings) -> Options {
    let mut o = Options::default();
    o.create_if_missing(true);
    o.create_missing_column_families(true);
    o.set_db_write_buffer_size(usize::try_from(settings.memtables_bytes()).unwrap_or(usize::MAX));
    o.set_max_total_wal_size(settings.wal_bytes());
    // Recovery stops at the first gap: what was synced is before it.
    o.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    o.set_bytes_per_sync(1024 * 1024);
    o.set_wal_bytes_per_sync(512 * 1024);
    o.set_max_background_jobs(2);
    // Files pass by the page cache where the disk lets them, so that a synced log does not wait for them.
    o.set_use_direct_io_for_flush_and_compaction(writes_directly(&settings.path));
    o.set_max_open_files(512);
    o.set_keep_log_file_num(4);
    o.set_max_log_file_size(4 * 1024 * 1024);
    o.set_stats_dump_period_sec(0);
    o
}

/// Whether the disk of this folder takes writes past the page cache (a tmpfs may not).
fn writes_directly(folder: &Path) -> bool {
    use rustix::fs::{Mode, OFlags};
    let probe = folder.join("direct-io.probe");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::DIRECT;
    let opened = rustix::fs::open(&probe, flags, Mode::RUSR | Mode::WUSR).is_ok();
    let _ = std::fs::remove_file(&probe); // absent where it could not be opened
    opened
}

fn family_options(space: Space, cache: &Cache) -> Options {
    let mut o = Options::default();
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    o.set_compression_type(DBCompressionType::Lz4);
    o.set_write_buffer_size(16 * 1024 * 1024);
    o.set_max_write_buffer_number(3);
    match space {
        Space::Chunks => {
            o.set_write_buffer_size(64 * 1024 * 1024);
            o.set_enable_blob_files(true);
            o.set_min_blob_size(BLOB_BYTES_MIN);
            o.set_blob_file_size(256 * 1024 * 1024);
            // Documents travel as base64 of ZIP and PDF, in which LZ4 finds nothing.
            o.set_blob_compression_type(DBCompressionType::None);
            o.set_enable_blob_gc(true);
            o.set_blob_gc_age_cutoff(0.5);
            o.set_blob_gc_force_threshold(0.5);
        }
        Space::Journal | Space::Structures | Space::Bodies => {
            o.set_bottommost_compression_type(DBCompressionType::Zstd);
            table.set_block_size(16 * 1024);
        }
        // Differences and bits do not compress.
        Space::Counters | Space::Queue | Space::Postings => {
            o.set_compression_type(DBCompressionType::None);
        }
        _ => {}
    }
    o.set_block_based_table_factory(&table);
    o
}

fn families(cache: &Cache) -> Vec<ColumnFamilyDescriptor> {
    let family = |s: &Space| ColumnFamilyDescriptor::new(s.family(), family_options(*s, cache));
    Space::ALL.iter().map(family).collect()
}

fn open_database(settings: &RocksSettings, cache: &Cache) -> Result<DB, rocksdb::Error> {
    DB::open_cf_descriptors(&database_options(settings), &settings.path, families(cache))
}

fn open_for_reading(settings: &RocksSettings, cache: &Cache) -> Result<DB, rocksdb::Error> {
    let options = database_options(settings);
    DB::open_cf_descriptors_read_only(&options, &settings.path, families(cache), false)
}

/// RocksDB tells a full disk only in the text.
fn failure(error: &rocksdb::Error) -> EngineError {
    let text = error.as_ref();
    let full = ["No space left", "Disk quota exceeded", "Max allowed space was reached"];
    if full.iter().any(|f| text.contains(f)) {
        return EngineError::Full;
    }
    match error.kind() {
        rocksdb::ErrorKind::Corruption => EngineError::Corrupt(text.to_owned()),
        _ => EngineError::Unavailable(text.to_owned()),
    }
}

fn closed() -> EngineError {
    EngineError::Unavailable("the database is being opened again".to_owned())
}

impl RocksBackend {
    /// Opens or makes the database.
    pub(crate) fn open(settings: RocksSettings) -> Result<RocksBackend, StoreError> {
        let cache = Cache::new_lru_cache(settings.cache_bytes);
        let db = open_database(&settings, &cache).map_err(|e| open_error(&settings.path, &e))?;
        Ok(RocksBackend {
            settings,
            cache,
            db: RwLock::new(Some(db)),
            free: Mutex::new(None),
            written: AtomicU64::new(0),
            failed: Mutex::new(None),
        })
    }

    fn measure(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.settings.path).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// While a full disk stays full the database stays open, so that reads go on.
    fn worth_reopening(&self, free: u64) -> bool {
        let more = match *self.failed.lock() {
            Some((at, before)) => {
                at.elapsed() > REOPEN_ANYWAY || free >= before.saturating_add(REOPEN_FREE_BYTES)
            }
            None => true,
        };
        more && free >= REOPEN_FREE_BYTES
    }

    fn with<T>(&self, f: impl FnOnce(&DB) -> Result<T, EngineError>) -> Result<T, EngineError> {
        // Recursive: a scan may read again from inside while `reopen` waits.
        match &*self.db.read_recursive() {
            Some(db) => f(db),
            None => Err(closed()),
        }
    }
}

fn open_error(path: &Path, error: &rocksdb::Error) -> StoreError {
    let cause = error.as_ref().to_owned();
    let path = path.to_owned();
    if cause.contains("lock hold by current process") || cause.contains("While lock file") {
        return StoreError::Locked { path };
    }
    let cure = if cause.contains("Permission denied") {
        "give the folder and its files to the user that runs palombe"
    } else if cause.contains("No space left") {
        "free some space on its disk"
    } else if error.kind() == rocksdb::ErrorKind::Corruption {
        "restore the last checkpoint, and keep the damaged folder for examination"
    } else if cause.contains("olumn famil") {
        "it was written by a newer palombe, or is no data folder of palombe"
    } else {
        "check the path and the disk"
    };
    StoreError::Open { path, cause, cure }
}

fn family(db: &DB, space: Space) -> Result<&ColumnFamily, EngineError> {
    db.cf_handle(space.family())
        .ok_or_else(|| EngineError::Corrupt(format!("no column family {}", space.family())))
}

struct RocksReader<'a> {
    db: &'a DB,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl Reader for RocksReader<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.snapshot.get_cf(family(self.db, space)?, key).map_err(|e| failure(&e))
    }

    fn get_many(
        &self,
        space: Space,
        keys: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        let cf = family(self.db, space)?;
        let found = self.db.batched_multi_get_cf_opt(&cf, keys, true, &options);
        let value = |row: Option<rocksdb::DBPinnableSlice<'_>>| row.map(|bytes| bytes.to_vec());
        found.into_iter().map(|row| row.map(value).map_err(|e| failure(&e))).collect()
    }

    fn scan(
        &self,
        space: Space,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: Visit<'_>,
    ) -> Result<(), EngineError> {
        if from >= to {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        let cf = family(self.db, space)?;
        let mut rows = self.snapshot.raw_iterator_cf_opt(cf, options);
        match direction {
            Direction::Up => rows.seek_to_first(),
            Direction::Down => rows.seek_to_last(),
        }
        while let Some((key, value)) = rows.item() {
            if !visit(key, value)? {
                return Ok(());
            }
            match direction {
                Direction::Up => rows.next(),
                Direction::Down => rows.prev(),
            }
        }
        rows.status().map_err(|e| failure(&e))
    }
}

impl Backend for RocksBackend {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.with(|db| db.get_cf(family(db, space)?, key).map_err(|e| failure(&e)))
    }

    fn read(&self, f: &mut dyn FnMut(&dyn Reader)) -> Result<(), EngineError> {
        self.with(|db| {
            f(&RocksReader { db, snapshot: db.snapshot() });
            Ok(())
        })
    }

    fn write(&self, ops: &[Op], synced: bool) -> Result<(), EngineError> {
        self.with(|db| {
            let mut batch = WriteBatch::default();
            for op in ops {
                match op {
                    Op::Put(space, key, value) => {
                        self.written.fetch_add(value.len() as u64, Ordering::Relaxed);
                        batch.put_cf(family(db, *space)?, key, value);
                    }
                    Op::Delete(space, key) => batch.delete_cf(family(db, *space)?, key),
                    Op::DeleteRange(space, from, to) => {
                        batch.delete_range_cf(family(db, *space)?, from, to);
                    }
                }
            }
            let mut options = WriteOptions::default();
            options.set_sync(synced);
            db.write_opt(batch, &options).map_err(|e| failure(&e))
        })
    }

    fn reopen(&self) -> Result<(), EngineError> {
        let free = self.measure().unwrap_or(u64::MAX);
        if !self.worth_reopening(free) {
            return Err(EngineError::Full);
        }
        let mut slot = self.db.write();
        // Dropping closes it; RocksDB keeps the folder locked until then.
        *slot = None;
        match open_database(&self.settings, &self.cache) {
            Ok(db) => {
                *slot = Some(db);
                *self.failed.lock() = None;
                Ok(())
            }
            Err(e) => {
                *self.failed.lock() = Some((Instant::now(), free));
                // The log is read into memory: needs no space, and readers see everything.
                *slot = open_for_reading(&self.settings, &self.cache).ok();
                Err(failure(&e))
            }
        }
    }

    fn checkpoint(&self, path: &Path) -> Result<(), EngineError> {
        self.with(|db| {
            let checkpoint = rocksdb::checkpoint::Checkpoint::new(db).map_err(|e| failure(&e))?;
            checkpoint.create_checkpoint(path).map_err(|e| failure(&e))
        })
    }

    fn compact(&self) -> Result<(), EngineError> {
        self.with(|db| {
            for space in Space::ALL {
                let cf = family(db, space)?;
                db.flush_cf(cf).map_err(|e| failure(&e))?;
                db.compact_range_cf(cf, None::<&[u8]>, None::<&[u8]>);
            }
            Ok(())
        })
    }

    fn flush_soon(&self) -> Result<(), EngineError> {
        let mut options = FlushOptions::default();
        options.set_wait(false);
        self.with(|db| {
            let in_memory = Space::ALL.iter().map(|space| {
                let size = db
                    .property_int_value_cf(family(db, *space)?, "rocksdb.cur-size-all-mem-tables");
                Ok(size.ok().flatten().unwrap_or(0))
            });
            let needed = in_memory.sum::<Result<u64, EngineError>>()?.saturating_add(UNSEEN_BYTES);
            if self.measure().is_none_or(|free| free < needed) {
                return Ok(()); // the disk has less room than what is in memory
            }
            let all: Result<Vec<&ColumnFamily>, EngineError> =
                Space::ALL.iter().map(|space| family(db, *space)).collect();
            db.flush_cfs_opt(&all?, &options).map_err(|e| failure(&e))
        })
    }

    fn free_bytes(&self) -> Option<u64> {
        let mut free = self.free.lock();
        let believed = Duration::from_millis(crate::limits::FREE_SPACE_BELIEVED_MS);
        if let Some((at, bytes)) = *free
            && at.elapsed() < believed
            && self.written.load(Ordering::Relaxed) < crate::limits::FREE_SPACE_BELIEVED_BYTES
        {
            return Some(bytes);
        }
        self.written.store(0, Ordering::Relaxed);
        let bytes = self.measure()?;
        *free = Some((Instant::now(), bytes));
        Some(bytes)
    }

    fn disk_bytes(&self) -> u64 {
        let names = ["rocksdb.total-sst-files-size", "rocksdb.total-blob-file-size"];
        let measure = |db: &DB| {
            let mut sum = 0u64;
            for space in Space::ALL {
                let cf = family(db, space)?;
                for name in names {
                    let value = db.property_int_value_cf(cf, name).ok().flatten();
                    sum = sum.saturating_add(value.unwrap_or(0));
                }
            }
            Ok(sum)
        };
        self.with(measure).unwrap_or(0)
    }
}
