//! Facts of a CDA header, as written: nothing is corrected here.

use super::patient::Patient;
use crate::facts::{Code, HlTime, Id, redacted};
use serde::{Deserialize, Serialize};

/// Everything that the header says.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// realmCode.
    pub realm: Option<String>,
    /// typeId.
    pub type_id: Option<Id>,
    /// templateId, in order: the model of the document is among the last ones.
    pub templates: Vec<Id>,
    /// id: the document, this version.
    pub id: Id,
    /// code: the kind of document.
    pub code: Code,
    /// title.
    pub title: String,
    /// effectiveTime.
    pub effective_time: HlTime,
    /// confidentialityCode.
    pub confidentiality: Code,
    /// languageCode.
    pub language: Option<String>,
    /// setId: the document, all versions.
    pub set_id: Option<Id>,
    /// versionNumber.
    pub version: Option<String>,
    /// recordTarget.
    pub patient: Patient,
    /// author.
    pub authors: Vec<Participation>,
    /// dataEnterer.
    pub data_enterer: Option<Participation>,
    /// informant.
    pub informants: Vec<Participation>,
    /// custodian.
    pub custodian: Option<Organization>,
    /// informationRecipient.
    pub recipients: Vec<Participation>,
    /// legalAuthenticator.
    pub legal_authenticator: Option<Participation>,
    /// authenticator.
    pub authenticators: Vec<Participation>,
    /// participant.
    pub participants: Vec<Participation>,
    /// inFulfillmentOf.
    pub orders: Vec<Order>,
    /// documentationOf.
    pub service_events: Vec<ServiceEvent>,
    /// relatedDocument.
    pub related: Vec<RelatedDocument>,
    /// authorization.
    pub authorizations: Vec<Authorization>,
    /// componentOf.
    pub encounter: Option<Encounter>,
}

/// Somebody's part in the document.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Participation {
    /// typeCode of the element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// functionCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<Code>,
    /// time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Period>,
    /// signatureCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// templateId.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Id>,
    /// Who.
    pub entity: Entity,
}

/// A person, a device or an organisation in a role.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entity {
    /// classCode of the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Identifiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Id>,
    /// templateId.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Id>,
    /// Profession and specialty, or relation to the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Telephones and mail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub telecoms: Vec<Telecom>,
    /// The person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<PersonName>,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Organization>,
}

/// Parts of a name, each with its qualifier.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameParts {
    /// `BR`, `CL`, `SP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// The text.
    pub text: String,
}

/// A person's name.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersonName {
    /// Family names.
    pub family: Vec<NameParts>,
    /// Given names.
    pub given: Vec<NameParts>,
    /// Civility.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    /// Title.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<String>,
    /// A name without parts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Software.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// manufacturerModelName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// softwareName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
}

/// A health structure.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Organization {
    /// Identifiers; FINESS under 1.2.250.1.71.4.2.2.
    pub ids: Vec<Id>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Telephones and mail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub telecoms: Vec<Telecom>,
    /// standardIndustryClassCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Code>,
    /// Codes of the structures that it is part of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub part_of: Vec<Code>,
}

/// A postal address: pairs of the element and its text, in order.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// `H`, `WP`…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_flavor: Option<String>,
    /// `city`, `postalCode`, `county`…
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(String, String)>,
}

/// A telephone number or mail address, as a URL.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Telecom {
    /// `tel:…`, `mailto:…`
    pub value: String,
    /// `H`, `WP`, `MC`…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_flavor: Option<String>,
}

/// A time or an interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Period {
    /// A single moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<HlTime>,
    /// The beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<HlTime>,
    /// The end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<HlTime>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null_flavor: Option<String>,
}

/// A documented act.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceEvent {
    /// Identifiers; study instance for imaging.
    pub ids: Vec<Id>,
    /// templateId.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<Id>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Period>,
    /// statusCode, of laboratories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// By whom.
    pub performers: Vec<Participation>,
}

/// An order that the document answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// Identifiers.
    pub ids: Vec<Id>,
    /// Accession numbers (DICOM extension).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accessions: Vec<Id>,
    /// What was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// priorityCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Code>,
}

/// How a document relates to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// `RPLC`.
    Replaces,
    /// `XFRM`.
    Transforms,
    /// `APND`.
    Appends,
    /// Anything else.
    Other(String),
}

/// relatedDocument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatedDocument {
    /// How.
    pub kind: RelationKind,
    /// The other document.
    pub ids: Vec<Id>,
    /// Its setId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_id: Option<Id>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// authorization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// typeCode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The consent.
    pub consent: Consent,
}

/// A consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consent {
    /// Identifiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Id>,
    /// To what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// statusCode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// componentOf/encompassingEncounter.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Encounter {
    /// Identifiers.
    pub ids: Vec<Id>,
    /// Kind of stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Period>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<Code>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responsible: Option<Participation>,
    /// Who took part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Participation>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facility: Option<Facility>,
}

/// healthCareFacility.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facility {
    /// Identifiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Id>,
    /// Kind of structure (JDV_J02).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Names of the place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Address of the place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// serviceProviderOrganization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Organization>,
}

redacted!(
    Header,
    Participation,
    Entity,
    NameParts,
    PersonName,
    Device,
    Organization,
    Address,
    Telecom,
    ServiceEvent,
    Encounter,
    Facility
);

impl PersonName {
    /// The family name: birth name, or the one without qualifier.
    pub fn family_name(&self) -> &str {
        let unqualified = self.family.iter().find(|part| part.qualifier.is_none());
        unqualified.or(self.family.first()).map_or(self.text.as_str(), |part| &part.text)
    }

    /// The first given name.
    pub fn given_name(&self) -> &str {
        let unqualified = self.given.iter().find(|part| part.qualifier.is_none());
        unqualified.or(self.given.first()).map_or("", |part| &part.text)
    }

    /// As people read it.
    pub fn display(&self) -> String {
        let prefix = self.prefix.first().map_or("", String::as_str);
        let suffix = self.suffix.first().map_or("", String::as_str);
        let parts = [prefix, suffix, self.given_name(), self.family_name()];
        let mut seen: Vec<&str> = Vec::new();
        for part in parts {
            if !part.is_empty() && !seen.contains(&part) {
                seen.push(part);
            }
        }
        seen.join(" ")
    }
}

/// Who an author can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorKind {
    /// Somebody.
    Person,
    /// Software.
    Device,
}

impl Entity {
    /// Somebody or software.
    pub fn kind(&self) -> AuthorKind {
        if self.device.is_some() { AuthorKind::Device } else { AuthorKind::Person }
    }

    /// A name for people: the person, the software, or the organisation.
    pub fn display(&self) -> String {
        if let Some(name) = self.names.first() {
            return name.display();
        }
        let device = self.device.as_ref().and_then(|d| d.software.clone().or(d.model.clone()));
        let organization = || self.organization.as_ref().and_then(|o| o.name.clone());
        device.or_else(organization).unwrap_or_default()
    }
}

impl Address {
    /// One line for people.
    pub fn display(&self) -> String {
        let parts: Vec<&str> = self.parts.iter().map(|(_, text)| text.as_str()).collect();
        parts.join(" ")
    }
}

impl Header {
    /// The service event that the metadata project: the first one whose performer's activity is known, else the
    /// first (CI-SIS, acte principal).
    pub fn main_event(&self) -> Option<&ServiceEvent> {
        let known = |event: &&ServiceEvent| event.performers.iter().any(|p| p.activity().is_some());
        self.service_events.iter().find(known).or(self.service_events.first())
    }

    /// The documents that this one replaces.
    pub fn replaces(&self) -> impl Iterator<Item = &Id> {
        let replacing = |r: &&RelatedDocument| r.kind == RelationKind::Replaces;
        self.related.iter().filter(replacing).flat_map(|related| &related.ids)
    }
}

impl Participation {
    /// standardIndustryClassCode of the organisation.
    pub fn activity(&self) -> Option<&Code> {
        self.entity.organization.as_ref()?.activity.as_ref()
    }
}
