//! One round: CRLs first, since they may name the signer of the list; then the list.

use crate::config::{Config, Source};
use crate::fetch::{self, Answer};
use crate::limits::BACKOFF_SECS_MIN;
use crate::snapshot::{Snapshot, SnapshotError, Validators};
use palombe_trust::{CrlSet, ListeBlanche, TrustError, VerifyOptions, diff};
use palombe_vocabulary::Timestamp;
use reqwest::Client;
use std::sync::Arc;
use std::time::Duration;

/// Why something was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The HTTP client cannot be built.
    #[error("the HTTPS client cannot be made: {0}")]
    Client(String),
    /// Connection, TLS, time.
    #[error("not fetched: {0}")]
    Network(String),
    /// Neither 200 nor an expected 304.
    #[error("not fetched: the server answered {0}")]
    Status(u16),
    /// Beyond the configured size.
    #[error("refused: larger than {max} bytes")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// What came does not verify.
    #[error("refused: {0}")]
    Refused(#[from] TrustError),
    /// A CRL that does not verify or is worse than the one in place.
    #[error("refused: {0}")]
    Crl(String),
    /// The folder.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// What became of one source.
#[derive(Debug)]
pub enum Outcome {
    /// Verified and handed over.
    Updated,
    /// What is in place is still the last one.
    Unchanged,
    /// What is in place stays.
    Failed(SyncError),
}

/// A round, source by source.
#[derive(Debug)]
pub struct Report {
    /// File within the snapshot folder, and its outcome.
    pub outcomes: Vec<(String, Outcome)>,
}

impl Report {
    /// True when no source failed.
    pub fn is_good(&self) -> bool {
        !self.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// The outcome of one file.
    pub fn of(&self, file: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|(name, _)| name == file).map(|(_, outcome)| outcome)
    }
}

/// The process's memory between rounds. One task drives it: its disk and CPU work keeps nobody
/// waiting.
pub struct Sync {
    config: Config,
    client: Client,
    snapshot: Snapshot,
    crls: Arc<CrlSet>,
    list: Option<ListeBlanche>,
    failures: u32,
}

impl Sync {
    /// Opens the snapshot folder and takes up what is there.
    ///
    /// # Errors
    /// [`SyncError::Client`] or [`SyncError::Snapshot`].
    pub fn open(config: Config, at: Timestamp) -> Result<Sync, SyncError> {
        let client = fetch::client(&config.tls_roots)?;
        let snapshot = Snapshot::open(&config.snapshot)?;
        let mut sync =
            Sync { config, client, snapshot, crls: Arc::default(), list: None, failures: 0 };
        for source in sync.config.crls.clone() {
            if let Some(der) = sync.snapshot.read(&source.file, source.bytes_max)? {
                sync.crls = Arc::new(sync.crls.with(&[der], &sync.config.anchors, at).0);
            }
        }
        let file = sync.config.list.file.clone();
        if let Some(bytes) = sync.snapshot.read(&file, sync.config.list.bytes_max)? {
            match ListeBlanche::verify(&bytes, &sync.config.anchors, &sync.options(at, i64::MAX)) {
                Ok(list) => sync.list = Some(list),
                // Not removed: the server judges it for itself. A good one will replace it.
                Err(e) => tracing::warn!(file = %file.display(), "the list in place: {e}"),
            }
        }
        Ok(sync)
    }

    fn options(&self, at: Timestamp, signer_expiry_grace_secs: i64) -> VerifyOptions {
        let policy = &self.config.policy;
        VerifyOptions {
            signer_cns: policy.signer_cns.clone(),
            signer_issuer_cns: policy.issuer_cns().into_iter().map(str::to_owned).collect(),
            environment: Some(policy.environment),
            signer_expiry_grace_secs,
            future_secs_max: policy.list_future_secs_max,
            crls: Some(self.crls.clone()),
            at,
        }
    }

    /// Fetches, verifies and hands over everything once.
    pub async fn round(&mut self, at: Timestamp) -> Report {
        let mut outcomes = Vec::new();
        for source in self.config.crls.clone() {
            let outcome = self.crl(&source, at).await.unwrap_or_else(Outcome::Failed);
            outcomes.push((tell(&source, &outcome), outcome));
        }
        let source = self.config.list.clone();
        let outcome = self.list(&source, at).await.unwrap_or_else(Outcome::Failed);
        outcomes.push((tell(&source, &outcome), outcome));
        self.tell_age(at);
        let report = Report { outcomes };
        self.failures = if report.is_good() { 0 } else { self.failures.saturating_add(1) };
        report
    }

    async fn get(
        &self,
        source: &Source,
        held: Option<&[u8]>,
    ) -> Result<Option<(Vec<u8>, Validators)>, SyncError> {
        let known = held.and_then(|held| {
            self.snapshot.validators(&source.file, source.url.as_str(), held.len() as u64)
        });
        match fetch::fetch(&self.client, source, known).await? {
            Answer::NotModified => Ok(None),
            Answer::Body { bytes, validators } => Ok(Some((bytes, validators))),
        }
    }

    async fn crl(&mut self, source: &Source, at: Timestamp) -> Result<Outcome, SyncError> {
        let held = self.snapshot.read(&source.file, source.bytes_max)?;
        let Some((der, validators)) = self.get(source, held.as_deref()).await? else {
            return Ok(Outcome::Unchanged);
        };
        if held.as_deref() == Some(der.as_slice()) {
            self.snapshot.remember(&source.file, validators)?;
            return Ok(Outcome::Unchanged);
        }
        let ders = [der];
        let (set, report) = self.crls.with(&ders, &self.config.anchors, at);
        if let Some((_, reason)) = report.refused.first() {
            return Err(SyncError::Crl(reason.clone()));
        }
        if report.replaced == 0 {
            return Err(SyncError::Crl("it is older than the one in place, or has ended".into()));
        }
        self.snapshot.hand_over(&source.file, &ders[0], validators)?;
        self.crls = Arc::new(set);
        Ok(Outcome::Updated)
    }

    async fn list(&mut self, source: &Source, at: Timestamp) -> Result<Outcome, SyncError> {
        let held = self.snapshot.read(&source.file, source.bytes_max)?;
        // A file in place that does not verify is fetched again whole.
        let usable = held.as_deref().filter(|_| self.list.is_some());
        let Some((bytes, validators)) = self.get(source, usable).await? else {
            return Ok(Outcome::Unchanged);
        };
        // Verified before anybody can see it; no grace for a signer that has ended.
        let list = ListeBlanche::verify(&bytes, &self.config.anchors, &self.options(at, 0))?;
        if let Some(in_place) = &self.list {
            list.refuse_rollback(in_place)?;
        }
        if usable == Some(bytes.as_slice()) {
            self.snapshot.remember(&source.file, validators)?;
            return Ok(Outcome::Unchanged);
        }
        self.tell_changes(&list);
        self.snapshot.hand_over(&source.file, &bytes, validators)?;
        self.list = Some(list);
        Ok(Outcome::Updated)
    }

    fn tell_changes(&self, list: &ListeBlanche) {
        for skipped in list.skipped() {
            let domain = skipped.domain.escape_debug();
            tracing::warn!(%domain, reason = %skipped.reason, "an entry cannot be indexed");
        }
        let (entries, generated_at) = (list.entries().len(), list.generated_at());
        let Some(old) = &self.list else {
            tracing::info!(entries, %generated_at, "first list");
            return;
        };
        let changes = diff(old, list);
        let (percent, added) = (changes.changed_percent(), changes.domains_added.len());
        let removed = changes.domains_removed.len();
        let pairs = changes.pairs_added.len() + changes.pairs_removed.len();
        tracing::info!(entries, %generated_at, added, removed, pairs, percent, "the list changed");
        // An alarm, not a refusal: a thousand entries once moved in a day (spec mssante §1.3).
        if percent > self.config.change_alarm_percent {
            let limit = self.config.change_alarm_percent;
            tracing::error!(percent, limit, "alarm: an unusual share of the list changed");
        }
    }

    fn tell_age(&self, at: Timestamp) {
        let Some(list) = &self.list else {
            tracing::error!("alarm: no verified list is in place");
            return;
        };
        let age_secs = at.millis_since(list.generated_at()) / 1000;
        if age_secs > self.config.list_age_alarm_secs {
            tracing::warn!(age_secs, generated_at = %list.generated_at(), "alarm: the list is old");
        }
    }

    /// How long to wait before the next round: the period plus or minus a tenth; after failures a
    /// doubling wait.
    pub fn wait(&self, random: u32) -> Duration {
        let period = self.config.period_secs;
        let base = match self.failures {
            0 => period,
            n => BACKOFF_SECS_MIN.saturating_mul(1 << (n - 1).min(16)).min(period),
        };
        let spread = base * 200; // a fifth of the base, in milliseconds
        let jitter = u64::from(random) * spread / u64::from(u32::MAX);
        Duration::from_millis(base * 900 + jitter)
    }
}

fn tell(source: &Source, outcome: &Outcome) -> String {
    let (file, url) = (source.file.display().to_string(), source.url.as_str());
    match outcome {
        Outcome::Updated => tracing::info!(file, url, "verified and handed over"),
        Outcome::Unchanged => tracing::info!(file, url, "unchanged"),
        Outcome::Failed(e) => tracing::error!(file, url, "{e}; what is in place stays"),
    }
    file
}
