//! What a receiver of HL7v2 will not like in a message of these profiles.

use super::er7::Message;
use super::request::parse_request;
use crate::cda::read_cda;
use crate::facts::Cx;
use crate::findings::{Finding, Rule};
use crate::limits::Limits;

/// Required by both profiles: segment, field, name.
const REQUIRED: [(&str, usize, &str); 11] = [
    ("MSH", 3, "MSH-3"),
    ("MSH", 5, "MSH-5"),
    ("MSH", 7, "MSH-7"),
    ("MSH", 9, "MSH-9"),
    ("MSH", 10, "MSH-10"),
    ("MSH", 11, "MSH-11"),
    ("MSH", 12, "MSH-12"),
    ("PID", 3, "PID-3"),
    ("PID", 5, "PID-5"),
    ("ORC", 1, "ORC-1"),
    ("OBR", 4, "OBR-4"),
];

/// Checks an ORU^R01 or MDM; acknowledgements only have a header to check.
pub fn check(message: &Message, limits: &Limits) -> Vec<Finding> {
    let mut found = Vec::new();
    let kind = message.first("MSH", 9, 1);
    let document = matches!(kind.as_str(), "ORU" | "MDM");
    for (segment, field, name) in REQUIRED {
        let asked = segment == "MSH" || document;
        if asked && message.segment(segment).is_none_or(|s| s.raw(field).is_empty()) {
            found.push(Finding::with(Rule::Hl7Missing, name));
        }
    }
    let mut value = |name: &str, text: String, allowed: &[&str]| {
        if !allowed.contains(&text.as_str()) {
            found.push(Finding::with(Rule::Hl7Value, name));
        }
    };
    value("MSH-11", message.first("MSH", 11, 1), &["P", "T", "D"]);
    value("MSH-17", message.first("MSH", 17, 1), &["FRA", ""]);
    value("MSH-18", message.first("MSH", 18, 1), &["UNICODE UTF-8", "8859/15"]);
    if !document {
        return found;
    }
    value("ORC-1", message.first("ORC", 1, 1), &["NW", "RO", "CA"]);
    if kind == "MDM" {
        for (field, name) in
            [(1, "TXA-1"), (2, "TXA-2"), (3, "TXA-3"), (12, "TXA-12"), (17, "TXA-17")]
        {
            if message.segment("TXA").is_none_or(|s| s.raw(field).is_empty()) {
                found.push(Finding::with(Rule::Hl7Missing, name));
            }
        }
        let replaces = message.first("MSH", 9, 2) == "T10";
        if replaces && message.first("TXA", 13, 1).is_empty() {
            found.push(Finding::with(Rule::Hl7Missing, "TXA-13"));
        }
    }
    patient(message, limits, &mut found);
    found
}

/// PID-3 is the patient of each document (ANS spec mssante §12.1).
fn patient(message: &Message, limits: &Limits, found: &mut Vec<Finding>) {
    let Ok(request) = parse_request(message, limits) else {
        found.push(Finding::with(Rule::Hl7Missing, "PID-3, OBX"));
        return;
    };
    if request.decision().is_err() {
        found.push(Finding::with(Rule::Hl7Value, "MetaDMPMSS"));
    }
    for document in &request.documents {
        match read_cda(&document.bytes, limits) {
            Ok(cda) => {
                let same = |cx: &Cx| {
                    cda.header.patient.ids.iter().any(|id| {
                        id.root == cx.oid && id.extension.as_deref() == Some(cx.id.as_str())
                    })
                };
                if !request.patient.iter().any(same) {
                    found.push(Finding::new(Rule::Hl7Patient));
                }
            }
            Err(fault) => found.push(Finding::with(Rule::Unreadable, fault.french())),
        }
    }
}
