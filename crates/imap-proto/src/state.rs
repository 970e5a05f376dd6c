//! The states of RFC 9051 3 and what each allows.

use crate::Command;

/// RFC 9051 3.1 to 3.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    NotAuthenticated,
    Authenticated,
    Selected,
    Logout,
}

impl State {
    /// Whether RFC 9051 6 lists the command for this state.
    pub fn allows(self, command: &Command) -> bool {
        use Command::*;
        match command {
            Capability | Noop | Logout | Id(_) => self != State::Logout,
            StartTls | Authenticate { .. } | Login { .. } => self == State::NotAuthenticated,
            Enable(_)
            | Select { .. }
            | Examine { .. }
            | Create { .. }
            | Delete(_)
            | Rename { .. }
            | Subscribe(_)
            | Unsubscribe(_)
            | List(_)
            | Lsub { .. }
            | Namespace
            | Acl(_)
            | Quota(_)
            | Metadata(_)
            | Status { .. }
            | Idle
            | Compress
            | Unauthenticate => self.allows_append(),
            Check
            | Close
            | Unselect
            | Expunge
            | UidExpunge(_)
            | Search(_)
            | Sort(_)
            | Thread(_)
            | Fetch { .. }
            | Store { .. }
            | Copy { .. }
            | Move { .. } => self == State::Selected,
        }
    }

    /// Whether APPEND is allowed: as every command of RFC 9051 6.3.
    pub fn allows_append(self) -> bool {
        matches!(self, State::Authenticated | State::Selected)
    }
}
