//! Lines and literals (RFC 9051 2.2.1 and 4.3, RFC 7888): where one command ends and the next begins.
//!
//! The receiver answers with one event at a time and reads no further, because the answer to an event may change how
//! the next byte is meant (STARTTLS, AUTHENTICATE, IDLE, ENABLE, a refused APPEND).
//!
//! A refused command still has to be read to its end. Non-synchronising literals in it are thrown away by length up to
//! a bound; past it the connection must be closed. To read them as commands would let the text of a message act as
//! its author (RFC 7888 4).

use crate::Limits;
use crate::command::{AppendHead, AppendMessage, Tagged};
use crate::grammar::{AppendLine, parse_append_line, parse_append_next, parse_command};
use crate::token::{Bad, Tokens};
use palombe_vocabulary::Secret;

/// What the client's bytes mean.
#[derive(Debug)]
pub enum Event<'a> {
    /// A whole command.
    Command(Tagged),
    /// A command that was not understood, read to its end. Answer BAD and go on.
    Bad {
        /// The tag, when there was one.
        tag: Option<String>,
        /// What is wrong.
        bad: Bad,
    },
    /// The client waits before it sends an argument: write a continuation request.
    Continue,
    /// An APPEND up to its message. Call [`Receiver::accept_append`] or [`Receiver::refuse_append`] next.
    Append(AppendHead),
    /// The message before is complete and another one follows (RFC 3502). Call [`Receiver::accept_append`] or
    /// [`Receiver::refuse_append`] next.
    AppendNext(AppendMessage),
    /// A piece of the message of the accepted APPEND.
    Data(&'a [u8]),
    /// The accepted APPEND is complete.
    AppendEnd,
    /// The accepted APPEND had its message but no proper end. It must not take effect.
    AppendBad(Bad),
    /// The line asked for by [`Receiver::expect_line`], without CRLF.
    Line(Secret<Vec<u8>>),
    /// The stream cannot be followed any more: say BYE and close.
    Fatal(Bad),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Bytes up to LF.
    Line,
    /// Octets of a literal that stays in the command.
    Literal { left: usize },
    /// An APPEND waits for its verdict.
    Verdict { size: u64, waits: bool, after: After },
    /// Octets of an accepted message.
    Message { left: u64 },
    /// Octets of a refused literal.
    Discard { left: u64 },
    /// A line that is not a command.
    Raw { max: usize },
    /// After `Fatal`.
    Closed,
}

/// What may follow a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct After {
    /// `)` of `UTF8 (~{n}…)` (RFC 6855 4).
    closes_utf8: bool,
    /// Another message: APPEND only (RFC 8508 4.7).
    more: bool,
}

/// Why the command being read will not be carried out.
#[derive(Clone, Debug)]
enum Refused {
    /// To be reported when the command has ended.
    Report { tag: Option<String>, bad: Bad },
    /// The caller has answered already.
    Silent,
}

/// Octets at the end of a refused line that may hold a literal marker: `~{18446744073709551615+}` and CRLF.
const MARKER_BYTES_MAX: usize = 32;

/// One connection's framing. Feed it bytes with [`Receiver::next`].
#[derive(Debug)]
pub struct Receiver {
    limits: Limits,
    authenticated: bool,
    utf8: bool,
    step: Step,
    /// The command so far with its literals; of a refused command, the end of the line only.
    command: Vec<u8>,
    /// Where in `command` the line now being read began: a marker must not begin inside a literal.
    line_start: usize,
    /// The line being read stands behind a message of an APPEND.
    after_message: Option<After>,
    refused: Option<Refused>,
    drained: u64,
}

impl Receiver {
    /// A receiver in the not authenticated state.
    pub fn new(limits: Limits) -> Self {
        Receiver {
            limits,
            authenticated: false,
            utf8: false,
            step: Step::Line,
            command: Vec::new(),
            line_start: 0,
            after_message: None,
            refused: None,
            drained: 0,
        }
    }

    /// From now on the limits of authenticated clients hold.
    pub fn set_authenticated(&mut self) {
        self.authenticated = true;
    }

    /// Back to the limits and the names of a client that has not logged in (RFC 8437).
    pub fn set_unauthenticated(&mut self) {
        self.authenticated = false;
        self.utf8 = false;
    }

    /// From now on mailbox names are UTF-8 (ENABLE IMAP4rev2 or UTF8=ACCEPT).
    pub fn set_utf8(&mut self) {
        self.utf8 = true;
    }

    /// Whether mailbox names are UTF-8.
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// Whether no command has begun: a good moment to be idle.
    pub fn is_between_commands(&self) -> bool {
        self.step == Step::Line && self.command.is_empty() && self.refused.is_none()
    }

    /// The next line is not a command but an answer to a continuation request (AUTHENTICATE, IDLE).
    pub fn expect_line(&mut self, max: usize) {
        self.step = Step::Raw { max };
    }

    /// After [`Event::Append`]: the message will be taken. The caller writes the continuation if the client waits.
    pub fn accept_append(&mut self) {
        if let Step::Verdict { size, after, .. } = self.step {
            self.after_message = Some(after);
            self.step = if size == 0 { Step::Line } else { Step::Message { left: size } };
        }
    }

    /// After [`Event::Append`]: the caller answers the command now; what the client sends of it all the same is
    /// thrown away.
    pub fn refuse_append(&mut self) {
        if let Step::Verdict { size, waits, .. } = self.step {
            self.after_message = None;
            self.step = Step::Line;
            if !waits {
                self.refused = Some(Refused::Silent);
                self.step = Step::Discard { left: size };
            }
        }
    }

    /// Between [`Event::Append`] accepted and its end: the caller has answered already, the rest is thrown away.
    pub fn abandon_append(&mut self) {
        if let Step::Message { left } = self.step {
            self.after_message = None;
            self.refused = Some(Refused::Silent);
            self.step = Step::Discard { left };
        } else if self.after_message.take().is_some() {
            self.refused = Some(Refused::Silent);
        }
    }

    /// The next event in `input`, which shrinks by what was read. `None` when all of it was read.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Event<'a>> {
        loop {
            match self.step {
                Step::Closed | Step::Verdict { .. } => return None,
                Step::Discard { left } => {
                    if left > self.drain_max().saturating_sub(self.drained) {
                        return Some(self.fatal(Bad::Flood));
                    }
                    self.drained += left;
                    self.step = Step::Literal { left: 0 };
                    if left > 0 {
                        self.step = Step::Message { left };
                    }
                }
                Step::Message { left } => {
                    let piece = take(input, left)?;
                    let left = left - piece.len() as u64;
                    self.step = if left == 0 { Step::Line } else { Step::Message { left } };
                    if self.refused.is_none() {
                        return Some(Event::Data(piece));
                    }
                }
                Step::Literal { left: 0 } => {
                    self.line_start = self.command.len();
                    self.step = Step::Line;
                }
                Step::Literal { left } => {
                    let piece = take(input, left as u64)?;
                    self.command.extend_from_slice(piece);
                    self.step = Step::Literal { left: left - piece.len() };
                }
                Step::Line => {
                    if let Some(event) = self.line(input)? {
                        return Some(event);
                    }
                }
                Step::Raw { max } => return self.raw_line(input, max),
            }
        }
    }

    fn drain_max(&self) -> u64 {
        if self.authenticated {
            self.limits.drain_bytes_max
        } else {
            self.limits.drain_bytes_before_login_max
        }
    }

    fn command_max(&self) -> usize {
        if self.authenticated {
            self.limits.command_bytes_max
        } else {
            self.limits.command_bytes_before_login_max
        }
    }

    /// Reads on in a line. `None`: no more input. `Some(None)`: the line ended in a literal, go on.
    fn line<'a>(&mut self, input: &mut &'a [u8]) -> Option<Option<Event<'a>>> {
        if input.is_empty() {
            return None;
        }
        let (mut piece, ended) = take_line(input);
        let room = self.command_max().saturating_sub(self.command.len());
        if self.refused.is_none() && piece.len() > room {
            let (fits, excess) = piece.split_at(room);
            self.command.extend_from_slice(fits);
            self.drained = self.command.len() as u64;
            self.refuse(Bad::TooLong);
            piece = excess;
        }
        if self.refused.is_some() {
            self.drained += piece.len() as u64;
            if self.drained > self.drain_max() {
                return Some(Some(self.fatal(Bad::Flood)));
            }
            self.keep_end(piece);
        } else {
            self.command.extend_from_slice(piece);
        }
        if !ended {
            return None;
        }
        Some(self.line_ended())
    }

    fn keep_end(&mut self, piece: &[u8]) {
        let kept = &piece[piece.len().saturating_sub(MARKER_BYTES_MAX)..];
        self.command.extend_from_slice(kept);
        let excess = self.command.len().saturating_sub(MARKER_BYTES_MAX);
        self.command.drain(..excess);
        self.line_start = 0;
    }

    /// Marks the command as refused, remembering its tag.
    fn refuse(&mut self, bad: Bad) {
        let tag = Tokens::new(&self.command, &self.limits, false).tag().ok().map(str::to_owned);
        // A tag is only known once the byte after it is.
        let tag = tag.filter(|tag| tag.len() < self.command.len());
        self.refused = Some(Refused::Report { tag, bad });
        let from = self.line_start.max(self.command.len().saturating_sub(MARKER_BYTES_MAX));
        self.command.drain(..from);
        self.line_start = 0;
    }

    /// The line is whole, LF included.
    fn line_ended<'a>(&mut self) -> Option<Event<'a>> {
        self.command.pop();
        let has_cr = self.command.len() > self.line_start && self.command.ends_with(b"\r");
        if has_cr {
            self.command.pop();
        } else if self.refused.is_none() {
            self.refuse(Bad::LineEnd);
        }
        let Some(marker) = Marker::at_end_of(&self.command[self.line_start..]) else {
            return self.command_ended();
        };
        match (self.refused.is_none(), self.after_message) {
            (true, Some(after)) => self.next_message_announced(after, marker),
            (true, None) => self.literal_announced(marker),
            (false, _) => self.refused_literal(marker),
        }
    }

    fn refused_literal<'a>(&mut self, marker: Marker) -> Option<Event<'a>> {
        self.command.clear();
        if marker.waits {
            // The client will read our answer instead of a continuation.
            return self.command_ended();
        }
        self.step = Step::Discard { left: marker.size };
        None
    }

    fn next_message_announced<'a>(&mut self, after: After, marker: Marker) -> Option<Event<'a>> {
        let head = &self.command[..self.command.len() - marker.bytes];
        let tokens = Tokens::new(head, &self.limits, self.utf8);
        let parsed = match parse_append_next(tokens, after.closes_utf8, marker) {
            Ok(_) if !after.more => Err(Bad::Trailing),
            Ok(message) if message.size > self.limits.append_bytes_max => Err(Bad::MessageTooLarge),
            other => other,
        };
        match parsed {
            Ok(message) => {
                self.wipe();
                let after = After { closes_utf8: message.utf8, more: true };
                self.step = Step::Verdict { size: marker.size, waits: marker.waits, after };
                Some(Event::AppendNext(message))
            }
            Err(bad) => {
                self.refuse(bad);
                self.refused_literal(marker)
            }
        }
    }

    fn literal_announced<'a>(&mut self, marker: Marker) -> Option<Event<'a>> {
        let head = &self.command[..self.command.len() - marker.bytes];
        let tokens = Tokens::new(head, &self.limits, self.utf8);
        match parse_append_line(tokens, marker) {
            AppendLine::Message(_) if marker.size > self.limits.append_bytes_max => {
                self.refuse(Bad::MessageTooLarge);
                return self.refused_literal(marker);
            }
            AppendLine::Message(head) => {
                self.wipe();
                let more = head.replaces.is_none();
                let after = After { closes_utf8: head.message.utf8, more };
                self.step = Step::Verdict { size: marker.size, waits: marker.waits, after };
                return Some(Event::Append(head));
            }
            AppendLine::Bad(bad) => {
                self.refuse(bad);
                return self.refused_literal(marker);
            }
            AppendLine::Other => {}
        }
        let room = self.command_max().saturating_sub(self.command.len() + 2);
        match usize::try_from(marker.size) {
            Ok(left) if left <= room => {
                self.command.extend_from_slice(b"\r\n");
                self.step = Step::Literal { left };
                marker.waits.then_some(Event::Continue)
            }
            _ => {
                self.refuse(Bad::TooLong);
                self.refused_literal(marker)
            }
        }
    }

    fn command_ended<'a>(&mut self) -> Option<Event<'a>> {
        self.step = Step::Line;
        self.drained = 0;
        let after = self.after_message.take();
        let end: &[u8] = if after.is_some_and(|after| after.closes_utf8) { b")" } else { b"" };
        let event = match self.refused.take() {
            Some(Refused::Silent) => None,
            Some(Refused::Report { bad, .. }) if after.is_some() => Some(Event::AppendBad(bad)),
            Some(Refused::Report { tag, bad }) => Some(Event::Bad { tag, bad }),
            None if after.is_some() && self.command == end => Some(Event::AppendEnd),
            None if after.is_some() => Some(Event::AppendBad(Bad::Trailing)),
            None => Some(match parse_command(&self.command, &self.limits, self.utf8) {
                Ok(tagged) => Event::Command(tagged),
                Err((tag, bad)) => Event::Bad { tag, bad },
            }),
        };
        self.wipe();
        event
    }

    fn raw_line<'a>(&mut self, input: &mut &'a [u8], max: usize) -> Option<Event<'a>> {
        if input.is_empty() {
            return None;
        }
        let (piece, ended) = take_line(input);
        if self.command.len() + piece.len() > max + 2 {
            return Some(self.fatal(Bad::TooLong));
        }
        self.command.extend_from_slice(piece);
        if !ended {
            return None;
        }
        let Some(line) = self.command.strip_suffix(b"\r\n") else {
            return Some(self.fatal(Bad::LineEnd));
        };
        let line = Secret::new(line.to_vec());
        self.wipe();
        self.step = Step::Line;
        Some(Event::Line(line))
    }

    fn fatal<'a>(&mut self, bad: Bad) -> Event<'a> {
        self.wipe();
        self.step = Step::Closed;
        Event::Fatal(bad)
    }

    /// Forgets the command's bytes, which may hold a password, and gives a large buffer back.
    fn wipe(&mut self) {
        if !self.authenticated {
            self.command.fill(0);
        }
        self.command.clear();
        self.command.shrink_to(1024);
        self.line_start = 0;
    }
}

/// `{n}`, `{n+}`, `~{n}` at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) size: u64,
    pub(crate) waits: bool,
    /// `~{n}`.
    pub(crate) literal8: bool,
    /// Its own length.
    bytes: usize,
}

impl Marker {
    fn at_end_of(line: &[u8]) -> Option<Marker> {
        let inner = line.strip_suffix(b"}")?;
        let open = inner.iter().rposition(|b| *b == b'{')?;
        let digits = &inner[open + 1..];
        let (digits, waits) = match digits.strip_suffix(b"+") {
            Some(digits) => (digits, false),
            None => (digits, true),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // A number too large to read is a literal too large to take.
        let size = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
        let literal8 = open > 0 && inner[open - 1] == b'~';
        Some(Marker { size, waits, literal8, bytes: line.len() - open + usize::from(literal8) })
    }
}

/// At most `left` octets of the input; `None` when there is no input.
fn take<'a>(input: &mut &'a [u8], left: u64) -> Option<&'a [u8]> {
    if input.is_empty() {
        return None;
    }
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    let (piece, rest) = input.split_at(length);
    *input = rest;
    Some(piece)
}

/// The input up to and with its first LF, or all of it; and whether there was an LF.
fn take_line<'a>(input: &mut &'a [u8]) -> (&'a [u8], bool) {
    let found = input.iter().position(|b| *b == b'\n');
    let (piece, rest) = input.split_at(found.map_or(input.len(), |at| at + 1));
    *input = rest;
    (piece, found.is_some())
}
