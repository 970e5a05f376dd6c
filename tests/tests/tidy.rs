//! Rules of the house that a compiler does not know. What breaks a size rule today stands in `ratchet.txt`, and that
//! list may only shrink: `PALOMBE_RATCHET=write` writes it again.

use anyhow::{Context, Result};
use palombe_tests::repo;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const DOOR_SIGN_LINES_MAX: usize = 20;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;
/// Comments and strings of a table or a template may be wider than code.
const COLUMNS_HARD_MAX: usize = 120;

fn sources() -> Result<Vec<(PathBuf, String)>> {
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(repo::root().join(&path));
        Ok((path.clone(), text.with_context(|| path.display().to_string())?))
    };
    repo::files()?.into_iter().filter(rust).map(read).collect()
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_room_has_a_door_sign() -> Result<()> {
    let mut wrong = Vec::new();
    for (path, text) in sources()? {
        let depth = path.components().count();
        let is_room =
            path.ends_with("src/lib.rs") && depth <= 4 || path.ends_with("palombe/src/main.rs");
        if !is_room {
            continue;
        }
        let sign = text.lines().take_while(|line| line.starts_with("//!")).count();
        if sign == 0 || sign > DOOR_SIGN_LINES_MAX {
            wrong.push(format!("{}: a door sign of {sign} lines", path.display()));
        }
    }
    report(&wrong);
    Ok(())
}

#[test]
fn sizes_only_shrink() -> Result<()> {
    let mut found = BTreeMap::new();
    for (path, text) in sources()? {
        measure(&path.display().to_string(), &text, &mut found);
    }
    let list = repo::root().join("tests/tests/ratchet.txt");
    if std::env::var_os("PALOMBE_RATCHET").is_some_and(|value| value == "write") {
        let lines: String = found.iter().map(|(what, size)| format!("{size} {what}\n")).collect();
        std::fs::write(&list, lines)?;
        return Ok(());
    }
    let mut listed = BTreeMap::new();
    for line in std::fs::read_to_string(&list)?.lines() {
        let (size, what) = line.split_once(' ').context("ratchet.txt: no size")?;
        listed.insert(what.to_owned(), size.parse::<usize>()?);
    }
    let mut wrong = Vec::new();
    for (what, size) in &found {
        match listed.get(what) {
            None => wrong.push(format!("{what}: {size}, too large")),
            Some(before) if size > before => wrong.push(format!("{what}: {size}, was {before}")),
            Some(_) => {}
        }
    }
    let better =
        listed.iter().filter(|(what, size)| found.get(*what).is_none_or(|now| now < *size));
    for (what, size) in better {
        println!("better than the list says ({size}): {what}; PALOMBE_RATCHET=write notes it");
    }
    report(&wrong);
    Ok(())
}

/// Adds what is too large in this file.
fn measure(path: &str, text: &str, found: &mut BTreeMap<String, usize>) {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > FILE_LINES_MAX {
        found.insert(format!("lines in {path}"), lines.len());
    }
    let wide = |line: &&&str| {
        let width = line.chars().count();
        let code = !line.trim_start().starts_with("//") && !line.contains('"');
        width > COLUMNS_HARD_MAX || (code && width > COLUMNS_MAX)
    };
    let count = lines.iter().filter(wide).count();
    if count > 0 {
        found.insert(format!("wide lines in {path}"), count);
    }
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = function_name(line.trim_start()) else { continue };
        let signature_end = lines[start..].iter().find(|line| line.ends_with(['{', ';', '}']));
        if signature_end.is_none_or(|line| !line.ends_with('{')) {
            continue; // Declared in a trait, or all on one line.
        }
        // rustfmt puts the closing brace under the first letter.
        let closing = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|line| *line == closing) else {
            continue;
        };
        if length + 1 > FUNCTION_LINES_MAX {
            found.insert(format!("lines in fn {name} of {path}"), length + 1);
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    loop {
        match words.next()? {
            "fn" => return words.next()?.split(['(', '<']).next(),
            "async" | "const" | "pub" => {}
            visibility if visibility.starts_with("pub(") => {}
            _ => return None,
        }
    }
}

#[test]
fn nothing_is_left_unfinished_or_ignored() -> Result<()> {
    let forbidden = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore", "FIXME"];
    let mut wrong = Vec::new();
    for (path, text) in sources()?.into_iter().filter(|(path, _)| !path.ends_with("tidy.rs")) {
        for (number, line) in text.lines().enumerate() {
            for word in forbidden.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    report(&wrong);
    Ok(())
}

#[test]
fn tasks_are_spawned_by_the_driver_and_channels_are_bounded() -> Result<()> {
    let mut wrong = Vec::new();
    let is_house = |path: &Path| {
        (path.starts_with("crates") || path.starts_with("directory-sync"))
            && !path.components().any(|part| part.as_os_str() == "tests")
    };
    for (path, text) in sources()?.into_iter().filter(|(path, _)| is_house(path)) {
        let driver = path.starts_with("crates/driver");
        for (number, line) in text.lines().filter(|line| !line.contains("//")).enumerate() {
            if line.contains("unbounded_channel") || (!driver && line.contains("tokio::spawn(")) {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report(&wrong);
    Ok(())
}

#[test]
fn no_path_of_one_machine() -> Result<()> {
    let mut wrong = Vec::new();
    let skipped = |path: &Path| path.ends_with("tidy.rs") || path.starts_with("fuzz/corpus");
    for path in repo::files()?.into_iter().filter(|path| !skipped(path)) {
        let Ok(text) = std::fs::read_to_string(repo::root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if ["/work/", "/root/", "/home/"].iter().any(|root| line.contains(root)) {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report(&wrong);
    Ok(())
}

#[test]
fn tests_never_sleep() -> Result<()> {
    let mut wrong = Vec::new();
    let is_test = |path: &Path| {
        path.starts_with("tests") || path.components().any(|part| part.as_os_str() == "tests")
    };
    for (path, text) in sources()?.into_iter().filter(|(path, _)| is_test(path)) {
        // The polling helper, which asks between two pauses.
        if path.ends_with("tests/src/wait.rs") || path.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("thread::sleep") || line.contains("time::sleep") {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    report(&wrong);
    Ok(())
}

#[test]
fn every_script_is_strict_and_explains_itself() -> Result<()> {
    let mut wrong = Vec::new();
    let scripts = ["script", ".ci"];
    for path in repo::files()?
        .into_iter()
        .filter(|path| scripts.iter().any(|folder| path.starts_with(folder)))
    {
        if path.ends_with("lib.sh") {
            continue;
        }
        let file = repo::root().join(&path);
        let text = std::fs::read_to_string(&file)?;
        if !text.starts_with("#!/usr/bin/env bash\n") || !text.contains("\nset -euo pipefail\n") {
            wrong.push(format!("{}: not a strict bash script", path.display()));
        }
        let output = Command::new(&file).arg("--help").stdin(Stdio::null()).output();
        let output = output.with_context(|| path.display().to_string())?;
        if !output.status.success() || output.stdout.is_empty() {
            wrong.push(format!("{} --help: {}", path.display(), output.status));
        }
    }
    report(&wrong);
    Ok(())
}
