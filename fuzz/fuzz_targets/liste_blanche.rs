//! What runs on a liste blanche before its signature is known to be good.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| palombe_trust::fuzz::liste_blanche(bytes));
