//! The grammar of one command line (RFC 5321 4.1.1 and 4.1.2), already free of control characters.

use crate::limits::{ENVID_BYTES_MAX, HELLO_NAME_BYTES_MAX, ORCPT_BYTES_MAX};
use crate::{Notify, Ret, xtext_decode};
use palombe_vocabulary::{MailAddress, ReversePath};

/// The first word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// RFC 5321 4.1.1.1
    Ehlo,
    /// RFC 5321 4.1.1.1
    Helo,
    /// RFC 5321 4.1.1.2
    Mail,
    /// RFC 5321 4.1.1.3
    Rcpt,
    /// RFC 5321 4.1.1.4
    Data,
    /// RFC 3030 2
    Bdat,
    /// RFC 5321 4.1.1.5
    Rset,
    /// RFC 5321 4.1.1.9
    Noop,
    /// RFC 5321 4.1.1.6
    Vrfy,
    /// RFC 5321 4.1.1.7, not offered
    Expn,
    /// RFC 5321 4.1.1.8
    Help,
    /// RFC 3207 4
    StartTls,
    /// RFC 4954 4
    Auth,
    /// RFC 5321 4.1.1.10
    Quit,
}

const VERBS: [(&str, Verb); 14] = [
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("BDAT", Verb::Bdat),
    ("EHLO", Verb::Ehlo),
    ("HELO", Verb::Helo),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
    ("QUIT", Verb::Quit),
    ("AUTH", Verb::Auth),
    ("STARTTLS", Verb::StartTls),
];

impl Verb {
    /// Splits a line into its verb and its arguments. Verbs have no case (RFC 5321 2.4).
    pub(crate) fn split(line: &str) -> Option<(Verb, &str)> {
        let end = line.find(' ').unwrap_or(line.len());
        let (word, rest) = line.split_at(end);
        let known = VERBS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        known.map(|(_, verb)| (*verb, rest.trim_matches(' ')))
    }
}

/// `MAIL FROM`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom {
    /// The envelope sender.
    pub path: ReversePath,
    /// The address was written with octets above 127, in either part.
    pub non_ascii: bool,
    /// `SIZE` (RFC 1870 5)
    pub size: Option<u64>,
    /// `BODY=8BITMIME` (RFC 6152)
    pub eight_bit: bool,
    /// `SMTPUTF8` (RFC 6531 3.4)
    pub smtputf8: bool,
    /// `RET` (RFC 3461 4.3)
    pub ret: Option<Ret>,
    /// `ENVID`, decoded (RFC 3461 4.4)
    pub envid: Option<String>,
    /// `MT-PRIORITY`, -9 to 9 (RFC 6710 4.1)
    pub priority: Option<i8>,
}

/// Where a recipient is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<Postmaster>`, without domain (RFC 5321 4.1.1.3, 4.5.1)
    Postmaster,
    /// `<local@domain>`; a source route was dropped (RFC 5321 appendix C).
    Address(MailAddress),
}

/// `RCPT TO`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RcptTo {
    /// The recipient.
    pub path: ForwardPath,
    /// The address was written with octets above 127, in either part.
    pub non_ascii: bool,
    /// `NOTIFY` (RFC 3461 4.1)
    pub notify: Notify,
    /// `ORCPT`, decoded (RFC 3461 4.2): `rfc822;address`
    pub orcpt: Option<String>,
    /// Whether any parameter stood there: HELO clients may not (RFC 5321 2.2.1).
    pub(crate) parameters: bool,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyntaxError {
    Arguments,
    Sender,
    Recipient,
    Parameter,
    UnknownParameter,
}

/// The name in EHLO or HELO. Its truth is not checked: RFC 5321 4.1.4 forbids to refuse mail for it.
pub(crate) fn hello(arguments: &str) -> Result<&str, SyntaxError> {
    let bounded = (1..=HELLO_NAME_BYTES_MAX).contains(&arguments.len());
    (bounded && !arguments.contains(' ')).then_some(arguments).ok_or(SyntaxError::Arguments)
}

/// `octets [LAST]` (RFC 3030 2)
pub(crate) fn bdat(arguments: &str) -> Result<(u64, bool), SyntaxError> {
    let (octets, last) = match arguments.split_once(' ') {
        None => (arguments, false),
        Some((octets, word)) if word.trim_start().eq_ignore_ascii_case("LAST") => (octets, true),
        Some(_) => return Err(SyntaxError::Arguments),
    };
    Ok((number(octets).ok_or(SyntaxError::Arguments)?, last))
}

/// Digits only: `+5` and the empty text are no number here.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The arguments of MAIL.
pub(crate) fn mail(arguments: &str) -> Result<MailFrom, SyntaxError> {
    let (path, parameters) = path(arguments, "FROM:").ok_or(SyntaxError::Sender)?;
    let reverse = match path {
        "" => ReversePath::Null, // RFC 5321 4.5.5
        address => ReversePath::Address(address.parse().map_err(|_| SyntaxError::Sender)?),
    };
    let mut mail = MailFrom {
        path: reverse,
        non_ascii: !path.is_ascii(),
        size: None,
        eight_bit: false,
        smtputf8: false,
        ret: None,
        envid: None,
        priority: None,
    };
    let mut seen = Vec::new();
    for parameter in parameters.split(' ').filter(|p| !p.is_empty()) {
        let (key, value) = key_value(parameter);
        let key = key.to_ascii_uppercase();
        mail_parameter(&mut mail, &key, value)?;
        if seen.contains(&key) {
            return Err(SyntaxError::Parameter);
        }
        seen.push(key);
    }
    Ok(mail)
}

fn key_value(parameter: &str) -> (&str, Option<&str>) {
    match parameter.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (parameter, None),
    }
}

fn mail_parameter(mail: &mut MailFrom, key: &str, value: Option<&str>) -> Result<(), SyntaxError> {
    let is = |word: &str| value.is_some_and(|v| v.eq_ignore_ascii_case(word));
    let bad = SyntaxError::Parameter;
    match key {
        "SIZE" => mail.size = Some(value.and_then(number).ok_or(bad)?),
        "BODY" if is("7BIT") => {}
        "BODY" if is("8BITMIME") => mail.eight_bit = true,
        // BINARYMIME is not offered: content is lines (RFC 3030 3).
        "BODY" => return Err(SyntaxError::UnknownParameter),
        "SMTPUTF8" if value.is_none() => mail.smtputf8 = true,
        "RET" if is("FULL") => mail.ret = Some(Ret::Full),
        "RET" if is("HDRS") => mail.ret = Some(Ret::Hdrs),
        "ENVID" => {
            let value = value.filter(|v| (1..=ENVID_BYTES_MAX).contains(&v.len())).ok_or(bad)?;
            mail.envid = Some(xtext_decode(value).ok_or(bad)?);
        }
        // RFC 4954 5: taken and not used, since we trust the session and not what it says of others.
        "AUTH" => {
            let value = value.ok_or(bad)?;
            if value != "<>" && xtext_decode(value).is_none() {
                return Err(bad);
            }
        }
        "MT-PRIORITY" => mail.priority = Some(value.and_then(priority).ok_or(bad)?),
        "SMTPUTF8" | "RET" => return Err(bad),
        _ => return Err(SyntaxError::UnknownParameter),
    }
    Ok(())
}

/// RFC 6710 4.1: one digit, with a minus sign perhaps.
fn priority(text: &str) -> Option<i8> {
    let (sign, digit) = match text.strip_prefix('-') {
        Some(digit) => (-1, digit),
        None => (1, text),
    };
    let value: i8 = (digit.len() == 1).then(|| number(digit)).flatten()?.try_into().ok()?;
    Some(sign * value)
}

/// The arguments of RCPT.
pub(crate) fn rcpt(arguments: &str) -> Result<RcptTo, SyntaxError> {
    let (path, parameters) = path(arguments, "TO:").ok_or(SyntaxError::Recipient)?;
    let forward = if path.eq_ignore_ascii_case("postmaster") {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Address(path.parse().map_err(|_| SyntaxError::Recipient)?)
    };
    let mut rcpt = RcptTo {
        path: forward,
        non_ascii: !path.is_ascii(),
        notify: Notify::Unspecified,
        orcpt: None,
        parameters: false,
    };
    for parameter in parameters.split(' ').filter(|p| !p.is_empty()) {
        rcpt.parameters = true;
        let (key, value) = key_value(parameter);
        let bad = SyntaxError::Parameter;
        if key.eq_ignore_ascii_case("NOTIFY") && rcpt.notify == Notify::Unspecified {
            rcpt.notify = value.and_then(Notify::parse).ok_or(bad)?;
        } else if key.eq_ignore_ascii_case("ORCPT") && rcpt.orcpt.is_none() {
            rcpt.orcpt = Some(value.and_then(orcpt).ok_or(bad)?);
        } else if key.eq_ignore_ascii_case("NOTIFY") || key.eq_ignore_ascii_case("ORCPT") {
            return Err(bad); // twice
        } else {
            return Err(SyntaxError::UnknownParameter);
        }
    }
    Ok(rcpt)
}

/// `addr-type;xtext` (RFC 3461 4.2); `utf-8;…` may hold UTF-8 as it is (RFC 6533 3).
fn orcpt(value: &str) -> Option<String> {
    let (kind, address) = value.split_once(';')?;
    let atom = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if value.len() > ORCPT_BYTES_MAX || kind.is_empty() || !kind.bytes().all(atom) {
        return None;
    }
    let decoded = if address.is_ascii() {
        xtext_decode(address)?
    } else if kind.eq_ignore_ascii_case("utf-8") {
        address.to_owned()
    } else {
        return None;
    };
    (!decoded.is_empty()).then(|| format!("{kind};{decoded}"))
}

/// `FROM:<path>` and what follows it. One space after the colon is tolerated, since many write it.
fn path<'a>(arguments: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (word, rest) = arguments.split_at_checked(keyword.len())?;
    if !word.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let inner = rest.trim_start_matches(' ').strip_prefix('<')?;
    let end = closing_bracket(inner)?;
    let (path, after) = (&inner[..end], &inner[end + 1..]);
    if !after.is_empty() && !after.starts_with(' ') {
        return None;
    }
    Some((without_route(path)?, after))
}

/// The first `>` outside a quoted string.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (i, b) in text.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(i),
            _ => {}
        }
    }
    None
}

/// `@a,@b:user@c` is `user@c` (RFC 5321 appendix C): routes are read and ignored.
fn without_route(path: &str) -> Option<&str> {
    match path.strip_prefix('@') {
        None => Some(path),
        Some(route) => route.split_once(':').map(|(_, address)| address).filter(|a| !a.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_mail(arguments: &str, expected: Result<&str, SyntaxError>) {
        let got = mail(arguments).map(|m| m.path.to_string());
        assert_eq!(got, expected.map(str::to_owned), "{arguments}");
    }

    #[test]
    fn mail_paths() {
        check_mail("FROM:<a@b.fr>", Ok("a@b.fr"));
        check_mail("from: <a@b.fr> ", Ok("a@b.fr"));
        check_mail("FROM:<>", Ok(""));
        check_mail("FROM:<@x,@y:a@b.fr>", Ok("a@b.fr"));
        check_mail("FROM:<\"a>b\"@c.fr>", Ok("\"a>b\"@c.fr"));
        for bad in [
            "",
            "FROM:",
            "FROM:a@b.fr",
            "FROM:<a@b.fr",
            "FROM:<a@b.fr>x",
            "FROM <a@b.fr>",
            "FROM:<a>",
            "FROM:<a@>",
            "FROM:<a b@c.fr>",
            "FROM:<a@[127.0.0.1]>",
            "FROM:<@x:>",
            "TO:<a@b.fr>",
            "FROM:<a@b@c.fr>",
            "FROM:<<a@b.fr>>",
            "É",
            "FROÉ:<a@b.fr>",
        ] {
            check_mail(bad, Err(SyntaxError::Sender));
        }
    }

    #[test]
    fn mail_parameters() {
        let full = mail(
            "FROM:<a@b.fr> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2BQ AUTH=<> MT-PRIORITY=-3",
        )
        .unwrap();
        assert_eq!(full.size, Some(10));
        assert!(full.eight_bit && full.smtputf8);
        assert_eq!(full.ret, Some(Ret::Hdrs));
        assert_eq!(full.envid.as_deref(), Some("Q+Q"));
        assert_eq!(full.priority, Some(-3));
        let check = |p: &str, e| assert_eq!(mail(&format!("FROM:<a@b.fr> {p}")), Err(e), "{p}");
        for bad in [
            "SIZE",
            "SIZE=",
            "SIZE=-1",
            "SIZE=+1",
            "SIZE=99999999999999999999",
            "RET=ALL",
            "RET",
            "ENVID=",
            "ENVID=a=b",
            "ENVID=+0A",
            "SMTPUTF8=1",
            "MT-PRIORITY=10",
            "MT-PRIORITY=+1",
            "SIZE=1 size=1",
            "AUTH",
            "AUTH=a=b",
        ] {
            check(bad, SyntaxError::Parameter);
        }
        for unknown in ["BODY=BINARYMIME", "XFOO", "HOLDFOR=1", "REQUIRETLS"] {
            check(unknown, SyntaxError::UnknownParameter);
        }
    }

    #[test]
    fn recipients() {
        let r = rcpt("TO:<c@d.fr> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Bx@d.fr").unwrap();
        assert_eq!(r.orcpt.as_deref(), Some("rfc822;c+x@d.fr"));
        assert_eq!(r.notify, Notify::On { success: true, failure: false, delay: true });
        assert_eq!(rcpt("TO:<PostMaster>").unwrap().path, ForwardPath::Postmaster);
        assert_eq!(rcpt("TO:<>"), Err(SyntaxError::Recipient));
        for bad in [
            "NOTIFY=NEVER,DELAY",
            "NOTIFY=NEVER NOTIFY=NEVER",
            "ORCPT=c@d.fr",
            "ORCPT=;c@d.fr",
            "ORCPT=rfc822;",
            "ORCPT=rfc822;a=b",
            "ORCPT=rfc822;+0D+0Ax",
        ] {
            assert_eq!(rcpt(&format!("TO:<c@d.fr> {bad}")), Err(SyntaxError::Parameter), "{bad}");
        }
        assert_eq!(rcpt("TO:<c@d.fr> RRVS=x"), Err(SyntaxError::UnknownParameter));
    }

    #[test]
    fn chunks() {
        assert_eq!(bdat("10"), Ok((10, false)));
        assert_eq!(bdat("0 last"), Ok((0, true)));
        for bad in ["", "LAST", "-1", "+1", "1 FIRST", "1 LAST x", "0x10", "99999999999999999999"] {
            assert_eq!(bdat(bad), Err(SyntaxError::Arguments), "{bad}");
        }
    }
}
