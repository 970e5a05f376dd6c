//! What is trusted now: policy, anchors, CRLs and list, swapped whole; and the verdicts.

use crate::certificate::{Facts, sha256};
use crate::crl::{CrlReport, CrlSet};
use crate::limits::{VERDICT_SECS_MAX, VERDICTS_MAX};
use crate::path::{self, Purposes, Revocation};
use crate::tls::{self, ClientAuth, TlsIdentity};
use crate::{
    Anchors, Dn, DnMatching, Environment, Evidence, ListSnapshot, ListeBlanche, MissingCategory,
    NullSender, Refusal, Rule, SkippedEntry, TrustError, TrustPolicy, VerifyOptions,
};
use arc_swap::{ArcSwap, ArcSwapOption};
use palombe_vocabulary::{Domain, ReversePath, Timestamp};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ServerConfig};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Which end of the connection the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerRole {
    /// It called us.
    Client,
    /// We called it.
    Server,
}

/// A peer whose certificate was judged good. Says nothing yet of domains.
#[derive(Clone, Debug)]
pub struct TrustedPeer {
    facts: Arc<Facts>,
    role: PeerRole,
}

impl TrustedPeer {
    /// Subject of its certificate.
    pub fn dn(&self) -> &Dn {
        &self.facts.dn
    }

    /// Which end it is.
    pub fn role(&self) -> PeerRole {
        self.role
    }

    /// What the verdict stood on.
    pub fn evidence(&self) -> Evidence {
        self.facts.evidence()
    }
}

/// An operator that may speak for the domain of its MAIL FROM, by one list.
#[derive(Clone, Debug)]
pub struct AuthorizedSender {
    peer: TrustedPeer,
    list: Arc<ListeBlanche>,
    matching: DnMatching,
}

impl AuthorizedSender {
    /// Subject of its certificate.
    pub fn dn(&self) -> &Dn {
        self.peer.dn()
    }

    /// What the authorization stood on, the list included.
    pub fn evidence(&self) -> Evidence {
        with_list(self.peer.evidence(), &self.list)
    }

    /// Whether this operator may also speak for the author's domain, by the same list.
    ///
    /// # Errors
    /// [`Rule::HeaderFromNotCovered`].
    pub fn permits(&self, header_from: &Domain) -> Result<(), Refusal> {
        // spec mssante §1.5: the header From domain must be covered too (anti-spoofing).
        if self.list.permits_by(self.matching, self.dn(), header_from) {
            return Ok(());
        }
        let detail = format!("{} is not listed for {header_from}", self.dn());
        Err(Refusal::new(Rule::HeaderFromNotCovered, detail, self.evidence()))
    }
}

/// A called server that serves the destination's domain, by one list.
#[derive(Clone, Debug)]
pub struct AuthorizedDestination {
    peer: TrustedPeer,
    list: Arc<ListeBlanche>,
    domain: Domain,
}

impl AuthorizedDestination {
    /// Subject of its certificate.
    pub fn dn(&self) -> &Dn {
        self.peer.dn()
    }

    /// The domain it was authorized for.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What the authorization stood on, the list included.
    pub fn evidence(&self) -> Evidence {
        with_list(self.peer.evidence(), &self.list)
    }
}

fn with_list(mut evidence: Evidence, list: &ListeBlanche) -> Evidence {
    evidence.list = Some(list.snapshot());
    evidence
}

/// What an installation of a list did.
#[derive(Clone, Debug)]
pub struct ListInstalled {
    /// The list now in use.
    pub snapshot: ListSnapshot,
    /// False when it was in use already.
    pub changed: bool,
    /// `Domaine` entries, distinct domains, distinct names as written.
    pub entries: usize,
    /// Distinct domains.
    pub domains: usize,
    /// Distinct names as written.
    pub dns: usize,
    /// Age at installation, in seconds.
    pub age_secs: i64,
    /// True when older than `list_age_warn_secs`.
    pub old: bool,
    /// Entries that could not be indexed, the first few named.
    pub skipped: Vec<SkippedEntry>,
}

struct Verdict {
    peer: Arc<Facts>,
    from: Timestamp,
    until: Timestamp,
}

struct Inner {
    policy: TrustPolicy,
    anchors: Anchors,
    list: ArcSwapOption<ListeBlanche>,
    crls: ArcSwap<CrlSet>,
    installing: Mutex<()>,
    verdicts: Mutex<HashMap<[u8; 32], Verdict>>,
    latest: AtomicI64,
}

/// The trust of this process. Cheap to clone; readers never wait for an installation.
#[derive(Clone)]
pub struct TrustState {
    inner: Arc<ArcSwap<Inner>>,
}

impl TrustState {
    /// A state without list nor CRLs: it refuses everybody, temporarily.
    pub fn new(policy: TrustPolicy, anchors: Anchors) -> Self {
        let inner = Inner {
            policy,
            anchors,
            list: ArcSwapOption::empty(),
            crls: ArcSwap::from_pointee(CrlSet::default()),
            installing: Mutex::new(()),
            verdicts: Mutex::new(HashMap::new()),
            latest: AtomicI64::new(i64::MIN),
        };
        TrustState { inner: Arc::new(ArcSwap::from_pointee(inner)) }
    }

    /// Everybody who holds this state stands on `other`'s policy, anchors, list and CRLs from now on. Both share
    /// what is installed later.
    pub fn replace_with(&self, other: &TrustState) {
        let inner = other.inner();
        inner.latest.fetch_max(self.inner().latest.load(Ordering::Relaxed), Ordering::Relaxed);
        self.inner.store(inner);
    }

    fn inner(&self) -> Arc<Inner> {
        self.inner.load_full()
    }

    /// What stands behind a decision that was made before any certificate was seen: the list in use.
    pub fn evidence(&self) -> Evidence {
        self.list_evidence()
    }

    /// Tells the state what time it is. Every call that takes an instant does so too; what does not
    /// (age of the list in `authorize_*` and `in_trust_space`) uses the latest instant told.
    pub fn observe(&self, at: Timestamp) {
        self.inner.load().latest.fetch_max(at.0, Ordering::Relaxed);
    }

    /// Verifies a list and puts it in use, whole or not at all. On error the list in use stays.
    ///
    /// # Errors
    /// Any [`TrustError`] of [`ListeBlanche::verify`]; [`TrustError::Rollback`].
    pub fn install_list(&self, bytes: &[u8], at: Timestamp) -> Result<ListInstalled, TrustError> {
        let inner = self.inner();
        let _one_at_a_time = inner.installing.lock();
        self.observe(at);
        let policy = &inner.policy;
        let crls = inner.crls.load_full();
        let options = VerifyOptions {
            signer_cns: policy.signer_cns.clone(),
            signer_issuer_cns: policy.issuer_cns().into_iter().map(str::to_owned).collect(),
            environment: Some(policy.environment),
            signer_expiry_grace_secs: policy.signer_expiry_grace_secs,
            future_secs_max: policy.list_future_secs_max,
            crls: Some(crls),
            ..VerifyOptions::at(at)
        };
        let list = ListeBlanche::verify(bytes, &inner.anchors, &options)?;
        let in_use = inner.list.load_full();
        if let Some(in_use) = &in_use {
            list.refuse_rollback(in_use)?;
        }
        let changed = in_use.is_none_or(|old| old.snapshot() != list.snapshot());
        let age_secs = at.millis_since(list.generated_at()) / 1000;
        let report = ListInstalled {
            snapshot: list.snapshot(),
            changed,
            entries: list.entries().len(),
            domains: list.domain_count(),
            dns: list.dn_count(),
            age_secs,
            old: age_secs > policy.list_age_warn_secs,
            skipped: list.skipped().to_vec(),
        };
        if changed {
            inner.list.store(Some(Arc::new(list)));
        }
        Ok(report)
    }

    /// The list in use.
    pub fn list(&self) -> Option<Arc<ListeBlanche>> {
        self.inner.load().list.load_full()
    }

    /// Adds CRLs; per issuer the latest stays. See [`CrlReport`].
    pub fn install_crls(&self, ders: Vec<Vec<u8>>, at: Timestamp) -> CrlReport {
        let inner = self.inner();
        let _one_at_a_time = inner.installing.lock();
        self.observe(at);
        let (set, report) = inner.crls.load().with(&ders, &inner.anchors, at);
        if report.replaced > 0 {
            inner.crls.store(Arc::new(set));
            inner.verdicts.lock().clear();
        }
        report
    }

    /// Judges the certificate of a peer: path, dates, usage, category, revocation. The door calls
    /// it right after the handshake with what the peer sent, leaf first.
    ///
    /// # Errors
    /// A [`Refusal`] whose rule is one of `peer.*`.
    pub fn judge_peer(
        &self,
        chain: &[CertificateDer<'_>],
        role: PeerRole,
        at: Timestamp,
    ) -> Result<TrustedPeer, Refusal> {
        self.observe(at);
        let Some(leaf) = chain.first() else {
            let detail = "no certificate was presented";
            return Err(Refusal::new(Rule::PeerNoCertificate, detail, self.list_evidence()));
        };
        let inner = self.inner();
        let key = verdict_key(chain, role);
        let verdicts = inner.verdicts.lock();
        if let Some(v) = verdicts.get(&key).filter(|v| v.from <= at && at <= v.until) {
            return Ok(TrustedPeer { facts: v.peer.clone(), role });
        }
        drop(verdicts);
        let facts = Facts::read(leaf)
            .map_err(|e| Refusal::new(Rule::PeerMalformed, e.to_string(), self.list_evidence()))?;
        let refuse = |rule: Rule, detail: String| {
            let mut evidence = facts.evidence();
            evidence.list = self.list_evidence().list;
            Refusal::new(rule, detail, evidence)
        };
        let crls = inner.crls.load_full();
        inner
            .judge(chain, &facts, role, at, &crls)
            .map_err(|(rule, detail)| refuse(rule, detail))?;
        let facts = Arc::new(facts);
        inner.keep_verdict(key, &facts, &crls, at);
        Ok(TrustedPeer { facts, role })
    }

    /// Whether this peer may send for this reverse-path.
    ///
    /// # Errors
    /// `list.*`, `peer.not-in-list`, `sender.*`.
    pub fn authorize_sender(
        &self,
        peer: &TrustedPeer,
        path: &ReversePath,
    ) -> Result<AuthorizedSender, Refusal> {
        let list = self.usable_list(peer.evidence())?;
        let inner = self.inner();
        let policy = &inner.policy;
        let evidence = || with_list(peer.evidence(), &list);
        let dn = peer.dn();
        if !list.knows_by(policy.dn_matching, dn) {
            let detail = format!("{dn} is not in the list of {}", list.generated_at());
            return Err(Refusal::new(Rule::PeerNotInList, detail, evidence()));
        }
        match path {
            // spec mssante §1.5: a DSN or MDN; the DN must be listed, the header From is checked
            // afterwards.
            ReversePath::Null if policy.null_sender == NullSender::Refuse => {
                let detail = format!("MAIL FROM:<> from {dn}");
                return Err(Refusal::new(Rule::SenderNullRefused, detail, evidence()));
            }
            ReversePath::Null => {}
            ReversePath::Address(address) => {
                let domain = address.domain();
                if !list.permits_by(policy.dn_matching, dn, domain) {
                    let detail = format!("{dn} is not listed for {domain}");
                    return Err(Refusal::new(Rule::SenderDomainNotCovered, detail, evidence()));
                }
            }
        }
        Ok(AuthorizedSender { peer: peer.clone(), list, matching: policy.dn_matching })
    }

    /// Whether this called server serves the domain of the recipient.
    ///
    /// # Errors
    /// `list.*`, `destination.*`.
    pub fn authorize_destination(
        &self,
        peer: &TrustedPeer,
        domain: &Domain,
    ) -> Result<AuthorizedDestination, Refusal> {
        let list = self.usable_list(peer.evidence())?;
        let evidence = || with_list(peer.evidence(), &list);
        if !list.lists_domain(domain) {
            let detail = format!("{domain} is not in the list of {}", list.generated_at());
            return Err(Refusal::new(Rule::DestinationNotInList, detail, evidence()));
        }
        if !list.permits_by(self.inner().policy.dn_matching, peer.dn(), domain) {
            let detail = format!("{} is not listed for {domain}", peer.dn());
            return Err(Refusal::new(Rule::DestinationDnMismatch, detail, evidence()));
        }
        Ok(AuthorizedDestination { peer: peer.clone(), list, domain: domain.clone() })
    }

    /// Whether mail may be accepted for this domain at all.
    ///
    /// # Errors
    /// `list.*`, `destination.not-in-list`.
    pub fn in_trust_space(&self, domain: &Domain) -> Result<ListSnapshot, Refusal> {
        let list = self.usable_list(Evidence::default())?;
        if list.lists_domain(domain) {
            return Ok(list.snapshot());
        }
        let detail = format!("{domain} is not in the list of {}", list.generated_at());
        let evidence = with_list(Evidence::default(), &list);
        Err(Refusal::new(Rule::DestinationNotInList, detail, evidence))
    }

    /// A server configuration: TLS 1.2 and 1.3, and no resumption when the peer's certificate
    /// matters.
    ///
    /// # Errors
    /// [`TrustError::Tls`].
    pub fn server_tls(
        &self,
        identity: &TlsIdentity,
        client_auth: ClientAuth,
    ) -> Result<Arc<ServerConfig>, TrustError> {
        tls::server(&self.inner().anchors, identity, client_auth)
    }

    /// A client configuration that shows our certificate: TLS 1.2 and 1.3, no resumption.
    ///
    /// # Errors
    /// [`TrustError::Tls`].
    pub fn client_tls(&self, identity: &TlsIdentity) -> Result<Arc<ClientConfig>, TrustError> {
        tls::client(identity)
    }

    fn list_evidence(&self) -> Evidence {
        Evidence { list: self.list().map(|list| list.snapshot()), ..Evidence::default() }
    }

    fn usable_list(&self, evidence: Evidence) -> Result<Arc<ListeBlanche>, Refusal> {
        let Some(list) = self.list() else {
            // Never fail open: without a verified list nobody is in the trust space.
            return Err(Refusal::new(Rule::ListAbsent, "no verified list is installed", evidence));
        };
        let inner = self.inner();
        let latest = Timestamp(inner.latest.load(Ordering::Relaxed));
        let age_secs = latest.millis_since(list.generated_at()) / 1000;
        if inner.policy.list_age_refuse_secs.is_some_and(|max| age_secs > max) {
            let detail = format!("the list of {} is {age_secs} s old", list.generated_at());
            return Err(Refusal::new(Rule::ListTooOld, detail, with_list(evidence, &list)));
        }
        Ok(list)
    }
}

impl Inner {
    fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        facts: &Facts,
        role: PeerRole,
        at: Timestamp,
        crls: &CrlSet,
    ) -> Result<(), (Rule, String)> {
        let policy = &self.policy;
        // spec identity-directory §3.8, in its order: chain, dates, usage, revocation, then
        // environment.
        let revocation =
            Revocation { crls, unknown: policy.unknown_revocation, depth: policy.revocation_depth };
        let purposes = Purposes::of_peer(policy.eku, role);
        path::verify(chain, &self.anchors, at, purposes, Some(revocation)).map_err(|e| {
            let dates = format!("valid from {} to {}", facts.not_before, facts.not_after);
            (path::rule_of(&e), format!("{} ({dates}): {e:?}", facts.dn))
        })?;
        let issuer = facts.issuer.cn().unwrap_or_default();
        if !policy.issuer_cns().contains(&issuer) {
            let detail = format!("issuer CN {issuer:?} is not an authority of operators");
            return Err((Rule::PeerNotIgcSante, detail));
        }
        if !facts.digital_signature {
            let detail = "keyUsage lacks digitalSignature".to_owned();
            return Err((Rule::PeerWrongUsage, detail));
        }
        judge_category(facts, policy)
    }

    fn keep_verdict(&self, key: [u8; 32], facts: &Arc<Facts>, crls: &Arc<CrlSet>, at: Timestamp) {
        let mut until = at.plus_secs(VERDICT_SECS_MAX).min(facts.not_after);
        if let Some(next_update) = crls.earliest_next_update() {
            until = until.min(next_update.plus_millis(-1));
        }
        let mut verdicts = self.verdicts.lock();
        // A set installed meanwhile has emptied the map and must not meet a verdict of the old one.
        if !Arc::ptr_eq(&self.crls.load_full(), crls) {
            return;
        }
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(key, Verdict { peer: facts.clone(), from: at, until });
    }
}

/// spec identity-directory §3.8 rule 6: production refuses what says test, and the reverse.
fn judge_category(facts: &Facts, policy: &TrustPolicy) -> Result<(), (Rule, String)> {
    let Some(environment) = facts.environment() else {
        if policy.missing_category == MissingCategory::Accept {
            return Ok(());
        }
        let detail = "extension 1.2.250.1.71.1.2.5 is absent".to_owned();
        return Err((Rule::PeerCategoryAbsent, detail));
    };
    if environment == policy.environment {
        return Ok(());
    }
    let rule = match environment {
        Environment::Test => Rule::PeerTestCertificate,
        Environment::Production => Rule::PeerProductionCertificate,
    };
    Err((rule, format!("product category {:02x}", facts.category.unwrap_or_default())))
}

fn verdict_key(chain: &[CertificateDer<'_>], role: PeerRole) -> [u8; 32] {
    let mut all = vec![u8::from(role == PeerRole::Client)];
    for certificate in chain {
        all.extend_from_slice(&(certificate.len() as u64).to_be_bytes());
        all.extend_from_slice(certificate);
    }
    sha256(&all)
}
