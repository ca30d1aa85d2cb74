//! The one-line form of a key, `id digest scope…`, for environment variables.

use std::env::VarError;

use super::{Entry, Problem, StaticKeys, StaticKeysError, claims, parse_digest, parse_id};
use crate::{scope::ScopeSet, source::resolver::Resolution};

impl StaticKeys {
    /// Reads keys from the environment variable `name`, in the form of [`parse`](StaticKeys::parse).
    ///
    /// # Errors
    ///
    /// Returns an error if the variable is not set, or as [`parse`](StaticKeys::parse).
    pub fn from_env(name: &str) -> Result<Self, StaticKeysError> {
        match std::env::var(name) {
            Ok(text) => StaticKeys::parse(&text),
            Err(VarError::NotPresent) => Err(StaticKeysError::of(Problem::NotSet(name.to_owned()))),
            Err(VarError::NotUnicode(_)) => Err(StaticKeysError::of(Problem::NotUnicode(name.to_owned()))),
        }
    }

    /// Parses lines of `id digest scope…`. `;` separates entries as a line break does.
    ///
    /// The id is also the key's name. The list may end with one `;` or line break.
    ///
    /// # Errors
    ///
    /// Returns an error that names the line if an entry is empty, malformed or repeated, or if the list is empty.
    pub fn parse(text: &str) -> Result<Self, StaticKeysError> {
        let body = text.trim_end_matches(['\r', '\n', ' ']);
        let body = body.strip_suffix(';').unwrap_or(body);
        if body.trim().is_empty() {
            return Err(StaticKeysError::of(Problem::Empty));
        }
        let lines = body.split('\n').enumerate().map(|(n, line)| (n + 1, line.trim_end_matches('\r')));
        let entries = lines.flat_map(|(line, text)| {
            // A line may also end with the separator.
            let text = text.trim_end().strip_suffix(';').unwrap_or(text);
            text.split(';').map(move |entry| parse_entry(line, entry).map_err(|problem| problem.at(line)))
        });
        StaticKeys::from_entries(entries.collect::<Result<_, _>>()?)
    }
}

fn parse_entry(line: usize, entry: &str) -> Result<Entry, Problem> {
    let mut words = entry.split_whitespace();
    let id = parse_id(words.next().ok_or(Problem::EmptyEntry)?)?;
    let digest = parse_digest(words.next().ok_or(Problem::Missing("the digest"))?)?;
    let name = id.as_str().to_owned();
    let claims = claims(id, ScopeSet::from_grants(words))?.with_name(name);
    Ok(Entry { line, digest: digest.clone(), resolution: Resolution::new(digest, claims) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> String {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
    }

    #[test]
    fn given_entries_by_line_or_semicolon_when_parsed_then_all_are_there() {
        let (a, b) = (digest(1), digest(2));
        for text in [
            format!("ci {a} files:read files:write\nops {b} *"),
            format!("ci {a} files:read;ops {b} *"),
            format!("ci {a};\r\nops {b};\r\n"),
        ] {
            let keys = StaticKeys::parse(&text).unwrap();
            assert_eq!(keys.len(), 2, "{text:?}");
        }
    }

    #[test]
    fn given_a_wrong_entry_when_parsed_then_the_error_names_line_and_reason() {
        let (a, b) = (digest(1), digest(2));
        let cases = [
            (String::new(), "no key is listed"),
            (" \n ".into(), "no key is listed"),
            (format!("ci {a}\n\nops {b}"), "line 2: the entry is empty"),
            (format!("ci {a};;ops {b}"), "line 1: the entry is empty"),
            (format!("ci {a}\nops"), "line 2: the digest is missing"),
            (format!("ci {a}\nci {b}"), "line 2: the id ci is listed twice"),
            (format!("ci {a}\nops {a}"), "line 2: the digest of ops is listed before, under another id"),
            (format!("c!i {a}"), "line 1: id: an id has 1 to 64"),
            ("ci sha256:abc".into(), "line 1: digest: "),
            (format!("ci {a} files:re*ad"), "line 1: scopes: "),
        ];
        for (text, expected) in cases {
            let error = StaticKeys::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn given_a_variable_that_is_not_set_when_read_then_it_is_named() {
        let error = StaticKeys::from_env("APIKEY_TEST_SURELY_NOT_SET").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable APIKEY_TEST_SURELY_NOT_SET is not set");
        assert_eq!(error.line(), None);
    }
}
