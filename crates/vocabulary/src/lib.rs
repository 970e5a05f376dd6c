//! # vocabulary: the words of the field as types
//!
//! *Lives here:* addresses, domains, BAL kinds, identifiers, `Secret`, instants. A value of one of these types is
//! valid: it was made by parsing.
//! *Never enters:* I/O, clocks, randomness, protocol grammars, database rows.
//! *Who may call:* everybody. *Serves:* RFC 5321 4.1.2, RFC 6531, UTS 46, TRE_R257-TypeBAL.
//!
//! | référentiel | here | reference |
//! | --- | --- | --- |
//! | BAL; PER, ORG, APP, CAB | [`BalAddress`], [`BalKind`] | TRE_R257-TypeBAL |
//! | INS, matricule | [`Ins`], [`MatriculeIns`], [`InsAuthority`] | référentiel INS, CI-SIS structuration minimale |
//! | liste rouge | [`Publication`] | Annuaire Santé, `listeRouge` |

mod address;
mod bal;
mod ids;
mod ins;
mod secret;
mod time;

pub use address::{AddressError, Domain, DomainError, MailAddress, ReversePath};
pub use bal::{BalAddress, BalKind, BalStatus, Publication, UnknownBalKind};
pub use ids::{BalId, FolderId, ModSeq, QueueId, SessionId, Uid, UidValidity};
pub use ins::{Ins, InsAuthority, MatriculeError, MatriculeIns};
pub use secret::Secret;
pub use time::{Timestamp, TimestampError};
