//! The sender's side: reading replies, writing commands and bodies.
//!
//! A sender writes commands into a buffer, several at once where the peer said PIPELINING, and asks
//! [`ReplyReader`] for one reply each, in order. After the reply to STARTTLS it checks [`ReplyReader::is_empty`]
//! before the handshake (RFC 3207 6, the client's half of CVE-2011-0411) and begins with a new reader.

mod capabilities;
mod reply_reader;
mod write;

pub use capabilities::Capabilities;
pub use reply_reader::{ReplyError, ReplyReader};
pub use write::{
    DotStuffer, MailCommandOut, NotAHelloName, RcptCommandOut, write_bdat, write_data, write_ehlo,
    write_helo, write_mail, write_noop, write_quit, write_rcpt, write_rset, write_starttls,
};
