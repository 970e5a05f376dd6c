//! The folder handed over: files appear whole, by rename, readable by their owner only, on disk
//! before they are seen.

use crate::limits::VALIDATOR_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The snapshot folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}: check the folder, its owner and the space left")]
pub struct SnapshotError {
    /// Which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// What an answer said of its own version, and of which bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Validators {
    pub url: String,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub bytes: u64,
}

pub(crate) struct Snapshot {
    folder: PathBuf,
    validators: BTreeMap<PathBuf, Validators>,
}

const VALIDATORS_FILE: &str = ".validators.json";

impl Snapshot {
    /// Opens the folder, making it when it is absent, and forgets what a crash left half written.
    pub(crate) fn open(folder: &Path) -> Result<Snapshot, SnapshotError> {
        for folder in [folder.to_owned(), folder.join("crl")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|error| SnapshotError { path: folder.clone(), error })?;
            remove_leftovers(&folder)?;
        }
        let path = folder.join(VALIDATORS_FILE);
        // Only a memory: a lost or damaged one costs one full answer.
        let validators = read_bounded(&path, crate::limits::SMALL_FILE_BYTES_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Ok(Snapshot { folder: folder.to_owned(), validators })
    }

    /// A file of the folder; `None` when it is absent.
    pub(crate) fn read(&self, file: &Path, max: u64) -> Result<Option<Vec<u8>>, SnapshotError> {
        let path = self.folder.join(file);
        match read_bounded(&path, max) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SnapshotError { path, error }),
        }
    }

    /// Validators of what is there, when they speak of this address and of a file of this size.
    pub(crate) fn validators(&self, file: &Path, url: &str, bytes: u64) -> Option<&Validators> {
        self.validators.get(file).filter(|v| v.url == url && v.bytes == bytes)
    }

    /// Puts a file in its place, atomically and durably, and remembers its validators.
    pub(crate) fn hand_over(
        &mut self,
        file: &Path,
        bytes: &[u8],
        validators: Validators,
    ) -> Result<(), SnapshotError> {
        replace(&self.folder.join(file), bytes)?;
        self.remember(file, validators)
    }

    /// Remembers the validators of a file that is there already.
    pub(crate) fn remember(
        &mut self,
        file: &Path,
        mut validators: Validators,
    ) -> Result<(), SnapshotError> {
        let short = |text: &String| text.len() <= VALIDATOR_BYTES_MAX;
        validators.etag = validators.etag.filter(short);
        validators.last_modified = validators.last_modified.filter(short);
        self.validators.insert(file.to_owned(), validators);
        let path = self.folder.join(VALIDATORS_FILE);
        let json = serde_json::to_vec_pretty(&self.validators)
            .map_err(|e| SnapshotError { path: path.clone(), error: io::Error::other(e) })?;
        replace(&path, &json)
    }
}

fn remove_leftovers(folder: &Path) -> Result<(), SnapshotError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |error| SnapshotError { path, error }
    };
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if path.extension().is_some_and(|e| e == "half") {
            fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Writes beside, syncs, renames, syncs the folder: a reader sees the old file or the new one, also
/// after a crash.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |error| SnapshotError { path, error }
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut half = path.as_os_str().to_owned();
    half.push(".half");
    let half = PathBuf::from(half);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    if let Err(error) = written {
        let _ = fs::remove_file(&half); // best effort: the error told is the first one
        return Err(at(&half)(error));
    }
    fs::rename(&half, path).map_err(at(path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// A whole file, refused beyond `max`.
pub(crate) fn read_bounded(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {max} bytes"),
        ));
    }
    Ok(bytes)
}
