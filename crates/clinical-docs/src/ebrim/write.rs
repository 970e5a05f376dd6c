//! METADATA.XML out, children in the order of rim.xsd: Slot, Name, Description, VersionInfo, Classification,
//! ExternalIdentifier.

use super::model::{AssociationKind, DocumentEntry, Submission, SubmissionSet, XdsAuthor, XdsCode};
use super::schemes as s;
use crate::xml::Writer;

const RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
const LCM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0";
const PACKAGE: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage";
const EXTERNAL: &str =
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier";
const CLASSIFIED: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification";

/// Writes METADATA.XML: the same submission always gives the same octets.
pub fn write_metadata(submission: &Submission) -> Vec<u8> {
    let mut out = Out { xml: Writer::new(), count: 0 };
    out.xml.open("lcm:SubmitObjectsRequest", &[("xmlns:lcm", LCM), ("xmlns", RIM)]);
    out.xml.open("RegistryObjectList", &[]);
    for set in &submission.sets {
        out.set(set);
    }
    for entry in &submission.documents {
        out.entry(entry);
    }
    for association in &submission.associations {
        let kind = match &association.kind {
            AssociationKind::HasMember => s::HAS_MEMBER,
            AssociationKind::Replaces => s::REPLACES,
            AssociationKind::Transforms => s::TRANSFORMS,
            AssociationKind::Appends => s::APPENDS,
            AssociationKind::Signs => s::SIGNS,
            AssociationKind::StatusChange => s::STATUS_CHANGE,
            AssociationKind::Other(kind) => kind,
        };
        let id = out.id("as");
        out.xml.open(
            "Association",
            &[
                ("id", &id),
                ("associationType", kind),
                ("sourceObject", &association.source),
                ("targetObject", &association.target),
            ],
        );
        if association.kind == AssociationKind::HasMember {
            out.slot("SubmissionSetStatus", &["Original"]);
        }
        out.xml.close();
    }
    out.xml.finish()
}

struct Out {
    xml: Writer,
    count: u32,
}

impl Out {
    fn id(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{:04}", self.count)
    }

    fn slot<T: AsRef<str>>(&mut self, name: &str, values: &[T]) {
        if values.is_empty() {
            return;
        }
        self.xml.open("Slot", &[("name", name)]);
        self.xml.open("ValueList", &[]);
        for value in values {
            self.xml.leaf("Value", value.as_ref());
        }
        self.xml.close();
        self.xml.close();
    }

    fn optional_slot(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.slot(name, &[value]);
        }
    }

    fn label(&mut self, element: &'static str, text: &str) {
        self.xml.open(element, &[]);
        self.xml
            .empty("LocalizedString", &[("xml:lang", "FR"), ("charset", "UTF8"), ("value", text)]);
        self.xml.close();
    }

    fn classification(&mut self, object: &str, scheme: &str, node: &str) {
        let id = self.id("cl");
        self.xml.open(
            "Classification",
            &[
                ("id", &id),
                ("objectType", CLASSIFIED),
                ("classificationScheme", scheme),
                ("classifiedObject", object),
                ("nodeRepresentation", node),
            ],
        );
    }

    fn code(&mut self, object: &str, scheme: &str, code: Option<&XdsCode>) {
        let Some(code) = code else { return };
        self.classification(object, scheme, &code.code);
        self.slot("codingScheme", &[&code.system]);
        self.label("Name", &code.label);
        self.xml.close();
    }

    fn author(&mut self, object: &str, scheme: &str, author: &XdsAuthor) {
        self.classification(object, scheme, "");
        self.slot("authorInstitution", &author.institutions);
        self.slot("authorPerson", &author.persons);
        self.slot("authorRole", &author.roles);
        self.slot("authorSpecialty", &author.specialties);
        self.xml.close();
    }

    fn external(&mut self, object: &str, scheme: &str, value: Option<&String>, name: &str) {
        let Some(value) = value else { return };
        let id = self.id("ei");
        self.xml.open(
            "ExternalIdentifier",
            &[
                ("id", &id),
                ("objectType", EXTERNAL),
                ("registryObject", object),
                ("identificationScheme", scheme),
                ("value", value),
            ],
        );
        self.label("Name", name);
        self.xml.close();
    }

    fn set(&mut self, set: &SubmissionSet) {
        let id = set.id.as_str();
        self.xml.open(
            "RegistryPackage",
            &[("id", id), ("objectType", PACKAGE), ("status", s::APPROVED)],
        );
        self.optional_slot("submissionTime", set.submission_time.as_ref());
        if let Some(action) = set.action {
            self.slot(s::ACTION_SLOT, &[action.letter()]);
        }
        if let Some(title) = &set.title {
            self.label("Name", title);
        }
        if let Some(comments) = &set.comments {
            self.label("Description", comments);
        }
        for author in &set.authors {
            self.author(id, s::SET_AUTHOR, author);
        }
        self.code(id, s::SET_CONTENT_TYPE, set.content_type.as_ref());
        let node = self.id("cl");
        self.xml.empty(
            "Classification",
            &[
                ("id", &node),
                ("objectType", CLASSIFIED),
                ("classificationNode", s::SET_NODE),
                ("classifiedObject", id),
            ],
        );
        self.external(id, s::SET_PATIENT, set.patient_id.as_ref(), "XDSSubmissionSet.patientId");
        self.external(id, s::SET_SOURCE, set.source_id.as_ref(), "XDSSubmissionSet.sourceId");
        self.external(id, s::SET_UNIQUE, set.unique_id.as_ref(), "XDSSubmissionSet.uniqueId");
        self.xml.close();
    }

    fn slots(&mut self, entry: &DocumentEntry) {
        self.optional_slot("hash", entry.hash.as_ref());
        self.optional_slot("size", entry.size.as_ref());
        self.optional_slot("URI", entry.uri.as_ref());
        self.optional_slot("creationTime", entry.creation_time.as_ref());
        self.optional_slot("languageCode", entry.language.as_ref());
        self.optional_slot("legalAuthenticator", entry.legal_authenticator.as_ref());
        self.optional_slot("serviceStartTime", entry.service_start.as_ref());
        self.optional_slot("serviceStopTime", entry.service_stop.as_ref());
        self.optional_slot("sourcePatientId", entry.source_patient_id.as_ref());
        self.slot("sourcePatientInfo", &entry.source_patient_info);
        self.slot(s::REFERENCES_SLOT, &entry.references);
        if let Some(action) = entry.action {
            self.slot(s::ACTION_SLOT, &[action.letter()]);
        }
        for (name, values) in &entry.other_slots {
            self.slot(name, values);
        }
    }

    fn entry(&mut self, entry: &DocumentEntry) {
        let id = entry.id.as_str();
        self.xml.open(
            "ExtrinsicObject",
            &[
                ("id", id),
                ("mimeType", &entry.mime_type),
                ("objectType", s::DOC_TYPE_NODE),
                ("status", s::APPROVED),
            ],
        );
        self.slots(entry);
        if let Some(title) = &entry.title {
            self.label("Name", title);
        }
        if let Some(comments) = &entry.comments {
            self.label("Description", comments);
        }
        if let Some(version) = &entry.version {
            self.xml.empty("VersionInfo", &[("versionName", version)]);
        }
        for author in &entry.authors {
            self.author(id, s::DOC_AUTHOR, author);
        }
        self.code(id, s::DOC_CLASS, entry.class.as_ref());
        self.code(id, s::DOC_TYPE, entry.kind.as_ref());
        for code in &entry.confidentiality {
            self.code(id, s::DOC_CONFIDENTIALITY, Some(code));
        }
        self.code(id, s::DOC_FORMAT, entry.format.as_ref());
        self.code(id, s::DOC_FACILITY, entry.facility.as_ref());
        self.code(id, s::DOC_PRACTICE, entry.practice.as_ref());
        for code in &entry.events {
            self.code(id, s::DOC_EVENT, Some(code));
        }
        self.external(id, s::DOC_PATIENT, entry.patient_id.as_ref(), "XDSDocumentEntry.patientId");
        self.external(id, s::DOC_UNIQUE, entry.unique_id.as_ref(), "XDSDocumentEntry.uniqueId");
        self.xml.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebrim::{Action, Association, read_metadata};
    use crate::limits::Limits;
    use proptest::prelude::*;

    fn entry(words: &[String], action: Option<Action>) -> DocumentEntry {
        let word = |n: usize| format!("w{}", words[n].trim());
        DocumentEntry {
            id: word(0),
            mime_type: "text/xml".to_owned(),
            unique_id: Some(word(1)),
            patient_id: Some(word(2)),
            hash: Some(word(3)),
            uri: Some(word(4).replace(['|', ' '], "")),
            title: Some(word(5)),
            version: Some(word(6)),
            authors: vec![XdsAuthor { persons: vec![word(7), word(8)], ..XdsAuthor::default() }],
            kind: Some(XdsCode::new(&word(9), &word(10), &word(11))),
            confidentiality: vec![
                XdsCode::new("N", "1.2", "Normal"),
                XdsCode::new("R", "1.2", "Restreint"),
            ],
            source_patient_info: vec![word(3)],
            references: vec![word(4)],
            action,
            other_slots: vec![(word(5), vec![word(6)])],
            ..DocumentEntry::default()
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            words in proptest::collection::vec("[A-Za-z0-9^.<>\"'| é]{1,12}", 48..49),
            count in 0..4_usize,
            deleted in any::<bool>(),
        ) {
            let action = deleted.then_some(Action::Delete);
            let documents: Vec<_> =
                words.chunks(12).take(count).map(|words| entry(words, action)).collect();
            let set = SubmissionSet {
                id: "SubmissionSet01".to_owned(),
                unique_id: Some("1.2.3".to_owned()),
                source_id: Some("1.2".to_owned()),
                content_type: Some(XdsCode::new("03", "1.2.250.1.213.2.2", "Hospitalisation")),
                action: Some(Action::Change),
                comments: Some("a & b".to_owned()),
                ..SubmissionSet::default()
            };
            let associations = documents.iter().map(|d| Association {
                kind: AssociationKind::HasMember, source: set.id.clone(), target: d.id.clone(),
            }).collect();
            let submission = Submission { sets: vec![set], documents, associations };
            let written = write_metadata(&submission);
            let read = read_metadata(&written, &Limits::default()).unwrap();
            prop_assert!(read == submission, "{}", String::from_utf8_lossy(&written));
        }
    }
}
