//! Facts, envelopes, sections and texts of known messages.

mod support;

use palombe_message::header::{self, Select};
use palombe_message::{Section, Structure, decode_text};

fn message(name: &str) -> (Vec<u8>, Structure) {
    let path = support::corpus_dir().join(format!("{name}.eml"));
    let octets = std::fs::read(path).expect("message is in the corpus");
    let structure = support::scan(&octets);
    (octets, structure)
}

fn check_section(name: &str, path: &[u32], section: Section, expected: Option<&str>) {
    let (octets, structure) = message(name);
    let found = structure.range(path, section).map(|range| {
        String::from_utf8_lossy(&octets[range.start as usize..range.end as usize]).into_owned()
    });
    assert_eq!(found.as_deref(), expected, "{name} {path:?} {section:?}");
}

#[test]
fn sections_of_rfc_9051_6_4_5() {
    check_section("plain-simple", &[1], Section::Full, Some("Bonjour,\r\nligne 2\r\n"));
    check_section("plain-simple", &[2], Section::Full, None);
    check_section("plain-simple", &[1], Section::Text, None);
    check_section("plain-simple", &[], Section::Mime, None);
    check_section("plain-simple", &[], Section::Text, Some("Bonjour,\r\nligne 2\r\n"));
    check_section("mixed-two", &[1], Section::Full, Some("un"));
    check_section("mixed-two", &[2], Section::Full, Some("JVBERi0xLjcK"));
    check_section(
        "mixed-two",
        &[1],
        Section::Mime,
        Some("Content-Type: text/plain; charset=utf-8\r\n\r\n"),
    );
    check_section("mixed-two", &[0], Section::Full, None);
    check_section("mixed-two", &[1, 1], Section::Full, None);
    check_section("nested-alternative", &[1, 2], Section::Full, Some("<p>texte</p>"));
    check_section("rfc822-simple", &[2, 1], Section::Full, Some("interne"));
    check_section("rfc822-simple", &[2, 2], Section::Full, Some("iVBORw0K"));
    check_section(
        "rfc822-root",
        &[1],
        Section::Header,
        Some("From: a@b.fr\r\nSubject: dedans\r\n\r\n"),
    );
    check_section("rfc822-root", &[1], Section::Text, Some("corps\r\n"));
    check_section("rfc822-root", &[1, 1], Section::Full, Some("corps\r\n"));
    check_section("rfc822-in-rfc822", &[1, 1, 1, 1], Section::Full, Some("fond\r\n"));
    check_section("digest", &[1, 1], Section::Full, Some("corps un"));
}

#[test]
fn envelope_of_groups() {
    let (_, structure) = message("addresses-groups");
    let envelope = structure.envelope();
    let hosts = |list: &[palombe_message::EnvelopeAddress]| {
        list.iter()
            .map(|a| a.host.as_ref().map_or("-".into(), ToString::to_string))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(hosts(&envelope.from), "a.fr b.fr");
    assert_eq!(hosts(&envelope.sender), "b.fr");
    // RFC 9051 7.5.2: an empty Reply-To is the From.
    assert_eq!(hosts(&envelope.reply_to), "a.fr b.fr");
    assert_eq!(hosts(&envelope.to), "- b.fr d.fr - - -");
    assert_eq!(hosts(&envelope.cc), "f.fr i.fr");
    assert_eq!(hosts(&envelope.bcc), "- -");
    assert_eq!(envelope.cc[1].name.as_ref().unwrap(), &"Nom");
}

#[test]
fn facts_for_acceptance() {
    let facts = message("header-mss").1.facts();
    assert_eq!(facts.mss.nil.as_deref(), Some("DEV935997"));
    assert_eq!(facts.mss.code_cda, ["34112-3", "PRESC-BIO", "15508-5"]);
    assert_eq!((facts.mss.ins.as_deref(), facts.mss.mes.as_deref()), (Some("O"), Some("FIN")));
    assert!(facts.wants_mdn && facts.auto_submitted);
    assert_eq!(facts.message_id.as_deref(), Some("<1@alpha.mssante.fr>"));
    assert_eq!(facts.date.unwrap().to_string(), "2026-11-21T09:00:00.000Z");
    let from = facts.from[0].address.as_ref().unwrap();
    assert_eq!(from.to_string(), "jean.dupont@alpha.mssante.fr");
    assert_eq!(facts.from[0].name.as_deref(), Some("Dr Jean Dupont"));

    let facts = message("duplicate-from").1.facts();
    assert_eq!(facts.from_fields, 2);
    let addresses: Vec<&str> = facts.from.iter().map(|mailbox| mailbox.text.as_str()).collect();
    assert_eq!(addresses, ["a@evil.fr", "jean.dupont@alpha.mssante.fr"]);
    assert_eq!(message("from-space-colon").1.facts().from_fields, 1);
    assert_eq!(message("header-many-received").1.facts().received_count, 60);
    assert_eq!(message("plain-simple").1.facts().subject.as_deref(), Some("Compte rendu"));
}

#[test]
fn from_that_names_nobody_has_no_address() {
    for value in ["Jean Dupont", "a@[192.0.2.1]", "<>", "a@b@c_\u{7f}", ""] {
        let structure = support::scan(format!("From: {value}\r\n\r\n").as_bytes());
        assert!(structure.facts().from.iter().all(|mailbox| mailbox.address.is_none()), "{value}");
    }
    let quoted = support::scan(b"From: \"a b\"@c.fr\r\n\r\n").facts();
    assert_eq!(quoted.from[0].address.as_ref().unwrap().to_string(), "\"a b\"@c.fr");
}

#[test]
fn texts_for_search() {
    let text = |name: &str| {
        let (octets, structure) = message(name);
        let part = &structure.root;
        decode_text(part, &octets[part.body.start as usize..part.body.end as usize])
    };
    assert_eq!(text("qp-utf8"), "Résultat très urgent\r\n");
    assert_eq!(text("html-latin1-base64").trim(), "Hémoglobine\u{a0}basse");
    let (_, structure) = message("rfc822-simple");
    let nested = structure.part(&[2]).unwrap().message.as_ref().unwrap();
    assert_eq!(header::decode_value(nested.envelope.subject.as_ref().unwrap()), "joint é");
    let header =
        b"Subject: =?iso-8859-1?Q?R=E9sultat?=\r\n =?iso-8859-1?Q?_urgent?=\r\nX: y\r\n\r\n";
    assert!(header::search(header, "SUBJECT", "resultat urgent"));
    assert!(header::search(header, "x", ""));
    assert!(!header::search(header, "y", ""));
    assert!(header::search_any(header, "x: y"));
}

#[test]
fn header_fields_selection() {
    let header = b"A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n\r\n";
    assert_eq!(header::select(header, &["b", "z"], Select::Only), b"B: 2\r\n 3\r\n\r\n");
    assert_eq!(header::select(header, &["B"], Select::Except), b"A: 1\r\nC: 4\r\n\r\n");
}
