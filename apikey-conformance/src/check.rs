//! One rule, and the code that tries to break it.

use std::{fmt, sync::Arc};

use apikey_manager::KeyStore;
use futures_util::future::BoxFuture;

use crate::bed::{Bed, PATIENCE};

/// One check of a store.
#[derive(Clone, Copy)]
pub struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<Bed>) -> BoxFuture<'static, ()>,
}

impl Check {
    /// Returns the check's name, such as `a_taken_digest_is_refused_everywhere`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the check on a store.
    ///
    /// # Panics
    ///
    /// Panics if the store breaks the rule, fails, or gives no answer for a minute of tokio's time.
    pub async fn run(&self, store: Arc<dyn KeyStore>) {
        let check = (self.run)(Bed::new(store));
        tokio::time::timeout(PATIENCE, check).await.expect("the store answers within a minute");
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}
