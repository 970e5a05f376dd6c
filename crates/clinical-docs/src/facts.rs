//! Small types that several formats share: identifiers, codes, HL7 times, CX, XCN and XON values.

use crate::hl7v2::{escape, unescape};
use palombe_vocabulary::{Ins, InsAuthority};
use serde::{Deserialize, Serialize};

/// Shows a type by its name only: health content never reaches a log.
macro_rules! redacted {
    ($($name:ident),+ $(,)?) => {
        $(impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        })+
    };
}
pub(crate) use redacted;

/// An instance identifier: an OID, and an extension under it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Id {
    /// The OID; empty when it is absent.
    pub root: String,
    /// The value under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
}

impl Id {
    /// The form of XDS uniqueId: `root` or `root^extension`.
    pub fn unique_id(&self) -> String {
        match &self.extension {
            Some(extension) => format!("{}^{extension}", self.root),
            None => self.root.clone(),
        }
    }

    /// Reads a uniqueId.
    pub fn from_unique_id(text: &str) -> Id {
        let text = text.strip_prefix("urn:oid:").unwrap_or(text);
        match text.split_once('^') {
            Some((root, extension)) if !extension.is_empty() => {
                Id { root: root.to_owned(), extension: Some(extension.to_owned()) }
            }
            Some((root, _)) => Id { root: root.to_owned(), extension: None },
            None => Id { root: text.to_owned(), extension: None },
        }
    }

    /// At most 64 characters of digits and dots, no leading zero, and an extension within 16 more (DMP: none).
    pub fn is_oid(&self) -> bool {
        let arcs: Vec<&str> = self.root.split('.').collect();
        self.root.len() <= 64
            && arcs.len() > 1
            && arcs.iter().all(|arc| {
                !arc.is_empty()
                    && arc.bytes().all(|b| b.is_ascii_digit())
                    && (arc.len() == 1 || !arc.starts_with('0'))
            })
    }
}

/// A coded value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// OID of the code system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Name of the code system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_name: Option<String>,
    /// Its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_flavor: Option<String>,
    /// What the author wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_text: Option<String>,
    /// What makes it more precise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<Qualifier>,
    /// The same in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub translations: Vec<Code>,
}

/// A precision of a code: what about, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualifier {
    /// What about.
    pub name: Code,
    /// What.
    pub value: Code,
}

impl Code {
    /// The code, or nothing.
    pub fn text(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }
}

/// An HL7 time as written: `YYYY[MM[DD[HH[MM[SS[.s]]]]]][±ZZZZ]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HlTime(pub String);

impl HlTime {
    /// Digits before the fraction and the zone; `None` when it is no HL7 time.
    fn parts(&self) -> Option<(&str, Option<(bool, u32)>)> {
        let text = self.0.as_str();
        let place = text.find(['+', '-']).unwrap_or(text.len());
        let (moment, zone) = text.split_at(place);
        let digits = moment.split_once('.').map_or(moment, |(digits, _)| digits);
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !plain(digits) || !matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14) {
            return None;
        }
        let zone = match zone.split_at_checked(1) {
            None => None,
            Some((sign, hours)) if plain(hours) && hours.len() == 4 => {
                let (h, m): (u32, u32) = (hours[..2].parse().ok()?, hours[2..].parse().ok()?);
                (h <= 14 && m < 60).then_some(Some((sign == "-", h * 60 + m)))?
            }
            Some(_) => return None,
        };
        Some((digits, zone))
    }

    /// True when it can be read and names an instant or a day that exists.
    pub fn is_valid(&self) -> bool {
        self.parts().is_some_and(|(digits, _)| civil(digits).is_some())
    }

    /// The precision of XDS: UTC, `YYYYMMDDHHMMSS` at most. A time without zone is taken as it stands; a date stays a
    /// date. `None` when it cannot be read.
    pub fn utc(&self) -> Option<String> {
        let (digits, zone) = self.parts()?;
        let moment = civil(digits)?;
        let Some((west, minutes)) = zone.filter(|_| digits.len() > 8) else {
            return Some(digits.to_owned());
        };
        let shift = jiff::SignedDuration::from_mins(i64::from(minutes));
        let shifted = if west { moment.checked_add(shift) } else { moment.checked_sub(shift) };
        let shifted = shifted.ok()?;
        // Seconds are there even when the document had none: XDS has no precision of minutes with a zone.
        Some(shifted.strftime("%Y%m%d%H%M%S").to_string())
    }

    /// `JJ/MM/AAAA` with the time when there is one, as a French reader expects it.
    pub fn french(&self) -> String {
        let Some((digits, _)) = self.parts() else { return self.0.clone() };
        match digits.len() {
            4 => digits.to_owned(),
            6 => format!("{}/{}", &digits[4..6], &digits[..4]),
            8 | 10 => format!("{}/{}/{}", &digits[6..8], &digits[4..6], &digits[..4]),
            _ => format!(
                "{}/{}/{} {}:{}",
                &digits[6..8],
                &digits[4..6],
                &digits[..4],
                &digits[8..10],
                &digits[10..12]
            ),
        }
    }

    /// The first eight digits, when there are that many.
    pub fn day(&self) -> Option<&str> {
        self.parts().and_then(|(digits, _)| digits.get(..8))
    }

    /// Milliseconds since the epoch, to order documents; without zone it is taken as UTC.
    pub fn instant(&self) -> Option<palombe_vocabulary::Timestamp> {
        let (digits, _) = HlTime(self.utc()?).parts().map(|(d, z)| (d.to_owned(), z))?;
        let moment = civil(&digits)?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(palombe_vocabulary::Timestamp(moment.timestamp().as_millisecond()))
    }
}

fn civil(digits: &str) -> Option<jiff::civil::DateTime> {
    let part = |from: usize, default: i16| match digits.get(from..from + 2) {
        Some(text) => text.parse::<i16>().ok(),
        None => Some(default),
    };
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let byte = |value: Option<i16>| i8::try_from(value?).ok();
    jiff::civil::DateTime::new(
        year,
        byte(part(4, 1))?,
        byte(part(6, 1))?,
        byte(part(8, 0))?,
        byte(part(10, 0))?,
        byte(part(12, 0))?,
        0,
    )
    .ok()
}

/// An identifier of HL7v2 type CX, as PID-3, XDS patientId and sourcePatientId write it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cx {
    /// CX.1.
    pub id: String,
    /// CX.4.1, the name of the authority.
    pub namespace: String,
    /// CX.4.2, its OID.
    pub oid: String,
    /// CX.5: `NH` and `INS` for a matricule, `PI` for a local number.
    pub kind: String,
}
redacted!(Cx);

impl Cx {
    /// Reads one; further components are left out.
    pub fn parse(text: &str) -> Option<Cx> {
        let mut parts = text.split('^');
        let id = unescape(parts.next()?);
        let authority = parts.nth(2).unwrap_or_default();
        let kind = parts.next().unwrap_or_default().to_owned();
        let mut authority = authority.split('&');
        let namespace = unescape(authority.next().unwrap_or_default());
        let oid = authority.next().unwrap_or_default().to_owned();
        (!id.is_empty()).then_some(Cx { id, namespace, oid, kind })
    }

    /// The INS when the authority is one of the INS and the key is right.
    pub fn ins(&self) -> Option<Ins> {
        let authority = InsAuthority::from_oid(&self.oid)?;
        Some(Ins { authority, matricule: self.id.parse().ok()? })
    }

    /// `<matricule>^^^&<OID>&ISO^NH` (CI-SIS, XDS patientId).
    pub fn of_ins(ins: &Ins) -> Cx {
        Cx {
            id: ins.matricule.to_string(),
            namespace: String::new(),
            oid: ins.authority.oid().to_owned(),
            kind: "NH".to_owned(),
        }
    }

    /// Its text.
    pub fn text(&self) -> String {
        let (id, namespace) = (escape(&self.id), escape(&self.namespace));
        let oid = escape(&self.oid);
        let iso = if oid.is_empty() { "" } else { "ISO" };
        format!("{id}^^^{namespace}&{oid}&{iso}^{}", escape(&self.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, utc: Option<&str>) {
        assert_eq!(HlTime(text.to_owned()).utc().as_deref(), utc, "{text}");
    }

    #[test]
    fn times() {
        check("20210108111700+0100", Some("20210108101700"));
        check("202101010030+0100", Some("20201231233000"));
        check("20210101233000-0530", Some("20210102050000"));
        check("20210101233000.123+0000", Some("20210101233000"));
        check("20210108", Some("20210108"));
        check("19790328+0100", Some("19790328"));
        check("1979", Some("1979"));
        check("20210108111700", Some("20210108111700"));
        check("20211308", None);
        check("2021010", None);
        check("20210101250000", None);
        check("2021-01-01", None);
        check("+0100", None);
        check("20210101-1500", None);
        check("", None);
        let time = HlTime("20210108111700+0100".to_owned());
        assert_eq!(time.french(), "08/01/2021 11:17");
        assert_eq!(time.instant().unwrap().to_string(), "2021-01-08T10:17:00.000Z");
        assert_eq!(HlTime("1979".to_owned()).day(), None);
    }

    #[test]
    fn identifiers() {
        let cx = Cx::parse("207058575627097^^^&1.2.250.1.213.1.4.10&ISO^NH^^20100907").unwrap();
        assert_eq!(cx.text(), "207058575627097^^^&1.2.250.1.213.1.4.10&ISO^NH");
        assert!(cx.ins().is_some());
        let local = Cx::parse("1^^^A&1.2&ISO^PI").unwrap();
        assert_eq!((local.namespace.as_str(), local.ins()), ("A", None));
        assert_eq!(Cx::parse(""), None);
        assert_eq!(Id::from_unique_id("1.2^3").unique_id(), "1.2^3");
        assert_eq!(Id::from_unique_id("urn:oid:1.2").unique_id(), "1.2");
        let oid = |root: &str| Id { root: root.to_owned(), extension: None }.is_oid();
        assert!(oid("1.2.250.1") && !oid("1.02") && !oid("1") && !oid("1..2") && !oid("a.b"));
    }
}
