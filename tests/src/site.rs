//! A place for one test: a loopback address that nobody else uses, and a folder.

use anyhow::{Context, Result, bail};
use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use tempfile::TempDir;

/// Between operators. The same on each address, as port 25 is in the world.
pub const SMTP: u16 = 2525;
/// Submission.
pub const SUBMISSION: u16 = 2587;
/// IMAP with STARTTLS.
pub const IMAP: u16 = 2143;
/// IMAP over TLS.
pub const IMAPS: u16 = 2993;
/// LMTP, for Dovecot.
pub const LMTP: u16 = 2424;
/// Name service.
pub const DNS: u16 = 2053;

static NEXT: AtomicU8 = AtomicU8::new(1);

/// An address of 127.0.0.0/8 and a temporary folder, removed with the value (kept when `PALOMBE_KEEP` is set).
pub struct Site {
    /// The address.
    pub ip: IpAddr,
    folder: TempDir,
}

impl Site {
    /// Takes the next address that is free on all the ports above.
    pub fn new(name: &str) -> Result<Site> {
        let pid = std::process::id();
        for _ in 0..200 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
            // One address per process and number; 127.64.0.0/10 keeps clear of what people use by hand.
            let [high, low] = (pid as u16).to_be_bytes();
            let ip = IpAddr::V4(Ipv4Addr::new(127, 64 + high % 64, low, number));
            let free = [SMTP, SUBMISSION, IMAP, IMAPS, LMTP, DNS]
                .iter()
                .all(|port| TcpListener::bind(SocketAddr::new(ip, *port)).is_ok());
            if free {
                let folder = tempfile::Builder::new()
                    .prefix(&format!("palombe-{name}-"))
                    .disable_cleanup(std::env::var_os("PALOMBE_KEEP").is_some())
                    .tempdir()?;
                // Postfix and Dovecot read it under names of their own.
                std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
                return Ok(Site { ip, folder });
            }
        }
        bail!("no loopback address is free")
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A folder inside, made when missing.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder().join(name);
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Writes a file inside and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.folder().join(name);
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Address and port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }
}

/// A port of 127.0.0.1 (`localhost`, for clients that check names) that is free now.
pub fn free_localhost_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
