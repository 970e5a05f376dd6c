//! Why a peer, a sender or a destination was refused: stable codes, two texts, the evidence.

use palombe_vocabulary::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $peer:literal, $cure:literal;)*) => {
        /// The rule that decided. Codes are part of the journal's format and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// Every rule, for tables and tests.
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];

            /// The stable code, as in the journal.
            pub fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)* }
            }

            /// What the peer may read: constant, ASCII, without names.
            pub fn peer_text(self) -> &'static str {
                match self { $(Rule::$name => $peer,)* }
            }

            /// What the journal and an administrator read: what it means and what cures it.
            pub fn explanation(self) -> &'static str {
                match self { $(Rule::$name => $cure,)* }
            }
        }
    };
}

rules! {
    /// No certificate was presented.
    PeerNoCertificate = "peer.no-certificate",
        "a client certificate of IGC-Sante is required",
        "the peer presented no certificate; it must present its operator certificate (SSL_SERV)";
    /// The certificate cannot be read.
    PeerMalformed = "peer.malformed-certificate",
        "the certificate presented cannot be read",
        "the certificate is not well-formed X.509, or its subject cannot be read";
    /// Its validity has ended.
    PeerExpired = "peer.expired",
        "the certificate presented has expired",
        "the validity of a certificate of the chain has ended; the peer must renew it";
    /// Its validity has not begun.
    PeerNotYetValid = "peer.not-yet-valid",
        "the certificate presented is not valid yet",
        "the validity of a certificate of the chain has not begun; check the peer's certificate and our clock";
    /// A CRL names it.
    PeerRevoked = "peer.revoked",
        "the certificate presented is revoked",
        "a CRL of IGC-Sante names a certificate of the chain; the peer must use another certificate";
    /// The chain does not lead to the configured anchors.
    PeerNotIgcSante = "peer.not-igc-sante",
        "the certificate presented was not issued by IGC-Sante for operators",
        "the chain does not lead through the ORGANISATIONS authority to a configured root";
    /// A test certificate in production.
    PeerTestCertificate = "peer.test-certificate",
        "a test certificate is not accepted here",
        "the product category says test and this operator is in production";
    /// A production certificate in the test environment.
    PeerProductionCertificate = "peer.production-certificate",
        "a production certificate is not accepted here",
        "the product category says production and this operator is in the test environment";
    /// The product category is absent.
    PeerCategoryAbsent = "peer.category-absent",
        "the certificate presented lacks its product category",
        "extension 1.2.250.1.71.1.2.5 is absent; policy missing_category decides";
    /// Key usage or extended key usage.
    PeerWrongUsage = "peer.wrong-usage",
        "the certificate presented is not meant for this use",
        "key usage or extended key usage does not allow this role; policy eku decides";
    /// No valid CRL tells.
    PeerRevocationUnknown = "peer.revocation-unknown",
        "the status of the certificate cannot be checked now, try again later",
        "no valid CRL for an issuer of the chain; check directory-sync; policy unknown_revocation decides";
    /// The DN is nowhere in the list.
    PeerNotInList = "peer.not-in-list",
        "the certificate presented is not in the liste blanche",
        "the subject DN is not listed for any domain in the list in use";
    /// The null sender is refused by policy.
    SenderNullRefused = "sender.null-refused",
        "the null sender is not accepted here",
        "policy null_sender refuses MAIL FROM:<>";
    /// The sender's domain is not covered.
    SenderDomainNotCovered = "sender.domain-not-covered",
        "the sender domain is not covered by the certificate presented",
        "the liste blanche does not list this DN for the domain of MAIL FROM";
    /// The author's domain is not covered.
    HeaderFromNotCovered = "header-from.not-covered",
        "the author domain is not covered by the certificate presented",
        "the liste blanche does not list this DN for the domain of the header From";
    /// The destination is outside the trust space.
    DestinationNotInList = "destination.not-in-list",
        "the recipient domain is not in the trust space",
        "the domain of the recipient is not in the liste blanche: it never leaves for the Internet";
    /// The called peer is not one of the destination's operators.
    DestinationDnMismatch = "destination.dn-mismatch",
        "the certificate presented does not serve the recipient domain",
        "the liste blanche does not list the DN of the called server for the domain of the recipient";
    /// No list at all.
    ListAbsent = "list.absent",
        "trust information is not available now, try again later",
        "no verified liste blanche is installed; check directory-sync and its snapshot folder";
    /// The list is older than policy allows.
    ListTooOld = "list.too-old",
        "trust information is not available now, try again later",
        "the list in use is older than policy list_age_refuse_secs; check directory-sync";
}

impl Rule {
    /// True when trying again later may succeed without the peer changing anything.
    pub fn is_temporary(self) -> bool {
        matches!(self, Rule::PeerRevocationUnknown | Rule::ListAbsent | Rule::ListTooOld)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Which list decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSnapshot {
    /// Its `DateDeGeneration`.
    pub generated_at: Timestamp,
    /// SHA-256 of the file, in hexadecimal.
    pub digest_hex: String,
}

/// What a decision stood on; goes to the journal as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The list in use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub list: Option<ListSnapshot>,
    /// Subject of the peer's certificate, most specific attribute first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dn: Option<String>,
    /// Serial number, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serial: Option<String>,
    /// SHA-256 of the certificate, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint_sha256: Option<String>,
    /// Issuer of the peer's certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub issuer: Option<String>,
}

/// A refusal: the rule, what happened, on what evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Refusal {
    /// The rule that decided.
    pub rule: Rule,
    /// For the journal: names and dates of this case.
    pub detail: String,
    /// True when trying again later may succeed.
    pub temporary: bool,
    /// What the decision stood on.
    pub evidence: Box<Evidence>,
}

impl Refusal {
    pub(crate) fn new(rule: Rule, detail: impl Into<String>, evidence: Evidence) -> Self {
        let evidence = Box::new(evidence);
        Refusal { rule, detail: detail.into(), temporary: rule.is_temporary(), evidence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_peer_texts_are_ascii() {
        let codes: HashSet<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(rule.peer_text().is_ascii() && !rule.peer_text().contains(['\r', '\n']));
            assert!(!rule.explanation().is_empty());
        }
    }
}
