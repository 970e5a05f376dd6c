//! Where the tests find documents: their own synthetic ones, and a corpus of public examples beside the clone.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// The clone.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up").to_owned()
}

/// The corpus of real documents, or nothing with a line that says so. `PALOMBE_HEALTH_DOCS` names another place.
pub fn corpus() -> Option<PathBuf> {
    let beside = workspace().join("../shared/data/health-docs");
    let place = std::env::var_os("PALOMBE_HEALTH_DOCS").map_or(beside, PathBuf::from);
    if place.join("cda").is_dir() {
        return Some(place);
    }
    println!("SKIP: no corpus of real documents at {}", place.display());
    None
}

/// Files below a folder of the corpus whose name ends so, sorted.
pub fn files(folder: &Path, ends: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the corpus") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if ends.iter().any(|end| name.ends_with(end)) {
                let bytes = std::fs::read(&path).expect("a file of the corpus");
                found.push((name, bytes));
            }
        }
    }
    found.sort();
    found
}
