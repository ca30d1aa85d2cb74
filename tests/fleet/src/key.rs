//! States as bytes: exact, small, and without what makes no difference.

use std::hash::Hasher;

/// Writes what is hashed into a buffer, each number in as few bytes as it needs.
///
/// What derived `Hash`es write can be told apart again, so equal buffers mean equal states. The one exception is intended:
/// beats, the only signed numbers, are written as their ranks among the beats of their node. Nothing but their order ever
/// matters, and without this the states would be infinitely many.
#[derive(Debug, Default)]
pub(crate) struct Key {
    pub(crate) bytes: Vec<u8>,
    ranks: Vec<i64>,
}

impl Key {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The beats that occur in what is written next.
    pub(crate) fn rank(&mut self, beats: impl Iterator<Item = i64>) {
        self.ranks.clear();
        self.ranks.extend(beats);
        self.ranks.sort_unstable();
        self.ranks.dedup();
    }

    fn number(&mut self, mut number: u128) {
        // Whole seconds and halves of them take one byte.
        const HALF: u128 = 500_000_000;
        number = if number != 0 && number.is_multiple_of(HALF) { number / HALF * 2 + 1 } else { number * 2 };
        while number >= 128 {
            self.bytes.push((number % 128) as u8 + 128);
            number /= 128;
        }
        self.bytes.push(number as u8);
    }
}

impl Hasher for Key {
    fn finish(&self) -> u64 {
        unreachable!("the bytes are the key")
    }

    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn write_u8(&mut self, number: u8) {
        self.bytes.push(number);
    }

    fn write_u32(&mut self, number: u32) {
        self.number(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.number(number.into());
    }

    fn write_u128(&mut self, number: u128) {
        self.number(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.number(number as u128);
    }

    fn write_isize(&mut self, discriminant: isize) {
        self.bytes.push(u8::try_from(discriminant).expect("few variants"));
    }

    fn write_i64(&mut self, beat: i64) {
        let rank = self.ranks.binary_search(&beat).expect("every beat is ranked");
        self.bytes.push(u8::try_from(rank).expect("few beats"));
    }
}
