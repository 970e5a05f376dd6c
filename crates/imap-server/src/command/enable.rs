//! ENABLE (RFC 9051 6.3.1, RFC 5161).

use super::Outcome;
use crate::reply::DONE;
use crate::session::Session;

pub(super) fn enable(session: &mut Session, names: &[String]) -> Outcome {
    let mut enabled = Vec::new();
    for name in names {
        match name.as_str() {
            "IMAP4REV2" if !session.enabled.rev2 => {
                session.enabled.rev2 = true;
                session.receiver.set_utf8();
                session.wire.out.set_utf8();
                enabled.push(" IMAP4rev2");
            }
            "CONDSTORE" if !session.enabled.condstore => {
                session.enabled.condstore = true;
                enabled.push(" CONDSTORE");
            }
            // RFC 6855 3
            "UTF8=ACCEPT" if !session.enabled.utf8 => {
                session.enabled.utf8 = true;
                session.receiver.set_utf8();
                session.wire.out.set_utf8();
                enabled.push(" UTF8=ACCEPT");
            }
            // RFC 9586 3
            "UIDONLY" if !session.enabled.uid_only => {
                session.enabled.uid_only = true;
                enabled.push(" UIDONLY");
            }
            // RFC 7162 3.2.3: enabling QRESYNC enables CONDSTORE.
            "QRESYNC" if !session.enabled.qresync => {
                session.enabled.qresync = true;
                session.enabled.condstore = true;
                enabled.push(" QRESYNC");
            }
            // RFC 5161 3.1: what is unknown or already on is passed over.
            _ => {}
        }
    }
    session.wire.out.untagged(format_args!("ENABLED{}", enabled.concat()));
    Ok(DONE)
}
