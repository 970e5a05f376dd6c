//! One document of our own for each shape, and every fact that is read of it; each family of documents by its type.

use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::check::check_file;
use palombe_clinical_docs::hl7v2::{Decision, Event, Message, Unallowed, parse_request};
use palombe_clinical_docs::valuesets::Family;
use palombe_clinical_docs::xdm::{
    Outgoing, Parcel, Sender, pdf_name, read_xdm, subject, write_xdm,
};
use palombe_clinical_docs::{
    Action, DocumentEntry, File, Limits, Rule, Severity, XdsCode, read_metadata, render, unzip,
    write_metadata, zip_files,
};
use palombe_vocabulary::Timestamp;
use std::path::PathBuf;

const NAMES: [&str; 3] = ["lettre", "biologie_n1", "imagerie_v2"];

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

fn golden(name: &str, found: &str) {
    let path = sample(name);
    if std::env::var_os("PALOMBE_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "{name}");
}

fn parcel<'a>(documents: &'a [Outgoing<'a>]) -> Parcel<'a> {
    Parcel {
        documents,
        sender: Sender {
            name: "DR Louise MARTIN",
            organization: "CENTRE HOSPITALIER DES PALOMBIÈRES",
            organization_id: "1400000009",
            address: "40000 MONT-DE-MARSAN",
            telephone: "",
            software: ["Pigeonnier", "2", "Palombe"],
        },
        unique_id: "1.2.250.1.999.42.100",
        source_id: "1.2.250.1.999",
        content_type: Some(XdsCode::new("03", "1.2.250.1.213.2.2", "Hospitalisation")),
        at: Timestamp(1_795_255_200_000),
    }
}

#[test]
fn facts_of_our_samples() {
    for name in NAMES {
        let bytes = std::fs::read(sample(&format!("{name}.xml"))).unwrap();
        let cda = read_cda(&bytes, &Limits::default()).unwrap();
        let facts = serde_json::to_string_pretty(&cda).unwrap() + "\n";
        golden(&format!("{name}.facts.json"), &facts);
        let outgoing = [Outgoing { cda: &bytes, action: None }];
        let archive = write_xdm(&parcel(&outgoing), &Limits::default()).unwrap();
        let files = unzip(&archive, &Limits::default()).unwrap();
        let metadata = files.iter().find(|f| f.name.ends_with("METADATA.XML")).unwrap();
        golden(&format!("{name}.METADATA.XML"), std::str::from_utf8(&metadata.bytes).unwrap());
    }
}

#[test]
fn our_archives_have_no_fault() {
    for name in NAMES {
        let bytes = std::fs::read(sample(&format!("{name}.xml"))).unwrap();
        let outgoing = [Outgoing { cda: &bytes, action: None }];
        let archive = write_xdm(&parcel(&outgoing), &Limits::default()).unwrap();
        let report = check_file(&archive, &Limits::default());
        let told: Vec<_> = report
            .findings
            .iter()
            .filter(|f| f.severity > Severity::Info)
            .map(|f| f.french())
            .collect();
        // The section of the copy has a title and no text, which is as it should be.
        assert!(told.is_empty(), "{name}: {told:#?}");
        assert!(read_xdm(&archive, &Limits::default()).unwrap().documents[0].cda.is_some());
    }
}

#[test]
fn names_that_mail_shows() {
    let bytes = std::fs::read(sample("imagerie_v2.xml")).unwrap();
    let header = read_cda(&bytes, &Limits::default()).unwrap().header;
    assert_eq!(subject(&[&header]), "XDM/1.0/DDM+CR d'imagerie médicale COLOMBE PALOMA 12/07/1984");
    assert_eq!(subject(&[&header, &header]), "XDM/1.0/DDM+2 documents COLOMBE PALOMA 12/07/1984");
    assert_eq!(pdf_name(&header), "20261118_CR_d_imagerie_medicale_COLOMBE_PALOMA.pdf");
}

#[test]
fn what_people_read() {
    let bytes = std::fs::read(sample("lettre.xml")).unwrap();
    let text = render::text(&bytes, &Limits::default()).unwrap();
    for line in [
        "Patient : COLOMBE PALOMA (nom utilisé D'ARTAGNAN)",
        "INS : 284079935102333 (qualifiée)",
        "Acte : 18/11/2026 08:30",
        "Séjour sans complication, retour à domicile.\nTempérature < 37,5 °C.\nmarcher\nrevoir dans 8 jours",
        "Médicament\tPosologie\nExemplol 1 g\t3 par jour & au besoin",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let page = render::html(&bytes, &Limits::default()).unwrap();
    assert!(page.contains("<ol><li>marcher</li><li>revoir dans 8 jours</li></ol>"));
    assert!(page.contains("<img alt=\"image du document\" src=\"data:image/png;base64,"));
    assert!(page.contains("<span class=\"bold\">complication</span>"));
}

#[test]
fn each_family_by_its_type() {
    let letter = std::fs::read_to_string(sample("lettre.xml")).unwrap();
    let families = [
        ("11502-2", Family::Biologie, "10"),
        ("18748-4", Family::Imagerie, "31"),
        ("11490-0", Family::LettreDeLiaison, "10"),
        ("34794-8", Family::CompteRendu, "10"),
        ("SYNTH", Family::Synthese, "11"),
        ("57833-6", Family::Prescription, "42"),
        ("60593-1", Family::Dispensation, "43"),
        ("87273-9", Family::Vaccination, "52"),
        ("18776-5", Family::PlanDeSoins, "44"),
        ("80565-5", Family::Traitement, "45"),
        ("CERT_DECL", Family::Certificat, "52"),
        ("REMB", Family::Remboursement, "60"),
        ("74465-6", Family::Patient, "90"),
        ("PIECE-IDENTITE", Family::Gestion, "95"),
    ];
    for (code, family, class) in families {
        let document = letter.replace("code=\"11490-0\"", &format!("code=\"{code}\""));
        let outgoing = [Outgoing { cda: document.as_bytes(), action: None }];
        let archive = write_xdm(&parcel(&outgoing), &Limits::default()).unwrap();
        let xdm = read_xdm(&archive, &Limits::default()).unwrap();
        let entry = xdm.documents[0].entry.clone().unwrap();
        assert_eq!(Family::of(&entry.kind.unwrap().code), family);
        assert_eq!(entry.class.unwrap().code, class, "{code}");
    }
}

/// The matrix of the volet, whole: each combination of the flags that it speaks of (ANS spec mssante §12.6).
#[test]
fn only_the_rows_of_the_matrix_send_mail() {
    let names = [
        "MASQUE_PS",
        "INVISIBLE_PATIENT",
        "INVISIBLE_REP_LEGAUX",
        "CONNEXION_SECRETE",
        "DESTDMP",
        "DESTMSSANTEPS",
        "DESTMSSANTEPAT",
    ];
    let mut sent = 0;
    for bits in 0..1_u32 << names.len() {
        let mut text = "MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|P|2.5\rPID|||1^^^&1.2&ISO^PI\r\
                        OBX|1|ED|X||^T^XML^Base64^PGEvPg==||||||F\r"
            .to_owned();
        for (n, name) in names.iter().enumerate() {
            let value = if bits >> n & 1 == 1 { "Y" } else { "N" };
            text.push_str(&format!("OBX|{}|CE|{name}||{value}\r", n + 2));
        }
        let message = Message::parse(text.as_bytes(), &Limits::default()).unwrap();
        let request = parse_request(&message, &Limits::default()).unwrap();
        let row = |pattern: &str| {
            pattern.chars().enumerate().all(|(n, c)| match c {
                'Y' => bits >> n & 1 == 1,
                'N' => bits >> n & 1 == 0,
                _ => true,
            })
        };
        let expected = if row("*****NN") {
            Ok(Decision::NoMail)
        } else if row("NNN**YY") {
            Ok(Decision::Both)
        } else if row("NYN**YN") {
            Ok(Decision::Professionals)
        } else if row("*N*NNNY") {
            Ok(Decision::Patient)
        } else {
            Err(Unallowed)
        };
        assert_eq!(request.decision(), expected, "{bits:b}");
        sent += usize::from(expected.is_ok_and(|decision| decision != Decision::NoMail));
    }
    assert_eq!(sent, 12);
}

/// Two subsets, names in small letters, a file that nobody names, one that is missing, a deletion and a replacement.
#[test]
fn an_archive_of_several_subsets() {
    let limits = Limits::default();
    let outgoing = |name: &str| std::fs::read(sample(name)).unwrap();
    let (letter, imaging) = (outgoing("lettre.xml"), outgoing("imagerie_v2.xml"));
    let part = |document: &[u8], action: Option<Action>| {
        let outgoing = [Outgoing { cda: document, action }];
        unzip(&write_xdm(&parcel(&outgoing), &limits).unwrap(), &limits).unwrap()
    };
    let mut files = part(&letter, Some(Action::Delete));
    for mut file in part(&imaging, None) {
        if let Some(inner) = file.name.strip_prefix("IHE_XDM/SUBSET01/") {
            file.name = format!("ihe_xdm/subset02/{}", inner.to_lowercase());
            files.push(file);
        }
    }
    files.push(File { name: "IHE_XDM/SUBSET01/STYLE.XSL".to_owned(), bytes: b"<x/>".to_vec() });
    let whole = zip_files(&files, Timestamp(0)).unwrap();
    let xdm = read_xdm(&whole, &limits).unwrap();
    assert_eq!((xdm.subsets.len(), xdm.documents.len(), xdm.extra.len()), (2, 2, 1));
    assert_eq!(xdm.documents[0].action(&xdm), Some(Action::Delete));
    assert_eq!(xdm.documents[1].action(&xdm), Some(Action::Change));
    let events: Vec<Event> =
        xdm.documents.iter().map(|d| Event::of(d.action(&xdm), d.cda.as_ref().unwrap())).collect();
    assert_eq!(events, [Event::Delete, Event::Replace]);
    assert!(xdm.documents[1].bytes == imaging && xdm.documents[1].hash_agrees() == Some(true));

    files.retain(|file| file.name != "IHE_XDM/SUBSET01/DOC0001.XML" && file.name != "INDEX.HTM");
    let partial = zip_files(&files, Timestamp(0)).unwrap();
    let rules: Vec<Rule> =
        check_file(&partial, &limits).findings.iter().map(|finding| finding.rule).collect();
    for rule in [Rule::MissingFile, Rule::ExtraFile, Rule::NoIndex] {
        assert!(rules.contains(&rule), "{rule:?}");
    }
    assert_eq!(read_xdm(&partial, &limits).unwrap().documents[0].path, None);
}

/// Metadata that tell something else than their document.
#[test]
fn metadata_that_lie() {
    let limits = Limits::default();
    let bytes = std::fs::read(sample("lettre.xml")).unwrap();
    let outgoing = [Outgoing { cda: &bytes, action: None }];
    let files = unzip(&write_xdm(&parcel(&outgoing), &limits).unwrap(), &limits).unwrap();
    type Lie = fn(&mut DocumentEntry);
    let lies: [(Rule, Lie); 8] = [
        (Rule::MetadataPatient, |e| {
            e.patient_id = Some("279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH".to_owned());
        }),
        (Rule::MetadataIdentifier, |e| e.unique_id = Some("1.2.3".to_owned())),
        (Rule::MetadataType, |e| e.kind = Some(XdsCode::new("11502-2", "x", "y"))),
        (Rule::MetadataClass, |e| e.class = Some(XdsCode::new("42", "x", "y"))),
        (Rule::MetadataFormat, |e| e.format = Some(XdsCode::new("urn:x", "x", "y"))),
        (Rule::MetadataConfidentiality, |e| e.confidentiality[0].code = "V".to_owned()),
        (Rule::MetadataTime, |e| e.creation_time = Some("20200101".to_owned())),
        (Rule::MetadataMissing, |e| e.practice = None),
    ];
    for (rule, lie) in lies {
        let mut files = files.clone();
        let metadata = files.iter_mut().find(|f| f.name.ends_with("METADATA.XML")).unwrap();
        let mut submission = read_metadata(&metadata.bytes, &limits).unwrap();
        lie(&mut submission.documents[0]);
        metadata.bytes = write_metadata(&submission);
        let archive = zip_files(&files, Timestamp(0)).unwrap();
        let findings = check_file(&archive, &limits).findings;
        let told: Vec<Rule> =
            findings.iter().filter(|f| f.severity > Severity::Info).map(|f| f.rule).collect();
        assert_eq!(told, [rule]);
    }
}
