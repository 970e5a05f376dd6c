//! What SORT and THREAD compare (RFC 5256): read from the folder's rows and from the headers kept with a message's
//! structure, never from bodies.

use crate::error::Failure;
use crate::fetch::{Source, Stored};
use crate::limits::{
    ORDER_BYTES_MAX, ORDER_KEY_BYTES_MAX, ORDER_MESSAGES_MAX, SEARCH_SLICE, TOGETHER_MAX,
};
use crate::rows::{Row, Rows};
use palombe_imap_proto::{SortCriterion, SortKey};
use palombe_message::{
    EnvelopeAddress, Raw, Threaded, base_subject, collation_key, header, message_ids,
};
use palombe_store::{BlobDigest, Store};
use palombe_vocabulary::{BalId, FolderId, Timestamp, Uid};
use std::cmp::Ordering;
use std::time::Instant;

/// One thing that messages are ordered by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Time(Timestamp),
    Size(u64),
    /// A collation key.
    Text(Vec<u8>),
}

/// What is kept of each message, and how large it is.
pub(crate) trait Key: Sized + Send {
    fn octets(&self) -> usize;
}

impl Key for Vec<Value> {
    fn octets(&self) -> usize {
        let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        self.iter().map(|value| size_of::<Value>() + text(value)).sum()
    }
}

impl Key for Threaded {
    fn octets(&self) -> usize {
        let ids = self.references.iter().chain(&self.id);
        size_of::<Threaded>() + self.subject.len() + ids.map(|id| id.len() + 64).sum::<usize>()
    }
}

/// The keys of the messages that were found, on their way.
pub(crate) struct Gather<K> {
    folder: (BalId, FolderId),
    rows: Rows,
    indexes: Vec<usize>,
    at: usize,
    octets: usize,
    /// Index and key of each message that is still there, in the order of the folder.
    pub(crate) kept: Vec<(usize, K)>,
    /// A message was gone already.
    pub(crate) expunged: bool,
}

impl<K: Key> Gather<K> {
    pub(crate) fn new(
        folder: (BalId, FolderId),
        rows: Rows,
        indexes: Vec<usize>,
    ) -> Result<Self, Failure> {
        if indexes.len() > ORDER_MESSAGES_MAX {
            return Err(Failure::TooManyToOrder);
        }
        Ok(Gather { folder, rows, indexes, at: 0, octets: 0, kept: Vec::new(), expunged: false })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.indexes.len()
    }

    /// For a while.
    pub(crate) fn run_slice(
        &mut self,
        store: &Store,
        read: impl Fn(&Row<'_>, &Source) -> K,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while !self.is_done() && began.elapsed() < SEARCH_SLICE {
            self.some(store, &read)?;
        }
        Ok(())
    }

    /// The next messages, read together.
    fn some(
        &mut self,
        store: &Store,
        read: &impl Fn(&Row<'_>, &Source) -> K,
    ) -> Result<(), Failure> {
        let until = self.indexes.len().min(self.at + TOGETHER_MAX);
        let indexes = self.indexes[self.at..until].to_vec();
        self.at = until;
        let uids: Vec<Uid> = indexes.iter().map(|index| Uid(self.rows.uid(*index))).collect();
        let mut found = Vec::with_capacity(uids.len());
        store.bodies(self.folder.0, self.folder.1, &uids, &mut |body| {
            found.push(Stored::from(body));
            true
        })?;
        let digests: Vec<BlobDigest> = found.iter().map(|stored| stored.digest).collect();
        let mut found = found.into_iter().zip(store.structures(&digests)?).peekable();
        let rows = self.rows.clone();
        for index in indexes {
            let Some(row) = rows.get(index) else { continue };
            match found.next_if(|(stored, _)| stored.uid == row.uid()) {
                Some((stored, encoded)) => {
                    self.keep(index, read(&row, &Source::decode(stored, &encoded)?))?;
                }
                None => self.expunged = true,
            }
        }
        Ok(())
    }

    /// All of it, from rows alone.
    pub(crate) fn run_in_memory(&mut self, read: impl Fn(&Row<'_>) -> K) -> Result<(), Failure> {
        while !self.is_done() {
            let index = self.indexes[self.at];
            self.at += 1;
            let Some(row) = self.rows.get(index) else { continue };
            let key = read(&row);
            self.keep(index, key)?;
        }
        Ok(())
    }

    fn keep(&mut self, index: usize, key: K) -> Result<(), Failure> {
        self.octets += key.octets();
        if self.octets > ORDER_BYTES_MAX {
            return Err(Failure::TooManyToOrder);
        }
        self.kept.push((index, key));
        Ok(())
    }
}

/// Whether the folder's rows say enough.
pub(crate) fn needs_no_store(order: &[SortCriterion]) -> bool {
    order.iter().all(|criterion| matches!(criterion.key, SortKey::Arrival | SortKey::Size))
}

/// Of a row alone; other criteria are left out.
pub(crate) fn row_values(order: &[SortCriterion], row: &Row<'_>) -> Vec<Value> {
    order.iter().filter_map(|criterion| row_value(criterion.key, row)).collect()
}

fn row_value(key: SortKey, row: &Row<'_>) -> Option<Value> {
    match key {
        SortKey::Arrival => Some(Value::Time(row.internal_date())),
        SortKey::Size => Some(Value::Size(row.size())),
        _ => None,
    }
}

/// RFC 5256 BASE.6.4.SORT: one value for each criterion.
pub(crate) fn values(order: &[SortCriterion], row: &Row<'_>, source: &Source) -> Vec<Value> {
    let envelope = source.structure.envelope();
    let value = |criterion: &SortCriterion| {
        let text = match criterion.key {
            SortKey::Arrival | SortKey::Size => String::new(),
            SortKey::Date => return Value::Time(sent(row, source)),
            SortKey::Subject => subject(envelope.subject.as_ref()).text,
            SortKey::Cc => mailbox(&envelope.cc),
            SortKey::From => mailbox(&envelope.from),
            SortKey::To => mailbox(&envelope.to),
            SortKey::DisplayFrom => display(&envelope.from),
            SortKey::DisplayTo => display(&envelope.to),
        };
        row_value(criterion.key, row).unwrap_or_else(|| Value::Text(bounded_key(&text)))
    };
    order.iter().map(value).collect()
}

/// RFC 5256 2.2: the Date field, or else INTERNALDATE.
fn sent(row: &Row<'_>, source: &Source) -> Timestamp {
    let date = header::first(&source.structure.header, "Date");
    date.and_then(|field| header::decode_date(field.value)).unwrap_or(row.internal_date())
}

fn subject(raw: Option<&Raw>) -> palombe_message::BaseSubject {
    base_subject(&raw.map(|raw| header::decode_value(raw)).unwrap_or_default())
}

fn bounded_key(text: &str) -> Vec<u8> {
    let mut key = collation_key(&text[..text.floor_char_boundary(ORDER_KEY_BYTES_MAX)]);
    key.truncate(ORDER_KEY_BYTES_MAX);
    key
}

/// `addr-mailbox` of the first address.
fn mailbox(addresses: &[EnvelopeAddress]) -> String {
    let first = addresses.first().and_then(|address| address.mailbox.as_ref());
    first.map_or_else(String::new, |mailbox| mailbox.to_text().into_owned())
}

/// RFC 5957 3: the display name of the first address, or the name of the group, or the address itself.
fn display(addresses: &[EnvelopeAddress]) -> String {
    let Some(first) = addresses.first() else { return String::new() };
    if let Some(name) = first.name.as_ref().filter(|name| !name.is_empty()) {
        return header::decode_value(name);
    }
    match &first.host {
        Some(host) => format!("{}@{}", mailbox(addresses), host.to_text()),
        None => mailbox(addresses),
    }
}

/// RFC 5256 BASE.6.4.SORT: criteria in their order; what is equal stays in the order of the folder.
pub(crate) fn compare(order: &[SortCriterion], a: &[Value], b: &[Value]) -> Ordering {
    let each = order.iter().zip(a.iter().zip(b)).map(|(criterion, (a, b))| {
        let ordering = a.cmp(b);
        if criterion.reverse { ordering.reverse() } else { ordering }
    });
    each.fold(Ordering::Equal, Ordering::then)
}

/// RFC 5256 BASE.6.4.THREAD: what both algorithms look at.
pub(crate) fn threaded(row: &Row<'_>, source: &Source) -> Threaded {
    let field = |name: &str| {
        let field = header::first(&source.structure.header, name);
        field.map(|field| message_ids(field.value)).unwrap_or_default()
    };
    let mut references = field("References");
    if references.is_empty() {
        references = field("In-Reply-To");
        references.truncate(1);
    }
    let subject = subject(source.structure.envelope().subject.as_ref());
    Threaded {
        id: field("Message-ID").into_iter().next(),
        references,
        subject: bounded_key(&subject.text),
        is_reply_or_forward: subject.is_reply_or_forward,
        sent: sent(row, source),
    }
}
