//! Every bound of this room, named.

/// Octets of one stored piece of a body; a body up to this size stays in memory until its batch.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Longest folder name, octets.
pub const FOLDER_NAME_BYTES_MAX: usize = 1000;
/// Most folders of one BAL.
pub const FOLDERS_MAX: usize = 2000;
/// Most keywords on one message.
pub const KEYWORDS_MAX: usize = 64;
/// Longest keyword, octets.
pub const KEYWORD_BYTES_MAX: usize = 128;
/// Longest trace prefix of a filed or queued message, octets.
pub const PREFIX_BYTES_MAX: usize = 16 * 1024;
/// Longest encoded structure of a body, octets.
pub const STRUCTURE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest detail of a journal line, octets; a longer one is replaced by a note.
pub const JOURNAL_DETAIL_BYTES_MAX: usize = 64 * 1024;
/// Batches that may wait for the committer.
pub const BATCHES_WAITING_MAX: usize = 4096;
/// Octets of batches that may wait for the committer.
pub const BATCH_BYTES_WAITING_MAX: usize = 128 * 1024 * 1024;
/// Batches written together at most.
pub const GROUP_BATCHES_MAX: usize = 512;
/// Octets written together at most.
pub const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Counter rows remembered by the committer.
pub const COUNTERS_CACHED_MAX: usize = 1_000_000;
/// Attempts at a change that another change crossed.
pub const CONFLICT_ATTEMPTS_MAX: usize = 16;
/// Messages removed in one batch while a deleted folder or BAL is purged.
pub const PURGE_BATCH_MESSAGES: usize = 1000;
/// Modification sequences whose changes each BAL keeps: a client that was away for longer compares instead.
pub const LOG_KEPT_MODSEQS: u64 = 200_000;
/// The change log is cut when it holds so many more.
pub const LOG_TRIM_SLACK: u64 = 50_000;
/// Journal lines removed in one batch.
pub const JOURNAL_TRIM_BATCH: usize = 1000;
/// Problems told by one check.
pub const CHECK_PROBLEMS_MAX: usize = 1000;
/// A measure of the free space on the disk is believed until so many octets were written.
pub const FREE_SPACE_BELIEVED_BYTES: u64 = 1024 * 1024;
/// How long a measure of the free space on the disk is believed, milliseconds.
pub const FREE_SPACE_BELIEVED_MS: u64 = 250;
/// N-grams and whole words of one document; one that has more is a candidate of every search.
pub const SEARCH_GRAMS_MAX: usize = 65_536;
/// N-grams of a needle that are looked up.
pub const SEARCH_NEEDLE_GRAMS_MAX: usize = 32;
/// Octets of a block of the search index, about; long lists make larger ones.
pub const SEARCH_BLOCK_BYTES: usize = 4 * 1024;
/// Upper bits of a hash that name its block, at most.
pub const SEARCH_BUCKET_BITS_MAX: u32 = 20;
/// Documents of a segment, those that are gone included: a list never takes more than an eighth of this in octets.
pub const SEARCH_SEGMENT_DOCUMENTS_MAX: u32 = 65_536;
/// Segments of about one size that are merged.
pub const SEARCH_MERGE_SEGMENTS: usize = 8;
/// Octets written by one step of a merge, about.
pub const SEARCH_MERGE_STEP_BYTES: usize = 256 * 1024;
/// Segments from this size on are written again when most of their documents are gone.
pub const SEARCH_REWRITE_DOCUMENTS_MIN: u32 = 64;
/// Segments of up to so many blocks, as a power of two, are removed block by block.
pub const SEARCH_SINGLE_DELETES_BITS: u8 = 6;
/// Longest annotation, octets.
pub const ANNOTATION_BYTES_MAX: usize = 16 * 1024;
/// Longest name of an annotation, octets.
pub const ANNOTATION_NAME_BYTES_MAX: usize = 255;
/// Most annotations of one BAL, its folders' and members' included.
pub const ANNOTATIONS_MAX: usize = 5000;
/// Octets of all annotations of one BAL.
pub const ANNOTATIONS_BYTES_MAX: usize = 1024 * 1024;
/// Most messages of one BAL.
pub const MESSAGES_MAX: u64 = 5_000_000;
/// Most members of one BAL.
pub const MEMBERS_MAX: usize = 500;
/// Most BAL of which one BAL is a member.
pub const MEMBERSHIPS_MAX: usize = 500;
/// Messages read together are read by one scan when at most this many UIDs come to each of them.
pub const DENSE_SPAN: u64 = 4;
/// Messages read together at most when they stand too far apart for a scan.
pub const MULTI_GET_MAX: usize = 512;
/// Keywords of a folder told at its opening.
pub const KEYWORDS_TOLD_MAX: usize = 256;
/// Rows read at the opening of a folder to find its first unseen message, and to count the recent ones.
pub const OPENING_ROWS_MAX: usize = 100;
/// Messages moved or expunged by one batch; more of them are several batches.
pub const CHANGE_BATCH_MESSAGES: usize = 5000;
/// Changes of flags of one BAL that one batch writes.
pub const FLAGGINGS_TOGETHER_MAX: usize = 64;
