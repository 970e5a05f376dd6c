//! Requirement → code → tests. Collects the citations in comments and the names of transcript folders, checks how they
//! are written, and writes the table to `traceability.md` in the target folder.

use anyhow::{Context, Result};
use palombe_tests::repo;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Where a requirement is met, and where that is tried.
#[derive(Default)]
struct Places {
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
}

#[test]
fn requirements_lead_to_code_and_tests() -> Result<()> {
    let mut table: BTreeMap<String, Places> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in repo::files()? {
        let shown = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("traceability.rs")
        {
            let text = std::fs::read_to_string(repo::root().join(&path))?;
            let tests_from = text.find("#[cfg(test)]").unwrap_or(text.len());
            let mut offset = 0;
            for (number, line) in text.split_inclusive('\n').enumerate() {
                let is_test = is_test_file(&path) || offset > tests_from;
                offset += line.len();
                let Some((_, comment)) = line.split_once("//") else { continue };
                for citation in citations(comment) {
                    match citation {
                        Ok(requirement) => {
                            let places = table.entry(requirement).or_default();
                            let set = if is_test { &mut places.tests } else { &mut places.code };
                            set.insert(format!("{shown}:{}", number + 1));
                        }
                        Err(words) => wrong.push(format!("{shown}:{}: {words}", number + 1)),
                    }
                }
            }
        } else if let Some(requirement) = transcript(&path) {
            table.entry(requirement).or_default().tests.insert(shown);
        }
    }
    let folder = repo::target()?;
    std::fs::write(folder.join("traceability.md"), markdown(&table)?).context("traceability.md")?;
    let coded = table.values().filter(|places| !places.code.is_empty()).count();
    let tried = table.values().filter(|places| !places.tests.is_empty()).count();
    let specifications: BTreeSet<&str> =
        table.keys().filter_map(|requirement| requirement.split(' ').nth(1)).collect();
    println!(
        "{} requirements of {} specifications cited; {coded} in code, {tried} by tests and transcripts: {}",
        table.len(),
        specifications.len(),
        folder.join("traceability.md").display()
    );
    assert!(
        wrong.is_empty(),
        "write «RFC 5321 4.5.2» or «ANS spec mssante §1.5»:\n{}",
        wrong.join("\n")
    );
    assert!(coded > 50, "only {coded} requirements are cited in code: the collector is broken");
    Ok(())
}

fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
}

/// `tests/transcripts/smtp/rfc5321_4_5_2_transparency/…` tries RFC 5321 4.5.2.
fn transcript(path: &Path) -> Option<String> {
    let path = path.strip_prefix("tests/transcripts").ok()?;
    let folder = path.components().nth(1)?.as_os_str().to_str()?;
    let mut parts = folder.strip_prefix("rfc")?.split('_');
    let number = parts.next().filter(|part| is_number(part))?;
    let section: Vec<&str> = parts.take_while(|part| is_number(part)).collect();
    Some(format!("RFC {number} {}", section.join(".")).trim_end().to_owned())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The citations of one comment, or the words that look like one and are not.
fn citations(comment: &str) -> Vec<Result<String, String>> {
    let words: Vec<&str> = comment.split_whitespace().collect();
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let next = |ahead: usize| {
            words.get(index + ahead).map_or("", |word| word.trim_end_matches(PUNCTUATION))
        };
        match word.trim_start_matches(PUNCTUATION) {
            "RFC" if is_number(next(1)) => {
                let complete = !words[index + 1].ends_with(PUNCTUATION);
                let section = Some(next(2)).filter(|section| complete && is_section(section));
                let section = section.map(|section| format!(" {section}")).unwrap_or_default();
                found.push(Ok(format!("RFC {}{section}", next(1))));
            }
            "ANS" if next(1) == "spec" => {
                let chapter = next(3);
                let requirement = format!("ANS spec {} {chapter}", next(2));
                found.push(if chapter.starts_with('§') {
                    Ok(requirement)
                } else {
                    Err(requirement)
                });
            }
            "ANS" if matches!(next(1), "R1" | "R2" | "R3" | "R4") => {
                found.push(Ok(format!("ANS {} {}", next(1), next(2))));
            }
            // RFC822 is the name of an IMAP item.
            glued
                if !glued.starts_with("RFC822")
                    && glued
                        .strip_prefix("RFC")
                        .is_some_and(|rest| is_number(rest.trim_end_matches(PUNCTUATION))) =>
            {
                found.push(Err(glued.to_owned()));
            }
            _ => {}
        }
    }
    found
}

const PUNCTUATION: &[char] = &[',', '.', ':', ';', ')', '(', '`', '«', '»', '"', '/', '!'];

/// `4.5.2`, `A.1` and the like.
fn is_section(text: &str) -> bool {
    let mut parts = text.split('.');
    let letter = |part: &str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_uppercase());
    parts.next().is_some_and(|first| is_number(first) || (letter(first) && text.len() > 1))
        && parts.all(is_number)
}

fn markdown(table: &BTreeMap<String, Places>) -> Result<String> {
    let mut text = String::from("| requirement | code | tests |\n| --- | --- | --- |\n");
    for (requirement, places) in table {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join("<br>");
        writeln!(text, "| {requirement} | {} | {} |", list(&places.code), list(&places.tests))?;
    }
    Ok(text)
}

#[test]
fn citations_are_read() {
    let read = |comment: &str| citations(comment).into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(read(" RFC 5321 4.5.2: dots"), ["RFC 5321 4.5.2"]);
    assert_eq!(read(" RFC 6154 2 (and RFC 3501, 7.2.2)"), ["RFC 6154 2", "RFC 3501"]);
    assert_eq!(read(" ANS spec mssante §1.5, rollback"), ["ANS spec mssante §1.5"]);
    assert_eq!(citations(" RFC5321"), [Err("RFC5321".to_owned())]);
    let folder = Path::new("tests/transcripts/smtp/rfc5321_4_5_2_transparency/dots.txt");
    assert_eq!(transcript(folder).as_deref(), Some("RFC 5321 4.5.2"));
}
