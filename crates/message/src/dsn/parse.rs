//! Reading a report, ours or a peer's, to follow a message.

use super::Action;
use crate::codec::MessageError;
use crate::decode::TransferDecoder;
use crate::header;
use crate::limits::Limits;
use crate::scanner::Scanner;
use crate::structure::{Part, Structure};
use palombe_vocabulary::Timestamp;

/// Recipients read of one report.
const RECIPIENTS_MAX: usize = 10_000;

/// A delivery status notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedDsn {
    /// Reporting-MTA without its type.
    pub reporting_mta: Option<String>,
    /// Original-Envelope-Id.
    pub envelope_id: Option<String>,
    /// Arrival-Date.
    pub arrival: Option<Timestamp>,
    /// Message-ID of the returned original, brackets included.
    pub original_message_id: Option<String>,
    /// Recipients.
    pub recipients: Vec<ParsedRecipient>,
}

/// One recipient of a report. Types (`rfc822;`, `dns;`, `smtp;`) are removed, except from `original`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRecipient {
    /// Original-Recipient with its type.
    pub original: Option<String>,
    /// Final-Recipient.
    pub address: Option<String>,
    /// Action; `None` when absent or unknown.
    pub action: Option<Action>,
    /// Status.
    pub status: Option<String>,
    /// Remote-MTA.
    pub remote_mta: Option<String>,
    /// Diagnostic-Code.
    pub diagnostic: Option<String>,
    /// Will-Retry-Until.
    pub will_retry_until: Option<Timestamp>,
}

/// Reads a report from the octets of the whole message.
///
/// # Errors
/// [`MessageError::NotDsn`] when no part is a delivery status.
pub fn parse(message: &[u8]) -> Result<ParsedDsn, MessageError> {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message);
    let structure = scanner.finish();
    let mut parts = structure.walk();
    let status = parts.find(|part| is_status(part)).ok_or(MessageError::NotDsn)?;
    let mut dsn = parse_status(&decoded(status, message));
    if dsn.recipients.is_empty() {
        return Err(MessageError::NotDsn);
    }
    dsn.original_message_id = original_message_id(&structure, message);
    Ok(dsn)
}

fn is_status(part: &Part) -> bool {
    part.content_type.is("message", "delivery-status")
        || part.content_type.is("message", "global-delivery-status")
}

fn octets<'m>(range: &std::ops::Range<u64>, message: &'m [u8]) -> &'m [u8] {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    bounds.and_then(|(start, end)| message.get(start..end)).unwrap_or_default()
}

fn decoded(part: &Part, message: &[u8]) -> Vec<u8> {
    let body = octets(&part.body, message);
    let mut out = Vec::new();
    match TransferDecoder::new(&part.encoding) {
        Some(mut decoder) => {
            decoder.push(body, &mut out);
            decoder.finish(&mut out);
        }
        None => out.extend_from_slice(body),
    }
    out
}

fn original_message_id(structure: &Structure, message: &[u8]) -> Option<String> {
    structure.walk().find_map(|part| {
        if let Some(nested) = &part.message {
            return nested.envelope.message_id.as_ref().map(|id| id.to_text().into_owned());
        }
        let is_headers = part.content_type.is("text", "rfc822-headers")
            || part.content_type.is("message", "global-headers");
        let field_value = |octets: &[u8]| {
            let field = header::first(octets, "message-id")?;
            Some(header::unfold(field.value).to_text().into_owned())
        };
        is_headers.then(|| field_value(&decoded(part, message))).flatten()
    })
}

/// Reads the body of a `message/delivery-status` part: blocks of fields between blank lines (RFC 3464 2.1).
pub fn parse_status(body: &[u8]) -> ParsedDsn {
    let mut dsn = ParsedDsn::default();
    let mut rest = body;
    let mut first = true;
    while !rest.is_empty() && dsn.recipients.len() < RECIPIENTS_MAX {
        let length: usize = header::fields(rest).map(|field| field.raw.len()).sum();
        let (block, after) = rest.split_at(length);
        rest = after.trim_ascii_start();
        if block.is_empty() {
            first = first && rest.len() == after.len();
            continue;
        }
        // Some servers leave the message's block out.
        let is_recipient = header::first(block, "final-recipient").is_some()
            || header::first(block, "action").is_some();
        if is_recipient {
            dsn.recipients.push(recipient(block));
        } else if first {
            message_fields(block, &mut dsn);
        }
        first = false;
    }
    dsn
}

fn message_fields(block: &[u8], dsn: &mut ParsedDsn) {
    dsn.reporting_mta = untyped(block, "reporting-mta");
    dsn.envelope_id = value(block, "original-envelope-id");
    dsn.arrival = date(block, "arrival-date");
}

fn recipient(block: &[u8]) -> ParsedRecipient {
    let action = value(block, "action").and_then(|word| {
        let actions =
            [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded];
        actions.into_iter().find(|action| action.as_str().eq_ignore_ascii_case(&word))
    });
    ParsedRecipient {
        original: value(block, "original-recipient"),
        address: untyped(block, "final-recipient"),
        action,
        status: value(block, "status").map(|text| first_word(&text)),
        remote_mta: untyped(block, "remote-mta"),
        diagnostic: untyped(block, "diagnostic-code"),
        will_retry_until: date(block, "will-retry-until"),
    }
}

fn first_word(text: &str) -> String {
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

fn value(block: &[u8], name: &str) -> Option<String> {
    header::first(block, name).map(|field| header::unfold(field.value).to_text().into_owned())
}

fn untyped(block: &[u8], name: &str) -> Option<String> {
    let text = value(block, name)?;
    Some(text.split_once(';').map_or(&*text, |(_, rest)| rest).trim().to_owned())
}

fn date(block: &[u8], name: &str) -> Option<Timestamp> {
    header::first(block, name).and_then(|field| header::decode_date(field.value))
}
