//! A whole message: its archive, its PDF files, what its headers declare, what the house knows already.

use super::{Attached, archive, is_pdf};
use crate::cda::{Cda, is_cda, read_cda};
use crate::digest::sha1_hex;
use crate::facts::Id;
use crate::findings::{Finding, Rule};
use crate::limits::Limits;
use crate::xdm::{Xdm, XdmDocument, read_xdm};
use serde::{Deserialize, Serialize};

/// Headers of the message, as written.
#[derive(Clone, Debug, Default)]
pub struct Declared<'a> {
    /// Subject.
    pub subject: Option<&'a str>,
    /// X-MSS-CODECDA.
    pub codes: Option<&'a str>,
    /// X-MSS-INS.
    pub ins: Option<&'a str>,
}

/// A document that the house has already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDocument {
    /// Its identifier.
    pub id: Id,
    /// Its setId.
    pub set_id: Option<Id>,
    /// Its version.
    pub version: Option<u32>,
}

/// What came with a message.
#[derive(Clone, Debug, Default)]
pub struct Inbound<'a> {
    /// Its attachments, decoded, with their names.
    pub files: &'a [Attached],
    /// Its headers.
    pub declared: Declared<'a>,
    /// Documents that the BAL has already, as far as they matter here; nothing when it is not known.
    pub known: Option<&'a [KnownDocument]>,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// An IHE_XDM archive.
    Xdm,
    /// A CDA without archive.
    CdaAlone,
    /// PDF files only.
    PdfAlone,
    /// No document of health that we know.
    Other,
}

/// A PDF beside the archive, and the document that it is the image of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// Its file name.
    pub name: String,
    /// Its SHA-1.
    pub sha1: String,
    /// Index in the documents of the examination.
    pub document: Option<usize>,
    /// It is octet for octet the PDF within the document; `None` when the document has none to compare with.
    pub identical: Option<bool>,
}

/// Everything that a message says, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    /// What it is.
    pub kind: MessageKind,
    /// Its archives.
    pub archives: Vec<Xdm>,
    /// CDA files outside archives.
    pub loose: Vec<XdmDocument>,
    /// PDF files beside.
    pub companions: Vec<Companion>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
}
crate::facts::redacted!(Companion, Examination);

impl Examination {
    /// Every document, those of archives first.
    pub fn documents(&self) -> impl Iterator<Item = &XdmDocument> {
        self.archives.iter().flat_map(|xdm| &xdm.documents).chain(&self.loose)
    }

    /// Every CDA that could be read.
    pub fn cdas(&self) -> impl Iterator<Item = &Cda> {
        self.documents().filter_map(|document| document.cda.as_ref())
    }
}

/// Reads what came with a message and says what is wrong with it. Never fails.
pub fn examine(inbound: &Inbound<'_>, limits: &Limits) -> Examination {
    let mut found = Vec::new();
    let mut out = Examination {
        kind: MessageKind::Other,
        archives: Vec::new(),
        loose: Vec::new(),
        companions: Vec::new(),
        findings: Vec::new(),
    };
    let mut pdfs = Vec::new();
    let mut broken_archive = false;
    for file in inbound.files {
        let name = file.name.to_lowercase();
        if file.bytes.starts_with(b"PK\x03\x04") || name.ends_with("ihe_xdm.zip") {
            match read_xdm(&file.bytes, limits) {
                Ok(xdm) => {
                    found.extend(archive::consistency(&xdm));
                    out.archives.push(xdm);
                }
                // Another archive than those of IHE is nobody's business.
                Err(crate::DocError::NotXdm) if !name.ends_with("ihe_xdm.zip") => {}
                Err(fault) => {
                    broken_archive = true;
                    let reason = fault.french();
                    let finding = Finding::with(Rule::Unreadable, reason.trim_end_matches('.'));
                    found.push(Finding { document: Some(file.name.clone()), ..finding });
                }
            }
        } else if is_cda(&file.bytes) {
            out.loose.push(loose(file, limits));
        } else if is_pdf(&file.bytes) {
            pdfs.push(file);
        } else if name.ends_with(".pdf") {
            let finding = Finding::new(Rule::PdfBroken);
            found.push(Finding { document: Some(file.name.clone()), ..finding });
        }
    }
    out.kind = if broken_archive || !out.archives.is_empty() {
        MessageKind::Xdm
    } else if !out.loose.is_empty() {
        MessageKind::CdaAlone
    } else if !pdfs.is_empty() {
        MessageKind::PdfAlone
    } else {
        MessageKind::Other
    };
    if !out.loose.is_empty() {
        found.push(Finding::new(Rule::CdaWithoutXdm));
    }
    companions(&mut out, &pdfs, &mut found);
    declared(&out, &inbound.declared, &mut found);
    if let Some(known) = inbound.known {
        versions(&out, known, &mut found);
    }
    for cda in out.cdas() {
        identity(cda, &mut found);
    }
    super::sort(&mut found);
    found.dedup();
    out.findings = found;
    out
}

fn loose(file: &Attached, limits: &Limits) -> XdmDocument {
    let read = read_cda(&file.bytes, limits);
    XdmDocument {
        path: Some(file.name.clone()),
        size: file.bytes.len(),
        sha1: sha1_hex(&file.bytes),
        fault: read.as_ref().err().cloned(),
        cda: read.ok(),
        bytes: file.bytes.clone(),
        ..XdmDocument::default()
    }
}

/// What the operator reports about the patient and the type; the other header rules are for vendors.
fn identity(cda: &Cda, found: &mut Vec<Finding>) {
    const TOLD: [Rule; 6] = [
        Rule::InsAbsent,
        Rule::InsKey,
        Rule::InsShape,
        Rule::InsIncomplete,
        Rule::UnknownType,
        Rule::SeveralDocuments,
    ];
    let id = cda.header.id.unique_id();
    let rules = super::header::check(cda, &[]).into_iter().filter(|f| TOLD.contains(&f.rule));
    found.extend(rules.map(|finding| Finding { document: Some(id.clone()), ..finding }));
}

/// ANS R2 ECO.2.1.1, ECO.2.1.5: one PDF per CDA, of the same content.
fn companions(out: &mut Examination, pdfs: &[&Attached], found: &mut Vec<Finding>) {
    let inner: Vec<(usize, Option<String>)> = out
        .documents()
        .enumerate()
        .filter_map(|(n, d)| Some((n, d.cda.as_ref()?.body.pdf().map(|pdf| pdf.sha1.clone()))))
        .collect();
    let sums: Vec<String> = pdfs.iter().map(|file| sha1_hex(&file.bytes)).collect();
    let mut free: Vec<usize> = (0..inner.len()).collect();
    let mut matched = vec![None; pdfs.len()];
    // First those that are the same octets, then the others in order.
    for (p, sum) in sums.iter().enumerate() {
        if let Some(at) = free.iter().position(|&n| inner[n].1.as_ref() == Some(sum)) {
            matched[p] = Some(free.remove(at));
        }
    }
    for slot in matched.iter_mut().filter(|slot| slot.is_none()) {
        if !free.is_empty() {
            *slot = Some(free.remove(0));
        }
    }
    for ((file, sum), slot) in pdfs.iter().zip(sums).zip(&matched) {
        let identical = slot.and_then(|n| inner[n].1.as_ref().map(|own| *own == sum));
        if identical == Some(false) {
            let finding = Finding::new(Rule::PdfDiffers);
            found.push(Finding { document: Some(file.name.clone()), ..finding });
        }
        let document = slot.map(|n| inner[n].0);
        out.companions.push(Companion { name: file.name.clone(), sha1: sum, document, identical });
    }
    match (pdfs.is_empty(), inner.is_empty()) {
        (false, true) => found.push(Finding::new(Rule::PdfWithoutCda)),
        (_, false) if !free.is_empty() => {
            found.push(Finding::with(Rule::PdfMissing, format!("{} documents", free.len())));
        }
        _ => {}
    }
}

/// ANS R2 ECO.2.4.1, ECO.2.4.2, ECO.2.1.3: the headers against the content.
fn declared(out: &Examination, declared: &Declared<'_>, found: &mut Vec<Finding>) {
    let in_archive: Vec<&Cda> = out
        .archives
        .iter()
        .flat_map(|xdm| xdm.documents.iter().filter_map(|d| d.cda.as_ref()))
        .collect();
    if in_archive.is_empty() {
        // An archive that cannot be read may well hold what the headers say.
        if (declared.codes.is_some() || declared.ins.is_some()) && out.kind != MessageKind::Xdm {
            found.push(Finding::new(Rule::HeaderWithoutCda));
        }
        return;
    }
    let prefix = crate::xdm::SUBJECT_PREFIX;
    if !declared.subject.unwrap_or_default().contains(prefix.trim_end_matches('+')) {
        found.push(Finding::new(Rule::Subject));
    }
    let mut ours: Vec<&str> = in_archive.iter().map(|cda| cda.header.code.text()).collect();
    ours.sort_unstable();
    match declared.codes {
        None => found.push(Finding::with(Rule::HeaderAbsent, "X-MSS-CODECDA")),
        Some(codes) => {
            let mut theirs: Vec<&str> =
                codes.split(',').map(str::trim).filter(|code| !code.is_empty()).collect();
            theirs.sort_unstable();
            let unique = |list: &[&str]| {
                let mut list = list.to_vec();
                list.dedup();
                list.join(",")
            };
            // A type that two documents share may be said once.
            if theirs != ours && unique(&theirs) != unique(&ours) {
                let detail = format!("annoncé {}, calculé {}", unique(&theirs), unique(&ours));
                found.push(Finding::with(Rule::HeaderCodes, detail));
            }
        }
    }
    let qualified = in_archive.iter().all(|cda| cda.header.patient.ins().is_qualified());
    match declared.ins.map(str::trim) {
        None => found.push(Finding::with(Rule::HeaderAbsent, "X-MSS-INS")),
        Some("O") if qualified => {}
        Some("N") if !qualified => {}
        Some(theirs) => {
            let ours = if qualified { "O" } else { "N" };
            // Only the two letters are ever shown: anything else is somebody's text.
            let theirs = if ["O", "N"].contains(&theirs) { theirs } else { "autre" };
            found.push(Finding::with(Rule::HeaderIns, format!("annoncé {theirs}, calculé {ours}")));
        }
    }
}

/// CI-SIS structuration minimale, rules of the consumer on versions.
fn versions(out: &Examination, known: &[KnownDocument], found: &mut Vec<Finding>) {
    let here: Vec<&Id> = out.cdas().map(|cda| &cda.header.id).collect();
    for cda in out.cdas() {
        let header = &cda.header;
        let mut tell = |rule| {
            let document = Some(header.id.unique_id());
            found.push(Finding { document, ..Finding::new(rule) });
        };
        if known.iter().any(|k| k.id == header.id) {
            tell(Rule::Duplicate);
        }
        let is_known = |id: &Id| known.iter().any(|k| k.id == *id) || here.contains(&id);
        if header.replaces().any(|id| !is_known(id)) {
            tell(Rule::ReplacesUnknown);
        }
        let version = header.version.as_deref().and_then(|v| v.trim().parse::<u32>().ok());
        let newer = |k: &&KnownDocument| {
            k.set_id.is_some()
                && k.set_id == header.set_id
                && k.id != header.id
                && k.version >= version
        };
        if version.is_some() && known.iter().any(|k| newer(&k)) {
            tell(Rule::OlderVersion);
        }
    }
}
