//! The configuration file as written. The doc comment of each key is its documentation: `palombe config example`
//! prints them. What is parsed, checked and opened stands in `checked.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Palombe, an MSSanté operator. Secrets are paths to files; nothing is read from the environment.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Who this operator is.
    pub server: RawServer,
    /// Certificates of this operator and anchors of the trust space (IGC-Santé).
    pub tls: RawTls,
    /// Liste blanche, revocation and the policy values that the référentiels leave open
    /// (`palombe config policy` prints them as a table with their sources).
    #[serde(default)]
    pub trust: RawTrust,
    /// Port 25: other operators, mutual TLS.
    #[serde(default)]
    pub interop: RawInterop,
    /// Port 587: people and software of this operator.
    #[serde(default)]
    pub submission: RawSubmission,
    /// Mailboxes over IMAP.
    #[serde(default)]
    pub imap: RawImap,
    /// What a message may hold, whatever its door.
    #[serde(default)]
    pub message: RawMessage,
    /// Waiting, retrying, reporting.
    #[serde(default)]
    pub queue: RawQueue,
    /// Outgoing connections to other operators.
    #[serde(default)]
    pub relay: RawRelay,
    /// How long the doors wait for a client, and how often it may err.
    #[serde(default)]
    pub sessions: RawSessions,
    /// The embedded store.
    #[serde(default)]
    pub store: RawStore,
    /// Traces d'imputabilité.
    #[serde(default)]
    pub journal: RawJournal,
    /// Prometheus page.
    #[serde(default)]
    pub metrics: RawMetrics,
    /// Administration socket.
    #[serde(default)]
    pub admin: RawAdmin,
    /// Logs on standard error.
    #[serde(default)]
    pub log: RawLog,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawServer {
    /// Name of this host in greetings, trace headers and reports; the name of its certificate.
    pub hostname: String,
    /// Folder of the store; created with mode 0700.
    pub data_folder: PathBuf,
}

/// `[tls]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// PEM: this operator's SSL_SERV certificate, then its intermediate.
    pub certificate: PathBuf,
    /// PEM: its private key, mode 0600.
    pub key: PathBuf,
    /// PEM: roots and intermediates of IGC-Santé, gamme Élémentaire, domaine Organisations.
    pub anchors: PathBuf,
}

/// `[trust]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawTrust {
    /// `production` refuses test certificates (category 0x80 and above), `test` refuses production ones.
    pub environment: String,
    /// Snapshot of the signed liste blanche, handed over by palombe-directory-sync; read again when it changes.
    /// Without a usable list nobody gets in and nothing leaves.
    pub liste_blanche: PathBuf,
    /// Folder of CRL files (DER or PEM, `*.crl`), handed over by palombe-directory-sync.
    pub crl_folder: PathBuf,
    /// Seconds between two looks at these files.
    pub refresh_secs: u64,
    /// Names (CN) that the signer of the liste blanche may bear.
    pub signer_names: Vec<String>,
    /// `refuse` or `accept` a peer whose revocation status is unknown (no usable CRL of its issuer).
    pub unknown_revocation: String,
    /// `strict`: a certificate whose extended key usage lacks the role is refused; `any`: it is not looked at.
    pub extended_key_usage: String,
    /// `strict`: all attributes of the DN after normalisation; `cn-ou`: name and structure identifier only.
    pub dn_matching: String,
    /// A list older than this many seconds is complained of in logs and metrics.
    pub list_age_warn_secs: i64,
    /// A list older than this many seconds is refused; 0: the last good list serves for ever.
    pub list_age_refuse_secs: i64,
}

impl Default for RawTrust {
    fn default() -> Self {
        RawTrust {
            environment: "production".to_owned(),
            liste_blanche: "/var/lib/palombe-directory-sync/liste-blanche.xml".into(),
            crl_folder: "/var/lib/palombe-directory-sync/crl".into(),
            refresh_secs: 60,
            signer_names: vec!["alb.mssante.fr".to_owned()],
            unknown_revocation: "refuse".to_owned(),
            extended_key_usage: "strict".to_owned(),
            dn_matching: "strict".to_owned(),
            list_age_warn_secs: 72 * 3600,
            list_age_refuse_secs: 0,
        }
    }
}

/// `[interop]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawInterop {
    /// Addresses to listen on; an empty list closes the door.
    pub listen: Vec<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address.
    pub connections_per_peer_max: usize,
    /// Messages a minute from one address; more are deferred with 451 4.7.1. 0: no limit.
    pub messages_per_minute: u32,
    /// Networks whose PROXY protocol v2 header is believed, such as `10.0.0.0/24`.
    pub proxy_from: Vec<String>,
}

impl Default for RawInterop {
    fn default() -> Self {
        RawInterop {
            listen: both("25"),
            connections_max: 1000,
            connections_per_peer_max: 100,
            messages_per_minute: 6000,
            proxy_from: Vec::new(),
        }
    }
}

/// `[submission]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawSubmission {
    /// Addresses to listen on; an empty list closes the door.
    pub listen: Vec<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address.
    pub connections_per_peer_max: usize,
    /// Messages a minute from one address; more are deferred with 451 4.7.1. 0: no limit.
    pub messages_per_minute: u32,
    /// Networks whose PROXY protocol v2 header is believed.
    pub proxy_from: Vec<String>,
}

impl Default for RawSubmission {
    fn default() -> Self {
        RawSubmission {
            listen: both("587"),
            connections_max: 1000,
            connections_per_peer_max: 50,
            messages_per_minute: 600,
            proxy_from: Vec::new(),
        }
    }
}

/// `[imap]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawImap {
    /// Addresses with STARTTLS.
    pub listen: Vec<String>,
    /// Addresses with TLS from the first byte.
    pub listen_tls: Vec<String>,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once from one address.
    pub connections_per_peer_max: usize,
    /// Whether one connection may serve several BAL in turn (UNAUTHENTICATE, RFC 8437); for software that reads many.
    pub unauthenticate: bool,
    /// Memory for the rows of folders that no session has open at the moment, octets; forty for each message.
    pub rows_cache_bytes: usize,
    /// Networks whose PROXY protocol v2 header is believed.
    pub proxy_from: Vec<String>,
}

impl Default for RawImap {
    fn default() -> Self {
        RawImap {
            listen: both("143"),
            listen_tls: both("993"),
            connections_max: 5000,
            connections_per_peer_max: 200,
            unauthenticate: false,
            rows_cache_bytes: 64 * 1024 * 1024,
            proxy_from: Vec::new(),
        }
    }
}

/// `[message]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawMessage {
    /// Largest message, octets (36 MiB: 25 Mo of attachments in base64 and room for the rest).
    pub bytes_max: u64,
    /// Recipients of one message at most.
    pub recipients_max: usize,
    /// Octets of the message's own header; a longer one is refused.
    pub header_bytes_max: usize,
    /// Levels of MIME nesting; a deeper message is refused. At most 64.
    pub depth_max: u32,
    /// Parts of one message, containers included; more are refused.
    pub parts_max: u32,
    /// More `Received` fields than this is a loop.
    pub received_max: u32,
    /// Octets of all bodies in flight at once; more are deferred with 452 4.3.1.
    pub in_flight_bytes_max: u64,
}

impl Default for RawMessage {
    fn default() -> Self {
        RawMessage {
            bytes_max: 36 * 1024 * 1024,
            recipients_max: 1000,
            header_bytes_max: 128 * 1024,
            depth_max: 32,
            parts_max: 1000,
            received_max: 30,
            in_flight_bytes_max: 512 * 1024 * 1024,
        }
    }
}

/// `[queue]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawQueue {
    /// Seconds before each next attempt, with a jitter of an eighth; the last one repeats.
    pub retry_secs: Vec<u32>,
    /// The sender is warned once when a message has waited this long.
    pub delay_warning_secs: i64,
    /// The message is given up, and the sender told, when it has waited this long.
    pub expiry_secs: i64,
    /// A failure report holds the whole message up to this size when the sender did not say (RET).
    pub report_full_bytes_max: u64,
}

impl Default for RawQueue {
    fn default() -> Self {
        RawQueue {
            retry_secs: vec![30, 60, 120, 300, 600, 900, 1800, 3600],
            delay_warning_secs: 3600,
            expiry_secs: 48 * 3600,
            report_full_bytes_max: 64 * 1024,
        }
    }
}

/// `[relay]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawRelay {
    /// Port of the other operators' servers.
    pub port: u16,
    /// Name servers as `address:port`; empty: the system's.
    pub dns_servers: Vec<String>,
    /// Domains that do not follow MX: `"beta.mssante.fr" = "192.0.2.1:25"`.
    pub routes: BTreeMap<String, String>,
    /// Connections at once, all destinations together.
    pub connections_max: usize,
    /// Connections at once to one destination domain.
    pub connections_per_destination_max: usize,
    /// Connections kept free for messages of a priority above 0 (MT-PRIORITY, RFC 6710).
    pub connections_reserved_urgent: usize,
    /// Messages sent over one connection before it is closed.
    pub messages_per_connection_max: u32,
    /// An idle connection is kept this long for the next message.
    pub idle_secs: u64,
    /// After every host of a destination failed, its messages wait this long untried.
    pub host_down_secs: u64,
    /// A peer that trust refuses: `defer` keeps the message for a later attempt, `bounce` gives it up at once.
    pub untrusted_peer: String,
}

impl Default for RawRelay {
    fn default() -> Self {
        RawRelay {
            port: 25,
            dns_servers: Vec::new(),
            routes: BTreeMap::new(),
            connections_max: 100,
            connections_per_destination_max: 10,
            connections_reserved_urgent: 10,
            messages_per_connection_max: 500,
            idle_secs: 10,
            host_down_secs: 30,
            untrusted_peer: "defer".to_owned(),
        }
    }
}

/// `[sessions]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawSessions {
    /// SMTP: seconds until the next command (RFC 5321 4.5.3.2.7 asks for 300).
    pub smtp_command_secs: u64,
    /// SMTP: seconds until the next octets of a body (RFC 5321 4.5.3.2.5 asks for 180).
    pub smtp_data_secs: u64,
    /// SMTP: seconds for one whole body.
    pub smtp_body_secs: u64,
    /// SMTP: refused commands since the last accepted message; then 421.
    pub smtp_errors_max: u32,
    /// SMTP: commands since the last accepted message; then 421.
    pub smtp_commands_max: u32,
    /// Seconds for a TLS handshake.
    pub handshake_secs: u64,
    /// IMAP: seconds from connection to login.
    pub imap_login_secs: u64,
    /// IMAP: seconds without a command (RFC 9051 5.4 asks for at least 1800).
    pub imap_idle_secs: u64,
    /// IMAP: seconds that a client may take to read a buffer or to end a command.
    pub imap_stall_secs: u64,
    /// Failed authentications after which a connection is closed.
    pub auth_failures_max: u32,
}

impl Default for RawSessions {
    fn default() -> Self {
        RawSessions {
            smtp_command_secs: 300,
            smtp_data_secs: 180,
            smtp_body_secs: 3600,
            smtp_errors_max: 20,
            smtp_commands_max: 10_000,
            handshake_secs: 30,
            imap_login_secs: 60,
            imap_idle_secs: 1810,
            imap_stall_secs: 120,
            auth_failures_max: 3,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawStore {
    /// Memory for cached blocks, octets.
    pub cache_bytes: usize,
    /// New messages are deferred when the disk has less room than this, octets. Rows not yet in files take up to
    /// five eighths of it in memory, between 32 and 160 MiB: a smaller reserve makes large messages slower.
    pub free_bytes_min: u64,
    /// Quota of a new BAL, octets.
    pub quota_bytes_default: u64,
    /// Threads that enter the store on behalf of the network side.
    pub threads_max: usize,
}

impl Default for RawStore {
    fn default() -> Self {
        RawStore {
            cache_bytes: 128 * 1024 * 1024,
            free_bytes_min: 256 * 1024 * 1024,
            quota_bytes_default: 10 * 1024 * 1024 * 1024,
            threads_max: 16,
        }
    }
}

/// `[journal]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawJournal {
    /// Days that a line is kept; 0: for ever. The ANS recommends six months at least for functional traces
    /// (spec mssante §9); the data controller decides.
    pub keep_days: u32,
}

impl Default for RawJournal {
    fn default() -> Self {
        RawJournal { keep_days: 366 }
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawMetrics {
    /// Address of `GET /metrics`; empty: no page.
    pub listen: String,
}

impl Default for RawMetrics {
    fn default() -> Self {
        RawMetrics { listen: "127.0.0.1:9125".to_owned() }
    }
}

/// `[admin]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawAdmin {
    /// Unix socket of the administration commands, mode 0600; empty: `admin.sock` in the data folder.
    pub socket: PathBuf,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// `human` or `json`.
    pub format: String,
    /// A filter such as `info` or `info,palombe_smtp_server=debug`.
    pub level: String,
}

impl Default for RawLog {
    fn default() -> Self {
        RawLog { format: "human".to_owned(), level: "info".to_owned() }
    }
}

/// Every IPv4 and IPv6 address of the machine.
fn both(port: &str) -> Vec<String> {
    vec![format!("0.0.0.0:{port}"), format!("[::]:{port}")]
}
