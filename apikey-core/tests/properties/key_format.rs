//! A declared format, the keys that it issues, and any token.
//!
//! The input's lines are the prefix, the environments (separated by commas), the settings, and a token. The first
//! setting is the separator; `6`, `4`, `u`, `h` choose the alphabet, `n`, `c`, `k` the checksum, and `L` or `B` with a
//! number the length or the entropy.

use apikey_core::{Alphabet, Checksum, KeyFormat, KeyFormatBuilder, ParseKeyError};
use regex::bytes::Regex;

/// Panics if a documented property of formats fails for `input`.
pub(crate) fn holds(input: &[u8]) {
    let mut lines = input.splitn(4, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(lines.next().unwrap_or_default());
    let (prefix, environments, settings) = (text(), text(), text());
    let token = lines.next().unwrap_or_default();
    let environments: Vec<&str> = environments.split(',').filter(|name| !name.is_empty()).collect();
    let legacy = KeyFormat::legacy(1..=40).unwrap();
    assert_eq!(legacy.check(token).is_ok(), token.len() <= 40 && is_token68(token));

    let declared = Declared::read(&prefix, &environments, &settings);
    let Ok(format) = declared.builder.clone().build() else {
        return;
    };
    assert_eq!(format.prefix(), Some(&*prefix));
    assert!(format.environments().eq(environments.iter().copied()));
    assert!(format.longest() <= 512);
    let pattern = Regex::new(&format!(r"(?-u)\A(?:{})\z", format.regex())).unwrap();
    declared.judge(&format, &pattern, token);

    let issued: Vec<_> = match environments.is_empty() {
        true => vec![(None, format.generate().unwrap())],
        false => environments.iter().map(|name| (Some(*name), format.generate_for(name).unwrap())).collect(),
    };
    for (environment, key) in issued {
        let key = key.expose_secret().as_bytes();
        let parsed = format.check(key).unwrap();
        assert_eq!(parsed.environment(), environment);
        assert!(pattern.is_match(key) && key.len() <= format.longest() && is_token68(key));
        declared.judge_altered(&format, &pattern, key, token);
    }
}

struct Declared {
    builder: KeyFormatBuilder,
    stem: String,
    /// Returns nothing, or an environment and its separator.
    middles: Vec<String>,
    sums_crc32: bool,
}

impl Declared {
    fn read(prefix: &str, environments: &[&str], settings: &str) -> Self {
        let mut settings = settings.chars().peekable();
        let separator = settings.next().unwrap_or('_');
        let mut builder = KeyFormat::builder(prefix).separator(separator);
        for name in environments {
            builder = builder.environment(*name);
        }
        let mut sums_crc32 = true;
        while let Some(letter) = settings.next() {
            let mut number = String::new();
            while let Some(digit) = settings.next_if(|c| matches!(letter, 'L' | 'B') && c.is_ascii_digit()) {
                number.push(digit);
            }
            builder = match letter {
                '6' => builder.alphabet(Alphabet::Base62),
                '4' => builder.alphabet(Alphabet::Base64),
                'u' => builder.alphabet(Alphabet::Base64Url),
                'h' => builder.alphabet(Alphabet::Hex),
                'n' | 'c' | 'k' => {
                    sums_crc32 = letter == 'c';
                    builder.checksum(match letter {
                        'n' => Checksum::None,
                        'c' => Checksum::Crc32,
                        _ => Checksum::keyed(&[7; 32]).unwrap(),
                    })
                }
                'L' => builder.length(number.parse().unwrap_or(usize::MAX)),
                'B' => builder.entropy_bits(number.parse().unwrap_or(u32::MAX)),
                _ => builder,
            };
        }
        let middles = match environments {
            [] => vec![String::new()],
            _ => environments.iter().map(|name| format!("{name}{separator}")).collect(),
        };
        Declared { builder, stem: format!("{prefix}{separator}"), middles, sums_crc32 }
    }

    /// The pattern decides about the shape, and the error names the first step that fails.
    fn judge(&self, format: &KeyFormat, pattern: &Regex, token: &[u8]) {
        let judged = format.check(token).map(|parsed| parsed.environment());
        let has_shape = matches!(judged, Ok(_) | Err(ParseKeyError::Checksum));
        assert_eq!(pattern.is_match(token), has_shape, "{judged:?}");
        let rest = token.strip_prefix(self.stem.as_bytes());
        assert_eq!(format.has_prefix(token), rest.is_some());
        let Some(rest) = rest else {
            return assert_eq!(judged, Err(ParseKeyError::Prefix));
        };
        let bodies: Vec<_> = self.middles.iter().filter_map(|middle| rest.strip_prefix(middle.as_bytes())).collect();
        let longest_middle = self.middles.iter().map(String::len).max().unwrap_or_default();
        let body_length = format.longest() - self.stem.len() - longest_middle;
        let has_length = bodies.iter().any(|body| body.len() == body_length);
        match judged {
            Ok(environment) => {
                let middle = environment.map(|name| format!("{name}{}", &self.stem[self.stem.len() - 1..]));
                assert!(self.middles.contains(&middle.unwrap_or_default()) && is_token68(token));
            }
            Err(ParseKeyError::Prefix) => panic!("the prefix is there"),
            Err(ParseKeyError::Environment) => assert!(bodies.is_empty()),
            Err(ParseKeyError::Length) => assert!(!bodies.is_empty() && !has_length),
            Err(_) => assert!(has_length),
        }
    }

    /// Exchanges one character of an issued key. The token chooses the place and the new character.
    fn judge_altered(&self, format: &KeyFormat, pattern: &Regex, key: &[u8], token: &[u8]) {
        let [at, byte, ..] = *token else {
            return;
        };
        let at = usize::from(at) % key.len();
        let mut altered = key.to_vec();
        altered[at] = byte;
        self.judge(format, pattern, &altered);
        let longest_head = self.stem.len() + self.middles.iter().map(String::len).max().unwrap_or_default();
        if self.sums_crc32 && at >= longest_head && altered != key {
            assert!(format.check(&altered).is_err());
        }
    }
}

fn is_token68(token: &[u8]) -> bool {
    let text = String::from_utf8_lossy(token);
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c))
}
