//! METADATA.XML: a SubmitObjectsRequest of ebRIM 3.0, read with the tolerance that senders need and written with the
//! rules that receivers check (CI-SIS, volet échange de documents de santé; IHE ITI TF-3 4.2).

mod model;
mod read;
mod schemes;
mod write;

pub use model::{
    Action, Association, AssociationKind, DocumentEntry, Submission, SubmissionSet, XdsAuthor,
    XdsCode,
};
pub use read::read_metadata;
pub use write::write_metadata;
