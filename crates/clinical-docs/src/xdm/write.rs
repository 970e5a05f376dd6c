//! An IHE_XDM.ZIP out: README.TXT, INDEX.HTM, IHE_XDM/SUBSET01 with METADATA.XML and the documents as they were given.

use crate::archive::{File, zip_files};
use crate::cda::{Cda, read_cda};
use crate::digest::sha1_hex;
use crate::ebrim::{Action, Association, AssociationKind, Submission, XdsCode, write_metadata};
use crate::error::DocError;
use crate::limits::Limits;
use crate::xds::{FileFacts, SubmissionFacts, document_entry, submission_set};
use crate::xml::escape_into;
use palombe_vocabulary::Timestamp;

/// Who sends, for README.TXT and INDEX.HTM.
#[derive(Clone, Debug, Default)]
pub struct Sender<'a> {
    /// The professional or the service.
    pub name: &'a str,
    /// The structure.
    pub organization: &'a str,
    /// Its identifier.
    pub organization_id: &'a str,
    /// Its address.
    pub address: &'a str,
    /// Its telephone.
    pub telephone: &'a str,
    /// The software that writes the archive, its version and its maker.
    pub software: [&'a str; 3],
}

/// One document to send.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The CDA, written as it is.
    pub cda: &'a [u8],
    /// Said in the metadata; a CDA that replaces another is `C` without asking.
    pub action: Option<Action>,
}

impl std::fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({} octets)", self.cda.len())
    }
}

/// A lot: one patient, one submission set.
#[derive(Clone, Debug)]
pub struct Parcel<'a> {
    /// The documents.
    pub documents: &'a [Outgoing<'a>],
    /// Who sends.
    pub sender: Sender<'a>,
    /// A new OID for this lot.
    pub unique_id: &'a str,
    /// OID of the sending system.
    pub source_id: &'a str,
    /// contentTypeCode of the lot.
    pub content_type: Option<XdsCode>,
    /// Now: the same parcel at the same instant gives the same octets.
    pub at: Timestamp,
}

/// Writes the archive.
///
/// # Errors
/// [`DocError::NotCda`] without documents, what [`read_cda`] fails on, a limit.
pub fn write_xdm(parcel: &Parcel<'_>, limits: &Limits) -> Result<Vec<u8>, DocError> {
    let mut submission = Submission::default();
    let mut files = Vec::new();
    let mut first: Option<Cda> = None;
    for (number, document) in parcel.documents.iter().enumerate() {
        let cda = read_cda(document.cda, limits)?;
        let uri = format!("DOC{:04}.XML", number + 1);
        let facts =
            FileFacts { uri: &uri, sha1: &sha1_hex(document.cda), size: document.cda.len() };
        let mut entry = document_entry(&cda, &format!("Document{:02}", number + 1), facts);
        entry.action = document.action.or(entry.action);
        submission.documents.push(entry);
        files.push((uri, document.cda));
        first.get_or_insert(cda);
    }
    let facts = SubmissionFacts {
        unique_id: parcel.unique_id,
        source_id: parcel.source_id,
        content_type: parcel.content_type.clone(),
        at: parcel.at,
    };
    let entry = submission.documents.first().ok_or(DocError::NotCda)?;
    let set = submission_set(entry, &facts);
    submission.associations = submission
        .documents
        .iter()
        .map(|entry| Association {
            kind: AssociationKind::HasMember,
            source: set.id.clone(),
            target: entry.id.clone(),
        })
        .collect();
    submission.sets.push(set);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let mut out = vec![
        File { name: "README.TXT".to_owned(), bytes: readme(&parcel.sender, &names).into_bytes() },
        File { name: "INDEX.HTM".to_owned(), bytes: index(&parcel.sender).into_bytes() },
    ];
    let in_subset = |name: &str| format!("IHE_XDM/SUBSET01/{name}");
    out.push(File { name: in_subset("METADATA.XML"), bytes: write_metadata(&submission) });
    for (name, bytes) in &files {
        out.push(File { name: in_subset(name), bytes: bytes.to_vec() });
    }
    zip_files(&out, parcel.at)
}

/// README.TXT, with the parts that IHE XDM and the CI-SIS ask for.
fn readme(sender: &Sender<'_>, documents: &[&str]) -> String {
    let [software, version, maker] = sender.software;
    let lines = [
        "Emetteur :".to_owned(),
        "==========".to_owned(),
        format!("    . Nom : {}", sender.name),
        format!("    . Organisme : {} ({})", sender.organization, sender.organization_id),
        format!("    . Adresse : {}", sender.address),
        format!("    . Téléphone : {}", sender.telephone),
        String::new(),
        "Application de l'émetteur :".to_owned(),
        "===========================".to_owned(),
        format!("    . Nom : {software}"),
        format!("    . Version : {version}"),
        format!("    . Editeur : {maker}"),
        String::new(),
        "Instructions :".to_owned(),
        "==============".to_owned(),
        "    Ces documents de santé s'ouvrent avec un logiciel de professionnel de santé."
            .to_owned(),
        String::new(),
        "Arborescence :".to_owned(),
        "==============".to_owned(),
        "    README.TXT".to_owned(),
        "    INDEX.HTM".to_owned(),
        "    IHE_XDM".to_owned(),
        "        SUBSET01".to_owned(),
        "            METADATA.XML".to_owned(),
    ];
    let documents = documents.iter().map(|name| format!("            {name}"));
    let one_line = |line: String| line.replace(['\r', '\n'], " ");
    let lines: Vec<String> = lines.into_iter().chain(documents).map(one_line).collect();
    lines.join("\r\n") + "\r\n"
}

/// INDEX.HTM: a page that any browser shows, without anything active.
fn index(sender: &Sender<'_>) -> String {
    let mut who = String::new();
    escape_into(&mut who, &format!("{} ({})", sender.organization, sender.organization_id));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \
         \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\r\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"fr\" lang=\"fr\">\r\n\
         <head><title>IHE_XDM</title></head>\r\n\
         <body>\r\n<p>Emetteur : {who}</p>\r\n\
         <p>Voir <a href=\"README.TXT\">README.TXT</a>.</p>\r\n</body>\r\n</html>\r\n"
    )
}
