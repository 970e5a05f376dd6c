//! Any octets as a message: structure, ranges, stored form, envelope, facts, texts, decoders.
#![no_main]

#[path = "../../crates/message/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use palombe_message::{Limits, Scanner};

fuzz_target!(|message: &[u8]| {
    support::exercise(message);
    let whole = support::scan(message);
    for cut in [1, 7] {
        let mut scanner = Scanner::new(Limits::default());
        message.chunks(cut).for_each(|piece| scanner.push(piece));
        assert_eq!(scanner.finish(), whole, "cut by {cut}");
    }
});
