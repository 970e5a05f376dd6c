//! What this room accepts to look at. Beyond a limit there is an error that names it, never a slow answer.

/// Bounds on everything that comes from a stranger. The defaults suit mail of 36 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of an archive.
    pub archive_bytes_max: usize,
    /// Entries of an archive, folders included.
    pub entries_max: usize,
    /// Octets of one entry once inflated.
    pub entry_bytes_max: usize,
    /// Octets of all entries once inflated.
    pub total_bytes_max: usize,
    /// Times that an entry may grow when inflated, past [`Limits::ratio_free_bytes`].
    pub ratio_max: u64,
    /// Octets that an entry may inflate to whatever its ratio: text of repeated blanks is no bomb.
    pub ratio_free_bytes: u64,
    /// Octets of the name of an entry.
    pub name_bytes_max: usize,
    /// Folders above an entry.
    pub folders_max: usize,
    /// Submission sets read of one archive.
    pub subsets_max: usize,
    /// Document entries read of one METADATA.XML.
    pub documents_max: usize,
    /// Octets of one XML file.
    pub xml_bytes_max: usize,
    /// Elements within elements.
    pub xml_depth_max: usize,
    /// Elements and runs of text of one XML file.
    pub xml_nodes_max: usize,
    /// Attributes of one element.
    pub xml_attributes_max: usize,
    /// Attributes of one XML file.
    pub xml_attributes_total_max: usize,
    /// Octets of one attribute value.
    pub xml_attribute_bytes_max: usize,
    /// Octets of one run of text; embedded PDF files are such runs.
    pub xml_text_bytes_max: usize,
    /// Namespace declarations in scope at once.
    pub xml_namespaces_max: usize,
    /// Occurrences read of one repeated header element or metadata value.
    pub repeats_max: usize,
    /// Characters kept of one header text.
    pub field_chars_max: usize,
    /// Sections listed of one CDA.
    pub sections_max: usize,
    /// Octets of plain text kept of all sections.
    pub narrative_bytes_max: usize,
    /// Octets of HTML that a rendering may reach.
    pub html_bytes_max: usize,
    /// Octets of one embedded file once decoded.
    pub attachment_bytes_max: usize,
    /// Embedded files listed of one CDA.
    pub attachments_max: usize,
    /// Octets of one HL7v2 message.
    pub hl7_bytes_max: usize,
    /// Segments of one HL7v2 message.
    pub hl7_segments_max: usize,
    /// Fields of one segment.
    pub hl7_fields_max: usize,
    /// Repetitions of one field that are looked at.
    pub hl7_repetitions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            archive_bytes_max: 64 << 20,
            entries_max: 1_000,
            entry_bytes_max: 64 << 20,
            total_bytes_max: 128 << 20,
            ratio_max: 200,
            ratio_free_bytes: 4 << 20,
            name_bytes_max: 255,
            folders_max: 8,
            subsets_max: 50,
            documents_max: 200,
            xml_bytes_max: 64 << 20,
            xml_depth_max: 128,
            xml_nodes_max: 400_000,
            xml_attributes_max: 64,
            xml_attributes_total_max: 1_000_000,
            xml_attribute_bytes_max: 64 << 10,
            xml_text_bytes_max: 48 << 20,
            xml_namespaces_max: 64,
            repeats_max: 200,
            field_chars_max: 4_096,
            sections_max: 1_000,
            narrative_bytes_max: 2 << 20,
            html_bytes_max: 16 << 20,
            attachment_bytes_max: 36 << 20,
            attachments_max: 50,
            hl7_bytes_max: 64 << 20,
            hl7_segments_max: 2_000,
            hl7_fields_max: 300,
            hl7_repetitions_max: 500,
        }
    }
}
