//! The shape of keys, by which mistyped, truncated and foreign ones are rejected without a lookup.
//!
//! A [`KeyFormat`] generates keys, checks presented ones by position, and knows the pattern for secret scanners. The
//! authenticator chooses among several formats and looks keys up.

mod alphabet;
mod builder;
mod checksum;
mod generate;
mod hint;
mod parse;
mod pattern;

use std::{ops::RangeInclusive, sync::Arc};

use thiserror::Error;

pub use alphabet::Alphabet;
pub use builder::KeyFormatBuilder;
pub use checksum::{Checksum, KeyedChecksum};
pub use generate::GenerateKeyError;
pub use parse::{ParseKeyError, ParsedKey};

/// The longest a key may be, in bytes: far below the limits of servers for headers.
const MAX_BYTES: usize = 512;

/// The shape of a service's keys, such as `tork_live_` and 36 characters.
///
/// ```
/// use apikey_core::KeyFormat;
///
/// let format = KeyFormat::builder("tork").environment("live").environment("test").build()?;
///
/// let key = format.generate_for("test")?;
/// assert!(key.expose_secret().starts_with("tork_test_"));
/// let parsed = format.check(key.expose_secret().as_bytes())?;
/// assert_eq!(parsed.environment(), Some("test"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A key has a head (`tork_` or `tork_live_`), random characters, and six characters of checksum unless it is switched
/// off. Head and lengths are fixed, and keys are parsed by position: the prefix and the random characters may contain
/// the separator.
///
/// Clones are cheap. Two formats are equal if their declarations are.
///
/// # Security
///
/// Every format that can issue has at least 128 random bits. The entropy of keys of a [`legacy`](Self::legacy) format
/// is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFormat {
    shape: Arc<Shape>,
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Declared(Declared),
    Legacy(RangeInclusive<usize>),
}

#[derive(Debug, PartialEq, Eq)]
struct Declared {
    prefix: String,
    separator: char,
    /// The prefix with its separator: the beginning of every key.
    stem: String,
    environments: Vec<Environment>,
    alphabet: Alphabet,
    random_length: usize,
    checksum: Checksum,
}

#[derive(Debug, PartialEq, Eq)]
struct Environment {
    name: String,
    /// The stem, the name and its separator.
    head: String,
}

impl KeyFormat {
    /// Creates a builder for a format whose keys begin with `prefix`.
    ///
    /// ```
    /// use apikey_core::KeyFormat;
    ///
    /// let format = KeyFormat::builder("npm").build()?;
    /// assert!(format.check(b"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").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The prefix has 1 to 32 characters of `A-Z a-z 0-9 . _ -`; [`build`](KeyFormatBuilder::build) checks it.
    pub fn builder(prefix: impl Into<String>) -> KeyFormatBuilder {
        KeyFormatBuilder::new(prefix.into())
    }

    /// Creates a format for keys of another system: any token68 whose length in bytes is in `lengths`.
    ///
    /// ```
    /// use apikey_core::KeyFormat;
    ///
    /// let format = KeyFormat::legacy(16..=64)?;
    /// assert!(format.check(b"c2VjcmV0LXRva2VuLTEyMw==").is_ok());
    /// assert!(!format.can_issue());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The format can verify keys and can't issue any.
    ///
    /// # Errors
    ///
    /// Returns an error if `lengths` is empty, starts at 0 or ends above 512.
    ///
    /// # Security
    ///
    /// A mistyped legacy key can't be recognized, so each is looked up. Narrow lengths keep more noise out.
    pub fn legacy(lengths: RangeInclusive<usize>) -> Result<Self, KeyFormatError> {
        if lengths.is_empty() {
            return Err(KeyFormatError::new("lengths", "the range is empty"));
        }
        if *lengths.start() == 0 {
            return Err(KeyFormatError::new("lengths", "a key has at least 1 byte"));
        }
        if *lengths.end() > MAX_BYTES {
            let reason = format!("{} bytes, {MAX_BYTES} are the most", lengths.end());
            return Err(KeyFormatError::new("lengths", reason));
        }
        Ok(Self { shape: Arc::new(Shape::Legacy(lengths)) })
    }

    /// Returns the prefix without the separator, or `None` for a legacy format.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// assert_eq!(KeyFormat::builder("my_app").build()?.prefix(), Some("my_app"));
    /// assert_eq!(KeyFormat::legacy(20..=40)?.prefix(), None);
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.declared().map(|declared| declared.prefix.as_str())
    }

    /// Returns the environments, the default one first. A legacy format has none.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::builder("tsk").environment("live").environment("test").build()?;
    /// assert!(format.environments().eq(["live", "test"]));
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.declared()
            .into_iter()
            .flat_map(|declared| &declared.environments)
            .map(|environment| environment.name.as_str())
    }

    /// Returns `true` if the format can [`generate`](Self::generate) keys, which a legacy format can't.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// assert!(KeyFormat::builder("tsk").build()?.can_issue());
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    #[must_use]
    pub fn can_issue(&self) -> bool {
        self.declared().is_some()
    }

    /// Returns the length in bytes of the longest key that the format accepts, at most 512.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::builder("tsk").environment("eu").environment("asia").build()?;
    /// assert_eq!(format.longest(), "tsk_asia_".len() + 36);
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    #[must_use]
    pub fn longest(&self) -> usize {
        match &*self.shape {
            Shape::Declared(declared) => declared.longest_head() + declared.body_length(),
            Shape::Legacy(lengths) => *lengths.end(),
        }
    }

    fn declared(&self) -> Option<&Declared> {
        match &*self.shape {
            Shape::Declared(declared) => Some(declared),
            Shape::Legacy(_) => None,
        }
    }
}

impl Declared {
    /// Returns the number of characters after the head.
    fn body_length(&self) -> usize {
        self.random_length + self.checksum.length()
    }

    fn longest_head(&self) -> usize {
        let heads = self.environments.iter().map(|env| env.head.len());
        heads.max().unwrap_or(self.stem.len())
    }
}

/// The error for a format that can't be declared.
///
/// ```
/// use apikey_core::{Checksum, KeyFormat};
///
/// let error = KeyFormat::builder("tsk").checksum(Checksum::None).length(12).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "length: 12 base62 characters carry 71 bits, at least 128 are needed",
/// );
/// ```
///
/// The message names the field and the reason. It is a mistake in the program or its configuration, so there is nothing
/// to branch on.
#[derive(Debug, Error)]
#[error("{field}: {reason}")]
pub struct KeyFormatError {
    field: &'static str,
    reason: String,
}

impl KeyFormatError {
    fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_lengths_when_a_legacy_format_is_made_then_1_to_512_bytes_are_the_limits() {
        assert!(KeyFormat::legacy(1..=512).is_ok());
        assert!(KeyFormat::legacy(20..=20).is_ok());
        #[expect(clippy::reversed_empty_ranges, reason = "what the caller got wrong")]
        let reversed = 5..=4;
        let cases = [
            (0..=10, "lengths: a key has at least 1 byte"),
            (1..=513, "lengths: 513 bytes, 512 are the most"),
            (reversed, "lengths: the range is empty"),
            (usize::MAX..=usize::MAX, "lengths: "),
        ];
        for (lengths, message) in cases {
            let error = KeyFormat::legacy(lengths).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn given_two_formats_when_any_part_differs_then_they_are_unequal() {
        let keyed = |byte| Checksum::keyed(&[byte; 32]).unwrap();
        let declared = || KeyFormat::builder("tsk").environment("live");
        let formats = [
            KeyFormat::builder("tsk").build(),
            KeyFormat::builder("tsk").separator('-').build(),
            KeyFormat::builder("tskx").build(),
            declared().build(),
            declared().environment("test").build(),
            declared().checksum(Checksum::None).build(),
            declared().checksum(keyed(1)).build(),
            declared().checksum(keyed(2)).build(),
            declared().length(40).build(),
            declared().alphabet(Alphabet::Base64Url).build(),
            KeyFormat::legacy(20..=40),
            KeyFormat::legacy(20..=41),
        ]
        .map(Result::unwrap);
        for (i, one) in formats.iter().enumerate() {
            for (j, other) in formats.iter().enumerate() {
                assert_eq!(one == other, i == j, "{one:?} and {other:?}");
            }
        }
        let again = declared().checksum(keyed(1)).build().unwrap();
        assert_eq!(again, formats[6]);
        // 36 characters are the default, in whichever way they were requested.
        assert_eq!(declared().length(36).build().unwrap(), formats[3]);
    }

    #[test]
    fn given_a_format_when_asked_then_it_tells_its_declaration() {
        let format = KeyFormat::builder("a_b").environment("x").build().unwrap();
        assert_eq!(format.prefix(), Some("a_b"));
        assert_eq!(format.environments().collect::<Vec<_>>(), ["x"]);
        assert_eq!(format.longest(), "a_b_x_".len() + 36);
        assert!(format.can_issue());

        let legacy = KeyFormat::legacy(20..=40).unwrap();
        assert_eq!(legacy.prefix(), None);
        assert_eq!(legacy.environments().count(), 0);
        assert_eq!(legacy.longest(), 40);
        assert!(!legacy.can_issue());
    }
}
