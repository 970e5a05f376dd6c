//! Identification schemes of IHE ITI TF-3 4.2 and the DMP's examples.

/// Node that marks a RegistryPackage as a submission set.
pub(super) const SET_NODE: &str = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
pub(super) const SET_AUTHOR: &str = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d";
pub(super) const SET_CONTENT_TYPE: &str = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500";
pub(super) const SET_PATIENT: &str = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446";
pub(super) const SET_SOURCE: &str = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
pub(super) const SET_UNIQUE: &str = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8";

/// Object type of a stable document entry.
pub(super) const DOC_TYPE_NODE: &str = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";
pub(super) const DOC_AUTHOR: &str = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";
pub(super) const DOC_CLASS: &str = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
pub(super) const DOC_TYPE: &str = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
pub(super) const DOC_CONFIDENTIALITY: &str = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f";
pub(super) const DOC_FORMAT: &str = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
pub(super) const DOC_FACILITY: &str = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1";
pub(super) const DOC_PRACTICE: &str = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead";
pub(super) const DOC_EVENT: &str = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4";
pub(super) const DOC_PATIENT: &str = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427";
pub(super) const DOC_UNIQUE: &str = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";

pub(super) const HAS_MEMBER: &str = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
pub(super) const REPLACES: &str = "urn:ihe:iti:2007:AssociationType:RPLC";
pub(super) const TRANSFORMS: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
pub(super) const APPENDS: &str = "urn:ihe:iti:2007:AssociationType:APND";
pub(super) const SIGNS: &str = "urn:ihe:iti:2007:AssociationType:signs";
pub(super) const STATUS_CHANGE: &str = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";

pub(super) const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
pub(super) const REFERENCES_SLOT: &str = "urn:ihe:iti:xds:2013:referenceIdList";
/// The extra metadata by which a sender says replacement (C) or deletion (D).
pub(super) const ACTION_SLOT: &str = "urn:action:extraMetadataSlot";
