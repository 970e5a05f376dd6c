//! The worker beside everything else: a thread of its own, last in line for the processor, that steps back while
//! others change the store.

use crate::limits::{
    BUSY_BATCHES_PER_SEC, FAILED, IDLE, NICE, REST_BUSY_SLICES, REST_QUIET_QUARTERS, SLICE,
};
use crate::worker::{Indexer, Progress};
use palombe_driver::{Pool, Shutdown, Task, spawn};
use palombe_store::{Store, StoreError};
use std::time::{Duration, Instant};

/// Starts the worker; before the doors open, since a new version of the texts makes old indexes void.
///
/// # Errors
/// The store's.
pub fn start(store: Store, shutdown: Shutdown) -> Result<Task<()>, StoreError> {
    let indexer = Indexer::new(store.clone())?;
    Ok(spawn("indexing", work(store, indexer, shutdown)))
}

async fn work(store: Store, mut indexer: Indexer, shutdown: Shutdown) {
    let pool = Pool::new(1, 1);
    // On Linux this is the thread's own priority.
    let lowered = pool.run(|| rustix::process::setpriority_process(None, NICE)).await;
    if !matches!(lowered, Ok(Ok(()))) {
        tracing::warn!("the indexing thread runs at the usual priority");
    }
    let mut load = Load::new(&store);
    while !shutdown.requested() {
        let job = move || {
            let result = indexer.run(SLICE);
            (indexer, result)
        };
        let Ok((back, result)) = pool.run(job).await else {
            tracing::error!("the indexing worker is gone; searches read what it left");
            return;
        };
        indexer = back;
        let pause = match result {
            Ok(Progress::Idle) => IDLE,
            Ok(Progress::Worked) if load.is_busy(&store, indexer.batches) => {
                SLICE * REST_BUSY_SLICES
            }
            Ok(Progress::Worked) => SLICE / 4 * REST_QUIET_QUARTERS,
            Err(error) => {
                tracing::warn!(%error, "indexing goes on later");
                FAILED
            }
        };
        tokio::select! {
            () = shutdown.wait() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How much others change the store.
struct Load {
    since: Instant,
    batches: u64,
    own: u64,
}

impl Load {
    fn new(store: &Store) -> Load {
        Load { since: Instant::now(), batches: committed(store), own: 0 }
    }

    fn is_busy(&mut self, store: &Store, own: u64) -> bool {
        let now = Load { since: Instant::now(), batches: committed(store), own };
        let all = now.batches.saturating_sub(self.batches);
        let others = all.saturating_sub(now.own.saturating_sub(self.own));
        let time = now.since.duration_since(self.since).max(Duration::from_millis(1));
        *self = now;
        others.saturating_mul(1000) / time.as_millis().max(1) as u64 > BUSY_BATCHES_PER_SEC
    }
}

fn committed(store: &Store) -> u64 {
    store.stats().map_or(0, |stats| stats.batches)
}
