//! Any cut gives the same structure; ranges nest; the stored form reads back; nothing panics.

mod support;

use palombe_message::{Limits, Part, Scanner, Structure};
use proptest::prelude::*;
use support::{assert_nested, exercise};

fn scan_in_pieces(message: &[u8], cuts: &[usize], limits: Limits) -> Structure {
    let mut scanner = Scanner::new(limits);
    let mut rest = message;
    for cut in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*cut).clamp(1, rest.len()));
        scanner.push(piece);
        rest = after;
    }
    scanner.finish()
}

/// Octets that mean something to the scanner come often.
fn lively() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b"--b".to_vec()),
        1 => Just(b"--b--".to_vec()),
        1 => Just(b"--bc\r\n".to_vec()),
        1 => Just(b"\r\n\r\n".to_vec()),
        1 => Just(b"Content-Type: multipart/mixed; boundary=b\r\n".to_vec()),
        1 => Just(b"Content-Type: multipart/digest; boundary=\"bc\"\r\n".to_vec()),
        1 => Just(b"Content-Type: message/rfc822\r\n".to_vec()),
        1 => Just(b"Content-Transfer-Encoding: base64\r\n".to_vec()),
        1 => Just(b"Content-Transfer-Encoding: quoted-printable\r\n".to_vec()),
        1 => Just(b"From: a <b@c.fr>, g: h@i;\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(vec![0]),
        2 => proptest::collection::vec(any::<u8>(), 0..8),
        2 => "[ -~]{0,12}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

/// A corpus message with a few octets changed, removed or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let messages: Vec<Vec<u8>> =
        support::corpus().into_iter().map(|(_, message)| message).collect();
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    (prop::sample::select(messages), proptest::collection::vec(change, 1..6)).prop_map(
        |(mut message, changes)| {
            for (index, octet, kind) in changes {
                if message.is_empty() {
                    break;
                }
                let at = index.index(message.len());
                match kind {
                    0 => message[at] = octet,
                    1 => drop(message.remove(at)),
                    2 => message.insert(at, octet),
                    _ => message.truncate(at),
                }
            }
            message
        },
    )
}

fn small_limits() -> Limits {
    Limits {
        depth_max: 2,
        parts_max: 4,
        root_header_bytes_max: 60,
        part_header_bytes_max: 40,
        part_headers_total_bytes_max: 100,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_octets(message in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(&message);
    }

    #[test]
    fn lively_octets(message in lively()) {
        exercise(&message);
    }

    #[test]
    fn mutated_corpus(message in mutated()) {
        exercise(&message);
    }

    #[test]
    fn cuts_do_not_matter(
        message in prop_oneof![lively(), mutated()],
        cuts in proptest::collection::vec(1usize..40, 1..8),
        tight in any::<bool>(),
    ) {
        let limits = if tight { small_limits() } else { Limits::default() };
        let whole = scan_in_pieces(&message, &[message.len().max(1)], limits);
        prop_assert_eq!(scan_in_pieces(&message, &cuts, limits), whole.clone());
        assert_nested(&whole.root, 0, whole.size);
        prop_assert!(whole.header.len() <= limits.root_header_bytes_max);
    }

    #[test]
    fn damaged_rows_are_refused_or_read(
        message in mutated(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut row = support::scan(&message).encode();
        for (index, octet) in changes {
            let at = index.index(row.len());
            row[at] = octet;
        }
        if let Ok(structure) = Structure::decode(&row) {
            assert_nested_ranges(&structure.root, 0, structure.size);
        }
    }
}

/// As [`assert_nested`], without the order of siblings: a row does not promise it.
fn assert_nested_ranges(part: &Part, start: u64, end: u64) {
    assert!(
        start <= part.header.start && part.header.end <= part.body.start && part.body.end <= end
    );
    for below in part.children.iter().chain(part.message.iter().map(|nested| &nested.root)) {
        assert_nested_ranges(below, part.body.start, part.body.end);
    }
}

#[test]
fn corpus_and_health_documents() {
    for (_, message) in support::corpus().into_iter().chain(support::health_documents()) {
        exercise(&message);
        let whole = support::scan(&message);
        for step in [1, 2, 3, 7, 64, 1000] {
            assert_eq!(scan_in_pieces(&message, &[step], Limits::default()), whole, "by {step}");
        }
    }
}

#[test]
fn many_parts_stop_at_the_limit() {
    let mut message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    message.extend(b"--b\r\n\r\nx\r\n".repeat(5_000));
    let structure = support::scan(&message);
    assert_eq!(structure.parts, 1_000);
    assert!(structure.damage.too_many_parts);
}

#[test]
fn bombs_stay_small() {
    let nested = b"Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    assert!(support::scan(&nested).damage.too_deep);
    let long = [b"X-A: ".to_vec(), vec![b'x'; 5_000_000], b"\r\n\r\nbody".to_vec()].concat();
    let structure = support::scan(&long);
    assert!(structure.damage.header_too_long && structure.header.len() <= 128 * 1024);
    assert_eq!(structure.facts().header_bytes, 5_000_009);
    let many = [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec(),
        [b"--b\r\nX: ".to_vec(), vec![b'y'; 30_000], b"\r\n\r\n".to_vec()].concat().repeat(900),
    ];
    assert!(support::scan(&many.concat()).encode().len() < 100_000);
}
