//! HTML reduced to its words, in one pass over untrusted text and in no more room than the text itself.

use memchr::{memchr, memchr2, memmem};

/// Elements that do not part words.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font",
    "i", "ins", "kbd", "mark", "o:p", "q", "s", "samp", "small", "span", "strike", "strong", "sub",
    "sup", "tt", "u", "var", "wbr",
];
/// Elements whose content is no text.
const HIDDEN: &[&str] = &["script", "style"];

/// The words of an HTML text: tags and comments left out, entities decoded.
pub(crate) fn words(html: &str) -> String {
    // Without a tag in it, the library only decodes entities and joins white space.
    mail_parser::html_to_text(&without_tags(html))
}

fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = memchr(b'<', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if !opens_tag(rest.as_bytes()) {
            out.push_str("&lt;");
            rest = &rest[1..];
            continue;
        }
        let name = tag_name(rest);
        if !INLINE.contains(&name.as_str()) {
            out.push('\n');
        }
        let hides = HIDDEN.contains(&name.as_str()) && !rest.starts_with("</");
        rest = &rest[tag_end(rest.as_bytes())..];
        if hides {
            rest = after_hidden(rest, &name);
        }
    }
    out.push_str(rest);
    out
}

/// A letter, `/`, `!` or `?` follows; anything else is a sign in the text.
fn opens_tag(at: &[u8]) -> bool {
    matches!(at.get(1), Some(b'/' | b'!' | b'?' | b'a'..=b'z' | b'A'..=b'Z'))
}

fn tag_name(at: &str) -> String {
    let name = at[1..].trim_start_matches('/');
    let end = name.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b':'));
    name[..end.unwrap_or(name.len())].to_ascii_lowercase()
}

/// Past the tag or comment at the front. A quoted attribute may hold `>`; an unclosed quote holds none.
fn tag_end(at: &[u8]) -> usize {
    if at.starts_with(b"<!--") {
        return memmem::find(&at[4..], b"-->").map_or(at.len(), |end| 4 + end + 3);
    }
    let Some(plain) = memchr(b'>', at) else { return at.len() };
    let mut from = 0;
    while let Some(quote) = memchr2(b'"', b'\'', &at[from..]).map(|quote| from + quote) {
        match memchr(b'>', &at[from..]) {
            Some(end) if from + end < quote => return from + end + 1,
            None => return plain + 1,
            Some(_) => {}
        }
        match memchr(at[quote], &at[quote + 1..]) {
            Some(close) => from = quote + 1 + close + 1,
            None => return plain + 1,
        }
    }
    memchr(b'>', &at[from..]).map_or(plain + 1, |end| from + end + 1)
}

/// Past the end tag, or nothing is left.
fn after_hidden<'t>(text: &'t str, name: &str) -> &'t str {
    let mut rest = text;
    while let Some(at) = memmem::find(rest.as_bytes(), b"</") {
        rest = &rest[at..];
        if tag_name(rest) == name {
            return rest;
        }
        rest = &rest[2..];
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(html: &str, expected: &str) {
        let words: Vec<String> = words(html).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.join(" "), expected, "{html}");
    }

    #[test]
    fn words_of_html() {
        check("<p>Compte <b>ren</b>du</p><p>suite</p>", "Compte rendu suite");
        check("<table><tr><td>Dupont</td><td>Jean</td></tr></table>", "Dupont Jean");
        check("H&eacute;moglobine&nbsp;basse &#233; &#xe9; &amp;lt;", "Hémoglobine basse é é &lt;");
        check("a < b et c<d", "a < b et c"); // as browsers read it
        check("3<5 ou 7>6", "3<5 ou 7>6");
        check("<style>p > b { x: '</p>' }</style>un<script>if (a<b) x()</script>deux", "un deux");
        check("<!-- <p>non</p> -->oui<!-- fin", "oui");
        check("<img alt=\"a > b\" src='x>y'>texte", "texte");
        check("<a href=\"l'apostrophe\">lien</a> suite", "lien suite");
        check("<p title=\"jamais fermé>un<br>deux", "un deux");
        check("<head><title>Titre</title></head><body>corps", "Titre corps");
        check("<", "<");
        check("", "");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[<>/!a-c\"' =&;é-]{0,60}") {
            let _ = words(&text);
        }
    }
}
