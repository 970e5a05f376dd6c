//! HL7v2 between the messaging and the hospital's record (CI-SIS, transmission of a CDA R2; spec mssante §12).

mod er7;
mod mllp;

pub use er7::{Message, Segment, Separators, escape, unescape};
pub use mllp::{Deframer, frame};
