//! What changed between two lists.

use super::ListeBlanche;
use palombe_vocabulary::Domain;
use std::collections::BTreeMap;

/// Changes from an old list to a new one, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListDiff {
    /// Domains that entered the trust space.
    pub domains_added: Vec<Domain>,
    /// Domains that left it.
    pub domains_removed: Vec<Domain>,
    /// `(domain, DN)` pairs that appeared, those of new domains included.
    pub pairs_added: Vec<(Domain, String)>,
    /// `(domain, DN)` pairs that disappeared, those of lost domains included.
    pub pairs_removed: Vec<(Domain, String)>,
    /// Pairs of the old list.
    pub pairs_before: usize,
}

impl ListDiff {
    /// Pairs changed, per cent of the old list; 100 when it was empty and the new one is not.
    pub fn changed_percent(&self) -> u32 {
        let changed = self.pairs_added.len().max(self.pairs_removed.len());
        match (changed, self.pairs_before) {
            (0, _) => 0,
            (_, 0) => 100,
            (changed, before) => u32::try_from(changed * 100 / before).unwrap_or(u32::MAX),
        }
    }

    /// True when nothing changed.
    pub fn is_empty(&self) -> bool {
        self.pairs_added.is_empty() && self.pairs_removed.is_empty()
    }
}

/// Compares two lists by domain and normalised DN.
pub fn diff(old: &ListeBlanche, new: &ListeBlanche) -> ListDiff {
    let (before, after) = (pairs(old), pairs(new));
    let missing_in = |from: &Pairs<'_>, other: &Pairs<'_>| {
        from.iter()
            .filter(|(pair, _)| !other.contains_key(*pair))
            .map(|((domain, _), text)| ((*domain).clone(), (*text).to_owned()))
            .collect::<Vec<_>>()
    };
    let domains_missing_in = |pairs: &[(Domain, String)], list: &ListeBlanche| {
        let mut domains: Vec<_> = pairs.iter().map(|(domain, _)| domain.clone()).collect();
        domains.retain(|domain| !list.lists_domain(domain));
        domains.dedup();
        domains
    };
    let pairs_added = missing_in(&after, &before);
    let pairs_removed = missing_in(&before, &after);
    ListDiff {
        domains_added: domains_missing_in(&pairs_added, old),
        domains_removed: domains_missing_in(&pairs_removed, new),
        pairs_added,
        pairs_removed,
        pairs_before: before.len(),
    }
}

type Pairs<'a> = BTreeMap<(&'a Domain, &'a crate::DnKey), &'a str>;

fn pairs(list: &ListeBlanche) -> Pairs<'_> {
    list.entries().iter().map(|e| ((&e.domain, e.dn.key()), e.dn_text.as_str())).collect()
}
