//! The store in memory keeps every rule, and each check finds the store that doesn't.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod broken;
mod fault;
mod transaction;

use std::{collections::BTreeSet, sync::Arc};

use apikey_manager::{
    MemoryStore,
    conformance::{self, Check, Failure, Fixture, Level, checks},
};

use self::{broken::Broken, fault::Fault};

async fn memory() -> Fixture {
    Fixture::new(MemoryStore::new())
}

mod memory_store {
    apikey_manager::conformance_tests!(super::memory);
}

/// Checks of rules that no store can break, since the manager keeps them before, or without, asking it. That these can
/// fail is for mutations of the manager to show.
const KEPT_BY_THE_MANAGER: [&str; 11] = [
    "given_more_mistakes_than_are_told_when_made_then_their_number_is",
    "given_a_text_that_nothing_can_have_when_looked_for_then_it_is_refused",
    "given_a_span_of_usage_that_is_none_when_asked_for_then_it_is_refused",
    "given_a_bad_name_when_given_to_anything_then_it_is_refused",
    "given_a_bad_description_when_given_to_anything_then_it_is_refused",
    "given_a_bad_time_or_duration_when_asked_for_then_it_is_refused",
    "given_unknown_scopes_when_asked_for_then_each_is_named",
    "given_metadata_that_is_too_large_or_deep_when_given_then_it_is_refused",
    "given_an_unknown_id_when_anything_is_asked_then_it_is_not_found",
    "given_limits_of_lifetimes_when_exceeded_then_the_field_is_named",
    "given_each_right_when_each_operation_is_asked_for_then_the_table_decides",
];

/// Runs a check on a store with a fault, on a clock that jumps where nothing else can happen: what never comes is not
/// waited for.
fn outcome(check: &Check, fault: Fault) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(check.run(Arc::new(Broken::new(fault))))
}

fn named(name: &str) -> Check {
    checks().find(|check| check.name == name).unwrap_or_else(|| panic!("no check is called {name}"))
}

#[test]
fn given_a_store_with_a_rule_removed_when_checked_then_the_checks_of_that_rule_fail() {
    let mut missed = Vec::new();
    for (fault, names) in Fault::TABLE {
        for name in *names {
            match outcome(&named(name), *fault) {
                Ok(()) => missed.push(format!("{fault:?} is not found by {name}")),
                Err(failure) => println!("{fault:?}: {failure}"),
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn given_the_same_store_without_a_fault_when_checked_then_every_check_passes() {
    let failed: Vec<_> = checks().filter_map(|check| Some((check, outcome(&check, Fault::Nothing).err()?))).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn given_every_check_when_looked_up_then_some_fault_shows_that_it_can_fail() {
    let shown: BTreeSet<_> = Fault::TABLE.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let not_shown: Vec<_> = checks()
        .map(|check| check.name)
        .filter(|name| !shown.contains(name) && !KEPT_BY_THE_MANAGER.contains(name))
        .collect();
    assert!(not_shown.is_empty(), "{not_shown:#?}");
    for name in KEPT_BY_THE_MANAGER {
        assert!(named(name).level == Level::Manager && !shown.contains(name), "{name}");
    }
}

#[test]
fn given_a_check_that_fails_when_reported_then_its_name_its_rule_and_the_reason_are_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let report = runtime.block_on(conformance::run(async || Fixture::new(Broken::new(Fault::CheckFails))));
    assert!(!report.is_pass());
    let (check, failure) = report.failed.first().unwrap();
    let text = report.to_string();
    assert!(failure.to_string().contains("the store is not available: it says so"), "{failure}");
    assert!(text.contains(check.name) && text.contains(check.rule) && text.contains(&failure.to_string()), "{text}");
}

#[test]
fn given_no_store_when_run_then_every_check_is_skipped_and_nothing_has_passed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let report = runtime.block_on(conformance::run(async || None));
    assert_eq!((report.passed.len(), report.failed.len()), (0, 0));
    assert_eq!(report.skipped.len(), checks().count());
    assert!(!report.is_pass());
}

#[test]
fn given_one_store_and_many_threads_when_every_check_runs_on_it_then_all_pass() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let store = MemoryStore::new();
    let report = runtime.block_on(conformance::run(async || Fixture::new(store.clone())));
    assert!(report.is_pass(), "{report}");
    assert!(report.passed.iter().any(|check| check.level == Level::Store));
}
