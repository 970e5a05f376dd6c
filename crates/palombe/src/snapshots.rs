//! The files that directory-sync hands over: liste blanche and CRLs, looked at again when they change.
//!
//! The list in use is kept in the data folder, so that a restart serves even when the handed-over file is spoilt
//! (spec mssante §1.3: the last good list is persisted, nothing ever fails open).

use palombe_driver::now;
use palombe_trust::{CrlInfo, TrustState};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Largest liste blanche, octets: ten times the real one.
const LIST_BYTES_MAX: u64 = 40 * 1024 * 1024;
/// Largest CRL, octets.
const CRL_BYTES_MAX: u64 = 40 * 1024 * 1024;
/// CRL files at most.
const CRL_FILES_MAX: usize = 64;
/// The last good list, in the data folder.
const KEPT_NAME: &str = "liste-blanche.last-good.xml";

/// Watches the handed-over files.
pub struct Snapshots {
    trust: TrustState,
    list: PathBuf,
    crls: PathBuf,
    kept: PathBuf,
    seen: Mutex<Seen>,
    in_use: Mutex<Vec<CrlInfo>>,
    /// Lists refused since start, for the metrics.
    pub list_failures: AtomicU64,
}

#[derive(Default)]
struct Seen {
    list: Option<(SystemTime, u64)>,
    crls: Vec<(PathBuf, SystemTime, u64)>,
}

impl Snapshots {
    /// Nothing is read yet.
    pub fn new(trust: TrustState, list: PathBuf, crls: PathBuf, data_folder: &Path) -> Self {
        Snapshots {
            trust,
            list,
            crls,
            kept: data_folder.join(KEPT_NAME),
            seen: Mutex::default(),
            in_use: Mutex::default(),
            list_failures: AtomicU64::new(0),
        }
    }

    /// Puts another policy and other anchors in use, once what is on disk verifies under them. What was in use stays
    /// otherwise.
    ///
    /// # Errors
    /// Why the list that serves now would be lost.
    pub fn take_over(&self, candidate: &TrustState) -> Result<(), String> {
        // Nothing is installed meanwhile; the next look starts afresh.
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        candidate.install_crls(self.read_crls(&self.find_crls()), now());
        let files = [&self.kept, &self.list];
        let refusals = files.map(|file| match read_bounded(file, LIST_BYTES_MAX) {
            Ok(bytes) => candidate.install_list(&bytes, now()).err().map(|e| e.to_string()),
            Err(error) => Some(error.to_string()),
        });
        if candidate.list().is_none() && self.trust.list().is_some() {
            let [kept, handed_over] = refusals.map(Option::unwrap_or_default);
            return Err(format!(
                "under the new anchors or policy no liste blanche verifies: {}: {handed_over}; {}: {kept}",
                self.list.display(),
                self.kept.display()
            ));
        }
        self.trust.replace_with(candidate);
        *seen = Seen::default();
        drop(seen);
        self.look();
        Ok(())
    }

    /// At start: CRLs, the last good list, then the handed-over one, which replaces it when it verifies.
    pub fn start(&self) {
        self.look_at_crls();
        if let Ok(bytes) = read_bounded(&self.kept, LIST_BYTES_MAX) {
            match self.trust.install_list(&bytes, now()) {
                Ok(_) => tracing::info!("the last good liste blanche is in use"),
                Err(error) => tracing::warn!(%error, "the kept liste blanche is not usable"),
            }
        }
        self.look_at_list();
        if self.trust.list().is_none() {
            tracing::error!(
                file = %self.list.display(),
                "no usable liste blanche: nobody gets in, nothing leaves"
            );
        }
    }

    /// The revocation lists in use.
    pub fn crls(&self) -> Vec<CrlInfo> {
        self.in_use.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// Looks at the files again; cheap when nothing changed.
    pub fn look(&self) {
        self.trust.observe(now());
        self.look_at_crls();
        self.look_at_list();
    }

    fn look_at_list(&self) {
        let stamp = stamp(&self.list);
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        if stamp.is_some() && stamp == seen.list {
            return;
        }
        seen.list = stamp;
        drop(seen);
        let bytes = match read_bounded(&self.list, LIST_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(file = %self.list.display(), %error, "no liste blanche to read");
                return;
            }
        };
        match self.trust.install_list(&bytes, now()) {
            Ok(installed) => {
                tracing::info!(?installed, "liste blanche in use");
                if let Err(error) = replace(&self.kept, &bytes) {
                    tracing::warn!(%error, file = %self.kept.display(), "last good list not kept");
                }
            }
            Err(error) => {
                self.list_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    file = %self.list.display(), %error,
                    "liste blanche refused; the last good one stays in use"
                );
            }
        }
    }

    fn find_crls(&self) -> Vec<(PathBuf, SystemTime, u64)> {
        let mut found = Vec::new();
        if let Ok(folder) = std::fs::read_dir(&self.crls) {
            for entry in folder.flatten().take(CRL_FILES_MAX) {
                let path = entry.path();
                if path.extension().is_some_and(|e| e == "crl")
                    && let Some((at, size)) = stamp(&path)
                {
                    found.push((path, at, size));
                }
            }
        }
        found.sort();
        found
    }

    fn read_crls(&self, found: &[(PathBuf, SystemTime, u64)]) -> Vec<Vec<u8>> {
        let read = |path: &Path| match read_bounded(path, CRL_BYTES_MAX) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "CRL not read");
                None
            }
        };
        found.iter().filter_map(|(path, _, _)| read(path)).collect()
    }

    fn look_at_crls(&self) {
        let found = self.find_crls();
        let mut seen = self.seen.lock().unwrap_or_else(|e| e.into_inner());
        if found.is_empty() {
            tracing::warn!(folder = %self.crls.display(), "no CRL (*.crl) to read");
        }
        if found == seen.crls {
            return;
        }
        seen.crls.clone_from(&found);
        drop(seen);
        let report = self.trust.install_crls(self.read_crls(&found), now());
        for (position, reason) in &report.refused {
            let file = found.get(*position).map(|(path, _, _)| path.display().to_string());
            tracing::error!(?file, %reason, "revocation list refused");
        }
        for issuer in &report.missing {
            tracing::warn!(%issuer, "no revocation list of this authority");
        }
        for issuer in &report.expired {
            tracing::warn!(%issuer, "the revocation list in use has expired");
        }
        tracing::info!(in_use = report.in_use.len(), "revocation lists in use");
        *self.in_use.lock().unwrap_or_else(|e| e.into_inner()) = report.in_use;
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

fn read_bounded(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(std::io::Error::other("the file is larger than its limit"));
    }
    Ok(bytes)
}

/// Writes beside, syncs, renames: a reader sees the old file or the new one.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
