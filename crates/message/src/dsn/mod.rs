//! Delivery status notifications: `multipart/report` (RFC 6522) with RFC 3464 fields; RFC 6533 when an address needs
//! UTF-8. Spec mssante §1.8, §7.6. The null sender and the journal are the caller's.

mod build;
mod labels;
mod parse;
mod words;

pub use build::{Frame, build, frame};
pub use labels::{smtp_label, smtp_label_en};
pub use parse::{ParsedDsn, ParsedRecipient, parse, parse_status};

use palombe_vocabulary::{Domain, MailAddress, Timestamp};

/// What happened to a message for one recipient (RFC 3464 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Given up.
    Failed,
    /// Not delivered yet, still trying.
    Delayed,
    /// In the recipient's BAL.
    Delivered,
    /// Given to a server that does not send reports.
    Relayed,
    /// Delivered to a list of other addresses.
    Expanded,
}

impl Action {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
        }
    }
}

/// A report to the sender of a message.
#[derive(Clone, Debug)]
pub struct DsnReport {
    /// Our host name: Reporting-MTA.
    pub reporting_mta: Domain,
    /// From of the report, such as `postmaster@` our domain.
    pub from: MailAddress,
    /// The sender of the original message, who gets the report.
    pub to: MailAddress,
    /// A token nobody can guess (at least 16 letters or digits): it makes the Message-ID and the boundary, which must
    /// not stand in the original.
    pub token: String,
    /// Now.
    pub at: Timestamp,
    /// When we took the original.
    pub arrival: Timestamp,
    /// ENVID of the original, xtext decoded (RFC 3461 4.4).
    pub envelope_id: Option<String>,
    /// Message-ID of the original, for In-Reply-To.
    pub original_message_id: Option<String>,
    /// Subject of the original, decoded, shown to the person who reads.
    pub original_subject: Option<String>,
    /// True when the original needs SMTPUTF8: the report then uses the `global` forms of RFC 6533.
    pub smtputf8: bool,
    /// One entry per recipient reported.
    pub recipients: Vec<DsnRecipient>,
}

/// The fields of one recipient.
#[derive(Clone, Debug)]
pub struct DsnRecipient {
    /// ORCPT as `type;address`, xtext decoded (RFC 3461 4.2).
    pub original: Option<String>,
    /// The address we tried.
    pub address: MailAddress,
    /// What happened.
    pub action: Action,
    /// RFC 3463 code such as `5.1.1`.
    pub status: String,
    /// The server that answered.
    pub remote_mta: Option<String>,
    /// Its answer, such as `550 5.1.1 no such mailbox`; several lines allowed.
    pub diagnostic: Option<String>,
    /// Last attempt.
    pub last_attempt: Option<Timestamp>,
    /// For a delay: until when we try.
    pub will_retry_until: Option<Timestamp>,
}

impl DsnRecipient {
    /// The SMTP code of the diagnostic, or one of the spec mssante §12.6 table that says the same as the status.
    pub fn smtp_code(&self) -> Option<u16> {
        self.diagnostic
            .as_deref()
            .and_then(labels::code_of_reply)
            .or_else(|| labels::code_of_status(&self.status))
    }
}

/// How much of the original the report carries (RFC 3461 4.3).
#[derive(Clone, Copy, Debug)]
pub enum Returned<'a> {
    /// Nothing.
    Nothing,
    /// RET=HDRS: its header.
    Headers(&'a [u8]),
    /// RET=FULL: all of it.
    Full(&'a [u8]),
}

/// How much of the original [`frame`] makes room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// Nothing.
    Nothing,
    /// Its header: the caller streams it up to its blank line.
    Headers,
    /// All of it: the caller streams it.
    Full,
}
