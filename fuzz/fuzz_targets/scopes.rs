//! The property `scopes`: grants, the scopes that they cover, and their expansion by a catalog.

#![no_main]

#[path = "../../apikey-core/tests/properties/scopes.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
