//! COMPRESS=DEFLATE (RFC 4978).

use crate::error::{Failure, Gone};
use crate::reply::Done;
use crate::session::{Next, Session};

/// After login only: a stranger must not make the server unpack anything.
pub(super) fn compress(session: &mut Session, tag: &str) -> Result<Next, Gone> {
    // RFC 4978 3: never twice.
    if session.wire.is_compressed() {
        session.complete(tag, Err(Failure::CompressedAlready.into()))?;
        return Ok(Next::Go);
    }
    let Ok(permit) = session.server.compressing.clone().try_acquire_owned() else {
        session.complete(tag, Err(Failure::TooManyCompressed.into()))?;
        return Ok(Next::Go);
    };
    session.complete(tag, Ok(Done::saying("DEFLATE active")))?;
    Ok(Next::Compress(permit))
}
