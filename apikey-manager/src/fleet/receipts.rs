//! What a change waits for: that every process on the database follows it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use apikey_fleet::{Moment, Progress, Revision, Wait};
use tokio::time::{Instant, sleep, timeout};

use super::{Membership, Part, alone, clock, status::written, telemetry};
use crate::store::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long a store may fail before the first answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process may seem to be alone. One that only tries to be leaves a row for a moment.
const SEEMS_ALONE: Duration = Duration::from_secs(2);
const LONGEST_STATEMENT: Duration = Duration::from_secs(5);

/// A change holds in every process on the database: no request that arrives from now on is answered by what was true
/// before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The change's revision.
    pub revision: u64,
    /// The number of processes, this one included if it serves requests.
    pub nodes: usize,
    /// The processes that gave no sign of life until their leases had ended, by their ids of 32 hexadecimal digits. They
    /// let no request in, but what they were answering goes on until they wake.
    pub waited_out: Vec<String>,
}

/// Collects the receipt of an actor's changes, for [`Actor::with_receipts`](crate::Actor::with_receipts).
///
/// ```
/// # use apikey_manager::{Actor, KeyId, KeyManager, ManageError, Receipts};
/// async fn revoke(keys: &KeyManager, alice: Actor, id: &KeyId) -> Result<(), ManageError> {
///     let receipts = Receipts::default();
///     keys.revoke(&alice.with_receipts(&receipts), id, "leaked").await?;
///     if let Some(receipt) = receipts.take() {
///         println!("it holds in {} processes", receipt.nodes);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Receipts(Arc<Mutex<Option<Receipt>>>);

impl Receipts {
    /// Returns the receipt of all changes since the last call: that of the last one, with all processes that were waited
    /// out. It is `None` if nothing changed that others could have cached, or nobody else can open the store.
    #[must_use]
    pub fn take(&self) -> Option<Receipt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn add(&self, mut receipt: Receipt) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = kept.take() {
            receipt.waited_out.extend(earlier.waited_out);
            receipt.waited_out.sort_unstable();
            receipt.waited_out.dedup();
        }
        *kept = Some(receipt);
    }
}

/// Why there is no receipt. The change was made.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// The store did not tell which processes there are.
    Store(StoreError),
    /// A process on the database is alone by its own word, and hears of nothing.
    Alone,
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unconfirmed::Store(error) => write!(f, "the other processes could not be asked: {error}"),
            Unconfirmed::Alone => {
                f.write_str("a process on the database is set up to be alone, and does not hear of it")
            }
        }
    }
}

impl Membership {
    /// Returns the time from which [`receipt`](Membership::receipt) counts. Call it when the answer to a commit is there.
    pub(crate) fn committed_at(&self) -> Moment {
        clock::now()
    }

    /// Waits until every process follows the change with this revision. `since` is when its commit was answered.
    pub(crate) async fn receipt(&self, revision: u64, since: Moment) -> Result<Option<Receipt>, Unconfirmed> {
        if matches!(self.part, Part::Only) {
            return Ok(None);
        }
        let own = self.state.own();
        let mut wait = Wait::new(Revision::new(revision), since, own);
        let listed = self.waits.list(Revision::new(revision), self.clock.wall());
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut has_alone = false;
        loop {
            let asked = timeout(LONGEST_STATEMENT, self.store.fleet().nodes()).await;
            let failure = match asked.unwrap_or_else(|late| Err(StoreError::unavailable(late))) {
                Ok((head, mut rows)) => {
                    has_alone = !matches!(self.part, Part::Alone) && rows.iter().any(alone::is_alone);
                    rows.retain(|row| !alone::is_alone(row));
                    let is_known = wait.answer(head, &rows);
                    listed.waits_for(wait.awaited());
                    (!is_known).then(|| StoreError::unavailable("a server that has fallen behind answered"))
                }
                Err(error) => Some(error),
            };
            if has_alone && begun.elapsed() > SEEMS_ALONE {
                return Err(Unconfirmed::Alone);
            }
            let left = match (wait.progress(clock::now()), failure) {
                (Progress::Done(_), _) if has_alone => LONGEST_PAUSE,
                (Progress::Done(receipt), _) if receipt.nodes == 0 && matches!(self.part, Part::Alone) => {
                    return Ok(None);
                }
                (Progress::Done(receipt), _) => {
                    telemetry::received(begun.elapsed(), receipt.waited_out.len());
                    return Ok(Some(Receipt {
                        revision,
                        nodes: receipt.nodes,
                        waited_out: receipt.waited_out.into_iter().map(written).collect(),
                    }));
                }
                (Progress::Waiting { until }, _) => until.saturating_since(clock::now()),
                (Progress::Unread, Some(failure)) if begun.elapsed() > PATIENCE => {
                    return Err(Unconfirmed::Store(failure));
                }
                (Progress::Unread, _) => LONGEST_PAUSE,
            };
            sleep(pause.min(left)).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}
