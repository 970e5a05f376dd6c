//! The two sides, hosting the same domain with the same certificate and the same mailboxes.

use crate::{ReferenceDelivery, Side};
use anyhow::Result;
use palombe_load::tls::{Identity, client_config};
use palombe_tests::dovecot::Dovecot;
use palombe_tests::palombe::Palombe;
use palombe_tests::pki;
use palombe_tests::postfix::{Delivery, Postfix, PostfixSettings};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Mailboxes on each side.
pub const MAILBOXES: usize = 32;
/// Domain that both sides host.
pub const DOMAIN: &str = "beta.mssante.test";
/// Name in their certificate.
pub const HOSTNAME: &str = "smtp.beta.mssante.test";
/// Password of every mailbox.
pub const PASSWORD: &str = "colombe-d'essai";

/// A running side.
pub enum Server {
    /// Palombe.
    Palombe(Box<Palombe>),
    /// Postfix delivering to Dovecot, which serves IMAP.
    Reference(Box<(Postfix, Dovecot)>),
}

/// What a piece of work took from the server.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Highest memory seen, octets.
    pub memory_bytes: u64,
    /// Processor time of the server, seconds.
    pub cpu_seconds: f64,
    /// Processor time of the client, seconds.
    pub client_cpu_seconds: f64,
}

/// Address of mailbox `number`.
pub fn mailbox(number: usize) -> String {
    format!("bal{number:02}@{DOMAIN}")
}

/// TLS of the client, an operator of its own.
pub fn client_tls() -> Result<Arc<ClientConfig>> {
    let (chain, key) = (pki::certificate("op-charge"), pki::key("op-charge"));
    client_config(&pki::anchors(), Some(Identity { certificate: &chain, key: &key }))
}

impl Server {
    /// Starts a side.
    pub fn start(side: Side, delivery: ReferenceDelivery) -> Result<Server> {
        match side {
            Side::Palombe => start_palombe(),
            Side::Reference => start_reference(delivery),
        }
    }

    /// Which it is.
    pub fn side(&self) -> Side {
        match self {
            Server::Palombe(_) => Side::Palombe,
            Server::Reference(_) => Side::Reference,
        }
    }

    /// Where operators come in.
    pub fn smtp(&self) -> SocketAddr {
        match self {
            Server::Palombe(palombe) => palombe.smtp(),
            Server::Reference(reference) => reference.0.smtp(),
        }
    }

    /// Waits until all that was accepted is in the mailboxes (Palombe files at once), at most a minute.
    pub fn settle(&self) {
        if let Server::Reference(reference) = self {
            let empty = || Ok((reference.0.queued() == 0).then_some(()));
            if let Err(error) = palombe_tests::wait::until("an empty queue", empty) {
                eprintln!("Postfix: {error}\n{}", palombe_tests::process::tail(&reference.0.log()));
            }
        }
    }

    /// Runs `work` and tells what it took.
    pub fn measure<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Took)> {
        let own = std::process::id();
        let (before, client_before) = (self.cpu_seconds(), palombe_tests::process::cpu_of(own));
        let (finished, watch) = channel::<()>();
        let (result, memory_bytes) = std::thread::scope(|scope| {
            let watcher = scope.spawn(move || {
                let mut highest = 0;
                while let Err(RecvTimeoutError::Timeout) =
                    watch.recv_timeout(Duration::from_secs(1))
                {
                    highest = self.memory_bytes().max(highest);
                }
                highest
            });
            let result = work();
            drop(finished);
            (result, watcher.join().unwrap_or(0))
        });
        let took = Took {
            memory_bytes: memory_bytes.max(self.memory_bytes()),
            cpu_seconds: self.cpu_seconds() - before,
            client_cpu_seconds: palombe_tests::process::cpu_of(own) - client_before,
        };
        Ok((result?, took))
    }

    fn memory_bytes(&self) -> u64 {
        match self {
            Server::Palombe(palombe) => palombe.memory_bytes(),
            Server::Reference(reference) => reference.0.memory_bytes() + reference.1.memory_bytes(),
        }
    }

    fn cpu_seconds(&self) -> f64 {
        match self {
            Server::Palombe(palombe) => palombe.cpu_seconds(),
            Server::Reference(reference) => reference.0.cpu_seconds() + reference.1.cpu_seconds(),
        }
    }
}

fn start_palombe() -> Result<Server> {
    Ok(Server::Palombe(Box::new(palombe()?)))
}

/// Palombe with its mailboxes.
pub fn palombe() -> Result<Palombe> {
    let mut palombe = Palombe::prepare("beta")?;
    palombe.password = PASSWORD.to_owned();
    for door in ["interop", "submission"] {
        palombe.set(door, "messages_per_minute", "0");
    }
    // Every client of the benchmark comes from one address.
    palombe.set("imap", "connections_per_peer_max", "5000");
    palombe.resume()?;
    palombe.add_domain(DOMAIN)?;
    for number in 0..MAILBOXES {
        palombe.add_bal(&format!("bal{number:02}"))?;
    }
    Ok(palombe)
}

fn start_reference(delivery: ReferenceDelivery) -> Result<Server> {
    let mut settings = PostfixSettings::peer();
    settings.certificate = "op-beta".to_owned();
    settings.hostname = HOSTNAME.to_owned();
    settings.domain = DOMAIN.to_owned();
    settings.mailboxes = (0..MAILBOXES).map(|number| format!("bal{number:02}")).collect();
    let mut postfix = Postfix::prepare(settings)?;
    let dovecot = Dovecot::start("op-beta", &postfix.folder().join("mail"), PASSWORD)?;
    postfix.deliver(match delivery {
        ReferenceDelivery::Maildir => Delivery::Maildir,
        ReferenceDelivery::Lmtp => Delivery::Lmtp(dovecot.lmtp()),
    });
    postfix.resume()?;
    Ok(Server::Reference(Box::new((postfix, dovecot))))
}
