//! Both directions of a compressed session (RFC 4978, RFC 1951), in bounded memory.

use crate::error::Gone;
use crate::limits::{FLUSH_BYTES, INFLATE_RATIO_MAX, INFLATED_BYTES_FREE, READ_BYTES};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::sync::OwnedSemaphorePermit;

/// RFC 4978 4: the cheapest levels do well on IMAP.
const LEVEL: u32 = 3;

pub(crate) struct Packing {
    deflate: Compress,
    inflate: Decompress,
    /// Octets from the client, not yet unpacked: `raw[from..to]`.
    raw: Vec<u8>,
    from: usize,
    to: usize,
    _permit: OwnedSemaphorePermit,
}

impl Packing {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Packing {
            deflate: Compress::new(Compression::new(LEVEL), false),
            inflate: Decompress::new(false),
            raw: vec![0; READ_BYTES],
            from: 0,
            to: 0,
            _permit: permit,
        }
    }

    /// Fills `buffer` with what the client said; 0 when more has to be read first.
    pub(crate) fn unpack(&mut self, buffer: &mut [u8]) -> Result<usize, Gone> {
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let input = &self.raw[self.from..self.to];
            let status = self.inflate.decompress(input, buffer, FlushDecompress::Sync);
            let consumed = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(0);
            let unpacked = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(0);
            self.from += consumed;
            if self.is_bomb() {
                return Err(Gone::Compression);
            }
            match status {
                Ok(_) if unpacked > 0 => return Ok(unpacked),
                // The client may end its stream only by going away.
                Ok(Status::StreamEnd) | Err(_) => return Err(Gone::Compression),
                Ok(_) if consumed == 0 || self.from == self.to => return Ok(0),
                Ok(_) => {}
            }
        }
    }

    fn is_bomb(&self) -> bool {
        let out = self.inflate.total_out();
        out > INFLATED_BYTES_FREE && out / INFLATE_RATIO_MAX > self.inflate.total_in()
    }

    /// Where octets from the client go once everything was unpacked.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.to == self.raw.len() {
            self.raw.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        &mut self.raw[self.to..]
    }

    pub(crate) fn filled(&mut self, octets: usize) {
        self.to += octets;
    }

    /// Everything that the client needs to read these octets.
    pub(crate) fn pack(&mut self, octets: &[u8]) -> Result<Vec<u8>, Gone> {
        let mut packed = Vec::with_capacity(octets.len() / 2 + 64);
        let before = self.deflate.total_in();
        loop {
            let done = usize::try_from(self.deflate.total_in() - before).unwrap_or(octets.len());
            let rest = &octets[done.min(octets.len())..];
            packed.reserve(FLUSH_BYTES / 8);
            self.deflate
                .compress_vec(rest, &mut packed, FlushCompress::Sync)
                .map_err(|_| Gone::Compression)?;
            let all_in = self.deflate.total_in() - before == octets.len() as u64;
            // Room left means that the flush came to its end.
            if all_in && packed.len() < packed.capacity() {
                return Ok(packed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn packing() -> Packing {
        Packing::new(Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap())
    }

    fn feed(packing: &mut Packing, mut octets: &[u8]) -> Result<Vec<u8>, Gone> {
        let (mut said, mut buffer) = (Vec::new(), vec![0; 1000]);
        loop {
            let unpacked = packing.unpack(&mut buffer)?;
            said.extend_from_slice(&buffer[..unpacked]);
            if unpacked == 0 {
                if octets.is_empty() {
                    return Ok(said);
                }
                let room = packing.room();
                let length = room.len().min(octets.len());
                room[..length].copy_from_slice(&octets[..length]);
                packing.filled(length);
                octets = &octets[length..];
            }
        }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let (mut here, mut there) = (packing(), packing());
        let mut noise = Vec::new();
        let mut state = 7u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push((state >> 24) as u8);
        }
        for text in [&b"* OK\r\n"[..], &noise, &[b'x'; 300_000], b"", b"a"] {
            let packed = here.pack(text).unwrap();
            assert!(feed(&mut there, &packed).unwrap() == text, "{} octets", text.len());
        }
    }

    #[test]
    fn damage_and_bombs_end_the_session() {
        assert_eq!(feed(&mut packing(), &[0xff; 100]).unwrap_err(), Gone::Compression);
        let mut deflate = Compress::new(Compression::best(), false);
        let mut bomb = Vec::with_capacity(4 * 1024 * 1024);
        let zeros = vec![0; 256 * 1024 * 1024];
        deflate.compress_vec(&zeros, &mut bomb, FlushCompress::Sync).unwrap();
        let mut packing = packing();
        assert_eq!(feed(&mut packing, &bomb).unwrap_err(), Gone::Compression);
        assert!(packing.inflate.total_out() <= INFLATED_BYTES_FREE + 1000);
    }
}
