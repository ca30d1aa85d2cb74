//! The regular expression of a format, for secret scanners, proxies and log filters.

use super::{Alphabet, Declared, KeyFormat, Shape};

impl KeyFormat {
    /// Returns a regular expression that matches the keys of this format by shape.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::builder("tork").environment("live").environment("test").build()?;
    /// assert_eq!(format.regex(), "tork_(?:live|test)_[0-9A-Za-z]{36}");
    /// # Ok::<(), apikey_core::KeyFormatError>(())
    /// ```
    ///
    /// Anchored at both ends, it matches what [`check`](Self::check) accepts before the checksum. It has no anchors,
    /// look-around or back-references, so the `regex` crate, PCRE and GitHub's secret scanning read it alike.
    ///
    /// For a legacy format it matches more than `check`: `=` may be anywhere but first. Such a pattern finds any long
    /// word and is useless to a scanner.
    #[must_use]
    pub fn regex(&self) -> String {
        match &*self.shape {
            Shape::Declared(declared) => declared.regex(),
            Shape::Legacy(lengths) => {
                let (least, most) = (lengths.start() - 1, lengths.end() - 1);
                format!("[0-9A-Za-z._~+/-][0-9A-Za-z._~+/=-]{{{least},{most}}}")
            }
        }
    }
}

impl Declared {
    fn regex(&self) -> String {
        // Of all characters that a head may have, only the dot is special outside brackets.
        let stem = self.stem.replace('.', r"\.");
        let separator = if self.separator == '.' { r"\." } else { &self.stem[self.prefix.len()..] };
        // Longer ones first, for scanners that stop at the first matching branch.
        let mut names: Vec<_> = self.environments.iter().map(|env| env.name.as_str()).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let environment = match names[..] {
            [] => String::new(),
            [name] => format!("{name}{separator}"),
            [..] => format!("(?:{}){separator}", names.join("|")),
        };
        let random = class(self.alphabet);
        let body = match self.checksum.length() {
            0 => format!("[{random}]{{{}}}", self.random_length),
            _ if self.alphabet == Alphabet::Base62 => {
                format!("[{random}]{{{}}}", self.body_length())
            }
            digits => {
                let base62 = class(Alphabet::Base62);
                format!("[{random}]{{{}}}[{base62}]{{{digits}}}", self.random_length)
            }
        };
        format!("{stem}{environment}{body}")
    }
}

/// Returns the alphabet as a character class's content.
const fn class(alphabet: Alphabet) -> &'static str {
    match alphabet {
        Alphabet::Base62 => "0-9A-Za-z",
        Alphabet::Base64 => "0-9A-Za-z+/",
        Alphabet::Base64Url => "0-9A-Za-z_-",
        Alphabet::Hex => "0-9a-f",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::key::format::{Checksum, ParseKeyError};

    fn formats() -> Vec<(KeyFormat, &'static str)> {
        let bare = |prefix: &str| KeyFormat::builder(prefix).checksum(Checksum::None);
        let keyed = Checksum::keyed(&[4; 32]).unwrap();
        let declared = [
            (KeyFormat::builder("npm"), "npm_[0-9A-Za-z]{36}"),
            (KeyFormat::builder("tsk").environment("live").environment("test"), "tsk_(?:live|test)_[0-9A-Za-z]{36}"),
            (bare("tork").environment("live").length(32), "tork_live_[0-9A-Za-z]{32}"),
            (bare("tc").alphabet(Alphabet::Base64Url).length(43), "tc_[0-9A-Za-z_-]{43}"),
            (
                KeyFormat::builder("a.b_c").separator('.').environment("x").environment("x-y"),
                r"a\.b_c\.(?:x-y|x)\.[0-9A-Za-z]{36}",
            ),
            (
                bare("p").separator('-').environment("live").environment("live-eu").alphabet(Alphabet::Base64Url),
                "p-(?:live-eu|live)-[0-9A-Za-z_-]{30}",
            ),
            (KeyFormat::builder("h").alphabet(Alphabet::Hex), "h_[0-9a-f]{44}[0-9A-Za-z]{6}"),
            (
                KeyFormat::builder("b").alphabet(Alphabet::Base64).length(30).checksum(keyed),
                "b_[0-9A-Za-z+/]{24}[0-9A-Za-z]{6}",
            ),
        ];
        declared.map(|(builder, regex)| (builder.build().unwrap(), regex)).into()
    }

    fn anchored(format: &KeyFormat) -> Regex {
        Regex::new(&format!(r"\A(?:{})\z", format.regex())).unwrap()
    }

    fn has_shape(format: &KeyFormat, token: &str) -> bool {
        matches!(format.check(token.as_bytes()), Ok(_) | Err(ParseKeyError::Checksum))
    }

    #[test]
    fn given_formats_when_written_as_patterns_then_they_read_as_expected() {
        for (format, expected) in formats() {
            assert_eq!(format.regex(), expected);
        }
        assert_eq!(KeyFormat::legacy(20..=40).unwrap().regex(), "[0-9A-Za-z._~+/-][0-9A-Za-z._~+/=-]{19,39}");
    }

    #[test]
    fn given_issued_keys_when_searched_in_text_then_exactly_the_key_is_found() {
        for (format, _) in formats() {
            let regex = Regex::new(&format.regex()).unwrap();
            let mut keys: Vec<_> = format.environments().map(|env| format.generate_for(env)).collect();
            keys.push(format.generate());
            for key in keys {
                let key = key.unwrap();
                let text = format!("API_KEY=\"{}\"\n", key.expose_secret());
                let found = regex.find(&text).map(|found| found.as_str());
                assert_eq!(found, Some(key.expose_secret()));
            }
        }
    }

    #[test]
    fn given_issued_keys_when_any_character_changes_then_pattern_and_check_agree_on_the_shape() {
        for (format, _) in formats() {
            let regex = anchored(&format);
            let key = format.generate().unwrap();
            let key = key.expose_secret();
            for at in 0..key.len() {
                for other in (0..=127_u8).map(char::from) {
                    let token = format!("{}{other}{}", &key[..at], &key[at + 1..]);
                    assert_eq!(regex.is_match(&token), has_shape(&format, &token), "{token:?}");
                }
                for token in [&key[..at], &key[at..]] {
                    assert_eq!(regex.is_match(token), at == 0 && token == key, "{token:?}");
                }
            }
        }
    }

    #[test]
    fn given_legacy_tokens_when_matched_then_every_one_that_passes_is_found() {
        let format = KeyFormat::legacy(4..=6).unwrap();
        let regex = anchored(&format);
        for token in ["abcd", "a===", "ab-._~", "+/+/+"] {
            assert!(format.check(token.as_bytes()).is_ok() && regex.is_match(token), "{token}");
        }
        for token in ["abc", "abcdefg", "====", "ab cd"] {
            assert!(format.check(token.as_bytes()).is_err() && !regex.is_match(token), "{token}");
        }
    }

    proptest! {
        #[test]
        fn given_likely_tokens_when_matched_then_pattern_and_check_agree(
            which in 0..8_usize,
            head in "(npm_|tsk_(live|test)_|tork_live_|tc_|a.b_c.(x|x-y).|p-live-(eu-)?|h_|b_)",
            body in "([0-9a-f]{30,50}|[0-9A-Za-z]{29,37}|[A-Za-z0-9_-]{27,43}|eu-[0-9A-Za-z_-]{27,30})",
        ) {
            let (format, _) = formats().swap_remove(which);
            let token = format!("{head}{body}");
            prop_assert_eq!(anchored(&format).is_match(&token), has_shape(&format, &token));
        }
    }
}
