//! What acceptance judges and the journal indexes, read from the message's own header.

use crate::address::{self, MISSING_HOST};
use crate::envelope::EnvelopeAddress;
use crate::header;
use crate::structure::{Damage, Structure};
use palombe_vocabulary::{MailAddress, Timestamp};

/// Facts of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Message-ID, brackets included; the first one.
    pub message_id: Option<String>,
    /// Addresses of every From field, group marks left out.
    pub from: Vec<Mailbox>,
    /// Addresses of Sender.
    pub sender: Vec<Mailbox>,
    /// Addresses of Reply-To.
    pub reply_to: Vec<Mailbox>,
    /// Subject, decoded.
    pub subject: Option<String>,
    /// Date.
    pub date: Option<Timestamp>,
    /// Number of From fields.
    pub from_fields: u32,
    /// Number of Received fields (loop protection, RFC 5321 6.3).
    pub received_count: u32,
    /// Length of the message's header, kept or not.
    pub header_bytes: u64,
    /// Deepest level of the tree.
    pub depth: u32,
    /// Number of parts.
    pub parts: u32,
    /// Damage flags.
    pub damage: Damage,
    /// Auto-Submitted is there with another value than `no` (RFC 3834 5.2).
    pub auto_submitted: bool,
    /// Disposition-Notification-To is there (RFC 8098 2.1).
    pub wants_mdn: bool,
    /// X-MSS-* headers.
    pub mss: MssHeaders,
}

/// An address of a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Display name, decoded.
    pub name: Option<String>,
    /// The address, when it is one that the trust space can name.
    pub address: Option<MailAddress>,
    /// What stands there, for messages to people: `local@host` as written.
    pub text: String,
}

/// The four MSSanté headers (spec mssante §7.4), as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MssHeaders {
    /// X-MSS-NIL: product reference.
    pub nil: Option<String>,
    /// X-MSS-CODECDA: codes of the CDA documents.
    pub code_cda: Vec<String>,
    /// X-MSS-INS: `O` or `N`.
    pub ins: Option<String>,
    /// X-MSS-MES: `FIN`.
    pub mes: Option<String>,
}

impl Facts {
    pub(crate) fn new(structure: &Structure) -> Facts {
        let mut facts = Facts {
            header_bytes: structure.root.header.end - structure.root.header.start,
            depth: structure.depth,
            parts: structure.parts,
            damage: structure.damage,
            ..Facts::default()
        };
        for field in header::fields(&structure.header) {
            facts.read(&field);
        }
        facts
    }

    fn read(&mut self, field: &header::Field<'_>) {
        let text = || header::unfold(field.value).to_text().into_owned();
        match field.name.to_ascii_lowercase().as_slice() {
            b"received" => self.received_count += 1,
            b"from" => {
                self.from_fields += 1;
                mailboxes(field.value, &mut self.from);
            }
            b"sender" => mailboxes(field.value, &mut self.sender),
            b"reply-to" => mailboxes(field.value, &mut self.reply_to),
            b"message-id" if self.message_id.is_none() => self.message_id = Some(text()),
            b"subject" if self.subject.is_none() => {
                self.subject = Some(header::decode_value(field.value).trim().to_owned());
            }
            b"date" if self.date.is_none() => self.date = header::decode_date(field.value),
            b"auto-submitted" => self.auto_submitted |= !starts_with_no(field.value),
            b"disposition-notification-to" => self.wants_mdn = true,
            b"x-mss-nil" if self.mss.nil.is_none() => self.mss.nil = Some(text()),
            b"x-mss-codecda" if self.mss.code_cda.is_empty() => {
                let codes = text();
                let codes = codes.split(',').map(str::trim).filter(|code| !code.is_empty());
                self.mss.code_cda = codes.map(str::to_owned).collect();
            }
            b"x-mss-ins" if self.mss.ins.is_none() => self.mss.ins = Some(text()),
            b"x-mss-mes" if self.mss.mes.is_none() => self.mss.mes = Some(text()),
            _ => {}
        }
    }
}

fn starts_with_no(value: &[u8]) -> bool {
    let value = header::unfold(value).to_ascii_lowercase();
    value.split(|octet| b";( \t".contains(octet)).next() == Some(b"no")
}

fn mailboxes(value: &[u8], out: &mut Vec<Mailbox>) {
    let mut list = Vec::new();
    address::parse_list(value, &mut list);
    out.extend(list.iter().filter(|address| address.host.is_some()).map(Mailbox::new));
}

impl Mailbox {
    fn new(address: &EnvelopeAddress) -> Mailbox {
        let local = address.mailbox.as_ref().map(|raw| raw.to_text()).unwrap_or_default();
        let host = address.host.as_ref().map(|raw| raw.to_text()).unwrap_or_default();
        let is_address = host != MISSING_HOST;
        let parsed = host.parse().ok().and_then(|domain: palombe_vocabulary::Domain| {
            MailAddress::new(&local, domain.clone())
                .or_else(|_| MailAddress::new(&quote(&local), domain))
                .ok()
        });
        Mailbox {
            name: address.name.as_ref().map(|name| header::decode_value(name)),
            address: parsed,
            text: if is_address { format!("{local}@{host}") } else { local.into_owned() },
        }
    }
}

/// RFC 5321 4.1.2 Quoted-string.
fn quote(local: &str) -> String {
    let mut out = String::with_capacity(local.len() + 2);
    out.push('"');
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
