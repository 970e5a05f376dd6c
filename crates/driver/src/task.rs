//! Tasks, timers, random numbers and session ids.

use crate::Shutdown;
use futures_util::FutureExt;
use palombe_vocabulary::SessionId;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A running task. Dropping it lets the task run on.
#[must_use = "a dropped task runs on unwatched: say so with drop()"]
pub struct Task<T>(JoinHandle<Option<T>>);

impl<T> Task<T> {
    /// Its result, or `None` when it panicked or was aborted. Cancel-safe.
    pub async fn join(&mut self) -> Option<T> {
        (&mut self.0).await.ok().flatten()
    }

    /// Stops it at its next await.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// The only spawn of the house. A panic ends the task alone, and is logged by name without its text, which may hold
/// health data.
pub fn spawn<F>(name: &'static str, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task(tokio::spawn(guarded(name, future)))
}

/// Runs a future and turns its panic into `None` and a log line.
pub(crate) async fn guarded<F: Future>(name: &'static str, future: F) -> Option<F::Output> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(value) => Some(value),
        Err(_) => {
            tracing::error!(task = name, "a task panicked: defect of the house");
            None
        }
    }
}

/// Runs `work` every `period` (± `jitter_percent` of it, drawn anew each time) until shutdown. A slow run delays the
/// next one, two never overlap, and a run that began ends before the task does.
pub fn periodic<F, Fut>(
    name: &'static str,
    period: Duration,
    jitter_percent: u8,
    shutdown: Shutdown,
    mut work: F,
) -> Task<()>
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    spawn(name, async move {
        loop {
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(with_jitter(period, jitter_percent)) => {}
            }
            if guarded(name, work()).await.is_none() {
                tracing::error!(task = name, "one run of a periodic task was lost");
            }
        }
    })
}

/// `period` plus or minus at most `percent` of it (over 100 counts as 100).
pub fn with_jitter(period: Duration, percent: u8) -> Duration {
    let span =
        period.as_nanos().min(u128::from(u64::MAX)) as u64 / 100 * u64::from(percent.min(100));
    if span == 0 {
        return period;
    }
    let draw = random() % (2 * (span / 2).max(1)) * 2;
    period.saturating_sub(Duration::from_nanos(span)) + Duration::from_nanos(draw)
}

/// A random number that an outsider cannot guess.
pub fn random() -> u64 {
    // Without the system's randomness TLS does not work either; jitter alone would be lost here.
    getrandom::u64().unwrap_or(0x9e37_79b9_7f4a_7c15)
}

/// A new session id: consecutive from a random start, so that two runs of the server rarely meet.
pub fn session_id() -> SessionId {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    SessionId(NEXT.get_or_init(|| AtomicU64::new(random())).fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_bounds() {
        for _ in 0..1000 {
            let drawn = with_jitter(Duration::from_secs(100), 20);
            assert!(drawn >= Duration::from_secs(80) && drawn <= Duration::from_secs(120));
        }
        assert_eq!(with_jitter(Duration::from_secs(1), 0), Duration::from_secs(1));
        assert!(with_jitter(Duration::from_secs(1), 255) <= Duration::from_secs(2));
    }

    #[test]
    fn session_ids_differ() {
        assert_ne!(session_id(), session_id());
    }

    #[tokio::test]
    async fn a_panic_ends_one_task_alone() {
        let mut task = spawn("test", async { panic!("for the test") });
        assert_eq!(task.join().await, None::<()>);
    }

    #[tokio::test(start_paused = true)]
    async fn a_periodic_task_runs_until_shutdown() {
        let (trigger, shutdown) = Shutdown::new();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let mut task = periodic("test", Duration::from_secs(3600), 10, shutdown, move || {
            let sender = sender.clone();
            async move {
                let _ = sender.send(()).await;
            }
        });
        receiver.recv().await.unwrap();
        receiver.recv().await.unwrap();
        trigger.request();
        receiver.close();
        assert_eq!(task.join().await, Some(()));
    }
}
