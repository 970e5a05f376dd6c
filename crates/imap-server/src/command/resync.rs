//! What a client that was away missed (RFC 7162 3.2.5 and 3.2.6).

use crate::error::{Failure, Stop};
use crate::selected::{Selected, write_flags};
use crate::session::Session;
use palombe_imap_proto::{QResync, Ranges, SequenceSet, Writer};
use palombe_store::Changes;
use palombe_vocabulary::ModSeq;

/// RFC 7162 3.2.5: VANISHED (EARLIER) and FETCH in answer to SELECT (QRESYNC …).
pub(super) async fn resynchronise(
    session: &mut Session,
    selected: &Selected,
    known: &QResync,
) -> Result<(), Stop> {
    // RFC 7162 3.2.5.1: what was known of another folder of that name is worth nothing.
    if known.uid_validity != selected.uid_validity.0 {
        return Ok(());
    }
    let all = Ranges::from_ascending_ranges([(1, u32::MAX)]);
    let uids = known.known_uids.as_ref().map_or(all, |set| set.ranges(0));
    let agreed = known.sample.as_ref().map_or(0, |sample| agreed(selected, sample));
    let unknown = Ranges::from_ascending_ranges([(agreed.saturating_add(1), u32::MAX)]);
    let (bal, folder, since) = (session.bal()?, selected.folder, ModSeq(known.modseq));
    let changes = session.in_store(move |store| store.changes(bal, folder, since)).await?;
    let told = vanished(selected, &changes, &uids.and(&unknown));
    write_vanished(&mut session.wire.out, &told);
    let enabled = session.enabled;
    for (index, row) in selected.rows.iter().enumerate() {
        if row.meta.modseq.0 > known.modseq && uids.contains(row.meta.uid.0) {
            write_flags(&mut session.wire.out, index + 1, row, enabled);
            session.wire.relieve().await?;
        }
    }
    Ok(())
}

/// RFC 7162 3.2.5.2: up to this UID the client has heard of every expunge, for its sequence numbers are right.
fn agreed(selected: &Selected, (numbers, uids): &(SequenceSet, SequenceSet)) -> u32 {
    let each = |set: &SequenceSet| set.ranges(0).iter().collect::<Vec<_>>();
    let (numbers, uids) = (each(numbers), each(uids));
    let one_by_one = |ranges: Vec<(u32, u32)>| ranges.into_iter().flat_map(|(a, b)| a..=b);
    let mut agreed = 0;
    // Ends at the first number past the folder's end: hostile ranges cost no more than its rows.
    for (number, uid) in one_by_one(numbers).zip(one_by_one(uids)) {
        let row = usize::try_from(number).ok().and_then(|n| selected.rows.get(n - 1));
        if row.is_none_or(|row| row.meta.uid.0 != uid) {
            break;
        }
        agreed = uid;
    }
    agreed
}

/// RFC 7162 3.2.6: before the responses of UID FETCH … (CHANGEDSINCE n VANISHED).
pub(super) async fn vanished_before_fetch(
    session: &mut Session,
    set: &SequenceSet,
    since: u64,
) -> Result<(), Stop> {
    if !session.enabled.qresync {
        return Err(Failure::NotEnabled.into());
    }
    let bal = session.bal()?;
    let folder = session.selected()?.folder;
    let changes = session.in_store(move |store| store.changes(bal, folder, ModSeq(since))).await?;
    let selected = session.selected()?;
    let uids = match set {
        SequenceSet::Saved => selected.saved(),
        set => set.ranges(selected.rows.last().map_or(0, |row| row.meta.uid.0)),
    };
    let told = vanished(selected, &changes, &uids);
    write_vanished(&mut session.wire.out, &told);
    Ok(())
}

/// The messages of `uids` that are gone and that the client does not still count (RFC 7162 3.2.10.1).
fn vanished(selected: &Selected, changes: &Changes, uids: &Ranges) -> Ranges {
    let vanished = changes.vanished.iter().map(|(first, last)| (first.0, last.0));
    let told = Ranges::from_ascending_ranges(vanished).and(uids);
    told.without(selected.rows.iter().map(|row| row.meta.uid.0))
}

fn write_vanished(out: &mut Writer, uids: &Ranges) {
    if !uids.is_empty() {
        out.untagged(format_args!("VANISHED (EARLIER) {uids}"));
    }
}
