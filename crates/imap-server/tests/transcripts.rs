//! Plays `tests/transcripts/**/*.txt` against the door. `C:` is sent with CRLF, `S:` must be answered, where `…`
//! stands for anything and `«name»` for something that may be sent later; `S~:` passes over the lines before the one
//! that matches; `2C:` and `2S:` are another connection. `@file DATE NAME` files a sample from `tests/samples` into
//! INBOX, as delivery does. `@bal ADDRESS KIND` makes a BAL with the same password, `@member BAL MEMBER RIGHTS` and
//! `@unmember BAL MEMBER` share it, `@into BAL DATE NAME` files into its INBOX, `@quota BAL OCTETS` bounds it,
//! `@seen BAL own` gives each member its own `\Seen`,
//! `@journal BAL EVENT MEMBER COUNT` looks how often the journal says that the member did that.

mod common;

use common::{Client, World, settings, world};
use palombe_store::{MemberRights, SeenMode, SharingOptions};
use std::collections::HashMap;
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

/// What `«name»` stood for; where it is sent or expected again, it is that.
type Names = HashMap<String, String>;

fn filled(text: &str, names: &Names) -> String {
    let fill =
        |text: String, (name, value): (&String, &String)| text.replace(&format!("«{name}»"), value);
    names.iter().fold(text.to_owned(), fill)
}

/// Whether the line is as the pattern says; learns the names that it does not know yet.
fn matches(pattern: &str, line: &str, names: &mut Names) -> bool {
    let pattern = filled(pattern, names);
    let (mut rest, mut pattern) = (line, pattern.as_str());
    loop {
        let open = pattern.find(['…', '«']).unwrap_or(pattern.len());
        let Some(after) = rest.strip_prefix(&pattern[..open]) else { return false };
        rest = after;
        pattern = &pattern[open..];
        if pattern.is_empty() {
            return rest.is_empty();
        }
        let (name, after) = match pattern.strip_prefix('«') {
            Some(named) => named.split_once('»').expect("a closing »"),
            None => ("", &pattern['…'.len_utf8()..]),
        };
        pattern = after;
        let next = &pattern[..pattern.find(['…', '«']).unwrap_or(pattern.len())];
        let at = match next {
            "" => rest.len(),
            next if next.len() == pattern.len() => rest.len().saturating_sub(next.len()),
            next => rest.find(next).unwrap_or(rest.len()),
        };
        if !rest.is_char_boundary(at) {
            return false;
        }
        if !name.is_empty() {
            names.insert(name.to_owned(), rest[..at].to_owned());
        }
        rest = &rest[at..];
    }
}

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.replace('\n', "\r\n").into_bytes()
}

/// Something that happens beside the protocol.
fn direct(world: &World, order: &str) -> Result<(), String> {
    let words: Vec<&str> = order.split(' ').collect();
    let store = &world.store;
    let id = |address: &str| world.bal_named(address);
    match words.as_slice() {
        ["bal", address, kind] => world.add_bal(address, kind),
        ["member", bal, member, rights] => {
            let named = |name| MemberRights::named(name).expect("a right");
            let rights = rights.split(',').map(named).fold(MemberRights::NONE, MemberRights::and);
            let now = palombe_driver::now();
            store.member_set((id(bal), id(member)), rights, now, &[]).unwrap();
        }
        ["unmember", bal, member] => store.member_remove(id(bal), id(member), &[]).unwrap(),
        ["seen", bal, mode] => {
            let seen = if *mode == "own" { SeenMode::Own } else { SeenMode::Shared };
            store.sharing_options_set(id(bal), SharingOptions { seen }, &[]).unwrap();
        }
        ["quota", bal, octets] => {
            store.bal_set_quota(id(bal), octets.parse().unwrap()).unwrap();
        }
        ["into", bal, date, name] => world.file_into(id(bal), "", &sample(name), date),
        ["journal", bal, event, member, count] => {
            let told = world.told(id(bal), event, member);
            if told != count.parse::<usize>().unwrap() {
                return Err(format!("the journal tells it {told} times"));
            }
        }
        _ => panic!("unknown order: {order}"),
    }
    Ok(())
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
    let mut names = Names::new();
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
        if let Some(order) = line.strip_prefix('@') {
            direct(&world, order).map_err(|wrong| format!("{place}\n{wrong}"))?;
            continue;
        }
        let (number, rest) = match line.as_bytes()[0] {
            digit @ b'1'..=b'9' => (usize::from(digit - b'0'), &line[1..]),
            _ => (1, line),
        };
        let client = client(&mut clients, &world, number).await;
        if let Some(text) = rest.strip_prefix("C:") {
            let text = text.strip_prefix(' ').unwrap_or(text);
            client.send(format!("{}\r\n", filled(text, &names)).as_bytes()).await;
        } else if let Some(text) = rest.strip_prefix("S:") {
            let said = client.line().await;
            let text = text.strip_prefix(' ').unwrap_or(text);
            if !matches(text, &said, &mut names) {
                return Err(format!("{place}\nexpected: {text}\n     got: {said}"));
            }
        } else if let Some(text) = rest.strip_prefix("S~:") {
            let text = text.strip_prefix(' ').unwrap_or(text);
            let mut said = client.line().await;
            while !matches(text, &said, &mut names) {
                if !said.starts_with("* ") {
                    return Err(format!("{place}\nexpected: {text}\n     got: {said}"));
                }
                said = client.line().await;
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
