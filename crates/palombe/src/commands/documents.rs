//! `palombe documents`: a file with clinical documents, examined on the spot. No server, no store, no network.

use super::show;
use crate::cli::{DocumentForm, DocumentsCommand};
use anyhow::Context;
use palombe_clinical_docs::cda::{Cda, is_cda, read_cda};
use palombe_clinical_docs::check::check_file;
use palombe_clinical_docs::xdm::read_xdm;
use palombe_clinical_docs::{Limits, Severity, read_metadata, render};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// Carries it out. A file with findings of error or alert ends with 1, for scripts.
pub fn documents(json: bool, command: DocumentsCommand) -> anyhow::Result<ExitCode> {
    let limits = Limits::default();
    match command {
        DocumentsCommand::Check { file } => check(json, &read(&file, &limits)?, &limits),
        DocumentsCommand::Show { file } => {
            let facts = facts(&read(&file, &limits)?, &limits)?;
            println!("{}", serde_json::to_string_pretty(&facts)?);
            Ok(ExitCode::SUCCESS)
        }
        DocumentsCommand::Render { file, form } => {
            let bytes = read(&file, &limits)?;
            let page = match form {
                DocumentForm::Html => render::html(&bytes, &limits),
                DocumentForm::Text => render::text(&bytes, &limits),
            };
            println!("{}", page.map_err(|fault| anyhow::anyhow!("{}", fault.french()))?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read(file: &Path, limits: &Limits) -> anyhow::Result<Vec<u8>> {
    let name = || file.display().to_string();
    let mut bytes = Vec::new();
    let most = limits.archive_bytes_max as u64;
    std::fs::File::open(file).with_context(name)?.take(most + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= most, "{}: larger than {most} octets", name());
    Ok(bytes)
}

fn check(json: bool, bytes: &[u8], limits: &Limits) -> anyhow::Result<ExitCode> {
    let report = check_file(bytes, limits);
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "rule": finding.rule.code(),
                "severity": finding.severity,
                "document": finding.document,
                "reference": finding.rule.reference(),
                "text": finding.french(),
            })
        })
        .collect();
    let value = json!({ "kind": report.kind, "findings": findings });
    show(json, &value, |_| {
        for finding in &report.findings {
            let document = finding.document.as_deref().map(|d| format!("{d}: "));
            println!(
                "{:?}\t{}{}",
                finding.severity,
                document.unwrap_or_default(),
                finding.french()
            );
        }
        if report.findings.is_empty() {
            println!("Rien à signaler.");
        }
    })?;
    let refused = report.findings.iter().any(|finding| finding.severity >= Severity::Error);
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the file says, whole: it holds who the patient is.
fn facts(bytes: &[u8], limits: &Limits) -> anyhow::Result<Value> {
    let french = |fault: palombe_clinical_docs::DocError| anyhow::anyhow!("{}", fault.french());
    if bytes.starts_with(b"PK") {
        let xdm = read_xdm(bytes, limits).map_err(french)?;
        let documents: Vec<Value> = xdm
            .documents
            .iter()
            .map(|document| {
                json!({
                    "path": document.path,
                    "size": document.size,
                    "entry": document.entry,
                    "hash_agrees": document.hash_agrees(),
                    "cda": document.cda.as_ref().map(cda_value),
                    "fault": document.fault.as_ref().map(|fault| fault.french()),
                })
            })
            .collect();
        let submissions: Vec<Value> = xdm
            .subsets
            .iter()
            .map(|subset| json!({ "folder": subset.folder, "submission": subset.submission }))
            .collect();
        return Ok(json!({ "kind": "xdm", "submissions": submissions, "documents": documents }));
    }
    if is_cda(bytes) {
        let cda = read_cda(bytes, limits).map_err(french)?;
        return Ok(json!({ "kind": "cda", "cda": cda_value(&cda) }));
    }
    let metadata = read_metadata(bytes, limits).map_err(french)?;
    Ok(json!({ "kind": "metadata", "submission": metadata }))
}

fn cda_value(cda: &Cda) -> Value {
    json!({ "header": cda.header, "signed": cda.signed, "stylesheets": cda.stylesheets })
}
