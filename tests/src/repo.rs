//! Where things are in the repository, and what was built.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo builds: two folders above the running test binary.
pub fn target() -> Result<PathBuf> {
    let profile = profile_folder()?;
    Ok(profile.parent().context("a folder above the profile's")?.to_owned())
}

/// Where the binaries of the running test's profile are: `release` in the target folder, or `debug`.
fn profile_folder() -> Result<PathBuf> {
    let mut path = std::env::current_exe()?;
    while path.pop() {
        if path.file_name().is_some_and(|name| name == "release" || name == "debug") {
            return Ok(path);
        }
    }
    bail!("not run from a cargo target folder")
}

/// A binary of the workspace, built beside the running test.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = profile_folder()?.join(name);
    if !path.is_file() {
        bail!("{name} is not built: run script/test, or cargo build --release --bins");
    }
    Ok(path)
}

/// A place for what a test leaves behind to be looked at: `test-artefacts` in the target folder.
pub fn artefact(name: &str) -> Result<PathBuf> {
    let folder = target()?.join("test-artefacts");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder.join(name))
}

/// Every file of the repository that git knows or would add, relative to the root.
pub fn files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .context("git")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut files: Vec<PathBuf> = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
