//! Base subjects (RFC 5256 2.1 and 5).

use crate::limits::SUBJECT_BYTES_MAX;

/// What is left of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSubject {
    /// Without the marks of replies, forwards and lists.
    pub text: String,
    /// Whether one of the marks was that of a reply or of a forward (RFC 5256 3, REFERENCES).
    pub is_reply_or_forward: bool,
}

/// RFC 5256 2.1. `subject` is decoded text; past a limit it is cut first.
pub fn base_subject(subject: &str) -> BaseSubject {
    let bounded = &subject[..subject.floor_char_boundary(SUBJECT_BYTES_MAX)];
    // (1) One space for each run of blanks.
    let mut spaced = String::with_capacity(bounded.len());
    for c in bounded.chars() {
        let c = if matches!(c, '\t' | '\r' | '\n') { ' ' } else { c };
        if c != ' ' || !spaced.ends_with(' ') {
            spaced.push(c);
        }
    }
    let mut rest = spaced.as_str();
    let mut marked = false;
    loop {
        rest = without_trailers(rest, &mut marked); // (2)
        rest = without_leaders(rest, &mut marked); // (3) to (5)
        // (6)
        match unwrapped(rest) {
            Some(inner) => {
                marked = true;
                rest = inner;
            }
            None => break,
        }
    }
    BaseSubject { text: rest.to_owned(), is_reply_or_forward: marked }
}

fn strip_prefix_no_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// `subj-trailer`, as often as it comes.
fn without_trailers<'a>(mut text: &'a str, marked: &mut bool) -> &'a str {
    const FWD: &str = "(fwd)";
    loop {
        text = text.trim_end_matches(' ');
        let at = text.len().saturating_sub(FWD.len());
        match text.get(at..) {
            Some(tail) if tail.eq_ignore_ascii_case(FWD) => {
                *marked = true;
                text = &text[..at];
            }
            _ => return text,
        }
    }
}

/// `subj-leader` as often as it comes, and each `subj-blob` that something stands behind.
///
/// A blob goes either before a `subj-refwd` or because something is left without it, so a run of blobs is looked at
/// once: hostile subjects of brackets cost their length.
fn without_leaders<'a>(mut text: &'a str, marked: &mut bool) -> &'a str {
    loop {
        text = text.trim_start_matches(' ');
        let (mut after, mut last_blob) = (text, text);
        while let Some(next) = strip_blob(after) {
            last_blob = after;
            after = next;
        }
        if let Some(next) = strip_refwd(after) {
            *marked = true;
            text = next;
            continue;
        }
        return if after.is_empty() { last_blob } else { after };
    }
}

/// `subj-blob`
fn strip_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    Some(inner[end..].strip_prefix(']')?.trim_start_matches(' '))
}

/// `subj-refwd`
fn strip_refwd(text: &str) -> Option<&str> {
    let after =
        ["re", "fwd", "fw"].into_iter().find_map(|word| strip_prefix_no_case(text, word))?;
    let after = after.trim_start_matches(' ');
    strip_blob(after).unwrap_or(after).strip_prefix(':')
}

/// `subj-fwd`, its header and its trailer taken off.
fn unwrapped(text: &str) -> Option<&str> {
    strip_prefix_no_case(text, "[fwd:")?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subject: &str, text: &str, marked: bool) {
        let expected = BaseSubject { text: text.to_owned(), is_reply_or_forward: marked };
        assert_eq!(base_subject(subject), expected, "{subject:?}");
    }

    #[test]
    fn replies_and_forwards() {
        check("", "", false);
        check("Bonjour", "Bonjour", false);
        check("  a \t\r\n b  ", "a b", false);
        check("Re: Bonjour", "Bonjour", true);
        check("re : RE:Fwd: fw:  Bonjour", "Bonjour", true);
        check("Re[2]: Bonjour", "Bonjour", true);
        check("Re [2] : Bonjour", "Bonjour", true);
        check("Reply: Bonjour", "Reply: Bonjour", false);
        check("Rebond", "Rebond", false);
        check("Fwde: x", "Fwde: x", false);
        check("Bonjour (fwd) (FWD) ", "Bonjour", true);
        check("(fwd)", "", true);
        check("Re:", "", true);
        check("Re: (fwd)", "", true);
        check("Bonjour Re: x", "Bonjour Re: x", false);
        check("é", "é", false);
    }

    #[test]
    fn blobs_stay_when_nothing_else_is_left() {
        check("[liste] Bonjour", "Bonjour", false);
        check("[liste] [autre] Re: [x] Bonjour", "Bonjour", true);
        check("[liste]", "[liste]", false);
        check("[a] [b]", "[b]", false);
        check("Re: [a]", "[a]", true);
        check("[a] Re:", "", true);
        check("[a[b] x", "[a[b] x", false);
        check("[a", "[a", false);
        check("[] x", "x", false);
    }

    #[test]
    fn forwards_in_brackets() {
        check("[fwd: Bonjour]", "Bonjour", true);
        check("[Fwd: [FWD: Re: [liste] Bonjour (fwd)] ]", "Bonjour", true);
        check("[fwd: ]", "", true);
        check("[fwd: a] b", "b", false);
        check("Re: [fwd: a]", "a", true);
        check("[fwd:", "[fwd:", false);
    }

    #[test]
    fn hostile_subjects_cost_their_length() {
        let began = std::time::Instant::now();
        for piece in ["[", "[]", "[a", "re:", "[fwd:", "(fwd)", " ", "[]re", "é["] {
            for tail in ["", "]", " x", "]]]]"] {
                base_subject(&(piece.repeat(100_000) + tail));
                base_subject(&format!("{}x{}", piece.repeat(1000), "]".repeat(1000)));
            }
        }
        assert!(began.elapsed().as_secs() < 20);
    }
}
