//! The queue of changes: one write per organization at a time, and a global cap, so that lookups always get a
//! connection. A flood of changes delays its own organization only.
//!
//! Changes that end access go first: they wait for the running change, and for at most one more at the head of the
//! queue.

use apikey_core::OrganizationId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// The numbers of concurrent changes: those that end access, and others. Together they equal the default number of
/// connections that a PostgreSQL store has for changes.
const ENDINGS: usize = 2;
const OTHERS: usize = 4;

/// The urgency of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// The change ends access.
    Ending,
    /// Any other change.
    Other,
}

#[derive(Debug)]
pub(crate) struct WriteQueue {
    lines: Mutex<HashMap<OrganizationId, Weak<Line>>>,
    endings: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

/// The queue of an organization's changes. Locks are fair: changes that must hold `others` before they ask for `own`
/// leave the way free for changes that need not.
#[derive(Debug, Default)]
struct Line {
    own: Arc<AsyncMutex<()>>,
    others: Arc<AsyncMutex<()>>,
}

/// The right to change an organization's keys, from this process.
pub(super) struct Turn {
    _own: OwnedMutexGuard<()>,
    _others: Option<OwnedMutexGuard<()>>,
    _permit: Option<OwnedSemaphorePermit>,
    /// Dropped last: a queue lives while it is used.
    _line: Arc<Line>,
}

impl Default for WriteQueue {
    fn default() -> Self {
        WriteQueue {
            lines: Mutex::default(),
            endings: Arc::new(Semaphore::new(ENDINGS)),
            others: Arc::new(Semaphore::new(OTHERS)),
        }
    }
}

impl WriteQueue {
    pub(super) async fn take(&self, organization: &OrganizationId, urgency: Urgency) -> Turn {
        let line = self.line(organization);
        // The semaphores are never closed.
        let (others, permit) = match urgency {
            Urgency::Ending => (None, None),
            Urgency::Other => {
                let others = Arc::clone(&line.others).lock_owned().await;
                // Taken before the organization's lock, whose holder then waits for no other organization.
                (Some(others), Arc::clone(&self.others).acquire_owned().await.ok())
            }
        };
        let own = Arc::clone(&line.own).lock_owned().await;
        let permit = match permit {
            Some(permit) => Some(permit),
            None => Arc::clone(&self.endings).acquire_owned().await.ok(),
        };
        Turn { _own: own, _others: others, _permit: permit, _line: line }
    }

    fn line(&self, organization: &OrganizationId) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(organization).and_then(Weak::upgrade) {
            return line;
        }
        // Unused queues are removed whenever the table would grow.
        if lines.len() == lines.capacity() {
            lines.retain(|_, line| line.strong_count() > 0);
        }
        let line = Arc::default();
        lines.insert(organization.clone(), Arc::downgrade(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::join_all;

    use super::*;

    fn acme() -> OrganizationId {
        OrganizationId::new("acme").unwrap()
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
    }

    /// Returns who had a turn, in order.
    async fn order(
        turns: &WriteQueue,
        asked: impl IntoIterator<Item = (OrganizationId, Urgency, usize)>,
    ) -> Vec<usize> {
        let had = Mutex::new(Vec::new());
        let held = turns.take(&acme(), Urgency::Other).await;
        // Each change asks when it is first polled, in this order.
        let waiting = asked.into_iter().map(async |(organization, urgency, name)| {
            let _turn = turns.take(&organization, urgency).await;
            had.lock().unwrap().push(name);
            tokio::task::yield_now().await;
        });
        let mut all = Box::pin(join_all(waiting));
        assert!(poll_once(&mut all).await.is_pending());
        drop(held);
        all.await;
        had.into_inner().unwrap()
    }

    #[tokio::test]
    async fn given_a_flood_of_changes_when_one_ends_access_then_it_waits_for_one_of_them_at_most() {
        let turns = WriteQueue::default();
        let flood = (0..1_000).map(|n| (acme(), Urgency::Other, n));
        let had =
            order(&turns, flood.chain([(acme(), Urgency::Ending, 1_000), (acme(), Urgency::Ending, 1_001)])).await;
        let place = |name| had.iter().position(|had| *had == name).unwrap();
        assert!(place(1_000) <= 1 && place(1_001) <= 2, "{:?}", &had[..4]);
        assert_eq!(had.len(), 1_002);
    }

    #[tokio::test]
    async fn given_changes_of_more_organizations_than_may_change_when_one_ends_access_then_it_does_not_wait() {
        let turns = WriteQueue::default();
        let other = |n: usize| OrganizationId::new(format!("organization {n}")).unwrap();
        let mut held = Vec::new();
        for n in 0..OTHERS {
            held.push(turns.take(&other(n), Urgency::Other).await);
        }
        let (later, ending) = (other(OTHERS), other(OTHERS + 1));
        let mut waiting = Box::pin(turns.take(&later, Urgency::Other));
        assert!(poll_once(&mut waiting).await.is_pending());
        let mut ending = Box::pin(turns.take(&ending, Urgency::Ending));
        assert!(poll_once(&mut ending).await.is_ready());
        drop(held);
        waiting.await;
    }
}
