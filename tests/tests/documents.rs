//! `palombe documents` on the samples of `clinical-docs`.

use anyhow::{Context, Result, ensure};
use palombe_tests::{process, repo};
use serde_json::Value;
use std::process::{Command, Output};

fn documents(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(repo::binary("palombe")?).arg("documents").args(arguments).output()?)
}

fn sample(name: &str) -> String {
    repo::root().join("crates/clinical-docs/tests/samples").join(name).display().to_string()
}

#[test]
fn a_vendor_reads_checks_and_renders_a_document() -> Result<()> {
    let letter = sample("lettre.xml");
    let shown =
        process::run(Command::new(repo::binary("palombe")?).args(["documents", "show", &letter]))?;
    let facts: Value = serde_json::from_slice(&shown.stdout)?;
    let title = facts["cda"]["header"]["title"].as_str().context("no title")?.to_owned();
    ensure!(facts["kind"] == "cda" && !title.is_empty(), "{facts:#}");

    let page = documents(&["render", &letter])?;
    let html = String::from_utf8(page.stdout)?;
    ensure!(page.status.success() && html.contains(&title) && !html.contains("<script"), "{html}");
    let text = String::from_utf8(documents(&["render", &letter, "--form", "text"])?.stdout)?;
    ensure!(text.contains(&title) && !text.contains("</"), "{text}");

    let metadata = documents(&["show", &sample("lettre.METADATA.XML")])?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    ensure!(metadata["kind"] == "metadata", "{metadata:#}");
    Ok(())
}

#[test]
fn what_a_receiver_will_not_like_is_told_in_french_and_by_the_exit_code() -> Result<()> {
    let whole = std::fs::read_to_string(sample("lettre.xml"))?;
    let folder = tempfile::tempdir()?;
    let broken = folder.path().join("sans-patient.xml");
    let (from, to) = (whole.find("<recordTarget"), whole.find("</recordTarget>"));
    let (from, to) = from.zip(to).context("the sample has no recordTarget")?;
    std::fs::write(
        &broken,
        format!("{}{}", &whole[..from], &whole[to + "</recordTarget>".len()..]),
    )?;
    let output = documents(&["check", &broken.display().to_string(), "--json"])?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let findings = report["findings"].as_array().context("no findings")?;
    ensure!(output.status.code() == Some(1) && !findings.is_empty(), "{report:#}");
    ensure!(findings.iter().all(|f| f["rule"].is_string() && f["text"].is_string()), "{report:#}");

    std::fs::write(&broken, b"PK\x03\x04 ceci n'est pas une archive")?;
    let output = documents(&["check", &broken.display().to_string()])?;
    ensure!(output.status.code() == Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
