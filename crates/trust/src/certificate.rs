//! What we read in a certificate besides its path: names, category, usages, fingerprint.

use crate::{Dn, Environment, Evidence, TrustError};
use palombe_vocabulary::Timestamp;
use std::fmt::Write as _;
use x509_parser::der_parser::oid;
use x509_parser::extensions::KeyUsage;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer, X509Certificate};

/// TRE_G01-CategorieProduit (spec identity-directory §3.3).
const PRODUCT_CATEGORY: Oid<'static> = oid!(1.2.250.1.71.1.2.5);

/// A certificate read once.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub dn: Dn,
    pub issuer: Dn,
    pub serial_hex: String,
    pub fingerprint_hex: String,
    pub not_after: Timestamp,
    pub not_before: Timestamp,
    pub category: Option<u8>,
    pub digital_signature: bool,
    pub non_repudiation: bool,
}

impl Facts {
    pub(crate) fn read(der: &[u8]) -> Result<Facts, TrustError> {
        let bad = |reason: String| TrustError::Der { what: "certificate", reason };
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| bad(e.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("bytes follow it".to_owned()));
        }
        let category = certificate
            .get_extension_unique(&PRODUCT_CATEGORY)
            .map_err(|e| bad(e.to_string()))?
            .map(|extension| category(extension.value).ok_or("its product category is unreadable"))
            .transpose()
            .map_err(|e| bad(e.to_owned()))?;
        let usage = certificate.key_usage().map_err(|e| bad(e.to_string()))?;
        let usage_of = |bit: fn(&KeyUsage) -> bool| usage.as_ref().is_none_or(|u| bit(u.value));
        Ok(Facts {
            dn: Dn::from_x509(certificate.subject())?,
            issuer: Dn::from_x509(certificate.issuer())?,
            serial_hex: hex(certificate.raw_serial()),
            fingerprint_hex: sha256_hex(der),
            not_before: Timestamp(certificate.validity().not_before.timestamp() * 1000),
            not_after: Timestamp(certificate.validity().not_after.timestamp() * 1000),
            category,
            // RFC 5280 4.2.1.3: without the extension the key is not restricted.
            digital_signature: usage_of(|u| u.digital_signature()),
            non_repudiation: usage_of(|u| u.non_repudiation()),
        })
    }

    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            list: None,
            dn: Some(self.dn.to_string()),
            serial: Some(self.serial_hex.clone()),
            fingerprint_sha256: Some(self.fingerprint_hex.clone()),
            issuer: Some(self.issuer.to_string()),
        }
    }

    /// The environment that the category names: the high bit says test (`80` cards, `82` modules,
    /// `83` software).
    pub(crate) fn environment(&self) -> Option<Environment> {
        let category = self.category?;
        Some(if category & 0x80 == 0 { Environment::Production } else { Environment::Test })
    }
}

/// OCTET STRING of one octet: `04 01 xx`.
fn category(value: &[u8]) -> Option<u8> {
    match value {
        [0x04, 0x01, category] => Some(*category),
        _ => None,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    out.copy_from_slice(digest.as_ref());
    out
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// First and last instant of validity of a certificate in DER. Says nothing of its worth.
///
/// # Errors
/// [`TrustError::Der`] or [`TrustError::Dn`].
pub fn validity_of(der: &[u8]) -> Result<(Timestamp, Timestamp), TrustError> {
    let facts = Facts::read(der)?;
    Ok((facts.not_before, facts.not_after))
}
