//! Keys in a file: created once, never overwritten, and rejected if malformed. Operators add keys by hand.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;

use apikey_core::{KeyFormat, KeyHasher, NewStaticKey};

use crate::contract::service::Folder;

pub(crate) const FILE: &str = "api-keys.toml";

/// Adds a key, as an operator would. A running service doesn't know it yet.
pub(crate) fn add(folder: &Folder, name: &str, scopes: &[&str]) -> String {
    let format = KeyFormat::builder("demo").environment("live").build().unwrap();
    let key = NewStaticKey::generate(&format, &KeyHasher::sha256(), name, scopes).unwrap();
    let file = fs::read_to_string(folder.store()).unwrap_or_default();
    fs::write(folder.store(), file + "\n" + &key.toml_entry()).unwrap();
    key.secret().expose_secret().to_owned()
}

/// Returns the answer to the holder of a key.
pub(crate) fn whoami(name: &str, scope: &str) -> String {
    format!(r#"{{"key_id":"{name}","name":"{name}","environment":"live","scopes":["{scope}"]}}"#)
}

#[test]
fn given_a_first_start_then_the_file_holds_a_digest_and_is_its_owners_alone() {
    let folder = Folder::new();
    let key = folder.start().key.clone().unwrap();
    let text = fs::read_to_string(folder.store()).unwrap();
    assert!(text.contains("id = \"bootstrap\"") && text.contains("digest = \"sha256:"), "{text}");
    assert!(!text.contains(key.strip_prefix("demo_live_").unwrap()), "{text}");

    // Nothing else is left in the folder: no draft, no log.
    assert_eq!(folder.names(), [FILE]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(folder.store()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn given_a_key_file_when_started_again_then_it_is_not_written() {
    let folder = Folder::new();
    folder.start().stop();
    let text = fs::read(folder.store()).unwrap();
    folder.start().stop();
    assert_eq!(fs::read(folder.store()).unwrap(), text);
}

#[test]
fn given_a_malformed_key_file_when_started_then_it_ends_and_names_the_line() {
    let digest = "00".repeat(32);
    let cases = [
        ("[[key]]\nid = \"a\"\ndigest = \"sha256:zz\"\n".to_owned(), "api-keys.toml: line 3: digest: "),
        (format!("[[key]]\nid = \"a\"\ndigest = \"sha256:{digest}\"\nscope = []\n"), "api-keys.toml: line 4: "),
        ("# no key yet\n[[key]\n".to_owned(), "api-keys.toml: line 2: "),
        (String::new(), "api-keys.toml: no key is listed"),
    ];
    for (text, expected) in cases {
        let folder = Folder::new();
        fs::write(folder.store(), &text).unwrap();
        let (status, out, err) = folder.launch("127.0.0.1:0").end();
        assert_eq!(status.code(), Some(1), "{text:?}: {err:?}");
        assert_eq!(out, [""; 0], "{text:?}");
        assert!(err.iter().any(|line| line.starts_with("Error: ") && line.contains(expected)), "{text:?}: {err:?}");
        assert_eq!(fs::read_to_string(folder.store()).unwrap(), text);
    }
}

#[test]
fn given_no_terminal_when_started_first_then_it_ends_and_no_key_is_made_that_nobody_sees() {
    let folder = Folder::new();
    let (status, out, err) = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("KEY_OUTPUT", "terminal")]).end();
    assert_eq!((status.code(), out), (Some(1), Vec::new()), "{err:?}");
    assert!(err.concat().contains("no terminal to show the key on"), "{err:?}");
    assert_eq!(folder.names(), [""; 0]);

    // A later start needs no terminal.
    folder.start().stop();
    let again = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("KEY_OUTPUT", "terminal")]).ready();
    assert_eq!(again.key, None);
}
