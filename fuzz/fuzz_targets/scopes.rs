//! The property `scopes`: grants, what they cover, and what a catalog makes of them.

#![no_main]

#[path = "../../apikey-core/tests/properties/scopes.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
