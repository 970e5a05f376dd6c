//! One attempt at one entry: host after host, until one has answered for its recipients.

use crate::SenderSettings;
use crate::limits::{LEASE_MARGIN, SCAN_PAUSE_MAX, SETTLE_TRIES};
use crate::link::{Dialer, Link, LinkError};
use crate::memory::{Down, HostFailure, IdleLinks, Sites};
use crate::metrics::{SenderMetrics, add};
use crate::reply;
use crate::route::{Host, RouteError, Router};
use crate::seam::{Job, Queue, Space};
use crate::transaction::{Body, Broken, Ended, transact};
use palombe_delivery::{Attempt, RecipientResult};
use palombe_driver::{Pool, PoolBusy, now, spawn};
use palombe_trust::{Evidence, Refusal};
use palombe_vocabulary::QueueId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What every attempt shares.
pub(crate) struct Shared<Q, S: Space> {
    pub settings: SenderSettings,
    pub queue: Q,
    pub space: S,
    pub pool: Pool,
    pub router: Router,
    pub dialer: Dialer,
    pub links: IdleLinks<S>,
    pub down: Down,
    pub sites: Sites,
    pub metrics: Arc<SenderMetrics>,
}

/// How a transaction over one link ended, where it says something of this message.
struct Sent {
    results: Vec<RecipientResult>,
    evidence: Option<Evidence>,
}

impl<Q: Queue, S: Space> Shared<Q, S> {
    /// Tries an entry within its lease, and settles it.
    pub async fn run(&self, job: &Job, claimed: &Q::Claimed) {
        add(&self.metrics.attempts, 1);
        let patience = self.settings.lease.saturating_sub(LEASE_MARGIN).max(Duration::from_secs(1));
        let attempt = match timeout(patience, self.attempt(job, claimed)).await {
            Ok(attempt) => attempt,
            Err(_) => same_for_all(job, &alone(reply::too_slow())),
        };
        self.count(job, &attempt);
        self.settle(claimed, attempt).await;
    }

    async fn attempt(&self, job: &Job, claimed: &Q::Claimed) -> Attempt {
        if job.priority <= 0
            && let Some(failure) = self.down.get(&job.destination)
        {
            return same_for_all(job, &failure);
        }
        let hosts = match self.router.hosts(&job.destination).await {
            Ok(hosts) => hosts,
            Err(error) => return same_for_all(job, &self.no_route(job, &error)),
        };
        self.sites.learn(&job.destination, &hosts);
        let mut told: Option<HostFailure> = None;
        for host in &hosts {
            match self.via(host, job, claimed).await {
                Ok(sent) => {
                    self.down.forget(&job.destination);
                    return Attempt {
                        results: sent.results,
                        remote_mta: Some(host.name.clone()),
                        evidence: sent.evidence,
                        rule: None,
                    };
                }
                Err(failure) => {
                    if told.as_ref().is_none_or(|told| failure.weight() > told.weight()) {
                        told = Some(failure);
                    }
                }
            }
        }
        let told = told.unwrap_or_else(|| self.no_route(job, &RouteError::UnknownDomain));
        self.down.remember(&job.destination, &told);
        same_for_all(job, &told)
    }

    fn no_route(&self, job: &Job, error: &RouteError) -> HostFailure {
        let failure = alone(reply::route(error, &self.settings));
        if matches!(error, RouteError::Dns(_)) {
            add(&self.metrics.dns_failures, 1);
            self.down.remember(&job.destination, &failure);
        }
        failure
    }

    /// One host: a link that is open already, else a new one to each of its addresses.
    async fn via(&self, host: &Host, job: &Job, claimed: &Q::Claimed) -> Result<Sent, HostFailure> {
        while let Some(mut link) = self.links.take(host) {
            if !self.is_fit(&mut link).await {
                self.part(link);
                continue;
            }
            match self.over(link, job, claimed).await {
                Ok(sent) => {
                    add(&self.metrics.connections_reused, 1);
                    return Ok(sent);
                }
                // The peer was tired of an old connection: a new one tells.
                Err(LinkError::Untrusted(refusal)) => return Err(self.untrusted(host, refusal)),
                Err(error) => tracing::debug!(host = host.name, %error, "idle connection lost"),
            }
        }
        let addresses = match self.router.addresses(host).await {
            Ok(addresses) => addresses,
            Err(error) => return Err(self.no_address(host, &error)),
        };
        let mut last = LinkError::Closed;
        for address in addresses {
            let dialled = self.dialer.dial(&self.space, host, address, &job.destination).await;
            let error = match dialled {
                Ok(link) => {
                    add(&self.metrics.connections_opened, 1);
                    match self.over(link, job, claimed).await {
                        Ok(sent) => return Ok(sent),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            tracing::info!(host = host.name, %address, %error, "connection failed");
            add(&self.metrics.connections_failed, 1);
            last = error;
        }
        Err(self.host_failure(host, last))
    }

    /// One transaction. An error means that the peer has said nothing of this message.
    async fn over(
        &self,
        mut link: Link<S>,
        job: &Job,
        claimed: &Q::Claimed,
    ) -> Result<Sent, LinkError> {
        // ANS spec mssante §1.5: asked anew for each message, by the list of this moment.
        let permit = match self.space.permit(&link.peer, &job.destination) {
            Ok(permit) => permit,
            Err(refusal) => {
                // Not of this destination; maybe of the others that this host serves.
                self.put_back(link);
                return Err(LinkError::Untrusted(refusal));
            }
        };
        let evidence = S::evidence(&permit);
        let mut body = PoolBody { shared: self, claimed };
        let waits = &self.settings.timeouts;
        match transact(&mut link, &permit, job, &mut body, waits).await {
            Ok(Ended { results, reusable }) => {
                if reusable {
                    self.put_back(link);
                } else {
                    self.part(link);
                }
                Ok(Sent { results, evidence })
            }
            Err(Broken { error, untouched: true, .. }) => Err(error),
            Err(Broken { error, settled, .. }) => {
                let session = link.session;
                tracing::info!(%session, queue = %job.id, %error, "transaction broken");
                let rest = reply::link(&error, &self.settings);
                let results = settled.into_iter().map(|s| s.unwrap_or_else(|| rest.clone()));
                Ok(Sent { results: results.collect(), evidence })
            }
        }
    }

    async fn is_fit(&self, link: &mut Link<S>) -> bool {
        self.may_serve_on(link) && link.is_quiet().await
    }

    fn may_serve_on(&self, link: &Link<S>) -> bool {
        link.sent < self.settings.messages_per_connection_max
            && link.opened.elapsed() < self.settings.connection_age_max
            && link.renewal == (self.dialer.renewals)()
    }

    fn put_back(&self, link: Link<S>) {
        let refused = if self.may_serve_on(&link) { self.links.keep(link) } else { Some(link) };
        if let Some(link) = refused {
            self.part(link);
        }
    }

    /// Says goodbye in the background: no message waits for it, and it is bounded in time.
    pub fn part(&self, link: Link<S>) {
        drop(spawn("smtp-quit", link.quit()));
    }

    fn untrusted(&self, host: &Host, refusal: Box<Refusal>) -> HostFailure {
        self.host_failure(host, LinkError::Untrusted(refusal))
    }

    fn host_failure(&self, host: &Host, error: LinkError) -> HostFailure {
        let rule = reply::rule(&error);
        if rule.is_some() {
            add(&self.metrics.peers_untrusted, 1);
        }
        let result = reply::link(&error, &self.settings);
        let evidence = match error {
            LinkError::Untrusted(refusal) => Some(*refusal.evidence),
            _ => None,
        };
        HostFailure { result, remote_mta: Some(host.name.clone()), evidence, rule }
    }

    fn no_address(&self, host: &Host, error: &RouteError) -> HostFailure {
        if matches!(error, RouteError::Dns(_)) {
            add(&self.metrics.dns_failures, 1);
        }
        let result = reply::route(error, &self.settings);
        HostFailure { result, remote_mta: Some(host.name.clone()), evidence: None, rule: None }
    }

    fn count(&self, job: &Job, attempt: &Attempt) {
        let mut octets = 0;
        for result in &attempt.results {
            match result {
                RecipientResult::Delivered { .. } => {
                    octets = job.size;
                    add(&self.metrics.recipients_delivered, 1);
                }
                RecipientResult::Failed(_) => add(&self.metrics.recipients_failed, 1),
                RecipientResult::Deferred(_) => add(&self.metrics.recipients_deferred, 1),
            }
        }
        add(&self.metrics.octets_delivered, octets);
    }

    /// The peer has answered; this must not be lost for a busy moment of the store. If it is, the entry is tried
    /// again when its lease ends: a message twice, never a message lost.
    async fn settle(&self, claimed: &Q::Claimed, attempt: Attempt) {
        let attempt = Arc::new(attempt);
        for tries in 0..SETTLE_TRIES {
            let (queue, claimed, attempt) = (self.queue.clone(), claimed.clone(), attempt.clone());
            match self.pool.run(move || queue.settle(&claimed, &attempt, now())).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::warn!(%error, tries, "outcome not stored yet"),
                Err(PoolBusy::Closed) => break,
                Err(error) => tracing::warn!(%error, tries, "outcome not stored yet"),
            }
            sleep(Duration::from_millis(100 << tries)).await;
        }
        add(&self.metrics.outcomes_lost, 1);
        tracing::error!("an outcome was not stored: its entry is tried again after its lease");
    }

    /// Claims an entry; `None` when it is gone, held, or another's since it was read.
    pub async fn claim(&self, id: QueueId) -> Option<(Job, Q::Claimed)> {
        let at = now();
        let lease = i64::try_from(self.settings.lease.as_millis()).unwrap_or(i64::MAX);
        let queue = self.queue.clone();
        let claim = self.pool.run(move || queue.claim(&[id], at, at.plus_millis(lease)));
        let error: Box<dyn std::error::Error + Send> = match claim.await {
            Ok(Ok(claimed)) => return claimed.into_iter().next(),
            Ok(Err(error)) => Box::new(error),
            Err(error) => Box::new(error),
        };
        tracing::warn!(queue = %id, %error, "an entry cannot be claimed");
        // It is due still and comes back at once: not faster than this.
        sleep(SCAN_PAUSE_MAX).await;
        None
    }

    /// Gives an entry back untouched.
    pub async fn release(&self, claimed: &Q::Claimed) {
        let (queue, claimed) = (self.queue.clone(), claimed.clone());
        match self.pool.run(move || queue.release(&claimed)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a lease was not released"),
            Err(error) => tracing::warn!(%error, "a lease was not released"),
        }
    }
}

/// A failure that no host is to blame for.
fn alone(result: RecipientResult) -> HostFailure {
    HostFailure { result, remote_mta: None, evidence: None, rule: None }
}

fn same_for_all(job: &Job, failure: &HostFailure) -> Attempt {
    Attempt {
        results: vec![failure.result.clone(); job.recipients.len()],
        remote_mta: failure.remote_mta.clone(),
        evidence: failure.evidence.clone(),
        rule: failure.rule.clone(),
    }
}

/// The message, read in the pool.
struct PoolBody<'a, Q: Queue, S: Space> {
    shared: &'a Shared<Q, S>,
    claimed: &'a Q::Claimed,
}

impl<Q: Queue, S: Space> Body for PoolBody<'_, Q, S> {
    async fn piece(&mut self, offset: u64, len: usize) -> Option<Vec<u8>> {
        // A busy pool is worth a wait: half a message is on the wire.
        for tries in 0..8 {
            let (queue, claimed) = (self.shared.queue.clone(), self.claimed.clone());
            match self.shared.pool.run(move || queue.read(&claimed, offset, len)).await {
                Ok(Ok(bytes)) => return Some(bytes),
                Err(PoolBusy::Full) => sleep(Duration::from_millis(20 << tries)).await,
                Ok(Err(error)) => {
                    tracing::error!(%error, "a queued message cannot be read");
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "a queued message cannot be read now");
                    return None;
                }
            }
        }
        None
    }
}
