//! SELECT and EXAMINE with their parameters (RFC 4466 2.1, RFC 7162 3.1.8 and 3.2.5).

use super::{sequence_set, spaced};
use crate::Mailbox;
use crate::command::{QResync, SelectParameters};
use crate::set::SequenceSet;
use crate::token::{Bad, Tokens};

pub(super) fn select(t: &mut Tokens<'_>) -> Result<(Mailbox, SelectParameters), Bad> {
    let mailbox = spaced(t, Tokens::mailbox)?;
    let mut parameters = SelectParameters::default();
    if t.take(b' ') {
        t.list("parameters", 1, |t| {
            if t.take_word("CONDSTORE") {
                parameters.condstore = true;
                return Ok(());
            }
            if parameters.qresync.is_none() && t.take_word("QRESYNC") {
                parameters.qresync = Some(spaced(t, qresync)?);
                return Ok(());
            }
            Err(Bad::Unknown("SELECT parameter"))
        })?;
    }
    Ok((mailbox, parameters))
}

/// RFC 7162 7, `select-param` of QRESYNC, from its parenthesis.
fn qresync(t: &mut Tokens<'_>) -> Result<QResync, Bad> {
    t.expect(b'(', "(")?;
    let uid_validity = t.nz_number()?;
    let modseq = spaced(t, Tokens::number64)?;
    if modseq == 0 {
        return Err(Bad::Number);
    }
    let (mut known_uids, mut sample) = (None, None);
    if t.take(b' ') {
        if t.peek() != Some(b'(') {
            known_uids = Some(known(t)?);
        }
        if known_uids.is_none() || t.take(b' ') {
            t.expect(b'(', "(")?;
            let numbers = known(t)?;
            sample = Some((numbers, spaced(t, known)?));
            t.expect(b')', ")")?;
        }
    }
    t.expect(b')', ")")?;
    Ok(QResync { uid_validity, modseq, known_uids, sample })
}

/// RFC 7162 7: `known-uids` and the sets of `seq-match-data` hold neither `*` nor `$`.
fn known(t: &mut Tokens<'_>) -> Result<SequenceSet, Bad> {
    match sequence_set(t)? {
        SequenceSet::Ranges(list) if list.iter().all(|(a, b)| a.is_some() && b.is_some()) => {
            Ok(SequenceSet::Ranges(list))
        }
        _ => Err(Bad::Expected("a set of known numbers")),
    }
}
