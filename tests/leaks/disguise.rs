//! The encodings of a key, and the search for them.

use apikey_core::KeyDigest;

/// The key and its encodings. Base64 is cut to the part that doesn't depend on neighbouring bytes.
fn disguises(key: &str) -> Vec<String> {
    let each = |write: fn(u8) -> String| key.bytes().map(write).collect::<String>();
    let mut disguises = vec![
        key.to_owned(),
        key.chars().rev().collect(),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") }),
        each(|byte| format!("{byte}, ")).trim_end_matches(", ").to_owned(),
    ];
    // The random part alone counts as well.
    disguises.push(key[key.rfind('_').map_or(0, |at| at + 1)..].to_owned());
    for url_safe in [false, true] {
        disguises.extend((0..3).map(|shift| base64(&key.as_bytes()[shift..], url_safe)));
    }
    disguises
}

/// Returns the characters that complete groups of three bytes encode to.
fn base64(bytes: &[u8], url_safe: bool) -> String {
    let last = if url_safe { b"-_" } else { b"+/" };
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
    let group = |group: &[u8]| {
        let bits = group.iter().fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(alphabet[bits >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

/// Searches for the key in every encoding.
pub(crate) fn assert_absent(text: &str, key: &str, place: &str) {
    for disguise in disguises(key) {
        assert!(!text.contains(&disguise), "{disguise} is in {place}");
    }
}

/// Searches for the digest, or a significant part of it, as decimal and hexadecimal numbers.
pub(crate) fn assert_absent_digest(text: &str, digest: &KeyDigest, place: &str) {
    let hex: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", &digest.as_bytes()[..8]);
    for part in [&hex[..], &hex[..16], &hex[48..], list.trim_matches(['[', ']'])] {
        assert!(!text.to_lowercase().contains(part), "{part} is in {place}");
    }
}

#[test]
fn given_a_disguised_key_when_looked_for_then_it_is_found() {
    assert_eq!(base64(b"foobar", false), "Zm9vYmFy");
    let key = "my_app_live_0123456789abcdefghij";
    for text in [
        format!("GET /?k={key} HTTP/1.1"),
        key.chars().rev().collect(),
        format!("{:?}", key.as_bytes()),
        // Preceding bytes shift the groups.
        base64(key.as_bytes(), false),
        base64(format!("Bearer {key}").as_bytes(), true),
        base64(format!("reader:{key}!").as_bytes(), false),
    ] {
        assert!(disguises(key).iter().any(|disguise| text.contains(disguise)), "{text}");
    }
}
