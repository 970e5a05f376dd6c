//! Findings and renderings on the real documents: what the corpus is known for is found, nothing active is shown.

mod common;

use palombe_clinical_docs::cda::{InsStanding, read_cda};
use palombe_clinical_docs::check::{
    Declared, FileKind, Inbound, KnownDocument, MessageKind, check_file, examine,
};
use palombe_clinical_docs::valuesets::Family;
use palombe_clinical_docs::{File, Limits, Rule, Severity, render};
use std::collections::{BTreeMap, BTreeSet};

fn rules(bytes: &[u8]) -> BTreeSet<Rule> {
    check_file(bytes, &Limits::default()).findings.iter().map(|f| f.rule).collect()
}

#[test]
fn what_the_corpus_is_known_for() {
    let Some(corpus) = common::corpus() else { return };
    let has = |name: &str, rule: Rule| {
        let bytes = std::fs::read(corpus.join("cda").join(name)).unwrap();
        rules(&bytes).contains(&rule)
    };
    for name in ["ans/CSE-MDE_2023.01.xml", "ans/OBP-SEM_2024.01.xml", "ans/CSE-CS24_2025.01.xml"] {
        assert!(has(name, Rule::InsKey), "{name}");
    }
    assert!(!has("ans/OBP-SAP_2024.01.xml", Rule::InsKey));
    assert!(has("ans/eDISP-MED_2024.01.xml", Rule::NameQualifier));
    assert!(has("hl7v2/CR_Radio_CDAN1_v1.xml", Rule::SetId));
    assert!(has("other/drimbox_DOC00002.xml", Rule::SetId));
    assert!(has("other/drimbox_DOC00002.xml", Rule::VersionNumber));
    assert!(has("ans/CANCER-PPS_2022.01_Autopresentable.xml", Rule::SelfPresentable));
    assert!(has("ans/CANCER-PPS_2022.01_feuille-de-style-externe.xml", Rule::Stylesheet));
}

#[test]
fn the_examples_of_the_agency_conform() {
    let Some(corpus) = common::corpus() else { return };
    let mut counts: BTreeMap<Rule, Vec<String>> = BTreeMap::new();
    let mut families: BTreeMap<Family, usize> = BTreeMap::new();
    for (name, bytes) in common::files(&corpus.join("cda/ans"), &[".xml"]) {
        let cda = read_cda(&bytes, &Limits::default()).unwrap();
        *families.entry(Family::of(cda.header.code.text())).or_default() += 1;
        for finding in check_file(&bytes, &Limits::default()).findings {
            if finding.severity >= Severity::Error {
                counts
                    .entry(finding.rule)
                    .or_default()
                    .push(format!("{name} {:?}", finding.detail));
            }
        }
    }
    println!("{families:?}");
    assert!(!families.contains_key(&Family::Autre), "{families:?}");
    // The schematron of the agency finds nothing in these; ours must not either. Keys are really wrong.
    for (rule, names) in &counts {
        println!("{} {names:?}", rule.code());
    }
    counts.remove(&Rule::InsKey);
    assert!(counts.is_empty(), "{counts:#?}");
}

#[test]
fn renderings_are_inert() {
    let Some(corpus) = common::corpus() else { return };
    for (name, bytes) in common::files(&corpus.join("cda"), &[".xml"]) {
        let page =
            render::html(&bytes, &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let lower = page.to_lowercase();
        for word in
            ["<script", "<iframe", "<object", "<a ", "href=", "<link", "url(", "<form", "@import"]
        {
            assert!(!lower.contains(word), "{name}: {word}");
        }
        let sources = lower.match_indices("src=\"").count();
        assert_eq!(sources, lower.match_indices("src=\"data:image/").count(), "{name}");
        let cda = read_cda(&bytes, &Limits::default()).unwrap();
        let text = render::text(&bytes, &Limits::default()).unwrap();
        assert!(text.contains(&cda.header.title), "{name}");
        // Everything that the sections say is in the page.
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        let mut shown = String::new();
        let mut inside = false;
        for c in page[page.find("<body>").unwrap()..].chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => shown.push(c),
                _ => {}
            }
        }
        let shown = squeeze(
            &shown
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&#39;", "'")
                .replace("&quot;", "\"")
                .replace("&amp;", "&"),
        );
        for section in &cda.body.sections {
            let words: Vec<String> = section.text.split_whitespace().map(str::to_owned).collect();
            for word in words {
                assert!(shown.contains(&word), "{name}: {word}");
            }
        }
    }
}

#[test]
fn a_message_is_examined_whole() {
    let Some(corpus) = common::corpus() else { return };
    let archive = std::fs::read(corpus.join("xdm/generated/02_img_n1_rplc.IHE_XDM.ZIP")).unwrap();
    let file = |name: &str, bytes: &[u8]| File { name: name.to_owned(), bytes: bytes.to_vec() };
    let alone = [file("IHE_XDM.zip", &archive)];
    let found = examine(&Inbound { files: &alone, ..Inbound::default() }, &Limits::default());
    assert_eq!(found.kind, MessageKind::Xdm);
    let cda = found.cdas().next().unwrap().clone();
    assert!(matches!(cda.header.patient.ins(), InsStanding::Qualified { .. }));
    let pdf = cda.body.pdf().unwrap().bytes.clone();
    let files = [file("IHE_XDM.zip", &archive), file("20210108_CR.pdf", &pdf)];
    let declared =
        Declared { subject: Some("XDM/1.0/DDM+CR"), codes: Some("18748-4"), ins: Some("O") };
    let parent = cda.header.replaces().next().unwrap().clone();
    let known = [KnownDocument { id: parent, set_id: cda.header.set_id.clone(), version: Some(1) }];
    let right = Inbound { files: &files, declared, known: Some(&known) };
    let report = examine(&right, &Limits::default());
    let told: Vec<_> = report.findings.iter().filter(|f| f.severity > Severity::Info).collect();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(report.companions[0].identical, Some(true));

    let other = [file("IHE_XDM.zip", &archive), file("autre.pdf", b"%PDF-1.4 autre")];
    let wrong = Inbound {
        files: &other,
        declared: Declared { subject: Some("Bonjour"), codes: Some("11502-2"), ins: Some("N") },
        known: Some(&[]),
    };
    let report = examine(&wrong, &Limits::default());
    let rules: BTreeSet<Rule> = report.findings.iter().map(|f| f.rule).collect();
    for rule in
        [Rule::PdfDiffers, Rule::Subject, Rule::HeaderCodes, Rule::HeaderIns, Rule::ReplacesUnknown]
    {
        assert!(rules.contains(&rule), "{rule:?} in {rules:?}");
    }
    let matricule = cda.header.patient.ins().ins().unwrap().matricule.to_string();
    let sentences: Vec<String> = report.findings.iter().map(|f| f.french()).collect();
    assert!(!sentences.join("\n").contains(&matricule), "no patient in a report");

    let pdf_alone = [file("a.pdf", b"%PDF-1.7")];
    let found = examine(&Inbound { files: &pdf_alone, ..Inbound::default() }, &Limits::default());
    assert_eq!(found.kind, MessageKind::PdfAlone);
    let (_, document) = common::files(&corpus.join("cda/other"), &[".xml"]).remove(0);
    let loose = [file("doc.xml", &document)];
    let found = examine(&Inbound { files: &loose, ..Inbound::default() }, &Limits::default());
    assert_eq!(found.kind, MessageKind::CdaAlone);
    assert_eq!(check_file(&archive, &Limits::default()).kind, FileKind::Xdm);
}
