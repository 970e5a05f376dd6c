//! MDM^T02, T04, T10 of HL7 v2.6: a document received by MSSanté, for the hospital's record (ANS spec mssante §12.2).

use super::build::{Endpoint, Flagged, Header, Processing, components, msh, time, yes_no};
use super::er7::{Message, Segment, escape};
use crate::cda::{Address, Cda, Entity};
use crate::ebrim::Action;
use crate::error::{DocError, Hl7Fault};
use crate::facts::{Code, Id};
use crate::valuesets as sets;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use palombe_vocabulary::{InsAuthority, Timestamp};

/// MSH-21 of the profile.
const PROFILE: &str = "1.1^CISIS_CDA_HL7_LPS";
/// PS_IdNat and Struct_IdNat.
const PROFESSIONALS: &str = "1.2.250.1.71.4.2.1";
const STRUCTURES: &str = "1.2.250.1.71.4.2.2";

/// What the record is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// T02: integrate.
    New,
    /// T10: replace.
    Replace,
    /// T04: delete.
    Delete,
}

impl Event {
    /// MSH-9.2, ORC-1, OBX-11 of the document.
    const fn codes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Event::New => ("T02", "NW", "F"),
            Event::Replace => ("T10", "RO", "C"),
            Event::Delete => ("T04", "CA", "D"),
        }
    }

    /// What a document of an archive asks: the action of its metadata, else what its header says.
    pub fn of(action: Option<Action>, cda: &Cda) -> Event {
        match action {
            Some(Action::Delete) => Event::Delete,
            Some(Action::Change) => Event::Replace,
            None if cda.header.replaces().next().is_some() => Event::Replace,
            None => Event::New,
        }
    }

    /// The action that the metadata of a message say, when it comes from the hospital.
    pub fn action(self) -> Option<Action> {
        match self {
            Event::New => None,
            Event::Replace => Some(Action::Change),
            Event::Delete => Some(Action::Delete),
        }
    }

    /// The event of ORC-1 or OBX-11.
    pub fn from_code(code: &str) -> Option<Event> {
        match code {
            "NW" | "F" | "T02" => Some(Event::New),
            "RO" | "C" | "T10" => Some(Event::Replace),
            "CA" | "D" | "T04" => Some(Event::Delete),
            _ => None,
        }
    }
}

/// Somebody of the mail: an address, and an organisation that helps to route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// The mail address.
    pub address: String,
    /// The structure or unit.
    pub organization: String,
}

/// The visibility that the sender asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visibility {
    /// MASQUE_PS.
    pub masked_to_professionals: bool,
    /// INVISIBLE_PATIENT.
    pub hidden_from_patient: bool,
    /// INVISIBLE_REP_LEGAUX.
    pub hidden_from_guardians: bool,
    /// MODIF_CONF_CODE.
    pub confidentiality_changed: bool,
}

/// Everything that one message is made of.
#[derive(Clone, Debug)]
pub struct Mdm<'a> {
    /// Us.
    pub from: Endpoint,
    /// The record.
    pub to: Endpoint,
    /// MSH-10, unique.
    pub control_id: &'a str,
    /// Now.
    pub at: Timestamp,
    /// MSH-11.
    pub processing: Processing,
    /// What to do.
    pub event: Event,
    /// What the document says.
    pub cda: &'a Cda,
    /// The document.
    pub document: &'a [u8],
    /// Who sent the mail.
    pub sender: Party,
    /// To whom.
    pub recipients: &'a [Party],
    /// Where answers go.
    pub reply_to: Option<Party>,
    /// Message-ID.
    pub message_id: &'a str,
    /// Subject.
    pub subject: &'a str,
    /// Text of the mail.
    pub body: &'a str,
    /// Visibility.
    pub visibility: Visibility,
}

/// Writes the message: MSH EVN PID PV1 ORC OBR TXA OBX PRT OBX….
///
/// # Errors
/// [`Hl7Fault::Missing`] when the document lacks what the profile requires: a patient, a type, an identifier.
pub fn build_mdm(mdm: &Mdm<'_>) -> Result<Message, DocError> {
    let missing = || DocError::hl7(Hl7Fault::Missing);
    let (trigger, order, result) = mdm.event.codes();
    let header = &mdm.cda.header;
    let parent = header.replaces().next();
    if header.id.root.is_empty() || (mdm.event == Event::Replace && parent.is_none()) {
        return Err(missing());
    }
    let kind = coded(&header.code).ok_or_else(missing)?;
    let mut segments = vec![
        msh(&Header {
            from: &mdm.from,
            to: &mdm.to,
            at: mdm.at,
            kind: &format!("MDM^{trigger}^MDM_T02"),
            control_id: mdm.control_id,
            processing: mdm.processing.letter(),
            version: "2.6",
            profile: PROFILE,
        }),
        Segment::new("EVN").with(2, time(mdm.at)),
        pid(mdm.cda).ok_or_else(missing)?,
        Segment::new("PV1").with(1, "1").with(2, "N"),
        Segment::new("ORC").with(1, order),
        Segment::new("OBR").with(1, "1").with(4, kind.as_str()),
        txa(mdm.cda, parent),
        // ANS spec mssante §12.2, OBX#1
        Segment::new("OBX")
            .with(1, "1")
            .with(2, "ED")
            .with(3, kind.as_str())
            .with(5, format!("^text^XML^Base64^{}", STANDARD.encode(mdm.document)))
            .with(11, result),
    ];
    segments.push(sender(mdm));
    segments
        .extend(mdm.recipients.iter().map(|party| participation("RCT^Result Copies To", party)));
    segments.extend(mdm.reply_to.iter().map(|party| participation("REPLY^Reply To", party)));
    segments.push(
        Segment::new("OBX")
            .with(1, "2")
            .with(2, "ED")
            .with(3, components(&[mdm.message_id, mdm.subject]))
            .with(5, format!("^text^^Base64^{}", STANDARD.encode(mdm.body)))
            .with(11, "F"),
    );
    let v = mdm.visibility;
    let flags = [
        ("MASQUE_PS", "Masqué aux professionnels de Santé", v.masked_to_professionals),
        ("INVISIBLE_PATIENT", "Document Non Visible par le patient", v.hidden_from_patient),
        (
            "INVISIBLE_REP_LEGAUX",
            "Non visible par les représentants Légaux du patient",
            v.hidden_from_guardians,
        ),
        ("MODIF_CONF_CODE", "Modification Confidentiality Code", v.confidentiality_changed),
    ];
    for (number, (code, label, yes)) in (3..).zip(flags) {
        segments.push(
            Segment::new("OBX")
                .with(1, number.to_string())
                .with(2, "CWE")
                .with(3, format!("{code}^{label}^MetaDMPMSS"))
                .with(5, yes_no(Flagged::from(yes)))
                .with(11, "F"),
        );
    }
    Ok(Message::new(segments))
}

/// The type of document; LOINC is `LN`.
fn coded(code: &Code) -> Option<String> {
    let system = match code.system.as_deref() {
        Some(sets::TRE_A05) => "TRE_A05",
        _ => "LN",
    };
    let label = code.label.as_deref().unwrap_or_default();
    (!code.text().is_empty()).then(|| components(&[code.text(), label, system]))
}

fn pid(cda: &Cda) -> Option<Segment> {
    let patient = &cda.header.patient;
    let traits = patient.traits();
    let mut ids: Vec<String> = Vec::new();
    if let Some((authority, text)) = patient.ins_id().filter(|(_, text)| !text.is_empty()) {
        let (name, oid) = (authority.hl7_namespace(), authority.oid());
        ids.push(format!("{}^^^{name}&{oid}&ISO^INS", escape(text)));
    }
    for id in patient.local_ids() {
        if let Some(number) = &id.extension {
            ids.push(format!("{}^^^&{}&ISO^PI", escape(number), escape(&id.root)));
        }
    }
    if ids.is_empty() {
        return None;
    }
    let mut names = Vec::new();
    if !traits.birth_name.is_empty() {
        let given = &traits.given_names;
        let given = if given.is_empty() { &traits.first_given } else { given };
        names.push(components(&[&traits.birth_name, &traits.first_given, given, "", "", "", "L"]));
    }
    if !traits.used_name.is_empty() {
        let given =
            if traits.used_given.is_empty() { &traits.first_given } else { &traits.used_given };
        names.push(components(&[&traits.used_name, given, "", "", "", "", "D"]));
    }
    let mut addresses: Vec<String> = patient.addresses.iter().filter_map(xad).collect();
    if !traits.birth_place.is_empty() {
        addresses.push(components(&["", "", "", "", "", "", "BDL", "", &traits.birth_place]));
    }
    let encounter = cda.header.encounter.as_ref();
    let account = encounter.and_then(|encounter| encounter.ids.first());
    let account = account.and_then(|id| id.extension.as_ref().map(|number| (number, &id.root)));
    let mut segment = Segment::new("PID")
        .with(3, ids.join("~"))
        .with(5, names.join("~"))
        .with(7, escape(&traits.birth_date))
        .with(8, escape(&traits.sex));
    if !addresses.is_empty() {
        segment = segment.with(11, addresses.join("~"));
    }
    if let Some((number, root)) = account {
        segment = segment.with(18, format!("{}^^^&{}&ISO^AN", escape(number), escape(root)));
    }
    // PID-32: only an identity that the document qualifies is said to be validated.
    Some(if patient.ins().is_qualified() { segment.with(32, "VALI") } else { segment })
}

fn xad(address: &Address) -> Option<String> {
    let part = |names: &[&str]| -> String {
        let found = address.parts.iter().filter(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
    };
    let street =
        part(&["houseNumber", "streetNameType", "streetName", "streetAddressLine", "text"]);
    let (city, zip, country) = (part(&["city"]), part(&["postalCode"]), part(&["country"]));
    let usage = match address.usage.as_deref() {
        Some("WP") => "O",
        _ => "H",
    };
    let empty = [&street, &city, &zip].iter().all(|text| text.is_empty());
    let other = part(&["unitID", "additionalLocator"]);
    (!empty).then(|| components(&[&street, &other, &city, "", &zip, &country, usage]))
}

/// `root`, or `extension^^root^ISO` (ANS spec mssante §12.2, TXA-12).
fn document_id(id: &Id) -> String {
    match &id.extension {
        Some(extension) => components(&[extension, "", &id.root, "ISO"]),
        None => escape(&id.root),
    }
}

fn txa(cda: &Cda, parent: Option<&Id>) -> Segment {
    let header = &cda.header;
    let legal = header.legal_authenticator.as_ref();
    let legal =
        legal.and_then(|legal| legal.entity.ids.iter().find_map(|id| id.extension.as_ref()));
    let mut segment = Segment::new("TXA")
        .with(1, "1")
        .with(2, escape(header.code.text()))
        .with(3, "TEXT")
        .with(4, escape(&header.effective_time.0))
        .with(12, document_id(&header.id));
    if let Some(parent) = parent {
        segment = segment.with(13, document_id(parent));
    }
    segment = segment.with(17, "AU");
    match legal {
        Some(number) => segment.with(22, escape(number)),
        None => segment,
    }
}

/// Who sent: the author of the document when it is a professional, its structure or its software.
fn sender(mdm: &Mdm<'_>) -> Segment {
    let segment = participation("SB^Send by", &mdm.sender);
    let Some(author) = mdm.cda.header.authors.first() else { return segment };
    let entity = &author.entity;
    let segment = match person(entity) {
        Some(person) => segment.with(5, person),
        None => segment,
    };
    let organization =
        entity.organization.as_ref().filter(|o| o.ids.iter().any(|id| id.root == STRUCTURES));
    let segment = match organization {
        Some(organization) if mdm.sender.organization.is_empty() => {
            let name = organization.name.as_deref().unwrap_or_default();
            let number = organization.ids.iter().find_map(|id| id.extension.as_deref());
            let number = escape(number.unwrap_or_default());
            let name = escape(name);
            segment.with(8, format!("{name}^^^^^ASIP-SANTE-ST&{STRUCTURES}&ISO^IDNST^^^{number}"))
        }
        _ => segment,
    };
    match entity.device.as_ref().and_then(|device| device.software.as_deref()) {
        Some(software) => segment.with(10, escape(software)),
        None => segment,
    }
}

fn person(entity: &Entity) -> Option<String> {
    let name = entity.names.first()?;
    let id = entity
        .ids
        .iter()
        .find(|id| id.root == PROFESSIONALS || InsAuthority::from_oid(&id.root).is_some())?;
    let number = escape(id.extension.as_deref()?);
    let (family, given) = (escape(name.family_name()), escape(name.given_name()));
    let root = escape(&id.root);
    Some(match InsAuthority::from_oid(&id.root) {
        Some(authority) => {
            let namespace = authority.hl7_namespace();
            format!("{number}^{family}^{given}^^^^^^{namespace}&{root}&ISO^L^^^INS")
        }
        None => format!("{number}^{family}^{given}^^^^^^ASIP-SANTE-PS&{root}&ISO^D^^^IDNPS"),
    })
}

fn participation(kind: &str, party: &Party) -> Segment {
    let mut segment = Segment::new("PRT").with(2, "UC").with(4, format!("{kind}^participation"));
    if !party.organization.is_empty() {
        segment = segment.with(8, escape(&party.organization));
    }
    segment.with(15, format!("^^X.400^{}", escape(&party.address)))
}
