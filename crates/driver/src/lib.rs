//! # driver: tokio lives here
//!
//! *Lives here:* accept loops with their limits, PROXY protocol v2, TLS upgrades, the pool of threads through which
//! an edge enters the synchronous house, wakes, timers, shutdown, the clock. The only `tokio::spawn` of the house.
//! *Never enters:* mail, protocols' grammar, verdicts on a peer (`trust`), the store.
//! *Who may call:* doors, workers, the binary.
//! *Serves:* PROXY protocol v2 (HAProxy), RFC 8446 and RFC 5246 by rustls, RFC 3207 4.2 (nothing survives STARTTLS).
//!
//! **Invariants: a [`Stream`] buffers no byte above the socket, so no plaintext survives an upgrade. Every wait on a
//! peer has a limit here or in the door's `limits.rs`. Wakes are hints: the store is the truth.**

mod bus;
mod error;
pub mod limits;
mod listen;
mod pool;
mod proxy;
mod shutdown;
mod stream;
mod task;

pub use bus::{Bus, Wakes};
pub use error::{ConnectError, DriverError, PoolBusy, ProxyError, TlsError};
pub use listen::{Bound, Connection, ListenerSettings, listen};
pub use pool::Pool;
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use stream::{Stream, connect};
pub use task::{Task, periodic, random, session_id, spawn, with_jitter};

use palombe_vocabulary::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The clock of the house: rooms below take the instant as an argument.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
