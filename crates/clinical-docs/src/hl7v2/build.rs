//! What every message that we write has.

use super::er7::{Message, Segment, escape};
use palombe_vocabulary::Timestamp;

/// MSH-17 and MSH-18 of the French profiles.
const COUNTRY: &str = "FRA";
const CHARSET: &str = "UNICODE UTF-8";
/// Characters of MSH-10 (HL7 v2.6: ST, 199; older receivers take 20).
const CONTROL_CHARS_MAX: usize = 199;

/// An application and its facility: MSH-3 and 4, or MSH-5 and 6.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The application.
    pub application: String,
    /// The facility.
    pub facility: String,
}

/// MSH-11.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Processing {
    /// `P`.
    #[default]
    Production,
    /// `T`.
    Training,
    /// `D`.
    Debugging,
}

impl Processing {
    pub(super) const fn letter(self) -> &'static str {
        match self {
            Processing::Production => "P",
            Processing::Training => "T",
            Processing::Debugging => "D",
        }
    }
}

/// What differs between headers.
pub(super) struct Header<'a> {
    pub(super) from: &'a Endpoint,
    pub(super) to: &'a Endpoint,
    pub(super) at: Timestamp,
    pub(super) kind: &'a str,
    pub(super) control_id: &'a str,
    pub(super) processing: &'a str,
    pub(super) version: &'a str,
    /// MSH-21, none for acknowledgements.
    pub(super) profile: &'a str,
}

pub(super) fn msh(header: &Header<'_>) -> Segment {
    let control: String = header.control_id.chars().take(CONTROL_CHARS_MAX).collect();
    let segment = Segment::new("MSH")
        .with(1, "|")
        .with(2, "^~\\&")
        .with(3, escape(&header.from.application))
        .with(4, escape(&header.from.facility))
        .with(5, escape(&header.to.application))
        .with(6, escape(&header.to.facility))
        .with(7, time(header.at))
        .with(9, header.kind)
        .with(10, escape(&control))
        .with(11, header.processing)
        .with(12, header.version)
        .with(17, COUNTRY)
        .with(18, CHARSET);
    if header.profile.is_empty() { segment } else { segment.with(21, header.profile) }
}

/// `YYYYMMDDHHMMSS+0000`.
pub(super) fn time(at: Timestamp) -> String {
    format!("{}+0000", crate::xds::utc_time(at))
}

/// The two sides of a message as its answer sees them.
pub(super) fn sides(message: &Message) -> (Endpoint, Endpoint) {
    let side = |field| Endpoint {
        application: message.first("MSH", field, 1),
        facility: message.first("MSH", field + 1, 1),
    };
    (side(5), side(3))
}

/// Joined with `^`, each escaped, blanks at the end left out.
pub(super) fn components(parts: &[&str]) -> String {
    let escaped: Vec<String> = parts.iter().map(|part| escape(part)).collect();
    escaped.join("^").trim_end_matches('^').to_owned()
}

/// `Y` or `N` as coded flags write it.
pub(super) fn yes_no(yes: Flagged) -> &'static str {
    match yes {
        Flagged::Yes => "Y^^expandedYes-NoIndicator",
        Flagged::No => "N^^expandedYes-NoIndicator",
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flagged {
    Yes,
    No,
}

impl From<bool> for Flagged {
    fn from(yes: bool) -> Self {
        if yes { Flagged::Yes } else { Flagged::No }
    }
}
