//! Checks of what a store for `apikey-manager` must do.
//!
//! Every rule that [`KeyStore`] and [`Transaction`](apikey_manager::Transaction) state has a check. One line makes a
//! `#[test]` of each:
//!
//! ```
//! # use apikey_manager::MemoryStore;
//! use apikey_conformance::Fixture;
//!
//! apikey_conformance::test_store!(async || Fixture::new(MemoryStore::new()));
//! # fn main() {}
//! ```
//!
//! # The store under test
//!
//! The store is made anew for each check. A new and empty database each time is best: a file in a temporary directory, or
//! a schema of its own. One database may also serve many checks, one after another: each check makes organizations, keys
//! and batches of its own and ignores those of others. Two checks may not run on one database at the same time, because
//! some of them read the revision, prune, or read the keys of every organization.
//!
//! No check depends on the time of day or waits for time to pass. A check fails after a minute without an answer.

// A check that the list doesn't name would never run.
#![deny(dead_code)]
#![expect(clippy::unwrap_used, reason = "a check fails where anything does")]

mod bed;
mod checks;
mod fixture;
mod list;

use std::{fmt, sync::Arc};

use apikey_manager::KeyStore;
use futures_util::future::BoxFuture;

use self::bed::{Bed, PATIENCE};
pub use self::{fixture::Fixture, list::checks};

/// One check of a store.
#[derive(Clone, Copy)]
pub struct Check {
    name: &'static str,
    run: fn(Arc<Bed>) -> BoxFuture<'static, ()>,
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

/// Runs the check of this name in a runtime of its own, for [`test_store`].
#[doc(hidden)]
pub fn test<F>(name: &str, make: impl AsyncFn() -> F)
where
    F: Into<Option<Fixture>>,
{
    let check = checks().find(|check| check.name == name).expect("a check of this name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(fixture) = make().await.into() {
            fixture.run(&check).await;
        }
    });
}
