//! The enveloped XML-DSig of the list (spec mssante §1.2), with one accepted form and no other.
//!
//! bergshamra-c14n canonicalises; grammar, algorithms, digest and key are checked here. The payload
//! handed on is the canonical text that was digested, so a wrapped or moved copy cannot be read in
//! the place of what was signed.

use super::parse::resolve;
use super::surface::{Surface, xml};
use crate::certificate::{Facts, sha256};
use crate::crl::CrlSet;
use crate::path::{self, Purposes, Revocation};
use crate::{Anchors, Environment, RevocationDepth, TrustError, UnknownRevocation};
use base64::Engine as _;
use bergshamra_c14n::C14nMode;
use palombe_vocabulary::Timestamp;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

pub(super) const DSIG_NS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(super) const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(super) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(super) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// What is asked of a list besides a good signature.
#[derive(Clone)]
pub struct VerifyOptions {
    /// CN that the signer's subject may bear; empty: any.
    pub signer_cns: Vec<String>,
    /// CN that the signer's issuer may bear; empty: any authority that leads to the anchors.
    pub signer_issuer_cns: Vec<String>,
    /// The instant of verification.
    pub at: Timestamp,
    /// The environment that the signer's product category must name; `None`: either.
    pub environment: Option<Environment>,
    /// How long after the signer's end of validity a list generated within it still verifies.
    pub signer_expiry_grace_secs: i64,
    /// How far after `at` the list may be dated.
    pub future_secs_max: i64,
    /// CRLs in which the signer must not be named; unknown status is accepted, since a list must
    /// load before CRLs do.
    pub crls: Option<Arc<CrlSet>>,
}

impl VerifyOptions {
    /// Signed by `alb.mssante.fr`, at this instant, without grace, either environment, without
    /// CRLs.
    pub fn at(at: Timestamp) -> Self {
        VerifyOptions {
            signer_cns: vec!["alb.mssante.fr".to_owned()],
            signer_issuer_cns: Vec::new(),
            at,
            environment: None,
            signer_expiry_grace_secs: 0,
            future_secs_max: 86_400,
            crls: None,
        }
    }
}

/// A payload and who signed it.
pub(super) struct Verified {
    pub payload: Vec<u8>,
    pub signer: Facts,
}

/// Verifies form, signer, signature and digest, in this order.
pub(super) fn verify(
    surface: &Surface,
    anchors: &Anchors,
    options: &VerifyOptions,
) -> Result<Verified, TrustError> {
    let parts = read(surface.signature.as_deref().ok_or(TrustError::Unsigned)?)?;
    let der = CertificateDer::from(parts.certificate);
    // KeyInfo names a candidate only; trust comes from the anchors.
    let signer = judge_signer(&der, anchors, options)?;
    webpki::EndEntityCert::try_from(&der)
        .and_then(|key| {
            let algorithm = webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256;
            key.verify_signature(algorithm, &parts.signed_info, &parts.signature)
        })
        .map_err(|_| TrustError::SignatureInvalid)?;
    let payload = canonical(&surface.payload)?;
    if sha256(&payload) != parts.digest {
        return Err(TrustError::DigestMismatch);
    }
    Ok(Verified { payload, signer })
}

fn judge_signer(
    der: &CertificateDer<'_>,
    anchors: &Anchors,
    options: &VerifyOptions,
) -> Result<Facts, TrustError> {
    let refused = |reason: String| TrustError::Signer(reason);
    let signer = Facts::read(der).map_err(|e| refused(e.to_string()))?;
    let cn = signer.dn.cn().unwrap_or_default();
    if !options.signer_cns.is_empty() && !options.signer_cns.iter().any(|wanted| wanted == cn) {
        return Err(refused(format!("its CN is {cn:?}, not one of {:?}", options.signer_cns)));
    }
    if !(signer.digital_signature || signer.non_repudiation) {
        return Err(refused("its key usage does not allow signatures".to_owned()));
    }
    if let Some(wanted) = options.environment
        && signer.environment() != Some(wanted)
    {
        let found = signer.category.map_or("none".to_owned(), |c| format!("{c:02x}"));
        return Err(refused(format!("its product category is {found}, {wanted:?} is expected")));
    }
    let issuer = signer.issuer.cn().unwrap_or_default();
    let issuers = &options.signer_issuer_cns;
    if !issuers.is_empty() && !issuers.iter().any(|wanted| wanted == issuer) {
        return Err(refused(format!("its issuer is {issuer:?}, not one of {issuers:?}")));
    }
    // An anchor that is not an authority was given as the exact signer: the path is the certificate
    // itself.
    if anchors.holds_leaf(der) {
        return Ok(signer);
    }
    let revocation = options.crls.as_deref().map(|crls| Revocation {
        crls,
        unknown: UnknownRevocation::Accept,
        depth: RevocationDepth::Chain,
    });
    let instant = within(&signer, options);
    path::verify(std::slice::from_ref(der), anchors, instant, Purposes::LIST_SIGNER, revocation)
        .map_err(|e| refused(format!("{}: {e:?}", signer.dn)))?;
    Ok(signer)
}

/// The instant at which the path is judged: `at`, drawn back to the end of validity within the
/// grace.
fn within(signer: &Facts, options: &VerifyOptions) -> Timestamp {
    let last = signer.not_after.plus_secs(options.signer_expiry_grace_secs);
    if options.at > signer.not_after && options.at <= last { signer.not_after } else { options.at }
}

/// The signer's own dates, grace included, and the list's date within them.
pub(super) fn judge_dates(
    signer: &Facts,
    generated_at: Timestamp,
    options: &VerifyOptions,
) -> Result<(), TrustError> {
    let at = within(signer, options);
    if at < signer.not_before || at > signer.not_after {
        let dates = format!("valid from {} to {}", signer.not_before, signer.not_after);
        return Err(TrustError::Signer(format!("not valid at {}: {dates}", options.at)));
    }
    if at != options.at && generated_at > signer.not_after {
        let dates = format!("the list of {generated_at} is younger than it");
        return Err(TrustError::Signer(format!("its certificate has ended and {dates}")));
    }
    Ok(())
}

/// Exclusive C14N without comments of a whole document.
pub(super) fn canonical(document: &str) -> Result<Vec<u8>, TrustError> {
    bergshamra_c14n::canonicalize::<&str>(document, C14nMode::Exclusive, None, &[])
        .map_err(|e| xml(0, e.to_string()))
}

/// What a `Signature` element says, once its form is the accepted one.
pub(super) struct Parts {
    pub signed_info: Vec<u8>,
    pub digest: [u8; 32],
    pub signature: Vec<u8>,
    pub certificate: Vec<u8>,
}

/// Reads a `Signature` element standing alone: it must declare its own namespaces, as signers do.
pub(super) fn read(text: &str) -> Result<Parts, TrustError> {
    let signature = tree(text)?;
    signature.is("Signature")?;
    let [signed_info, value, key_info] = signature.children("Signature")?;
    signed_info.is("SignedInfo")?;
    value.is("SignatureValue")?;
    key_info.is("KeyInfo")?;
    let [data] = key_info.children("KeyInfo")?;
    data.is("X509Data")?;
    let [certificate] = data.children("X509Data")?;
    certificate.is("X509Certificate")?;
    // SignedInfo is read again from its canonical bytes, those that the key signed.
    let canonical_info = canonical_signed_info(text)?;
    let canonical_text =
        std::str::from_utf8(&canonical_info).map_err(|_| form("SignedInfo is not UTF-8"))?;
    let digest = read_signed_info(&tree(canonical_text)?)?;
    Ok(Parts {
        digest,
        signature: value.base64("SignatureValue")?,
        certificate: certificate.base64("X509Certificate")?,
        signed_info: canonical_info,
    })
}

fn read_signed_info(info: &Element) -> Result<[u8; 32], TrustError> {
    info.is("SignedInfo")?;
    let [method, signature_method, reference] = info.children("SignedInfo")?;
    method.algorithm("CanonicalizationMethod", EXC_C14N)?;
    signature_method.algorithm("SignatureMethod", RSA_SHA256)?;
    reference.named("Reference")?;
    if reference.attributes != [("URI".to_owned(), String::new())] {
        return Err(form("its Reference is not URI=\"\""));
    }
    let [transforms, digest_method, digest] = reference.children("Reference")?;
    transforms.is("Transforms")?;
    let [enveloped, exclusive] = transforms.children("Transforms")?;
    enveloped.algorithm("Transform", ENVELOPED)?;
    exclusive.algorithm("Transform", EXC_C14N)?;
    digest_method.algorithm("DigestMethod", SHA256)?;
    digest.is("DigestValue")?;
    let digest = digest.base64("DigestValue")?;
    digest.try_into().map_err(|_| form("its DigestValue is not a SHA-256"))
}

fn canonical_signed_info(signature: &str) -> Result<Vec<u8>, TrustError> {
    use bergshamra_xml::{NodeSet, uppsala};
    let document = uppsala::parse(signature).map_err(|e| xml(0, e.to_string()))?;
    let root = document.document_element().ok_or_else(|| form("it is empty"))?;
    let node = document
        .first_child_element_by_name_ns(root, DSIG_NS, "SignedInfo")
        .ok_or_else(|| form("it has no SignedInfo"))?;
    let set = NodeSet::tree_without_comments(node, &document);
    bergshamra_c14n::canonicalize_doc::<&str>(&document, C14nMode::Exclusive, Some(&set), &[])
        .map_err(|e| xml(0, e.to_string()))
}

fn form(reason: impl Into<String>) -> TrustError {
    TrustError::SignatureForm(reason.into())
}

/// One element of the signature, all in its namespace.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn named(&self, name: &str) -> Result<(), TrustError> {
        if self.name == name {
            return Ok(());
        }
        Err(form(format!("{name} was expected, {:?} found", self.name)))
    }

    /// This name and no attribute.
    fn is(&self, name: &str) -> Result<(), TrustError> {
        self.named(name)?;
        if self.attributes.is_empty() {
            return Ok(());
        }
        Err(form(format!("{name} has attributes")))
    }

    fn algorithm(&self, name: &str, wanted: &str) -> Result<(), TrustError> {
        self.named(name)?;
        let [] = self.children(name)?;
        match self.attributes.as_slice() {
            [(key, value)] if key == "Algorithm" && value == wanted => Ok(()),
            _ => Err(form(format!("{name} is not {wanted}"))),
        }
    }

    /// Exactly N children, and nothing but blanks between them.
    fn children<const N: usize>(&self, name: &str) -> Result<&[Element; N], TrustError> {
        if !self.text.trim().is_empty() {
            return Err(form(format!("{name} holds text")));
        }
        let children = self.children.as_slice().try_into();
        children.map_err(|_| form(format!("{name} does not hold exactly {N} elements")))
    }

    /// Base64 in lines that end in LF or CRLF (signers write `&#13;` there), without any other
    /// blank.
    fn base64(&self, name: &str) -> Result<Vec<u8>, TrustError> {
        if !self.children.is_empty() {
            return Err(form(format!("{name} holds elements")));
        }
        let body = self.text.strip_prefix('\n').unwrap_or(&self.text);
        let body = body.strip_suffix('\n').unwrap_or(body);
        let mut joined = String::with_capacity(body.len());
        for line in body.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                return Err(form(format!("{name} has an empty line")));
            }
            joined.push_str(line);
        }
        base64::engine::general_purpose::STANDARD
            .decode(joined)
            .map_err(|_| form(format!("{name} is not base64")))
    }
}

/// A small tree of one signature. Its size and depth were bounded by the surface.
fn tree(text: &str) -> Result<Element, TrustError> {
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|e| form(e.to_string()))?;
        let ours = namespace == ResolveResult::Bound(Namespace(DSIG_NS));
        match event {
            Event::Start(e) => open.push(element(&e, ours)?),
            Event::Empty(e) => {
                let done = element(&e, ours)?;
                top(&mut open)?.children.push(done);
            }
            Event::End(_) => {
                let done = open.pop().ok_or_else(|| form("it is not balanced"))?;
                top(&mut open)?.children.push(done);
            }
            Event::Text(text) => top(&mut open)?.text.push_str(&text),
            Event::GeneralRef(reference) => {
                let c = resolve(&reference)?;
                top(&mut open)?.text.push(c);
            }
            Event::Eof => break,
            _ => return Err(form("it holds something else than elements and text")),
        }
    }
    let holder = open.pop().unwrap_or_default();
    let mut children = holder.children;
    match (children.pop(), children.is_empty() && open.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err(form("it is not one element")),
    }
}

fn top(open: &mut [Element]) -> Result<&mut Element, TrustError> {
    open.last_mut().ok_or_else(|| form("it is not balanced"))
}

fn element(e: &BytesStart<'_>, ours: bool) -> Result<Element, TrustError> {
    if !ours {
        return Err(form("an element of another namespace"));
    }
    let mut attributes = Vec::new();
    for attribute in e.attributes() {
        let attribute = attribute.map_err(|e| form(e.to_string()))?;
        let key = attribute.key.as_ref();
        if key != "xmlns" && !key.starts_with("xmlns:") {
            // The surface refused references in attribute values, so that the text is the value.
            attributes.push((key.to_owned(), attribute.value.into_owned()));
        }
    }
    let name = e.local_name().as_ref().to_owned();
    Ok(Element { name, attributes, ..Element::default() })
}
