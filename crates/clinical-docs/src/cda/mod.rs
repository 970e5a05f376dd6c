//! CDA R2: the header whole, the body as far as a mailbox needs it (CI-SIS, volet structuration minimale).

mod body;
mod header;
mod model;
mod narrative;
mod patient;
mod read;

pub use body::{Attachment, AttachmentRole, Body, Level, Section};
pub use model::{
    Address, AuthorKind, Authorization, Consent, Device, Encounter, Entity, Facility, Header,
    NameParts, Order, Organization, Participation, Period, PersonName, RelatedDocument,
    RelationKind, ServiceEvent, Telecom,
};
pub use narrative::{narrative_html, narrative_text};
pub use patient::{InsStanding, NamePart, Patient, TraitsIns};
pub use read::{Cda, is_cda, read_cda};

pub(crate) use read::with_document;
