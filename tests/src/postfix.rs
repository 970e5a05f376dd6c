//! Postfix as the other operator: an instance of its own, in a folder of its own, on an address of its own.

use crate::pki;
use crate::process::{self, Running};
use crate::site::{self, Site};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

/// User id under which mail is written; it needs no name on the machine.
pub const MAIL_ID: u32 = 5000;

/// Where accepted mail goes.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// Into maildirs, by Postfix itself.
    Maildir,
    /// To an LMTP server.
    Lmtp(SocketAddr),
}

/// What differs between instances.
#[derive(Clone, Debug)]
pub struct PostfixSettings {
    /// Certificate of the toy IGC-Santé, such as `op-postfix`.
    pub certificate: String,
    /// Name of the host, as in the certificate.
    pub hostname: String,
    /// The hosted domain.
    pub domain: String,
    /// Local parts of its mailboxes.
    pub mailboxes: Vec<String>,
    /// Where mail goes.
    pub delivery: Delivery,
    /// Other domains and their servers.
    pub routes: Vec<(String, SocketAddr)>,
    /// Further lines of main.cf.
    pub extra: Vec<String>,
}

impl PostfixSettings {
    /// The peer of the interoperation tests.
    pub fn peer() -> Self {
        PostfixSettings {
            certificate: "op-postfix".to_owned(),
            hostname: "smtp.postfix.mssante.test".to_owned(),
            domain: "postfix.mssante.test".to_owned(),
            mailboxes: vec!["medecin".to_owned()],
            delivery: Delivery::Maildir,
            routes: Vec::new(),
            extra: Vec::new(),
        }
    }
}

/// The instance; stopped when dropped.
pub struct Postfix {
    settings: PostfixSettings,
    site: Site,
    server: Option<Running>,
}

/// What is missing on this machine.
pub fn missing() -> Option<String> {
    if let Some(missing) = process::missing_programs(&["postfix", "postqueue"]) {
        return Some(missing);
    }
    (!process::is_root()).then(|| "Postfix can only be started by root".to_owned())
}

impl Postfix {
    /// Takes a place for it; nothing runs yet.
    pub fn prepare(settings: PostfixSettings) -> Result<Postfix> {
        let site = Site::new("postfix")?;
        let mail = site.subfolder("mail")?;
        chown(&mail, Some(MAIL_ID), Some(MAIL_ID))?;
        Ok(Postfix { settings, site, server: None })
    }

    /// Prepares and starts it.
    pub fn start(settings: PostfixSettings) -> Result<Postfix> {
        let mut postfix = Postfix::prepare(settings)?;
        postfix.resume()?;
        Ok(postfix)
    }

    /// Where accepted mail goes from the next start on.
    pub fn deliver(&mut self, delivery: Delivery) {
        self.settings.delivery = delivery;
    }

    /// A route to another operator, from the next start on.
    pub fn route(&mut self, domain: &str, address: SocketAddr) {
        self.settings.routes.push((domain.to_owned(), address));
    }

    /// Where operators come in (mutual TLS).
    pub fn smtp(&self) -> SocketAddr {
        self.site.at(site::SMTP)
    }

    /// Where this operator's own people come in (no TLS: loopback).
    pub fn submission(&self) -> SocketAddr {
        self.site.at(site::SUBMISSION)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// Maildir of a mailbox.
    pub fn maildir(&self, local_part: &str) -> PathBuf {
        self.site.folder().join("mail").join(local_part).join("Maildir")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        let mail = std::fs::read(self.site.folder().join("mail.log")).unwrap_or_default();
        let own = self.server.as_ref().map(Running::log).unwrap_or_default();
        own + &String::from_utf8_lossy(&mail)
    }

    /// Processor time of its processes, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.server.as_ref().map_or(0.0, Running::cpu_seconds)
    }

    /// Memory of all its processes, octets.
    pub fn memory_bytes(&self) -> u64 {
        self.server.as_ref().map_or(0, Running::memory_bytes)
    }

    /// Stops it; its queue and mail stay.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.stop()?;
        }
        Ok(())
    }

    /// Writes its configuration and starts it.
    pub fn resume(&mut self) -> Result<()> {
        self.configure()?;
        // "check" makes the queue folders; "postfix start-fg" would fork, and the fork could not be ended by id.
        process::run(Command::new("/usr/sbin/postfix").arg("-c").arg(self.config()).arg("check"))?;
        let mut command = Command::new("/usr/lib/postfix/sbin/master");
        command.arg("-c").arg(self.config()).arg("-d");
        let mut server =
            Running::start("postfix", &mut command, &self.site.folder().join("start.log"))?;
        server.wait_listening(self.smtp())?;
        server.wait_listening(self.submission())?;
        self.server = Some(server);
        Ok(())
    }

    /// Asks for an attempt at everything in the queue.
    pub fn flush(&self) -> Result<()> {
        process::run(Command::new("/usr/sbin/postqueue").arg("-c").arg(self.config()).arg("-f"))?;
        Ok(())
    }

    /// The queue, one JSON object a line.
    pub fn queue(&self) -> Result<String> {
        let output = process::run(
            Command::new("/usr/sbin/postqueue").arg("-c").arg(self.config()).arg("-j"),
        )?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Messages in the queue: accepted, not yet in a mailbox.
    pub fn queued(&self) -> usize {
        let queue = self.site.folder().join("queue");
        ["incoming", "active", "deferred", "maildrop"]
            .iter()
            .map(|name| count(&queue.join(name)))
            .sum()
    }

    fn config(&self) -> PathBuf {
        self.site.folder().join("etc")
    }

    fn configure(&self) -> Result<()> {
        let etc = self.site.subfolder("etc")?;
        self.site.subfolder("queue")?;
        let data = self.site.subfolder("data")?;
        let owner = postfix_owner()?;
        chown(&data, Some(owner), None)?;
        std::fs::write(etc.join("main.cf"), self.main_cf()?)?;
        std::fs::write(etc.join("master.cf"), self.master_cf())?;
        let mut mailboxes = String::new();
        for name in &self.settings.mailboxes {
            writeln!(mailboxes, "{name}@{} {name}/Maildir/", self.settings.domain)?;
        }
        std::fs::write(etc.join("mailboxes"), mailboxes)?;
        let mut routes = String::new();
        for (domain, address) in &self.settings.routes {
            writeln!(routes, "{domain} smtp:[{}]:{}", address.ip(), address.port())?;
        }
        std::fs::write(etc.join("routes"), routes)?;
        Ok(())
    }

    fn main_cf(&self) -> Result<String> {
        let folder = self.site.folder().display();
        let PostfixSettings { certificate, hostname, domain, .. } = &self.settings;
        let (chain, key, anchors) =
            (pki::certificate(certificate), pki::key(certificate), pki::anchors());
        let (chain, key, anchors) = (chain.display(), key.display(), anchors.display());
        let delivery = match &self.settings.delivery {
            Delivery::Maildir => "virtual".to_owned(),
            Delivery::Lmtp(address) => format!("lmtp:inet:{address}"),
        };
        let mut text = format!(
            "compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
default_database_type = texthash
alias_maps =
alias_database =
inet_interfaces = loopback-only
smtp_bind_address = {ip}
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
myhostname = {hostname}
myorigin = {domain}
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes
virtual_uid_maps = static:{MAIL_ID}
virtual_gid_maps = static:{MAIL_ID}
virtual_mailbox_limit = 0
virtual_transport = {delivery}
transport_maps = texthash:{folder}/etc/routes
message_size_limit = 37748736
mailbox_size_limit = 0
smtpd_tls_security_level = encrypt
smtpd_tls_req_ccert = yes
smtpd_tls_ask_ccert = yes
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_CAfile = {anchors}
smtpd_tls_received_header = yes
smtpd_relay_restrictions = reject_unauth_destination
smtp_tls_security_level = encrypt
smtp_tls_cert_file = {chain}
smtp_tls_key_file = {key}
smtp_tls_CAfile = {anchors}
smtp_tls_loglevel = 1
smtpd_tls_loglevel = 1
",
            ip = self.site.ip,
        );
        for line in &self.settings.extra {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }

    /// Debian's services, on our address, and a door for this operator's own people.
    fn master_cf(&self) -> String {
        let ip = self.site.ip;
        format!(
            "{ip}:{smtp} inet n - n - - smtpd
{ip}:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=none
  -o smtpd_tls_req_ccert=no
  -o smtpd_relay_restrictions=permit_mynetworks,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
",
            smtp = site::SMTP,
            submission = site::SUBMISSION,
        )
    }
}

/// The user that Debian's package made.
fn postfix_owner() -> Result<u32> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    users
        .lines()
        .find_map(|line| line.strip_prefix("postfix:")?.split(':').nth(1)?.parse().ok())
        .context("the machine has no user named postfix")
}

/// Files in a folder and its subfolders.
fn count(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            Ok(_) => 1,
            Err(_) => 0,
        })
        .sum()
}
