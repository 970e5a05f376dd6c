//! What a client may ask. A value of these types came out of the grammar and is within its limits.

use crate::{DateTime, Day, Mailbox, Pattern, SequenceSet};
use palombe_vocabulary::Secret;

/// A command with the tag that its completion carries.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The client's tag.
    pub tag: String,
    /// The command.
    pub command: Command,
}

/// RFC 9051 6 and RFC 3501 6, without APPEND: see [`AppendHead`].
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the names are the RFC's own
pub enum Command {
    Capability,
    Noop,
    Logout,
    StartTls,
    /// The mechanism in upper case; the initial response decoded from base64 (RFC 4959).
    Authenticate {
        mechanism: String,
        initial: Option<Secret<Vec<u8>>>,
    },
    Login {
        user: String,
        password: Secret<String>,
    },
    /// Capability names in upper case (RFC 5161).
    Enable(Vec<String>),
    Select {
        mailbox: Mailbox,
        parameters: SelectParameters,
    },
    Examine {
        mailbox: Mailbox,
        parameters: SelectParameters,
    },
    /// With `USE` of RFC 6154.
    Create {
        mailbox: Mailbox,
        uses: Vec<SpecialUse>,
    },
    Delete(Mailbox),
    Rename {
        from: Mailbox,
        to: Mailbox,
    },
    Subscribe(Mailbox),
    Unsubscribe(Mailbox),
    List(ListCommand),
    Lsub {
        reference: String,
        pattern: Pattern,
    },
    Namespace,
    Status {
        mailbox: Mailbox,
        items: Vec<StatusItem>,
    },
    Idle,
    Check,
    Close,
    Unselect,
    Expunge,
    /// RFC 4315.
    UidExpunge(SequenceSet),
    Search(SearchCommand),
    Fetch {
        by: Selector,
        set: SequenceSet,
        items: Vec<FetchItem>,
        modifiers: FetchModifiers,
    },
    Store {
        by: Selector,
        set: SequenceSet,
        change: FlagChange,
        /// RFC 7162 3.1.3.
        unchanged_since: Option<u64>,
    },
    Copy {
        by: Selector,
        set: SequenceSet,
        to: Mailbox,
    },
    /// RFC 6851.
    Move {
        by: Selector,
        set: SequenceSet,
        to: Mailbox,
    },
    /// RFC 4314.
    Acl(crate::AclCommand),
    /// RFC 9208.
    Quota(crate::QuotaCommand),
    /// RFC 5464.
    Metadata(crate::MetadataCommand),
    /// RFC 2971. What the client says of itself is untrusted text.
    Id(Vec<(String, Option<String>)>),
    /// RFC 5256 and RFC 5267 3.
    Sort(SortCommand),
    /// RFC 5256.
    Thread(ThreadCommand),
    /// RFC 4978, always DEFLATE.
    Compress,
    /// RFC 8437.
    Unauthenticate,
}

impl Command {
    /// Whether a message is named by its sequence number anywhere in it (RFC 9586 3).
    pub fn uses_sequence_numbers(&self) -> bool {
        let search = |search: &SearchCommand| {
            search.by == Selector::Sequence || search.key.uses_sequence_numbers()
        };
        match self {
            Command::Fetch { by, .. }
            | Command::Store { by, .. }
            | Command::Copy { by, .. }
            | Command::Move { by, .. } => *by == Selector::Sequence,
            Command::Search(command) => search(command),
            Command::Sort(command) => search(&command.search),
            Command::Thread(command) => search(&command.search),
            _ => false,
        }
    }
}

impl SearchKey {
    /// The grammar bounds the depth.
    fn uses_sequence_numbers(&self) -> bool {
        match self {
            SearchKey::And(keys) => keys.iter().any(SearchKey::uses_sequence_numbers),
            SearchKey::Or(pair) => pair.0.uses_sequence_numbers() || pair.1.uses_sequence_numbers(),
            SearchKey::Not(key) => key.uses_sequence_numbers(),
            SearchKey::Sequence(set) => *set != SequenceSet::Saved,
            _ => false,
        }
    }
}

/// Whether numbers in a set are message sequence numbers or UIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Message sequence numbers.
    Sequence,
    /// Unique identifiers: the command began with `UID`.
    Uid,
}

/// Parameters of SELECT and EXAMINE (RFC 4466 2.1, RFC 7162 3.1.8 and 3.2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectParameters {
    /// `(CONDSTORE)`.
    pub condstore: bool,
    /// `(QRESYNC (…))`.
    pub qresync: Option<QResync>,
}

/// What the client knows of the folder (RFC 7162 3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QResync {
    /// The UIDVALIDITY that its knowledge belongs to.
    pub uid_validity: u32,
    /// The last mod-sequence that it saw; not zero.
    pub modseq: u64,
    /// The UIDs that it knows; `None` for all.
    pub known_uids: Option<SequenceSet>,
    /// Sequence numbers and the UIDs that it believes them to have.
    pub sample: Option<(SequenceSet, SequenceSet)>,
}

/// What stands behind the items of a FETCH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchModifiers {
    /// RFC 7162 3.1.4.1.
    pub changed_since: Option<u64>,
    /// RFC 7162 3.2.6; only with UID FETCH and `changed_since`.
    pub vanished: bool,
    /// RFC 9394 3.3; only with UID FETCH.
    pub partial: Option<PartialRange>,
}

/// A range of results, counted from the first or from the last (RFC 9394 3.1). As written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// `-1:-100`: 1 is the last result.
    pub from_end: bool,
    /// The two numbers; none is zero, and either may be the greater one.
    pub bounds: (u32, u32),
}

impl PartialRange {
    /// Where in a list of `count` results the range lies.
    pub fn within(&self, count: usize) -> std::ops::Range<usize> {
        let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let (a, b) = (place(self.bounds.0), place(self.bounds.1));
        let (first, last) = (a.min(b).saturating_sub(1).min(count), a.max(b).min(count));
        if self.from_end { count - last..count - first } else { first..last }
    }
}

/// `1:500` or `-1:-100`.
impl std::fmt::Display for PartialRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.bounds.0, self.bounds.1)
    }
}

/// Everything of an APPEND or a REPLACE before its first message (RFC 9051 6.3.12, RFC 8508).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendHead {
    /// The command's tag.
    pub tag: String,
    /// The folder.
    pub mailbox: Mailbox,
    /// The message that it takes the place of; `None` for APPEND.
    pub replaces: Option<Replaced>,
    /// The first message.
    pub message: AppendMessage,
}

/// The message that a REPLACE removes (RFC 8508 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// How it is named.
    pub by: Selector,
    /// Its number; `None` for `*`.
    pub number: Option<u32>,
}

/// Everything that stands before one message of an APPEND (RFC 9051 6.3.12, RFC 3502).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendMessage {
    /// Flags as written, without `\Recent`.
    pub flags: Vec<String>,
    /// The internal date asked for.
    pub date: Option<DateTime>,
    /// Octets of the message that follows.
    pub size: u64,
    /// Whether the client waits for a continuation before it sends the message.
    pub waits: bool,
    /// `~{n}`: NUL may stand in it (RFC 3516 4.4).
    pub literal8: bool,
    /// `UTF8 (~{n}…)` (RFC 6855 4).
    pub utf8: bool,
}

/// RFC 6154 2 (and the `\Important` of RFC 8457 left out: no folder of ours bears it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SpecialUse {
    All,
    Archive,
    Drafts,
    Flagged,
    Junk,
    Sent,
    Trash,
}

impl SpecialUse {
    /// The attribute as LIST writes it.
    pub fn attribute(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }

    pub(crate) fn from_attribute(name: &str) -> Option<Self> {
        use SpecialUse::*;
        [All, Archive, Drafts, Flagged, Junk, Sent, Trash]
            .into_iter()
            .find(|u| u.attribute().eq_ignore_ascii_case(name))
    }
}

/// LIST in all its forms (RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154).
#[derive(Clone, Debug, Default)]
pub struct ListCommand {
    /// Which folders.
    pub selection: ListSelection,
    /// The reference name, put in front of each pattern.
    pub reference: String,
    /// At least one.
    pub patterns: Vec<Pattern>,
    /// What to say of each.
    pub returns: ListReturn,
    /// Whether the extended syntax was used.
    pub extended: bool,
}

/// RFC 5258 3.1 and RFC 6154 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ListSelection {
    pub subscribed: bool,
    pub remote: bool,
    pub recursive_match: bool,
    pub special_use: bool,
}

/// RFC 5258 3.2, RFC 5819, RFC 6154 4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ListReturn {
    pub subscribed: bool,
    pub children: bool,
    pub special_use: bool,
    /// RFC 8440.
    pub my_rights: bool,
    pub status: Vec<StatusItem>,
}

/// RFC 9051 6.3.11, RFC 3501 6.3.10, RFC 7162 3.1.7, RFC 8438.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    HighestModSeq,
    /// RFC 9208 4.1.4
    DeletedStorage,
    /// RFC 7889.
    AppendLimit,
    /// RFC 8474.
    MailboxId,
}

/// RFC 9051 6.4.5, RFC 3516, RFC 7162.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FetchItem {
    /// BODY without section: BODYSTRUCTURE without extension data.
    Body,
    BodyStructure,
    Envelope,
    Flags,
    InternalDate,
    ModSeq,
    Rfc822,
    Rfc822Header,
    Rfc822Size,
    Rfc822Text,
    Uid,
    Section {
        section: Section,
        partial: Option<Partial>,
        peek: bool,
    },
    Binary(BinaryPart),
    BinarySize {
        part: Vec<u32>,
    },
    /// RFC 8474 5.1.
    EmailId,
    /// RFC 8474 5.2.
    ThreadId,
    /// RFC 8514.
    SaveDate,
    /// RFC 8970.
    Preview {
        lazy: bool,
    },
}

/// `BINARY[1.2]<0.100>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryPart {
    /// Section number; empty for the whole message.
    pub part: Vec<u32>,
    /// Octets of the decoded part.
    pub partial: Option<Partial>,
    /// `BINARY.PEEK`.
    pub peek: bool,
}

/// What stands between the brackets of `BODY[…]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Section number; empty for the message itself.
    pub part: Vec<u32>,
    /// The specifier after the number.
    pub text: Option<SectionText>,
}

/// RFC 9051 6.4.5.1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SectionText {
    Header,
    HeaderFields(HeaderFields),
    Text,
    Mime,
}

/// `HEADER.FIELDS` and `HEADER.FIELDS.NOT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// Field names as the client wrote them.
    pub names: Vec<String>,
    /// All fields but these.
    pub not: bool,
}

/// `<offset.length>`, 63-bit as RFC 9051 4.2 wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Partial {
    pub offset: u64,
    pub length: u64,
}

/// The flags of a STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagChange {
    /// How.
    pub mode: StoreMode,
    /// Flags as written, without `\Recent`.
    pub flags: Vec<String>,
    /// `.SILENT`.
    pub silent: bool,
}

/// RFC 9051 6.4.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StoreMode {
    Replace,
    Add,
    Remove,
}

/// SEARCH with its options (RFC 9051 6.4.4, RFC 4731, RFC 5182).
#[derive(Clone, Debug)]
pub struct SearchCommand {
    /// UID SEARCH.
    pub by: Selector,
    /// `None`: no RETURN, answer as RFC 3501 unless rev2 is enabled.
    pub returns: Option<SearchReturn>,
    /// Charset as written; `None` means US-ASCII or UTF-8.
    pub charset: Option<String>,
    /// The criteria.
    pub key: SearchKey,
}

/// RFC 4731 3.1 and RFC 5182 2.1. All false: `RETURN ()`, which means ALL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
    /// RFC 9394 3.1; never together with `all`.
    pub partial: Option<PartialRange>,
}

/// SORT: a SEARCH whose results come in an order (RFC 5256).
#[derive(Clone, Debug)]
pub struct SortCommand {
    /// At least one.
    pub order: Vec<SortCriterion>,
    /// What is searched for, and the form of the answer.
    pub search: SearchCommand,
}

/// RFC 5256, `sort-criterion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// What is compared.
    pub key: SortKey,
    /// Descending.
    pub reverse: bool,
}

/// RFC 5256, `sort-key`, and RFC 5957 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SortKey {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
    DisplayFrom,
    DisplayTo,
}

/// THREAD: a SEARCH whose results come as trees (RFC 5256).
#[derive(Clone, Debug)]
pub struct ThreadCommand {
    /// How they are made.
    pub algorithm: ThreadAlgorithm,
    /// What is searched for; it has no return options.
    pub search: SearchCommand,
}

/// RFC 5256, `thread-alg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ThreadAlgorithm {
    OrderedSubject,
    References,
}

/// RFC 9051 6.4.4 and RFC 3501 6.4.4. Strings are the client's bytes, still in the charset of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SearchKey {
    And(Vec<SearchKey>),
    Or(Box<(SearchKey, SearchKey)>),
    Not(Box<SearchKey>),
    All,
    Answered,
    Deleted,
    Draft,
    Flagged,
    Seen,
    New,
    Old,
    Recent,
    Keyword(String),
    Bcc(Vec<u8>),
    Body(Vec<u8>),
    Cc(Vec<u8>),
    From(Vec<u8>),
    Header(String, Vec<u8>),
    Subject(Vec<u8>),
    Text(Vec<u8>),
    To(Vec<u8>),
    Before(Day),
    On(Day),
    Since(Day),
    SentBefore(Day),
    SentOn(Day),
    SentSince(Day),
    Larger(u64),
    Smaller(u64),
    /// RFC 5032 and RFC 9051: seconds.
    Older(u64),
    Younger(u64),
    Sequence(SequenceSet),
    Uid(SequenceSet),
    ModSeq(u64),
    /// RFC 8514 4.3.
    SavedBefore(Day),
    SavedOn(Day),
    SavedSince(Day),
    SaveDateSupported,
    /// RFC 8474 6.
    EmailId(String),
    ThreadId(String),
}
