//! Distinguished names as the liste blanche writes them: one that is read reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| palombe_trust::fuzz::dn(text));
