//! The token layer: atoms, strings and numbers of RFC 9051 9 out of one whole command.

use crate::{Limits, Mailbox, Pattern};
use std::borrow::Cow;

/// Why a command was not understood. The text is constant: it goes to the client, and never holds the client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// No tag, or a tag with forbidden characters.
    #[error("a command begins with a tag")]
    Tag,
    /// Not a command of this server.
    #[error("unknown command")]
    UnknownCommand,
    /// Something else was expected; what.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A known command with an option, item or key that this server does not know; which kind.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// More of something than the server takes.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// Parentheses, NOT and OR nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// A number out of its range.
    #[error("number out of range")]
    Number,
    /// Neither modified UTF-7 nor, where enabled, UTF-8.
    #[error("the mailbox name is not well encoded")]
    MailboxName,
    /// Not UTF-8.
    #[error("the text is not UTF-8")]
    Text,
    /// Not a date.
    #[error("not a date")]
    Date,
    /// Not base64.
    #[error("not base64")]
    Base64,
    /// Bytes after the end of the command.
    #[error("unexpected text after the command")]
    Trailing,
    /// A line that does not end with CRLF.
    #[error("lines end with CRLF")]
    LineEnd,
    /// A command longer than its limit.
    #[error("command too long")]
    TooLong,
    /// The message given to APPEND is larger than the limit.
    #[error("message too large")]
    MessageTooLarge,
    /// So much refused input that the connection is closed instead of reading it.
    #[error("too much input")]
    Flood,
}

/// Reads one command from its first byte.
pub(crate) struct Tokens<'a> {
    rest: &'a [u8],
    pub(crate) limits: &'a Limits,
    pub(crate) utf8: bool,
}

/// `atom-specials` of RFC 9051 9, without `]`, which is a `resp-special` only.
fn atom_special(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'{' | b' ' | b'%' | b'*' | b'"' | b'\\' | 0..=0x1f | 0x7f..)
}

pub(crate) fn is_astring_char(byte: u8) -> bool {
    !atom_special(byte)
}

pub(crate) fn is_atom_char(byte: u8) -> bool {
    !atom_special(byte) && byte != b']'
}

fn is_list_char(byte: u8) -> bool {
    is_astring_char(byte) || matches!(byte, b'%' | b'*')
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(command: &'a [u8], limits: &'a Limits, utf8: bool) -> Self {
        Tokens { rest: command, limits, utf8 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the byte if it comes next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, tail)) if *first == byte => {
                self.rest = tail;
                true
            }
            _ => false,
        }
    }

    /// Takes these bytes if they come next.
    pub(crate) fn take_all(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(tail) => {
                self.rest = tail;
                true
            }
            None => false,
        }
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Bad> {
        if self.take(byte) { Ok(()) } else { Err(Bad::Expected(what)) }
    }

    pub(crate) fn space(&mut self) -> Result<(), Bad> {
        self.expect(b' ', "a space")
    }

    pub(crate) fn end(&self) -> Result<(), Bad> {
        if self.is_at_end() { Ok(()) } else { Err(Bad::Trailing) }
    }

    /// The longest run of accepted bytes; may be empty.
    fn run(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|b| !accepts(*b)).unwrap_or(self.rest.len());
        let (run, tail) = self.rest.split_at(length);
        self.rest = tail;
        run
    }

    fn run_text(
        &mut self,
        accepts: impl Fn(u8) -> bool,
        what: &'static str,
    ) -> Result<&'a str, Bad> {
        let run = self.run(accepts);
        if run.is_empty() {
            return Err(Bad::Expected(what));
        }
        std::str::from_utf8(run).map_err(|_| Bad::Text)
    }

    pub(crate) fn tag(&mut self) -> Result<&'a str, Bad> {
        self.run_text(|b| is_astring_char(b) && b != b'+', "a tag").map_err(|_| Bad::Tag)
    }

    pub(crate) fn atom(&mut self, what: &'static str) -> Result<&'a str, Bad> {
        self.run_text(is_atom_char, what)
    }

    /// A word of the grammar such as a command or an item name, in upper case. Stops before `[`, so that
    /// `BODY[TEXT]` gives `BODY`.
    pub(crate) fn word(&mut self, what: &'static str) -> Result<String, Bad> {
        let accepts = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'=');
        Ok(self.run_text(accepts, what)?.to_ascii_uppercase())
    }

    /// Takes the word if it comes next, whole, without regard to case.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let Some(head) = self.rest.get(..word.len()) else { return false };
        let ends = self.rest.get(word.len()).is_none_or(|b| !is_atom_char(*b));
        if ends && head.eq_ignore_ascii_case(word.as_bytes()) {
            self.rest = &self.rest[word.len()..];
            return true;
        }
        false
    }

    pub(crate) fn number64(&mut self) -> Result<u64, Bad> {
        let digits = self.run_text(|b| b.is_ascii_digit(), "a number")?;
        // RFC 9051 4.2: number64 is 63 bits.
        digits.parse().ok().filter(|n| *n <= i64::MAX as u64).ok_or(Bad::Number)
    }

    pub(crate) fn number32(&mut self) -> Result<u32, Bad> {
        u32::try_from(self.number64()?).map_err(|_| Bad::Number)
    }

    pub(crate) fn nz_number(&mut self) -> Result<u32, Bad> {
        match self.number32()? {
            0 => Err(Bad::Number),
            n => Ok(n),
        }
    }

    pub(crate) fn at_string(&self) -> bool {
        matches!(self.peek(), Some(b'"' | b'{')) || self.rest.starts_with(b"~{")
    }

    /// `string`: quoted or literal.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, Bad> {
        if !self.take(b'"') {
            return self.literal();
        }
        let text = self.quoted_tail()?;
        // RFC 6855 3: once UTF-8 is agreed upon, other octets above 127 are an error.
        if self.utf8 && std::str::from_utf8(&text).is_err() { Err(Bad::Text) } else { Ok(text) }
    }

    fn quoted_tail(&mut self) -> Result<Cow<'a, [u8]>, Bad> {
        let plain = self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0));
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut unescaped = plain.to_vec();
        loop {
            if self.take(b'"') {
                return Ok(Cow::Owned(unescaped));
            }
            if self.take(b'\\') {
                match self.peek() {
                    Some(escaped @ (b'"' | b'\\')) => {
                        self.take(escaped);
                        unescaped.push(escaped);
                    }
                    _ => return Err(Bad::Expected("\\\" or \\\\")),
                }
            } else if matches!(self.peek(), None | Some(b'\r' | b'\n' | 0)) {
                return Err(Bad::Expected("a closing quote"));
            }
            unescaped
                .extend_from_slice(self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)));
        }
    }

    /// A literal: the framing has made sure that its bytes are here. NUL only in literal8 (RFC 9051 9, `literal8`).
    fn literal(&mut self) -> Result<Cow<'a, [u8]>, Bad> {
        let literal8 = self.take(b'~');
        self.expect(b'{', "a string")?;
        let length = usize::try_from(self.number64()?).map_err(|_| Bad::Number)?;
        self.take(b'+');
        self.expect(b'}', "}")?;
        self.expect(b'\r', "CRLF")?;
        self.expect(b'\n', "CRLF")?;
        let (bytes, tail) = self.rest.split_at_checked(length).ok_or(Bad::Expected("a literal"))?;
        if !literal8 && bytes.contains(&0) {
            return Err(Bad::Text);
        }
        self.rest = tail;
        Ok(Cow::Borrowed(bytes))
    }

    /// `astring`: an atom that may hold `]`, or a string.
    pub(crate) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Bad> {
        if self.at_string() {
            return self.string();
        }
        match self.run(is_astring_char) {
            [] => Err(Bad::Expected("a string")),
            run => Ok(Cow::Borrowed(run)),
        }
    }

    /// `astring` as UTF-8 text.
    pub(crate) fn astring_text(&mut self) -> Result<String, Bad> {
        String::from_utf8(self.astring()?.into_owned()).map_err(|_| Bad::Text)
    }

    pub(crate) fn mailbox(&mut self) -> Result<Mailbox, Bad> {
        let raw = self.astring()?;
        if raw.len() > self.limits.mailbox_bytes_max {
            return Err(Bad::MailboxName);
        }
        Mailbox::decode(&raw, self.utf8).ok_or(Bad::MailboxName)
    }

    /// The reference name of LIST, which may be empty.
    pub(crate) fn reference(&mut self) -> Result<String, Bad> {
        let raw = self.astring()?;
        if raw.len() > self.limits.mailbox_bytes_max {
            return Err(Bad::MailboxName);
        }
        crate::mailbox::decode_name(&raw, self.utf8).ok_or(Bad::MailboxName)
    }

    /// `list-mailbox`.
    pub(crate) fn pattern(&mut self) -> Result<Pattern, Bad> {
        let raw = if self.at_string() {
            self.string()?
        } else {
            match self.run(is_list_char) {
                [] => return Err(Bad::Expected("a pattern")),
                run => Cow::Borrowed(run),
            }
        };
        if raw.len() > self.limits.mailbox_bytes_max {
            return Err(Bad::MailboxName);
        }
        Pattern::decode(&raw, self.utf8).ok_or(Bad::MailboxName)
    }

    /// Members between parentheses, separated by one space; at least `least`.
    pub(crate) fn list<T>(
        &mut self,
        what: &'static str,
        least: usize,
        mut member: impl FnMut(&mut Self) -> Result<T, Bad>,
    ) -> Result<Vec<T>, Bad> {
        self.expect(b'(', "(")?;
        let mut members = Vec::new();
        if least == 0 && self.take(b')') {
            return Ok(members);
        }
        loop {
            if members.len() >= self.limits.list_members_max {
                return Err(Bad::TooMany(what));
            }
            members.push(member(self)?);
            if self.take(b')') {
                return Ok(members);
            }
            self.space()?;
        }
    }

    /// The whole of a base64 word, `=` alone for nothing (RFC 4959 3).
    pub(crate) fn base64(&mut self) -> Result<Vec<u8>, Bad> {
        use base64::Engine;
        let run = self.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        match run {
            [] => Err(Bad::Base64),
            b"=" => Ok(Vec::new()),
            run => base64::engine::general_purpose::STANDARD.decode(run).map_err(|_| Bad::Base64),
        }
    }
}
