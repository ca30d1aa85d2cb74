//! Checks that every test and heading that COVERAGE.md names exists, and that the services it covers are short.

use std::{fs, path::Path};

const PAGE: &str = include_str!("../../../COVERAGE.md");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn given_the_page_of_coverage_when_each_test_and_heading_it_names_is_looked_for_then_it_is_there() {
    let read = |file: &str| {
        fs::read_to_string(Path::new(EXAMPLES).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
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

#[test]
fn given_the_templates_when_their_code_is_counted_then_each_is_short_enough_to_read_at_once() {
    for template in ["authority-api", "platform-api", "registry-api", "storage-api", "workspace-api"] {
        let files = fs::read_dir(Path::new(EXAMPLES).join(template).join("src")).unwrap();
        let files: Vec<_> = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let lines = files.iter().flat_map(|file| file.lines()).filter(is_code).count();
        assert!((1..=4).contains(&files.len()), "{template}: {} files", files.len());
        assert!((100..=500).contains(&lines), "{template}: {lines} lines");
    }
}
