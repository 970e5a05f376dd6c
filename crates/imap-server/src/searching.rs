//! The criteria of SEARCH over a folder's rows: what the rows tell first, then headers, then decoded text.
//!
//! Every criterion is exact. Those that need more reading are asked last, and only where the cheap ones left the
//! answer open; issue 3 puts an index in front of the last kind.

use crate::error::Failure;
use crate::fetch::{Source, read_range};
use crate::limits::{SEARCH_PART_BYTES_MAX, SEARCH_SLICE};
use crate::rows::{Row, Rows};
use crate::selected::Selected;
use palombe_imap_proto::{Day, Ranges, SearchCommand, SearchKey, Selector, SequenceSet};
use palombe_message::{contains_folded, decode_text, fold_for_search, header};
use palombe_store::Store;
use palombe_vocabulary::{BalId, FolderId, Timestamp};
use std::cell::OnceCell;
use std::time::Instant;

/// A row as this session sees it.
struct Seen<'a> {
    row: Row<'a>,
    recent: bool,
}

/// A test of a row and its index.
type RowTest = Box<dyn Fn(usize, &Seen<'_>) -> bool + Send + Sync>;

/// A search key with its strings decoded and its sets resolved.
enum Key {
    And(Vec<Key>),
    Or(Box<(Key, Key)>),
    Not(Box<Key>),
    /// Decided by the row.
    Row(RowTest),
    /// Decided by the header: field name, or `None` for any; text.
    Header {
        name: String,
        text: String,
    },
    /// Decided by the message's rows (RFC 8474 6).
    EmailId(String),
    SentBefore(Day),
    SentOn(Day),
    SentSince(Day),
    /// Decided by decoded text: folded.
    Body(String),
    /// Header or body.
    Text {
        raw: String,
        folded: String,
    },
}

/// What is searched for.
pub(crate) struct Criteria {
    key: Key,
    uses_modseq: bool,
}

impl Criteria {
    pub(crate) fn compile(
        command: &SearchCommand,
        selected: &Selected,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let latin1 = match command.charset.as_deref() {
            None | Some("UTF-8" | "US-ASCII") => false,
            Some("ISO-8859-1") => true,
            Some(_) => return Err(Failure::Charset),
        };
        let mut compiler = Compiler { selected, now, latin1, uses_modseq: false };
        let key = compiler.key(&command.key)?;
        Ok(Criteria { key, uses_modseq: compiler.uses_modseq })
    }

    pub(crate) fn uses_modseq(&self) -> bool {
        self.uses_modseq
    }
}

struct Compiler<'a> {
    selected: &'a Selected,
    now: Timestamp,
    latin1: bool,
    uses_modseq: bool,
}

fn row(test: impl Fn(usize, &Seen<'_>) -> bool + Send + Sync + 'static) -> Key {
    Key::Row(Box::new(test))
}

impl Compiler<'_> {
    fn key(&mut self, key: &SearchKey) -> Result<Key, Failure> {
        Ok(match key {
            SearchKey::And(keys) => {
                let mut keys: Vec<Key> =
                    keys.iter().map(|key| self.key(key)).collect::<Result<_, _>>()?;
                keys.sort_by_key(Key::cost);
                Key::And(keys)
            }
            SearchKey::Or(pair) => {
                let (a, b) = (self.key(&pair.0)?, self.key(&pair.1)?);
                Key::Or(Box::new(if a.cost() <= b.cost() { (a, b) } else { (b, a) }))
            }
            SearchKey::Not(key) => Key::Not(Box::new(self.key(key)?)),
            SearchKey::Bcc(text) => self.header("Bcc", text)?,
            SearchKey::Cc(text) => self.header("Cc", text)?,
            SearchKey::From(text) => self.header("From", text)?,
            SearchKey::To(text) => self.header("To", text)?,
            SearchKey::Subject(text) => self.header("Subject", text)?,
            SearchKey::Header(name, text) => self.header(name, text)?,
            SearchKey::Body(text) => Key::Body(fold_for_search(&self.text(text)?)),
            SearchKey::Text(text) => {
                let raw = self.text(text)?;
                Key::Text { folded: fold_for_search(&raw), raw }
            }
            SearchKey::SentBefore(day) => Key::SentBefore(*day),
            SearchKey::SentOn(day) => Key::SentOn(*day),
            SearchKey::SentSince(day) => Key::SentSince(*day),
            SearchKey::EmailId(id) => Key::EmailId(id.clone()),
            SearchKey::Sequence(set) => self.set(set, Selector::Sequence)?,
            SearchKey::Uid(set) => self.set(set, Selector::Uid)?,
            SearchKey::ModSeq(since) => {
                self.uses_modseq = true;
                let since = *since;
                row(move |_, row| row.row.modseq().0 >= since)
            }
            other => self.row_key(other),
        })
    }

    fn row_key(&self, key: &SearchKey) -> Key {
        let now = self.now;
        match key {
            SearchKey::Answered => row(|_, row| row.row.answered()),
            SearchKey::Deleted => row(|_, row| row.row.deleted()),
            SearchKey::Draft => row(|_, row| row.row.draft()),
            SearchKey::Flagged => row(|_, row| row.row.flagged()),
            SearchKey::Seen => row(|_, row| row.row.seen()),
            SearchKey::Recent => row(|_, row| row.recent),
            SearchKey::Old => row(|_, row| !row.recent),
            SearchKey::New => row(|_, row| row.recent && !row.row.seen()),
            SearchKey::Keyword(word) => {
                let word = word.clone();
                row(move |_, row| row.row.keywords().iter().any(|k| k.eq_ignore_ascii_case(&word)))
            }
            SearchKey::Before(day) => day_key(*day, |date, day| date < day),
            SearchKey::On(day) => day_key(*day, |date, day| date == day),
            SearchKey::Since(day) => day_key(*day, |date, day| date >= day),
            SearchKey::Larger(size) => {
                let size = *size;
                row(move |_, row| row.row.size() > size)
            }
            SearchKey::Smaller(size) => {
                let size = *size;
                row(move |_, row| row.row.size() < size)
            }
            // RFC 5032 2: seconds before now.
            SearchKey::Older(secs) => {
                let border = now.plus_secs(-i64::try_from(*secs).unwrap_or(i64::MAX));
                row(move |_, row| row.row.internal_date() <= border)
            }
            SearchKey::Younger(secs) => {
                let border = now.plus_secs(-i64::try_from(*secs).unwrap_or(i64::MAX));
                row(move |_, row| row.row.internal_date() >= border)
            }
            // RFC 8514 4.3
            SearchKey::SavedBefore(day) => saved_key(*day, |date, day| date < day),
            SearchKey::SavedOn(day) => saved_key(*day, |date, day| date == day),
            SearchKey::SavedSince(day) => saved_key(*day, |date, day| date >= day),
            // RFC 8474 6: nothing has a thread identifier here.
            SearchKey::ThreadId(_) => row(|_, _| false),
            // ALL and SAVEDATESUPPORTED
            _ => row(|_, _| true),
        }
    }

    fn text(&self, bytes: &[u8]) -> Result<String, Failure> {
        if self.latin1 {
            return Ok(bytes.iter().map(|b| char::from(*b)).collect());
        }
        String::from_utf8(bytes.to_vec()).map_err(|_| Failure::Charset)
    }

    fn header(&self, name: &str, text: &[u8]) -> Result<Key, Failure> {
        Ok(Key::Header { name: name.to_owned(), text: self.text(text)? })
    }

    fn set(&self, set: &SequenceSet, by: Selector) -> Result<Key, Failure> {
        // A sequence number that is not there matches nothing: clients search what they believe to exist.
        let rows = self.selected.rows();
        if *set == SequenceSet::Saved {
            let saved = self.selected.saved();
            return Ok(row(move |_, row| saved.contains(row.row.uid().0)));
        }
        let last_number = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let last_uid = rows.last_uid();
        let ranges: Ranges = set.ranges(if by == Selector::Uid { last_uid } else { last_number });
        Ok(match by {
            Selector::Uid => row(move |_, row| ranges.contains(row.row.uid().0)),
            Selector::Sequence => {
                row(move |index, _| u32::try_from(index + 1).is_ok_and(|n| ranges.contains(n)))
            }
        })
    }
}

fn saved_key(day: Day, test: fn(Day, Day) -> bool) -> Key {
    row(move |_, row| Day::of(row.row.saved_at()).is_some_and(|date| test(date, day)))
}

fn day_key(day: Day, test: fn(Day, Day) -> bool) -> Key {
    row(move |_, row| Day::of(row.row.internal_date()).is_some_and(|date| test(date, day)))
}

impl Key {
    /// 0: rows only; 1: headers; 2: text.
    fn cost(&self) -> u8 {
        match self {
            Key::Row(_) => 0,
            Key::Header { .. }
            | Key::EmailId(_)
            | Key::SentBefore(_)
            | Key::SentOn(_)
            | Key::SentSince(_) => 1,
            Key::Body(_) | Key::Text { .. } => 2,
            Key::And(keys) => keys.iter().map(Key::cost).max().unwrap_or(0),
            Key::Or(pair) => pair.0.cost().max(pair.1.cost()),
            Key::Not(key) => key.cost(),
        }
    }

    fn matches(&self, message: &Message<'_>) -> Result<bool, Failure> {
        Ok(match self {
            Key::And(keys) => {
                for key in keys {
                    if !key.matches(message)? {
                        return Ok(false);
                    }
                }
                true
            }
            Key::Or(pair) => pair.0.matches(message)? || pair.1.matches(message)?,
            Key::Not(key) => !key.matches(message)?,
            Key::Row(test) => test(message.index, &message.row),
            Key::Header { name, text } => header::search(message.header()?, name, text),
            Key::EmailId(id) => {
                message.source()?.is_some_and(|(source, _)| source.stored.email_id == *id)
            }
            Key::SentBefore(day) => message.sent()?.is_some_and(|sent| sent < *day),
            Key::SentOn(day) => message.sent()?.is_some_and(|sent| sent == *day),
            Key::SentSince(day) => message.sent()?.is_some_and(|sent| sent >= *day),
            Key::Body(folded) => message.body_holds(folded)?,
            Key::Text { raw, folded } => {
                header::search_any(message.header()?, raw) || message.body_holds(folded)?
            }
        })
    }
}

/// One message under examination; read as far as the criteria ask.
struct Message<'a> {
    store: Option<(&'a Store, BalId, FolderId)>,
    index: usize,
    row: Seen<'a>,
    source: OnceCell<Option<(Source, Vec<u8>)>>,
}

impl Message<'_> {
    /// `None`: expunged meanwhile.
    fn source(&self) -> Result<Option<&(Source, Vec<u8>)>, Failure> {
        if let Some(source) = self.source.get() {
            return Ok(source.as_ref());
        }
        let Some((store, bal, folder)) = self.store else { return Ok(None) };
        let source = match store.message(bal, folder, self.row.row.uid())? {
            None => None,
            Some(stored) => {
                let source = Source::open(store, stored)?;
                let header = source.header(store)?;
                Some((source, header))
            }
        };
        Ok(self.source.get_or_init(|| source).as_ref())
    }

    fn header(&self) -> Result<&[u8], Failure> {
        Ok(self.source()?.map_or(&[], |(_, header)| header))
    }

    /// The day of the Date header, as written there (RFC 9051 6.4.4).
    fn sent(&self) -> Result<Option<Day>, Failure> {
        let date = header::first(self.header()?, "Date");
        Ok(date.and_then(|field| header::decode_date(field.value)).and_then(Day::of))
    }

    /// Every text part, decoded, one at a time.
    fn body_holds(&self, folded: &str) -> Result<bool, Failure> {
        let (Some((source, _)), Some((store, ..))) = (self.source()?, self.store) else {
            return Ok(false);
        };
        if folded.is_empty() {
            return Ok(true);
        }
        for part in source.structure.walk() {
            // Headers of nested messages are text of the body (RFC 9051 6.4.4 leaves it open; people expect it).
            if let Some(nested) = &part.message {
                let header = &nested.root.header;
                let end = header.end.min(header.start + SEARCH_PART_BYTES_MAX);
                let bytes = read_range(store, &source.stored.digest, header.start..end)?;
                if header::search_any(&bytes, folded) {
                    return Ok(true);
                }
            }
            if part.is_text() {
                let end = part.body.end.min(part.body.start + SEARCH_PART_BYTES_MAX);
                let bytes = read_range(store, &source.stored.digest, part.body.start..end)?;
                if contains_folded(&decode_text(part, &bytes), folded) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// What was found: indexes, ascending.
pub(crate) struct Found {
    pub(crate) indexes: Vec<usize>,
    /// A message was gone already.
    pub(crate) expunged: bool,
}

/// A search on its way.
pub(crate) struct Hunt {
    bal: BalId,
    folder: FolderId,
    rows: Rows,
    criteria: Criteria,
    at: usize,
    found: Found,
}

impl Hunt {
    pub(crate) fn new(bal: BalId, folder: FolderId, rows: Rows, criteria: Criteria) -> Self {
        let found = Found { indexes: Vec::new(), expunged: false };
        Hunt { bal, folder, rows, criteria, at: 0, found }
    }

    pub(crate) fn needs_no_store(&self) -> bool {
        self.criteria.key.cost() == 0
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.rows.len()
    }

    pub(crate) fn into_found(self) -> Found {
        self.found
    }

    /// All of it: only rows are read, so nothing can fail.
    pub(crate) fn run_in_memory(&mut self) {
        while !self.is_done() {
            if self.examine(None).is_err() {
                return;
            }
        }
    }

    /// For a while.
    pub(crate) fn run_slice(&mut self, store: &Store) -> Result<(), Failure> {
        let began = Instant::now();
        while !self.is_done() && began.elapsed() < SEARCH_SLICE {
            self.examine(Some(store))?;
        }
        Ok(())
    }

    fn examine(&mut self, store: Option<&Store>) -> Result<(), Failure> {
        let index = self.at;
        self.at += 1;
        let Some(row) = self.rows.get(index) else { return Ok(()) };
        if row.is_hollow() {
            self.found.expunged = true;
            return Ok(());
        }
        let row = Seen { recent: self.rows.is_recent(&row), row };
        let message = Message {
            store: store.map(|store| (store, self.bal, self.folder)),
            index,
            row,
            source: OnceCell::new(),
        };
        let matches = self.criteria.key.matches(&message)?;
        if matches!(message.source.get(), Some(None)) && store.is_some() {
            self.found.expunged = true;
        } else if matches {
            self.found.indexes.push(index);
        }
        Ok(())
    }
}
