//! TLS for operators: the handshake proves possession of the key; the verdict on the chain is
//! `judge_peer`'s.
//!
//! Both verifiers accept any chain on purpose, so that a refused peer reads an SMTP reply and the
//! journal holds a rule instead of a TLS alert. A door calls `judge_peer` right after the
//! handshake, before trusting any other byte.

use crate::{Anchors, TrustError};
use arc_swap::ArcSwap;
use palombe_vocabulary::Secret;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether a server asks its peers for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Submission and IMAP.
    None,
    /// Between operators. A peer without a certificate still gets through the handshake, to be
    /// refused in words.
    Request,
}

/// Our own chain and key. Clones share them: every configuration made of one shows the certificate of the moment.
#[derive(Clone)]
pub struct TlsIdentity {
    key: Arc<ArcSwap<CertifiedKey>>,
    renewals: Arc<AtomicU64>,
}

impl TlsIdentity {
    /// Reads a chain (leaf first) and its private key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// [`TrustError::Identity`] when one is missing or unreadable, or when they do not belong
    /// together.
    pub fn from_pem(chain_pem: &[u8], key_pem: &Secret<Vec<u8>>) -> Result<Self, TrustError> {
        let chain = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| TrustError::Identity(format!("the certificate chain: {e}")))?;
        if chain.is_empty() {
            return Err(TrustError::Identity("the chain holds no certificate".to_owned()));
        }
        // The PEM error names a position at most, never key bytes.
        let key = PrivateKeyDer::from_pem_slice(key_pem.expose())
            .map_err(|e| TrustError::Identity(format!("the private key: {e}")))?;
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|e| TrustError::Identity(e.to_string()))?;
        Ok(TlsIdentity { key: Arc::new(ArcSwap::from_pointee(key)), renewals: Arc::default() })
    }

    /// Every handshake from now on shows `other`'s certificate; connections under way go on.
    pub fn renew(&self, other: &TlsIdentity) {
        self.key.store(other.key.load_full());
        self.renewals.fetch_add(1, Ordering::Release);
    }

    /// How often it was renewed: a kept connection that began under another number shows an older certificate.
    pub fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Acquire)
    }

    /// Our own leaf, DER.
    pub fn leaf(&self) -> CertificateDer<'static> {
        self.key.load().cert[0].clone() // from_pem refuses an empty chain
    }
}

impl ResolvesServerCert for TlsIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl ResolvesClientCert for TlsIdentity {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let key = self.key.load_full();
        key.key.choose_scheme(schemes).is_some().then_some(key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("certificates", &self.key.load().cert.len()).finish()
    }
}

/// The one cryptographic provider, always passed explicitly, never a process default.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn server(
    anchors: &Anchors,
    identity: &TlsIdentity,
    client_auth: ClientAuth,
) -> Result<Arc<ServerConfig>, TrustError> {
    let provider = provider();
    let verifier: Arc<dyn ClientCertVerifier> = match client_auth {
        ClientAuth::None => WebPkiClientVerifier::no_client_auth(),
        ClientAuth::Request => Arc::new(Possession {
            provider: provider.clone(),
            hints: anchors.subjects().iter().map(|s| DistinguishedName::from(s.clone())).collect(),
        }),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        // ANS R2 SC.MSS/CONF.01 (TLS 1.2 minimum); CI-SIS transport: 1.3 recommended.
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| TrustError::Tls(e.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(identity.clone()));
    if client_auth == ClientAuth::Request {
        // No resumption between operators: each session meets the list and the CRLs of its own
        // time.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    } else {
        // A client that comes again with a ticket (RFC 8446 2.2, RFC 5077) costs no signature, and nothing is kept
        // for one that does not. The keys change by themselves and live in this process only.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()
            .map_err(|e| TrustError::Tls(e.to_string()))?;
        config.send_tls13_tickets = 1;
    }
    Ok(Arc::new(config))
}

pub(crate) fn client(identity: &TlsIdentity) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = provider();
    let verifier = Arc::new(Possession { provider: provider.clone(), hints: Vec::new() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|e| TrustError::Tls(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(identity.clone()));
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Checks that the peer holds the private key of the leaf it shows, and nothing else.
#[derive(Debug)]
struct Possession {
    provider: Arc<CryptoProvider>,
    hints: Vec<DistinguishedName>,
}

impl Possession {
    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Possession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion()) // judge_peer decides
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for Possession {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion()) // judge_peer decides
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
