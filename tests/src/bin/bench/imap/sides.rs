//! The sides, with the same certificate and the same mailboxes.

use crate::{Side, servers};
use anyhow::Result;
use palombe_load::imap::ImapTarget;
use palombe_load::tls::client_config;
use palombe_tests::dovecot::{Dovecot, Format};
use palombe_tests::palombe::Palombe;
use serde::Serialize;

pub use crate::servers::{PASSWORD, mailbox};

/// One of the sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Palombe,
    DovecotMaildir,
    DovecotSdbox,
}

impl Kind {
    /// Those asked for.
    pub fn wanted(sides: &[Side]) -> Vec<Kind> {
        let mut kinds = Vec::new();
        if sides.contains(&Side::Palombe) {
            kinds.push(Kind::Palombe);
        }
        if sides.contains(&Side::Reference) {
            kinds.extend([Kind::DovecotMaildir, Kind::DovecotSdbox]);
        }
        kinds
    }

    pub fn title(self) -> &'static str {
        match self {
            Kind::Palombe => "Palombe",
            Kind::DovecotMaildir => "Dovecot maildir",
            Kind::DovecotSdbox => "Dovecot sdbox",
        }
    }
}

/// A running side.
pub struct Server {
    pub kind: Kind,
    process: Process,
}

enum Process {
    Palombe(Box<Palombe>),
    Dovecot(Box<Dovecot>),
}

impl Server {
    pub fn start(kind: Kind) -> Result<Server> {
        let dovecot = |format| -> Result<Process> {
            Ok(Process::Dovecot(Box::new(Dovecot::alone("op-beta", format, PASSWORD)?)))
        };
        let process = match kind {
            Kind::Palombe => Process::Palombe(Box::new(servers::palombe()?)),
            Kind::DovecotMaildir => dovecot(Format::Maildir)?,
            Kind::DovecotSdbox => dovecot(Format::Sdbox)?,
        };
        Ok(Server { kind, process })
    }

    /// For clients.
    pub fn target(&self) -> Result<ImapTarget> {
        Ok(ImapTarget {
            address: match &self.process {
                Process::Palombe(palombe) => palombe.imaps(),
                Process::Dovecot(dovecot) => dovecot.imaps(),
            },
            server_name: servers::HOSTNAME.to_owned(),
            tls: client_config(&palombe_tests::pki::anchors(), None)?,
        })
    }

    /// Of all its processes, octets.
    pub fn memory_bytes(&self) -> u64 {
        match &self.process {
            Process::Palombe(palombe) => palombe.memory_bytes(),
            Process::Dovecot(dovecot) => dovecot.memory_bytes(),
        }
    }

    /// Of all its processes, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        match &self.process {
            Process::Palombe(palombe) => palombe.cpu_seconds(),
            Process::Dovecot(dovecot) => dovecot.cpu_seconds(),
        }
    }
}
