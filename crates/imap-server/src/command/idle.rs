//! IDLE (RFC 2177 and RFC 9051 6.3.13): between `+` and DONE the session loop tells what happens, as the bus wakes it.

use super::end as end_command;
use crate::error::{Failure, Gone, Stop};
use crate::limits::IDLE_LINE_BYTES_MAX;
use crate::metrics::Present;
use crate::reply::DONE;
use crate::selected::Expunges;
use crate::session::{Pending, Session};

pub(super) async fn begin(session: &mut Session, tag: String) -> Result<(), Gone> {
    // Whatever came before the client listens is told at once; a failure is made up for at the next wake.
    if let Err(Stop::Gone(gone)) = session.refresh().await {
        return Err(gone);
    }
    session.wire.out.continuation("idling");
    session.announce(Expunges::Tell);
    session.receiver.expect_line(IDLE_LINE_BYTES_MAX);
    let present = Present::new(&session.server.metrics, |m| &m.idling);
    session.pending = Pending::Idle { tag, _present: present };
    Ok(())
}

pub(super) async fn end(session: &mut Session, tag: &str, line: &[u8]) -> Result<(), Gone> {
    let outcome = if line.eq_ignore_ascii_case(b"DONE") {
        Ok(DONE)
    } else {
        Err(Failure::Bad(palombe_imap_proto::Bad::Expected("DONE")).into())
    };
    end_command(session, tag, outcome, Expunges::Tell).await
}
