//! # store: the only room with a database
//!
//! *Lives here:* domains, BAL, folders, messages, bodies, queue, journal; one seam `engine` below all of it.
//! *Never enters:* async, sockets, clocks, MIME, SMTP and IMAP words. *Who may call:* `delivery`, `access`,
//! `imap-server`, `web-api`. Every method blocks. *Serves:* RFC 9051 2.3, RFC 7162, spec mssante §9.
//!
//! A message is in one state: *S0* absent; *S1* octets spooled, unreferenced (swept at open); *S2* accepted: filed,
//! queued, or both, by one synced batch ([`Store::accept`], [`Store::file`], [`Store::queue_settle`]); *S3* every
//! recipient settled; *S4* expunged, its body swept after a grace period.
//!
//! **Invariants: one committer writes; UID, MODSEQ, queue and journal numbers come from counters of the batch and
//! are never used again; what was answered `Ok` with a synced batch survives kill -9 and power loss.**
//! [`Store::check`] verifies what stands here.

mod accept;
mod acl;
mod annotation;
mod blob;
mod check;
mod deed;
mod directory;
mod draft;
mod engine;
mod error;
mod flagging;
mod folder;
mod journal;
mod keys;
pub mod limits;
mod members;
mod message;
#[cfg(test)]
mod model;
mod own_seen;
mod proof;
mod queue;
mod retention;
mod rights;
mod rows;
mod search;
mod spool;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod words;

pub use accept::OnAccepted;
pub use annotation::{AnnotationChange, AnnotationPlace};
pub use blob::BlobReader;
pub use check::CheckDepth;
pub use deed::{Carriage, CarryMode, Deed, FlagScope, FlagUpdate};
pub use error::StoreError;
pub use members::{Member, SeenMode, SharingOptions};
pub use rights::{FolderRights, MemberRights};
pub use search::{
    Candidates, PendingMessage, SearchField, SearchMerge, SearchQuery, SearchStats, SearchTerms,
};
pub use spool::{Spool, SpooledBlob};
pub use store::{Listener, Store};
pub use words::*;
