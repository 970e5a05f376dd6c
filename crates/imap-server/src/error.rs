//! What can go wrong with a command, and with a connection.

use palombe_access::AccessError;
use palombe_delivery::DeliveryError;
use palombe_driver::PoolBusy;
use palombe_message::MessageError;
use palombe_store::StoreError;

/// Why a command is answered NO or BAD. `reply.rs` has the texts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Busy(#[from] PoolBusy),
    #[error("a stored structure cannot be read: {0}")]
    Structure(#[from] MessageError),
    #[error("no such folder")]
    NoSuchFolder,
    #[error("no such folder to put something into")]
    NoSuchTarget,
    #[error("the right to do this is not given")]
    NoPermission,
    #[error("the message is in another BAL")]
    OtherBal,
    #[error("no BAL of this operator")]
    Identifier,
    #[error("the BAL itself keeps its rights")]
    OwnRights,
    #[error("an annotation that is too long")]
    LongAnnotation,
    #[error("too many annotations")]
    TooManyAnnotations,
    #[error("a scope without an entry name")]
    EntryName,
    #[error("no such quota root")]
    NoSuchRoot,
    #[error("the folder exists already")]
    FolderExists,
    #[error("this name cannot be given to a folder")]
    FolderName,
    #[error("this folder stays")]
    FolderFixed,
    #[error("the folder has subfolders")]
    HasChildren,
    #[error("the folder was selected read-only")]
    ReadOnly,
    #[error("the command is not for this state")]
    WrongState,
    #[error("passwords are refused without TLS")]
    NeedsTls,
    #[error("TLS is not available here")]
    NoTls,
    #[error("unknown SASL mechanism")]
    Mechanism,
    #[error("the SASL answer is not well formed")]
    Sasl,
    #[error("the client gave up")]
    Cancelled,
    #[error("a sequence number beyond the last message")]
    SequenceNumber,
    #[error("unknown charset")]
    Charset,
    #[error("unknown flag")]
    Flag,
    #[error("a part under a transfer encoding that we do not know")]
    UnknownCte,
    #[error("an extension that was not enabled")]
    NotEnabled,
    #[error("more messages than can be ordered at once")]
    TooManyToOrder,
    #[error("more messages than one APPEND takes")]
    TooManyMessages,
    #[error("the message to replace is not there")]
    NoSuchMessage,
    #[error("a message with NUL")]
    BinaryMessage,
    #[error("a header in UTF-8 from a client that did not enable it")]
    EightBitHeader,
    #[error("the session is compressed already")]
    CompressedAlready,
    #[error("too many compressed sessions")]
    TooManyCompressed,
    #[error("a sequence number where only UIDs are used")]
    UidRequired,
    #[error("an empty message")]
    EmptyMessage,
    #[error("special use not available")]
    SpecialUse,
    #[error("not understood: {0}")]
    Bad(palombe_imap_proto::Bad),
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Gone {
    #[error("the client closed the connection")]
    Closed,
    #[error("the client did not read in time")]
    Stalled,
    #[error("the client did not end a command in time")]
    Unfinished,
    #[error("autologout")]
    Autologout,
    #[error("the server stops")]
    Shutdown,
    #[error("too much input, or input that cannot be followed")]
    Flood,
    #[error("the compressed stream is damaged or a bomb")]
    Compression,
    #[error("the TLS handshake failed")]
    Tls,
    #[error("too many failed logins")]
    LoginFailures,
    #[error("the BAL was closed")]
    BalClosed,
    #[error("the right to read the selected folder was taken away")]
    RightsLost,
    #[error("a folder was deleted under the session")]
    Deleted,
    #[error("the folder changed more than its change log keeps")]
    Outdated,
    #[error("the client said LOGOUT")]
    Logout,
}

/// What ends a command before its OK.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failure(error.into())
    }
}

impl From<DeliveryError> for Stop {
    fn from(error: DeliveryError) -> Self {
        Stop::Failure(error.into())
    }
}

impl From<PoolBusy> for Stop {
    fn from(error: PoolBusy) -> Self {
        Stop::Failure(error.into())
    }
}
