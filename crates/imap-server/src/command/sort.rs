//! SORT and THREAD (RFC 5256), with RFC 5267 3 (ESORT) and RFC 5957 (SORT=DISPLAY).

use super::Outcome;
use super::search::{self, Hits};
use crate::error::Stop;
use crate::fetch::Source;
use crate::ordering::{Gather, Key, compare, needs_no_store, row_values, threaded, values};
use crate::reply::{DONE, Done};
use crate::rows::Row;
use crate::session::Session;
use palombe_imap_proto::{Selector, SortCommand, ThreadAlgorithm, ThreadCommand};
use palombe_message::{Threaded, Threads};
use std::sync::Arc;

pub(super) async fn sort(session: &mut Session, tag: &str, command: SortCommand) -> Outcome {
    let mut hits = search::find(session, &command.search).await?;
    let folder = (session.selected()?.bal, session.selected()?.folder);
    let indexes = std::mem::take(&mut hits.indexes);
    let mut gather = Gather::new(folder, hits.rows.clone(), indexes)?;
    let order = Arc::new(command.order);
    if needs_no_store(&order) {
        gather.run_in_memory(|row| row_values(&order, row))?;
    } else {
        let order = Arc::clone(&order);
        gather = run(session, gather, move |row, source| values(&order, row, source)).await?;
    }
    hits.expunged |= gather.expunged;
    hits.indexes = session
        .in_pool(move |_| {
            // A stable sort: equal ones stay in the order of the folder.
            gather.kept.sort_by(|(_, a), (_, b)| compare(&order, a, b));
            Ok(gather.kept.into_iter().map(|(index, _)| index).collect())
        })
        .await?;
    search::answer(session, tag, "SORT", &command.search, &hits)?;
    Ok(done(&hits))
}

pub(super) async fn thread(session: &mut Session, command: ThreadCommand) -> Outcome {
    let mut hits = search::find(session, &command.search).await?;
    let folder = (session.selected()?.bal, session.selected()?.folder);
    let indexes = std::mem::take(&mut hits.indexes);
    let gather = Gather::new(folder, hits.rows.clone(), indexes)?;
    let gather = run(session, gather, threaded).await?;
    hits.expunged |= gather.expunged;
    let rows = hits.rows.clone();
    let text = session
        .in_pool(move |_| {
            let (indexes, messages): (Vec<usize>, Vec<Threaded>) = gather.kept.into_iter().unzip();
            let threads = match command.algorithm {
                ThreadAlgorithm::OrderedSubject => Threads::by_subject(&messages),
                ThreadAlgorithm::References => Threads::by_references(&messages),
            };
            Ok(threads.text(|at| match command.search.by {
                Selector::Uid => rows.uid(indexes[at]),
                Selector::Sequence => u32::try_from(indexes[at] + 1).unwrap_or(u32::MAX),
            }))
        })
        .await?;
    let space = if text.is_empty() { "" } else { " " };
    session.wire.out.untagged(format_args!("THREAD{space}{text}"));
    Ok(done(&hits))
}

fn done(hits: &Hits) -> Done {
    if hits.expunged { Done::with("EXPUNGEISSUED") } else { DONE }
}

/// In slices, as SEARCH.
async fn run<K, F>(session: &Session, mut gather: Gather<K>, read: F) -> Result<Gather<K>, Stop>
where
    K: Key + 'static,
    F: Fn(&Row<'_>, &Source) -> K + Clone + Send + 'static,
{
    while !gather.is_done() {
        let read = read.clone();
        gather = session
            .in_pool(move |house| {
                gather.run_slice(&house.store, read)?;
                Ok(gather)
            })
            .await?;
    }
    Ok(gather)
}
