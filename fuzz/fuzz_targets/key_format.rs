//! The property `key_format`: declared formats, the keys that they issue, and any token.

#![no_main]

#[path = "../../apikey-core/tests/properties/key_format.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
