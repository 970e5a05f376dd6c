//! What is remembered between attempts, bounded: idle links, destinations that are down, hosts of destinations.

use crate::limits::{DOWN_MAX, SITES_MAX};
use crate::link::Link;
use crate::metrics::{SenderMetrics, set};
use crate::route::Host;
use crate::scheduler::Site;
use crate::seam::Space;
use palombe_delivery::RecipientResult;
use palombe_trust::Evidence;
use palombe_vocabulary::Domain;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

type Stacks<S> = HashMap<Host, Vec<(Instant, Link<S>)>>;

/// Links without work, the last used on top.
pub(crate) struct IdleLinks<S: Space> {
    links: Mutex<Stacks<S>>,
    idle_max: Duration,
    count_max: usize,
    metrics: Arc<SenderMetrics>,
}

impl<S: Space> IdleLinks<S> {
    pub fn new(idle_max: Duration, count_max: usize, metrics: Arc<SenderMetrics>) -> Self {
        IdleLinks { links: Mutex::default(), idle_max, count_max, metrics }
    }

    /// A link to this host. The caller looks whether the peer is still there.
    pub fn take(&self, host: &Host) -> Option<Link<S>> {
        let mut links = self.links.lock();
        let stack = links.get_mut(host)?;
        let link = stack.pop().map(|(_, link)| link);
        if stack.is_empty() {
            links.remove(host);
        }
        set(&self.metrics.connections_idle, count(&links));
        link
    }

    /// Keeps a link; gives it back when as many as may are kept.
    pub fn keep(&self, link: Link<S>) -> Option<Link<S>> {
        let mut links = self.links.lock();
        let idle = count(&links);
        if idle >= self.count_max {
            return Some(link);
        }
        links.entry(link.host.clone()).or_default().push((Instant::now(), link));
        set(&self.metrics.connections_idle, idle + 1);
        None
    }

    /// Takes out the links that were idle for too long, or all of them.
    pub fn expired(&self, all: bool) -> Vec<Link<S>> {
        let mut links = self.links.lock();
        let mut out = Vec::new();
        for stack in links.values_mut() {
            // The oldest lie at the bottom.
            let old = stack.partition_point(|(at, _)| all || at.elapsed() >= self.idle_max);
            out.extend(stack.drain(..old).map(|(_, link)| link));
        }
        links.retain(|_, stack| !stack.is_empty());
        set(&self.metrics.connections_idle, count(&links));
        out
    }

    pub fn is_empty(&self) -> bool {
        self.links.lock().is_empty()
    }
}

fn count<V>(links: &HashMap<Host, Vec<V>>) -> usize {
    links.values().map(Vec::len).sum()
}

/// Why no host of a destination could be used.
#[derive(Clone, Debug)]
pub(crate) struct HostFailure {
    pub result: RecipientResult,
    pub remote_mta: Option<String>,
    pub evidence: Option<Evidence>,
    pub rule: Option<String>,
}

impl HostFailure {
    /// Of several hosts' failures the one to tell: a temporary one, since then another attempt is worth it; among
    /// those, a refusal of trust, since it needs somebody's hand.
    pub fn weight(&self) -> (bool, bool) {
        (matches!(self.result, RecipientResult::Deferred(_)), self.rule.is_some())
    }
}

/// Destinations of which every host failed a moment ago.
pub(crate) struct Down {
    until: Mutex<HashMap<Domain, (Instant, HostFailure)>>,
    time: Duration,
}

impl Down {
    pub fn new(time: Duration) -> Self {
        Down { until: Mutex::default(), time }
    }

    pub fn get(&self, domain: &Domain) -> Option<HostFailure> {
        let until = self.until.lock();
        until.get(domain).filter(|(at, _)| *at > Instant::now()).map(|(_, failure)| failure.clone())
    }

    pub fn remember(&self, domain: &Domain, failure: &HostFailure) {
        let mut until = self.until.lock();
        let now = Instant::now();
        if until.len() >= DOWN_MAX {
            until.retain(|_, (at, _)| *at > now);
        }
        if until.len() < DOWN_MAX {
            until.insert(domain.clone(), (now + self.time, failure.clone()));
        }
    }

    pub fn forget(&self, domain: &Domain) {
        self.until.lock().remove(domain);
    }
}

/// The first host of each destination, as DNS last told it.
#[derive(Default)]
pub(crate) struct Sites(Mutex<HashMap<Domain, Site>>);

impl Sites {
    pub fn learn(&self, domain: &Domain, hosts: &[Host]) {
        // Equal hosts come shuffled: the least name stands for all of them.
        let Some(host) = hosts.iter().min_by(|a, b| a.name.cmp(&b.name)) else { return };
        let mut sites = self.0.lock();
        if sites.len() >= SITES_MAX {
            sites.clear();
        }
        sites.insert(domain.clone(), format!("{}:{}", host.name, host.port).into());
    }

    pub fn of(&self, domain: &Domain) -> Site {
        self.0.lock().get(domain).cloned().unwrap_or_else(|| domain.as_str().into())
    }
}
