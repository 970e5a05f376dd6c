//! The octets of a message, out of DATA or BDAT, without copying them.

use super::Fault;

/// What the next octets of a DATA stream are. The counts say how many octets of the input they take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Content from `start` to `end`; `end` octets are taken.
    Content { start: usize, end: usize },
    /// CRLF.CRLF, or a dot line at the very beginning.
    End(usize),
    /// Something that no message may hold; that many octets are taken, the rest is to be read on.
    Poison(Fault, usize),
    /// What is here can only be understood with what follows.
    More,
}

/// Reads DATA. `line_start` says whether the octet before the input ended a line with CRLF, and is kept for the next
/// call. An incomplete end is never taken, so the state is this one bit.
pub(super) fn read_data(input: &[u8], line_start: &mut bool) -> Piece {
    let mut start = 0;
    let mut at = 0;
    loop {
        if *line_start && input.get(at) == Some(&b'.') {
            if at > start {
                // The content before the dot first; the dot is met again at 0.
                return Piece::Content { start, end: at };
            }
            match input[at + 1..] {
                [] | [b'\r'] => return Piece::More,
                [b'\r', b'\n', ..] => return Piece::End(at + 3), // RFC 5321 4.1.1.4
                _ => {}
            }
            // RFC 5321 4.5.2: the dot goes, whatever follows it.
            start = at + 1;
            at += 1;
            *line_start = false;
        }
        let Some(found) = memchr::memchr3(b'\r', b'\n', 0, &input[at..]) else {
            if start == input.len() {
                return Piece::More;
            }
            *line_start &= at == input.len();
            return Piece::Content { start, end: input.len() };
        };
        let here = at + found;
        if input[here..].starts_with(b"\r\n") {
            at = here + 2;
            *line_start = true;
        } else if here > start {
            *line_start &= here == at;
            return Piece::Content { start, end: here };
        } else if input[here..] == [b'\r'] {
            return Piece::More;
        } else {
            *line_start = false;
            return Piece::Poison(content_fault(input[here]), here + 1);
        }
    }
}

fn content_fault(byte: u8) -> Fault {
    match byte {
        b'\r' => Fault::BodyBareCr,
        b'\n' => Fault::BodyBareLf,
        _ => Fault::BodyNul,
    }
}

/// Looks through octets of a BDAT chunk. `after_cr` says whether the octet before them was a CR, and is kept for the
/// next call: a chunk may end between CR and LF.
pub(super) fn check_chunk(octets: &[u8], after_cr: &mut bool) -> Result<(), Fault> {
    let mut rest = octets;
    if *after_cr && !rest.is_empty() {
        rest = rest.strip_prefix(b"\n").ok_or(Fault::BodyBareCr)?;
        *after_cr = false;
    }
    while let Some(found) = memchr::memchr3(b'\r', b'\n', 0, rest) {
        match (rest[found], rest.get(found + 1)) {
            (b'\r', Some(b'\n')) => rest = &rest[found + 2..],
            (b'\r', None) => {
                *after_cr = true;
                return Ok(());
            }
            (byte, _) => return Err(content_fault(byte)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content, first fault, and what is left behind the end; `None` when the end never came.
    fn read(input: &[u8], step: usize) -> Option<(Vec<u8>, Option<Fault>, Vec<u8>)> {
        let (mut content, mut fault) = (Vec::new(), None);
        let (mut line_start, mut read, mut known) = (true, 0, 0);
        while known < input.len() {
            known = (known + step).min(input.len());
            loop {
                match read_data(&input[read..known], &mut line_start) {
                    Piece::Content { start, end } => {
                        assert!(end > 0 && start < end);
                        content.extend_from_slice(&input[read + start..read + end]);
                        read += end;
                    }
                    Piece::Poison(found, taken) => {
                        fault = fault.or(Some(found));
                        read += taken;
                    }
                    Piece::End(taken) => {
                        return Some((content, fault, input[read + taken..].to_vec()));
                    }
                    Piece::More => break,
                }
            }
        }
        None
    }

    fn check(input: &[u8], expected: Option<(&[u8], Option<Fault>, &[u8])>) {
        for step in 1..=input.len() {
            let got = read(input, step);
            let got = got.as_ref().map(|(c, f, r)| (c.as_slice(), *f, r.as_slice()));
            match (got, expected) {
                // What was read before a fault is thrown away: only the fault and the end count.
                (Some((_, Some(f), rest)), Some((_, Some(fault), behind))) => {
                    assert_eq!((f, rest), (fault, behind), "{input:?} step {step}");
                }
                _ => assert_eq!(got, expected, "{input:?} step {step}"),
            }
        }
    }

    #[test]
    fn data_ends_at_crlf_dot_crlf_only() {
        let cr = Some(Fault::BodyBareCr);
        let lf = Some(Fault::BodyBareLf);
        check(b".\r\n", Some((b"", None, b"")));
        check(b"a\r\n.\r\nQUIT\r\n", Some((b"a\r\n", None, b"QUIT\r\n")));
        check(b"..\r\n.a\r\n...\r\n.\r\n", Some((b".\r\na\r\n..\r\n", None, b"")));
        check(b"\r\n.\r\n", Some((b"\r\n", None, b"")));
        check(b"a", None);
        check(b"a\r\n.", None);
        check(b"a\n.\nMAIL\r\n.\r\n", Some((b"", lf, b"")));
        check(b"a\r.\rMAIL\r\n.\r\n", Some((b"", cr, b"")));
        check(b"a\n.\r\nMAIL\r\n.\r\n", Some((b"", lf, b"")));
        check(b"a\r\n.\nMAIL\r\n.\r\n", Some((b"", lf, b"")));
        check(b"a\r\n.\rMAIL\r\n.\r\n", Some((b"", cr, b"")));
        check(b"a\r.\r\nMAIL\r\n.\r\n", Some((b"", cr, b"")));
        check(b"a\r\n.\r\r\nMAIL\r\n.\r\n", Some((b"", cr, b"")));
        check(b"a\r\r\n.\r\nMAIL\r\n", Some((b"", cr, b"MAIL\r\n")));
        check(b"a\r\n\0.\r\nMAIL\r\n.\r\n", Some((b"", Some(Fault::BodyNul), b"")));
        check(b"a\r\n.\0\r\nMAIL\r\n.\r\n", Some((b"", Some(Fault::BodyNul), b"")));
        check(b"\n.\r\n.\r\n", Some((b"", lf, b"")));
    }

    #[test]
    fn chunks_cut_anywhere() {
        let check = |octets: &[u8], expected: Result<bool, Fault>| {
            for step in 1..=octets.len() {
                let mut after_cr = false;
                let mut pieces = octets.chunks(step);
                let got = pieces.try_for_each(|p| check_chunk(p, &mut after_cr));
                assert_eq!(got.map(|()| after_cr), expected, "{octets:?} step {step}");
            }
        };
        check(b"a\r\nb\r\n", Ok(false));
        check(b"a\r\n\r", Ok(true));
        check(b"a\rb", Err(Fault::BodyBareCr));
        check(b"a\r\r\n", Err(Fault::BodyBareCr));
        check(b"a\n", Err(Fault::BodyBareLf));
        check(b"a\0", Err(Fault::BodyNul));
    }
}
