//! Archives: those of the corpus are read, every document of the corpus is written into one and read back equal,
//! another ZIP reader agrees.

mod common;

use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::xdm::{Outgoing, Parcel, Sender, XdmDocument, read_xdm, write_xdm};
use palombe_clinical_docs::{
    DocumentEntry, Limits, XdsCode, read_metadata, sha1_hex, unzip, write_metadata, xds,
};
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

/// The metadata of the corpus were made by another implementation of the same rules.
fn as_another_implementation_maps(name: &str, document: &XdmDocument) {
    let (cda, entry) = (document.cda.as_ref().unwrap(), document.entry.as_ref().unwrap());
    let file = xds::FileFacts { uri: "DOC0001.XML", sha1: &document.sha1, size: document.size };
    let ours = xds::document_entry(cda, &entry.id, file);
    let code = |code: &Option<XdsCode>| code.as_ref().map(|code| code.code.clone());
    let texts = |e: &DocumentEntry| {
        vec![
            e.unique_id.clone(),
            e.patient_id.clone(),
            e.source_patient_id.clone(),
            e.creation_time.clone(),
            e.service_start.clone(),
            e.service_stop.clone(),
            // It keeps the blanks around names, which we do not.
            e.legal_authenticator.as_ref().map(|text| text.replace(" ^", "^")),
            e.title.clone(),
            e.language.clone(),
            code(&e.class),
            code(&e.kind),
            code(&e.format),
            code(&e.facility),
            code(&e.practice),
        ]
    };
    assert_eq!(texts(&ours), texts(entry), "{name}");
    assert_eq!(ours.source_patient_info, entry.source_patient_info, "{name}");
    assert!(ours.authors == entry.authors && ours.events == entry.events, "{name}");
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
            as_another_implementation_maps(&name, document);
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
    inner = 'IHE_XDM/SUBSET01/'
    names = ['README.TXT', 'INDEX.HTM', inner + 'METADATA.XML', inner + 'DOC0001.XML']
    assert z.namelist() == names
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
