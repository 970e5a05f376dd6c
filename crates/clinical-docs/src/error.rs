//! Why bytes could not be read. The `Display` text is for logs; [`DocError::french`] is for people.

use serde::{Deserialize, Serialize};

/// Bytes that are not what they should be, or more than this room accepts to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "error")]
pub enum DocError {
    /// A limit of [`Limits`](crate::Limits).
    #[error("over the limit {limit}")]
    Limit {
        /// The field of `Limits`.
        limit: Bound,
    },
    /// Not a ZIP archive, or a broken one.
    #[error("not a readable ZIP archive: {fault:?}")]
    Zip {
        /// What is wrong.
        fault: ZipFault,
    },
    /// Not XML that this room accepts.
    #[error("not acceptable XML: {fault:?}")]
    Xml {
        /// What is wrong.
        fault: XmlFault,
    },
    /// XML without a `ClinicalDocument`.
    #[error("no ClinicalDocument")]
    NotCda,
    /// XML without a `SubmitObjectsRequest`.
    #[error("no SubmitObjectsRequest")]
    NotMetadata,
    /// An archive without METADATA.XML.
    #[error("no METADATA.XML")]
    NotXdm,
    /// Text that is not base64.
    #[error("not base64")]
    Base64,
    /// Not an HL7v2 message in ER7.
    #[error("not an HL7v2 message: {fault:?}")]
    Hl7 {
        /// What is wrong.
        fault: Hl7Fault,
    },
}

/// Which limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // named after the fields of Limits
pub enum Bound {
    ArchiveBytes,
    Entries,
    EntryBytes,
    TotalBytes,
    Ratio,
    NameBytes,
    Folders,
    XmlBytes,
    XmlDepth,
    XmlNodes,
    XmlAttributes,
    XmlAttributeBytes,
    XmlTextBytes,
    XmlNamespaces,
    HtmlBytes,
    AttachmentBytes,
    Hl7Bytes,
    Hl7Segments,
    Hl7Fields,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What is wrong with an archive as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZipFault {
    /// No central directory, or one that lies.
    Structure,
    /// Entries share octets: the mark of a bomb.
    Overlap,
    /// An entry is encrypted.
    Encrypted,
    /// Two entries have the same name, letters compared without case.
    DuplicateName,
    /// A name that leaves its folder: `..`, a drive, an absolute path.
    Path,
    /// An entry is a symbolic link or something else than a file or folder.
    NotAFile,
    /// A name that is not text.
    NameEncoding,
    /// A compression method other than stored and deflated.
    Method,
    /// The octets do not inflate, or not to the announced size or checksum.
    Content,
}

/// What is wrong with XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XmlFault {
    /// Not well-formed, truncated included.
    Malformed,
    /// A document type: never read (XXE, entity bombs).
    Doctype,
    /// An entity other than the five of XML.
    Entity,
    /// An encoding other than UTF-8, UTF-16, ISO-8859-1, ISO-8859-15 and windows-1252.
    Encoding,
    /// A character that XML forbids, or octets that are not of the announced encoding.
    Character,
}

/// What is wrong with an HL7v2 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hl7Fault {
    /// No MSH segment with its separators at the start.
    Header,
    /// A segment without a three-character name.
    Segment,
    /// The octets are not of the character set of MSH-18.
    Charset,
    /// A required segment or field is absent.
    Missing,
    /// The MLLP frame is broken.
    Frame,
}

impl DocError {
    pub(crate) const fn over(limit: Bound) -> Self {
        DocError::Limit { limit }
    }

    pub(crate) const fn zip(fault: ZipFault) -> Self {
        DocError::Zip { fault }
    }

    pub(crate) const fn xml(fault: XmlFault) -> Self {
        DocError::Xml { fault }
    }

    pub(crate) const fn hl7(fault: Hl7Fault) -> Self {
        DocError::Hl7 { fault }
    }

    /// One sentence for people, without anything of the content.
    pub fn french(&self) -> String {
        let constant = match self {
            DocError::Limit { limit } => {
                return format!("Le contenu dépasse la limite « {limit} » de l'opérateur.");
            }
            DocError::Zip { fault } => match fault {
                ZipFault::Structure => "L'archive ZIP est illisible ou tronquée.",
                ZipFault::Overlap => "Des fichiers de l'archive se chevauchent.",
                ZipFault::Encrypted => "L'archive contient un fichier chiffré.",
                ZipFault::DuplicateName => "L'archive contient deux fois le même nom de fichier.",
                ZipFault::Path => "Un nom de fichier de l'archive sort de son dossier.",
                ZipFault::NotAFile => "L'archive contient un lien ou un fichier spécial.",
                ZipFault::NameEncoding => "Un nom de fichier de l'archive n'est pas du texte.",
                ZipFault::Method => "L'archive emploie une compression non admise.",
                ZipFault::Content => {
                    "Un fichier de l'archive ne correspond pas à sa taille ou à sa somme de contrôle."
                }
            },
            DocError::Xml { fault } => match fault {
                XmlFault::Malformed => "Le fichier XML est mal formé ou tronqué.",
                XmlFault::Doctype => "Le fichier XML contient une DTD, ce qui est refusé.",
                XmlFault::Entity => "Le fichier XML contient une entité non admise.",
                XmlFault::Encoding => "Le codage de caractères du fichier XML n'est pas admis.",
                XmlFault::Character => "Le fichier XML contient un caractère interdit.",
            },
            DocError::NotCda => "Le fichier XML ne contient pas de ClinicalDocument.",
            DocError::NotMetadata => "Le fichier de métadonnées n'est pas un SubmitObjectsRequest.",
            DocError::NotXdm => "L'archive ne contient pas de METADATA.XML.",
            DocError::Base64 => "Un contenu embarqué n'est pas du base64.",
            DocError::Hl7 { fault } => match fault {
                Hl7Fault::Header => "Le message HL7v2 ne commence pas par un segment MSH.",
                Hl7Fault::Segment => "Un segment du message HL7v2 n'a pas de nom.",
                Hl7Fault::Charset => {
                    "Le message HL7v2 n'est pas dans le jeu de caractères annoncé."
                }
                Hl7Fault::Missing => "Un segment ou un champ obligatoire manque au message HL7v2.",
                Hl7Fault::Frame => "La trame MLLP est incomplète ou mal formée.",
            },
        };
        constant.to_owned()
    }
}
