//! Writing a report.

use super::{Action, DsnRecipient, DsnReport, Original, Returned, words};
use crate::header;

/// A report in two pieces, between which the caller streams the original: a large original is never held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Everything before the original's first octet.
    pub head: Vec<u8>,
    /// Everything after its last octet.
    pub tail: Vec<u8>,
}

/// A whole report.
pub fn build(report: &DsnReport, returned: Returned<'_>) -> Vec<u8> {
    let (original, octets) = match returned {
        Returned::Nothing => (Original::Nothing, [].as_slice()),
        Returned::Headers(octets) => (Original::Headers, header_only(octets)),
        Returned::Full(octets) => (Original::Full, octets),
    };
    let Frame { mut head, tail } = frame(report, original);
    head.extend_from_slice(octets);
    head.extend_from_slice(&tail);
    head
}

/// The header of a message given whole or in part, its blank line left out.
fn header_only(octets: &[u8]) -> &[u8] {
    let length = header::fields(octets).map(|field| field.raw.len()).sum();
    &octets[..length]
}

/// A report around an original that the caller streams between the two pieces.
pub fn frame(report: &DsnReport, original: Original) -> Frame {
    let boundary = format!("=_dsn_{}", safe_token(&report.token));
    let mut head = top(report, &boundary);
    part(&mut head, &boundary, "text/plain; charset=utf-8", "quoted-printable");
    quoted_printable(&words::human_part(report), &mut head);
    let utf8 = needs_utf8(report);
    // RFC 6533 3: the global forms carry UTF-8 addresses.
    let (status, headers, message) = if utf8 {
        ("message/global-delivery-status", "message/global-headers", "message/global")
    } else {
        ("message/delivery-status", "text/rfc822-headers", "message/rfc822")
    };
    part(&mut head, &boundary, status, if utf8 { "8bit" } else { "7bit" });
    status_fields(report, utf8, &mut head);
    let media = match original {
        Original::Nothing => None,
        Original::Headers => Some(headers),
        Original::Full => Some(message),
    };
    if let Some(media) = media {
        // 8bit whatever the original holds: RFC 2046 5.2.1 allows nothing that would need a rewrite.
        part(&mut head, &boundary, media, "8bit");
    }
    Frame { head, tail: format!("\r\n--{boundary}--\r\n").into_bytes() }
}

fn top(report: &DsnReport, boundary: &str) -> Vec<u8> {
    let token = safe_token(&report.token);
    let mut out = String::new();
    out.push_str(&format!("From: Messagerie <{}>\r\n", report.from));
    out.push_str(&format!("To: <{}>\r\n", report.to));
    out.push_str(&format!("Subject: {}\r\n", words::subject(report)));
    out.push_str(&format!("Date: {}\r\n", report.at.rfc5322()));
    out.push_str(&format!("Message-ID: <{token}@{}>\r\n", report.reporting_mta));
    if let Some(id) = report.original_message_id.as_deref().filter(|id| is_message_id(id)) {
        out.push_str(&format!("In-Reply-To: {id}\r\nReferences: {id}\r\n"));
    }
    // RFC 3834 5, RFC 3464 2: never answered by a machine.
    out.push_str("Auto-Submitted: auto-replied\r\n");
    out.push_str("MIME-Version: 1.0\r\n");
    out.push_str("Content-Type: multipart/report; report-type=delivery-status;\r\n");
    out.push_str(&format!("\tboundary=\"{boundary}\"\r\n"));
    out.push_str("Content-Transfer-Encoding: 8bit\r\n");
    out.push_str("\r\nThis is a delivery status notification (RFC 3464).\r\n");
    out.into_bytes()
}

fn part(out: &mut Vec<u8>, boundary: &str, media: &str, encoding: &str) {
    let text = format!(
        "\r\n--{boundary}\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    out.extend_from_slice(text.as_bytes());
}

/// RFC 3464 2.2 and 2.3.
fn status_fields(report: &DsnReport, utf8: bool, out: &mut Vec<u8>) {
    let mut fields = Fields { out, utf8 };
    if let Some(id) = &report.envelope_id {
        fields.field("Original-Envelope-Id", id);
    }
    fields.field("Reporting-MTA", &format!("dns; {}", report.reporting_mta));
    fields.field("Arrival-Date", &report.arrival.rfc5322());
    for recipient in &report.recipients {
        fields.out.extend_from_slice(b"\r\n");
        recipient_fields(recipient, &mut fields);
    }
}

fn recipient_fields(recipient: &DsnRecipient, fields: &mut Fields<'_>) {
    if let Some(original) = &recipient.original {
        fields.field("Original-Recipient", &original.replacen(';', "; ", 1));
    }
    // RFC 6533 3: the address type says whether UTF-8 may stand there.
    let kind = if recipient.address.needs_smtputf8() { "utf-8" } else { "rfc822" };
    fields.field("Final-Recipient", &format!("{kind}; {}", recipient.address));
    fields.field("Action", recipient.action.as_str());
    fields.field("Status", &recipient.status);
    if let Some(remote) = &recipient.remote_mta {
        fields.field("Remote-MTA", &format!("dns; {remote}"));
    }
    if let Some(diagnostic) = &recipient.diagnostic {
        fields.field("Diagnostic-Code", &format!("smtp; {diagnostic}"));
    }
    if let Some(at) = recipient.last_attempt {
        fields.field("Last-Attempt-Date", &at.rfc5322());
    }
    // RFC 3464 2.3.9: only for what is still tried.
    if let (Action::Delayed, Some(until)) = (recipient.action, recipient.will_retry_until) {
        fields.field("Will-Retry-Until", &until.rfc5322());
    }
}

struct Fields<'o> {
    out: &'o mut Vec<u8>,
    utf8: bool,
}

/// Longest field value; a peer's reply may be as long as it likes.
const VALUE_CHARS_MAX: usize = 2_000;
/// Where lines are folded (RFC 5322 2.1.1).
const FOLD_AT: usize = 76;

impl Fields<'_> {
    /// One field, folded between words. What came from a peer loses its line breaks and controls, and what is not ASCII
    /// unless the form allows UTF-8.
    fn field(&mut self, name: &str, value: &str) {
        let clean = |c: char| match c {
            c if c.is_control() => ' ',
            c if c.is_ascii() || self.utf8 => c,
            _ => '?',
        };
        let value: String = value.chars().take(VALUE_CHARS_MAX).map(clean).collect();
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b':');
        let mut column = name.len() + 1;
        for word in value.split(' ').filter(|word| !word.is_empty()) {
            if column + 1 + word.len() > FOLD_AT && column > name.len() + 1 {
                self.out.extend_from_slice(b"\r\n");
                column = 0;
            }
            // A word longer than any line is cut: RFC 5322 2.1.1 forbids more than 998.
            let word = &word[..word.floor_char_boundary(900)];
            self.out.push(b' ');
            self.out.extend_from_slice(word.as_bytes());
            column += 1 + word.len();
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

fn needs_utf8(report: &DsnReport) -> bool {
    report.smtputf8
        || report.to.needs_smtputf8()
        || report.recipients.iter().any(|recipient| recipient.address.needs_smtputf8())
}

fn safe_token(token: &str) -> String {
    token.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(48).collect()
}

/// A Message-ID that may be copied into our header as it is.
fn is_message_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    id.len() <= 900
        && inner.is_some_and(|inner| {
            inner.bytes().all(|b| (33..=126).contains(&b) && b != b'<' && b != b'>')
        })
}

/// RFC 2045 6.7; `text` has CRLF line breaks.
fn quoted_printable(text: &str, out: &mut Vec<u8>) {
    for line in text.split_inclusive("\r\n") {
        let (content, line_break) = match line.strip_suffix("\r\n") {
            Some(content) => (content, "\r\n"),
            None => (line, ""),
        };
        let mut column = 0;
        let last = content.len().saturating_sub(1);
        for (index, octet) in content.bytes().enumerate() {
            let plain = matches!(octet, 33..=60 | 62..=126)
                || (matches!(octet, b' ' | b'\t') && index != last);
            let width = if plain { 1 } else { 3 };
            // 76 with the `=` of the soft line break.
            if column + width > 75 {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if plain {
                out.push(octet);
            } else {
                out.extend_from_slice(format!("={octet:02X}").as_bytes());
            }
            column += width;
        }
        out.extend_from_slice(line_break.as_bytes());
    }
}
