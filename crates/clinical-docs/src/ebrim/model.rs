//! What METADATA.XML says. Values stay as written: what is wrong with them is for the checks.

use crate::facts::{Cx, Id, redacted};
use serde::{Deserialize, Serialize};

/// A whole METADATA.XML.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Submission sets; one, normally.
    pub sets: Vec<SubmissionSet>,
    /// Document entries.
    pub documents: Vec<DocumentEntry>,
    /// Associations between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub associations: Vec<Association>,
}

/// XDSSubmissionSet.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubmissionSet {
    /// Symbolic identifier in the file.
    pub id: String,
    /// uniqueId.
    pub unique_id: Option<String>,
    /// sourceId: OID of the sending system.
    pub source_id: Option<String>,
    /// patientId, a CX.
    pub patient_id: Option<String>,
    /// submissionTime.
    pub submission_time: Option<String>,
    /// contentTypeCode.
    pub content_type: Option<XdsCode>,
    /// Who submits.
    pub authors: Vec<XdsAuthor>,
    /// Title.
    pub title: Option<String>,
    /// Comments.
    pub comments: Option<String>,
    /// Replacement or deletion, when it is said for the whole lot.
    pub action: Option<Action>,
}

/// XDSDocumentEntry.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DocumentEntry {
    /// entryUUID or symbolic identifier.
    pub id: String,
    /// `text/xml` for a CDA.
    pub mime_type: String,
    /// uniqueId: the CDA's identifier.
    pub unique_id: Option<String>,
    /// patientId, a CX.
    pub patient_id: Option<String>,
    /// sourcePatientId, a CX.
    pub source_patient_id: Option<String>,
    /// sourcePatientInfo, `PID-5|…`.
    pub source_patient_info: Vec<String>,
    /// SHA-1 of the file, in hexadecimal.
    pub hash: Option<String>,
    /// Octets of the file.
    pub size: Option<String>,
    /// Name of the file, relative to METADATA.XML.
    pub uri: Option<String>,
    /// creationTime.
    pub creation_time: Option<String>,
    /// languageCode.
    pub language: Option<String>,
    /// legalAuthenticator, an XCN.
    pub legal_authenticator: Option<String>,
    /// serviceStartTime.
    pub service_start: Option<String>,
    /// serviceStopTime.
    pub service_stop: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Comments.
    pub comments: Option<String>,
    /// Version of the entry.
    pub version: Option<String>,
    /// Authors of the document.
    pub authors: Vec<XdsAuthor>,
    /// classCode.
    pub class: Option<XdsCode>,
    /// typeCode.
    pub kind: Option<XdsCode>,
    /// formatCode.
    pub format: Option<XdsCode>,
    /// healthcareFacilityTypeCode.
    pub facility: Option<XdsCode>,
    /// practiceSettingCode.
    pub practice: Option<XdsCode>,
    /// confidentialityCode.
    pub confidentiality: Vec<XdsCode>,
    /// eventCodeList.
    pub events: Vec<XdsCode>,
    /// referenceIdList, CXi values.
    pub references: Vec<String>,
    /// Replacement or deletion.
    pub action: Option<Action>,
    /// Slots that have no name here.
    pub other_slots: Vec<(String, Vec<String>)>,
}
redacted!(Submission, SubmissionSet, DocumentEntry);

/// What the receiver is to do with a document that it has already (volet transmission, `action`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// `C`: replaces a version that was sent before.
    Change,
    /// `D`: is to be deleted.
    Delete,
}

impl Action {
    /// The letter of the slot.
    pub const fn letter(self) -> &'static str {
        match self {
            Action::Change => "C",
            Action::Delete => "D",
        }
    }

    /// Reads the letter, or the word it stands for.
    pub fn from_text(text: &str) -> Option<Action> {
        match text.trim().to_ascii_uppercase().as_str() {
            "C" | "CHANGE" => Some(Action::Change),
            "D" | "DELETE" | "DELETED" => Some(Action::Delete),
            _ => None,
        }
    }
}

/// A coded value of the metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdsCode {
    /// The code.
    pub code: String,
    /// codingScheme, an OID or `URN`.
    pub system: String,
    /// Its label.
    pub label: String,
}

/// An author: each value as written.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XdsAuthor {
    /// authorPerson, XCN.
    pub persons: Vec<String>,
    /// authorInstitution, XON.
    pub institutions: Vec<String>,
    /// authorRole.
    pub roles: Vec<String>,
    /// authorSpecialty, `code^label^system`.
    pub specialties: Vec<String>,
}
redacted!(XdsAuthor);

/// A link between two objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// What it says.
    pub kind: AssociationKind,
    /// sourceObject.
    pub source: String,
    /// targetObject.
    pub target: String,
}

/// What an association says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssociationKind {
    /// The source, a submission set, holds the target.
    HasMember,
    /// The source replaces the target.
    Replaces,
    /// The source is another form of the target.
    Transforms,
    /// The source completes the target.
    Appends,
    /// The source signs the target.
    Signs,
    /// The source changes the status of the target.
    StatusChange,
    /// Anything else, as written.
    Other(String),
}

impl DocumentEntry {
    /// The document's identifier.
    pub fn identifier(&self) -> Option<Id> {
        self.unique_id.as_deref().map(Id::from_unique_id)
    }

    /// The patient's identifier.
    pub fn patient(&self) -> Option<Cx> {
        self.patient_id.as_deref().and_then(Cx::parse)
    }
}

impl XdsCode {
    /// A code.
    pub fn new(code: &str, system: &str, label: &str) -> XdsCode {
        XdsCode { code: code.to_owned(), system: system.to_owned(), label: label.to_owned() }
    }
}
