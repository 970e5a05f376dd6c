//! CAPABILITY (RFC 9051 6.1.1): what is announced works.

use super::Outcome;
use crate::reply::DONE;
use crate::session::{Session, Stage};

/// Before authentication. LITERAL+ (RFC 7888), SASL-IR (RFC 4959), ENABLE (RFC 5161), ID (RFC 2971).
const ALWAYS: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID";

/// After it. RFC 2342, 6154, 4315, 6851, 2177, 3691, 4731, 5182, 5258, 5819, 8438, 3348, 3516, 7162, 5032.
const AUTHENTICATED: &str = "NAMESPACE SPECIAL-USE CREATE-SPECIAL-USE UIDPLUS MOVE IDLE UNSELECT \
    ESEARCH SEARCHRES LIST-EXTENDED LIST-STATUS STATUS=SIZE CHILDREN BINARY CONDSTORE WITHIN";

/// The list for this moment of the session.
pub(crate) fn capabilities(session: &Session) -> String {
    match (&session.stage, session.may_login()) {
        (Stage::NotAuthenticated, false) => format!("{ALWAYS} STARTTLS LOGINDISABLED"),
        (Stage::NotAuthenticated, true) if session.wire.is_tls() => format!("{ALWAYS} AUTH=PLAIN"),
        (Stage::NotAuthenticated, true) => format!("{ALWAYS} STARTTLS AUTH=PLAIN"),
        _ => format!("{ALWAYS} {AUTHENTICATED}"),
    }
}

pub(super) fn capability(session: &mut Session) -> Outcome {
    let list = capabilities(session);
    session.wire.out.untagged(format_args!("CAPABILITY {list}"));
    Ok(DONE)
}
