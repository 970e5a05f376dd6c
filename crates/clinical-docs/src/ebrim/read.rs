//! METADATA.XML in. Containment is believed, references between objects are not: some senders write random ones.

use super::model::{
    Action, Association, AssociationKind, DocumentEntry, Submission, SubmissionSet, XdsAuthor,
    XdsCode,
};
use super::schemes as s;
use crate::error::DocError;
use crate::limits::Limits;
use crate::xml::{self, Element, Ns};

/// Reads METADATA.XML, or any file that holds a SubmitObjectsRequest.
///
/// # Errors
/// What [XML](crate::XmlFault) may fail on, or [`DocError::NotMetadata`].
pub fn read_metadata(bytes: &[u8], limits: &Limits) -> Result<Submission, DocError> {
    let text = xml::decode(bytes, limits)?;
    let tree = xml::parse(&text, limits)?;
    let list = tree
        .elements()
        .find(|element| element.is(Ns::Lcm, "SubmitObjectsRequest"))
        .and_then(|request| request.first(Ns::Rim, "RegistryObjectList"))
        .ok_or(DocError::NotMetadata)?;
    let mut submission = Submission::default();
    for object in list.children().filter(|object| object.ns() == Ns::Rim) {
        match object.name() {
            "RegistryPackage" if submission.sets.len() < limits.subsets_max => {
                submission.sets.push(set(object, limits));
            }
            "ExtrinsicObject" if submission.documents.len() < limits.documents_max => {
                submission.documents.push(entry(object, limits));
            }
            "Association" if submission.associations.len() < limits.documents_max * 2 => {
                submission.associations.push(association(object, limits));
            }
            _ => {}
        }
    }
    Ok(submission)
}

fn kept(text: &str, limits: &Limits) -> String {
    // Some senders escape twice: what is left of it is undone once.
    let text = if text.contains("&amp;") { text.replace("&amp;", "&") } else { text.to_owned() };
    text.trim().chars().take(limits.field_chars_max).collect()
}

fn values(slot: Element<'_>, limits: &Limits) -> Vec<String> {
    let list = slot.first(Ns::Rim, "ValueList");
    let values = list.into_iter().flat_map(|list| list.all(Ns::Rim, "Value"));
    values.take(limits.repeats_max).map(|value| kept(&value.own_text(), limits)).collect()
}

/// Name, Description: the first label that says something.
fn label(object: Element<'_>, name: &str, limits: &Limits) -> Option<String> {
    let holder = object.first(Ns::Rim, name)?;
    let mut labels = holder.all(Ns::Rim, "LocalizedString");
    let text = labels.find_map(|l| l.attribute("value").filter(|value| !value.trim().is_empty()));
    text.map(|text| kept(text, limits))
}

fn code(classification: Element<'_>, limits: &Limits) -> XdsCode {
    let system = classification
        .all(Ns::Rim, "Slot")
        .find(|slot| slot.attribute("name") == Some("codingScheme"))
        .and_then(|slot| values(slot, limits).into_iter().next());
    XdsCode {
        code: kept(classification.attribute("nodeRepresentation").unwrap_or_default(), limits),
        system: system.unwrap_or_default(),
        label: label(classification, "Name", limits).unwrap_or_default(),
    }
}

fn author(classification: Element<'_>, limits: &Limits) -> XdsAuthor {
    let mut author = XdsAuthor::default();
    for slot in classification.all(Ns::Rim, "Slot") {
        let place = match slot.attribute("name") {
            Some("authorPerson") => &mut author.persons,
            Some("authorInstitution") => &mut author.institutions,
            Some("authorRole") => &mut author.roles,
            Some("authorSpecialty") => &mut author.specialties,
            _ => continue,
        };
        place.extend(values(slot, limits));
    }
    author
}

fn is_action(slot: &str) -> bool {
    slot == s::ACTION_SLOT || slot.eq_ignore_ascii_case("action") || slot.ends_with(":action")
}

fn set(package: Element<'_>, limits: &Limits) -> SubmissionSet {
    let mut set = SubmissionSet {
        id: kept(package.attribute("id").unwrap_or_default(), limits),
        title: label(package, "Name", limits),
        comments: label(package, "Description", limits),
        ..SubmissionSet::default()
    };
    for slot in package.all(Ns::Rim, "Slot") {
        let first = || values(slot, limits).into_iter().next();
        match slot.attribute("name") {
            Some("submissionTime") => set.submission_time = first(),
            Some(name) if is_action(name) => {
                set.action = first().as_deref().and_then(Action::from_text);
            }
            _ => {}
        }
    }
    for classification in package.all(Ns::Rim, "Classification").take(limits.repeats_max) {
        match classification.attribute("classificationScheme") {
            Some(s::SET_AUTHOR) => set.authors.push(author(classification, limits)),
            Some(s::SET_CONTENT_TYPE) => set.content_type = Some(code(classification, limits)),
            _ => {}
        }
    }
    for identifier in package.all(Ns::Rim, "ExternalIdentifier").take(limits.repeats_max) {
        let value = identifier.attribute("value").map(|value| kept(value, limits));
        match identifier.attribute("identificationScheme") {
            Some(s::SET_PATIENT) => set.patient_id = value,
            Some(s::SET_SOURCE) => set.source_id = value,
            Some(s::SET_UNIQUE) => set.unique_id = value,
            _ => {}
        }
    }
    set
}

fn entry(object: Element<'_>, limits: &Limits) -> DocumentEntry {
    let mut entry = DocumentEntry {
        id: kept(object.attribute("id").unwrap_or_default(), limits),
        mime_type: kept(object.attribute("mimeType").unwrap_or_default(), limits),
        title: label(object, "Name", limits),
        comments: label(object, "Description", limits),
        version: object
            .first(Ns::Rim, "VersionInfo")
            .and_then(|version| version.attribute("versionName"))
            .map(|version| kept(version, limits)),
        ..DocumentEntry::default()
    };
    for slot in object.all(Ns::Rim, "Slot").take(limits.repeats_max) {
        slot_of(&mut entry, slot, limits);
    }
    for classification in object.all(Ns::Rim, "Classification").take(limits.repeats_max) {
        let code = || code(classification, limits);
        match classification.attribute("classificationScheme") {
            Some(s::DOC_AUTHOR) => entry.authors.push(author(classification, limits)),
            Some(s::DOC_CLASS) => entry.class = Some(code()),
            Some(s::DOC_TYPE) => entry.kind = Some(code()),
            Some(s::DOC_FORMAT) => entry.format = Some(code()),
            Some(s::DOC_FACILITY) => entry.facility = Some(code()),
            Some(s::DOC_PRACTICE) => entry.practice = Some(code()),
            Some(s::DOC_CONFIDENTIALITY) => entry.confidentiality.push(code()),
            Some(s::DOC_EVENT) => entry.events.push(code()),
            _ => {}
        }
    }
    for identifier in object.all(Ns::Rim, "ExternalIdentifier").take(limits.repeats_max) {
        let value = identifier.attribute("value").map(|value| kept(value, limits));
        match identifier.attribute("identificationScheme") {
            Some(s::DOC_PATIENT) => entry.patient_id = value,
            Some(s::DOC_UNIQUE) => entry.unique_id = value,
            _ => {}
        }
    }
    entry
}

fn slot_of(entry: &mut DocumentEntry, slot: Element<'_>, limits: &Limits) {
    let name = slot.attribute("name").unwrap_or_default();
    let values = values(slot, limits);
    let first = values.first().cloned();
    match name {
        "hash" => entry.hash = first,
        "size" => entry.size = first,
        // ITI TF-3 4.2.3.2.27: a long URI is cut in numbered pieces.
        "URI" => entry.uri = Some(joined(&values)),
        "creationTime" => entry.creation_time = first,
        "languageCode" => entry.language = first,
        "legalAuthenticator" => entry.legal_authenticator = first,
        "serviceStartTime" => entry.service_start = first,
        "serviceStopTime" => entry.service_stop = first,
        "sourcePatientId" => entry.source_patient_id = first,
        "sourcePatientInfo" => entry.source_patient_info = values,
        s::REFERENCES_SLOT => entry.references = values,
        name if is_action(name) => entry.action = first.as_deref().and_then(Action::from_text),
        name => entry.other_slots.push((kept(name, limits), values)),
    }
}

fn joined(values: &[String]) -> String {
    let mut pieces: Vec<(u32, &str)> = Vec::new();
    for value in values {
        match value.split_once('|').and_then(|(n, rest)| Some((n.parse().ok()?, rest))) {
            Some(piece) => pieces.push(piece),
            None => return values.first().cloned().unwrap_or_default(),
        }
    }
    pieces.sort_unstable_by_key(|(n, _)| *n);
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

fn association(object: Element<'_>, limits: &Limits) -> Association {
    let attribute = |name| kept(object.attribute(name).unwrap_or_default(), limits);
    let kind = attribute("associationType");
    let kind = match kind.as_str() {
        s::HAS_MEMBER | "HasMember" => AssociationKind::HasMember,
        s::REPLACES | "RPLC" => AssociationKind::Replaces,
        s::TRANSFORMS | "XFRM" => AssociationKind::Transforms,
        s::APPENDS | "APND" => AssociationKind::Appends,
        s::SIGNS => AssociationKind::Signs,
        s::STATUS_CHANGE => AssociationKind::StatusChange,
        _ => AssociationKind::Other(kind),
    };
    Association { kind, source: attribute("sourceObject"), target: attribute("targetObject") }
}
