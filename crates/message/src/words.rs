//! What an index keeps of a message as whole words: names of header fields, its EMAILID, the day of the Date header at
//! every scale.
//! Whoever writes the index and whoever asks it take them from here.

/// Days of the Date header, whatever its zone: year, month, day.
pub type SentDay = (u16, u8, u8);

/// A header field of this name is there.
pub fn field(name: &str) -> String {
    format!("field {}", name.to_ascii_lowercase())
}

/// The content of this EMAILID (RFC 8474 4).
pub fn email(id: &str) -> String {
    format!("email {id}")
}

/// Century, decade, year, month, day.
pub fn sent(day: SentDay) -> [String; 5] {
    let (year, month, day) = day;
    [
        century(year / 100),
        decade(year / 10),
        whole_year(year),
        whole_month(year, month),
        whole_day((year, month, day)),
    ]
}

/// The word of one day.
pub fn whole_day((year, month, day): SentDay) -> String {
    format!("sent {year:04}-{month:02}-{day:02}")
}

fn whole_month(year: u16, month: u8) -> String {
    format!("sent {year:04}-{month:02}")
}

fn whole_year(year: u16) -> String {
    format!("sent {year:04}")
}

fn decade(decade: u16) -> String {
    format!("sent {decade:03}x")
}

fn century(century: u16) -> String {
    format!("sent {century:02}xx")
}

/// A message sent on this day or later has one of these words, and no other message has.
pub fn sent_since(day: SentDay) -> Vec<String> {
    let (year, month, first) = day;
    let mut out: Vec<String> = (first..=31).map(|day| whole_day((year, month, day))).collect();
    out.extend((month..=12).skip(1).map(|month| whole_month(year, month)));
    out.extend((year..=year / 10 * 10 + 9).skip(1).map(whole_year));
    out.extend((year / 10..=year / 100 * 10 + 9).skip(1).map(decade));
    out.extend((year / 100..=99).skip(1).map(century));
    out
}

/// A message sent before this day has one of these words, and no other message has.
pub fn sent_before(day: SentDay) -> Vec<String> {
    let (year, month, end) = day;
    let mut out: Vec<String> = (0..end).map(|day| whole_day((year, month, day))).collect();
    out.extend((0..month).map(|month| whole_month(year, month)));
    out.extend((year / 10 * 10..year).map(whole_year));
    out.extend((year / 100 * 10..year / 10).map(decade));
    out.extend((0..year / 100).map(century));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn days_compare_as_their_words(
            a in (0u16..=9999, 1u8..=12, 1u8..=31),
            near in proptest::option::of((0u16..3, 1u8..=12, 1u8..=31)),
            b in (0u16..=9999, 1u8..=12, 1u8..=31),
        ) {
            let b = near.map_or(b, |(y, m, d)| ((a.0 + y).min(9999), m, d));
            let words = sent(a);
            let any = |asked: Vec<String>| asked.iter().any(|word| words.contains(word));
            prop_assert_eq!(any(sent_since(b)), a >= b);
            prop_assert_eq!(any(sent_before(b)), a < b);
            prop_assert_eq!(words.contains(&whole_day(b)), a == b);
        }
    }
}
