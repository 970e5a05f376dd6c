//! Bounds of the protocol room. Those that an operator may change are fields of the sessions' settings.

/// Command line, CRLF included (RFC 5321 4.5.3.1.4).
pub const COMMAND_LINE_BYTES_BASE: usize = 512;
/// What the extensions that we offer add to `MAIL` or `RCPT`: SIZE 26 (RFC 1870 3), 8BITMIME 17 (RFC 6152 2),
/// SMTPUTF8 10 (RFC 6531 3.4), DSN 500 for ORCPT and NOTIFY or 124 for RET and ENVID (RFC 3461 5), AUTH 500
/// (RFC 4954 3), MT-PRIORITY 15 (RFC 6710 4.1).
pub const COMMAND_LINE_BYTES_GROWTH: usize = 26 + 17 + 10 + 500 + 124 + 500 + 15;
/// Any command line but AUTH, CRLF included.
pub const COMMAND_LINE_BYTES_MAX: usize = COMMAND_LINE_BYTES_BASE + COMMAND_LINE_BYTES_GROWTH;
/// An AUTH line, or the client's answer to a challenge, CRLF included (RFC 4954 4).
pub const AUTH_LINE_BYTES_MAX: usize = 12_288;
/// A line that is too long is thrown away up to its CRLF; past this many octets the session ends.
pub const SKIPPED_LINE_BYTES_MAX: usize = 64 * 1024;
/// A body over its size is read on for this many octets, so that the client hears why; then the session ends.
pub const BODY_OVERRUN_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest name that a client may give in EHLO.
pub const HELLO_NAME_BYTES_MAX: usize = 255;
/// Longest ENVID, encoded (RFC 3461 4.4).
pub const ENVID_BYTES_MAX: usize = 100;
/// Longest ORCPT, encoded (RFC 3461 4.2).
pub const ORCPT_BYTES_MAX: usize = 500;
/// Longest line of a reply that the client side reads (RFC 5321 4.5.3.1.5 says 512; some peers say more).
pub const REPLY_LINE_BYTES_MAX: usize = 2048;
/// Most lines of one reply that the client side reads.
pub const REPLY_LINES_MAX: usize = 100;
/// Longest line that we write in a reply, CRLF included (RFC 5321 4.5.3.1.5).
pub const REPLY_LINE_BYTES_WRITTEN_MAX: usize = 512;
/// Replies of pipelined commands are gathered up to this many octets before they are sent.
pub const OUTPUT_BYTES_FLUSH: usize = 16 * 1024;
