//! A document as people read it: one page of HTML that cannot do anything, or plain text.
//!
//! Header and narrative by our own templates. The page has no script, no link, no load: it says so itself by a content
//! security policy, and holds whatever it shows. The stylesheet that a document names is never run.

use crate::cda::{self, Cda, Header, InsStanding, Participation};
use crate::error::{Bound, DocError};
use crate::limits::Limits;
use crate::xml::escape_into;

/// The page's own style sheet.
const STYLE: &str = "body{font-family:sans-serif;max-width:60em;margin:1em auto;color:#111}\
h1{font-size:1.4em}h2{font-size:1.1em;border-bottom:1px solid #888}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2em 1em}dt{font-weight:bold}dd{margin:0}\
table{border-collapse:collapse}td,th{border:1px solid #888;padding:.2em .4em;text-align:left}\
.bold{font-weight:bold}.italics{font-style:italic}.underline{text-decoration:underline}\
.emphasis{font-weight:bold}.alert{color:#b00}.narrative{white-space:pre-line}\
.footnote,.address,.media{color:#555}img{max-width:100%}.notice{background:#ffd;padding:.5em}";
/// Nothing but what the page holds (CSP 3).
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The page of a CDA.
///
/// # Errors
/// As [`read_cda`](cda::read_cda), and [`Bound::HtmlBytes`].
pub fn html(bytes: &[u8], limits: &Limits) -> Result<String, DocError> {
    let read = cda::read_cda(bytes, limits)?;
    let mut out = String::with_capacity(16 << 10);
    out.push_str("<!DOCTYPE html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"");
    escape_into(&mut out, POLICY);
    out.push_str("\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    escape_into(&mut out, &read.header.title);
    out.push_str("</title>\n<style>");
    out.push_str(STYLE);
    out.push_str("</style>\n</head>\n<body>\n<h1>");
    escape_into(&mut out, &read.header.title);
    out.push_str("</h1>\n<dl>\n");
    for (label, value) in summary(&read.header) {
        out.push_str("<dt>");
        escape_into(&mut out, label);
        out.push_str("</dt><dd>");
        escape_into(&mut out, &value);
        out.push_str("</dd>\n");
    }
    out.push_str("</dl>\n");
    for notice in notices(&read) {
        out.push_str("<p class=\"notice\">");
        escape_into(&mut out, &notice);
        out.push_str("</p>\n");
    }
    if let Some(text) = flat_text(&read) {
        out.push_str("<pre>");
        escape_into(&mut out, &text);
        out.push_str("</pre>\n");
    }
    out.push_str(&cda::narrative_html(bytes, limits)?);
    out.push_str("</body>\n</html>\n");
    if out.len() > limits.html_bytes_max {
        return Err(DocError::over(Bound::HtmlBytes));
    }
    Ok(out)
}

/// The plain text of a CDA: header, then sections.
///
/// # Errors
/// As [`read_cda`](cda::read_cda).
pub fn text(bytes: &[u8], limits: &Limits) -> Result<String, DocError> {
    let read = cda::read_cda(bytes, limits)?;
    let mut out = format!("{}\n\n", read.header.title);
    for (label, value) in summary(&read.header) {
        out.push_str(&format!("{label} : {value}\n"));
    }
    for notice in notices(&read) {
        out.push_str(&format!("\n{notice}\n"));
    }
    if let Some(text) = flat_text(&read) {
        out.push_str(&format!("\n{text}\n"));
    }
    for section in &read.body.sections {
        out.push_str(&format!("\n{}\n", section.title));
        if !section.title.is_empty() {
            out.push_str(&"-".repeat(section.title.chars().count()));
            out.push('\n');
        }
        out.push_str(&section.text);
        out.push('\n');
    }
    // What a terminal would obey is not text.
    out.retain(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    Ok(out)
}

/// A level 1 body that is text.
fn flat_text(read: &Cda) -> Option<String> {
    let body = read.body.attachments.first().filter(|_| read.body.is_flat())?;
    let plain = body.media_type.eq_ignore_ascii_case("text/plain");
    plain.then(|| String::from_utf8_lossy(&body.bytes).into_owned())
}

/// What the reader is to know before the narrative.
fn notices(read: &Cda) -> Vec<String> {
    let mut out = Vec::new();
    if read.body.pdf().is_some() {
        out.push("Le document contient sa version PDF, à lire en premier.".to_owned());
    }
    if read.header.replaces().next().is_some() {
        out.push("Ce document annule et remplace une version précédente.".to_owned());
    }
    if !read.stylesheets.is_empty() || read.self_presentable {
        out.push("La feuille de style du document n'a pas été appliquée.".to_owned());
    }
    if read.body.truncated {
        out.push("Le document est trop long pour être montré en entier.".to_owned());
    }
    out
}

/// Label and value of each line of the header, in the order in which people ask.
fn summary(header: &Header) -> Vec<(&'static str, String)> {
    let traits = header.patient.traits();
    let used = if traits.used_name.is_empty() || traits.used_name == traits.birth_name {
        String::new()
    } else {
        format!(" (nom utilisé {})", traits.used_name)
    };
    let ins = match header.patient.ins() {
        InsStanding::Qualified { ins } => format!("{} (qualifiée)", ins.matricule),
        InsStanding::Incomplete { ins, .. } => format!("{} (non qualifiée)", ins.matricule),
        InsStanding::Invalid { .. } => "invalide".to_owned(),
        InsStanding::Absent => "absente".to_owned(),
    };
    let people = |list: &[Participation]| {
        list.iter().map(who).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ; ")
    };
    let custodian = header.custodian.as_ref().and_then(|c| c.name.clone()).unwrap_or_default();
    let period = header.main_event().and_then(|event| event.time.as_ref());
    let act = period.and_then(|p| p.low.as_ref().or(p.at.as_ref())).map(|time| time.french());
    let version = header.version.as_deref().unwrap_or_default();
    let lines = [
        ("Patient", format!("{} {}{used}", traits.birth_name, traits.first_given)),
        ("Naissance", header.patient.birth_time.french()),
        ("Sexe", sex(&traits.sex).to_owned()),
        ("INS", ins),
        ("Type", header.code.label.clone().unwrap_or_else(|| header.code.text().to_owned())),
        ("Acte", act.unwrap_or_default()),
        ("Document du", header.effective_time.french()),
        ("Version", version.to_owned()),
        ("Auteur", people(&header.authors)),
        ("Responsable", header.legal_authenticator.as_ref().map(who).unwrap_or_default()),
        ("Structure", custodian),
        ("Destinataires", people(&header.recipients)),
        ("Confidentialité", header.confidentiality.label.clone().unwrap_or_default()),
        ("Identifiant", header.id.unique_id()),
    ];
    lines.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect()
}

fn who(participation: &Participation) -> String {
    let name = participation.entity.display();
    let place = participation.entity.organization.as_ref().and_then(|o| o.name.clone());
    match place {
        Some(place) if !name.is_empty() && place != name => format!("{name}, {place}"),
        Some(place) if name.is_empty() => place,
        _ => name,
    }
}

fn sex(code: &str) -> &str {
    match code {
        "F" => "Féminin",
        "M" => "Masculin",
        "U" => "Inconnu",
        other => other,
    }
}
