//! The stored form: a version octet, then the parts as one flat list in the order of their octets. Flat, so that a
//! damaged row cannot recurse.

use crate::envelope::Envelope;
use crate::limits::DEPTH_CEILING;
use crate::raw::Raw;
use crate::structure::{ContentType, Damage, Disposition, Encoding, Nested, Part, Structure};
use serde::{Deserialize, Serialize};

/// First octet of what [`Structure::encode`] writes.
pub const STRUCTURE_VERSION: u8 = 1;

/// Why stored or received octets could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Written by a later Palombe.
    #[error("stored structure has version {0}, this build reads up to {STRUCTURE_VERSION}")]
    UnknownVersion(u8),
    /// Cut short or altered.
    #[error("stored structure is damaged")]
    Damaged,
    /// The message holds no delivery status part.
    #[error("the message is not a delivery status notification")]
    NotDsn,
}

#[derive(Serialize, Deserialize)]
struct StoredStructure {
    size: u64,
    header: Raw,
    damage: Damage,
    parts: u32,
    depth: u32,
    flat: Vec<StoredPart>,
}

/// A part without its descendants. `below` is the number of children, or 1 for the root of a nested message.
#[derive(Serialize, Deserialize)]
struct StoredPart {
    header_start: u64,
    header_bytes: u64,
    body_start: u64,
    body_bytes: u64,
    lines: u64,
    content_type: ContentType,
    id: Option<Raw>,
    description: Option<Raw>,
    encoding: Encoding,
    md5: Option<Raw>,
    disposition: Option<Disposition>,
    language: Vec<Raw>,
    location: Option<Raw>,
    envelope: Option<Envelope>,
    below: u32,
}

impl Structure {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut flat = Vec::with_capacity(self.parts as usize);
        flatten(&self.root, &mut flat);
        let stored = StoredStructure {
            size: self.size,
            header: Raw(self.header.clone()),
            damage: self.damage,
            parts: self.parts,
            depth: self.depth,
            flat,
        };
        // Writing to memory cannot fail; an empty row would read as damaged.
        postcard::to_extend(&stored, vec![STRUCTURE_VERSION]).unwrap_or_default()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`MessageError::UnknownVersion`] or [`MessageError::Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Structure, MessageError> {
        match bytes.split_first() {
            Some((&STRUCTURE_VERSION, rest)) => decode_v1(rest),
            Some((&version, _)) if version > STRUCTURE_VERSION => {
                Err(MessageError::UnknownVersion(version))
            }
            _ => Err(MessageError::Damaged),
        }
    }
}

fn decode_v1(bytes: &[u8]) -> Result<Structure, MessageError> {
    let stored: StoredStructure = postcard::from_bytes(bytes).map_err(|_| MessageError::Damaged)?;
    let mut flat = stored.flat.into_iter();
    let root = unflatten(&mut flat, 0).ok_or(MessageError::Damaged)?;
    if flat.next().is_some() || !ranges_nest(&root, 0, stored.size) {
        return Err(MessageError::Damaged);
    }
    Ok(Structure {
        size: stored.size,
        header: stored.header.0,
        root,
        damage: stored.damage,
        parts: stored.parts,
        depth: stored.depth,
    })
}

fn flatten(part: &Part, flat: &mut Vec<StoredPart>) {
    let below = match &part.message {
        Some(_) => 1,
        None => part.children.len() as u32,
    };
    flat.push(StoredPart {
        header_start: part.header.start,
        header_bytes: part.header.end - part.header.start,
        body_start: part.body.start,
        body_bytes: part.body.end - part.body.start,
        lines: part.lines,
        content_type: part.content_type.clone(),
        id: part.id.clone(),
        description: part.description.clone(),
        encoding: part.encoding.clone(),
        md5: part.md5.clone(),
        disposition: part.disposition.clone(),
        language: part.language.clone(),
        location: part.location.clone(),
        envelope: part.message.as_ref().map(|nested| nested.envelope.clone()),
        below,
    });
    match &part.message {
        Some(nested) => flatten(&nested.root, flat),
        None => part.children.iter().for_each(|child| flatten(child, flat)),
    }
}

fn unflatten(flat: &mut std::vec::IntoIter<StoredPart>, depth: u32) -> Option<Part> {
    // One level more than the scanner makes: placeholders sit below the deepest container.
    if depth > DEPTH_CEILING + 1 {
        return None;
    }
    let stored = flat.next()?;
    let mut children = Vec::new();
    let mut message = None;
    match stored.envelope {
        Some(envelope) => {
            message = Some(Box::new(Nested { envelope, root: unflatten(flat, depth + 1)? }));
        }
        None => {
            for _ in 0..stored.below {
                children.push(unflatten(flat, depth + 1)?);
            }
        }
    }
    let part = Part {
        header: stored.header_start..stored.header_start.checked_add(stored.header_bytes)?,
        body: stored.body_start..stored.body_start.checked_add(stored.body_bytes)?,
        lines: stored.lines,
        content_type: stored.content_type,
        id: stored.id,
        description: stored.description,
        encoding: stored.encoding,
        md5: stored.md5,
        disposition: stored.disposition,
        language: stored.language,
        location: stored.location,
        children,
        message,
    };
    let shaped = part.is_multipart() != part.children.is_empty()
        && part.is_message() == part.message.is_some();
    shaped.then_some(part)
}

/// Readers slice by these ranges: a damaged row must not make them read past the message.
fn ranges_nest(part: &Part, start: u64, end: u64) -> bool {
    let inside = start <= part.header.start
        && part.header.end <= part.body.start
        && part.body.end <= end
        && part.body.start <= part.body.end;
    let mut below = part.children.iter().chain(part.message.iter().map(|nested| &nested.root));
    inside && below.all(|child| ranges_nest(child, part.body.start, part.body.end))
}
