//! What the door knows of one peer, and what it asks the house on its behalf. Every method gives the reply.

use crate::budget::Reservation;
use crate::limits::{
    ACCEPT_TIME_MAX, POOL_WAITING_AT_MAIL_MAX, RESERVATION_STEP_BYTES, SMALL_BODY_BYTES_MAX,
    VERDICT_TIME_MAX,
};
use crate::{Shared, reply};
use palombe_access::{AccessError, OpenBal};
use palombe_delivery::{
    Accepted, BodySpool, DeliveryError, Door, Envelope, EnvelopeRecipient, Handover, Notify,
    Origin, RefusalRecord, Ret, Trace,
};
use palombe_driver::{PoolBusy, now};
use palombe_smtp_proto as proto;
use palombe_smtp_proto::server::{Fault, PlainCredentials, Service};
use palombe_smtp_proto::{ForwardPath, MailFrom, RcptTo, Reply};
use palombe_trust::{PeerRole, Refusal, TrustedPeer};
use palombe_vocabulary::{Domain, SessionId};
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// One peer.
pub(crate) struct Visit {
    shared: Arc<Shared>,
    peer: IpAddr,
    session: SessionId,
    tls: Option<String>,
    /// What the peer showed, for the next verdict.
    chain: Vec<CertificateDer<'static>>,
    /// The last verdict on it, and when it was given.
    trusted: Option<(TrustedPeer, Instant)>,
    open: Option<OpenBal>,
    auth_failures: u32,
    transactions: u32,
    transaction: Option<Transaction>,
}

struct Transaction {
    mail: MailFrom,
    origin: Origin,
    recipients: Vec<EnvelopeRecipient>,
    body: Option<Body>,
}

/// A body on its way in.
struct Body {
    spool: BodySpool,
    reservation: Reservation,
    since: Instant,
}

/// Why a body was not accepted.
enum Unaccepted {
    House(DeliveryError),
    Busy,
}

impl From<DeliveryError> for Unaccepted {
    fn from(error: DeliveryError) -> Self {
        Unaccepted::House(error)
    }
}

impl From<PoolBusy> for Unaccepted {
    fn from(_: PoolBusy) -> Self {
        Unaccepted::Busy
    }
}

impl Visit {
    pub(crate) fn new(shared: Arc<Shared>, peer: IpAddr, session: SessionId) -> Visit {
        Visit {
            shared,
            peer,
            session,
            tls: None,
            chain: Vec::new(),
            trusted: None,
            open: None,
            auth_failures: 0,
            transactions: 0,
            transaction: None,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn service(&self) -> Service {
        self.shared.settings.service
    }

    fn door(&self) -> Door {
        match self.service() {
            Service::Interop => Door::Interop,
            Service::Submission => Door::Submission,
        }
    }

    /// How long the peer may be silent now; `None` when its body has taken too long in all.
    pub(crate) fn time_left(&self, in_body: bool) -> Option<Duration> {
        let settings = &self.shared.settings;
        if !in_body {
            return Some(settings.command_time);
        }
        let body = self.transaction.as_ref().and_then(|t| t.body.as_ref());
        let spent = body.map_or(Duration::ZERO, |b| b.since.elapsed());
        let left = settings.body_time.checked_sub(spent)?;
        Some(left.min(settings.data_time))
    }

    // TLS

    /// The verdict on the peer; a reply for everything that it will say, when it is refused.
    pub(crate) async fn tls_established(
        &mut self,
        chain: Vec<CertificateDer<'static>>,
        summary: Option<String>,
    ) -> Option<Reply> {
        self.tls = summary;
        if self.service() == Service::Submission {
            return None;
        }
        self.chain = chain;
        self.judge().await.err()
    }

    async fn judge(&mut self) -> Result<(), Reply> {
        match self.shared.house.trust.judge_peer(&self.chain, PeerRole::Client, now()) {
            Ok(peer) => {
                self.trusted = Some((peer, Instant::now()));
                Ok(())
            }
            Err(refused) => {
                self.trusted = None;
                self.journal_refusal(&refused, None, Vec::new()).await;
                Err(reply::refusal(&refused))
            }
        }
    }

    pub(crate) async fn tls_failed(&self, error: &str) {
        tracing::info!(session = %self.session, peer = %self.peer, error, "TLS handshake failed");
        let record = self.record("smtp.tls-handshake", false, error.to_owned());
        self.journal(record).await;
    }

    // AUTH

    pub(crate) async fn auth(&mut self, credentials: PlainCredentials) -> Reply {
        let at = now();
        if self.shared.failures.too_many(self.peer, at) {
            self.shared.metrics.refused("auth.too-many-failures");
            return reply::AUTH_LATER;
        }
        let PlainCredentials { authorization, authentication, password } = credentials;
        // Acting for somebody else is delegation, which is not there yet (RFC 4616 2).
        let oneself = authorization.is_empty() || authorization == authentication;
        let access = self.shared.house.access.clone();
        let login = authentication.clone();
        let asked =
            self.shared.house.pool.run(move || access.authenticate_password(&login, &password, at));
        match asked.await {
            Ok(Ok(open)) if oneself => {
                self.shared.metrics.auth(true);
                self.open = Some(open);
                reply::AUTH_OK
            }
            Ok(Ok(_) | Err(AccessError::Refused)) => {
                self.auth_refused(authentication).await;
                reply::AUTH_REFUSED
            }
            Ok(Err(AccessError::Unavailable(error))) => {
                tracing::error!(session = %self.session, %error, "authentication cannot be checked");
                reply::AUTH_LATER
            }
            Err(_) => reply::AUTH_LATER,
        }
    }

    async fn auth_refused(&mut self, login: String) {
        self.shared.metrics.auth(false);
        self.auth_failures += 1;
        self.shared.failures.note(self.peer, now());
        let mut record = self.record("auth.refused", false, "authentication refused".to_owned());
        // Only what reads as an address: people type passwords into the wrong field.
        let login = login.parse::<palombe_vocabulary::MailAddress>();
        record.addresses = login.map(|l| l.to_string()).into_iter().collect();
        self.journal(record).await;
        tokio::time::sleep(self.shared.settings.auth_failure_pause).await;
    }

    pub(crate) fn auth_failed_too_often(&self) -> bool {
        self.auth_failures >= self.shared.settings.auth_failures_max
    }

    // The envelope

    pub(crate) async fn mail(&mut self, mail: MailFrom) -> Reply {
        self.transaction = None;
        if let Some(reply) = self.pressure() {
            return reply;
        }
        let origin = match self.service() {
            Service::Interop => self.operator(&mail).await,
            Service::Submission => self.submitter(&mail).await,
        };
        match origin {
            Ok(origin) => {
                let recipients = Vec::with_capacity(1);
                self.transaction = Some(Transaction { mail, origin, recipients, body: None });
                reply::SENDER_OK
            }
            Err(reply) => reply,
        }
    }

    /// Whether one more message finds room and time now: said before the peer sends it.
    fn pressure(&self) -> Option<Reply> {
        let shared = &self.shared;
        if !shared.rate.allows(self.peer) {
            shared.metrics.refused("smtp.too-fast");
            return Some(reply::TOO_FAST);
        }
        if shared.house.pool.waiting() >= POOL_WAITING_AT_MAIL_MAX {
            shared.metrics.refused("smtp.busy");
            return Some(reply::BUSY);
        }
        if shared.budget.is_spent(RESERVATION_STEP_BYTES) {
            shared.metrics.refused("smtp.no-room");
            return Some(reply::NO_ROOM);
        }
        None
    }

    async fn operator(&mut self, mail: &MailFrom) -> Result<Origin, Reply> {
        // A connection may be kept for days: a certificate that was revoked or has expired meanwhile is noticed.
        let fresh = |at: &Instant| at.elapsed() < VERDICT_TIME_MAX;
        if !self.trusted.as_ref().is_some_and(|(_, at)| fresh(at)) {
            self.judge().await?;
        }
        let Some((peer, _)) = &self.trusted else { return Err(reply::DEFECT) };
        match self.shared.house.trust.authorize_sender(peer, &mail.path) {
            Ok(sender) => Ok(Origin::Operator(sender)),
            Err(refused) => {
                let domain = mail.path.address().map(|a| a.domain().clone());
                self.journal_refusal(&refused, domain, vec![mail.path.to_string()]).await;
                Err(reply::refusal(&refused))
            }
        }
    }

    async fn submitter(&self, mail: &MailFrom) -> Result<Origin, Reply> {
        let Some(open) = &self.open else { return Err(reply::DEFECT) };
        // The null path is for MDN (RFC 8098 3); the header From is checked with the message.
        match mail.path.address() {
            Some(address) if !open.may_send_on_behalf(address) => {
                let error = DeliveryError::SenderNotAllowed;
                let domain = Some(address.domain().clone());
                self.journal_error(&error, domain, vec![address.to_string()], None).await;
                Err(reply::delivery(&error, self.service()))
            }
            _ => Ok(Origin::Submission(open.clone())),
        }
    }

    pub(crate) async fn rcpt(&mut self, rcpt: RcptTo) -> Reply {
        let address = match rcpt.path {
            ForwardPath::Address(address) => address,
            ForwardPath::Postmaster => match &self.shared.settings.postmaster {
                Some(address) => address.clone(),
                None => return reply::NO_POSTMASTER,
            },
        };
        // Memory only: no thread is needed.
        match self.shared.house.delivery.recipient(self.door(), &address) {
            Ok(recipient) => {
                let Some(transaction) = &mut self.transaction else { return reply::DEFECT };
                transaction.recipients.push(EnvelopeRecipient {
                    address,
                    recipient,
                    notify: notify(rcpt.notify),
                    orcpt: rcpt.orcpt,
                });
                reply::RECIPIENT_OK
            }
            Err(error) => {
                let from = self.transaction.as_ref().map(|t| t.mail.path.to_string());
                let addresses = from.into_iter().chain([address.to_string()]).collect();
                let domain = Some(address.domain().clone());
                self.journal_error(&error, domain, addresses, None).await;
                reply::delivery(&error, self.service())
            }
        }
    }

    // The body

    pub(crate) fn begin_body(&mut self) -> Result<(), Reply> {
        let Some(transaction) = &mut self.transaction else { return Err(reply::DEFECT) };
        let declared = transaction.mail.size.unwrap_or(RESERVATION_STEP_BYTES);
        let Some(reservation) = self.shared.budget.reserve(declared) else {
            self.shared.metrics.refused("smtp.no-room");
            self.transaction = None;
            return Err(reply::NO_ROOM);
        };
        let spool = self.shared.house.delivery.spool();
        transaction.body = Some(Body { spool, reservation, since: Instant::now() });
        Ok(())
    }

    /// Takes a piece of the body. After an error the session reads the rest and throws it away.
    pub(crate) async fn body(&mut self, piece: &[u8]) -> Result<(), Reply> {
        // Nothing to write to once a piece was refused.
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        let Some(body) = transaction.body.take() else { return Ok(()) };
        match self.write(body, piece).await {
            Ok(body) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.body = Some(body);
                }
                Ok(())
            }
            Err(reply) => {
                self.transaction = None;
                Err(reply)
            }
        }
    }

    async fn write(&self, mut body: Body, piece: &[u8]) -> Result<Body, Reply> {
        let size = body.spool.size() + piece.len() as u64;
        if !body.reservation.cover(size, RESERVATION_STEP_BYTES) {
            self.shared.metrics.refused("smtp.no-room");
            return Err(reply::NO_ROOM);
        }
        let written = if body.spool.would_block(piece.len()) {
            let octets = piece.to_vec();
            let job = move || {
                let written = body.spool.write(&octets);
                (body, written)
            };
            match self.shared.house.pool.run(job).await {
                Ok((back, written)) => written.map(|()| back),
                Err(_) => {
                    self.shared.metrics.refused("smtp.busy");
                    return Err(reply::BUSY);
                }
            }
        } else {
            body.spool.write(piece).map(|()| body)
        };
        match written {
            Ok(body) => Ok(body),
            Err(error) => {
                self.journal_error(&error, None, self.addresses(), None).await;
                Err(reply::delivery(&error, self.service()))
            }
        }
    }

    /// The message is whole: asks the house for its promise.
    pub(crate) async fn end_body(&mut self, hello: &str) -> Reply {
        let Some(Transaction { mail, origin, recipients, body: Some(body) }) =
            self.transaction.take()
        else {
            return reply::DEFECT;
        };
        self.transactions += 1;
        let trace = Trace {
            helo: hello.to_owned(),
            peer: self.peer,
            tls: self.tls.clone(),
            session: self.session,
            transaction: self.transactions,
            protocol: protocol(self.service(), mail.smtputf8),
        };
        let envelope = Envelope {
            from: mail.path,
            recipients,
            ret: mail.ret.map(ret),
            envid: mail.envid,
            priority: mail.priority.unwrap_or(0),
            smtputf8: mail.smtputf8,
            eight_bit: mail.eight_bit,
        };
        let counts = (envelope.recipients.len() as u64, body.spool.size());
        // Kept for the journal only: refusals after DATA are rare.
        let told: Vec<String> = std::iter::once(envelope.from.to_string())
            .chain(envelope.recipients.iter().map(|r| r.address.to_string()))
            .collect();
        let domain = envelope.from.address().map(|a| a.domain().clone());
        let (outcome, message_id) = self.accept(origin, envelope, body, trace).await;
        match outcome {
            Ok(accepted) => {
                self.shared.metrics.accepted(counts.0, counts.1);
                reply::accepted(&accepted.id)
            }
            Err(Unaccepted::House(error)) => {
                self.journal_error(&error, domain, told, message_id).await;
                reply::delivery(&error, self.service())
            }
            Err(Unaccepted::Busy) => {
                self.shared.metrics.refused("smtp.busy");
                reply::BUSY
            }
        }
    }

    async fn accept(
        &self,
        origin: Origin,
        envelope: Envelope,
        body: Body,
        trace: Trace,
    ) -> (Result<Accepted, Unaccepted>, Option<String>) {
        let delivery = self.shared.house.delivery.clone();
        let Body { spool, reservation, .. } = body;
        if spool.size() > SMALL_BODY_BYTES_MAX {
            // Its end goes to the disk, and its structure takes a while to encode: a thread of the pool does both.
            let job = move || {
                let _held = reservation;
                let body = match spool.finish() {
                    Ok(body) => body,
                    Err(error) => return (Err(error), None),
                };
                let id = body.facts().message_id;
                (delivery.accept(Handover { origin, envelope, body, trace, at: now() }), id)
            };
            return match self.shared.house.pool.run(job).await {
                Ok((outcome, id)) => (outcome.map_err(Unaccepted::from), id),
                Err(busy) => (Err(busy.into()), None),
            };
        }
        let body = match spool.finish() {
            Ok(body) => body,
            Err(error) => return (Err(error.into()), None),
        };
        let id = body.facts().message_id;
        let (sender, receiver) = oneshot::channel();
        let done = Box::new(move |outcome| {
            // Nobody waits when the connection was cut: the peer will send the message again.
            let _ = sender.send(outcome);
        });
        delivery.accept_then(Handover { origin, envelope, body, trace, at: now() }, done);
        let outcome = match tokio::time::timeout(ACCEPT_TIME_MAX, receiver).await {
            Ok(Ok(outcome)) => outcome.map_err(Unaccepted::from),
            // No answer is no promise.
            Ok(Err(_)) | Err(_) => Err(Unaccepted::Busy),
        };
        drop(reservation);
        (outcome, id)
    }

    pub(crate) fn reset(&mut self) {
        self.transaction = None;
    }

    // Faults and the journal

    /// A refusal of the protocol itself. `of_body`: what was received of the message is forgotten.
    pub(crate) async fn fault(&mut self, fault: Fault, of_body: bool) {
        let code = fault.code();
        self.shared.metrics.refused(code);
        let addresses = self.addresses();
        if of_body {
            self.transaction = None;
        }
        // Typing errors are counted and not kept.
        if matches!(code, "smtp.syntax" | "smtp.sequence") {
            return;
        }
        let mut record = self.record(code, fault.reply().is_transient(), fault.reply().to_string());
        record.addresses = addresses;
        self.journal(record).await;
    }

    fn addresses(&self) -> Vec<String> {
        let Some(transaction) = &self.transaction else { return Vec::new() };
        let to = transaction.recipients.iter().map(|r| r.address.to_string());
        std::iter::once(transaction.mail.path.to_string()).chain(to).collect()
    }

    async fn journal_refusal(
        &self,
        refused: &Refusal,
        domain: Option<Domain>,
        addresses: Vec<String>,
    ) {
        self.shared.metrics.refused(refused.rule.code());
        let mut record =
            self.record(refused.rule.code(), refused.temporary, refused.detail.clone());
        record.evidence = Some(refused.evidence.as_ref().clone());
        record.domain = domain;
        record.addresses = addresses;
        self.journal(record).await;
    }

    async fn journal_error(
        &self,
        error: &DeliveryError,
        domain: Option<Domain>,
        addresses: Vec<String>,
        message_id: Option<String>,
    ) {
        self.shared.metrics.refused(error.code());
        let mut record = self.record(error.code(), error.is_temporary(), error.to_string());
        if let Some(evidence) = error.evidence() {
            record.evidence = Some(evidence.clone());
        }
        record.domain = domain;
        record.addresses = addresses;
        record.message_id = message_id;
        self.journal(record).await;
    }

    fn record(&self, rule: &str, temporary: bool, text: String) -> RefusalRecord {
        // Before any certificate is seen, the list of the moment still stands behind a refusal.
        let trust = &self.shared.house.trust;
        let mut evidence = match &self.trusted {
            Some((peer, _)) => peer.evidence(),
            None => trust.evidence(),
        };
        evidence.list = evidence.list.or_else(|| trust.evidence().list);
        RefusalRecord {
            at: now(),
            door: match self.service() {
                Service::Interop => "smtp.interop",
                Service::Submission => "smtp.submission",
            },
            session: Some(self.session),
            rule: rule.to_owned(),
            temporary,
            evidence: Some(evidence),
            domain: None,
            bal: self.open.as_ref().map(OpenBal::id),
            message_id: None,
            addresses: Vec::new(),
            peer: Some(self.peer),
            text,
        }
    }

    async fn journal(&self, record: RefusalRecord) {
        tracing::info!(
            session = %self.session, peer = %self.peer, door = record.door, rule = record.rule,
            text = record.text, "refused"
        );
        let delivery = self.shared.house.delivery.clone();
        let written = self.shared.house.pool.run(move || delivery.journal_refusal(record));
        if let Err(error) = written.await {
            tracing::error!(session = %self.session, %error, "a refusal is missing in the journal");
        }
    }
}

/// RFC 3848, RFC 6531 3.7.3: TLS always, AUTH on submission.
fn protocol(service: Service, smtputf8: bool) -> &'static str {
    match (service, smtputf8) {
        (Service::Interop, false) => "ESMTPS",
        (Service::Interop, true) => "UTF8SMTPS",
        (Service::Submission, false) => "ESMTPSA",
        (Service::Submission, true) => "UTF8SMTPSA",
    }
}

fn ret(ret: proto::Ret) -> Ret {
    match ret {
        proto::Ret::Full => Ret::Full,
        proto::Ret::Hdrs => Ret::Hdrs,
    }
}

/// An absent parameter is the store's default (RFC 3461 4.1).
fn notify(notify: proto::Notify) -> Notify {
    let proto::Notify::On { success, failure, delay } = notify else {
        let never = notify == proto::Notify::Never;
        return if never { Notify::NEVER } else { Notify::default() };
    };
    let words = [(success, Notify::SUCCESS), (failure, Notify::FAILURE), (delay, Notify::DELAY)];
    words.iter().filter(|w| w.0).fold(Notify::NEVER, |all, w| all.and(w.1))
}
