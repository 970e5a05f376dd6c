//! What RFC 3501 did not have: rev2 and the extensions, accepted and refused.

use palombe_imap_proto::{Command, Limits, SearchReturn, SequenceSet, State, parse_command};

fn parse(text: &str) -> Result<Command, String> {
    let parsed = parse_command(format!("a {text}").as_bytes(), &Limits::default(), true);
    parsed.map(|tagged| tagged.command).map_err(|(_, bad)| bad.to_string())
}

#[test]
fn accepted() {
    for text in [
        "SELECT INBOX (CONDSTORE)",
        "CREATE \"Envoyés\" (USE (\\Sent))",
        "CREATE x (USE ())",
        "LIST (SUBSCRIBED REMOTE RECURSIVEMATCH) \"\" (% \"a/*\") RETURN (CHILDREN STATUS (SIZE DELETED))",
        "LIST () \"\" *",
        "SEARCH RETURN (MIN MAX ALL COUNT SAVE) CHARSET UTF-8 OR $ NOT UID 1:*,$"
            .trim_end_matches(",$"),
        "SEARCH RETURN () MODSEQ \"/flags/\\\\draft\" all 620162338",
        "SEARCH YOUNGER 3600 OLDER 1 SENTON \"1-Feb-2026\"",
        "UID FETCH $ (BINARY.PEEK[1.2]<0.10> BINARY.SIZE[1] MODSEQ) (CHANGEDSINCE 12)",
        "FETCH 1 BINARY[]",
        "FETCH 1 BODY[]<9223372036854775807.1>",
        "STORE 1 (UNCHANGEDSINCE 0) -FLAGS.SILENT (\\Seen $Forwarded)",
        "UID MOVE 1:* Trash",
        "UID EXPUNGE 1,3:4",
        "ENABLE IMAP4rev2 CONDSTORE",
        "ID NIL",
        "ID (\"name\" \"x\" \"version\" NIL)",
        "STATUS x (HIGHESTMODSEQ SIZE)",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn refused() {
    for text in [
        "LIST (RECURSIVEMATCH) \"\" *",
        "LIST \"\" ()",
        "SELECT INBOX (QRESYNC (1 2))",
        "SEARCH",
        "SEARCH RETURN (FROB) ALL",
        "SEARCH ()",
        "FETCH 0 FLAGS",
        "FETCH 4294967296 FLAGS",
        "FETCH 1 BODY[MIME]",
        "FETCH 1 BODY[0]",
        "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[]<0.0>",
        "FETCH 1 BINARY[1.TEXT]",
        "FETCH 1 ()",
        "FETCH 1 (FLAGS) (CHANGEDSINCE 0)",
        "STORE 1 FLAGS",
        "UID NOOP",
        "ENABLE",
        "CREATE \"\"",
        "CREATE \"a\u{7}b\"",
        "STATUS x ()",
    ] {
        assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
    }
    assert_eq!(
        parse(&format!("SEARCH {}ALL", "NOT ".repeat(100_000))).unwrap_err(),
        "nested too deep"
    );
}

#[test]
fn meanings() {
    let Ok(Command::Search(search)) = parse("SEARCH RETURN (COUNT SAVE) $") else { panic!() };
    let returns = SearchReturn { count: true, save: true, ..SearchReturn::default() };
    assert_eq!(search.returns, Some(returns));
    assert_eq!(search.key, palombe_imap_proto::SearchKey::Sequence(SequenceSet::Saved));
    assert!(!State::Authenticated.allows(&parse("CLOSE").unwrap()));
    assert!(State::Selected.allows(&parse("LIST \"\" *").unwrap()));
    assert!(!State::Selected.allows(&parse("STARTTLS").unwrap()));
}
