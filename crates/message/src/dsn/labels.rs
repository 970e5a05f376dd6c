//! The codes that health software knows how to show: `SMTPERRORCODE` of spec mssante §12.6.

/// Code, French label, English label, RFC 3463 status that says the same.
type Row = (u16, &'static str, &'static str, &'static str);

/// ANS spec mssante §12.6, complete.
const ROWS: [Row; 31] = [
    (101, "connexion au serveur impossible", "server cannot connect", "4.4.1"),
    (111, "connexion refusée par le serveur", "connection refused", "4.4.1"),
    (251, "destinataire transféré vers une autre adresse", "relayed elsewhere", "2.1.5"),
    (252, "destinataire accepté sans vérification", "cannot verify the recipient", "2.1.5"),
    (420, "délai d’attente dépassé", "timeout", "4.4.2"),
    (421, "service momentanément indisponible", "service unavailable", "4.3.2"),
    (422, "boîte du destinataire pleine", "recipient over quota", "4.2.2"),
    (431, "serveur du destinataire saturé", "out of disk or memory", "4.3.1"),
    (432, "mot de passe à renouveler", "password transition needed", "4.7.12"),
    (441, "le serveur du destinataire ne répond pas", "server does not answer", "4.4.1"),
    (442, "connexion interrompue", "connection dropped", "4.4.2"),
    (450, "boîte momentanément indisponible", "mailbox temporarily unavailable", "4.2.1"),
    (451, "traitement interrompu par une erreur du serveur", "aborted: local error", "4.3.0"),
    (452, "ressources insuffisantes sur le serveur", "insufficient system resources", "4.3.1"),
    (500, "commande non comprise", "syntax error", "5.5.2"),
    (501, "paramètre incorrect", "syntax error in parameters", "5.5.4"),
    (502, "commande non disponible", "command not implemented", "5.5.1"),
    (503, "commandes dans un ordre incorrect", "bad sequence of commands", "5.5.1"),
    (504, "paramètre non disponible", "parameter not implemented", "5.5.4"),
    (510, "adresse incorrecte", "bad address", "5.1.3"),
    (512, "domaine du destinataire introuvable", "host not found in DNS", "5.1.2"),
    (513, "type d’adresse incorrect", "bad address type", "5.1.3"),
    (523, "message trop volumineux", "message larger than the limit", "5.3.4"),
    (530, "authentification requise", "authentication required", "5.7.0"),
    (541, "message rejeté par le destinataire", "rejected by the recipient", "5.7.1"),
    (550, "boîte inexistante ou indisponible", "mailbox unavailable", "5.1.1"),
    (551, "destinataire non hébergé par ce serveur", "user not local", "5.1.6"),
    (552, "espace de stockage dépassé", "storage exceeded", "5.2.2"),
    (553, "nom de boîte non autorisé", "mailbox name not allowed", "5.1.3"),
    (554, "échec définitif", "permanent failure", "5.0.0"),
    (250, "message remis", "delivered", "2.0.0"),
];

fn row(code: u16) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.0 == code)
}

/// The French label of a code of the table, for people.
pub fn smtp_label(code: u16) -> Option<&'static str> {
    row(code).map(|row| row.1)
}

/// The same in English.
pub fn smtp_label_en(code: u16) -> Option<&'static str> {
    row(code).map(|row| row.2)
}

/// The code at the front of a reply, when the table knows it.
pub(super) fn code_of_reply(reply: &str) -> Option<u16> {
    let code = reply.trim_start().get(..3)?.parse().ok()?;
    row(code).map(|row| row.0)
}

/// The table's code for an RFC 3463 status: statuses that name a cause first, then the class.
pub(super) fn code_of_status(status: &str) -> Option<u16> {
    // Several codes share a status; these are the ones a reader should see.
    const CAUSES: [(&str, u16); 14] = [
        ("5.1.1", 550),
        ("5.1.2", 512),
        ("5.1.3", 510),
        ("5.1.6", 551),
        ("5.2.1", 550),
        ("5.2.2", 552),
        ("5.2.3", 523),
        ("5.3.4", 523),
        ("5.7.0", 530),
        ("5.7.1", 541),
        ("4.2.2", 422),
        ("4.4.1", 441),
        ("4.4.2", 442),
        ("4.4.7", 441),
    ];
    if let Some((_, code)) = CAUSES.iter().find(|(known, _)| *known == status) {
        return Some(*code);
    }
    if let Some(row) = ROWS.iter().find(|row| row.3 == status) {
        return Some(row.0);
    }
    match status.split('.').next() {
        Some("5") => Some(554),
        Some("4") => Some(451),
        Some("2") => Some(250),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        assert_eq!(smtp_label(523), Some("message trop volumineux"));
        assert_eq!(smtp_label(999), None);
        assert_eq!(code_of_reply("550 5.1.1 x"), Some(550));
        assert_eq!(code_of_reply("é50"), None);
        assert_eq!(code_of_status("5.1.2"), Some(512));
        assert_eq!(code_of_status("5.9.9"), Some(554));
        assert_eq!(code_of_status("4.4.7"), Some(441));
    }
}
