//! The property `static_keys`: lists of keys, as lines and as TOML.

#![no_main]

#[path = "../../apikey-core/tests/properties/static_keys.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
