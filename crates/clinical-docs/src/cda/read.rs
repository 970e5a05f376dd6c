//! A CDA from octets: finds the ClinicalDocument, reads header and body.

use super::body::{self, Body};
use super::header::Reader;
use super::model::Header;
use crate::error::DocError;
use crate::facts::redacted;
use crate::limits::Limits;
use crate::xml::{self, Element, Ns};
use serde::{Deserialize, Serialize};

/// Octets in which a ClinicalDocument that is not the document element is looked for by [`is_cda`].
const SNIFFED_BYTES_MAX: usize = 1 << 20;

/// A document, read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cda {
    /// The header.
    pub header: Header,
    /// The body.
    pub body: Body,
    /// The CDA stands within a stylesheet of its own (document auto-présentable).
    pub self_presentable: bool,
    /// An XML signature stands around or in it. It is not verified here.
    pub signed: bool,
    /// Stylesheets that it names. They are never fetched nor run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stylesheets: Vec<String>,
    /// ClinicalDocument elements besides the first, which is the one that is read.
    #[serde(default)]
    pub others: usize,
}
redacted!(Cda);

/// True when the octets look like a CDA: cheap, no parse.
pub fn is_cda(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(SNIFFED_BYTES_MAX)];
    let sixteen = |big: bool| -> Vec<u8> {
        let pair = |c: u8| if big { [0, c] } else { [c, 0] };
        b"ClinicalDocument".iter().flat_map(|&c| pair(c)).collect()
    };
    let holds = |needle: &[u8]| memchr::memmem::find(head, needle).is_some();
    let marked = head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]);
    let wide = marked || head.starts_with(b"<\0") || head.starts_with(b"\0<");
    let start = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    if wide {
        return holds(&sixteen(false)) || holds(&sixteen(true));
    }
    start.starts_with(b"<") && opens(head) && holds(b"urn:hl7-org:v3")
}

/// `<ClinicalDocument` or `<prefix:ClinicalDocument`; a stylesheet that only names it is no document.
fn opens(head: &[u8]) -> bool {
    memchr::memmem::find_iter(head, b"ClinicalDocument").any(|at| {
        let before = &head[..at];
        let before = match before.strip_suffix(b":") {
            Some(prefixed) => {
                let name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'_' | b'-' | b'.');
                &prefixed[..prefixed.len() - prefixed.iter().rev().take_while(name).count()]
            }
            None => before,
        };
        before.ends_with(b"<")
    })
}

/// Reads a CDA R2, bare or self-presentable.
///
/// # Errors
/// What XML may fail on, [`DocError::NotCda`], or [`DocError::Base64`] and a limit for its embedded files.
pub fn read_cda(bytes: &[u8], limits: &Limits) -> Result<Cda, DocError> {
    with_document(bytes, limits, |document| {
        let reader = Reader { limits };
        let tree = document.tree;
        let root = tree.root().unwrap_or(document);
        let signature = |element: Element<'_>| element.first(Ns::Dsig, "Signature").is_some();
        let others = tree.elements().filter(|e| e.is(Ns::Hl7, "ClinicalDocument")).count();
        Ok(Cda {
            header: reader.header(document),
            body: body::read(document, &reader)?,
            self_presentable: root.id != document.id && !root.is(Ns::Dsig, "Signature"),
            signed: root.is(Ns::Dsig, "Signature") || signature(root) || signature(document),
            stylesheets: tree.stylesheets.clone(),
            others: others.saturating_sub(1),
        })
    })
}

/// Parses and hands over the first ClinicalDocument.
pub(crate) fn with_document<T>(
    bytes: &[u8],
    limits: &Limits,
    read: impl FnOnce(Element<'_>) -> Result<T, DocError>,
) -> Result<T, DocError> {
    let text = xml::decode(bytes, limits)?;
    let tree = xml::parse(&text, limits)?;
    let document = tree.elements().find(|element| element.is(Ns::Hl7, "ClinicalDocument"));
    read(document.ok_or(DocError::NotCda)?)
}
