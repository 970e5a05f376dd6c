//! JSON rows as a table for people.

use serde_json::Value;

/// Prints rows as columns; `columns` are keys of each row.
pub fn print_rows(rows: &Value, columns: &[&str]) {
    let empty = Vec::new();
    let rows = rows.as_array().unwrap_or(&empty);
    let mut lines: Vec<Vec<String>> =
        vec![columns.iter().map(|c| c.to_uppercase().replace('_', " ")).collect()];
    for row in rows {
        lines.push(columns.iter().map(|c| cell(&row[*c])).collect());
    }
    let width = |i: usize| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for line in &lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(text, w)| format!("{text:w$}")).collect();
        println!("{}", padded.join("  ").trim_end());
    }
    if rows.is_empty() {
        println!("(none)");
    }
}

/// Prints one object as `key: value` lines.
pub fn print_object(object: &Value) {
    let Some(map) = object.as_object() else {
        println!("{}", cell(object));
        return;
    };
    let width = map.keys().map(|k| k.len()).max().unwrap_or(0) + 1;
    for (key, value) in map {
        match value {
            Value::Object(_) => {
                println!("{key}:");
                for line in serde_json::to_string_pretty(value).unwrap_or_default().lines() {
                    println!("    {line}");
                }
            }
            _ => println!("{:width$} {}", format!("{}:", key.replace('_', " ")), cell(value)),
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.replace(['\r', '\n'], " "),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}
