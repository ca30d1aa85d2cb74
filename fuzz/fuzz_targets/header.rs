//! The property `header`: a request's header lines, decided by a second implementation of the rules.

#![no_main]

#[path = "../../apikey-core/tests/properties/header.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|input: &[u8]| property::holds(input));
