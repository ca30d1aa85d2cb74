//! Properties for every input: headers, key formats, scopes and lists of keys.
//!
//! Each module implements the documented rules a second time, in another way, and compares. Its input is text, so that
//! the same functions serve these tests, with inputs from patterns and the fuzzers' corpus, and the fuzzers in `fuzz/`.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod header;
mod key_format;
mod scopes;
mod static_keys;

use std::{fs, path::Path};

use proptest::prelude::*;

/// Passes each file of a fuzzer's corpus to `holds`.
fn replay(target: &str, holds: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let inputs: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(!inputs.is_empty());
    inputs.iter().for_each(|input| holds(input));
}

#[test]
fn given_the_corpus_when_replayed_then_every_property_holds() {
    replay("header", header::holds);
    replay("key_format", key_format::holds);
    replay("scopes", scopes::holds);
    replay("static_keys", static_keys::holds);
}

fn header_line() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        3 => "(npm|tsk|acme)_(live_|test_)?[a-z0-9]{20,36}",
        5 => prop::sample::select(header::KEYS.map(|(key, _)| key.to_owned()).to_vec()),
        2 => "[A-Za-z0-9._~+/-]{0,14}={0,2}",
        1 => "[ -~]{0,20}",
    ];
    (prop_oneof!["a([Bb][Ee][Aa][Rr][Ee][Rr]) {0,3}", "a(Basic|Bear|bearer\t|Bearer,) ?", "[01a] ?"], token, " {0,2}")
        .prop_map(|(scheme, token, rest)| format!("{scheme}{token}{rest}"))
}

fn format_key() -> impl Strategy<Value = String> {
    let declaration =
        "([a-z]{1,4}|[a-z_.-]{1,3})\n(|live|live,test|live,live-eu|a-b,a)\n[_.-][6uh4][nck]([BL][0-9]{2,3})?";
    let token = prop_oneof!["[a-z]{1,4}[_.-](live|test|live-eu)?[_.-]?[0-9A-Za-z+/_-]{20,50}", "\\PC{0,40}"];
    (declaration, token).prop_map(|(declaration, token)| format!("{declaration}\n{token}"))
}

fn grants_and_catalog() -> impl Strategy<Value = String> {
    let grants = || "((\\*|[ab](:[ab]){0,2}(:\\*)?) ){0,5}";
    let entry = "[ab](:[ab]){0,2}[=>]([ab](:[ab]){0,1} ){1,3}\n";
    (
        grants(),
        grants(),
        prop_oneof![9 => "([ab](:[ab]){0,2} ){0,4}", 1 => "\\PC{0,9}"],
        prop::collection::vec(entry, 0..5),
    )
        .prop_map(|(one, other, names, entries)| format!("{one}\n{other}\n{names}\n{}", entries.concat()))
}

fn list_of_keys() -> impl Strategy<Value = String> {
    let entry = ("[a-d]{0,2}", 0..4_u8, "( [ab](:\\*)?){0,2}", "(;|\n|\r\n|;\n| ;| \n)?");
    let entry = entry.prop_map(|(id, digest, scopes, end)| {
        format!("{id} sha256:{}{scopes}{end}", format!("{digest:02x}").repeat(32))
    });
    let table =
        ("[a-d]{1,2}", 0..4_u8, "(scopes = \\[\"a:\\*\"\\]\n|disabled = (true|1)\n|name = \"\\PC{0,5}\"\n|\n){0,2}");
    let table = table.prop_map(|(id, digest, fields)| {
        format!("[[key]]\nid = \"{id}\"\ndigest = \"sha256:{}\"\n{fields}", format!("{digest:02x}").repeat(32))
    });
    prop_oneof![
        4 => prop::collection::vec(entry, 0..5).prop_map(|entries| entries.concat()),
        4 => prop::collection::vec(table, 0..4).prop_map(|tables| tables.concat()),
        1 => "[\\PC\n;]{0,30}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn given_any_header_lines_when_authenticated_then_the_rules_decide(
        settings in "[ople]{0,3}[xy]?",
        lines in prop::collection::vec(header_line(), 0..3),
    ) {
        header::holds(format!("{settings}\n{}", lines.join("\n")).as_bytes());
    }

    #[test]
    fn given_any_declaration_and_token_when_built_and_checked_then_shape_and_checksum_decide(input in format_key()) {
        key_format::holds(input.as_bytes());
    }

    #[test]
    fn given_any_grants_and_catalog_when_asked_then_coverage_keeps_its_laws(input in grants_and_catalog()) {
        scopes::holds(input.as_bytes());
    }

    #[test]
    fn given_any_list_of_keys_when_read_then_it_is_complete_or_the_line_is_named(input in list_of_keys()) {
        static_keys::holds(input.as_bytes());
    }
}
