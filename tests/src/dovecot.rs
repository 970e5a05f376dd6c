//! Dovecot beside Postfix, for comparison: an instance of its own over the same maildirs.

use crate::pki;
use crate::postfix::MAIL_ID;
use crate::process::{self, Running};
use crate::site::{self, Site};
use anyhow::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// The instance; stopped when dropped.
pub struct Dovecot {
    server: Running,
    site: Site,
}

/// What is missing on this machine.
pub fn missing() -> Option<String> {
    if let Some(missing) = process::missing_programs(&["dovecot"]) {
        return Some(missing);
    }
    (!process::is_root()).then(|| "Dovecot can only be started by root".to_owned())
}

impl Dovecot {
    /// Starts it over the maildirs in `mail` (`<local part>/Maildir`), all with one password.
    pub fn start(certificate: &str, mail: &Path, password: &str) -> Result<Dovecot> {
        let site = Site::new("dovecot")?;
        let config = site.write("dovecot.conf", config(&site, certificate, mail, password))?;
        let mut command = Command::new("/usr/sbin/dovecot");
        command.arg("-F").arg("-c").arg(config);
        let mut server = Running::start("dovecot", &mut command, &site.folder().join("start.log"))?;
        server.wait_listening(site.at(site::IMAPS))?;
        server.wait_listening(site.at(site::LMTP))?;
        Ok(Dovecot { server, site })
    }

    /// IMAP over TLS.
    pub fn imaps(&self) -> SocketAddr {
        self.site.at(site::IMAPS)
    }

    /// LMTP.
    pub fn lmtp(&self) -> SocketAddr {
        self.site.at(site::LMTP)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        let mail = std::fs::read(self.site.folder().join("log")).unwrap_or_default();
        self.server.log() + &String::from_utf8_lossy(&mail)
    }

    /// Processor time of its processes, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.server.cpu_seconds()
    }

    /// Memory of all its processes, octets.
    pub fn memory_bytes(&self) -> u64 {
        self.server.memory_bytes()
    }
}

/// Defaults wherever a default exists: durability (`mail_fsync`), indexes, processes per login.
fn config(site: &Site, certificate: &str, mail: &Path, password: &str) -> String {
    let folder = site.folder().display();
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap lmtp
listen = {ip}
ssl = required
ssl_cert = <{chain}
ssl_key = <{key}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}
mail_location = maildir:{mail}/%n/Maildir
first_valid_uid = {MAIL_ID}
last_valid_uid = {MAIL_ID}
auth_username_format = %Ln
mail_max_userip_connections = 100
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={MAIL_ID} gid={MAIL_ID} home={mail}/%n allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = {ip}
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = {ip}
    port = {lmtp}
  }}
}}
",
        ip = site.ip,
        chain = pki::certificate(certificate).display(),
        key = pki::key(certificate).display(),
        mail = mail.display(),
        imaps = site::IMAPS,
        lmtp = site::LMTP,
    )
}
