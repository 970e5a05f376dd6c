//! The form in which texts are compared: without case, accents, or differences that a keyboard cannot make.

use icu_normalizer::DecomposingNormalizerBorrowed;
use memchr::memmem;

/// Text in the form for SEARCH: compatibility decomposition, lower case, accents and invisible characters left out,
/// ligatures taken apart, typographic apostrophes and dashes as on a keyboard, white space of any length as one
/// space (a line of text may have been broken anywhere). RFC 9051 6.4.4 asks for no case in ASCII and lets the
/// server choose for the rest: "Hélène" is found by "helene".
pub fn fold_for_search(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|b| !b.is_ascii()).unwrap_or(rest.len());
        let (plain, after) = rest.split_at(ascii);
        for octet in plain.bytes() {
            push(char::from(octet.to_ascii_lowercase()), &mut out);
        }
        let other = after.bytes().position(|b| b.is_ascii()).unwrap_or(after.len());
        let (special, after) = after.split_at(other);
        let normalizer = const { DecomposingNormalizerBorrowed::new_nfkd() };
        // One by one: marks are not put in order, so that a piece of a text stays a piece of it.
        for c in special.chars().flat_map(|c| normalizer.normalize_iter(std::iter::once(c))) {
            c.to_lowercase().for_each(|c| push(c, &mut out));
        }
        rest = after;
    }
    out
}

fn push(c: char, out: &mut String) {
    match c {
        'a'..='z' => out.push(c),
        _ if c.is_whitespace() => {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        }
        // Combining marks; soft hyphen, zero-width characters.
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => {}
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => out.push('\''),
        '\u{201c}' | '\u{201d}' => out.push('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
        'œ' => out.push_str("oe"),
        'æ' => out.push_str("ae"),
        'ß' => out.push_str("ss"),
        'ς' => out.push('σ'),
        _ => out.push(c),
    }
}

/// True when `text` holds a needle that [`fold_for_search`] made.
pub fn contains_folded(text: &str, folded_needle: &str) -> bool {
    folded_needle.is_empty() || holds(&fold_for_search(text), folded_needle)
}

/// True when a folded text holds a folded needle.
pub(crate) fn holds(folded: &str, needle: &str) -> bool {
    memmem::find(folded.as_bytes(), needle.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn french_texts_meet() {
        let check = |a: &str, b: &str| assert_eq!(fold_for_search(a), fold_for_search(b));
        check("Hélène Où ÇA", "helene ou ca");
        check("He\u{301}le\u{300}ne", "Hélène");
        check("Cœur, ŒDÈME, ex æquo", "coeur, oedeme, ex aequo");
        check("L’hôpital – l'Été", "l'hopital - l'ete");
        check("compte\r\n\trendu\u{a0}:", "Compte Rendu :");
        check("STRASSE ΣΊΣΥΦΟΣ", "straße σισυφος");
        check("com\u{ad}plet ﬁn №1", "complet fin no1");
        assert!(contains_folded("Éléonore", &fold_for_search("LEO")));
        assert!(!contains_folded("Éléonore", "lé"), "needles are folded too");
    }

    proptest! {
        /// What the index rests on: a piece of a text, folded, is a piece of the folded text.
        #[test]
        fn pieces_stay_pieces(text in any::<String>(), from in 0usize..40, len in 0usize..20) {
            let piece: String = text.chars().skip(from).take(len).collect();
            let needle = fold_for_search(&piece);
            prop_assert!(contains_folded(&text, &needle), "{:?} {:?}", piece, needle);
        }

        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}|[ a-zéÈœ\u{301}\u{ad}ﬁ\r\n]{0,40}") {
            let once = fold_for_search(&text);
            prop_assert_eq!(fold_for_search(&once), once);
        }
    }
}
