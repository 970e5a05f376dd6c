//! What the operator decides about sending.

use palombe_vocabulary::Domain;
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of this room. The binary fills them from its configuration.
#[derive(Clone, Debug)]
pub struct SenderSettings {
    /// Name given in EHLO; an MX that bears it is ourselves.
    pub hostname: String,
    /// Port of other operators.
    pub port: u16,
    /// Destinations that do not ask DNS.
    pub routes: Vec<StaticRoute>,
    /// Name servers; empty for those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// How many at one time.
    pub concurrency: Concurrency,
    /// Messages on one connection before a new one is opened.
    pub messages_per_connection_max: u32,
    /// A connection without work is closed after this.
    pub connection_idle: Duration,
    /// A connection takes no new message after this: its peer is judged anew on the next one.
    pub connection_age_max: Duration,
    /// A peer that is not proven.
    pub untrusted_peer: UntrustedPeer,
    /// A destination that DNS does not know.
    pub unknown_domain: UnknownDomain,
    /// How long a claimed entry is ours; an attempt is cut before.
    pub lease: Duration,
    /// After every host of a destination failed, its entries are deferred untried for this long (urgent ones are
    /// tried).
    pub down: Duration,
    /// Time for messages under way at shutdown.
    pub drain: Duration,
    /// How long to wait for the peer.
    pub timeouts: Timeouts,
}

/// A destination with a fixed host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// Destination domain, exact.
    pub domain: Domain,
    /// Host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Messages on their way at one time.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    /// To all destinations.
    pub total: usize,
    /// Of `total`, only for urgent messages (MT-PRIORITY above 0).
    pub total_urgent: usize,
    /// To one destination. Domains that one host serves are one destination.
    pub site: usize,
    /// Of `site`, only for urgent messages.
    pub site_urgent: usize,
}

/// A peer that is not proven: no STARTTLS, or a certificate that the liste blanche does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UntrustedPeer {
    /// Try again until expiry: a renewed certificate often precedes the list, or follows it.
    Defer,
    /// Report at once.
    Bounce,
}

/// A destination that is in the liste blanche, but that DNS does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownDomain {
    /// RFC 5321 5.1: report at once.
    Bounce,
    /// Try again until expiry.
    Defer,
}

/// RFC 5321 4.5.3.2, and what it leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// One answer of DNS.
    pub dns: Duration,
    /// TCP.
    pub connect: Duration,
    /// TLS.
    pub handshake: Duration,
    /// RFC 5321 4.5.3.2.1
    pub greeting: Duration,
    /// EHLO, STARTTLS, RSET: as MAIL.
    pub hello: Duration,
    /// RFC 5321 4.5.3.2.2
    pub mail: Duration,
    /// RFC 5321 4.5.3.2.3
    pub rcpt: Duration,
    /// RFC 5321 4.5.3.2.4
    pub data: Duration,
    /// RFC 5321 4.5.3.2.5, each piece.
    pub block: Duration,
    /// RFC 5321 4.5.3.2.6
    pub end_of_data: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            dns: Duration::from_secs(5),
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(60),
            greeting: Duration::from_secs(300),
            hello: Duration::from_secs(300),
            mail: Duration::from_secs(300),
            rcpt: Duration::from_secs(300),
            data: Duration::from_secs(120),
            block: Duration::from_secs(180),
            end_of_data: Duration::from_secs(600),
        }
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Concurrency { total: 64, total_urgent: 16, site: 8, site_urgent: 2 }
    }
}

impl Default for SenderSettings {
    fn default() -> Self {
        SenderSettings {
            hostname: "localhost".to_owned(),
            port: 25,
            routes: Vec::new(),
            name_servers: Vec::new(),
            concurrency: Concurrency::default(),
            messages_per_connection_max: 100,
            connection_idle: Duration::from_secs(10),
            connection_age_max: Duration::from_secs(300),
            untrusted_peer: UntrustedPeer::Defer,
            unknown_domain: UnknownDomain::Bounce,
            lease: Duration::from_secs(3600),
            down: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            timeouts: Timeouts::default(),
        }
    }
}
