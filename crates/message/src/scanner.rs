//! The streaming scanner: octets in any pieces, one [`Structure`] out.
//!
//! It works line by line. Body octets are counted and looked at, never kept; of a line that may be a delimiter at most
//! [`CANDIDATE_BYTES_MAX`] octets are kept, of a header at most what [`Limits`] says. Every octet costs a constant: a
//! delimiter line is compared with at most `depth_max` boundaries.

use crate::envelope::Envelope;
use crate::header;
use crate::limits::{BOUNDARY_BYTES_MAX, DEPTH_CEILING, LINE_BYTES_MAX, Limits};
use crate::mime;
use crate::structure::{ContentType, Damage, Encoding, Nested, Part, Structure};
use memchr::{memchr3, memrchr};

/// `--`, boundary, `--`, and one octet after.
const CANDIDATE_BYTES_MAX: usize = BOUNDARY_BYTES_MAX + 5;

/// Reads a message as it comes and finds its structure.
#[derive(Clone, Debug)]
pub struct Scanner {
    limits: Limits,
    /// Octets seen.
    offset: u64,
    /// Line breaks seen.
    lines: u64,
    /// Offset of the current line, and the length of the line break before it.
    line_start: u64,
    break_before: u8,
    /// The piece before ended with a CR whose LF may follow.
    pending_cr: bool,
    /// The current line may still be a delimiter; `candidate` holds its first octets.
    maybe_delimiter: bool,
    candidate: Vec<u8>,
    /// Multiparts on the stack whose close delimiter has not come.
    boundaries: usize,
    in_header: bool,
    /// Kept octets of the header being read, and where its current line starts in them.
    header: Vec<u8>,
    header_line: usize,
    header_bytes_max: usize,
    header_cut: bool,
    part_headers_left: usize,
    /// Octets over 127 in this body still tell something new.
    watch_eight_bit: bool,
    root_header: Vec<u8>,
    nodes: Vec<Node>,
    open: Vec<Open>,
    damage: Damage,
}

/// A part whose children are found through `parent`; nodes stand in the order of their octets.
#[derive(Clone, Debug)]
struct Node {
    part: Part,
    parent: usize,
    depth: u32,
    envelope: Option<Envelope>,
}

/// An entity whose end has not come.
#[derive(Clone, Debug)]
struct Open {
    node: usize,
    /// `lines` at the start of its body.
    lines_before: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Nothing below: a leaf, a message part (its root is on the stack above), or a container not looked into.
    Plain,
    Multipart {
        boundary: Vec<u8>,
        state: MultipartState,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MultipartState {
    Preamble,
    Inside,
    /// Close delimiter seen: the rest is epilogue.
    Closed,
}

impl Scanner {
    /// A scanner at the first octet of a message.
    pub fn new(limits: Limits) -> Scanner {
        let limits = Limits { depth_max: limits.depth_max.min(DEPTH_CEILING), ..limits };
        let mut scanner = Scanner {
            limits,
            offset: 0,
            lines: 0,
            line_start: 0,
            break_before: 0,
            pending_cr: false,
            maybe_delimiter: false,
            candidate: Vec::new(),
            boundaries: 0,
            in_header: true,
            header: Vec::new(),
            header_line: 0,
            header_bytes_max: 0,
            header_cut: false,
            part_headers_left: limits.part_headers_total_bytes_max,
            watch_eight_bit: false,
            root_header: Vec::new(),
            nodes: Vec::new(),
            open: Vec::new(),
            damage: Damage::default(),
        };
        scanner.start_entity(0, 0, ContentType::text_plain());
        scanner
    }

    /// Octets seen so far.
    pub fn size(&self) -> u64 {
        self.offset
    }

    /// What was found wrong so far; flags only ever rise, so a receiver may stop early.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// The next octets, in pieces of any size.
    pub fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let (taken, line_break) = self.next_line(data);
            let (piece, rest) = data.split_at(taken);
            self.line_piece(piece);
            if line_break > 0 {
                self.end_line(line_break);
            }
            data = rest;
        }
    }

    /// The end of the message.
    pub fn finish(mut self) -> Structure {
        if self.pending_cr {
            self.damage.bare_cr = true;
        }
        if self.offset > self.line_start {
            self.check_line_length(0);
            // A delimiter without line break still ends a part.
            if self.maybe_delimiter
                && let Some((level, closes)) = self.match_delimiter()
            {
                self.delimiter(level, closes);
            }
        }
        self.close_down_to(0, self.offset, self.lines);
        self.assemble()
    }

    /// How many octets of `data` belong to the current line, and the length of its line break (0: it goes on).
    fn next_line(&mut self, data: &[u8]) -> (usize, u8) {
        if self.pending_cr {
            self.pending_cr = false;
            if data[0] == b'\n' {
                return (1, 2);
            }
            self.damage.bare_cr = true;
        }
        let mut at = 0;
        while let Some(found) = memchr3(b'\r', b'\n', 0, &data[at..]) {
            at += found;
            match (data[at], data.get(at + 1)) {
                (b'\n', _) => {
                    self.damage.bare_lf = true;
                    return (at + 1, 1);
                }
                (b'\r', Some(b'\n')) => return (at + 2, 2),
                (b'\r', None) => self.pending_cr = true,
                (b'\r', Some(_)) => self.damage.bare_cr = true,
                _ => self.damage.nul = true,
            }
            at += 1;
        }
        (data.len(), 0)
    }

    #[inline]
    fn line_piece(&mut self, piece: &[u8]) {
        if self.maybe_delimiter {
            self.look_for_dashes(piece);
        }
        if self.in_header {
            self.keep_header(piece);
        } else if self.watch_eight_bit && !piece.is_ascii() {
            self.eight_bit_body();
        }
        self.offset += piece.len() as u64;
    }

    #[inline]
    fn look_for_dashes(&mut self, piece: &[u8]) {
        if self.candidate.is_empty() && piece.len() >= 2 && !piece.starts_with(b"--") {
            self.maybe_delimiter = false;
            return;
        }
        let room = CANDIDATE_BYTES_MAX - self.candidate.len();
        self.candidate.extend_from_slice(&piece[..piece.len().min(room)]);
        if self.candidate.len() >= 2 && !self.candidate.starts_with(b"--") {
            self.maybe_delimiter = false;
        }
    }

    fn keep_header(&mut self, piece: &[u8]) {
        let room = self.header_bytes_max - self.header.len();
        if piece.len() > room {
            self.header_cut = true;
            self.damage.header_too_long = true;
        }
        self.header.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    #[cold]
    fn eight_bit_body(&mut self) {
        self.damage.body_eight_bit = true;
        self.watch_eight_bit = false;
        let declared = self.open.last().is_some_and(|open| {
            matches!(self.nodes[open.node].part.encoding, Encoding::EightBit | Encoding::Binary)
        });
        if !declared {
            self.damage.eight_bit_undeclared = true;
        }
    }

    fn check_line_length(&mut self, line_break: u8) {
        if self.offset - self.line_start - u64::from(line_break) > LINE_BYTES_MAX {
            self.damage.long_line = true;
        }
    }

    fn end_line(&mut self, line_break: u8) {
        self.check_line_length(line_break);
        let blank = self.offset - self.line_start == u64::from(line_break);
        let delimiter = if self.maybe_delimiter { self.match_delimiter() } else { None };
        if let Some((level, closes)) = delimiter {
            self.delimiter(level, closes);
        }
        self.lines += 1;
        if delimiter.is_none() && blank && self.in_header {
            self.end_header(self.offset);
        }
        self.line_start = self.offset;
        self.break_before = line_break;
        self.header_line = self.header.len();
        self.maybe_delimiter = self.boundaries > 0;
        self.candidate.clear();
    }

    /// RFC 2046 5.1.1: the line starts with `--` and a boundary; only white space or the closing `--` may follow, so
    /// that a boundary which begins another one does not take its lines. The innermost multipart wins.
    fn match_delimiter(&self) -> Option<(usize, bool)> {
        let line = self.candidate.strip_prefix(b"--")?;
        self.open.iter().enumerate().rev().find_map(|(level, open)| {
            let Kind::Multipart { boundary, state } = &open.kind else { return None };
            if *state == MultipartState::Closed {
                return None;
            }
            match line.strip_prefix(boundary.as_slice())? {
                [b'-', b'-', ..] => Some((level, true)),
                [] | [b' ' | b'\t' | b'\r' | b'\n', ..] => Some((level, false)),
                _ => None,
            }
        })
    }

    /// A delimiter of the multipart at `level` is the current line, already counted in `offset`.
    fn delimiter(&mut self, level: usize, closes: bool) {
        // The line break before the delimiter belongs to it (RFC 2046 5.1.1).
        let end = self.line_start - u64::from(self.break_before);
        let lines = self.lines - u64::from(self.break_before > 0);
        if self.in_header {
            self.header.truncate(self.header_line);
        }
        self.close_down_to(level + 1, end, lines);
        let full = self.nodes.len() >= self.limits.parts_max as usize;
        if full && !closes {
            self.damage.too_many_parts = true;
        }
        let node = self.open[level].node;
        let ended = closes || full;
        if let Kind::Multipart { state, .. } = &mut self.open[level].kind {
            *state = if ended { MultipartState::Closed } else { MultipartState::Inside };
        }
        if ended {
            self.boundaries -= 1;
            self.in_header = false;
            self.watch_body();
            return;
        }
        // RFC 2046 5.1.5: in a digest, what has no type is a message.
        let digest = self.nodes[node].part.content_type.sub.is("digest");
        let default =
            if digest { ContentType::new("message", "rfc822") } else { ContentType::text_plain() };
        let depth = self.nodes[node].depth + 1;
        self.start_entity(node, depth, default);
    }

    fn start_entity(&mut self, parent: usize, depth: u32, content_type: ContentType) {
        let at = self.offset;
        let node = self.nodes.len();
        let part = Part { content_type, ..empty_part(at) };
        self.nodes.push(Node { part, parent, depth, envelope: None });
        self.open.push(Open { node, lines_before: 0, kind: Kind::Plain });
        self.in_header = true;
        self.header.clear();
        self.header_line = 0;
        self.header_cut = false;
        self.header_bytes_max = if node == 0 {
            self.limits.root_header_bytes_max
        } else {
            self.limits.part_header_bytes_max.min(self.part_headers_left)
        };
    }

    /// The header of the innermost entity ends at `end`; its fields are read.
    fn close_header(&mut self, end: u64) {
        self.in_header = false;
        let Some(open) = self.open.last_mut() else { return };
        let index = open.node;
        open.lines_before = self.lines;
        if self.header_cut {
            // Half a line says something else than the whole one.
            let whole = memrchr(b'\n', &self.header).map_or(0, |at| at + 1);
            self.header.truncate(whole);
        }
        if !self.header.is_ascii() {
            self.damage.header_eight_bit = true;
            self.damage.header_not_utf8 |= std::str::from_utf8(&self.header).is_err();
        }
        let is_nested_root = index > 0 && self.nodes[self.nodes[index].parent].part.is_message();
        let node = &mut self.nodes[index];
        node.part.header.end = end;
        node.part.body = end..end;
        mime::read_fields(&self.header, &mut node.part);
        if index == 0 {
            check_root_header(&self.header, &mut self.damage);
            self.root_header = std::mem::take(&mut self.header);
            return;
        }
        if is_nested_root {
            node.envelope = Some(Envelope::parse(&self.header));
        }
        self.part_headers_left = self.part_headers_left.saturating_sub(self.header.len());
    }

    /// The blank line of a header is the current line.
    fn end_header(&mut self, end: u64) {
        self.close_header(end);
        let Some(open) = self.open.last_mut() else { return };
        let Node { part, depth, .. } = &self.nodes[open.node];
        let (parent, depth) = (open.node, *depth);
        let is_message = part.is_message();
        if !is_message && !part.is_multipart() {
            return self.watch_body();
        }
        if depth >= self.limits.depth_max {
            self.damage.too_deep = true;
        } else if is_message && !part.encoding.is_identity() {
            self.damage.encoded_message = true;
        } else if self.nodes.len() >= self.limits.parts_max as usize {
            self.damage.too_many_parts = true;
        } else if is_message {
            return self.start_entity(parent, depth + 1, ContentType::text_plain());
        } else if let Some(boundary) = usable_boundary(&part.content_type) {
            open.kind = Kind::Multipart { boundary, state: MultipartState::Preamble };
            self.boundaries += 1;
        } else {
            self.damage.missing_boundary = true;
        }
        self.watch_body();
    }

    fn watch_body(&mut self) {
        self.watch_eight_bit = !self.damage.body_eight_bit || !self.damage.eight_bit_undeclared;
    }

    /// Ends every entity from `level` up at `end`; `lines` line breaks come before it.
    fn close_down_to(&mut self, level: usize, end: u64, lines: u64) {
        if self.in_header && self.open.len() > level {
            self.damage.header_unterminated = true;
            let start = self.nodes[self.open[self.open.len() - 1].node].part.header.start;
            self.close_header(end.max(start));
        }
        let mut limit = u64::MAX;
        for open in self.open.drain(level..) {
            let part = &mut self.nodes[open.node].part;
            // A body that starts at the delimiter has no line break to give; and no child outlives its parent.
            let body_end = end.max(part.body.start).min(limit);
            limit = body_end;
            part.header.start = part.header.start.min(limit);
            part.header.end = part.header.end.min(limit);
            part.body = part.body.start.min(limit)..body_end;
            part.lines = lines.saturating_sub(open.lines_before);
            if let Kind::Multipart { state, .. } = open.kind
                && state != MultipartState::Closed
            {
                self.boundaries -= 1;
                self.damage.missing_close = true;
                self.damage.missing_boundary |= state == MultipartState::Preamble;
            }
        }
    }

    /// Nodes become a tree: the last first, each into its parent.
    fn assemble(mut self) -> Structure {
        let mut parts = self.nodes.len() as u32;
        let mut depth = 0;
        let root = loop {
            let Some(Node { mut part, parent, depth: level, envelope }) = self.nodes.pop() else {
                // The root is pushed by `new` and leaves the loop below.
                break empty_part(0);
            };
            part.children.reverse();
            let placed = add_placeholder(&mut part);
            parts += u32::from(placed);
            depth = depth.max(level + u32::from(placed));
            if self.nodes.is_empty() {
                break part;
            }
            let above = &mut self.nodes[parent].part;
            if above.is_message() {
                let envelope = envelope.unwrap_or_default();
                above.message = Some(Box::new(Nested { envelope, root: part }));
            } else {
                above.children.push(part);
            }
        };
        Structure {
            size: self.offset,
            header: self.root_header,
            root,
            damage: self.damage,
            parts,
            depth,
        }
    }
}

fn empty_part(at: u64) -> Part {
    Part {
        header: at..at,
        body: at..at,
        lines: 0,
        content_type: ContentType::text_plain(),
        id: None,
        description: None,
        encoding: Encoding::SevenBit,
        md5: None,
        disposition: None,
        language: Vec::new(),
        location: None,
        children: Vec::new(),
        message: None,
    }
}

/// RFC 9051 body-type-mpart wants a part, and body-type-msg an envelope: a multipart not looked into shows its whole
/// body as one text part, a message not looked into shows an empty message.
fn add_placeholder(part: &mut Part) -> bool {
    if part.is_multipart() && part.children.is_empty() {
        let body = part.body.clone();
        part.children.push(Part {
            body: body.clone(),
            lines: part.lines,
            ..empty_part(body.start)
        });
        return true;
    }
    if part.is_message() && part.message.is_none() {
        let root = empty_part(part.body.end);
        part.message = Some(Box::new(Nested { envelope: Envelope::default(), root }));
        return true;
    }
    false
}

fn usable_boundary(content_type: &ContentType) -> Option<Vec<u8>> {
    let boundary = content_type.param("boundary")?.trim_ascii_end();
    (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()).then(|| boundary.to_vec())
}

/// RFC 5322 3.6: fields that come at most once, and the MIME ones.
const ONCE: [&str; 11] = [
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "message-id",
    "in-reply-to",
    "references",
    "subject",
    "date",
    "mime-version",
];
const ONCE_MIME: [&str; 3] = ["content-type", "content-transfer-encoding", "content-disposition"];

fn check_root_header(raw_header: &[u8], damage: &mut Damage) {
    let mut from = 0;
    let mut seen = [false; ONCE.len() + ONCE_MIME.len()];
    for field in header::fields(raw_header) {
        if field.name.is_empty() {
            damage.malformed_header = true;
        }
        from += u32::from(field.is("from"));
        if let Some(index) = ONCE.iter().chain(&ONCE_MIME).position(|name| field.is(name)) {
            damage.duplicate_field |= std::mem::replace(&mut seen[index], true);
        }
    }
    damage.duplicate_from = from > 1;
}
