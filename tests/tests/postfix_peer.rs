//! The fixtures themselves: two Postfix operators exchange mail over mutual TLS, and keep strangers out.

use anyhow::Result;
use palombe_load::smtp::{Outcome, Parameters};
use palombe_tests::postfix::{Postfix, PostfixSettings};
use palombe_tests::{clients, mail, postfix, process, skip_if_missing, wait};

#[test]
fn two_postfix_exchange_mail_over_mutual_tls() -> Result<()> {
    skip_if_missing!(postfix::missing());
    let receiver = Postfix::start(PostfixSettings::peer())?;
    let mut settings = PostfixSettings::peer();
    settings.certificate = "op-alpha".to_owned();
    settings.hostname = "smtp.alpha.mssante.test".to_owned();
    settings.domain = "alpha.mssante.test".to_owned();
    settings.routes = vec![("postfix.mssante.test".to_owned(), receiver.smtp())];
    let sender = Postfix::start(settings)?;

    let to = "medecin@postfix.mssante.test";
    let message = mail::plain("medecin@alpha.mssante.test", to, "mutuel@alpha", "Bonjour.");
    clients::plain_send(sender.submission(), "medecin@alpha.mssante.test", "", to, "", &message)?;
    wait::until("the message in the maildir", || {
        let messages = mail::maildir(&receiver.maildir("medecin"))?;
        Ok(mail::find(&messages, &message).map(drop))
    })
    .map_err(|error| error.context(process::tail(&(sender.log() + &receiver.log()))))?;
    Ok(())
}

#[test]
fn a_certificate_is_asked_for() -> Result<()> {
    skip_if_missing!(postfix::missing());
    let peer = Postfix::start(PostfixSettings::peer())?;
    let to = "medecin@postfix.mssante.test";
    let message = mail::plain("a@charge.mssante.test", to, "certificat@charge", "Bonjour.");
    let none = Parameters::default();
    let mut target =
        clients::operator_target("op-charge", peer.smtp(), "smtp.postfix.mssante.test")?;
    let outcome = clients::send(&target, "a@charge.mssante.test", &[to], &message, none)?;
    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    target.tls = palombe_load::tls::client_config(&palombe_tests::pki::anchors(), None)?;
    let stranger = clients::send(&target, "a@charge.mssante.test", &[to], &message, none);
    assert!(!matches!(stranger, Ok(Outcome::Accepted(_))), "{stranger:?}");
    Ok(())
}
