//! Reports written, read back by us and by mail-parser.

mod support;

use mail_parser::MessageParser;
use palombe_message::dsn::{self, Action, DsnRecipient, DsnReport, Original, Returned};
use palombe_vocabulary::Timestamp;

fn report(action: Action, status: &str, diagnostic: Option<&str>) -> DsnReport {
    let at: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    DsnReport {
        reporting_mta: "mx.alpha.mssante.fr".parse().unwrap(),
        from: "postmaster@alpha.mssante.fr".parse().unwrap(),
        to: "jean.dupont@alpha.mssante.fr".parse().unwrap(),
        token: "0123456789abcdef".to_owned(),
        at,
        arrival: at.plus_secs(-60),
        envelope_id: Some("ENV+1".to_owned()),
        original_message_id: Some("<1@alpha.mssante.fr>".to_owned()),
        original_subject: Some("Résultat d’examen".to_owned()),
        smtputf8: false,
        recipients: vec![DsnRecipient {
            original: Some("rfc822;secretariat@beta.mssante.fr".to_owned()),
            address: "secretariat@beta.mssante.fr".parse().unwrap(),
            action,
            status: status.to_owned(),
            remote_mta: Some("mx.beta.mssante.fr".to_owned()),
            diagnostic: diagnostic.map(str::to_owned),
            last_attempt: Some(at),
            will_retry_until: Some(at.plus_secs(86_400)),
        }],
    }
}

const ORIGINAL: &[u8] = b"From: jean.dupont@alpha.mssante.fr\r\nMessage-ID: <1@alpha.mssante.fr>\r\nSubject: x\r\n\r\ncorps\r\n";

fn human(message: &[u8]) -> String {
    MessageParser::new().parse(message).unwrap().body_text(0).unwrap().into_owned()
}

#[test]
fn failed_report_reads_back() {
    let report = report(Action::Failed, "5.1.1", Some("550 5.1.1 no such\r\nuser é"));
    let message = dsn::build(&report, Returned::Full(ORIGINAL));
    let structure = support::scan(&message);
    assert_eq!(structure.damage, palombe_message::Damage::default());
    let types: Vec<String> = structure
        .walk()
        .map(|part| format!("{}/{}", part.content_type.main, part.content_type.sub))
        .collect();
    assert_eq!(
        types,
        [
            "multipart/report",
            "text/plain",
            "message/delivery-status",
            "message/rfc822",
            "text/plain"
        ]
    );
    let facts = structure.facts();
    assert!(facts.auto_submitted);
    assert_eq!(facts.subject.as_deref(), Some("Message non remis"));
    let range = structure.part(&[3]).unwrap().body.clone();
    assert_eq!(&message[range.start as usize..range.end as usize], ORIGINAL);

    let read = dsn::parse(&message).unwrap();
    assert_eq!(read.envelope_id.as_deref(), Some("ENV+1"));
    assert_eq!(read.reporting_mta.as_deref(), Some("mx.alpha.mssante.fr"));
    assert_eq!(read.arrival, Some(report.arrival));
    assert_eq!(read.original_message_id.as_deref(), Some("<1@alpha.mssante.fr>"));
    let recipient = &read.recipients[0];
    assert_eq!(recipient.address.as_deref(), Some("secretariat@beta.mssante.fr"));
    assert_eq!(recipient.original.as_deref(), Some("rfc822; secretariat@beta.mssante.fr"));
    assert_eq!(
        (recipient.action, recipient.status.as_deref()),
        (Some(Action::Failed), Some("5.1.1"))
    );
    assert_eq!(recipient.diagnostic.as_deref(), Some("550 5.1.1 no such user ?"));
    assert_eq!(recipient.will_retry_until, None);

    let text = human(&message);
    assert!(
        text.contains("n’a pas pu être remis à :\r\n  • secretariat@beta.mssante.fr"),
        "{text}"
    );
    assert!(
        text.contains("Motif : boîte inexistante ou indisponible (code 550, 5.1.1)."),
        "{text}"
    );
    assert!(text.contains("« Résultat d’examen » du 21/11/2026 à 10:59"), "{text}");
    assert!(text.contains("could not be delivered (mailbox unavailable, 5.1.1)."), "{text}");
}

#[test]
fn a_server_that_we_refused_is_not_called_a_recipient_who_refuses() {
    let cases = [
        (
            "peer.revoked: x",
            "n’a pas prouvé qu’il appartient à l’espace de confiance MSSanté (code 541, 5.7.1)",
        ),
        ("peer.no-starttls: x", "n’offre pas de connexion sécurisée (code 541, 5.7.1)"),
        ("list.absent: x", "ne peut pas être vérifiée pour le moment (code 541, 5.7.1)"),
        (
            "destination.not-in-list: x",
            "n’est plus dans l’espace de confiance MSSanté (code 541, 5.7.1)",
        ),
        ("other: x", "message rejeté par le destinataire (code 541, 5.7.1)"),
    ];
    for (rule, words) in cases {
        let told = format!("5.7.1 {rule}");
        let message = dsn::build(&report(Action::Failed, "5.7.1", Some(&told)), Returned::Nothing);
        assert!(human(&message).contains(words), "{}", human(&message));
        // The same words from a peer are its own business.
        let told = format!("550 {told}");
        let message = dsn::build(&report(Action::Failed, "5.7.1", Some(&told)), Returned::Nothing);
        assert!(human(&message).contains("boîte inexistante"), "{}", human(&message));
    }
}

#[test]
fn every_action_has_its_words() {
    let cases = [
        (Action::Failed, "5.0.0", "Message non remis", "n’a pas pu être remis"),
        (Action::Delayed, "4.4.1", "Message en attente de remise", "n’est pas encore remis"),
        (Action::Delivered, "2.0.0", "Message remis", "a été remis dans la boîte"),
        (Action::Relayed, "2.0.0", "Message transmis", "transmis au serveur"),
        (Action::Expanded, "2.0.0", "Message remis", "remis à la liste"),
    ];
    for (action, status, subject, words) in cases {
        let message = dsn::build(&report(action, status, None), Returned::Headers(ORIGINAL));
        let structure = support::scan(&message);
        assert_eq!(structure.facts().subject.as_deref(), Some(subject));
        assert!(human(&message).contains(words), "{}", human(&message));
        assert!(structure.part(&[3]).unwrap().content_type.is("text", "rfc822-headers"));
        assert!(!message.windows(5).any(|window| window == b"corps"));
        let read = dsn::parse(&message).unwrap();
        assert_eq!(read.recipients[0].action, Some(action));
        assert_eq!(read.recipients[0].will_retry_until.is_some(), action == Action::Delayed);
        assert_eq!(read.original_message_id.as_deref(), Some("<1@alpha.mssante.fr>"));
        assert!(!structure.damage.long_line);
    }
}

#[test]
fn streamed_and_whole_are_the_same() {
    let report = report(Action::Failed, "5.2.2", Some("552 5.2.2 full"));
    let dsn::Frame { mut head, tail } = dsn::frame(&report, Original::Full);
    head.extend_from_slice(ORIGINAL);
    head.extend_from_slice(&tail);
    assert_eq!(head, dsn::build(&report, Returned::Full(ORIGINAL)));
    let bare = dsn::build(&report, Returned::Nothing);
    assert_eq!(support::scan(&bare).root.children.len(), 2);
}

#[test]
fn utf8_addresses_use_the_global_forms() {
    let mut report = report(Action::Failed, "5.1.1", None);
    report.recipients[0].address = "hélène@beta.mssante.fr".parse().unwrap();
    let message = dsn::build(&report, Returned::Full(ORIGINAL));
    let structure = support::scan(&message);
    assert!(structure.part(&[2]).unwrap().content_type.is("message", "global-delivery-status"));
    assert!(structure.part(&[3]).unwrap().content_type.is("message", "global"));
    let read = dsn::parse(&message).unwrap();
    assert_eq!(read.recipients[0].address.as_deref(), Some("hélène@beta.mssante.fr"));
}

#[test]
fn nothing_from_outside_breaks_the_report() {
    let mut hostile = report(Action::Failed, "5.0.0", Some(&"x".repeat(5_000)));
    hostile.original_message_id = Some("<a>\r\nBcc: evil@x.fr".to_owned());
    hostile.envelope_id = Some("a\r\n\r\nFinal-Recipient: rfc822; evil@x".to_owned());
    hostile.original_subject = Some("a\r\n--b\r\n".to_owned());
    hostile.recipients[0].remote_mta = Some("a\r\nAction: delivered".to_owned());
    let message = dsn::build(&hostile, Returned::Headers(b"Subject: x\r\n"));
    let structure = support::scan(&message);
    assert!(!structure.damage.long_line);
    assert!(header_has_no_bcc(&structure));
    let read = dsn::parse(&message).unwrap();
    assert_eq!(read.recipients.len(), 1);
    assert_eq!(read.recipients[0].action, Some(Action::Failed));
}

fn header_has_no_bcc(structure: &palombe_message::Structure) -> bool {
    structure.envelope().bcc.is_empty()
}

#[test]
fn not_a_report() {
    assert!(dsn::parse(ORIGINAL).is_err());
    assert!(dsn::parse(b"").is_err());
}
