//! Hints: enough of a secret to recognize it, and far too little to guess it.

use apikey_core::{KeyFormat, PlaintextKey};

/// The number of random characters shown at each end.
const SHOWN: usize = 4;
/// With fewer random characters than this, only the last ones are shown.
const LONG: usize = 30;

/// Returns the prefix with the environment and up to eight random characters, such as `tsk_live_7fQ2…9dKp`.
///
/// `environment` is the one that the key's text names. Empty for keys too short to show anything of.
pub(crate) fn hint_of(key: &PlaintextKey, format: &KeyFormat, environment: Option<&str>) -> String {
    let text = key.expose_secret();
    let separated = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
    let head = separated(format.prefix()) + separated(environment);
    let random = text.len().saturating_sub(head);
    let start = if random >= LONG { head + SHOWN } else { head };
    match (text.get(..start), text.get(text.len().saturating_sub(SHOWN)..)) {
        (Some(start), Some(end)) if random >= 4 * SHOWN => format!("{start}…{end}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_keys_when_hinted_then_prefix_and_ends_show_and_no_more() {
        let format = KeyFormat::builder("tsk").environment("live").build().unwrap();
        let key = format.generate().unwrap();
        let text = key.expose_secret();
        let hint = hint_of(&key, &format, Some("live"));
        assert_eq!(hint, format!("{}…{}", &text[..13], &text[text.len() - 4..]));
        let plain = KeyFormat::builder("tc").entropy_bits(128).build().unwrap();
        let key = plain.generate().unwrap();
        let text = key.expose_secret();
        assert_eq!(hint_of(&key, &plain, None), format!("tc_…{}", &text[text.len() - 4..]));
    }

    #[test]
    fn given_a_short_legacy_key_when_hinted_then_nothing_shows() {
        let legacy = KeyFormat::legacy(8..=40).unwrap();
        assert_eq!(hint_of(&"0123456789".parse().unwrap(), &legacy, None), "");
    }
}
