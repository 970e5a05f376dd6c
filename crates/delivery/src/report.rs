//! Delivery reports (DSN, RFC 3461–3464, RFC 6522) as messages of our own, filed or queued like any other.

use crate::accept::BodySpool;
use crate::{Delivery, DeliveryError};
use palombe_message::Facts;
use palombe_message::dsn::{self, DsnRecipient};
use palombe_store::{
    Acceptance, BlobDigest, Filing, Flags, INBOX, JournalLine, NewQueueItem, Notify, Outcome,
    QueueRecipient,
};
use palombe_vocabulary::{BalAddress, BalStatus, Domain, MailAddress, ReversePath, Timestamp};

/// The message that a report speaks of.
pub(crate) struct Original<'a> {
    pub sender: &'a ReversePath,
    pub envid: Option<&'a str>,
    /// Trace header and header of the message.
    pub header: &'a [u8],
    pub facts: &'a Facts,
    pub smtputf8: bool,
    pub arrived: Timestamp,
}

/// The whole original, streamed into the report (RET=FULL).
pub(crate) struct FullCopy {
    pub prefix: Vec<u8>,
    pub digest: BlobDigest,
    pub blob_size: u64,
}

/// Octets read from the store at once while a report copies the original.
const COPY_CHUNK_BYTES: usize = 256 * 1024;

impl Delivery {
    /// The report as an acceptance to join a batch; `None` when nobody can receive it: null sender (RFC 3461 6.2),
    /// or a sender that is neither hosted here nor in the trust space any more.
    pub(crate) fn report(
        &self,
        original: &Original<'_>,
        author_domain: &Domain,
        recipients: &[DsnRecipient],
        full: Option<&FullCopy>,
        now: Timestamp,
    ) -> Result<Option<Acceptance>, DeliveryError> {
        let Some(sender) = original.sender.address() else { return Ok(None) };
        let Some(target) = self.report_target(sender, now) else { return Ok(None) };
        let author = MailAddress::new(&self.settings.report_author, author_domain.clone())
            .map_err(|_| DeliveryError::SenderNotAllowed)?;
        let original_part =
            if full.is_some() { dsn::Original::Full } else { dsn::Original::Headers };
        let report = self.dsn_report(original, author.clone(), sender.clone(), recipients, now)?;
        let frame = dsn::frame(&report, original_part);
        let mut spool = self.spool_unlimited();
        spool.write(&frame.head)?;
        match full {
            Some(copy) => self.copy_original(copy, &mut spool)?,
            None => spool.write(original.header)?,
        }
        spool.write(&frame.tail)?;
        let body = spool.finish()?;
        let line = report_line(original, author_domain, recipients, now);
        let (filings, queue) = match target {
            Target::Bal(filing) => (vec![filing], Vec::new()),
            Target::Peer => (Vec::new(), vec![self.report_item(&author, sender, &body, now)]),
        };
        Ok(Some(Acceptance {
            structure: body.structure.encode(),
            blob: body.blob,
            filings,
            queue,
            journal: vec![line],
        }))
    }

    fn spool_unlimited(&self) -> BodySpool {
        let mut spool = self.spool();
        spool.lift_limit();
        spool
    }

    fn copy_original(&self, copy: &FullCopy, spool: &mut BodySpool) -> Result<(), DeliveryError> {
        spool.write(&copy.prefix)?;
        let mut offset = 0;
        while offset < copy.blob_size {
            let piece = self.store.read_blob(&copy.digest, offset, COPY_CHUNK_BYTES)?;
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            spool.write(&piece)?;
        }
        Ok(())
    }

    fn report_target(&self, sender: &MailAddress, now: Timestamp) -> Option<Target> {
        if !self.store.is_hosted(sender.domain()) {
            return self.trust.in_trust_space(sender.domain()).is_ok().then_some(Target::Peer);
        }
        let bal = self.store.bal_by_address(&BalAddress::from_mail(sender)).ok()??;
        (bal.status == BalStatus::Active).then(|| {
            Target::Bal(Filing {
                bal: bal.id,
                folder: INBOX,
                prefix: b"Return-Path: <>\r\n".to_vec(),
                flags: Flags::default(),
                internal_date: now,
            })
        })
    }

    fn report_item(
        &self,
        author: &MailAddress,
        sender: &MailAddress,
        body: &crate::ReceivedBody,
        now: Timestamp,
    ) -> NewQueueItem {
        NewQueueItem {
            destination: sender.domain().clone(),
            hosted: author.domain().clone(),
            sender: ReversePath::Null, // RFC 3461 6.1
            recipients: vec![QueueRecipient {
                address: sender.clone(),
                notify: Notify::NEVER,
                orcpt: None,
            }],
            prefix: Vec::new(),
            size: body.blob.size(),
            priority: 0,
            ret: None,
            envid: None,
            smtputf8: sender.needs_smtputf8(),
            eight_bit: body.structure.damage.body_eight_bit,
            message_id: body.structure.facts().message_id,
            origin_bal: None,
            created_at: now,
            next_due: now,
            expires_at: now.plus_secs(self.settings.expiry_secs),
        }
    }

    fn dsn_report(
        &self,
        original: &Original<'_>,
        from: MailAddress,
        to: MailAddress,
        recipients: &[DsnRecipient],
        at: Timestamp,
    ) -> Result<dsn::DsnReport, DeliveryError> {
        Ok(dsn::DsnReport {
            reporting_mta: self.settings.hostname.clone(),
            from,
            to,
            token: token()?,
            at,
            arrival: original.arrived,
            envelope_id: original.envid.map(str::to_owned),
            original_message_id: original.facts.message_id.clone(),
            original_subject: original.facts.subject.clone(),
            smtputf8: original.smtputf8,
            recipients: recipients.to_vec(),
        })
    }
}

/// 128 random bits: nobody can put the report's boundary into the message that it returns.
fn token() -> Result<String, DeliveryError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| DeliveryError::NoRandomness)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

enum Target {
    Bal(Filing),
    Peer,
}

fn report_line(
    original: &Original<'_>,
    author_domain: &Domain,
    recipients: &[DsnRecipient],
    now: Timestamp,
) -> JournalLine {
    let told: Vec<String> =
        recipients.iter().map(|r| format!("{} {:?} {}", r.address, r.action, r.status)).collect();
    JournalLine {
        at: now,
        event: "report.sent".to_owned(),
        outcome: Outcome::Info,
        session: None,
        queue: None,
        bal: None,
        message_id: original.facts.message_id.clone(),
        peer: None,
        peer_dn: None,
        domain: Some(author_domain.clone()),
        rule: None,
        detail: crate::journal::json(&told),
    }
}
