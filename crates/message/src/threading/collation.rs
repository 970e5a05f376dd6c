//! The collation i;unicode-casemap (RFC 5051).

use icu_normalizer::DecomposingNormalizerBorrowed;

/// Texts sort as these octets do: title case, then the full compatibility decomposition (RFC 5051 2).
pub fn collation_key(text: &str) -> Vec<u8> {
    let titled: String = text.chars().map(titlecase).collect();
    DecomposingNormalizerBorrowed::new_nfkd().normalize(&titled).into_owned().into_bytes()
}

/// The simple title case of UnicodeData. The standard library has the full upper case; the two differ for digraphs,
/// for Greek with iota below, and where upper case is several characters.
fn titlecase(c: char) -> char {
    let code = u32::from(c);
    match code {
        0x01c4..=0x01c6 => '\u{1c5}',
        0x01c7..=0x01c9 => '\u{1c8}',
        0x01ca..=0x01cc => '\u{1cb}',
        0x01f1..=0x01f3 => '\u{1f2}',
        0x1f80..=0x1faf => char::from_u32(code | 8).unwrap_or(c),
        0x1fb3 | 0x1fc3 | 0x1ff3 => char::from_u32(code + 9).unwrap_or(c),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_do_not_count() {
        let same = |a: &str, b: &str| assert_eq!(collation_key(a), collation_key(b), "{a} {b}");
        same("Résultat", "RÉSULTAT");
        same("re\u{301}sultat", "Résultat");
        same("ﬁèvre", "ﬁÈVRE");
        same("\u{1c6}", "\u{1c4}");
        same("ᾳ", "ᾼ");
        same("①", "1");
        assert_ne!(collation_key("ß"), collation_key("SS"));
        assert!(collation_key("") < collation_key("a"));
        assert!(collation_key("abc") < collation_key("B"));
        assert!(collation_key("e") < collation_key("é") && collation_key("É") < collation_key("f"));
    }
}
