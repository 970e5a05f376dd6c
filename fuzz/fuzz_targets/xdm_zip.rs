//! Any octets as an archive; what is read of it is judged, and written again when it holds documents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palombe_clinical_docs::check::{Inbound, check_file, examine};
use palombe_clinical_docs::xdm::{Outgoing, Parcel, Sender, read_xdm, write_xdm};
use palombe_clinical_docs::{File, Limits, unzip};
use palombe_vocabulary::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { total_bytes_max: 8 << 20, ..Limits::default() };
    if let Ok(files) = unzip(bytes, &limits) {
        assert!(files.iter().map(|f| f.bytes.len()).sum::<usize>() <= limits.total_bytes_max);
        for file in &files {
            assert!(!file.name.starts_with('/') && !file.name.split('/').any(|part| part == ".."));
        }
    }
    let _ = check_file(bytes, &limits);
    let files = [File { name: "IHE_XDM.ZIP".to_owned(), bytes: bytes.to_vec() }];
    let _ = examine(&Inbound { files: &files, ..Inbound::default() }, &limits);
    let Ok(xdm) = read_xdm(bytes, &limits) else { return };
    let documents: Vec<&[u8]> =
        xdm.documents.iter().filter(|d| d.cda.is_some()).map(|d| d.bytes.as_slice()).collect();
    let outgoing: Vec<_> = documents.iter().map(|cda| Outgoing { cda, action: None }).collect();
    if outgoing.is_empty() {
        return;
    }
    let parcel = Parcel {
        documents: &outgoing,
        sender: Sender::default(),
        unique_id: "1.2.3",
        source_id: "1.2",
        content_type: None,
        at: Timestamp(0),
    };
    let written = write_xdm(&parcel, &limits).expect("what was read is written");
    let again = read_xdm(&written, &Limits::default()).expect("what is written is read");
    assert_eq!(again.documents.len(), documents.len());
    for (document, bytes) in again.documents.iter().zip(documents) {
        assert!(document.bytes == bytes && document.hash_agrees() == Some(true));
    }
});
