//! From the file as written (`raw`) to a configuration that can be run (`checked`), or the list of all problems.

mod checked;
mod example;
pub mod raw;

pub use checked::{Config, Doorway, load};
pub use example::example;

use std::path::{Path, PathBuf};

/// Every problem of a configuration, each with its key and its cure.
#[derive(Debug, thiserror::Error)]
#[error("{}: {} problem(s)\n{}", .path.display(), .problems.len(), .problems.join("\n"))]
pub struct BadConfig {
    /// The file.
    pub path: PathBuf,
    /// One line each.
    pub problems: Vec<String>,
}

/// The administration socket that this configuration names, read leniently: the CLI wants nothing else of it.
///
/// # Errors
/// [`BadConfig`] when the file cannot be read or parsed.
pub fn admin_socket(path: &Path) -> Result<PathBuf, BadConfig> {
    let raw = checked::read(path)?;
    Ok(checked::socket_path(&raw))
}
