//! What keys look like.

use std::collections::HashSet;

use axum_apikey::{Alphabet, Checksum, KeyFormat};

use crate::{
    contract::{http::Request, service::Folder},
    keys::add_in,
    stand::Stand,
};

const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[test]
fn given_many_keys_when_issued_then_each_has_the_prefix_and_32_characters() {
    let stand = Stand::new();
    stand.set_plan("acme", "team");
    let dana = stand.dana();
    let keys: HashSet<_> = (0..20).map(|n| dana.issue(&format!("key {n}")).secret).collect();
    assert_eq!(keys.len(), 20);
    for key in keys {
        let rest = key.strip_prefix("plt_live_").unwrap_or_else(|| panic!("{key}"));
        assert!(rest.len() == 32 && rest.chars().all(|c| BASE62.contains(c)), "{key}");
    }
}

#[test]
fn given_a_key_when_any_one_character_is_changed_then_the_checksum_tells_and_it_is_refused() {
    let format = KeyFormat::builder("plt").environment("live").length(32).checksum(Checksum::Crc32).build().unwrap();
    let stand = Stand::new();
    let key = stand.dana().issue("one").secret;
    assert!(format.check(key.as_bytes()).is_ok(), "{key}");
    for place in "plt_live_".len()..key.len() {
        let mut changed = key.clone().into_bytes();
        changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
        assert!(format.check(&changed).is_err(), "{place}");
    }
    let last = if key.ends_with('x') { "y" } else { "x" };
    assert_eq!(stand.status(&format!("{}{last}", &key[..key.len() - 1])), 401);
    assert_eq!(stand.status(&key), 200);
}

#[test]
fn given_another_prefix_when_configured_then_keys_have_it_and_the_old_ones_are_refused() {
    let folder = Folder::new();
    let old = add_in(&folder, &[], "old", &[]);
    let settings = [("ADDR", "127.0.0.1:0"), ("KEY_PREFIX", "birch")];
    let key = add_in(&folder, &settings[1..], "new", &[]);
    assert!(key.strip_prefix("birch_live_").is_some_and(|rest| rest.len() == 32), "{key}");
    let service = folder.launch_with(&[], &settings).ready();
    let status = |key: &str| service.send(&Request::new("GET", "/v1/account").bearer(key)).status;
    assert_eq!([status(&key), status(&old)], [200, 401]);
}

#[test]
fn given_a_prefix_that_can_t_be_when_started_then_the_error_names_the_variable() {
    let folder = Folder::new();
    let (status, out, err) = folder.launch_with(&[], &[("ADDR", "127.0.0.1:0"), ("KEY_PREFIX", "a b")]).end();
    assert_eq!((status.code(), out.len()), (Some(1), 0), "{err:?}");
    assert!(err.iter().any(|line| line.starts_with("Error: KEY_PREFIX")), "{err:?}");
    assert_eq!(folder.names(), [""; 0]);
}

/// The shapes that public descriptions of such services show, and two where a description shows none.
#[test]
fn given_the_shapes_of_five_services_when_configured_then_keys_have_exactly_them() {
    let named = KeyFormat::builder;
    let base64url = format!("{BASE62}-_");
    let shapes = [
        ("three letters and live", named("abc").environment("live"), "abc_live_", 36, BASE62),
        ("four letters, live and 32", named("abcd").environment("live").length(32), "abcd_live_", 32, BASE62),
        ("a prefix alone", named("ab"), "ab_", 36, BASE62),
        (
            "two letters and 43 of base64, all random",
            named("ab").alphabet(Alphabet::Base64Url).length(43).checksum(Checksum::None),
            "ab_",
            43,
            &base64url,
        ),
        ("a longer prefix", named("abcdef").length(40), "abcdef_", 40, BASE62),
    ];
    for (name, format, prefix, length, alphabet) in shapes {
        let format = format.build().unwrap();
        for _ in 0..100 {
            let key = format.generate().unwrap();
            let rest = key.expose_secret().strip_prefix(prefix).unwrap_or_else(|| panic!("{name}"));
            assert!(rest.len() == length && rest.chars().all(|c| alphabet.contains(c)), "{name}: {rest}");
            assert!(format.check(key.expose_secret().as_bytes()).is_ok(), "{name}");
        }
    }
}
