//! What a peer offers in its reply to EHLO (RFC 5321 4.1.1.1).

use crate::Reply;

/// Extensions that a sender can use. Unknown keywords are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Several commands in one write (RFC 2920).
    pub pipelining: bool,
    /// `SIZE`; the limit where one was told, 0 meaning none (RFC 1870 3).
    pub size: Option<Option<u64>>,
    /// RFC 6152
    pub eight_bit_mime: bool,
    /// RFC 6531
    pub smtputf8: bool,
    /// RFC 3207
    pub starttls: bool,
    /// BDAT (RFC 3030)
    pub chunking: bool,
    /// RFC 3461
    pub dsn: bool,
    /// RFC 2034
    pub enhanced_status_codes: bool,
    /// RFC 6710
    pub mt_priority: bool,
    /// Mechanisms, upper case (RFC 4954).
    pub auth: Vec<String>,
}

impl Capabilities {
    /// Reads the reply to EHLO; its first line is the peer's name.
    pub fn from_ehlo(reply: &Reply) -> Capabilities {
        let mut found = Capabilities::default();
        for line in reply.text.split('\n').skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "SIZE" => {
                    let limit = words.next().and_then(|w| w.parse().ok()).filter(|n| *n > 0);
                    found.size = Some(limit);
                }
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "STARTTLS" => found.starttls = true,
                "CHUNKING" => found.chunking = true,
                "DSN" => found.dsn = true,
                "ENHANCEDSTATUSCODES" => found.enhanced_status_codes = true,
                "MT-PRIORITY" => found.mt_priority = true,
                "AUTH" => found.auth.extend(words.map(str::to_ascii_uppercase)),
                _ => {}
            }
        }
        found
    }

    /// The largest message that the peer takes, where it told one.
    pub fn size_max(&self) -> Option<u64> {
        self.size.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postfix_and_palombe() {
        let text = "mx.example.fr\nPIPELINING\nSIZE 10240000\nVRFY\nETRN\nstarttls\nAUTH plain LOGIN\n\
                    ENHANCEDSTATUSCODES\n8BITMIME\nDSN\nSMTPUTF8\nCHUNKING\nMT-PRIORITY MIXER";
        let found = Capabilities::from_ehlo(&Reply::plain(250, text));
        assert!(found.pipelining && found.starttls && found.dsn && found.chunking);
        assert!(found.eight_bit_mime && found.smtputf8 && found.mt_priority);
        assert_eq!(found.size_max(), Some(10_240_000));
        assert_eq!(found.auth, ["PLAIN", "LOGIN"]);
    }

    #[test]
    fn size_without_limit() {
        let found = Capabilities::from_ehlo(&Reply::plain(250, "mx\nSIZE 0"));
        assert_eq!((found.size, found.size_max()), (Some(None), None));
        // The first line is a name even when it reads like a keyword.
        assert_eq!(
            Capabilities::from_ehlo(&Reply::plain(250, "PIPELINING")),
            Capabilities::default()
        );
    }
}
