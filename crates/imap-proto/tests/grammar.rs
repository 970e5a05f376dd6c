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
        "STATUS x (HIGHESTMODSEQ SIZE APPENDLIMIT MAILBOXID)",
        "SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
        "SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500 15000,22500)) CONDSTORE)",
        "EXAMINE INBOX (QRESYNC (1 2))",
        "SELECT INBOX (QRESYNC (1 2 (1 1)))",
        "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
        "UID FETCH 1:* (FLAGS) (PARTIAL -1:-30 CHANGEDSINCE 98305)",
        "UID SEARCH RETURN (PARTIAL 500:1) ALL",
        "SEARCH SAVEDSINCE 28-Dec-2014 SAVEDBEFORE \"1-Feb-2026\" SAVEDON 1-Feb-2026 SAVEDATESUPPORTED",
        "SEARCH EMAILID M00000001 NOT THREADID T_x-1",
        "FETCH 1 (EMAILID THREADID SAVEDATE PREVIEW)",
        "FETCH 1 PREVIEW (LAZY)",
        "FETCH 1 (PREVIEW (LAZY) UID)",
        "SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
        "UID SORT RETURN () (REVERSE DISPLAYFROM) \"UTF-8\" UNDELETED UNKEYWORD $Junk",
        "SORT RETURN (MIN MAX COUNT PARTIAL 1:2) (ARRIVAL CC FROM SIZE TO DISPLAYTO) US-ASCII TEXT x",
        "THREAD REFERENCES UTF-8 SINCE 5-MAR-2000",
        "UID THREAD ORDEREDSUBJECT US-ASCII TEXT \"gewp\"",
        "COMPRESS DEFLATE",
        "UNAUTHENTICATE",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn refused() {
    for text in [
        "LIST (RECURSIVEMATCH) \"\" *",
        "LIST \"\" ()",
        "SELECT INBOX (QRESYNC (1 0))",
        "SELECT INBOX (QRESYNC (0 1))",
        "SELECT INBOX (QRESYNC (1 2 1:*))",
        "SELECT INBOX (QRESYNC (1 2 $))",
        "SELECT INBOX (QRESYNC (1 2 1:3 (1)))",
        "SELECT INBOX (QRESYNC (1 2) QRESYNC (1 2))",
        "FETCH 1:* FLAGS (CHANGEDSINCE 5 VANISHED)",
        "UID FETCH 1:* FLAGS (VANISHED)",
        "FETCH 1:* FLAGS (PARTIAL 1:2)",
        "UID FETCH 1:* FLAGS (PARTIAL 1:-2)",
        "UID FETCH 1:* FLAGS (PARTIAL 0:2)",
        "SEARCH RETURN (ALL PARTIAL 1:2) ALL",
        "SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
        "SEARCH EMAILID M+1",
        "FETCH 1 PREVIEW (EAGER)",
        "SORT () UTF-8 ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (SUBJECT) ALL",
        "SORT (NAME) UTF-8 ALL",
        "THREAD JWZ UTF-8 ALL",
        "THREAD REFERENCES UTF-8",
        "COMPRESS LZ4",
        "UID COMPRESS DEFLATE",
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

#[test]
fn ranges_of_results() {
    let check = |text: &str, count: usize, expected: std::ops::Range<usize>| {
        let command = parse(&format!("UID SEARCH RETURN (PARTIAL {text}) ALL")).unwrap();
        let Command::Search(search) = command else { panic!() };
        let range = search.returns.unwrap().partial.unwrap();
        assert_eq!(range.to_string(), text);
        assert_eq!(range.within(count), expected, "{text} of {count}");
    };
    check("1:3", 10, 0..3);
    check("3:1", 10, 0..3);
    check("9:12", 10, 8..10);
    check("11:12", 10, 10..10);
    check("-1:-3", 10, 7..10);
    check("-3:-1", 2, 0..2);
    check("-5:-9", 2, 0..0);
    check("4294967295:1", 3, 0..3);
}

#[test]
fn hostile_sizes_are_refused() {
    let check = |text: String, expected: &str| assert_eq!(parse(&text).unwrap_err(), expected);
    check(format!("SORT (SUBJECT{}) UTF-8 ALL", " DATE".repeat(16)), "too many sort criteria");
    check(format!("SORT (SUBJECT) UTF-8 {}ALL", "NOT ".repeat(17)), "nested too deep");
    check(format!("THREAD REFERENCES UTF-8 {}", "(".repeat(10_000)), "nested too deep");
    let keys = vec!["ALL"; 600].join(" ");
    check(format!("UID SORT (DATE) UTF-8 {keys}"), "too many search keys");
    let set = vec!["1:2"; 9000].join(",");
    check(format!("SELECT x (QRESYNC (1 2 {set}))"), "too many ranges");
    check(format!("SELECT x (QRESYNC (1 2 1 (1 {set})))"), "too many ranges");
}
