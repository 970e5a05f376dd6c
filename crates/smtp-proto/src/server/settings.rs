//! What the operator decides about a session.

/// Which of the two services a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Other operators: TLS before anything else, no AUTH.
    Interop,
    /// People and software of hosted domains: TLS, then AUTH (RFC 6409).
    Submission,
}

/// Settings of a session. Every limit is told to the client in the reply that enforces it.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Our name in the greeting and in EHLO.
    pub hostname: String,
    /// Which service.
    pub service: Service,
    /// Largest message, octets (RFC 1870).
    pub message_bytes_max: u64,
    /// Most recipients of one message; RFC 5321 4.5.3.1.8 asks for 100 at least.
    pub recipients_max: usize,
    /// Refused commands since the last accepted message, after which the session ends.
    pub errors_max: u32,
    /// Commands since the last accepted message, after which the session ends.
    pub commands_max: u32,
}
