//! Builds a format, and rejects one whose keys could be guessed or confused.

use std::sync::Arc;

use super::{Alphabet, Checksum, Declared, Environment, KeyFormat, KeyFormatError, MAX_BYTES, Shape};

const MIN_ENTROPY_BITS: usize = 128;
const MAX_NAME_BYTES: usize = 32;

/// Builds a [`KeyFormat`]. Created by [`KeyFormat::builder`].
///
/// ```
/// use apikey_core::{Alphabet, Checksum, KeyFormat};
///
/// let format = KeyFormat::builder("tork")
///     .environment("live")
///     .environment("test")
///     .alphabet(Alphabet::Base62)
///     .length(32)
///     .checksum(Checksum::Crc32)
///     .build()?;
/// // 26 random characters and 6 of the checksum.
/// assert_eq!(format.longest(), "tork_live_".len() + 32);
/// # Ok::<(), apikey_core::KeyFormatError>(())
/// ```
///
/// The defaults are the separator `_`, no environment, base62, CRC-32 and 30 random characters (44 in hex) before the
/// checksum. [`build`](Self::build) checks all values.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct KeyFormatBuilder {
    prefix: String,
    separator: char,
    environments: Vec<String>,
    alphabet: Alphabet,
    entropy_bits: Option<u32>,
    length: Option<usize>,
    checksum: Checksum,
}

impl KeyFormatBuilder {
    pub(super) fn new(prefix: String) -> Self {
        Self {
            prefix,
            separator: '_',
            environments: Vec::new(),
            alphabet: Alphabet::Base62,
            entropy_bits: None,
            length: None,
            checksum: Checksum::Crc32,
        }
    }

    /// Adds an environment, which follows the prefix: `live` in `tork_live_…`.
    ///
    /// ```
    /// # use apikey_core::{KeyFormat, ParseKeyError};
    /// let format = KeyFormat::builder("tsk").environment("live").environment("live-eu").build()?;
    /// let key = format.generate()?;
    /// assert!(key.expose_secret().starts_with("tsk_live_"));
    /// // Where environments are declared, a key names one.
    /// let bare = KeyFormat::builder("tsk").build()?.generate()?;
    /// let refused = format.check(bare.expose_secret().as_bytes());
    /// assert_eq!(refused, Err(ParseKeyError::Environment));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The first one is the default of [`KeyFormat::generate`]. A name has 1 to 32 characters of `A-Z a-z 0-9 -` and is
    /// compared exactly.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environments.push(name.into());
        self
    }

    /// Sets the character after the prefix and after the environment: `_` (the default), `-` or `.`.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let key = KeyFormat::builder("sk").separator('-').build()?.generate()?;
    /// assert!(key.expose_secret().starts_with("sk-"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Sets the characters of the random part. The default is base62.
    ///
    /// ```
    /// # use apikey_core::{Alphabet, Checksum, KeyFormat};
    /// let format = KeyFormat::builder("x").alphabet(Alphabet::Hex).checksum(Checksum::None).build()?;
    /// assert_eq!(format.regex(), "x_[0-9a-f]{44}");
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    pub fn alphabet(mut self, alphabet: Alphabet) -> Self {
        self.alphabet = alphabet;
        self
    }

    /// Sets the length so that the random characters carry at least this many bits.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// // 22 base62 characters carry 130 bits.
    /// assert_eq!(KeyFormat::builder("x").entropy_bits(128).build()?.longest(), 2 + 22 + 6);
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    ///
    /// At least 128. Excludes [`length`](Self::length).
    pub fn entropy_bits(mut self, bits: u32) -> Self {
        self.entropy_bits = Some(bits);
        self
    }

    /// Sets the number of characters after the head, including the checksum's six.
    ///
    /// ```
    /// # use apikey_core::{Checksum, KeyFormat};
    /// let with = KeyFormat::builder("tork").length(32);
    /// let without = with.clone().checksum(Checksum::None);
    /// assert_eq!(with.build()?.longest(), without.build()?.longest());
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    ///
    /// Excludes [`entropy_bits`](Self::entropy_bits).
    pub fn length(mut self, characters: usize) -> Self {
        self.length = Some(characters);
        self
    }

    /// Sets the checksum in the last characters. The default is [`Checksum::Crc32`].
    ///
    /// ```
    /// # use apikey_core::{Checksum, KeyFormat};
    /// let format = KeyFormat::builder("x").checksum(Checksum::None).build()?;
    /// assert_eq!(format.longest(), 2 + 30);
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = checksum;
        self
    }

    /// Builds the format.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let error = KeyFormat::builder("tsk").entropy_bits(64).build().unwrap_err();
    /// assert_eq!(error.to_string(), "entropy_bits: 64 bits asked for, at least 128 are needed");
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error that names the field if the prefix, the separator or an environment is not allowed, an
    /// environment is repeated, both `length` and `entropy_bits` are set, the random part carries fewer than 128 bits,
    /// or a key would have more than 512 bytes.
    pub fn build(self) -> Result<KeyFormat, KeyFormatError> {
        check_name("prefix", &self.prefix, b"._-")?;
        if !['_', '-', '.'].contains(&self.separator) {
            return Err(KeyFormatError::new("separator", "not one of `_`, `-` and `.`"));
        }
        for (at, name) in self.environments.iter().enumerate() {
            check_name("environment", name, b"-")?;
            if self.environments[..at].contains(name) {
                let reason = format!("`{name}` is declared twice");
                return Err(KeyFormatError::new("environment", reason));
            }
        }
        let random_length = self.random_length()?;
        let stem = format!("{}{}", self.prefix, self.separator);
        let environments = self
            .environments
            .into_iter()
            .map(|name| Environment { head: format!("{stem}{name}{}", self.separator), name });
        let declared = Declared {
            environments: environments.collect(),
            prefix: self.prefix,
            separator: self.separator,
            stem,
            alphabet: self.alphabet,
            random_length,
            checksum: self.checksum,
        };
        let longest = declared.longest_head() + declared.body_length();
        if longest > MAX_BYTES {
            let reason = format!("keys would have {longest} bytes, {MAX_BYTES} are the most");
            return Err(KeyFormatError::new("length", reason));
        }
        Ok(KeyFormat { shape: Arc::new(Shape::Declared(declared)) })
    }

    /// Returns the length of the random part: the one that was set, or the default.
    fn random_length(&self) -> Result<usize, KeyFormatError> {
        match (self.length, self.entropy_bits) {
            (None, None) => Ok(self.alphabet.default_length()),
            (Some(_), Some(_)) => {
                Err(KeyFormatError::new("length", "given together with entropy_bits, which determines it"))
            }
            (Some(length), None) => self.random_length_within(length),
            (None, Some(bits)) => self.random_length_carrying(bits as usize),
        }
    }

    fn random_length_within(&self, length: usize) -> Result<usize, KeyFormatError> {
        // Checked before the entropy, so that no length overflows it.
        if length > MAX_BYTES {
            let reason = format!("{length} characters, a key has at most {MAX_BYTES}");
            return Err(KeyFormatError::new("length", reason));
        }
        let random = length.saturating_sub(self.checksum.length());
        let bits = self.alphabet.entropy_bits(random);
        if bits < MIN_ENTROPY_BITS {
            let rest = match self.checksum {
                Checksum::None => "",
                _ => " before the checksum",
            };
            let name = self.alphabet.name();
            let reason =
                format!("{random} {name} characters{rest} carry {bits} bits, at least {MIN_ENTROPY_BITS} are needed");
            return Err(KeyFormatError::new("length", reason));
        }
        Ok(random)
    }

    fn random_length_carrying(&self, bits: usize) -> Result<usize, KeyFormatError> {
        if bits < MIN_ENTROPY_BITS {
            let reason = format!("{bits} bits asked for, at least {MIN_ENTROPY_BITS} are needed");
            return Err(KeyFormatError::new("entropy_bits", reason));
        }
        (1..=MAX_BYTES).find(|&length| self.alphabet.entropy_bits(length) >= bits).ok_or_else(|| {
            let reason = format!("{bits} bits do not fit the {MAX_BYTES} bytes of a key");
            KeyFormatError::new("entropy_bits", reason)
        })
    }
}

fn check_name(field: &'static str, name: &str, marks: &[u8]) -> Result<(), KeyFormatError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        let reason = format!("{} bytes, 1 to {MAX_NAME_BYTES} are allowed", name.len());
        return Err(KeyFormatError::new(field, reason));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || marks.contains(&byte);
    if !name.bytes().all(allowed) {
        let marks: Vec<_> = marks.iter().map(|&mark| char::from(mark).to_string()).collect();
        let reason = format!("only ASCII letters, digits and {} are allowed", marks.join(" "));
        return Err(KeyFormatError::new(field, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(prefix: &str) -> KeyFormatBuilder {
        KeyFormat::builder(prefix)
    }

    #[test]
    fn given_a_declaration_when_built_then_lengths_follow() {
        let bare = || named("p").checksum(Checksum::None);
        let cases = [
            (named("p"), 36),
            (bare(), 30),
            (named("p").length(28), 28),
            (bare().length(22), 22),
            (named("p").entropy_bits(128), 28),
            (bare().entropy_bits(130), 22),
            (bare().entropy_bits(131), 23),
            (bare().entropy_bits(256), 43),
            (bare().alphabet(Alphabet::Base64).entropy_bits(128), 22),
            (bare().alphabet(Alphabet::Base64Url).entropy_bits(256), 43),
            (bare().alphabet(Alphabet::Base64Url).entropy_bits(257), 44),
            (bare().alphabet(Alphabet::Hex), 44),
            (named("p").alphabet(Alphabet::Hex), 50),
            (bare().alphabet(Alphabet::Hex).entropy_bits(128), 32),
            (bare().alphabet(Alphabet::Hex).entropy_bits(129), 33),
            (bare().alphabet(Alphabet::Hex).length(32), 32),
            (bare().alphabet(Alphabet::Base64Url).length(22), 22),
            (bare().length(510), 510),
        ];
        for (builder, body) in cases {
            let format = builder.clone().build().unwrap();
            assert_eq!(format.longest(), 2 + body, "{builder:?}");
        }
    }

    #[test]
    fn given_a_declaration_that_must_not_be_when_built_then_field_and_reason_are_named() {
        let bare = || named("p").checksum(Checksum::None);
        let long = "a".repeat(33);
        let cases = [
            (named(""), "prefix: 0 bytes, 1 to 32 are allowed"),
            (named(&long), "prefix: 33 bytes, 1 to 32 are allowed"),
            (named("a b"), "prefix: only ASCII letters, digits and . _ - are allowed"),
            (named("a+b"), "prefix: only ASCII"),
            (named("a="), "prefix: only ASCII"),
            (named("é"), "prefix: only ASCII"),
            (named("p\n"), "prefix: only ASCII"),
            (named("p").environment(""), "environment: 0 bytes"),
            (named("p").environment(&long), "environment: 33 bytes"),
            (named("p").environment("a_b"), "environment: only ASCII letters, digits and - are"),
            (named("p").environment("a.b"), "environment: only ASCII"),
            (named("p").environment("a").environment("b").environment("a"), "environment: `a` is declared twice"),
            (named("p").separator(':'), "separator: not one of"),
            (named("p").separator('a'), "separator: not one of"),
            (named("p").separator('é'), "separator: not one of"),
            (named("p").length(40).entropy_bits(256), "length: given together with entropy_bits"),
            (bare().length(12), "length: 12 base62 characters carry 71 bits, at least 128 are needed"),
            (
                named("p").length(27),
                "length: 21 base62 characters before the checksum carry 125 bits, at least 128 are needed",
            ),
            (named("p").length(3), "length: 0 base62 characters before the checksum carry 0 bits"),
            (bare().length(0), "length: 0 base62 characters carry 0 bits"),
            (bare().alphabet(Alphabet::Hex).length(31), "length: 31 hex characters carry 124 bits"),
            (bare().alphabet(Alphabet::Base64Url).length(21), "length: 21 base64url characters carry 126 bits"),
            (bare().length(511), "length: keys would have 513 bytes, 512 are the most"),
            (bare().environment("e").length(509), "length: keys would have 513 bytes"),
            (bare().length(512), "length: keys would have 514 bytes"),
            (bare().length(513), "length: 513 characters, a key has at most 512"),
            (bare().length(usize::MAX), "length: "),
            (bare().entropy_bits(0), "entropy_bits: 0 bits asked for"),
            (bare().entropy_bits(127), "entropy_bits: 127 bits asked for, at least 128 are needed"),
            (bare().entropy_bits(u32::MAX), "entropy_bits: 4294967295 bits do not fit"),
            (bare().entropy_bits(3048), "length: keys would have 514 bytes"),
        ];
        for (builder, message) in cases {
            let error = builder.clone().build().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error:?} for {builder:?}");
        }
    }

    proptest! {
        #[test]
        fn given_any_values_when_built_then_it_never_panics_and_limits_hold(
            prefix in ".{0,40}",
            environments in prop::collection::vec("[a-c_-]{0,3}", 0..4),
            separator in any::<char>(),
            alphabet in prop::sample::select(vec![
                Alphabet::Base62, Alphabet::Base64, Alphabet::Base64Url, Alphabet::Hex,
            ]),
            length in prop::option::of(prop_oneof![0..600_usize, any::<usize>()]),
            bits in prop::option::of(prop_oneof![0..4000_u32, any::<u32>()]),
        ) {
            let mut builder = named(&prefix).separator(separator).alphabet(alphabet);
            builder.environments = environments;
            builder.length = length;
            builder.entropy_bits = bits;
            for builder in [builder.clone().separator('-'), builder] {
                let plain = KeyFormatBuilder { prefix: "p".to_owned(), ..builder.clone() };
                for format in [builder.build(), plain.build()].into_iter().flatten() {
                    prop_assert!(format.longest() <= MAX_BYTES);
                }
            }
        }
    }
}
