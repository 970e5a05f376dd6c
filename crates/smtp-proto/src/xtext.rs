//! xtext (RFC 3461 4): `+HH` for every octet outside `!`–`~`, and for `+` and `=`.

/// Encodes a text.
pub fn xtext_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b'!'..=b'~').contains(&byte) && byte != b'+' && byte != b'=' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("+{byte:02X}"));
        }
    }
    out
}

/// Decodes a text; `None` when it is not xtext, or hides a control character or something else than UTF-8.
pub fn xtext_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(hex(bytes.next()?)? << 4 | hex(bytes.next()?)?),
            b'=' => return None,
            b'!'..=b'~' => out.push(byte),
            _ => return None,
        }
    }
    // What was encoded will stand in a report's header: no line may be smuggled into it.
    let text = String::from_utf8(out).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// RFC 3461 4 allows upper case only; lower case is met in the wild and is not ambiguous.
fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["", "a@b.fr", "a+b=c", "é x", "100%"] {
            let coded = xtext_encode(text);
            assert!(coded.bytes().all(|b| (b'!'..=b'~').contains(&b)), "{coded}");
            assert_eq!(xtext_decode(&coded).as_deref(), Some(text));
        }
    }

    #[test]
    fn refused() {
        for text in ["+", "+4", "+GG", "a=b", "a b", "+0D+0A", "+00", "+FF"] {
            assert_eq!(xtext_decode(text), None, "{text}");
        }
    }
}
