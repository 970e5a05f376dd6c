//! The outgoing side: what waits, what an attempt changed, and who is told.

use crate::report::{FullCopy, Original};
use crate::{Delivery, DeliveryError};
use palombe_message::Structure;
use palombe_message::dsn::{Action, DsnRecipient};
use palombe_store::{
    Acceptance, DueEntry, JournalLine, Outcome, QueueChange, QueueItem, QueueRecipient, Ret,
    Settlement, StoreError,
};
use palombe_trust::Evidence;
use palombe_vocabulary::{MailAddress, QueueId, ReversePath, Timestamp};
use serde::Serialize;

/// Longest remote reply kept, octets.
pub const REMOTE_REPLY_BYTES_MAX: usize = 1000;

/// One claimed queue entry: nobody else may send it until the lease ends.
#[derive(Clone, Debug)]
pub struct Outgoing {
    item: QueueItem,
}

impl Outgoing {
    /// Its number.
    pub fn id(&self) -> QueueId {
        self.item.id
    }

    /// Everything that the sender needs of it.
    pub fn item(&self) -> &QueueItem {
        &self.item
    }

    /// Octets on the wire: trace header and message.
    pub fn size(&self) -> u64 {
        self.item.item.prefix.len() as u64 + self.item.blob_size
    }
}

/// What the peer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteReply {
    /// 250, 451, 550…; 0 when there was no reply (connection, TLS, DNS, trust).
    pub code: u16,
    /// `5.1.1`; from the reply, or the house's own for a failure without a reply.
    pub enhanced: Option<String>,
    /// The text, or the house's words.
    pub text: String,
}

/// What happened to one recipient of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientResult {
    /// The peer has taken it.
    Delivered {
        /// Its answer at the end of data.
        reply: RemoteReply,
        /// The peer offered DSN and will report itself (RFC 3461 5.2.2).
        dsn_supported: bool,
    },
    /// Refused for good.
    Failed(RemoteReply),
    /// Not now.
    Deferred(RemoteReply),
}

/// One attempt at one queue entry.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// In the order of the entry's recipients.
    pub results: Vec<RecipientResult>,
    /// Host name of the peer, where one was reached.
    pub remote_mta: Option<String>,
    /// List snapshot and certificate that let the peer in, or kept it out.
    pub evidence: Option<Evidence>,
    /// The trust rule that refused the peer, if one did.
    pub rule: Option<String>,
}

#[derive(Serialize)]
struct AttemptDetail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Evidence>,
    remote_mta: Option<&'a str>,
    attempts: u32,
    recipients: Vec<String>,
    size: u64,
}

/// What an attempt leaves: recipients still waiting, and recipients to report.
#[derive(Default)]
struct Sorted {
    waiting: Vec<QueueRecipient>,
    reported: Vec<DsnRecipient>,
    last_reply: Option<String>,
    delivered: usize,
    failed: usize,
}

impl Delivery {
    /// Entries that are due, urgent first, without claiming them.
    ///
    /// # Errors
    /// The store's.
    pub fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<DueEntry>, DeliveryError> {
        Ok(self.store.queue_due(now, limit)?)
    }

    /// Entries that are due and that `wanted` takes, urgent first: the sender looks past a long line of one hosted
    /// domain, or to one slow destination.
    ///
    /// # Errors
    /// The store's.
    pub fn due_where(
        &self,
        now: Timestamp,
        limit: usize,
        wanted: &dyn Fn(&DueEntry) -> bool,
    ) -> Result<Vec<DueEntry>, DeliveryError> {
        Ok(self.store.queue_due_where(now, limit, wanted)?)
    }

    /// When the next entry is due, if any waits.
    ///
    /// # Errors
    /// The store's.
    pub fn next_due(&self) -> Result<Option<Timestamp>, DeliveryError> {
        Ok(self.store.queue_next_due()?)
    }

    /// Claims entries until `lease_until`. An entry that another worker holds, or that is gone, is left out.
    ///
    /// # Errors
    /// The store's.
    pub fn claim(
        &self,
        ids: &[QueueId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Outgoing>, DeliveryError> {
        let items = self.store.queue_claim(ids, now, lease_until)?;
        Ok(items.into_iter().map(|item| Outgoing { item }).collect())
    }

    /// Octets of the message as it goes on the wire, trace header first. Empty past the end.
    ///
    /// # Errors
    /// The store's.
    pub fn read(&self, out: &Outgoing, offset: u64, len: usize) -> Result<Vec<u8>, DeliveryError> {
        let prefix = &out.item.item.prefix;
        let start = offset.min(prefix.len() as u64) as usize;
        let mut bytes = prefix[start..].iter().take(len).copied().collect::<Vec<u8>>();
        if bytes.len() < len {
            let blob_offset = (offset + bytes.len() as u64).saturating_sub(prefix.len() as u64);
            let wanted = len - bytes.len();
            bytes.extend(self.store.read_blob(&out.item.digest, blob_offset, wanted)?);
        }
        Ok(bytes)
    }

    /// Gives an entry back untouched: shutdown, or no connection slot after all.
    ///
    /// # Errors
    /// The store's.
    pub fn release(&self, out: &Outgoing) -> Result<(), DeliveryError> {
        Ok(self.store.queue_release(out.item.id, out.fence())?)
    }

    /// Settles an attempt: in one batch the entry changes or goes, reports are filed or queued, and the journal
    /// tells why. An attempt whose lease was lost changes nothing.
    ///
    /// # Errors
    /// The store's; the entry then waits for its lease to end and is tried again.
    pub fn outcome(
        &self,
        out: &Outgoing,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let attempts = out.item.attempts.saturating_add(1);
        let next_due = self.settings.retry.next(attempts, out.item.id.0, now);
        let expired = next_due > out.item.item.expires_at;
        let mut sorted = self.sort(out, attempt, expired, next_due, now);
        let warn = !sorted.waiting.is_empty() && self.warning_due(out, now);
        if warn {
            self.add_warnings(out, attempt, &mut sorted, now);
        }
        let reports = self.attempt_reports(out, &sorted.reported, now)?;
        let journal = self.attempt_line(out, attempt, &sorted, attempts, now);
        let change = if sorted.waiting.is_empty() {
            QueueChange::Done
        } else {
            QueueChange::Keep {
                recipients: sorted.waiting,
                next_due,
                attempts,
                last_attempt_at: now,
                last_reply: sorted.last_reply,
                delay_warned: out.item.delay_warned || warn,
            }
        };
        let settlement = Settlement {
            id: out.item.id,
            fence: out.fence(),
            change,
            reports,
            journal: vec![journal],
        };
        match self.store.queue_settle(settlement) {
            // The lease was lost: another attempt owns the entry now and will settle it.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sort(
        &self,
        out: &Outgoing,
        attempt: &Attempt,
        expired: bool,
        next_due: Timestamp,
        now: Timestamp,
    ) -> Sorted {
        let mut sorted = Sorted::default();
        let mta = attempt.remote_mta.as_deref();
        for (recipient, result) in out.item.item.recipients.iter().zip(&attempt.results) {
            match result {
                RecipientResult::Delivered { reply, dsn_supported } => {
                    sorted.delivered += 1;
                    // RFC 3461 5.2.2: the peer reports when it can; else we say "relayed".
                    if recipient.notify.success() && !dsn_supported {
                        let r = reported(recipient, Action::Relayed, "2.0.0", reply, mta, now);
                        sorted.reported.push(r);
                    }
                }
                RecipientResult::Failed(reply) => {
                    sorted.failed += 1;
                    if recipient.notify.failure() {
                        let status = reply.enhanced.as_deref().unwrap_or("5.0.0");
                        let r = reported(recipient, Action::Failed, status, reply, mta, now);
                        sorted.reported.push(r);
                    }
                }
                RecipientResult::Deferred(reply) if expired => {
                    sorted.failed += 1;
                    if recipient.notify.failure() {
                        // RFC 3463 3.5: X.4.7, delivery time expired.
                        let r = reported(recipient, Action::Failed, "4.4.7", reply, mta, now);
                        sorted.reported.push(r);
                    }
                }
                RecipientResult::Deferred(reply) => {
                    sorted.last_reply = Some(wire(reply));
                    sorted.waiting.push(recipient.clone());
                }
            }
        }
        // A result is missing only if the sender broke its contract: the recipient waits, it is not lost.
        let told = attempt.results.len().min(out.item.item.recipients.len());
        sorted.waiting.extend_from_slice(&out.item.item.recipients[told..]);
        tracing::debug!(queue = %out.item.id, %now, %next_due, "attempt settled");
        sorted
    }

    fn warning_due(&self, out: &Outgoing, now: Timestamp) -> bool {
        let waited = now.millis_since(out.item.item.created_at);
        !out.item.delay_warned && waited >= self.settings.delay_warning_secs * 1000
    }

    fn add_warnings(&self, out: &Outgoing, attempt: &Attempt, sorted: &mut Sorted, now: Timestamp) {
        let mta = attempt.remote_mta.as_deref();
        let pairs = out.item.item.recipients.iter().zip(&attempt.results);
        for (recipient, result) in pairs {
            if let RecipientResult::Deferred(reply) = result
                && recipient.notify.delay()
            {
                let status = reply.enhanced.as_deref().unwrap_or("4.4.1");
                let mut r = reported(recipient, Action::Delayed, status, reply, mta, now);
                r.will_retry_until = Some(out.item.item.expires_at);
                sorted.reported.push(r);
            }
        }
    }

    fn attempt_reports(
        &self,
        out: &Outgoing,
        reported: &[DsnRecipient],
        now: Timestamp,
    ) -> Result<Vec<Acceptance>, DeliveryError> {
        if reported.is_empty() || out.item.item.sender == ReversePath::Null {
            return Ok(Vec::new()); // RFC 3461 6.2: no report about a report
        }
        let item = &out.item.item;
        let structure = Structure::decode(&self.store.structure(&out.item.digest)?);
        let (own, facts) = structure.map(|s| (s.header.clone(), s.facts())).unwrap_or_default();
        let header = [item.prefix.as_slice(), own.as_slice()].concat();
        let original = Original {
            sender: &item.sender,
            envid: item.envid.as_deref(),
            header: &header,
            facts: &facts,
            smtputf8: item.smtputf8,
            arrived: item.created_at,
        };
        let failed = reported.iter().any(|r| r.action == Action::Failed);
        // RFC 3461 6.2: the whole message only in a failure report.
        let whole = failed
            && match item.ret {
                Some(Ret::Full) => true,
                Some(Ret::Hdrs) => false,
                None => out.size() <= self.settings.report_full_bytes_max,
            };
        let copy = whole.then(|| FullCopy {
            prefix: item.prefix.clone(),
            digest: out.item.digest,
            blob_size: out.item.blob_size,
        });
        let report = self.report(&original, &item.hosted, reported, copy.as_ref(), now)?;
        Ok(report.into_iter().collect())
    }

    fn attempt_line(
        &self,
        out: &Outgoing,
        attempt: &Attempt,
        sorted: &Sorted,
        attempts: u32,
        now: Timestamp,
    ) -> JournalLine {
        let (event, outcome) = if !sorted.waiting.is_empty() {
            ("relay.deferred", Outcome::Deferred)
        } else if sorted.failed > 0 {
            ("relay.failed", Outcome::Refused)
        } else {
            ("relay.delivered", Outcome::Accepted)
        };
        let pairs = out.item.item.recipients.iter().zip(&attempt.results);
        let detail = AttemptDetail {
            evidence: attempt.evidence.as_ref(),
            remote_mta: attempt.remote_mta.as_deref(),
            attempts,
            recipients: pairs.map(|(r, result)| told(&r.address, result)).collect(),
            size: out.size(),
        };
        JournalLine {
            at: now,
            event: event.to_owned(),
            outcome,
            session: None,
            queue: Some(out.item.id),
            bal: out.item.item.origin_bal,
            message_id: out.item.item.message_id.clone(),
            peer: None,
            peer_dn: attempt.evidence.as_ref().and_then(|e| e.dn.clone()),
            domain: Some(out.item.item.destination.clone()),
            rule: attempt.rule.clone(),
            detail: crate::journal::json(&detail),
        }
    }
}

impl Outgoing {
    fn fence(&self) -> u64 {
        self.item.lease.as_ref().map_or(0, |lease| lease.fence)
    }
}

fn reported(
    recipient: &QueueRecipient,
    action: Action,
    status: &str,
    reply: &RemoteReply,
    mta: Option<&str>,
    now: Timestamp,
) -> DsnRecipient {
    DsnRecipient {
        original: recipient.orcpt.clone(),
        address: recipient.address.clone(),
        action,
        status: status.to_owned(),
        remote_mta: mta.map(str::to_owned),
        diagnostic: Some(wire(reply)),
        last_attempt: Some(now),
        will_retry_until: None,
    }
}

/// The reply on one line: `550 5.1.1 no such BAL`, or the house's words alone.
fn wire(reply: &RemoteReply) -> String {
    let mut text = String::new();
    if reply.code != 0 {
        text.push_str(&format!("{} ", reply.code));
    }
    if let Some(enhanced) = &reply.enhanced {
        text.push_str(&format!("{enhanced} "));
    }
    text.push_str(&reply.text);
    crate::journal::bounded(&text, REMOTE_REPLY_BYTES_MAX).to_owned()
}

fn told(address: &MailAddress, result: &RecipientResult) -> String {
    match result {
        RecipientResult::Delivered { reply, .. } => format!("{address} delivered: {}", wire(reply)),
        RecipientResult::Failed(reply) => format!("{address} failed: {}", wire(reply)),
        RecipientResult::Deferred(reply) => format!("{address} deferred: {}", wire(reply)),
    }
}
