//! What the worker asks of the house, as two traits: production joins `delivery` and `trust`; tests of protocol
//! faults join a queue in memory and a space that trusts by name.

use crate::scheduler::Candidate;
use palombe_delivery::{Attempt, Delivery, DeliveryError, DueEntry, Outgoing};
use palombe_smtp_proto::{Notify, Ret};
use palombe_trust::{AuthorizedDestination, Evidence, PeerRole, Refusal, TrustState, TrustedPeer};
use palombe_vocabulary::{Domain, MailAddress, QueueId, ReversePath, Timestamp};
use rustls::pki_types::CertificateDer;

/// The queue. Every method blocks: the worker calls them in the pool.
pub trait Queue: Clone + Send + Sync + 'static {
    /// What a claim leaves in hand.
    type Claimed: Clone + Send + Sync + 'static;

    /// Entries that are due and wanted, urgent first, then the oldest.
    ///
    /// # Errors
    /// The store's.
    fn due(
        &self,
        now: Timestamp,
        limit: usize,
        wanted: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Vec<Candidate>, DeliveryError>;
    /// When the next entry is due.
    ///
    /// # Errors
    /// The store's.
    fn next_due(&self) -> Result<Option<Timestamp>, DeliveryError>;
    /// Claims entries: nobody else tries them until `lease_until`.
    ///
    /// # Errors
    /// The store's.
    fn claim(
        &self,
        ids: &[QueueId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<(Job, Self::Claimed)>, DeliveryError>;
    /// Octets of the message as they go on the wire.
    ///
    /// # Errors
    /// The store's.
    fn read(&self, of: &Self::Claimed, offset: u64, len: usize) -> Result<Vec<u8>, DeliveryError>;
    /// Settles an attempt.
    ///
    /// # Errors
    /// The store's.
    fn settle(
        &self,
        of: &Self::Claimed,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), DeliveryError>;
    /// Gives an entry back untouched.
    ///
    /// # Errors
    /// The store's.
    fn release(&self, of: &Self::Claimed) -> Result<(), DeliveryError>;
}

/// One claimed entry, in the words of SMTP.
#[derive(Clone, Debug)]
pub struct Job {
    /// The entry.
    pub id: QueueId,
    /// Where to.
    pub destination: Domain,
    /// Envelope sender.
    pub sender: ReversePath,
    /// Envelope recipients, all of the destination.
    pub recipients: Vec<JobRecipient>,
    /// Octets on the wire.
    pub size: u64,
    /// RFC 6710
    pub priority: i8,
    /// RFC 3461 4.3
    pub ret: Option<Ret>,
    /// RFC 3461 4.4
    pub envid: Option<String>,
    /// The message needs RFC 6531.
    pub smtputf8: bool,
    /// The message needs RFC 6152.
    pub eight_bit: bool,
}

/// One envelope recipient.
#[derive(Clone, Debug)]
pub struct JobRecipient {
    /// Its address.
    pub address: MailAddress,
    /// RFC 3461 4.1
    pub notify: Notify,
    /// RFC 3461 4.2
    pub orcpt: Option<String>,
}

/// The trust space as a sender sees it.
pub trait Space: Clone + Send + Sync + 'static {
    /// A peer whose certificate is good.
    type Peer: Send + Sync + 'static;
    /// Leave to send to one destination through one peer. Without it no message can be sent: it has no other maker.
    type Permit: Send + Sync + 'static;

    /// Judges the chain that a server presented.
    ///
    /// # Errors
    /// The rule that refuses it.
    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        at: Timestamp,
    ) -> Result<Self::Peer, Box<Refusal>>;
    /// Whether the peer may receive for the domain, by the list of this moment.
    ///
    /// # Errors
    /// The rule that refuses it.
    fn permit(&self, peer: &Self::Peer, domain: &Domain) -> Result<Self::Permit, Box<Refusal>>;
    /// For the journal.
    fn evidence(permit: &Self::Permit) -> Option<Evidence>;
}

impl Space for TrustState {
    type Peer = TrustedPeer;
    type Permit = AuthorizedDestination;

    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        at: Timestamp,
    ) -> Result<TrustedPeer, Box<Refusal>> {
        self.judge_peer(chain, PeerRole::Server, at).map_err(Box::new)
    }

    // ANS spec mssante §1.5: subject DN of the server's certificate among those listed for the recipients' domain.
    fn permit(
        &self,
        peer: &TrustedPeer,
        domain: &Domain,
    ) -> Result<AuthorizedDestination, Box<Refusal>> {
        self.authorize_destination(peer, domain).map_err(Box::new)
    }

    fn evidence(permit: &AuthorizedDestination) -> Option<Evidence> {
        Some(permit.evidence().clone())
    }
}

impl Queue for Delivery {
    type Claimed = Outgoing;

    fn due(
        &self,
        now: Timestamp,
        limit: usize,
        wanted: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Vec<Candidate>, DeliveryError> {
        let wanted = |entry: &DueEntry| wanted(&candidate(entry));
        let due = self.due_where(now, limit, &wanted)?;
        Ok(due.iter().map(candidate).collect())
    }

    fn next_due(&self) -> Result<Option<Timestamp>, DeliveryError> {
        Delivery::next_due(self)
    }

    fn claim(
        &self,
        ids: &[QueueId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<(Job, Outgoing)>, DeliveryError> {
        let claimed = Delivery::claim(self, ids, now, lease_until)?;
        Ok(claimed.into_iter().map(|out| (job(&out), out)).collect())
    }

    fn read(&self, of: &Outgoing, offset: u64, len: usize) -> Result<Vec<u8>, DeliveryError> {
        Delivery::read(self, of, offset, len)
    }

    fn settle(
        &self,
        of: &Outgoing,
        attempt: &Attempt,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        self.outcome(of, attempt, now)
    }

    fn release(&self, of: &Outgoing) -> Result<(), DeliveryError> {
        Delivery::release(self, of)
    }
}

fn candidate(entry: &DueEntry) -> Candidate {
    Candidate {
        id: entry.id,
        destination: entry.destination.clone(),
        hosted: entry.hosted.clone(),
        priority: entry.priority,
        due: entry.due,
        size: entry.size,
    }
}

fn job(out: &Outgoing) -> Job {
    let item = &out.item().item;
    let recipients = item.recipients.iter().map(|r| JobRecipient {
        address: r.address.clone(),
        notify: crate::convert::notify(r.notify),
        orcpt: r.orcpt.clone(),
    });
    Job {
        id: out.id(),
        destination: item.destination.clone(),
        sender: item.sender.clone(),
        recipients: recipients.collect(),
        size: out.size(),
        priority: item.priority,
        ret: item.ret.map(crate::convert::ret),
        envid: item.envid.clone(),
        smtputf8: item.smtputf8,
        eight_bit: item.eight_bit,
    }
}
