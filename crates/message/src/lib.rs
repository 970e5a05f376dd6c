//! # message: the structure of an untrusted message, and delivery reports
//!
//! *Lives here:* [`Scanner`] (bytes in any pieces → [`Structure`]), MIME parts and IMAP section numbers, [`Envelope`],
//! [`Facts`] that acceptance judges, text for SEARCH, SORT and THREAD, transfer decoders, [`dsn`], trace header texts.
//! *Never enters:* sockets, files, clocks, house rules, and whole bodies: only header bytes within [`Limits`] are kept.
//! *Who may call:* `delivery`, `imap-server`, `web-api`, tests, fuzz targets.
//! *Serves:* RFC 5322, 2045–2047, 2183, 2231, 6532, 9051 6.4.5 and 7.5.2, 3464, 6522, 6533; spec mssante §1.8, §7.4, §7.6.
//!
//! **Invariants: the scanner never fails and never panics, flags instead ([`Damage`]); the same bytes give the same
//! structure however they are cut; a multipart always has children and a message part always has its message, so a
//! BODYSTRUCTURE can always be written; ranges nest and stay inside the message; nothing is ever rewritten.**

mod address;
mod codec;
mod decode;
pub mod dsn;
mod envelope;
mod facts;
mod fold;
pub mod header;
mod html;
mod limits;
pub mod listing;
mod mime;
mod raw;
mod scanner;
mod structure;
mod text;
mod threading;
mod trace;
pub mod words;

pub use codec::{MessageError, STRUCTURE_VERSION};
pub use decode::{Base64Decoder, QuotedPrintableDecoder, TransferDecoder};
pub use envelope::{Envelope, EnvelopeAddress};
pub use facts::{Facts, Mailbox, MssHeaders};
pub use fold::{contains_folded, fold_for_search};
pub use limits::Limits;
pub use listing::Listing;
pub use raw::Raw;
pub use scanner::Scanner;
pub use structure::{
    ContentType, Damage, Disposition, Encoding, Nested, Param, Part, Section, Structure,
};
pub use text::{SEARCH_TEXT_VERSION, Searchable, decode_text};
pub use threading::{BaseSubject, Threaded, Threads, base_subject, collation_key, message_ids};
pub use trace::{ReceivedTrace, received, return_path};
