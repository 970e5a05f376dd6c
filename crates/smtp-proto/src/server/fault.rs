//! Every refusal that the protocol itself decides, and its reply: the only place with these texts.

use crate::command::SyntaxError;
use crate::{EnhancedCode, Reply};

/// A refusal that needs no house rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No verb that we know.
    UnknownCommand,
    /// A verb that we know and do not offer.
    NotImplemented,
    /// A control character, a NUL or a bare CR in a command line, or a line that is not UTF-8.
    BadLine,
    /// A command line that ends in LF alone: nobody can say where it ends, so the session ends.
    BareLfLine,
    /// Longer than the limit.
    LineTooLong,
    /// Arguments missing, or where there are none.
    Arguments,
    /// The reverse-path does not parse.
    SenderSyntax,
    /// The forward-path does not parse.
    RecipientSyntax,
    /// A parameter's value does not parse, or stands twice.
    Parameter,
    /// A parameter that we did not offer.
    UnknownParameter,
    /// UTF-8 in an address without SMTPUTF8.
    NonAsciiAddress,
    /// EHLO first.
    HelloFirst,
    /// MAIL within a transaction.
    MailTwice,
    /// RCPT, DATA or BDAT outside a transaction, or after a chunk was refused.
    MailFirst,
    /// DATA or BDAT, and no recipient was accepted.
    NoRecipients,
    /// RCPT or DATA after BDAT.
    AfterBdat,
    /// A message behind a refused DATA: nobody may read it as commands, so the session ends.
    DataAnyway,
    /// The count of BDAT does not parse: nobody can say what follows, so the session ends.
    BadChunk,
    /// TLS is required.
    TlsRequired,
    /// TLS is there already.
    TlsTwice,
    /// Bytes behind STARTTLS (CVE-2011-0411): the session ends.
    StartTlsInjection,
    /// Authentication is required.
    AuthRequired,
    /// AUTH where it is not offered, twice, or in a transaction.
    AuthNow,
    /// A mechanism that we do not have.
    Mechanism,
    /// Not base64, or not what PLAIN says.
    AuthSyntax,
    /// The client sent `*`.
    AuthCancelled,
    /// More recipients than the limit.
    TooManyRecipients,
    /// SIZE told more than the limit.
    DeclaredTooLarge,
    /// The message is larger than the limit.
    BodyTooLarge,
    /// A CR without LF in the message.
    BodyBareCr,
    /// An LF without CR in the message.
    BodyBareLf,
    /// A NUL in the message.
    BodyNul,
    /// Too many refused commands.
    TooManyErrors,
    /// Too many commands without a message.
    TooManyCommands,
    /// The door asked for bytes before it answered: a defect of ours.
    Internal,
}

impl Fault {
    /// The reply. One row, one reason.
    pub fn reply(self) -> Reply {
        let (code, (class, subject, detail), text) = match self {
            // RFC 5321 4.2.4
            Fault::UnknownCommand => (500, (5, 5, 2), "Command not recognized"),
            Fault::NotImplemented => (502, (5, 5, 1), "Command not implemented"),
            // RFC 5321 2.3.8, 4.1.2: lines end in CRLF and hold printable characters
            Fault::BadLine => {
                (500, (5, 5, 2), "Control characters or invalid UTF-8 in the command")
            }
            Fault::BareLfLine => (500, (5, 5, 2), "Bare LF in a command line, closing connection"),
            // RFC 5321 4.5.3.1.9
            Fault::LineTooLong => (500, (5, 5, 2), "Line too long"),
            Fault::Arguments => (501, (5, 5, 4), "Syntax error in arguments"),
            // RFC 3463 3.2
            Fault::SenderSyntax => (501, (5, 1, 7), "Bad sender address syntax"),
            Fault::RecipientSyntax => (501, (5, 1, 3), "Bad recipient address syntax"),
            Fault::Parameter => (501, (5, 5, 4), "Bad parameter value"),
            // RFC 5321 4.1.1.11
            Fault::UnknownParameter => (555, (5, 5, 4), "Unsupported parameter"),
            // RFC 6531 3.5
            Fault::NonAsciiAddress => (553, (5, 6, 7), "Non-ASCII address without SMTPUTF8"),
            // RFC 5321 4.1.4
            Fault::HelloFirst => (503, (5, 5, 1), "Send EHLO first"),
            Fault::MailTwice => (503, (5, 5, 1), "Sender already given"),
            Fault::MailFirst => (503, (5, 5, 1), "Send MAIL first"),
            Fault::NoRecipients => (554, (5, 5, 1), "No valid recipients"),
            // RFC 3030 2
            Fault::AfterBdat => (503, (5, 5, 1), "Not allowed after BDAT"),
            Fault::BadChunk => (501, (5, 5, 4), "Bad chunk size, closing connection"),
            // RFC 5321 4.1.1.4: the message waits for 354
            Fault::DataAnyway => (503, (5, 5, 1), "DATA was refused, closing connection"),
            // RFC 3207 4
            Fault::TlsRequired => (530, (5, 7, 0), "Must issue a STARTTLS command first"),
            Fault::TlsTwice => (503, (5, 5, 1), "TLS already active"),
            // RFC 3207 6
            Fault::StartTlsInjection => {
                (503, (5, 5, 1), "Nothing may follow STARTTLS, closing connection")
            }
            // RFC 4954 6
            Fault::AuthRequired => (530, (5, 7, 0), "Authentication required"),
            Fault::AuthNow => (503, (5, 5, 1), "AUTH not allowed now"),
            Fault::Mechanism => (504, (5, 5, 4), "Unrecognized authentication mechanism"),
            Fault::AuthSyntax => (501, (5, 5, 2), "Cannot decode the response"),
            Fault::AuthCancelled => (501, (5, 7, 0), "Authentication cancelled"),
            // RFC 5321 4.5.3.1.10
            Fault::TooManyRecipients => (452, (4, 5, 3), "Too many recipients"),
            // RFC 1870 6.1, 6.2
            Fault::DeclaredTooLarge => (552, (5, 3, 4), "Message size exceeds the fixed maximum"),
            Fault::BodyTooLarge => (552, (5, 3, 4), "Message size exceeds the fixed maximum"),
            // RFC 5321 2.3.8, 4.1.1.4
            Fault::BodyBareCr => (550, (5, 6, 11), "Bare CR in the message"),
            Fault::BodyBareLf => (550, (5, 6, 11), "Bare LF in the message"),
            Fault::BodyNul => (550, (5, 6, 11), "NUL in the message"),
            // RFC 5321 4.2.2, 7.8
            Fault::TooManyErrors => (421, (4, 7, 0), "Too many errors, closing connection"),
            Fault::TooManyCommands => (421, (4, 7, 0), "Too many commands, closing connection"),
            Fault::Internal => (421, (4, 3, 0), "Internal error, closing connection"),
        };
        Reply::new(code, EnhancedCode(class, subject, detail), text)
    }

    /// A stable name for metrics and the journal.
    pub fn code(self) -> &'static str {
        match self {
            Fault::BodyBareCr => "smtp.bare-cr",
            Fault::BodyBareLf => "smtp.bare-lf",
            Fault::BodyNul => "smtp.nul",
            Fault::BodyTooLarge | Fault::DeclaredTooLarge => "smtp.too-large",
            Fault::BareLfLine => "smtp.bare-lf-line",
            Fault::BadLine => "smtp.bad-line",
            Fault::LineTooLong => "smtp.line-too-long",
            Fault::BadChunk => "smtp.bad-chunk",
            Fault::StartTlsInjection => "smtp.starttls-injection",
            Fault::TlsRequired => "smtp.tls-required",
            Fault::AuthRequired => "smtp.auth-required",
            Fault::TooManyErrors => "smtp.too-many-errors",
            Fault::TooManyCommands => "smtp.too-many-commands",
            Fault::TooManyRecipients => "smtp.too-many-recipients",
            Fault::UnknownCommand
            | Fault::NotImplemented
            | Fault::Arguments
            | Fault::SenderSyntax
            | Fault::RecipientSyntax
            | Fault::Parameter
            | Fault::UnknownParameter
            | Fault::NonAsciiAddress
            | Fault::AuthSyntax
            | Fault::AuthCancelled
            | Fault::Mechanism => "smtp.syntax",
            Fault::HelloFirst
            | Fault::MailTwice
            | Fault::MailFirst
            | Fault::NoRecipients
            | Fault::AfterBdat
            | Fault::DataAnyway
            | Fault::TlsTwice
            | Fault::AuthNow => "smtp.sequence",
            Fault::Internal => "smtp.internal",
        }
    }

    /// Whether nothing that follows may be read any more.
    pub(crate) fn is_fatal(self) -> bool {
        matches!(
            self,
            Fault::BareLfLine
                | Fault::DataAnyway
                | Fault::BadChunk
                | Fault::StartTlsInjection
                | Fault::TooManyErrors
                | Fault::TooManyCommands
                | Fault::Internal
        )
    }
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Fault {
        match error {
            SyntaxError::Arguments => Fault::Arguments,
            SyntaxError::Sender => Fault::SenderSyntax,
            SyntaxError::Recipient => Fault::RecipientSyntax,
            SyntaxError::Parameter => Fault::Parameter,
            SyntaxError::UnknownParameter => Fault::UnknownParameter,
        }
    }
}
