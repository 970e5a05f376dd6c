//! Conformity and consistency: what a receiver will not like, never a reason to refuse mail.

mod archive;
mod header;
mod message;

pub use message::{Companion, Declared, Examination, Inbound, KnownDocument, MessageKind, examine};

use crate::archive::File;
use crate::cda::{is_cda, read_cda};
use crate::ebrim::read_metadata;
use crate::findings::{Finding, Rule};
use crate::hl7v2;
use crate::limits::Limits;
use crate::xdm::read_xdm;
use serde::{Deserialize, Serialize};

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// An IHE_XDM archive.
    Xdm,
    /// METADATA.XML alone.
    Metadata,
    /// A CDA alone.
    Cda,
    /// An HL7v2 message.
    Hl7v2,
    /// Something else.
    Unknown,
}

/// The report on one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What it is.
    pub kind: FileKind,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
}

/// Checks one file of any kind that this room reads. Never fails: what cannot be read is a finding.
pub fn check_file(bytes: &[u8], limits: &Limits) -> CheckReport {
    let mut findings = Vec::new();
    let mut broken = |fault: crate::DocError| {
        findings.push(Finding::with(Rule::Unreadable, fault.french().trim_end_matches('.')));
    };
    let kind = if bytes.starts_with(b"PK") {
        match read_xdm(bytes, limits) {
            Ok(xdm) => findings = archive::check(&xdm),
            Err(fault) => broken(fault),
        }
        FileKind::Xdm
    } else if bytes.strip_prefix(b"\x0B").unwrap_or(bytes).starts_with(b"MSH") {
        let message = bytes.strip_prefix(b"\x0B").unwrap_or(bytes);
        match hl7v2::Message::parse(message, limits) {
            Ok(message) => findings = hl7v2::check(&message, limits),
            Err(fault) => broken(fault),
        }
        FileKind::Hl7v2
    } else if is_cda(bytes) {
        match read_cda(bytes, limits) {
            Ok(cda) => findings = header::check(&cda, bytes),
            Err(fault) => broken(fault),
        }
        FileKind::Cda
    } else {
        match read_metadata(bytes, limits) {
            Ok(submission) => {
                findings = archive::check_submission(&submission);
                FileKind::Metadata
            }
            Err(fault) => {
                broken(fault);
                FileKind::Unknown
            }
        }
    };
    sort(&mut findings);
    CheckReport { kind, findings }
}

/// Worst first; the order of the rules within.
fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.rule));
}

/// True when the octets begin as a PDF does; some writers put blanks before.
pub(crate) fn is_pdf(bytes: &[u8]) -> bool {
    const HEAD_BYTES_MAX: usize = 1024;
    memchr::memmem::find(&bytes[..bytes.len().min(HEAD_BYTES_MAX)], b"%PDF-").is_some()
}

/// A file of the message with its name.
pub type Attached = File;
