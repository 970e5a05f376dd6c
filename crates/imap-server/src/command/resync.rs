//! What a client that was away missed (RFC 7162 3.2.5 and 3.2.6).

use crate::error::{Failure, Stop};
use crate::rows::Rows;
use crate::selected::write_flags;
use crate::session::Session;
use palombe_imap_proto::{QResync, Ranges, SequenceSet, Writer};
use palombe_store::Changes;
use palombe_vocabulary::{ModSeq, UidValidity};

/// RFC 7162 3.2.5: VANISHED (EARLIER) and FETCH in answer to SELECT (QRESYNC …).
pub(super) async fn resynchronise(
    session: &mut Session,
    known: &QResync,
    uid_validity: UidValidity,
) -> Result<(), Stop> {
    // RFC 7162 3.2.5.1: what was known of another folder of that name is worth nothing.
    if known.uid_validity != uid_validity.0 {
        return Ok(());
    }
    let selected = session.selected()?;
    let (bal, folder, since) = (selected.bal, selected.folder, ModSeq(known.modseq));
    if since >= selected.modseq {
        return Ok(()); // nothing was missed, nothing is read
    }
    let rows = session.rows().await?;
    let all = Ranges::from_ascending_ranges([(1, u32::MAX)]);
    let uids = known.known_uids.as_ref().map_or(all, |set| set.ranges(0));
    let agreed = known.sample.as_ref().map_or(0, |sample| agreed(&rows, sample));
    let unknown = Ranges::from_ascending_ranges([(agreed.saturating_add(1), u32::MAX)]);
    let viewer = session.selected_at()?.viewer();
    let changes =
        session.in_store(move |store| store.changes_for((bal, folder), since, viewer)).await?;
    let told = vanished(&rows, &changes, &uids.and(&unknown));
    write_vanished(&mut session.wire.out, &told);
    let enabled = session.enabled;
    for meta in &changes.changed {
        let Some(index) = rows.table.index(meta.uid.0).filter(|_| uids.contains(meta.uid.0)) else {
            continue;
        };
        if let Some(row) = rows.get(index) {
            write_flags(&mut session.wire.out, index + 1, (&row, rows.is_recent(&row)), enabled);
            session.wire.relieve().await?;
        }
    }
    Ok(())
}

/// RFC 7162 3.2.5.2: up to this UID the client has heard of every expunge, for its sequence numbers are right.
fn agreed(rows: &Rows, (numbers, uids): &(SequenceSet, SequenceSet)) -> u32 {
    let each = |set: &SequenceSet| set.ranges(0).iter().collect::<Vec<_>>();
    let (numbers, uids) = (each(numbers), each(uids));
    let one_by_one = |ranges: Vec<(u32, u32)>| ranges.into_iter().flat_map(|(a, b)| a..=b);
    let mut agreed = 0;
    // Ends at the first number past the folder's end: hostile ranges cost no more than its rows.
    for (number, uid) in one_by_one(numbers).zip(one_by_one(uids)) {
        let row = usize::try_from(number).ok().and_then(|n| rows.get(n - 1));
        if row.is_none_or(|row| row.uid().0 != uid) {
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
    let selected = session.selected()?;
    let (bal, folder) = (selected.bal, selected.folder);
    let viewer = session.selected_at()?.viewer();
    let changes = session
        .in_store(move |store| store.changes_for((bal, folder), ModSeq(since), viewer))
        .await?;
    let selected = session.selected()?;
    let rows = selected.rows();
    let uids = match set {
        SequenceSet::Saved => selected.saved(),
        set => set.ranges(rows.last_uid()),
    };
    let told = vanished(&rows, &changes, &uids);
    write_vanished(&mut session.wire.out, &told);
    Ok(())
}

/// The messages of `uids` that are gone and that the client does not still count (RFC 7162 3.2.10.1).
fn vanished(rows: &Rows, changes: &Changes, uids: &Ranges) -> Ranges {
    let vanished = changes.vanished.iter().map(|(first, last)| (first.0, last.0));
    let told = Ranges::from_ascending_ranges(vanished).and(uids);
    told.without(rows.table.iter().map(|row| row.uid().0))
}

fn write_vanished(out: &mut Writer, uids: &Ranges) {
    if !uids.is_empty() {
        out.untagged(format_args!("VANISHED (EARLIER) {uids}"));
    }
}
