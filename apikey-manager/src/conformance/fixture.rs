//! A store that was made for a check, and what has to live as long as it.

use std::{any::Any, fmt, sync::Arc};

use super::{Check, Outcome};
use crate::store::KeyStore;

/// A store for one check, and what must not go before it, such as a temporary directory.
pub struct Fixture {
    store: Arc<dyn KeyStore>,
    kept: Vec<Box<dyn Any>>,
}

impl Fixture {
    /// A store that needs nothing.
    pub fn new(store: impl KeyStore) -> Self {
        Fixture { store: Arc::new(store), kept: Vec::new() }
    }

    /// Keeps `guard` until the check is over and the store is closed.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any) -> Self {
        self.kept.push(Box::new(guard));
        self
    }

    pub(super) async fn run(self, check: &Check) -> Outcome {
        let outcome = check.run(Arc::clone(&self.store)).await;
        self.store.close().await;
        outcome
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).finish_non_exhaustive()
    }
}
