//! Every message of the corpus against its written tree. `PALOMBE_BLESS=1` writes the trees anew, to be reviewed.

mod support;

#[test]
fn trees_are_as_written() {
    let bless = std::env::var_os("PALOMBE_BLESS").is_some();
    let mut wrong = Vec::new();
    for (name, message) in support::corpus() {
        let shown = support::show(&support::scan(&message));
        let path = support::corpus_dir().join(format!("{name}.tree"));
        if bless {
            std::fs::write(&path, &shown).expect("tree is writable");
            continue;
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if shown != expected {
            wrong.push(format!("{name}: expected\n{expected}found\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
