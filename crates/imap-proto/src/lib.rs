//! # imap-proto: IMAP on the wire
//!
//! *Lives here:* framing of lines and literals, one grammar for IMAP4rev1 and IMAP4rev2 commands, the response
//! writer, modified UTF-7, sequence sets, LIST patterns, and which command is allowed in which session state.
//! *Never enters:* sockets, clocks, the store, message parsing. A message given to APPEND is passed on piece by
//! piece and never held.
//! *Who may call:* `imap-server`, test clients.
//! *Serves:* RFC 9051, RFC 3501 and their extensions; `imap-server/SUPPORT.md` has the list.
//!
//! **Invariant: bytes that belong to a literal are never read as a command, whatever is wrong with them.**

mod acl;
mod command;
mod date;
mod framing;
mod grammar;
mod limits;
mod mailbox;
mod metadata;
mod set;
mod state;
mod token;
mod utf7;
mod writer;

pub use acl::{AclCommand, QuotaCommand, RightsChange, RightsMode};
pub use command::{
    AppendHead, AppendMessage, BinaryPart, Command, FetchItem, FetchModifiers, FlagChange,
    HeaderFields, ListCommand, ListReturn, ListSelection, Partial, PartialRange, QResync, Replaced,
    SearchCommand, SearchKey, SearchReturn, Section, SectionText, SelectParameters, Selector,
    SortCommand, SortCriterion, SortKey, SpecialUse, StatusItem, StoreMode, Tagged,
    ThreadAlgorithm, ThreadCommand,
};
pub use date::{DateTime, Day};
pub use framing::{Event, Receiver};
pub use grammar::parse_command;
pub use limits::Limits;
pub use mailbox::{DELIMITER, Mailbox, Pattern};
pub use metadata::{Depth as MetadataDepth, Entry as MetadataEntry, MetadataCommand};
pub use set::{Ranges, SequenceSet};
pub use state::State;
pub use token::Bad;
pub use utf7::{decode_utf7, encode_utf7};
pub use writer::Writer;
