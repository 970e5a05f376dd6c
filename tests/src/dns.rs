//! A real name server (dnsmasq) that knows only what the test tells it.

use crate::process::{self, Running};
use crate::site::{self, Site};
use anyhow::Result;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

/// The name server; gone when dropped.
pub struct Dns {
    server: Running,
    address: SocketAddr,
    _site: Site,
}

/// What is missing on this machine.
pub fn missing() -> Option<String> {
    process::missing_programs(&["dnsmasq"])
}

impl Dns {
    /// Answers, for each (domain, host, address): an MX record from domain to host, and an A record for host.
    pub fn start(records: &[(&str, &str, IpAddr)]) -> Result<Dns> {
        let site = Site::new("dns")?;
        let address = site.at(site::DNS);
        let mut command = Command::new("/usr/sbin/dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
        ]);
        command.args(["--bind-interfaces", "--log-facility=-", "--local=/#/"]);
        command.arg(format!("--user={}", user()));
        command.arg(format!("--pid-file={}", site.folder().join("pid").display()));
        command.arg(format!("--listen-address={}", address.ip()));
        command.arg(format!("--port={}", address.port()));
        for (domain, host, ip) in records {
            command.arg(format!("--mx-host={domain},{host},10"));
            command.arg(format!("--host-record={host},{ip}"));
        }
        let mut server = Running::start("dnsmasq", &mut command, &site.folder().join("log"))?;
        server.wait_listening(address)?;
        Ok(Dns { server, address, _site: site })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops answering.
    pub fn stop(&mut self) -> Result<()> {
        self.server.stop().map(drop)
    }
}

/// dnsmasq changes to this user when it is started by the super-user: here it stays who it is.
fn user() -> String {
    std::env::var("USER").ok().filter(|_| !process::is_root()).unwrap_or_else(|| "root".to_owned())
}
