//! Checks that every test and heading that COVERAGE.md names exists.

use std::{fs, path::Path};

const PAGE: &str = include_str!("../../../COVERAGE.md");

#[test]
fn given_the_page_of_coverage_when_each_test_and_heading_it_names_is_looked_for_then_it_is_there() {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let read = |file: &str| fs::read_to_string(examples.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut named = 0;
    for link in PAGE.split("](").zip(PAGE.split("](").skip(1)) {
        let target = link.1.split(')').next().unwrap();
        if let Some((readme, anchor)) = target.split_once("README.md#") {
            let text = read(&format!("{readme}README.md"));
            let mut headings = text.lines().filter_map(|line| line.strip_prefix("## "));
            assert!(headings.any(|heading| heading.to_lowercase().replace(' ', "-") == anchor), "{target}");
        } else if target.ends_with(".rs") {
            let test = link.0.rsplit('[').next().unwrap().trim_matches('`');
            let is_there = read(target).contains(&format!("fn {test}("));
            assert!(test.starts_with("given_") && is_there, "{target}: {test}");
        } else {
            continue;
        }
        named += 1;
    }
    assert!(named > 30, "{named}");
}
