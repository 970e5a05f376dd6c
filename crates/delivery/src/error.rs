//! Why a message, a sender or a recipient is refused.

use palombe_store::StoreError;
use palombe_trust::Refusal;

/// What happened. The doors turn it into replies; `Display` is for the log.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// No BAL has this address, at a domain hosted here.
    #[error("no BAL has this address")]
    UnknownRecipient,
    /// The BAL or its domain is suspended.
    #[error("the BAL is suspended")]
    BalSuspended,
    /// The BAL is full.
    #[error("the BAL is over its quota")]
    OverQuota,
    /// An operator asked to relay: the recipient's domain is not hosted here.
    #[error("the recipient's domain is not hosted here")]
    NotHosted,
    /// The recipient's domain is not in the liste blanche, or there is no usable list.
    #[error("the recipient is outside the trust space: {}", .0.rule.code())]
    OutsideTrustSpace(Box<Refusal>),
    /// The authenticated person may not send under this address.
    #[error("the sender address does not belong to the authenticated BAL")]
    SenderNotAllowed,
    /// A header `From` or `Sender` address is not the authenticated BAL's.
    #[error("the header From or Sender does not belong to the authenticated BAL")]
    AuthorNotAllowed,
    /// A header `From` domain that the peer's certificate may not speak for.
    #[error("the header From is not covered by the peer's certificate: {}", .0.rule.code())]
    HeaderFromNotCovered(Box<Refusal>),
    /// No `From` field, or more than one (RFC 5322 3.6).
    #[error("the message has no From field, or more than one")]
    BadFromField,
    /// Too many `Received` fields (RFC 5321 6.3).
    #[error("the message loops: too many Received fields")]
    Loop,
    /// Larger than the limit.
    #[error("the message is larger than the limit")]
    TooLarge,
    /// Nested deeper, or in more parts, than the limits.
    #[error("the message has too many parts or is nested too deeply")]
    TooComplex,
    /// Bare CR, bare LF or NUL (RFC 5322 2.2, RFC 5321 2.3.8).
    #[error("the message holds a bare CR, a bare LF or a NUL")]
    BadContent,
    /// More destination domains than the limit.
    #[error("too many destination domains for one message")]
    TooManyDestinations,
    /// The operating system gives no random bytes; temporary.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// No room on the disk; temporary.
    #[error("no room on the disk")]
    Full,
    /// The store cannot answer now; temporary.
    #[error("the store is unavailable: {0}")]
    Unavailable(StoreError),
}

impl DeliveryError {
    /// Whether the same request may succeed later. Unknown failures are temporary (style.md, errors 4).
    pub fn is_temporary(&self) -> bool {
        match self {
            DeliveryError::OverQuota
            | DeliveryError::Full
            | DeliveryError::NoRandomness
            | DeliveryError::Unavailable(_) => true,
            DeliveryError::OutsideTrustSpace(refusal)
            | DeliveryError::HeaderFromNotCovered(refusal) => refusal.temporary,
            _ => false,
        }
    }
}

impl From<StoreError> for DeliveryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OverQuota(..) => DeliveryError::OverQuota,
            StoreError::Full => DeliveryError::Full,
            StoreError::BalSuspended => DeliveryError::BalSuspended,
            other => DeliveryError::Unavailable(other),
        }
    }
}
