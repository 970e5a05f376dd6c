//! The header, element by element (CI-SIS structuration minimale 1.16, §2 of the header table).

use super::model::{
    Address, Authorization, Consent, Device, Encounter, Entity, Facility, Header, NameParts, Order,
    Organization, Participation, Period, PersonName, RelatedDocument, RelationKind, ServiceEvent,
    Telecom,
};
use super::patient::Patient;
use crate::facts::{Code, HlTime, Id, Qualifier};
use crate::limits::Limits;
use crate::xml::{Element, Ns};

/// Codes within codes that are followed.
const TRANSLATIONS_DEEP: usize = 2;

/// Reads header elements within the limits.
pub(super) struct Reader<'l> {
    pub(super) limits: &'l Limits,
}

impl Reader<'_> {
    fn cut(&self, text: &str) -> String {
        let text = text.trim();
        if text.len() <= self.limits.field_chars_max {
            text.to_owned()
        } else {
            text.chars().take(self.limits.field_chars_max).collect()
        }
    }

    fn text(&self, element: Element<'_>) -> String {
        let text = element.own_text();
        let words: Vec<&str> = text.split_whitespace().collect();
        self.cut(&words.join(" "))
    }

    fn attribute(&self, element: Element<'_>, name: &str) -> Option<String> {
        element.attribute(name).map(|value| self.cut(value))
    }

    /// Every child of a name, within the limit, read by `read`.
    fn many<'a, T>(
        &self,
        parent: Element<'a>,
        name: &'a str,
        read: impl Fn(Element<'a>) -> T,
    ) -> Vec<T> {
        parent.all(Ns::Hl7, name).take(self.limits.repeats_max).map(read).collect()
    }

    fn one<'a, T>(
        &self,
        parent: Element<'a>,
        name: &str,
        read: impl Fn(Element<'a>) -> T,
    ) -> Option<T> {
        parent.first(Ns::Hl7, name).map(read)
    }

    fn value(&self, parent: Element<'_>, name: &str, attribute: &str) -> Option<String> {
        parent.first(Ns::Hl7, name).and_then(|element| self.attribute(element, attribute))
    }

    fn id(&self, element: Element<'_>) -> Id {
        Id {
            root: self.attribute(element, "root").unwrap_or_default(),
            extension: self.attribute(element, "extension"),
        }
    }

    fn ids(&self, parent: Element<'_>) -> Vec<Id> {
        self.many(parent, "id", |id| self.id(id))
    }

    pub(super) fn code(&self, element: Element<'_>) -> Code {
        self.code_within(element, TRANSLATIONS_DEEP)
    }

    fn code_within(&self, element: Element<'_>, deeper: usize) -> Code {
        let (mut translations, mut qualifiers) = (Vec::new(), Vec::new());
        if let Some(deeper) = deeper.checked_sub(1) {
            let read = |e: Element<'_>| self.code_within(e, deeper);
            translations = self.many(element, "translation", read);
            qualifiers = self.many(element, "qualifier", |q| Qualifier {
                name: self.one(q, "name", read).unwrap_or_default(),
                value: self.one(q, "value", read).unwrap_or_default(),
            });
        }
        Code {
            code: self.attribute(element, "code"),
            system: self.attribute(element, "codeSystem"),
            system_name: self.attribute(element, "codeSystemName"),
            label: self.attribute(element, "displayName"),
            null_flavor: self.attribute(element, "nullFlavor"),
            original_text: self
                .one(element, "originalText", |t| self.text(t))
                .filter(|text| !text.is_empty()),
            qualifiers,
            translations,
        }
    }

    fn period(&self, element: Element<'_>) -> Period {
        let time = |e: Element<'_>| self.attribute(e, "value").map(HlTime);
        Period {
            at: time(element),
            low: element.first(Ns::Hl7, "low").and_then(time),
            high: element.first(Ns::Hl7, "high").and_then(time),
            null_flavor: self.attribute(element, "nullFlavor"),
        }
    }

    fn address(&self, element: Element<'_>) -> Address {
        let parts = element.children().filter(|child| child.ns() == Ns::Hl7);
        let mut parts: Vec<(String, String)> = parts
            .take(self.limits.repeats_max)
            .map(|part| (part.name().to_owned(), self.text(part)))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let loose = self.text(element);
        if !loose.is_empty() {
            parts.push(("text".to_owned(), loose));
        }
        Address {
            usage: self.attribute(element, "use"),
            null_flavor: self.attribute(element, "nullFlavor"),
            parts,
        }
    }

    fn addresses(&self, parent: Element<'_>) -> Vec<Address> {
        self.many(parent, "addr", |a| self.address(a))
    }

    fn telecoms(&self, parent: Element<'_>) -> Vec<Telecom> {
        self.many(parent, "telecom", |t| Telecom {
            value: self.attribute(t, "value").unwrap_or_default(),
            usage: self.attribute(t, "use"),
            null_flavor: self.attribute(t, "nullFlavor"),
        })
    }

    fn name(&self, element: Element<'_>) -> PersonName {
        let part = |e: Element<'_>| NameParts {
            qualifier: self.attribute(e, "qualifier"),
            text: self.text(e),
        };
        PersonName {
            family: self.many(element, "family", part),
            given: self.many(element, "given", part),
            prefix: self.many(element, "prefix", |e| self.text(e)),
            suffix: self.many(element, "suffix", |e| self.text(e)),
            text: self.text(element),
        }
    }

    fn organization(&self, element: Element<'_>) -> Organization {
        Organization {
            ids: self.ids(element),
            name: self.one(element, "name", |n| self.text(n)),
            addresses: self.addresses(element),
            telecoms: self.telecoms(element),
            activity: self.one(element, "standardIndustryClassCode", |c| self.code(c)),
            part_of: self
                .many(element, "asOrganizationPartOf", |part| {
                    self.one(part, "code", |code| self.code(code))
                })
                .into_iter()
                .flatten()
                .collect(),
        }
    }

    /// Any role: assignedEntity, assignedAuthor, associatedEntity, intendedRecipient, relatedEntity, guardian.
    fn entity(&self, role: Element<'_>) -> Entity {
        let mut entity = Entity {
            class: self.attribute(role, "classCode"),
            ids: self.ids(role),
            templates: self.templates(role),
            code: self.one(role, "code", |c| self.code(c)),
            addresses: self.addresses(role),
            telecoms: self.telecoms(role),
            ..Entity::default()
        };
        for child in role.children().filter(|child| child.ns() == Ns::Hl7) {
            match child.name() {
                "assignedPerson"
                | "associatedPerson"
                | "relatedPerson"
                | "guardianPerson"
                | "informationRecipient" => {
                    entity.names.extend(self.many(child, "name", |n| self.name(n)));
                }
                "assignedAuthoringDevice" => {
                    entity.device = Some(Device {
                        model: self.one(child, "manufacturerModelName", |n| self.text(n)),
                        software: self.one(child, "softwareName", |n| self.text(n)),
                    });
                }
                "representedOrganization"
                | "scopingOrganization"
                | "receivedOrganization"
                | "guardianOrganization" => {
                    entity.organization = Some(self.organization(child));
                }
                _ => {}
            }
        }
        entity
    }

    fn templates(&self, parent: Element<'_>) -> Vec<Id> {
        self.many(parent, "templateId", |id| self.id(id))
    }

    /// Any participation; the role is its child of one of these names.
    fn participation(&self, element: Element<'_>) -> Participation {
        const ROLES: [&str; 5] = [
            "assignedEntity",
            "assignedAuthor",
            "associatedEntity",
            "intendedRecipient",
            "relatedEntity",
        ];
        let role = element.children().find(|c| c.ns() == Ns::Hl7 && ROLES.contains(&c.name()));
        Participation {
            kind: self.attribute(element, "typeCode"),
            function: self.one(element, "functionCode", |c| self.code(c)),
            time: self.one(element, "time", |t| self.period(t)),
            signature: self.value(element, "signatureCode", "code"),
            templates: self.templates(element),
            entity: role.map(|role| self.entity(role)).unwrap_or_default(),
        }
    }

    fn patient(&self, role: Element<'_>) -> Patient {
        let mut patient = Patient {
            ids: self.ids(role),
            addresses: self.addresses(role),
            telecoms: self.telecoms(role),
            provider: self.one(role, "providerOrganization", |o| self.organization(o)),
            ..Patient::default()
        };
        let Some(person) = role.first(Ns::Hl7, "patient") else { return patient };
        patient.names = self.many(person, "name", |n| self.name(n));
        patient.sex =
            self.one(person, "administrativeGenderCode", |c| self.code(c)).unwrap_or_default();
        patient.birth_time = HlTime(self.value(person, "birthTime", "value").unwrap_or_default());
        if let Some(place) = person.path(Ns::Hl7, &["birthplace", "place"]) {
            patient.birth_places = self.many(place, "name", |n| self.text(n));
            patient.birth_address = self.one(place, "addr", |a| self.address(a));
        }
        for fact in person.children().filter(|child| child.ns() == Ns::Sdtc) {
            if patient.civil.len() < self.limits.repeats_max
                && let Some(value) = self.attribute(fact, "value")
            {
                patient.civil.push((fact.name().to_owned(), value));
            }
        }
        patient.guardians = self.many(person, "guardian", |g| self.entity(g));
        patient
    }

    fn order(&self, element: Element<'_>) -> Order {
        let Some(order) = element.first(Ns::Hl7, "order") else { return Order::default() };
        // DICOM PS3.20 adds the accession number in a namespace of its own.
        let accessions = order.children().filter(|c| c.name() == "accessionNumber");
        Order {
            ids: self.ids(order),
            accessions: accessions.take(self.limits.repeats_max).map(|id| self.id(id)).collect(),
            code: self.one(order, "code", |c| self.code(c)),
            priority: self.one(order, "priorityCode", |c| self.code(c)),
        }
    }

    fn service_event(&self, element: Element<'_>) -> ServiceEvent {
        let Some(event) = element.first(Ns::Hl7, "serviceEvent") else {
            return ServiceEvent::default();
        };
        // statusCode belongs to a laboratory extension, in another namespace in some documents.
        let status = event.children().find(|c| c.name() == "statusCode");
        ServiceEvent {
            ids: self.ids(event),
            templates: self.templates(event),
            code: self.one(event, "code", |c| self.code(c)),
            time: self.one(event, "effectiveTime", |t| self.period(t)),
            status: status.and_then(|status| self.attribute(status, "code")),
            performers: self.many(event, "performer", |p| self.participation(p)),
        }
    }

    fn related(&self, element: Element<'_>) -> RelatedDocument {
        let parent = element.first(Ns::Hl7, "parentDocument");
        let kind = match element.attribute("typeCode").unwrap_or_default() {
            "RPLC" => RelationKind::Replaces,
            "XFRM" => RelationKind::Transforms,
            "APND" => RelationKind::Appends,
            other => RelationKind::Other(self.cut(other)),
        };
        RelatedDocument {
            kind,
            ids: parent.map(|parent| self.ids(parent)).unwrap_or_default(),
            set_id: parent.and_then(|parent| self.one(parent, "setId", |id| self.id(id))),
            version: parent.and_then(|parent| self.value(parent, "versionNumber", "value")),
        }
    }

    fn authorization(&self, element: Element<'_>) -> Authorization {
        let consent = element.first(Ns::Hl7, "consent");
        Authorization {
            kind: self.attribute(element, "typeCode"),
            consent: consent.map_or_else(Consent::default, |consent| Consent {
                ids: self.ids(consent),
                code: self.one(consent, "code", |c| self.code(c)),
                status: self.value(consent, "statusCode", "code"),
            }),
        }
    }

    fn encounter(&self, encounter: Element<'_>) -> Encounter {
        let facility = encounter.path(Ns::Hl7, &["location", "healthCareFacility"]);
        Encounter {
            ids: self.ids(encounter),
            code: self.one(encounter, "code", |c| self.code(c)),
            time: self.one(encounter, "effectiveTime", |t| self.period(t)),
            disposition: self.one(encounter, "dischargeDispositionCode", |c| self.code(c)),
            responsible: self.one(encounter, "responsibleParty", |p| self.participation(p)),
            participants: self.many(encounter, "encounterParticipant", |p| self.participation(p)),
            facility: facility.map(|facility| {
                let place = facility.first(Ns::Hl7, "location");
                Facility {
                    ids: self.ids(facility),
                    code: self.one(facility, "code", |c| self.code(c)),
                    names: place
                        .map(|place| self.many(place, "name", |n| self.text(n)))
                        .unwrap_or_default(),
                    addresses: place.map(|place| self.addresses(place)).unwrap_or_default(),
                    organization: self
                        .one(facility, "serviceProviderOrganization", |o| self.organization(o)),
                }
            }),
        }
    }

    pub(super) fn header(&self, cda: Element<'_>) -> Header {
        let custodian = cda
            .path(Ns::Hl7, &["custodian", "assignedCustodian", "representedCustodianOrganization"]);
        let parties = |name| self.many(cda, name, |p| self.participation(p));
        let party = |name| self.one(cda, name, |p| self.participation(p));
        Header {
            realm: self.value(cda, "realmCode", "code"),
            type_id: self.one(cda, "typeId", |id| self.id(id)),
            templates: self.templates(cda),
            id: self.one(cda, "id", |id| self.id(id)).unwrap_or_default(),
            code: self.one(cda, "code", |c| self.code(c)).unwrap_or_default(),
            title: self.one(cda, "title", |t| self.text(t)).unwrap_or_default(),
            effective_time: HlTime(self.value(cda, "effectiveTime", "value").unwrap_or_default()),
            confidentiality: self
                .one(cda, "confidentialityCode", |c| self.code(c))
                .unwrap_or_default(),
            language: self.value(cda, "languageCode", "code"),
            set_id: self.one(cda, "setId", |id| self.id(id)),
            version: self.value(cda, "versionNumber", "value"),
            patient: cda
                .path(Ns::Hl7, &["recordTarget", "patientRole"])
                .map(|role| self.patient(role))
                .unwrap_or_default(),
            authors: parties("author"),
            data_enterer: party("dataEnterer"),
            informants: parties("informant"),
            custodian: custodian.map(|organization| self.organization(organization)),
            recipients: parties("informationRecipient"),
            legal_authenticator: party("legalAuthenticator"),
            authenticators: parties("authenticator"),
            participants: parties("participant"),
            orders: self.many(cda, "inFulfillmentOf", |o| self.order(o)),
            service_events: self.many(cda, "documentationOf", |d| self.service_event(d)),
            related: self.many(cda, "relatedDocument", |r| self.related(r)),
            authorizations: self.many(cda, "authorization", |a| self.authorization(a)),
            encounter: cda
                .path(Ns::Hl7, &["componentOf", "encompassingEncounter"])
                .map(|encounter| self.encounter(encounter)),
        }
    }
}
