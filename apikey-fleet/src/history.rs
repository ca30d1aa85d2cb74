//! The changes of one database, in the order of their commits.

/// The number of a change. Each committed change has the number after the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The state before any change.
    pub const ZERO: Self = Revision(0);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Revision(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A random number that a change was given. Two histories that part, as after a restored backup, have equal revisions but
/// not equal nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(u128);

impl Nonce {
    /// The nonce with this value.
    #[must_use]
    pub const fn new(value: u128) -> Self {
        Nonce(value)
    }

    /// Returns the value.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }
}

/// A point in one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// How many changes there were.
    pub revision: Revision,
    /// The nonce of the last of them.
    pub nonce: Nonce,
}

/// One committed change. `T` says what it ends: keys, secrets, organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change<T> {
    /// Where it stands in its history.
    pub mark: Mark,
    /// Whether somebody waits until nodes have applied it. Nobody waits for a new key.
    pub awaited: bool,
    /// What to end in the cache.
    pub targets: T,
}

/// Returns `true` if `changes`, read from `applied` on, lead from `applied` to `head` without a gap and in one history.
pub(crate) fn leads_to<T>(changes: &[Change<T>], applied: Mark, head: Mark) -> bool {
    if head.revision == applied.revision {
        // The head bears the nonce of the change at its revision, so the change itself may have been pruned.
        return head == applied;
    }
    let numbers = changes.iter().map(|change| change.mark.revision.0);
    changes.first().is_some_and(|change| change.mark == applied)
        && changes.last().is_some_and(|change| change.mark == head)
        && numbers.eq(applied.revision.0..=head.revision.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(revision: u64, nonce: u128) -> Mark {
        Mark { revision: Revision(revision), nonce: Nonce(nonce) }
    }

    fn changes<const N: usize>(marks: [(u64, u128); N]) -> [Change<()>; N] {
        marks.map(|(revision, nonce)| Change { mark: mark(revision, nonce), awaited: true, targets: () })
    }

    #[test]
    fn given_changes_when_followed_then_only_a_whole_chain_of_one_history_leads_on() {
        let applied = mark(4, 40);
        assert!(leads_to(&changes([(4, 40), (5, 50), (6, 60)]), applied, mark(6, 60)));
        assert!(leads_to(&changes([]), applied, applied), "pruned, but nothing is new");
        for (what, list, head) in [
            ("the first is pruned", vec![(5, 50), (6, 60)], mark(6, 60)),
            ("the first is another history's", vec![(4, 41), (5, 50), (6, 60)], mark(6, 60)),
            ("one is missing", vec![(4, 40), (6, 60)], mark(6, 60)),
            ("one is there twice", vec![(4, 40), (5, 50), (5, 50), (6, 60)], mark(6, 60)),
            ("the last is missing", vec![(4, 40), (5, 50)], mark(6, 60)),
            ("the last is another than the head", vec![(4, 40), (5, 51)], mark(5, 50)),
            ("all are missing", vec![], mark(6, 60)),
            ("the head is another history's", vec![(4, 40)], mark(4, 41)),
            ("the head is behind", vec![], mark(3, 30)),
        ] {
            let list: Vec<_> = list.into_iter().flat_map(|change| changes([change])).collect();
            assert!(!leads_to(&list, applied, head), "{what}");
        }
    }
}
