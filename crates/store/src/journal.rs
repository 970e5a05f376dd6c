//! The journal: lines in order of time, and indexes by message, peer, address, domain and BAL, so that no question
//! reads it whole. Index keys hold keyed digests only.

use crate::engine::{Direction, Durability, EngineError, Reader, Space};
use crate::keys;
use crate::limits::JOURNAL_DETAIL_BYTES_MAX;
use crate::rows;
use crate::{JournalLine, JournalQuery, Store, StoreError};
use palombe_vocabulary::Timestamp;
use std::borrow::Cow;

const BY_MESSAGE: u8 = 1;
const BY_PEER: u8 = 2;
const BY_DOMAIN: u8 = 3;
const BY_BAL: u8 = 4;
const BY_ADDRESS: u8 = 5;

/// The line, its detail within bounds.
pub(crate) fn bounded(line: &JournalLine) -> Cow<'_, JournalLine> {
    if line.detail.len() <= JOURNAL_DETAIL_BYTES_MAX {
        return Cow::Borrowed(line);
    }
    let detail = format!("{{\"too_long\":{}}}", line.detail.len());
    Cow::Owned(JournalLine { detail, ..line.clone() })
}

fn hash(key: &[u8; 32], kind: u8, value: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(b"journal").update(&[kind]).update(value);
    keys::u64_at(hasher.finalize().as_bytes(), 0).unwrap_or(0)
}

/// Kind and digest of each indexed value of the line.
pub(crate) fn index_of(key: &[u8; 32], line: &JournalLine) -> Vec<(u8, u64)> {
    let mut out = Vec::with_capacity(5);
    let mut add = |kind, value: &[u8]| out.push((kind, hash(key, kind, value)));
    if let Some(id) = &line.message_id {
        add(BY_MESSAGE, id.as_bytes());
    }
    if let Some(dn) = &line.peer_dn {
        add(BY_PEER, dn.as_bytes());
    }
    if let Some(domain) = &line.domain {
        add(BY_DOMAIN, domain.as_str().as_bytes());
    }
    if let Some(bal) = line.bal {
        add(BY_BAL, &bal.0.to_be_bytes());
    }
    if let Some(peer) = line.peer {
        add(BY_ADDRESS, peer.to_string().as_bytes());
    }
    out
}

impl Store {
    /// Writes lines without waiting for the disk.
    ///
    /// # Errors
    /// The engine's.
    pub fn journal_append(&self, lines: Vec<JournalLine>) -> Result<(), StoreError> {
        let mut draft = self.draft(Durability::Relaxed);
        lines.iter().for_each(|line| draft.line(line));
        self.inner.commit(draft)?;
        Ok(())
    }

    /// The latest lines that match, oldest first, with their numbers.
    ///
    /// # Errors
    /// The engine's.
    pub fn journal(&self, query: &JournalQuery) -> Result<Vec<(u64, JournalLine)>, StoreError> {
        let from = query.from.unwrap_or(Timestamp(i64::MIN));
        let to = query.to.unwrap_or(Timestamp(i64::MAX));
        let mut out = Vec::new();
        if query.limit == 0 {
            return Ok(out);
        }
        self.inner.read(|r| match self.narrowest(query) {
            Some((kind, hash)) => {
                let from = keys::journal_index_from(kind, hash, from);
                let to = keys::journal_index_from(kind, hash, to);
                r.scan(Space::Journal, &from, &to, Direction::Down, &mut |key, _| {
                    let (seq, line) = indexed(r, key)?;
                    if matches(query, &line) {
                        out.push((seq, line));
                    }
                    Ok(out.len() < query.limit)
                })
            }
            None => {
                let (from, to) = (keys::journal_from(from), keys::journal_from(to));
                r.scan(Space::Journal, &from, &to, Direction::Down, &mut |key, value| {
                    let line: JournalLine = rows::decode(value, "a journal line")?;
                    if matches(query, &line) {
                        let seq = keys::u64_at(key, keys::LINE_SEQ_AT)
                            .ok_or_else(|| rows::damaged("a journal key"))?;
                        out.push((seq, line));
                    }
                    Ok(out.len() < query.limit)
                })
            }
        })?;
        out.reverse();
        Ok(out)
    }

    /// The index with the fewest lines to look at.
    fn narrowest(&self, query: &JournalQuery) -> Option<(u8, u64)> {
        let key = &self.inner.blob_key;
        if let Some(id) = &query.message_id {
            return Some((BY_MESSAGE, hash(key, BY_MESSAGE, id.as_bytes())));
        }
        if let Some(bal) = query.bal {
            return Some((BY_BAL, hash(key, BY_BAL, &bal.0.to_be_bytes())));
        }
        if let Some(domain) = &query.domain {
            return Some((BY_DOMAIN, hash(key, BY_DOMAIN, domain.as_str().as_bytes())));
        }
        if let Some(dn) = &query.peer_dn {
            return Some((BY_PEER, hash(key, BY_PEER, dn.as_bytes())));
        }
        let peer = query.peer?;
        Some((BY_ADDRESS, hash(key, BY_ADDRESS, peer.to_string().as_bytes())))
    }
}

fn indexed(reader: &dyn Reader, key: &[u8]) -> Result<(u64, JournalLine), EngineError> {
    let bad = || rows::damaged("a journal index row");
    let at = keys::time_at(key, keys::INDEX_TIME_AT).ok_or_else(bad)?;
    let seq = keys::u64_at(key, keys::INDEX_SEQ_AT).ok_or_else(bad)?;
    let bytes = reader.get(Space::Journal, &keys::journal_line(at, seq))?.ok_or_else(bad)?;
    Ok((seq, rows::decode(&bytes, "a journal line")?))
}

fn matches(query: &JournalQuery, line: &JournalLine) -> bool {
    let rule = line.rule.as_deref().unwrap_or_default();
    query.message_id.is_none() | (query.message_id == line.message_id)
        && query.peer.is_none() | (query.peer == line.peer)
        && query.peer_dn.is_none() | (query.peer_dn == line.peer_dn)
        && query.domain.is_none() | (query.domain == line.domain)
        && query.bal.is_none() | (query.bal == line.bal)
        && query.rule_prefix.as_ref().is_none_or(|p| rule.starts_with(p.as_str()))
        && query.event_prefix.as_ref().is_none_or(|p| line.event.starts_with(p.as_str()))
}
