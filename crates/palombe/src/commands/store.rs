//! `palombe store check`.

use super::show;
use crate::client::Client;
use crate::config;
use crate::table::print_object;
use anyhow::Context;
use palombe_store::{Store, StoreSettings};
use palombe_web_api::check_view;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks through the running server, or opens the data folder itself.
pub fn check(
    data_folder: Option<PathBuf>,
    config_path: &Path,
    socket: Option<PathBuf>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let value = match data_folder {
        Some(folder) => check_folder(&folder)?,
        None => {
            let client = match socket {
                Some(socket) => Client::new(&socket),
                None => Client::new(&config::admin_socket(config_path)?),
            };
            let runtime = crate::runtime()?;
            if runtime.block_on(client.answers()) {
                runtime.block_on(client.get("/v1/store/check"))?
            } else {
                check_folder(&config::load(config_path)?.raw.server.data_folder)?
            }
        }
    };
    let problems = value["problems"].as_array().map_or(0, Vec::len);
    show(json, &value, |value| {
        print_object(value);
        if problems == 0 {
            println!("the store is sound");
        }
    })?;
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_folder(folder: &Path) -> anyhow::Result<Value> {
    if !folder.is_dir() {
        anyhow::bail!("no data folder at {}; check server.data_folder", folder.display());
    }
    let settings = StoreSettings::new(folder);
    let store = Store::open(&settings).with_context(|| folder.display().to_string())?;
    Ok(check_view(&store.check()?))
}
