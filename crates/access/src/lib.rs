//! # access: which person or application may open which BAL
//!
//! *Lives here:* password verification (Argon2id) and the proof tokens [`OpenBal`] (whoever holds one has
//! authenticated) and [`OpenFolder`] (what it may do in a folder of its own or of a shared BAL).
//! *Never enters:* sockets, SASL grammar, replies, async.
//! *Who may call:* doors; `delivery` takes the token.
//! *Serves:* CNIL 2014-239 (reliable authentication), RFC 4954, RFC 9051 6.2.
//!
//! **Invariant: the answer for an unknown BAL, a wrong password and a suspended BAL is the same, and takes the
//! same work.** Pro Santé Connect tokens and organisation certificates will make the same token.

mod password;
mod sharing;

use crate::sharing::Delegation;
use palombe_store::{Bal, MemberRights, Store, StoreError};
use palombe_vocabulary::{
    BalAddress, BalId, BalKind, BalStatus, Domain, MailAddress, Secret, Timestamp,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

pub use password::{HashError, hash_password};
pub use sharing::{OpenFolder, SharedBal};

/// Passwords longer than this are refused unread: Argon2id is not fed unbounded input.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Successful verifications remembered, so that a client that polls does not pay Argon2id each time.
pub const REMEMBERED_MAX: usize = 4096;
/// How long a successful verification is remembered after its last use: longer than software waits between two polls.
pub const REMEMBERED_SECS: i64 = 1800;

/// Why a BAL was not opened.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Unknown BAL, wrong password, BAL without a password, suspended or deleted BAL: one answer for all.
    #[error("authentication refused")]
    Refused,
    /// The store could not answer; temporary.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[from] StoreError),
}

/// Proof that somebody authenticated for this BAL. Made only in this room.
#[derive(Clone, Debug)]
pub struct OpenBal {
    id: BalId,
    address: BalAddress,
    kind: BalKind,
    /// As they were when the BAL was opened.
    delegations: Arc<[Delegation]>,
}

impl OpenBal {
    /// The BAL's number in the store.
    pub fn id(&self) -> BalId {
        self.id
    }

    /// The BAL's address.
    pub fn address(&self) -> &BalAddress {
        &self.address
    }

    /// PER, ORG, APP or CAB.
    pub fn kind(&self) -> BalKind {
        self.kind
    }

    /// Whether mail may leave under this address alone: the BAL's own, or that of a BAL which lets this one send as
    /// itself (spec mssante §2.7).
    pub fn may_send_as(&self, address: &MailAddress) -> bool {
        self.is_own(address) || self.may_send(address, MemberRights::SEND_AS)
    }

    /// Whether mail may leave under this address when the Sender field names this BAL (RFC 5322 3.6.2).
    pub fn may_send_on_behalf(&self, address: &MailAddress) -> bool {
        self.may_send_as(address) || self.may_send(address, MemberRights::SEND_ON_BEHALF)
    }

    /// Whether this is the BAL's own address.
    pub fn is_own(&self, address: &MailAddress) -> bool {
        BalAddress::from_mail(address) == self.address
    }

    fn may_send(&self, address: &MailAddress, right: MemberRights) -> bool {
        let address = BalAddress::from_mail(address);
        self.delegations.iter().any(|d| d.rights.has(right) && d.address == address)
    }

    /// The hosted domain that answers for the BAL.
    pub fn domain(&self) -> &Domain {
        self.address.domain()
    }
}

/// The house rules of opening a BAL. Clones share one memory of successful verifications.
#[derive(Clone)]
pub struct Access {
    store: Store,
    remembered: Arc<Mutex<HashMap<[u8; 32], Timestamp>>>,
    key: [u8; 32],
    nobody: Arc<str>,
    verifier: Arc<password::Verifier>,
}

impl Access {
    /// # Errors
    /// [`HashError`] when the system gives no random bytes or Argon2id refuses its parameters.
    pub fn new(store: Store) -> Result<Self, HashError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| HashError::NoRandomness)?;
        // Verified against when the BAL is unknown, so that absence costs the same work as a wrong password.
        let nobody = hash_password(&Secret::new("personne".to_owned()))?.into();
        let verifier = Arc::default();
        Ok(Access { store, remembered: Arc::default(), key, nobody, verifier })
    }

    /// Opens the BAL whose address is `login` for whoever knows its password. Blocks for one Argon2id computation
    /// unless the same pair succeeded less than [`REMEMBERED_SECS`] ago.
    ///
    /// # Errors
    /// [`AccessError::Refused`], alike for every cause a stranger may not tell apart, or
    /// [`AccessError::Unavailable`].
    pub fn authenticate_password(
        &self,
        login: &str,
        password: &Secret<String>,
        now: Timestamp,
    ) -> Result<OpenBal, AccessError> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(AccessError::Refused);
        }
        let bal = match login.parse::<BalAddress>() {
            Ok(address) => self.store.bal_by_address(&address)?,
            Err(_) => None,
        };
        let hash = bal.as_ref().and_then(|b| b.password_hash.as_deref());
        let verified = match hash {
            Some(hash) => self.verify(hash, password, now),
            None => {
                self.verifier.verify(&self.nobody, password);
                false
            }
        };
        match bal {
            Some(bal) if verified && bal.status == BalStatus::Active => {
                // CNIL 2014-239: inactivity is counted from the last authentication.
                if let Err(error) = self.store.bal_authenticated(bal.id, now) {
                    tracing::warn!(bal = %bal.id, %error, "last authentication not noted");
                }
                self.open(bal)
            }
            _ => Err(AccessError::Refused),
        }
    }

    /// Opens the BAL at once for a pair that succeeded a short time ago, when nothing is to be written about it.
    /// Memory only, no Argon2id: for a caller that may not block. `None` says nothing about the pair: ask
    /// [`Access::authenticate_password`].
    pub fn authenticate_remembered(
        &self,
        login: &str,
        password: &Secret<String>,
        now: Timestamp,
    ) -> Option<OpenBal> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return None;
        }
        let bal = self.store.bal_by_address(&login.parse().ok()?).ok()??;
        let hash = bal.password_hash.as_deref()?;
        let known = self.is_remembered(&self.key_of(hash, password), now);
        let open = known && bal.status == BalStatus::Active && bal.auth_is_noted(now);
        open.then(|| self.open(bal).ok()).flatten()
    }

    /// The stored hash is part of the key: a changed password forgets the old one at once.
    fn key_of(&self, hash: &str, password: &Secret<String>) -> [u8; 32] {
        *blake3::Hasher::new_keyed(&self.key)
            .update(&(hash.len() as u64).to_le_bytes())
            .update(hash.as_bytes())
            .update(password.expose().as_bytes())
            .finalize()
            .as_bytes()
    }

    /// A pair that goes on being used goes on being remembered.
    fn is_remembered(&self, key: &[u8; 32], now: Timestamp) -> bool {
        match self.remembered.lock().get_mut(key) {
            Some(at) if is_fresh(*at, now) => {
                *at = now;
                true
            }
            _ => false,
        }
    }

    fn verify(&self, hash: &str, password: &Secret<String>, now: Timestamp) -> bool {
        let key = self.key_of(hash, password);
        if self.is_remembered(&key, now) {
            return true;
        }
        if !self.verifier.verify(hash, password) {
            return false;
        }
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, at| is_fresh(*at, now));
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, now);
        }
        true
    }

    /// Whether the BAL behind a token is still active; long sessions ask again from time to time.
    ///
    /// # Errors
    /// [`AccessError::Unavailable`].
    pub fn still_open(&self, open: &OpenBal) -> Result<bool, AccessError> {
        let bal = self.store.bal_by_address(&open.address)?;
        Ok(bal.is_some_and(|b| b.id == open.id && b.status == BalStatus::Active))
    }

    fn open(&self, bal: Bal) -> Result<OpenBal, AccessError> {
        let delegations = self.delegations(bal.id)?.into();
        Ok(OpenBal { id: bal.id, address: bal.address, kind: bal.kind, delegations })
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    (0..REMEMBERED_SECS * 1000).contains(&now.millis_since(at))
}
