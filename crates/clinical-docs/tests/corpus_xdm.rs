//! Archives: those of the corpus are read, every document of the corpus is written into one and read back equal,
//! another ZIP reader agrees.

mod common;

use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::xdm::{Outgoing, Parcel, Sender, read_xdm, write_xdm};
use palombe_clinical_docs::{Limits, read_metadata, sha1_hex, unzip, write_metadata, xds};
use palombe_vocabulary::Timestamp;
use std::process::Command;

fn parcel<'a>(documents: &'a [Outgoing<'a>]) -> Parcel<'a> {
    Parcel {
        documents,
        sender: Sender { name: "Essai", organization: "Hôpital & <essai>", ..Sender::default() },
        unique_id: "1.2.250.1.999.1",
        source_id: "1.2.250.1.999",
        content_type: None,
        at: Timestamp(1_795_255_200_000),
    }
}

#[test]
fn archives_of_the_corpus() {
    let Some(corpus) = common::corpus() else { return };
    let limits = Limits::default();
    let mut documents = 0;
    for (name, bytes) in common::files(&corpus.join("xdm/generated"), &[".ZIP"]) {
        let xdm = read_xdm(&bytes, &limits).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(xdm.subsets.len(), 1, "{name}");
        assert!(xdm.index && xdm.readme && xdm.extra.is_empty(), "{name}");
        for document in &xdm.documents {
            assert_eq!((document.hash_agrees(), document.size_agrees()), (Some(true), Some(true)));
            let (cda, entry) = (document.cda.as_ref().unwrap(), document.entry.as_ref().unwrap());
            // The metadata of the corpus were made by another implementation of the same rules.
            let file =
                xds::FileFacts { uri: "DOC0001.XML", sha1: &document.sha1, size: document.size };
            let ours = xds::document_entry(cda, &entry.id, file);
            // It keeps the blanks around names, which we do not.
            let differ = |what: &str, a: String, b: String| {
                assert_eq!(a, b.replace(" ^", "^"), "{name}: {what}")
            };
            let code =
                |c: &Option<palombe_clinical_docs::XdsCode>| c.as_ref().map(|c| c.code.clone());
            differ("uniqueId", format!("{:?}", ours.unique_id), format!("{:?}", entry.unique_id));
            differ(
                "patientId",
                format!("{:?}", ours.patient_id),
                format!("{:?}", entry.patient_id),
            );
            differ(
                "sourcePatientId",
                format!("{:?}", ours.source_patient_id),
                format!("{:?}", entry.source_patient_id),
            );
            differ(
                "info",
                format!("{:?}", ours.source_patient_info),
                format!("{:?}", entry.source_patient_info),
            );
            differ(
                "creation",
                format!("{:?}", ours.creation_time),
                format!("{:?}", entry.creation_time),
            );
            differ(
                "start",
                format!("{:?}", ours.service_start),
                format!("{:?}", entry.service_start),
            );
            differ("stop", format!("{:?}", ours.service_stop), format!("{:?}", entry.service_stop));
            differ(
                "legal",
                format!("{:?}", ours.legal_authenticator),
                format!("{:?}", entry.legal_authenticator),
            );
            differ("title", format!("{:?}", ours.title), format!("{:?}", entry.title));
            differ(
                "class",
                format!("{:?}", code(&ours.class)),
                format!("{:?}", code(&entry.class)),
            );
            differ("type", format!("{:?}", code(&ours.kind)), format!("{:?}", code(&entry.kind)));
            differ(
                "format",
                format!("{:?}", code(&ours.format)),
                format!("{:?}", code(&entry.format)),
            );
            differ(
                "facility",
                format!("{:?}", code(&ours.facility)),
                format!("{:?}", code(&entry.facility)),
            );
            differ(
                "practice",
                format!("{:?}", code(&ours.practice)),
                format!("{:?}", code(&entry.practice)),
            );
            assert!(ours.authors == entry.authors, "{name}: authors");
            assert!(ours.events == entry.events, "{name}: events");
            documents += 1;
        }
    }
    assert_eq!(documents, 9);
    for (name, bytes) in common::files(&corpus.join("xdm/generated"), &[".METADATA.XML"]) {
        let read = read_metadata(&bytes, &limits).unwrap();
        assert!(read_metadata(&write_metadata(&read), &limits).unwrap() == read, "{name}");
    }
}

#[test]
fn foreign_layouts_are_read() {
    let Some(corpus) = common::corpus() else { return };
    let folder = corpus.join("xdm/direct-project");
    for (name, bytes) in common::files(&folder, &[".zip"]) {
        let xdm = read_xdm(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(xdm.subsets.len(), 1, "{name}");
        assert!(!xdm.documents.is_empty(), "{name}");
        assert!(xdm.documents.iter().all(|d| d.path.is_some()), "{name}: the files are found");
        assert!(xdm.subsets[0].fault.is_none());
    }
    // This one stands between quotation marks: no XML parser takes it.
    let quoted = std::fs::read(folder.join("submitobjectrequest.xml")).unwrap();
    assert!(read_metadata(&quoted, &Limits::default()).is_err());
}

#[test]
fn every_document_goes_into_an_archive_and_comes_back() {
    let Some(corpus) = common::corpus() else { return };
    let limits = Limits::default();
    let documents = common::files(&corpus.join("cda"), &[".xml"]);
    let mut archives = Vec::new();
    for (name, bytes) in &documents {
        let outgoing = [Outgoing { cda: bytes, action: None }];
        let written =
            write_xdm(&parcel(&outgoing), &limits).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            written,
            write_xdm(&parcel(&outgoing), &limits).unwrap(),
            "{name}: deterministic"
        );
        let xdm = read_xdm(&written, &limits).unwrap();
        let [document] = xdm.documents.as_slice() else { panic!("{name}") };
        assert!(document.bytes == *bytes, "{name}");
        assert_eq!(
            (document.hash_agrees(), document.size_agrees()),
            (Some(true), Some(true)),
            "{name}"
        );
        assert!(document.cda.as_ref() == Some(&read_cda(bytes, &limits).unwrap()), "{name}");
        assert!(xdm.index && xdm.readme && xdm.extra.is_empty(), "{name}");
        archives.push((written, sha1_hex(bytes)));
    }
    let all: Vec<_> = documents.iter().map(|(_, cda)| Outgoing { cda, action: None }).collect();
    let lot = write_xdm(&parcel(&all), &limits).unwrap();
    assert_eq!(read_xdm(&lot, &limits).unwrap().documents.len(), documents.len());
    another_reader_agrees(&archives);
}

/// Python's zipfile and xml.etree: sums, names, and hash and size as METADATA.XML announces them.
fn another_reader_agrees(archives: &[(Vec<u8>, String)]) {
    const SCRIPT: &str = r#"
import sys, zipfile, hashlib
import xml.etree.ElementTree as E
rim = '{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}'
for path in sys.argv[1:]:
    z = zipfile.ZipFile(path)
    assert z.testzip() is None
    assert z.namelist() == ['README.TXT', 'INDEX.HTM', 'IHE_XDM/SUBSET01/METADATA.XML', 'IHE_XDM/SUBSET01/DOC0001.XML']
    E.fromstring(z.read('INDEX.HTM'))
    m = E.fromstring(z.read('IHE_XDM/SUBSET01/METADATA.XML'))
    x = m.find('.//' + rim + 'ExtrinsicObject')
    slot = {s.get('name'): s.find('.//' + rim + 'Value').text for s in x.findall(rim + 'Slot')}
    d = z.read('IHE_XDM/SUBSET01/' + slot['URI'])
    assert slot['size'] == str(len(d)) and slot['hash'] == hashlib.sha1(d).hexdigest()
    print(slot['hash'])
"#;
    if Command::new("python3").arg("--version").output().is_err() {
        println!("SKIP: no python3 to read the archives with");
        return;
    }
    let folder = std::env::temp_dir().join(format!("palombe-xdm-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new("python3");
    command.arg("-c").arg(SCRIPT);
    for (n, (bytes, _)) in archives.iter().enumerate() {
        let path = folder.join(format!("{n}.zip"));
        std::fs::write(&path, bytes).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8(output.stdout).unwrap();
    let ours: Vec<&str> = archives.iter().map(|(_, sum)| sum.as_str()).collect();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), ours);
}

#[test]
fn only_what_was_asked_is_unzipped() {
    let outgoing = [Outgoing { cda: b"<a/>", action: None }];
    assert!(write_xdm(&parcel(&outgoing), &Limits::default()).is_err(), "no CDA");
    assert!(write_xdm(&parcel(&[]), &Limits::default()).is_err(), "nothing");
    assert!(unzip(b"", &Limits::default()).is_err());
}
