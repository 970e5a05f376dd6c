//! Which entries start now: a pure struct, fed with what is due and what runs.
//!
//! Urgent first, strictly by priority (RFC 6710 4.1.1); within one priority, deficit round robin between hosted
//! domains by octets, so that the bulk run of one hospital costs the others nothing; within one domain, the oldest
//! first. A number of places, in all and to each destination, is kept for urgent messages: they never wait for bulk.

use crate::limits::{MESSAGE_COST_BYTES, QUANTUM_BYTES};
use crate::settings::Concurrency;
use palombe_vocabulary::{Domain, QueueId, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// The host that serves a destination, or the destination itself as long as the host is not known.
pub type Site = Arc<str>;

/// An entry that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The entry.
    pub id: QueueId,
    /// Where to.
    pub destination: Domain,
    /// On whose behalf: the fairness key.
    pub hosted: Domain,
    /// MT-PRIORITY, -9 to 9.
    pub priority: i8,
    /// Since when it is due.
    pub due: Timestamp,
    /// Octets.
    pub size: u64,
}

impl Candidate {
    /// Above the ordinary.
    pub fn is_urgent(&self) -> bool {
        self.priority > 0
    }
}

/// What runs.
#[derive(Debug, Default)]
pub struct Running {
    places: HashMap<QueueId, (Site, bool)>,
    ordinary: usize,
    sites: HashMap<Site, SiteCount>,
}

#[derive(Debug, Default, Clone, Copy)]
struct SiteCount {
    all: usize,
    ordinary: usize,
}

impl Running {
    /// An entry starts.
    pub fn start(&mut self, candidate: &Candidate, site: Site) {
        let urgent = candidate.is_urgent();
        let count = self.sites.entry(site.clone()).or_default();
        count.all += 1;
        if !urgent {
            count.ordinary += 1;
            self.ordinary += 1;
        }
        let before = self.places.insert(candidate.id, (site, urgent));
        debug_assert!(before.is_none(), "one attempt of an entry at a time");
    }

    /// An entry has ended.
    pub fn end(&mut self, id: QueueId) {
        let Some((site, urgent)) = self.places.remove(&id) else { return };
        self.ordinary -= usize::from(!urgent);
        if let Some(count) = self.sites.get_mut(&site) {
            count.all -= 1;
            count.ordinary -= usize::from(!urgent);
            if count.all == 0 {
                self.sites.remove(&site);
            }
        }
    }

    /// Whether this entry runs.
    pub fn contains(&self, id: QueueId) -> bool {
        self.places.contains_key(&id)
    }

    /// How many run.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Nothing runs.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    fn has_place(&self, limits: &Concurrency, urgent: bool) -> bool {
        let ordinary_max = limits.total.saturating_sub(limits.total_urgent);
        self.len() < limits.total && (urgent || self.ordinary < ordinary_max)
    }

    fn has_place_at(&self, limits: &Concurrency, site: &Site, urgent: bool) -> bool {
        let count = self.sites.get(site).copied().unwrap_or_default();
        let ordinary_max = limits.site.saturating_sub(limits.site_urgent);
        count.all < limits.site && (urgent || count.ordinary < ordinary_max)
    }
}

/// The order of service, and what it remembers between two calls.
#[derive(Debug)]
pub struct Scheduler {
    limits: Concurrency,
    levels: BTreeMap<Reverse<i8>, Level>,
}

/// The round robin of one priority.
#[derive(Debug, Default)]
struct Level {
    credit: HashMap<Domain, i64>,
    /// Whose turn was cut short for want of a place.
    turn: Option<Domain>,
}

type Lines<'a> = BTreeMap<&'a Domain, VecDeque<&'a Candidate>>;

impl Scheduler {
    /// Nothing remembered. Reserves that would leave no ordinary place are lowered: bulk also leaves, in the end.
    pub fn new(limits: Concurrency) -> Self {
        let (total, site) = (limits.total.max(1), limits.site.max(1));
        let limits = Concurrency {
            total,
            total_urgent: limits.total_urgent.min(total - 1),
            site,
            site_urgent: limits.site_urgent.min(site - 1),
        };
        Scheduler { limits, levels: BTreeMap::new() }
    }

    /// Whether an entry of some kind could start at all.
    pub fn has_place(&self, running: &Running, urgent: bool) -> bool {
        running.has_place(&self.limits, urgent)
    }

    /// Chooses what starts now, in order, and counts it as running.
    pub fn choose(
        &mut self,
        candidates: &[Candidate],
        running: &mut Running,
        site_of: impl Fn(&Domain) -> Site,
    ) -> Vec<QueueId> {
        let mut levels: BTreeMap<Reverse<i8>, Lines<'_>> = BTreeMap::new();
        for candidate in candidates.iter().filter(|c| !running.contains(c.id)) {
            let lines = levels.entry(Reverse(candidate.priority)).or_default();
            lines.entry(&candidate.hosted).or_default().push_back(candidate);
        }
        self.levels.retain(|priority, _| levels.contains_key(priority));
        let mut chosen = Vec::new();
        for (priority, mut lines) in levels {
            for line in lines.values_mut() {
                line.make_contiguous().sort_by_key(|c| (c.due, c.id));
            }
            let level = self.levels.entry(priority).or_default();
            let urgent = priority.0 > 0;
            let mut places = Places { limits: &self.limits, running: &mut *running, urgent };
            level.serve(lines, &mut places, &site_of, &mut chosen);
        }
        chosen
    }
}

/// What may start now for messages of one urgency.
struct Places<'a> {
    limits: &'a Concurrency,
    running: &'a mut Running,
    urgent: bool,
}

impl Places<'_> {
    fn free(&self) -> bool {
        self.running.has_place(self.limits, self.urgent)
    }

    fn free_at(&self, site: &Site) -> bool {
        self.running.has_place_at(self.limits, site, self.urgent)
    }
}

impl Level {
    fn serve(
        &mut self,
        mut lines: Lines<'_>,
        places: &mut Places<'_>,
        site_of: &impl Fn(&Domain) -> Site,
        chosen: &mut Vec<QueueId>,
    ) {
        // A line that emptied keeps no credit: absence earns nothing.
        self.credit.retain(|hosted, _| lines.contains_key(hosted));
        let mut order: VecDeque<Domain> = lines.keys().map(|hosted| (*hosted).clone()).collect();
        let mut resumed = self.turn.take();
        if let Some(turn) = &resumed {
            let first = order.partition_point(|hosted| hosted < turn);
            order.rotate_left(first % order.len().max(1));
        }
        while let Some(hosted) = order.pop_front() {
            let Some(line) = lines.get_mut(&hosted) else { continue };
            let credit = self.credit.entry(hosted.clone()).or_insert(0);
            if resumed.take().as_ref() != Some(&hosted) {
                *credit += QUANTUM_BYTES;
            }
            while let Some(candidate) = line.front() {
                if !places.free() {
                    self.turn = Some(hosted);
                    return;
                }
                let site = site_of(&candidate.destination);
                if !places.free_at(&site) {
                    // Its destination is busy; those behind it go elsewhere, maybe.
                    line.pop_front();
                    continue;
                }
                let cost = cost(candidate);
                if *credit < cost {
                    break;
                }
                *credit -= cost;
                places.running.start(candidate, site);
                chosen.push(candidate.id);
                line.pop_front();
            }
            if line.is_empty() {
                // Nothing more that it could start: it must not hoard.
                *credit = (*credit).min(0);
            } else {
                order.push_back(hosted);
            }
        }
    }
}

fn cost(candidate: &Candidate) -> i64 {
    i64::try_from(candidate.size).unwrap_or(i64::MAX / 2).saturating_add(MESSAGE_COST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Concurrency = Concurrency { total: 4, total_urgent: 1, site: 4, site_urgent: 1 };

    fn entry(id: u64, hosted: &str, destination: &str, priority: i8) -> Candidate {
        Candidate {
            id: QueueId(id),
            destination: destination.parse().unwrap(),
            hosted: hosted.parse().unwrap(),
            priority,
            due: Timestamp(id as i64),
            size: 4096,
        }
    }

    fn alone(domain: &Domain) -> Site {
        domain.as_str().into()
    }

    fn check(limits: Concurrency, due: &[Candidate], expected: &[u64]) -> Running {
        let mut running = Running::default();
        let chosen = Scheduler::new(limits).choose(due, &mut running, alone);
        let expected: Vec<QueueId> = expected.iter().map(|id| QueueId(*id)).collect();
        assert_eq!(chosen, expected);
        running
    }

    /// Runs one place at a time, as a busy sender does, and tells who was served.
    fn serve_one_by_one(
        due: &mut Vec<Candidate>,
        limits: Concurrency,
        rounds: usize,
    ) -> Vec<Domain> {
        let (mut scheduler, mut running) = (Scheduler::new(limits), Running::default());
        let mut served = Vec::new();
        for _ in 0..rounds {
            let chosen = scheduler.choose(due, &mut running, alone);
            assert_eq!(chosen.len(), 1);
            let at = due.iter().position(|c| c.id == chosen[0]).unwrap();
            served.push(due.remove(at).hosted);
            running.end(chosen[0]);
        }
        assert!(running.is_empty());
        served
    }

    #[test]
    fn urgent_first_then_the_oldest() {
        let due = [
            entry(1, "a.fr", "x.fr", 0),
            entry(2, "a.fr", "y.fr", 4),
            entry(3, "a.fr", "z.fr", -2),
        ];
        check(LIMITS, &due, &[2, 1, 3]);
    }

    #[test]
    fn bulk_leaves_a_place_for_the_urgent_in_all_and_at_its_destination() {
        let mut due: Vec<_> = (0..100).map(|id| entry(id, "a.fr", "x.fr", 0)).collect();
        let mut running = check(LIMITS, &due, &[0, 1, 2]);
        due.push(entry(500, "a.fr", "x.fr", 1));
        due.push(entry(501, "a.fr", "x.fr", 1));
        let mut scheduler = Scheduler::new(LIMITS);
        assert_eq!(scheduler.choose(&due, &mut running, alone), [QueueId(500)]);
        // Nothing starts twice, and bulk does not take the place back.
        assert_eq!(scheduler.choose(&due, &mut running, alone), []);
        running.end(QueueId(500));
        due.retain(|c| c.id != QueueId(500));
        assert_eq!(scheduler.choose(&due, &mut running, alone), [QueueId(501)]);
    }

    #[test]
    fn a_busy_destination_stops_nobody_else() {
        let limits = Concurrency { total: 10, total_urgent: 0, site: 2, site_urgent: 0 };
        let mut due: Vec<_> = (0..100).map(|id| entry(id, "a.fr", "slow.fr", 0)).collect();
        due.push(entry(200, "a.fr", "quick.fr", 0));
        due.push(entry(201, "b.fr", "quick.fr", 0));
        check(limits, &due, &[0, 1, 200, 201]);
    }

    #[test]
    fn domains_of_one_host_share_its_places() {
        let limits = Concurrency { total: 10, total_urgent: 0, site: 2, site_urgent: 0 };
        let due: Vec<_> = (0..9).map(|id| entry(id, "a.fr", &format!("d{id}.fr"), 0)).collect();
        let mut running = Running::default();
        let chosen = Scheduler::new(limits).choose(&due, &mut running, |_| "mx.fr".into());
        assert_eq!(chosen, [QueueId(0), QueueId(1)]);
    }

    #[test]
    fn a_bulk_run_of_one_domain_halves_its_rate_and_no_more() {
        let limits = Concurrency { total: 1, total_urgent: 0, site: 1, site_urgent: 0 };
        let mut due: Vec<_> = (0..1000).map(|id| entry(id, "bulk.fr", "x.fr", 0)).collect();
        due.extend((1000..1020).map(|id| entry(id, "small.fr", "x.fr", 0)));
        let served = serve_one_by_one(&mut due, limits, 60);
        let small = |window: &[Domain]| window.iter().filter(|d| d.as_str() == "small.fr").count();
        assert_eq!(small(&served), 20, "all of them left among the first 60");
        assert!((8..=12).contains(&small(&served[..20])), "by turns: {}", small(&served[..20]));
    }

    #[test]
    fn fairness_counts_octets() {
        let limits = Concurrency { total: 1, total_urgent: 0, site: 1, site_urgent: 0 };
        let mut due: Vec<_> = (0..50).map(|id| entry(id, "large.fr", "x.fr", 0)).collect();
        due.iter_mut().for_each(|c| c.size = 1_000_000);
        due.extend((1000..2000).map(|id| entry(id, "small.fr", "x.fr", 0)));
        let served = serve_one_by_one(&mut due, limits, 520);
        let large = served.iter().filter(|d| d.as_str() == "large.fr").count();
        assert!((8..=12).contains(&large), "one large message for some 50 small ones: {large}");
    }

    #[test]
    fn three_domains_take_turns() {
        let limits = Concurrency { total: 1, total_urgent: 0, site: 1, site_urgent: 0 };
        let mut due: Vec<_> = (0..300)
            .map(|id| entry(id, ["a.fr", "b.fr", "c.fr"][id as usize % 3], "x.fr", 0))
            .collect();
        let served = serve_one_by_one(&mut due, limits, 90);
        for name in ["a.fr", "b.fr", "c.fr"] {
            let count = served.iter().filter(|d| d.as_str() == name).count();
            assert!((25..=35).contains(&count), "{name}: {count}");
        }
    }

    #[test]
    fn a_blocked_domain_does_not_hoard_credit() {
        let limits = Concurrency { total: 2, total_urgent: 0, site: 1, site_urgent: 0 };
        let (mut scheduler, mut running) = (Scheduler::new(limits), Running::default());
        let blocked: Vec<_> = (0..10).map(|id| entry(id, "a.fr", "x.fr", 0)).collect();
        assert_eq!(scheduler.choose(&blocked, &mut running, alone), [QueueId(0)]);
        for _ in 0..1000 {
            assert_eq!(scheduler.choose(&blocked, &mut running, alone), []);
        }
        let level = scheduler.levels.values().next().unwrap();
        assert!(level.credit.values().all(|credit| *credit <= QUANTUM_BYTES));
    }

    #[test]
    fn reserves_never_close_the_ordinary_lane() {
        let limits = Concurrency { total: 2, total_urgent: 9, site: 1, site_urgent: 9 };
        check(limits, &[entry(1, "a.fr", "x.fr", 0)], &[1]);
    }

    #[test]
    fn a_full_window_is_scheduled_at_once() {
        let limits = Concurrency { total: 64, total_urgent: 8, site: 8, site_urgent: 2 };
        let mut due: Vec<_> = (0..32_000)
            .map(|id| entry(id, &format!("h{}.fr", id % 500), &format!("d{}.fr", id % 40), 0))
            .collect();
        due.iter_mut().for_each(|c| c.size = 30_000_000);
        let mut running = Running::default();
        let chosen = Scheduler::new(limits).choose(&due, &mut running, alone);
        assert_eq!(chosen.len(), 56);
    }
}
