//! Commands and bodies as a sender writes them. Every value that goes on a line is free of CR and LF by its type,
//! or is encoded here.

use super::Capabilities;
use crate::limits::{ENVID_BYTES_MAX, HELLO_NAME_BYTES_MAX, ORCPT_BYTES_MAX};
use crate::{Notify, Ret, xtext_encode};
use palombe_vocabulary::{MailAddress, ReversePath};

/// The name for EHLO is empty, too long, or holds something else than a host name or address literal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the EHLO name is not a host name or an address literal")]
pub struct NotAHelloName;

/// `MAIL FROM` as a sender wants it; parameters that the peer does not offer are left out.
#[derive(Clone, Debug)]
pub struct MailCommandOut<'a> {
    /// Envelope sender.
    pub from: &'a ReversePath,
    /// Octets of the message (RFC 1870).
    pub size: Option<u64>,
    /// The body holds octets above 127 (RFC 6152).
    pub eight_bit: bool,
    /// The envelope or the header needs UTF-8 (RFC 6531): the caller has checked [`Capabilities::smtputf8`].
    pub smtputf8: bool,
    /// RFC 3461 4.3
    pub ret: Option<Ret>,
    /// RFC 3461 4.4, decoded.
    pub envid: Option<&'a str>,
    /// RFC 6710; 0 is left out.
    pub priority: i8,
}

/// `RCPT TO` as a sender wants it; parameters that the peer does not offer are left out.
#[derive(Clone, Debug)]
pub struct RcptCommandOut<'a> {
    /// Envelope recipient.
    pub to: &'a MailAddress,
    /// RFC 3461 4.1
    pub notify: Notify,
    /// RFC 3461 4.2, decoded: `rfc822;address`.
    pub orcpt: Option<&'a str>,
}

/// `EHLO name`
///
/// # Errors
/// [`NotAHelloName`]
pub fn write_ehlo(out: &mut Vec<u8>, name: &str) -> Result<(), NotAHelloName> {
    write_hello(out, b"EHLO ", name)
}

/// `HELO name`
///
/// # Errors
/// [`NotAHelloName`]
pub fn write_helo(out: &mut Vec<u8>, name: &str) -> Result<(), NotAHelloName> {
    write_hello(out, b"HELO ", name)
}

fn write_hello(out: &mut Vec<u8>, verb: &[u8], name: &str) -> Result<(), NotAHelloName> {
    let bounded = (1..=HELLO_NAME_BYTES_MAX).contains(&name.len());
    if !bounded || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b)) {
        return Err(NotAHelloName);
    }
    out.extend_from_slice(verb);
    line(out, name);
    Ok(())
}

/// `MAIL FROM:<…>` with the parameters that the peer offers.
pub fn write_mail(out: &mut Vec<u8>, peer: &Capabilities, mail: &MailCommandOut<'_>) {
    let mut text = format!("MAIL FROM:<{}>", mail.from);
    if let (Some(size), Some(_)) = (mail.size, peer.size) {
        text.push_str(&format!(" SIZE={size}"));
    }
    if mail.eight_bit && peer.eight_bit_mime {
        text.push_str(" BODY=8BITMIME");
    }
    if mail.smtputf8 && peer.smtputf8 {
        text.push_str(" SMTPUTF8");
    }
    if peer.dsn {
        if let Some(ret) = mail.ret {
            text.push_str(&format!(" RET={}", ret.as_str()));
        }
        let envid = mail.envid.map(xtext_encode).filter(|e| e.len() <= ENVID_BYTES_MAX);
        if let Some(envid) = envid {
            text.push_str(&format!(" ENVID={envid}"));
        }
    }
    if mail.priority != 0 && peer.mt_priority {
        text.push_str(&format!(" MT-PRIORITY={}", mail.priority.clamp(-9, 9)));
    }
    line(out, &text);
}

/// `RCPT TO:<…>` with the parameters that the peer offers.
pub fn write_rcpt(out: &mut Vec<u8>, peer: &Capabilities, rcpt: &RcptCommandOut<'_>) {
    let mut text = format!("RCPT TO:<{}>", rcpt.to);
    if peer.dsn {
        if let Some(notify) = rcpt.notify.write() {
            text.push_str(&format!(" NOTIFY={notify}"));
        }
        // The address type stays as it is, what follows is xtext (RFC 3461 4.2).
        let orcpt = rcpt.orcpt.and_then(|o| o.split_once(';')).map(|(kind, address)| {
            let kind: String = kind.chars().filter(|c| c.is_ascii_graphic()).collect();
            format!("{kind};{}", xtext_encode(address))
        });
        if let Some(orcpt) = orcpt.filter(|o| o.len() <= ORCPT_BYTES_MAX) {
            text.push_str(&format!(" ORCPT={orcpt}"));
        }
    }
    line(out, &text);
}

/// `DATA`; wait for 354, then [`DotStuffer`].
pub fn write_data(out: &mut Vec<u8>) {
    line(out, "DATA");
}

/// `BDAT octets [LAST]`; the octets follow at once, as they are (RFC 3030 2).
pub fn write_bdat(out: &mut Vec<u8>, octets: u64, last: bool) {
    line(out, &format!("BDAT {octets}{}", if last { " LAST" } else { "" }));
}

/// `STARTTLS`, never followed by anything in the same write (RFC 3207 4).
pub fn write_starttls(out: &mut Vec<u8>) {
    line(out, "STARTTLS");
}

/// `RSET`
pub fn write_rset(out: &mut Vec<u8>) {
    line(out, "RSET");
}

/// `NOOP`
pub fn write_noop(out: &mut Vec<u8>) {
    line(out, "NOOP");
}

/// `QUIT`
pub fn write_quit(out: &mut Vec<u8>) {
    line(out, "QUIT");
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a message as DATA: a dot is added before each line that begins with one (RFC 5321 4.5.2). Nothing else
/// changes: the store holds CRLF lines only, since our doors refuse all others.
#[derive(Clone, Debug)]
pub struct DotStuffer {
    last: u8,
    whole_line: bool,
}

impl Default for DotStuffer {
    fn default() -> Self {
        DotStuffer { last: b'\n', whole_line: true }
    }
}

impl DotStuffer {
    /// Ready for the first octet after 354.
    pub fn new() -> Self {
        DotStuffer::default()
    }

    /// Appends the next octets, cut anywhere.
    pub fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() + 16);
        let mut rest = input;
        while let Some(&first) = rest.first() {
            // After any LF, even a bare one: a dot too many in a damaged message is harmless, one too few is not.
            if self.last == b'\n' && first == b'.' {
                out.push(b'.');
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
            let (piece, after) = rest.split_at(end);
            out.extend_from_slice(piece);
            self.whole_line = match piece {
                [.., before, b'\n'] => *before == b'\r',
                [b'\n'] => self.last == b'\r',
                _ => false,
            };
            self.last = *piece.last().unwrap_or(&self.last);
            rest = after;
        }
    }

    /// Appends the end of data. A last line without its CRLF gets one, since DATA cannot say otherwise.
    pub fn finish(self, out: &mut Vec<u8>) {
        if !self.whole_line {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: &[u8]) {
        for step in 1..=input.len().max(1) {
            let (mut out, mut stuffer) = (Vec::new(), DotStuffer::new());
            input.chunks(step).for_each(|piece| stuffer.write(piece, &mut out));
            stuffer.finish(&mut out);
            assert_eq!(out, expected, "{input:?} step {step}");
        }
    }

    #[test]
    fn dots() {
        check(b"", b".\r\n");
        check(b"a\r\n", b"a\r\n.\r\n");
        check(b".\r\n", b"..\r\n.\r\n");
        check(b"a\r\n.\r\n..b\r\nc.", b"a\r\n..\r\n...b\r\nc.\r\n.\r\n");
        check(b"a\n.\r\n", b"a\n..\r\n.\r\n");
        check(b"a\r", b"a\r\r\n.\r\n");
        check(b"a\n", b"a\n\r\n.\r\n");
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commands_hold_what_the_peer_offers() {
        let all = Capabilities {
            size: Some(None),
            eight_bit_mime: true,
            smtputf8: true,
            dsn: true,
            mt_priority: true,
            ..Capabilities::default()
        };
        let none = Capabilities::default();
        let from = ReversePath::Address("a@b.fr".parse().unwrap());
        let mail = MailCommandOut {
            from: &from,
            size: Some(9),
            eight_bit: true,
            smtputf8: true,
            ret: Some(Ret::Hdrs),
            envid: Some("QQ 1"),
            priority: 4,
        };
        assert_eq!(
            text(|out| write_mail(out, &all, &mail)),
            "MAIL FROM:<a@b.fr> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+201 MT-PRIORITY=4\r\n"
        );
        assert_eq!(text(|out| write_mail(out, &none, &mail)), "MAIL FROM:<a@b.fr>\r\n");
        let to: MailAddress = "c@d.fr".parse().unwrap();
        let notify = Notify::On { success: true, failure: true, delay: false };
        let rcpt = RcptCommandOut { to: &to, notify, orcpt: Some("rfc822;c+x@d.fr") };
        assert_eq!(
            text(|out| write_rcpt(out, &all, &rcpt)),
            "RCPT TO:<c@d.fr> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c+2Bx@d.fr\r\n"
        );
        assert_eq!(text(|out| write_rcpt(out, &none, &rcpt)), "RCPT TO:<c@d.fr>\r\n");
        assert_eq!(text(|out| write_bdat(out, 12, true)), "BDAT 12 LAST\r\n");
        assert_eq!(write_ehlo(&mut Vec::new(), "a\r\nQUIT"), Err(NotAHelloName));
    }
}
