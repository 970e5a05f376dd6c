//! The criteria of SEARCH over a folder's rows: what the rows tell first, then headers, then decoded text.
//!
//! Every criterion is exact. The store's index says which messages may match; each of them is compared with its own
//! text, whatever was or was not indexed yet. Criteria that need more reading are asked last, and only where the
//! cheap ones left the answer open.

mod hunt;
#[cfg(test)]
mod tests;

pub(crate) use hunt::{Found, Hunt};

use crate::error::Failure;
use crate::selected::Selected;
use hunt::Seen;
use palombe_imap_proto::{Day, Ranges, SearchCommand, SearchKey, Selector, SequenceSet};
use palombe_message::{fold_for_search, words};
use palombe_store::{SearchField, SearchQuery};
use palombe_vocabulary::Timestamp;

/// A test of a row and its index.
type RowTest = Box<dyn Fn(usize, &Seen<'_>) -> bool + Send + Sync>;

/// A search key with its strings decoded and its sets resolved.
enum Key {
    And(Vec<Key>),
    Or(Box<(Key, Key)>),
    Not(Box<Key>),
    /// Decided by the row.
    Row(RowTest),
    /// Decided by the message.
    Leaf(Leaf),
}

/// A criterion that reads, and where the index's word on it stands.
struct Leaf {
    what: What,
    hint: Option<usize>,
}

/// What is compared with the message; texts are folded.
enum What {
    /// Decided by the header.
    Header {
        name: String,
        text: String,
    },
    /// Decided by where its octets are (RFC 8474 6).
    EmailId(String),
    SentBefore(Day),
    SentOn(Day),
    SentSince(Day),
    /// Decided by decoded text.
    Body(String),
    /// Header or body.
    Text(String),
}

/// What is searched for.
pub(crate) struct Criteria {
    key: Key,
    /// How many hints there are.
    leaves: usize,
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
        let mut compiler = Compiler { selected, now, latin1, leaves: 0, uses_modseq: false };
        let key = compiler.key(&command.key)?;
        Ok(Criteria { key, leaves: compiler.leaves, uses_modseq: compiler.uses_modseq })
    }

    pub(crate) fn uses_modseq(&self) -> bool {
        self.uses_modseq
    }
}

struct Compiler<'a> {
    selected: &'a Selected,
    now: Timestamp,
    latin1: bool,
    leaves: usize,
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
            SearchKey::Body(text) => {
                let text = self.text(text)?;
                self.leaf(What::Body(text))
            }
            SearchKey::Text(text) => {
                let text = self.text(text)?;
                self.leaf(What::Text(text))
            }
            SearchKey::SentBefore(day) => self.leaf(What::SentBefore(*day)),
            SearchKey::SentOn(day) => self.leaf(What::SentOn(*day)),
            SearchKey::SentSince(day) => self.leaf(What::SentSince(*day)),
            SearchKey::EmailId(id) => self.leaf(What::EmailId(id.clone())),
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

    /// A needle, folded.
    fn text(&self, bytes: &[u8]) -> Result<String, Failure> {
        if self.latin1 {
            let text: String = bytes.iter().map(|b| char::from(*b)).collect();
            return Ok(fold_for_search(&text));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Failure::Charset)?;
        Ok(fold_for_search(text))
    }

    fn leaf(&mut self, what: What) -> Key {
        self.leaves += 1;
        Key::Leaf(Leaf { what, hint: Some(self.leaves - 1) })
    }

    fn header(&mut self, name: &str, text: &[u8]) -> Result<Key, Failure> {
        let text = self.text(text)?;
        Ok(self.leaf(What::Header { name: name.to_owned(), text }))
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

/// Fields with a list of their own in the index.
const LISTS: &[(&str, SearchField)] = &[
    ("Subject", SearchField::Subject),
    ("From", SearchField::From),
    ("To", SearchField::To),
    ("Cc", SearchField::Cc),
    ("Bcc", SearchField::Bcc),
];

impl What {
    /// What the index is asked: every message that matches holds it.
    fn query(&self) -> SearchQuery {
        let holds = |field, text: &String| SearchQuery::Holds(field, text.clone());
        let any = |words: Vec<String>| {
            SearchQuery::Or(words.into_iter().map(SearchQuery::HasWord).collect())
        };
        match self {
            What::Header { name, text } => {
                let list = LISTS.iter().find(|(list, _)| list.eq_ignore_ascii_case(name));
                let list = list.map_or(SearchField::Header, |(_, list)| *list);
                let there = SearchQuery::HasWord(words::field(name));
                SearchQuery::And(vec![there, holds(list, text)])
            }
            What::EmailId(id) => SearchQuery::HasWord(words::email(id)),
            What::SentBefore(day) => any(words::sent_before(sent_day(*day))),
            What::SentOn(day) => SearchQuery::HasWord(words::whole_day(sent_day(*day))),
            What::SentSince(day) => any(words::sent_since(sent_day(*day))),
            What::Body(text) => holds(SearchField::Body, text),
            What::Text(text) => SearchQuery::Or(vec![
                holds(SearchField::Header, text),
                holds(SearchField::Body, text),
            ]),
        }
    }
}

fn sent_day(day: Day) -> words::SentDay {
    let (year, month, day) = day.parts();
    (year.unsigned_abs(), month.unsigned_abs(), day.unsigned_abs())
}

impl Key {
    /// 0: rows only; 1: headers; 2: text.
    fn cost(&self) -> u8 {
        match self {
            Key::Row(_) => 0,
            Key::Leaf(leaf) => match leaf.what {
                What::Body(_) | What::Text(_) => 2,
                _ => 1,
            },
            Key::And(keys) => keys.iter().map(Key::cost).max().unwrap_or(0),
            Key::Or(pair) => pair.0.cost().max(pair.1.cost()),
            Key::Not(key) => key.cost(),
        }
    }

    /// What every match holds. That a message may hold something says nothing on its not holding it.
    fn bound(&self) -> SearchQuery {
        match self {
            Key::Row(_) | Key::Not(_) => SearchQuery::Anything,
            Key::Leaf(leaf) => leaf.what.query(),
            Key::And(keys) => {
                let bounds = keys.iter().map(Key::bound);
                let known: Vec<SearchQuery> =
                    bounds.filter(|bound| *bound != SearchQuery::Anything).collect();
                if known.is_empty() { SearchQuery::Anything } else { SearchQuery::And(known) }
            }
            Key::Or(pair) => match (pair.0.bound(), pair.1.bound()) {
                (SearchQuery::Anything, _) | (_, SearchQuery::Anything) => SearchQuery::Anything,
                (a, b) => SearchQuery::Or(vec![a, b]),
            },
        }
    }

    /// Each leaf, and whether the bound of the whole leaves it open.
    fn each_leaf(&self, open: bool, visit: &mut impl FnMut(&Leaf, bool)) {
        match self {
            Key::Row(_) => {}
            Key::Leaf(leaf) => visit(leaf, open),
            Key::And(keys) => keys.iter().for_each(|key| key.each_leaf(open, visit)),
            Key::Or(pair) => {
                pair.0.each_leaf(open, visit);
                pair.1.each_leaf(open, visit);
            }
            Key::Not(key) => key.each_leaf(true, visit),
        }
    }
}
