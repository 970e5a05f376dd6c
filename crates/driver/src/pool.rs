//! The bounded pool of threads through which an edge enters the synchronous house.
//!
//! tokio's own blocking pool opens up to 512 threads and lets any number of jobs wait; here both are bounded, and the
//! refusal reaches the peer as a 4xx.

use crate::PoolBusy;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Threads for blocking house work. Clones share them; when the last clone is dropped, waiting jobs are still run
/// and then the threads end.
#[derive(Clone)]
pub struct Pool(Arc<Owner>);

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Shared {
    threads_max: usize,
    waiting_max: usize,
    state: Mutex<State>,
    job_or_close: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    /// At most `threads_max` jobs run and `waiting_max` wait. Threads start when they are first needed.
    pub fn new(threads_max: usize, waiting_max: usize) -> Self {
        Pool(Arc::new(Owner(Arc::new(Shared {
            threads_max: threads_max.max(1),
            waiting_max,
            state: Mutex::new(State::default()),
            job_or_close: Condvar::new(),
            ended: Condvar::new(),
        }))))
    }

    /// Runs a blocking job and gives its result.
    ///
    /// Not cancel-safe in one sense: a job once waiting is run even when this future is dropped; only its result is
    /// lost then.
    ///
    /// # Errors
    /// [`PoolBusy`]: nothing was started, except for `Panicked`.
    pub async fn run<T, F>(&self, job: F) -> Result<T, PoolBusy>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.0.0.clone().submit(Box::new(move || {
            let _ = sender.send(job());
        }))?;
        // The sender is dropped unsent only by a panic: waiting jobs are run even after the close.
        receiver.await.map_err(|_| PoolBusy::Panicked)
    }

    /// Jobs waiting for a thread.
    pub fn waiting(&self) -> usize {
        self.0.0.state.lock().waiting.len()
    }

    /// Jobs running.
    pub fn running(&self) -> usize {
        let state = self.0.0.state.lock();
        state.threads - state.idle
    }

    /// Takes no more jobs, and blocks until those taken have ended. For the end of the process, before the store is
    /// closed; never call it from a job or from a tokio thread.
    pub fn close(&self) {
        self.0.0.close();
        let mut state = self.0.0.state.lock();
        while state.threads > 0 {
            self.0.0.ended.wait(&mut state);
        }
    }
}

impl Shared {
    fn submit(self: Arc<Self>, job: Job) -> Result<(), PoolBusy> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(PoolBusy::Closed);
        }
        // Idle threads not yet woken will each take one of those waiting.
        let free = state.idle + (self.threads_max - state.threads);
        if state.waiting.len() >= self.waiting_max + free {
            return Err(PoolBusy::Full);
        }
        state.waiting.push_back(job);
        if state.waiting.len() > state.idle && state.threads < self.threads_max {
            self.start_thread(&mut state)?;
        } else {
            self.job_or_close.notify_one();
        }
        Ok(())
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> Result<(), PoolBusy> {
        let shared = self.clone();
        let started = std::thread::Builder::new().name("house".into()).spawn(move || shared.work());
        match started {
            Ok(_) => state.threads += 1,
            // The other threads will come to it.
            Err(error) if state.threads > 0 => {
                tracing::error!(%error, "cannot start a pool thread");
            }
            Err(error) => {
                tracing::error!(%error, "cannot start the first pool thread");
                state.waiting.pop_back();
                return Err(PoolBusy::Full);
            }
        }
        Ok(())
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a pool job panicked: defect of the house");
                }
                state = self.state.lock();
            } else if state.closed {
                state.threads -= 1;
                self.ended.notify_all();
                return;
            } else {
                state.idle += 1;
                self.job_or_close.wait(&mut state);
                state.idle -= 1;
            }
        }
    }

    fn close(&self) {
        self.state.lock().closed = true;
        self.job_or_close.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Barrier;

    #[tokio::test]
    async fn runs_refuses_when_full_and_survives_a_panic() {
        let pool = Pool::new(1, 1);
        assert_eq!(pool.run(|| 6 * 7).await, Ok(42));
        assert_eq!(pool.run(|| panic!("for the test")).await, Err::<(), _>(PoolBusy::Panicked));

        let gate = Arc::new(Barrier::new(2));
        let (held, entered) = (gate.clone(), Arc::new(Barrier::new(2)));
        let inside = entered.clone();
        let (first, second) = (pool.clone(), pool.clone());
        let running = tokio::spawn(async move {
            first
                .run(move || {
                    inside.wait();
                    held.wait();
                })
                .await
        });
        tokio::task::spawn_blocking(move || entered.wait()).await.unwrap();
        let mut waiting = Box::pin(second.run(|| ()));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(pool.waiting(), 1);
        assert_eq!(pool.run(|| ()).await, Err(PoolBusy::Full));
        tokio::task::spawn_blocking(move || gate.wait()).await.unwrap();
        assert_eq!(running.await.unwrap(), Ok(()));
        assert_eq!(waiting.await, Ok(()));
    }

    #[tokio::test]
    async fn close_runs_what_waits_and_refuses_the_rest() {
        let pool = Pool::new(2, 100);
        let mut jobs: Vec<_> = (0..50).map(|n| Box::pin(pool.run(move || n))).collect();
        for job in &mut jobs {
            // Polled once: submitted.
            let _ = job.now_or_never();
        }
        let closing = pool.clone();
        tokio::task::spawn_blocking(move || closing.close()).await.unwrap();
        assert_eq!(pool.waiting() + pool.running(), 0);
        assert_eq!(pool.run(|| ()).await, Err(PoolBusy::Closed));
    }
}
