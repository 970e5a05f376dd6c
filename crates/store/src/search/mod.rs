//! The search index: for each BAL, which documents hold which n-grams of which text.
//!
//! A *document* is a content of a BAL (body and prefix): copies and moves share it. Acceptance writes one pending row
//! in its own batch; a worker reads the text and hands in [`SearchTerms`], which become an immutable *segment* of
//! packed blocks. Segments of about the same size are merged. What is still pending is always a candidate, so a search
//! never misses anything. Keys hold keyed hashes and opaque numbers only.
//!
//! The index gives candidates, never an answer: whoever asks compares each with the real text.

mod block;
mod check;
mod index;
mod merge;
mod plant;
mod query;
mod rows;
mod terms;
#[cfg(test)]
mod tests;

pub(crate) use check::check;
pub(crate) use plant::{prepare, remove};
pub(crate) use rows::{PENDING_UID_AT, loose, pending, pending_value};

pub use index::PendingMessage;
pub use merge::SearchMerge;
pub use plant::SearchStats;
pub use query::{Candidates, SearchQuery};
pub use terms::{SearchField, SearchTerms};
