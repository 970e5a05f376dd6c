//! What trust starts from: roots, the intermediates known beforehand, and leaves trusted by name.

use crate::TrustError;
use crate::limits::ANCHORS_MAX;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use x509_parser::prelude::{FromDer, X509Certificate};

/// One bundle of IGC-Santé authorities. Self-signed authorities are roots, others are intermediates
/// that still have to lead to a root; a certificate that is not an authority is trusted only as the
/// exact signer of a list.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    roots: Vec<TrustAnchor<'static>>,
    authorities: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    leaves: Vec<CertificateDer<'static>>,
    subjects: Vec<Vec<u8>>,
}

impl Anchors {
    /// Reads a PEM bundle.
    ///
    /// # Errors
    /// [`TrustError::Anchors`] when the bundle holds no certificate, something unreadable, or
    /// intermediates alone.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let mut anchors = Anchors::default();
        for certificate in CertificateDer::pem_slice_iter(pem).take(ANCHORS_MAX) {
            let certificate = certificate
                .map_err(|e| TrustError::Anchors(format!("the PEM text is damaged: {e}")))?;
            anchors.add(certificate.into_owned())?;
        }
        if anchors.roots.is_empty() && anchors.leaves.is_empty() {
            return Err(TrustError::Anchors(
                "the bundle holds no self-signed authority: add the root of IGC-Santé".to_owned(),
            ));
        }
        Ok(anchors)
    }

    fn add(&mut self, der: CertificateDer<'static>) -> Result<(), TrustError> {
        let unreadable = |e: &dyn std::fmt::Display| {
            TrustError::Anchors(format!("a certificate of the bundle is unreadable: {e}"))
        };
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| unreadable(&e))?;
        if !parsed.is_ca() {
            self.leaves.push(der);
            return Ok(());
        }
        self.subjects.push(parsed.subject().as_raw().to_vec());
        if parsed.subject().as_raw() == parsed.issuer().as_raw() {
            let root = webpki::anchor_from_trusted_cert(&der).map_err(|e| unreadable(&e))?;
            self.roots.push(root.to_owned());
        } else {
            self.intermediates.push(der.clone());
        }
        self.authorities.push(der);
        Ok(())
    }

    pub(crate) fn roots(&self) -> &[TrustAnchor<'static>] {
        &self.roots
    }

    pub(crate) fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    pub(crate) fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// DER names of the authorities, told to TLS clients so that they choose the right certificate.
    pub(crate) fn subjects(&self) -> &[Vec<u8>] {
        &self.subjects
    }

    pub(crate) fn holds_leaf(&self, der: &[u8]) -> bool {
        self.leaves.iter().any(|leaf| leaf.as_ref() == der)
    }
}
