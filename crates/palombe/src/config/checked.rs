//! The checked configuration: addresses parsed, certificates loaded, bounds compared.

use super::BadConfig;
use super::raw::RawConfig;
use ipnet::IpNet;
use palombe_delivery::{DeliverySettings, RetryCalendar};
use palombe_trust::{
    Anchors, DnMatching, EkuPolicy, Environment, TlsIdentity, TrustPolicy, UnknownRevocation,
};
use palombe_vocabulary::{Domain, Secret};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Largest configuration, certificate or key file, octets.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Everything the wiring needs, checked.
pub struct Config {
    /// Keys whose values need no more than their bounds.
    pub raw: RawConfig,
    /// The name of this host, parsed.
    pub hostname: Domain,
    /// This operator's certificate and key.
    pub identity: TlsIdentity,
    /// Anchors of the trust space.
    pub anchors: Anchors,
    /// Values for what the référentiels leave open.
    pub trust: TrustPolicy,
    /// For `delivery`.
    pub delivery: DeliverySettings,
    /// Listeners and their proxies.
    pub interop: Doorway,
    /// Same.
    pub submission: Doorway,
    /// Same, STARTTLS.
    pub imap: Doorway,
    /// Same, TLS from the first byte.
    pub imap_tls: Doorway,
    /// `GET /metrics`
    pub metrics: Option<SocketAddr>,
    /// Name servers; empty: the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// Static routes.
    pub routes: Vec<(Domain, String, u16)>,
    /// Administration socket.
    pub admin_socket: PathBuf,
}

/// Where a door listens.
#[derive(Clone, Default)]
pub struct Doorway {
    /// Addresses.
    pub addresses: Vec<SocketAddr>,
    /// Networks whose PROXY header is believed.
    pub proxy_from: Vec<IpNet>,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one peer.
    pub connections_per_peer_max: usize,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// [`BadConfig`] with every problem found, not only the first.
pub fn load(path: &Path) -> Result<Config, BadConfig> {
    let raw = read(path)?;
    let mut check = Check { problems: Vec::new() };
    let config = check.all(raw);
    match config {
        Some(config) if check.problems.is_empty() => Ok(config),
        _ => Err(BadConfig { path: path.to_owned(), problems: check.problems }),
    }
}

/// Reads and parses only.
pub(super) fn read(path: &Path) -> Result<RawConfig, BadConfig> {
    let bad = |problem: String| BadConfig { path: path.to_owned(), problems: vec![problem] };
    let text = read_bounded(path).map_err(|e| {
        bad(format!(
            "cannot be read: {e}; write one with: palombe config example > {}",
            path.display()
        ))
    })?;
    let text = String::from_utf8(text).map_err(|_| bad("is not UTF-8 text".to_owned()))?;
    // The library's message names line, column and key.
    toml::from_str(&text).map_err(|e| bad(e.to_string()))
}

/// Where the administration socket is.
pub(super) fn socket_path(raw: &RawConfig) -> PathBuf {
    if raw.admin.socket.as_os_str().is_empty() {
        raw.server.data_folder.join("admin.sock")
    } else {
        raw.admin.socket.clone()
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("larger than 4 MiB"));
    }
    Ok(bytes)
}

struct Check {
    problems: Vec<String>,
}

impl Check {
    fn all(&mut self, raw: RawConfig) -> Option<Config> {
        let hostname = self.parse::<Domain>("server.hostname", &raw.server.hostname);
        let identity = self.identity(&raw);
        let anchors = self.anchors(&raw);
        let trust = self.trust_policy(&raw);
        let delivery = self.delivery(&raw, hostname.clone());
        self.bounds(&raw);
        let doorway =
            |check: &mut Check, key: &str, listen: &[String], proxy: &[String], max, peer| {
                Doorway {
                    addresses: check.addresses(&format!("{key}.listen"), listen),
                    proxy_from: check.nets(key, proxy),
                    connections_max: max,
                    connections_per_peer_max: peer,
                }
            };
        let (i, s, m) = (&raw.interop, &raw.submission, &raw.imap);
        let interop = doorway(
            self,
            "interop",
            &i.listen,
            &i.proxy_from,
            i.connections_max,
            i.connections_per_peer_max,
        );
        let submission = doorway(
            self,
            "submission",
            &s.listen,
            &s.proxy_from,
            s.connections_max,
            s.connections_per_peer_max,
        );
        let (max, peer) = (m.connections_max, m.connections_per_peer_max);
        let imap = doorway(self, "imap", &m.listen, &m.proxy_from, max, peer);
        let imap_tls = doorway(self, "imap", &m.listen_tls, &m.proxy_from, max, peer);
        let metrics = match raw.metrics.listen.as_str() {
            "" => None,
            text => self.addresses("metrics", &[text.to_owned()]).first().copied(),
        };
        let dns_servers = self.addresses("relay.dns_servers", &raw.relay.dns_servers);
        let routes = self.routes(&raw);
        Some(Config {
            hostname: hostname?,
            identity: identity?,
            anchors: anchors?,
            trust: trust?,
            delivery: delivery?,
            interop,
            submission,
            imap,
            imap_tls,
            metrics,
            dns_servers,
            routes,
            admin_socket: socket_path(&raw),
            raw,
        })
    }

    fn problem(&mut self, key: &str, what: impl std::fmt::Display) {
        self.problems.push(format!("  {key}: {what}"));
    }

    fn parse<T: FromStr>(&mut self, key: &str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(e) => {
                self.problem(key, format!("{text:?}: {e}"));
                None
            }
        }
    }

    fn file(&mut self, key: &str, path: &Path) -> Option<Vec<u8>> {
        match read_bounded(path) {
            Ok(bytes) => Some(bytes),
            Err(e) => {
                self.problem(key, format!("{}: {e}", path.display()));
                None
            }
        }
    }

    fn identity(&mut self, raw: &RawConfig) -> Option<TlsIdentity> {
        let chain = self.file("tls.certificate", &raw.tls.certificate);
        let key = self.file("tls.key", &raw.tls.key);
        self.private(&raw.tls.key);
        match TlsIdentity::from_pem(&chain?, &Secret::new(key?)) {
            Ok(identity) => Some(identity),
            Err(e) => {
                let (c, k) = (raw.tls.certificate.display(), raw.tls.key.display());
                self.problem("tls", format!("{c} with {k}: {e}"));
                None
            }
        }
    }

    /// A key that others may read is a key lost.
    fn private(&mut self, path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        if let Ok(meta) = std::fs::metadata(path) {
            let mode = meta.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                let cure = format!("chmod 600 {}", path.display());
                self.problem("tls.key", format!("mode {mode:o} lets others read it; {cure}"));
            }
        }
    }

    fn anchors(&mut self, raw: &RawConfig) -> Option<Anchors> {
        let pem = self.file("tls.anchors", &raw.tls.anchors)?;
        match Anchors::from_pem(&pem) {
            Ok(anchors) => Some(anchors),
            Err(e) => {
                self.problem("tls.anchors", format!("{}: {e}", raw.tls.anchors.display()));
                None
            }
        }
    }

    fn one_of<T: Copy>(&mut self, key: &str, text: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.problem(key, format!("{text:?}: one of {}", names.join(", ")));
        }
        found
    }

    fn trust_policy(&mut self, raw: &RawConfig) -> Option<TrustPolicy> {
        let t = &raw.trust;
        let environments = [("production", Environment::Production), ("test", Environment::Test)];
        let environment = self.one_of("trust.environment", &t.environment, &environments);
        let usages = [("strict", EkuPolicy::Strict), ("any", EkuPolicy::Any)];
        let eku = self.one_of("trust.extended_key_usage", &t.extended_key_usage, &usages);
        let unknown =
            [("refuse", UnknownRevocation::Refuse), ("accept", UnknownRevocation::Accept)];
        let unknown = self.one_of("trust.unknown_revocation", &t.unknown_revocation, &unknown);
        let matchings = [("strict", DnMatching::Strict), ("cn-ou", DnMatching::CnOu)];
        let matching = self.one_of("trust.dn_matching", &t.dn_matching, &matchings);
        if t.signer_names.is_empty() {
            self.problem("trust.signer_names", "empty: no list could ever be trusted");
        }
        Some(TrustPolicy {
            environment: environment?,
            eku: eku?,
            unknown_revocation: unknown?,
            dn_matching: matching?,
            signer_cns: t.signer_names.clone(),
            list_age_warn_secs: t.list_age_warn_secs,
            list_age_refuse_secs: (t.list_age_refuse_secs > 0).then_some(t.list_age_refuse_secs),
            ..TrustPolicy::default()
        })
    }

    fn delivery(&mut self, raw: &RawConfig, hostname: Option<Domain>) -> Option<DeliverySettings> {
        let Some(retry) = RetryCalendar::new(raw.queue.retry_secs.clone()) else {
            self.problem("queue.retry_secs", "needs at least one step, none of zero");
            return None;
        };
        if raw.queue.expiry_secs <= 0 || raw.queue.delay_warning_secs <= 0 {
            self.problem("queue", "expiry_secs and delay_warning_secs are above zero");
        }
        Some(DeliverySettings {
            message_bytes_max: raw.message.bytes_max,
            structure: palombe_delivery::Limits {
                depth_max: raw.message.depth_max,
                parts_max: raw.message.parts_max,
                root_header_bytes_max: raw.message.header_bytes_max,
                ..Default::default()
            },
            received_max: raw.message.received_max,
            retry,
            delay_warning_secs: raw.queue.delay_warning_secs,
            expiry_secs: raw.queue.expiry_secs,
            report_full_bytes_max: raw.queue.report_full_bytes_max,
            ..DeliverySettings::new(hostname?)
        })
    }

    fn bounds(&mut self, raw: &RawConfig) {
        let m = &raw.message;
        if m.in_flight_bytes_max < m.bytes_max {
            self.problem("message.in_flight_bytes_max", "below message.bytes_max");
        }
        if m.bytes_max < 64 * 1024 || m.bytes_max > u64::from(u32::MAX) {
            self.problem("message.bytes_max", "between 64 KiB and 4 GiB");
        }
        if raw.relay.connections_reserved_urgent >= raw.relay.connections_max {
            self.problem("relay.connections_reserved_urgent", "not below relay.connections_max");
        }
        if !(1..=64).contains(&m.depth_max) || m.parts_max == 0 || m.header_bytes_max < 1024 {
            self.problem(
                "message",
                "depth_max 1 to 64, parts_max above 0, header_bytes_max 1024 on",
            );
        }
        let s = &raw.sessions;
        let waits = [
            ("sessions.smtp_command_secs", s.smtp_command_secs),
            ("sessions.smtp_data_secs", s.smtp_data_secs),
            ("sessions.smtp_body_secs", s.smtp_body_secs),
            ("sessions.handshake_secs", s.handshake_secs),
            ("sessions.imap_login_secs", s.imap_login_secs),
            ("sessions.imap_idle_secs", s.imap_idle_secs),
            ("sessions.imap_stall_secs", s.imap_stall_secs),
        ];
        for (key, _) in waits.iter().filter(|(_, secs)| *secs == 0) {
            self.problem(key, "above zero: a wait of zero ends every session");
        }
        let choices = [("defer", ()), ("bounce", ())];
        self.one_of("relay.untrusted_peer", &raw.relay.untrusted_peer, &choices);
        if !(1..=512).contains(&raw.store.threads_max) {
            self.problem("store.threads_max", "between 1 and 512");
        }
    }

    fn addresses(&mut self, key: &str, texts: &[String]) -> Vec<SocketAddr> {
        let mut all = Vec::new();
        for text in texts {
            match text.to_socket_addrs() {
                Ok(found) => all.extend(found),
                Err(e) => self.problem(key, format!("{text:?} is not address:port ({e})")),
            }
        }
        all
    }

    fn nets(&mut self, key: &str, texts: &[String]) -> Vec<IpNet> {
        texts.iter().filter_map(|t| self.parse(&format!("{key}.proxy_from"), t)).collect()
    }

    fn routes(&mut self, raw: &RawConfig) -> Vec<(Domain, String, u16)> {
        let mut routes = Vec::new();
        for (domain, target) in &raw.relay.routes {
            let domain = self.parse::<Domain>("relay.routes", domain);
            let split = target.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse().ok()?)));
            match (domain, split) {
                (Some(domain), Some((host, port))) => routes.push((domain, host.to_owned(), port)),
                (_, None) => self.problem("relay.routes", format!("{target:?} is not host:port")),
                (None, _) => {}
            }
        }
        routes
    }
}
