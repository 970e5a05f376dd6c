//! Bounds of this door that no operator needs to change; the others are in [`crate::Settings`].

use std::time::Duration;

/// Octets read from a client at a time, on the stack.
pub const READ_BYTES: usize = 16 * 1024;
/// Responses waiting before they are written out.
pub const FLUSH_BYTES: usize = 32 * 1024;
/// Octets of a body read from the store at a time.
pub const BODY_PIECE_BYTES: usize = 256 * 1024;
/// Bodies up to this size are read together with their message's other data.
pub const BODY_INLINE_BYTES: u64 = 32 * 1024;
/// Responses built by one job of the pool before they are written out.
pub const JOB_BYTES: usize = 256 * 1024;
/// Messages handled by one job of the pool when something is read for each.
pub const JOB_MESSAGES: usize = 500;
/// Time after which a SEARCH job gives its thread to others.
pub const SEARCH_SLICE: Duration = Duration::from_millis(50);
/// Octets of one nested header that HEADER.FIELDS reads.
pub const NESTED_HEADER_BYTES_MAX: u64 = 1024 * 1024;
/// Octets of one text part that SEARCH decodes: the size limit of a message.
pub const SEARCH_PART_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Messages that one SORT or THREAD orders.
pub const ORDER_MESSAGES_MAX: usize = 500_000;
/// Octets of one text that SORT and THREAD compare.
pub const ORDER_KEY_BYTES_MAX: usize = 512;
/// Octets of everything that one SORT or THREAD compares.
pub const ORDER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Messages of one APPEND (RFC 3502).
pub const APPEND_MESSAGES_MAX: usize = 64;
/// Octets of all messages of one APPEND, in messages of the largest size.
pub const APPEND_LARGEST_MAX: u64 = 2;
/// Sessions that may compress at one time (RFC 4978): each takes some 350 KiB for it.
pub const COMPRESSED_SESSIONS_MAX: usize = 512;
/// Octets that may come out of a compressed stream before their ratio is looked at.
pub const INFLATED_BYTES_FREE: u64 = 64 * 1024 * 1024;
/// Octets that come out of one compressed octet; a stream past it is a bomb.
pub const INFLATE_RATIO_MAX: u64 = 250;
/// Octets of a text part that PREVIEW decodes.
pub const PREVIEW_PART_BYTES_MAX: u64 = 16 * 1024;
/// Characters of a PREVIEW (RFC 8970 3.3 recommends 200).
pub const PREVIEW_CHARS_MAX: usize = 200;
/// Octets of one SASL answer (RFC 4616: three strings of 255 octets, four times as long in UTF-8, in base64).
pub const SASL_LINE_BYTES_MAX: usize = 8 * 1024;
/// Octets of the line that ends IDLE: `DONE`.
pub const IDLE_LINE_BYTES_MAX: usize = 4;
/// How long an authenticated session trusts that its BAL is still active.
pub const BAL_CHECK_PERIOD: Duration = Duration::from_secs(60);
/// Longest text of a client's ID that is logged.
pub const ID_TEXT_BYTES_MAX: usize = 100;
/// Messages in one chunk of a folder's rows: what a change of one of them copies.
pub const CHUNK_ROWS: usize = 512;
/// Messages whose rows, and structures where needed, are read together.
pub const TOGETHER_MAX: usize = 64;
