//! Mailbox names and LIST patterns (RFC 9051 5.1, 6.3.9).

use crate::{decode_utf7, encode_utf7};

/// The hierarchy delimiter of every name on this server.
pub const DELIMITER: char = '/';

/// A mailbox name as text, with INBOX in capitals.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(String);

impl Mailbox {
    /// Reads a name as the client wrote it: modified UTF-7, or UTF-8 once rev2 or UTF8=ACCEPT is enabled.
    pub(crate) fn decode(raw: &[u8], utf8: bool) -> Option<Mailbox> {
        decode_name(raw, utf8).map(|name| Mailbox::new(&name))
    }

    /// A name from UTF-8 text. INBOX has no case (RFC 9051 5.1).
    pub fn new(name: &str) -> Mailbox {
        let first = name.split(DELIMITER).next().unwrap_or_default();
        if first.eq_ignore_ascii_case("INBOX") {
            return Mailbox(format!("INBOX{}", &name[first.len()..]));
        }
        Mailbox(name.to_owned())
    }

    /// The name as UTF-8.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without one trailing delimiter, which CREATE allows (RFC 9051 6.3.4).
    pub fn without_trailing_delimiter(&self) -> Mailbox {
        Mailbox(self.0.strip_suffix(DELIMITER).unwrap_or(&self.0).to_owned())
    }
}

/// Reads a name or pattern in either encoding. Names that already came as UTF-8 from a rev1 client are taken as such:
/// RFC 3501 5.1 asks servers to be tolerant there.
pub(crate) fn decode_name(raw: &[u8], utf8: bool) -> Option<String> {
    if utf8 || !raw.is_ascii() {
        let text = std::str::from_utf8(raw).ok()?;
        return (!text.chars().any(char::is_control)).then(|| text.to_owned());
    }
    decode_utf7(raw)
}

/// The bytes of a name for a client that does or does not read UTF-8.
pub(crate) fn encode_name(name: &str, utf8: bool) -> String {
    if utf8 { name.to_owned() } else { encode_utf7(name) }
}

/// A LIST pattern: `*` matches anything, `%` anything but the delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub(crate) fn decode(raw: &[u8], utf8: bool) -> Option<Pattern> {
        decode_name(raw, utf8).map(Pattern)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name matches `reference` followed by this pattern. Linear in pattern × name: hostile patterns
    /// such as `*a*a*a*` stay cheap.
    pub fn matches(&self, reference: &str, name: &str) -> bool {
        let mut pattern: Vec<char> = reference.chars().chain(self.0.chars()).collect();
        let inbox = name == "INBOX" || name.starts_with("INBOX/");
        // INBOX compares without case, the rest of the name does not.
        if inbox && pattern.len() >= 5 && pattern[..5].iter().all(|c| c.is_ascii_alphabetic()) {
            let head: String = pattern[..5].iter().collect();
            if head.eq_ignore_ascii_case("INBOX") {
                pattern.splice(..5, "INBOX".chars());
            }
        }
        let name: Vec<char> = name.chars().collect();
        // reachable[i]: the pattern so far can end before name[i].
        let mut reachable = vec![false; name.len() + 1];
        reachable[0] = true;
        for symbol in pattern {
            match symbol {
                '*' | '%' => {
                    for i in 0..name.len() {
                        if reachable[i] && (symbol == '*' || name[i] != DELIMITER) {
                            reachable[i + 1] = true;
                        }
                    }
                }
                literal => {
                    for i in (0..name.len()).rev() {
                        reachable[i + 1] = reachable[i] && name[i] == literal;
                    }
                    reachable[0] = false;
                }
            }
        }
        reachable[name.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |reference: &str, pattern: &str, name: &str, expected: bool| {
            let pattern = Pattern(pattern.to_owned());
            assert_eq!(pattern.matches(reference, name), expected, "{pattern:?} {name}");
        };
        check("", "*", "a/b/c", true);
        check("", "%", "a", true);
        check("", "%", "a/b", false);
        check("", "%/%", "a/b", true);
        check("a/", "%", "a/b", true);
        check("", "inbox", "INBOX", true);
        check("", "inbox/x", "INBOX/x", true);
        check("", "I%", "INBOX", true);
        check("", "*b*", "abc", true);
        check("", "a*c", "abd", false);
        check("", "", "", true);
        check("", "%b", "ab", true);
    }

    #[test]
    fn names() {
        assert_eq!(Mailbox::new("inBox").as_str(), "INBOX");
        assert_eq!(Mailbox::new("inbox/a").as_str(), "INBOX/a");
        assert_eq!(Mailbox::new("Inboxes").as_str(), "Inboxes");
        assert_eq!(Mailbox::decode(b"&AOk-t&AOk-", false).unwrap().as_str(), "été");
        assert_eq!(Mailbox::decode("été".as_bytes(), true).unwrap().as_str(), "été");
        assert_eq!(Mailbox::decode(b"a&b", true).unwrap().as_str(), "a&b");
        assert_eq!(Mailbox::decode(b"a&b", false), None);
    }
}
