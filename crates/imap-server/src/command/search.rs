//! SEARCH (RFC 9051 6.4.4), with RFC 4731 (ESEARCH) and RFC 5182 (SEARCHRES).

use super::Outcome;
use crate::error::Stop;
use crate::reply::{DONE, Done};
use crate::searching::{Criteria, Found, Hunt};
use crate::session::Session;
use palombe_imap_proto::{Ranges, SearchCommand, SearchReturn, Selector, Writer};

pub(super) async fn search(session: &mut Session, tag: &str, command: SearchCommand) -> Outcome {
    let now = palombe_driver::now();
    let rows = session.rows().await?;
    let selected = session.selected()?;
    let saves = command.returns.is_some_and(|returns| returns.save);
    let compiled = Criteria::compile(&command, selected, now);
    let criteria = match compiled {
        Ok(criteria) => criteria,
        Err(failure) => {
            // RFC 5182 2.1: a SEARCH with SAVE that fails leaves an empty result.
            if saves {
                selected.save(Ranges::default());
            }
            return Err(failure.into());
        }
    };
    let uses_modseq = criteria.uses_modseq();
    let hunt = Hunt::new(selected.bal, selected.folder, rows, criteria);
    let found = run(session, hunt).await?;
    session.enabled.condstore |= uses_modseq;
    answer(session, tag, &command, &found, uses_modseq)?;
    Ok(if found.expunged { Done::with("EXPUNGEISSUED") } else { DONE })
}

/// In slices, so that a long search leaves the pool's threads to others, and ends with its client.
async fn run(session: &mut Session, mut hunt: Hunt) -> Result<Found, Stop> {
    loop {
        if hunt.needs_no_store() {
            hunt.run_in_memory();
        } else {
            hunt = session
                .in_pool(move |house| {
                    hunt.run_slice(&house.store)?;
                    Ok(hunt)
                })
                .await?;
        }
        if hunt.is_done() {
            return Ok(hunt.into_found());
        }
    }
}

fn answer(
    session: &mut Session,
    tag: &str,
    command: &SearchCommand,
    found: &Found,
    uses_modseq: bool,
) -> Result<(), Stop> {
    let rev2 = session.enabled.rev2;
    let selected = session.selected()?;
    // Nothing was announced since the search began: its indexes still hold.
    let rows = selected.rows();
    let uid = |index: &usize| rows.uid(*index);
    let number = |index: &usize| match command.by {
        Selector::Uid => uid(index),
        Selector::Sequence => u32::try_from(index + 1).unwrap_or(u32::MAX),
    };
    let highest = found.indexes.iter().filter_map(|i| rows.get(*i)).map(|row| row.modseq().0).max();
    let highest = highest.filter(|_| uses_modseq);
    let returns = command.returns.unwrap_or_default();
    if returns.save {
        selected.save(Ranges::from_ascending(saved(returns, &found.indexes).iter().map(uid)));
    }
    let out = &mut session.wire.out;
    if command.returns.is_none() && !rev2 {
        out.raw("* SEARCH");
        for index in &found.indexes {
            out.raw(" ").show(number(index));
        }
        if let Some(highest) = highest {
            out.raw(" (MODSEQ ").show(highest).raw(")"); // RFC 7162 3.1.5
        }
        out.crlf();
        return Ok(());
    }
    // RFC 9051 6.4.4: SAVE alone answers nothing.
    let asked = returns.min || returns.max || returns.all || returns.count;
    let only_save = returns.save && !asked && returns.partial.is_none();
    if only_save {
        return Ok(());
    }
    let numbers: Vec<u32> = found.indexes.iter().map(number).collect();
    write_esearch(out, tag, command.by, returns, &numbers, highest);
    Ok(())
}

/// RFC 5182 2.4: with MIN or MAX alone, only those are saved.
fn saved(returns: SearchReturn, indexes: &[usize]) -> Vec<usize> {
    let some = returns.min || returns.max || returns.partial.is_some();
    if returns.all || returns.count || !some {
        return indexes.to_vec();
    }
    let first = indexes.first().filter(|_| returns.min);
    let last = indexes.last().filter(|_| returns.max);
    // RFC 9394 3.2
    let page = returns.partial.map_or(0..0, |partial| partial.within(indexes.len()));
    let mut saved: Vec<usize> =
        first.into_iter().chain(&indexes[page]).chain(last).copied().collect();
    saved.sort_unstable();
    saved.dedup();
    saved
}

/// RFC 4731 3.1: MIN, MAX and ALL are left out when nothing was found.
fn write_esearch(
    out: &mut Writer,
    tag: &str,
    by: Selector,
    returns: SearchReturn,
    numbers: &[u32],
    highest_modseq: Option<u64>,
) {
    let asked = returns.min || returns.max || returns.all || returns.count;
    let default = !asked && returns.partial.is_none();
    // RFC 4466 2.6.2: the correlator.
    out.raw("* ESEARCH (TAG ").string(tag.as_bytes()).raw(")");
    if by == Selector::Uid {
        out.raw(" UID");
    }
    if let (Some(first), Some(last)) = (numbers.first(), numbers.last()) {
        if returns.min {
            out.raw(" MIN ").show(first);
        }
        if returns.max {
            out.raw(" MAX ").show(last);
        }
        if returns.all || default {
            out.raw(" ALL ").show(Ranges::from_ascending(numbers.iter().copied()));
        }
    }
    // RFC 9394 3.1: NIL where the range lies outside the results.
    if let Some(partial) = returns.partial {
        let page = &numbers[partial.within(numbers.len())];
        out.raw(" PARTIAL (").show(partial).raw(" ");
        if page.is_empty() {
            out.raw("NIL)");
        } else {
            out.show(Ranges::from_ascending(page.iter().copied())).raw(")");
        }
    }
    if returns.count {
        out.raw(" COUNT ").show(numbers.len());
    }
    if let Some(highest) = highest_modseq {
        out.raw(" MODSEQ ").show(highest);
    }
    out.crlf();
}
