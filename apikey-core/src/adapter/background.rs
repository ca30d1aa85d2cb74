//! Background work that outlives its request, limited in number and in time.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::Semaphore, time::timeout};

/// Runs what adapters have left to do after a response, such as draining a request body that nobody reads.
///
/// Clones share one limit on concurrent work.
///
/// ```
/// use std::time::Duration;
/// use apikey_core::adapter::Background;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let background = Background::new(64);
/// assert!(background.run(Duration::from_secs(10), async {}));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Background {
    turns: Arc<Semaphore>,
}

impl Background {
    /// Creates a runner for at most `at_once` concurrent pieces of work.
    #[must_use]
    pub fn new(at_once: usize) -> Self {
        Background { turns: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))) }
    }

    /// Spawns `work` on the caller's tokio runtime, and drops it if it takes longer than `time`.
    ///
    /// Returns `false` and drops `work` immediately outside a tokio runtime or at the limit. The runtime needs its
    /// timer (`enable_time`).
    pub fn run(&self, time: Duration, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let (Ok(runtime), Ok(turn)) = (Handle::try_current(), Arc::clone(&self.turns).try_acquire_owned()) else {
            return false;
        };
        runtime.spawn(async move {
            let _turn = turn;
            let _ = timeout(time, work).await;
        });
        true
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("free_turns", &self.turns.available_permits()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{Arc, Weak},
    };

    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    /// Returns work that never ends, and a handle that tells whether it still runs.
    fn endless() -> (impl Future<Output = ()> + Send, Weak<()>) {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let work = async move {
            let _alive = alive;
            pending().await
        };
        (work, weak)
    }

    #[tokio::test(start_paused = true)]
    async fn given_work_that_never_ends_when_its_time_is_over_then_it_is_dropped_and_its_turn_is_free() {
        let background = Background::new(2);
        let [(one, alive), (two, _), (three, refused)] = [endless(), endless(), endless()];
        assert!(background.run(TIME, one) && background.run(TIME, two));
        assert!(!background.clone().run(TIME, three), "clones share the turns");
        assert_eq!((alive.strong_count(), refused.strong_count()), (1, 0));
        tokio::time::sleep(TIME + Duration::from_millis(1)).await;
        assert_eq!(alive.strong_count(), 0);
        assert!(background.run(TIME, async {}));
    }

    #[tokio::test]
    async fn given_no_turns_when_asked_to_run_then_it_runs_nothing() {
        let (work, alive) = endless();
        assert!(!Background::new(0).run(TIME, work));
        assert_eq!(alive.strong_count(), 0);
        assert!(Background::new(usize::MAX).run(Duration::MAX, async {}), "no bound is too large");
    }

    #[test]
    fn given_no_runtime_when_asked_to_run_then_it_runs_nothing() {
        let (work, alive) = endless();
        assert!(!Background::new(1).run(TIME, work));
        assert_eq!(alive.strong_count(), 0);
    }

    #[test]
    fn given_a_runtime_that_ends_when_work_is_under_way_then_it_is_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (work, alive) = endless();
        runtime.block_on(async {
            assert!(Background::new(1).run(TIME, work));
            tokio::task::yield_now().await;
        });
        drop(runtime);
        assert_eq!(alive.strong_count(), 0);
    }
}
