//! Trace header texts (RFC 5321 4.4). The caller prepends them; the message itself is never rewritten.

use palombe_vocabulary::{Domain, MailAddress, ReversePath, Timestamp};
use std::net::IpAddr;

/// Longest name taken over from a peer.
const NAME_BYTES_MAX: usize = 255;

/// What a Received field says.
#[derive(Clone, Debug)]
pub struct ReceivedTrace<'a> {
    /// What the peer called itself in EHLO.
    pub helo: &'a str,
    /// Where the connection came from.
    pub peer: Option<IpAddr>,
    /// A name proved by the peer, such as its certificate's CN or the authenticated BAL.
    pub proved: Option<&'a str>,
    /// Our host name.
    pub by: &'a Domain,
    /// `ESMTPS`, `ESMTPSA`, `UTF8SMTPS`… (RFC 3848, RFC 6531 4.3).
    pub protocol: &'a str,
    /// TLS version and cipher.
    pub tls: Option<&'a str>,
    /// Our id of this acceptance.
    pub id: &'a str,
    /// The recipient; only when there is a single one, so that no hidden recipient shows.
    pub recipient: Option<&'a MailAddress>,
    /// When.
    pub at: Timestamp,
}

/// The Received field, folded, with its final CRLF.
pub fn received(trace: &ReceivedTrace<'_>) -> Vec<u8> {
    let mut out = format!("Received: from {}", atom(trace.helo));
    let mut info = Vec::new();
    if let Some(peer) = trace.peer {
        // RFC 5321 4.1.3: IPv6 literals carry their tag.
        info.push(match peer {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        });
    }
    info.extend(trace.proved.map(comment));
    if !info.is_empty() {
        out.push_str(&format!("\r\n ({})", info.join(" ")));
    }
    out.push_str(&format!("\r\n by {} with {}", trace.by, atom(trace.protocol)));
    if let Some(tls) = trace.tls {
        out.push_str(&format!("\r\n ({})", comment(tls)));
    }
    out.push_str(&format!("\r\n id {}", atom(trace.id)));
    if let Some(recipient) = trace.recipient {
        out.push_str(&format!("\r\n for <{recipient}>"));
    }
    out.push_str(&format!(";\r\n {}\r\n", trace.at.rfc5322()));
    out.into_bytes()
}

/// The Return-Path field added at final delivery (RFC 5321 4.4).
pub fn return_path(path: &ReversePath) -> Vec<u8> {
    format!("Return-Path: <{path}>\r\n").into_bytes()
}

/// A word from outside where the grammar wants an atom or a literal: nothing that could end it.
fn atom(text: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "._-:[]+/=".contains(c);
    let word: String =
        text.chars().take(NAME_BYTES_MAX).map(|c| if kept(c) { c } else { '?' }).collect();
    if word.is_empty() { "unknown".to_owned() } else { word }
}

/// Words from outside within a comment.
fn comment(text: &str) -> String {
    let safe = |c: char| if c.is_control() || "()\\".contains(c) { '?' } else { c };
    text.chars().take(NAME_BYTES_MAX).map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_field() {
        let by = "mx.beta.mssante.fr".parse().unwrap();
        let to = "dr@beta.mssante.fr".parse().unwrap();
        let trace = ReceivedTrace {
            helo: "mx.alpha\r\nX: y",
            peer: Some("127.0.0.1".parse().unwrap()),
            proved: Some("mail.alpha.fr (x)"),
            by: &by,
            protocol: "ESMTPS",
            tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384"),
            id: "q1",
            recipient: Some(&to),
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
        };
        assert_eq!(
            String::from_utf8(received(&trace)).unwrap(),
            "Received: from mx.alpha??X:?y\r\n ([127.0.0.1] mail.alpha.fr ?x?)\r\n \
             by mx.beta.mssante.fr with ESMTPS\r\n (TLSv1.3 TLS13_AES_256_GCM_SHA384)\r\n \
             id q1\r\n for <dr@beta.mssante.fr>;\r\n Sat, 21 Nov 2026 10:00:00 +0000\r\n"
        );
        assert_eq!(return_path(&ReversePath::Null), b"Return-Path: <>\r\n");
    }
}
