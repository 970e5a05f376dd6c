//! Modified UTF-7 of mailbox names (RFC 3501 5.1.3).

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const MUTF7: GeneralPurpose = GeneralPurpose::new(
    &IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The UTF-8 text of a modified UTF-7 name; `None` when it is not in the one form that the RFC allows.
pub fn decode_utf7(encoded: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'&' => {
                let end = rest.iter().position(|b| *b == b'-')?;
                if end == 0 {
                    text.push('&');
                } else {
                    decode_shifted(&rest[..end], &mut text)?;
                    // Two shifted sequences may not touch: they must be one (RFC 3501 5.1.3).
                    if rest[end + 1..].first() == Some(&b'&') && rest.get(end + 2) != Some(&b'-') {
                        return None;
                    }
                }
                rest = &rest[end + 1..];
            }
            0x20..=0x7e => text.push(char::from(byte)),
            _ => return None,
        }
    }
    Some(text)
}

fn decode_shifted(base64: &[u8], text: &mut String) -> Option<()> {
    let utf16 = MUTF7.decode(base64).ok()?;
    let (pairs, odd) = utf16.as_chunks::<2>();
    if !odd.is_empty() || pairs.is_empty() {
        return None;
    }
    for unit in char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair))) {
        let unit = unit.ok()?;
        // Printable US-ASCII represents itself; anything else is a second name for one folder.
        if (' '..='~').contains(&unit) || unit == '\0' {
            return None;
        }
        text.push(unit);
    }
    Some(())
}

/// The modified UTF-7 form of a name.
pub fn encode_utf7(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    let mut shifted: Vec<u8> = Vec::new();
    for character in text.chars() {
        if (' '..='~').contains(&character) {
            unshift(&mut shifted, &mut encoded);
            encoded.push(character);
            if character == '&' {
                encoded.push('-');
            }
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shifted.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    unshift(&mut shifted, &mut encoded);
    encoded
}

fn unshift(shifted: &mut Vec<u8>, encoded: &mut String) {
    if !shifted.is_empty() {
        encoded.push('&');
        MUTF7.encode_string(&*shifted, encoded);
        encoded.push('-');
        shifted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |encoded: &str, text: Option<&str>| {
            assert_eq!(decode_utf7(encoded.as_bytes()).as_deref(), text, "{encoded}");
            if let Some(text) = text {
                assert_eq!(encode_utf7(text), encoded);
            }
        };
        check("~peter/mail/&U,BTFw-/&ZeVnLIqe-", Some("~peter/mail/台北/日本語"));
        check("R&-D", Some("R&D"));
        check("Envoy&AOk-s", Some("Envoyés"));
        check("&2D3eSg-", Some("🙊"));
        check("&Jjo!", None);
        check("&U,BTFw-&ZeVnLIqe-", None); // RFC 3501 5.1.3: superfluous shift
        check("&AGE-", None); // 'a' written in base64
        check("&2D0-", None); // half a surrogate pair
        check("R&D", None);
    }

    proptest::proptest! {
        #[test]
        fn round_trip(text in "[^\u{0}]{0,40}") {
            proptest::prop_assert_eq!(decode_utf7(encode_utf7(&text).as_bytes()), Some(text));
        }

        #[test]
        fn no_panic(bytes: Vec<u8>) {
            if let Some(text) = decode_utf7(&bytes) {
                proptest::prop_assert_eq!(encode_utf7(&text).into_bytes(), bytes);
            }
        }
    }
}
