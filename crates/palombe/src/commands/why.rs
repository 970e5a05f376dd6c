//! `palombe trust why`: a past decision, told from the journal.

use super::show;
use crate::cli::Why;
use crate::client::{Client, query};
use anyhow::Context;
use palombe_vocabulary::Timestamp;
use serde_json::Value;

/// Looks the decision up and tells it.
pub async fn why(client: &Client, json: bool, why: Why) -> anyhow::Result<()> {
    let at = why.at.as_deref().map(str::parse::<Timestamp>).transpose();
    let at = at.context("--at")?;
    let around = |sign: i64| at.map(|t| t.plus_secs(sign * why.within_minutes * 60).to_string());
    let pairs = [
        ("message_id", why.message_id),
        ("peer", why.peer),
        ("ip", why.ip),
        ("domain", why.domain),
        ("rule", why.rule),
        ("from", around(-1)),
        ("to", around(1)),
    ];
    let lines = client.get(&format!("/v1/journal{}", query(&pairs))).await?;
    show(json, &lines, |lines| {
        let empty = Vec::new();
        let lines = lines.as_array().unwrap_or(&empty);
        for line in lines {
            print!("{}", told(line));
        }
        if lines.is_empty() {
            println!("The journal knows no decision that matches.");
        }
    })
}

/// One decision in words.
fn told(line: &Value) -> String {
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or("-");
    let detail = |pointer: &str| line.pointer(pointer).and_then(Value::as_str);
    let mut out = format!("{}  {}  {}\n", text("at"), text("event"), text("outcome"));
    let mut row = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| *v != "-") {
            out.push_str(&format!("    {name:<14} {value}\n"));
        }
    };
    row("rule", Some(text("rule")));
    row("message", Some(text("message_id")));
    row("domain", Some(text("domain")));
    row("peer", Some(text("peer_dn")));
    row("address", Some(text("peer")));
    row("certificate", detail("/detail/evidence/fingerprint_sha256"));
    row("serial", detail("/detail/evidence/serial"));
    row("issuer", detail("/detail/evidence/issuer"));
    // `generated_at` is kept in milliseconds.
    let generated = line.pointer("/detail/evidence/list/generated_at").and_then(Value::as_i64);
    row("liste blanche", generated.map(|at| Timestamp(at).to_string()).as_deref());
    row("list digest", detail("/detail/evidence/list/digest_hex"));
    row("why", detail("/detail/text"));
    if let Some(Value::Array(told)) = line.pointer("/detail/recipients") {
        for recipient in told.iter().filter_map(Value::as_str) {
            row("recipient", Some(recipient));
        }
    }
    row("session", Some(text("session")));
    row("queue", Some(text("queue")));
    out
}
