//! AUTHENTICATE PLAIN (RFC 4616, RFC 4959) and LOGIN (RFC 9051 6.2.2, 6.2.3).

use super::{Outcome, capabilities};
use crate::error::{Failure, Gone, Stop};
use crate::limits::SASL_LINE_BYTES_MAX;
use crate::metrics::count;
use crate::reply::Done;
use crate::session::{Account, Pending, Session, Stage};
use base64::Engine;
use palombe_access::{AccessError, OpenBal};
use palombe_driver::PoolBusy;
use palombe_vocabulary::Secret;
use tokio::time::Instant;
use zeroize::Zeroize;

pub(super) async fn authenticate(
    session: &mut Session,
    tag: String,
    mechanism: &str,
    initial: Option<Secret<Vec<u8>>>,
) -> Result<(), Gone> {
    if !session.may_login() {
        return session.complete(&tag, Err(Failure::NeedsTls.into()));
    }
    if mechanism != "PLAIN" {
        return session.complete(&tag, Err(Failure::Mechanism.into()));
    }
    match initial {
        Some(message) => {
            let outcome = plain(session, &message).await;
            session.complete(&tag, outcome)
        }
        None => {
            session.wire.out.continuation("");
            session.receiver.expect_line(SASL_LINE_BYTES_MAX);
            session.pending = Pending::Sasl { tag };
            Ok(())
        }
    }
}

/// The client's answer, in base64, or `*`.
pub(super) async fn answer(session: &mut Session, line: &Secret<Vec<u8>>) -> Outcome {
    if line.expose() == b"*" {
        return Err(Failure::Cancelled.into());
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(line.expose());
    let message = Secret::new(decoded.map_err(|_| Failure::Sasl)?);
    plain(session, &message).await
}

/// RFC 4616 2: authorization identity, NUL, authentication identity, NUL, password.
async fn plain(session: &mut Session, message: &Secret<Vec<u8>>) -> Outcome {
    let text = std::str::from_utf8(message.expose()).map_err(|_| Failure::Sasl)?;
    let mut parts = text.split('\0');
    let (Some(acts_for), Some(login), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::Sasl.into());
    };
    // Nobody acts for somebody else here: delegation comes with its own proof.
    if !acts_for.is_empty() && acts_for != login {
        return refused(session, AccessError::Refused.into()).await;
    }
    open(session, login.to_owned(), Secret::new(password.to_owned())).await
}

pub(super) async fn login(
    session: &mut Session,
    user: String,
    password: Secret<String>,
) -> Outcome {
    if !session.may_login() {
        return Err(Failure::NeedsTls.into());
    }
    open(session, user, password).await
}

async fn open(session: &mut Session, mut login: String, password: Secret<String>) -> Outcome {
    let now = palombe_driver::now();
    let house = session.server.house.clone();
    // A client that polls pays neither Argon2id nor a turn in the pool.
    let outcome = match house.access.authenticate_remembered(&login, &password, now) {
        Some(open) => Ok(open),
        None => verify(session, login.clone(), password).await,
    };
    login.zeroize();
    match outcome {
        Ok(open) => {
            count(&session.server.metrics.logins);
            tracing::info!(session = %session.id, peer = %session.peer, bal = %open.id(), "imap login");
            let wakes = session.server.house.bus.subscribe_bal(open.id());
            let account = Account { open, wakes, checked_at: Instant::now() };
            session.stage = Stage::Authenticated(account);
            session.receiver.set_authenticated();
            Ok(Done {
                code: Some(format!("CAPABILITY {}", capabilities(session))),
                text: "Logged in",
            })
        }
        Err(Stop::Failure(failure @ Failure::Access(AccessError::Refused))) => {
            refused(session, failure).await
        }
        Err(other) => Err(other),
    }
}

async fn verify(
    session: &Session,
    login: String,
    password: Secret<String>,
) -> Result<OpenBal, Stop> {
    let now = palombe_driver::now();
    let verifying = session.server.verifying.clone();
    let _turn = verifying.acquire_owned().await.map_err(|_| Failure::Busy(PoolBusy::Closed))?;
    session
        .in_pool(move |house| Ok(house.access.authenticate_password(&login, &password, now)?))
        .await
}

/// A failed login costs the client time that doubles, then its connection.
async fn refused(session: &mut Session, failure: Failure) -> Outcome {
    count(&session.server.metrics.login_failures);
    session.login_failures += 1;
    tracing::info!(session = %session.id, peer = %session.peer, "imap login refused");
    if session.login_failures >= session.server.settings.login_failures_max {
        return Err(Gone::LoginFailures.into());
    }
    let doublings = (session.login_failures - 1).min(6);
    session.pause(session.server.settings.login_failure_delay * 2u32.pow(doublings)).await;
    Err(failure.into())
}
