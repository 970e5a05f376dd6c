//! Lists of the toy IGC-Santé: accepted, refused, wrapped, rolled back.

mod common;

use common::{at, key, pki};
use palombe_trust::{
    Anchors, CrlSet, Environment, ListDraft, ListeBlanche, TrustError, TrustPolicy, TrustState,
    VerifyOptions, diff, sign,
};
use palombe_vocabulary::Timestamp;
use std::process::Command;
use std::sync::Arc;

fn now() -> Timestamp {
    at("2026-11-21T10:00:00Z")
}

fn anchors() -> Anchors {
    Anchors::from_pem(&pki("ca-bundle.pem")).unwrap()
}

fn options() -> VerifyOptions {
    VerifyOptions {
        signer_cns: vec!["alb.mssante.test".to_owned()],
        environment: Some(Environment::Test),
        ..VerifyOptions::at(now())
    }
}

fn verify(bytes: &[u8]) -> Result<ListeBlanche, TrustError> {
    ListeBlanche::verify(bytes, &anchors(), &options())
}

fn good() -> String {
    String::from_utf8(pki("liste-blanche.xml")).unwrap()
}

#[test]
fn the_list_is_a_relation() {
    let list = verify(&pki("liste-blanche.xml")).unwrap();
    let permits = |leaf: &str, domain: &str| {
        let identity = palombe_trust::TlsIdentity::from_pem(
            &pki(&format!("{leaf}.pem")),
            &key(&format!("{leaf}.key")),
        );
        let dn = palombe_trust::Dn::of_certificate(&identity.unwrap().leaf()).unwrap();
        list.permits(&dn, &domain.parse().unwrap())
    };
    assert!(permits("op-alpha", "alpha.mssante.test"));
    assert!(permits("op-alpha", "CHU-alpha.mssante.test"));
    assert!(permits("op-alpha", "partage.mssante.test"));
    assert!(permits("op-beta", "partage.mssante.test"));
    assert!(permits("op-beta", "beta.mssante.test"), "listed under another spelling");
    assert!(permits("op-alpha", "xn--hpital-ixa.mssante.test"));
    assert!(!permits("op-alpha", "beta.mssante.test"));
    assert!(!permits("op-alpha", "x.alpha.mssante.test"));
    assert!(!permits("op-absent", "alpha.mssante.test"));
    assert_eq!(
        list.domain(&"alpha.mssante.test".parse().unwrap())[0].description,
        "Opérateur alpha <démonstration & essais>"
    );
}

#[test]
fn twins_are_refused() {
    let check = |file: &str, expected: &str| {
        let error = verify(&pki(file)).unwrap_err().to_string();
        assert!(error.contains(expected), "{file}: {error}");
    };
    check("liste-blanche-non-signee.xml", "is not signed");
    check("liste-blanche-alteree.xml", "was altered");
    check("liste-blanche-ajout.xml", "was altered");
    check("liste-blanche-signataire-expire.xml", "CertExpired");
    check("liste-blanche-signataire-non-igc.xml", "UnknownIssuer");
    check("liste-blanche-signataire-operateur.xml", "its CN is");
    // Revoked: only CRLs tell.
    let crls = vec![pki("crl/ACR-EL.crl"), pki("crl/ACI-EL-ORG.crl")];
    let (crls, report) = CrlSet::default().with(&crls, &anchors(), now());
    assert_eq!(report.replaced, 2, "{report:?}");
    let options = VerifyOptions { crls: Some(Arc::new(crls)), ..options() };
    let revoked = pki("liste-blanche-signataire-revoque.xml");
    let error = ListeBlanche::verify(&revoked, &anchors(), &options).unwrap_err();
    assert!(error.to_string().contains("CertRevoked"), "{error}");
    ListeBlanche::verify(&pki("liste-blanche.xml"), &anchors(), &options).unwrap();
}

#[test]
fn hostile_markup_is_refused_before_anything_is_computed() {
    let list = good();
    let check = |altered: String, expected: &str| {
        assert_ne!(altered, list, "{expected}: nothing was altered");
        let error = verify(altered.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    };
    let decl_end = list.find("?>").unwrap() + 2;
    let with = |text: &str| [&list[..decl_end], text, &list[decl_end..]].concat();
    check(with("<!DOCTYPE ListeBlancheMSSante>"), "DTD");
    check(with("<!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>"), "DTD");
    check(with("<?xml-stylesheet href=\"x\"?>"), "processing instruction");
    check(with("<!-- -->"), "comment");
    check(with("<x/>"), "second root");
    check(list.replacen("<Nom>beta", "<Nom><!-- -->beta", 1), "comment");
    check(list.replacen("<Nom>beta", "<Nom>&beta;", 1), "entity");
    check(list.replacen("<Nom>beta", "<Nom>&#x63;eta", 1), "altered");
    check(list.replacen("<Nom>beta", "<Nom>&#098;eta", 1), "unusual");
    check(list.replacen("<Nom>beta", "<Nom><![CDATA[b]]>eta", 1), "CDATA");
    check(list.replacen("<Nom>beta", "<Nom>be\rta", 1), "lone CR");
    check(list.replacen("<Nom>beta", "<Nom>\0beta", 1), "control character");
    check(list.replacen("<Nom>", &"<Nom>".repeat(20), 1), "too deep");
    check(list.trim_end_matches("</ListeBlancheMSSante>").to_owned(), "XML");
    check(format!("{list}<ListeBlancheMSSante/>"), "second root");
    check(format!("{list}  "), "line end");
    let mut bytes = list.clone().into_bytes();
    bytes[400] = 0xff;
    assert!(verify(&bytes).unwrap_err().to_string().contains("UTF-8"));
    assert!(verify(b"").is_err());
}

#[test]
fn signature_wrapping_is_refused() {
    let list = good();
    let start = list.find("<Signature").unwrap();
    let end = list.find("</Signature>").unwrap() + "</Signature>".len();
    let (body, signature) = (&list[..start], &list[start..end]);
    let close = "</ListeBlancheMSSante>";
    let root_end = list.find('>').unwrap(); // of the declaration
    let declaration = &list[..=root_end];
    let signed_root = &list[root_end + 1..];
    let evil = body.replace("beta.mssante.test", "evil.mssante.test");
    let refused = |altered: &str, why: &str| {
        let verdict = verify(altered.as_bytes());
        assert!(verdict.is_err(), "{why}: accepted");
        println!("{why}: {}", verdict.unwrap_err());
    };
    refused(&format!("{evil}{signature}{close}"), "body replaced");
    refused(&format!("{evil}{signed_root}{close}"), "signed root hidden inside another");
    refused(
        &format!("{evil}<Objet>{signed_root}</Objet>{signature}{close}"),
        "signed root in an object beside the signature",
    );
    refused(&format!("{body}{signature}{signature}{close}"), "two signatures");
    refused(&format!("{body}{signature}<Ajout/>{close}"), "signature not last");
    refused(&format!("{declaration}<r>{signed_root}</r>"), "signed root under a new root");
    let inside = body.replacen("<ListeDomaines>", &format!("{signature}<ListeDomaines>"), 1);
    refused(&format!("{inside}{close}"), "signature moved");
    let nested = signature.replacen(
        "<KeyInfo>",
        &format!("<Object>{}</Object><KeyInfo>", &body[body.find("<Liste").unwrap()..]),
        1,
    );
    refused(&format!("{evil}{nested}{close}"), "original kept in an Object");
    let pointed = signature.replacen("URI=\"\"", "URI=\"#x\"", 1);
    refused(&format!("{body}{pointed}{close}"), "Reference by Id");
    let reference_start = signature.find("<Reference").unwrap();
    let reference_end = signature.find("</Reference>").unwrap() + "</Reference>".len();
    let reference = &signature[reference_start..reference_end];
    let twice = signature.replacen(reference, &reference.repeat(2), 1);
    refused(&format!("{body}{twice}{close}"), "two References");
    let prefixed = body.replacen("<ListeBlancheMSSante xmlns", "<x:ListeBlancheMSSante xmlns:x", 1);
    refused(&format!("{prefixed}{signature}</x:ListeBlancheMSSante>"), "root renamed by prefix");
}

#[test]
fn other_algorithms_are_refused() {
    let list = good();
    for (from, to) in [
        ("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#hmac-sha1"),
        ("2001/04/xmldsig-more#rsa-sha256", "2001/04/xmldsig-more#ecdsa-sha256"),
        ("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"),
        ("2001/10/xml-exc-c14n#\"", "2001/10/xml-exc-c14n#WithComments\""),
        ("2001/10/xml-exc-c14n#\"", "2006/12/xml-c14n11\""),
        ("2000/09/xmldsig#enveloped-signature", "TR/1999/REC-xslt-19991116"),
        ("2000/09/xmldsig#enveloped-signature", "TR/1999/REC-xpath-19991116"),
    ] {
        assert!(list.contains(from));
        let error = verify(list.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(matches!(error, TrustError::SignatureForm(_)), "{to}: {error}");
    }
}

#[test]
fn the_schema_is_held_even_when_signed() {
    let draft = ListDraft {
        generated_at: at("2026-01-01T00:00:00Z"),
        entries: vec![("a.mssante.test".into(), "CN=a,OU=1".into(), "x".into())],
    };
    let signed = |xml: String| {
        let signed = sign(xml.as_bytes(), &pki("alb.pem"), &key("alb.key")).unwrap();
        verify(&signed)
    };
    let xml = draft.to_xml();
    assert!(signed(xml.clone()).is_ok());
    for (from, to) in [
        ("<Nom>", "<Nom lang=\"fr\">"),
        ("<Nom>a.mssante.test</Nom>", ""),
        ("<Nom>a.mssante.test</Nom>", "<Nom>a.mssante.test</Nom><Nom>b.mssante.test</Nom>"),
        ("<Nom>a.mssante.test</Nom>", "<Nom><b>a.mssante.test</b></Nom>"),
        ("</ListeDomaines>", "</ListeDomaines><ListeDomaines></ListeDomaines>"),
        ("https://listeblanche.mssante.fr/schema", "https://exemple.test/schema"),
        ("00:00:00Z</DateDeG", "00:00:00+01:00</DateDeG"),
    ] {
        let error = signed(xml.replacen(from, to, 1)).unwrap_err();
        assert!(matches!(error, TrustError::Schema(_)), "{to}: {error}");
    }
    // One bad entry is skipped and told, the others serve.
    let mut draft = draft;
    draft.entries.push(("nom..invalide".into(), "CN=a,OU=1".into(), String::new()));
    draft.entries.push(("b.mssante.test".into(), "sans signe égal".into(), String::new()));
    let list = signed(draft.to_xml()).unwrap();
    assert_eq!((list.entries().len(), list.skipped_count()), (1, 2));
    assert!(!list.lists_domain(&"b.mssante.test".parse().unwrap()));
}

#[test]
fn an_older_list_never_replaces_a_younger_one() {
    let state = TrustState::new(TrustPolicy::test(), anchors());
    assert!(state.install_list(&pki("liste-blanche.xml"), now()).unwrap().changed);
    assert!(!state.install_list(&pki("liste-blanche.xml"), now()).unwrap().changed);
    let before = state.list().unwrap();
    let error = state.install_list(&pki("liste-blanche-ancienne.xml"), now()).unwrap_err();
    assert!(matches!(error, TrustError::Rollback { .. }), "{error}");
    let error = state.install_list(&pki("liste-blanche-alteree.xml"), now()).unwrap_err();
    assert!(matches!(error, TrustError::DigestMismatch), "{error}");
    assert_eq!(state.list().unwrap().snapshot(), before.snapshot());
    let installed = state.install_list(&pki("liste-blanche-suivante.xml"), now()).unwrap();
    assert!(installed.changed && installed.old, "{installed:?}");
    let changes = diff(&before, &state.list().unwrap());
    assert_eq!(changes.domains_removed, ["beta.mssante.test".parse().unwrap()]);
    assert_eq!((changes.pairs_removed.len(), changes.pairs_added.len()), (1, 0));
    assert!(changes.changed_percent() < 10);
}

#[test]
fn xmlsec_agrees() {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs/test-pki/liste-blanche.xml");
    let altered = list.replace("blanche.xml", "blanche-alteree.xml");
    let signer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../certs/test-pki/alb.pem");
    let verify = |file: &str| {
        Command::new("xmlsec1")
            .args(["--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", signer, file])
            .output()
    };
    let Ok(output) = verify(list) else {
        println!("skipped: xmlsec1 is not installed (Debian package xmlsec1)");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!verify(&altered).unwrap().status.success());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever is done to some bytes of a good list, nothing panics and no other list is accepted.
        #[test]
        fn a_mutilated_list_is_refused(
            at in 0.0..1.0f64,
            cut in 0usize..40,
            put in "[<>&;/\"=a-zA-Z !\\[\\]#x0-9\r\n\u{e9}-]{0,12}",
        ) {
            let list = pki("liste-blanche.xml");
            let start = (list.len() as f64 * at) as usize;
            let end = (start + cut).min(list.len());
            let altered = [&list[..start], put.as_bytes(), &list[end..]].concat();
            palombe_trust::fuzz::liste_blanche(&altered);
            // What is still accepted differs in nothing that XML tells apart (CRLF, a last line end).
            if let Ok(altered) = verify(&altered) {
                let good = verify(&list).unwrap();
                prop_assert!(diff(&good, &altered).is_empty());
                prop_assert_eq!(good.generated_at(), altered.generated_at());
            }
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            palombe_trust::fuzz::liste_blanche(&bytes);
            prop_assert!(verify(&bytes).is_err());
        }
    }
}
