//! Any octets as METADATA.XML; what is read of it, written and read again, is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use palombe_clinical_docs::{Limits, read_metadata, write_metadata};

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = read_metadata(bytes, &Limits::default()) else { return };
    let once = write_metadata(&read);
    let read = read_metadata(&once, &Limits::default()).expect("what is written is read");
    // Some senders escape twice, which is undone once at each reading: a second turn may still change a text.
    let twice = write_metadata(&read);
    assert!(read_metadata(&twice, &Limits::default()).is_ok());
});
