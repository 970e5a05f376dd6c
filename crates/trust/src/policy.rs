//! What the référentiels leave unknown, each as a named value with its default (spec mssante §15).

/// Which IGC-Santé hierarchy this operator lives in. The two never mix (spec mssante §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Product category `03`; issuers named `AC IGC-SANTE …`.
    Production,
    /// Product category `83`; issuers named `TEST AC IGC-SANTE …`.
    Test,
}

/// Extended key usage asked of a peer (spec mssante §15 row 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EkuPolicy {
    /// `clientAuth` of a peer that calls us, `serverAuth` of a peer we call, whenever the extension
    /// is present.
    Strict,
    /// Either of the two, or no extension at all.
    Any,
}

/// What to do when no valid CRL tells the status of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRevocation {
    /// Let it in; the evidence says that the status was unknown only by the absence of a CRL.
    Accept,
    /// Refuse for now (4xx): the sender tries again.
    Refuse,
}

/// How far up the chain revocation is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationDepth {
    /// The peer's own certificate and its intermediates.
    Chain,
    /// The peer's own certificate only.
    EndEntity,
}

/// When two distinguished names are the same (spec identity-directory §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnMatching {
    /// Every attribute equal after normalisation.
    Strict,
    /// CN and OU equal after normalisation. For the time of a raison-sociale edit; off during
    /// audits.
    CnOu,
}

/// What a certificate without the product category extension is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingCategory {
    /// Let it in: the chain already tells production from test.
    Accept,
    /// Refuse it: every IGC-Santé leaf seen carries the extension.
    Refuse,
}

/// Who may use the null reverse-path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullSender {
    /// Any operator of the list; the header From is then checked against the same list.
    ListedPeer,
    /// Nobody. Breaks DSN and MDN; for experiments.
    Refuse,
}

/// The decisions of this operator. [`TrustPolicy::default`] is production with every doubt refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// Which hierarchy.
    pub environment: Environment,
    /// CN of the issuers that may sign operator certificates. Empty: the ORGANISATIONS authority of
    /// `environment`.
    pub operator_issuer_cns: Vec<String>,
    /// Extended key usage of peers.
    pub eku: EkuPolicy,
    /// Certificates without a CRL.
    pub unknown_revocation: UnknownRevocation,
    /// How far up.
    pub revocation_depth: RevocationDepth,
    /// Certificates without a product category.
    pub missing_category: MissingCategory,
    /// Comparison of names.
    pub dn_matching: DnMatching,
    /// The null reverse-path.
    pub null_sender: NullSender,
    /// Subject CN that a signer of the list may bear.
    pub signer_cns: Vec<String>,
    /// How long after the end of its signer's validity a list issued within it may still be
    /// installed.
    pub signer_expiry_grace_secs: i64,
    /// How far in the future `DateDeGeneration` may lie.
    pub list_future_secs_max: i64,
    /// Age of the list from which it is called old in logs and metrics.
    pub list_age_warn_secs: i64,
    /// Age of the list from which nothing is accepted on its word; `None`: the last good list
    /// serves for ever.
    pub list_age_refuse_secs: Option<i64>,
}

impl Default for TrustPolicy {
    fn default() -> Self {
        TrustPolicy {
            environment: Environment::Production,
            operator_issuer_cns: Vec::new(),
            eku: EkuPolicy::Strict,
            unknown_revocation: UnknownRevocation::Refuse,
            revocation_depth: RevocationDepth::Chain,
            missing_category: MissingCategory::Refuse,
            dn_matching: DnMatching::Strict,
            null_sender: NullSender::ListedPeer,
            signer_cns: vec!["alb.mssante.fr".to_owned()],
            signer_expiry_grace_secs: 7 * 86_400,
            list_future_secs_max: 86_400,
            list_age_warn_secs: 72 * 3600,
            list_age_refuse_secs: None,
        }
    }
}

impl TrustPolicy {
    /// The same decisions in the test hierarchy.
    pub fn test() -> Self {
        TrustPolicy {
            environment: Environment::Test,
            signer_cns: vec!["alb.mssante.test".to_owned()],
            ..TrustPolicy::default()
        }
    }

    /// CN of the authorities whose leaves are operators (spec identity-directory §3.8 rule 1: never
    /// PERSONNES).
    pub fn issuer_cns(&self) -> Vec<&str> {
        if !self.operator_issuer_cns.is_empty() {
            return self.operator_issuer_cns.iter().map(String::as_str).collect();
        }
        vec![organisations_cn(self.environment)]
    }
}

/// CN of the ORGANISATIONS authority of the gamme Élémentaire (spec identity-directory §3.1).
pub(crate) fn organisations_cn(environment: Environment) -> &'static str {
    match environment {
        Environment::Production => "AC IGC-SANTE ELEMENTAIRE ORGANISATIONS",
        Environment::Test => "TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS",
    }
}

/// One row per unknown of the référentiels: `(name, default, meaning, source)`. Printed by `palombe
/// trust policy`.
pub const POLICY_TABLE: &[(&str, &str, &str, &str)] = &[
    (
        "environment",
        "production",
        "product category 03 only; a test certificate (83) is refused, and the reverse in test",
        "spec mssante §1.4; identity-directory §3.8 rule 6",
    ),
    (
        "operator_issuer_cns",
        "AC IGC-SANTE ELEMENTAIRE ORGANISATIONS (prefixed TEST in test)",
        "authorities whose certificates are operators; PERSONNES authorities never are",
        "identity-directory §3.8 rule 1",
    ),
    (
        "eku",
        "strict",
        "clientAuth of a caller, serverAuth of a called peer, when the extension is present",
        "spec mssante §15 row 4 (SSL_SERV profile not published); identity-directory §3.4",
    ),
    (
        "unknown_revocation",
        "refuse",
        "no valid CRL for a certificate of the chain: temporary refusal (4xx), the message is retried",
        "spec mssante §1.4 (ECO.1.1.6, ECO.1.1.7); identity-directory §3.6",
    ),
    ("revocation_depth", "chain", "leaf and intermediates are checked", "identity-directory §3.6"),
    (
        "missing_category",
        "refuse",
        "a leaf without extension 1.2.250.1.71.1.2.5 is not an IGC-Santé leaf",
        "identity-directory §3.3",
    ),
    (
        "dn_matching",
        "strict",
        "all attributes equal after normalisation; cn-ou compares CN and OU only",
        "spec mssante §1.5; identity-directory §4.3",
    ),
    (
        "null_sender",
        "listed-peer",
        "MAIL FROM:<> from any operator of the list, local recipients only, header From covered",
        "spec mssante §1.5, §15 row 3",
    ),
    (
        "signer_cns",
        "alb.mssante.fr",
        "subject CN of the list's signer; its O and OU belong to a contractor and may change",
        "spec mssante §1.2; identity-directory §4.2",
    ),
    (
        "signer_expiry_grace_secs",
        "604800",
        "a restart may reuse the last good list this long after its signer's certificate ended",
        "spec mssante §1.3, §15 row 2 (degraded mode not found); 0 in directory-sync",
    ),
    (
        "list_future_secs_max",
        "86400",
        "a list dated further in the future is refused: it would block every later list",
        "house rule (anti-rollback by DateDeGeneration)",
    ),
    (
        "list_age_warn_secs",
        "259200",
        "older than this, the list is called old in logs and metrics",
        "identity-directory §4.2 (72 h)",
    ),
    (
        "list_age_refuse_secs",
        "none",
        "none: the last good list serves for ever; else older lists give temporary refusals",
        "spec mssante §1.3, §15 row 2 (degraded mode not found)",
    ),
    (
        "server_name_check",
        "off (fixed)",
        "the SAN of a called peer is not compared with the MX host: the DN × domain relation decides",
        "spec mssante §1.4 (b); identity-directory §3.8 rule 7",
    ),
    (
        "tls_versions",
        "1.2 and 1.3 (fixed)",
        "ECDHE with AEAD suites only; CBC suites of ECO.1.1.3 do not exist in rustls",
        "spec mssante §1.6, §15 row 3",
    ),
    (
        "signature_algorithms",
        "exc-c14n, rsa-sha256, sha256 (fixed)",
        "any other algorithm in the list's signature is refused",
        "spec mssante §1.2",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_the_defaults() {
        let policy = TrustPolicy::default();
        let told = |name: &str| {
            POLICY_TABLE.iter().find(|row| row.0 == name).map(|row| row.1).unwrap_or_default()
        };
        assert_eq!(told("signer_cns"), policy.signer_cns[0]);
        assert_eq!(told("list_age_warn_secs"), policy.list_age_warn_secs.to_string());
        assert_eq!(told("signer_expiry_grace_secs"), policy.signer_expiry_grace_secs.to_string());
        assert_eq!(told("list_future_secs_max"), policy.list_future_secs_max.to_string());
        assert_eq!(policy.list_age_refuse_secs, None);
        assert!(told("operator_issuer_cns").starts_with(policy.issuer_cns()[0]));
    }
}
