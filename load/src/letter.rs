//! Letters between professionals: a text in French and a document, different senders, subjects and words.

use std::fmt::Write;

const PEOPLE: [&str; 8] =
    ["Aubert", "Berger", "Colin", "Dumas", "Etienne", "Fabre", "Garnier", "Henry"];
const MATTERS: [&str; 8] = [
    "Compte rendu de consultation",
    "Resultats de biologie",
    "Lettre de liaison",
    "Imagerie",
    "Ordonnance",
    "Avis specialise",
    "Rendez-vous",
    "Transmission infirmiere",
];
const WORDS: [&str; 16] = [
    "patient",
    "tension",
    "glycemie",
    "traitement",
    "controle",
    "douleur",
    "examen",
    "dosage",
    "suivi",
    "semaine",
    "bilan",
    "reprise",
    "scanner",
    "amelioration",
    "domicile",
    "courrier",
];
/// A word in the text of one letter in a hundred.
pub const RARE_WORD: &str = "anticoagulant";

fn mixed(number: u64, salt: u64) -> usize {
    // splitmix64: the same letters on every server.
    let mut z = number.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)) as usize
}

/// Letter `number` of a run: about `bytes` octets, CRLF lines.
pub fn letter(run: &str, number: u64, bytes: usize) -> Vec<u8> {
    let person = PEOPLE[mixed(number, 1) % PEOPLE.len()];
    let matter = MATTERS[mixed(number, 2) % MATTERS.len()];
    let (minute, second) = (number / 60 % 60, number % 60);
    let mut text = String::with_capacity(bytes + 512);
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "Date: Sat, 21 Nov 2026 10:{minute:02}:{second:02} +0100\r\n\
         From: \"Dr {person}\" <{}.{number}@alpha.mssante.test>\r\n\
         To: \"Secretariat\" <bal00@beta.mssante.test>, <laboratoire@beta.mssante.test>\r\n\
         Cc: \"Dossier\" <archive@beta.mssante.test>\r\n\
         Subject: {matter} {number}\r\n\
         Message-ID: <{number}.{run}@letter.invalid>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"=_frontiere\"\r\n\r\n\
         --=_frontiere\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        person.to_lowercase()
    );
    for line in 0..6 {
        for word in 0..8 {
            let at = mixed(number, 100 + line * 8 + word) % WORDS.len();
            let _ = write!(text, "{} ", WORDS[at]);
        }
        text.push_str("\r\n");
    }
    if number.is_multiple_of(100) {
        let _ = write!(text, "{RARE_WORD}\r\n");
    }
    text.push_str(
        "--=_frontiere\r\nContent-Type: application/pdf; name=\"cr.pdf\"\r\n\
         Content-Disposition: attachment; filename=\"cr.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n",
    );
    let mut line = 0;
    while text.len() + 100 < bytes {
        for column in 0..9 {
            let _ = write!(text, "{:08X}", mixed(number, 1000 + line * 9 + column) as u32);
        }
        text.push_str("\r\n");
        line += 1;
    }
    text.push_str("--=_frontiere--\r\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::letter;

    #[test]
    fn letters_differ_and_have_the_asked_size() {
        assert_ne!(letter("a", 1, 4096), letter("a", 2, 4096));
        assert_eq!(letter("a", 7, 4096), letter("a", 7, 4096));
        for size in [1400, 4096, 65536] {
            let octets = letter("a", 100, size);
            assert!(octets.len().abs_diff(size) < 200, "{} for {size}", octets.len());
            assert!(octets.split(|byte| *byte == b'\n').all(|line| line.len() <= 80));
        }
    }
}
