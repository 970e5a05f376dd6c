//! Messages for tests, and what arrived of them.

use anyhow::{Context, Result};
use std::path::Path;

/// A plain message with CRLF lines.
pub fn plain(from: &str, to: &str, id: &str, text: &str) -> Vec<u8> {
    format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {id}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
    .into_bytes()
}

/// A message with one attachment, `attachment_bytes` once decoded, different for each `id`.
pub fn with_attachment(from: &str, to: &str, id: &str, attachment_bytes: usize) -> Vec<u8> {
    let maker = palombe_load::message::MessageMaker::new(id, attachment_bytes / 57 * 78 + 360);
    let mut one = Vec::new();
    maker.write(&mut one, 0, from, to);
    let start = one.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    let base64 = &one[start..];
    let mut message = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {id}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{id}>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=frontier\r\n\r\n\
         --frontier\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nVoir le document joint.\r\n\
         --frontier\r\nContent-Type: application/octet-stream; name=document.bin\r\n\
         Content-Disposition: attachment; filename=document.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    message.extend_from_slice(base64);
    message.extend_from_slice(b"--frontier--\r\n");
    message
}

/// Everything in a maildir, each message with CRLF line ends.
pub fn maildir(path: &Path) -> Result<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    for folder in ["new", "cur"] {
        let Ok(entries) = std::fs::read_dir(path.join(folder)) else { continue };
        for entry in entries {
            let file = entry?.path();
            let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
            messages.push(crlf(&bytes));
        }
    }
    Ok(messages)
}

/// The message in `messages` that ends exactly with `sent`: trace headers may stand before it, nothing else.
pub fn find<'a>(messages: &'a [Vec<u8>], sent: &[u8]) -> Option<&'a [u8]> {
    messages.iter().map(Vec::as_slice).find(|message| message.ends_with(sent))
}

/// The message that holds this text.
pub fn holding<'a>(messages: &'a [Vec<u8>], texts: &[&str]) -> Option<&'a [u8]> {
    let holds = |message: &[u8]| {
        let shown = String::from_utf8_lossy(message);
        texts.iter().all(|text| shown.contains(text))
    };
    messages.iter().map(Vec::as_slice).find(|message| holds(message))
}

/// LF line ends, as files have them, to CRLF.
pub fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 40);
    let mut previous = 0;
    for byte in bytes {
        if *byte == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        previous = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_have_about_the_asked_size() {
        let message = with_attachment("a@a.test", "b@b.test", "x", 1_000_000);
        assert!(message.len() > 1_300_000 && message.len() < 1_400_000, "{}", message.len());
        assert!(message.ends_with(b"\r\n--frontier--\r\n"));
    }

    #[test]
    fn line_ends_become_those_of_the_wire() {
        assert_eq!(crlf(b"a\nb\r\nc\n"), b"a\r\nb\r\nc\r\n");
    }
}
