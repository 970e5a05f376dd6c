//! Messages: each one different (no store may keep two as one), each made again from its number.

use base64::Engine;
use std::sync::Arc;

/// Makes messages of about one size.
#[derive(Clone)]
pub struct MessageMaker {
    run: Arc<str>,
    body: Arc<Vec<u8>>,
}

impl MessageMaker {
    /// `run` names this run in each Message-ID; `bytes` is the size of each message, headers included (at least ~400).
    pub fn new(run: &str, bytes: usize) -> Self {
        let header_bytes = 360;
        let body = base64_lines(bytes.saturating_sub(header_bytes).max(2), fnv(run));
        MessageMaker { run: run.into(), body: Arc::new(body) }
    }

    /// The Message-ID of message `number`, without angle brackets.
    pub fn id(&self, number: u64) -> String {
        format!("{number}.{}@load.invalid", self.run)
    }

    /// Appends message `number` to `out`: CRLF lines, none longer than 78 octets, none beginning with a dot.
    pub fn write(&self, out: &mut Vec<u8>, number: u64, from: &str, to: &str) {
        let id = self.id(number);
        let header = format!(
            "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nFrom: <{from}>\r\nTo: <{to}>\r\nSubject: load {number}\r\n\
             Message-ID: <{id}>\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n"
        );
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&self.body);
    }

    /// Octets of one message's body.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }
}

/// Lines of base64 over pseudo-random octets: as incompressible as an attachment.
fn base64_lines(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut raw = [0u8; 57];
    let mut out = Vec::with_capacity(bytes + 80);
    while out.len() < bytes {
        for byte in &mut raw {
            // xorshift64: no quality needed, only octets that do not compress.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 24) as u8;
        }
        let line = base64::engine::general_purpose::STANDARD.encode(raw);
        let take = line.len().min(bytes.saturating_sub(out.len()).max(4));
        out.extend_from_slice(&line.as_bytes()[..take]);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::MessageMaker;

    #[test]
    fn messages_have_the_asked_size_and_are_all_different() {
        for size in [1024, 4096, 100 * 1024, 1024 * 1024] {
            let maker = MessageMaker::new("unit", size);
            let (mut one, mut two) = (Vec::new(), Vec::new());
            maker.write(&mut one, 1, "a@a.test", "b@b.test");
            maker.write(&mut two, 2, "a@a.test", "b@b.test");
            assert_ne!(one, two);
            assert!(one.len().abs_diff(size) < 200, "{} octets for {size}", one.len());
            assert!(one.ends_with(b"\r\n"));
            assert!(
                one.split(|byte| *byte == b'\n')
                    .all(|line| line.len() <= 78 && !line.starts_with(b"."))
            );
        }
    }
}
