//! The BAL: a health mailbox and what the référentiels say of it.

use crate::{AddressError, Domain, MailAddress};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Kind of BAL, `TRE_R257-TypeBAL` (spec mssante §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum BalKind {
    /// Personnelle: one professional.
    Per,
    /// Organisationnelle: a service or team of a legal person.
    Org,
    /// Applicative: a software or a machine.
    App,
    /// Cabinet: a liberal practice.
    Cab,
}

/// The text is none of PER, ORG, APP, CAB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the BAL kind is one of PER, ORG, APP, CAB")]
pub struct UnknownBalKind;

impl FromStr for BalKind {
    type Err = UnknownBalKind;
    fn from_str(text: &str) -> Result<Self, UnknownBalKind> {
        match text.to_ascii_uppercase().as_str() {
            "PER" => Ok(BalKind::Per),
            "ORG" => Ok(BalKind::Org),
            "APP" => Ok(BalKind::App),
            "CAB" => Ok(BalKind::Cab),
            _ => Err(UnknownBalKind),
        }
    }
}

impl fmt::Display for BalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BalKind::Per => "PER",
            BalKind::Org => "ORG",
            BalKind::App => "APP",
            BalKind::Cab => "CAB",
        })
    }
}

/// Whether the Annuaire Santé shows the BAL (spec mssante §2.2, *liste rouge*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publication {
    /// Published.
    Annuaire,
    /// Known to the Annuaire, shown to nobody.
    ListeRouge,
}

/// Where a BAL stands in its life (spec mssante §2.5, reduced to what the mail core needs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BalStatus {
    /// Receives and opens.
    Active,
    /// Refuses mail with 550 5.2.1 and opens to nobody.
    Suspended,
    /// Tombstone: the address is never given again.
    Deleted,
}

/// The address of a BAL: a [`MailAddress`] of a hosted domain, its local part in lower case, since directory keys
/// compare without case (spec identity-directory §6.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BalAddress(MailAddress);

impl BalAddress {
    /// The BAL address that this mail address reaches.
    pub fn from_mail(address: &MailAddress) -> Self {
        let folded = address.local().to_lowercase();
        // Folding may lengthen a non-ASCII local part past its bound; such an address reaches no BAL, kept as is.
        let folded = MailAddress::new(&folded, address.domain().clone());
        BalAddress(folded.unwrap_or_else(|_| address.clone()))
    }

    /// As a mail address.
    pub fn as_mail(&self) -> &MailAddress {
        &self.0
    }

    /// The hosted domain.
    pub fn domain(&self) -> &Domain {
        self.0.domain()
    }
}

impl FromStr for BalAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Ok(BalAddress::from_mail(&text.parse()?))
    }
}

impl fmt::Display for BalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for BalAddress {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<BalAddress> for String {
    fn from(address: BalAddress) -> String {
        address.to_string()
    }
}
