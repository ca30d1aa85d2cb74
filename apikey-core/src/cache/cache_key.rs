//! What the cache knows a presented key by: its plain SHA-256, so that peppers cost nothing on a hit.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 of a presented token, as words: `subtle` compares four of them faster than 32 bytes.
#[derive(Clone, Copy)]
pub(crate) struct CacheKey([u64; 4]);

impl CacheKey {
    #[inline]
    pub(crate) fn of(token: &[u8]) -> Self {
        let bytes: [u8; 32] = Sha256::digest(token).into();
        CacheKey::from_bytes(&bytes)
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        CacheKey(words)
    }

    /// Uniform bits, as a digest's are: they place the key in a table without another hash.
    #[inline]
    pub(crate) fn words(&self) -> &[u64; 4] {
        &self.0
    }
}

impl PartialEq for CacheKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CacheKey {}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
        state.write_u64(self.0[1]);
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(..)")
    }
}

/// Hashes what is uniform already and nobody outside can choose: a word, as it is.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

pub(crate) type BuildWordHasher = BuildHasherDefault<WordHasher>;

impl Hasher for WordHasher {
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only words are hashed with this; anything else still spreads.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_known_answer_when_hashed_then_the_words_are_the_digests() {
        // FIPS 180-2, appendix B.1.
        let words = [0xba78_16bf_8f01_cfea, 0x4141_40de_5dae_2223, 0xb003_61a3_9617_7a9c, 0xb410_ff61_f200_15ad];
        assert_eq!(CacheKey::of(b"abc").words(), &words);
    }

    #[test]
    fn given_digests_that_differ_in_one_bit_when_compared_then_they_differ() {
        let bytes = [7u8; 32];
        for bit in 0..256 {
            let mut other = bytes;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(CacheKey::from_bytes(&bytes), CacheKey::from_bytes(&other));
        }
        assert_eq!(CacheKey::from_bytes(&bytes), CacheKey::from_bytes(&bytes));
    }
}
