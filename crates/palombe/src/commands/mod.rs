//! The commands other than `run`.

pub mod admin;
pub mod documents;
pub mod liste_blanche;
pub mod search;
pub mod store;
pub mod why;

use serde_json::Value;

/// Prints JSON when asked for, else what `human` prints.
pub fn show(json: bool, value: &Value, human: impl FnOnce(&Value)) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        human(value);
    }
    Ok(())
}
