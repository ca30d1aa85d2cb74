//! The secret itself, and the grammar it must satisfy to travel in an `Authorization` header.
//!
//! [`KeyFormat`](crate::KeyFormat) knows the shape of a service's keys, [`KeyDigest`](crate::KeyDigest) is what stored
//! keys are compared by.

use std::{fmt, str::FromStr};

use thiserror::Error;
use zeroize::Zeroizing;

/// An API key in the clear, as its holder sends it and as it is shown once when it is issued.
///
/// ```
/// use apikey_core::PlaintextKey;
///
/// let key: PlaintextKey = "tork_live_6dNrQ3vLq0bT".parse()?;
/// assert_eq!(format!("{key:?}"), "PlaintextKey([redacted])");
/// assert_eq!(key.expose_secret(), "tork_live_6dNrQ3vLq0bT");
/// # Ok::<(), apikey_core::NotToken68>(())
/// ```
///
/// The text is a *token68* (RFC 9110 §11.2): letters, digits and `-._~+/`, at least one of them,
/// then any number of `=`. That is the one thing a `Bearer` credential can carry.
///
/// # Errors
///
/// `TryFrom<String>` and `FromStr` fail with [`NotToken68`] for any other text.
///
/// # Security
///
/// The memory is overwritten on drop, also when `TryFrom<String>` refuses the text it was given.
/// `FromStr` copies; the text it borrowed stays its owner's to clear. The type can't be cloned,
/// compared, displayed or serialized, so a secret leaves it through
/// [`expose_secret`](Self::expose_secret) alone:
///
/// ```compile_fail,E0277
/// fn cloneable<T: Clone>() {}
/// cloneable::<apikey_core::PlaintextKey>();
/// ```
/// ```compile_fail,E0277
/// fn comparable<T: PartialEq>() {}
/// comparable::<apikey_core::PlaintextKey>();
/// ```
/// ```compile_fail,E0277
/// fn displayable<T: std::fmt::Display>() {}
/// displayable::<apikey_core::PlaintextKey>();
/// ```
pub struct PlaintextKey(Zeroizing<String>);

impl PlaintextKey {
    /// Returns the secret: to send it, to show it to its owner once, or to hash it.
    ///
    /// ```
    /// # let key: apikey_core::PlaintextKey = "tsk_test_0Zb".parse()?;
    /// let header = format!("Bearer {}", key.expose_secret());
    /// # assert_eq!(header, "Bearer tsk_test_0Zb");
    /// # Ok::<(), apikey_core::NotToken68>(())
    /// ```
    ///
    /// # Security
    ///
    /// This is the only way to read it. Review every call: copies of the text must be cleared.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Wraps text whose characters are token68 by construction.
    pub(crate) fn from_token68(text: Zeroizing<String>) -> Self {
        debug_assert!(is_token68(text.as_bytes()));
        Self(text)
    }
}

impl TryFrom<String> for PlaintextKey {
    type Error = NotToken68;

    fn try_from(text: String) -> Result<Self, NotToken68> {
        // Wrapped before it is checked, so that malformed text is cleared as well.
        let text = Zeroizing::new(text);
        if is_token68(text.as_bytes()) { Ok(Self(text)) } else { Err(NotToken68(())) }
    }
}

impl FromStr for PlaintextKey {
    type Err = NotToken68;

    fn from_str(text: &str) -> Result<Self, NotToken68> {
        if is_token68(text.as_bytes()) { Ok(Self(Zeroizing::new(text.to_owned()))) } else { Err(NotToken68(())) }
    }
}

impl fmt::Debug for PlaintextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaintextKey([redacted])")
    }
}

/// The error for a text that is not a token68.
///
/// ```
/// use apikey_core::PlaintextKey;
///
/// let error = "two words".parse::<PlaintextKey>().unwrap_err();
/// assert!(!error.to_string().contains("two words"));
/// ```
///
/// # Security
///
/// Neither `Display` nor `Debug` contains the text: it may be a real key with a typing error.
#[derive(Debug, Error)]
#[error("not a token68: letters, digits and -._~+/ are allowed, then any number of =")]
pub struct NotToken68(());

/// Returns `true` if `bytes` are `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
pub(crate) fn is_token68(bytes: &[u8]) -> bool {
    let body = match bytes.iter().rposition(|&byte| byte != b'=') {
        Some(last) => &bytes[..=last],
        None => return false,
    };
    // Without an early exit the loop has no branches; a valid token is looked at to its end anyway.
    body.iter().fold(true, |all, &byte| all & TOKEN68[usize::from(byte)])
}

const TOKEN68: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~+/";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_text_when_parsed_then_only_token68_passes() {
        let cases: &[(&str, bool)] = &[
            ("a", true),
            ("Az09-._~+/", true),
            ("dGVzdA==", true),
            ("a====", true),
            ("", false),
            ("=", false),
            ("==", false),
            ("a=b", false),
            ("=a", false),
            ("a b", false),
            (" a", false),
            ("a ", false),
            ("a\n", false),
            ("a,b", false),
            ("a\"b", false),
            ("a:b", false),
            ("clé", false),
            ("a\0", false),
        ];
        for &(text, valid) in cases {
            assert_eq!(text.parse::<PlaintextKey>().is_ok(), valid, "{text:?}");
            let owned = PlaintextKey::try_from(text.to_owned());
            assert_eq!(owned.is_ok(), valid, "{text:?}");
            if let Ok(key) = owned {
                assert_eq!(key.expose_secret(), text);
            }
        }
    }

    #[test]
    fn given_each_byte_when_checked_then_the_grammar_of_rfc_9110_decides() {
        for byte in 0..=u8::MAX {
            let listed = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_token68(&[byte]), listed, "{byte:#04x}");
            assert_eq!(is_token68(&[b'a', byte]), listed || byte == b'=');
            assert_eq!(is_token68(&[b'a', byte, b'a']), listed, "{byte:#04x}");
        }
    }

    #[test]
    fn given_a_secret_when_formatted_for_debugging_then_it_is_redacted() {
        let key: PlaintextKey = "hunter2".parse().unwrap();
        assert_eq!(format!("{key:?}"), "PlaintextKey([redacted])");
        assert_eq!(format!("{key:#?}"), "PlaintextKey([redacted])");
    }

    #[test]
    fn given_refused_text_when_the_error_is_printed_then_the_text_is_absent() {
        let error = PlaintextKey::try_from("hunter2 hunter2".to_owned()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_checked_then_a_pattern_agrees(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let pattern = regex::bytes::Regex::new(r"(?-u)\A[A-Za-z0-9._~+/-]+=*\z").unwrap();
            prop_assert_eq!(is_token68(&bytes), pattern.is_match(&bytes));
        }

        #[test]
        fn given_likely_text_when_checked_then_a_pattern_agrees(text in "[A-Za-z0-9._~+/= -]{0,12}") {
            let pattern = regex::Regex::new(r"\A[A-Za-z0-9._~+/-]+=*\z").unwrap();
            prop_assert_eq!(is_token68(text.as_bytes()), pattern.is_match(&text));
        }
    }
}
