//! A message's journey through the house rules, on a real store and the toy trust space.

use palombe_access::{Access, OpenBal, hash_password};
use palombe_delivery::{
    Accepted, Attempt, Delivery, DeliveryError, DeliverySettings, Door, Envelope,
    EnvelopeRecipient, Handover, Origin, RecipientResult, RemoteReply, Trace,
};
use palombe_message::dsn;
use palombe_store::{INBOX, JournalQuery, MessageMeta, NewBal, Notify, Ret, Store, StoreSettings};
use palombe_trust::{Anchors, AuthorizedSender, CertificateDer, PeerRole, TrustPolicy, TrustState};
use palombe_vocabulary::*;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

const NOW: Timestamp = Timestamp(1_795_000_000_000); // 2026-11-18
const DOCTOR: &str = "dr.jeanne@alpha.mssante.test";
const COLLEAGUE: &str = "collegue@alpha.mssante.test";

struct House {
    store: Store,
    trust: TrustState,
    delivery: Delivery,
    doctor: OpenBal,
    _folder: tempfile::TempDir,
}

fn pki() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../certs/test-pki")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(pki().join(name)).expect("certs/test-pki is complete")
}

fn house() -> House {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(&StoreSettings::new(folder.path().join("data"))).unwrap();
    let anchors = Anchors::from_pem(&read("ca-bundle.pem")).unwrap();
    let trust = TrustState::new(TrustPolicy::test(), anchors);
    trust.install_crls(vec![read("crl/ACR-EL.crl"), read("crl/ACI-EL-ORG.crl")], NOW);
    trust.install_list(&read("liste-blanche.xml"), NOW).unwrap();
    store.domain_add(&domain("alpha.mssante.test"), NOW).unwrap();
    let password = Secret::new("colombe".to_owned());
    for address in [DOCTOR, COLLEAGUE] {
        let new = NewBal {
            address: address.parse().unwrap(),
            kind: BalKind::Per,
            label: String::new(),
            publication: Publication::Annuaire,
            quota_bytes: 10 << 20,
            password_hash: Some(hash_password(&password).unwrap()),
        };
        store.bal_add(new, NOW).unwrap();
    }
    let access = Access::new(store.clone()).unwrap();
    let doctor = access.authenticate_password(DOCTOR, &password, NOW).unwrap();
    let settings = DeliverySettings::new(domain("smtp.alpha.mssante.test"));
    let delivery = Delivery::new(store.clone(), trust.clone(), settings);
    House { store, trust, delivery, doctor, _folder: folder }
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn address(text: &str) -> MailAddress {
    text.parse().unwrap()
}

fn mail(from: &str, more: &str) -> Vec<u8> {
    format!(
        "From: <{from}>\r\nTo: <x@y.test>\r\nSubject: XDM/1.0/DDM+CR\r\n\
         Message-ID: <m1@alpha.mssante.test>\r\n{more}\r\nColombophilie\r\n"
    )
    .into_bytes()
}

fn trace() -> Trace {
    Trace {
        helo: "poste.test".to_owned(),
        peer: "127.0.0.1".parse().unwrap(),
        tls: Some("TLSv1.3".to_owned()),
        session: SessionId(7),
        transaction: 1,
        protocol: "ESMTPSA",
    }
}

impl House {
    fn sender(&self, certificate: &str, from: &str) -> AuthorizedSender {
        let pem = read(certificate);
        let chain: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect();
        let peer = self.trust.judge_peer(&chain, PeerRole::Client, NOW).unwrap();
        let path =
            if from.is_empty() { ReversePath::Null } else { ReversePath::Address(address(from)) };
        self.trust.authorize_sender(&peer, &path).unwrap()
    }

    fn give(
        &self,
        origin: &Origin,
        from: &str,
        to: &[(&str, Notify)],
        ret: Option<Ret>,
        bytes: &[u8],
    ) -> Result<Accepted, DeliveryError> {
        let door = match origin {
            Origin::Operator(_) => Door::Interop,
            Origin::Submission(_) => Door::Submission,
        };
        let mut recipients = Vec::new();
        for (to, notify) in to {
            let address = address(to);
            let recipient = self.delivery.recipient(door, &address)?;
            let orcpt = Some(format!("rfc822;{to}"));
            recipients.push(EnvelopeRecipient { address, recipient, notify: *notify, orcpt });
        }
        let mut body = self.delivery.spool();
        for piece in bytes.chunks(11) {
            body.write(piece)?;
        }
        let envelope = Envelope {
            from: if from.is_empty() {
                ReversePath::Null
            } else {
                ReversePath::Address(address(from))
            },
            recipients,
            ret,
            envid: Some("env-1".to_owned()),
            priority: 0,
            smtputf8: false,
            eight_bit: false,
        };
        self.delivery.accept(Handover {
            origin: origin.clone(),
            envelope,
            body: body.finish()?,
            trace: trace(),
            at: NOW,
        })
    }

    fn submit(&self, to: &[(&str, Notify)], bytes: &[u8]) -> Result<Accepted, DeliveryError> {
        self.give(&Origin::Submission(self.doctor.clone()), DOCTOR, to, None, bytes)
    }

    /// Every message of a BAL's INBOX as a client reads it.
    fn inbox(&self, bal: &str) -> Vec<Vec<u8>> {
        let bal = self.store.bal_by_address(&bal.parse().unwrap()).unwrap().unwrap();
        let view = self.store.view(bal.id, INBOX).unwrap();
        let whole = |meta: &MessageMeta| {
            let stored = self.store.message(bal.id, INBOX, meta.uid).unwrap().unwrap();
            let size = stored.blob_size as usize;
            let body = self.store.read_blob(&stored.digest, 0, size).unwrap();
            [stored.prefix, body].concat()
        };
        view.messages.iter().map(whole).collect()
    }

    fn attempt(&self, result: &RecipientResult, now: Timestamp) -> usize {
        let due = self.delivery.due(now, 10).unwrap();
        let ids: Vec<QueueId> = due.iter().map(|d| d.id).collect();
        let claimed = self.delivery.claim(&ids, now, now.plus_secs(60)).unwrap();
        for out in &claimed {
            let attempt = Attempt {
                results: vec![result.clone(); out.item().item.recipients.len()],
                remote_mta: Some("mx1.beta.mssante.test".to_owned()),
                evidence: None,
                rule: None,
            };
            self.delivery.outcome(out, &attempt, now).unwrap();
        }
        claimed.len()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let problems = self.store.check().unwrap().problems;
            assert!(problems.is_empty(), "{problems:?}");
        }
    }
}

fn reply(code: u16, enhanced: &str, text: &str) -> RemoteReply {
    RemoteReply { code, enhanced: Some(enhanced.to_owned()), text: text.to_owned() }
}

#[test]
fn a_local_message_is_filed_byte_for_byte_behind_its_trace() {
    let house = house();
    let bytes = mail(DOCTOR, "");
    let accepted = house.submit(&[(COLLEAGUE, Notify::default())], &bytes).unwrap();
    assert_eq!((accepted.filed, accepted.queued.len()), (1, 0));
    let inbox = house.inbox(COLLEAGUE);
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].ends_with(&bytes));
    let head = String::from_utf8_lossy(&inbox[0]).into_owned();
    assert!(head.starts_with(&format!("Return-Path: <{DOCTOR}>\r\nReceived: from poste.test")));
    assert!(head.contains(&accepted.id));
}

#[test]
fn a_recipient_named_twice_gets_one_message() {
    let house = house();
    let twice = [(COLLEAGUE, Notify::NEVER), ("Collegue@ALPHA.mssante.test", Notify::NEVER)];
    house.submit(&twice, &mail(DOCTOR, "")).unwrap();
    assert_eq!(house.inbox(COLLEAGUE).len(), 1);
}

#[test]
fn a_local_success_report_comes_in_the_same_breath() {
    let house = house();
    house.submit(&[(COLLEAGUE, Notify::SUCCESS)], &mail(DOCTOR, "")).unwrap();
    let reports = house.inbox(DOCTOR);
    let parsed = dsn::parse(&reports[0]).unwrap();
    assert_eq!(parsed.envelope_id.as_deref(), Some("env-1"));
    assert_eq!(parsed.recipients[0].action, Some(dsn::Action::Delivered));
    assert!(reports[0].starts_with(b"Return-Path: <>\r\n"));
}

#[test]
fn an_operator_reaches_hosted_bal_only_and_speaks_for_its_domains_only() {
    let house = house();
    let from = "x@beta.mssante.test";
    let origin = Origin::Operator(house.sender("op-beta.pem", from));
    let to = [(COLLEAGUE, Notify::default())];
    house.give(&origin, from, &to, None, &mail(from, "")).unwrap();
    let forged = house.give(&origin, from, &to, None, &mail("y@postfix.mssante.test", ""));
    let Err(DeliveryError::HeaderFromNotCovered(refusal)) = forged else { panic!("{forged:?}") };
    assert_eq!(refusal.rule.code(), "header-from.not-covered");
    let relay = house.delivery.recipient(Door::Interop, &address("a@postfix.mssante.test"));
    assert!(matches!(relay, Err(DeliveryError::NotHosted)), "{relay:?}");
    let unknown = house.delivery.recipient(Door::Interop, &address("nul@alpha.mssante.test"));
    assert!(matches!(unknown, Err(DeliveryError::UnknownRecipient)), "{unknown:?}");
    assert_eq!(house.inbox(COLLEAGUE).len(), 1);
}

#[test]
fn a_suspended_domain_or_bal_takes_no_mail() {
    let house = house();
    let ask = || house.delivery.recipient(Door::Interop, &address(COLLEAGUE));
    let bal = house.store.bal_by_address(&COLLEAGUE.parse().unwrap()).unwrap().unwrap();
    house.store.bal_set_status(bal.id, BalStatus::Suspended).unwrap();
    assert!(matches!(ask(), Err(DeliveryError::BalSuspended)));
    house.store.bal_set_status(bal.id, BalStatus::Active).unwrap();
    assert!(ask().is_ok());
    house.store.domain_set_status(&domain("alpha.mssante.test"), BalStatus::Suspended).unwrap();
    assert!(matches!(ask(), Err(DeliveryError::BalSuspended)));
}

#[test]
fn the_null_sender_of_a_listed_peer_is_held_to_its_header_from() {
    let house = house();
    let origin = Origin::Operator(house.sender("op-beta.pem", ""));
    let to = [(DOCTOR, Notify::NEVER)];
    house.give(&origin, "", &to, None, &mail("mailer-daemon@beta.mssante.test", "")).unwrap();
    let forged = house.give(&origin, "", &to, None, &mail("x@alpha.mssante.test", ""));
    assert!(matches!(forged, Err(DeliveryError::HeaderFromNotCovered(_))), "{forged:?}");
}

#[test]
fn what_no_message_may_hold_is_refused() {
    let house = house();
    let to = [(COLLEAGUE, Notify::default())];
    let check = |bytes: &[u8], code: &str| {
        let error = house.submit(&to, bytes).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!error.is_temporary());
    };
    check(&mail("autre@alpha.mssante.test", ""), "delivery.author-not-allowed");
    check(&mail(DOCTOR, "From: <autre@alpha.mssante.test>\r\n"), "delivery.bad-from-field");
    check(&mail(DOCTOR, "Sender: <autre@alpha.mssante.test>\r\n"), "delivery.author-not-allowed");
    check(&mail(DOCTOR, "X: a\rb\r\n"), "delivery.bad-content");
    check(&mail(DOCTOR, "X: a\nb\r\n"), "delivery.bad-content");
    check(&mail(DOCTOR, &"Received: by x\r\n".repeat(40)), "delivery.loop");
    check(b"Subject: sans auteur\r\n\r\n", "delivery.bad-from-field");
    let outside = house.submit(&[("a@ailleurs.example", Notify::default())], &mail(DOCTOR, ""));
    assert_eq!(outside.unwrap_err().code(), "destination.not-in-list");
    assert!(house.inbox(COLLEAGUE).is_empty());
}

#[test]
fn a_refused_message_returns_to_its_sender_with_the_peers_words() {
    let house = house();
    let remote = [("a@beta.mssante.test", Notify::default())];
    let bytes = mail(DOCTOR, "");
    assert_eq!(house.submit(&remote, &bytes).unwrap().queued.len(), 1);
    let refused = RecipientResult::Failed(reply(550, "5.1.1", "no such BAL"));
    assert_eq!(house.attempt(&refused, NOW), 1);
    let reports = house.inbox(DOCTOR);
    let parsed = dsn::parse(&reports[0]).unwrap();
    let told = &parsed.recipients[0];
    assert_eq!(told.action, Some(dsn::Action::Failed));
    assert_eq!(told.status.as_deref(), Some("5.1.1"));
    let original = told.original.as_deref().unwrap();
    assert_eq!(original.replace(' ', ""), "rfc822;a@beta.mssante.test");
    assert!(told.diagnostic.as_deref().unwrap().contains("550 5.1.1 no such BAL"));
    // Small and without RET: the whole message comes back.
    let text = String::from_utf8_lossy(&reports[0]).into_owned();
    assert!(text.contains("Colombophilie\r\n") && text.contains("message/rfc822"));
    assert!(house.delivery.due(NOW.plus_secs(99_999), 10).unwrap().is_empty());
}

#[test]
fn ret_hdrs_returns_the_header_only_and_never_means_never() {
    let house = house();
    let origin = Origin::Submission(house.doctor.clone());
    let refused = RecipientResult::Failed(reply(550, "5.1.1", "no"));
    let remote = [("a@beta.mssante.test", Notify::FAILURE)];
    house.give(&origin, DOCTOR, &remote, Some(Ret::Hdrs), &mail(DOCTOR, "")).unwrap();
    house.attempt(&refused, NOW);
    let text = String::from_utf8_lossy(&house.inbox(DOCTOR)[0]).into_owned();
    assert!(text.contains("text/rfc822-headers") && !text.contains("Colombophilie"));
    house.submit(&[("b@beta.mssante.test", Notify::NEVER)], &mail(DOCTOR, "")).unwrap();
    assert_eq!(house.attempt(&refused, NOW), 1);
    assert_eq!(house.inbox(DOCTOR).len(), 1, "NOTIFY=NEVER sends nothing");
}

#[test]
fn a_late_message_is_warned_of_once_then_given_up() {
    let house = house();
    house.submit(&[("a@beta.mssante.test", Notify::default())], &mail(DOCTOR, "")).unwrap();
    let later = RecipientResult::Deferred(reply(451, "4.3.2", "back soon"));
    let mut now = NOW;
    let end = NOW.plus_secs(49 * 3600);
    let mut attempts = 0;
    while let Some(due) = house.delivery.next_due().unwrap() {
        assert!(due >= now && due < end, "attempts go forward and end");
        now = due;
        attempts += house.attempt(&later, now);
    }
    assert!(attempts > 10, "{attempts}");
    let actions: Vec<_> = house
        .inbox(DOCTOR)
        .iter()
        .map(|r| dsn::parse(r).unwrap().recipients[0].clone())
        .map(|r| (r.action.unwrap(), r.status.unwrap()))
        .collect();
    let delayed = (dsn::Action::Delayed, "4.3.2".to_owned());
    let failed = (dsn::Action::Failed, "4.4.7".to_owned());
    assert_eq!(actions, [delayed, failed]);
}

#[test]
fn a_peer_without_dsn_makes_us_say_relayed() {
    let house = house();
    let asked = [("a@beta.mssante.test", Notify::SUCCESS)];
    for (dsn_supported, reports) in [(true, 0), (false, 1)] {
        house.submit(&asked, &mail(DOCTOR, "")).unwrap();
        let taken = RecipientResult::Delivered { reply: reply(250, "2.0.0", "ok"), dsn_supported };
        house.attempt(&taken, NOW);
        assert_eq!(house.inbox(DOCTOR).len(), reports);
    }
    let parsed = dsn::parse(&house.inbox(DOCTOR)[0]).unwrap();
    assert_eq!(parsed.recipients[0].action, Some(dsn::Action::Relayed));
}

#[test]
fn a_lost_lease_settles_nothing() {
    let house = house();
    house.submit(&[("a@beta.mssante.test", Notify::default())], &mail(DOCTOR, "")).unwrap();
    let id = house.delivery.due(NOW, 1).unwrap()[0].id;
    let stale = house.delivery.claim(&[id], NOW, NOW.plus_secs(1)).unwrap().remove(0);
    let after = NOW.plus_secs(2);
    let fresh = house.delivery.claim(&[id], after, after.plus_secs(60)).unwrap();
    assert_eq!(fresh.len(), 1, "an expired lease can be taken over");
    let attempt = Attempt {
        results: vec![RecipientResult::Failed(reply(550, "5.0.0", "no"))],
        remote_mta: None,
        evidence: None,
        rule: None,
    };
    house.delivery.outcome(&stale, &attempt, after).unwrap();
    assert!(house.store.queue_item(id).unwrap().is_some());
    assert!(house.inbox(DOCTOR).is_empty());
}

#[test]
fn the_journal_tells_who_decided_what() {
    let house = house();
    let from = "x@beta.mssante.test";
    let origin = Origin::Operator(house.sender("op-beta.pem", from));
    house.give(&origin, from, &[(COLLEAGUE, Notify::NEVER)], None, &mail(from, "")).unwrap();
    let query = JournalQuery {
        from: None,
        to: None,
        message_id: Some("<m1@alpha.mssante.test>".to_owned()),
        peer: None,
        peer_dn: None,
        domain: None,
        event_prefix: None,
        rule_prefix: None,
        bal: None,
        limit: 10,
    };
    let lines = house.store.journal(&query).unwrap();
    assert_eq!(lines.len(), 1);
    let line = &lines[0].1;
    assert_eq!(line.event, "smtp.interop.accepted");
    assert!(line.peer_dn.as_deref().unwrap().contains("smtp.beta.mssante.test"));
    assert!(line.detail.contains("digest_hex") && !line.detail.contains("Colombophilie"));
}
