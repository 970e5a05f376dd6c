//! `palombe search …`

use super::show;
use crate::cli::SearchCommand;
use crate::client::{Client, query};
use crate::table::print_object;
use serde_json::Value;
use std::time::Duration;

/// Between two looks at the progress.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Shows the index, or has it made again.
pub async fn search(client: &Client, json: bool, command: SearchCommand) -> anyhow::Result<()> {
    match command {
        SearchCommand::Status { bal } => {
            let value = client.get(&path("/v1/search", bal)).await?;
            show(json, &value, print_object)
        }
        SearchCommand::Rebuild { bal, wait } => {
            let rebuild = path("/v1/search/rebuild", bal.clone());
            let mut value = client.post(&rebuild, &Value::Null).await?;
            while wait && left(&value) {
                eprintln!("{} indexed, {} waiting", count(&value, "documents"), waiting(&value));
                tokio::time::sleep(LOOK_EVERY).await;
                value = client.get(&path("/v1/search", bal.clone())).await?;
            }
            show(json, &value, |value| {
                match left(value) {
                    true => println!("begun; follow it with: palombe search status"),
                    false => println!("the index is made"),
                }
                print_object(value);
            })
        }
    }
}

fn path(path: &str, bal: Option<String>) -> String {
    format!("{path}{}", query(&[("bal", bal)]))
}

fn count(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn left(value: &Value) -> bool {
    count(value, "waiting") + count(value, "bals_to_read") > 0
}

fn waiting(value: &Value) -> String {
    match count(value, "bals_to_read") {
        0 => count(value, "waiting").to_string(),
        bals => format!("the messages of {bals} BAL"),
    }
}
