//! What the house says where the peer said nothing, and what a peer's answer means. One table, RFC 3463 codes.

use crate::link::LinkError;
use crate::route::RouteError;
use crate::settings::{SenderSettings, UnknownDomain, UntrustedPeer};
use palombe_delivery::{RecipientResult, RemoteReply};
use palombe_driver::TlsError;
use palombe_smtp_proto::Reply;

/// No STARTTLS: the trust space has no rule code of its own for it.
pub(crate) const RULE_NO_STARTTLS: &str = "peer.no-starttls";

/// The house's own words: no reply code.
pub(crate) fn own(enhanced: &str, text: impl Into<String>) -> RemoteReply {
    RemoteReply { code: 0, enhanced: Some(enhanced.to_owned()), text: text.into() }
}

/// The peer's words.
pub(crate) fn remote(reply: &Reply) -> RemoteReply {
    RemoteReply {
        code: reply.code,
        enhanced: reply.enhanced.map(|code| code.to_string()),
        text: reply.text.replace('\n', " "),
    }
}

/// A peer's negative answer, as the result of one recipient.
pub(crate) fn refused(reply: &Reply) -> RecipientResult {
    if reply.is_permanent() {
        RecipientResult::Failed(remote(reply))
    } else {
        RecipientResult::Deferred(remote(reply))
    }
}

/// No host to try.
pub(crate) fn route(error: &RouteError, settings: &SenderSettings) -> RecipientResult {
    let text = error.to_string();
    match error {
        // RFC 7505 4.2
        RouteError::NullMx => RecipientResult::Failed(own("5.1.10", text)),
        RouteError::UnknownDomain => match settings.unknown_domain {
            // RFC 5321 5.1; RFC 3463 X.1.2
            UnknownDomain::Bounce => RecipientResult::Failed(own("5.1.2", text)),
            UnknownDomain::Defer => RecipientResult::Deferred(own("4.1.2", text)),
        },
        // RFC 3463 X.4.6
        RouteError::Loop => RecipientResult::Failed(own("5.4.6", text)),
        // RFC 3463 X.4.3
        RouteError::Dns(_) | RouteError::Setup(_) => RecipientResult::Deferred(own("4.4.3", text)),
    }
}

/// The last of the hosts failed thus.
pub(crate) fn link(error: &LinkError, settings: &SenderSettings) -> RecipientResult {
    let text = error.to_string();
    let by_policy = |temporary: bool, subject: &str| match settings.untrusted_peer {
        UntrustedPeer::Bounce if !temporary => {
            RecipientResult::Failed(own(&format!("5.{subject}"), text.clone()))
        }
        _ => RecipientResult::Deferred(own(&format!("4.{subject}"), text.clone())),
    };
    match error {
        // RFC 3463 X.4.1: no answer from host; X.4.2: bad connection; X.5.0: protocol.
        LinkError::Connect(_) => RecipientResult::Deferred(own("4.4.1", text)),
        LinkError::Closed | LinkError::Io(_) => RecipientResult::Deferred(own("4.4.2", text)),
        LinkError::Timeout(_) => RecipientResult::Deferred(own("4.4.2", text)),
        LinkError::Reply(_) | LinkError::Unexpected(_) | LinkError::HelloName => {
            RecipientResult::Deferred(own("4.5.0", text))
        }
        // A server that refuses the whole connection may be under repair: its 5xx is not about this message.
        LinkError::Unwilling(reply) => RecipientResult::Deferred(remote(reply)),
        // RFC 3463 X.7.4: security features not supported; X.7.5: cryptographic failure; X.7.1: not authorised.
        LinkError::NoStartTls => by_policy(false, "7.4"),
        LinkError::Injected => by_policy(false, "7.5"),
        LinkError::Tls(TlsError::Timeout) => RecipientResult::Deferred(own("4.4.2", text)),
        LinkError::Tls(_) => RecipientResult::Deferred(own("4.7.5", text)),
        LinkError::Untrusted(refusal) => by_policy(refusal.temporary, "7.1"),
        // RFC 3463 X.3.0: our own system.
        LinkError::Body => RecipientResult::Deferred(own("4.3.0", text)),
    }
}

/// The rule that refused the peer, for the journal.
pub(crate) fn rule(error: &LinkError) -> Option<String> {
    match error {
        LinkError::Untrusted(refusal) => Some(refusal.rule.code().to_owned()),
        LinkError::NoStartTls | LinkError::Injected => Some(RULE_NO_STARTTLS.to_owned()),
        _ => None,
    }
}

/// RFC 1870 6.1: the peer told its limit in EHLO.
pub(crate) fn too_large(limit: u64) -> RecipientResult {
    let text = format!("the recipient's operator takes no message over {limit} octets");
    RecipientResult::Failed(own("5.3.4", text))
}

/// RFC 6152 3; RFC 3463 X.6.3
pub(crate) fn no_eight_bit() -> RecipientResult {
    RecipientResult::Failed(own(
        "5.6.3",
        "the recipient's operator does not take 8BITMIME messages",
    ))
}

/// RFC 6531 3.7.4
pub(crate) fn no_smtputf8() -> RecipientResult {
    RecipientResult::Failed(own(
        "5.6.7",
        "the recipient's operator does not take SMTPUTF8 messages",
    ))
}

/// The attempt met the end of its lease.
pub(crate) fn too_slow() -> RecipientResult {
    RecipientResult::Deferred(own("4.4.7", "the attempt took too long and was cut"))
}
