//! An archive against itself: files, metadata, documents.

use super::{header, is_pdf};
use crate::cda::Cda;
use crate::ebrim::{Action, AssociationKind, DocumentEntry, Submission};
use crate::facts::Cx;
use crate::findings::{Finding, Rule};
use crate::xdm::{Xdm, XdmDocument};
use crate::xds::{self, FileFacts};
use std::collections::BTreeSet;

/// Every rule on an archive and its documents.
pub(super) fn check(xdm: &Xdm) -> Vec<Finding> {
    let mut found = consistency(xdm);
    for document in &xdm.documents {
        if let Some(cda) = &document.cda {
            found.extend(header::check(cda, &document.bytes).into_iter().map(|f| on(document, f)));
        }
    }
    found
}

fn on(document: &XdmDocument, finding: Finding) -> Finding {
    let path = document.path.clone();
    let name = path.or_else(|| document.entry.as_ref().and_then(|e| e.uri.clone()));
    Finding { document: name, ..finding }
}

/// The rules that a receiver needs: is it whole, is it about one patient, do the metadata tell the truth.
pub(super) fn consistency(xdm: &Xdm) -> Vec<Finding> {
    let mut found = Vec::new();
    for subset in &xdm.subsets {
        let place = |rule| Finding { document: Some(subset.folder.clone()), ..Finding::new(rule) };
        if subset.fault.is_some() {
            found.push(place(Rule::MetadataUnreadable));
        }
        let upper = subset.folder.to_uppercase();
        let mut parts = upper.rsplit('/');
        let standard = parts.next().is_some_and(|last| last.starts_with("SUBSET"))
            && parts.next() == Some("IHE_XDM")
            && parts.next().is_none();
        if !standard {
            found.push(place(Rule::Layout));
        }
        if let Some(submission) = &subset.submission {
            found.extend(sets(submission));
        }
    }
    if !(xdm.index && xdm.readme) {
        found.push(Finding::new(Rule::NoIndex));
    }
    if xdm.documents.is_empty() {
        found.push(Finding::new(Rule::NoDocument));
    }
    for file in &xdm.extra {
        let rule = if file.is_archive { Rule::NestedArchive } else { Rule::ExtraFile };
        found.push(Finding { document: Some(file.path.clone()), ..Finding::new(rule) });
    }
    let mut patients = BTreeSet::new();
    for document in &xdm.documents {
        let patient = |cda: &Cda| xds::patient_id(&cda.header).map(|cx| (cx.id, cx.oid));
        patients.extend(document.cda.as_ref().and_then(patient));
        let mut own = Vec::new();
        file_rules(document, &mut own);
        if let (Some(entry), Some(cda)) = (&document.entry, &document.cda) {
            compare(entry, cda, document, xdm, &mut own);
        }
        found.extend(own.into_iter().map(|finding| on(document, finding)));
    }
    if patients.len() > 1 {
        found.push(Finding::with(Rule::SeveralPatients, format!("{} patients", patients.len())));
    }
    found
}

/// METADATA.XML alone.
pub(super) fn check_submission(submission: &Submission) -> Vec<Finding> {
    let mut found = sets(submission);
    if submission.documents.is_empty() {
        found.push(Finding::new(Rule::NoDocument));
    }
    for entry in &submission.documents {
        let mut own = Vec::new();
        missing(entry, &mut own);
        let name = entry.uri.clone().unwrap_or_else(|| entry.id.clone());
        found.extend(own.into_iter().map(|f| Finding { document: Some(name.clone()), ..f }));
    }
    let ids: BTreeSet<&str> = submission
        .sets
        .iter()
        .map(|set| set.id.as_str())
        .chain(submission.documents.iter().map(|entry| entry.id.as_str()))
        .collect();
    let members = submission.associations.iter().filter(|a| a.kind == AssociationKind::HasMember);
    for association in members {
        if !ids.contains(association.source.as_str()) || !ids.contains(association.target.as_str())
        {
            found.push(Finding::new(Rule::Association));
        }
    }
    found
}

fn sets(submission: &Submission) -> Vec<Finding> {
    let mut found = Vec::new();
    match submission.sets.len() {
        0 => found.push(Finding::new(Rule::NoSubmissionSet)),
        1 => {}
        _ => found.push(Finding::new(Rule::SeveralSets)),
    }
    for set in &submission.sets {
        let asked = [
            ("XDSSubmissionSet.uniqueId", set.unique_id.is_some()),
            ("XDSSubmissionSet.sourceId", set.source_id.is_some()),
            ("XDSSubmissionSet.patientId", set.patient_id.is_some()),
            ("submissionTime", set.submission_time.is_some()),
            ("contentTypeCode", set.content_type.is_some()),
            ("XDSSubmissionSet.author", !set.authors.is_empty()),
        ];
        for (name, _) in asked.iter().filter(|(_, there)| !there) {
            found.push(Finding::with(Rule::MetadataMissing, *name));
        }
        if set.content_type.as_ref().is_some_and(|code| crate::valuesets::is_facility(&code.code)) {
            found.push(Finding::new(Rule::ContentTypeFacility));
        }
    }
    found
}

fn file_rules(document: &XdmDocument, found: &mut Vec<Finding>) {
    if document.same_as.is_some() {
        found.push(Finding::new(Rule::SameFile));
    } else if let Some(fault) = &document.fault {
        found.push(Finding::with(Rule::Unreadable, fault.french().trim_end_matches('.')));
    } else if document.path.is_some() && document.cda.is_none() && !is_pdf(&document.bytes) {
        found.push(Finding::new(Rule::NotCda));
    }
    let Some(entry) = &document.entry else { return };
    if document.path.is_none() {
        found.push(Finding::new(Rule::MissingFile));
        return;
    }
    if document.hash_agrees() == Some(false) {
        found.push(Finding::new(Rule::HashMismatch));
    }
    if document.size_agrees() == Some(false) {
        found.push(Finding::new(Rule::SizeMismatch));
    }
    if entry.hash.is_none() || entry.size.is_none() {
        found.push(Finding::new(Rule::NoHash));
    }
    missing(entry, found);
}

/// Required attributes of a document entry (IHE ITI TF-3 table 4.3.1.3-1 and the French rules).
fn missing(entry: &DocumentEntry, found: &mut Vec<Finding>) {
    let asked = [
        ("uniqueId", entry.unique_id.is_some()),
        ("patientId", entry.patient_id.is_some()),
        ("sourcePatientId", entry.source_patient_id.is_some()),
        ("mimeType", !entry.mime_type.is_empty()),
        ("creationTime", entry.creation_time.is_some()),
        ("languageCode", entry.language.is_some()),
        ("author", !entry.authors.is_empty()),
        ("classCode", entry.class.is_some()),
        ("typeCode", entry.kind.is_some()),
        ("formatCode", entry.format.is_some()),
        ("confidentialityCode", !entry.confidentiality.is_empty()),
        ("healthcareFacilityTypeCode", entry.facility.is_some()),
        ("practiceSettingCode", entry.practice.is_some()),
        ("legalAuthenticator", entry.legal_authenticator.is_some()),
        ("title", entry.title.is_some()),
    ];
    for (name, _) in asked.iter().filter(|(_, there)| !there) {
        found.push(Finding::with(Rule::MetadataMissing, *name));
    }
}

/// The metadata against what they would be if they were made of the document.
fn compare(
    entry: &DocumentEntry,
    cda: &Cda,
    document: &XdmDocument,
    xdm: &Xdm,
    found: &mut Vec<Finding>,
) {
    let file = FileFacts { uri: "", sha1: &document.sha1, size: document.size };
    let ours = xds::document_entry(cda, &entry.id, file);
    let same_patient = |a: &Cx, b: &Cx| a.id == b.id && a.oid == b.oid;
    if let (Some(theirs), Some(own)) = (entry.patient(), xds::patient_id(&cda.header))
        && !same_patient(&theirs, &own)
    {
        found.push(Finding::new(Rule::MetadataPatient));
    }
    if entry.identifier().is_some_and(|id| id != cda.header.id) {
        found.push(Finding::new(Rule::MetadataIdentifier));
    }
    let codes = [
        (&entry.kind, &ours.kind, Rule::MetadataType),
        (&entry.class, &ours.class, Rule::MetadataClass),
        (&entry.format, &ours.format, Rule::MetadataFormat),
    ];
    for (theirs, own, rule) in codes {
        if let (Some(theirs), Some(own)) = (theirs, own)
            && theirs.code != own.code
        {
            found.push(Finding::with(rule, format!("{} au lieu de {}", theirs.code, own.code)));
        }
    }
    let confidentiality = ours.confidentiality.first().map(|code| code.code.as_str());
    let said = |code: &str| entry.confidentiality.iter().any(|theirs| theirs.code == code);
    if !entry.confidentiality.is_empty() && confidentiality.is_some_and(|code| !said(code)) {
        found.push(Finding::new(Rule::MetadataConfidentiality));
    }
    // Compared as far as both are precise.
    let agree = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
    if let (Some(theirs), Some(own)) = (&entry.creation_time, &ours.creation_time)
        && !agree(theirs, own)
    {
        found.push(Finding::new(Rule::MetadataTime));
    }
    if entry.title.is_some() && entry.title != ours.title {
        found.push(Finding::new(Rule::MetadataTitle));
    }
    if entry.mime_type != ours.mime_type {
        found.push(Finding::with(Rule::MetadataMime, entry.mime_type.clone()));
    }
    let replaces = cda.header.replaces().next().is_some();
    if document.action(xdm) == Some(Action::Change) && !replaces {
        found.push(Finding::new(Rule::ActionWithoutTarget));
    }
}
