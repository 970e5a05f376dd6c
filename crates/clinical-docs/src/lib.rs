//! # clinical-docs: what is inside the mail, from octets to facts and back
//!
//! *Lives here:* IHE XDM archives, their metadata (ebRIM), CDA R2 headers and narrative, patient identity as documents
//! write it, conformity checks, safe rendering, HL7v2 messages and their framing.
//! *Never enters:* files, sockets, clocks, randomness, house rules, a sender's stylesheet.
//! *Who may call:* the extraction worker (in its sealed process), bridges, commands, tests, fuzz targets.
//! *Serves:* IHE ITI-32 and XDM, CI-SIS structuration minimale, échange and transmission; ANS spec mssante §7, §12.
//!
//! **Invariants: nothing panics and nothing is read past a limit of [`Limits`]; no document type, no entity, no
//! network; what cannot be read is an error that names its reason, what is merely wrong is a finding; the same octets
//! always give the same facts, the same facts the same octets.**

mod archive;
pub mod cda;
pub mod check;
mod digest;
mod ebrim;
mod error;
mod facts;
mod findings;
pub mod hl7v2;
mod limits;
pub mod render;
pub mod valuesets;
pub mod xdm;
pub mod xds;
mod xml;

pub use archive::{File, unzip, zip_files};
pub use digest::sha1_hex;
pub use ebrim::{
    Action, Association, AssociationKind, DocumentEntry, Submission, SubmissionSet, XdsAuthor,
    XdsCode, read_metadata, write_metadata,
};
pub use error::{Bound, DocError, Hl7Fault, XmlFault, ZipFault};
pub use facts::{Code, Cx, HlTime, Id, Qualifier};
pub use findings::{Finding, Rule, Severity};
pub use limits::Limits;
