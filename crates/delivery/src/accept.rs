//! The one way in: from received bytes to one synced batch.

use crate::{Delivery, DeliveryError};
use palombe_access::OpenBal;
use palombe_message::dsn::{Action, DsnRecipient};
use palombe_message::{Facts, Mailbox, ReceivedTrace, Scanner, Structure};
use palombe_store::{
    Acceptance, Bal, Filing, Flags, INBOX, NewQueueItem, Notify, QueueRecipient, Ret, Spool,
    SpooledBlob,
};
use palombe_trust::AuthorizedSender;
use palombe_vocabulary::{
    BalAddress, BalId, BalStatus, Domain, MailAddress, QueueId, ReversePath, SessionId, Timestamp,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Which door a recipient is asked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Another operator: only hosted domains, never a relay (spec mssante §1.5).
    Interop,
    /// An authenticated person or software: hosted domains and the trust space.
    Submission,
}

/// Where a recipient is, once its address was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A BAL of this store.
    Local(BalId),
    /// A domain of the trust space, served by another operator.
    Remote(Domain),
}

/// Who hands the message over: the proof that it was checked.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Another operator whose certificate covers the sender's domain.
    Operator(AuthorizedSender),
    /// A person or software that opened this BAL.
    Submission(OpenBal),
}

/// The SMTP envelope, parsed.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// `MAIL FROM`
    pub from: ReversePath,
    /// `RCPT TO`, each already recognised by [`Delivery::recipient`].
    pub recipients: Vec<EnvelopeRecipient>,
    /// RFC 3461 4.3
    pub ret: Option<Ret>,
    /// RFC 3461 4.4, decoded from xtext.
    pub envid: Option<String>,
    /// RFC 6710, -9 to 9.
    pub priority: i8,
    /// The client asked for SMTPUTF8 (RFC 6531 3.4).
    pub smtputf8: bool,
    /// `BODY=8BITMIME` (RFC 6152).
    pub eight_bit: bool,
}

/// One `RCPT TO`.
#[derive(Clone, Debug)]
pub struct EnvelopeRecipient {
    /// As given.
    pub address: MailAddress,
    /// As recognised.
    pub recipient: Recipient,
    /// RFC 3461 4.1
    pub notify: Notify,
    /// RFC 3461 4.2, decoded: `rfc822;address`.
    pub orcpt: Option<String>,
}

/// What the trace header and the journal tell of the connection (RFC 5321 4.4).
#[derive(Clone, Debug)]
pub struct Trace {
    /// The name that the client gave in EHLO.
    pub helo: String,
    /// Its address.
    pub peer: IpAddr,
    /// `TLSv1.3 TLS13_AES_256_GCM_SHA384`
    pub tls: Option<String>,
    /// The connection.
    pub session: SessionId,
    /// Number of this transaction in the connection, from 1.
    pub transaction: u32,
    /// `ESMTPS` or `ESMTPSA`, `UTF8SMTPS…` (RFC 3848, RFC 6531).
    pub protocol: &'static str,
}

/// A message handed over at a door: who, for whom, what, over which connection, when.
pub struct Handover {
    /// Who hands it over, with the proof.
    pub origin: Origin,
    /// For whom.
    pub envelope: Envelope,
    /// What.
    pub body: ReceivedBody,
    /// Over which connection.
    pub trace: Trace,
    /// When.
    pub at: Timestamp,
}

/// A handover under examination: what was read of it so far.
pub(crate) struct Case<'a> {
    pub(crate) handover: &'a Handover,
    pub(crate) facts: &'a Facts,
    pub(crate) id: &'a str,
    pub(crate) received: &'a [u8],
}

/// The promise behind a `250`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Identifier told to the client and written in the trace header.
    pub id: String,
    /// Queue entries, one for each destination domain.
    pub queued: Vec<QueueId>,
    /// BAL that hold the message now.
    pub filed: usize,
}

/// A body being received: feeds the store and the MIME scanner at once, in bounded memory.
pub struct BodySpool {
    spool: Spool,
    scanner: Scanner,
    limit: u64,
}

/// A body received whole, not yet accepted (state S1).
pub struct ReceivedBody {
    pub(crate) blob: SpooledBlob,
    pub(crate) structure: Structure,
}

impl BodySpool {
    /// Takes the next octets. Blocks on the disk only when [`BodySpool::would_block`] said so.
    ///
    /// # Errors
    /// [`DeliveryError::TooLarge`], or the store's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DeliveryError> {
        if self.spool.size() + bytes.len() as u64 > self.limit {
            return Err(DeliveryError::TooLarge);
        }
        self.scanner.push(bytes);
        Ok(self.spool.write(bytes)?)
    }

    /// True when writing that many octets goes to the disk: call `write` from the pool then.
    pub fn would_block(&self, octets: usize) -> bool {
        self.spool.would_flush(octets)
    }

    /// Our own reports may hold a whole original that was as large as the limit.
    pub(crate) fn lift_limit(&mut self) {
        self.limit = u64::MAX;
    }

    /// Octets so far.
    pub fn size(&self) -> u64 {
        self.spool.size()
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The store's.
    pub fn finish(self) -> Result<ReceivedBody, DeliveryError> {
        let structure = self.scanner.finish();
        // Made once, here: a client that lists a folder reads no message.
        let blob = self.spool.finish()?.with_listing(structure.listing());
        Ok(ReceivedBody { blob, structure })
    }
}

impl ReceivedBody {
    /// The blob and its encoded structure, for a message that is filed without an envelope (IMAP APPEND).
    pub fn into_parts(self) -> (SpooledBlob, Vec<u8>) {
        let structure = self.structure.encode();
        (self.blob, structure)
    }

    /// What the scanner saw.
    pub fn facts(&self) -> Facts {
        self.structure.facts()
    }
}

/// A message ready for its batch, with what its promise will say.
pub(crate) struct Prepared {
    pub(crate) acceptances: Vec<Acceptance>,
    id: String,
}

impl Delivery {
    /// Begins to receive a body.
    pub fn spool(&self) -> BodySpool {
        BodySpool {
            spool: self.store.spool(),
            scanner: Scanner::new(self.settings.structure),
            limit: self.settings.message_bytes_max,
        }
    }

    /// Where this address leads. Memory only, does not block.
    ///
    /// # Errors
    /// [`DeliveryError`]: unknown, suspended, not hosted, outside the trust space.
    pub fn recipient(&self, door: Door, address: &MailAddress) -> Result<Recipient, DeliveryError> {
        if let Some(status) = self.store.domain_status(address.domain()) {
            if status != BalStatus::Active {
                return Err(DeliveryError::BalSuspended);
            }
            let bal = self.store.bal_by_address(&BalAddress::from_mail(address))?;
            return local(bal);
        }
        match door {
            // No relay (spec mssante §1.5, RFC 5321 3.6.1).
            Door::Interop => Err(DeliveryError::NotHosted),
            Door::Submission => match self.trust.in_trust_space(address.domain()) {
                Ok(_) => Ok(Recipient::Remote(address.domain().clone())),
                Err(refusal) => Err(DeliveryError::OutsideTrustSpace(Box::new(refusal))),
            },
        }
    }

    /// Accepts the message: when this returns `Ok`, it is durable for every recipient. Blocks for one synced batch.
    ///
    /// # Errors
    /// [`DeliveryError`]; nothing of the message is visible then.
    pub fn accept(&self, handover: Handover) -> Result<Accepted, DeliveryError> {
        let prepared = self.prepare(handover)?;
        let done = self.store.accept_all(prepared.acceptances)?;
        Ok(promise(prepared.id, &done))
    }

    /// Like [`Delivery::accept`], but returns at once and calls `done` from the committing thread: the door parks
    /// no thread while the disk syncs.
    pub fn accept_then(
        &self,
        handover: Handover,
        done: Box<dyn FnOnce(Result<Accepted, DeliveryError>) + Send>,
    ) {
        match self.prepare(handover) {
            Err(error) => done(Err(error)),
            Ok(Prepared { acceptances, id }) => self.store.accept_then(
                acceptances,
                Box::new(move |result| match result {
                    Ok(accepted) => done(Ok(promise(id, &accepted))),
                    Err(error) => done(Err(error.into())),
                }),
            ),
        }
    }

    fn prepare(&self, handover: Handover) -> Result<Prepared, DeliveryError> {
        let facts = handover.body.structure.facts();
        self.check_content(&facts)?;
        check_authors(&handover.origin, &facts)?;
        let trace = &handover.trace;
        let id = format!("{}-{}", trace.session, trace.transaction);
        let received = self.received(&handover, &id);
        let case = Case { handover: &handover, facts: &facts, id: &id, received: &received };
        let filings = filings(&handover.envelope, &received, handover.at);
        let queue = self.queue_items(&case)?;
        let journal = case.accepted_lines();
        let reports = self.delivered_reports(&case)?;
        let mut acceptances = vec![Acceptance {
            structure: handover.body.structure.encode(),
            blob: handover.body.blob,
            filings,
            queue,
            journal,
        }];
        acceptances.extend(reports);
        Ok(Prepared { acceptances, id })
    }

    /// What no message may hold, whoever sends it.
    fn check_content(&self, facts: &Facts) -> Result<(), DeliveryError> {
        let damage = &facts.damage;
        if damage.bare_cr || damage.bare_lf || damage.nul {
            return Err(DeliveryError::BadContent); // RFC 5321 2.3.8, RFC 5322 2.2
        }
        if damage.too_deep || damage.too_many_parts || damage.header_too_long {
            return Err(DeliveryError::TooComplex);
        }
        if facts.received_count > self.settings.received_max {
            return Err(DeliveryError::Loop); // RFC 5321 6.3
        }
        Ok(())
    }

    /// RFC 5321 4.4. No `for` clause with several recipients: nobody learns of the others.
    fn received(&self, handover: &Handover, id: &str) -> Vec<u8> {
        let Handover { envelope, trace, at, .. } = handover;
        let only = match envelope.recipients.as_slice() {
            [only] if only.address.to_string().is_ascii() => Some(&only.address),
            _ => None,
        };
        palombe_message::received(&ReceivedTrace {
            helo: &trace.helo,
            peer: Some(trace.peer),
            proved: None,
            by: &self.settings.hostname,
            protocol: trace.protocol,
            tls: trace.tls.as_deref(),
            id,
            recipient: only,
            at: *at,
        })
    }

    fn queue_items(&self, case: &Case<'_>) -> Result<Vec<NewQueueItem>, DeliveryError> {
        let Handover { origin, envelope, body, at, .. } = case.handover;
        let now = *at;
        let mut by_domain: BTreeMap<&Domain, Vec<QueueRecipient>> = BTreeMap::new();
        for r in &envelope.recipients {
            if let Recipient::Remote(domain) = &r.recipient {
                by_domain.entry(domain).or_default().push(QueueRecipient {
                    address: r.address.clone(),
                    notify: r.notify,
                    orcpt: r.orcpt.clone(),
                });
            }
        }
        if by_domain.len() > self.settings.destinations_max {
            return Err(DeliveryError::TooManyDestinations);
        }
        let (hosted, origin_bal) = match origin {
            Origin::Submission(bal) => (bal.domain().clone(), Some(bal.id())),
            // An operator's message is never relayed, so it queues nothing.
            Origin::Operator(_) => return Ok(Vec::new()),
        };
        let item = |(destination, recipients): (&Domain, Vec<QueueRecipient>)| NewQueueItem {
            destination: destination.clone(),
            hosted: hosted.clone(),
            sender: envelope.from.clone(),
            recipients,
            prefix: case.received.to_vec(),
            size: case.received.len() as u64 + body.blob.size(),
            priority: envelope.priority,
            ret: envelope.ret,
            envid: envelope.envid.clone(),
            smtputf8: envelope.smtputf8,
            eight_bit: envelope.eight_bit || case.facts.damage.body_eight_bit,
            message_id: case.facts.message_id.clone(),
            origin_bal,
            created_at: now,
            next_due: now,
            expires_at: now.plus_secs(self.settings.expiry_secs),
        };
        Ok(by_domain.into_iter().map(item).collect())
    }

    /// RFC 3461 5.2.3: a success report for each local recipient that asked for one.
    fn delivered_reports(&self, case: &Case<'_>) -> Result<Vec<Acceptance>, DeliveryError> {
        let Handover { envelope, body, at, .. } = case.handover;
        let now = *at;
        let asked = |r: &&EnvelopeRecipient| {
            r.notify.success() && matches!(r.recipient, Recipient::Local(_))
        };
        let delivered: Vec<DsnRecipient> = envelope
            .recipients
            .iter()
            .filter(asked)
            .map(|r| DsnRecipient {
                original: r.orcpt.clone(),
                address: r.address.clone(),
                action: Action::Delivered,
                status: "2.1.5".to_owned(),
                remote_mta: None,
                diagnostic: None,
                last_attempt: None,
                will_retry_until: None,
            })
            .collect();
        let Some(first) = delivered.first() else { return Ok(Vec::new()) };
        let author_domain = first.address.domain().clone();
        let origin = crate::report::Original {
            sender: &envelope.from,
            envid: envelope.envid.as_deref(),
            header: &body.structure.header,
            facts: case.facts,
            smtputf8: envelope.smtputf8,
            arrived: now,
        };
        Ok(self.report(&origin, &author_domain, &delivered, None, now)?.into_iter().collect())
    }
}

/// The header From must be one that the origin may speak for (spec mssante §1.5).
fn check_authors(origin: &Origin, facts: &Facts) -> Result<(), DeliveryError> {
    // RFC 5322 3.6: exactly one From field, holding at least one address.
    if facts.from_fields != 1 || facts.from.is_empty() {
        return Err(DeliveryError::BadFromField);
    }
    for author in &facts.from {
        // An author that the trust space cannot even name is nobody's to speak for.
        let address = author.address.as_ref().ok_or(DeliveryError::BadFromField)?;
        match origin {
            Origin::Operator(sender) => sender
                .permits(address.domain())
                .map_err(|r| DeliveryError::HeaderFromNotCovered(Box::new(r)))?,
            // RFC 5322 3.6.2: whoever sends for another is named in Sender.
            Origin::Submission(bal) => {
                let on_behalf = bal.may_send_on_behalf(address) && names_sender(bal, facts);
                if !bal.may_send_as(address) && !on_behalf {
                    return Err(DeliveryError::AuthorNotAllowed);
                }
            }
        }
    }
    if let Origin::Submission(bal) = origin {
        let own = |m: &Mailbox| m.address.as_ref().is_some_and(|a| bal.may_send_as(a));
        if !facts.sender.iter().all(own) {
            return Err(DeliveryError::AuthorNotAllowed);
        }
    }
    Ok(())
}

fn names_sender(bal: &OpenBal, facts: &Facts) -> bool {
    let own = |m: &Mailbox| m.address.as_ref().is_some_and(|a| bal.is_own(a));
    !facts.sender.is_empty() && facts.sender.iter().all(own)
}

fn local(bal: Option<Bal>) -> Result<Recipient, DeliveryError> {
    match bal {
        Some(bal) if bal.status == BalStatus::Active => Ok(Recipient::Local(bal.id)),
        Some(bal) if bal.status == BalStatus::Suspended => Err(DeliveryError::BalSuspended),
        _ => Err(DeliveryError::UnknownRecipient),
    }
}

/// One filing for each BAL, even if it was named twice.
fn filings(envelope: &Envelope, received: &[u8], now: Timestamp) -> Vec<Filing> {
    let mut bals: Vec<BalId> = envelope
        .recipients
        .iter()
        .filter_map(|r| match r.recipient {
            Recipient::Local(bal) => Some(bal),
            Recipient::Remote(_) => None,
        })
        .collect();
    bals.sort_unstable();
    bals.dedup();
    // RFC 5321 4.4: the final delivery adds the Return-Path, before everything else.
    let mut prefix = palombe_message::return_path(&envelope.from);
    prefix.extend_from_slice(received);
    bals.into_iter()
        .map(|bal| Filing {
            bal,
            folder: INBOX,
            prefix: prefix.clone(),
            flags: Flags::default(),
            internal_date: now,
        })
        .collect()
}

fn promise(id: String, done: &[palombe_store::Accepted]) -> Accepted {
    let own = done.first();
    Accepted {
        id,
        queued: own.map(|a| a.queued.clone()).unwrap_or_default(),
        filed: own.map_or(0, |a| a.filed.len()),
    }
}
