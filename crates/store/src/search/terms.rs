//! From folded text to keyed hashes of n-grams. The hashes are 40 bits of a keyed digest: they tell nothing without
//! the store's own key, and two grams that meet in one hash only cost a comparison.

use super::block::HASH_BITS;
use crate::Store;
use crate::limits::{SEARCH_GRAMS_MAX, SEARCH_NEEDLE_GRAMS_MAX};
use std::collections::HashSet;

/// Which text of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SearchField {
    /// Any header field, name included; headers of parts too.
    Header = 1,
    /// Text parts; headers of attached messages too.
    Body = 2,
    /// Subject
    Subject = 3,
    /// From
    From = 4,
    /// To
    To = 5,
    /// Cc
    Cc = 6,
    /// Bcc
    Bcc = 7,
}

/// Whole words.
const WORD: u8 = 8;
/// Documents of which not everything is indexed.
const ALWAYS: u8 = 0;

impl SearchField {
    /// Short texts are indexed by pairs of characters too.
    fn has_pairs(self) -> bool {
        !matches!(self, SearchField::Header | SearchField::Body)
    }
}

/// What is indexed of one document: hashes of its n-grams and whole words.
pub struct SearchTerms {
    key: [u8; 32],
    grams: HashSet<(u8, u64)>,
    words: HashSet<u64>,
    complete: bool,
}

impl Store {
    /// Terms of a document, none yet.
    pub fn search_terms(&self) -> SearchTerms {
        SearchTerms {
            key: self.inner.search_key,
            grams: HashSet::new(),
            words: HashSet::new(),
            complete: true,
        }
    }
}

impl SearchTerms {
    /// Adds a text, folded as needles will be.
    pub fn text(&mut self, field: SearchField, folded: &str) {
        let (mut before, mut last) = (0u64, 0u64);
        for c in folded.chars() {
            let now = unit(c);
            if before != 0 {
                self.grams.insert((field as u8, before << 42 | last << 21 | now));
            }
            if last != 0 && field.has_pairs() {
                self.grams.insert((field as u8, last << 21 | now));
            }
            (before, last) = (last, now);
            if self.is_full() {
                self.complete = false;
                return;
            }
        }
    }

    /// Adds a word that is only ever asked for whole.
    pub fn word(&mut self, word: &str) {
        if self.is_full() {
            self.complete = false;
            return;
        }
        self.words.insert(word_hash(&self.key, word));
    }

    /// Something could not be indexed: the document stays a candidate for every search.
    pub fn incomplete(&mut self) {
        self.complete = false;
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.grams.len() + self.words.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        self.len() >= SEARCH_GRAMS_MAX
    }

    /// Hashes, sorted, without doubles.
    pub(crate) fn hashes(self) -> Vec<u64> {
        let mut out: Vec<u64> = self.words.into_iter().collect();
        out.extend(self.grams.iter().map(|(field, gram)| gram_hash(&self.key, *field, *gram)));
        if !self.complete {
            out.push(always(&self.key));
        }
        out.sort_unstable();
        out.dedup();
        out
    }
}

/// A character in 21 bits, never 0.
fn unit(c: char) -> u64 {
    u64::from(u32::from(c)) + 1
}

fn hash(key: &[u8; 32], field: u8, bytes: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    let digest = hasher.update(&[field]).update(bytes).finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_be_bytes(head) >> (u64::BITS - HASH_BITS)
}

fn gram_hash(key: &[u8; 32], field: u8, gram: u64) -> u64 {
    hash(key, field, &gram.to_be_bytes())
}

/// Of a whole word.
pub(crate) fn word_hash(key: &[u8; 32], word: &str) -> u64 {
    hash(key, WORD, word.as_bytes())
}

/// Of the list of documents that are always candidates.
pub(crate) fn always(key: &[u8; 32]) -> u64 {
    hash(key, ALWAYS, &[])
}

/// Hashes that a document with this text in that field has; `None` when the text is too short to tell.
pub(crate) fn needle_hashes(key: &[u8; 32], field: SearchField, folded: &str) -> Option<Vec<u64>> {
    let units: Vec<u64> = folded.chars().map(unit).collect();
    let mut grams: Vec<u64> = match units.len() {
        0 | 1 => return None,
        2 if field.has_pairs() => vec![units[0] << 21 | units[1]],
        2 => return None,
        _ => units.windows(3).map(|w| w[0] << 42 | w[1] << 21 | w[2]).collect(),
    };
    // Of a long needle, grams from all over it.
    let step = grams.len().div_ceil(SEARCH_NEEDLE_GRAMS_MAX);
    grams = grams.into_iter().step_by(step).collect();
    grams.sort_unstable();
    grams.dedup();
    Some(grams.into_iter().map(|gram| gram_hash(key, field as u8, gram)).collect())
}
