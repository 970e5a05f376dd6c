//! Wakes: hints that something changed. The log in the store is the truth, so a lost or doubled wake harms nobody.

use crate::limits::BUS_SHARDS;
use palombe_vocabulary::BalId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;

type Shard = Mutex<HashMap<BalId, watch::Sender<()>>>;

/// Who is to be woken. Clones share everything; wakes never block.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    shards: Vec<Shard>,
    queue: watch::Sender<()>,
}

impl Default for Bus {
    fn default() -> Self {
        Bus::new()
    }
}

impl Bus {
    /// Nobody subscribed.
    pub fn new() -> Self {
        let shards = (0..BUS_SHARDS).map(|_| Shard::default()).collect();
        Bus(Arc::new(Inner { shards, queue: watch::Sender::new(()) }))
    }

    /// Something changed in this BAL.
    pub fn wake_bal(&self, bal: BalId) {
        if let Some(sender) = self.shard(bal).lock().get(&bal) {
            sender.send_replace(());
        }
    }

    /// Wakes for one BAL, from now on. The BAL is forgotten with its last subscriber.
    pub fn subscribe_bal(&self, bal: BalId) -> Wakes {
        let receiver =
            self.shard(bal).lock().entry(bal).or_insert_with(|| watch::Sender::new(())).subscribe();
        Wakes { receiver: Some(receiver), entry: Some((self.clone(), bal)) }
    }

    /// Something was queued, or became due.
    pub fn wake_queue(&self) {
        self.0.queue.send_replace(());
    }

    /// Wakes for the queue, from now on.
    pub fn queue_waker(&self) -> Wakes {
        Wakes { receiver: Some(self.0.queue.subscribe()), entry: None }
    }

    /// BAL with at least one subscriber.
    pub fn subscribed_bals(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn shard(&self, bal: BalId) -> &Shard {
        &self.0.shards[(bal.0 % BUS_SHARDS as u64) as usize]
    }
}

/// One subscription.
pub struct Wakes {
    receiver: Option<watch::Receiver<()>>,
    entry: Option<(Bus, BalId)>,
}

impl Wakes {
    /// Returns at the first wake since the last return; several wakes count as one. Never returns once the bus is
    /// gone. Cancel-safe.
    pub async fn changed(&mut self) {
        if let Some(receiver) = &mut self.receiver
            && receiver.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        let Some((bus, bal)) = self.entry.take() else { return };
        let mut shard = bus.shard(bal).lock();
        // Dropped under the lock, so that of two last subscribers one sees the count fall to zero.
        self.receiver = None;
        if shard.get(&bal).is_some_and(|sender| sender.receiver_count() == 0) {
            shard.remove(&bal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn wakes_reach_their_bal_alone_and_coalesce() {
        let bus = Bus::new();
        let mut one = bus.subscribe_bal(BalId(1));
        let mut other = bus.subscribe_bal(BalId(65));
        bus.wake_bal(BalId(1));
        bus.wake_bal(BalId(1));
        one.changed().await;
        assert!(one.changed().now_or_never().is_none());
        assert!(other.changed().now_or_never().is_none());
    }

    #[test]
    fn a_bal_is_forgotten_with_its_last_subscriber() {
        let bus = Bus::new();
        let (a, b) = (bus.subscribe_bal(BalId(7)), bus.subscribe_bal(BalId(7)));
        assert_eq!(bus.subscribed_bals(), 1);
        drop(a);
        assert_eq!(bus.subscribed_bals(), 1);
        drop(b);
        assert_eq!(bus.subscribed_bals(), 0);
        bus.wake_bal(BalId(7));
    }

    #[tokio::test]
    async fn a_wake_of_the_queue_before_the_wait_is_kept() {
        let bus = Bus::new();
        let mut wakes = bus.queue_waker();
        bus.wake_queue();
        wakes.changed().await;
        assert!(wakes.changed().now_or_never().is_none());
    }
}
