//! From S1 to S2: the one batch that makes a message durable for everybody it concerns.

use crate::draft::{Arrival, Draft, FiledSteps, Meaning};
use crate::engine::{Batch, Committed, Durability, StepId, Steps};
use crate::limits::{PREFIX_BYTES_MAX, STRUCTURE_BYTES_MAX};
use crate::rows::BodyRow;
use crate::{
    Acceptance, Accepted, Filed, Filing, Flags, JournalLine, SpooledBlob, Store, StoreError, Upload,
};
use palombe_vocabulary::{BalStatus, FolderId, ModSeq, QueueId, Timestamp, Uid, UidValidity};

/// What [`Store::accept_then`] calls when the batch is durable, or was refused.
pub type OnAccepted = Box<dyn FnOnce(Result<Vec<Accepted>, StoreError>) + Send>;

/// Steps that tell what an acceptance became.
pub(crate) struct Promise {
    filed: Vec<FiledSteps>,
    queued: Vec<StepId>,
}

impl Promise {
    pub(crate) fn told(&self, steps: &Steps) -> Accepted {
        Accepted {
            filed: self.filed.iter().map(|f| filed(f, steps)).collect(),
            queued: self.queued.iter().map(|id| QueueId(steps.u64(*id))).collect(),
        }
    }
}

fn filed(f: &FiledSteps, steps: &Steps) -> Filed {
    Filed {
        bal: f.bal,
        folder: f.folder,
        uid: Uid(steps.u32(f.uid)),
        modseq: ModSeq(steps.u64(f.modseq)),
        uid_validity: UidValidity(steps.u32(f.validity)),
    }
}

impl Store {
    /// Accepts a message: when this returns `Ok`, it is durable for every filing and queue entry, and visible.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`], [`StoreError::BalSuspended`], [`StoreError::UnknownBal`],
    /// [`StoreError::UnknownFolder`], [`StoreError::Full`], [`StoreError::Unavailable`]; nothing is visible then.
    pub fn accept(&self, acceptance: Acceptance) -> Result<Accepted, StoreError> {
        Ok(self.accept_all(vec![acceptance])?.pop().unwrap_or_default())
    }

    /// Accepts several messages in one batch: all or none. For a message and the reports about it.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub fn accept_all(&self, acceptances: Vec<Acceptance>) -> Result<Vec<Accepted>, StoreError> {
        let (batch, meaning, promises) = self.prepare(&acceptances)?;
        let answer = self.inner.engine.commit(batch);
        let committed = self.inner.settle(answer, &meaning)?;
        Ok(fulfil(acceptances, &promises, &committed))
    }

    /// As [`Store::accept_all`], without waiting: `done` is called from the committing thread once the batch is
    /// durable, or at once when it is refused. It must be quick and may not block.
    pub fn accept_then(&self, acceptances: Vec<Acceptance>, done: OnAccepted) {
        let (batch, meaning, promises) = match self.prepare(&acceptances) {
            Ok(prepared) => prepared,
            Err(error) => return done(Err(error)),
        };
        let inner = self.inner.clone();
        let settle = move |answer| {
            let result = inner.settle(answer, &meaning);
            done(result.map(|committed| fulfil(acceptances, &promises, &committed)));
        };
        self.inner.engine.commit_then(batch, Box::new(settle));
    }

    /// Files a body without an envelope (IMAP APPEND), durably.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub fn file(
        &self,
        filing: Filing,
        blob: SpooledBlob,
        structure: Vec<u8>,
        journal: Vec<JournalLine>,
        now: Timestamp,
    ) -> Result<Filed, StoreError> {
        let filed = self.file_all(vec![Upload { filing, blob, structure, journal }], now)?;
        filed.into_iter().next().ok_or(StoreError::Conflict)
    }

    /// Files several bodies in one batch, all or none (RFC 3502).
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub fn file_all(&self, uploads: Vec<Upload>, now: Timestamp) -> Result<Vec<Filed>, StoreError> {
        self.file_drafted(self.draft(Durability::Synced), uploads, now)
    }

    /// Files a body and removes a message in one batch (RFC 8508); only the difference counts against the quota.
    /// `None`, and nothing is done, when that message is not there.
    ///
    /// # Errors
    /// As [`Store::accept`].
    pub fn replace(
        &self,
        upload: Upload,
        (folder, uid): (FolderId, Uid),
        now: Timestamp,
    ) -> Result<Option<Filed>, StoreError> {
        let bal = upload.filing.bal;
        let _edit = self.inner.edit(bal);
        let mut draft = self.draft(Durability::Synced);
        if !self.draft_removal(&mut draft, bal, folder, uid)? {
            return Ok(None);
        }
        Ok(self.file_drafted(draft, vec![upload], now)?.into_iter().next())
    }

    fn file_drafted(
        &self,
        mut draft: Draft,
        uploads: Vec<Upload>,
        now: Timestamp,
    ) -> Result<Vec<Filed>, StoreError> {
        self.inner.check_room()?;
        let mut steps = Vec::with_capacity(uploads.len());
        for Upload { filing, blob, structure, journal } in &uploads {
            self.check_body(blob, structure)?;
            draft.body(blob, structure);
            steps.push(self.file_in(&mut draft, filing, blob, now)?);
            journal.iter().for_each(|line| draft.line(line));
        }
        let committed = self.inner.commit(draft)?;
        uploads.into_iter().for_each(|upload| upload.blob.keep());
        Ok(steps.iter().map(|steps| filed(steps, &committed.steps)).collect())
    }

    pub(crate) fn draft(&self, durability: Durability) -> Draft {
        Draft::new(durability, self.inner.blob_key)
    }

    fn prepare(
        &self,
        acceptances: &[Acceptance],
    ) -> Result<(Batch, Meaning, Vec<Promise>), StoreError> {
        self.inner.check_room()?;
        let mut draft = self.draft(Durability::Synced);
        let promises = self.draft_acceptances(&mut draft, acceptances)?;
        let (batch, meaning) = draft.finish()?;
        Ok((batch, meaning, promises))
    }

    pub(crate) fn draft_acceptances(
        &self,
        draft: &mut Draft,
        acceptances: &[Acceptance],
    ) -> Result<Vec<Promise>, StoreError> {
        acceptances.iter().map(|a| self.draft_acceptance(draft, a)).collect()
    }

    fn draft_acceptance(
        &self,
        draft: &mut Draft,
        acceptance: &Acceptance,
    ) -> Result<Promise, StoreError> {
        let Acceptance { blob, structure, filings, queue, journal } = acceptance;
        self.check_body(blob, structure)?;
        if filings.is_empty() && queue.is_empty() {
            // Nobody holds it: the body would be garbage, the journal still tells.
            journal.iter().for_each(|line| draft.line(line));
            return Ok(Promise { filed: Vec::new(), queued: Vec::new() });
        }
        draft.body(blob, structure);
        let filed = filings
            .iter()
            .map(|f| self.file_in(draft, f, blob, f.internal_date))
            .collect::<Result<_, _>>()?;
        let mut queued = Vec::with_capacity(queue.len());
        for item in queue {
            check_prefix(&item.prefix)?;
            queued.push(draft.queue(item, blob));
        }
        journal.iter().for_each(|line| draft.line(line));
        Ok(Promise { filed, queued })
    }

    fn check_body(&self, blob: &SpooledBlob, structure: &[u8]) -> Result<(), StoreError> {
        if !blob.belongs_to(&self.inner) {
            return Err(StoreError::UnknownBlob);
        }
        if structure.len() > STRUCTURE_BYTES_MAX {
            return Err(StoreError::TooMany("octets of structure"));
        }
        Ok(())
    }

    fn file_in(
        &self,
        draft: &mut Draft,
        filing: &Filing,
        blob: &SpooledBlob,
        saved_at: Timestamp,
    ) -> Result<FiledSteps, StoreError> {
        check_prefix(&filing.prefix)?;
        let quota = match self.inner.directory.read().by_id(filing.bal) {
            Some(bal) if bal.status == BalStatus::Active => bal.quota_bytes,
            Some(bal) if bal.status == BalStatus::Suspended => {
                return Err(StoreError::BalSuspended);
            }
            _ => return Err(StoreError::UnknownBal),
        };
        draft.quota(filing.bal, quota);
        let (digest, blob_size) = (blob.digest(), blob.size());
        let email_id = email_id(&digest.0, &filing.prefix);
        let arrival = Arrival {
            flags: filing.flags.clone().tidy()?,
            internal_date: filing.internal_date,
            saved_at,
            body: BodyRow {
                prefix: filing.prefix.clone(),
                digest,
                blob_size,
                email_id,
                listing: blob.listing().to_vec(),
            },
        };
        Ok(draft.arrive(filing.bal, filing.folder, &arrival))
    }
}

fn check_prefix(prefix: &[u8]) -> Result<(), StoreError> {
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(StoreError::TooMany("octets of trace header"));
    }
    Ok(())
}

/// RFC 8474 4: the same content has the same EMAILID, another content another one.
fn email_id(digest: &[u8; 32], prefix: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(digest);
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.update(prefix).finalize().as_bytes()[..16]);
    id
}

fn fulfil(
    acceptances: Vec<Acceptance>,
    promises: &[Promise],
    committed: &Committed,
) -> Vec<Accepted> {
    keep_all(acceptances);
    promises.iter().map(|p| p.told(&committed.steps)).collect()
}

/// The batch refers to every body that somebody holds.
pub(crate) fn keep_all(acceptances: Vec<Acceptance>) {
    for a in acceptances {
        if !(a.filings.is_empty() && a.queue.is_empty()) {
            a.blob.keep();
        }
    }
}

impl Flags {
    /// Keywords sorted, without doubles (compared without case) and within bounds.
    ///
    /// # Errors
    /// [`StoreError::TooMany`].
    pub fn tidy(mut self) -> Result<Flags, StoreError> {
        use crate::limits::{KEYWORD_BYTES_MAX, KEYWORDS_MAX};
        if self.keywords.iter().any(|k| k.is_empty() || k.len() > KEYWORD_BYTES_MAX) {
            return Err(StoreError::TooMany("octets of a keyword"));
        }
        self.keywords.sort_by(|a, b| fold(a).cmp(&fold(b)).then_with(|| a.cmp(b)));
        self.keywords.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        if self.keywords.len() > KEYWORDS_MAX {
            return Err(StoreError::TooMany("keywords on a message"));
        }
        Ok(self)
    }
}

fn fold(keyword: &str) -> String {
    keyword.to_ascii_lowercase()
}
