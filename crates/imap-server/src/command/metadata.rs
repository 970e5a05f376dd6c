//! GETMETADATA and SETMETADATA (RFC 5464): annotations of folders and of the server, shared or one's own.

use super::Outcome;
use crate::error::{Failure, Stop};
use crate::place::{self, Place};
use crate::reply::{DONE, Done};
use crate::session::Session;
use palombe_imap_proto::{Mailbox, MetadataCommand, MetadataDepth, MetadataEntry};
use palombe_store::limits::ANNOTATION_BYTES_MAX;
use palombe_store::{AnnotationPlace, JournalLine, Outcome as Ended, StoreError};
use palombe_vocabulary::BalId;
use serde_json::json;

pub(super) async fn metadata(session: &mut Session, command: MetadataCommand) -> Outcome {
    match command {
        MetadataCommand::Get { mailbox, entries, depth, max_size } => {
            get(session, mailbox.as_ref(), &entries, depth, max_size).await
        }
        MetadataCommand::Set { mailbox, values } => set(session, mailbox.as_ref(), values).await,
    }
}

/// The folder that a command means; `None`: the server. RFC 5464 3.3: what may be read may be asked about.
async fn target(session: &Session, mailbox: Option<&Mailbox>) -> Result<Option<Place>, Stop> {
    match mailbox {
        Some(mailbox) => Ok(Some(place::find(session, mailbox.as_str(), 'r').await?)),
        None => Ok(None),
    }
}

/// Where an entry is kept. What is said of the server is kept in one's own BAL.
fn kept(
    session: &Session,
    place: Option<&Place>,
    private: bool,
) -> Result<AnnotationPlace, Failure> {
    let me: BalId = session.bal()?;
    Ok(AnnotationPlace {
        bal: place.map_or(me, Place::bal),
        folder: place.map(|place| place.id),
        owner: private.then_some(me),
    })
}

/// RFC 5464 4.2.2: whether a name is the entry asked for, or below it within the depth.
fn within(name: &str, asked: &str, depth: MetadataDepth) -> bool {
    let Some(rest) = name.strip_prefix(asked) else { return false };
    match (rest.strip_prefix('/'), depth) {
        _ if rest.is_empty() => true,
        (None, _) | (_, MetadataDepth::Zero) => false,
        (Some(rest), MetadataDepth::One) => !rest.contains('/'),
        (Some(_), MetadataDepth::Infinity) => true,
    }
}

async fn get(
    session: &mut Session,
    mailbox: Option<&Mailbox>,
    entries: &[MetadataEntry],
    depth: MetadataDepth,
    max_size: Option<u64>,
) -> Outcome {
    let place = target(session, mailbox).await?;
    let (private, shared) =
        (kept(session, place.as_ref(), true)?, kept(session, place.as_ref(), false)?);
    let (mine, all) = session
        .in_store(move |store| {
            // Nobody writes shared annotations of the server.
            let all = match shared.folder {
                Some(_) => store.annotations(shared)?,
                None => Vec::new(),
            };
            Ok((store.annotations(private)?, all))
        })
        .await?;
    let mut found: Vec<(String, Option<Vec<u8>>)> = Vec::new();
    let mut longest = None;
    for entry in entries {
        let (scope, values) = if entry.private { ("/private", &mine) } else { ("/shared", &all) };
        let matching = values.iter().filter(|(name, _)| within(name, &entry.name, depth));
        let before = found.len();
        for (name, value) in matching {
            let size = value.len() as u64;
            if max_size.is_some_and(|most| size > most) {
                longest = longest.max(Some(size));
            } else {
                found.push((format!("{scope}{name}"), Some(value.clone())));
            }
        }
        if depth == MetadataDepth::Zero && found.len() == before && longest.is_none() {
            found.push((format!("{scope}{}", entry.name), None));
        }
    }
    if !found.is_empty() {
        let out = &mut session.wire.out;
        out.raw("* METADATA ");
        match &place {
            Some(place) => out.mailbox(&place.name),
            None => out.raw("\"\""),
        };
        out.raw(" (");
        for (i, (name, value)) in found.iter().enumerate() {
            out.raw(if i > 0 { " " } else { "" }).astring(name).raw(" ");
            match value {
                // RFC 5464 5: values may hold any octet.
                Some(value) if value.contains(&0) => {
                    out.literal8_header(value.len() as u64).octets(value)
                }
                value => out.nstring(value.as_deref()),
            };
        }
        out.raw(")").crlf();
    }
    // RFC 5464 4.2.1
    Ok(longest.map_or(DONE, |size| Done::with(format!("METADATA LONGENTRIES {size}"))))
}

async fn set(
    session: &mut Session,
    mailbox: Option<&Mailbox>,
    values: Vec<(MetadataEntry, Option<Vec<u8>>)>,
) -> Outcome {
    let place = target(session, mailbox).await?;
    let writes_shared = values.iter().any(|(entry, _)| !entry.private);
    match &place {
        // RFC 5464 3.3: what all see is changed by those who may change flags.
        Some(place) if writes_shared => place.needs('w')?,
        // RFC 5464 6.2: the server's shared annotations are the administrator's.
        None if writes_shared => return Err(Failure::NoPermission.into()),
        _ => {}
    }
    let too_long = |(_, value): &(_, Option<Vec<u8>>)| {
        value.as_ref().is_some_and(|value| value.len() > ANNOTATION_BYTES_MAX)
    };
    if values.iter().any(too_long) {
        return Err(Failure::LongAnnotation.into());
    }
    if values.iter().any(|(entry, _)| entry.name.is_empty()) {
        return Err(Failure::EntryName.into());
    }
    let bal = kept(session, place.as_ref(), true)?.bal;
    let mut changes = Vec::with_capacity(values.len());
    let mut shared = Vec::new();
    for (entry, value) in values {
        if !entry.private {
            shared.push(entry.name.clone());
        }
        changes.push((kept(session, place.as_ref(), entry.private)?, (entry.name, value)));
    }
    let journal = trace(session, place.as_ref(), &shared)?;
    let done = session.in_store(move |store| store.annotate(bal, &changes, &journal)).await;
    match done {
        Err(Stop::Failure(Failure::Store(StoreError::TooMany(_)))) => {
            Err(Failure::TooManyAnnotations.into())
        }
        other => other.map(|()| DONE),
    }
}

/// What the journal tells of shared annotations that a member changes: their names, never what they say.
fn trace(
    session: &Session,
    place: Option<&Place>,
    names: &[String],
) -> Result<Vec<JournalLine>, Failure> {
    let Some(place) = place.filter(|place| place.open.member().is_some() && !names.is_empty())
    else {
        return Ok(Vec::new());
    };
    let by = session.account()?.open.address().to_string();
    Ok(vec![JournalLine {
        at: palombe_driver::now(),
        event: "bal.shared.annotation".to_owned(),
        outcome: Ended::Accepted,
        session: Some(session.id),
        queue: None,
        bal: Some(place.bal()),
        message_id: None,
        peer: None,
        peer_dn: None,
        domain: None,
        rule: None,
        detail: json!({ "by": by, "folder": place.id.0, "entries": names }).to_string(),
    }])
}
