//! ORU^R01 and MDM that ask us to send a document: what the mail is made of (ANS spec mssante §12.6).

use super::ack::{Condition, Failure};
use super::er7::{Message, Segment};
use super::mdm::Event;
use crate::digest::decode_base64;
use crate::error::{DocError, Hl7Fault};
use crate::facts::{Cx, redacted};
use crate::limits::Limits;
use serde::{Deserialize, Serialize};

/// Domain of the addresses of patients.
const PATIENTS: &str = "@patient.mssante.fr";

/// A coded flag of MetaDMPMSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the official names
pub enum Flag {
    MasquePs,
    InvisiblePatient,
    InvisibleRepLegaux,
    ConnexionSecrete,
    ModifConfCode,
    Destdmp,
    Destmssanteps,
    Destmssantepat,
    AckReception,
    AckLectureMss,
}

impl Flag {
    fn from_name(name: &str) -> Option<Flag> {
        Some(match name {
            "MASQUE_PS" => Flag::MasquePs,
            "INVISIBLE_PATIENT" => Flag::InvisiblePatient,
            // One spelling per format for the same thing.
            "INVISIBLE_REP_LEGAUX" | "INVISIBLE_REPRESENTANTS_LEGAUX" => Flag::InvisibleRepLegaux,
            "CONNEXION_SECRETE" => Flag::ConnexionSecrete,
            "MODIF_CONF_CODE" => Flag::ModifConfCode,
            "DESTDMP" => Flag::Destdmp,
            "DESTMSSANTEPS" => Flag::Destmssanteps,
            "DESTMSSANTEPAT" => Flag::Destmssantepat,
            "ACK_RECEPTION" => Flag::AckReception,
            "ACK_LECTURE_MSS" | "ACK_LECTURE" => Flag::AckLectureMss,
            _ => return None,
        })
    }
}

/// A document of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestDocument {
    /// Its type, OBX-3.1.
    pub code: String,
    /// What is asked for it, OBX-11.
    pub event: Event,
    /// The CDA, decoded.
    pub bytes: Vec<u8>,
}

/// A recipient, PRT with RCT.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    /// PRT-15.4.
    pub address: String,
    /// PRT-5.1.
    pub identifier: String,
    /// The address is that of a patient.
    pub is_patient: bool,
}

/// What the hospital's software asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// MSH-10, quoted in every acknowledgement.
    pub control_id: String,
    /// MSH-21.1: `2.1`, `1.2`…
    pub profile: String,
    /// What is asked, ORC-1 or the first OBX-11.
    pub event: Event,
    /// PID-3.
    pub patient: Vec<Cx>,
    /// The documents, one or several of the same act.
    pub documents: Vec<RequestDocument>,
    /// To whom.
    pub recipients: Vec<Recipient>,
    /// PRT with REPLY.
    pub reply_to: Option<String>,
    /// Flags that are there, and their values.
    pub flags: Vec<(Flag, bool)>,
    /// `X-MSS-MES: FIN`: the patient may not answer.
    pub no_reply: bool,
    /// CORPSMAIL_PS.
    pub body_for_professionals: Option<String>,
    /// CORPSMAIL_PATIENT.
    pub body_for_patient: Option<String>,
}
redacted!(RequestDocument, Recipient, Request);

/// To whom mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Professionals, organisations, applications.
    Professionals,
    /// The patient only.
    Patient,
    /// Both.
    Both,
    /// No mail is asked for.
    NoMail,
}

/// Who reads a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A professional, an organisation, an application.
    Professional,
    /// The patient.
    Patient,
}

/// The flags are in none of the rows that the volet allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this combination of visibility and destinations is not allowed")]
pub struct Unallowed;

impl Unallowed {
    /// What the acknowledgement says of it.
    pub fn failure(self) -> Failure<'static> {
        Failure { location: "OBX^1^5", condition: Condition::TableValue, application: None }
    }
}

impl Request {
    /// The value of a flag; absent is no.
    pub fn is_set(&self, flag: Flag) -> bool {
        self.flags.iter().any(|(name, yes)| *name == flag && *yes)
    }

    /// Règles de gestion MSSanté: the exhaustive matrix.
    ///
    /// # Errors
    /// [`Unallowed`]: to be answered by AE.
    pub fn decision(&self) -> Result<Decision, Unallowed> {
        let set = |flag| self.is_set(flag);
        let (masked, hidden) = (set(Flag::MasquePs), set(Flag::InvisiblePatient));
        match (set(Flag::Destmssanteps), set(Flag::Destmssantepat)) {
            (false, false) => Ok(Decision::NoMail),
            _ if masked && set(Flag::Destmssanteps) => Err(Unallowed),
            (true, true) if !hidden && !set(Flag::InvisibleRepLegaux) => Ok(Decision::Both),
            (true, false) if hidden && !set(Flag::InvisibleRepLegaux) => {
                Ok(Decision::Professionals)
            }
            (false, true) if !hidden && !set(Flag::ConnexionSecrete) && !set(Flag::Destdmp) => {
                Ok(Decision::Patient)
            }
            _ => Err(Unallowed),
        }
    }

    /// Text of the mail to professionals, or to the patient: what the software gave, else a sentence of ours that says
    /// what the attachment is for.
    pub fn body(&self, reader: Reader) -> &str {
        let given = match reader {
            Reader::Professional => &self.body_for_professionals,
            Reader::Patient => &self.body_for_patient,
        };
        // ANS spec mssante §12.6: a deletion or replacement without text is said in words too.
        given.as_deref().unwrap_or(match self.event {
            Event::New => "Bonjour,\n\nVeuillez trouver ci-joint un document de santé.\n",
            Event::Replace => {
                "Bonjour,\n\nLe document de santé ci-joint annule et remplace la version qui vous a été \
                 envoyée.\n"
            }
            Event::Delete => {
                "Bonjour,\n\nLe document de santé ci-joint vous a été envoyé par erreur ou n'est plus \
                 valable : il est à supprimer.\n"
            }
        })
    }

    /// Addresses that the decision leaves.
    pub fn addresses(&self, decision: Decision) -> impl Iterator<Item = &str> {
        let wanted = move |recipient: &&Recipient| match decision {
            Decision::Both => true,
            Decision::Professionals => !recipient.is_patient,
            Decision::Patient => recipient.is_patient,
            Decision::NoMail => false,
        };
        self.recipients.iter().filter(wanted).map(|recipient| recipient.address.as_str())
    }
}

/// Reads a request.
///
/// # Errors
/// [`Hl7Fault::Missing`] when the message is neither ORU^R01 nor MDM, or has no patient or document;
/// [`DocError::Base64`].
pub fn parse_request(message: &Message, limits: &Limits) -> Result<Request, DocError> {
    let missing = || DocError::hl7(Hl7Fault::Missing);
    let control_id = message.first("MSH", 10, 1);
    let kind = (message.first("MSH", 9, 1), message.first("MSH", 9, 2));
    let known = match (kind.0.as_str(), kind.1.as_str()) {
        ("ORU", "R01") => true,
        ("MDM", event) => Event::from_code(event).is_some(),
        _ => false,
    };
    let pid = message.segment("PID").ok_or_else(missing)?;
    if !known || control_id.is_empty() {
        return Err(missing());
    }
    let patient = message.repetitions(pid, 3, limits).filter_map(Cx::parse).collect::<Vec<_>>();
    let mut request = Request {
        control_id,
        profile: message.first("MSH", 21, 1),
        event: Event::from_code(&message.first("ORC", 1, 1)).unwrap_or(Event::New),
        patient,
        documents: Vec::new(),
        recipients: Vec::new(),
        reply_to: None,
        flags: Vec::new(),
        no_reply: false,
        body_for_professionals: None,
        body_for_patient: None,
    };
    let mut flag = None;
    for segment in message.segments() {
        match segment.name() {
            "OBX" => flag = observation(message, segment, &mut request, limits)?,
            "PRT" => participation(message, segment, &mut request, limits),
            "NTE" if flag == Some(Flag::Destmssantepat) => {
                // The published example puts FIN in NTE-4; NTE-3 is where comments usually stand.
                let fin = |field| message.of(segment, field, 1) == "FIN";
                request.no_reply |= fin(4) || fin(3);
            }
            _ => {}
        }
    }
    if request.patient.is_empty() || request.documents.is_empty() {
        return Err(missing());
    }
    Ok(request)
}

/// One OBX; gives the flag that it is, so that the NTE after it can be read.
fn observation(
    message: &Message,
    obx: &Segment,
    request: &mut Request,
    limits: &Limits,
) -> Result<Option<Flag>, DocError> {
    let name = message.of(obx, 3, 1);
    if let Some(flag) = Flag::from_name(&name) {
        request.flags.push((flag, message.of(obx, 5, 1) == "Y"));
        return Ok(Some(flag));
    }
    if message.of(obx, 2, 1) != "ED" {
        return Ok(None);
    }
    // ED: ^TEXT^XML^Base64^data
    let data = obx.raw(5).split(message.separators().component).nth(4).unwrap_or_default();
    let digits: Vec<u8> = data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match name.as_str() {
        "CORPSMAIL_PS" => request.body_for_professionals = Some(body_text(&digits)?),
        "CORPSMAIL_PATIENT" => request.body_for_patient = Some(body_text(&digits)?),
        _ if message.of(obx, 5, 3).eq_ignore_ascii_case("XML")
            && request.documents.len() < limits.documents_max =>
        {
            let event = Event::from_code(&message.of(obx, 11, 1)).unwrap_or(request.event);
            let bytes = decode_base64(&digits)?;
            request.documents.push(RequestDocument { code: name, event, bytes });
        }
        _ => {}
    }
    Ok(None)
}

/// Text of a mail. The official samples lack a character at the end: six bits that are no octet are left out.
fn body_text(digits: &[u8]) -> Result<String, DocError> {
    let whole = if digits.len() % 4 == 1 { &digits[..digits.len() - 1] } else { digits };
    decode_base64(whole).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn participation(message: &Message, prt: &Segment, request: &mut Request, limits: &Limits) {
    let role = message.of(prt, 4, 1);
    // PRT-15 is an XTN: the address is its fourth component; the first one of a mail wins.
    let mut addresses =
        message.repetitions(prt, 15, limits).map(|xtn| message.component(xtn, 4, None));
    let Some(address) = addresses.find(|address| address.contains('@')) else { return };
    let address = address.trim().to_owned();
    match role.as_str() {
        "REPLY" => request.reply_to = Some(address),
        "RCT" if request.recipients.len() < limits.repeats_max => {
            let is_patient = address.to_ascii_lowercase().ends_with(PATIENTS);
            let identifier = message.of(prt, 5, 1);
            let recipient = Recipient { address, identifier, is_patient };
            if !request.recipients.contains(&recipient) {
                request.recipients.push(recipient);
            }
        }
        _ => {}
    }
}
