//! How old an answer of the store may be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apikey_fleet::{Frontier, Load, Revision};

/// The newest revision that this process knows of, shared by lookups and by whoever learns of changes.
///
/// It is raised before the effects of a change are applied, and joined before the cache is emptied. A lookup in between
/// is judged more strictly than it need be, or doesn't fill the cache, so that the two need no common lock.
#[derive(Debug, Default)]
pub(crate) struct Floor(Mutex<Frontier>);

impl Floor {
    /// The floor of a process whose store nobody else can open.
    pub(crate) fn only() -> Arc<Self> {
        let floor = Floor::default();
        floor.join(Revision::ZERO);
        Arc::new(floor)
    }

    /// Returns what a lookup needs that begins now, or `None` while this process has not joined the others.
    pub(crate) fn begin_load(&self) -> Option<Load> {
        self.lock().begin_load()
    }

    /// Returns the newest revision that this process knows of.
    pub(crate) fn newest(&self) -> Revision {
        self.lock().floor()
    }

    pub(crate) fn raise(&self, to: Revision) {
        self.lock().raise(to);
    }

    pub(crate) fn join(&self, at: Revision) {
        self.lock().join(at);
    }

    pub(crate) fn forget(&self) {
        self.lock().forget();
    }

    fn lock(&self) -> MutexGuard<'_, Frontier> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
