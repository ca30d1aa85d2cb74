//! The cache's key: the plain SHA-256 of a presented key, so that peppers cost nothing on a hit.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    slice,
};

use sha2::{Digest, Sha256, block_api::compress256};
use subtle::ConstantTimeEq;

/// A block is 64 bytes, of which the padding takes at least nine.
const LONGEST_IN_ONE_BLOCK: usize = 55;

/// FIPS 180-4, §5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The SHA-256 of a presented token, as words: `subtle` compares four of them faster than 32 bytes.
#[derive(Clone, Copy)]
pub(crate) struct CacheKey([u64; 4]);

impl CacheKey {
    #[inline]
    pub(crate) fn of(token: &[u8]) -> Self {
        if token.len() <= LONGEST_IN_ONE_BLOCK {
            return CacheKey::of_one_block(token);
        }
        let bytes: [u8; 32] = Sha256::digest(token).into();
        CacheKey::from_bytes(&bytes)
    }

    /// Most keys fit into one block (FIPS 180-4, §5.1.1), and the hasher's buffer would cost a quarter of the whole.
    #[inline]
    fn of_one_block(token: &[u8]) -> Self {
        let mut block = [0; 64];
        block[..token.len()].copy_from_slice(token);
        block[token.len()] = 0x80;
        block[56..].copy_from_slice(&(8 * token.len() as u64).to_be_bytes());
        let mut state = INITIAL;
        compress256(&mut state, slice::from_ref(&block));
        // Overwritten like the hasher's buffer, but not byte by byte.
        block = [0; 64];
        zeroize::optimization_barrier(&block);
        let [a, b, c, d, e, f, g, h] = state.map(u64::from);
        CacheKey([a << 32 | b, c << 32 | d, e << 32 | f, g << 32 | h])
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        CacheKey(words)
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *bytes = word.to_be_bytes();
        }
        bytes
    }

    /// Returns uniform bits, which place the key in a table without another hash.
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

/// A hasher for words that are uniform already and that no caller can choose.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

pub(crate) type BuildWordHasher = BuildHasherDefault<WordHasher>;

impl Hasher for WordHasher {
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only words are hashed with this. Other input still spreads.
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
    fn given_tokens_of_every_length_when_hashed_then_the_words_are_the_hashers() {
        let token: Vec<u8> = (1..=200).collect();
        for length in 0..=token.len() {
            let digest: [u8; 32] = Sha256::digest(&token[..length]).into();
            assert_eq!(CacheKey::of(&token[..length]).words(), CacheKey::from_bytes(&digest).words(), "{length}");
        }
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
