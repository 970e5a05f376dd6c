//! CDA → XDS metadata (CI-SIS, volet structuration minimale; spec of the digest §3): the header is the truth, the
//! metadata its projection.

use crate::cda::{AuthorKind, Cda, Entity, Header, Organization, Participation, Period};
use crate::ebrim::{Action, DocumentEntry, SubmissionSet, XdsAuthor, XdsCode};
use crate::facts::{Code, Cx, HlTime, Id};
use crate::hl7v2::escape;
use crate::valuesets as sets;
use palombe_vocabulary::{InsAuthority, Timestamp};

/// The file that an entry describes.
#[derive(Clone, Copy, Debug)]
pub struct FileFacts<'a> {
    /// Its name, relative to METADATA.XML.
    pub uri: &'a str,
    /// SHA-1 of its octets.
    pub sha1: &'a str,
    /// How many there are.
    pub size: usize,
}

/// What a submission set says that no document knows.
#[derive(Clone, Debug)]
pub struct SubmissionFacts<'a> {
    /// A new OID for this submission.
    pub unique_id: &'a str,
    /// OID of the sending system.
    pub source_id: &'a str,
    /// contentTypeCode; none is written when it is not known.
    pub content_type: Option<XdsCode>,
    /// Now.
    pub at: Timestamp,
}

/// The document entry of a CDA.
pub fn document_entry(cda: &Cda, id: &str, file: FileFacts<'_>) -> DocumentEntry {
    let header = &cda.header;
    let event = header.main_event();
    let time = |time: Option<&HlTime>| time.and_then(HlTime::utc);
    let period = event.and_then(|event| event.time.as_ref());
    let low = period.and_then(|p| p.low.as_ref().or(p.at.as_ref()));
    DocumentEntry {
        id: id.to_owned(),
        mime_type: mime_type(cda).to_owned(),
        unique_id: Some(header.id.unique_id()),
        patient_id: patient_id(header).map(|cx| cx.text()),
        source_patient_id: source_patient_id(header).map(|cx| cx.text()),
        source_patient_info: source_patient_info(header),
        hash: Some(file.sha1.to_owned()),
        size: Some(file.size.to_string()),
        uri: Some(file.uri.to_owned()),
        creation_time: header.effective_time.utc(),
        language: header.language.clone(),
        legal_authenticator: header
            .legal_authenticator
            .as_ref()
            .and_then(|legal| xcn(&legal.entity)),
        service_start: time(low),
        service_stop: time(period.and_then(|p| p.high.as_ref())),
        title: (!header.title.is_empty()).then(|| header.title.clone()),
        authors: header.authors.iter().map(author).collect(),
        class: sets::class_of(header.code.text())
            .map(|(code, label)| XdsCode::new(code, sets::TRE_A03, label)),
        kind: Some(xds_code(&header.code)),
        format: Some(format(cda)),
        facility: facility(header).map(xds_code),
        practice: event
            .and_then(|e| e.performers.iter().find_map(Participation::activity))
            .map(xds_code),
        confidentiality: confidentiality(header),
        events: header
            .service_events
            .iter()
            .filter_map(|e| e.code.as_ref())
            .filter(|c| c.code.is_some())
            .map(xds_code)
            .collect(),
        references: references(header),
        action: header.replaces().next().map(|_| Action::Change),
        ..DocumentEntry::default()
    }
}

/// The submission set of documents whose first is given.
pub fn submission_set(first: &DocumentEntry, facts: &SubmissionFacts<'_>) -> SubmissionSet {
    SubmissionSet {
        id: "SubmissionSet01".to_owned(),
        unique_id: Some(facts.unique_id.to_owned()),
        source_id: Some(facts.source_id.to_owned()),
        patient_id: first.patient_id.clone(),
        submission_time: Some(utc_time(facts.at)),
        content_type: facts.content_type.clone(),
        authors: first.authors.clone(),
        title: first.title.clone(),
        comments: None,
        action: None,
    }
}

/// XDS mimeType: a self-presentable document is a stylesheet (HLE).
pub(crate) fn mime_type(cda: &Cda) -> &'static str {
    if cda.self_presentable { "application/xslt+xml" } else { "text/xml" }
}

/// formatCode: of the media type for level 1, else of the last template that has one.
pub fn format(cda: &Cda) -> XdsCode {
    let media = cda.body.attachments.first().filter(|_| cda.body.is_flat());
    let by_media = media.and_then(|media| sets::format_of_media(&media.media_type));
    let templates = || cda.header.templates.iter().rev();
    let by_template = || templates().find_map(|id| sets::format_of_template(&id.root));
    let code = by_media.or_else(by_template).unwrap_or(sets::NO_MODEL);
    XdsCode::new(code, sets::format_system(code), code)
}

fn xds_code(code: &Code) -> XdsCode {
    XdsCode {
        code: code.text().to_owned(),
        system: code.system.clone().unwrap_or_default(),
        label: code.label.clone().unwrap_or_default(),
    }
}

pub(crate) fn facility(header: &Header) -> Option<&Code> {
    header.encounter.as_ref()?.facility.as_ref()?.code.as_ref()
}

fn confidentiality(header: &Header) -> Vec<XdsCode> {
    let code = header.confidentiality.text();
    let known = sets::confidentiality(code);
    let (system, label) = known.unwrap_or((sets::CONFIDENTIALITY, code));
    if code.is_empty() { Vec::new() } else { vec![XdsCode::new(code, system, label)] }
}

/// patientId: the INS, else the first local number.
pub fn patient_id(header: &Header) -> Option<Cx> {
    let patient = &header.patient;
    if let Some((authority, text)) = patient.ins_id() {
        return Some(Cx {
            id: text.to_owned(),
            namespace: String::new(),
            oid: authority.oid().to_owned(),
            kind: "NH".to_owned(),
        });
    }
    patient.local_ids().next().map(local)
}

fn local(id: &Id) -> Cx {
    Cx {
        id: id.extension.clone().unwrap_or_default(),
        namespace: String::new(),
        oid: id.root.clone(),
        kind: "PI".to_owned(),
    }
}

fn source_patient_id(header: &Header) -> Option<Cx> {
    header.patient.local_ids().next().map(local).or_else(|| patient_id(header))
}

fn source_patient_info(header: &Header) -> Vec<String> {
    let traits = header.patient.traits();
    let mut values = Vec::new();
    let e = |text: &str| escape(text);
    if !traits.birth_name.is_empty() {
        let (name, first) = (e(&traits.birth_name), e(&traits.first_given));
        values.push(format!("PID-5|{name}^{first}^{}^^^^L", e(&traits.given_names)));
    }
    if !traits.used_name.is_empty() {
        let given =
            if traits.used_given.is_empty() { &traits.first_given } else { &traits.used_given };
        values.push(format!("PID-5|{}^{}^^^^^D", e(&traits.used_name), e(given)));
    }
    for id in header.patient.local_ids().skip(1) {
        values.push(format!("PID-3|{}", local(id).text()));
    }
    if !traits.birth_date.is_empty() {
        values.push(format!("PID-7|{}", traits.birth_date));
    }
    if !traits.sex.is_empty() {
        values.push(format!("PID-8|{}", e(&traits.sex)));
    }
    if !traits.birth_place.is_empty() {
        values.push(format!("PID-11|^^^^^^BDL^^{}", e(&traits.birth_place)));
    }
    values
}

fn references(header: &Header) -> Vec<String> {
    let cxi = |id: &Id, kind: &str| {
        let number = escape(id.extension.as_deref().unwrap_or_default());
        format!("{number}^^^&{}&ISO^urn:ihe:iti:xds:{kind}", escape(&id.root))
    };
    let mut values = Vec::new();
    for order in &header.orders {
        values.extend(order.ids.iter().map(|id| cxi(id, "2013:order")));
        values.extend(order.accessions.iter().map(|id| cxi(id, "2013:accession")));
    }
    values
}

fn author(participation: &Participation) -> XdsAuthor {
    let entity = &participation.entity;
    let specialty = entity.code.as_ref().filter(|code| code.code.is_some()).map(|code| {
        let label = escape(code.label.as_deref().unwrap_or_default());
        format!(
            "{}^{label}^{}",
            escape(code.text()),
            escape(code.system.as_deref().unwrap_or_default())
        )
    });
    let role = participation.function.as_ref().and_then(|function| function.label.clone());
    XdsAuthor {
        persons: xcn(entity).into_iter().collect(),
        institutions: entity.organization.as_ref().and_then(xon).into_iter().collect(),
        roles: role.into_iter().collect(),
        specialties: specialty.into_iter().collect(),
    }
}

/// A person, a device or the patient as XCN. `None` without an identifier.
pub fn xcn(entity: &Entity) -> Option<String> {
    let id = entity.ids.iter().find(|id| id.extension.is_some())?;
    let number = id.extension.as_deref().unwrap_or_default();
    let (family, given, name_type, id_type) = match entity.kind() {
        AuthorKind::Device => {
            let device = entity.device.clone().unwrap_or_default();
            let (software, model) = (device.software, device.model);
            (software.unwrap_or_default(), model.unwrap_or_default(), "U", "RI")
        }
        AuthorKind::Person => {
            let name = entity.names.first();
            let family = name.map_or(String::new(), |n| n.family_name().to_owned());
            let given = name.map_or(String::new(), |n| n.given_name().to_owned());
            let patient = InsAuthority::from_oid(&id.root).is_some();
            let internal = if number.contains('/') { "EI" } else { "IDNPS" };
            (family, given, "D", if patient { "NH" } else { internal })
        }
    };
    let (number, root) = (escape(number), escape(&id.root));
    let (family, given) = (escape(&family), escape(&given));
    Some(format!("{number}^{family}^{given}^^^^^^&{root}&ISO^{name_type}^^^{id_type}"))
}

/// An organisation as XON. `None` without an identifier.
pub fn xon(organization: &Organization) -> Option<String> {
    let id = organization.ids.first()?;
    let name = escape(organization.name.as_deref().unwrap_or_default());
    let number = escape(id.extension.as_deref().unwrap_or_default());
    Some(format!("{name}^^^^^&{}&ISO^IDNST^^^{number}", escape(&id.root)))
}

/// XDS time of an instant.
pub(crate) fn utc_time(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y%m%d%H%M%S").to_string()
}

/// The day of the act: beginning of the main event, else the creation.
pub(crate) fn act_day(header: &Header) -> Option<String> {
    let begin = |period: &Period| period.low.clone().or(period.at.clone());
    let act = header.main_event().and_then(|event| event.time.as_ref()).and_then(begin);
    let time = act.filter(|time| time.day().is_some()).unwrap_or(header.effective_time.clone());
    time.day().map(str::to_owned)
}
