//! What is indexed of a message: everything that SEARCH compares, folded in the same way.

use crate::limits::{HEADER_BYTES_MAX, TEXT_BYTES_MAX};
use palombe_message::{Searchable, Structure, decode_text, fold_for_search, header, words};
use palombe_store::{BlobReader, PendingMessage, SearchField, SearchTerms, Store, StoreError};
use palombe_vocabulary::BalId;
use std::ops::Range;

/// Fields with a list of their own.
const FIELDS: &[(&str, SearchField)] = &[
    ("Subject", SearchField::Subject),
    ("From", SearchField::From),
    ("To", SearchField::To),
    ("Cc", SearchField::Cc),
    ("Bcc", SearchField::Bcc),
];

/// The terms of a message; `None` when it is gone.
///
/// # Errors
/// The store's.
pub fn terms(
    store: &Store,
    bal: BalId,
    pending: &PendingMessage,
) -> Result<Option<SearchTerms>, StoreError> {
    let Some(message) = store.message(bal, pending.folder, pending.uid)? else { return Ok(None) };
    let mut terms = store.search_terms();
    let structure = match store.structure(&message.digest) {
        Ok(encoded) => Structure::decode(&encoded).ok(),
        // Swept: the message is going.
        Err(StoreError::UnknownBlob) => None,
        Err(error) => return Err(error),
    };
    let Some(structure) = structure else {
        terms.incomplete();
        return Ok(Some(terms));
    };
    let mut reading =
        Reading { blob: store.blob_reader(message.digest), left: TEXT_BYTES_MAX, terms };
    let range = structure.root.header.clone();
    let mut own = message.prefix;
    if structure.header.len() as u64 == range.end - range.start {
        own.extend_from_slice(&structure.header);
    } else if range.end - range.start <= HEADER_BYTES_MAX {
        own.extend(reading.blob.read(range)?);
    } else {
        reading.terms.incomplete();
    }
    reading.terms.word(&words::email(&message.email_id));
    reading.own_header(&own);
    for piece in structure.searchable() {
        reading.piece(&piece)?;
    }
    Ok(Some(reading.terms))
}

struct Reading<'a> {
    blob: BlobReader<'a>,
    /// Octets that may still be read.
    left: u64,
    terms: SearchTerms,
}

impl Reading<'_> {
    fn own_header(&mut self, octets: &[u8]) {
        for field in header::fields(octets) {
            self.terms.word(&words::field(&String::from_utf8_lossy(field.name)));
            self.terms.text(SearchField::Header, &fold_for_search(&header::search_line(&field)));
            if let Some((_, list)) = FIELDS.iter().find(|(name, _)| field.is(name)) {
                let value = fold_for_search(&header::decode_value(field.value));
                self.terms.text(*list, &value);
            }
        }
        let date = header::first(octets, "Date");
        if let Some(day) = date.and_then(|field| header::decode_day(field.value)) {
            words::sent(day).iter().for_each(|word| self.terms.word(word));
        }
    }

    fn piece(&mut self, piece: &Searchable<'_>) -> Result<(), StoreError> {
        match piece {
            Searchable::Text(part) => {
                if let Some(octets) = self.read(part.body.clone())? {
                    let text = fold_for_search(&decode_text(part, &octets));
                    self.terms.text(SearchField::Body, &text);
                }
            }
            Searchable::AttachedHeader(range) => self.lines(SearchField::Body, range.clone())?,
            Searchable::PartHeader(range) => self.lines(SearchField::Header, range.clone())?,
        }
        Ok(())
    }

    fn lines(&mut self, list: SearchField, range: Range<u64>) -> Result<(), StoreError> {
        if let Some(octets) = self.read(range)? {
            for field in header::fields(&octets) {
                self.terms.text(list, &fold_for_search(&header::search_line(&field)));
            }
        }
        Ok(())
    }

    /// `None` when that would be too much: the document is then a candidate of every search.
    fn read(&mut self, range: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        let octets = range.end.saturating_sub(range.start);
        if octets > self.left {
            self.terms.incomplete();
            return Ok(None);
        }
        self.left -= octets;
        Ok(Some(self.blob.read(range)?))
    }
}
