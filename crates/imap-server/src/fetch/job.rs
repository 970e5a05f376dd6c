//! A FETCH that reads messages, in steps of the pool: each step reads a bounded number of messages and leaves bytes
//! to write and bodies to stream.

use super::piece::{Piece, read_range};
use super::preview::preview;
use super::section::{Content, Source, Stored};
use super::{Plan, Shown, write_start};
use crate::error::Failure;
use crate::limits::{BODY_INLINE_BYTES, BODY_PIECE_BYTES, JOB_BYTES, JOB_MESSAGES, TOGETHER_MAX};
use crate::rows::{Row, Rows};
use palombe_access::OpenFolder;
use palombe_imap_proto::{BinaryPart, FetchItem, Partial, Section, SectionText, Writer};
use palombe_message::listing::{self, Form, TextSink};
use palombe_message::{Listing, Section as Which, TransferDecoder};
use palombe_store::{
    BlobDigest, Deed, FlagChange, FlagScope, FlagUpdate, Flags, MessageMeta, Store,
};
use palombe_vocabulary::{BalId, FolderId, Uid};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The command on its way.
pub(crate) struct Job {
    bal: BalId,
    folder: FolderId,
    plan: Arc<Plan>,
    indexes: Vec<usize>,
    at: usize,
    marks_seen: bool,
    /// Who marks messages of a BAL that is not its own.
    deed: Option<Deed>,
    /// Marked `\Seen` by this command, not yet told.
    marked: HashMap<u32, MessageMeta>,
    /// Up to here of `indexes` messages were marked.
    marked_to: usize,
    /// As the client counts them; nothing is expunged while a FETCH runs.
    rows: Rows,
    /// A message was gone already.
    pub(crate) expunged: bool,
    /// A BINARY part under an unknown encoding.
    pub(crate) unknown_cte: bool,
}

/// What a step leaves to do.
pub(crate) struct Step {
    pub(crate) pieces: Vec<Piece>,
    /// Messages whose flags this step changed.
    pub(crate) seen: Vec<MessageMeta>,
}

impl Job {
    pub(crate) fn new(
        at: OpenFolder,
        plan: Arc<Plan>,
        (rows, indexes): (Rows, Vec<usize>),
        marks: Option<Option<Deed>>,
    ) -> Self {
        let marks_seen = marks.is_some() && plan.sets_seen();
        let deed = marks.flatten();
        Job {
            bal: at.bal(),
            folder: at.folder(),
            plan,
            indexes,
            at: 0,
            marks_seen,
            deed,
            marked: HashMap::new(),
            marked_to: 0,
            rows,
            expunged: false,
            unknown_cte: false,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.indexes.len()
    }

    /// Reads and writes on, until enough was done for one turn.
    pub(crate) fn step(&mut self, store: &Store, utf8: bool) -> Result<Step, Failure> {
        let seen = if self.marks_seen && self.at >= self.marked_to {
            self.mark_seen(store)?
        } else {
            Vec::new()
        };
        let mut out = Output { writer: Writer::default(), pieces: Vec::new() };
        if utf8 {
            out.writer.set_utf8();
        }
        let mut handled = 0;
        while !self.is_done() && handled < JOB_MESSAGES && out.has_room() {
            if self.marks_seen && self.at >= self.marked_to {
                break;
            }
            handled += self.some(store, &mut out)?;
        }
        out.cut();
        Ok(Step { pieces: out.pieces, seen })
    }

    /// The next messages, read together. Those for which there is no more room are left to the next turn.
    fn some(&mut self, store: &Store, out: &mut Output) -> Result<usize, Failure> {
        let rows = self.rows.clone();
        let mut until = self.indexes.len().min(self.at + TOGETHER_MAX);
        if self.marks_seen {
            until = until.min(self.marked_to);
        }
        let indexes: Vec<usize> = self.indexes[self.at..until].to_vec();
        let uids: Vec<Uid> = indexes.iter().map(|index| Uid(rows.uid(*index))).collect();
        let mut places = Place::read(store, (self.bal, self.folder), &uids)?;
        if self.plan.reads_structures() {
            Place::read_structures(store, &mut places)?;
        }
        let mut places = places.into_iter().peekable();
        let began = self.at;
        for index in indexes {
            if !out.has_room() {
                break;
            }
            self.at += 1;
            let Some(row) = rows.get(index) else { continue };
            match places.next_if(|place| place.stored.uid == row.uid()) {
                Some(place) => self.write_message(store, out, (index + 1, &row), place)?,
                None => self.expunged = true, // RFC 5530 EXPUNGEISSUED
            }
        }
        Ok(self.at - began)
    }

    /// Marks the next messages, together in one batch.
    fn mark_seen(&mut self, store: &Store) -> Result<Vec<MessageMeta>, Failure> {
        let until = self.indexes.len().min(self.at + JOB_MESSAGES);
        let unseen: Vec<Uid> = self.indexes[self.at..until]
            .iter()
            .filter_map(|index| self.rows.get(*index))
            .filter(|row| !row.seen())
            .map(|row| row.uid())
            .collect();
        self.marked_to = until;
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        let change = FlagChange::Add(Flags { seen: true, ..Flags::default() });
        let (scope, deed) = (FlagScope::ALL, self.deed.clone());
        let update = FlagUpdate { change, unchanged_since: None, scope, deed };
        let outcome = store.flags_update_by((self.bal, self.folder), &unseen, &update)?;
        self.marked = outcome.changed.iter().map(|meta| (meta.uid.0, meta.clone())).collect();
        Ok(outcome.changed)
    }

    fn write_message(
        &mut self,
        store: &Store,
        out: &mut Output,
        (number, row): (usize, &Row<'_>),
        place: Place,
    ) -> Result<(), Failure> {
        let marked = self.marked.remove(&row.uid().0);
        let tell_flags = marked.is_some() && !self.plan.tells_flags();
        let plan = self.plan.clone();
        write_start(&mut out.writer, number, row, plan.enabled);
        let row = Shown { marked: marked.as_ref(), ..Shown::new(row, &self.rows) };
        for (i, item) in plan.items.iter().enumerate() {
            if i > 0 {
                out.writer.raw(" ");
            }
            if plan.write_meta_item(&mut out.writer, item, &row)
                || place.write_item(store, out, item)?
            {
                continue;
            }
            self.write_item(store, out, item, place.source(store)?)?;
        }
        if tell_flags {
            out.writer.raw(" ");
            plan.write_meta_item(&mut out.writer, &FetchItem::Flags, &row);
            plan.write_new_modseq(&mut out.writer, &row);
        }
        out.writer.raw(")").crlf();
        Ok(())
    }

    fn write_item(
        &mut self,
        store: &Store,
        out: &mut Output,
        item: &FetchItem,
        source: &Source,
    ) -> Result<(), Failure> {
        let structure = &source.structure;
        let section = |text| Section { part: Vec::new(), text };
        match item {
            FetchItem::Envelope => {
                out.writer.raw("ENVELOPE ");
                listing::write_envelope(&mut Sink(&mut out.writer), &structure.envelope());
            }
            FetchItem::Body => {
                out.writer.raw("BODY ");
                listing::write_body(&mut Sink(&mut out.writer), &structure.root, Form::Basic);
            }
            FetchItem::BodyStructure => {
                out.writer.raw("BODYSTRUCTURE ");
                listing::write_body(&mut Sink(&mut out.writer), &structure.root, Form::Extended);
            }
            FetchItem::Rfc822Header => {
                out.writer.raw("RFC822.HEADER ");
                let content = source.content(store, &section(Some(SectionText::Header)))?;
                out.content(store, &source.stored, content, None)?;
            }
            FetchItem::Rfc822Text => {
                out.writer.raw("RFC822.TEXT ");
                let content = source.content(store, &section(Some(SectionText::Text)))?;
                out.content(store, &source.stored, content, None)?;
            }
            FetchItem::Section { section, partial, .. } => {
                write_section_name(&mut out.writer, section, *partial);
                let content = source.content(store, section)?;
                out.content(store, &source.stored, content, *partial)?;
            }
            FetchItem::Binary(binary) => self.write_binary(store, out, binary, source)?,
            FetchItem::Preview { .. } => {
                let text = preview(store, source)?;
                out.writer.raw("PREVIEW ").string(text.as_bytes());
            }
            FetchItem::BinarySize { part } => self.write_binary_size(store, out, part, source)?,
            _ => {}
        }
        Ok(())
    }

    /// RFC 3516 4.2: the part with its transfer encoding undone.
    fn write_binary(
        &mut self,
        store: &Store,
        out: &mut Output,
        binary: &BinaryPart,
        source: &Source,
    ) -> Result<(), Failure> {
        out.writer.raw("BINARY[");
        write_part_number(&mut out.writer, &binary.part);
        out.writer.raw("]");
        if let Some(partial) = binary.partial {
            out.writer.raw("<").show(partial.offset).raw(">");
        }
        out.writer.raw(" ");
        match self.binary(store, &binary.part, source)? {
            Binary::Absent => {
                out.writer.raw("NIL");
            }
            Binary::Identity(content) => {
                out.content(store, &source.stored, content, binary.partial)?;
            }
            Binary::Decoded { range, size, decoder } => {
                let (skip, take) = slice(size, binary.partial);
                out.writer.literal8_header(take);
                let digest = source.stored.digest;
                out.push(store, Piece::Decoded { digest, range, decoder, skip, take })?;
            }
        }
        Ok(())
    }

    fn write_binary_size(
        &mut self,
        store: &Store,
        out: &mut Output,
        part: &[u32],
        source: &Source,
    ) -> Result<(), Failure> {
        out.writer.raw("BINARY.SIZE[");
        write_part_number(&mut out.writer, part);
        out.writer.raw("] ");
        let size = match self.binary(store, part, source)? {
            Binary::Absent | Binary::Identity(Content::Absent) => 0,
            Binary::Identity(Content::Range(range)) => range.end - range.start,
            Binary::Identity(Content::Bytes(bytes)) => bytes.len() as u64,
            Binary::Decoded { size, .. } => size,
        };
        out.writer.show(size);
        Ok(())
    }

    fn binary(&mut self, store: &Store, path: &[u32], source: &Source) -> Result<Binary, Failure> {
        let Some(part) = source.structure.part(path).filter(|_| !path.is_empty()) else {
            // RFC 3516 4.2: an empty part number is the message itself, as it is.
            let whole = Content::Range(source.whole());
            return Ok(if path.is_empty() { Binary::Identity(whole) } else { Binary::Absent });
        };
        if part.encoding.is_identity() || part.is_multipart() || part.is_message() {
            let section = Section { part: path.to_vec(), text: None };
            return Ok(Binary::Identity(source.content(store, &section)?));
        }
        let Some(decoder) = TransferDecoder::new(&part.encoding) else {
            self.unknown_cte = true; // RFC 3516 4.3
            return Ok(Binary::Absent);
        };
        let Some(range) = source.structure.range(path, Which::Full) else {
            return Ok(Binary::Absent);
        };
        let size = decoded_size(store, &source.stored.digest, range.clone(), decoder.clone())?;
        Ok(Binary::Decoded { range, size, decoder })
    }
}

/// One message of those read together, opened as far as its items ask.
struct Place {
    stored: Stored,
    listing: Vec<u8>,
    structure: Option<Vec<u8>>,
    source: OnceCell<Source>,
}

impl Place {
    /// Those of the messages that exist.
    fn read(
        store: &Store,
        (bal, folder): (BalId, FolderId),
        uids: &[Uid],
    ) -> Result<Vec<Place>, Failure> {
        let mut places = Vec::with_capacity(uids.len());
        store.bodies(bal, folder, uids, &mut |body| {
            places.push(Place {
                stored: Stored::from(body),
                listing: body.listing.to_vec(),
                structure: None,
                source: OnceCell::new(),
            });
            true
        })?;
        Ok(places)
    }

    fn read_structures(store: &Store, places: &mut [Place]) -> Result<(), Failure> {
        let digests: Vec<BlobDigest> = places.iter().map(|place| place.stored.digest).collect();
        for (place, structure) in places.iter_mut().zip(store.structures(&digests)?) {
            place.structure = Some(structure);
        }
        Ok(())
    }

    /// What needs no structure; false for other items.
    fn write_item(
        &self,
        store: &Store,
        out: &mut Output,
        item: &FetchItem,
    ) -> Result<bool, Failure> {
        match item {
            FetchItem::Envelope | FetchItem::BodyStructure => {
                let Some(listing) = Listing::decode(&self.listing) else { return Ok(false) };
                if *item == FetchItem::Envelope {
                    out.writer.raw("ENVELOPE ").raw(listing.envelope);
                } else {
                    out.writer.raw("BODYSTRUCTURE ").raw(listing.body_structure);
                }
            }
            FetchItem::EmailId => {
                // RFC 8474 5.1
                out.writer.raw("EMAILID (").raw(&self.stored.email_id()).raw(")");
            }
            FetchItem::Rfc822 => {
                out.writer.raw("RFC822 ");
                out.content(store, &self.stored, Content::Range(self.stored.whole()), None)?;
            }
            FetchItem::Section { section, partial, .. } if is_whole(section) => {
                write_section_name(&mut out.writer, section, *partial);
                let whole = Content::Range(self.stored.whole());
                out.content(store, &self.stored, whole, *partial)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn source(&self, store: &Store) -> Result<&Source, Failure> {
        if let Some(source) = self.source.get() {
            return Ok(source);
        }
        let source = match &self.structure {
            Some(encoded) => Source::decode(self.stored.clone(), encoded)?,
            None => Source::read(store, self.stored.clone())?,
        };
        Ok(self.source.get_or_init(|| source))
    }
}

/// `BODY[]`
pub(super) fn is_whole(section: &Section) -> bool {
    section.part.is_empty() && section.text.is_none()
}

/// The response writer as a place for ENVELOPE and BODYSTRUCTURE.
struct Sink<'a>(&'a mut Writer);

impl TextSink for Sink<'_> {
    fn raw(&mut self, text: &str) {
        self.0.raw(text);
    }

    fn string(&mut self, octets: &[u8]) {
        self.0.string(octets);
    }
}

/// A part for BINARY.
enum Binary {
    Absent,
    Identity(Content),
    Decoded { range: Range<u64>, size: u64, decoder: TransferDecoder },
}

/// Counts in bounded memory what the part decodes to.
fn decoded_size(
    store: &Store,
    digest: &BlobDigest,
    range: Range<u64>,
    mut decoder: TransferDecoder,
) -> Result<u64, Failure> {
    let (mut size, mut at, mut decoded) = (0, range.start, Vec::new());
    while at < range.end {
        let end = range.end.min(at + BODY_PIECE_BYTES as u64);
        let octets = read_range(store, digest, at..end)?;
        at = end;
        decoded.clear();
        decoder.push(&octets, &mut decoded);
        size += decoded.len() as u64;
    }
    decoded.clear();
    decoder.finish(&mut decoded);
    Ok(size + decoded.len() as u64)
}

/// Offset and length of a partial of something that long (RFC 9051 6.4.5: cut where it ends).
fn slice(size: u64, partial: Option<Partial>) -> (u64, u64) {
    match partial {
        None => (0, size),
        Some(Partial { offset, length }) => {
            let offset = offset.min(size);
            (offset, length.min(size - offset))
        }
    }
}

/// Responses and the bodies between them, in order.
struct Output {
    writer: Writer,
    pieces: Vec<Piece>,
}

impl Output {
    /// A step ends behind the first body that is streamed.
    fn has_room(&self) -> bool {
        self.pieces.is_empty() && self.writer.len() < JOB_BYTES
    }

    fn cut(&mut self) {
        if !self.writer.is_empty() {
            self.pieces.push(Piece::Bytes(self.writer.bytes().to_vec()));
            self.writer.clear();
        }
    }

    /// A literal, or NIL.
    fn content(
        &mut self,
        store: &Store,
        stored: &Stored,
        content: Content,
        partial: Option<Partial>,
    ) -> Result<(), Failure> {
        match content {
            Content::Absent => {
                self.writer.raw("NIL");
                Ok(())
            }
            Content::Bytes(bytes) => {
                let (offset, length) = slice(bytes.len() as u64, partial);
                let from = usize::try_from(offset).unwrap_or(bytes.len());
                let to = usize::try_from(offset + length).unwrap_or(bytes.len());
                self.writer.literal_header(length).octets(&bytes[from..to]);
                Ok(())
            }
            Content::Range(range) => {
                let (offset, length) = slice(range.end - range.start, partial);
                self.writer.literal_header(length);
                let start = range.start + offset;
                self.octets(store, stored, start..start + length)
            }
        }
    }

    /// Octets of the message as the client sees it: first of the prefix, then of the body.
    fn octets(&mut self, store: &Store, stored: &Stored, range: Range<u64>) -> Result<(), Failure> {
        let prefix = &stored.prefix;
        let border = prefix.len() as u64;
        let place = |at: u64| usize::try_from(at.min(border)).unwrap_or(prefix.len());
        self.writer.octets(&prefix[place(range.start)..place(range.end)]);
        let digest = stored.digest;
        let range = range.start.max(border) - border..range.end.max(border) - border;
        self.push(store, Piece::Blob { digest, range })
    }

    /// A short body is read now, a long one when its turn comes.
    fn push(&mut self, store: &Store, mut piece: Piece) -> Result<(), Failure> {
        let stored_octets = match &piece {
            Piece::Bytes(_) => 0,
            Piece::Blob { range, .. } | Piece::Decoded { range, .. } => range.end - range.start,
        };
        if stored_octets > BODY_INLINE_BYTES {
            self.cut();
            self.pieces.push(piece);
            return Ok(());
        }
        while !piece.is_empty() {
            let octets = piece.read(store, BODY_PIECE_BYTES)?;
            self.writer.octets(&octets);
        }
        Ok(())
    }
}

fn write_part_number(out: &mut Writer, part: &[u32]) {
    for (i, number) in part.iter().enumerate() {
        if i > 0 {
            out.raw(".");
        }
        out.show(number);
    }
}

/// `BODY[1.2.HEADER.FIELDS (…)]<0> `
fn write_section_name(out: &mut Writer, section: &Section, partial: Option<Partial>) {
    out.raw("BODY[");
    write_part_number(out, &section.part);
    if let Some(text) = &section.text {
        if !section.part.is_empty() {
            out.raw(".");
        }
        match text {
            SectionText::Header => out.raw("HEADER"),
            SectionText::Text => out.raw("TEXT"),
            SectionText::Mime => out.raw("MIME"),
            SectionText::HeaderFields(fields) => {
                out.raw(if fields.not { "HEADER.FIELDS.NOT (" } else { "HEADER.FIELDS (" });
                for (i, name) in fields.names.iter().enumerate() {
                    if i > 0 {
                        out.raw(" ");
                    }
                    out.astring(name);
                }
                out.raw(")")
            }
        };
    }
    out.raw("]");
    if let Some(partial) = partial {
        out.raw("<").show(partial.offset).raw(">");
    }
    out.raw(" ");
}
