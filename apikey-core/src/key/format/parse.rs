//! Checks a presented token by position, step by step, without allocating.

use thiserror::Error;

use super::{Alphabet, Declared, KeyFormat, Shape};
use crate::key::plaintext::is_token68;

/// The parts of a well-formed key's text.
///
/// ```
/// # use apikey_core::KeyFormat;
/// let format = KeyFormat::builder("tsk").environment("live").build()?;
/// let key = format.generate()?;
/// let parsed = format.check(key.expose_secret().as_bytes())?;
/// assert_eq!(parsed.environment(), Some("live"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Anyone can write such a text: it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedKey<'f> {
    environment: Option<&'f str>,
}

impl<'f> ParsedKey<'f> {
    /// The environment that the key names, or `None` if the format has none.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::legacy(8..=64)?;
    /// assert_eq!(format.check(b"tsk_live_abc")?.environment(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn environment(&self) -> Option<&'f str> {
        self.environment
    }
}

/// The first check that a token failed.
///
/// ```
/// use apikey_core::{KeyFormat, ParseKeyError};
///
/// let format = KeyFormat::builder("tsk").environment("live").build()?;
/// let cases = [
///     ("sk_live_0", ParseKeyError::Prefix),
///     ("tsk_stage_0", ParseKeyError::Environment),
///     ("tsk_live_0", ParseKeyError::Length),
/// ];
/// for (token, error) in cases {
///     assert_eq!(format.check(token.as_bytes()), Err(error));
/// }
/// # Ok::<(), apikey_core::KeyFormatError>(())
/// ```
///
/// # Security
///
/// It is for logs and metrics, not for the sender. No message contains the token.
///
/// Variants are in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// The token doesn't start with the prefix and its separator.
    #[error("the prefix is different")]
    Prefix,
    /// The prefix is right, but no declared environment follows.
    #[error("no declared environment follows the prefix")]
    Environment,
    /// The token is too long or too short.
    #[error("the length is wrong")]
    Length,
    /// The token contains a character that is not allowed there.
    #[error("a character is outside the alphabet")]
    Alphabet,
    /// The shape is right and the checksum is wrong, most likely by a typing error.
    #[error("the checksum does not match")]
    Checksum,
}

impl KeyFormat {
    /// Checks whether `token` has this format, including the checksum.
    ///
    /// ```
    /// # use apikey_core::{KeyFormat, ParseKeyError};
    /// let format = KeyFormat::builder("npm").build()?;
    /// assert!(format.check(b"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").is_ok());
    /// let truncated = format.check(b"npm_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0Lsak");
    /// assert_eq!(truncated, Err(ParseKeyError::Length));
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    ///
    /// Nothing is trimmed, decoded or allocated. A token that passes is token68. In the base64 alphabets any last
    /// character passes, even one that [`generate`](Self::generate) doesn't use: other systems' keys need not be
    /// canonical.
    ///
    /// # Errors
    ///
    /// Returns the first check that fails, in the order of [`ParseKeyError`]'s variants. A legacy format has `Length`
    /// and `Alphabet` alone.
    ///
    /// # Security
    ///
    /// A token that passes need not exist. Only a keyed checksum is compared in constant time; the rest of the format
    /// is public.
    pub fn check<'f>(&'f self, token: &[u8]) -> Result<ParsedKey<'f>, ParseKeyError> {
        match &*self.shape {
            Shape::Declared(declared) => declared.check(token),
            Shape::Legacy(lengths) if !lengths.contains(&token.len()) => Err(ParseKeyError::Length),
            Shape::Legacy(_) if !is_token68(token) => Err(ParseKeyError::Alphabet),
            Shape::Legacy(_) => Ok(ParsedKey { environment: None }),
        }
    }

    /// Returns `true` if `token` starts with the prefix and its separator.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::builder("tsk").environment("live").build()?;
    /// assert!(format.has_prefix(b"tsk_whatever"));
    /// assert!(!format.has_prefix(b"eyJhbGciOiJFUzI1NiJ9.e30.c2ln"));
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    ///
    /// Legacy keys have no prefix: for them it returns `true` if the length is in the range.
    #[must_use]
    pub fn has_prefix(&self, token: &[u8]) -> bool {
        match &*self.shape {
            Shape::Declared(declared) => token.starts_with(declared.stem.as_bytes()),
            Shape::Legacy(lengths) => lengths.contains(&token.len()),
        }
    }
}

impl Declared {
    fn check<'f>(&'f self, token: &[u8]) -> Result<ParsedKey<'f>, ParseKeyError> {
        if !token.starts_with(self.stem.as_bytes()) {
            return Err(ParseKeyError::Prefix);
        }
        let (head, environment) = self.head_of(token)?;
        let body_length = token.len() - head.len();
        if body_length != self.body_length() {
            return Err(ParseKeyError::Length);
        }
        let random = &token[head.len()..head.len() + self.random_length];
        let digits = &token[head.len() + self.random_length..];
        if !self.alphabet.contains_all(random) || !Alphabet::Base62.contains_all(digits) {
            return Err(ParseKeyError::Alphabet);
        }
        if !self.checksum.matches(head.as_bytes(), random, digits) {
            return Err(ParseKeyError::Checksum);
        }
        Ok(ParsedKey { environment })
    }

    /// Returns the head of `token`, and the environment that it names.
    fn head_of(&self, token: &[u8]) -> Result<(&str, Option<&str>), ParseKeyError> {
        if self.environments.is_empty() {
            return Ok((&self.stem, None));
        }
        let mut found = Err(ParseKeyError::Environment);
        for environment in &self.environments {
            let head = environment.head.as_str();
            if token.starts_with(head.as_bytes()) {
                found = Ok((head, Some(environment.name.as_str())));
                // With the separator `-`, a token may start with the heads of both `live` and `live-eu`. They differ in
                // length, so only one of them leaves the right rest.
                if token.len() - head.len() == self.body_length() {
                    break;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::format::{Checksum, KeyFormatBuilder};

    const NPM: &str = "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";

    fn npm() -> KeyFormat {
        KeyFormat::builder("npm").build().unwrap()
    }

    fn unsummed(prefix: &str) -> KeyFormatBuilder {
        KeyFormat::builder(prefix).checksum(Checksum::None)
    }

    fn checked(format: &KeyFormat, token: &str) -> Result<Option<String>, ParseKeyError> {
        let parsed = format.check(token.as_bytes())?;
        Ok(parsed.environment().map(str::to_owned))
    }

    #[test]
    fn given_the_published_npm_token_when_checked_then_it_passes() {
        assert_eq!(checked(&npm(), NPM), Ok(None));
    }

    #[test]
    fn given_a_token_when_one_step_fails_then_the_error_names_that_step() {
        use ParseKeyError::{Alphabet, Checksum, Environment, Length, Prefix};
        let live = KeyFormat::builder("tork").environment("live").build().unwrap();
        let body = &NPM["npm_".len()..];
        let cases = [
            (npm(), String::new(), Err(Prefix)),
            (npm(), "npm".to_owned(), Err(Prefix)),
            (npm(), format!("NPM_{body}"), Err(Prefix)),
            (npm(), format!("npm-{body}"), Err(Prefix)),
            (npm(), format!(" {NPM}"), Err(Prefix)),
            (npm(), "npm_".to_owned(), Err(Length)),
            (npm(), format!("{NPM} "), Err(Length)),
            (npm(), NPM[..39].to_owned(), Err(Length)),
            (npm(), format!("npm_{}", "x".repeat(5000)), Err(Length)),
            (npm(), NPM.replace('6', "-"), Err(Alphabet)),
            (npm(), NPM.replace("0L", "_L"), Err(Alphabet)),
            (npm(), NPM.replace("kP", "k="), Err(Alphabet)),
            (npm(), NPM.replace("aB", "é"), Err(Alphabet)),
            (npm(), NPM.replace("kP", "kQ"), Err(Checksum)),
            (npm(), NPM.replace("0L", "1L"), Err(Checksum)),
            (live.clone(), format!("tork_live_{body}"), Ok(Some("live".to_owned()))),
            (live.clone(), format!("tork_{body}"), Err(Environment)),
            (live.clone(), format!("tork_test_{body}"), Err(Environment)),
            (live.clone(), format!("tork_LIVE_{body}"), Err(Environment)),
            (live.clone(), format!("tork_live-{body}"), Err(Environment)),
            (live.clone(), "tork_live".to_owned(), Err(Environment)),
            (live.clone(), "tork_live_".to_owned(), Err(Length)),
            (live, format!("tork_live_live_{body}"), Err(Length)),
        ];
        for (format, token, expected) in cases {
            assert_eq!(checked(&format, &token), expected, "{token}");
        }
    }

    #[test]
    fn given_a_crc32_key_when_any_single_character_changes_then_it_is_refused() {
        for at in 0..NPM.len() {
            for byte in 0..=u8::MAX {
                let mut token = NPM.as_bytes().to_vec();
                if std::mem::replace(&mut token[at], byte) != byte {
                    assert!(npm().check(&token).is_err(), "{byte:#04x} at {at}");
                }
            }
        }
    }

    #[test]
    fn given_a_crc32_key_when_neighbours_are_swapped_or_one_is_lost_then_it_is_refused() {
        for at in 0..NPM.len() {
            let mut token = NPM.as_bytes().to_vec();
            token.remove(at);
            assert!(npm().check(&token).is_err());
            let mut token = NPM.as_bytes().to_vec();
            token.swap(at, (at + 1) % NPM.len());
            assert!(token == NPM.as_bytes() || npm().check(&token).is_err());
        }
    }

    #[test]
    fn given_keyed_keys_when_the_environment_is_exchanged_then_only_they_notice() {
        let with = |checksum| {
            let format = KeyFormat::builder("tsk").environment("live").environment("test");
            let format = format.checksum(checksum).build().unwrap();
            let key = format.generate().unwrap();
            checked(&format, &key.expose_secret().replace("_live_", "_test_"))
        };
        let keyed = with(Checksum::keyed(&[3; 32]).unwrap());
        assert_eq!(keyed, Err(ParseKeyError::Checksum));
        assert_eq!(with(Checksum::Crc32), Ok(Some("test".to_owned())));
    }

    #[test]
    fn given_a_prefix_with_separators_when_checked_then_position_decides() {
        for prefix in ["my_app", "_", "a__b_", "-.-", "x_live"] {
            for separator in ['_', '-', '.'] {
                let builder = KeyFormat::builder(prefix).separator(separator);
                for format in [builder.clone(), builder.environment("live")] {
                    let format = format.build().unwrap();
                    let key = format.generate().unwrap();
                    let expected = format.environments().next().map(str::to_owned);
                    assert_eq!(checked(&format, key.expose_secret()), Ok(expected));
                }
            }
        }
    }

    #[test]
    fn given_live_and_live_eu_when_checked_then_each_key_is_in_its_own_environment() {
        for separator in ['_', '-', '.'] {
            for names in [["live", "live-eu"], ["live-eu", "live"]] {
                let format = unsummed("tsk")
                    .separator(separator)
                    .alphabet(Alphabet::Base64Url)
                    .environment(names[0])
                    .environment(names[1])
                    .build()
                    .unwrap();
                for name in names {
                    let key = format.generate_for(name).unwrap();
                    let found = checked(&format, key.expose_secret());
                    assert_eq!(found, Ok(Some(name.to_owned())));
                    // A random part may begin like the other environment.
                    let head = format!("tsk{separator}{name}{separator}");
                    let tricky = format!("{head}eu{separator}{}", "-".repeat(27));
                    let tricky = checked(&format, &tricky);
                    assert!(separator == '.' || tricky == Ok(Some(name.to_owned())));
                }
                let short = checked(&format, &format!("tsk{separator}live{separator}x"));
                assert_eq!(short, Err(ParseKeyError::Length));
            }
        }
    }

    #[test]
    fn given_the_shapes_services_publish_when_declared_then_their_keys_pass() {
        let tusky = unsummed("tsk").environment("live").environment("test").build().unwrap();
        let tork = |checksum| {
            let format = KeyFormat::builder("tork").environment("live");
            format.length(32).checksum(checksum).build().unwrap()
        };
        let tenuo = unsummed("tc").alphabet(Alphabet::Base64Url).length(43).build().unwrap();
        let legacy = KeyFormat::legacy(20..=40).unwrap();
        let cases = [
            (&tusky, format!("tsk_live_{}", "a".repeat(30)), Ok(Some("live"))),
            (&tusky, format!("tsk_test_{}", "Z".repeat(30)), Ok(Some("test"))),
            (&tusky, format!("tsk_prod_{}", "Z".repeat(30)), Err(ParseKeyError::Environment)),
            (&tork(Checksum::None), format!("tork_live_{}", "x".repeat(32)), Ok(Some("live"))),
            (&tork(Checksum::None), format!("tork_live_{}", "x".repeat(31)), Err(ParseKeyError::Length)),
            (&tork(Checksum::Crc32), format!("tork_live_{}", "x".repeat(32)), Err(ParseKeyError::Checksum)),
            (&tenuo, format!("tc_{}", "x-_".repeat(14) + "x"), Ok(None)),
            (&tenuo, format!("tc_{}", "x+/".repeat(14) + "x"), Err(ParseKeyError::Alphabet)),
            (&tenuo, format!("tc_{}=", "x".repeat(43)), Err(ParseKeyError::Length)),
            (&npm(), NPM.to_owned(), Ok(None)),
            (&legacy, "dGhlIG9sZCBzeXN0ZW0ncw==".to_owned(), Ok(None)),
            (&legacy, "old~key.with-all_of+/it".to_owned(), Ok(None)),
            (&legacy, "x".repeat(19), Err(ParseKeyError::Length)),
            (&legacy, "x".repeat(41), Err(ParseKeyError::Length)),
            (&legacy, "=".repeat(30), Err(ParseKeyError::Alphabet)),
            (&legacy, "not a token because of spaces".to_owned(), Err(ParseKeyError::Alphabet)),
        ];
        for (format, token, expected) in cases {
            let parsed = format.check(token.as_bytes()).map(|parsed| parsed.environment());
            assert_eq!(parsed, expected, "{token}");
        }
        for format in [tork(Checksum::None), tork(Checksum::Crc32)] {
            let key = format.generate().unwrap();
            assert_eq!(key.expose_secret().len(), "tork_live_".len() + 32);
            assert_eq!(checked(&format, key.expose_secret()), Ok(Some("live".to_owned())));
        }
    }

    #[test]
    fn given_a_token_when_asked_for_its_prefix_then_prefix_and_separator_count() {
        let format = KeyFormat::builder("tsk").environment("live").build().unwrap();
        let legacy = KeyFormat::legacy(3..=5).unwrap();
        let cases: [(&[u8], bool, bool); 6] = [
            (b"tsk_", true, true),
            (b"tsk_x y", true, false),
            (b"tsk", false, true),
            (b"tskx_", false, true),
            (b"", false, false),
            (b"Tsk_live", false, false),
        ];
        for (token, declared, by_length) in cases {
            assert_eq!(format.has_prefix(token), declared, "{token:?}");
            assert_eq!(legacy.has_prefix(token), by_length, "{token:?}");
        }
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_checked_then_it_never_panics_and_what_passes_is_token68(
            head in prop::sample::select(vec!["", "t", "tsk", "tsk_", "tsk_live", "tsk_live_", "tsk_live-eu_"]),
            rest in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let token = [head.as_bytes(), &rest].concat();
            let builder = unsummed("tsk").entropy_bits(128);
            let environments = builder.clone().environment("live").environment("live-eu");
            let formats = [
                builder.clone().build(),
                builder.alphabet(Alphabet::Base64).checksum(Checksum::Crc32).build(),
                environments.checksum(Checksum::keyed(&[1; 32]).unwrap()).build(),
                KeyFormat::legacy(1..=40),
            ];
            for format in formats.map(Result::unwrap) {
                if format.check(&token).is_ok() {
                    prop_assert!(is_token68(&token) && token.len() <= format.longest());
                    prop_assert!(format.has_prefix(&token));
                }
            }
        }
    }
}
