//! The corpus, a readable form of a structure, and everything that must hold of any octets (the fuzz target uses it too).
#![allow(dead_code)]

use palombe_message::{
    Envelope, Limits, Part, Raw, Scanner, Section, Structure, TransferDecoder, decode_text, dsn,
    header,
};
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub fn corpus_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// Every message of the corpus, in order of names.
pub fn corpus() -> Vec<(String, Vec<u8>)> {
    read_messages(&corpus_dir())
}

/// The health documents beside the repository, when they are there.
pub fn health_documents() -> Vec<(String, Vec<u8>)> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared =
        std::env::var_os("PALOMBE_SHARED").map_or(workspace.join("../shared"), PathBuf::from);
    let folder = shared.join("data/health-docs/xdm/generated");
    if !folder.is_dir() {
        return Vec::new();
    }
    read_messages(&folder)
}

fn read_messages(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut messages: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("folder is readable")
        .map(|entry| entry.expect("entry is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| {
            let name = path.file_stem().expect("file has a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("file is readable"))
        })
        .collect();
    messages.sort();
    messages
}

pub fn scan(message: &[u8]) -> Structure {
    let mut scanner = Scanner::new(Limits::default());
    scanner.push(message);
    scanner.finish()
}

pub fn show(structure: &Structure) -> String {
    let mut out =
        format!("size {} parts {} depth {}\n", structure.size, structure.parts, structure.depth);
    let damage = format!("{:?}", structure.damage);
    let flags = damage.trim_start_matches("Damage { ").trim_end_matches(" }").split(", ");
    for flag in flags.filter_map(|flag| flag.strip_suffix(": true")) {
        writeln!(out, "damage {flag}").unwrap();
    }
    show_part(&structure.root, 0, &mut out);
    out
}

fn show_part(part: &Part, level: usize, out: &mut String) {
    let pad = "  ".repeat(level);
    write!(
        out,
        "{pad}{}/{} header {}..{} body {}..{} lines {} {}",
        part.content_type.main,
        part.content_type.sub,
        part.header.start,
        part.header.end,
        part.body.start,
        part.body.end,
        part.lines,
        String::from_utf8_lossy(part.encoding.as_bytes()),
    )
    .unwrap();
    for param in &part.content_type.params {
        write!(out, " {}={:?}", param.name, param.value).unwrap();
    }
    if let Some(disposition) = &part.disposition {
        write!(out, " [{}", disposition.kind).unwrap();
        for param in &disposition.params {
            write!(out, " {}={:?}", param.name, param.value).unwrap();
        }
        out.push(']');
    }
    let texts = [
        ("id", &part.id),
        ("description", &part.description),
        ("md5", &part.md5),
        ("location", &part.location),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            write!(out, " {name}:{value:?}").unwrap();
        }
    }
    for tag in &part.language {
        write!(out, " lang:{tag}").unwrap();
    }
    out.push('\n');
    for child in &part.children {
        show_part(child, level + 1, out);
    }
    if let Some(nested) = &part.message {
        let text =
            |raw: &Option<Raw>| raw.as_ref().map_or("NIL".to_owned(), |raw| format!("{raw:?}"));
        writeln!(
            out,
            "{pad}  envelope subject {} from {:?}",
            text(&nested.envelope.subject),
            nested.envelope.from.len()
        )
        .unwrap();
        show_part(&nested.root, level + 1, out);
    }
}

/// Ranges nest, siblings follow each other, containers hold what their type says.
pub fn assert_nested(part: &Part, start: u64, end: u64) {
    assert!(start <= part.header.start && part.header.start <= part.header.end, "{part:?}");
    assert!(part.header.end <= part.body.start && part.body.start <= part.body.end, "{part:?}");
    assert!(part.body.end <= end, "{part:?} past {end}");
    assert_eq!(part.is_multipart(), !part.children.is_empty());
    assert_eq!(part.is_message(), part.message.is_some());
    let mut from = part.body.start;
    for child in &part.children {
        assert_nested(child, from, part.body.end);
        from = child.body.end;
    }
    if let Some(nested) = &part.message {
        assert_nested(&nested.root, part.body.start, part.body.end);
    }
}

/// Everything that reads a message, on these octets.
pub fn exercise(message: &[u8]) {
    let structure = scan(message);
    assert_nested(&structure.root, 0, structure.size);
    assert_eq!(structure.size, message.len() as u64);
    assert_eq!(structure.walk().count(), structure.parts as usize);
    assert!(message.starts_with(&structure.header) || structure.damage.header_too_long);
    let encoded = structure.encode();
    assert_eq!(Structure::decode(&encoded).expect("what was encoded reads back"), structure);
    let _ = Structure::decode(message);
    let _ = (structure.facts(), structure.envelope(), Envelope::parse(message));
    let _ = dsn::parse(message);
    let _ = (header::search(message, "subject", "é"), header::search_any(message, "x"));
    for path in [[].as_slice(), &[1], &[2], &[1, 1], &[2, 1], &[1, 1, 1]] {
        for section in [Section::Full, Section::Header, Section::Text, Section::Mime] {
            if let Some(range) = structure.range(path, section) {
                assert!(range.start <= range.end && range.end <= structure.size);
            }
        }
    }
    for part in structure.walk().take(20) {
        let body = &message[part.body.start as usize..part.body.end as usize];
        let _ = decode_text(part, body);
        let Some(mut whole) = TransferDecoder::new(&part.encoding) else { continue };
        let mut pieces = whole.clone();
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        whole.push(body, &mut expected);
        body.chunks(3).for_each(|piece| pieces.push(piece, &mut found));
        assert_eq!(whole.finish(&mut expected), pieces.finish(&mut found));
        assert_eq!(expected, found);
    }
}
