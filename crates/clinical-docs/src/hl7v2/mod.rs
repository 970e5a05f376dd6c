//! HL7v2 between the messaging and the hospital's record (CI-SIS, transmission of a CDA R2; ANS spec mssante §12).

mod ack;
mod build;
mod check;
mod er7;
mod mdm;
mod mllp;
mod request;
mod zam;

pub use ack::{Ack, AckCode, AckError, ApplicationError, Condition, Failure, build_ack, parse_ack};
pub use build::{Endpoint, Processing};
pub use check::check;
pub use er7::{Message, Segment, Separators, escape, unescape};
pub use mdm::{Event, Mdm, Party, Visibility, build_mdm};
pub use mllp::{Deframer, frame};
pub use request::{
    Decision, Flag, Reader, Recipient, Request, RequestDocument, Unallowed, parse_request,
};
pub use zam::{Zam, ZamEvent, ZamFailure, build_zam, parse_zam, smtp_error};
