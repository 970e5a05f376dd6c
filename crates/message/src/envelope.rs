//! The IMAP ENVELOPE (RFC 9051 7.5.2).

use crate::address;
use crate::header;
use crate::raw::Raw;
use serde::{Deserialize, Serialize};

/// Parsed header fields as IMAP shows them: folding removed, encoded words kept. A missing Sender or Reply-To is the
/// From (RFC 9051 7.5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Date as written.
    pub date: Option<Raw>,
    /// Subject as written, unfolded.
    pub subject: Option<Raw>,
    /// From.
    pub from: Vec<EnvelopeAddress>,
    /// Sender.
    pub sender: Vec<EnvelopeAddress>,
    /// Reply-To.
    pub reply_to: Vec<EnvelopeAddress>,
    /// To.
    pub to: Vec<EnvelopeAddress>,
    /// Cc.
    pub cc: Vec<EnvelopeAddress>,
    /// Bcc.
    pub bcc: Vec<EnvelopeAddress>,
    /// In-Reply-To as written.
    pub in_reply_to: Option<Raw>,
    /// Message-ID as written, brackets included.
    pub message_id: Option<Raw>,
}

/// One address structure: `(name adl mailbox host)`. `host` absent and `mailbox` present opens a group named
/// `mailbox`; both absent close it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeAddress {
    /// Display name, quoting removed, encoded words kept.
    pub name: Option<Raw>,
    /// Source route (obsolete).
    pub adl: Option<Raw>,
    /// Local part, or group name.
    pub mailbox: Option<Raw>,
    /// Domain.
    pub host: Option<Raw>,
}

impl Envelope {
    /// Reads a raw header. Where a field comes several times, address lists are joined and the first text wins.
    pub fn parse(raw_header: &[u8]) -> Envelope {
        let mut envelope = Envelope::default();
        for field in header::fields(raw_header) {
            let name = field.name;
            let list = if name.eq_ignore_ascii_case(b"from") {
                &mut envelope.from
            } else if name.eq_ignore_ascii_case(b"sender") {
                &mut envelope.sender
            } else if name.eq_ignore_ascii_case(b"reply-to") {
                &mut envelope.reply_to
            } else if name.eq_ignore_ascii_case(b"to") {
                &mut envelope.to
            } else if name.eq_ignore_ascii_case(b"cc") {
                &mut envelope.cc
            } else if name.eq_ignore_ascii_case(b"bcc") {
                &mut envelope.bcc
            } else {
                envelope.set_text(&field);
                continue;
            };
            address::parse_list(field.value, list);
        }
        if envelope.sender.is_empty() {
            envelope.sender.clone_from(&envelope.from);
        }
        if envelope.reply_to.is_empty() {
            envelope.reply_to.clone_from(&envelope.from);
        }
        envelope
    }

    fn set_text(&mut self, field: &header::Field<'_>) {
        let name = field.name;
        let slot = if name.eq_ignore_ascii_case(b"date") {
            &mut self.date
        } else if name.eq_ignore_ascii_case(b"subject") {
            &mut self.subject
        } else if name.eq_ignore_ascii_case(b"in-reply-to") {
            &mut self.in_reply_to
        } else if name.eq_ignore_ascii_case(b"message-id") {
            &mut self.message_id
        } else {
            return;
        };
        if slot.is_none() {
            *slot = Some(header::unfold(field.value));
        }
    }
}
