//! Octets made to hurt: each is refused or bounded, nothing panics, memory and time stay small.

mod common;

use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::check::{Inbound, check_file, examine};
use palombe_clinical_docs::hl7v2::{Message, parse_ack, parse_request, parse_zam};
use palombe_clinical_docs::xdm::{Outgoing, Parcel, Sender, read_xdm, write_xdm};
use palombe_clinical_docs::{
    Bound, DocError, File, Limits, Severity, XmlFault, ZipFault, read_metadata, render, sha1_hex,
    unzip, zip_files,
};
use palombe_vocabulary::Timestamp;
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const SAMPLE: &[u8] = include_bytes!("samples/lettre.xml");

fn over(limit: Bound) -> DocError {
    DocError::Limit { limit }
}

fn zip(fault: ZipFault) -> DocError {
    DocError::Zip { fault }
}

fn open(bytes: &[u8]) -> Result<Vec<File>, DocError> {
    unzip(bytes, &Limits::default())
}

/// An archive of these names, each with the same small content.
fn archive(names: &[&str]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(b"contenu").unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Every octet of `from` in an archive becomes `to`: names keep their length, so the structure holds.
fn rename(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    while let Some(at) = bytes.windows(from.len()).position(|w| w == from.as_bytes()) {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// Sets `len` octets at an offset of every central row.
fn patch_central(mut bytes: Vec<u8>, offset: usize, value: &[u8]) -> Vec<u8> {
    let rows: Vec<usize> =
        (0..bytes.len() - 4).filter(|&n| &bytes[n..n + 4] == b"PK\x01\x02").collect();
    for row in rows {
        bytes[row + offset..row + offset + value.len()].copy_from_slice(value);
    }
    bytes
}

fn within<T>(limit: Duration, what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = run();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took < limit, "{what}: {took:?}");
    out
}

/// Wide enough for a build without optimisation on a busy machine; a bomb takes minutes.
const SOON: Duration = Duration::from_secs(60);

#[test]
fn names_of_archives() {
    assert_eq!(open(&archive(&["a.txt", "b/c.txt"])).unwrap().len(), 2);
    for name in ["../a.txt", "b/../../a", "/etc/passwd", "C:/a.txt", "..\\a.txt", "a\u{1}b"] {
        assert_eq!(open(&archive(&[name])), Err(zip(ZipFault::Path)), "{name}");
    }
    assert_eq!(open(&archive(&["A.TXT", "a.txt"])), Err(zip(ZipFault::DuplicateName)));
    assert_eq!(open(&archive(&["a/b.txt", "a\\b.txt"])), Err(zip(ZipFault::DuplicateName)));
    let twice = rename(archive(&["a.txt", "b.txt"]), "b.txt", "a.txt");
    assert_eq!(open(&twice), Err(zip(ZipFault::DuplicateName)));
    assert_eq!(open(&archive(&["a/b/c/d/e/f/g/h/i/j.txt"])), Err(over(Bound::Folders)));
    assert_eq!(open(&archive(&[&"n".repeat(300)])), Err(over(Bound::NameBytes)));
    assert_eq!(open(&archive(&["./a.txt"])).unwrap()[0].name, "a.txt");
}

#[test]
fn entries_that_are_not_files() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("lien", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = writer.finish().unwrap().into_inner();
    assert_eq!(open(&link), Err(zip(ZipFault::NotAFile)));
    // General purpose flag 0: encrypted.
    let encrypted = patch_central(archive(&["a.txt"]), 8, &[1]);
    assert_eq!(open(&encrypted), Err(zip(ZipFault::Encrypted)));
    // Method 12, bzip2; 99, AES.
    for method in [12, 99] {
        let other = patch_central(archive(&["a.txt"]), 10, &[method]);
        assert!(matches!(open(&other), Err(DocError::Zip { .. })), "{method}");
    }
    // A device: mode 0o020644 in the external attributes.
    let device = patch_central(archive(&["a.txt"]), 38, &(0o020_644_u32 << 16).to_le_bytes());
    assert_eq!(open(&device), Err(zip(ZipFault::NotAFile)));
}

#[test]
fn sizes_that_lie() {
    let packed = |content: &[u8]| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("a", SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().into_inner()
    };
    let honest = packed(&[7; 100_000]);
    assert_eq!(open(&honest).unwrap()[0].bytes.len(), 100_000);
    for size in [0_u32, 10, 99_999, 100_001] {
        let liar = patch_central(honest.clone(), 24, &size.to_le_bytes());
        assert_eq!(open(&liar), Err(zip(ZipFault::Content)), "{size}");
    }
    let huge = patch_central(honest.clone(), 24, &0xF000_0000_u32.to_le_bytes());
    assert_eq!(open(&huge), Err(over(Bound::EntryBytes)));
    let sum = patch_central(honest, 16, &[1, 2, 3, 4]);
    assert_eq!(open(&sum), Err(zip(ZipFault::Content)));
}

#[test]
fn bombs() {
    let zeros = vec![0; 60 << 20];
    let bomb = zip_files(&[File { name: "a".to_owned(), bytes: zeros }], Timestamp(0)).unwrap();
    assert!(bomb.len() < 100_000);
    assert_eq!(within(SOON, "ratio", || open(&bomb)), Err(over(Bound::Ratio)));
    // The same bomb that says it is small.
    let small = patch_central(bomb.clone(), 24, &1_000_u32.to_le_bytes());
    assert_eq!(within(SOON, "lying bomb", || open(&small)), Err(zip(ZipFault::Content)));
    // Nested: the inner one is never opened.
    let outer =
        zip_files(&[File { name: "inner.zip".to_owned(), bytes: bomb }], Timestamp(0)).unwrap();
    assert_eq!(open(&outer).unwrap().len(), 1);
    // Many entries that are each allowed, and too much together.
    let noise: Vec<u8> =
        (0..20_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let many: Vec<File> =
        (0..7).map(|n| File { name: format!("{n}"), bytes: noise.clone() }).collect();
    let many = zip_files(&many, Timestamp(0)).unwrap();
    assert!(open(&many).is_err());
}

#[test]
fn overlapping_entries() {
    // Both rows name the local header of the first entry.
    let mut bytes = archive(&["a.txt", "b.txt"]);
    let rows: Vec<usize> =
        (0..bytes.len() - 4).filter(|&n| &bytes[n..n + 4] == b"PK\x01\x02").collect();
    let first: [u8; 4] = bytes[rows[0] + 42..rows[0] + 46].try_into().unwrap();
    bytes[rows[1] + 42..rows[1] + 46].copy_from_slice(&first);
    assert_eq!(open(&bytes), Err(zip(ZipFault::Overlap)));
}

#[test]
fn a_million_entries() {
    let mut bytes = Vec::new();
    let row = {
        let one = archive(&["a"]);
        let at = one.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        one[at..at + 47].to_vec()
    };
    for _ in 0..1_000_000 {
        bytes.extend_from_slice(&row);
    }
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0\xFF\xFF\xFF\xFF");
    bytes.extend_from_slice(&47_000_000_u32.to_le_bytes());
    bytes.extend_from_slice(&[0; 6]);
    assert_eq!(within(SOON, "10^6 rows", || open(&bytes)), Err(over(Bound::Entries)));
    let ends = b"PK\x05\x06".repeat(1_000_000);
    assert_eq!(within(SOON, "10^6 ends", || open(&ends)), Err(over(Bound::Entries)));
}

/// A CDA around a body, small.
fn cda(inner: &str) -> String {
    format!("<ClinicalDocument xmlns='urn:hl7-org:v3'><title>t</title>{inner}</ClinicalDocument>")
}

#[test]
fn two_hundred_entries_for_one_file() {
    let mut files = unzip(&write(SAMPLE), &Limits::default()).unwrap();
    let metadata = files.iter_mut().find(|f| f.name.ends_with("METADATA.XML")).unwrap();
    let mut submission = read_metadata(&metadata.bytes, &Limits::default()).unwrap();
    let one = submission.documents[0].clone();
    submission.documents = vec![one; 500];
    // Some without a name, so that they are looked for.
    submission.documents.iter_mut().skip(100).for_each(|entry| entry.uri = None);
    metadata.bytes = palombe_clinical_docs::write_metadata(&submission);
    let bytes = zip_files(&files, Timestamp(0)).unwrap();
    let xdm = read_xdm(&bytes, &Limits::default()).unwrap();
    assert_eq!(xdm.documents.len(), Limits::default().documents_max);
    assert_eq!(xdm.documents.iter().filter(|d| d.cda.is_some()).count(), 1);
    assert_eq!(xdm.documents.iter().filter(|d| d.same_as == Some(0)).count(), 99);
    assert!(xdm.documents.iter().map(|d| d.bytes.len()).sum::<usize>() == SAMPLE.len());
}

#[test]
fn hostile_xml() {
    let read = |text: &str| read_cda(text.as_bytes(), &Limits::default()).map(|_| ());
    let xml = |fault| Err(DocError::Xml { fault });
    let xxe = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>".to_owned()
        + &cda("<id root='&x;'/>");
    assert_eq!(read(&xxe), xml(XmlFault::Doctype));
    let laughs = "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]>".to_owned() + &cda("&b;");
    assert_eq!(read(&laughs), xml(XmlFault::Doctype));
    assert_eq!(read(&cda("<title>&lol;</title>")), xml(XmlFault::Entity));
    let deep = cda(&format!("{}{}", "<component>".repeat(100_000), "</component>".repeat(100_000)));
    assert_eq!(within(SOON, "10^5 deep", || read(&deep)), Err(over(Bound::XmlDepth)));
    let row = format!("<a{}/>", (0..60).map(|n| format!(" a{n}=''")).collect::<String>());
    let attributes = cda(&row.repeat(20_000));
    assert_eq!(
        within(SOON, "10^6 attributes", || read(&attributes)),
        Err(over(Bound::XmlAttributes))
    );
    let huge = cda(&format!("<title>{}</title>", "x".repeat(60 << 20)));
    assert_eq!(within(SOON, "60 MiB of text", || read(&huge)), Err(over(Bound::XmlTextBytes)));
    let huge = "x".repeat(70 << 20);
    assert_eq!(read(&huge), Err(over(Bound::XmlBytes)));
    let names: String = (0..60).map(|n| format!(" xmlns:a{n}='u'")).collect();
    let nested = cda(&format!("<a{names}><b{names}></b></a>"));
    assert_eq!(read(&nested), Err(over(Bound::XmlNamespaces)));
    let references = cda(&format!("<title>{}</title>", "&#65;".repeat(2_000_000)));
    within(SOON, "2×10^6 references", || read(&references)).unwrap();
    let many = cda(&"<author/>".repeat(390_000));
    let found =
        within(SOON, "390,000 authors", || read_cda(many.as_bytes(), &Limits::default())).unwrap();
    assert_eq!(found.header.authors.len(), Limits::default().repeats_max);
    let long = cda(&format!("<code code='{}'/>", "c".repeat(60_000)));
    let found = read_cda(long.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(found.header.code.text().len(), Limits::default().field_chars_max);
}

#[test]
fn sections_within_sections() {
    let (open, close) = ("<component><section><title>a</title>", "</section></component>");
    let body = format!(
        "<component><structuredBody>{}{}</structuredBody></component>",
        open.repeat(60),
        close.repeat(60)
    );
    let found = read_cda(cda(&body).as_bytes(), &Limits::default()).unwrap();
    assert_eq!(found.body.sections.len(), 60);
    let many = format!(
        "<component><structuredBody>{}</structuredBody></component>",
        format!("{open}{close}").repeat(3_000)
    );
    let found = read_cda(cda(&many).as_bytes(), &Limits::default()).unwrap();
    assert!(found.body.truncated && found.body.sections.len() == Limits::default().sections_max);
    // Copies of copies: looked at once each.
    let copy = "<component><section><templateId root='1.2.250.1.213.1.1.2.243'/>";
    let nested = format!(
        "<component><structuredBody>{}<entry><observationMedia>\
         <value representation='B64'>QUJD</value></observationMedia></entry>{}\
         </structuredBody></component>",
        copy.repeat(50),
        close.repeat(50)
    );
    let found =
        within(SOON, "nested copies", || read_cda(cda(&nested).as_bytes(), &Limits::default()))
            .unwrap();
    assert_eq!(found.body.attachments.len(), 1);
}

#[test]
fn narrative_cannot_act() {
    let text = "<paragraph onclick='x()'>a<script>alert(1)</script></paragraph>\
        <linkHtml href='javascript:alert(1)'>b</linkHtml>\
        <linkHtml href=' JaVaScRiPt:alert(2)'>c</linkHtml>\
        <linkHtml href='https://exemple.fr/&quot;&gt;&lt;script&gt;'>d</linkHtml>\
        <content styleCode='Bold &quot; onload=x'>e</content><iframe src='http://x'/>\
        <td colspan='99999999' style='x'>f</td><renderMultiMedia referencedObject='nul'/>\
        &lt;img src=x onerror=alert(3)&gt;<paragraph revised='delete'>secret</paragraph>";
    let body = format!(
        "<component><structuredBody><component><section><text>{text}</text></section>\
         </component></structuredBody></component>"
    );
    let page = render::html(cda(&body).as_bytes(), &Limits::default()).unwrap();
    let lower = page.to_lowercase();
    for word in [
        "<script",
        "onclick",
        "onload=",
        "javascript:",
        "<iframe",
        "<img",
        "href",
        "colspan",
        "secret",
        "onerror=alert(3)>",
    ] {
        let shown = word == "onload=" && lower.contains("&quot; onload=");
        assert!(!lower.contains(word) || shown, "{word} in {page}");
    }
    assert!(
        page.contains("class=\"bold\"")
            && page.contains("[https://exemple.fr/&quot;&gt;&lt;script&gt;]")
    );
    let plain = render::text(cda(&body).as_bytes(), &Limits::default()).unwrap();
    assert!(plain.contains("alert(1)") && !plain.contains("secret"));
}

#[test]
fn cut_at_each_octet() {
    let limits = Limits::default();
    for end in 0..SAMPLE.len() {
        assert!(
            read_cda(&SAMPLE[..end], &limits).is_err() || SAMPLE[end..].trim_ascii().is_empty(),
            "{end}"
        );
    }
    let outgoing = [Outgoing { cda: SAMPLE, action: None }];
    let parcel = Parcel {
        documents: &outgoing,
        sender: Sender::default(),
        unique_id: "1.2",
        source_id: "1.2",
        content_type: None,
        at: Timestamp(0),
    };
    let written = write_xdm(&parcel, &limits).unwrap();
    for end in 0..written.len() {
        assert!(unzip(&written[..end], &limits).is_err(), "{end}");
    }
    // One octet changed anywhere: a fault, a finding, or the same document.
    for place in 0..written.len() {
        let mut changed = written.clone();
        changed[place] ^= 0x40;
        if let Ok(xdm) = read_xdm(&changed, &limits) {
            let same =
                xdm.documents.iter().all(|d| d.bytes == SAMPLE || d.hash_agrees() != Some(true));
            assert!(same, "{place}");
        }
    }
}

#[test]
fn an_altered_document_raises_an_alert() {
    let mut files = unzip(&write(SAMPLE), &Limits::default()).unwrap();
    let document = files.iter_mut().find(|f| f.name.ends_with("DOC0001.XML")).unwrap();
    let text = String::from_utf8(document.bytes.clone()).unwrap();
    document.bytes = text.replace("MARTIN", "DURAND").into_bytes();
    assert_ne!(sha1_hex(&document.bytes), sha1_hex(SAMPLE));
    let altered = zip_files(&files, Timestamp(0)).unwrap();
    let report = check_file(&altered, &Limits::default());
    assert_eq!(report.findings[0].severity, Severity::Alert);
    assert_eq!(report.findings[0].rule.code(), "XDM-05");
}

fn write(document: &[u8]) -> Vec<u8> {
    let outgoing = [Outgoing { cda: document, action: None }];
    let parcel = Parcel {
        documents: &outgoing,
        sender: Sender::default(),
        unique_id: "1.2",
        source_id: "1.2",
        content_type: None,
        at: Timestamp(0),
    };
    write_xdm(&parcel, &Limits::default()).unwrap()
}

#[test]
fn encodings() {
    let text = String::from_utf8(SAMPLE.to_vec()).unwrap().replace("encoding=\"UTF-8\"", "");
    let expected = read_cda(text.as_bytes(), &Limits::default()).unwrap();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(read_cda(&wide, &Limits::default()).unwrap() == expected, "UTF-16");
    let latin =
        text.replace("<?xml version=\"1.0\"", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"");
    let latin: Vec<u8> = latin.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert!(read_cda(&latin, &Limits::default()).unwrap() == expected, "ISO-8859-1");
    assert!(
        check_file(&latin, &Limits::default()).findings.iter().any(|f| f.rule.code() == "CDA-32")
    );
    let wrong = text.replace("<?xml version=\"1.0\"", "<?xml version=\"1.0\" encoding=\"EBCDIC\"");
    assert!(read_cda(wrong.as_bytes(), &Limits::default()).is_err());
}

#[test]
fn any_octets_are_judged_by_every_reader() {
    use proptest::prelude::*;
    let limits = Limits::default();
    let starts: [&[u8]; 6] = [
        b"",
        b"PK\x03\x04",
        b"<",
        b"MSH|^~\\&|",
        b"\xFF\xFE",
        b"<ClinicalDocument xmlns='urn:hl7-org:v3'>",
    ];
    let tails = proptest::collection::vec(any::<u8>(), 0..300);
    proptest!(|(start in 0..starts.len(), bytes in tails)| {
        let mut input = starts[start].to_vec();
        input.extend(bytes);
        let _ = check_file(&input, &limits);
        let _ = read_metadata(&input, &limits);
        let _ = render::html(&input, &limits);
        let files = [File { name: "IHE_XDM.ZIP".to_owned(), bytes: input.clone() }];
        let _ = examine(&Inbound { files: &files, ..Inbound::default() }, &limits);
        if let Ok(message) = Message::parse(&input, &limits) {
            let _ = (parse_ack(&message), parse_zam(&message));
            let _ = parse_request(&message, &limits);
        }
    });
}

#[test]
fn method_stored_is_read() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.start_file("a", options).unwrap();
    writer.write_all(b"abc").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(open(&bytes).unwrap()[0].bytes, b"abc");
}
