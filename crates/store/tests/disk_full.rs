//! A full disk: temporary answers, nothing lost, nothing half, and the store goes on when space returns.

mod support;

use palombe_store::{INBOX, Store, StoreError, StoreSettings};
use palombe_vocabulary::{BalId, Uid};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::{assert_clean, bal, message, octets, read, settings};

/// A small disk in memory, unmounted when dropped. `None` without the right to mount.
struct SmallDisk {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    fn new(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .output();
        if !mounted.is_ok_and(|m| m.status.success()) {
            println!("skipped: this test needs the right to mount a tmpfs");
            return None;
        }
        Some(SmallDisk { path, _folder: folder })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

struct Writer<'a> {
    store: &'a Store,
    bal: BalId,
    kept: Vec<(Uid, u64, usize)>,
    next: u64,
}

impl Writer<'_> {
    fn try_one(&mut self) -> Result<(), StoreError> {
        self.next += 1;
        let size = if self.next.is_multiple_of(3) { 700_000 } else { 40_000 };
        let body = octets(self.next, size);
        let done = self.store.accept(message(self.store, &body, &[self.bal], None)?)?;
        self.kept.push((done.filed[0].uid, self.next, size));
        Ok(())
    }

    fn fill(&mut self) -> StoreError {
        loop {
            if let Err(error) = self.try_one() {
                return error;
            }
        }
    }

    /// Space returned: the store must write again by itself, within a bounded time.
    fn recover(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.try_one() {
            assert!(error.is_temporary(), "{error}");
            assert!(Instant::now() < deadline, "still {error}");
            std::thread::yield_now();
        }
    }

    /// Every kept message is there with its octets, whatever the disk does.
    fn compare(&self, store: &Store) {
        for (uid, n, size) in &self.kept {
            let message = patient(|| store.message(self.bal, INBOX, *uid)).unwrap();
            assert_eq!(read(store, &message.digest, message.blob_size), octets(*n, *size));
        }
    }
}

/// Reads pause while the engine is opened again, never longer.
fn patient<T>(read: impl Fn() -> Result<T, StoreError>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match read() {
            Ok(value) => return value,
            Err(StoreError::Unavailable(_)) if Instant::now() < deadline => {
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn ballast(disk: &Path, number: usize) -> PathBuf {
    let path = disk.join(format!("ballast-{number}"));
    std::fs::write(&path, vec![1; 56 << 20]).unwrap();
    path
}

#[test]
fn a_full_disk_refuses_for_a_while_and_loses_nothing() {
    let Some(disk) = SmallDisk::new("256m") else { return };
    let data = disk.path.join("data");
    let ballasts: Vec<PathBuf> = (0..3).map(|i| ballast(&disk.path, i)).collect();
    let store = Store::open(&settings(&data)).unwrap();
    let id = bal(&store, "a");
    let mut writer = Writer { store: &store, bal: id, kept: Vec::new(), next: 0 };
    for ballast in ballasts {
        let error = writer.fill();
        assert!(matches!(error, StoreError::Full), "{error}");
        writer.compare(&store);
        // The engine may have made room for itself meanwhile; a refusal is temporary.
        assert!(writer.try_one().err().is_none_or(|e| e.is_temporary()));
        std::fs::remove_file(ballast).unwrap();
        writer.recover();
        writer.compare(&store);
        assert_clean(&store);
        println!("{} messages, {:?}", writer.kept.len(), store.stats().unwrap());
    }
    assert!(store.stats().unwrap().reopened > 0, "the engine itself met the full disk");
    let kept = std::mem::take(&mut writer.kept);
    drop(store);
    let store = Store::open(&settings(&data)).unwrap();
    assert_clean(&store);
    Writer { store: &store, bal: id, kept, next: 0 }.compare(&store);
}

/// Sweeps the bodies and opens the store's folder for the next round's writes.
fn make_room(store: &Store) {
    let at = palombe_vocabulary::Timestamp(1);
    store.sweep(at, 100_000).unwrap();
    store.sweep(at, 100_000).unwrap();
    store.compact().unwrap();
}

#[test]
fn below_the_reserve_new_mail_is_refused_before_the_engine_stops() {
    let Some(disk) = SmallDisk::new("96m") else { return };
    let settings = StoreSettings { free_bytes_min: 40 << 20, ..settings(&disk.path.join("data")) };
    let store = Store::open(&settings).unwrap();
    let id = bal(&store, "a");
    let mut writer = Writer { store: &store, bal: id, kept: Vec::new(), next: 0 };
    let error = writer.fill();
    assert!(matches!(error, StoreError::Full), "{error}");
    assert_eq!(store.stats().unwrap().reopened, 0);
    let uids: Vec<Uid> = writer.kept.iter().map(|(uid, ..)| *uid).collect();
    writer.compare(&store);
    // What frees space still works.
    store.expunge(id, INBOX, &uids).unwrap();
    make_room(&store);
    writer.kept.clear();
    writer.recover();
    assert_clean(&store);
}
