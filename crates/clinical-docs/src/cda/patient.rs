//! The patient of a CDA, with the traits that the référentiel INS asks for.

use super::model::{Address, Entity, PersonName, Telecom};
use crate::facts::{Code, HlTime, Id, redacted};
use palombe_vocabulary::{Ins, InsAuthority, MatriculeError, MatriculeIns};
use serde::{Deserialize, Serialize};

/// recordTarget/patientRole.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patient {
    /// Identifiers, the INS first when there is one.
    pub ids: Vec<Id>,
    /// Names with their qualified parts.
    pub names: Vec<PersonName>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// Telephones and mail.
    pub telecoms: Vec<Telecom>,
    /// administrativeGenderCode.
    pub sex: Code,
    /// birthTime.
    pub birth_time: HlTime,
    /// Names of the birth place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub birth_places: Vec<String>,
    /// Address of the birth place; `county` is its INSEE code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_address: Option<Address>,
    /// sdtc:deceasedInd, deceasedTime, multipleBirthInd, multipleBirthOrderNumber.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub civil: Vec<(String, String)>,
    /// Guardians and people to call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guardians: Vec<Entity>,
    /// providerOrganization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<super::model::Organization>,
}

/// The traits of the identity (référentiel INS), as the document writes them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraitsIns {
    /// Birth name.
    pub birth_name: String,
    /// First birth given name.
    pub first_given: String,
    /// All birth given names.
    pub given_names: String,
    /// Used name.
    pub used_name: String,
    /// Used given name.
    pub used_given: String,
    /// `M`, `F`, `U`.
    pub sex: String,
    /// `AAAAMMJJ`.
    pub birth_date: String,
    /// INSEE code of the birth place.
    pub birth_place: String,
}
redacted!(Patient, TraitsIns);

/// A part of an identity that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamePart {
    /// Birth name.
    BirthName,
    /// First birth given name.
    FirstGiven,
    /// Sex.
    Sex,
    /// Birth date.
    BirthDate,
    /// INSEE code of the birth place.
    BirthPlace,
}

impl NamePart {
    /// Its name for people.
    pub const fn french(self) -> &'static str {
        match self {
            NamePart::BirthName => "nom de naissance",
            NamePart::FirstGiven => "premier prénom de naissance",
            NamePart::Sex => "sexe",
            NamePart::BirthDate => "date de naissance",
            NamePart::BirthPlace => "lieu de naissance",
        }
    }
}

/// How far the document's INS can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum InsStanding {
    /// No identifier under an INS authority.
    Absent,
    /// An identifier whose shape or key is wrong.
    Invalid {
        /// The authority it claims.
        authority: InsAuthority,
        /// Only the key is wrong.
        key: bool,
    },
    /// A right matricule, but traits are missing.
    Incomplete {
        /// The matricule.
        ins: Ins,
        /// What is missing.
        missing: Vec<NamePart>,
    },
    /// Matricule, authority and the four traits (ANS R2 §3.8): `X-MSS-INS: O`.
    Qualified {
        /// The matricule.
        ins: Ins,
    },
}

impl InsStanding {
    /// The INS, when its matricule is right.
    pub fn ins(&self) -> Option<&Ins> {
        match self {
            InsStanding::Incomplete { ins, .. } | InsStanding::Qualified { ins } => Some(ins),
            InsStanding::Absent | InsStanding::Invalid { .. } => None,
        }
    }

    /// True when it is qualified in the sense of `X-MSS-INS`.
    pub fn is_qualified(&self) -> bool {
        matches!(self, InsStanding::Qualified { .. })
    }
}

impl Patient {
    /// The identifier under an INS authority, as written.
    pub fn ins_id(&self) -> Option<(InsAuthority, &str)> {
        self.ids.iter().find_map(|id| {
            let authority = InsAuthority::from_oid(&id.root)?;
            Some((authority, id.extension.as_deref().unwrap_or_default()))
        })
    }

    /// Identifiers that are not an INS, nor the obsolete INS-C.
    pub fn local_ids(&self) -> impl Iterator<Item = &Id> {
        self.ids.iter().filter(|id| {
            InsAuthority::from_oid(&id.root).is_none() && id.root != "1.2.250.1.213.1.4.2"
        })
    }

    /// The traits.
    pub fn traits(&self) -> TraitsIns {
        let mut traits = TraitsIns::default();
        for name in &self.names {
            for part in &name.family {
                let place = match part.qualifier.as_deref() {
                    // Documents from before the INS qualify the used name as that of the spouse.
                    Some("CL" | "SP") => &mut traits.used_name,
                    _ => &mut traits.birth_name,
                };
                if place.is_empty() {
                    place.clone_from(&part.text);
                }
            }
            for part in &name.given {
                let place = match part.qualifier.as_deref() {
                    Some("BR") => &mut traits.first_given,
                    Some("CL") => &mut traits.used_given,
                    _ => &mut traits.given_names,
                };
                if place.is_empty() {
                    place.clone_from(&part.text);
                }
            }
        }
        if traits.first_given.is_empty() {
            let first = traits.given_names.split_whitespace().next().unwrap_or_default();
            traits.first_given = first.to_owned();
        }
        traits.sex = self.sex.text().to_owned();
        traits.birth_date = self.birth_time.day().unwrap_or_default().to_owned();
        let county = |address: &Address| {
            let found = address.parts.iter().find(|(part, _)| part == "county");
            found.map(|(_, text)| text.clone())
        };
        traits.birth_place = self.birth_address.as_ref().and_then(county).unwrap_or_default();
        traits
    }

    /// What the INS of this document is worth.
    pub fn ins(&self) -> InsStanding {
        let Some((authority, text)) = self.ins_id() else { return InsStanding::Absent };
        let matricule = match text.parse::<MatriculeIns>() {
            Ok(matricule) => matricule,
            Err(fault) => {
                return InsStanding::Invalid { authority, key: fault == MatriculeError::Key };
            }
        };
        let ins = Ins { authority, matricule };
        let traits = self.traits();
        // ANS R2 §3.8 (X-MSS-INS): birth name, first birth given name, birth date, sex.
        let asked = [
            (NamePart::BirthName, &traits.birth_name),
            (NamePart::FirstGiven, &traits.first_given),
            (NamePart::Sex, &traits.sex),
            (NamePart::BirthDate, &traits.birth_date),
        ];
        let missing: Vec<NamePart> =
            asked.iter().filter(|(_, text)| text.is_empty()).map(|(part, _)| *part).collect();
        if missing.is_empty() {
            InsStanding::Qualified { ins }
        } else {
            InsStanding::Incomplete { ins, missing }
        }
    }
}
