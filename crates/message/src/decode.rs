//! Streaming transfer decoders for IMAP BINARY: pieces in, pieces out, a few octets of state.

use crate::limits::LINE_BYTES_MAX;
use crate::structure::Encoding;

/// Decoder for one body.
#[derive(Clone, Debug)]
pub enum TransferDecoder {
    /// 7bit, 8bit, binary: nothing to do.
    Identity,
    /// base64
    Base64(Base64Decoder),
    /// quoted-printable
    QuotedPrintable(QuotedPrintableDecoder),
}

impl TransferDecoder {
    /// The decoder of an encoding; `None` when it is unknown (IMAP answers UNKNOWN-CTE, RFC 9051 7.1).
    pub fn new(encoding: &Encoding) -> Option<TransferDecoder> {
        match encoding {
            Encoding::SevenBit | Encoding::EightBit | Encoding::Binary => {
                Some(TransferDecoder::Identity)
            }
            Encoding::Base64 => Some(TransferDecoder::Base64(Base64Decoder::default())),
            Encoding::QuotedPrintable => {
                Some(TransferDecoder::QuotedPrintable(QuotedPrintableDecoder::default()))
            }
            Encoding::Other(_) => None,
        }
    }

    /// Decodes a piece, appending to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self {
            TransferDecoder::Identity => out.extend_from_slice(piece),
            TransferDecoder::Base64(decoder) => decoder.push(piece, out),
            TransferDecoder::QuotedPrintable(decoder) => decoder.push(piece, out),
        }
    }

    /// The end of the body. True when all of it was well formed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            TransferDecoder::Identity => true,
            TransferDecoder::Base64(decoder) => decoder.finish(out),
            TransferDecoder::QuotedPrintable(decoder) => decoder.finish(out),
        }
    }
}

/// RFC 2045 6.8. Octets outside the alphabet are skipped; padding ends a run and another may follow.
#[derive(Clone, Debug, Default)]
pub struct Base64Decoder {
    bits: u32,
    digits: u8,
    padded: bool,
    malformed: bool,
}

const SKIP: u8 = 64;
const PAD: u8 = 65;
const WRONG: u8 = 66;
static BASE64: [u8; 256] = base64_table();

const fn base64_table() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [WRONG; 256];
    let mut at = 0;
    while at < 64 {
        table[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    table[b'=' as usize] = PAD;
    table[b'\r' as usize] = SKIP;
    table[b'\n' as usize] = SKIP;
    table[b' ' as usize] = SKIP;
    table[b'\t' as usize] = SKIP;
    table
}

impl Base64Decoder {
    /// Decodes a piece.
    pub fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() / 4 * 3 + 3);
        while let Some((&octet, rest)) = piece.split_first() {
            if self.digits == 0 {
                let after_quads = decode_quads(piece, out);
                self.padded &= after_quads.len() == piece.len();
                piece = after_quads;
                let Some((&next, after)) = piece.split_first() else { return };
                self.octet(next, out);
                piece = after;
                continue;
            }
            self.octet(octet, out);
            piece = rest;
        }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        match BASE64[usize::from(octet)] {
            SKIP => {}
            PAD => {
                self.malformed |= self.digits < 2 && !self.padded;
                self.flush(out);
                self.padded = true;
            }
            WRONG => self.malformed = true,
            digit => {
                self.padded = false;
                self.bits = self.bits << 6 | u32::from(digit);
                self.digits += 1;
                if self.digits == 4 {
                    out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                    self.bits = 0;
                    self.digits = 0;
                }
            }
        }
    }

    /// The octets that two or three digits hold.
    fn flush(&mut self, out: &mut Vec<u8>) {
        match self.digits {
            2 => out.push((self.bits >> 4) as u8),
            3 => out.extend_from_slice(&[(self.bits >> 10) as u8, (self.bits >> 2) as u8]),
            _ => {}
        }
        self.bits = 0;
        self.digits = 0;
    }

    /// The end of the body. True when all of it was well formed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        self.malformed |= self.digits != 0;
        self.flush(out);
        !self.malformed
    }
}

/// Whole groups of four digits at the front; returns the rest.
fn decode_quads<'p>(piece: &'p [u8], out: &mut Vec<u8>) -> &'p [u8] {
    let mut chunks = piece.chunks_exact(4);
    let mut taken = 0;
    for quad in &mut chunks {
        let digit = |at: usize| u32::from(BASE64[usize::from(quad[at])]);
        let (a, b, c, d) = (digit(0), digit(1), digit(2), digit(3));
        if (a | b | c | d) >= u32::from(SKIP) {
            break;
        }
        let bits = a << 18 | b << 12 | c << 6 | d;
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
        taken += 4;
    }
    &piece[taken..]
}

/// RFC 2045 6.7. White space before a line break is transport padding and goes; a malformed escape stays as written.
#[derive(Clone, Debug, Default)]
pub struct QuotedPrintableDecoder {
    /// White space, or an escape that has begun, not decided yet.
    held: Vec<u8>,
    malformed: bool,
}

impl QuotedPrintableDecoder {
    /// Decodes a piece.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len());
        for &octet in piece {
            self.octet(octet, out);
        }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        let Some(&first) = self.held.first() else {
            match octet {
                b'=' | b' ' | b'\t' | b'\r' => self.held.push(octet),
                _ => out.push(octet),
            }
            return;
        };
        match (first, octet) {
            (b'=', _) => self.escape(octet, out),
            (b'\r', b'\n') => {
                self.held.clear();
                out.extend_from_slice(b"\r\n");
            }
            (b' ' | b'\t', b'\n') => {
                // Padding before a line break: the break alone remains.
                let crlf = self.held.last() == Some(&b'\r');
                self.held.clear();
                out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
            }
            (b' ' | b'\t', b' ' | b'\t' | b'\r')
                if self.held.last() != Some(&b'\r')
                    && self.held.len() < LINE_BYTES_MAX as usize =>
            {
                self.held.push(octet);
            }
            _ => {
                out.append(&mut self.held);
                self.octet(octet, out);
            }
        }
    }

    /// After `=`: two hexadecimal digits, or white space and a line break.
    fn escape(&mut self, octet: u8, out: &mut Vec<u8>) {
        let soft = self.held.len() > 1 && matches!(self.held[1], b' ' | b'\t' | b'\r');
        match (self.held.len(), octet) {
            (_, b'\n') if self.held.len() == 1 || soft => return self.held.clear(),
            (1, b' ' | b'\t' | b'\r') => return self.held.push(octet),
            (held, b' ' | b'\t' | b'\r')
                if soft && self.held.last() != Some(&b'\r') && held < LINE_BYTES_MAX as usize =>
            {
                return self.held.push(octet);
            }
            (1, _) if octet.is_ascii_hexdigit() => return self.held.push(octet),
            (2, _) if !soft && octet.is_ascii_hexdigit() => {
                out.push(hex(self.held[1]) << 4 | hex(octet));
                return self.held.clear();
            }
            _ => {}
        }
        self.malformed = true;
        out.append(&mut self.held);
        self.octet(octet, out);
    }

    /// The end of the body. True when all of it was well formed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        match self.held.first() {
            // A soft line break at the very end.
            Some(b'=') if self.held[1..].iter().all(|octet| b" \t\r".contains(octet)) => {}
            Some(b' ' | b'\t') => {}
            Some(first) => {
                self.malformed |= *first == b'=';
                out.append(&mut self.held);
            }
            None => {}
        }
        self.held.clear();
        !self.malformed
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10) & 15,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: Encoding, input: &str, expected: &str, well_formed: bool) {
        for step in 1..=input.len().max(1) {
            let mut decoder = TransferDecoder::new(&encoding).unwrap();
            let mut out = Vec::new();
            input.as_bytes().chunks(step).for_each(|piece| decoder.push(piece, &mut out));
            let good = decoder.finish(&mut out);
            let shown = String::from_utf8_lossy(&out);
            assert_eq!((&*shown, good), (expected, well_formed), "{input:?} by {step}");
        }
    }

    #[test]
    fn base64() {
        check(Encoding::Base64, "", "", true);
        check(Encoding::Base64, "Ym9uam91cg==", "bonjour", true);
        check(Encoding::Base64, "Ym9u\r\nam91\r\ncg==\r\n", "bonjour", true);
        check(Encoding::Base64, "Ym9uam91cg", "bonjour", false);
        check(Encoding::Base64, "Yg==Yg==", "bb", true);
        check(Encoding::Base64, "Ym9*uam91cg==", "bonjour", false);
        check(Encoding::Base64, "Y", "", false);
        check(Encoding::Base64, "====", "", false);
        check(Encoding::Base64, "Yg==Ym9u=", "bbon", false);
    }

    #[test]
    fn quoted_printable() {
        check(Encoding::QuotedPrintable, "a=C3=A9=\r\nb", "aéb", true);
        check(Encoding::QuotedPrintable, "a=c3=a9= \t\r\nb", "aéb", true);
        check(Encoding::QuotedPrintable, "a \t\r\nb ", "a\r\nb", true);
        check(Encoding::QuotedPrintable, "a  b\rc\n", "a  b\rc\n", true);
        check(Encoding::QuotedPrintable, "a=ZZ=4", "a=ZZ=4", false);
        check(Encoding::QuotedPrintable, "a==41", "a=A", false);
        check(Encoding::QuotedPrintable, "a=", "a", true);
        check(Encoding::QuotedPrintable, "a = b=\nc", "a = bc", false);
    }
}
