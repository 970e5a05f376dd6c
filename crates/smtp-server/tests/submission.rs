//! Port 587: STARTTLS, AUTH, and sentences that people read.

mod common;

use common::{PASSWORD, plain, submission, world};
use palombe_smtp_server::Settings;

const BODY: &str = "From: <dr.b@beta.mssante.test>\r\nMessage-ID: <1@beta>\r\n\r\nBonjour\r\n";

#[tokio::test]
async fn a_doctor_sends_within_the_trust_space() {
    let world = world(submission()).await;
    let mut client = world.logged_in().await;
    let envelope = "MAIL FROM:<dr.b@beta.mssante.test>\r\n\
                    RCPT TO:<dr.c@beta.mssante.test> NOTIFY=SUCCESS,FAILURE\r\n\
                    RCPT TO:<dr.a@alpha.mssante.test>\r\nDATA\r\n";
    let replies = client.ask_all(format!("{envelope}{BODY}.\r\n").as_bytes(), 5).await;
    assert_eq!(replies[1..3], ["250 2.1.5 Recipient OK", "250 2.1.5 Recipient OK"]);
    assert!(replies[4].ends_with(" accepted"), "{replies:?}");
}

#[tokio::test]
async fn a_recipient_outside_is_refused_in_plain_french() {
    let world = world(submission()).await;
    let mut client = world.logged_in().await;
    client.ask("MAIL FROM:<dr.b@beta.mssante.test>").await;
    let reply = client.ask("RCPT TO:<ami@gmail.com>").await;
    assert!(
        reply.starts_with(
            "550 5.7.1 L'adresse du destinataire n'appartient pas a l'espace de confiance MSSante."
        ),
        "{reply}"
    );
    let reply = client.ask("RCPT TO:<personne@beta.mssante.test>").await;
    assert!(reply.starts_with("550 5.1.1 Cette adresse n'existe pas"), "{reply}");
    assert_eq!(world.refused("destination.not-in-list"), 1);
}

#[tokio::test]
async fn only_ones_own_address() {
    let world = world(submission()).await;
    let mut client = world.logged_in().await;
    let reply = client.ask("MAIL FROM:<dr.c@beta.mssante.test>").await;
    assert!(reply.starts_with("550 5.7.1 Vous ne pouvez pas envoyer"), "{reply}");
    let body = BODY.replace("dr.b", "dr.c");
    let bytes = format!(
        "MAIL FROM:<DR.B@beta.mssante.test>\r\nRCPT TO:<dr.c@beta.mssante.test>\r\nDATA\r\n{body}.\r\n"
    );
    let replies = client.ask_all(bytes.as_bytes(), 4).await;
    assert!(replies[3].starts_with("550 5.7.1 L'adresse du champ De (From)"), "{replies:?}");
    assert_eq!(world.server.metrics().snapshot().messages, 0);
}

#[tokio::test]
async fn auth_waits_for_tls_and_mail_for_auth() {
    let world = world(submission()).await;
    let mut client = world.connect().await;
    assert!(!client.ask("EHLO a").await.contains("AUTH"));
    let required = "530 5.7.0 Must issue a STARTTLS command first";
    assert_eq!(client.ask(&format!("AUTH PLAIN {}", plain("dr.b", PASSWORD))).await, required);
    assert_eq!(client.ask("MAIL FROM:<dr.b@beta.mssante.test>").await, required);

    let mut client = world.tls(None).await;
    assert!(client.ask("EHLO a").await.contains("AUTH PLAIN"));
    let required = "530 5.7.0 Authentication required";
    assert_eq!(client.ask("MAIL FROM:<dr.b@beta.mssante.test>").await, required);
    assert_eq!(client.ask("AUTH LOGIN").await, "504 5.5.4 Unrecognized authentication mechanism");
    assert_eq!(client.ask("AUTH PLAIN !").await, "501 5.5.2 Cannot decode the response");
    assert_eq!(client.ask("AUTH PLAIN").await, "334 ");
    assert_eq!(client.ask("*").await, "501 5.7.0 Authentication cancelled");
    assert_eq!(client.ask("AUTH PLAIN").await, "334 ");
    let reply = client.ask(&plain("dr.b", PASSWORD)).await;
    assert_eq!(reply, "235 2.7.0 Authentication successful");
    assert!(!client.ask("EHLO a").await.contains("AUTH"));
}

#[tokio::test]
async fn wrong_passwords_are_counted() {
    let world = world(Settings { auth_failures_per_peer_max: 4, ..submission() }).await;
    let refused = "535 5.7.8 Authentication credentials invalid";
    let mut client = world.tls(None).await;
    assert_eq!(client.ask(&format!("AUTH PLAIN {}", plain("dr.b", "x"))).await, refused);
    assert_eq!(client.ask(&format!("AUTH PLAIN {}", plain("personne", PASSWORD))).await, refused);
    let last = format!("AUTH PLAIN {}\r\n", plain("dr.b", "x"));
    let replies = client.ask_all(last.as_bytes(), 3).await;
    assert_eq!(
        replies,
        [refused, "421 4.7.0 Too many failed authentications, closing connection", "closed"]
    );
    let mut client = world.tls(None).await;
    assert_eq!(client.ask(&format!("AUTH PLAIN {}", plain("dr.b", "x"))).await, refused);
    // Four failures of this peer: even the right password waits now.
    let later = "454 4.7.0 Temporary authentication failure, try again later";
    assert_eq!(client.ask(&format!("AUTH PLAIN {}", plain("dr.b", PASSWORD))).await, later);
    let counts = world.server.metrics().snapshot();
    assert_eq!((counts.auth_failures, counts.auth_successes), (4, 0));
}

#[tokio::test]
async fn smuggled_messages_stay_content() {
    let world = world(submission()).await;
    for end in ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"] {
        let mut client = world.logged_in().await;
        let bytes = format!(
            "MAIL FROM:<dr.b@beta.mssante.test>\r\nRCPT TO:<dr.c@beta.mssante.test>\r\nDATA\r\n\
             {BODY}text{end}MAIL FROM:<dr.b@beta.mssante.test>\r\nRCPT TO:<dr.b@beta.mssante.test>\r\n\
             DATA\r\nhidden\r\n.\r\n"
        );
        let replies = client.ask_all(bytes.as_bytes(), 4).await;
        assert!(replies[3].starts_with("550 5.6.11 "), "{end:?}: {replies:?}");
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 OK");
    }
    assert_eq!(world.server.metrics().snapshot().messages, 0);
}
