//! What can go wrong at the edge.

use std::net::SocketAddr;

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The address is in use, or not of this machine, or its port is privileged.
    #[error("cannot listen for {name} on {address}: {source}")]
    Listen {
        /// The listener.
        name: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A listener without an address would be silently closed.
    #[error("no address is configured for the {name} listener")]
    NoAddress {
        /// The listener.
        name: &'static str,
    },
}

/// A TLS upgrade failed; the connection is gone.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The handshake did not end in time.
    #[error("the TLS handshake did not end in time")]
    Timeout,
    /// The connection is under TLS already (RFC 3207 4.2 allows one STARTTLS).
    #[error("the connection is under TLS already")]
    AlreadyTls,
    /// The peer closed, offered nothing acceptable, or sent something that is not TLS.
    #[error("the TLS handshake failed: {0}")]
    Handshake(std::io::Error),
}

/// An outgoing connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No answer in time.
    #[error("no answer from {0} in time")]
    Timeout(SocketAddr),
    /// Refused, unreachable, or no local resource.
    #[error("cannot connect to {0}: {1}")]
    Io(SocketAddr, std::io::Error),
}

/// The pool did not do the work. Always temporary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolBusy {
    /// As many jobs wait as may; nothing was started. A door answers 4xx.
    #[error("too much house work is waiting")]
    Full,
    /// The process stops; nothing was started.
    #[error("the pool is closed")]
    Closed,
    /// The job panicked: a defect of the house. What it did is unknown.
    #[error("the house work panicked")]
    Panicked,
}

/// The bytes before the protocol are not the PROXY v2 header that this source must send.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not the 12 octets of the signature.
    #[error("no PROXY v2 signature")]
    NotProxy,
    /// The text form, which cannot be told from a protocol's bytes by its length.
    #[error("PROXY v1 is not accepted; configure the proxy for v2")]
    Version1,
    /// Version nibble other than 2, or command other than LOCAL and PROXY.
    #[error("unknown PROXY version or command {0:#04x}")]
    Command(u8),
    /// Not TCP over IPv4 or IPv6.
    #[error("PROXY family and transport {0:#04x} is not TCP over IPv4 or IPv6")]
    Family(u8),
    /// Longer than [`PROXY_BODY_BYTES_MAX`](crate::limits::PROXY_BODY_BYTES_MAX).
    #[error("PROXY header of {0} octets is too long")]
    TooLong(usize),
    /// Addresses or a TLV do not fit in the announced length.
    #[error("PROXY header is cut short")]
    Truncated,
    /// The CRC32C TLV does not match.
    #[error("PROXY header checksum does not match")]
    Checksum,
    /// The header did not come in time, or the connection ended.
    #[error("PROXY header did not come")]
    Absent,
}
