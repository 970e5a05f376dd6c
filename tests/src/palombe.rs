//! Palombe itself: the built binary, with a configuration, a data folder and addresses of its own.

use crate::clients::Account;
use crate::process::{self, Running};
use crate::site::{self, Site};
use crate::{pki, repo};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One operator; stopped when dropped.
pub struct Palombe {
    /// `alpha`, `beta`…
    pub name: String,
    /// Password of every BAL that the tests make.
    pub password: String,
    site: Site,
    localhost_imaps: u16,
    localhost_submission: u16,
    keys: BTreeMap<String, BTreeMap<String, String>>,
    server: Option<Running>,
}

impl Palombe {
    /// Prepares operator `name`, with the certificate `op-<name>` of the toy IGC-Santé; nothing runs yet.
    pub fn prepare(name: &str) -> Result<Palombe> {
        let site = Site::new(name)?;
        let mut palombe = Palombe {
            name: name.to_owned(),
            password: "colombe-d'essai".to_owned(),
            localhost_imaps: site::free_localhost_port()?,
            localhost_submission: site::free_localhost_port()?,
            keys: BTreeMap::new(),
            server: None,
            site,
        };
        palombe.defaults()?;
        Ok(palombe)
    }

    /// Prepares, starts, and hosts `<name>.mssante.test`.
    pub fn start(name: &str) -> Result<Palombe> {
        let mut palombe = Palombe::prepare(name)?;
        palombe.resume()?;
        palombe.add_domain(&palombe.domain())?;
        Ok(palombe)
    }

    fn defaults(&mut self) -> Result<()> {
        let folder = self.site.folder().to_owned();
        let key = folder.join("ssl-serv.key");
        self.show_certificate(&format!("op-{}", self.name))?;
        let password = self.password.clone();
        self.site.write("password", password)?;
        let site = &self.site;
        let values = [
            ("server", "hostname", quoted(format!("smtp.{}.mssante.test", self.name))),
            ("server", "data_folder", quoted(folder.join("data").display())),
            ("tls", "key", quoted(key.display())),
            ("tls", "anchors", quoted(pki::anchors().display())),
            ("trust", "environment", quoted("test")),
            ("trust", "liste_blanche", quoted(pki::file("liste-blanche.xml").display())),
            ("trust", "crl_folder", quoted(pki::file("crl").display())),
            ("trust", "signer_names", "[\"alb.mssante.test\"]".to_owned()),
            ("interop", "listen", format!("[\"{}\"]", site.at(site::SMTP))),
            (
                "submission",
                "listen",
                format!(
                    "[\"{}\", \"127.0.0.1:{}\"]",
                    site.at(site::SUBMISSION),
                    self.localhost_submission
                ),
            ),
            ("imap", "listen", format!("[\"{}\"]", site.at(site::IMAP))),
            (
                "imap",
                "listen_tls",
                format!("[\"{}\", \"127.0.0.1:{}\"]", site.at(site::IMAPS), self.localhost_imaps),
            ),
            ("relay", "port", site::SMTP.to_string()),
            ("queue", "retry_secs", "[1]".to_owned()),
            ("metrics", "listen", quoted("")),
        ];
        for (section, key, value) in values {
            self.set(section, key, &value);
        }
        Ok(())
    }

    /// Sets a configuration key to a TOML value, before [`resume`](Self::resume).
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> &mut Self {
        self.keys.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// A route that does not follow MX.
    pub fn route(&mut self, domain: &str, address: SocketAddr) -> &mut Self {
        self.set("relay.routes", &quoted(domain), &quoted(address))
    }

    /// Shows this certificate of the toy IGC-Santé, from the next start or reload on.
    pub fn show_certificate(&mut self, name: &str) -> Result<()> {
        let key = self.site.folder().join("ssl-serv.key");
        std::fs::copy(pki::key(name), &key).context("certs/test-pki")?;
        std::fs::set_permissions(&key, Permissions::from_mode(0o600))?;
        self.set("tls", "certificate", &quoted(pki::certificate(name).display()));
        Ok(())
    }

    /// Writes the configuration file.
    pub fn configure(&self) -> Result<PathBuf> {
        let mut text = String::new();
        for (section, keys) in &self.keys {
            writeln!(text, "[{section}]")?;
            for (key, value) in keys {
                writeln!(text, "{key} = {value}")?;
            }
        }
        self.site.write("palombe.toml", text)
    }

    /// Writes the configuration and starts the server; returns when every listener answers.
    pub fn resume(&mut self) -> Result<()> {
        let config = self.configure()?;
        let mut command = Command::new(repo::binary("palombe")?);
        command.arg("run").arg("--config").arg(config);
        let mut server = Running::start(&self.name, &mut command, &self.log_file())?;
        for port in [site::SMTP, site::SUBMISSION, site::IMAP, site::IMAPS] {
            server.wait_listening(self.site.at(port))?;
        }
        self.server = Some(server);
        Ok(())
    }

    /// Ends it as an administrator would (SIGTERM); its data stays.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            let status = server.stop()?;
            if !status.success() {
                bail!("{} ended with {status}\n{}", self.name, process::tail(&server.log()));
            }
        }
        Ok(())
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
        }
        Ok(())
    }

    /// The running process.
    pub fn server(&mut self) -> Result<&mut Running> {
        self.server.as_mut().context("the operator is not running")
    }

    /// `palombe ARGUMENTS…` with this operator's configuration; its output, whether it succeeded or not.
    pub fn cli_output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(repo::binary("palombe")?);
        command.arg("--config").arg(self.site.folder().join("palombe.toml")).args(arguments);
        Ok(command.output()?)
    }

    /// The same, and it must succeed; its standard output.
    pub fn cli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(repo::binary("palombe")?);
        command.arg("--config").arg(self.site.folder().join("palombe.toml")).args(arguments);
        let output = process::run(&mut command).map_err(|error| {
            error.context(format!("log of {}:\n{}", self.name, process::tail(&self.log())))
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Hosts a domain.
    pub fn add_domain(&self, domain: &str) -> Result<()> {
        self.cli(&["domain", "add", domain]).map(drop)
    }

    /// Makes a BAL with the common password and returns its address.
    pub fn add_bal(&self, local_part: &str) -> Result<String> {
        let address = format!("{local_part}@{}", self.domain());
        let password = self.password_file();
        self.cli(&["bal", "add", &address, "--password-file", &password.display().to_string()])?;
        Ok(address)
    }

    /// `<name>.mssante.test`
    pub fn domain(&self) -> String {
        format!("{}.mssante.test", self.name)
    }

    /// Name in the certificate.
    pub fn hostname(&self) -> String {
        format!("smtp.{}.mssante.test", self.name)
    }

    /// The way in of the holder of a BAL.
    pub fn account(&self, address: &str) -> Account {
        Account {
            host: self.hostname(),
            submission: self.submission(),
            imaps: self.imaps(),
            address: address.to_owned(),
            password: self.password.clone(),
        }
    }

    /// The same for clients that check the name against the certificate: `localhost`.
    pub fn localhost_account(&self, address: &str) -> Account {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Account {
            host: "localhost".to_owned(),
            submission: local(self.localhost_submission),
            imaps: local(self.localhost_imaps),
            ..self.account(address)
        }
    }

    /// Where operators come in.
    pub fn smtp(&self) -> SocketAddr {
        self.site.at(site::SMTP)
    }

    /// Where people come in.
    pub fn submission(&self) -> SocketAddr {
        self.site.at(site::SUBMISSION)
    }

    /// IMAP with STARTTLS.
    pub fn imap(&self) -> SocketAddr {
        self.site.at(site::IMAP)
    }

    /// IMAP over TLS.
    pub fn imaps(&self) -> SocketAddr {
        self.site.at(site::IMAPS)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.site.folder()
    }

    /// Its site, for files of the test.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Its data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.site.folder().join("data")
    }

    /// File with the common password.
    pub fn password_file(&self) -> PathBuf {
        self.site.folder().join("password")
    }

    /// What it logged since the first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Processor time of its processes, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.server.as_ref().map_or(0.0, Running::cpu_seconds)
    }

    /// Memory of its process, octets.
    pub fn memory_bytes(&self) -> u64 {
        self.server.as_ref().map_or(0, Running::memory_bytes)
    }

    fn log_file(&self) -> PathBuf {
        self.site.folder().join("log")
    }
}

/// A TOML string.
fn quoted(value: impl std::fmt::Display) -> String {
    format!("\"{}\"", value.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}
