//! Identité nationale de santé: the matricule, its key and the authorities that give it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Characters of a matricule: thirteen and a key of two.
const MATRICULE_CHARS: usize = 15;

/// A matricule INS (NIR or NIA) of 15 characters whose key is right. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MatriculeIns([u8; MATRICULE_CHARS]);

/// The text is not a matricule INS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatriculeError {
    /// Not 15 characters of the expected kinds.
    #[error("a matricule has 13 characters (2A and 2B for Corsica) and a key of two digits")]
    Shape,
    /// The last two digits are not the key of the first thirteen.
    #[error("the key of the matricule is wrong")]
    Key,
}

impl MatriculeIns {
    /// The matricule as it stands in documents: 15 characters, no space.
    pub fn as_str(&self) -> &str {
        // ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The key of the first thirteen characters; `None` when they are not those of a matricule.
fn key_of(text: &[u8]) -> Option<u8> {
    let mut number: u64 = 0;
    for (place, &byte) in text.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            // Corsica: 2A counts as 19 and 2B as 18 (référentiel INS, clé de contrôle).
            b'A' if place == 6 && text[5] == b'2' => 9,
            b'B' if place == 6 && text[5] == b'2' => 8,
            _ => return None,
        };
        number = number * 10 + u64::from(digit);
    }
    if matches!(text.get(6), Some(b'A' | b'B')) {
        // The letter replaced the second digit of 2A and 2B; 19 and 18 also change the first one.
        number -= 10_u64.pow(7);
    }
    u8::try_from(97 - number % 97).ok()
}

impl FromStr for MatriculeIns {
    type Err = MatriculeError;
    fn from_str(text: &str) -> Result<Self, MatriculeError> {
        let bytes: [u8; MATRICULE_CHARS] =
            text.as_bytes().try_into().map_err(|_| MatriculeError::Shape)?;
        let (number, key) = bytes.split_at(13);
        if number[0] == b'0' || !key.iter().all(u8::is_ascii_digit) {
            return Err(MatriculeError::Shape);
        }
        let expected = key_of(number).ok_or(MatriculeError::Shape)?;
        match (key[0] - b'0') * 10 + (key[1] - b'0') {
            found if found == expected => Ok(MatriculeIns(bytes)),
            _ => Err(MatriculeError::Key),
        }
    }
}

impl TryFrom<String> for MatriculeIns {
    type Error = MatriculeError;
    fn try_from(text: String) -> Result<Self, MatriculeError> {
        text.parse()
    }
}

impl From<MatriculeIns> for String {
    fn from(matricule: MatriculeIns) -> String {
        matricule.as_str().to_owned()
    }
}

impl fmt::Display for MatriculeIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MatriculeIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MatriculeIns(…)")
    }
}

/// Who gave the matricule: each authority has its OID (CI-SIS, volet structuration minimale).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InsAuthority {
    /// Matricule from the registration number (NIR).
    Nir,
    /// Matricule from the waiting number (NIA).
    Nia,
    /// NIR of a test identity.
    NirTest,
    /// NIA of a test identity.
    NiaTest,
}

impl InsAuthority {
    /// Its OID.
    pub const fn oid(self) -> &'static str {
        match self {
            InsAuthority::Nir => "1.2.250.1.213.1.4.8",
            InsAuthority::Nia => "1.2.250.1.213.1.4.9",
            InsAuthority::NirTest => "1.2.250.1.213.1.4.10",
            InsAuthority::NiaTest => "1.2.250.1.213.1.4.11",
        }
    }

    /// The authority of an OID; `None` for any other, the obsolete INS-C included.
    pub fn from_oid(oid: &str) -> Option<Self> {
        [Self::Nir, Self::Nia, Self::NirTest, Self::NiaTest].into_iter().find(|a| a.oid() == oid)
    }

    /// The name that HL7v2 gives it in PID-3 (annexe INS).
    pub const fn hl7_namespace(self) -> &'static str {
        match self {
            InsAuthority::Nir | InsAuthority::NirTest => "ASIP-SANTE-INS-NIR",
            InsAuthority::Nia | InsAuthority::NiaTest => "ASIP-SANTE-INS-NIA",
        }
    }

    /// Test identities are nobody: a server in production takes them for no INS at all.
    pub const fn is_test(self) -> bool {
        matches!(self, InsAuthority::NirTest | InsAuthority::NiaTest)
    }
}

/// A patient as the référentiel INS names one: a matricule and who gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ins {
    /// Who gave it.
    pub authority: InsAuthority,
    /// The 15 characters.
    pub matricule: MatriculeIns,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<(), MatriculeError>) {
        assert_eq!(text.parse::<MatriculeIns>().map(|_| ()), expected, "{text}");
    }

    #[test]
    fn keys_of_test_identities() {
        for good in ["279035121518989", "277076322082910", "207058575627097", "274075176079430"] {
            check(good, Ok(()));
        }
        // The same person with a letter: 97 - (1 55 08 19 322 025 mod 97) and with 18 for 2B.
        let key = |number: u64| format!("{:02}", 97 - number % 97);
        check(&format!("155082A322025{}", key(1_550_819_322_025)), Ok(()));
        check(&format!("155082B322025{}", key(1_550_818_322_025)), Ok(()));
        check("221042545611404", Err(MatriculeError::Key));
        check("155082C32202500", Err(MatriculeError::Shape));
        check("155081A32202500", Err(MatriculeError::Shape));
        check("079035121518989", Err(MatriculeError::Shape));
        check("27903512151898", Err(MatriculeError::Shape));
        check("", Err(MatriculeError::Shape));
    }

    #[test]
    fn authorities() {
        for a in [InsAuthority::Nir, InsAuthority::NiaTest] {
            assert_eq!(InsAuthority::from_oid(a.oid()), Some(a));
        }
        // INS-C, obsolete.
        assert_eq!(InsAuthority::from_oid("1.2.250.1.213.1.4.2"), None);
        assert!(InsAuthority::NirTest.is_test() && !InsAuthority::Nia.is_test());
    }

    #[test]
    fn debug_shows_nobody() {
        let matricule: MatriculeIns = "279035121518989".parse().unwrap();
        assert_eq!(format!("{matricule:?}"), "MatriculeIns(…)");
        assert_eq!(matricule.to_string(), "279035121518989");
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in ".{0,20}") {
            let _ = text.parse::<MatriculeIns>();
        }

        #[test]
        fn one_wrong_digit_is_seen(
            number in 1_000_000_000_000_u64..10_000_000_000_000,
            place in 0..13usize,
            by in 1..10u8,
        ) {
            let text = format!("{number}{:02}", 97 - number % 97);
            prop_assert!(text.parse::<MatriculeIns>().is_ok());
            let mut wrong = text.into_bytes();
            wrong[place] = b'0' + (wrong[place] - b'0' + by) % 10;
            prop_assert!(String::from_utf8(wrong).unwrap().parse::<MatriculeIns>().is_err());
        }
    }
}
