//! Lists of keys, in both forms. The whole input is the list.

use apikey_core::{Checksum, KeyFormat, KeyHasher, NewStaticKey, StaticKeys, StaticKeysError};

/// An entry that no input contains by chance.
const OTHER_ID: &str = "surely-not-listed";
const OTHER_DIGEST: &str = "hmac-sha256:v4294967295:5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

/// Panics if a documented property of lists fails for `input`.
pub(crate) fn holds(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if !text.contains(OTHER_ID) && !text.contains(OTHER_DIGEST) {
        lines_hold(text);
        tables_hold(text);
    }
}

fn lines_hold(text: &str) {
    let before = format!("{OTHER_ID} {OTHER_DIGEST}\n{text}");
    match StaticKeys::parse(text) {
        Ok(keys) => {
            let entries = entries(text);
            assert_eq!((keys.len(), keys.is_empty()), (entries.len(), false));
            assert_eq!(StaticKeys::parse(&before).unwrap().len(), keys.len() + 1);
            for separator in ["\n", ";", ";\r\n"] {
                let rendered: Vec<_> = entries.iter().map(|words| words.join(" ")).collect();
                assert_eq!(StaticKeys::parse(&rendered.join(separator)).unwrap().len(), keys.len());
            }
            let tables: String = entries.iter().map(|words| table(words)).collect();
            assert_eq!(StaticKeys::from_toml(&tables).unwrap().len(), keys.len());
            let [id, _, scopes @ ..] = &entries[0][..] else { unreachable!("an entry has an id and a digest") };
            renewed(id, scopes);
        }
        Err(error) => {
            check_line(&error, text);
            match error.line() {
                Some(line) => assert_eq!(StaticKeys::parse(&before).unwrap_err().line(), Some(line + 1)),
                None => assert!(text.chars().all(|c| c.is_whitespace() || c == ';'), "{error}"),
            }
        }
    }
}

/// Returns the words of each entry. Entries end with a line or a semicolon, and those without words are ignored.
fn entries(text: &str) -> Vec<Vec<&str>> {
    let entries = text.split(['\n', ';']).map(|entry| entry.split_whitespace().collect::<Vec<_>>());
    entries.filter(|words| !words.is_empty()).collect()
}

fn table(words: &[&str]) -> String {
    let quoted: Vec<_> = words[2..].iter().map(|scope| format!("{scope:?}")).collect();
    format!("[[key]]\nid = {:?}\ndigest = {:?}\nscopes = [{}]\n", words[0], words[1], quoted.join(","))
}

/// Renders a new key with the same id and scopes, in a form that both parsers accept.
fn renewed(id: &str, scopes: &[&str]) {
    let format = KeyFormat::builder("k").checksum(Checksum::None).build().unwrap();
    let key = NewStaticKey::generate(&format, &KeyHasher::sha256(), id, scopes).unwrap();
    assert_eq!(StaticKeys::parse(&key.env_entry()).unwrap().len(), 1);
    assert_eq!(StaticKeys::from_toml(&key.toml_entry()).unwrap().len(), 1);
}

fn tables_hold(text: &str) {
    // A byte order mark is skipped only at the beginning.
    let before = format!("# a comment\n{text}");
    let is_shiftable = !text.starts_with('\u{feff}');
    match StaticKeys::from_toml(text) {
        Ok(keys) => {
            assert!(!keys.is_empty());
            if is_shiftable {
                assert_eq!(StaticKeys::from_toml(&before).unwrap().len(), keys.len());
            }
            let after = format!("{text}\n{}", table(&[OTHER_ID, OTHER_DIGEST]));
            match StaticKeys::from_toml(&after) {
                Ok(more) => assert_eq!(more.len(), keys.len() + 1),
                // Impossible after an inline array.
                Err(error) => assert!(text.contains(['=', '[']) && text.contains("key"), "{error}"),
            }
        }
        Err(error) => {
            check_line(&error, text);
            if is_shiftable {
                let shifted = StaticKeys::from_toml(&before).unwrap_err();
                assert_eq!(shifted.line(), error.line().map(|line| line + 1), "{error} / {shifted}");
            }
            if error.line().is_none() {
                assert_eq!(error.to_string(), "no key is listed");
            }
        }
    }
}

fn check_line(error: &StaticKeysError, text: &str) {
    if let Some(line) = error.line() {
        assert!((1..=text.split('\n').count()).contains(&line), "{error}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")));
    }
}
