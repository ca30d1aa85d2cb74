//! The format of keys.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::stand::Stand;

#[test]
fn given_many_keys_when_issued_then_each_is_tc_and_43_characters_and_is_read_by_position() {
    let stand = Stand::new();
    let keys: Vec<_> = (0..40).map(|_| stand.issue_role("authorizer")).collect();
    for key in &keys {
        let random = key.secret.strip_prefix("tc_").unwrap();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(random.len() == 43 && random.chars().all(allowed), "{random}");
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32);
        assert_eq!(stand.status(&key.secret, "/revocation-list"), 200);

        let shown = stand.get_key(&format!("/api-keys/{}", key.id));
        let hint = format!("tc_{}…{}", &random[..4], &random[39..]);
        assert_eq!(shown["hint"], hint.as_str());
        assert!(!shown.to_string().contains(random), "{shown}");
    }
    // They include keys that a parser might split in the wrong place.
    assert!(keys.iter().any(|key| key.secret[3..].contains('_')));
}

#[test]
fn given_a_key_when_any_one_character_is_changed_then_it_is_refused() {
    let stand = Stand::new();
    for at in 0..stand.admin.len() {
        let other = if stand.admin.as_bytes()[at] == b'a' { "b" } else { "a" };
        let mut altered = stand.admin.clone();
        altered.replace_range(at..=at, other);
        assert_eq!(stand.status(&altered, "/revocations"), 401, "{altered}");
    }
    assert_eq!(stand.status(&stand.admin, "/revocations"), 200);
}
