//! Lists for tests and demos, signed the way the real one is.

use super::signature::{DSIG_NS, ENVELOPED, EXC_C14N, RSA_SHA256, SHA256, canonical};
use super::{LIST_NS, surface};
use crate::TrustError;
use crate::certificate::{Facts, sha256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palombe_vocabulary::{Secret, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Write as _;

/// An unsigned list in the making. Every value is written as text; none is checked, so that tests
/// can be wrong.
#[derive(Clone, Debug)]
pub struct ListDraft {
    /// `DateDeGeneration`.
    pub generated_at: Timestamp,
    /// Domain, DN and description of each `Domaine`.
    pub entries: Vec<(String, String, String)>,
}

impl ListDraft {
    /// The XML text, laid out as the real list.
    pub fn to_xml(&self) -> String {
        let date = seconds(self.generated_at);
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListeBlancheMSSante xmlns=\"{LIST_NS}\">\n    \
             <DateDeGeneration>{date}</DateDeGeneration>\n    <ListeDomaines>\n"
        );
        for (domain, dn, description) in &self.entries {
            let (domain, dn, description) = (escape(domain), escape(dn), escape(description));
            let _ = write!(
                xml,
                "        <Domaine>\n            <Nom>{domain}</Nom>\n            \
                 <Description>{description}</Description>\n            \
                 <DNCertificatOperateur>{dn}</DNCertificatOperateur>\n            \
                 <ResponsableContact>01 00 00 00 00, responsable@exemple.test</ResponsableContact>\n            \
                 <SupportContact>01 00 00 00 00, support@exemple.test</SupportContact>\n            \
                 <DateMAJ>{date}</DateMAJ>\n        </Domaine>\n"
            );
        }
        xml.push_str("    </ListeDomaines>\n</ListeBlancheMSSante>");
        xml
    }
}

/// RFC 3339 to the second, as the list writes instants.
fn seconds(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", text.split('.').next().unwrap_or(&text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Signs an unsigned list with an RSA key: enveloped, exclusive C14N, RSA-SHA256, as the last child
/// of the root. For test lists: the real one is signed by ANS.
///
/// # Errors
/// [`TrustError::Xml`] when the list cannot be read or is signed already; [`TrustError::Identity`]
/// for the key.
pub fn sign(
    unsigned: &[u8],
    signer_pem: &[u8],
    key_pem: &Secret<Vec<u8>>,
) -> Result<Vec<u8>, TrustError> {
    let surface = surface::read(unsigned)?;
    if surface.signature.is_some() {
        return Err(TrustError::SignatureForm("the list is signed already".to_owned()));
    }
    let identity = |reason: String| TrustError::Identity(reason);
    let certificate = CertificateDer::from_pem_slice(signer_pem)
        .map_err(|e| identity(format!("the signer's certificate: {e}")))?;
    Facts::read(&certificate)?;
    let key = rsa_key(key_pem)?;
    let digest = STANDARD.encode(sha256(&canonical(&surface.payload)?));
    // Written in canonical form, so that these bytes are the ones to sign.
    let info = format!(
        "<SignedInfo xmlns=\"{DSIG_NS}\">\
         <CanonicalizationMethod Algorithm=\"{EXC_C14N}\"></CanonicalizationMethod>\
         <SignatureMethod Algorithm=\"{RSA_SHA256}\"></SignatureMethod>\
         <Reference URI=\"\"><Transforms><Transform Algorithm=\"{ENVELOPED}\"></Transform>\
         <Transform Algorithm=\"{EXC_C14N}\"></Transform></Transforms>\
         <DigestMethod Algorithm=\"{SHA256}\"></DigestMethod>\
         <DigestValue>{digest}</DigestValue></Reference></SignedInfo>"
    );
    let mut signature = vec![0; key.public_modulus_len()];
    // PKCS#1 v1.5 is deterministic; the generator only blinds.
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), info.as_bytes(), &mut signature)
        .map_err(|_| identity("the key cannot sign".to_owned()))?;
    let element = format!(
        "<Signature xmlns=\"{DSIG_NS}\">{}<SignatureValue>{}</SignatureValue><KeyInfo><X509Data>\
         <X509Certificate>{}</X509Certificate></X509Data></KeyInfo></Signature>",
        info.replacen(&format!(" xmlns=\"{DSIG_NS}\""), "", 1),
        lines(&STANDARD.encode(&signature)),
        lines(&STANDARD.encode(&certificate)),
    );
    let payload = &surface.payload;
    let end = payload.rfind("</").ok_or_else(|| surface::xml(0, "the root is empty"))?;
    Ok([&payload[..end], &element, &payload[end..]].concat().into_bytes())
}

fn rsa_key(key_pem: &Secret<Vec<u8>>) -> Result<KeyPair, TrustError> {
    let key = PrivateKeyDer::from_pem_slice(key_pem.expose())
        .map_err(|e| TrustError::Identity(format!("the private key: {e}")))?;
    match &key {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(TrustError::Identity("the private key is not RSA".to_owned())),
    }
    .map_err(|e| TrustError::Identity(format!("the private key is not a usable RSA key: {e}")))
}

/// 76 columns, as signers fold it.
fn lines(base64: &str) -> String {
    let mut folded = String::with_capacity(base64.len() + base64.len() / 76);
    for (i, c) in base64.chars().enumerate() {
        if i > 0 && i % 76 == 0 {
            folded.push('\n');
        }
        folded.push(c);
    }
    folded
}
