//! What is wrong, as data: a rule, how bad it is, which document, and a sentence in French.

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// A receiver may not like it.
    Warning,
    /// Against a rule that receivers check.
    Error,
    /// The content may have been altered, or concern somebody else.
    Alert,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Severity,
    /// Which document: its path in the archive or its identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Names of elements, codes: never who the patient is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Finding {
    pub(crate) fn new(rule: Rule) -> Finding {
        Finding { rule, severity: rule.severity(), document: None, detail: None }
    }

    pub(crate) fn with(rule: Rule, detail: impl Into<String>) -> Finding {
        Finding { detail: Some(detail.into()), ..Finding::new(rule) }
    }

    /// The line that people read: rule, sentence, detail, reference.
    pub fn french(&self) -> String {
        let detail = self.detail.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        let sentence = self.rule.french().trim_end_matches('.');
        format!("{} {sentence}{detail}. [{}]", self.rule.code(), self.rule.reference())
    }
}

macro_rules! rules {
    ($($name:ident $code:literal $severity:ident $reference:literal $french:literal)+) => {
        /// A rule; its code is stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[allow(missing_docs)] // the table below says it, in French
        pub enum Rule {
            $($name,)+
        }

        impl Rule {
            /// Every rule, in order.
            pub const ALL: &[Rule] = &[$(Rule::$name,)+];

            /// Its code.
            pub const fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)+ }
            }

            /// How bad it is to break it.
            pub const fn severity(self) -> Severity {
                match self { $(Rule::$name => Severity::$severity,)+ }
            }

            /// Where it comes from.
            pub const fn reference(self) -> &'static str {
                match self { $(Rule::$name => $reference,)+ }
            }

            /// What is wrong when it is broken.
            pub const fn french(self) -> &'static str {
                match self { $(Rule::$name => $french,)+ }
            }
        }
    };
}

rules! {
    Unreadable "DOC-01" Error "IHE ITI-32"
        "Le fichier ne peut pas être lu."
    NestedArchive "XDM-01" Warning "IHE XDM"
        "L'archive contient une autre archive, qui n'est pas ouverte."
    MetadataUnreadable "XDM-02" Error "IHE XDM"
        "METADATA.XML ne peut pas être lu."
    MissingFile "XDM-03" Error "IHE XDM"
        "Un document annoncé par METADATA.XML est absent de l'archive."
    ExtraFile "XDM-04" Warning "IHE XDM"
        "Un fichier de l'archive n'est pas annoncé par METADATA.XML."
    HashMismatch "XDM-05" Alert "IHE ITI TF-3 4.2.3.2.10"
        "Le hash annoncé n'est pas celui du document: l'archive a pu être altérée."
    SizeMismatch "XDM-06" Alert "IHE ITI TF-3 4.2.3.2.25"
        "La taille annoncée n'est pas celle du document: l'archive a pu être altérée."
    NoHash "XDM-07" Warning "IHE ITI TF-3 4.2.3.2.10"
        "METADATA.XML n'annonce pas le hash ou la taille du document."
    NoIndex "XDM-08" Warning "IHE XDM"
        "INDEX.HTM ou README.TXT est absent de l'archive."
    Layout "XDM-09" Warning "IHE XDM"
        "METADATA.XML n'est pas sous IHE_XDM/SUBSETnn."
    NoSubmissionSet "XDM-10" Error "IHE XDM"
        "METADATA.XML ne contient pas de lot de soumission."
    SeveralSets "XDM-11" Info "IHE XDM"
        "METADATA.XML contient plusieurs lots de soumission."
    NoDocument "XDM-12" Error "IHE XDM"
        "L'archive ne contient aucun document."
    SeveralPatients "XDM-13" Alert "ANS R2 ECO.2.1.2"
        "Les documents de l'archive ne concernent pas le même patient."
    NotCda "XDM-14" Warning "ANS R2 ECO.2.1.1"
        "Un document de l'archive n'est pas un CDA."
    SameFile "XDM-15" Warning "IHE XDM"
        "Deux entrées de METADATA.XML désignent le même fichier."
    MetadataPatient "META-01" Alert "ANS R2 ECO.2.1.2"
        "Le patient des métadonnées n'est pas celui du document."
    MetadataIdentifier "META-02" Error "CI-SIS structuration minimale"
        "L'uniqueId des métadonnées n'est pas l'identifiant du document."
    MetadataType "META-03" Error "CI-SIS structuration minimale"
        "Le typeCode des métadonnées n'est pas le code du document."
    MetadataClass "META-04" Warning "ASS_X04"
        "La classe du document ne correspond pas à son type."
    MetadataFormat "META-05" Warning "ASS_A11, ASS_A12"
        "Le formatCode ne correspond pas au modèle du document."
    MetadataTime "META-06" Warning "CI-SIS structuration minimale"
        "La date de création des métadonnées n'est pas celle du document, en temps universel."
    MetadataConfidentiality "META-07" Error "CI-SIS structuration minimale"
        "La confidentialité des métadonnées n'est pas celle du document."
    MetadataMissing "META-08" Error "IHE ITI TF-3 4.2.3"
        "Un attribut obligatoire manque aux métadonnées."
    MetadataTitle "META-09" Info "CI-SIS structuration minimale"
        "Le titre des métadonnées n'est pas celui du document."
    MetadataMime "META-10" Warning "CI-SIS structuration minimale"
        "Le type MIME des métadonnées ne convient pas au document."
    ActionWithoutTarget "META-11" Warning "CI-SIS transmission, action"
        "Les métadonnées demandent un remplacement, mais le document ne dit pas de quel document."
    ContentTypeFacility "META-12" Info "JDV_J59"
        "contentTypeCode contient un secteur d'activité au lieu d'un type de contenu."
    Association "META-13" Info "IHE ITI TF-3 4.2"
        "Une association des métadonnées désigne un objet inconnu."
    InsAbsent "INS-01" Warning "Référentiel INS"
        "Le document ne porte pas d'INS."
    InsKey "INS-02" Error "Référentiel INS"
        "La clé de la matricule INS est fausse."
    InsShape "INS-03" Error "Référentiel INS"
        "La matricule INS n'a pas la forme attendue."
    InsIncomplete "INS-04" Error "ANS R2 ECO.2.4.2"
        "L'INS n'est pas qualifiée: des traits manquent."
    InsTest "INS-05" Info "CI-SIS structuration minimale"
        "L'INS est celle d'une identité de test."
    InsBirthPlace "INS-06" Warning "CI-SIS structuration minimale"
        "Le code du lieu de naissance manque alors que l'INS est présente."
    InsNotFirst "INS-07" Info "CI-SIS structuration minimale"
        "L'INS n'est pas le premier identifiant du patient."
    NameQualifier "INS-08" Warning "CI-SIS structuration minimale"
        "Le nom utilisé est qualifié SP au lieu de CL."
    GivenNames "INS-09" Warning "CI-SIS structuration minimale"
        "Le premier prénom n'est pas le premier de la liste des prénoms de naissance."
    Realm "CDA-01" Error "CI-SIS structuration minimale"
        "realmCode doit être FR."
    TypeId "CDA-02" Error "CI-SIS structuration minimale"
        "typeId n'est pas celui d'un CDA R2."
    Templates "CDA-03" Error "CI-SIS structuration minimale"
        "Un templateId obligatoire manque."
    NoModel "CDA-04" Warning "ASS_A11"
        "Aucun templateId ne désigne un modèle de document connu."
    IdentifierOid "CDA-05" Error "CI-SIS structuration minimale"
        "L'identifiant du document n'est pas un OID valide."
    IdentifierExtension "CDA-06" Warning "DMP"
        "L'identifiant du document a une extension, que le DMP n'admet pas."
    UnknownType "CDA-07" Error "JDV_J07"
        "Le type du document n'est pas dans le jeu de valeurs."
    TypeSystem "CDA-08" Error "JDV_J07"
        "Le système de codage du type de document n'est ni LOINC ni TRE_A05."
    Title "CDA-09" Error "CI-SIS structuration minimale"
        "Le titre manque ou dépasse 128 caractères."
    EffectiveTime "CDA-10" Error "CI-SIS structuration minimale"
        "effectiveTime doit être à la seconde, avec le fuseau horaire."
    Confidentiality "CDA-11" Error "JDV_J08"
        "Le code de confidentialité n'est pas N, R ou V."
    Language "CDA-12" Error "CI-SIS structuration minimale"
        "La langue doit être fr-FR."
    SetId "CDA-13" Error "CI-SIS structuration minimale"
        "setId manque."
    VersionNumber "CDA-14" Error "CI-SIS structuration minimale"
        "versionNumber manque ou n'est pas un nombre."
    VersionRelation "CDA-15" Warning "CI-SIS structuration minimale"
        "Le numéro de version et relatedDocument ne s'accordent pas."
    RelatedKind "CDA-16" Error "CI-SIS structuration minimale"
        "relatedDocument doit être RPLC ou XFRM et désigner un document."
    Author "CDA-17" Error "CI-SIS structuration minimale"
        "L'auteur manque ou n'est pas identifié."
    AuthorTime "CDA-18" Warning "CI-SIS structuration minimale"
        "La date de participation de l'auteur manque."
    Custodian "CDA-19" Error "CI-SIS structuration minimale"
        "La structure responsable de la conservation manque ou n'est pas identifiée."
    LegalAuthenticator "CDA-20" Error "CI-SIS structuration minimale"
        "Le responsable légal manque, ou sa date, sa signature ou son identifiant."
    ServiceEvent "CDA-21" Error "CI-SIS structuration minimale"
        "Aucun acte documenté n'a de date de début et d'exécutant."
    Practice "CDA-22" Error "JDV_J04"
        "Le cadre d'exercice de l'exécutant manque ou n'est pas dans le jeu de valeurs."
    Facility "CDA-23" Error "JDV_J02"
        "Le secteur d'activité du lieu de prise en charge manque ou n'est pas dans le jeu de valeurs."
    Encounter "CDA-24" Error "CI-SIS structuration minimale"
        "La prise en charge (componentOf) manque."
    NullFlavor "CDA-25" Warning "CI-SIS structuration minimale"
        "Un nullFlavor n'est pas parmi ceux admis."
    Body "CDA-26" Error "CDA R2"
        "Le document n'a pas de corps."
    BodyMedia "CDA-27" Error "CI-SIS structuration minimale"
        "Le type du corps de niveau 1 n'est pas admis."
    BodyEmpty "CDA-28" Error "CI-SIS structuration minimale"
        "Le contenu embarqué est vide ou n'est pas du type annoncé."
    SectionEmpty "CDA-29" Warning "CDA R2 4.3.5"
        "Une section n'a ni titre ni texte."
    Stylesheet "CDA-30" Info "CI-SIS structuration minimale §3.9"
        "Le document désigne une feuille de style, qui n'est jamais appliquée."
    SelfPresentable "CDA-31" Warning "CI-SIS structuration minimale"
        "Le document est auto-présentable, forme abandonnée pour des raisons de sécurité."
    Encoding "CDA-32" Error "CI-SIS structuration minimale"
        "Le document n'est pas en UTF-8."
    SeveralDocuments "CDA-33" Alert "CDA R2"
        "Le fichier contient plusieurs ClinicalDocument."
    Patient "CDA-34" Error "CI-SIS structuration minimale"
        "Le patient n'a pas d'identifiant, de nom, de sexe ou de date de naissance."
    DmpFormat "DMP-01" Info "JDV_J60"
        "Le format du document n'est pas admis par le DMP."
    HeaderCodes "MSS-01" Warning "ANS R2 ECO.2.4.1"
        "X-MSS-CODECDA ne dit pas les types des documents de l'archive."
    HeaderIns "MSS-02" Warning "ANS R2 ECO.2.4.2"
        "X-MSS-INS ne dit pas si l'INS du document est qualifiée."
    HeaderAbsent "MSS-03" Info "ANS R2 §3.8"
        "Le message porte un CDA sans X-MSS-CODECDA ou X-MSS-INS."
    HeaderWithoutCda "MSS-04" Warning "ANS R2 §3.8"
        "Le message annonce un CDA qu'il ne porte pas."
    Subject "MSS-05" Info "ANS R2 ECO.2.1.3"
        "L'objet d'un message qui porte une archive commence par XDM/1.0/DDM+."
    CdaWithoutXdm "MSS-06" Warning "ANS R2 ECO.2.1.1"
        "Le message porte un CDA hors d'une archive IHE_XDM.ZIP."
    PdfDiffers "PDF-01" Alert "ANS R2 ECO.2.1.5"
        "Le PDF joint n'est pas celui du document CDA."
    PdfMissing "PDF-02" Warning "ANS R2 ECO.2.1.1"
        "Le message porte un CDA sans PDF joint."
    PdfWithoutCda "PDF-03" Info "ANS R2 ECO.2.1.1"
        "Le message porte un PDF sans CDA."
    PdfBroken "PDF-04" Warning "ANS R2 ECO.2.1.1"
        "Le fichier joint annoncé comme PDF n'en est pas un."
    ReplacesUnknown "VER-01" Warning "CI-SIS structuration minimale"
        "Le document remplace un document qui n'est pas connu ici."
    Duplicate "VER-02" Warning "CI-SIS structuration minimale"
        "Un document de même identifiant est déjà connu."
    OlderVersion "VER-03" Warning "CI-SIS structuration minimale"
        "Une version plus récente du document est déjà connue."
    Hl7Missing "HL7-01" Error "CI-SIS transmission CDA en HL7v2"
        "Un champ obligatoire du message HL7v2 manque."
    Hl7Value "HL7-02" Error "CI-SIS transmission CDA en HL7v2"
        "Un champ du message HL7v2 n'a pas une valeur admise."
    Hl7Patient "HL7-03" Alert "CI-SIS transmission CDA en HL7v2"
        "PID-3 n'est pas le patient du document."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_sentences_are_sentences() {
        let codes: HashSet<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        assert_eq!(codes.len(), Rule::ALL.len());
        assert!(Rule::ALL.iter().all(|rule| rule.french().ends_with('.')));
        let finding = Finding::with(Rule::UnknownType, "code « X »");
        assert_eq!(
            finding.french(),
            "CDA-07 Le type du document n'est pas dans le jeu de valeurs (code « X »). [JDV_J07]"
        );
    }
}
