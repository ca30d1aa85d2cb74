//! Validation of names, descriptions, reasons and ids: visible characters, and white space between them.
//!
//! People tell keys apart by what a list displays, so characters are refused that are invisible or change how the text
//! around them is displayed. These are control characters and separators of lines and paragraphs (Unicode's general
//! categories Cc, Zl and Zp), all `Default_Ignorable_Code_Point`, which include `Bidi_Control`, and the other format
//! characters (Cf) except the visible ones (`Prepended_Concatenation_Mark`). Right-to-left letters are ordinary
//! letters. UTR #36 §2.5 and UTS #55 §4.1 describe the attacks.
//!
//! Some invisible characters are needed, and are accepted in their place. The joiners U+200C and U+200D shape words in
//! scripts such as Arabic and Devanagari (UAX #31 §2.3.1) and combine several emoji into one (UTS #51, ED-16). They are
//! accepted between two characters of such scripts or of the pictograph blocks. The selectors U+FE0E and U+FE0F choose
//! a pictograph's style (ED-9a). They are accepted directly after it, or between a character and U+20E3, a keycap. The
//! variation selectors of Han, mathematics and Mongolian are refused.

/// Ranges of characters that are invisible or change how the text around them is displayed, as of Unicode 16.0.
const HIDDEN: &[(char, char)] = &[
    ('\0', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Blocks of scripts that use joiners, without their hidden characters.
const JOINED: &[(char, char)] = &[
    ('\u{600}', '\u{61b}'),
    ('\u{61d}', '\u{109f}'),
    ('\u{1780}', '\u{17b3}'),
    ('\u{17b6}', '\u{180a}'),
    ('\u{1810}', '\u{18af}'),
    ('\u{1900}', '\u{1c7f}'),
    ('\u{1cd0}', '\u{1cff}'),
    ('\u{a800}', '\u{a95f}'),
    ('\u{a980}', '\u{aaff}'),
    ('\u{abc0}', '\u{abff}'),
    ('\u{10a00}', '\u{11fff}'),
    ('\u{1e900}', '\u{1e95f}'),
];

/// Pictographs, and the blocks that contain most of them.
const PICTOGRAPHS: &[(char, char)] = &[
    ('\u{a9}', '\u{a9}'),
    ('\u{ae}', '\u{ae}'),
    ('\u{203c}', '\u{203c}'),
    ('\u{2049}', '\u{2049}'),
    ('\u{2122}', '\u{2122}'),
    ('\u{2139}', '\u{2139}'),
    ('\u{2190}', '\u{23ff}'),
    ('\u{24c2}', '\u{24c2}'),
    ('\u{25a0}', '\u{27bf}'),
    ('\u{2900}', '\u{297f}'),
    ('\u{2b00}', '\u{2bff}'),
    ('\u{3030}', '\u{3030}'),
    ('\u{303d}', '\u{303d}'),
    ('\u{3297}', '\u{3297}'),
    ('\u{3299}', '\u{3299}'),
    ('\u{1f000}', '\u{1faff}'),
];

const KEYCAP: char = '\u{20e3}';
/// Unicode does not count it as white space, but it is blank.
const BLANK_BRAILLE: char = '\u{2800}';

/// What was just read, which determines what may follow.
#[derive(Clone, Copy)]
enum Behind {
    /// Any visible character may follow.
    Start,
    /// Any visible character or a keycap's selector may follow.
    Plain,
    /// Any visible character or a joiner may follow.
    Joined,
    /// Any visible character, a joiner or a selector may follow.
    Pictograph,
    /// Only a character that joins may follow.
    Joiner,
    /// Only the keycap may follow.
    Selector,
}

/// Returns the first character that is not allowed in its place.
#[must_use]
pub fn hidden(text: &str) -> Option<char> {
    let (mut behind, mut last) = (Behind::Start, '\0');
    for c in text.chars() {
        behind = match (c, behind) {
            ('\u{200c}' | '\u{200d}', Behind::Joined | Behind::Pictograph) => Behind::Joiner,
            // A pictograph with a selector may still be joined.
            ('\u{fe0e}' | '\u{fe0f}', Behind::Pictograph) => Behind::Joined,
            ('\u{fe0e}' | '\u{fe0f}', Behind::Plain) => Behind::Selector,
            (KEYCAP, Behind::Selector) => Behind::Start,
            _ if is_in(HIDDEN, c) => return Some(c),
            (_, Behind::Selector) => return Some(last),
            _ if is_in(JOINED, c) => Behind::Joined,
            _ if is_in(PICTOGRAPHS, c) => Behind::Pictograph,
            (_, Behind::Joiner) => return Some(last),
            _ => Behind::Plain,
        };
        last = c;
    }
    matches!(behind, Behind::Joiner | Behind::Selector).then_some(last)
}

/// Returns `true` if the text has no visible character.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == BLANK_BRAILLE || is_in(HIDDEN, c))
}

/// Returns `true` if the text is a valid name: something of it is visible, nothing is hidden, and it has at most
/// `longest` characters.
#[must_use]
pub fn is_name(text: &str, longest: usize) -> bool {
    text.chars().nth(longest).is_none() && !is_blank(text) && hidden(text).is_none()
}

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= c);
    after.checked_sub(1).is_some_and(|at| c <= ranges[at].1)
}

/// Returns a regular expression that every valid name, description, reason and host's id matches: ECMA-262 with the
/// flag `u`, as JSON Schema uses it, for a service's own OpenAPI document.
///
/// It is a single character class, so that tools can generate values from it. It includes joiners and selectors, which
/// are refused in other places.
///
/// ```
/// let pattern = apikey_core::text::pattern();
/// assert!(pattern.starts_with("^[^") && pattern.ends_with("]*$"));
/// ```
#[must_use]
pub fn pattern() -> String {
    let hidden = HIDDEN.iter().flat_map(|(first, last)| match (first, last) {
        ('\u{200b}', '\u{200f}') => vec![('\u{200b}', '\u{200b}'), ('\u{200e}', '\u{200f}')],
        ('\u{fe00}', '\u{fe0f}') => vec![('\u{fe00}', '\u{fe0d}')],
        _ => vec![(*first, *last)],
    });
    // Characters beyond U+FFFF stand for themselves, because regular expressions differ in how they write longer
    // numbers.
    let written = |c: char| match u16::try_from(c) {
        Ok(unit) => format!(r"\u{unit:04x}"),
        Err(_) => c.to_string(),
    };
    let range = |(first, last)| match first == last {
        true => written(first),
        false => format!("{}-{}", written(first), written(last)),
    };
    format!("^[^{}]*$", hidden.map(range).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::LazyLock};

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// Checks every character against its Unicode properties.
    #[test]
    fn given_each_character_when_looked_up_then_it_is_hidden_as_unicode_says() {
        let of_unicode = Regex::new(
            r"[\p{Cc}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}[\p{Cf}--\p{Prepended_Concatenation_Mark}]]",
        );
        let all: String = ('\0'..=char::MAX).collect();
        let of_unicode: HashSet<_> =
            of_unicode.unwrap().find_iter(&all).flat_map(|found| found.as_str().chars()).collect();
        assert!(of_unicode.len() > 4_000);
        for c in all.chars() {
            let is_hidden = hidden(c.encode_utf8(&mut [0; 4])).is_some();
            assert_eq!(is_hidden, of_unicode.contains(&c), "{}", c.escape_unicode());
            assert!(is_in(HIDDEN, c) || !(is_in(JOINED, c) && is_in(PICTOGRAPHS, c)), "{}", c.escape_unicode());
        }
        for ranges in [HIDDEN, JOINED, PICTOGRAPHS] {
            assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }

    #[test]
    fn given_texts_of_many_scripts_when_checked_then_those_that_show_what_they_are_pass() {
        let good = [
            "nightly-build",
            "Zoë's key",
            "ключ",
            "مفتاح",
            "מפתח",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "ශ්\u{200d}රී",
            "日本語のキー",
            "한국어",
            "ไทย",
            "e\u{301}",
            "🔑",
            "👩\u{200d}💻",
            "👩🏽\u{200d}💻",
            "🏳\u{fe0f}\u{200d}🌈",
            "❤\u{fe0f} deploy",
            "⚙\u{fe0e}",
            "1\u{fe0f}\u{20e3}",
            "a\u{a0}b",
            "全\u{3000}角",
        ];
        for text in good {
            assert_eq!((hidden(text), is_blank(text)), (None, false), "{text:?}");
        }
        let bad = [
            ("abc\u{202e}gpj.exe", '\u{202e}'),
            ("\u{2066}x\u{2069}", '\u{2066}'),
            ("adm\u{200b}in", '\u{200b}'),
            ("adm\u{200d}in", '\u{200d}'),
            ("adm\u{200c}in", '\u{200c}'),
            ("admin\u{fe0f}", '\u{fe0f}'),
            ("\u{fe0f}\u{20e3}", '\u{fe0f}'),
            ("1\u{fe0f}\u{20e3}\u{fe0f}\u{20e3}", '\u{fe0f}'),
            ("❤\u{fe0f}\u{fe0f}", '\u{fe0f}'),
            ("می\u{200c}", '\u{200c}'),
            ("می\u{200c}\u{200c}خواهم", '\u{200c}'),
            ("\u{200d}💻", '\u{200d}'),
            ("a\u{2028}b", '\u{2028}'),
            ("a\u{ad}b", '\u{ad}'),
            ("a\u{3164}", '\u{3164}'),
            ("\u{feff}a", '\u{feff}'),
            ("a\u{e0041}", '\u{e0041}'),
            ("a\nb", '\n'),
            ("a\0", '\0'),
        ];
        for (text, at) in bad {
            assert_eq!(hidden(text), Some(at), "{text:?}");
        }
        for blank in ["", " ", "\t", "\u{a0}\u{3000}", "\u{2800}", "\u{200b}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
    }

    proptest! {
        #[test]
        fn given_any_text_when_checked_then_the_pattern_says_the_same_of_all_but_joiners_and_selectors(
            text in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        '\u{200c}', '\u{200d}', '\u{fe0e}', '\u{fe0f}', '\u{20e3}', '1', ' ', 'ا', 'क', '❤', '👩', '\u{202e}',
                    ]),
                    any::<char>(),
                ],
                0..8,
            )
        ) {
            static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(&pattern()).unwrap());
            let text: String = text.into_iter().collect();
            let in_context = |c: char| matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
            match hidden(&text) {
                None => prop_assert!(PATTERN.is_match(&text), "{:?}", text),
                Some(c) => prop_assert!(!PATTERN.is_match(&text) || in_context(c), "{:?}", text),
            }
            let without: String = text.chars().filter(|c| !in_context(*c)).collect();
            prop_assert_eq!(hidden(&without).is_none(), PATTERN.is_match(&text), "{:?}", text);
        }
    }
}
