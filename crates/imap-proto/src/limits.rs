//! Every bound of the grammar, by name.

/// Limits of one receiver. The defaults suit a server that strangers can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one command with its literals, before authentication.
    pub command_bytes_before_login_max: usize,
    /// Octets of one command with its literals, APPEND messages not counted.
    pub command_bytes_max: usize,
    /// Octets of one message given to APPEND.
    pub append_bytes_max: u64,
    /// Octets of a refused command that are read and thrown away before the connection is closed instead.
    pub drain_bytes_max: u64,
    /// The same, before authentication.
    pub drain_bytes_before_login_max: u64,
    /// Ranges in one sequence set.
    pub sequence_ranges_max: usize,
    /// Nesting of parentheses, NOT and OR in SEARCH.
    pub search_depth_max: usize,
    /// Keys in one SEARCH.
    pub search_keys_max: usize,
    /// Criteria in one SORT.
    pub sort_criteria_max: usize,
    /// Items in one FETCH.
    pub fetch_items_max: usize,
    /// Members of any other list: flags, patterns, header field names, ID pairs.
    pub list_members_max: usize,
    /// Depth of a section number such as `1.2.3`.
    pub section_depth_max: usize,
    /// Octets of a mailbox name, encoded.
    pub mailbox_bytes_max: usize,
    /// Octets of one keyword.
    pub keyword_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            command_bytes_before_login_max: 8 * 1024,
            command_bytes_max: 64 * 1024, // RFC 7162 4 asks for at least 8,192
            append_bytes_max: 36 * 1024 * 1024,
            drain_bytes_max: 64 * 1024 * 1024,
            drain_bytes_before_login_max: 64 * 1024,
            sequence_ranges_max: 8 * 1024,
            search_depth_max: 16,
            search_keys_max: 512,
            sort_criteria_max: 16,
            fetch_items_max: 64,
            list_members_max: 256,
            section_depth_max: 64,
            mailbox_bytes_max: 1024,
            keyword_bytes_max: 128,
        }
    }
}
