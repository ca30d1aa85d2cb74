//! The store in memory passes every check, and each check finds the store that breaks its rule.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

mod alerts;
mod broken;
mod fault;
mod fleet;
mod transaction;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use apikey_conformance::{Check, Fixture, checks};
use apikey_manager::MemoryStore;

use self::{broken::Broken, fault::Fault};

async fn memory() -> Fixture {
    Fixture::new(MemoryStore::new())
}

mod memory_store {
    apikey_conformance::test_store!(super::memory);
}

/// Returns `true` if the check passes on a store with this fault. The clock advances when nothing else can happen, so
/// that a missing answer costs no time.
fn passes(check: &Check, fault: Fault) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(check.run(Arc::new(Broken::new(fault)))))).is_ok()
}

fn named(name: &str) -> Check {
    checks().find(|check| check.name() == name).unwrap_or_else(|| panic!("no check is called {name}"))
}

#[test]
fn a_store_without_a_rule_fails_the_checks_of_that_rule() {
    let mut missed = Vec::new();
    for (fault, names) in Fault::TABLE {
        missed.extend(names.iter().filter(|name| passes(&named(name), *fault)).map(|name| (fault, name)));
    }
    assert!(missed.is_empty(), "faults that these checks do not find: {missed:#?}");
}

#[test]
fn a_store_without_a_fault_passes_every_check() {
    let failed: Vec<_> = checks().filter(|check| !passes(check, Fault::Nothing)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn some_fault_shows_that_each_check_can_fail() {
    let shown: BTreeSet<_> = Fault::TABLE.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let not_shown: Vec<_> = checks().filter(|check| !shown.contains(check.name())).collect();
    assert!(not_shown.is_empty(), "{not_shown:#?}");
}

#[test]
fn one_store_serves_every_check_on_many_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let store = Arc::new(MemoryStore::new());
    runtime.block_on(async {
        for check in checks() {
            check.run(store.clone()).await;
        }
    });
}
