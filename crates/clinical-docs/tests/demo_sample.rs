//! The message of the demonstration is what our writer makes of its letter, and nothing is wrong with it.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::check::{Declared, Inbound, MessageKind, examine};
use palombe_clinical_docs::xdm::{Outgoing, Parcel, Sender, subject, write_xdm};
use palombe_clinical_docs::{File, Limits, Rule, Severity, XdsCode, check, unzip};
use palombe_vocabulary::Timestamp;

const BOUNDARY: &str = "=_palombe_demo";

fn archive(letter: &[u8]) -> Vec<u8> {
    let parcel = Parcel {
        documents: &[Outgoing { cda: letter, action: None }],
        sender: Sender {
            name: "DR Jeanne ALPHA",
            organization: "CENTRE HOSPITALIER ALPHA (DEMONSTRATION)",
            organization_id: "1400000009",
            address: "",
            telephone: "",
            software: ["Palombe", "demonstration", "Palombe"],
        },
        unique_id: "1.2.250.1.999.99.100",
        source_id: "1.2.250.1.999",
        content_type: Some(XdsCode::new("03", "1.2.250.1.213.2.2", "Hospitalisation")),
        at: Timestamp(1_795_252_500_000),
    };
    write_xdm(&parcel, &Limits::default()).unwrap()
}

fn message(letter: &[u8]) -> String {
    let header = read_cda(letter, &Limits::default()).unwrap().header;
    let digits = STANDARD.encode(archive(letter));
    let lines: Vec<&str> =
        digits.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let part = format!("--{BOUNDARY}");
    let all = [
        "From: Dr_Jeanne_ALPHA <dr.jeanne.alpha@alpha.mssante.test>",
        "To: Secretariat_BETA <secretariat@beta.mssante.test>",
        &format!("Subject: {}", subject(&[&header])),
        "Date: Sat, 21 Nov 2026 10:15:00 +0100",
        "Message-ID: <demo-lettre-0001@alpha.mssante.test>",
        "MIME-Version: 1.0",
        "X-MSS-NIL: DEMO000001",
        &format!("X-MSS-CODECDA: {}", header.code.text()),
        "X-MSS-INS: O",
        &format!("Content-Type: multipart/mixed; boundary=\"{BOUNDARY}\""),
        "",
        &part,
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        "Bonjour,",
        "",
        "Veuillez trouver ci-joint la lettre de liaison de votre patiente (document fictif).",
        "",
        "Dr Jeanne Alpha",
        &part,
        "Content-Type: application/zip; name=\"IHE_XDM.zip\"",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment; filename=\"IHE_XDM.zip\"",
        "",
        &lines.join("\r\n"),
        &format!("{part}--"),
        "",
    ];
    all.join("\r\n")
}

/// The lines around the archive, and the files in it.
fn apart(message: &str) -> (String, Vec<File>) {
    let from = message.find("filename=\"IHE_XDM.zip\"\r\n\r\n").unwrap() + 26;
    let to = message.rfind(&format!("--{BOUNDARY}--")).unwrap();
    let digits: String = message[from..to].split_whitespace().collect();
    let files = unzip(&STANDARD.decode(digits).unwrap(), &Limits::default()).unwrap();
    (format!("{}{}", &message[..from], &message[to..]), files)
}

#[test]
fn the_demonstration_sends_a_right_letter() {
    let folder = common::workspace().join("tests/samples");
    let letter = std::fs::read(folder.join("lettre-de-liaison.xml")).unwrap();
    let written = message(&letter);
    assert!(written.lines().all(|line| line.is_ascii() || line.starts_with("Veuillez")));
    let path = folder.join("lettre-de-liaison.eml");
    if std::env::var_os("PALOMBE_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &written).unwrap();
    }
    // Compared unzipped: how well the archive is compressed may change with the library.
    let stored = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
    let (ours, theirs) = (apart(&written), apart(&stored));
    assert!(ours == theirs, "PALOMBE_GOLDEN=write writes it");

    let bytes = archive(&letter);
    let report = check::check_file(&bytes, &Limits::default());
    let told: Vec<_> = report.findings.iter().filter(|f| f.severity > Severity::Info).collect();
    assert!(told.is_empty(), "{told:?}");
    let header = read_cda(&letter, &Limits::default()).unwrap().header;
    let subject = subject(&[&header]);
    let files = [File { name: "IHE_XDM.zip".to_owned(), bytes }];
    let declared =
        Declared { subject: Some(&subject), codes: Some(header.code.text()), ins: Some("O") };
    let found = examine(&Inbound { files: &files, declared, known: None }, &Limits::default());
    assert_eq!(found.kind, MessageKind::Xdm);
    // The letter has sections only: its PDF would be made by the sender's software.
    let rules: Vec<Rule> = found.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::PdfMissing]);
}
