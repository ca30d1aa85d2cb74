//! Hints: enough of a secret to recognize it, and far too little to guess it.

use super::KeyFormat;
use crate::key::plaintext::PlaintextKey;

/// The number of random characters shown at each end.
const SHOWN: usize = 4;
/// With fewer random characters than this, only the last ones are shown.
const LONG: usize = 30;

impl KeyFormat {
    /// Returns the beginning and the end of a key, to recognize it, such as `tsk_live_7fQ2…9dKp`.
    ///
    /// ```
    /// # use apikey_core::KeyFormat;
    /// let format = KeyFormat::builder("tsk").environment("live").build()?;
    /// let key = format.generate()?;
    /// let hint = format.hint(&key, Some("live"));
    /// assert!(hint.starts_with("tsk_live_"));
    /// assert_eq!(hint.chars().count(), "tsk_live_".len() + 4 + 1 + 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `environment` is the one that the key's text names. Up to eight random characters show. Empty for keys too short to
    /// show anything of.
    #[must_use]
    pub fn hint(&self, key: &PlaintextKey, environment: Option<&str>) -> String {
        let text = key.expose_secret();
        let separated = |part: Option<&str>| part.map_or(0, |part| part.len() + 1);
        let head = separated(self.prefix()) + separated(environment);
        let random = text.len().saturating_sub(head);
        let start = if random >= LONG { head + SHOWN } else { head };
        match (text.get(..start), text.get(text.len().saturating_sub(SHOWN)..)) {
            (Some(start), Some(end)) if random >= 4 * SHOWN => format!("{start}…{end}"),
            _ => String::new(),
        }
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
        let hint = format.hint(&key, Some("live"));
        assert_eq!(hint, format!("{}…{}", &text[..13], &text[text.len() - 4..]));
        let plain = KeyFormat::builder("tc").entropy_bits(128).build().unwrap();
        let key = plain.generate().unwrap();
        let text = key.expose_secret();
        assert_eq!(plain.hint(&key, None), format!("tc_…{}", &text[text.len() - 4..]));
    }

    #[test]
    fn given_a_short_legacy_key_when_hinted_then_nothing_shows() {
        let legacy = KeyFormat::legacy(8..=40).unwrap();
        assert_eq!(legacy.hint(&"0123456789".parse().unwrap(), None), "");
    }
}
