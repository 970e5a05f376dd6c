//! `etc/palombe.example.toml`, written from the doc comments and defaults of `RawConfig`.

use super::raw::{RawConfig, RawServer, RawTls};
use serde_json::Value;
use std::fmt::Write;

/// Columns of a comment line.
const COMMENT_COLUMNS: usize = 96;

/// The annotated example: each key with its documentation and its default.
pub fn example() -> String {
    let schema = schemars::schema_for!(RawConfig).to_value();
    let defaults = serde_json::to_value(defaults()).unwrap_or_default();
    let mut text = String::new();
    comment(&mut text, description(&schema));
    for section in sections(&schema) {
        let Some(property) = schema.pointer(&format!("/properties/{section}")) else { continue };
        let _ = writeln!(text);
        comment(&mut text, description(property));
        let _ = writeln!(text, "[{section}]");
        let table = resolve(&schema, property);
        let Some(values) = defaults.get(&section).and_then(Value::as_object) else { continue };
        for (key, value) in values {
            if let Some(documented) = table.pointer(&format!("/properties/{key}")) {
                comment(&mut text, description(documented));
            }
            let _ = writeln!(text, "{key} = {}", literal(value));
        }
    }
    text
}

/// The defaults, with plausible values where a key is mandatory.
fn defaults() -> RawConfig {
    RawConfig {
        server: RawServer {
            hostname: "smtp.exemple.mssante.fr".to_owned(),
            data_folder: "/var/lib/palombe".into(),
        },
        tls: RawTls {
            certificate: "/etc/palombe/ssl-serv.pem".into(),
            key: "/etc/palombe/ssl-serv.key".into(),
            anchors: "/etc/palombe/igc-sante.pem".into(),
        },
        trust: Default::default(),
        interop: Default::default(),
        submission: Default::default(),
        imap: Default::default(),
        message: Default::default(),
        queue: Default::default(),
        relay: Default::default(),
        sessions: Default::default(),
        store: Default::default(),
        journal: Default::default(),
        metrics: Default::default(),
        admin: Default::default(),
        log: Default::default(),
    }
}

/// Sections in the order of the struct.
fn sections(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
}

fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property
        .get("$ref")
        .or_else(|| property.pointer("/allOf/0/$ref"))
        .and_then(Value::as_str)
        .and_then(|r| r.strip_prefix('#'));
    reference.and_then(|pointer| schema.pointer(pointer)).unwrap_or(property)
}

fn description(value: &Value) -> &str {
    value.get("description").and_then(Value::as_str).unwrap_or_default()
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > COMMENT_COLUMNS {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        let _ = writeln!(text, "{line}");
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let pairs: Vec<String> =
                map.iter().map(|(k, v)| format!("{k:?} = {}", literal(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        // JSON and TOML agree on strings without control characters, numbers, booleans and arrays.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_parses_back_to_the_defaults() {
        let parsed: RawConfig = toml::from_str(&example()).expect("the example is valid TOML");
        let left = serde_json::to_value(parsed).unwrap();
        assert_eq!(left, serde_json::to_value(defaults()).unwrap());
    }

    #[test]
    fn the_committed_example_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../etc/palombe.example.toml");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == example(),
            "etc/palombe.example.toml is stale; run: palombe config example > etc/palombe.example.toml"
        );
    }
}
