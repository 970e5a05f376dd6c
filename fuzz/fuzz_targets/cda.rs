//! Any octets as a CDA: facts, metadata, findings and renderings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palombe_clinical_docs::cda::read_cda;
use palombe_clinical_docs::check::check_file;
use palombe_clinical_docs::xds::{FileFacts, document_entry};
use palombe_clinical_docs::{Limits, render, sha1_hex};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let _ = check_file(bytes, &limits);
    let Ok(cda) = read_cda(bytes, &limits) else { return };
    let file = FileFacts { uri: "DOC0001.XML", sha1: &sha1_hex(bytes), size: bytes.len() };
    let _ = document_entry(&cda, "Document01", file);
    let _ = render::text(bytes, &limits).expect("what is read is rendered");
    let page = render::html(bytes, &limits).expect("what is read is rendered").to_lowercase();
    // Only our own tags open.
    for word in ["<script", "<iframe", "<object", "<embed", "<a ", "<link", "<form", "<svg", "<input"] {
        assert!(!page.contains(word), "{word}");
    }
});
