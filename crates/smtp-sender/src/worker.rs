//! The loop: reads what is due, asks the scheduler, claims, starts; wakes on news, on time and on ends.

use crate::attempt::Shared;
use crate::limits::{
    CROWD_MAX, SCAN_PAUSE_MAX, SCAN_PAUSE_MIN, SLEEP_MAX, WIDE_PAUSE_MIN, WIDE_WINDOW, WINDOW,
};
use crate::link::Dialer;
use crate::memory::{Down, IdleLinks, Sites};
use crate::metrics::{SenderMetrics, set};
use crate::route::{RouteError, Router};
use crate::scheduler::{Candidate, Running, Scheduler};
use crate::seam::{Queue, Space};
use crate::settings::SenderSettings;
use palombe_delivery::DeliveryError;
use palombe_driver::{Bus, Pool, Shutdown, Task, Wakes, now, spawn};
use palombe_vocabulary::{QueueId, Timestamp};
use rustls::ClientConfig;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// What the sender is made of.
pub struct SenderParts<Q, S> {
    /// The operator's choices.
    pub settings: SenderSettings,
    /// `delivery::Delivery`
    pub queue: Q,
    /// `trust::TrustState`
    pub space: S,
    /// Our certificate: `TrustState::client_tls`.
    pub tls: Arc<ClientConfig>,
    /// How often our certificate was renewed; links that showed an older one are not used again.
    pub renewals: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// For the synchronous house.
    pub pool: Pool,
    /// For the wakes of the queue.
    pub bus: Bus,
    /// Ends it.
    pub shutdown: Shutdown,
}

/// The sender at work.
pub struct Sender {
    /// Ends after shutdown, once messages under way have ended or were cut.
    pub task: Task<()>,
    /// Its counters.
    pub metrics: Arc<SenderMetrics>,
}

impl Sender {
    /// Starts it.
    ///
    /// # Errors
    /// The resolver cannot be set up.
    pub fn start<Q: Queue, S: Space>(parts: SenderParts<Q, S>) -> Result<Sender, RouteError> {
        let metrics = Arc::new(SenderMetrics::default());
        let SenderParts { settings, queue, space, tls, renewals, pool, bus, shutdown } = parts;
        let shared = Shared {
            router: Router::new(&settings)?,
            dialer: Dialer {
                hostname: settings.hostname.clone(),
                tls,
                renewals,
                timeouts: settings.timeouts,
            },
            links: IdleLinks::new(
                settings.connection_idle,
                settings.concurrency.total,
                metrics.clone(),
            ),
            down: Down::new(settings.down),
            sites: Sites::default(),
            metrics: metrics.clone(),
            settings,
            queue,
            space,
            pool,
        };
        let task = spawn("smtp-sender", Worker::new(Arc::new(shared), &bus, shutdown).run());
        Ok(Sender { task, metrics })
    }
}

struct Worker<Q: Queue, S: Space> {
    shared: Arc<Shared<Q, S>>,
    wakes: Wakes,
    shutdown: Shutdown,
    scheduler: Scheduler,
    running: Running,
    candidates: Vec<Candidate>,
    /// More was due than the window holds.
    full: bool,
    /// When the whole queue may be looked over again.
    wide_not_before: Instant,
    /// When to read the queue next, and not before when.
    scan_at: Instant,
    scan_not_before: Instant,
    ended: mpsc::Receiver<QueueId>,
    end: mpsc::Sender<QueueId>,
}

/// Tells the end of an attempt, even one that panicked.
struct End {
    id: QueueId,
    to: mpsc::Sender<QueueId>,
}

impl Drop for End {
    fn drop(&mut self) {
        // The worker is gone only when the runtime ends.
        let _ = self.to.try_send(self.id);
    }
}

impl<Q: Queue, S: Space> Worker<Q, S> {
    fn new(shared: Arc<Shared<Q, S>>, bus: &Bus, shutdown: Shutdown) -> Self {
        // One message for each attempt that runs, at most: never full.
        let (end, ended) = mpsc::channel(shared.settings.concurrency.total.max(1));
        let now = Instant::now();
        Worker {
            scheduler: Scheduler::new(shared.settings.concurrency),
            wakes: bus.queue_waker(),
            shared,
            shutdown,
            running: Running::default(),
            candidates: Vec::new(),
            full: false,
            wide_not_before: now,
            scan_at: now,
            scan_not_before: now,
            ended,
            end,
        }
    }

    async fn run(mut self) {
        let (cut, cut_signal) = Shutdown::new();
        loop {
            let idle_links = !self.shared.links.is_empty();
            tokio::select! {
                () = self.shutdown.wait() => break,
                () = self.wakes.changed() => self.scan_soon(),
                Some(id) = self.ended.recv() => self.note_ends(id),
                () = sleep_until(self.scan_at) => self.scan().await,
                () = sleep_until(self.wide_not_before), if self.full => self.scan_wide().await,
                () = tokio::time::sleep(SCAN_PAUSE_MAX), if idle_links => {}
            }
            self.reap(false);
            self.start_some(&cut_signal);
            set(&self.shared.metrics.running, self.running.len());
            set(&self.shared.metrics.waiting, self.candidates.len());
        }
        self.drain().await;
        cut.request();
        self.drain().await;
        self.reap(true);
    }

    fn scan_soon(&mut self) {
        self.scan_at = self.scan_at.min(self.scan_not_before);
    }

    fn note_ends(&mut self, id: QueueId) {
        self.running.end(id);
        while let Ok(id) = self.ended.try_recv() {
            self.running.end(id);
        }
    }

    /// Reads what is due, and decides when to read again.
    async fn scan(&mut self) {
        let begun = Instant::now();
        let at = now();
        let queue = self.shared.queue.clone();
        let read = self.shared.pool.run(move || {
            let due = queue.due(at, WINDOW, &|_| true)?;
            let next = if due.is_empty() { queue.next_due()? } else { None };
            Ok::<_, DeliveryError>((due, next))
        });
        match read.await {
            Ok(Ok((due, next))) => {
                self.full = due.len() >= WINDOW;
                self.take_in(due);
                self.scan_at = begun + self.sleep(at, next);
            }
            Ok(Err(error)) => self.scan_failed(&error),
            Err(error) => self.scan_failed(&error),
        }
        // Four fifths of the time at least are left to others, however many wakes come.
        self.scan_not_before = Instant::now() + SCAN_PAUSE_MIN.max(begun.elapsed() * 4);
        self.scan_at = self.scan_at.max(self.scan_not_before);
    }

    /// What the window shows, and what the last look over the whole queue showed beyond it, as long as there is
    /// something beyond it.
    fn take_in(&mut self, due: Vec<Candidate>) {
        let beyond = std::mem::replace(&mut self.candidates, due);
        if self.full {
            let seen: HashSet<QueueId> = self.candidates.iter().map(|c| c.id).collect();
            self.candidates.extend(beyond.into_iter().filter(|c| !seen.contains(&c.id)));
            self.candidates.truncate(WINDOW + WIDE_WINDOW);
        }
        // What runs is not due, even where the queue says so.
        self.candidates.retain(|c| !self.running.contains(c.id));
    }

    /// Looks over the whole queue, a few entries of each kind: a long line of one hospital, or to one slow
    /// destination, hides nobody.
    async fn scan_wide(&mut self) {
        let begun = Instant::now();
        let at = now();
        let queue = self.shared.queue.clone();
        let read = self.shared.pool.run(move || {
            let crowd = RefCell::new(HashMap::new());
            queue.due(at, WIDE_WINDOW, &|c| {
                let kind = (c.priority, c.hosted.clone(), c.destination.clone());
                let mut crowd = crowd.borrow_mut();
                let count = crowd.entry(kind).or_insert(0);
                *count += 1;
                *count <= CROWD_MAX
            })
        });
        match read.await {
            Ok(Ok(due)) => {
                let window: Vec<_> = self.candidates.drain(..).take(WINDOW).collect();
                self.candidates = due;
                self.take_in(window);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the queue cannot be looked over"),
            Err(error) => tracing::debug!(%error, "the queue cannot be looked over now"),
        }
        self.wide_not_before = Instant::now() + WIDE_PAUSE_MIN.max(begun.elapsed() * 10);
    }

    fn scan_failed(&mut self, error: &dyn std::fmt::Display) {
        tracing::warn!(%error, "the queue cannot be read");
        self.scan_at = Instant::now() + SCAN_PAUSE_MAX;
    }

    /// With something due: look again soon, a retry may have become due. With nothing: until the next is.
    fn sleep(&self, at: Timestamp, next: Option<Timestamp>) -> Duration {
        match next {
            _ if !self.candidates.is_empty() => SCAN_PAUSE_MAX,
            Some(next) if next > at => {
                let wait = u64::try_from(next.millis_since(at)).unwrap_or(u64::MAX);
                // One more, since both ends are cut to whole milliseconds.
                Duration::from_millis(wait.saturating_add(1)).min(SLEEP_MAX)
            }
            // Due, yet neither given nor startable: held by another lease.
            Some(_) => SCAN_PAUSE_MAX,
            None => SLEEP_MAX,
        }
    }

    fn start_some(&mut self, cut: &Shutdown) {
        if self.candidates.is_empty() || !self.scheduler.has_place(&self.running, true) {
            return;
        }
        let sites = &self.shared.sites;
        let site_of = |domain: &palombe_vocabulary::Domain| sites.of(domain);
        let chosen = self.scheduler.choose(&self.candidates, &mut self.running, site_of);
        if !chosen.is_empty() {
            self.candidates.retain(|c| !self.running.contains(c.id));
            chosen.into_iter().for_each(|id| self.start(id, cut.clone()));
        }
        // What was read is used up, or half of it: what was queued or became due meanwhile comes next.
        if self.candidates.is_empty() || (self.full && self.candidates.len() < WINDOW / 2) {
            self.scan_soon();
        }
    }

    /// Each entry is claimed in its own task: the store joins claims that come together into one commit.
    fn start(&self, id: QueueId, cut: Shutdown) {
        let shared = self.shared.clone();
        let end = End { id, to: self.end.clone() };
        drop(spawn("smtp-send", async move {
            let _end = end;
            let Some((job, claimed)) = shared.claim(id).await else { return };
            tokio::select! {
                () = shared.run(&job, &claimed) => {}
                () = cut.wait() => shared.release(&claimed).await,
            }
        }));
    }

    /// Links that were idle for too long are closed.
    fn reap(&self, all: bool) {
        for link in self.shared.links.expired(all) {
            self.shared.part(link);
        }
    }

    /// Waits for what runs, as long as patience lasts.
    async fn drain(&mut self) {
        let patience = self.shared.settings.drain;
        let ends = async {
            while !self.running.is_empty() {
                match self.ended.recv().await {
                    Some(id) => self.running.end(id),
                    None => return,
                }
            }
        };
        if timeout(patience, ends).await.is_err() {
            tracing::warn!(open = self.running.len(), "messages under way cut at shutdown");
        }
    }
}
