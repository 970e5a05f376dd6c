//! # directory-sync: the liste blanche and the CRLs, fetched, verified, handed over
//!
//! *Lives here:* the only network client of the trust material, in a process of its own. It fetches
//! by conditional GET, verifies, and hands over by atomic rename into the snapshot folder
//! `{liste-blanche.xml, crl/*.crl}`, where the last good files stay whatever happens outside. The
//! server reads that folder and verifies everything again.
//! *Never enters:* verdicts on peers, mail, the store.
//! *Who may call:* its own binary and its tests.
//! *Serves:* spec mssante §1.3; identity-directory §3.6, §4.2.

pub mod config;
mod fetch;
pub mod limits;
mod snapshot;
mod sync;

pub use config::{Config, ConfigError};
pub use snapshot::SnapshotError;
pub use sync::{Outcome, Report, Sync, SyncError};
