//! `date` and `date-time` of RFC 9051 9.

use jiff::civil;
use jiff::tz::Offset;
use palombe_vocabulary::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A calendar day without time zone: SEARCH compares days only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(civil::Date);

impl Day {
    /// Reads `1-Feb-1994` or `01-Feb-1994`.
    pub(crate) fn parse(text: &[u8]) -> Option<Day> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(3, '-');
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        if day.is_empty() || day.len() > 2 || year.len() != 4 {
            return None;
        }
        Some(Day(civil::Date::new(digits(year)?, month_number(month)?, digits(day)?).ok()?))
    }

    /// The day of an instant in UTC (RFC 9051 6.4.4 compares "disregarding time and timezone"; ours are UTC).
    pub fn of(instant: Timestamp) -> Option<Day> {
        let timestamp = jiff::Timestamp::from_millisecond(instant.0).ok()?;
        Some(Day(Offset::UTC.to_datetime(timestamp).date()))
    }

    /// Year, month, day.
    pub fn parts(self) -> (i16, i8, i8) {
        (self.0.year(), self.0.month(), self.0.day())
    }

    /// The day that a Date header writes, whatever its zone.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Day> {
        Some(Day(civil::Date::new(year, month, day).ok()?))
    }
}

/// An instant as APPEND and INTERNALDATE write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

impl DateTime {
    /// Reads `17-Jul-1996 02:44:25 -0700`, without the quotes; the day may be padded by a space.
    pub(crate) fn parse(text: &[u8]) -> Option<DateTime> {
        let text = std::str::from_utf8(text).ok()?;
        if text.len() != 26 || !text.is_ascii() {
            return None;
        }
        let (date, time, zone) = (&text[..11], &text[12..20], &text[21..]);
        let separated = text[11..].starts_with(' ') && text[20..].starts_with(' ');
        let Day(date) = Day::parse(date.trim_start_matches(' ').as_bytes())?;
        let time = time.as_bytes();
        if !separated || time[2] != b':' || time[5] != b':' {
            return None;
        }
        let pair = |at: usize| digits::<i8>(std::str::from_utf8(&time[at..at + 2]).ok()?);
        // A leap second is the second before it: no instant of ours has one.
        let time = civil::Time::new(pair(0)?, pair(3)?, pair(6)?.min(59), 0).ok()?;
        let (hours, minutes) = (digits::<i32>(&zone[1..3])?, digits::<i32>(&zone[3..5])?);
        let sign = match &zone[..1] {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
        let instant = offset.to_timestamp(civil::DateTime::from_parts(date, time)).ok()?;
        Some(DateTime(Timestamp(instant.as_millisecond())))
    }
}

/// In UTC, without the quotes.
impl std::fmt::Display for DateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bounded = self
            .0
            .0
            .clamp(jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
        let instant = jiff::Timestamp::from_millisecond(bounded).unwrap_or_default();
        let utc = Offset::UTC.to_datetime(instant);
        let month = MONTHS[usize::from(utc.month().unsigned_abs()).clamp(1, 12) - 1];
        let (h, m, s) = (utc.hour(), utc.minute(), utc.second());
        write!(f, "{:02}-{month}-{:04} {h:02}:{m:02}:{s:02} +0000", utc.day(), utc.year())
    }
}

fn month_number(name: &str) -> Option<i8> {
    let index = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))?;
    i8::try_from(index + 1).ok()
}

/// Digits only: `parse` alone would take a sign.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        let check = |text: &str, expected: Option<&str>| {
            let parsed = DateTime::parse(text.as_bytes()).map(|d| d.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        };
        check("17-Jul-1996 02:44:25 -0700", Some("17-Jul-1996 09:44:25 +0000"));
        check(" 1-Feb-2026 00:00:60 +0100", Some("31-Jan-2026 23:00:59 +0000"));
        check("31-Feb-2026 00:00:00 +0100", None);
        check("17-Jul-1996T02:44:25 -0700", None);
        check("17-Jul-1996 02:44:25 -07:0", None);
        check("", None);
        assert!(Day::parse(b"1-Feb-1994") < Day::parse(b"02-feb-1994"));
        assert_eq!(Day::parse(b"1-Feb-94"), None);
    }
}
