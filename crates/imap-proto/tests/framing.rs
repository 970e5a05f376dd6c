//! Framing: transcripts, any byte split, hostile input.

use palombe_imap_proto::{AppendMessage, Command, Event, Limits, Receiver};
use proptest::prelude::*;

fn small_limits() -> Limits {
    Limits {
        command_bytes_before_login_max: 200,
        command_bytes_max: 200,
        append_bytes_max: 50,
        drain_bytes_max: 300,
        drain_bytes_before_login_max: 300,
        ..Limits::default()
    }
}

/// Runs the receiver over the pieces and writes down what it says. Accepts APPEND except into `refused`; after
/// AUTHENTICATE and IDLE it reads a line.
fn transcript(pieces: &[&[u8]], limits: Limits) -> Vec<String> {
    let mut receiver = Receiver::new(limits);
    receiver.set_authenticated();
    let mut said: Vec<String> = Vec::new();
    let mut message = String::new();
    let mut waiting: Vec<u8> = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut input = &waiting[..];
        while let Some(event) = receiver.next(&mut input) {
            match event {
                Event::Data(piece) => {
                    message.push_str(&String::from_utf8_lossy(piece));
                    continue;
                }
                Event::Command(tagged) => {
                    match &tagged.command {
                        Command::Authenticate { .. } => receiver.expect_line(40),
                        Command::Idle => receiver.expect_line(4),
                        _ => {}
                    }
                    said.push(format!("{} {:?}", tagged.tag, tagged.command));
                }
                Event::Bad { tag, bad } => said.push(format!("{tag:?} BAD {bad}")),
                Event::Continue => said.push("+".to_owned()),
                Event::Append(head) => {
                    let name = head.mailbox.as_str().to_owned();
                    let AppendMessage { flags, size, .. } = &head.message;
                    let word = if head.replaces.is_some() { "REPLACE" } else { "APPEND" };
                    said.push(format!("{} {word} {name} {flags:?} {size}", head.tag));
                    if name == "refused" {
                        receiver.refuse_append();
                    } else {
                        receiver.accept_append();
                    }
                }
                Event::AppendNext(next) => {
                    said.push(format!(
                        "{} NEXT {:?} {}",
                        std::mem::take(&mut message),
                        next.flags,
                        next.size
                    ));
                    if next.flags.iter().any(|flag| flag == "refused") {
                        receiver.refuse_append();
                    } else {
                        receiver.accept_append();
                    }
                }
                Event::AppendEnd => said.push(format!("END {}", std::mem::take(&mut message))),
                Event::AppendBad(bad) => said.push(format!("END BAD {bad}")),
                Event::Line(line) => {
                    said.push(format!("LINE {}", String::from_utf8_lossy(line.expose())));
                }
                Event::Fatal(bad) => said.push(format!("FATAL {bad}")),
            }
        }
        let left = input.len();
        waiting.drain(..waiting.len() - left);
    }
    said
}

fn check(input: &str, expected: &[&str]) {
    assert_eq!(transcript(&[input.as_bytes()], small_limits()), expected, "{input:?}");
    let single: Vec<&[u8]> = input.as_bytes().chunks(1).collect();
    assert_eq!(transcript(&single, small_limits()), expected, "byte by byte: {input:?}");
}

#[test]
fn literals_in_commands() {
    check(
        "a LOGIN {1}\r\nu {2+}\r\npw\r\n",
        &["+", "a Login { user: \"u\", password: Secret(…) }"],
    );
    check(
        "a SELECT {5}\r\nin\r\nb\r\n",
        &["+", "Some(\"a\") BAD the mailbox name is not well encoded"],
    );
    check(
        "a SELECT {0+}\r\n\r\nb NOOP\r\n",
        &[
            "a Select { mailbox: Mailbox(\"\"), parameters: SelectParameters { condstore: false, qresync: None } }",
            "b Noop",
        ],
    );
    // A literal that ends like the beginning of a marker makes no marker.
    check(
        "a SELECT {3+}\r\n{5+}\r\nb NOOP\r\n",
        &["Some(\"a\") BAD unexpected text after the command", "b Noop"],
    );
}

#[test]
fn literals_never_become_commands() {
    let noops = "z LOGOUT\r\n".repeat(29);
    let long = format!("a SELECT {{290+}}\r\n{noops}\r\nb NOOP\r\n");
    check(&long, &["Some(\"a\") BAD command too long", "b Noop"]);
    check("a SELECT {301+}\r\n", &["FATAL too much input"]);
    check("a SELECT {99999999999999999999999+}\r\n", &["FATAL too much input"]);
    check("a SELECT {301}\r\nb NOOP\r\n", &["Some(\"a\") BAD command too long", "b Noop"]);
    check(
        "a NOOP {10+}\r\nz LOGOUT\r\n\r\nb NOOP\r\n",
        &["Some(\"a\") BAD unexpected text after the command", "b Noop"],
    );
    // Refused for its line end, still drained.
    check(
        "a SELECT {10+}\nz LOGOUT\r\n\r\nb NOOP\r\n",
        &["Some(\"a\") BAD lines end with CRLF", "b Noop"],
    );
    // Refused for its length, with a literal at the end of the long line, and one more after it.
    let line = format!(
        "a SEARCH {} {{10+}}\r\nz LOGOUT\r\n {{10+}}\r\nz LOGOUT\r\n\r\nb NOOP\r\n",
        "x".repeat(220)
    );
    check(&line, &["Some(\"a\") BAD command too long", "b Noop"]);
}

#[test]
fn append() {
    check(
        "a APPEND INBOX (\\Seen \\Recent x) {5}\r\nhello\r\nb NOOP\r\n",
        &["a APPEND INBOX [\"\\\\Seen\", \"x\"] 5", "END hello", "b Noop"],
    );
    check(
        "a APPEND {5+}\r\nINBOX \"17-Jul-1996 02:44:25 -0700\" ~{5+}\r\nhello\r\n",
        &["a APPEND INBOX [] 5", "END hello"],
    );
    check("a APPEND x {0}\r\n\r\n", &["a APPEND x [] 0", "END "]);
    check("a APPEND refused {10}\r\nb NOOP\r\n", &["a APPEND refused [] 10", "b Noop"]);
    check(
        "a APPEND refused {10+}\r\nz LOGOUT\r\n\r\nb NOOP\r\n",
        &["a APPEND refused [] 10", "b Noop"],
    );
    check("a APPEND x {51}\r\nb NOOP\r\n", &["Some(\"a\") BAD message too large", "b Noop"]);
    check(
        &format!("a APPEND x {{60+}}\r\n{}\r\nb NOOP\r\n", "z LOGOUT\r\n".repeat(6)),
        &["Some(\"a\") BAD message too large", "b Noop"],
    );
    check(
        "a APPEND x (\\Seen {10+}\r\nz LOGOUT\r\n\r\nb NOOP\r\n",
        &["Some(\"a\") BAD expected a flag", "b Noop"],
    );
    check(
        "a APPEND x {2}\r\nhi {10+}\r\nz LOGOUT\r\n\r\nb NOOP\r\n",
        &["a APPEND x [] 2", "hi NEXT [] 10", "END z LOGOUT\r\n", "b Noop"],
    );
    check("a APPEND x\r\n", &["Some(\"a\") BAD expected a message literal"]);
}

#[test]
fn lines_that_are_not_commands() {
    check(
        "a AUTHENTICATE PLAIN\r\nAHUAcA==\r\nb IDLE\r\nDONE\r\nc NOOP\r\n",
        &[
            "a Authenticate { mechanism: \"PLAIN\", initial: None }",
            "LINE AHUAcA==",
            "b Idle",
            "LINE DONE",
            "c Noop",
        ],
    );
    check("b IDLE\r\nDONE DONE\r\n", &["b Idle", "FATAL command too long"]);
    check(
        "a AUTHENTICATE PLAIN =\r\n*\r\n",
        &["a Authenticate { mechanism: \"PLAIN\", initial: Some(Secret(…)) }", "LINE *"],
    );
}

#[test]
fn bad_lines() {
    check("\r\n", &["None BAD a command begins with a tag"]);
    check("a\r\n", &["Some(\"a\") BAD expected a space"]);
    check("a NOOP\n", &["Some(\"a\") BAD lines end with CRLF"]);
    check("a NOOP\r\r\n", &["Some(\"a\") BAD unexpected text after the command"]);
    check("+ NOOP\r\n", &["None BAD a command begins with a tag"]);
    check(&format!("{}\r\nb NOOP\r\n", "a".repeat(250)), &["None BAD command too long", "b Noop"]);
    check(&"a ".repeat(300), &["FATAL too much input"]);
}

const SAMPLES: &[&str] = &[
    "a NOOP\r\n",
    "b LOGIN {3}\r\nbob {4+}\r\nword\r\n",
    "c APPEND INBOX (\\Seen) {11+}\r\nz LOGOUT\r\n!\r\n",
    "d APPEND refused {11+}\r\nz LOGOUT\r\n!\r\n",
    "e SEARCH OR SUBJECT {2+}\r\n\r\n FROM x\r\n",
    "f IDLE\r\nDONE\r\n",
    "g FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (From)]<0.5>)\r\n",
    "h APPEND x {70+}\r\nz LOGOUT\r\nz LOGOUT\r\nz LOGOUT\r\nz LOGOUT\r\nz LOGOUT\r\nz LOGOUT\r\nz LOGOUT\r\n\r\n",
    "i BAD {4+}\r\n\r\n\r\n {1+}\r\nx\r\n",
    "j\n",
];

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        picks in prop::collection::vec(0..SAMPLES.len(), 1..8),
        cuts in prop::collection::vec(0usize..400, 0..10),
    ) {
        let input: String = picks.iter().map(|i| SAMPLES[*i]).collect();
        let input = input.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
        prop_assert_eq!(transcript(&pieces, small_limits()), transcript(&[input], small_limits()));
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        transcript(&[&bytes], small_limits());
    }

    #[test]
    fn no_command_like_input_panics(text in "a (FETCH|SEARCH|STORE|LIST|APPEND|UID|STATUS|ID|CREATE|LOGIN|SELECT)[ a-zA-Z0-9(){}\\[\\]<>.,:*$%\"\\\\+~-]{0,80}\r\n") {
        transcript(&[text.as_bytes()], small_limits());
    }

    #[test]
    fn text_of_a_message_never_acts(text in "[a-z {}+0-9\r\n]{0,120}", name in "(x|refused|bad name)") {
        let input = format!("a APPEND {name} {{{}+}}\r\n{text}z LOGOUT\r\n\r\nb NOOP\r\n", text.len() + 10);
        let said = transcript(&[input.as_bytes()], small_limits());
        prop_assert!(!said.iter().any(|line| line.contains("Logout")), "{said:?}");
    }
}

#[test]
fn several_messages_in_one_append() {
    check(
        "a APPEND x (\\Seen) {3+}\r\none (\\Draft) {3}\r\ntwo {5+}\r\nthree\r\nb NOOP\r\n",
        &[
            "a APPEND x [\"\\\\Seen\"] 3",
            "one NEXT [\"\\\\Draft\"] 3",
            "two NEXT [] 5",
            "END three",
            "b Noop",
        ],
    );
    // The text of a message that is refused, or that follows a mistake, is never a command.
    check(
        "a APPEND x {3+}\r\none (refused) {8+}\r\nb NOOP\r\n {8+}\r\nc NOOP\r\n\r\nd NOOP\r\n",
        &["a APPEND x [] 3", "one NEXT [\"refused\"] 8", "d Noop"],
    );
    check(
        "a APPEND x {3+}\r\none junk {8+}\r\nb NOOP\r\n\r\nd NOOP\r\n",
        &["a APPEND x [] 3", "END BAD unexpected text after the command", "d Noop"],
    );
    check("a APPEND x {3+}\r\none {51+}\r\n", &["a APPEND x [] 3"]);
}

#[test]
fn replace_takes_one_message() {
    check("a REPLACE 4 x {3+}\r\none\r\n", &["a REPLACE x [] 3", "END one"]);
    check("a UID REPLACE * {1+}\r\nx {3+}\r\none\r\n", &["a REPLACE x [] 3", "END one"]);
    check(
        "a REPLACE 4 x {3+}\r\none {8+}\r\nb NOOP\r\n\r\n",
        &["a REPLACE x [] 3", "END BAD unexpected text after the command"],
    );
    check("a REPLACE 0 x {8+}\r\nb NOOP\r\n\r\n", &["Some(\"a\") BAD number out of range"]);
    check("a REPLACE 4 x\r\n", &["Some(\"a\") BAD expected a message literal"]);
}

#[test]
fn utf8_append_data_closes_its_parenthesis() {
    check("a APPEND x UTF8 (~{3+}\r\none)\r\n", &["a APPEND x [] 3", "END one"]);
    check(
        "a APPEND x UTF8 (~{3+}\r\none) UTF8 (~{3+}\r\ntwo)\r\n",
        &["a APPEND x [] 3", "one NEXT [] 3", "END two"],
    );
    check(
        "a APPEND x UTF8 (~{3+}\r\none\r\nb NOOP\r\n",
        &["a APPEND x [] 3", "END BAD unexpected text after the command", "b Noop"],
    );
    check("a APPEND x UTF8 ({3+}\r\none)\r\n", &["Some(\"a\") BAD expected a literal8"]);
}
