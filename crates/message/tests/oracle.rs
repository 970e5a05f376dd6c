//! Our scanner against mail-parser: the same leaves at the same octets. Messages where the two differ on purpose are
//! named with the reason.

mod support;

use mail_parser::{MessageParser, PartKind};
use palombe_message::{Part, Structure};
use std::ops::Range;

/// Where we differ, and why.
const DIFFERENT: [(&str, &str); 13] = [
    ("boundary-absent-parameter", "our multipart always has a child: the body as text"),
    ("boundary-empty", "the same"),
    ("boundary-never-comes", "the same"),
    ("boundary-too-long", "a boundary longer than a line is not honoured"),
    ("close-first", "our multipart always has a child: the body as text"),
    ("cr-cr-lf", "CR CR LF is not a blank line; the bare CR refuses the message anyway"),
    ("deep-40", "our depth limit is 32"),
    ("deep-rfc822-40", "our depth limit is 32"),
    ("duplicate-content-type", "the first one counts, as in Dovecot; flagged"),
    ("empty", "an empty message has a structure"),
    ("header-folded-type", "white space around = is forgiven"),
    (
        "rfc822-base64",
        "our message part always has a message; an encoded one shows an empty message",
    ),
    ("rfc822-empty", "the same"),
];

type Leaf = (Range<u64>, Range<u64>);

fn our_leaves(structure: &Structure) -> Vec<Leaf> {
    let is_leaf = |part: &&Part| part.children.is_empty() && part.message.is_none();
    structure.walk().filter(is_leaf).map(|part| (part.header.clone(), part.body.clone())).collect()
}

fn their_leaves(message: &[u8]) -> Vec<Leaf> {
    let parser = MessageParser::new().max_encoded_nesting(0);
    let Some(parsed) = parser.parse(message) else { return Vec::new() };
    let mut leaves: Vec<Leaf> = parsed
        .parts()
        .filter(|part| !matches!(part.kind(), PartKind::Multipart | PartKind::Message(_)))
        .map(|part| {
            let (start, body, end) = (part.offset_header(), part.offset_body(), part.offset_end());
            (u64::from(start)..u64::from(body), u64::from(body)..u64::from(end))
        })
        .collect();
    leaves.sort_by_key(|(header, body)| (header.start, body.start));
    leaves
}

fn compare(messages: Vec<(String, Vec<u8>)>) {
    let mut wrong = Vec::new();
    for (name, message) in messages {
        let (ours, theirs) = (our_leaves(&support::scan(&message)), their_leaves(&message));
        let allowed = DIFFERENT.iter().any(|(known, _)| *known == name);
        if (ours != theirs) != allowed {
            wrong.push(format!("{name}:\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn corpus_has_the_same_leaves() {
    compare(support::corpus());
}

#[test]
fn health_documents_have_the_same_leaves() {
    let messages = support::health_documents();
    if messages.is_empty() {
        println!("SKIP: the health documents are not beside the repository");
    }
    compare(messages);
}
