//! MLLP framing: `<VT> message <FS><CR>`, over a stream cut anywhere.

use crate::error::{Bound, DocError, Hl7Fault};
use crate::limits::Limits;

const VT: u8 = 0x0B;
const FS: u8 = 0x1C;
const CR: u8 = b'\r';

/// A framed message.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(VT);
    out.extend_from_slice(message);
    out.extend_from_slice(&[FS, CR]);
    out
}

/// Takes frames out of the octets that arrive.
#[derive(Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Octets of the buffer that were handed over.
    taken: usize,
    /// Octets of the buffer already searched for the end.
    searched: usize,
}

impl std::fmt::Debug for Deframer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deframer({} octets)", self.buffer.len() - self.taken)
    }
}

impl Deframer {
    /// Nothing received yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds octets as they were received.
    ///
    /// # Errors
    /// [`Bound::Hl7Bytes`] when what is under way is too long: the connection is to be closed.
    pub fn push(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), DocError> {
        // Moved once per reception, not once per message.
        self.buffer.drain(..self.taken);
        self.searched = self.searched.saturating_sub(self.taken);
        self.taken = 0;
        if self.buffer.len() + bytes.len() > limits.hl7_bytes_max + 3 {
            return Err(DocError::over(Bound::Hl7Bytes));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole message, or `None` until more octets come.
    ///
    /// # Errors
    /// [`Hl7Fault::Frame`] when something stands between frames.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, DocError> {
        let frame = || DocError::hl7(Hl7Fault::Frame);
        // Some senders add line ends between frames.
        while matches!(self.buffer.get(self.taken), Some(b'\r' | b'\n')) {
            self.taken += 1;
        }
        match self.buffer.get(self.taken) {
            None => return Ok(None),
            Some(&VT) => {}
            Some(_) => return Err(frame()),
        }
        let start = self.taken + 1;
        let from = self.searched.max(start);
        let Some(end) = memchr::memchr(FS, self.buffer.get(from..).unwrap_or_default()) else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let end = from + end;
        match self.buffer.get(end + 1) {
            None => {
                self.searched = end;
                Ok(None)
            }
            Some(&CR) => {
                self.taken = end + 2;
                self.searched = self.taken;
                Ok(Some(self.buffer[start..end].to_vec()))
            }
            Some(_) => Err(frame()),
        }
    }

    /// True when a message has begun and not ended.
    pub fn is_inside(&self) -> bool {
        self.taken < self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refused() {
        let mut deframer = Deframer::new();
        deframer.push(b"MSH", &Limits::default()).unwrap();
        assert_eq!(deframer.next_message(), Err(DocError::hl7(Hl7Fault::Frame)));
        let mut deframer = Deframer::new();
        deframer.push(b"\x0Ba\x1Cb", &Limits::default()).unwrap();
        assert_eq!(deframer.next_message(), Err(DocError::hl7(Hl7Fault::Frame)));
        let small = Limits { hl7_bytes_max: 4, ..Limits::default() };
        assert!(Deframer::new().push(b"12345678", &small).is_err());
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            messages in proptest::collection::vec("[a-z|\r]{0,20}", 0..5),
            cuts in proptest::collection::vec(0..200usize, 0..8),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| frame(m.as_bytes())).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let (mut deframer, mut found) = (Deframer::new(), Vec::new());
            for pair in cuts.windows(2) {
                deframer.push(&stream[pair[0]..pair[1]], &Limits::default()).unwrap();
                while let Some(message) = deframer.next_message().unwrap() {
                    found.push(String::from_utf8(message).unwrap());
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert!(!deframer.is_inside());
        }
    }
}
