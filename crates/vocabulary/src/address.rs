//! Domains and mail addresses, compared the way the trust space compares them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest domain accepted, in octets of its A-label form (RFC 1035 2.3.4).
pub const DOMAIN_BYTES_MAX: usize = 253;
/// Longest local part accepted, in octets (RFC 5321 4.5.3.1.1).
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest address accepted, in octets (RFC 5321 4.5.3.1.3, path without its brackets).
pub const ADDRESS_BYTES_MAX: usize = 254;

/// A mail domain, kept as lower-case A-labels after UTS 46 processing, so that equality is identity.
///
/// The liste blanche is matched on exact domains, never on suffixes (spec mssante §1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(Box<str>);

/// Why a text is not a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing there.
    #[error("the domain is empty")]
    Empty,
    /// UTS 46 refused it.
    #[error("the domain is not a valid internationalised name (UTS 46)")]
    NotIdna,
    /// Longer than [`DOMAIN_BYTES_MAX`].
    #[error("the domain is longer than {DOMAIN_BYTES_MAX} octets")]
    TooLong,
    /// One label is empty, too long, or holds a character outside letters, digits and hyphen.
    #[error(
        "a label of the domain is empty, longer than 63 octets, or holds a character that host names may not hold"
    )]
    BadLabel,
    /// `[192.0.2.1]`: the trust space knows names only.
    #[error("an address literal is not a domain of the trust space")]
    AddressLiteral,
}

impl Domain {
    /// The domain in A-labels, lower case, without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let text = text.trim_end_matches('.');
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        if text.starts_with('[') {
            return Err(DomainError::AddressLiteral);
        }
        // Bounded before UTS 46 runs on it: a U-label expands, it never shrinks below a quarter.
        if text.len() > 4 * DOMAIN_BYTES_MAX {
            return Err(DomainError::TooLong);
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| DomainError::NotIdna)?;
        if ascii.len() > DOMAIN_BYTES_MAX {
            return Err(DomainError::TooLong);
        }
        if !ascii.split('.').all(is_label) {
            return Err(DomainError::BadLabel);
        }
        Ok(Domain(ascii.into_boxed_str()))
    }
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_')
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainError;
    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> String {
        domain.0.into()
    }
}

/// Why a text is not a mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@` outside quotes.
    #[error("the address has no @")]
    NoAt,
    /// Empty, longer than 64 octets, or with a character that RFC 5321 does not allow there.
    #[error("the part before the @ is empty, too long, or holds a forbidden character")]
    BadLocalPart,
    /// The part after the `@`.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// Longer than [`ADDRESS_BYTES_MAX`].
    #[error("the address is longer than {ADDRESS_BYTES_MAX} octets")]
    TooLong,
}

/// Any mail address: local part as written (RFC 5321 says only its own domain may interpret it), domain normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailAddress {
    local: Box<str>,
    domain: Domain,
}

impl MailAddress {
    /// Builds an address from its two parts.
    ///
    /// # Errors
    /// [`AddressError`] when the local part or the total length is out of bounds.
    pub fn new(local: &str, domain: Domain) -> Result<Self, AddressError> {
        if !is_local_part(local) {
            return Err(AddressError::BadLocalPart);
        }
        if local.len() + 1 + domain.as_str().len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        Ok(MailAddress { local: local.into(), domain })
    }

    /// The part before the `@`, unquoted form kept as received.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The normalised domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// True when the local part needs SMTPUTF8 (RFC 6531 3.2).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// Dot-string, or quoted string, of RFC 5321 4.1.2, UTF-8 allowed (RFC 6531 3.3); no control character either way.
fn is_local_part(local: &str) -> bool {
    if local.is_empty() || local.len() > LOCAL_PART_BYTES_MAX || local.chars().any(char::is_control)
    {
        return false;
    }
    if let Some(inner) = local.strip_prefix('"') {
        return inner.strip_suffix('"').is_some_and(is_quoted_content);
    }
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_quoted_content(inner: &str) -> bool {
    let mut escaped = false;
    for c in inner.chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => return false,
            _ => escaped = false,
        }
    }
    !escaped
}

fn is_atext(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

impl FromStr for MailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // The last @ splits: a quoted local part may hold others.
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        MailAddress::new(local, domain.parse()?)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl TryFrom<String> for MailAddress {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<MailAddress> for String {
    fn from(address: MailAddress) -> String {
        address.to_string()
    }
}

/// The envelope sender: an address, or the null reverse-path of DSN and MDN (RFC 5321 4.5.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// `<local@domain>`
    Address(MailAddress),
}

impl ReversePath {
    /// The address, if there is one.
    pub fn address(&self) -> Option<&MailAddress> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }
}

impl fmt::Display for ReversePath {
    /// Without brackets; the null path is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => Ok(()),
            ReversePath::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, AddressError>) {
        assert_eq!(
            text.parse::<MailAddress>().map(|a| a.to_string()),
            expected.map(str::to_owned),
            "{text}"
        );
    }

    #[test]
    fn addresses() {
        check("jean.dupont@hopital-A.mssante.fr", Ok("jean.dupont@hopital-a.mssante.fr"));
        check("a@b@c.fr", Err(AddressError::BadLocalPart));
        check("\"a@b\"@c.fr", Ok("\"a@b\"@c.fr"));
        check("a..b@c.fr", Err(AddressError::BadLocalPart));
        check("a\r\nb@c.fr", Err(AddressError::BadLocalPart));
        check("a@[127.0.0.1]", Err(AddressError::Domain(DomainError::AddressLiteral)));
        check("a", Err(AddressError::NoAt));
        check("a@", Err(AddressError::Domain(DomainError::Empty)));
        check("é@hôpital.fr", Ok("é@xn--hpital-ixa.fr"));
        check("\"a\\\"@c.fr", Err(AddressError::BadLocalPart));
    }

    #[test]
    fn domains_are_equal_after_uts46() {
        let a: Domain = "HÔPITAL.mssante.fr.".parse().unwrap();
        let b: Domain = "xn--hpital-ixa.mssante.fr".parse().unwrap();
        assert_eq!(a, b);
    }
}
