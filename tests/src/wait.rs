//! Waiting for something to become true: asked again and again until a deadline, never a fixed sleep.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine; a test that works never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is `Some`, or fails with `what` after [`PATIENCE`].
pub fn until<T>(what: &str, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    within(PATIENCE, what, ask)
}

/// Asks until the answer is `Some`, or fails with `what` after `patience`.
pub fn within<T>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not within {} s", patience.as_secs());
        }
        pause();
    }
}

/// The one sleep of the tests: between two questions.
fn pause() {
    std::thread::sleep(Duration::from_millis(20)); // tidy: the polling helper
}
