//! Any octets as a delivery report, and what is read of it written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palombe_message::dsn::{self, Action, DsnRecipient, DsnReport, Returned};
use palombe_vocabulary::Timestamp;

/// Nobody can guess a real one, so it never stands in an original.
const TOKEN: &str = "0123456789abcdef";

fuzz_target!(|message: &[u8]| {
    let _ = dsn::parse_status(message);
    let Ok(read) = dsn::parse(message) else { return };
    if message.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()) {
        return;
    }
    let recipients: Vec<DsnRecipient> = read.recipients.into_iter().take(20).map(again).collect();
    let count = recipients.len();
    let report = DsnReport {
        reporting_mta: "mx.alpha.mssante.fr".parse().expect("a domain"),
        from: "postmaster@alpha.mssante.fr".parse().expect("an address"),
        to: "jean.dupont@alpha.mssante.fr".parse().expect("an address"),
        token: TOKEN.to_owned(),
        at: Timestamp(1_000),
        arrival: read.arrival.unwrap_or(Timestamp(0)),
        envelope_id: read.envelope_id,
        original_message_id: read.original_message_id,
        original_subject: Some(String::from_utf8_lossy(message).into_owned()),
        smtputf8: false,
        recipients,
    };
    let written = dsn::build(&report, Returned::Headers(message));
    let read = dsn::parse(&written).expect("what we write is a report");
    assert_eq!(read.recipients.len(), count);
});

fn again(read: dsn::ParsedRecipient) -> DsnRecipient {
    DsnRecipient {
        original: read.original,
        address: "x@beta.mssante.fr".parse().expect("an address"),
        action: read.action.unwrap_or(Action::Failed),
        status: read.status.unwrap_or_default(),
        remote_mta: read.remote_mta,
        diagnostic: read.diagnostic,
        last_attempt: None,
        will_retry_until: read.will_retry_until,
    }
}
