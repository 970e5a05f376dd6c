//! Address lists as people really write them (RFC 5322 3.4 and 4.4), read without failing.

use crate::envelope::EnvelopeAddress;
use crate::limits::ADDRESSES_MAX;
use crate::mime::comment_end;
use crate::raw::Raw;

/// Host shown for words that are not an address. It cannot be taken for a domain.
pub(crate) const MISSING_HOST: &str = ".MISSING-HOST-NAME.";

/// Appends the addresses of one field value.
pub(crate) fn parse_list(value: &[u8], out: &mut Vec<EnvelopeAddress>) {
    let mut reader = Reader { bytes: value, at: 0, comment: None };
    let mut in_group = false;
    let mut words: Vec<Token> = Vec::new();
    while out.len() < ADDRESSES_MAX {
        match reader.token() {
            Some(Token::Special(b'<')) => {
                let mut address = reader.angle();
                address.name = phrase(&words).or_else(|| reader.comment.take());
                words.clear();
                reader.comment = None;
                out.push(address);
            }
            Some(Token::Special(b':')) if !in_group && !has_at(&words) => {
                let mailbox = Some(phrase(&words).unwrap_or_default());
                out.push(EnvelopeAddress { mailbox, ..EnvelopeAddress::default() });
                words.clear();
                in_group = true;
            }
            Some(Token::Special(separator @ (b',' | b';'))) => {
                flush(&mut words, &mut reader.comment, out);
                if separator == b';' && in_group {
                    out.push(EnvelopeAddress::default());
                    in_group = false;
                }
            }
            Some(token) => words.push(token),
            None => break,
        }
    }
    flush(&mut words, &mut reader.comment, out);
    if in_group {
        out.push(EnvelopeAddress::default());
    }
}

enum Token {
    Atom(Vec<u8>),
    Quoted(Vec<u8>),
    /// White space between two of the others; never two in a row.
    Space,
    /// `@`, `.` and list punctuation.
    Special(u8),
}

impl Token {
    fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Token::Atom(text) | Token::Quoted(text) => out.extend_from_slice(text),
            Token::Special(octet) => out.push(*octet),
            Token::Space => {}
        }
    }
}

fn has_at(words: &[Token]) -> bool {
    words.iter().any(|word| matches!(word, Token::Special(b'@')))
}

/// Words before `<` or `:`, as they stand, with one space where there was white space or a comment.
fn phrase(words: &[Token]) -> Option<Raw> {
    let mut out = Vec::new();
    for word in words {
        match word {
            Token::Space => out.push(b' '),
            word => word.append_to(&mut out),
        }
    }
    let out = out.trim_ascii();
    (!out.is_empty()).then(|| out.into())
}

/// Ends an address written without brackets: `local@domain`, `local@domain (name)`, or stray words.
fn flush(words: &mut Vec<Token>, comment: &mut Option<Raw>, out: &mut Vec<EnvelopeAddress>) {
    let name = comment.take();
    if words.iter().any(|word| !matches!(word, Token::Space)) && out.len() < ADDRESSES_MAX {
        let mut address = split_address(words);
        address.name = name;
        out.push(address);
    }
    words.clear();
}

fn split_address(words: &[Token]) -> EnvelopeAddress {
    // The last @ splits, as in vocabulary's MailAddress.
    let at = words.iter().rposition(|word| matches!(word, Token::Special(b'@')));
    let (local, host) = match at {
        Some(at) => {
            let mut host = Vec::new();
            words[at + 1..].iter().for_each(|word| word.append_to(&mut host));
            (&words[..at], host.into())
        }
        None => (words, Raw::from(MISSING_HOST)),
    };
    let mailbox = match at {
        Some(_) => {
            let mut joined = Vec::new();
            local.iter().for_each(|word| word.append_to(&mut joined));
            joined.into()
        }
        None => phrase(local).unwrap_or_default(),
    };
    EnvelopeAddress { name: None, adl: None, mailbox: Some(mailbox), host: Some(host) }
}

struct Reader<'v> {
    bytes: &'v [u8],
    at: usize,
    /// Last comment met: the name of an address in the old `a@b (Name)` form.
    comment: Option<Raw>,
}

impl Reader<'_> {
    fn token(&mut self) -> Option<Token> {
        let start = self.at;
        loop {
            let octet = *self.bytes.get(self.at)?;
            let blank = matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0 | b'(');
            if !blank && self.at > start {
                return Some(Token::Space);
            }
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | 0 => self.at += 1,
                b'(' => {
                    let end = comment_end(self.bytes, self.at);
                    let inner = &self.bytes[self.at + 1..end];
                    let inner = inner.strip_suffix(b")").unwrap_or(inner);
                    self.comment = Some(unescape(inner)).filter(|text| !text.is_empty());
                    self.at = end;
                }
                b'"' => return Some(Token::Quoted(self.quoted())),
                b'<' | b'>' | b',' | b';' | b':' | b'@' | b'.' => {
                    self.at += 1;
                    return Some(Token::Special(octet));
                }
                b'[' => return Some(Token::Atom(self.literal())),
                _ => return Some(Token::Atom(self.atom())),
            }
        }
    }

    fn atom(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(&octet) = self.bytes.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | 0 | b'(' | b'"' | b'<' | b'>' | b',' | b';'
                | b':' | b'@' | b'.' => {
                    break;
                }
                b'\\' => {}
                _ => out.push(octet),
            }
            self.at += 1;
        }
        out
    }

    /// `[192.0.2.1]`, or a bracket in a name.
    fn literal(&mut self) -> Vec<u8> {
        let rest = &self.bytes[self.at..];
        let stop = rest.iter().position(|octet| matches!(octet, b']' | b',' | b'>' | b'<' | b'@'));
        let end = match stop {
            Some(at) if rest[at] == b']' => at + 1,
            Some(at) => at,
            None => rest.len(),
        };
        self.at += end;
        rest[..end].iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)).collect()
    }

    fn quoted(&mut self) -> Vec<u8> {
        let start = self.at + 1;
        let mut end = start;
        while let Some(&octet) = self.bytes.get(end) {
            match octet {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        let end = end.min(self.bytes.len());
        self.at = (end + 1).min(self.bytes.len());
        unescape(&self.bytes[start..end]).0
    }

    /// After `<`, up to and with `>`: an optional source route, then the address. RFC 5322 4.4.
    fn angle(&mut self) -> EnvelopeAddress {
        let mut words = Vec::new();
        let mut adl = None;
        while let Some(token) = self.token() {
            match token {
                Token::Special(b'>') => break,
                Token::Special(b':') if adl.is_none() && starts_with_at(&words) => {
                    let mut route = Vec::new();
                    words.iter().for_each(|word: &Token| word.append_to(&mut route));
                    adl = Some(route.into());
                    words.clear();
                }
                token => words.push(token),
            }
        }
        if words.iter().all(|word| matches!(word, Token::Space)) {
            // `<>`: nobody; not a group mark, so both ends are empty and not absent.
            let empty = Some(Raw::default());
            return EnvelopeAddress { name: None, adl, mailbox: empty.clone(), host: empty };
        }
        EnvelopeAddress { adl, ..split_address(&words) }
    }
}

fn starts_with_at(words: &[Token]) -> bool {
    let mut words = words.iter().skip_while(|word| matches!(word, Token::Space));
    matches!(words.next(), Some(Token::Special(b'@')))
}

/// Removes backslashes and line breaks (RFC 5322 3.2.4).
fn unescape(inner: &[u8]) -> Raw {
    let mut out = Vec::with_capacity(inner.len());
    let mut octets = inner.iter().copied();
    while let Some(octet) = octets.next() {
        let kept = if octet == b'\\' { octets.next() } else { Some(octet) };
        out.extend(kept.filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)));
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let mut list = Vec::new();
        parse_list(value.as_bytes(), &mut list);
        let nil =
            |raw: &Option<Raw>| raw.as_ref().map_or("NIL".to_owned(), |raw| format!("{raw:?}"));
        let shown: Vec<String> = list
            .iter()
            .map(|a| {
                format!("({} {} {} {})", nil(&a.name), nil(&a.adl), nil(&a.mailbox), nil(&a.host))
            })
            .collect();
        assert_eq!(shown.join(""), expected, "{value}");
    }

    #[test]
    fn lists() {
        check("a@b.fr", r#"(NIL NIL "a" "b.fr")"#);
        check(
            " \"Dr \\\"Jo\\\" X\" <a.b@c.fr>, d@e",
            r#"("Dr \"Jo\" X" NIL "a.b" "c.fr")(NIL NIL "d" "e")"#,
        );
        check("J. Dupont <a@b>", r#"("J. Dupont" NIL "a" "b")"#);
        check("a@b (Jean (dit) Dupont)", r#"("Jean (dit) Dupont" NIL "a" "b")"#);
        check(
            "Groupe: a@b, C <d@e>;, f@g",
            r#"(NIL NIL "Groupe" NIL)(NIL NIL "a" "b")("C" NIL "d" "e")(NIL NIL NIL NIL)(NIL NIL "f" "g")"#,
        );
        check(
            "undisclosed-recipients:;",
            r#"(NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)"#,
        );
        check("x <@r1,@r2:a@b>", r#"("x" "@r1,@r2" "a" "b")"#);
        check("a . b @ c . d", r#"(NIL NIL "a.b" "c.d")"#);
        check("\"a b\"@c", r#"(NIL NIL "a b" "c")"#);
        check("a@[192.0.2.1]", r#"(NIL NIL "a" "[192.0.2.1]")"#);
        check("good@a.fr <evil@b.fr>", r#"("good@a.fr" NIL "evil" "b.fr")"#);
        check("<a@b> <c@d>", r#"(NIL NIL "a" "b")(NIL NIL "c" "d")"#);
        check("Jean Dupont", r#"(NIL NIL "Jean Dupont" ".MISSING-HOST-NAME.")"#);
        check("<>", r#"(NIL NIL "" "")"#);
        check(
            "=?utf-8?Q?H=C3=A9l=C3=A8ne?= <h@x>",
            r#"("=?utf-8?Q?H=C3=A9l=C3=A8ne?=" NIL "h" "x")"#,
        );
        check(",,;a@b,", r#"(NIL NIL "a" "b")"#);
        check("\"open", r#"(NIL NIL "open" ".MISSING-HOST-NAME.")"#);
        check("(open", "");
        check("", "");
        check("A <a@b", r#"("A" NIL "a" "b")"#);
    }
}
