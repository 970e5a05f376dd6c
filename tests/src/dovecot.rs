//! Dovecot beside Postfix, for comparison: an instance of its own over the same maildirs.

use crate::pki;
use crate::postfix::MAIL_ID;
use crate::process::{self, Running};
use crate::site::{self, Site};
use anyhow::Result;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

/// The instance; stopped when dropped.
pub struct Dovecot {
    server: Running,
    site: Site,
}

/// How Dovecot keeps mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A file for each message.
    Maildir,
    /// A file for each message, state in indexes only.
    Sdbox,
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
        Dovecot::launch(Site::new("dovecot")?, certificate, mail, (Format::Maildir, password))
    }

    /// Starts one by itself, with empty mailboxes in this format.
    pub fn alone(certificate: &str, format: Format, password: &str) -> Result<Dovecot> {
        let site = Site::new("dovecot")?;
        let mail = site.subfolder("mail")?;
        chown(&mail, Some(MAIL_ID), Some(MAIL_ID))?;
        Dovecot::launch(site, certificate, &mail, (format, password))
    }

    fn launch(
        site: Site,
        certificate: &str,
        mail: &Path,
        (format, password): (Format, &str),
    ) -> Result<Dovecot> {
        let location = match format {
            Format::Maildir => format!("maildir:{}/%n/Maildir", mail.display()),
            Format::Sdbox => format!("sdbox:{}/%n/sdbox", mail.display()),
        };
        let text = config(&site, certificate, (mail, &location), password);
        let config = site.write("dovecot.conf", text)?;
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

/// The folders that Palombe makes too.
const FOLDERS: &str = "namespace inbox {
  inbox = yes
  mailbox Drafts {
    auto = create
    special_use = \\Drafts
  }
  mailbox Trash {
    auto = create
    special_use = \\Trash
  }
  mailbox Archive {
    auto = create
    special_use = \\Archive
  }
}
";

/// Defaults wherever a default exists: durability (`mail_fsync`), indexes, processes per login.
fn config(
    site: &Site,
    certificate: &str,
    (mail, location): (&Path, &str),
    password: &str,
) -> String {
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
{FOLDERS}mail_location = {location}
first_valid_uid = {MAIL_ID}
last_valid_uid = {MAIL_ID}
auth_username_format = %Ln
mail_max_userip_connections = 2000
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={MAIL_ID} gid={MAIL_ID} home={mail}/%n allow_all_users=yes
}}
service imap-login {{
  process_limit = 2048
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = {ip}
    port = {imaps}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 2048
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
