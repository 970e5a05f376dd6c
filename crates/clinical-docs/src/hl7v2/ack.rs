//! Acknowledgements: what the record answers, and what we answer to the hospital's software
//! (ANS spec mssante §12.3–12.5).

use super::build::{Header, msh, sides};
use super::er7::{Message, Segment, escape};
use crate::error::{DocError, Hl7Fault};
use palombe_vocabulary::Timestamp;
use serde::{Deserialize, Serialize};

/// MSA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AckCode {
    /// AA: understood and taken in charge.
    Accepted,
    /// AE: an error in the message or in its content; to send it again changes nothing.
    Error,
    /// AR: refused for the circumstances; may be sent again.
    Rejected,
}

/// messageErrorCondition, ERR-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the labels of the table say it
pub enum Condition {
    Accepted,
    Sequence,
    RequiredField,
    DataType,
    TableValue,
    Cardinality,
    Other,
    MessageType,
    Event,
    Processing,
    Version,
    Application,
}

impl Condition {
    const TABLE: [(Condition, u16, &'static str); 12] = [
        (Condition::Accepted, 0, "Message accepted"),
        (Condition::Sequence, 100, "Segment sequence error"),
        (Condition::RequiredField, 101, "Required field missing"),
        (Condition::DataType, 102, "Data type error"),
        (Condition::TableValue, 103, "Table value not found"),
        (Condition::Cardinality, 198, "Non-Conformant Cardinality"),
        (Condition::Other, 199, "Other HL7 Error"),
        (Condition::MessageType, 200, "Unsupported message type"),
        (Condition::Event, 201, "Unsupported event code"),
        (Condition::Processing, 202, "Unsupported processing id"),
        (Condition::Version, 203, "Unsupported version id"),
        (Condition::Application, 207, "Application error"),
    ];

    fn row(self) -> (u16, &'static str) {
        let row = Condition::TABLE.iter().find(|(condition, _, _)| *condition == self);
        row.map_or((199, "Other HL7 Error"), |(_, code, label)| (*code, label))
    }

    /// Its code in the table.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// The condition of a code; anything unknown is another error.
    pub fn from_code(code: &str) -> Condition {
        let number = code.trim().parse::<u16>();
        let row = Condition::TABLE.iter().find(|(_, known, _)| number == Ok(*known));
        row.map_or(Condition::Other, |(condition, _, _)| *condition)
    }
}

/// applicationErrorCode, ERR-5: also in MDN and in the subject `[KO …][code]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApplicationError {
    /// 900.
    Version,
    /// 901.
    Author,
    /// 902.
    UnknownPatient,
    /// 903.
    InsAbsent,
    /// 904.
    InsDiffers,
    /// 905.
    InsIncomplete,
    /// 906.
    Other,
}

impl ApplicationError {
    const TABLE: [(ApplicationError, u16, &'static str); 7] = [
        (ApplicationError::Version, 900, "La version du document n'est pas la dernière connue"),
        (ApplicationError::Author, 901, "Auteur non habilité à remplacer ou supprimer le document"),
        (ApplicationError::UnknownPatient, 902, "Identifiant de patient inconnu"),
        (ApplicationError::InsAbsent, 903, "INS absente du document"),
        (ApplicationError::InsDiffers, 904, "INS différente de celle qui est connue"),
        (ApplicationError::InsIncomplete, 905, "INS incomplète"),
        (ApplicationError::Other, 906, "Autre"),
    ];

    fn row(self) -> (u16, &'static str) {
        let row = ApplicationError::TABLE.iter().find(|(error, _, _)| *error == self);
        row.map_or((906, "Autre"), |(_, code, label)| (*code, label))
    }

    /// Its code.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// What people read.
    pub fn french(self) -> &'static str {
        self.row().1
    }

    /// The error of a code; `None` outside 900–906.
    pub fn from_code(code: &str) -> Option<ApplicationError> {
        let number = code.trim().parse::<u16>();
        let row = ApplicationError::TABLE.iter().find(|(_, known, _)| number == Ok(*known));
        row.map(|(error, _, _)| *error)
    }
}

/// One ERR segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckError {
    /// ERR-2, as written.
    pub location: String,
    /// ERR-3.
    pub condition: Condition,
    /// ERR-4: `E`, `W`, `I`.
    pub severity: String,
    /// ERR-5: code and label.
    pub application: Option<(String, String)>,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// MSA-1.
    pub code: AckCode,
    /// CA, CE, CR: a commit, the application's answer is still to come.
    pub commit_only: bool,
    /// MSA-2: MSH-10 of what it answers.
    pub answers: String,
    /// ERR segments.
    pub errors: Vec<AckError>,
}

impl Ack {
    /// The application error, for the mail that goes back; an error of another table is 906.
    pub fn application_error(&self) -> Option<ApplicationError> {
        let with = self.errors.iter().find(|error| error.application.is_some());
        match with.and_then(|error| error.application.as_ref()) {
            Some((code, _)) => {
                Some(ApplicationError::from_code(code).unwrap_or(ApplicationError::Other))
            }
            None if self.code == AckCode::Accepted => None,
            None => Some(ApplicationError::Other),
        }
    }
}

/// Reads an acknowledgement.
///
/// # Errors
/// [`Hl7Fault::Missing`] without MSA, or with one that says nothing known.
pub fn parse_ack(message: &Message) -> Result<Ack, DocError> {
    let missing = || DocError::hl7(Hl7Fault::Missing);
    let msa = message.segment("MSA").ok_or_else(missing)?;
    let (code, commit_only) = match message.of(msa, 1, 1).as_str() {
        "AA" => (AckCode::Accepted, false),
        "AE" => (AckCode::Error, false),
        "AR" => (AckCode::Rejected, false),
        "CA" => (AckCode::Accepted, true),
        "CE" => (AckCode::Error, true),
        "CR" => (AckCode::Rejected, true),
        _ => return Err(missing()),
    };
    let answers = message.of(msa, 2, 1);
    if answers.is_empty() {
        return Err(missing());
    }
    let errors = message.segments().iter().filter(|segment| segment.name() == "ERR");
    let errors = errors.map(|err| AckError {
        location: err.raw(2).to_owned(),
        condition: Condition::from_code(&message.of(err, 3, 1)),
        severity: message.of(err, 4, 1),
        application: Some((message.of(err, 5, 1), message.of(err, 5, 2)))
            .filter(|(code, _)| !code.is_empty()),
    });
    Ok(Ack { code, commit_only, answers, errors: errors.collect() })
}

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// ERR-2, in ER7: `PID^1^3`.
    pub location: &'a str,
    /// ERR-3.
    pub condition: Condition,
    /// ERR-5, only with [`Condition::Application`].
    pub application: Option<ApplicationError>,
}

/// Writes the answer to a message: both sides swapped, the event of the message, MSA and at most one ERR.
pub fn build_ack(
    original: &Message,
    code: AckCode,
    failure: Option<Failure<'_>>,
    control_id: &str,
    at: Timestamp,
) -> Message {
    let (from, to) = sides(original);
    let trigger = escape(&original.first("MSH", 9, 2));
    let version = original.first("MSH", 12, 1);
    let version = if version.is_empty() { "2.6".to_owned() } else { escape(&version) };
    let processing = escape(&original.first("MSH", 11, 1));
    let header = msh(&Header {
        from: &from,
        to: &to,
        at,
        kind: &format!("ACK^{trigger}^ACK"),
        control_id,
        processing: if processing.is_empty() { "P" } else { &processing },
        version: &version,
        profile: "",
    });
    let letters = match code {
        AckCode::Accepted => "AA",
        AckCode::Error => "AE",
        AckCode::Rejected => "AR",
    };
    let answers = escape(&original.first("MSH", 10, 1));
    let mut segments = vec![header, Segment::new("MSA").with(1, letters).with(2, answers)];
    if let Some(failure) = failure {
        let (number, label) = failure.condition.row();
        let mut err = Segment::new("ERR")
            .with(2, failure.location)
            .with(3, format!("{number}^{label}^messageErrorCondition"))
            .with(4, "E");
        let application =
            failure.application.filter(|_| failure.condition == Condition::Application);
        if let Some(error) = application {
            let (code, label) = error.row();
            err = err.with(5, format!("{code}^{label}^applicationErrorCode"));
        }
        segments.push(err);
    }
    Message::new(segments)
}
