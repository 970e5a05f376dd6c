//! Peers of the toy IGC-Santé judged in both roles, and real handshakes in memory.

mod common;

use common::{at, key, pki};
use palombe_trust::{
    Anchors, CertificateDer, ClientAuth, DnMatching, EkuPolicy, Environment, PeerRole, Refusal,
    Rule, TlsIdentity, TrustPolicy, TrustState, TrustedPeer, UnknownRevocation,
};
use palombe_vocabulary::{Domain, ReversePath, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConnection, ServerConnection};
use std::io::{Read, Write};
use std::sync::Arc;

const AUDIT: &str = "espacedeconfiance.mssante.test";

fn now() -> Timestamp {
    at("2026-11-21T10:00:00Z")
}

fn crls() -> Vec<Vec<u8>> {
    ["ACR-EL", "ACI-EL-ORG", "ACI-EL-PP"].map(|name| pki(&format!("crl/{name}.crl"))).to_vec()
}

fn bare(policy: TrustPolicy) -> TrustState {
    TrustState::new(policy, Anchors::from_pem(&pki("ca-bundle.pem")).unwrap())
}

fn state(policy: TrustPolicy) -> TrustState {
    let state = bare(policy);
    let report = state.install_crls(crls(), now());
    assert_eq!((report.replaced, report.refused.len(), report.missing.len()), (3, 0, 0));
    state.install_list(&pki("liste-blanche.xml"), now()).unwrap();
    state
}

fn chain(leaf: &str) -> Vec<CertificateDer<'static>> {
    let pem = pki(&format!("{leaf}.pem"));
    CertificateDer::pem_slice_iter(&pem).map(|c| c.unwrap().into_owned()).collect()
}

fn judge(state: &TrustState, leaf: &str, role: PeerRole) -> Result<TrustedPeer, Refusal> {
    state.judge_peer(&chain(leaf), role, now())
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn from(name: &str) -> ReversePath {
    ReversePath::Address(format!("a@{name}").parse().unwrap())
}

#[test]
fn good_operators_in_both_roles() {
    let state = state(TrustPolicy::test());
    for leaf in ["op-alpha", "op-beta", "op-postfix", "op-charge", "op-absent", "audit-valide"] {
        for role in [PeerRole::Client, PeerRole::Server] {
            let peer = judge(&state, leaf, role).unwrap();
            // The second verdict comes from memory and says the same.
            assert_eq!(judge(&state, leaf, role).unwrap().evidence(), peer.evidence());
        }
    }
    let alpha = judge(&state, "op-alpha", PeerRole::Client).unwrap();
    assert_eq!(
        alpha.dn().to_string(),
        "CN=smtp.alpha.mssante.test,OU=1330999999,O=CENTRE HOSPITALIER DE TEST ALPHA,\
         ST=Gironde (33),C=FR"
    );
    let evidence = alpha.evidence();
    assert_eq!(evidence.fingerprint_sha256.unwrap().len(), 64);
    assert_eq!(evidence.serial.unwrap().len(), 32);
    assert!(evidence.issuer.unwrap().contains("ORGANISATIONS"));
}

/// Each audit case of spec mssante §1.7, when they call us and when we call them.
#[test]
fn audit_cases_in_both_directions() {
    let state = state(TrustPolicy::test());
    let both = |leaf: &str, domain_name: &str, as_client: Option<Rule>, as_server: Option<Rule>| {
        let name = format!("{domain_name}.{AUDIT}");
        let inbound = judge(&state, leaf, PeerRole::Client)
            .and_then(|peer| state.authorize_sender(&peer, &from(&name)).map(drop));
        assert_eq!(inbound.as_ref().err().map(|r| r.rule), as_client, "{leaf} calls: {inbound:?}");
        let outbound = judge(&state, leaf, PeerRole::Server)
            .and_then(|peer| state.authorize_destination(&peer, &domain(&name)).map(drop));
        assert_eq!(
            outbound.as_ref().err().map(|r| r.rule),
            as_server,
            "{leaf} called: {outbound:?}"
        );
        for refusal in [inbound.err(), outbound.err()].into_iter().flatten() {
            assert!(!refusal.temporary);
            assert!(refusal.evidence.list.is_some(), "{}: which list decided?", refusal.rule);
            assert!(refusal.evidence.dn.is_some());
        }
    };
    let same = |leaf: &str, name: &str, rule: Rule| both(leaf, name, Some(rule), Some(rule));
    both("audit-valide", "cert-valide-audit", None, None);
    both("audit-valide", "tests-operateur", None, None);
    same("audit-expire", "cert-expire-audit", Rule::PeerExpired);
    same("audit-revoque", "cert-revoque-audit", Rule::PeerRevoked);
    same("audit-non-igc", "cert-non-igc-audit", Rule::PeerNotIgcSante);
    same("audit-production", "cert-production-audit", Rule::PeerProductionCertificate);
    same("audit-personnes", "cert-personnes-audit", Rule::PeerNotIgcSante);
    let mismatch = Some(Rule::DestinationDnMismatch);
    both("audit-cn-diff-dn", "cert-cn-diff-dn-audit", Some(Rule::PeerNotInList), mismatch);
    both("audit-no-match", "cert-no-match-audit", Some(Rule::SenderDomainNotCovered), mismatch);
    both("audit-auth-cli-only", "cert-auth-cli-audit", None, Some(Rule::PeerWrongUsage));
    // sans-tls-audit: the door finds no certificate.
    let refusal = state.judge_peer(&[], PeerRole::Client, now()).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerNoCertificate);
}

#[test]
fn domains_of_sender_author_and_destination() {
    let state = state(TrustPolicy::test());
    let alpha = judge(&state, "op-alpha", PeerRole::Client).unwrap();
    let rule = |result: Result<(), Refusal>| result.unwrap_err().rule;
    let sender = state.authorize_sender(&alpha, &from("CHU-alpha.mssante.test")).unwrap();
    sender.permits(&domain("alpha.mssante.test")).unwrap();
    assert_eq!(rule(sender.permits(&domain("beta.mssante.test"))), Rule::HeaderFromNotCovered);
    assert!(sender.evidence().list.is_some());
    let other = state.authorize_sender(&alpha, &from("beta.mssante.test")).map(drop);
    assert_eq!(rule(other), Rule::SenderDomainNotCovered);
    let sub = state.authorize_sender(&alpha, &from("x.alpha.mssante.test")).map(drop);
    assert_eq!(rule(sub), Rule::SenderDomainNotCovered);

    // A null sender is any listed operator; its author is still checked.
    let null = state.authorize_sender(&alpha, &ReversePath::Null).unwrap();
    null.permits(&domain("alpha.mssante.test")).unwrap();
    assert_eq!(rule(null.permits(&domain("beta.mssante.test"))), Rule::HeaderFromNotCovered);
    let absent = judge(&state, "op-absent", PeerRole::Client).unwrap();
    let null = state.authorize_sender(&absent, &ReversePath::Null).map(drop);
    assert_eq!(rule(null), Rule::PeerNotInList);

    let beta = judge(&state, "op-beta", PeerRole::Server).unwrap();
    state.authorize_destination(&beta, &domain("beta.mssante.test")).unwrap();
    let wrong = state.authorize_destination(&beta, &domain("alpha.mssante.test")).map(drop);
    assert_eq!(rule(wrong), Rule::DestinationDnMismatch);
    let outside = state.authorize_destination(&beta, &domain("exemple.fr")).map(drop);
    assert_eq!(rule(outside), Rule::DestinationNotInList);
    state.in_trust_space(&domain("beta.mssante.test")).unwrap();
    let outside = state.in_trust_space(&domain("gmail.com")).map(drop);
    assert_eq!(rule(outside), Rule::DestinationNotInList);
}

#[test]
fn nothing_fails_open() {
    // No list: everything is refused for now.
    let state = bare(TrustPolicy::test());
    state.install_crls(crls(), now());
    let alpha = judge(&state, "op-alpha", PeerRole::Client).unwrap();
    let refusal = state.authorize_sender(&alpha, &from("alpha.mssante.test")).unwrap_err();
    assert_eq!((refusal.rule, refusal.temporary), (Rule::ListAbsent, true));
    let refusal = state.in_trust_space(&domain("alpha.mssante.test")).unwrap_err();
    assert_eq!((refusal.rule, refusal.temporary), (Rule::ListAbsent, true));

    // No CRL, or an expired one: refused for now by default, let in when policy says so.
    let state = bare(TrustPolicy::test());
    let refusal = judge(&state, "op-alpha", PeerRole::Client).unwrap_err();
    assert_eq!((refusal.rule, refusal.temporary), (Rule::PeerRevocationUnknown, true));
    let expired = vec![pki("crl/ACR-EL.crl"), pki("crl-expired/ACI-EL-ORG.crl")];
    let report = state.install_crls(expired.clone(), now());
    assert_eq!((report.in_use.len(), report.expired.len()), (2, 1));
    let refusal = judge(&state, "op-alpha", PeerRole::Client).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerRevocationUnknown);
    let lenient =
        TrustPolicy { unknown_revocation: UnknownRevocation::Accept, ..TrustPolicy::test() };
    let state = bare(lenient);
    judge(&state, "op-alpha", PeerRole::Client).unwrap();
    state.install_crls(expired.clone(), now());
    judge(&state, "op-alpha", PeerRole::Client).unwrap();
    // An expired CRL still tells who was revoked.
    let refusal = judge(&state, "audit-revoque", PeerRole::Client).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerRevoked);

    // The last CRL that has not expired stays; a forged or damaged one never enters.
    state.install_crls(crls(), now());
    let report = state.install_crls(expired, now());
    assert_eq!((report.replaced, report.expired.len()), (0, 0));
    let mut forged = pki("crl/ACI-EL-ORG.crl");
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let report = state.install_crls(vec![forged, b"pas une CRL".to_vec()], now());
    assert_eq!((report.replaced, report.refused.len()), (0, 2), "{report:?}");

    // A list too old, when policy says so.
    let strict = TrustPolicy { list_age_refuse_secs: Some(3600), ..TrustPolicy::test() };
    let state = observed(strict);
    let refusal = state.in_trust_space(&domain("alpha.mssante.test")).unwrap_err();
    assert_eq!((refusal.rule, refusal.temporary), (Rule::ListTooOld, true));
}

fn observed(policy: TrustPolicy) -> TrustState {
    let state = state(policy);
    state.observe(now());
    state
}

#[test]
fn a_revocation_takes_effect_at_once() {
    let lenient =
        TrustPolicy { unknown_revocation: UnknownRevocation::Accept, ..TrustPolicy::test() };
    let state = bare(lenient);
    judge(&state, "audit-revoque", PeerRole::Client).unwrap(); // and remembered
    state.install_crls(crls(), now());
    let refusal = judge(&state, "audit-revoque", PeerRole::Client).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerRevoked);
}

#[test]
fn a_remembered_verdict_ends_with_the_certificate() {
    let state = state(TrustPolicy::test());
    let last = at("2046-12-30T23:59:30Z"); // half a minute before the end
    state.judge_peer(&chain("op-alpha"), PeerRole::Client, last).unwrap();
    let refusal =
        state.judge_peer(&chain("op-alpha"), PeerRole::Client, last.plus_secs(31)).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerExpired);
    let early = at("2024-12-31T00:00:00Z");
    let refusal = state.judge_peer(&chain("op-alpha"), PeerRole::Client, early).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerNotYetValid);
}

#[test]
fn policies_change_what_they_name() {
    let any = TrustPolicy { eku: EkuPolicy::Any, ..TrustPolicy::test() };
    judge(&state(any), "audit-auth-cli-only", PeerRole::Server).unwrap();
    let wrong = judge(&state(TrustPolicy::test()), "alb", PeerRole::Client).unwrap_err();
    assert_eq!(wrong.rule, Rule::PeerWrongUsage);
    // Production on the toy hierarchy: its authorities are not those of operators.
    let production = TrustPolicy::default();
    assert_eq!(production.environment, Environment::Production);
    let state = bare(production.clone());
    state.install_crls(crls(), now());
    let refusal = judge(&state, "op-alpha", PeerRole::Client).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerNotIgcSante);
    assert!(state.install_list(&pki("liste-blanche.xml"), now()).is_err());
    // The same with those authorities allowed: the category decides.
    let named = TrustPolicy {
        operator_issuer_cns: vec!["TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS".to_owned()],
        ..production
    };
    let state = bare(named);
    state.install_crls(crls(), now());
    let refusal = judge(&state, "op-alpha", PeerRole::Client).unwrap_err();
    assert_eq!(refusal.rule, Rule::PeerTestCertificate);
    judge(&state, "audit-production", PeerRole::Client).unwrap();
}

#[test]
fn cn_ou_matching_survives_a_new_raison_sociale() {
    let list = palombe_trust::ListDraft {
        generated_at: at("2026-01-01T00:00:00Z"),
        entries: vec![(
            "alpha.mssante.test".into(),
            "CN=smtp.alpha.mssante.test,OU=1330999999,O=ANCIENNE RAISON SOCIALE,C=FR".into(),
            String::new(),
        )],
    };
    let signed =
        palombe_trust::sign(list.to_xml().as_bytes(), &pki("alb.pem"), &key("alb.key")).unwrap();
    let authorized = |matching: DnMatching| {
        let state = bare(TrustPolicy { dn_matching: matching, ..TrustPolicy::test() });
        state.install_crls(crls(), now());
        state.install_list(&signed, now()).unwrap();
        let alpha = judge(&state, "op-alpha", PeerRole::Client).unwrap();
        state.authorize_sender(&alpha, &from("alpha.mssante.test")).map(|s| s.dn().to_string())
    };
    assert_eq!(authorized(DnMatching::Strict).unwrap_err().rule, Rule::PeerNotInList);
    authorized(DnMatching::CnOu).unwrap();
}

#[test]
fn anchors_and_identities_say_what_is_wrong() {
    let error = |result: Result<Anchors, _>| match result {
        Err(e) => palombe_trust::TrustError::to_string(&e),
        Ok(_) => panic!("accepted"),
    };
    assert!(error(Anchors::from_pem(b"")).contains("root of IGC-Sant"));
    let damaged = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    assert!(error(Anchors::from_pem(damaged)).contains("damaged"));
    let mixed = TlsIdentity::from_pem(&pki("op-alpha.pem"), &key("op-beta.key")).unwrap_err();
    assert!(mixed.to_string().contains("of this operator"), "{mixed}");
    assert!(TlsIdentity::from_pem(&pki("op-alpha.key"), &key("op-alpha.key")).is_err());
}

fn identity(leaf: &str) -> TlsIdentity {
    TlsIdentity::from_pem(&pki(&format!("{leaf}.pem")), &key(&format!("{leaf}.key"))).unwrap()
}

/// Moves bytes between two ends until both have finished their handshake, or one fails.
fn handshake(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), rustls::Error> {
    for _ in 0..16 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if !client.is_handshaking() && !server.is_handshaking() && !client.wants_write() {
            return Ok(());
        }
    }
    panic!("the handshake does not end");
}

#[test]
fn handshakes_leave_the_chains_to_be_judged() {
    let state = state(TrustPolicy::test());
    let server_config = state.server_tls(&identity("op-beta"), ClientAuth::Request).unwrap();
    assert_eq!(server_config.send_tls13_tickets, 0);
    // Refused peers get through the handshake too: they will read a reply.
    for (leaf, fine) in [("op-alpha", true), ("audit-expire", false), ("audit-non-igc", false)] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = state.client_tls(&identity(leaf)).unwrap();
            let limited = limited_to(version, &config);
            let name = "mx1.beta.mssante.test".try_into().unwrap();
            let mut client = ClientConnection::new(limited, name).unwrap();
            let mut server = ServerConnection::new(server_config.clone()).unwrap();
            handshake(&mut client, &mut server).unwrap();
            let called = client.peer_certificates().unwrap();
            state.judge_peer(called, PeerRole::Server, now()).unwrap();
            let calling = server.peer_certificates().unwrap();
            let verdict = state.judge_peer(calling, PeerRole::Client, now());
            assert_eq!(verdict.is_ok(), fine, "{leaf}");
            server.writer().write_all(b"220 ").unwrap();
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
            let mut read = [0; 4];
            client.reader().read_exact(&mut read).unwrap();
            assert_eq!(&read, b"220 ");
        }
    }
}

/// The same configuration, one protocol version.
fn limited_to(
    version: &'static rustls::SupportedProtocolVersion,
    config: &Arc<rustls::ClientConfig>,
) -> Arc<rustls::ClientConfig> {
    let mut limited = rustls::ClientConfig::builder_with_provider(palombe_trust::provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    limited.client_auth_cert_resolver = config.client_auth_cert_resolver.clone();
    limited.dangerous().set_certificate_verifier(Arc::new(Anyone));
    Arc::new(limited)
}

#[derive(Debug)]
struct Anyone;

impl rustls::client::danger::ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        palombe_trust::provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Shows one operator's certificate and signs with another's key.
#[derive(Debug)]
struct Thief(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Thief {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn a_stolen_certificate_without_its_key_fails_the_handshake() {
    let state = state(TrustPolicy::test());
    let server_config = state.server_tls(&identity("op-beta"), ClientAuth::Request).unwrap();
    let key_der = rustls::pki_types::PrivateKeyDer::from_pem_slice(&pki("op-absent.key")).unwrap();
    let signing = palombe_trust::provider().key_provider.load_private_key(key_der).unwrap();
    let stolen = Arc::new(rustls::sign::CertifiedKey::new(chain("op-alpha"), signing));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = limited_to(version, &state.client_tls(&identity("op-alpha")).unwrap());
        let mut config = (*config).clone();
        config.client_auth_cert_resolver = Arc::new(Thief(stolen.clone()));
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut server = ServerConnection::new(server_config.clone()).unwrap();
        let error = handshake(&mut client, &mut server).unwrap_err();
        assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error:?}");
    }
}

#[test]
fn a_peer_without_certificate_gets_through_to_be_refused_in_words() {
    let state = state(TrustPolicy::test());
    for auth in [ClientAuth::Request, ClientAuth::None] {
        let server_config = state.server_tls(&identity("op-beta"), auth).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&pki("ca-bundle.pem")) {
            roots.add(root.unwrap()).unwrap();
        }
        let config = rustls::ClientConfig::builder_with_provider(palombe_trust::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "mx1.beta.mssante.test".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut server = ServerConnection::new(server_config).unwrap();
        handshake(&mut client, &mut server).unwrap();
        let shown = server.peer_certificates().unwrap_or_default();
        let refusal = state.judge_peer(shown, PeerRole::Client, now()).unwrap_err();
        assert_eq!(refusal.rule, Rule::PeerNoCertificate);
    }
}

/// Printed, not asserted: what a connection costs this room.
#[test]
fn the_price_of_a_verdict() {
    let state = state(TrustPolicy::test());
    let chain = chain("op-alpha");
    let time = |label: &str, rounds: i64, step_secs: i64| {
        let started = std::time::Instant::now();
        for i in 0..rounds {
            let at = now().plus_secs(1_000 + i * step_secs);
            state.judge_peer(&chain, PeerRole::Client, at).unwrap();
        }
        println!("{label}: {:?} per verdict", started.elapsed() / rounds as u32);
    };
    time("first verdict on a chain", 200, 3600); // each beyond the memory of the one before
    time("remembered verdict", 2000, 0);
}
