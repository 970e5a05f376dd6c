//! Shutdown as a value passed down: stop accepting, let transactions end, close.

use std::sync::Arc;
use tokio::sync::watch;

/// Whoever holds it decides when the process stops. Dropping it stops too.
pub struct ShutdownTrigger(watch::Sender<bool>);

impl ShutdownTrigger {
    /// Tells everybody. May be called more than once.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

/// Tells whether the process stops.
#[derive(Clone)]
pub struct Shutdown(Arc<watch::Receiver<bool>>);

impl Shutdown {
    /// A fresh pair.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> (ShutdownTrigger, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Shutdown(Arc::new(receiver)))
    }

    /// Whether stopping was requested.
    pub fn requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns once stopping is requested. Cancel-safe.
    pub async fn wait(&self) {
        let mut receiver = (*self.0).clone();
        // An error means that the trigger is gone: that is a stop too.
        let _ = receiver.wait_for(|stop| *stop).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_the_request_or_the_drop() {
        let (trigger, shutdown) = Shutdown::new();
        assert!(!shutdown.requested());
        let waiter = shutdown.clone();
        let task = tokio::spawn(async move { waiter.wait().await });
        trigger.request();
        task.await.unwrap();
        assert!(shutdown.requested());

        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.wait().await;
        assert!(shutdown.requested());
    }
}
