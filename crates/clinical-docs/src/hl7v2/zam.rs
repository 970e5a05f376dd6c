//! ZAM: business acknowledgements to the hospital's software (ANS spec mssante §12.6), from DSN, MDN and the DMP.

use super::ack::ApplicationError;
use super::build::{Endpoint, Flagged, Header, Processing, msh, time, yes_no};
use super::er7::{Message, Segment, escape};
use crate::error::{DocError, Hl7Fault};
use palombe_vocabulary::Timestamp;

/// MSH-21 of the profile.
const PROFILE: &str = "2.1^CISIS_CDA_HL7_V2";

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZamEvent {
    /// Z01: the DMP took the document, or not.
    DmpReceived,
    /// Z02: the recipient's server took the message, or not (from a DSN).
    MssReceived,
    /// Z03: the recipient's software processed it, or not (from an MDN).
    MssRead,
}

impl ZamEvent {
    /// Trigger, OBX-3 of the answer, OBX-3 of who it is about.
    const fn codes(self) -> (&'static str, &'static str, &'static str) {
        match self {
            ZamEvent::DmpReceived => {
                ("Z01", "ACK_RECEPTION_DMP^Accusé de réception DMP^AckMetierZAM", "")
            }
            ZamEvent::MssReceived => (
                "Z02",
                "ACK_RECEPTION_MSS^Accusé de réception MSSanté^AckMetierZAM",
                "DESTINATAIRE_MSS^Destinataire MSSanté^AckMetierZAM",
            ),
            ZamEvent::MssRead => (
                "Z03",
                "ACK_LECTURE_MSS^Accusé de lecture^AckMetierZAM",
                "LECTEUR_MSS^Lecteur du courriel MSSanté^AckMetierZAM",
            ),
        }
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZamFailure {
    /// SMTPERRORCODE, for Z02.
    Smtp(u16),
    /// applicationErrorCondition, for Z03.
    Application(ApplicationError),
    /// DMPERRORCODE with its label, for Z01.
    Dmp(String, String),
}

/// Everything that one acknowledgement is made of.
#[derive(Clone, Debug)]
pub struct Zam<'a> {
    /// Us.
    pub from: Endpoint,
    /// The software that asked.
    pub to: Endpoint,
    /// MSH-10.
    pub control_id: &'a str,
    /// Now.
    pub at: Timestamp,
    /// MSH-11.
    pub processing: Processing,
    /// What happened.
    pub event: ZamEvent,
    /// MSH-10 of the request.
    pub answers: &'a str,
    /// Identifier (PRT-5.1 of the request) and address of the recipient.
    pub recipient: (&'a str, &'a str),
    /// Why not; nothing when it went well.
    pub failure: Option<ZamFailure>,
}

/// SMTPERRORCODE: its code nearest to an SMTP reply, and the label.
pub fn smtp_error(reply: u16) -> (u16, &'static str) {
    const TABLE: [(u16, &str); 31] = [
        (101, "Le serveur ne peut pas se connecter"),
        (111, "Connexion refusée"),
        (251, "Destinataire relayé ailleurs"),
        (252, "Destinataire non vérifiable"),
        (420, "Délai dépassé"),
        (421, "Service indisponible"),
        (422, "Boîte du destinataire pleine"),
        (431, "Mémoire ou disque insuffisant"),
        (432, "Changement de mot de passe nécessaire"),
        (441, "Le serveur ne répond pas"),
        (442, "Connexion interrompue"),
        (450, "Boîte indisponible"),
        (451, "Action interrompue"),
        (452, "Ressources insuffisantes"),
        (500, "Erreur de syntaxe"),
        (501, "Erreur dans les paramètres"),
        (502, "Commande non réalisée"),
        (503, "Suite de commandes incorrecte"),
        (504, "Paramètre non réalisé"),
        (510, "Adresse incorrecte"),
        (512, "Serveur introuvable dans le DNS"),
        (513, "Type d'adresse incorrect"),
        (523, "Message trop volumineux"),
        (530, "Authentification nécessaire"),
        (541, "Message rejeté par un filtre"),
        (550, "Boîte inexistante ou indisponible"),
        (551, "Destinataire non local"),
        (552, "Espace de stockage dépassé"),
        (553, "Nom de boîte non admis"),
        (554, "Échec permanent"),
        (0, ""),
    ];
    let exact = TABLE.iter().find(|(code, label)| *code == reply && !label.is_empty());
    let general = if (400..500).contains(&reply) { 451 } else { 554 };
    let row = exact.or_else(|| TABLE.iter().find(|(code, _)| *code == general));
    row.copied().unwrap_or((554, "Échec permanent"))
}

/// Writes the acknowledgement: MSH EVN OBX [OBX] [ERR].
pub fn build_zam(zam: &Zam<'_>) -> Message {
    let (trigger, about, who) = zam.event.codes();
    let mut segments = vec![
        msh(&Header {
            from: &zam.from,
            to: &zam.to,
            at: zam.at,
            kind: &format!("ZAM^{trigger}^ZAM_Z01"),
            control_id: zam.control_id,
            processing: zam.processing.letter(),
            version: "2.6",
            profile: PROFILE,
        }),
        Segment::new("EVN").with(2, time(zam.at)),
        Segment::new("OBX")
            .with(1, "1")
            .with(2, "CWE")
            .with(3, about)
            .with(4, escape(zam.answers))
            .with(5, yes_no(Flagged::from(zam.failure.is_none())))
            .with(11, "F"),
    ];
    let (identifier, address) = zam.recipient;
    if !who.is_empty() {
        segments.push(
            Segment::new("OBX")
                .with(1, "2")
                .with(2, "XTN")
                .with(3, who)
                .with(4, escape(identifier))
                .with(5, format!("^^X.400^{}", escape(address)))
                .with(11, "F"),
        );
    }
    if let Some(failure) = &zam.failure {
        let text = match failure {
            ZamFailure::Smtp(reply) => {
                let (code, label) = smtp_error(*reply);
                format!("{code}^{label}^SMTPERRORCODE")
            }
            ZamFailure::Application(error) => {
                format!("{}^{}^applicationErrorCondition", error.code(), error.french())
            }
            ZamFailure::Dmp(code, label) => {
                format!("{}^{}^DMPERRORCODE", escape(code), escape(label))
            }
        };
        segments.push(
            Segment::new("ERR")
                .with(3, "207^Application error^messageErrorCondition")
                .with(4, "E")
                .with(5, text),
        );
    }
    Message::new(segments)
}

/// Reads one: the event, what it answers, and whether it went well.
///
/// # Errors
/// [`Hl7Fault::Missing`] when it is no ZAM or says nothing.
pub fn parse_zam(message: &Message) -> Result<(ZamEvent, String, bool), DocError> {
    let missing = || DocError::hl7(Hl7Fault::Missing);
    let event = match message.first("MSH", 9, 2).as_str() {
        "Z01" => ZamEvent::DmpReceived,
        "Z02" => ZamEvent::MssReceived,
        "Z03" => ZamEvent::MssRead,
        _ => return Err(missing()),
    };
    let obx = message.segment("OBX").ok_or_else(missing)?;
    let (answers, value) = (message.of(obx, 4, 1), message.of(obx, 5, 1));
    match value.as_str() {
        "Y" | "N" if !answers.is_empty() => Ok((event, answers, value == "Y")),
        _ => Err(missing()),
    }
}
