//! Searches through the index against searches without it, and against the texts that the messages were made of,
//! while messages come and go and the index is made.

use super::{Criteria, Hunt};
use crate::rows::{Rows, Table};
use crate::selected::Selected;
use palombe_imap_proto::{SearchCommand, SearchKey, Selector};
use palombe_indexing::{Indexer, Progress};
use palombe_message::{Limits, Scanner, fold_for_search};
use palombe_store::{Filing, Flags, INBOX, NewBal, Recents, Store, StoreSettings};
use palombe_vocabulary::{BalId, BalKind, Publication, Timestamp, Uid};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const WORDS: &[&str] = &[
    "Compte",
    "rendu",
    "d’hospitalisation",
    "Hélène",
    "Benoît",
    "œdème",
    "fièvre",
    "résultat",
    "urgent",
    "biologie",
    "hémoglobine",
    "Noël",
    "à",
    "où",
    "prescription",
    "médecin",
    "CHU",
    "Été",
    "ça",
    "n°12",
    "patient",
    "M. Lefèvre",
    "36.5",
    "&",
    "<seuil>",
    "cardiologie",
];

const ATTACHED: &[u8] = b"--b\r\nContent-Type: message/rfc822\r\n\
    Content-Disposition: attachment; filename=\"Courrier joint.eml\"\r\n\r\n";

/// The same dice in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| WORDS[self.throw(WORDS.len())]).collect();
        words.join(" ")
    }
}

/// What a message was made of.
#[derive(Clone, Default)]
struct Made {
    octets: Vec<u8>,
    subject: String,
    from: String,
    day: u8,
    bodies: Vec<String>,
}

fn quoted_printable(octets: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for octet in octets {
        if octet.is_ascii_alphanumeric() || *octet == b' ' {
            out.push(*octet);
        } else {
            out.extend(format!("={octet:02X}").into_bytes());
        }
        if dice.throw(30) == 0 {
            out.extend(b"=\r\n");
        }
    }
    out.extend(b"=\r\n\r\n");
    out
}

fn base64(octets: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let line = base64::engine::general_purpose::STANDARD.encode(octets);
    line.as_bytes().chunks(60).flat_map(|c| [c, b"\r\n"].concat()).collect()
}

/// Octets over 255 do not exist in the words; typographic apostrophes do, so they go.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

fn word_encoded(text: &str, dice: &mut Dice) -> Vec<u8> {
    let q = |octets: &[u8]| -> String {
        let one = |o: &u8| {
            if o.is_ascii_alphanumeric() { char::from(*o).to_string() } else { format!("={o:02X}") }
        };
        octets.iter().map(one).collect()
    };
    let pieces: Vec<String> = text
        .split_inclusive(' ')
        .map(|word| match dice.throw(3) {
            0 => format!("=?utf-8?Q?{}?=", q(word.as_bytes())),
            1 => format!(
                "=?UTF-8?b?{}?=",
                String::from_utf8(base64(word.as_bytes())).unwrap().trim()
            ),
            _ => format!("=?utf-8?q?{}?=", q(word.as_bytes())),
        })
        .collect();
    if dice.throw(4) == 0 { text.as_bytes().to_vec() } else { pieces.join("\r\n ").into_bytes() }
}

fn html(text: &str, dice: &mut Dice) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('é', "&eacute;");
    let mut out = String::from("<html><head><style>p > b { color: red }</style></head><body><p>");
    for word in escaped.split(' ') {
        match dice.throw(4) {
            0 => out.push_str(&format!("<b>{word}</b> ")),
            1 => out.push_str(&format!("{word}<br>\r\n")),
            2 if word.is_ascii() && !word.contains('&') && word.len() > 2 => {
                out.push_str(&format!("{}<i>{}</i> ", &word[..2], &word[2..]));
            }
            _ => out.push_str(&format!("{word} ")),
        }
    }
    out + "</p></body></html>"
}

/// Header fields and body of a text part.
fn text_part(made: &mut Made, dice: &mut Dice) -> Vec<u8> {
    let count = 3 + dice.throw(12);
    let text = dice.words(count);
    let head = |kind: &str, cte: &str| {
        format!("Content-Type: text/{kind}\r\nContent-Transfer-Encoding: {cte}\r\n\r\n")
            .into_bytes()
    };
    let plain = |charset: &str, cte: &str| head(&format!("plain; charset={charset}"), cte);
    let (head, body, text) = match dice.throw(6) {
        0 => (plain("utf-8", "quoted-printable"), quoted_printable(text.as_bytes(), dice), text),
        1 => (plain("utf-8", "base64"), base64(text.as_bytes()), text),
        2 => {
            let text = text.replace(['’', 'œ'], "e");
            (plain("iso-8859-1", "8bit"), [&latin1(&text)[..], b"\r\n"].concat(), text)
        }
        3 => {
            let text = text.replace(['’', 'œ'], "e");
            (plain("iso-8859-1", "quoted-printable"), quoted_printable(&latin1(&text), dice), text)
        }
        4 => {
            let html = html(&text, dice);
            let head = head("html; charset=utf-8", "quoted-printable");
            (head, quoted_printable(html.as_bytes(), dice), text)
        }
        _ => {
            // Lines broken between words are the same text.
            let lines = text.replace(' ', "\r\n");
            (plain("utf-8", "8bit"), format!("{lines}\r\n").into_bytes(), text)
        }
    };
    made.bodies.push(text);
    [head, body].concat()
}

fn message(dice: &mut Dice, number: usize) -> Made {
    let mut made = Made { day: 1 + dice.throw(28) as u8, ..Made::default() };
    let count = 1 + dice.throw(5);
    made.subject = dice.words(count);
    made.from =
        format!("Dr {} <m{number}@hopital.mssante.fr>", dice.words(1).replace(['<', '>', '.'], ""));
    let mut head = b"Subject: ".to_vec();
    head.extend(word_encoded(&made.subject, dice));
    head.extend(format!("\r\nFrom: {}\r\nTo: tous@hopital.mssante.fr\r\n", made.from).into_bytes());
    head.extend(format!("Date: {} Oct 2026 23:30:00 -0800\r\n", made.day).into_bytes());
    if number.is_multiple_of(5) {
        head.extend(format!("X-MSS-INS: O{number}\r\n").into_bytes());
    }
    head.extend(b"MIME-Version: 1.0\r\n");
    made.octets = match dice.throw(3) {
        0 => [head, text_part(&mut made, dice)].concat(),
        1 => {
            head.extend(b"Content-Type: multipart/alternative; boundary=b\r\n\r\n");
            for _ in 0..2 {
                head.extend(b"--b\r\n");
                head.extend(text_part(&mut made, dice));
            }
            [head, b"--b--\r\n".to_vec()].concat()
        }
        _ => {
            head.extend(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n");
            head.extend(text_part(&mut made, dice));
            head.extend(ATTACHED);
            let subject = dice.words(2);
            head.extend(b"Subject: ");
            head.extend(word_encoded(&subject, dice));
            head.extend(b"\r\n");
            made.bodies.push(format!("Subject: {subject}"));
            let part = text_part(&mut made, dice);
            // Fields of the part are fields of the attached message.
            let fields = part.split(|o| *o == b'\n').take_while(|line| *line != b"\r");
            let fields = fields.map(|line| String::from_utf8_lossy(line).trim_end().to_owned());
            made.bodies.extend(fields);
            head.extend(part);
            [head, b"--b--\r\n".to_vec()].concat()
        }
    };
    made
}

struct House {
    store: Store,
    bal: BalId,
    made: BTreeMap<u32, Made>,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings { free_bytes_min: 0, ..StoreSettings::new(folder.path()) };
        let store = Store::open(&settings).unwrap();
        let domain = "hopital.mssante.fr".parse().unwrap();
        store.domain_add(&domain, Timestamp(0)).unwrap();
        let new = NewBal {
            address: "tous@hopital.mssante.fr".parse().unwrap(),
            kind: BalKind::Org,
            label: String::new(),
            publication: Publication::Annuaire,
            quota_bytes: 1 << 40,
            password_hash: None,
        };
        let bal = store.bal_add(new, Timestamp(0)).unwrap();
        House { store, bal, made: BTreeMap::new(), _folder: folder }
    }

    fn deliver(&mut self, made: Made) -> u32 {
        let mut scanner = Scanner::new(Limits::default());
        let mut spool = self.store.spool();
        scanner.push(&made.octets);
        spool.write(&made.octets).unwrap();
        let filing = Filing {
            bal: self.bal,
            folder: INBOX,
            prefix: b"Received: from essai.mssante.fr\r\n".to_vec(),
            flags: Flags { flagged: made.day.is_multiple_of(2), ..Flags::default() },
            internal_date: Timestamp(1_790_000_000_000),
        };
        let (blob, structure) = (spool.finish().unwrap(), scanner.finish().encode());
        let filed = self.store.file(filing, blob, structure, Vec::new(), Timestamp(5)).unwrap();
        self.made.insert(filed.uid.0, made);
        filed.uid.0
    }

    fn expunge(&mut self, uid: u32) {
        self.store.expunge(self.bal, INBOX, &[Uid(uid)]).unwrap();
        self.made.remove(&uid);
    }

    fn hunt(&self, key: &SearchKey) -> Hunt {
        let opening = self.store.folder_open(self.bal, "INBOX", Recents::Without).unwrap();
        let selected = Selected::new(self.bal, true, &opening);
        let command =
            SearchCommand { by: Selector::Uid, returns: None, charset: None, key: key.clone() };
        let criteria = Criteria::compile(&command, &selected, Timestamp(9)).unwrap();
        let table = Arc::new(Table::read(&self.store, (self.bal, INBOX), None).unwrap());
        Hunt::new(self.bal, INBOX, Rows { table, recents: Arc::default() }, criteria)
    }

    fn uids(&self, mut hunt: Hunt) -> Vec<u32> {
        let table = Table::read(&self.store, (self.bal, INBOX), None).unwrap();
        while !hunt.is_done() {
            hunt.run_slice(&self.store).unwrap();
        }
        let found = hunt.into_found();
        assert!(!found.expunged);
        found.indexes.into_iter().filter_map(|i| table.get(i)).map(|row| row.uid().0).collect()
    }

    /// The same with and without the index.
    fn search(&self, key: &SearchKey) -> Vec<u32> {
        let found = self.uids(self.hunt(key));
        assert_eq!(found, self.uids(self.hunt(key).without_index()), "{key:?}");
        found
    }

    fn expected(&self, is: impl Fn(&Made) -> bool) -> Vec<u32> {
        self.made.iter().filter(|(_, made)| is(made)).map(|(uid, _)| *uid).collect()
    }
}

fn holds(text: &str, needle: &str) -> bool {
    fold_for_search(text).contains(&fold_for_search(needle))
}

/// A piece of some message, as people type it, or something that is nowhere.
fn needle(house: &House, dice: &mut Dice) -> String {
    let all: Vec<&Made> = house.made.values().collect();
    if all.is_empty() || dice.throw(12) == 0 {
        return ["introuvable", "zz", "é", "qqq résultat"][dice.throw(4)].to_owned();
    }
    let made = all[dice.throw(all.len())];
    let text = match dice.throw(3) {
        0 => &made.subject,
        _ => &made.bodies[dice.throw(made.bodies.len())],
    };
    let chars: Vec<char> = text.chars().collect();
    let from = dice.throw(chars.len());
    let len = 1 + dice.throw(14);
    let piece: String = chars[from..].iter().take(len).collect();
    let piece = match dice.throw(3) {
        0 => piece.to_uppercase(),
        1 => fold_for_search(&piece),
        _ => piece,
    };
    piece.trim().to_owned()
}

fn leaf(house: &House, dice: &mut Dice) -> SearchKey {
    let text = needle(house, dice);
    let octets = text.clone().into_bytes();
    let day = |day: usize| palombe_imap_proto::Day::new(2026, 10, 1 + (day % 28) as i8).unwrap();
    match dice.throw(12) {
        0 | 1 => SearchKey::Subject(octets),
        2 | 3 => SearchKey::Body(octets),
        4 | 5 => SearchKey::Text(octets),
        6 => SearchKey::From(octets),
        7 => SearchKey::Header("X-MSS-INS".to_owned(), b"o1".to_vec()),
        8 => SearchKey::SentSince(day(dice.throw(40))),
        9 => SearchKey::SentBefore(day(dice.throw(40))),
        10 => SearchKey::Flagged,
        _ => SearchKey::Header("subject".to_owned(), octets),
    }
}

fn tree(house: &House, dice: &mut Dice, depth: usize) -> SearchKey {
    match dice.throw(if depth == 0 { 1 } else { 5 }) {
        0 => leaf(house, dice),
        1 => SearchKey::Not(Box::new(tree(house, dice, depth - 1))),
        2 => SearchKey::Or(Box::new((tree(house, dice, depth - 1), tree(house, dice, depth - 1)))),
        _ => SearchKey::And(vec![tree(house, dice, depth - 1), tree(house, dice, depth - 1)]),
    }
}

#[test]
fn the_index_answers_what_the_messages_say() {
    let mut dice = Dice(7);
    for round in 0..3 {
        let mut house = House::new();
        let mut indexer = Indexer::new(house.store.clone()).unwrap();
        for number in 0..60 {
            let made = message(&mut dice, number);
            let uid = house.deliver(made.clone());
            // Accepted a moment ago: it is found.
            let found = house.uids(house.hunt(&SearchKey::Subject(made.subject.into_bytes())));
            assert!(found.contains(&uid), "{uid}");
            for _ in 0..dice.throw(4) {
                indexer.run(Duration::ZERO).unwrap();
            }
            if dice.throw(6) == 0 {
                let uid = 1 + dice.throw(number + 1) as u32;
                house.expunge(uid);
            }
            if round == 1 && number % 30 == 29 {
                house.store.search_rebuild(house.bal).unwrap();
            }
            compare(&house, &mut dice, 1);
        }
        while indexer.run(Duration::from_secs(1)).unwrap() == Progress::Worked {}
        compare(&house, &mut dice, 40);
        assert_eq!(house.store.check().unwrap().problems, Vec::<String>::new());
    }
}

fn compare(house: &House, dice: &mut Dice, times: usize) {
    for _ in 0..times {
        let text = needle(house, dice);
        let octets = text.clone().into_bytes();
        let subject = house.search(&SearchKey::Subject(octets.clone()));
        assert_eq!(subject, house.expected(|made| holds(&made.subject, &text)), "{text:?}");
        let body = house.search(&SearchKey::Body(octets));
        let expected = house.expected(|made| made.bodies.iter().any(|b| holds(b, &text)));
        assert_eq!(body, expected, "{text:?}");
        let day = 1 + dice.throw(28) as u8;
        let sent = palombe_imap_proto::Day::new(2026, 10, day as i8).unwrap();
        let found = house.search(&SearchKey::SentOn(sent));
        assert_eq!(found, house.expected(|made| made.day == day));
        house.search(&tree(house, dice, 3));
    }
}

#[test]
fn a_search_reads_what_may_match_and_no_more() {
    let mut dice = Dice(3);
    let mut house = House::new();
    let mut indexer = Indexer::new(house.store.clone()).unwrap();
    for number in 0..200 {
        let mut made = message(&mut dice, number);
        if number == 77 {
            made.octets = b"Subject: aiguille\r\n\r\nbotte de foin\r\n".to_vec();
        }
        house.deliver(made);
    }
    let key = |text: &str| SearchKey::Text(text.as_bytes().to_vec());
    assert_eq!(house.hunt(&key("foin")).comparisons(&house.store), 200, "none is indexed");
    while indexer.run(Duration::from_secs(1)).unwrap() == Progress::Worked {}
    assert_eq!(house.hunt(&key("foin")).comparisons(&house.store), 1);
    assert_eq!(house.search(&key("FOIN")), [78]);
    assert_eq!(house.hunt(&key("paille")).comparisons(&house.store), 0);
    let both = SearchKey::And(vec![key("aiguille"), SearchKey::Seen]);
    assert_eq!(house.hunt(&both).comparisons(&house.store), 1);
    let attached = key("courrier JOINT.eml");
    let among = house.hunt(&attached).comparisons(&house.store);
    assert_eq!(house.search(&attached).len(), among);
    assert!(among > 0 && among < 150);
    assert_eq!(house.search(&SearchKey::Body(b"courrier joint".to_vec())), Vec::<u32>::new());
}
