//! Every real document of the corpus: read, and no header fact lost, by the word of another XML parser.

mod common;

use palombe_clinical_docs::cda::{Level, read_cda};
use palombe_clinical_docs::{Limits, sha1_hex};
use std::collections::HashSet;

const HL7: &str = "urn:hl7-org:v3";

/// Every string of a JSON value.
fn strings(value: &serde_json::Value, found: &mut HashSet<String>) {
    match value {
        serde_json::Value::String(text) => {
            found.insert(text.clone());
        }
        serde_json::Value::Array(values) => values.iter().for_each(|v| strings(v, found)),
        serde_json::Value::Object(map) => map.values().for_each(|v| strings(v, found)),
        _ => {}
    }
}

/// What the other parser sees in the header: texts, and attributes that carry facts.
fn expected(document: roxmltree::Node<'_, '_>) -> Vec<String> {
    const FACTS: [&str; 6] = ["extension", "root", "code", "displayName", "value", "codeSystem"];
    let mut found = Vec::new();
    let header = document.children().filter(|c| {
        c.is_element()
            && c.tag_name().namespace() == Some(HL7)
            && c.tag_name().name() != "component"
    });
    for node in header.flat_map(|child| child.descendants()) {
        if node.is_text() {
            let words: Vec<&str> = node.text().unwrap_or_default().split_whitespace().collect();
            if !words.is_empty() {
                found.push(words.join(" "));
            }
        }
        // The code system of a status or signature code is fixed by the schema.
        let fixed = ["statusCode", "signatureCode", "realmCode", "languageCode"];
        let is_fixed = fixed.contains(&node.tag_name().name());
        for name in FACTS.iter().filter(|name| !is_fixed || **name == "code") {
            if let Some(value) = node.attribute(*name) {
                found.push(value.trim().to_owned());
            }
        }
    }
    found
}

#[test]
fn no_header_fact_is_lost() {
    let Some(corpus) = common::corpus() else { return };
    let documents = common::files(&corpus.join("cda"), &[".xml"]);
    assert!(documents.len() >= 58, "{} documents", documents.len());
    let (mut facts, mut lost) = (0, Vec::new());
    for (name, bytes) in &documents {
        let cda = read_cda(bytes, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let json = serde_json::to_value(&cda.header).unwrap();
        assert_eq!(
            serde_json::from_value::<palombe_clinical_docs::cda::Header>(json.clone()).unwrap(),
            cda.header
        );
        let mut ours = HashSet::new();
        strings(&json, &mut ours);
        let text = std::str::from_utf8(bytes).unwrap();
        let tree = roxmltree::Document::parse(text).unwrap();
        let document =
            tree.descendants().find(|n| n.has_tag_name((HL7, "ClinicalDocument"))).unwrap();
        for fact in expected(document) {
            facts += 1;
            if !ours.contains(&fact) {
                lost.push(format!("{name}: {fact}"));
            }
        }
    }
    println!("{} documents, {facts} header facts", documents.len());
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost[..lost.len().min(60)].join("\n"));
    assert!(facts > 14_000, "{facts}");
}

#[test]
fn bodies_as_counted_by_another_parser() {
    let Some(corpus) = common::corpus() else { return };
    let (mut flat, mut pdfs, mut media, mut sections) = (0, 0, 0, 0);
    for (name, bytes) in common::files(&corpus.join("cda"), &[".xml"]) {
        let cda = read_cda(&bytes, &Limits::default()).unwrap();
        let tree = roxmltree::Document::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
        let count = |tag: &str| tree.descendants().filter(|n| n.has_tag_name((HL7, tag))).count();
        assert_eq!(cda.body.level == Level::Unstructured, count("nonXMLBody") == 1, "{name}");
        assert_eq!(cda.body.sections.len(), count("section"), "{name}");
        let embedded = tree
            .descendants()
            .filter(|n| n.attribute("representation") == Some("B64"))
            .filter(|n| {
                n.parent_element().is_some_and(|p| {
                    matches!(p.tag_name().name(), "nonXMLBody" | "observationMedia")
                })
            })
            .count();
        assert_eq!(cda.body.attachments.len(), embedded, "{name}");
        assert_eq!(
            cda.self_presentable,
            !tree.root_element().has_tag_name((HL7, "ClinicalDocument")),
            "{name}"
        );
        for a in &cda.body.attachments {
            assert_eq!((a.size, &a.sha1), (a.bytes.len(), &sha1_hex(&a.bytes)));
            if a.is_pdf() {
                assert!(a.bytes.starts_with(b"%PDF"), "{name}");
            }
        }
        // The narrative: the same words as the other parser sees, in the same order.
        for (section, node) in cda
            .body
            .sections
            .iter()
            .zip(tree.descendants().filter(|n| n.has_tag_name((HL7, "section"))))
        {
            let text = node.children().find(|c| c.has_tag_name((HL7, "text")));
            let theirs: String = text
                .map(|t| {
                    t.descendants()
                        .filter(|n| n.is_text())
                        .map(|n| n.text().unwrap_or_default())
                        .collect()
                })
                .unwrap_or_default();
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(squeeze(&section.text), squeeze(&theirs), "{name}");
        }
        assert!(!cda.body.truncated);
        flat += usize::from(cda.body.level == Level::Unstructured);
        pdfs += usize::from(cda.body.pdf().is_some());
        media += cda.body.attachments.len();
        sections += cda.body.sections.len();
    }
    println!(
        "{flat} N1, {pdfs} with a PDF of the whole, {media} embedded files, {sections} sections"
    );
    assert!(flat >= 10 && pdfs >= 15 && media >= 43 && sections > 300);
}
