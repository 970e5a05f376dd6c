//! Octets of bodies in flight, over all connections of a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
pub(crate) struct Budget(Arc<Inner>);

struct Inner {
    taken: AtomicU64,
    max: u64,
}

/// What one body holds of the budget; given back when dropped.
pub(crate) struct Reservation {
    budget: Budget,
    octets: u64,
}

impl Budget {
    pub(crate) fn new(max: u64) -> Budget {
        Budget(Arc::new(Inner { taken: AtomicU64::new(0), max }))
    }

    /// True when not even a small body would find room.
    pub(crate) fn is_spent(&self, octets: u64) -> bool {
        self.0.taken.load(Ordering::Relaxed).saturating_add(octets) > self.0.max
    }

    pub(crate) fn reserve(&self, octets: u64) -> Option<Reservation> {
        self.take(octets).then(|| Reservation { budget: self.clone(), octets })
    }

    fn take(&self, octets: u64) -> bool {
        let more = |taken: u64| taken.checked_add(octets).filter(|sum| *sum <= self.0.max);
        self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl Reservation {
    /// Makes sure that `octets` in all are reserved, taking `step` at a time.
    pub(crate) fn cover(&mut self, octets: u64, step: u64) -> bool {
        while self.octets < octets {
            if !self.budget.take(step) {
                return false;
            }
            self.octets += step;
        }
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.taken.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_comes_back() {
        let budget = Budget::new(100);
        let mut one = budget.reserve(40).unwrap();
        assert!(one.cover(60, 10));
        assert!(budget.reserve(41).is_none());
        let two = budget.reserve(40).unwrap();
        assert!(budget.is_spent(1));
        assert!(!one.cover(61, 10));
        drop((one, two));
        assert!(budget.reserve(100).is_some());
        assert!(budget.reserve(u64::MAX).is_none());
    }
}
