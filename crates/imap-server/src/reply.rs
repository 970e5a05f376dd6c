//! Every text that this door says of a command, and the map from house errors to them.
//!
//! Texts are constant: they name nobody and quote nothing of the client's.

use crate::error::{Failure, Gone};
use palombe_access::AccessError;
use palombe_delivery::DeliveryError;
use palombe_driver::PoolBusy;
use palombe_imap_proto::Bad;
use palombe_store::StoreError;

/// A command done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Response code without its brackets.
    pub(crate) code: Option<String>,
    pub(crate) text: &'static str,
}

/// Completed, nothing special to say.
pub(crate) const DONE: Done = Done { code: None, text: "Completed" };

impl Done {
    pub(crate) fn with(code: impl Into<String>) -> Done {
        Done { code: Some(code.into()), ..DONE }
    }

    pub(crate) fn saying(text: &'static str) -> Done {
        Done { code: None, text }
    }

    pub(crate) fn line(&self) -> String {
        match &self.code {
            Some(code) => format!("OK [{code}] {}", self.text),
            None => format!("OK {}", self.text),
        }
    }
}

/// NO or BAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    No,
    Bad,
}

/// The tagged answer to a command that failed.
pub(crate) fn failure(failure: &Failure) -> (Verdict, String) {
    use Verdict::{Bad, No};
    let (verdict, code, text) = match failure {
        Failure::Store(error) => return store(error),
        Failure::Delivery(error) => return delivery(error),
        Failure::Access(error) => return access(error),
        Failure::Bad(error) => return bad(*error),
        Failure::Busy(PoolBusy::Panicked) => (No, "SERVERBUG", "Internal error"), // RFC 5530 3
        Failure::Busy(_) => (No, "UNAVAILABLE", "Too busy, try again later"),     // RFC 5530 3
        Failure::Structure(_) => (No, "SERVERBUG", "Internal error"),
        Failure::NoSuchFolder => (No, "NONEXISTENT", "No such mailbox"), // RFC 5530 3
        Failure::NoSuchTarget => (No, "TRYCREATE", "No such mailbox"),   // RFC 9051 7.1
        Failure::NoPermission => (No, "NOPERM", "Permission denied"),    // RFC 5530 3, RFC 4314 6
        Failure::OtherBal => (No, "CANNOT", "REPLACE stays within one account"),
        Failure::Identifier => (No, "CANNOT", "No rights can be given to this identifier"),
        Failure::OwnRights => (No, "CANNOT", "The owner keeps every right"),
        // RFC 5464 4.3
        Failure::LongAnnotation => {
            let code = format!("METADATA MAXSIZE {}", palombe_store::limits::ANNOTATION_BYTES_MAX);
            return no(&code, "The value is too long");
        }
        Failure::TooManyAnnotations => (No, "METADATA TOOMANY", "Too many annotations"),
        Failure::EntryName => (No, "CANNOT", "A scope alone is no entry"),
        Failure::NoSuchRoot => (No, "NONEXISTENT", "No such quota root"),
        Failure::FolderExists => (No, "ALREADYEXISTS", "Mailbox already exists"), // RFC 5530 3
        Failure::FolderName => (No, "CANNOT", "This name cannot be given to a mailbox"), // RFC 5530 3
        Failure::FolderFixed => (No, "CANNOT", "This mailbox cannot be deleted or renamed"),
        Failure::HasChildren => (No, "HASCHILDREN", "The mailbox has children"), // RFC 9051 7.1
        Failure::ReadOnly => (No, "READ-ONLY", "The mailbox was opened read-only"),
        Failure::WrongState => (Bad, "", "Not now: wrong session state"), // RFC 9051 3
        Failure::NeedsTls => (No, "PRIVACYREQUIRED", "Use STARTTLS first"), // RFC 5530 3
        Failure::NoTls => (Bad, "", "TLS is already in use"),
        Failure::Mechanism => (No, "CANNOT", "Unsupported authentication mechanism"),
        Failure::Sasl => (Bad, "", "Invalid authentication exchange"),
        Failure::Cancelled => (Bad, "", "Authentication cancelled"), // RFC 9051 6.2.2
        Failure::SequenceNumber => (Bad, "CLIENTBUG", "No message has this number"), // RFC 9051 9
        Failure::Charset => (No, "BADCHARSET (UTF-8 US-ASCII)", "Unknown charset"), // RFC 9051 7.1
        Failure::Flag => (No, "CANNOT", "Unknown flag"),
        Failure::UnknownCte => (No, "UNKNOWN-CTE", "Unknown content transfer encoding"), // RFC 3516
        Failure::NotEnabled => (Bad, "CLIENTBUG", "ENABLE the extension first"), // RFC 7162 3.2.3
        Failure::TooManyToOrder => (No, "LIMIT", "Too many messages"),           // RFC 5530 3
        Failure::TooManyMessages => (No, "LIMIT", "Too many messages in one command"),
        Failure::NoSuchMessage => (No, "EXPUNGEISSUED", "No such message"), // RFC 8508 3.2
        Failure::BinaryMessage => (No, "UNKNOWN-CTE", "Messages with NUL are not stored"), // RFC 3516 4.4
        Failure::EightBitHeader => (No, "CANNOT", "Enable UTF8=ACCEPT for this header"), // RFC 6855 4
        Failure::CompressedAlready => (No, "COMPRESSIONACTIVE", "DEFLATE is active"), // RFC 4978 3
        Failure::TooManyCompressed => (No, "LIMIT", "Too many compressed sessions"),
        Failure::UidRequired => (Bad, "UIDREQUIRED", "Only UIDs are used now"), // RFC 9586 3
        Failure::EmptyMessage => (No, "CANNOT", "An empty message cannot be stored"),
        Failure::SpecialUse => (No, "USEATTR", "This special use cannot be given"), // RFC 6154 3
    };
    (verdict, line(verdict, code, text))
}

fn line(verdict: Verdict, code: &str, text: &str) -> String {
    let word = match verdict {
        Verdict::No => "NO",
        Verdict::Bad => "BAD",
    };
    if code.is_empty() { format!("{word} {text}") } else { format!("{word} [{code}] {text}") }
}

fn no(code: &str, text: &str) -> (Verdict, String) {
    (Verdict::No, line(Verdict::No, code, text))
}

fn store(error: &StoreError) -> (Verdict, String) {
    match error {
        StoreError::UnknownFolder => no("NONEXISTENT", "No such mailbox"),
        StoreError::UnknownBal | StoreError::BalSuspended => {
            no("UNAVAILABLE", "The account is not available")
        }
        StoreError::OverQuota(..) => no("OVERQUOTA", "The quota is exhausted"), // RFC 5530 3
        StoreError::AlreadyExists(..) => no("ALREADYEXISTS", "Mailbox already exists"),
        StoreError::Full => no("UNAVAILABLE", "No room on the server now"),
        other if other.is_temporary() => no("UNAVAILABLE", "Try again later"),
        _ => no("SERVERBUG", "Internal error"),
    }
}

fn delivery(error: &DeliveryError) -> (Verdict, String) {
    match error {
        DeliveryError::TooLarge => no("TOOBIG", "The message is too large"), // RFC 7889 4
        DeliveryError::OverQuota => no("OVERQUOTA", "The quota is exhausted"),
        other if other.is_temporary() => no("UNAVAILABLE", "Try again later"),
        _ => no("CANNOT", "The message cannot be stored"),
    }
}

fn access(error: &AccessError) -> (Verdict, String) {
    match error {
        // RFC 5530 3: the same for every cause.
        AccessError::Refused => no("AUTHENTICATIONFAILED", "Authentication failed"),
        AccessError::Unavailable(_) => no("UNAVAILABLE", "Try again later"),
    }
}

/// The answer to a line that is not a command, or to a command's argument that this server does not take.
pub(crate) fn bad(bad: Bad) -> (Verdict, String) {
    match bad {
        Bad::MessageTooLarge => no("TOOBIG", "The message is too large"), // RFC 7889 4
        Bad::MailboxName => no("CANNOT", "The mailbox name is not well encoded"),
        other => (Verdict::Bad, line(Verdict::Bad, "", &other.to_string())),
    }
}

/// The last words of a connection; `None` when nobody listens any more.
pub(crate) fn bye(gone: Gone) -> Option<&'static str> {
    Some(match gone {
        // One that does not read would not read this either.
        Gone::Closed | Gone::Tls | Gone::Stalled => return None,
        // RFC 9051 3.4: no connection is closed without its reason.
        Gone::Unfinished => "BYE The command was not ended in time",
        Gone::Compression => "BYE The compressed stream cannot be followed",
        Gone::Logout => "BYE Goodbye",
        Gone::Autologout => "BYE Autologout; idle for too long", // RFC 9051 5.4
        Gone::Shutdown => "BYE [UNAVAILABLE] Server shutting down",
        Gone::Flood => "BYE Too much input",
        Gone::LoginFailures => "BYE Too many failed logins",
        Gone::BalClosed => "BYE The account is not available",
        Gone::RightsLost => "BYE The selected mailbox is not available", // RFC 4314 5.1.1
        Gone::Deleted => "BYE The selected mailbox was deleted",
        Gone::Outdated => "BYE The selected mailbox changed too much; select it again",
    })
}

/// Refused at the door.
pub(crate) const TOO_MANY_CONNECTIONS: &str = "BYE [UNAVAILABLE] Too many connections";
