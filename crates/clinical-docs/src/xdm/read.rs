//! An IHE_XDM.ZIP in: metadata, documents, and how they agree.

use crate::archive::{File, unzip};
use crate::cda::{Cda, is_cda, read_cda};
use crate::digest::sha1_hex;
use crate::ebrim::{Action, DocumentEntry, Submission, read_metadata};
use crate::error::DocError;
use crate::facts::redacted;
use crate::limits::Limits;
use serde::{Deserialize, Serialize};

/// Name of the metadata of a subset.
const METADATA: &str = "METADATA.XML";
/// Files that an archive has beside its subsets.
const INDEX: &str = "INDEX.HTM";
const README: &str = "README.TXT";

/// An archive, read.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xdm {
    /// Each METADATA.XML.
    pub subsets: Vec<Subset>,
    /// Each document entry with its file, then each CDA that no entry names.
    pub documents: Vec<XdmDocument>,
    /// Files that no metadata names.
    pub extra: Vec<ExtraFile>,
    /// INDEX.HTM is there.
    pub index: bool,
    /// README.TXT is there.
    pub readme: bool,
}

/// A folder with its metadata.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subset {
    /// Its folder in the archive.
    pub folder: String,
    /// What METADATA.XML says, without its document entries, which stand with the documents.
    pub submission: Option<Submission>,
    /// Why it could not be read.
    pub fault: Option<DocError>,
}

/// A document of an archive.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XdmDocument {
    /// Which subset names it.
    pub subset: Option<usize>,
    /// What the metadata say of it.
    pub entry: Option<DocumentEntry>,
    /// Its path in the archive; nothing when the file is missing.
    pub path: Option<String>,
    /// Octets of the file.
    pub size: usize,
    /// SHA-1 of the file.
    pub sha1: String,
    /// What the document says, when it is a CDA.
    pub cda: Option<Cda>,
    /// Why it could not be read.
    pub fault: Option<DocError>,
    /// An earlier document is the same file, and was read: this one only has its size and hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<usize>,
    /// Octets of the file; not part of the facts that are stored.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// A file that no metadata names.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraFile {
    /// Its path.
    pub path: String,
    /// Its octets.
    pub size: usize,
    /// It is itself an archive, which is never opened.
    pub is_archive: bool,
}
redacted!(Xdm, Subset, XdmDocument, ExtraFile);

impl XdmDocument {
    /// The announced hash agrees; `None` when none is announced or the file is missing.
    pub fn hash_agrees(&self) -> Option<bool> {
        let hash = self.entry.as_ref()?.hash.as_ref()?;
        self.path.as_ref().map(|_| hash.trim().eq_ignore_ascii_case(&self.sha1))
    }

    /// The announced size agrees.
    pub fn size_agrees(&self) -> Option<bool> {
        let size = self.entry.as_ref()?.size.as_ref()?;
        self.path.as_ref().map(|_| size.trim().parse() == Ok(self.size))
    }

    /// What the receiver is to do with it: the entry's action, else that of its lot.
    pub fn action(&self, xdm: &Xdm) -> Option<Action> {
        let own = self.entry.as_ref().and_then(|entry| entry.action);
        let lot = || {
            let submission = xdm.subsets.get(self.subset?)?.submission.as_ref()?;
            submission.sets.iter().find_map(|set| set.action)
        };
        own.or_else(lot)
    }
}

/// Reads an archive. A file that cannot be read is a fault of that file; only what refuses the archive is an error.
///
/// # Errors
/// What [`unzip`] fails on, [`DocError::NotXdm`].
pub fn read_xdm(bytes: &[u8], limits: &Limits) -> Result<Xdm, DocError> {
    let files = unzip(bytes, limits)?;
    let mut xdm = Xdm::default();
    let mut reading = Reading {
        used: vec![None; files.len()],
        sums: vec![None; files.len()],
        documents: vec![None; files.len()],
        files,
        limits,
    };
    let indexes: Vec<usize> = (0..reading.files.len())
        .filter(|&n| last(&reading.files[n].name).eq_ignore_ascii_case(METADATA))
        .take(limits.subsets_max)
        .collect();
    if indexes.is_empty() {
        return Err(DocError::NotXdm);
    }
    for index in indexes {
        reading.used[index] = Some(usize::MAX);
        reading.subset(&mut xdm, index);
    }
    let left = reading.files.into_iter().zip(reading.used).filter(|(_, used)| used.is_none());
    for (file, _) in left {
        let name = last(&file.name);
        if name.eq_ignore_ascii_case(INDEX) || name.eq_ignore_ascii_case("INDEX.HTML") {
            xdm.index = true;
        } else if name.eq_ignore_ascii_case(README) {
            xdm.readme = true;
        } else {
            extra(&mut xdm, file, limits);
        }
    }
    Ok(xdm)
}

/// The files of an archive, and what was found out about each: nothing is hashed or searched twice.
struct Reading<'l> {
    files: Vec<File>,
    /// Which document is this file.
    used: Vec<Option<usize>>,
    sums: Vec<Option<String>>,
    documents: Vec<Option<bool>>,
    limits: &'l Limits,
}

impl Reading<'_> {
    fn sum(&mut self, n: usize) -> String {
        self.sums[n].get_or_insert_with(|| sha1_hex(&self.files[n].bytes)).clone()
    }

    fn is_cda(&mut self, n: usize) -> bool {
        *self.documents[n].get_or_insert_with(|| is_cda(&self.files[n].bytes))
    }

    fn subset(&mut self, xdm: &mut Xdm, index: usize) {
        let name = self.files[index].name.as_str();
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let (mut submission, fault) = match read_metadata(&self.files[index].bytes, self.limits) {
            Ok(submission) => (Some(submission), None),
            Err(fault) => (None, Some(fault)),
        };
        let number = xdm.subsets.len();
        let entries = submission.as_mut().map(|s| std::mem::take(&mut s.documents));
        for entry in entries.unwrap_or_default() {
            if xdm.documents.len() >= self.limits.documents_max {
                break;
            }
            let place = match entry.uri.as_deref() {
                Some(uri) => {
                    let path = resolve(&folder, uri).to_lowercase();
                    self.files.iter().position(|file| file.name.to_lowercase() == path)
                }
                None => self.guess(&entry, &folder),
            };
            let mut document =
                XdmDocument { subset: Some(number), entry: Some(entry), ..XdmDocument::default() };
            if let Some(place) = place {
                self.read(place, xdm.documents.len(), &mut document);
            }
            xdm.documents.push(document);
        }
        xdm.subsets.push(Subset { folder, submission, fault });
    }

    fn read(&mut self, place: usize, number: usize, document: &mut XdmDocument) {
        if let Some(earlier) = self.used[place] {
            // A thousand entries may name one file: it is read once.
            document.same_as = Some(earlier).filter(|&n| n != usize::MAX);
            document.size = self.files[place].bytes.len();
            document.sha1 = self.sum(place);
            document.path = Some(self.files[place].name.clone());
            return;
        }
        self.used[place] = Some(number);
        fill(document, self.files[place].clone(), self.limits);
        self.sums[place] = Some(document.sha1.clone());
    }

    /// The file of an entry without URI, as some senders write them: the one of its hash, else the only CDA that is
    /// left in the folder.
    fn guess(&mut self, entry: &DocumentEntry, folder: &str) -> Option<usize> {
        let beside = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
        let free: Vec<usize> = (0..self.files.len())
            .filter(|&n| self.used[n].is_none() && beside(&self.files[n].name))
            .collect();
        if let Some(hash) = &entry.hash
            && let Some(&n) = free.iter().find(|&&n| self.sum(n).eq_ignore_ascii_case(hash))
        {
            return Some(n);
        }
        let documents: Vec<usize> = free.into_iter().filter(|&n| self.is_cda(n)).collect();
        match documents.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn fill(document: &mut XdmDocument, file: File, limits: &Limits) {
    document.size = file.bytes.len();
    document.sha1 = sha1_hex(&file.bytes);
    if is_cda(&file.bytes) {
        match read_cda(&file.bytes, limits) {
            Ok(cda) => document.cda = Some(cda),
            Err(fault) => document.fault = Some(fault),
        }
    }
    document.path = Some(file.name);
    document.bytes = file.bytes;
}

/// A URI of the metadata, from the folder of METADATA.XML. `..` leads nowhere.
fn resolve(folder: &str, uri: &str) -> String {
    let uri = percent_decoded(uri.trim()).replace('\\', "/");
    let uri = uri.strip_prefix("./").unwrap_or(&uri);
    if folder.is_empty() { uri.to_owned() } else { format!("{folder}/{uri}") }
}

fn percent_decoded(uri: &str) -> String {
    let mut out = Vec::with_capacity(uri.len());
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        if byte == b'%' {
            let mut ahead = bytes.clone();
            if let (Some(high), Some(low)) = (digit(ahead.next()), digit(ahead.next())) {
                out.push((high * 16 + low) as u8); // below 256
                bytes = ahead;
                continue;
            }
        }
        out.push(byte);
    }
    String::from_utf8(out).unwrap_or_else(|_| uri.to_owned())
}

/// A file that nothing names: a CDA is still a document.
fn extra(xdm: &mut Xdm, file: File, limits: &Limits) {
    let path = file.name.clone();
    let is_archive = file.bytes.starts_with(b"PK\x03\x04");
    xdm.extra.push(ExtraFile { path, size: file.bytes.len(), is_archive });
    if is_cda(&file.bytes) && xdm.documents.len() < limits.documents_max {
        let mut document = XdmDocument::default();
        fill(&mut document, file, limits);
        xdm.documents.push(document);
    }
}
