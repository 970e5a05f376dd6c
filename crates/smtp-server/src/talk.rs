//! The loop of one connection: bytes to the session, its questions to the visit, its replies to the wire.

use crate::visit::Visit;
use crate::wire::Wire;
use crate::{Shared, SmtpMetrics, reply};
use palombe_driver::Connection;
use palombe_smtp_proto::server::{Event, Session};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::timeout;

/// What the loop does after an event.
enum Next {
    /// Go on with the bytes that are there.
    Go,
    /// Send, then read.
    Read,
    /// Send, then go on.
    Flush,
    /// Send, then the handshake.
    Tls,
    /// Send, then close.
    Close,
}

/// Counts the end of a session, even when its task is cut.
struct Counted(Arc<SmtpMetrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.session_ends();
    }
}

struct Talk {
    wire: Wire,
    session: Session,
    visit: Visit,
}

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, connection: Connection) {
    shared.metrics.session_begins();
    let _counted = Counted(shared.metrics.clone());
    let mut talk = Talk {
        wire: Wire::new(connection.stream),
        session: Session::new(shared.session.clone()),
        visit: Visit::new(shared.clone(), connection.peer.ip(), connection.session),
    };
    let outcome = if connection.over_limit {
        shared.metrics.refused("smtp.too-many-connections");
        talk.session.output_sent(); // 421 stands in the greeting's place (RFC 5321 3.1)
        talk.end(&reply::TOO_MANY_CONNECTIONS).await
    } else {
        talk.run().await
    };
    if let Err(error) = outcome {
        tracing::debug!(session = %connection.session, %error, "the connection broke");
    }
    talk.wire.close().await;
}

impl Talk {
    async fn run(&mut self) -> io::Result<()> {
        let shutdown = self.visit.shared().house.shutdown.clone();
        let mut stop = pin!(shutdown.wait());
        let mut stopping = false;
        loop {
            match self.step().await {
                Next::Go => {}
                Next::Flush => self.flush().await?,
                Next::Close => return self.flush().await,
                Next::Tls => {
                    self.flush().await?;
                    if !self.handshake().await {
                        return Ok(());
                    }
                }
                Next::Read => {
                    // Shutdown lets a transaction end, and no other begin.
                    if stopping && !self.session.in_transaction() && !self.session.in_body() {
                        return self.end(&reply::SHUTDOWN).await;
                    }
                    self.flush().await?;
                    let Some(limit) = self.visit.time_left(self.session.in_body()) else {
                        return self.end(&reply::TIMEOUT).await;
                    };
                    let octets = tokio::select! {
                        () = &mut stop, if !stopping => {
                            stopping = true;
                            continue;
                        }
                        read = timeout(limit, self.wire.read()) => read,
                    };
                    match octets {
                        Ok(Ok(0)) => return Ok(()), // an unfinished message leaves nothing
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return Err(error),
                        Err(_) => return self.end(&reply::TIMEOUT).await, // RFC 5321 4.5.3.2
                    }
                }
            }
        }
    }

    /// One event of the session, answered.
    async fn step(&mut self) -> Next {
        let Talk { wire, session, visit } = self;
        let step = session.next(wire.input());
        let next = match step.event {
            Event::NeedInput => Next::Read,
            Event::Flush => Next::Flush,
            Event::StartTls => Next::Tls,
            Event::Close => Next::Close,
            Event::Body(piece) => {
                if let Err(reply) = visit.body(piece).await {
                    session.refuse_body(reply);
                }
                Next::Go
            }
            event => {
                answer(event, session, visit).await;
                Next::Go
            }
        };
        wire.consume(step.consumed);
        next
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.wire.send(self.session.output()).await?;
        self.session.output_sent();
        Ok(())
    }

    /// A last reply of ours.
    async fn end(&mut self, reply: &palombe_smtp_proto::Reply) -> io::Result<()> {
        self.session.close(reply);
        self.flush().await
    }

    /// False when the connection is gone.
    async fn handshake(&mut self) -> bool {
        let shared = self.visit.shared().clone();
        let config = shared.house.tls.clone();
        let done = self.wire.upgrade(config, shared.settings.handshake_time).await;
        shared.metrics.tls(done.is_ok());
        match done {
            Err(error) => {
                self.visit.tls_failed(&error.to_string()).await;
                false
            }
            Ok(stream) => {
                self.session.tls_established();
                let (chain, summary) = (stream.peer_certificates(), stream.tls_summary());
                // Before any other byte is trusted (spec mssante 1.5).
                if let Some(reply) = self.visit.tls_established(chain, summary).await {
                    self.session.refuse_all(reply);
                }
                true
            }
        }
    }
}

async fn answer(event: Event<'_>, session: &mut Session, visit: &mut Visit) {
    match event {
        Event::Mail(mail) => session.answer(visit.mail(mail).await),
        Event::Rcpt(rcpt) => session.answer(visit.rcpt(rcpt).await),
        Event::BodyStart => match visit.begin_body() {
            Ok(()) => session.accept_body(),
            Err(reply) => session.answer(reply),
        },
        Event::BodyFault(fault) => visit.fault(fault, true).await,
        Event::Refused(fault) => visit.fault(fault, false).await,
        Event::BodyEnd => {
            let reply = visit.end_body(session.hello_name().unwrap_or_default()).await;
            session.answer(reply);
        }
        Event::Reset => visit.reset(),
        Event::Auth(credentials) => {
            let reply = visit.auth(credentials).await;
            session.answer(reply);
            if visit.auth_failed_too_often() {
                session.close(&reply::AUTH_TOO_OFTEN);
            }
        }
        Event::NeedInput | Event::Flush | Event::StartTls | Event::Close | Event::Body(_) => {}
    }
}
