//! Octets of an IMAP client: framing, literals, APPEND and the grammar. The cut must not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palombe_imap_proto::{Command, Event, Limits, Receiver, parse_command};

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let cut = usize::from(choice >> 2).max(1);
    let whole = run(bytes, bytes.len().max(1), choice);
    assert_eq!(run(bytes, cut, choice), whole, "cut by {cut}");
    let _ = parse_command(bytes, &Limits::default(), choice & 1 == 0);
});

fn run(bytes: &[u8], cut: usize, choice: u8) -> Vec<String> {
    let mut receiver = Receiver::new(Limits { append_bytes_max: 500, ..Limits::default() });
    if choice & 1 == 0 {
        receiver.set_authenticated();
    }
    if choice & 2 == 0 {
        receiver.set_utf8();
    }
    let mut said = Vec::new();
    let mut message = Vec::new();
    for piece in bytes.chunks(cut) {
        let mut input = piece;
        while let Some(event) = receiver.next(&mut input) {
            note(&mut receiver, event, &mut said, &mut message);
        }
        assert!(said.last().is_some_and(|last| last.starts_with("FATAL")) || input.is_empty());
    }
    said
}

fn note(receiver: &mut Receiver, event: Event<'_>, said: &mut Vec<String>, message: &mut Vec<u8>) {
    match event {
        Event::Data(piece) => message.extend_from_slice(piece),
        Event::Command(tagged) => {
            match &tagged.command {
                Command::Authenticate { .. } => receiver.expect_line(400),
                Command::Idle => receiver.expect_line(4),
                _ => {}
            }
            said.push(format!("{tagged:?}"));
        }
        Event::Append(head) => {
            said.push(format!("{head:?}"));
            judge(receiver, head.message.size);
        }
        Event::AppendNext(next) => {
            said.push(format!("NEXT {:?} {next:?}", std::mem::take(message)));
            judge(receiver, next.size);
        }
        Event::AppendEnd => said.push(format!("END {:?}", std::mem::take(message))),
        Event::AppendBad(bad) => {
            message.clear();
            said.push(format!("END BAD {bad:?}"));
        }
        Event::Bad { tag, bad } => said.push(format!("{tag:?} BAD {bad:?}")),
        Event::Continue => said.push("+".to_owned()),
        Event::Line(line) => said.push(format!("LINE {:?}", line.expose())),
        Event::Fatal(bad) => said.push(format!("FATAL {bad:?}")),
    }
}

/// Some are refused, so that their octets are thrown away.
fn judge(receiver: &mut Receiver, size: u64) {
    if size.is_multiple_of(3) { receiver.refuse_append() } else { receiver.accept_append() }
}
