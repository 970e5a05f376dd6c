//! Structuration minimale: the header rules that need no schematron, by hand.

use super::is_pdf;
use crate::cda::{AttachmentRole, Cda, Header, InsStanding, Level, Participation, RelationKind};
use crate::facts::{Code, Id};
use crate::findings::{Finding, Rule, Severity};
use crate::valuesets as sets;
use crate::xds;

const HL7_FRANCE: &str = "2.16.840.1.113883.2.8.2.1";
const STRUCTURATION_MINIMALE: &str = "1.2.250.1.213.1.1.1.1";
const CDA_TYPE: (&str, &str) = ("2.16.840.1.113883.1.3", "POCD_HD000040");
const TITLE_CHARS_MAX: usize = 128;
const NULL_FLAVORS: [&str; 5] = ["UNK", "NASK", "ASKU", "NAV", "MSK"];
/// Media that a level 1 body may be (CI-SIS structuration minimale).
const BODY_MEDIA: [&str; 5] =
    ["application/pdf", "text/plain", "text/rtf", "image/jpeg", "image/tiff"];

/// Every rule on one document.
pub(super) fn check(cda: &Cda, bytes: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    let header = &cda.header;
    identity(header, &mut found);
    what(header, &mut found);
    when(header, &mut found);
    versions(header, &mut found);
    who(header, &mut found);
    acts(header, &mut found);
    patient(header, &mut found);
    body(cda, bytes, &mut found);
    found
}

fn must(holds: bool, rule: Rule, found: &mut Vec<Finding>) {
    if !holds {
        found.push(Finding::new(rule));
    }
}

fn identity(header: &Header, found: &mut Vec<Finding>) {
    must(header.realm.as_deref() == Some("FR"), Rule::Realm, found);
    let type_id = header.type_id.as_ref();
    let right =
        |id: &Id| (id.root.as_str(), id.extension.as_deref()) == (CDA_TYPE.0, Some(CDA_TYPE.1));
    must(type_id.is_some_and(right), Rule::TypeId, found);
    let has = |root: &str| header.templates.iter().any(|id| id.root == root);
    for root in [HL7_FRANCE, STRUCTURATION_MINIMALE] {
        if !has(root) {
            found.push(Finding::with(Rule::Templates, root));
        }
    }
    let model =
        |id: &Id| id.root == sets::N1_TEMPLATE || sets::format_of_template(&id.root).is_some();
    must(header.templates.iter().any(model), Rule::NoModel, found);
    must(header.id.is_oid(), Rule::IdentifierOid, found);
    must(header.id.extension.is_none(), Rule::IdentifierExtension, found);
}

fn what(header: &Header, found: &mut Vec<Finding>) {
    let code = header.code.text();
    if !sets::is_known_type(code) {
        found.push(Finding::with(Rule::UnknownType, code));
    }
    let system = header.code.system.as_deref().unwrap_or_default();
    must([sets::LOINC, sets::TRE_A05].contains(&system), Rule::TypeSystem, found);
    let title = header.title.chars().count();
    must((1..=TITLE_CHARS_MAX).contains(&title), Rule::Title, found);
    let confidentiality = header.confidentiality.text();
    must(["N", "R", "V"].contains(&confidentiality), Rule::Confidentiality, found);
    must(header.language.as_deref() == Some("fr-FR"), Rule::Language, found);
    let flavors = [&header.code, &header.confidentiality, &header.patient.sex];
    let flavor = |code: &&&Code| {
        code.null_flavor.as_deref().is_some_and(|flavor| !NULL_FLAVORS.contains(&flavor))
    };
    must(!flavors.iter().any(|code| flavor(&code)), Rule::NullFlavor, found);
}

fn when(header: &Header, found: &mut Vec<Finding>) {
    let time = header.effective_time.0.as_str();
    let digits = time.bytes().take_while(u8::is_ascii_digit).count();
    let zoned = time.contains(['+', '-']);
    match digits {
        14 if header.effective_time.is_valid() && zoned => {}
        // Examples of the agency do it.
        12 if header.effective_time.is_valid() && zoned => found.push(Finding {
            severity: Severity::Warning,
            ..Finding::with(Rule::EffectiveTime, "sans les secondes")
        }),
        _ => found.push(Finding::new(Rule::EffectiveTime)),
    }
}

fn versions(header: &Header, found: &mut Vec<Finding>) {
    must(header.set_id.is_some(), Rule::SetId, found);
    let version = header.version.as_deref().and_then(|text| text.trim().parse::<u32>().ok());
    must(version.is_some(), Rule::VersionNumber, found);
    let replaces = header.replaces().next().is_some();
    if let Some(version) = version {
        // A first version replaces nothing; a later one says what it replaces.
        must((version > 1) == replaces, Rule::VersionRelation, found);
    }
    let right =
        |kind: &RelationKind| matches!(kind, RelationKind::Replaces | RelationKind::Transforms);
    let related = header.related.iter().all(|r| right(&r.kind) && !r.ids.is_empty());
    must(related, Rule::RelatedKind, found);
}

fn is_identified(participation: &Participation) -> bool {
    participation.entity.ids.iter().any(|id| !id.root.is_empty())
}

fn who(header: &Header, found: &mut Vec<Finding>) {
    let authors = &header.authors;
    must(!authors.is_empty() && authors.iter().all(is_identified), Rule::Author, found);
    let timed = |p: &Participation| p.time.as_ref().is_some_and(|time| time.at.is_some());
    must(authors.iter().all(timed), Rule::AuthorTime, found);
    let custodian = header.custodian.as_ref();
    must(custodian.is_some_and(|c| !c.ids.is_empty()), Rule::Custodian, found);
    let legal = header.legal_authenticator.as_ref();
    let signed =
        |p: &Participation| timed(p) && p.signature.as_deref() == Some("S") && is_identified(p);
    must(legal.is_some_and(signed), Rule::LegalAuthenticator, found);
}

fn acts(header: &Header, found: &mut Vec<Finding>) {
    let main = header.main_event();
    let begun = main.and_then(|event| event.time.as_ref()).is_some_and(|t| t.low.is_some());
    let performed = main.is_some_and(|event| !event.performers.is_empty());
    must(begun && performed, Rule::ServiceEvent, found);
    let practice = main.and_then(|event| event.performers.iter().find_map(Participation::activity));
    let practice = practice.map(Code::text).unwrap_or_default();
    if !sets::is_practice(practice) {
        found.push(Finding::with(Rule::Practice, practice));
    }
    must(header.encounter.is_some(), Rule::Encounter, found);
    let facility = xds::facility(header).map(Code::text).unwrap_or_default();
    if !sets::is_facility(facility) {
        found.push(Finding::with(Rule::Facility, facility));
    }
}

fn patient(header: &Header, found: &mut Vec<Finding>) {
    let patient = &header.patient;
    let traits = patient.traits();
    let named = !traits.birth_name.is_empty() || !traits.used_name.is_empty();
    let known = !patient.ids.is_empty() && named && !traits.sex.is_empty();
    must(known && !patient.birth_time.0.is_empty(), Rule::Patient, found);
    match patient.ins() {
        InsStanding::Absent => found.push(Finding::new(Rule::InsAbsent)),
        InsStanding::Invalid { key: true, .. } => found.push(Finding::new(Rule::InsKey)),
        InsStanding::Invalid { .. } => found.push(Finding::new(Rule::InsShape)),
        InsStanding::Incomplete { missing, .. } => {
            let missing: Vec<_> = missing.iter().map(|part| part.french()).collect();
            found.push(Finding::with(Rule::InsIncomplete, missing.join(", ")));
        }
        InsStanding::Qualified { .. } => {}
    }
    if let Some((authority, text)) = patient.ins_id() {
        must(!authority.is_test(), Rule::InsTest, found);
        must(!traits.birth_place.is_empty(), Rule::InsBirthPlace, found);
        let first = patient.ids.first().and_then(|id| id.extension.as_deref());
        must(first == Some(text), Rule::InsNotFirst, found);
        let list = traits.given_names.to_uppercase();
        let given = traits.first_given.to_uppercase();
        must(list.is_empty() || list.starts_with(&given), Rule::GivenNames, found);
    }
    let spouse = patient.names.iter().flat_map(|name| &name.family);
    must(
        !spouse.clone().any(|part| part.qualifier.as_deref() == Some("SP")),
        Rule::NameQualifier,
        found,
    );
}

fn body(cda: &Cda, bytes: &[u8], found: &mut Vec<Finding>) {
    must(cda.body.level != Level::Absent, Rule::Body, found);
    for attachment in &cda.body.attachments {
        let media = attachment.media_type.to_ascii_lowercase();
        if attachment.role == AttachmentRole::Body && !BODY_MEDIA.contains(&media.as_str()) {
            found.push(Finding::with(Rule::BodyMedia, media));
        }
        let right = !attachment.is_pdf() || is_pdf(&attachment.bytes);
        must(attachment.size > 0 && right, Rule::BodyEmpty, found);
    }
    let empty = cda.body.sections.iter().filter(|s| s.title.is_empty() && s.text.is_empty());
    let empty = empty.count();
    if empty > 0 {
        found.push(Finding::with(Rule::SectionEmpty, format!("{empty} sections")));
    }
    must(cda.stylesheets.is_empty(), Rule::Stylesheet, found);
    must(!cda.self_presentable, Rule::SelfPresentable, found);
    must(cda.others == 0, Rule::SeveralDocuments, found);
    must(std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0), Rule::Encoding, found);
    let format = xds::format(cda).code;
    if !sets::is_dmp_format(&format) {
        found.push(Finding::with(Rule::DmpFormat, format));
    }
}
