//! A queue in memory, a space that trusts by word, and a peer that follows a script of faults.

#![allow(dead_code)]

pub mod peer;

use palombe_delivery::{Attempt, DeliveryError, RecipientResult, RemoteReply};
use palombe_driver::{Bus, Pool, Shutdown, ShutdownTrigger};
use palombe_smtp_proto::Notify;
use palombe_smtp_sender::{
    Candidate, Concurrency, Job, JobRecipient, Queue, Sender, SenderParts, SenderSettings, Space,
    StaticRoute, Timeouts,
};
use palombe_trust::{Evidence, Refusal, Rule};
use palombe_vocabulary::{Domain, QueueId, Timestamp};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

pub const WAIT: Duration = Duration::from_secs(30);

/// What happened to an entry.
#[derive(Debug)]
pub enum Event {
    Settled(QueueId, Attempt),
    Released(QueueId),
}

#[derive(Clone)]
pub struct MemoryQueue {
    entries: Arc<Mutex<BTreeMap<QueueId, Entry>>>,
    events: mpsc::UnboundedSender<Event>,
    /// Reads past this offset fail.
    pub readable: u64,
}

struct Entry {
    candidate: Candidate,
    job: Job,
    body: Arc<Vec<u8>>,
    leased: bool,
}

#[derive(Clone)]
pub struct Claimed {
    id: QueueId,
    body: Arc<Vec<u8>>,
}

impl MemoryQueue {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        (MemoryQueue { entries: Arc::default(), events, readable: u64::MAX }, receiver)
    }

    pub fn put(&self, job: Job, body: &[u8], hosted: &str) {
        let candidate = Candidate {
            id: job.id,
            destination: job.destination.clone(),
            hosted: hosted.parse().unwrap(),
            priority: job.priority,
            due: Timestamp(job.id.0 as i64),
            size: job.size,
        };
        let entry = Entry { candidate, body: Arc::new(body.to_vec()), leased: false, job };
        assert!(self.entries.lock().unwrap().insert(entry.candidate.id, entry).is_none());
    }
}

impl Queue for MemoryQueue {
    type Claimed = Claimed;

    fn due(
        &self,
        _now: Timestamp,
        limit: usize,
        wanted: &dyn Fn(&Candidate) -> bool,
    ) -> Result<Vec<Candidate>, DeliveryError> {
        let entries = self.entries.lock().unwrap();
        let mut due: Vec<_> =
            entries.values().filter(|e| !e.leased).map(|e| e.candidate.clone()).collect();
        due.sort_by_key(|c| (-c.priority, c.due));
        Ok(due.into_iter().filter(|c| wanted(c)).take(limit).collect())
    }

    fn next_due(&self) -> Result<Option<Timestamp>, DeliveryError> {
        Ok(None)
    }

    fn claim(
        &self,
        ids: &[QueueId],
        _now: Timestamp,
        _lease_until: Timestamp,
    ) -> Result<Vec<(Job, Claimed)>, DeliveryError> {
        let mut entries = self.entries.lock().unwrap();
        let mut claimed = Vec::new();
        for id in ids {
            let Some(entry) = entries.get_mut(id) else { continue };
            assert!(!std::mem::replace(&mut entry.leased, true), "{id} is claimed twice");
            claimed.push((entry.job.clone(), Claimed { id: *id, body: entry.body.clone() }));
        }
        Ok(claimed)
    }

    fn read(&self, of: &Claimed, offset: u64, len: usize) -> Result<Vec<u8>, DeliveryError> {
        if offset >= self.readable {
            return Err(DeliveryError::Full);
        }
        let start = (offset as usize).min(of.body.len());
        let end = (start + len).min(of.body.len());
        Ok(of.body[start..end].to_vec())
    }

    fn settle(
        &self,
        of: &Claimed,
        attempt: &Attempt,
        _now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let gone = self.entries.lock().unwrap().remove(&of.id);
        assert!(gone.is_some_and(|entry| entry.leased), "settled without a lease");
        let _ = self.events.send(Event::Settled(of.id, attempt.clone()));
        Ok(())
    }

    fn release(&self, of: &Claimed) -> Result<(), DeliveryError> {
        if let Some(entry) = self.entries.lock().unwrap().get_mut(&of.id) {
            entry.leased = false;
        }
        let _ = self.events.send(Event::Released(of.id));
        Ok(())
    }
}

/// Trusts everybody, or nobody, as told.
#[derive(Clone, Default)]
pub struct WordSpace {
    pub distrust: Arc<AtomicBool>,
    pub forbid: Arc<AtomicBool>,
}

fn refusal(rule: Rule) -> Box<Refusal> {
    let evidence = Box::new(Evidence::default());
    Box::new(Refusal { rule, detail: "CN=other".to_owned(), temporary: false, evidence })
}

impl Space for WordSpace {
    type Peer = ();
    type Permit = ();

    fn judge(&self, chain: &[CertificateDer<'_>], _at: Timestamp) -> Result<(), Box<Refusal>> {
        assert_eq!(chain.len(), 1);
        if self.distrust.load(Ordering::SeqCst) {
            Err(refusal(Rule::PeerNotInList))
        } else {
            Ok(())
        }
    }

    fn permit(&self, (): &(), _domain: &Domain) -> Result<(), Box<Refusal>> {
        if self.forbid.load(Ordering::SeqCst) {
            Err(refusal(Rule::DestinationDnMismatch))
        } else {
            Ok(())
        }
    }

    fn evidence((): &()) -> Option<Evidence> {
        None
    }
}

pub fn tls() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let names = ["127.0.0.1", "mx1.test", "mx2.test", "x.test"].map(str::to_owned).to_vec();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let der = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(der).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

pub fn job(id: u64, recipients: &[&str], body: &[u8]) -> Job {
    let recipient = |address: &&str| JobRecipient {
        address: address.parse().unwrap(),
        notify: Notify::Unspecified,
        orcpt: None,
    };
    Job {
        id: QueueId(id),
        destination: "x.test".parse().unwrap(),
        sender: palombe_vocabulary::ReversePath::Address("dr@a.test".parse().unwrap()),
        recipients: recipients.iter().map(recipient).collect(),
        size: body.len() as u64,
        priority: 0,
        ret: None,
        envid: None,
        smtputf8: false,
        eight_bit: false,
    }
}

pub fn settings(at: SocketAddr) -> SenderSettings {
    SenderSettings {
        hostname: "sender.test".to_owned(),
        routes: vec![StaticRoute {
            domain: "x.test".parse().unwrap(),
            host: at.ip().to_string(),
            port: at.port(),
        }],
        concurrency: Concurrency { total: 4, total_urgent: 1, site: 4, site_urgent: 1 },
        connection_idle: Duration::from_secs(60),
        timeouts: Timeouts {
            dns: Duration::from_secs(1),
            connect: Duration::from_secs(5),
            ..Timeouts::default()
        },
        down: Duration::ZERO,
        ..SenderSettings::default()
    }
}

/// A sender at work.
pub struct House {
    pub queue: MemoryQueue,
    pub space: WordSpace,
    pub sender: Sender,
    pub trigger: ShutdownTrigger,
    pub bus: Bus,
    events: mpsc::UnboundedReceiver<Event>,
}

impl House {
    pub fn new(settings: SenderSettings, tls: Arc<ClientConfig>) -> Self {
        Self::with(settings, tls, |_| {})
    }

    pub fn with(
        settings: SenderSettings,
        tls: Arc<ClientConfig>,
        change: impl FnOnce(&mut MemoryQueue),
    ) -> Self {
        let (mut queue, events) = MemoryQueue::new();
        change(&mut queue);
        let (trigger, shutdown) = Shutdown::new();
        let (space, bus) = (WordSpace::default(), Bus::new());
        let parts = SenderParts {
            settings,
            queue: queue.clone(),
            space: space.clone(),
            tls,
            renewals: Arc::new(|| 0),
            pool: Pool::new(4, 100),
            bus: bus.clone(),
            shutdown,
        };
        let sender = Sender::start(parts).unwrap();
        House { queue, space, sender, trigger, bus, events }
    }

    pub fn send(&self, job: Job, body: &[u8]) {
        self.queue.put(job, body, "a.test");
        self.bus.wake_queue();
    }

    pub async fn event(&mut self) -> Event {
        tokio::time::timeout(WAIT, self.events.recv()).await.expect("an event").unwrap()
    }

    pub async fn settled(&mut self) -> (QueueId, Attempt) {
        match self.event().await {
            Event::Settled(id, attempt) => (id, attempt),
            Event::Released(id) => panic!("{id} was released"),
        }
    }

    /// Sends one message and tells what became of it, one line per recipient.
    pub async fn try_one(&mut self, job: Job, body: &[u8]) -> Vec<String> {
        self.send(job, body);
        self.settled().await.1.results.iter().map(told).collect()
    }
}

/// `delivered 250 2.0.0 text`
pub fn told(result: &RecipientResult) -> String {
    let wire =
        |r: &RemoteReply| format!("{} {} {}", r.code, r.enhanced.as_deref().unwrap_or("-"), r.text);
    match result {
        RecipientResult::Delivered { reply, .. } => format!("delivered {}", wire(reply)),
        RecipientResult::Failed(reply) => format!("failed {}", wire(reply)),
        RecipientResult::Deferred(reply) => format!("deferred {}", wire(reply)),
    }
}
