//! Which specifications this door serves, in one table: the capabilities that it announces come from here, and
//! `SUPPORT.md` is written from here.

/// How far a specification is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// All of it.
    Yes,
    /// What is missing, and why.
    Partial(&'static str),
    /// Why not.
    No(&'static str),
}

/// When a capability is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// To everybody.
    Always,
    /// After authentication.
    Authenticated,
    /// By `capability.rs`, when the moment is right.
    Depends,
}

/// One specification.
pub struct Support {
    /// Its number.
    pub rfc: u16,
    /// What it is about.
    pub title: &'static str,
    /// Their names; one that ends with `=` is completed where it is announced.
    pub capabilities: &'static [&'static str],
    /// When they are announced.
    pub when: When,
    /// How far it is served.
    pub level: Level,
}

const fn row(
    rfc: u16,
    title: &'static str,
    capabilities: &'static [&'static str],
    when: When,
    level: Level,
) -> Support {
    Support { rfc, title, capabilities, when, level }
}

use Level::{No, Partial, Yes};
use When::{Always, Authenticated, Depends};

/// In the order in which capabilities are announced.
pub const TABLE: &[Support] = &[
    row(3501, "IMAP4rev1", &["IMAP4rev1"], Always, Yes),
    row(9051, "IMAP4rev2", &["IMAP4rev2"], Always, Yes),
    row(7888, "Non-synchronizing literals", &["LITERAL+"], Always, Yes),
    row(4959, "SASL initial response", &["SASL-IR"], Always, Yes),
    row(5161, "ENABLE", &["ENABLE"], Always, Yes),
    row(2971, "ID", &["ID"], Always, Yes),
    row(7889, "Upload size limit", &["APPENDLIMIT="], Always, Yes),
    row(4616, "SASL PLAIN", &["AUTH=PLAIN"], Depends, Yes),
    row(2342, "NAMESPACE", &["NAMESPACE"], Authenticated, Yes),
    row(6154, "Special-use mailboxes", &["SPECIAL-USE", "CREATE-SPECIAL-USE"], Authenticated, Yes),
    row(4315, "UIDPLUS", &["UIDPLUS"], Authenticated, Yes),
    row(6851, "MOVE", &["MOVE"], Authenticated, Yes),
    row(2177, "IDLE", &["IDLE"], Authenticated, Yes),
    row(3691, "UNSELECT", &["UNSELECT"], Authenticated, Yes),
    row(4731, "ESEARCH", &["ESEARCH"], Authenticated, Yes),
    row(5182, "Saved search result", &["SEARCHRES"], Authenticated, Yes),
    row(5258, "LIST extensions", &["LIST-EXTENDED"], Authenticated, Yes),
    row(5819, "STATUS in LIST", &["LIST-STATUS"], Authenticated, Yes),
    row(8438, "STATUS=SIZE", &["STATUS=SIZE"], Authenticated, Yes),
    row(3348, "CHILDREN", &["CHILDREN"], Authenticated, Yes),
    row(
        3516,
        "BINARY",
        &["BINARY"],
        Authenticated,
        Partial(
            "a message that holds NUL is refused with UNKNOWN-CTE: it could not be relayed or shown as is",
        ),
    ),
    row(3502, "MULTIAPPEND", &["MULTIAPPEND"], Authenticated, Yes),
    row(8508, "REPLACE", &["REPLACE"], Authenticated, Yes),
    row(
        5256,
        "SORT and THREAD",
        &["SORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES"],
        Authenticated,
        Yes,
    ),
    row(5957, "Display sort", &["SORT=DISPLAY"], Authenticated, Yes),
    row(
        5267,
        "Contexts",
        &["ESORT"],
        Authenticated,
        Partial("ESORT; no CONTEXT: QRESYNC and IDLE tell what changes"),
    ),
    row(4978, "COMPRESS", &["COMPRESS=DEFLATE"], Authenticated, Yes),
    row(8437, "UNAUTHENTICATE", &["UNAUTHENTICATE"], Depends, Yes),
    row(9586, "UIDONLY", &["UIDONLY"], Authenticated, Yes),
    row(
        6855,
        "UTF-8 (now RFC 9755)",
        &["UTF8=ACCEPT"],
        Authenticated,
        Partial("headers in UTF-8 go as they are to clients that did not enable it (no RFC 6857)"),
    ),
    row(4314, "ACL", &["ACL", "RIGHTS=texk"], Authenticated, Yes),
    row(5464, "METADATA", &["METADATA"], Authenticated, Yes),
    row(8440, "MYRIGHTS in LIST", &["LIST-MYRIGHTS"], Authenticated, Yes),
    row(
        9208,
        "QUOTA",
        &["QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"],
        Authenticated,
        Partial("the operator sets the limits: SETQUOTA is refused"),
    ),
    row(7162, "CONDSTORE and QRESYNC", &["CONDSTORE", "QRESYNC"], Authenticated, Yes),
    row(5032, "WITHIN", &["WITHIN"], Authenticated, Yes),
    row(8474, "Object identifiers", &["OBJECTID"], Authenticated, Partial("THREADID is NIL")),
    row(8514, "SAVEDATE", &["SAVEDATE"], Authenticated, Yes),
    row(8970, "PREVIEW", &["PREVIEW"], Authenticated, Yes),
    row(9394, "Paged SEARCH and FETCH", &["PARTIAL"], Authenticated, Yes),
    row(5530, "Response codes", &[], Always, Yes),
    row(4466, "Collected extensions of the grammar", &[], Always, Yes),
    row(2180, "Multi-accessed mailboxes", &[], Always, Yes),
    row(8314, "Implicit TLS on port 993", &[], Always, Yes),
    row(4469, "CATENATE", &[], Depends, No("clients send whole messages; REPLACE covers drafts")),
    row(4467, "URLAUTH", &[], Depends, No("would hand out messages without a login")),
    row(
        5255,
        "LANGUAGE, I18NLEVEL",
        &[],
        Depends,
        No("SEARCH compares in lower case, not by casemap"),
    ),
    row(
        8457,
        "\\\\Important",
        &[],
        Depends,
        No("no folder bears it; $Important is a keyword like others"),
    ),
    row(9585, "INPROGRESS", &[], Depends, No("no client that we know shows it")),
    row(9738, "MESSAGELIMIT", &[], Depends, No("no command is limited in its number of messages")),
];

/// The capabilities of this moment's `when`.
pub(crate) fn capabilities(when: When) -> impl Iterator<Item = &'static str> {
    let served = TABLE.iter().filter(move |row| row.when == when);
    served.filter(|row| !matches!(row.level, No(_))).flat_map(|row| row.capabilities).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::path::{Path, PathBuf};

    fn markdown() -> String {
        let mut text = String::from(
            "# What the IMAP door serves\n\n\
             Written by a test from the table in `src/support.rs`, which also makes the \
             CAPABILITY response.\n\n\
             | RFC | what | capabilities | served |\n| --- | --- | --- | --- |\n",
        );
        let mut rows: Vec<&Support> = TABLE.iter().collect();
        rows.sort_by_key(|row| row.rfc);
        for row in rows {
            let served = match row.level {
                Yes => "yes".to_owned(),
                Partial(why) => format!("partial: {why}"),
                No(why) => format!("no: {why}"),
            };
            let capabilities = row.capabilities.join(", ");
            let _ = writeln!(text, "| {} | {} | {capabilities} | {served} |", row.rfc, row.title);
        }
        text
    }

    fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rust_files(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("support.rs") {
                found.push(path);
            }
        }
    }

    /// Numbers behind `RFC` in comments.
    fn cited(folder: &str) -> BTreeSet<u16> {
        let mut files = Vec::new();
        rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
        let mut numbers = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            for line in text.lines().filter_map(|line| line.split_once("//")) {
                let words: Vec<&str> =
                    line.1.split([' ', ',', ')', '(', ':', ';', '/', '.']).collect();
                for pair in words.windows(2).filter(|pair| pair[0] == "RFC") {
                    numbers.extend(pair[1].parse::<u16>());
                }
            }
        }
        numbers
    }

    #[test]
    fn support_md_says_what_the_table_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SUPPORT.md");
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let wanted = markdown();
        if written != wanted {
            std::fs::write(&path, &wanted).unwrap();
            panic!("SUPPORT.md was written anew from the table: commit it");
        }
    }

    #[test]
    fn what_is_served_is_cited_where_it_is_obeyed() {
        let mut code = cited("src");
        code.extend(cited("../imap-proto/src"));
        let served = TABLE.iter().filter(|row| !matches!(row.level, No(_)));
        let missing: Vec<u16> =
            served.map(|row| row.rfc).filter(|rfc| !code.contains(rfc)).collect();
        assert!(missing.is_empty(), "no line of code cites {missing:?}");
        // Specifications that are not of IMAP.
        let others: BTreeSet<u16> =
            [1951, 2045, 2046, 2047, 2822, 4422, 5051, 5198, 5322, 6532, 6857, 8446].into();
        let known: BTreeSet<u16> = TABLE.iter().map(|row| row.rfc).chain(others).collect();
        let unknown: Vec<&u16> = code.difference(&known).collect();
        assert!(unknown.is_empty(), "cited in code, absent from the table: {unknown:?}");
    }

    #[test]
    fn a_specification_stands_once() {
        let numbers: BTreeSet<u16> = TABLE.iter().map(|row| row.rfc).collect();
        assert_eq!(numbers.len(), TABLE.len());
        let names: Vec<&str> = TABLE.iter().flat_map(|row| row.capabilities).copied().collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
