//! Paths to the anchors, by rustls-webpki: dates, signatures, extended key usage, revocation.

use crate::crl::CrlSet;
use crate::limits::PEER_CHAIN_CERTIFICATES_MAX;
use crate::{Anchors, EkuPolicy, PeerRole, RevocationDepth, Rule, UnknownRevocation};
use palombe_vocabulary::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{
    EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter,
    KeyUsage, RequiredEkuNotFoundContext, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

// RFC 5280 4.2.1.12: id-kp arcs, DER contents.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const EMAIL_PROTECTION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];

/// Purposes of which one is needed, when the certificate names purposes at all.
#[derive(Clone, Copy)]
pub(crate) struct Purposes(&'static [&'static [u8]]);

impl Purposes {
    pub(crate) const LIST_SIGNER: Purposes = Purposes(&[EMAIL_PROTECTION]);

    pub(crate) fn of_peer(policy: EkuPolicy, role: PeerRole) -> Purposes {
        match (policy, role) {
            (EkuPolicy::Strict, PeerRole::Client) => Purposes(&[CLIENT_AUTH]),
            (EkuPolicy::Strict, PeerRole::Server) => Purposes(&[SERVER_AUTH]),
            (EkuPolicy::Any, _) => Purposes(&[CLIENT_AUTH, SERVER_AUTH]),
        }
    }
}

impl ExtendedKeyUsageValidator for Purposes {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let (mut named, mut found) = (false, false);
        for purpose in purposes {
            let purpose = purpose?;
            named = true;
            found |= self.0.iter().any(|oid| KeyPurposeId::new(oid) == purpose);
        }
        if found || !named {
            return Ok(());
        }
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
            required: KeyUsage::required(self.0[0]),
            present: Vec::new(),
        }))
    }
}

/// What to ask of revocation.
#[derive(Clone, Copy)]
pub(crate) struct Revocation<'a> {
    pub crls: &'a CrlSet,
    pub unknown: UnknownRevocation,
    pub depth: RevocationDepth,
}

/// Builds a path from `chain[0]` to a root of `anchors`, using what the peer sent and what the
/// bundle holds.
pub(crate) fn verify(
    chain: &[CertificateDer<'_>],
    anchors: &Anchors,
    at: Timestamp,
    purposes: Purposes,
    revocation: Option<Revocation<'_>>,
) -> Result<(), webpki::Error> {
    let Some((leaf, sent)) = chain.split_first() else {
        return Err(webpki::Error::UnknownIssuer);
    };
    let leaf = EndEntityCert::try_from(leaf)?;
    let mut intermediates = anchors.intermediates().to_vec();
    intermediates
        .extend(sent.iter().take(PEER_CHAIN_CERTIFICATES_MAX).map(|c| c.clone().into_owned()));
    let instant =
        UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0)));
    let held: Vec<_> = revocation.iter().flat_map(|r| r.crls.lists()).collect();
    let options = revocation.and_then(|r| options(&r, &held));
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        anchors.roots(),
        &intermediates,
        instant,
        purposes,
        options,
        None,
    )?;
    match revocation {
        // webpki wants at least one CRL to ask about revocation at all.
        Some(r) if held.is_empty() && r.unknown == UnknownRevocation::Refuse => {
            Err(webpki::Error::UnknownRevocationStatus)
        }
        _ => Ok(()),
    }
}

fn options<'a>(
    revocation: &Revocation<'_>,
    held: &'a [&'a webpki::CertRevocationList<'a>],
) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(held).ok()?;
    let depth = match revocation.depth {
        RevocationDepth::Chain => RevocationCheckDepth::Chain,
        RevocationDepth::EndEntity => RevocationCheckDepth::EndEntity,
    };
    // An expired CRL still tells who was revoked; it no longer tells who was not.
    let (unknown, expired) = match revocation.unknown {
        UnknownRevocation::Accept => (UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore),
        UnknownRevocation::Refuse => (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce),
    };
    let builder = builder.with_depth(depth).with_status_policy(unknown);
    Some(builder.with_expiration_policy(expired).build())
}

/// The rule that a webpki error means.
pub(crate) fn rule_of(error: &webpki::Error) -> Rule {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => Rule::PeerExpired,
        E::CertNotValidYet { .. } => Rule::PeerNotYetValid,
        E::CertRevoked => Rule::PeerRevoked,
        E::UnknownRevocationStatus
        | E::CrlExpired { .. }
        | E::IssuerNotCrlSigner
        | E::InvalidCrlSignatureForPublicKey => Rule::PeerRevocationUnknown,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension | E::CaUsedAsEndEntity => {
            Rule::PeerWrongUsage
        }
        E::BadDer
        | E::BadDerTime
        | E::ExtensionValueInvalid
        | E::InvalidCertValidity
        | E::InvalidSerialNumber
        | E::MalformedExtensions
        | E::TrailingData(_)
        | E::UnsupportedCertVersion
        | E::UnsupportedCriticalExtension => Rule::PeerMalformed,
        _ => Rule::PeerNotIgcSante,
    }
}
