//! Names that the messages of MSSanté carry: subject, names of PDF files.

use crate::cda::Header;
use crate::xds::act_day;

/// Characters kept of the label of a document type (ECO.2.1.3, ECO.2.1.6).
const LABEL_CHARS_MAX: usize = 40;
/// Prefix of the subject of a message that carries an archive.
pub(crate) const SUBJECT_PREFIX: &str = "XDM/1.0/DDM+";

/// The patient as subjects and file names write it.
#[derive(Clone, PartialEq, Eq)]
pub struct MailName {
    /// Birth name, capitals without accents.
    pub family: String,
    /// First given name, without accents.
    pub given: String,
    /// `JJ/MM/AAAA`, when the whole date is known.
    pub birth: Option<String>,
}
crate::facts::redacted!(MailName);

impl MailName {
    /// From the header of a document.
    pub fn of(header: &Header) -> MailName {
        let traits = header.patient.traits();
        MailName {
            family: plain(&traits.birth_name).to_uppercase(),
            given: plain(&traits.first_given),
            birth: (traits.birth_date.len() == 8).then(|| header.patient.birth_time.french()),
        }
    }
}

/// The subject of the message: `XDM/1.0/DDM+<libellé> <NOM> <prénom> <JJ/MM/AAAA>`.
pub fn subject(headers: &[&Header]) -> String {
    // ANS R2 ECO.2.1.3
    let Some(first) = headers.first() else { return SUBJECT_PREFIX.to_owned() };
    let label = match headers.len() {
        1 => label(first),
        count => format!("{count} documents"),
    };
    let name = MailName::of(first);
    let parts = [Some(label), Some(name.family), Some(name.given), name.birth];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    format!("{SUBJECT_PREFIX}{}", parts.join(" "))
}

/// The name of the PDF of a document: `<AAAAMMJJ>_<type>_<NOM>_<prenom>.pdf`.
pub fn pdf_name(header: &Header) -> String {
    // ANS R2 ECO.2.1.6
    let name = MailName::of(header);
    let label = plain(&label(header));
    let day = act_day(header).unwrap_or_default();
    let parts = [day, label, name.family, name.given];
    let clean = |part: &String| {
        let words = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
    };
    let parts: Vec<String> = parts.iter().map(clean).filter(|part| !part.is_empty()).collect();
    format!("{}.pdf", parts.join("_"))
}

fn label(header: &Header) -> String {
    let label = header.code.label.as_deref().unwrap_or(&header.title);
    label.chars().take(LABEL_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// Without accents, and without what no header or file name should hold.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'à' | 'â' | 'ä' | 'á' | 'ã' | 'å' => out.push('a'),
            'À' | 'Â' | 'Ä' | 'Á' | 'Ã' | 'Å' => out.push('A'),
            'ç' => out.push('c'),
            'Ç' => out.push('C'),
            'é' | 'è' | 'ê' | 'ë' => out.push('e'),
            'É' | 'È' | 'Ê' | 'Ë' => out.push('E'),
            'î' | 'ï' | 'í' | 'ì' => out.push('i'),
            'Î' | 'Ï' | 'Í' | 'Ì' => out.push('I'),
            'ñ' => out.push('n'),
            'Ñ' => out.push('N'),
            'ô' | 'ö' | 'ó' | 'ò' | 'õ' => out.push('o'),
            'Ô' | 'Ö' | 'Ó' | 'Ò' | 'Õ' => out.push('O'),
            'ù' | 'û' | 'ü' | 'ú' => out.push('u'),
            'Ù' | 'Û' | 'Ü' | 'Ú' => out.push('U'),
            'ÿ' | 'ý' => out.push('y'),
            'Ÿ' | 'Ý' => out.push('Y'),
            'œ' => out.push_str("oe"),
            'Œ' => out.push_str("OE"),
            'æ' => out.push_str("ae"),
            'Æ' => out.push_str("AE"),
            '’' | '‘' => out.push('\''),
            c if c.is_control() => out.push(' '),
            c if c.is_ascii() => out.push(c),
            _ => out.push(' '),
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_accents() {
        assert_eq!(plain("Hélène  Œuvré-Ça\r\n"), "Helene OEuvre-Ca");
        assert_eq!(subject(&[]), "XDM/1.0/DDM+");
    }
}
