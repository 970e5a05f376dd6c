//! The relation (domain × DN), indexed both ways. Matches are exact, never by suffix (spec mssante
//! §1.1).

use super::parse::Parsed;
use super::signature::{self, VerifyOptions};
use super::{parse, surface};
use crate::certificate::sha256_hex;
use crate::limits::SKIPPED_NAMED_MAX;
use crate::{Anchors, Dn, DnKey, DnMatching, ListSnapshot, TrustError};
use palombe_vocabulary::{Domain, Timestamp};
use std::collections::HashMap;
use std::fmt;

/// One `Domaine`: a domain and one DN that may speak for it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The mail domain.
    pub domain: Domain,
    /// The operator's certificate subject, as written.
    pub dn_text: String,
    /// The same, read.
    pub dn: Dn,
    /// Free text.
    pub description: String,
    /// Free text.
    pub contact: String,
    /// Free text.
    pub support: String,
    /// `DateMAJ`.
    pub updated_at: Timestamp,
}

/// An entry that could not be indexed: its domain is not in the trust space by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEntry {
    /// `Nom` as written.
    pub domain: String,
    /// Why.
    pub reason: String,
}

#[derive(Debug, Default)]
struct Relation {
    /// Per key: positions in `domains`, sorted.
    of: HashMap<DnKey, Vec<u32>>,
}

impl Relation {
    fn add(&mut self, key: &DnKey, domain: u32) {
        let row = self.of.entry(key.clone()).or_default();
        if let Err(place) = row.binary_search(&domain) {
            row.insert(place, domain);
        }
    }

    fn holds(&self, key: &DnKey, domain: u32) -> bool {
        self.of.get(key).is_some_and(|row| row.binary_search(&domain).is_ok())
    }
}

/// A verified list. Immutable.
pub struct ListeBlanche {
    generated_at: Timestamp,
    digest_hex: String,
    signer: String,
    entries: Vec<Entry>,
    skipped: Vec<SkippedEntry>,
    skipped_count: usize,
    domains: HashMap<Domain, u32>,
    strict: Relation,
    cn_ou: Relation,
    dn_texts: usize,
}

impl fmt::Debug for ListeBlanche {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot();
        write!(
            f,
            "ListeBlanche({} {}, {} entries)",
            snapshot.generated_at,
            snapshot.digest_hex,
            self.entries.len()
        )
    }
}

impl ListeBlanche {
    /// Verifies the signature and its signer, then reads exactly the bytes that were digested.
    ///
    /// # Errors
    /// A [`TrustError`] that says which of form, signature, signer, date or schema failed.
    pub fn verify(
        bytes: &[u8],
        anchors: &Anchors,
        options: &VerifyOptions,
    ) -> Result<ListeBlanche, TrustError> {
        let surface = surface::read(bytes)?;
        let verified = signature::verify(&surface, anchors, options)?;
        let parsed = parse::parse(&verified.payload)?;
        signature::judge_dates(&verified.signer, parsed.generated_at, options)?;
        if parsed.generated_at > options.at.plus_secs(options.future_secs_max) {
            return Err(TrustError::FromTheFuture { offered: parsed.generated_at });
        }
        Ok(Self::index(parsed, sha256_hex(bytes), verified.signer.dn.to_string()))
    }

    fn index(parsed: Parsed, digest_hex: String, signer: String) -> ListeBlanche {
        let mut list = ListeBlanche {
            generated_at: parsed.generated_at,
            digest_hex,
            signer,
            entries: Vec::with_capacity(parsed.rows.len()),
            skipped: Vec::new(),
            skipped_count: 0,
            domains: HashMap::new(),
            strict: Relation::default(),
            cn_ou: Relation::default(),
            dn_texts: 0,
        };
        let mut names: HashMap<String, Result<Dn, TrustError>> = HashMap::new();
        for row in parsed.rows {
            let dn = names.entry(row.dn.clone()).or_insert_with(|| row.dn.parse()).clone();
            match (row.domain.parse::<Domain>(), dn) {
                (Ok(domain), Ok(dn)) => {
                    let next = list.domains.len() as u32; // bounded by LIST_ENTRIES_MAX
                    let place = *list.domains.entry(domain.clone()).or_insert(next);
                    list.strict.add(dn.key(), place);
                    if let Some(key) = dn.cn_ou_key() {
                        list.cn_ou.add(key, place);
                    }
                    list.entries.push(Entry {
                        domain,
                        dn_text: row.dn,
                        dn,
                        description: row.description,
                        contact: row.contact,
                        support: row.support,
                        updated_at: row.updated_at,
                    });
                }
                // One bad entry must not take the whole trust space down; it gives no trust either.
                (Err(e), _) => list.skip(row.domain, e.to_string()),
                (_, Err(e)) => list.skip(row.domain, e.to_string()),
            }
        }
        list.dn_texts = names.values().filter(|dn| dn.is_ok()).count();
        list
    }

    fn skip(&mut self, domain: String, reason: String) {
        self.skipped_count += 1;
        if self.skipped.len() < SKIPPED_NAMED_MAX {
            self.skipped.push(SkippedEntry { domain, reason });
        }
    }

    /// `DateDeGeneration`.
    pub fn generated_at(&self) -> Timestamp {
        self.generated_at
    }

    /// What the journal says of it.
    pub fn snapshot(&self) -> ListSnapshot {
        ListSnapshot { generated_at: self.generated_at, digest_hex: self.digest_hex.clone() }
    }

    /// Subject of the certificate that signed it.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// Every entry, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first few entries that could not be indexed.
    pub fn skipped(&self) -> &[SkippedEntry] {
        &self.skipped
    }

    /// How many could not be indexed.
    pub fn skipped_count(&self) -> usize {
        self.skipped_count
    }

    /// Distinct domains.
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }

    /// Distinct names as written.
    pub fn dn_count(&self) -> usize {
        self.dn_texts
    }

    /// Distinct names after normalisation.
    pub fn operator_count(&self) -> usize {
        self.strict.of.len()
    }

    /// Whether this domain is in the trust space.
    pub fn lists_domain(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain)
    }

    /// The entries of one domain.
    pub fn domain(&self, domain: &Domain) -> Vec<&Entry> {
        if !self.lists_domain(domain) {
            return Vec::new();
        }
        self.entries.iter().filter(|entry| entry.domain == *domain).collect()
    }

    /// The entries of one operator.
    pub fn operator(&self, dn: &Dn) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.dn == *dn).collect()
    }

    /// Whether this DN may speak for this domain, all attributes compared.
    pub fn permits(&self, dn: &Dn, domain: &Domain) -> bool {
        self.permits_by(DnMatching::Strict, dn, domain)
    }

    /// The same, by a matching of the policy's choice.
    pub fn permits_by(&self, matching: DnMatching, dn: &Dn, domain: &Domain) -> bool {
        let Some(&place) = self.domains.get(domain) else { return false };
        self.strict.holds(dn.key(), place)
            || matching == DnMatching::CnOu
                && dn.cn_ou_key().is_some_and(|key| self.cn_ou.holds(key, place))
    }

    /// Whether this DN is listed for any domain.
    pub fn knows_by(&self, matching: DnMatching, dn: &Dn) -> bool {
        self.strict.of.contains_key(dn.key())
            || matching == DnMatching::CnOu
                && dn.cn_ou_key().is_some_and(|key| self.cn_ou.of.contains_key(key))
    }

    /// Refuses to be put in the place of a younger list.
    ///
    /// # Errors
    /// [`TrustError::Rollback`].
    pub fn refuse_rollback(&self, in_use: &ListeBlanche) -> Result<(), TrustError> {
        // spec mssante §1.2: DateDeGeneration ≥ the one in use.
        if self.generated_at < in_use.generated_at {
            return Err(TrustError::Rollback {
                in_use: in_use.generated_at,
                offered: self.generated_at,
            });
        }
        Ok(())
    }
}
