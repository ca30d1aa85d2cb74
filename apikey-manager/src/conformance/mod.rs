//! What a store has to do, as checks that run against one.
//!
//! Every rule that [`KeyStore`] and [`Transaction`](crate::Transaction) state has a check by name, and so have the rules
//! that the manager keeps by means of its store. A store passes when all do:
//!
//! ```no_run
//! # use apikey_manager::MemoryStore;
//! use apikey_manager::conformance::Fixture;
//!
//! async fn store() -> Fixture {
//!     Fixture::new(MemoryStore::new())
//! }
//!
//! // One `#[test]` for each check, called by its name.
//! apikey_manager::conformance_tests!(store);
//! # fn main() {}
//! ```
//!
//! A program can run them too, with [`run`], and read the [`Report`].
//!
//! # The store under test
//!
//! It is asked for once for each check. The best is a new and empty one each time (a file in a temporary directory, a
//! schema of its own). One store may serve many checks, one after another: each makes organizations, keys and batches of
//! its own, and none minds what others left. But no two may run on one store at the same time, since some of them look at
//! the revision, prune, or read the keys of every organization.
//!
//! No check depends on the time of day, and none waits for time to pass; each is given up after a minute, since what
//! a check waits for then never comes.

mod bed;
mod fixture;
mod list;
mod manager;
mod outcome;
mod store;

use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};

use self::bed::{Bed, PATIENCE};
pub use self::{
    fixture::Fixture,
    outcome::{Failure, Outcome},
};
use crate::store::KeyStore;

/// One rule, and the code that tries to see it broken.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Check {
    /// Its name, such as `given_a_taken_digest_when_inserted_then_it_is_refused`.
    pub name: &'static str,
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// Does it speak to the store itself, or through a manager?
    pub level: Level,
    test: fn(Arc<Bed>) -> BoxFuture<'static, Outcome>,
}

/// What a check speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// The store itself.
    Store,
    /// A manager that has the store.
    Manager,
}

impl Check {
    /// Runs the check on a store.
    ///
    /// # Errors
    ///
    /// With how the rule was broken; also when the store fails or panics, or doesn't answer for a minute of tokio's time.
    pub async fn run(&self, store: Arc<dyn KeyStore>) -> Outcome {
        let bed = Bed::new(store)?;
        let test = AssertUnwindSafe(async { (self.test)(bed).await }).catch_unwind();
        match tokio::time::timeout(PATIENCE, test).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Err(Failure::new(format!("a panic: {}", text.unwrap_or_default())))
            }
            Err(_) => Err(Failure::new("no answer within a minute")),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("level", &self.level).finish_non_exhaustive()
    }
}

/// Every check.
pub fn checks() -> impl Iterator<Item = Check> {
    list::CHECKS.iter().copied()
}

/// Runs every check, one after another, each on the store that `make` gives it. Without one, it is skipped.
pub async fn run<F>(make: impl AsyncFn() -> F) -> Report
where
    F: Into<Option<Fixture>>,
{
    let mut report = Report::default();
    for check in checks() {
        let Some(fixture) = make().await.into() else {
            report.skipped.push(check);
            continue;
        };
        match fixture.run(&check).await {
            Ok(()) => report.passed.push(check),
            Err(failure) => report.failed.push((check, failure)),
        }
    }
    report
}

/// What became of each check.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Those that found nothing.
    pub passed: Vec<Check>,
    /// Those that found their rule broken, and how.
    pub failed: Vec<(Check, Failure)>,
    /// Those that had no store to run on.
    pub skipped: Vec<Check>,
}

impl Report {
    /// Did every check run and find nothing?
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed, skipped) = (self.passed.len(), self.failed.len(), self.skipped.len());
        writeln!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        for (check, failure) in &self.failed {
            writeln!(f, "\n{}\n  {}\n  {failure}", check.name, check.rule)?;
        }
        Ok(())
    }
}

/// Runs the check of this name as a test: in a runtime of its own, panicking where it fails.
#[doc(hidden)]
pub fn test<F>(name: &str, make: impl AsyncFn() -> F)
where
    F: Into<Option<Fixture>>,
{
    let check = checks().find(|check| check.name == name).expect("a check of this name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async {
        match make().await.into() {
            Some(fixture) => fixture.run(&check).await,
            None => Ok(()),
        }
    });
    if let Err(failure) = outcome {
        panic!("the store breaks a rule: {}\n{failure}", check.rule);
    }
}
