//! Runs `tests/transcripts/smtp` on the bare session. The format is told in `tests/transcripts/README.md`.

mod runner;

use palombe_smtp_proto::server::Service;
use runner::Peer;
use std::path::{Path, PathBuf};

#[test]
fn transcripts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts/smtp");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 10, "transcripts in {}", root.display());
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        // Bytes behind STARTTLS are an injection only when they come with it.
        let whole = text.contains("# whole:");
        for step in [usize::MAX, 1, 7].into_iter().take(if whole { 1 } else { 3 }) {
            run(&file, &text, step);
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "txt") {
            files.push(path);
        }
    }
}

fn run(file: &Path, text: &str, step: usize) {
    let mut peer: Option<Peer> = None;
    let mut service = Service::Interop;
    let mut sent = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{} (step {step})", file.display(), number + 1);
        match line.split_once(": ").map_or((line, ""), |(a, b)| (a, b)) {
            ("service", "submission") => service = Service::Submission,
            ("service", "interop") => service = Service::Interop,
            ("start", "clear") => {
                let mut fresh = Peer::new(runner::settings(service));
                fresh.feed(b"");
                peer = Some(fresh);
            }
            ("start", "ready") => peer = Some(Peer::ready(runner::settings(service))),
            ("C", said) => sent.extend(unescape(said)),
            ("S", expected) => {
                let peer = peer.as_mut().unwrap_or_else(|| panic!("{place}: start: first"));
                for piece in std::mem::take(&mut sent).chunks(step) {
                    peer.feed(piece);
                }
                expect(peer, expected, &place);
            }
            (comment, _) if comment.is_empty() || comment.starts_with('#') => {}
            _ => panic!("{place}: {line}"),
        }
    }
    let peer = peer.unwrap();
    assert!(peer.output.is_empty(), "{}: unexpected {:?}", file.display(), text_of(&peer.output));
}

fn expect(peer: &mut Peer, expected: &str, place: &str) {
    if expected == "<close>" {
        assert!(peer.closed, "{place}: still open");
        return;
    }
    loop {
        let Some(end) = peer.output.windows(2).position(|w| w == b"\r\n") else {
            panic!("{place}: expected {expected}, got nothing");
        };
        let line = text_of(&peer.output[..end]);
        peer.output.drain(..end + 2);
        if let Some(code) = expected.strip_suffix("-...") {
            assert!(line.starts_with(code), "{place}: expected {expected}, got {line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return;
            }
            continue;
        }
        let same = match expected.strip_suffix('*') {
            Some(prefix) => line.starts_with(&names(prefix)),
            None => line == names(expected),
        };
        assert!(same, "{place}: expected {expected}, got {line}");
        return;
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(text: &str) -> String {
    text.replace("{hostname}", "mx.palombe.example")
        .replace("{sender}", "a@b.fr")
        .replace("{recipient}", "c@d.fr")
        .replace("{unknown}", "unknown@d.fr")
        .replace("{auth}", "AGFAYi5mcgBzZWNyZXQ=")
        .replace("{auth-wrong}", "AGFAYi5mcgB3cm9uZw==")
}

/// `\r \n \0 \\ \xHH`, and CRLF at the end unless the line ends in `\c`.
fn unescape(text: &str) -> Vec<u8> {
    let text = names(text);
    let mut out = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('0') => out.push(0),
            Some('c') => return out,
            Some('x') => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            Some(other) => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {}
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}
