//! CAPABILITY (RFC 9051 6.1.1): what is announced works.

use super::Outcome;
use crate::reply::DONE;
use crate::session::{Session, Stage};
use crate::settings::Unauthenticate;
use crate::support::{self, When};

/// The list for this moment of the session, from the table of `support.rs`.
pub(crate) fn capabilities(session: &Session) -> String {
    let mut list: Vec<&str> = support::capabilities(When::Always).collect();
    match (&session.stage, session.may_login()) {
        (Stage::NotAuthenticated, false) => list.extend(["STARTTLS", "LOGINDISABLED"]),
        (Stage::NotAuthenticated, true) if session.wire.is_tls() => list.push("AUTH=PLAIN"),
        (Stage::NotAuthenticated, true) => list.extend(["STARTTLS", "AUTH=PLAIN"]),
        _ => list.extend(support::capabilities(When::Authenticated)),
    }
    // RFC 8437 3: only where it may be used.
    let reuse = session.server.settings.unauthenticate == Unauthenticate::Allowed;
    if reuse && !matches!(session.stage, Stage::NotAuthenticated) {
        list.push("UNAUTHENTICATE");
    }
    let limit = format!("APPENDLIMIT={}", append_limit(session));
    list.join(" ").replacen("APPENDLIMIT=", &limit, 1)
}

/// Octets of the largest message that APPEND takes (RFC 7889).
pub(crate) fn append_limit(session: &Session) -> u64 {
    let settings = &session.server.settings;
    settings.message_bytes_max.min(settings.limits.append_bytes_max)
}

pub(super) fn capability(session: &mut Session) -> Outcome {
    let list = capabilities(session);
    session.wire.out.untagged(format_args!("CAPABILITY {list}"));
    Ok(DONE)
}
