//! The characters of a key's random part, and the bits that they carry.

/// The characters of a key's random part.
///
/// ```
/// use apikey_core::{Alphabet, Checksum, KeyFormat};
///
/// let format = KeyFormat::builder("tc")
///     .alphabet(Alphabet::Base64Url)
///     .entropy_bits(256)
///     .checksum(Checksum::None)
///     .build()?;
/// assert_eq!(format.generate()?.expose_secret().len(), "tc_".len() + 43);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A checksum's digits are base62 in any alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Alphabet {
    /// `0-9A-Za-z`, the default: a double click selects the whole key. 5.95 bits a character.
    Base62,
    /// `A-Za-z0-9+/` without padding (RFC 4648 §4). 6 bits a character.
    Base64,
    /// `A-Za-z0-9-_` without padding (RFC 4648 §5). 6 bits a character.
    Base64Url,
    /// `0-9a-f`, lower case only. 4 bits a character.
    Hex,
}

pub(super) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Alphabet {
    /// Returns the name in error messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Base62 => "base62",
            Self::Base64 => "base64",
            Self::Base64Url => "base64url",
            Self::Hex => "hex",
        }
    }

    /// Returns the characters in the order of their values.
    pub(super) const fn characters(self) -> &'static [u8] {
        match self {
            Self::Base62 => BASE62,
            Self::Base64 => BASE64,
            Self::Base64Url => BASE64_URL,
            Self::Hex => HEX,
        }
    }

    /// Returns the default number of random characters: 176 bits or more.
    pub(super) const fn default_length(self) -> usize {
        match self {
            Self::Base62 | Self::Base64 | Self::Base64Url => 30,
            Self::Hex => 44,
        }
    }

    /// Returns the bits that `length` random characters carry, rounded down.
    pub(super) const fn entropy_bits(self, length: usize) -> usize {
        match self {
            // log2(62), truncated to six decimals, so that it is never too high.
            Self::Base62 => length.saturating_mul(5_954_196) / 1_000_000,
            Self::Base64 | Self::Base64Url => length.saturating_mul(6) - self.unused_bits(length) as usize,
            Self::Hex => length.saturating_mul(4),
        }
    }

    /// Returns the low bits of the last of `length` characters that encode no byte. They are zero in canonical text.
    ///
    /// One character more than a multiple of four encodes no number of bytes, so all of its bits are used.
    pub(super) const fn unused_bits(self, length: usize) -> u32 {
        match (self, length % 4) {
            (Self::Base64 | Self::Base64Url, 2) => 4,
            (Self::Base64 | Self::Base64Url, 3) => 2,
            _ => 0,
        }
    }

    /// Returns `true` if all characters of `text` are in this alphabet.
    pub(super) fn contains_all(self, text: &[u8]) -> bool {
        let member = 1 << self as u8;
        text.iter().all(|&byte| MEMBERS[usize::from(byte)] & member != 0)
    }
}

/// For each byte, the set of alphabets that contain it, one bit each.
const MEMBERS: [u8; 256] = {
    let mut table = [0; 256];
    let alphabets = [Alphabet::Base62, Alphabet::Base64, Alphabet::Base64Url, Alphabet::Hex];
    let mut which = 0;
    while which < alphabets.len() {
        let alphabet = alphabets[which];
        let characters = alphabet.characters();
        let mut at = 0;
        while at < characters.len() {
            table[characters[at] as usize] |= 1 << alphabet as u8;
            at += 1;
        }
        which += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Alphabet; 4] = [Alphabet::Base62, Alphabet::Base64, Alphabet::Base64Url, Alphabet::Hex];

    #[test]
    fn given_each_byte_when_looked_up_then_exactly_the_listed_characters_belong() {
        for alphabet in ALL {
            for byte in 0..=u8::MAX {
                let listed = alphabet.characters().contains(&byte);
                assert_eq!(alphabet.contains_all(&[byte]), listed, "{alphabet:?} {byte:#04x}");
                assert_eq!(alphabet.contains_all(&[b'0', byte, b'0']), listed);
            }
            assert!(alphabet.contains_all(b""));
        }
    }

    #[test]
    fn given_the_alphabets_when_ordered_then_base62_is_digits_upper_lower() {
        assert!(BASE62.is_sorted());
        assert_eq!((BASE62[0], BASE62[10], BASE62[36]), (b'0', b'A', b'a'));
        assert_eq!((BASE64[0], BASE64[26], BASE64[52]), (b'A', b'a', b'0'));
        assert_eq!(&BASE64[62..], b"+/");
        assert_eq!(&BASE64_URL[62..], b"-_");
    }

    #[test]
    fn given_a_length_when_its_entropy_is_counted_then_it_is_never_rounded_up() {
        for length in 0..=512 {
            let exact = (length as f64) * 62_f64.log2();
            let counted = Alphabet::Base62.entropy_bits(length) as f64;
            assert!(counted <= exact && exact - counted < 1.01, "{length}");
            assert_eq!(Alphabet::Hex.entropy_bits(length), 4 * length);
        }
        let canonical = [(22, 128), (30, 176), (40, 240), (41, 246), (42, 248), (43, 256)];
        for (length, bits) in canonical {
            assert_eq!(Alphabet::Base64.entropy_bits(length), bits, "{length}");
            assert_eq!(Alphabet::Base64Url.entropy_bits(length), bits, "{length}");
        }
        for alphabet in ALL {
            assert!(alphabet.entropy_bits(alphabet.default_length()) >= 176);
            // A longer part never has fewer bits; otherwise a shortest length for some bits would not exist.
            assert!((0..512).all(|n| alphabet.entropy_bits(n) <= alphabet.entropy_bits(n + 1)));
            let _ = alphabet.entropy_bits(usize::MAX);
        }
    }
}
