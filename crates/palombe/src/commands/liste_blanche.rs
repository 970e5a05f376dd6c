//! `palombe liste-blanche …` and `palombe config policy`: work on files, without a server.

use super::show;
use crate::cli::{ListeBlancheCommand, Verify};
use crate::config;
use crate::table::{print_object, print_rows};
use anyhow::{Context, bail};
use palombe_driver::now;
use palombe_trust::{
    Anchors, Dn, Entry, ListDraft, ListeBlanche, POLICY_TABLE, VerifyOptions, diff, sign,
};
use palombe_vocabulary::{Domain, Secret, Timestamp};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs one of the commands.
pub fn run(command: ListeBlancheCommand, config: &Path, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        ListeBlancheCommand::Verify(verify) => verify_file(&verify, json)?,
        ListeBlancheCommand::Show { what, file, anchor, at } => {
            let list = configured(config, file, anchor, at.as_deref())?;
            return show_entries(&list, &what, json);
        }
        ListeBlancheCommand::Diff { old, new, anchor } => {
            let old = own_date(&old, &anchor)?;
            let new = own_date(&new, &anchor)?;
            let changes = diff(&old, &new);
            let names = |all: &[Domain]| json!(all.iter().map(Domain::as_str).collect::<Vec<_>>());
            let pairs = |all: &[(Domain, String)]| {
                let pair = |(d, dn): &(Domain, String)| json!({ "domain": d.as_str(), "dn": dn });
                json!(all.iter().map(pair).collect::<Vec<_>>())
            };
            let value = json!({
                "from": old.generated_at().to_string(),
                "to": new.generated_at().to_string(),
                "changed_percent": changes.changed_percent(),
                "domains_added": names(&changes.domains_added),
                "domains_removed": names(&changes.domains_removed),
                "pairs_added": pairs(&changes.pairs_added),
                "pairs_removed": pairs(&changes.pairs_removed),
            });
            show(json, &value, print_diff)?;
        }
        ListeBlancheCommand::Sign { entries, key, certificate, at } => {
            sign_test_list(&entries, &key, &certificate, at.as_deref())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `palombe config policy`
pub fn policy(json: bool) -> anyhow::Result<()> {
    let rows: Vec<Value> = POLICY_TABLE
        .iter()
        .map(|(name, default, meaning, source)| {
            json!({ "name": name, "default": default, "meaning": meaning, "source": source })
        })
        .collect();
    show(json, &Value::Array(rows), |rows| {
        print_rows(rows, &["name", "default", "meaning", "source"]);
    })
}

fn instant(at: Option<&str>) -> anyhow::Result<Timestamp> {
    match at {
        Some(text) => text.parse().with_context(|| format!("--at {text:?}")),
        None => Ok(now()),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

fn load(file: &Path, anchor: &Path, options: &VerifyOptions) -> anyhow::Result<ListeBlanche> {
    let anchors =
        Anchors::from_pem(&read(anchor)?).with_context(|| anchor.display().to_string())?;
    ListeBlanche::verify(&read(file)?, &anchors, options)
        .with_context(|| format!("{}: the list is refused", file.display()))
}

fn verify_file(verify: &Verify, json: bool) -> anyhow::Result<()> {
    let options = VerifyOptions {
        signer_cns: vec![verify.signer.clone()],
        ..VerifyOptions::at(instant(verify.at.as_deref())?)
    };
    let list = load(&verify.file, &verify.anchor, &options)?;
    let value = json!({
        "file": verify.file,
        "verified": true,
        "generated_at": list.generated_at().to_string(),
        "signer": list.signer(),
        "entries": list.entries().len(),
        "domains": list.domain_count(),
        "certificates": list.dn_count(),
        "skipped": list.skipped_count(),
        "digest": list.snapshot().digest_hex,
    });
    show(json, &value, print_object)
}

/// The list given, or the configured one; any signer name is fine for looking.
fn configured(
    config: &Path,
    file: Option<PathBuf>,
    anchor: Option<PathBuf>,
    at: Option<&str>,
) -> anyhow::Result<ListeBlanche> {
    let (file, anchor, signer_cns) = match (file, anchor) {
        (Some(file), Some(anchor)) => (file, anchor, Vec::new()),
        (file, anchor) => {
            let config = config::load(config)
                .context("--file and --anchor were not both given, so the configuration is read")?;
            let raw = config.raw;
            (
                file.unwrap_or(raw.trust.liste_blanche),
                anchor.unwrap_or(raw.tls.anchors),
                raw.trust.signer_names,
            )
        }
    };
    let options = VerifyOptions { signer_cns, ..VerifyOptions::at(instant(at)?) };
    load(&file, &anchor, &options)
}

/// A list verified at its own date: a diff compares history.
fn own_date(file: &Path, anchor: &Path) -> anyhow::Result<ListeBlanche> {
    let options = |at| VerifyOptions {
        signer_cns: Vec::new(),
        future_secs_max: i64::MAX / 2000,
        signer_expiry_grace_secs: i64::MAX / 2000,
        ..VerifyOptions::at(at)
    };
    let first = load(file, anchor, &options(now()))?;
    load(file, anchor, &options(first.generated_at()))
}

fn show_entries(list: &ListeBlanche, what: &str, json: bool) -> anyhow::Result<ExitCode> {
    let entries: Vec<&Entry> = if what.contains('=') {
        let dn: Dn = what.parse().with_context(|| format!("{what:?} is not a DN"))?;
        list.operator(&dn)
    } else {
        let domain: Domain = what.parse().with_context(|| format!("{what:?} is not a domain"))?;
        list.domain(&domain)
    };
    let row = |e: &&Entry| {
        json!({
            "domain": e.domain.as_str(),
            "dn": e.dn_text,
            "description": e.description,
            "updated_at": e.updated_at.to_string(),
        })
    };
    let value = json!({
        "generated_at": list.generated_at().to_string(),
        "entries": entries.iter().map(row).collect::<Vec<_>>(),
    });
    show(json, &value, |v| print_rows(&v["entries"], &["domain", "dn", "description"]))?;
    if entries.is_empty() {
        eprintln!("{what} is not in the list of {}", list.generated_at());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_diff(value: &Value) {
    let text = |key: &str| value[key].as_str().unwrap_or("-").to_owned();
    println!("from {} to {}: {} %", text("from"), text("to"), value["changed_percent"]);
    for (sign, key) in [("+", "pairs_added"), ("-", "pairs_removed")] {
        for pair in value[key].as_array().into_iter().flatten() {
            let domain = pair["domain"].as_str().unwrap_or("-");
            println!("{sign} {domain}  {}", pair["dn"].as_str().unwrap_or("-"));
        }
    }
}

fn sign_test_list(
    entries: &Path,
    key: &Path,
    certificate: &Path,
    at: Option<&str>,
) -> anyhow::Result<()> {
    let text = String::from_utf8(read(entries)?)
        .with_context(|| format!("{} is not UTF-8", entries.display()))?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((domain, dn)) = line.split_once(';') else {
            bail!("{} line {}: not `domain;distinguished name`", entries.display(), number + 1);
        };
        rows.push((domain.trim().to_owned(), dn.trim().to_owned(), "Test".to_owned()));
    }
    let draft = ListDraft { generated_at: instant(at)?, entries: rows };
    let key = Secret::new(read(key)?);
    let signed = sign(draft.to_xml().as_bytes(), &read(certificate)?, &key)?;
    std::io::stdout().write_all(&signed)?;
    Ok(())
}
