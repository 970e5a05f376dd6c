//! The real national list of 2025-02-28, read in place.

mod common;

use base64::Engine as _;
use common::{at, shared};
use palombe_trust::{Anchors, Environment, ListeBlanche, TrustError, VerifyOptions, diff};
use std::time::Instant;

const REAL: &str = "data/listeblanche/listeblanchemssante-2025-02-28-signed.xml";

/// The certificate embedded in a list, as PEM: its intermediate is not available, so it is its own
/// anchor.
fn embedded(list: &[u8]) -> Anchors {
    let text = std::str::from_utf8(list).unwrap();
    let start = text.find("<X509Certificate>").unwrap() + "<X509Certificate>".len();
    let end = text.find("</X509Certificate>").unwrap();
    let base64 = text[start..end].replace("&#13;", "");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    Anchors::from_pem(pem.as_bytes()).unwrap()
}

fn options() -> VerifyOptions {
    VerifyOptions {
        environment: Some(Environment::Production),
        ..VerifyOptions::at(at("2025-03-01T00:00:00Z"))
    }
}

#[test]
fn verifies_and_indexes_every_entry() {
    let Some(bytes) = shared(REAL) else { return };
    let started = Instant::now();
    let list = ListeBlanche::verify(&bytes, &embedded(&bytes), &options()).unwrap();
    println!("real list verified and indexed in {:?}", started.elapsed());
    assert_eq!(list.entries().len(), 6494);
    assert_eq!(list.domain_count(), 4944);
    assert_eq!(list.dn_count(), 391);
    assert_eq!(list.skipped(), []);
    assert_eq!(list.generated_at(), at("2025-02-28T15:42:07Z"));
    assert!(list.signer().starts_with("CN=alb.mssante.fr,OU=347976684200724,"));
    println!("{} names after normalisation of 391 as written", list.operator_count());
    let medecin = "medecin.mssante.fr".parse().unwrap();
    let bus = "C=FR, ST=Hauts-de-Seine(92), O=CAPGEMINI Technology  Services, OU=347976684200724, \
               CN=bus.mssante.fr";
    assert!(list.permits(&bus.parse().unwrap(), &medecin));
    assert_eq!(list.domain(&medecin).len(), 2);
    // Exact domains only: neither a parent nor a child of a listed domain is listed.
    assert!(!list.lists_domain(&"mssante.fr".parse().unwrap()));
    assert!(!list.lists_domain(&"x.medecin.mssante.fr".parse().unwrap()));
    assert!(list.lists_domain(&"mssante.apicrypt.org".parse().unwrap()));
    assert!(diff(&list, &list).is_empty());
    for entry in list.entries() {
        assert!(list.permits(&entry.dn, &entry.domain));
    }
}

#[test]
fn spellings_of_one_operator_are_one() {
    let Some(bytes) = shared(REAL) else { return };
    let list = ListeBlanche::verify(&bytes, &embedded(&bytes), &options()).unwrap();
    let name = |text: &str| text.parse::<palombe_trust::Dn>().unwrap();
    let quoted =
        name(r#"CN=mss.ch-cadillac.fr,OU=1330781295,O="C.H. DE  CADILLAC",ST=Gironde (33),C=FR"#);
    let plain =
        name("CN=mss.ch-cadillac.fr,OU=1330781295,O=C.H. DE  CADILLAC,ST=Gironde (33),C=FR");
    assert_eq!(quoted, plain);
    assert!(!list.operator(&plain).is_empty());
}

#[test]
fn any_changed_byte_is_refused() {
    let Some(bytes) = shared(REAL) else { return };
    let anchors = embedded(&bytes);
    let mut positions: Vec<usize> = (0..120).map(|i| i * bytes.len() / 120 + i).collect();
    positions.extend(0..45); // the XML declaration and the head of the root
    let tail = bytes.len() - 4400; // the signature and the end of the root
    positions.extend((0..110).map(|i| tail + i * 40));
    for (i, position) in positions.iter().copied().enumerate() {
        let mut altered = bytes.clone();
        altered[position] ^= 1 << (i % 5);
        let verdict = ListeBlanche::verify(&altered, &anchors, &options());
        assert!(verdict.is_err(), "byte {position} altered, still accepted");
    }
    // What XML calls equal and a byte comparison does not: line ends, blanks, references, base64
    // folding.
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        ("\n    <Liste", "\r    <Liste"),
        ("<ListeBlancheMSSante xmlns", "<ListeBlancheMSSante\nxmlns"),
        ("<ListeBlancheMSSante xmlns", "<ListeBlancheMSSante\txmlns"),
        ("&#13;", "&#10;"),
        ("&#13;", "&#32;"),
        ("&amp;", "&#38;x"),
        ("UTF-8", "utF-8"),
        ("version=\"1.0\"", "version=\"1.1\""),
        ("</Signature></", "</Signature>\t</"),
        ("&#13;\nB", "&#13; B"),
    ] {
        assert!(text.contains(from), "{from:?}");
        let altered = text.replacen(from, to, 1);
        let verdict = ListeBlanche::verify(altered.as_bytes(), &anchors, &options());
        assert!(verdict.is_err(), "{from:?} -> {to:?} still accepted");
    }
}

#[test]
fn line_ends_of_another_system_do_not_break_it() {
    let Some(bytes) = shared(REAL) else { return };
    let anchors = embedded(&bytes);
    let crlf = String::from_utf8(bytes).unwrap().replace('\n', "\r\n");
    ListeBlanche::verify(crlf.as_bytes(), &anchors, &options()).unwrap();
}

#[test]
fn the_signer_is_judged() {
    let Some(bytes) = shared(REAL) else { return };
    let anchors = embedded(&bytes);
    let verify = |options: VerifyOptions| ListeBlanche::verify(&bytes, &anchors, &options);
    let signer = |result: Result<ListeBlanche, TrustError>| {
        assert!(matches!(result, Err(TrustError::Signer(_))), "{result:?}");
    };
    signer(verify(VerifyOptions { at: at("2026-08-24T00:00:00Z"), ..options() }));
    signer(verify(VerifyOptions { at: at("2023-08-22T00:00:00Z"), ..options() }));
    signer(verify(VerifyOptions { signer_cns: vec!["autre.mssante.fr".to_owned()], ..options() }));
    signer(verify(VerifyOptions { environment: Some(Environment::Test), ..options() }));
    // Ended two days before, within a grace of seven: a restart keeps the last good list.
    let late = VerifyOptions { at: at("2026-08-25T00:00:00Z"), ..options() };
    let graced = verify(VerifyOptions { signer_expiry_grace_secs: 7 * 86_400, ..late.clone() });
    assert!(graced.is_ok(), "{graced:?}");
    signer(verify(VerifyOptions { signer_expiry_grace_secs: 86_400, ..late }));
    let before = VerifyOptions { at: at("2025-02-01T00:00:00Z"), ..options() };
    assert!(matches!(verify(before), Err(TrustError::FromTheFuture { .. })));
    // Another anchor: the embedded certificate gives no trust by itself.
    let Some(other) = shared("data/igc-sante/testpki-public/ca-bundle.pem") else { return };
    let other = Anchors::from_pem(&other).unwrap();
    let refused = ListeBlanche::verify(&bytes, &other, &options());
    assert!(matches!(refused, Err(TrustError::Signer(_))));
}

#[test]
fn the_unsigned_extract_is_refused() {
    let (Some(bytes), Some(real)) = (shared("data/listeblanche/sample-unsigned.xml"), shared(REAL))
    else {
        return;
    };
    let refused = ListeBlanche::verify(&bytes, &embedded(&real), &options());
    assert!(matches!(refused, Err(TrustError::Unsigned)), "{refused:?}");
}

#[test]
fn a_list_signed_by_xmlsec_under_a_test_hierarchy_verifies() {
    let (Some(bytes), Some(anchors)) = (
        shared("data/listeblanche/sample-signed-testpki.xml"),
        shared("data/igc-sante/testpki-public/ca-bundle.pem"),
    ) else {
        return;
    };
    let anchors = Anchors::from_pem(&anchors).unwrap();
    let options = VerifyOptions {
        signer_cns: vec!["alb.test".to_owned()],
        environment: Some(Environment::Test),
        ..VerifyOptions::at(at("2026-11-22T00:00:00Z"))
    };
    let list = ListeBlanche::verify(&bytes, &anchors, &options).unwrap();
    assert!(list.lists_domain(&"op-a.mssante.test".parse().unwrap()));
    let production = VerifyOptions { environment: Some(Environment::Production), ..options };
    assert!(ListeBlanche::verify(&bytes, &anchors, &production).is_err());
}

#[test]
fn bergshamra_agrees_on_the_canonical_form() {
    let Some(bytes) = shared(REAL) else { return };
    let text = std::str::from_utf8(&bytes).unwrap();
    let mut keys = bergshamra_keys::KeysManager::new();
    let start = text.find("<X509Certificate>").unwrap() + "<X509Certificate>".len();
    let end = text.find("</X509Certificate>").unwrap();
    let der = base64::engine::general_purpose::STANDARD
        .decode(text[start..end].replace("&#13;", "").replace('\n', ""))
        .unwrap();
    keys.add_key(bergshamra_keys::loader::load_x509_cert_der(&der).unwrap());
    let context = bergshamra_dsig::DsigContext::new(keys);
    let verdict = bergshamra_dsig::verify::verify(&context, text).unwrap();
    assert!(verdict.is_valid(), "{verdict:?}");
}
