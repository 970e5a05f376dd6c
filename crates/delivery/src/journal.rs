//! What the journal keeps of each decision, so that it can be replayed (issue "every decision is replayable").
//!
//! Addresses stand in the journal (imputability, spec mssante §9); the content of a message never does.

use crate::accept::{Case, Handover, Origin};
use crate::{Delivery, DeliveryError};
use palombe_store::{JournalLine, Outcome};
use palombe_trust::Evidence;
use palombe_vocabulary::{BalId, Domain, SessionId, Timestamp};
use serde::Serialize;

/// Longest free text of a journal line, octets.
pub(crate) const DETAIL_TEXT_BYTES_MAX: usize = 500;

/// A refusal at a door, told by the door.
#[derive(Clone, Debug)]
pub struct RefusalRecord {
    /// When.
    pub at: Timestamp,
    /// `smtp.interop`, `smtp.submission`, `relay`.
    pub door: &'static str,
    /// The connection.
    pub session: Option<SessionId>,
    /// Stable code of the rule that decided, such as `peer.revoked` or `delivery.unknown-recipient`.
    pub rule: String,
    /// Whether the peer may come back.
    pub temporary: bool,
    /// What decided: list snapshot and certificate.
    pub evidence: Option<Evidence>,
    /// The domain in question: of the sender, or of the recipient.
    pub domain: Option<Domain>,
    /// The BAL in question, where one was authenticated.
    pub bal: Option<BalId>,
    /// The message, where it was read that far.
    pub message_id: Option<String>,
    /// Envelope sender and recipient as given, where known.
    pub addresses: Vec<String>,
    /// Address of the peer.
    pub peer: Option<std::net::IpAddr>,
    /// What the log says; never content.
    pub text: String,
}

#[derive(Serialize)]
struct RefusalDetail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Evidence>,
    addresses: &'a [String],
    text: &'a str,
}

#[derive(Serialize)]
struct AcceptedDetail<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Evidence>,
    from: String,
    to: Vec<String>,
    tls: Option<&'a str>,
    size: u64,
    /// spec mssante §7.4: product reference and structured-document facts, indexed, never changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    x_mss_nil: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    x_mss_codecda: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    x_mss_ins: Option<&'a str>,
}

impl Delivery {
    /// Writes a refusal to the journal, without waiting for the disk. A store that cannot write is logged and does
    /// not change the refusal.
    pub fn journal_refusal(&self, record: RefusalRecord) {
        let text = bounded(&record.text, DETAIL_TEXT_BYTES_MAX);
        let detail = RefusalDetail {
            evidence: record.evidence.as_ref(),
            addresses: &record.addresses,
            text,
        };
        let line = JournalLine {
            at: record.at,
            event: format!("{}.refused", record.door),
            outcome: if record.temporary { Outcome::Deferred } else { Outcome::Refused },
            session: record.session,
            queue: None,
            bal: record.bal,
            message_id: record.message_id,
            peer: record.peer,
            peer_dn: record.evidence.as_ref().and_then(|e| e.dn.clone()),
            domain: record.domain,
            rule: Some(record.rule),
            detail: json(&detail),
        };
        if let Err(error) = self.store.journal_append(vec![line]) {
            tracing::error!(%error, "a refusal could not be written to the journal");
        }
    }
}

impl Case<'_> {
    pub(crate) fn accepted_lines(&self) -> Vec<JournalLine> {
        let Handover { origin, envelope, body, trace, at } = self.handover;
        let facts = self.facts;
        let (event, evidence, bal) = match origin {
            Origin::Operator(sender) => ("smtp.interop.accepted", Some(sender.evidence()), None),
            Origin::Submission(open) => ("smtp.submission.accepted", None, Some(open.id())),
        };
        let detail = AcceptedDetail {
            id: self.id,
            evidence: evidence.as_ref(),
            from: envelope.from.to_string(),
            to: envelope.recipients.iter().map(|r| r.address.to_string()).collect(),
            tls: trace.tls.as_deref(),
            size: body.blob.size(),
            x_mss_nil: facts.mss.nil.as_deref(),
            x_mss_codecda: &facts.mss.code_cda,
            x_mss_ins: facts.mss.ins.as_deref(),
        };
        vec![JournalLine {
            at: *at,
            event: event.to_owned(),
            outcome: Outcome::Accepted,
            session: Some(trace.session),
            queue: None,
            bal,
            message_id: facts.message_id.clone(),
            peer: Some(trace.peer),
            peer_dn: evidence.as_ref().and_then(|e| e.dn.clone()),
            domain: envelope.from.address().map(|a| a.domain().clone()),
            rule: Some("accepted".to_owned()),
            detail: json(&detail),
        }]
    }
}

/// The stable code under which a refusal of this room stands in the journal.
impl DeliveryError {
    /// `delivery.unknown-recipient`, or the trust rule's own code.
    pub fn code(&self) -> &'static str {
        match self {
            DeliveryError::UnknownRecipient => "delivery.unknown-recipient",
            DeliveryError::BalSuspended => "delivery.bal-suspended",
            DeliveryError::OverQuota => "delivery.over-quota",
            DeliveryError::NotHosted => "delivery.not-hosted",
            DeliveryError::OutsideTrustSpace(r) | DeliveryError::HeaderFromNotCovered(r) => {
                r.rule.code()
            }
            DeliveryError::SenderNotAllowed => "delivery.sender-not-allowed",
            DeliveryError::AuthorNotAllowed => "delivery.author-not-allowed",
            DeliveryError::BadFromField => "delivery.bad-from-field",
            DeliveryError::Loop => "delivery.loop",
            DeliveryError::TooLarge => "delivery.too-large",
            DeliveryError::TooComplex => "delivery.too-complex",
            DeliveryError::BadContent => "delivery.bad-content",
            DeliveryError::TooManyDestinations => "delivery.too-many-destinations",
            DeliveryError::NoRandomness => "delivery.no-randomness",
            DeliveryError::Full => "delivery.disk-full",
            DeliveryError::Unavailable(_) => "delivery.store-unavailable",
        }
    }

    /// The list snapshot and certificate that decided, where trust did.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            DeliveryError::OutsideTrustSpace(r) | DeliveryError::HeaderFromNotCovered(r) => {
                Some(&r.evidence)
            }
            _ => None,
        }
    }
}

/// The text cut at a character boundary.
pub(crate) fn bounded(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

pub(crate) fn json<T: Serialize>(detail: &T) -> String {
    serde_json::to_string(detail).unwrap_or_default()
}
