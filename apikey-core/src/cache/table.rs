//! The bounded table of verified keys: buckets of one cache line, seven entries each.
//!
//! Readers take no lock. A word of tags tells which slots may contain the key, so that a lookup touches one line, the
//! slot and the entry. The word's last byte has a reference bit for each slot, for eviction by second chance. Each key
//! may be in two buckets, so nearly all slots can be used.
//!
//! Writers hold the registry's lock. They also bound the sum of the entries' bytes: a clock hand goes round the buckets
//! and removes entries that were not used since its last visit.

use std::fmt;

use arc_swap::{ArcSwapOption, Guard};

use super::{
    cache_key::CacheKey,
    entry::Entry,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

const SLOTS: usize = 7;
/// A key goes to its first bucket if that has at least this many free slots, otherwise to the emptier one.
const ROOM: u32 = 3;
/// Slots for each key of the capacity, in quarters. With six, about one random key in ten thousand finds both of its
/// buckets full when the table is filled to its capacity.
const SLOTS_PER_KEY_IN_QUARTERS: usize = 6;

pub(crate) struct Table {
    buckets: Box<[Bucket]>,
    /// The most bytes that all entries may have together.
    most_bytes: usize,
    /// The bytes that they have.
    bytes: AtomicUsize,
    /// The bucket at which the clock hand stands.
    hand: AtomicUsize,
}

#[repr(align(64))]
#[derive(Default)]
struct Bucket {
    /// Bytes 0 to 6: the slots' tags, 0 for an empty one. Byte 7: the slots' reference bits.
    tags: AtomicU64,
    slots: [ArcSwapOption<Entry>; SLOTS],
}

impl Table {
    /// Creates a table for at least `capacity` keys (apart from the few whose buckets are both full), with at most
    /// `most_bytes` together.
    pub(crate) fn new(capacity: usize, most_bytes: usize) -> Self {
        let slots = capacity.saturating_mul(SLOTS_PER_KEY_IN_QUARTERS).div_ceil(4);
        let buckets = slots.div_ceil(SLOTS).max(2);
        Table {
            buckets: std::iter::repeat_with(Bucket::default).take(buckets).collect(),
            most_bytes,
            bytes: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
        }
    }

    /// Returns the entry of `key`, in any state.
    #[inline]
    pub(crate) fn get(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let [first, second] = self.homes(key);
        let tag = tag_of(key);
        first.get(tag, key).or_else(|| second.get(tag, key))
    }

    /// Inserts `entry`. It replaces one of the same key or, if needed, entries that were not used lately. An entry
    /// larger than the bound is not kept.
    ///
    /// Returns the displaced entries, which must be dropped outside the registry's lock.
    pub(crate) fn insert(&self, entry: Arc<Entry>) -> Vec<Arc<Entry>> {
        let added = entry.bytes();
        if added > self.most_bytes {
            // One under the same key would be older.
            return self.find(entry.cache_key()).and_then(|older| self.remove(&older)).into_iter().collect();
        }
        self.bytes.fetch_add(added, Ordering::Relaxed);
        let mut displaced = Vec::from_iter(self.place(entry));
        displaced.iter().for_each(|entry| self.discount(entry));
        // Two rounds at most: the first may only clear reference bits.
        let mut left = 2 * self.buckets.len();
        while self.bytes.load(Ordering::Relaxed) > self.most_bytes && left > 0 {
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % self.buckets.len();
            self.buckets[at].take_unused(
                || self.bytes.load(Ordering::Relaxed) > self.most_bytes,
                |entry| {
                    self.discount(&entry);
                    displaced.push(entry);
                },
            );
            left -= 1;
        }
        displaced
    }

    fn discount(&self, entry: &Entry) {
        self.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
    }

    /// Returns the entry of `key`, without setting its reference bit.
    fn find(&self, key: &CacheKey) -> Option<Arc<Entry>> {
        let tag = tag_of(key);
        self.homes(key).into_iter().find_map(|bucket| bucket.slots[bucket.find(tag, key)?].load_full())
    }

    fn place(&self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let key = *entry.cache_key();
        let tag = tag_of(&key);
        let homes = self.homes(&key);
        for bucket in homes {
            if let Some(slot) = bucket.find(tag, &key) {
                return bucket.put(slot, tag, Some(entry));
            }
        }
        let [first, second] = homes;
        let bucket = match (first.free(), second.free()) {
            (free, _) if free >= ROOM => first,
            (one, other) if one >= other => first,
            _ => second,
        };
        // Bits that are in no index and no tag: the slot at which the search for a victim begins.
        let hand = (key.words()[3] % SLOTS as u64) as usize;
        bucket.put(bucket.empty_or_victim(hand), tag, Some(entry))
    }

    /// Removes `entry` itself, if it is still there. Another entry of the same key stays.
    pub(crate) fn remove(&self, entry: &Entry) -> Option<Arc<Entry>> {
        let key = entry.cache_key();
        let tag = tag_of(key);
        let removed = self.homes(key).into_iter().find_map(|bucket| {
            let slot = bucket.find(tag, key)?;
            let is_same = bucket.slots[slot].load().as_deref().is_some_and(|found| std::ptr::eq(found, entry));
            is_same.then(|| bucket.put(slot, 0, None)).flatten()
        });
        removed.inspect(|removed| self.discount(removed))
    }

    fn homes(&self, key: &CacheKey) -> [&Bucket; 2] {
        let words = key.words();
        [words[0], words[2]].map(|word| {
            // The word's share of the table (Lemire's range reduction): any number of buckets will do.
            let index = (u128::from(word) * self.buckets.len() as u128) >> 64;
            &self.buckets[index as usize]
        })
    }
}

fn tag_of(key: &CacheKey) -> u8 {
    (key.words()[1] as u8).max(1)
}

impl Bucket {
    #[inline]
    fn get(&self, tag: u8, key: &CacheKey) -> Option<Arc<Entry>> {
        let tags = self.tags.load(Ordering::Acquire);
        for slot in slots_with(tags, tag) {
            let guard = self.slots[slot].load();
            if guard.as_ref().is_some_and(|entry| entry.cache_key() == key) {
                let reference = 1 << (8 * SLOTS + slot);
                // Written only if unset, so that the line of a hot key stays shared among cores.
                if tags & reference == 0 {
                    self.tags.fetch_or(reference, Ordering::Relaxed);
                }
                return Guard::into_inner(guard);
            }
        }
        None
    }

    fn find(&self, tag: u8, key: &CacheKey) -> Option<usize> {
        slots_with(self.tags.load(Ordering::Acquire), tag)
            .find(|slot| self.slots[*slot].load().as_ref().is_some_and(|entry| entry.cache_key() == key))
    }

    fn free(&self) -> u32 {
        slots_with(self.tags.load(Ordering::Relaxed), 0).count() as u32
    }

    fn empty_or_victim(&self, hand: usize) -> usize {
        let tags = self.tags.load(Ordering::Relaxed);
        if let Some(empty) = slots_with(tags, 0).next() {
            return empty;
        }
        let unused = |slot: &usize| tags & (1 << (8 * SLOTS + slot)) == 0;
        let victim = (hand..SLOTS).chain(0..hand).find(unused);
        victim.unwrap_or_else(|| {
            // All were used since the last round, so a new round begins.
            self.tags.fetch_and(u64::MAX >> 8, Ordering::Relaxed);
            hand
        })
    }

    /// Removes entries that were not used since the last visit, while `more` returns `true`, and clears the reference
    /// bits of the others.
    fn take_unused(&self, mut more: impl FnMut() -> bool, mut taken: impl FnMut(Arc<Entry>)) {
        let tags = self.tags.fetch_and(u64::MAX >> 8, Ordering::Relaxed);
        for slot in (0..SLOTS).filter(|slot| tags & (1 << (8 * SLOTS + slot)) == 0) {
            if more()
                && let Some(entry) = self.put(slot, 0, None)
            {
                taken(entry);
            }
        }
    }

    fn put(&self, slot: usize, tag: u8, entry: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
        let displaced = self.slots[slot].swap(entry);
        let clear = !(0xff << (8 * slot) | 1 << (8 * SLOTS + slot));
        let set = u64::from(tag) << (8 * slot);
        // Readers may set reference bits meanwhile.
        let mut tags = self.tags.load(Ordering::Relaxed);
        while let Err(now) =
            self.tags.compare_exchange_weak(tags, tags & clear | set, Ordering::Release, Ordering::Relaxed)
        {
            tags = now;
        }
        displaced
    }
}

/// Returns the slots with this tag, in order.
#[inline]
fn slots_with(tags: u64, tag: u8) -> impl Iterator<Item = usize> {
    (0..SLOTS).filter(move |slot| (tags >> (8 * slot)) as u8 == tag)
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("buckets", &self.buckets.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::tests::{entry_for, entry_with, shared};

    const UNBOUNDED: usize = usize::MAX;

    fn key(n: usize) -> CacheKey {
        CacheKey::of(format!("key number {n}").as_bytes())
    }

    #[test]
    fn given_a_table_filled_to_its_capacity_when_looked_up_then_nearly_all_keys_are_there() {
        let shared = shared();
        for capacity in [100, 10_000] {
            let table = Table::new(capacity, UNBOUNDED);
            let displaced = (0..capacity).map(|n| table.insert(entry_for(&shared, key(n))).len()).sum::<usize>();
            let found = (0..capacity).filter(|n| table.get(&key(*n)).is_some()).count();
            assert_eq!(found + displaced, capacity);
            assert!(displaced * 1_000 <= capacity + 1_000, "{displaced} of {capacity} found no room");
        }
    }

    #[test]
    fn given_far_more_keys_than_slots_when_inserted_then_the_table_stays_bounded() {
        let shared = shared();
        let table = Table::new(70, UNBOUNDED);
        let displaced = (0..10_000).map(|n| table.insert(entry_for(&shared, key(n))).len()).sum::<usize>();
        assert_eq!(10_000 - displaced, table.buckets.len() * SLOTS);
        assert!(table.buckets.len() * SLOTS <= 112);
    }

    #[test]
    fn given_keys_in_use_when_others_flood_the_table_then_those_in_use_stay() {
        let shared = shared();
        let table = Table::new(700, UNBOUNDED);
        let hot: Vec<_> = (0..50).map(key).collect();
        for key in &hot {
            table.insert(entry_for(&shared, *key));
        }
        let mut hits = 0;
        for n in 1_000..11_000 {
            table.insert(entry_for(&shared, key(n)));
            hits += usize::from(table.get(&hot[n % hot.len()]).is_some());
        }
        // A key falls only if its bucket sees seven newcomers between two of its uses.
        assert!(hits > 9_900, "{hits} of 10000");
    }

    #[test]
    fn given_an_entry_under_the_same_key_when_inserted_then_it_takes_the_others_place() {
        let shared = shared();
        let table = Table::new(10, UNBOUNDED);
        let (old, new) = (entry_for(&shared, key(1)), entry_for(&shared, key(1)));
        assert!(table.insert(Arc::clone(&old)).is_empty());
        let displaced = table.insert(Arc::clone(&new));
        assert!(displaced.len() == 1 && Arc::ptr_eq(&displaced[0], &old));
        assert!(table.get(&key(1)).is_some_and(|found| Arc::ptr_eq(&found, &new)));
        assert!(table.remove(&old).is_none(), "another entry stays");
        assert!(table.remove(&new).is_some_and(|removed| Arc::ptr_eq(&removed, &new)));
        assert!(table.get(&key(1)).is_none());
        assert!(table.remove(&new).is_none());
    }

    #[test]
    fn given_entries_with_more_bytes_than_fit_when_inserted_then_their_sum_stays_within_bounds() {
        let shared = shared();
        let most = 1 << 20;
        let table = Table::new(10_000, most);
        let mut kept = std::collections::HashMap::new();
        for n in 0..3_000 {
            let entry = entry_with(&shared, key(n % 2_000), [0, 100, 8_000][n % 3]);
            kept.insert(*entry.cache_key(), entry.bytes());
            for displaced in table.insert(entry) {
                if table.get(displaced.cache_key()).is_none() {
                    kept.remove(displaced.cache_key());
                }
            }
            let sum: usize = kept.values().sum();
            assert!(sum <= most && sum == table.bytes.load(Ordering::Relaxed), "{n}: {sum}");
        }
        assert!(kept.values().sum::<usize>() > most / 2, "what fits is kept");
        let last = key(2_999 % 2_000);
        assert!(table.get(&last).is_some_and(|entry| table.remove(&entry).is_some()));
        assert!(table.bytes.load(Ordering::Relaxed) < most);
    }

    #[test]
    fn given_an_entry_that_alone_has_too_many_bytes_when_inserted_then_others_stay() {
        let shared = shared();
        let table = Table::new(100, 4_096);
        assert!(table.insert(entry_for(&shared, key(1))).is_empty());
        assert!(table.insert(entry_for(&shared, key(2))).is_empty());
        assert_eq!(table.insert(entry_with(&shared, key(1), 8_000)).len(), 1, "an older one under its key goes");
        assert!(table.get(&key(1)).is_none() && table.get(&key(2)).is_some());
    }

    #[test]
    fn given_a_key_in_use_when_large_ones_flood_the_table_then_it_stays() {
        let shared = shared();
        let table = Table::new(10_000, 1 << 20);
        table.insert(entry_for(&shared, key(0)));
        let mut hits = 0;
        for n in 1..2_000 {
            table.insert(entry_with(&shared, key(n), 8_000));
            hits += usize::from(table.get(&key(0)).is_some());
        }
        assert_eq!(hits, 1_999);
    }

    #[test]
    fn given_a_bucket_when_its_size_is_taken_then_it_is_one_cache_line() {
        assert_eq!(size_of::<Bucket>(), 64);
    }
}
