//! What the scanner keeps in memory and how deep it looks. Beyond a limit it flags, it never fails.

/// Bounds of one [`Scanner`](crate::Scanner).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of multipart and message nesting; a container at this depth is not looked into. At most 64 are used,
    /// because trees are walked by recursion.
    pub depth_max: u32,
    /// Parts of one message, containers included.
    pub parts_max: u32,
    /// Bytes kept of the message's own header.
    pub root_header_bytes_max: usize,
    /// Bytes kept of one part's header or of one nested message's header.
    pub part_header_bytes_max: usize,
    /// Bytes kept of all part headers together; what is parsed out of them is never larger.
    pub part_headers_total_bytes_max: usize,
}

/// Deepest tree that any setting allows.
pub(crate) const DEPTH_CEILING: u32 = 64;
/// Longest boundary honoured: what fits a line. RFC 2046 5.1.1 allows 70; some senders write more.
pub(crate) const BOUNDARY_BYTES_MAX: usize = 990;
/// Parameters kept of one Content-Type or Content-Disposition.
pub(crate) const PARAMS_MAX: usize = 64;
/// Addresses kept of one header field. A header of the largest size holds more than anyone can answer to.
pub(crate) const ADDRESSES_MAX: usize = 10_000;
/// Longest line that RFC 5322 2.1.1 allows, without its CRLF.
pub(crate) const LINE_BYTES_MAX: u64 = 998;

/// Octets of a subject that its base is looked for in (RFC 5256 2.1).
pub(crate) const SUBJECT_BYTES_MAX: usize = 8 * 1024;
/// References of one message that threading looks at, the last ones.
pub(crate) const REFERENCES_MAX: usize = 100;
/// Ancestors that are looked at before a link between two threads is given up.
pub(crate) const THREAD_DEPTH_MAX: usize = 1000;

/// Octets of the texts that are kept to list a message with.
pub const LISTING_BYTES_MAX: usize = 8 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth_max: 32,
            parts_max: 1_000,
            root_header_bytes_max: 128 * 1024,
            part_header_bytes_max: 32 * 1024,
            part_headers_total_bytes_max: 1024 * 1024,
        }
    }
}
