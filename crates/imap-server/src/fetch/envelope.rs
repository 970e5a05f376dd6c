//! ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 7.5.2).

use palombe_imap_proto::Writer;
use palombe_message::{Disposition, Envelope, EnvelopeAddress, Param, Part, Raw};

pub(crate) fn write_envelope(out: &mut Writer, envelope: &Envelope) {
    out.raw("(");
    out.nstring(envelope.date.as_deref_bytes()).raw(" ");
    out.nstring(envelope.subject.as_deref_bytes());
    let lists = [
        &envelope.from,
        &envelope.sender,
        &envelope.reply_to,
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        out.raw(" ");
        write_addresses(out, list);
    }
    out.raw(" ").nstring(envelope.in_reply_to.as_deref_bytes());
    out.raw(" ").nstring(envelope.message_id.as_deref_bytes()).raw(")");
}

/// `Option<Raw>` as octets.
trait RawBytes {
    fn as_deref_bytes(&self) -> Option<&[u8]>;
}

impl RawBytes for Option<Raw> {
    fn as_deref_bytes(&self) -> Option<&[u8]> {
        self.as_ref().map(AsRef::as_ref)
    }
}

fn write_addresses(out: &mut Writer, addresses: &[EnvelopeAddress]) {
    if addresses.is_empty() {
        out.raw("NIL");
        return;
    }
    out.raw("(");
    for address in addresses {
        out.raw("(");
        out.nstring(address.name.as_deref_bytes()).raw(" ");
        out.nstring(address.adl.as_deref_bytes()).raw(" ");
        out.nstring(address.mailbox.as_deref_bytes()).raw(" ");
        out.nstring(address.host.as_deref_bytes()).raw(")");
    }
    out.raw(")");
}

/// Whether extension data follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// BODY
    Basic,
    /// BODYSTRUCTURE
    Extended,
}

/// The scanner bounds the depth of the tree, and so this recursion.
pub(crate) fn write_body(out: &mut Writer, part: &Part, form: Form) {
    out.raw("(");
    if part.is_multipart() {
        for child in &part.children {
            write_body(out, child, form);
        }
        out.raw(" ").string(&part.content_type.sub);
        if form == Form::Extended {
            out.raw(" ");
            write_params(out, &part.content_type.params);
        }
    } else {
        write_single(out, part, form);
    }
    if form == Form::Extended {
        if !part.is_multipart() {
            out.raw(" ").nstring(part.md5.as_deref_bytes());
        }
        out.raw(" ");
        write_disposition(out, part.disposition.as_ref());
        out.raw(" ");
        write_language(out, &part.language);
        out.raw(" ").nstring(part.location.as_deref_bytes());
    }
    out.raw(")");
}

fn write_single(out: &mut Writer, part: &Part, form: Form) {
    let content_type = &part.content_type;
    out.string(&content_type.main).raw(" ").string(&content_type.sub).raw(" ");
    write_params(out, &content_type.params);
    out.raw(" ").nstring(part.id.as_deref_bytes());
    out.raw(" ").nstring(part.description.as_deref_bytes());
    out.raw(" ").string(part.encoding.as_bytes());
    out.raw(" ").show(part.body.end.saturating_sub(part.body.start));
    if let Some(nested) = &part.message {
        out.raw(" ");
        write_envelope(out, &nested.envelope);
        out.raw(" ");
        write_body(out, &nested.root, form);
        out.raw(" ").show(part.lines);
    } else if part.is_text() {
        out.raw(" ").show(part.lines);
    }
}

fn write_params(out: &mut Writer, params: &[Param]) {
    if params.is_empty() {
        out.raw("NIL");
        return;
    }
    out.raw("(");
    for (i, param) in params.iter().enumerate() {
        if i > 0 {
            out.raw(" ");
        }
        out.string(&param.name).raw(" ").string(&param.value);
    }
    out.raw(")");
}

fn write_disposition(out: &mut Writer, disposition: Option<&Disposition>) {
    match disposition {
        None => {
            out.raw("NIL");
        }
        Some(disposition) => {
            out.raw("(").string(&disposition.kind).raw(" ");
            write_params(out, &disposition.params);
            out.raw(")");
        }
    }
}

fn write_language(out: &mut Writer, tags: &[Raw]) {
    match tags {
        [] => {
            out.raw("NIL");
        }
        [only] => {
            out.string(only);
        }
        several => {
            out.raw("(");
            for (i, tag) in several.iter().enumerate() {
                if i > 0 {
                    out.raw(" ");
                }
                out.string(tag);
            }
            out.raw(")");
        }
    }
}
