//! The store for one check, and what must outlive it.

use std::{any::Any, fmt, sync::Arc};

use apikey_manager::KeyStore;

use crate::check::Check;

/// A store for one check, and what must outlive it, such as a temporary directory.
pub struct Fixture {
    store: Arc<dyn KeyStore>,
    kept: Vec<Box<dyn Any>>,
}

impl Fixture {
    /// Creates a fixture from a store alone.
    pub fn new(store: impl KeyStore) -> Self {
        Fixture { store: Arc::new(store), kept: Vec::new() }
    }

    /// Keeps `guard` until the check is over and the store is closed.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any) -> Self {
        self.kept.push(Box::new(guard));
        self
    }

    pub(crate) async fn run(self, check: &Check) {
        check.run(Arc::clone(&self.store)).await;
        self.store.close().await;
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).finish_non_exhaustive()
    }
}
