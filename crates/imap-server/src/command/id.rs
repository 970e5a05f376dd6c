//! ID (RFC 2971): who we are, and a line in the log about who they say they are.

use super::Outcome;
use crate::limits::ID_TEXT_BYTES_MAX;
use crate::reply::DONE;
use crate::session::Session;

pub(super) fn id(session: &mut Session, fields: &[(String, Option<String>)]) -> Outcome {
    let told = |wanted: &str| {
        let field = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let text = field.and_then(|(_, value)| value.as_deref()).unwrap_or("-");
        text.chars().filter(|c| !c.is_control()).take(ID_TEXT_BYTES_MAX).collect::<String>()
    };
    let (name, version) = (told("name"), told("version"));
    tracing::debug!(session = %session.id, client = name, version, "imap client id");
    session.wire.out.untagged("ID (\"name\" \"Palombe\" \"vendor\" \"Palombe\")");
    Ok(DONE)
}
