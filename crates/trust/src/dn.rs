//! Distinguished names, read with the tolerance that the real list needs and compared after one
//! normalisation.
//!
//! Irregularities answered (spec identity-directory §4.3): quoted and unquoted values, inner bare
//! or doubled quotes, NBSP and runs of blanks, blanks around separators and at the end of values,
//! `L` for `ST`, `Paris(75)` for `Paris (75)`, hyphens for blanks in a département, letter case,
//! NFC and NFD.

use crate::TrustError;
use crate::limits::{DN_ATTRIBUTES_MAX, DN_BYTES_MAX};
use icu_normalizer::ComposingNormalizer;
use std::fmt;
use std::str::FromStr;
use x509_parser::x509::X509Name;

/// A distinguished name: its attributes as written, most specific first, and what it compares by.
#[derive(Clone, Debug)]
pub struct Dn {
    attributes: Vec<(Box<str>, String)>,
    strict: DnKey,
    cn_ou: Option<DnKey>,
}

/// A name after normalisation. Two names are the same when their keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnKey(Box<str>);

const TYPES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];

impl Dn {
    fn new(attributes: Vec<(Box<str>, String)>) -> Result<Self, TrustError> {
        if attributes.is_empty() {
            return Err(TrustError::Dn("it has no attribute"));
        }
        if attributes.len() > DN_ATTRIBUTES_MAX {
            return Err(TrustError::Dn("it has too many attributes"));
        }
        let strict = key(&attributes, |_| true);
        let has = |name: &str| attributes.iter().any(|(t, v)| &**t == name && !v.trim().is_empty());
        // Never on CN alone (spec identity-directory §4.3).
        let cn_ou = (has("CN") && has("OU")).then(|| key(&attributes, |t| t == "CN" || t == "OU"));
        Ok(Dn { attributes, strict, cn_ou })
    }

    /// The subject or issuer of a certificate, whose encoding goes from the country down.
    pub(crate) fn from_x509(name: &X509Name<'_>) -> Result<Self, TrustError> {
        let mut attributes = Vec::new();
        for attribute in name.iter_attributes() {
            let oid = attribute.attr_type().to_id_string();
            let value = attribute
                .as_str()
                .map_err(|_| TrustError::Dn("an attribute is not UTF-8, Printable or IA5 text"))?;
            attributes.push((type_name(&oid).into(), value.to_owned()));
        }
        attributes.reverse();
        Dn::new(attributes)
    }

    /// The subject of a certificate in DER. Says nothing of its worth.
    ///
    /// # Errors
    /// [`TrustError::Der`] or [`TrustError::Dn`].
    pub fn of_certificate(der: &[u8]) -> Result<Self, TrustError> {
        Ok(crate::certificate::Facts::read(der)?.dn)
    }

    /// What it compares by, all attributes.
    pub fn key(&self) -> &DnKey {
        &self.strict
    }

    /// CN and OU only; `None` when one of them is missing.
    pub fn cn_ou_key(&self) -> Option<&DnKey> {
        self.cn_ou.as_ref()
    }

    /// The first CN, as written.
    pub fn cn(&self) -> Option<&str> {
        self.attributes.iter().find(|(t, _)| &**t == "CN").map(|(_, v)| v.as_str())
    }

    /// Attribute types and values as written, most specific first.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(t, v)| (&**t, v.as_str()))
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.strict == other.strict
    }
}

impl Eq for Dn {}

fn key(attributes: &[(Box<str>, String)], wanted: impl Fn(&str) -> bool) -> DnKey {
    let mut pairs: Vec<(&str, String)> = attributes
        .iter()
        .filter(|(t, _)| wanted(t))
        .map(|(t, v)| {
            // One certificate of the trust space says L where its siblings say ST.
            let place = matches!(&**t, "ST" | "L");
            (if place { "ST" } else { t }, normalise(v, place))
        })
        .collect();
    pairs.sort();
    let mut text = String::new();
    for (name, value) in pairs {
        text.push_str(name);
        text.push('=');
        text.push_str(&value);
        text.push('\u{1f}'); // no value holds it: controls became blanks
    }
    DnKey(text.into())
}

/// RFC 5280 7.1 caseIgnoreMatch, widened: NFKC, lower case, quotes dropped, blanks collapsed.
fn normalise(value: &str, place: bool) -> String {
    let nfkc = ComposingNormalizer::new_nfkc();
    let mut text = value.to_owned();
    // Lower-casing may leave a text that NFKC changes again; two rounds reach the fixed point.
    for _ in 0..4 {
        let next = nfkc.normalize(&text).to_lowercase();
        if next == text {
            break;
        }
        text = next;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => {}
            '\u{200b}' | '\u{feff}' => {}
            '-' | '\u{2010}' | '\u{2011}' if place => push_blank(&mut out),
            c if c.is_whitespace() || c.is_control() => push_blank(&mut out),
            '(' if place => {
                out.truncate(out.trim_end().len());
                out.push('(');
            }
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn push_blank(out: &mut String) {
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
}

fn type_name(written: &str) -> String {
    let upper = written.to_ascii_uppercase();
    let upper = upper.trim_start_matches("OID.");
    if let Some((_, name)) = TYPES.iter().find(|(oid, _)| *oid == upper) {
        return (*name).to_owned();
    }
    match upper {
        "S" => "ST".to_owned(),
        "TITLE" => "T".to_owned(),
        "GIVENNAME" => "GN".to_owned(),
        "SURNAME" => "SN".to_owned(),
        "E" | "EMAIL" => "EMAILADDRESS".to_owned(),
        _ => upper.to_owned(),
    }
}

impl FromStr for Dn {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        if text.len() > DN_BYTES_MAX {
            return Err(TrustError::Dn("it is longer than 2048 octets"));
        }
        let mut attributes: Vec<(Box<str>, String)> = Vec::new();
        // Not trimmed at the end: the last blank may be an escaped one.
        let mut rest = text.trim_start();
        while !rest.trim_start().is_empty() {
            if attributes.len() == DN_ATTRIBUTES_MAX {
                return Err(TrustError::Dn("it has too many attributes"));
            }
            let (name, after) = split_type(rest)
                .ok_or(TrustError::Dn("an attribute is not of the form TYPE=value"))?;
            let (value, after) = split_value(after)?;
            attributes.push((type_name(name).into(), value));
            rest = after;
        }
        Dn::new(attributes)
    }
}

/// `TYPE =` at the head of `rest`: the type and what follows the equals sign.
fn split_type(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let after = after.trim_start().strip_prefix('=')?;
    (1..=40).contains(&name.len()).then_some((name, after))
}

/// What stands after a separator, when `rest` starts with one: a separator is only one before
/// `TYPE=`, or at the end.
fn after_separator(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix([',', ';', '+'])?;
    (after.trim().is_empty() || split_type(after).is_some()).then_some(after)
}

fn split_value(rest: &str) -> Result<(String, &str), TrustError> {
    let rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('"')
        && let Some(found) = split_quoted(inner)?
    {
        return Ok(found);
    }
    let mut value = Vec::new();
    let mut at = 0;
    while at < rest.len() {
        if let Some(after) = after_separator(&rest[at..]) {
            return Ok((text(value)?.trim_end().to_owned(), after));
        }
        at += take_char(&rest[at..], &mut value)?;
    }
    Ok((text(value)?.trim_end().to_owned(), ""))
}

/// A quoted value, `inner` starting after its opening quote; `None` when that quote is a bare one
/// inside the value.
fn split_quoted(inner: &str) -> Result<Option<(String, &str)>, TrustError> {
    let mut value = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        let rest = &inner[at..];
        if let Some(after) = rest.strip_prefix("\"\"") {
            // A doubled quote stands for one, unless the value ends there.
            if !(after.trim().is_empty() || after_separator(after.trim_start()).is_some()) {
                value.push(b'"');
                at += 2;
                continue;
            }
        }
        if let Some(after) = rest.strip_prefix('"') {
            let after = after.trim_start();
            if after.is_empty() {
                return Ok(Some((text(value)?, "")));
            }
            if let Some(after) = after_separator(after) {
                return Ok(Some((text(value)?, after)));
            }
        }
        at += take_char(rest, &mut value)?;
    }
    Ok(None)
}

/// One character of a value, RFC 4514 2.4 escapes resolved; returns how many octets of `rest` it
/// took.
fn take_char(rest: &str, value: &mut Vec<u8>) -> Result<usize, TrustError> {
    let bytes = rest.as_bytes();
    if bytes[0] != b'\\' {
        let c = rest.chars().next().map_or(1, char::len_utf8);
        value.extend_from_slice(&bytes[..c]);
        return Ok(c);
    }
    let hex = |b: u8| char::from(b).to_digit(16);
    if let (Some(high), Some(low)) =
        (bytes.get(1).copied().and_then(hex), bytes.get(2).copied().and_then(hex))
    {
        value.push((high * 16 + low) as u8);
        return Ok(3);
    }
    let c = rest[1..].chars().next().ok_or(TrustError::Dn("it ends in a lone backslash"))?;
    value.extend_from_slice(&bytes[1..1 + c.len_utf8()]);
    Ok(1 + c.len_utf8())
}

fn text(value: Vec<u8>) -> Result<String, TrustError> {
    String::from_utf8(value).map_err(|_| TrustError::Dn("an escaped value is not UTF-8"))
}

impl fmt::Display for Dn {
    /// RFC 4514, most specific attribute first; control characters escaped, so that a log line
    /// stays one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.attributes.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{name}=")?;
            for (at, c) in value.char_indices() {
                let edge = c == ' ' && (at == 0 || at + 1 == value.len());
                match c {
                    ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(f, "\\{c}")?,
                    '#' if at == 0 => f.write_str("\\#")?,
                    // Not as a backslash and a blank, which whoever trims the line would break.
                    ' ' if edge => f.write_str("\\20")?,
                    c if c.is_control() => {
                        let mut octets = [0; 4];
                        for b in c.encode_utf8(&mut octets).bytes() {
                            write!(f, "\\{b:02x}")?;
                        }
                    }
                    c => write!(f, "{c}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(a: &str, b: &str, same: bool) {
        let (a, b): (Dn, Dn) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a == b, same, "{a} / {b}\n{:?}\n{:?}", a.key(), b.key());
    }

    #[test]
    fn irregularities_of_the_real_list() {
        check(
            r#"CN=m.fr,OU=1330781295,O="C.H. DE  CADILLAC",ST=Gironde (33),C=FR"#,
            "CN=m.fr,OU=1330781295,O=C.H. DE CADILLAC,ST=Gironde(33),C=FR",
            true,
        );
        check(
            r#"CN=a,OU=1,O=CENTRE HOSPITALIER "FRANCK-JOLY",C=FR"#,
            r#"CN=a,OU=1,O="CENTRE HOSPITALIER ""FRANCK-JOLY""",C=FR"#,
            true,
        );
        check(
            "CN=a,O=\"CLCC\u{a0} INSTITUT CURIE\",C=FR",
            "cn=A, o=CLCC INSTITUT CURIE, c=fr",
            true,
        );
        check("CN=smtp-1.mssante.adista.fr ,OU=3", "CN=smtp-1.mssante.adista.fr,OU=3", true);
        check("CN=a,OU=1,L=Paris (75),C=FR", "CN=a,OU=1,ST=Paris(75),C=FR", true);
        check("CN=a,ST=Meurthe et Moselle(54),C=FR", "CN=a,ST=Meurthe-et-Moselle (54),C=FR", true);
        check("CN=a,O=X\\, Y+CO,C=FR", "C=FR,O=X\\2c Y\\+CO,CN=a", true);
        check("CN=a,O=X, Y,C=FR", "CN=a,O=X\\, Y,C=FR", true);
        check("CN=a,O=Côte,C=FR", "CN=a,O=Co\u{302}te,C=FR", true);
        check("CN=a,OU=1,O=B,C=FR", "CN=a,OU=2,O=B,C=FR", false);
        check("CN=a-b,OU=1", "CN=a b,OU=1", false);
        check("CN=a,OU=1,O=\"X\" Y", "CN=a,OU=1,O=X Y", true);
    }

    #[test]
    fn blanks_at_the_edges_read_back() {
        for text in ["CN=\" \"", "CN=a\\ ", "CN=\" a \",OU=1 ", "CN=a, \r\n", "oid.oid.2.5.4.99=x"]
        {
            let dn: Dn = text.parse().unwrap();
            assert_eq!(dn.to_string().parse::<Dn>().unwrap(), dn, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_name() {
        for text in ["", "   ", "CN", "=a", "CN=a\\", ",CN=a", "CN=\\ff"] {
            assert!(text.parse::<Dn>().is_err(), "{text}");
        }
        assert!(format!("CN={}", "a".repeat(3000)).parse::<Dn>().is_err());
        assert!("CN=a,".repeat(33).parse::<Dn>().is_err());
    }

    #[test]
    fn cn_alone_never_matches() {
        assert!("CN=a,C=FR".parse::<Dn>().unwrap().cn_ou_key().is_none());
        let a: Dn = "CN=a,OU=1,O=Before".parse().unwrap();
        let b: Dn = "CN=a,OU=1,O=After".parse().unwrap();
        assert_eq!(a.cn_ou_key(), b.cn_ou_key());
        assert_ne!(a, b);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_display_reads_back(text in r#"(CN|OU|O|ST|L|2\.5\.4\.97)? ?=?[ -~éÉœ\u{a0}"\\]{0,40}(, ?O="?[ -~]{0,20}"?)?"#) {
            if let Ok(dn) = text.parse::<Dn>() {
                let again: Dn = dn.to_string().parse().unwrap();
                prop_assert_eq!(dn.key(), again.key());
            }
        }

        #[test]
        fn any_text(text in "\\PC*") {
            let _ = text.parse::<Dn>();
        }

        #[test]
        fn normalisation_is_idempotent(text in any::<String>(), place in any::<bool>()) {
            let once = normalise(&text, place);
            prop_assert_eq!(normalise(&once, place), once);
        }
    }
}
