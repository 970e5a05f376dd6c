//! The value sets that the mapping and the checks need: codes only (CI-SIS; NOS releases of 2024 to 2026).
//!
//! They change once or twice a year. A code that is not here is a finding, never a refusal.

use serde::{Deserialize, Serialize};

/// LOINC.
pub const LOINC: &str = "2.16.840.1.113883.6.1";
/// TRE_A05: document types that LOINC lacks.
pub const TRE_A05: &str = "1.2.250.1.213.1.1.4.12";
/// TRE_A03: classes of documents.
pub const TRE_A03: &str = "1.2.250.1.213.1.1.4.1";
/// TRE_A06: formats of the ANS.
pub const TRE_A06: &str = "1.2.250.1.213.1.1.4.2.282";
/// TRE_A11: formats of IHE.
pub const TRE_A11: &str = "1.3.6.1.4.1.19376.1.2.3";
/// TRE_A07: visibility.
pub const TRE_A07: &str = "1.2.250.1.213.1.1.4.13";
/// HL7 confidentiality.
pub const CONFIDENTIALITY: &str = "2.16.840.1.113883.5.25";
/// contentTypeCode (JDV_J59).
pub const CONTENT_TYPE: &str = "1.2.250.1.213.2.2";
/// XDS-SD: the template of a level 1 body.
pub const N1_TEMPLATE: &str = "1.3.6.1.4.1.19376.1.2.20";
/// The format of what has no model.
pub const NO_MODEL: &str = "urn:asipSante:modelesHorsProfils:2011";

/// ASS_X04: class, then the types that belong to it.
const CLASSES: &[(&str, &str, &[&str])] = &[
    (
        "10",
        "Compte rendu",
        &[
            "10213-7", "11488-4", "11490-0", "11493-4", "11502-2", "11505-5", "11506-3", "11526-1",
            "11528-7", "15507-7", "15508-5", "24611-6", "27899-4", "28617-9", "28653-4", "29274-8",
            "29554-3", "34112-3", "34120-6", "34749-2", "34794-8", "34874-8", "34875-5", "39256-3",
            "46241-6", "47420-5", "51969-4", "59283-2", "60568-3", "67851-6", "70004-7", "75482-0",
            "75492-9", "75496-0", "75497-8", "77436-4", "78513-9", "78601-2", "83981-1", "85208-7",
            "89233-1", "93024-8", "96349-6", "BIL_AUTO", "DOCPAT03", "DOCPAT05", "DOCPAT06",
        ],
    ),
    (
        "11",
        "Synthèse",
        &[
            "18761-7",
            "34133-9",
            "34842-5",
            "56445-0",
            "57055-6",
            "57057-2",
            "57075-4",
            "60280-5",
            "60591-5",
            "68599-0",
            "68817-6",
            "74207-2",
            "78341-5",
            "78489-2",
            "80820-4",
            "83836-7",
            "83901-9",
            "88348-8",
            "89235-6",
            "DOCPAT01",
            "DOCPAT08",
            "EXPORT_DUI",
            "SYNTH",
        ],
    ),
    ("31", "Imagerie médicale", &["18748-4", "52040-3", "DOCPAT04", "IMG-KOS"]),
    (
        "42",
        "Prescription",
        &[
            "29551-9",
            "52063-5",
            "52521-2",
            "55115-0",
            "57828-6",
            "57832-8",
            "57833-6",
            "61357-0",
            "75468-9",
            "DOCPAT02",
            "PRESC-AAT",
            "PRESC-BIO",
            "PRESC-INF",
            "PRESC-KINE",
            "PRESC-ORTHOPHO",
            "PRESC-ORTHOPTIE",
            "PRESC-PEDI",
        ],
    ),
    ("43", "Dispensation", &["29550-1", "60593-1", "DISP_AUT"]),
    (
        "44",
        "Plan, protocole de soins",
        &["18776-5", "77604-7", "80771-9", "80788-3", "83869-8", "PROT_ALD"],
    ),
    ("45", "Traitement administré", &["80565-5"]),
    (
        "52",
        "Certificat, déclaration",
        &[
            "101881-1",
            "11369-6",
            "87273-9",
            "89601-9",
            "96173-0",
            "96874-3",
            "CERT_DECL",
            "DOCPAT07",
        ],
    ),
    ("60", "Données de remboursement", &["REMB"]),
    (
        "90",
        "Document déposé par le patient",
        &["74465-6", "DOCPAT10", "EXPPAT_1", "EXPPAT_2", "EXPPAT_3"],
    ),
    (
        "95",
        "Document de gestion",
        &[
            "51851-4",
            "56446-8",
            "59284-0",
            "86531-1",
            "ATTEST-ASS-COMPL",
            "ATTEST-DROITS-AM",
            "ATTEST-HEBGT",
            "ATTEST-RESID",
            "AUTORIS-SOINS",
            "CONTACTS-URGENCE",
            "DOCPAT09",
            "FICHE-CONTACTS",
            "PIECE-IDENTITE",
        ],
    ),
];

/// ASS_A11: template of the model (the last arcs, under the ANS's own arc), then its format.
const ANS_MODELS: &str = "1.2.250.1.213.1.1.1.";
const FORMATS: &[(&str, &str)] = &[
    ("5.1", "urn:asip:ci-sis:cse-cs8:2017"),
    ("5.2", "urn:asip:ci-sis:cse-cs9:2017"),
    ("5.3", "urn:asip:ci-sis:cse-cs24:2017"),
    ("5.4", "urn:ans:ci-sis:cse-mde:2023"),
    ("8", "urn:asip:ci-sis:frcp:2011"),
    ("9", "urn:asip:ci-sis:idap:2011"),
    ("10", "urn:asip:ci-sis:cva:2017"),
    ("12.1", "urn:asip:ci-sis:obp-sap:2023"),
    ("12.2", "urn:asip:ci-sis:obp-snm:2023"),
    ("12.3", "urn:asip:ci-sis:obp-sne:2023"),
    ("12.4", "urn:asip:ci-sis:obp-scm:2023"),
    ("12.5", "urn:asip:ci-sis:obp-sem:2023"),
    ("13", "urn:asip:ci-sis:vsm:2012"),
    ("15", "urn:asip:ci-sis:aunv:2013"),
    ("16", "urn:asip:ci-sis:eunv:2013"),
    ("17", "urn:asip:ci-sis:sunv:2013"),
    ("18", "urn:asip:ci-sis:crrtn:2013"),
    ("2.1.1", "urn:asip:ci-sis:avk:2009"),
    ("2.1.2", "urn:asip:ci-sis:tap:2009"),
    ("2.1.3", "urn:asip:ci-sis:dci:2009"),
    ("2.1.4", "urn:asip:ci-sis:psc:2009"),
    ("2.1.5", "urn:asip:ci-sis:ppv:2009"),
    ("20", "urn:asip:ci-sis:pps-paerpa:2017"),
    ("21", "urn:asip:ci-sis:ldl-ees:2017"),
    ("22", "urn:asip:ci-sis:dlu:2015"),
    ("23", "urn:asip:ci-sis:fludt:2017"),
    ("24", "urn:asip:ci-sis:fludr:2017"),
    ("25", "urn:asip:ci-sis:pavc:2016"),
    ("26", "urn:asip:ci-sis:pps-cancer:2017"),
    ("27", "urn:asip:ci-sis:d2lm-fin:2017"),
    ("28", "urn:asip:ci-sis:d2lm-fidd:2017"),
    ("29", "urn:asip:ci-sis:ldl-ses:2017"),
    ("30", "urn:asip:ci-sis:sdm-mr:2017"),
    ("32", "urn:asip:ci-sis:crgm:2018"),
    ("36", "urn:asip:ci-sis:hr:2019"),
    ("37", "urn:asip:ci-sis:vac:2019"),
    ("38", "urn:asip:ci-sis:tlm-da:2020"),
    ("39", "urn:ihe:pharm:pre:2010"),
    ("40", "urn:asip:ci-sis:cr-anest:2020"),
    ("41", "urn:asip:ci-sis:cr-cpa:2020"),
    ("42", "urn:ihe:eyecare:geneyeevalcn:2014"),
    ("43", "urn:ihe:eyecare:geneyeevalcn:2014"),
    ("44", "urn:ihe:eyecare:geneyeevalcn:2014"),
    ("45", "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013"),
    ("46", "urn:asip:ci-sis:vac-note:2021"),
    ("47", "urn:ans:ci-sis:img-da:2022"),
    ("48", "urn:asip:ci-sis:dlu-dlu-dom:2022"),
    ("49", "urn:asip:ci-sis:dlu-fludt-dom:2022"),
    ("50", "urn:asip:ci-sis:dlu-fludr-dom:2022"),
    ("51", "urn:ihe:pcc:ips:2020"),
    ("52", "urn:ans:ci-sis:bio-ep-bio:2022"),
    ("54", "urn:ihe:pharm:dis:2010"),
    ("55", "urn:ihe:lab:xd-lab:2008"),
    ("56", "urn:asip:ci-sis:ppp:2023"),
    ("57", "urn:ihe:palm:apsr:2016"),
    ("58", "urn:asip:ci-sis:export-dui:2023"),
    // Not in the association table, but its format is in the DMP's list.
    ("59", "urn:ans:ci-sis:trod:2024"),
];

/// Structures (JDV_J02, TRE_R02) go from SA01 to SA69.
const FACILITY_SYSTEM: &str = "1.2.250.1.71.4.2.4";
/// Other values of JDV_J02.
const OTHER_FACILITIES: [&str; 2] = ["EXP_PATIENT", "SNR"];
/// JDV_J04.
const PRACTICES: [&str; 10] = [
    "AMBULATOIRE",
    "AMO",
    "DEPISTAGE",
    "ESSMS",
    "ETABLISSEMENT",
    "HAD",
    "MAD",
    "PALLIATIF",
    "SAD",
    "SAMU_SMUR",
];

/// Class (code and label) of a document type (ASS_X04).
pub fn class_of(type_code: &str) -> Option<(&'static str, &'static str)> {
    let row = CLASSES.iter().find(|(_, _, types)| types.contains(&type_code))?;
    Some((row.0, row.1))
}

/// True when the type is in the value set of document types (JDV_J07).
pub fn is_known_type(type_code: &str) -> bool {
    class_of(type_code).is_some()
}

/// formatCode of a model (ASS_A11).
pub fn format_of_template(root: &str) -> Option<&'static str> {
    match root {
        "1.3.6.1.4.1.19376.1.3.3" => return Some("urn:ihe:lab:xd-lab:2008"),
        "1.3.6.1.4.1.19376.1.8.1.1.1" => return Some("urn:ihe:pat:apsr:all:2010"),
        _ => {}
    }
    let arcs = root.strip_prefix(ANS_MODELS)?;
    FORMATS.iter().find(|(model, _)| *model == arcs).map(|(_, format)| *format)
}

/// formatCode of a level 1 body by its media type (ASS_A12).
pub fn format_of_media(media_type: &str) -> Option<&'static str> {
    Some(match media_type.to_ascii_lowercase().as_str() {
        "application/pdf" => "urn:ihe:iti:xds-sd:pdf:2008",
        "text/plain" => "urn:ihe:iti:xds-sd:text:2008",
        "text/rtf" => "urn:ihe:iti-fr:xds-sd:rtf:2010",
        "image/jpeg" => "urn:ihe:iti-fr:xds-sd:jpeg:2010",
        "image/tiff" => "urn:ihe:iti-fr:xds-sd:tiff:2010",
        _ => return None,
    })
}

/// The scheme that a formatCode belongs to.
pub fn format_system(format: &str) -> &'static str {
    if format.starts_with("urn:ihe:") { TRE_A11 } else { TRE_A06 }
}

/// False for formats that the DMP does not take (not in JDV_J60).
pub fn is_dmp_format(format: &str) -> bool {
    const REFUSED: [&str; 5] = [
        "urn:asip:ci-sis:cva:2017",
        "urn:asip:ci-sis:dlu-dlu-dom:2022",
        "urn:asip:ci-sis:dlu-fludt-dom:2022",
        "urn:asip:ci-sis:dlu-fludr-dom:2022",
        "urn:asip:ci-sis:export-dui:2023",
    ];
    !REFUSED.contains(&format) && !format.starts_with("urn:ihe:pat:apsr:")
}

/// True for a kind of structure of JDV_J02.
pub fn is_facility(code: &str) -> bool {
    let number = code.strip_prefix("SA").filter(|n| n.len() == 2).and_then(|n| n.parse().ok());
    number.is_some_and(|n: u8| (1..=69).contains(&n)) || OTHER_FACILITIES.contains(&code)
}

/// The scheme of a kind of structure.
pub fn facility_system(code: &str) -> &'static str {
    if code.starts_with("SA") { FACILITY_SYSTEM } else { "1.2.250.1.213.1.1.4.6" }
}

/// True for a setting of JDV_J04.
pub fn is_practice(code: &str) -> bool {
    PRACTICES.contains(&code)
}

/// Label of a confidentiality or visibility code (JDV_J58), and its scheme.
pub fn confidentiality(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "N" => (CONFIDENTIALITY, "Normal"),
        "R" => (CONFIDENTIALITY, "Restreint"),
        "V" => (CONFIDENTIALITY, "Très restreint"),
        "INVISIBLE_PATIENT" => (TRE_A07, "Non visible par le patient"),
        "INVISIBLE_REPRESENTANTS_LEGAUX" => {
            (TRE_A07, "Non visible par les représentants légaux du patient")
        }
        "MASQUE_PS" => (TRE_A07, "Masqué aux professionnels de santé"),
        _ => return None,
    })
}

/// What kind of document it is, for people who sort them: folders, keywords, filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Examinations of a laboratory.
    Biologie,
    /// Imaging, key images included.
    Imagerie,
    /// Letters between hospital and town.
    LettreDeLiaison,
    /// Any other report.
    CompteRendu,
    /// Summaries.
    Synthese,
    /// Prescriptions and requests.
    Prescription,
    /// Dispensations.
    Dispensation,
    /// Vaccination.
    Vaccination,
    /// Plans of care.
    PlanDeSoins,
    /// Administered treatment.
    Traitement,
    /// Certificates and declarations.
    Certificat,
    /// Reimbursements.
    Remboursement,
    /// What the patient gave.
    Patient,
    /// Papers of administration.
    Gestion,
    /// A type that is not in the value set.
    Autre,
}

impl Family {
    /// The family of a type code.
    pub fn of(type_code: &str) -> Family {
        match type_code {
            "11502-2" | "11526-1" => return Family::Biologie,
            "55115-0" => return Family::Imagerie,
            "11490-0" | "18761-7" => return Family::LettreDeLiaison,
            "11369-6" | "87273-9" => return Family::Vaccination,
            _ => {}
        }
        match class_of(type_code).map(|(class, _)| class) {
            Some("10") => Family::CompteRendu,
            Some("11") => Family::Synthese,
            Some("31") => Family::Imagerie,
            Some("42") => Family::Prescription,
            Some("43") => Family::Dispensation,
            Some("44") => Family::PlanDeSoins,
            Some("45") => Family::Traitement,
            Some("52") => Family::Certificat,
            Some("60") => Family::Remboursement,
            Some("90") => Family::Patient,
            Some("95") => Family::Gestion,
            _ => Family::Autre,
        }
    }

    /// Its name for people.
    pub const fn french(self) -> &'static str {
        match self {
            Family::Biologie => "Biologie",
            Family::Imagerie => "Imagerie",
            Family::LettreDeLiaison => "Lettres de liaison",
            Family::CompteRendu => "Comptes rendus",
            Family::Synthese => "Synthèses",
            Family::Prescription => "Prescriptions",
            Family::Dispensation => "Dispensations",
            Family::Vaccination => "Vaccinations",
            Family::PlanDeSoins => "Plans de soins",
            Family::Traitement => "Traitements administrés",
            Family::Certificat => "Certificats et déclarations",
            Family::Remboursement => "Remboursements",
            Family::Patient => "Documents du patient",
            Family::Gestion => "Documents de gestion",
            Family::Autre => "Autres documents",
        }
    }

    /// Its IMAP keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            Family::Biologie => "$CDABiologie",
            Family::Imagerie => "$CDAImagerie",
            Family::LettreDeLiaison => "$CDALettreDeLiaison",
            Family::CompteRendu => "$CDACompteRendu",
            Family::Synthese => "$CDASynthese",
            Family::Prescription => "$CDAPrescription",
            Family::Dispensation => "$CDADispensation",
            Family::Vaccination => "$CDAVaccination",
            Family::PlanDeSoins => "$CDAPlanDeSoins",
            Family::Traitement => "$CDATraitement",
            Family::Certificat => "$CDACertificat",
            Family::Remboursement => "$CDARemboursement",
            Family::Patient => "$CDAPatient",
            Family::Gestion => "$CDAGestion",
            Family::Autre => "$CDAAutre",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        assert_eq!(class_of("18748-4"), Some(("31", "Imagerie médicale")));
        assert_eq!(class_of("rien"), None);
        assert_eq!(Family::of("11490-0"), Family::LettreDeLiaison);
        assert_eq!(Family::of("?"), Family::Autre);
        assert_eq!(format_of_template("1.2.250.1.213.1.1.1.13"), Some("urn:asip:ci-sis:vsm:2012"));
        assert_eq!(format_of_template("1.2.250.1.213.1.1.1.1"), None);
        assert_eq!(format_system("urn:ihe:pharm:pre:2010"), TRE_A11);
        assert!(is_facility("SA08") && !is_facility("SA8") && !is_facility("SA70"));
        let mut all: Vec<&str> =
            CLASSES.iter().flat_map(|(_, _, types)| types.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "a type belongs to one class");
    }
}
