//! Plays `tests/transcripts/**/*.txt` against the door. `C:` is sent with CRLF, `S:` must be answered, where `…`
//! stands for anything; `2C:` and `2S:` are another connection. `@file DATE NAME` files a sample from
//! `tests/samples` into INBOX, as delivery does.

mod common;

use common::{Client, World, settings, world};
use std::path::{Path, PathBuf};

fn transcripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            transcripts(&path, found);
        } else if path.extension().is_some_and(|e| e == "txt") {
            found.push(path);
        }
    }
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    let mut parts = pattern.split('…').peekable();
    let first = parts.next().unwrap();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.replace('\n', "\r\n").into_bytes()
}

async fn client<'a>(clients: &'a mut Vec<Client>, world: &World, number: usize) -> &'a mut Client {
    while clients.len() < number {
        clients.push(world.connect().await);
    }
    &mut clients[number - 1]
}

async fn play(path: &Path) -> Result<(), String> {
    let world = world(settings()).await;
    let mut clients: Vec<Client> = Vec::new();
    let text = std::fs::read_to_string(path).unwrap();
    for (at, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), at + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("@file ") {
            let mut words = rest.split(' ');
            let (date, name) = (words.next().unwrap(), words.next().unwrap());
            world.file("Return-Path: <dr.a@alpha.mssante.test>\r\n", &sample(name), date);
            continue;
        }
        let (number, rest) = match line.as_bytes()[0] {
            digit @ b'1'..=b'9' => (usize::from(digit - b'0'), &line[1..]),
            _ => (1, line),
        };
        let client = client(&mut clients, &world, number).await;
        if let Some(text) = rest.strip_prefix("C:") {
            let text = text.strip_prefix(' ').unwrap_or(text);
            client.send(format!("{text}\r\n").as_bytes()).await;
        } else if let Some(text) = rest.strip_prefix("S:") {
            let said = client.line().await;
            let text = text.strip_prefix(' ').unwrap_or(text);
            if !matches(text, &said) {
                return Err(format!("{place}\nexpected: {text}\n     got: {said}"));
            }
        } else {
            panic!("{place}: neither C: nor S: nor @file");
        }
    }
    world.trigger.request();
    for client in &mut clients {
        let mut last = client.line().await;
        while last.starts_with("* BYE") || last.ends_with("OK LOGOUT completed") {
            last = client.line().await;
        }
        if last != "closed" {
            return Err(format!("{}: unread: {last}", path.display()));
        }
    }
    let problems = world.store.check().unwrap().problems;
    if problems.is_empty() { Ok(()) } else { Err(format!("{}: {problems:?}", path.display())) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_are_played_as_written() {
    let mut found = Vec::new();
    transcripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts"), &mut found);
    found.sort();
    assert!(!found.is_empty());
    let mut failures = Vec::new();
    for path in found {
        failures.extend(play(&path).await.err());
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
