//! Revocation lists: verified when they come in, the best one kept per issuer.

use crate::certificate::sha256;
use crate::limits::{CRL_BYTES_MAX, CRLS_MAX};
use crate::{Anchors, Dn, TrustError};
use palombe_vocabulary::Timestamp;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use webpki::{CertRevocationList, EndEntityCert, OwnedCertRevocationList};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// What is known of one CRL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlInfo {
    /// The authority.
    pub issuer: String,
    /// `thisUpdate`.
    pub this_update: Timestamp,
    /// `nextUpdate`: from then on the CRL no longer tells who is good.
    pub next_update: Timestamp,
    /// How many certificates it names.
    pub revoked: usize,
}

/// What became of CRLs offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrlReport {
    /// In use now, one per issuer.
    pub in_use: Vec<CrlInfo>,
    /// How many of those offered replaced what was held.
    pub replaced: usize,
    /// Position among those offered, and why it was refused.
    pub refused: Vec<(usize, String)>,
    /// Issuers whose CRL in use has expired.
    pub expired: Vec<String>,
    /// Authorities of the anchors for which no CRL is held.
    pub missing: Vec<String>,
}

#[derive(Clone)]
struct Held {
    crl: Arc<CertRevocationList<'static>>,
    issuer_raw: Vec<u8>,
    info: CrlInfo,
    digest: [u8; 32],
}

/// The CRLs in use, at most one per issuer. Immutable: a new set replaces it.
#[derive(Clone, Default)]
pub struct CrlSet {
    held: Vec<Held>,
}

impl CrlSet {
    pub(crate) fn lists(&self) -> impl Iterator<Item = &CertRevocationList<'static>> {
        self.held.iter().map(|held| &*held.crl)
    }

    /// The earliest `nextUpdate` in the set.
    pub fn earliest_next_update(&self) -> Option<Timestamp> {
        self.held.iter().map(|held| held.info.next_update).min()
    }

    /// This set plus the good ones of `ders`; per issuer the latest is kept, and one that has not
    /// expired is never replaced by one that has (ECO.1.1.7: keep the last non-expired CRL).
    pub fn with(&self, ders: &[Vec<u8>], anchors: &Anchors, at: Timestamp) -> (CrlSet, CrlReport) {
        let mut next = self.clone();
        let mut report = CrlReport::default();
        for (position, der) in ders.iter().enumerate() {
            match read(der, anchors) {
                Ok(offered) => report.replaced += usize::from(next.put(offered, at)),
                Err(e) => report.refused.push((position, e.to_string())),
            }
        }
        for held in &next.held {
            if held.info.next_update <= at {
                report.expired.push(held.info.issuer.clone());
            }
            report.in_use.push(held.info.clone());
        }
        for authority in anchors.authorities() {
            if let Ok((_, authority)) = X509Certificate::from_der(authority)
                && !next.held.iter().any(|h| h.issuer_raw == authority.subject().as_raw())
                && let Ok(dn) = Dn::from_x509(authority.subject())
            {
                report.missing.push(dn.to_string());
            }
        }
        (next, report)
    }

    fn put(&mut self, offered: Held, at: Timestamp) -> bool {
        let Some(held) = self.held.iter_mut().find(|h| h.issuer_raw == offered.issuer_raw) else {
            if self.held.len() < CRLS_MAX {
                self.held.push(offered);
                return true;
            }
            return false;
        };
        let alive = |h: &Held| h.info.next_update > at;
        let better =
            (alive(&offered), offered.info.this_update) > (alive(held), held.info.this_update);
        if better && offered.digest != held.digest {
            *held = offered;
            return true;
        }
        false
    }
}

/// Reads one CRL and checks that an authority of the anchors signed it.
///
/// # Errors
/// [`TrustError::Der`] or [`TrustError::TooLarge`].
fn read(der: &[u8], anchors: &Anchors) -> Result<Held, TrustError> {
    let bad = |reason: String| TrustError::Der { what: "CRL", reason };
    if der.len() > CRL_BYTES_MAX {
        return Err(TrustError::TooLarge { what: "the CRL", limit: CRL_BYTES_MAX });
    }
    let (rest, parsed) =
        CertificateRevocationList::from_der(der).map_err(|e| bad(e.to_string()))?;
    if !rest.is_empty() {
        return Err(bad("bytes follow it".to_owned()));
    }
    let issuer_raw = parsed.issuer().as_raw().to_vec();
    let issuer = Dn::from_x509(parsed.issuer())?.to_string();
    let signed_by = |authority: &CertificateDer<'static>| {
        signs(authority, &issuer_raw, parsed.tbs_cert_list.as_ref(), &parsed.signature_value.data)
    };
    if !anchors.authorities().iter().any(signed_by) {
        return Err(bad(format!("no authority of the anchors signed it (issuer {issuer})")));
    }
    let next_update = parsed.next_update().ok_or_else(|| bad("it has no nextUpdate".to_owned()))?;
    let crl = OwnedCertRevocationList::from_der(der).map_err(|e| bad(format!("{e:?}")))?;
    let info = CrlInfo {
        issuer,
        this_update: Timestamp(parsed.last_update().timestamp() * 1000),
        next_update: Timestamp(next_update.timestamp() * 1000),
        revoked: parsed.iter_revoked_certificates().count(),
    };
    Ok(Held { crl: Arc::new(crl.into()), issuer_raw, info, digest: sha256(der) })
}

fn signs(
    authority: &CertificateDer<'static>,
    name: &[u8],
    signed: &[u8],
    signature: &[u8],
) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(authority) else { return false };
    let may_sign = parsed.key_usage().is_ok_and(|u| u.is_none_or(|u| u.value.crl_sign()));
    if parsed.subject().as_raw() != name || !may_sign {
        return false;
    }
    let Ok(key) = EndEntityCert::try_from(authority) else { return false };
    webpki::ALL_VERIFICATION_ALGS
        .iter()
        .any(|algorithm| key.verify_signature(*algorithm, signed, signature).is_ok())
}
