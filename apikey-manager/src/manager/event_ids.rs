//! Ids of audit events. Events of one millisecond sort in the order in which this process made them.

use std::sync::atomic::{AtomicU64, Ordering};

use apikey_core::{KeyId, NoRandomness, Timestamp};

/// The position of the time in a generated id: 48 bits in base 32, after `key_`.
const TIME: std::ops::Range<usize> = 4..14;

#[derive(Debug, Default)]
pub(crate) struct EventIds(AtomicU64);

impl EventIds {
    /// Returns the prefix of the ids of an operation's events: the time, the operation's number, and a part that is
    /// unique to this process.
    ///
    /// Operations on one organization take their numbers in order, under that organization's lock.
    pub(super) fn next(&self, now: Timestamp) -> Result<String, NoRandomness> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let id = KeyId::generate(now)?;
        let (time, random) = (&id.as_str()[TIME], &id.as_str()[TIME.end..]);
        Ok(format!("evt_{time}{number:012x}{random}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn given_events_of_one_millisecond_when_named_then_they_sort_as_they_were_made() {
        let ids = EventIds::default();
        let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut made: Vec<_> = (0..1_000).map(|_| ids.next(now).unwrap()).collect();
        assert!(made.is_sorted());
        let before = made.clone();
        made.dedup();
        assert_eq!(made, before);
        assert!(ids.next(now + Duration::from_millis(1)).unwrap() > made[999]);
        // It must fit into a cursor.
        assert!(made[0].len() + "_000000".len() <= 64 && KeyId::new(&made[0]).is_ok());
    }
}
