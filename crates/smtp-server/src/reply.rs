//! From the house to the wire: every reply of this door that the protocol itself does not decide
//! (`smtp_proto::server::Fault` holds those). No reply literal stands anywhere else.
//!
//! On submission the reader is a person: the sentence is French, in ASCII since replies are (RFC 5321 2.4).

use palombe_delivery::DeliveryError;
use palombe_smtp_proto::server::Service;
use palombe_smtp_proto::{EnhancedCode, Reply};
use palombe_trust::{Refusal, Rule};

/// `MAIL` accepted (RFC 5321 4.2.3, RFC 3463 3.2).
pub(crate) const SENDER_OK: Reply = Reply::new(250, EnhancedCode(2, 1, 0), "Sender OK");
/// `RCPT` accepted.
pub(crate) const RECIPIENT_OK: Reply = Reply::new(250, EnhancedCode(2, 1, 5), "Recipient OK");
/// RFC 4954 6
pub(crate) const AUTH_OK: Reply =
    Reply::new(235, EnhancedCode(2, 7, 0), "Authentication successful");
/// RFC 4954 6; the same for an unknown BAL, a wrong password and a suspended BAL.
pub(crate) const AUTH_REFUSED: Reply =
    Reply::new(535, EnhancedCode(5, 7, 8), "Authentication credentials invalid");
/// RFC 4954 6
pub(crate) const AUTH_LATER: Reply =
    Reply::new(454, EnhancedCode(4, 7, 0), "Temporary authentication failure, try again later");
/// RFC 5321 7.8
pub(crate) const AUTH_TOO_OFTEN: Reply =
    Reply::new(421, EnhancedCode(4, 7, 0), "Too many failed authentications, closing connection");
/// RFC 5321 4.5.3.2
pub(crate) const TIMEOUT: Reply =
    Reply::new(421, EnhancedCode(4, 4, 2), "Timeout, closing connection");
/// RFC 5321 3.8
pub(crate) const SHUTDOWN: Reply =
    Reply::new(421, EnhancedCode(4, 3, 2), "Service shutting down, try again later");
/// RFC 5321 3.1, 4.2.3
pub(crate) const TOO_MANY_CONNECTIONS: Reply =
    Reply::new(421, EnhancedCode(4, 3, 2), "Too many connections, try again later");
/// RFC 5321 4.2.3, 7.8
pub(crate) const TOO_FAST: Reply =
    Reply::new(451, EnhancedCode(4, 7, 1), "Too many messages for now, try again later");
/// RFC 3463 3.4
pub(crate) const BUSY: Reply =
    Reply::new(451, EnhancedCode(4, 3, 2), "Too busy now, try again later");
/// RFC 5321 4.2.3, RFC 3463 3.4
pub(crate) const NO_ROOM: Reply =
    Reply::new(452, EnhancedCode(4, 3, 1), "Insufficient room for now, try again later");
/// RFC 5321 4.5.1: no BAL was configured for it.
pub(crate) const NO_POSTMASTER: Reply =
    Reply::new(550, EnhancedCode(5, 1, 1), "No postmaster without a domain here");
/// An answer was asked for that a correct session never asks for.
pub(crate) const DEFECT: Reply = Reply::new(451, EnhancedCode(4, 3, 0), "Internal error");

/// The promise (RFC 5321 4.2.5): said only once the message is durable.
pub(crate) fn accepted(id: &str) -> Reply {
    Reply::with_text(250, EnhancedCode(2, 0, 0), format!("{id} accepted"))
}

/// What `trust` refused.
pub(crate) fn refusal(refusal: &Refusal) -> Reply {
    let (code, class, subject, detail) = match refusal.rule {
        // The peer may come back unchanged: the fault is ours (RFC 3463 3.8).
        Rule::PeerRevocationUnknown | Rule::ListAbsent | Rule::ListTooOld => (451, 4, 7, 1),
        // spec mssante 1.5, RFC 3463 3.8: delivery not authorized
        Rule::PeerNoCertificate
        | Rule::PeerMalformed
        | Rule::PeerExpired
        | Rule::PeerNotYetValid
        | Rule::PeerRevoked
        | Rule::PeerNotIgcSante
        | Rule::PeerTestCertificate
        | Rule::PeerProductionCertificate
        | Rule::PeerCategoryAbsent
        | Rule::PeerWrongUsage
        | Rule::PeerNotInList
        | Rule::SenderNullRefused
        | Rule::SenderDomainNotCovered
        | Rule::HeaderFromNotCovered
        | Rule::DestinationNotInList
        | Rule::DestinationDnMismatch => (550, 5, 7, 1),
    };
    Reply::new(code, EnhancedCode(class, subject, detail), refusal.rule.peer_text())
}

/// What `delivery` refused: for an operator, or for a person.
pub(crate) fn delivery(error: &DeliveryError, service: Service) -> Reply {
    let (code, (class, subject, detail), operator, person) = match error {
        // RFC 3463 3.2
        DeliveryError::UnknownRecipient => (
            550,
            (5, 1, 1),
            "No such BAL",
            "Cette adresse n'existe pas: verifiez-la aupres de votre correspondant.",
        ),
        // RFC 3463 3.3
        DeliveryError::BalSuspended => (
            550,
            (5, 2, 1),
            "The BAL does not accept messages",
            "La boite aux lettres du destinataire est fermee.",
        ),
        DeliveryError::OverQuota => (
            452,
            (4, 2, 2),
            "The BAL is full, try again later",
            "La boite aux lettres du destinataire est pleine: reessayez plus tard.",
        ),
        // RFC 5321 3.6.1: no relay; spec mssante 1.5
        DeliveryError::NotHosted => (
            550,
            (5, 7, 1),
            "The recipient domain is not hosted here, no relay",
            "Le domaine du destinataire n'est pas heberge ici.",
        ),
        DeliveryError::OutsideTrustSpace(refused) => return outside(refused, service),
        // RFC 6409 6.1
        DeliveryError::SenderNotAllowed => (
            550,
            (5, 7, 1),
            "The sender is not yours",
            "Vous ne pouvez pas envoyer avec cette adresse d'expediteur.",
        ),
        DeliveryError::AuthorNotAllowed => (
            550,
            (5, 7, 1),
            "The author is not yours",
            "L'adresse du champ De (From) n'est pas celle de votre boite aux lettres.",
        ),
        DeliveryError::HeaderFromNotCovered(refused) => return refusal(refused),
        // RFC 5322 3.6
        DeliveryError::BadFromField => (
            550,
            (5, 6, 0),
            "The message has no From field, or more than one",
            "Le message n'a pas de champ De (From), ou en a plusieurs.",
        ),
        // RFC 5321 6.3, RFC 3463 3.5
        DeliveryError::Loop => (
            554,
            (5, 4, 6),
            "Too many hops: the message loops",
            "Le message tourne en rond: trop d'etapes.",
        ),
        // RFC 1870 6.3
        DeliveryError::TooLarge => (
            552,
            (5, 3, 4),
            "Message size exceeds the fixed maximum",
            "Le message est trop volumineux: reduisez ou partagez les pieces jointes.",
        ),
        // RFC 3463 3.7
        DeliveryError::TooComplex => (
            554,
            (5, 6, 0),
            "The message has too many or too deep parts, or too long a header",
            "La structure du message est trop complexe.",
        ),
        // RFC 5321 2.3.8
        DeliveryError::BadContent => (
            550,
            (5, 6, 11),
            "Bare CR, bare LF or NUL in the message",
            "Le message contient des caracteres interdits.",
        ),
        // RFC 3463 3.6
        DeliveryError::TooManyDestinations => (
            554,
            (5, 5, 3),
            "Too many destination domains",
            "Trop de domaines destinataires: envoyez le message en plusieurs fois.",
        ),
        // RFC 5321 4.2.3
        DeliveryError::Full => (
            452,
            (4, 3, 1),
            "Insufficient room for now, try again later",
            "Le serveur manque de place: reessayez plus tard.",
        ),
        DeliveryError::Unavailable(_) | DeliveryError::NoRandomness => (
            451,
            (4, 3, 0),
            "The message could not be kept, try again later",
            "Le serveur ne peut pas garder le message pour le moment: reessayez plus tard.",
        ),
    };
    let text = if service == Service::Submission { person } else { operator };
    Reply::new(code, EnhancedCode(class, subject, detail), text)
}

/// A recipient outside the trust space, in words that a doctor understands (spec mssante 1.5: never to the Internet).
fn outside(refused: &Refusal, service: Service) -> Reply {
    if service == Service::Interop || refused.rule != Rule::DestinationNotInList {
        return match (service, refused.temporary) {
            (Service::Submission, true) => Reply::new(
                451,
                EnhancedCode(4, 7, 1),
                "La liste des domaines MSSante n'est pas disponible: reessayez plus tard.",
            ),
            _ => refusal(refused),
        };
    }
    Reply::new(
        550,
        EnhancedCode(5, 7, 1),
        "L'adresse du destinataire n'appartient pas a l'espace de confiance MSSante.\n\
         Ce message de sante ne peut pas lui etre envoye: verifiez l'adresse,\n\
         ou demandez a votre correspondant son adresse MSSante.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ascii_and_classes_agree() {
        let all = [
            SENDER_OK,
            RECIPIENT_OK,
            AUTH_OK,
            AUTH_REFUSED,
            AUTH_LATER,
            AUTH_TOO_OFTEN,
            TIMEOUT,
            SHUTDOWN,
            TOO_MANY_CONNECTIONS,
            TOO_FAST,
            BUSY,
            NO_ROOM,
            NO_POSTMASTER,
            DEFECT,
            accepted("x"),
        ];
        let errors = [
            DeliveryError::UnknownRecipient,
            DeliveryError::BalSuspended,
            DeliveryError::OverQuota,
            DeliveryError::NotHosted,
            DeliveryError::SenderNotAllowed,
            DeliveryError::AuthorNotAllowed,
            DeliveryError::BadFromField,
            DeliveryError::Loop,
            DeliveryError::TooLarge,
            DeliveryError::TooComplex,
            DeliveryError::BadContent,
            DeliveryError::TooManyDestinations,
            DeliveryError::Full,
        ];
        for error in &errors {
            for service in [Service::Interop, Service::Submission] {
                let reply = delivery(error, service);
                assert_eq!(reply.is_transient(), error.is_temporary(), "{error}");
                check(&reply);
            }
        }
        all.iter().for_each(check);
    }

    fn check(reply: &Reply) {
        assert!(reply.text.is_ascii() && !reply.text.contains('\r'), "{reply}");
        assert_eq!(reply.enhanced.map(|e| u16::from(e.0)), Some(reply.code / 100), "{reply}");
    }
}
