//! One connection, seen from the server (RFC 5321 4.1.4): bytes in, replies and questions out.

use super::body::{Piece, check_chunk, read_data};
use super::lines::{self, Line};
use super::{Fault, Service, SessionSettings};
use crate::command::{self, Verb};
use crate::limits::{
    AUTH_LINE_BYTES_MAX, BODY_OVERRUN_BYTES_MAX, COMMAND_LINE_BYTES_MAX, OUTPUT_BYTES_FLUSH,
};
use crate::{EnhancedCode, MailFrom, RcptTo, Reply};
use base64::Engine as _;
use palombe_vocabulary::Secret;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the session wants. After a question the door calls [`Session::answer`] before it feeds more.
#[derive(Debug)]
pub enum Event<'a> {
    /// Nothing more can be done with these bytes: send the output, keep what was not consumed, read more.
    NeedInput,
    /// Question: may this sender send?
    Mail(MailFrom),
    /// Question: may this recipient receive?
    Rcpt(RcptTo),
    /// Question: shall the body be received? The answer yes is [`Session::accept_body`].
    BodyStart,
    /// Content of the message, as it is to be kept.
    Body(&'a [u8]),
    /// The message is refused and read on to its end; what was received of it can be forgotten now. The session
    /// replies itself, at the end.
    BodyFault(Fault),
    /// Question: is the message accepted? Only after a durable yes may the answer be 250.
    BodyEnd,
    /// The transaction is over without a message; what belongs to it can be forgotten.
    Reset,
    /// Send the output, then do the TLS handshake, then call [`Session::tls_established`]. The session has made sure
    /// that no byte stands behind the command.
    StartTls,
    /// Question: are these credentials good? 235 opens.
    Auth(PlainCredentials),
    /// A line was refused by the protocol itself; the session has replied and goes on. For counting.
    Refused(Fault),
    /// The output has grown: send it, then go on with the same bytes.
    Flush,
    /// Send the output, then close.
    Close,
}

/// What `AUTH PLAIN` said (RFC 4616).
#[derive(Debug)]
pub struct PlainCredentials {
    /// Whom to act as; empty for oneself.
    pub authorization: String,
    /// Who is there.
    pub authentication: String,
    /// The password.
    pub password: Secret<String>,
}

/// An event and how many octets of the input it took.
#[derive(Debug)]
pub struct Step<'a> {
    /// Never to be fed again.
    pub consumed: usize,
    /// What to do.
    pub event: Event<'a>,
}

/// One step inside [`Session::next`].
enum Flow<'a> {
    /// Not without more bytes.
    More,
    /// That many octets are done with, and there is nothing to tell.
    Go(usize),
    /// That many octets are done with, and the door is to know.
    Tell(usize, Event<'a>),
}

/// Why a command goes no further.
enum Stop {
    Fault(Fault),
    /// The peer may not talk to us.
    Barrier,
}

impl<T: Into<Fault>> From<T> for Stop {
    fn from(fault: T) -> Stop {
        Stop::Fault(fault.into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A command line comes; that many octets of it were thrown away.
    Command(usize),
    /// The answer to a `334` comes.
    AuthResponse(usize),
    /// Content comes, up to CRLF.CRLF.
    Data,
    /// Content comes, that many octets of a chunk of `size`.
    Chunk {
        left: u64,
        last: bool,
        size: u64,
    },
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Mail { smtputf8: bool },
    Rcpt,
    BodyStart(BodyKind),
    BodyEnd,
    Auth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyKind {
    Data,
    Bdat { size: u64, last: bool },
}

#[derive(Clone, Copy, Debug)]
struct Transaction {
    smtputf8: bool,
    recipients: usize,
    /// Octets of content so far.
    octets: u64,
    /// BDAT has begun.
    chunked: bool,
}

/// The state of one connection. Never blocks, never fails, never panics, whatever it is fed.
#[derive(Debug)]
pub struct Session {
    settings: Arc<SessionSettings>,
    out: Vec<u8>,
    phase: Phase,
    question: Option<Question>,
    hello: Option<Hello>,
    tls: bool,
    authenticated: bool,
    transaction: Option<Transaction>,
    /// Why the body that is being read will be refused.
    verdict: Option<Reply>,
    /// Octets read of a body that is refused.
    overrun: u64,
    line_start: bool,
    after_cr: bool,
    /// DATA was refused just now: a client that sends its message all the same would have it read as commands.
    data_refused: bool,
    /// What a peer that may not talk to us hears.
    barrier: Option<Reply>,
    errors: u32,
    commands: u32,
}

#[derive(Debug)]
struct Hello {
    name: String,
    extended: bool,
}

impl Session {
    /// A session that has its greeting ready (RFC 5321 3.1).
    pub fn new(settings: Arc<SessionSettings>) -> Session {
        let mut session = Session {
            settings,
            out: Vec::with_capacity(1024),
            phase: Phase::Command(0),
            question: None,
            hello: None,
            tls: false,
            authenticated: false,
            transaction: None,
            verdict: None,
            overrun: 0,
            line_start: true,
            after_cr: false,
            data_refused: false,
            barrier: None,
            errors: 0,
            commands: 0,
        };
        let greeting = format!("{} ESMTP", session.settings.hostname);
        session.write(&Reply { code: 220, enhanced: None, text: greeting.into() });
        session
    }

    /// What waits to be sent.
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// The output was sent.
    pub fn output_sent(&mut self) {
        self.out.clear();
    }

    /// The name that the client gave, since the last EHLO.
    pub fn hello_name(&self) -> Option<&str> {
        self.hello.as_ref().map(|h| h.name.as_str())
    }

    /// Whether a message is being transferred or its sender was accepted.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether the octets that come next are content.
    pub fn in_body(&self) -> bool {
        matches!(self.phase, Phase::Data | Phase::Chunk { .. })
    }

    /// The TLS handshake is done. Everything that was said before is forgotten (RFC 3207 4.2).
    pub fn tls_established(&mut self) {
        self.tls = true;
        self.hello = None;
        self.transaction = None;
    }

    /// From now on every command but EHLO, NOOP, RSET and QUIT hears this.
    pub fn refuse_all(&mut self, reply: Reply) {
        self.barrier = Some(reply);
    }

    /// Ends the session with a reply of the door's: shutdown, timeout.
    pub fn close(&mut self, reply: &Reply) {
        self.write(reply);
        self.phase = Phase::Closed;
        self.question = None;
    }

    /// Yes to [`Event::BodyStart`].
    pub fn accept_body(&mut self) {
        let Some(Question::BodyStart(kind)) = self.question.take() else { return };
        self.begin_body(kind);
        if kind == BodyKind::Data {
            self.write(&Reply::plain(354, "End data with <CR><LF>.<CR><LF>")); // RFC 5321 4.2.3
        }
    }

    /// The body that is being received will be refused with this reply once it is read to its end.
    pub fn refuse_body(&mut self, reply: Reply) {
        if self.in_body() {
            self.verdict.get_or_insert(reply);
        }
    }

    /// Answers the question that was asked. A positive reply means yes.
    pub fn answer(&mut self, reply: Reply) {
        let positive = reply.is_positive();
        match self.question.take() {
            Some(Question::Mail { smtputf8 }) if positive => {
                self.transaction =
                    Some(Transaction { smtputf8, recipients: 0, octets: 0, chunked: false });
                self.write(&reply);
            }
            Some(Question::Rcpt) if positive => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients += 1;
                }
                self.write(&reply);
            }
            Some(Question::BodyStart(BodyKind::Bdat { size, last })) => {
                // RFC 3030 2: the octets come whatever we say, and are thrown away.
                self.transaction = None;
                self.discard_chunk(size, last, reply);
            }
            Some(Question::BodyStart(BodyKind::Data)) => {
                self.transaction = None;
                self.data_refused = true;
                self.write_counted(&reply);
            }
            Some(Question::BodyEnd) => {
                self.transaction = None;
                if positive {
                    self.errors = 0;
                    self.commands = 0;
                }
                self.write_counted(&reply);
            }
            Some(Question::Auth) => {
                self.authenticated = positive;
                self.write_counted(&reply);
            }
            Some(Question::Mail { .. } | Question::Rcpt) => self.write_counted(&reply),
            None => self.write(&reply),
        }
    }

    /// Reads on. Feed the same bytes again, from `consumed`, until [`Event::NeedInput`]; then feed what was not
    /// consumed with more behind it. The caller's buffer holds [`AUTH_LINE_BYTES_MAX`] octets at least.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let mut read = 0;
        loop {
            match self.step(&input[read..]) {
                Flow::More => return Step { consumed: read, event: Event::NeedInput },
                Flow::Go(octets) => read += octets,
                Flow::Tell(octets, event) => return Step { consumed: read + octets, event },
            }
            if self.out.len() >= OUTPUT_BYTES_FLUSH {
                return Step { consumed: read, event: Event::Flush };
            }
        }
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> Flow<'a> {
        if self.question.take().is_some() {
            return self.fatal(Fault::Internal, 0);
        }
        match self.phase {
            Phase::Closed => Flow::Tell(input.len(), Event::Close),
            Phase::Data => self.step_data(input),
            Phase::Chunk { left, last, size } => self.step_chunk(input, left, last, size),
            Phase::Command(skipped) => self.step_command(input, skipped),
            Phase::AuthResponse(skipped) => self.step_auth_response(input, skipped),
        }
    }

    // Lines

    fn step_command<'a>(&mut self, input: &'a [u8], skipped: usize) -> Flow<'a> {
        if self.errors > self.settings.errors_max {
            return self.fatal(Fault::TooManyErrors, 0);
        }
        let auth = input.get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"AUTH"));
        let limit = if auth { AUTH_LINE_BYTES_MAX } else { COMMAND_LINE_BYTES_MAX };
        match lines::read(input, limit, skipped) {
            Line::Partial => Flow::More,
            Line::Broken(fault) => self.fatal(fault, input.len()),
            Line::Skip(octets) => {
                self.phase = Phase::Command(skipped + octets);
                Flow::Go(octets)
            }
            Line::SkippedEnd(octets) => {
                self.phase = Phase::Command(0);
                self.refused(Fault::LineTooLong, octets)
            }
            Line::Whole(line, octets) => {
                self.commands += 1;
                if self.commands > self.settings.commands_max {
                    return self.fatal(Fault::TooManyCommands, octets);
                }
                let more = input.len() > octets;
                let refused = std::mem::take(&mut self.data_refused);
                match self.command(line, more) {
                    Err(Stop::Fault(Fault::UnknownCommand | Fault::BadLine)) if refused => {
                        self.fatal(Fault::DataAnyway, octets)
                    }
                    outcome => self.conclude(outcome, octets),
                }
            }
        }
    }

    fn conclude<'a>(
        &mut self,
        outcome: Result<Option<Event<'a>>, Stop>,
        octets: usize,
    ) -> Flow<'a> {
        match outcome {
            Ok(Some(event)) => Flow::Tell(octets, event),
            Ok(None) => Flow::Go(octets),
            Err(Stop::Fault(fault)) if fault.is_fatal() => self.fatal(fault, octets),
            Err(Stop::Fault(fault)) => self.refused(fault, octets),
            Err(Stop::Barrier) => {
                let reply = self.barrier.clone().unwrap_or_else(|| Fault::Internal.reply());
                self.write_counted(&reply);
                Flow::Go(octets)
            }
        }
    }

    fn command<'a>(&mut self, line: &[u8], more: bool) -> Result<Option<Event<'a>>, Stop> {
        let (verb, arguments) =
            Verb::split(lines::text(line)?).ok_or(Stop::Fault(Fault::UnknownCommand))?;
        if verb == Verb::Bdat {
            return self.bdat(arguments);
        }
        let outcome = self.gate(verb).and_then(|()| self.verb(verb, arguments, more));
        self.data_refused = verb == Verb::Data && outcome.is_err();
        outcome
    }

    /// What stands before every verb: TLS, then the peer's right to talk, then EHLO, then authentication.
    fn gate(&self, verb: Verb) -> Result<(), Stop> {
        match verb {
            Verb::Ehlo | Verb::Helo | Verb::Noop | Verb::Rset | Verb::Quit => return Ok(()),
            _ => {}
        }
        let free = matches!(verb, Verb::StartTls | Verb::Help);
        if !self.tls && !free {
            return Err(Fault::TlsRequired.into()); // RFC 3207 4
        }
        if self.barrier.is_some() {
            return Err(Stop::Barrier);
        }
        if self.hello.is_none() && !free {
            return Err(Fault::HelloFirst.into()); // RFC 5321 4.1.4
        }
        let public = free || verb == Verb::Auth;
        if self.settings.service == Service::Submission && !self.authenticated && !public {
            return Err(Fault::AuthRequired.into()); // RFC 6409 4.3
        }
        Ok(())
    }

    fn verb<'a>(
        &mut self,
        verb: Verb,
        arguments: &str,
        more: bool,
    ) -> Result<Option<Event<'a>>, Stop> {
        let bare = matches!(verb, Verb::Data | Verb::Rset | Verb::Quit | Verb::StartTls);
        if bare && !arguments.is_empty() {
            return Err(Fault::Arguments.into());
        }
        match verb {
            Verb::Ehlo => self.hello(arguments, true),
            Verb::Helo => self.hello(arguments, false),
            Verb::Mail => self.mail(arguments),
            Verb::Rcpt => self.rcpt(arguments),
            Verb::Data => {
                self.body_allowed(false)?;
                Ok(self.ask(Question::BodyStart(BodyKind::Data), Event::BodyStart))
            }
            Verb::Bdat => self.bdat(arguments),
            Verb::Rset => Ok(self.reset_with(&ok(2, 0, 0, "OK"))),
            Verb::Noop => Ok(self.say(&ok(2, 0, 0, "OK"))),
            // RFC 5321 3.5.3, 7.3: nobody learns who has a BAL.
            Verb::Vrfy => {
                let code = EnhancedCode(2, 1, 5);
                Ok(self.say(&Reply::new(252, code, "Send some mail, I will try my best")))
            }
            Verb::Expn => Err(Fault::NotImplemented.into()),
            Verb::Help => Ok(self.say(&Reply::new(214, EnhancedCode(2, 0, 0), "RFC 5321"))),
            Verb::StartTls => self.starttls(more),
            Verb::Auth => self.auth(arguments),
            Verb::Quit => {
                self.phase = Phase::Closed;
                self.write(&Reply::new(221, EnhancedCode(2, 0, 0), "Bye"));
                Ok(Some(Event::Close))
            }
        }
    }

    fn hello<'a>(&mut self, arguments: &str, extended: bool) -> Result<Option<Event<'a>>, Stop> {
        let name = command::hello(arguments)?.to_owned();
        self.hello = Some(Hello { name, extended });
        let text = if extended { self.extensions() } else { self.settings.hostname.clone() };
        // RFC 5321 4.1.4: EHLO resets the transaction as RSET does. RFC 2034 3: no enhanced code here.
        Ok(self.reset_with(&Reply { code: 250, enhanced: None, text: text.into() }))
    }

    fn extensions(&self) -> String {
        let mut text = self.settings.hostname.clone();
        text.push_str("\nPIPELINING"); // RFC 2920
        text.push_str(&format!("\nSIZE {}", self.settings.message_bytes_max)); // RFC 1870
        if !self.tls {
            text.push_str("\nSTARTTLS"); // RFC 3207
        } else if self.settings.service == Service::Submission && !self.authenticated {
            text.push_str("\nAUTH PLAIN"); // RFC 4954
        }
        // RFC 2034, 6152, 3461, 6531, 3030, 6710
        text.push_str("\nENHANCEDSTATUSCODES\n8BITMIME\nDSN\nSMTPUTF8\nCHUNKING\nMT-PRIORITY");
        text
    }

    fn mail<'a>(&mut self, arguments: &str) -> Result<Option<Event<'a>>, Stop> {
        if self.transaction.is_some() {
            return Err(Fault::MailTwice.into());
        }
        let mail = command::mail(arguments)?;
        self.check_extended(mail.size.is_some() || mail.eight_bit || mail.smtputf8)?;
        if mail.non_ascii && !mail.smtputf8 {
            return Err(Fault::NonAsciiAddress.into()); // RFC 6531 3.4
        }
        if mail.size.is_some_and(|size| size > self.settings.message_bytes_max) {
            return Err(Fault::DeclaredTooLarge.into()); // RFC 1870 6.1
        }
        let question = Question::Mail { smtputf8: mail.smtputf8 };
        Ok(self.ask(question, Event::Mail(mail)))
    }

    /// RFC 5321 4.1.1.11: parameters belong to EHLO.
    fn check_extended(&self, parameters: bool) -> Result<(), Stop> {
        let extended = self.hello.as_ref().is_some_and(|h| h.extended);
        if parameters && !extended { Err(Fault::UnknownParameter.into()) } else { Ok(()) }
    }

    fn rcpt<'a>(&mut self, arguments: &str) -> Result<Option<Event<'a>>, Stop> {
        let Some(transaction) = self.transaction else {
            return Err(Fault::MailFirst.into());
        };
        if transaction.chunked {
            return Err(Fault::AfterBdat.into());
        }
        let rcpt = command::rcpt(arguments)?;
        self.check_extended(rcpt.parameters)?;
        if rcpt.non_ascii && !transaction.smtputf8 {
            return Err(Fault::NonAsciiAddress.into());
        }
        if transaction.recipients >= self.settings.recipients_max {
            return Err(Fault::TooManyRecipients.into()); // RFC 5321 4.5.3.1.10
        }
        Ok(self.ask(Question::Rcpt, Event::Rcpt(rcpt)))
    }

    fn body_allowed(&self, chunk: bool) -> Result<(), Stop> {
        match &self.transaction {
            None => Err(Fault::MailFirst.into()),
            Some(t) if t.recipients == 0 => Err(Fault::NoRecipients.into()),
            Some(t) if t.chunked && !chunk => Err(Fault::AfterBdat.into()), // RFC 3030 2
            Some(_) => Ok(()),
        }
    }

    fn starttls<'a>(&mut self, more: bool) -> Result<Option<Event<'a>>, Stop> {
        if self.tls {
            return Err(Fault::TlsTwice.into());
        }
        // RFC 3207 6, CVE-2011-0411: what was sent in clear behind the command would be read as if it were protected.
        if more {
            return Err(Fault::StartTlsInjection.into());
        }
        self.write(&Reply::new(220, EnhancedCode(2, 0, 0), "Ready to start TLS"));
        Ok(Some(Event::StartTls))
    }

    // AUTH

    fn auth<'a>(&mut self, arguments: &str) -> Result<Option<Event<'a>>, Stop> {
        let offered = self.settings.service == Service::Submission;
        if !offered {
            return Err(Fault::NotImplemented.into());
        }
        if self.authenticated || self.transaction.is_some() {
            return Err(Fault::AuthNow.into()); // RFC 4954 4
        }
        let (mechanism, initial) = match arguments.split_once(' ') {
            Some((mechanism, initial)) => (mechanism, Some(initial.trim_start())),
            None => (arguments, None),
        };
        if !mechanism.eq_ignore_ascii_case("PLAIN") {
            return Err(Fault::Mechanism.into());
        }
        match initial {
            Some(response) => self.plain(response),
            None => {
                self.phase = Phase::AuthResponse(0);
                self.write(&Reply::plain(334, "")); // RFC 4954 4
                Ok(None)
            }
        }
    }

    fn step_auth_response<'a>(&mut self, input: &'a [u8], skipped: usize) -> Flow<'a> {
        let (line, octets) = match lines::read(input, AUTH_LINE_BYTES_MAX, skipped) {
            Line::Partial => return Flow::More,
            Line::Whole(line, octets) => (line, octets),
            Line::Broken(fault) => return self.fatal(fault, input.len()),
            Line::Skip(octets) => {
                self.phase = Phase::AuthResponse(skipped + octets);
                return Flow::Go(octets);
            }
            Line::SkippedEnd(octets) => {
                self.phase = Phase::Command(0);
                return self.refused(Fault::LineTooLong, octets);
            }
        };
        self.phase = Phase::Command(0);
        let outcome = match lines::text(line) {
            Ok("*") => Err(Stop::Fault(Fault::AuthCancelled)), // RFC 4954 4
            Ok(response) => self.plain(response),
            Err(fault) => Err(Stop::Fault(fault)),
        };
        self.conclude(outcome, octets)
    }

    fn plain<'a>(&mut self, response: &str) -> Result<Option<Event<'a>>, Stop> {
        let credentials = decode_plain(response).ok_or(Stop::Fault(Fault::AuthSyntax))?;
        Ok(self.ask(Question::Auth, Event::Auth(credentials)))
    }

    // DATA

    fn begin_body(&mut self, kind: BodyKind) {
        self.overrun = 0;
        match kind {
            BodyKind::Data => {
                self.line_start = true;
                self.phase = Phase::Data;
            }
            BodyKind::Bdat { size, last } => {
                self.phase = Phase::Chunk { left: size, last, size };
            }
        }
    }

    fn step_data<'a>(&mut self, input: &'a [u8]) -> Flow<'a> {
        match read_data(input, &mut self.line_start) {
            Piece::More => Flow::More,
            Piece::Content { end, .. } if self.verdict.is_some() => self.overrun(end),
            Piece::Poison(_, octets) if self.verdict.is_some() => self.overrun(octets),
            Piece::Poison(fault, octets) => self.poison(fault, octets),
            Piece::Content { start, end } => match self.count(end - start) {
                Ok(()) => Flow::Tell(end, Event::Body(&input[start..end])),
                Err(fault) => self.poison(fault, end),
            },
            Piece::End(octets) => {
                self.phase = Phase::Command(0);
                self.end_body(octets)
            }
        }
    }

    /// The end of the whole message, or of a chunk that was refused.
    fn end_body<'a>(&mut self, octets: usize) -> Flow<'a> {
        match self.verdict.take() {
            Some(verdict) => {
                self.transaction = None;
                self.write_counted(&verdict);
                Flow::Tell(octets, Event::Reset)
            }
            None => {
                self.question = Some(Question::BodyEnd);
                Flow::Tell(octets, Event::BodyEnd)
            }
        }
    }

    /// Counts content against the limit.
    fn count(&mut self, octets: usize) -> Result<(), Fault> {
        let Some(transaction) = &mut self.transaction else { return Err(Fault::Internal) };
        transaction.octets += octets as u64;
        if transaction.octets > self.settings.message_bytes_max {
            return Err(Fault::BodyTooLarge);
        }
        Ok(())
    }

    fn poison<'a>(&mut self, fault: Fault, octets: usize) -> Flow<'a> {
        self.verdict = Some(fault.reply());
        Flow::Tell(octets, Event::BodyFault(fault))
    }

    /// A refused body is read on, but not for ever.
    fn overrun<'a>(&mut self, octets: usize) -> Flow<'a> {
        self.overrun += octets as u64;
        if self.overrun <= BODY_OVERRUN_BYTES_MAX {
            return Flow::Go(octets);
        }
        let verdict = self.verdict.take().unwrap_or_else(|| Fault::BodyTooLarge.reply());
        self.close(&verdict);
        Flow::Tell(octets, Event::Close)
    }

    // BDAT

    fn bdat<'a>(&mut self, arguments: &str) -> Result<Option<Event<'a>>, Stop> {
        // Whatever the state, the octets follow: a count that does not parse ends the session (RFC 3030 2).
        let (size, last) = command::bdat(arguments).map_err(|_| Fault::BadChunk)?;
        let refusal = match self.gate(Verb::Bdat).and_then(|()| self.body_allowed(true)) {
            Ok(()) => None,
            Err(Stop::Fault(fault)) => Some(fault.reply()),
            Err(Stop::Barrier) => self.barrier.clone(),
        };
        if let Some(reply) = refusal {
            // A transaction that hears a refusal to BDAT is over (RFC 3030 2): the chunks behind hear 503.
            self.transaction = None;
            self.discard_chunk(size, last, reply);
            return Ok(Some(Event::Reset));
        }
        let Some(transaction) = &mut self.transaction else { return Err(Fault::MailFirst.into()) };
        let first = !std::mem::replace(&mut transaction.chunked, true);
        if first {
            self.after_cr = false;
        }
        if transaction.octets.saturating_add(size) > self.settings.message_bytes_max {
            self.transaction = None;
            self.discard_chunk(size, last, Fault::BodyTooLarge.reply());
            return Ok(Some(Event::BodyFault(Fault::BodyTooLarge)));
        }
        let kind = BodyKind::Bdat { size, last };
        if first {
            return Ok(self.ask(Question::BodyStart(kind), Event::BodyStart));
        }
        self.begin_body(kind);
        Ok(None)
    }

    fn discard_chunk(&mut self, size: u64, last: bool, reply: Reply) {
        self.begin_body(BodyKind::Bdat { size, last });
        self.verdict = Some(reply);
    }

    fn step_chunk<'a>(&mut self, input: &'a [u8], left: u64, last: bool, size: u64) -> Flow<'a> {
        if left == 0 {
            return self.end_chunk(last, size);
        }
        if input.is_empty() {
            return Flow::More;
        }
        let taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let octets = &input[..taken];
        self.phase = Phase::Chunk { left: left - taken as u64, last, size };
        if self.verdict.is_some() {
            return self.overrun(taken);
        }
        match check_chunk(octets, &mut self.after_cr).and_then(|()| self.count(taken)) {
            Ok(()) => Flow::Tell(taken, Event::Body(octets)),
            Err(fault) => self.poison(fault, taken),
        }
    }

    fn end_chunk<'a>(&mut self, last: bool, size: u64) -> Flow<'a> {
        if last && self.verdict.is_none() && self.after_cr {
            return self.poison(Fault::BodyBareCr, 0); // the message ends in a CR
        }
        self.phase = Phase::Command(0);
        if last || self.verdict.is_some() {
            return self.end_body(0);
        }
        let text = format!("{size} octets received");
        self.write(&Reply::with_text(250, EnhancedCode(2, 0, 0), text)); // RFC 3030 2
        Flow::Go(0)
    }

    // Replies

    fn ask<'a>(&mut self, question: Question, event: Event<'a>) -> Option<Event<'a>> {
        self.question = Some(question);
        Some(event)
    }

    fn say<'a>(&mut self, reply: &Reply) -> Option<Event<'a>> {
        self.write(reply);
        None
    }

    /// Replies, and drops the transaction if there is one.
    fn reset_with<'a>(&mut self, reply: &Reply) -> Option<Event<'a>> {
        self.write(reply);
        self.transaction.take().map(|_| Event::Reset)
    }

    fn refused<'a>(&mut self, fault: Fault, octets: usize) -> Flow<'a> {
        self.write_counted(&fault.reply());
        Flow::Tell(octets, Event::Refused(fault))
    }

    fn fatal<'a>(&mut self, fault: Fault, octets: usize) -> Flow<'a> {
        self.close(&fault.reply());
        self.errors = 0;
        Flow::Tell(octets, Event::Refused(fault))
    }

    fn write_counted(&mut self, reply: &Reply) {
        if reply.is_permanent() {
            self.errors += 1;
        }
        self.write(reply);
    }

    fn write(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
    }
}

const fn ok(class: u8, subject: u16, detail: u16, text: &'static str) -> Reply {
    Reply::new(250, EnhancedCode(class, subject, detail), text)
}

/// `[authzid] NUL authcid NUL passwd` in base64 (RFC 4616 2, RFC 4954 4).
fn decode_plain(response: &str) -> Option<PlainCredentials> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(response).ok()?;
    let message = Zeroizing::new(bytes);
    let mut fields = message.split(|b| *b == 0).map(std::str::from_utf8);
    let (authorization, authentication, password) =
        (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    if fields.next().is_some() || authentication.is_empty() || password.is_empty() {
        return None;
    }
    Some(PlainCredentials {
        authorization: authorization.to_owned(),
        authentication: authentication.to_owned(),
        password: Secret::new(password.to_owned()),
    })
}
