//! Generates keys: unbiased random characters from the operating system's generator.

use thiserror::Error;
use zeroize::Zeroizing;

use super::{Alphabet, Declared, KeyFormat};
use crate::key::{no_randomness::NoRandomness, plaintext::PlaintextKey};

/// The error for a key that can't be generated.
///
/// ```
/// use apikey_core::{GenerateKeyError, KeyFormat};
///
/// let error = KeyFormat::legacy(20..=40)?.generate().unwrap_err();
/// assert!(matches!(error, GenerateKeyError::VerifyOnly));
/// # Ok::<(), apikey_core::KeyFormatError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GenerateKeyError {
    /// The format is a legacy format.
    #[error("a legacy format verifies keys and can't issue them")]
    VerifyOnly,
    /// The format doesn't declare the requested environment.
    #[error("the format does not declare this environment")]
    UnknownEnvironment,
    /// The operating system gave no random bytes. Retrying rarely helps.
    #[error(transparent)]
    Random(NoRandomness),
}

impl KeyFormat {
    /// Generates a key, in the environment declared first if there are any.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::builder("tsk").environment("live").environment("test").build()?;
    /// let key = format.generate()?;
    /// assert!(key.expose_secret().starts_with("tsk_live_"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`GenerateKeyError::VerifyOnly`] for a legacy format, [`GenerateKeyError::Random`] when the
    /// operating system fails.
    ///
    /// # Security
    ///
    /// All characters are equally likely, and buffers are overwritten. Store the [digest](crate::KeyHasher::digest),
    /// not the key.
    pub fn generate(&self) -> Result<PlaintextKey, GenerateKeyError> {
        let declared = self.declared().ok_or(GenerateKeyError::VerifyOnly)?;
        let head = match declared.environments.first() {
            Some(environment) => &environment.head,
            None => &declared.stem,
        };
        declared.generate(head)
    }

    /// Generates a key in a declared environment.
    ///
    /// ```
    /// # use apikey_core::{GenerateKeyError, KeyFormat};
    /// let format = KeyFormat::builder("tsk").environment("live").environment("test").build()?;
    /// let key = format.generate_for("test")?;
    /// assert!(key.expose_secret().starts_with("tsk_test_"));
    /// let unknown = format.generate_for("stage").unwrap_err();
    /// assert_eq!(unknown, GenerateKeyError::UnknownEnvironment);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`generate`](Self::generate), and [`GenerateKeyError::UnknownEnvironment`] when the format
    /// doesn't declare `environment`.
    pub fn generate_for(&self, environment: &str) -> Result<PlaintextKey, GenerateKeyError> {
        let declared = self.declared().ok_or(GenerateKeyError::VerifyOnly)?;
        let mut environments = declared.environments.iter();
        let environment =
            environments.find(|declared| declared.name == environment).ok_or(GenerateKeyError::UnknownEnvironment)?;
        declared.generate(&environment.head)
    }
}

impl Declared {
    fn generate(&self, head: &str) -> Result<PlaintextKey, GenerateKeyError> {
        // Allocated at full length: growing would leave copies of the secret behind.
        let length = head.len() + self.body_length();
        let mut key = Zeroizing::new(String::with_capacity(length));
        key.push_str(head);
        append_random(&mut key, self.alphabet, self.random_length, getrandom::fill)
            .map_err(|error| GenerateKeyError::Random(NoRandomness(error)))?;
        let random = &key.as_bytes()[head.len()..];
        if let Some(digits) = self.checksum.digits(head.as_bytes(), random) {
            key.extend(digits.map(char::from));
        }
        debug_assert_eq!(key.len(), length);
        Ok(PlaintextKey::from_token68(key))
    }
}

/// Appends `length` characters from the bytes that `fill` writes.
fn append_random<E>(
    text: &mut String,
    alphabet: Alphabet,
    length: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut bytes = Zeroizing::new([0; 64]);
    let mut missing = length;
    while missing > 0 {
        fill(&mut *bytes)?;
        for &byte in bytes.iter() {
            let unused = match missing {
                0 => break,
                1 => alphabet.unused_bits(length),
                _ => 0,
            };
            if let Some(character) = draw(alphabet, byte, unused) {
                text.push(char::from(character));
                missing -= 1;
            }
        }
    }
    Ok(())
}

/// Returns the character for a random byte, or `None`, so that all characters are equally likely.
///
/// The byte is truncated to the bits that the alphabet needs. A value past the alphabet's end is discarded: modulo 62,
/// it would make two characters twice as likely.
fn draw(alphabet: Alphabet, byte: u8, unused_bits: u32) -> Option<u8> {
    let characters = alphabet.characters();
    let mask = characters.len().next_power_of_two() - 1;
    let value = usize::from(byte) & mask & (usize::MAX << unused_bits);
    characters.get(value).copied()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, convert::Infallible};

    use proptest::prelude::*;

    use super::*;
    use crate::key::format::{Checksum, KeyFormatBuilder};

    const ALPHABETS: [Alphabet; 4] = [Alphabet::Base62, Alphabet::Base64, Alphabet::Base64Url, Alphabet::Hex];

    fn checksums() -> [Checksum; 3] {
        let keyed = Checksum::keyed(&[9; 32]).unwrap();
        [Checksum::None, Checksum::Crc32, keyed]
    }

    #[test]
    fn given_every_byte_once_when_drawn_then_every_character_comes_equally_often() {
        let cases = [
            (Alphabet::Base62, 0, 62, 4),
            (Alphabet::Base64, 0, 64, 4),
            (Alphabet::Base64Url, 0, 64, 4),
            (Alphabet::Hex, 0, 16, 16),
            (Alphabet::Base64, 2, 16, 16),
            (Alphabet::Base64Url, 4, 4, 64),
        ];
        for (alphabet, unused, different, times) in cases {
            let mut counts = [0; 256];
            for byte in 0..=u8::MAX {
                if let Some(character) = draw(alphabet, byte, unused) {
                    counts[usize::from(character)] += 1;
                }
            }
            let counts = counts.into_iter().filter(|&count| count > 0).collect::<Vec<_>>();
            assert_eq!(counts, vec![times; different], "{alphabet:?} {unused}");
        }
    }

    #[test]
    fn given_bytes_past_the_alphabet_when_appended_then_they_are_skipped_and_more_are_asked_for() {
        let mut calls = 0;
        let mut text = String::from("head_");
        append_random::<Infallible>(&mut text, Alphabet::Base62, 70, |bytes| {
            calls += 1;
            // 62, 63 and their like past 64 are no values of base62.
            let cycle = [0, 62, 61, 63, 64, 126, 125, 127, 254, 255];
            for (byte, value) in bytes.iter_mut().zip(cycle.into_iter().cycle()) {
                *byte = value;
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(calls, 3);
        assert!(text.starts_with("head_0z0z0z"), "{text}");
        assert_eq!(text.len(), "head_".len() + 70);
    }

    #[test]
    fn given_a_generator_that_fails_when_appended_then_its_error_is_returned() {
        let failed = append_random(&mut String::new(), Alphabet::Hex, 64, |_| Err("no"));
        assert_eq!(failed, Err("no"));
    }

    #[test]
    fn given_base64_when_the_last_character_has_unused_bits_then_they_are_zero() {
        for (length, unused) in [(40, 0), (41, 0), (42, 4), (43, 2)] {
            for alphabet in [Alphabet::Base64, Alphabet::Base64Url] {
                let mut text = String::new();
                append_random::<Infallible>(&mut text, alphabet, length, |bytes| {
                    bytes.fill(0xff);
                    Ok(())
                })
                .unwrap();
                let characters = alphabet.characters();
                let (last, others) = text.as_bytes().split_last().unwrap();
                assert!(others.iter().all(|byte| *byte == characters[63]));
                assert_eq!(*last, characters[63 >> unused << unused], "{length}");
            }
        }
    }

    #[test]
    fn given_a_format_when_it_issues_a_thousand_keys_then_all_differ() {
        let format = KeyFormat::builder("tsk").entropy_bits(128).build().unwrap();
        let keys = (0..1000).map(|_| format.generate().unwrap());
        let keys: HashSet<_> = keys.map(|key| key.expose_secret().to_owned()).collect();
        assert_eq!(keys.len(), 1000);
    }

    #[test]
    fn given_a_format_that_cannot_when_asked_to_issue_then_the_error_says_why() {
        let legacy = KeyFormat::legacy(1..=40).unwrap();
        let bare = KeyFormat::builder("tsk").build().unwrap();
        let live = KeyFormat::builder("tsk").environment("live").build().unwrap();
        let cases = [
            (legacy.generate(), GenerateKeyError::VerifyOnly),
            (legacy.generate_for("live"), GenerateKeyError::VerifyOnly),
            (bare.generate_for("live"), GenerateKeyError::UnknownEnvironment),
            (bare.generate_for(""), GenerateKeyError::UnknownEnvironment),
            (live.generate_for("test"), GenerateKeyError::UnknownEnvironment),
            (live.generate_for("LIVE"), GenerateKeyError::UnknownEnvironment),
        ];
        for (result, error) in cases {
            assert_eq!(result.unwrap_err(), error);
        }
    }

    fn any_builder() -> impl Strategy<Value = KeyFormatBuilder> {
        (
            "[A-Za-z0-9._-]{1,32}",
            prop::collection::hash_set("[A-Za-z0-9-]{1,8}", 0..4),
            prop::sample::select(vec!['_', '-', '.']),
            prop::sample::select(ALPHABETS.to_vec()),
            prop::sample::select(checksums().to_vec()),
            128..1000_u32,
        )
            .prop_map(|(prefix, environments, separator, alphabet, checksum, bits)| {
                let builder = KeyFormat::builder(prefix)
                    .separator(separator)
                    .alphabet(alphabet)
                    .checksum(checksum)
                    .entropy_bits(bits);
                environments.into_iter().fold(builder, KeyFormatBuilder::environment)
            })
    }

    proptest! {
        #[test]
        fn given_any_format_when_a_key_is_generated_then_it_passes_in_its_environment(builder in any_builder()) {
            let format = builder.build().unwrap();
            let key = format.generate().unwrap();
            let parsed = format.check(key.expose_secret().as_bytes()).unwrap();
            prop_assert_eq!(parsed.environment(), format.environments().next());
            for environment in format.environments() {
                let key = format.generate_for(environment).unwrap();
                let parsed = format.check(key.expose_secret().as_bytes()).unwrap();
                prop_assert_eq!(parsed.environment(), Some(environment));
                prop_assert!(key.expose_secret().len() <= format.longest());
            }
        }
    }
}
