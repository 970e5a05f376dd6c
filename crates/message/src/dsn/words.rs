//! What a doctor reads: French first, then a line of English.

use super::labels::{smtp_label, smtp_label_en};
use super::{Action, DsnRecipient, DsnReport};
use jiff::tz::TimeZone;
use palombe_vocabulary::Timestamp;

/// Recipients named in the human part; the machine part has them all.
const NAMED_MAX: usize = 100;

/// Subject, French and in ASCII so that every old client shows it.
pub(super) fn subject(report: &DsnReport) -> &'static str {
    let mut actions = report.recipients.iter().map(|recipient| recipient.action);
    match actions.next() {
        Some(first) if actions.all(|action| action == first) => match first {
            Action::Failed => "Message non remis",
            Action::Delayed => "Message en attente de remise",
            Action::Delivered => "Message remis",
            Action::Relayed => "Message transmis",
            Action::Expanded => "Message remis",
        },
        _ => "Compte rendu de remise de votre message",
    }
}

/// The text/plain part, lines ended by CRLF.
pub(super) fn human_part(report: &DsnReport) -> String {
    let mut out = String::from("Bonjour,\n\n");
    if let Some(subject) = &report.original_subject {
        let shown: String = subject.chars().filter(|c| !c.is_control()).take(200).collect();
        out.push_str(&format!("Votre message « {shown} » du {} :\n\n", local_time(report.arrival)));
    } else {
        out.push_str(&format!("Votre message du {} :\n\n", local_time(report.arrival)));
    }
    for action in
        [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded]
    {
        section(report, action, &mut out);
    }
    out.push_str(
        "Ce message est envoyé automatiquement par la messagerie ; il n’attend pas de réponse.\n",
    );
    out.push_str("\n-- \n");
    english(report, &mut out);
    out.replace('\n', "\r\n")
}

fn section(report: &DsnReport, action: Action, out: &mut String) {
    let mut concerned =
        report.recipients.iter().filter(|recipient| recipient.action == action).peekable();
    if concerned.peek().is_none() {
        return;
    }
    let (opening, closing) = match action {
        Action::Failed => (
            "Votre message n’a pas pu être remis à :",
            "Le contenu n’a pas été transmis à ces destinataires. Vérifiez l’adresse dans l’Annuaire Santé, ou \
             joignez le destinataire par un autre moyen si l’information est urgente.",
        ),
        Action::Delayed => (
            "Votre message n’est pas encore remis à :",
            "De nouveaux essais ont lieu automatiquement : vous n’avez rien à faire. Si l’information est urgente, \
             joignez le destinataire par un autre moyen.",
        ),
        Action::Delivered => ("Votre message a été remis dans la boîte de :", ""),
        Action::Relayed => (
            "Votre message a été transmis au serveur de :",
            "Ce serveur n’envoie pas d’accusé de remise : vous n’en recevrez pas d’autre.",
        ),
        Action::Expanded => ("Votre message a été remis à la liste :", ""),
    };
    out.push_str(opening);
    out.push('\n');
    for (index, recipient) in concerned.enumerate() {
        if index == NAMED_MAX {
            out.push_str("  …\n");
            break;
        }
        line(recipient, out);
    }
    out.push('\n');
    if !closing.is_empty() {
        out.push_str(closing);
        out.push_str("\n\n");
    }
}

fn line(recipient: &DsnRecipient, out: &mut String) {
    out.push_str(&format!("  • {}\n", recipient.address));
    if matches!(recipient.action, Action::Failed | Action::Delayed) {
        if let Some(code) = recipient.smtp_code() {
            let verdict = verdict(recipient).map(|(french, _)| french);
            let label = verdict.or_else(|| smtp_label(code)).unwrap_or("échec");
            out.push_str(&format!("    Motif : {label} (code {code}, {}).\n", recipient.status));
        } else {
            out.push_str(&format!("    Motif : code {}.\n", recipient.status));
        }
    }
    if let (Action::Delayed, Some(until)) = (recipient.action, recipient.will_retry_until) {
        out.push_str(&format!("    Nouveaux essais jusqu’au {}.\n", local_time(until)));
    }
}

/// What our own trust rules said of the recipient's server. The table's labels would blame the recipient, who was
/// never asked.
fn verdict(recipient: &DsnRecipient) -> Option<(&'static str, &'static str)> {
    let mut words = recipient.diagnostic.as_deref()?.split(' ');
    // `5.7.1 peer.expired: …` is ours; a peer's answer begins with its reply code.
    words.next().filter(|status| status.contains('.'))?;
    match words.next()?.strip_suffix(':')? {
        "peer.no-starttls" => Some((
            "le serveur du destinataire n’offre pas de connexion sécurisée",
            "the recipient's server offers no secure connection",
        )),
        "peer.revocation-unknown" | "list.absent" | "list.too-old" => Some((
            "la sécurité du serveur du destinataire ne peut pas être vérifiée pour le moment",
            "the recipient's server cannot be verified for now",
        )),
        "destination.not-in-list" => Some((
            "le domaine du destinataire n’est plus dans l’espace de confiance MSSanté",
            "the recipient's domain has left the trust space",
        )),
        rule if rule.starts_with("peer.") || rule.starts_with("destination.") => Some((
            "le serveur du destinataire n’a pas prouvé qu’il appartient à l’espace de confiance MSSanté",
            "the recipient's server could not prove that it belongs to the trust space",
        )),
        _ => None,
    }
}

fn english(report: &DsnReport, out: &mut String) {
    out.push_str("In English:\n");
    for recipient in report.recipients.iter().take(NAMED_MAX) {
        let what = match recipient.action {
            Action::Failed => "could not be delivered",
            Action::Delayed => "is delayed, delivery is still attempted",
            Action::Delivered => "was delivered",
            Action::Relayed => "was relayed to a server that sends no reports",
            Action::Expanded => "was delivered to a list",
        };
        out.push_str(&format!("  {}: your message {what}", recipient.address));
        if matches!(recipient.action, Action::Failed | Action::Delayed) {
            let verdict = verdict(recipient).map(|(_, english)| english);
            let label = recipient.smtp_code().and_then(smtp_label_en);
            let label = verdict.or(label).unwrap_or("no detail");
            out.push_str(&format!(" ({label}, {})", recipient.status));
        }
        out.push_str(".\n");
    }
}

/// `21/11/2026 à 11:00`, legal time of metropolitan France: the rule is written here because this room reads no file.
fn local_time(at: Timestamp) -> String {
    let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else { return at.to_string() };
    match TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3") {
        Ok(paris) => instant.to_zoned(paris).strftime("%d/%m/%Y à %H:%M").to_string(),
        Err(_) => at.rfc5322(),
    }
}
