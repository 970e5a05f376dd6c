//! SEARCH (RFC 9051 6.4.4), with RFC 4731 (ESEARCH) and RFC 5182 (SEARCHRES).

use super::Outcome;
use crate::error::{Failure, Stop};
use crate::reply::{DONE, Done};
use crate::rows::Rows;
use crate::searching::{Criteria, Found, Hunt};
use crate::session::Session;
use palombe_imap_proto::{Bad, Ranges, SearchCommand, SearchReturn, Selector, Writer};

/// What was found.
pub(super) struct Hits {
    /// The folder as it was searched.
    pub(super) rows: Rows,
    /// In the order of the answer.
    pub(super) indexes: Vec<usize>,
    uses_modseq: bool,
    /// A message was gone already.
    pub(super) expunged: bool,
}

pub(super) async fn search(session: &mut Session, tag: &str, command: SearchCommand) -> Outcome {
    // RFC 6855 3: the client has said already that its strings are UTF-8.
    if session.enabled.utf8 && command.charset.is_some() {
        return Err(Failure::Bad(Bad::Unknown("charset: UTF-8 is enabled")).into());
    }
    let hits = find(session, &command).await?;
    answer(session, tag, "SEARCH", &command, &hits)?;
    Ok(if hits.expunged { Done::with("EXPUNGEISSUED") } else { DONE })
}

/// Runs a search for SEARCH, SORT or THREAD.
pub(super) async fn find(session: &mut Session, command: &SearchCommand) -> Result<Hits, Stop> {
    let now = palombe_driver::now();
    let rows = session.rows().await?;
    let selected = session.selected()?;
    let saves = command.returns.is_some_and(|returns| returns.save);
    let compiled = Criteria::compile(command, selected, now);
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
    let hunt = Hunt::new(selected.bal, selected.folder, rows.clone(), criteria);
    let Found { indexes, expunged } = run(session, hunt).await?;
    session.enabled.condstore |= uses_modseq;
    Ok(Hits { rows, indexes, uses_modseq, expunged })
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

/// `word`: SEARCH or SORT.
pub(super) fn answer(
    session: &mut Session,
    tag: &str,
    word: &str,
    command: &SearchCommand,
    hits: &Hits,
) -> Result<(), Stop> {
    // RFC 9051 has ESEARCH in place of SEARCH; SORT is as it was.
    let extended = command.returns.is_some() || (session.enabled.rev2 && word == "SEARCH");
    let selected = session.selected()?;
    let rows = &hits.rows;
    let uid = |index: &usize| rows.uid(*index);
    let number = |index: &usize| match command.by {
        Selector::Uid => uid(index),
        Selector::Sequence => u32::try_from(index + 1).unwrap_or(u32::MAX),
    };
    let highest = hits.indexes.iter().filter_map(|i| rows.get(*i)).map(|row| row.modseq().0).max();
    let highest = highest.filter(|_| hits.uses_modseq);
    let returns = command.returns.unwrap_or_default();
    if returns.save {
        selected.save(Ranges::from_ascending(saved(returns, &hits.indexes).iter().map(uid)));
    }
    let out = &mut session.wire.out;
    if !extended {
        out.raw("* ").raw(word);
        for index in &hits.indexes {
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
    let numbers: Vec<u32> = hits.indexes.iter().map(number).collect();
    write_esearch(out, tag, command.by, returns, &numbers, highest);
    Ok(())
}

/// RFC 5182 2.4: with MIN or MAX alone, only those are saved.
fn saved(returns: SearchReturn, indexes: &[usize]) -> Vec<usize> {
    let some = returns.min || returns.max || returns.partial.is_some();
    if returns.all || returns.count || !some {
        let mut all = indexes.to_vec();
        all.sort_unstable(); // the results of SORT come in another order
        return all;
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
            out.raw(" ALL ");
            write_set(out, numbers);
        }
    }
    // RFC 9394 3.1: NIL where the range lies outside the results.
    if let Some(partial) = returns.partial {
        let page = &numbers[partial.within(numbers.len())];
        out.raw(" PARTIAL (").show(partial).raw(" ");
        if page.is_empty() {
            out.raw("NIL)");
        } else {
            write_set(out, page);
            out.raw(")");
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

/// `sequence-set` in the order of the results; a range runs upwards (RFC 5267 3.2).
fn write_set(out: &mut Writer, numbers: &[u32]) {
    let mut rest = numbers;
    while let Some(first) = rest.first().copied() {
        let run = rest.windows(2).take_while(|pair| pair[0].checked_add(1) == Some(pair[1]));
        let length = run.count() + 1;
        out.show(first);
        if length > 1 {
            out.raw(":").show(rest[length - 1]);
        }
        rest = &rest[length..];
        if !rest.is_empty() {
            out.raw(",");
        }
    }
}
