//! Every state of small fleets, and every mistake that must be found in them.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{collections::BTreeSet, sync::Mutex, thread};

use fleet::{Mutant, Outcome, Scope, explore, suite};

/// Explores two scopes at a time.
fn explore_all(scopes: Vec<Scope>) -> Vec<(Scope, Outcome)> {
    let (open, done) = (Mutex::new(scopes), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(scope) = open.lock().unwrap().pop() else { break };
            let outcome = explore(&scope);
            println!("{scope}: {} states, {:.1} s", outcome.states, outcome.took.as_secs_f64());
            done.lock().unwrap().push((scope, outcome));
        }
    };
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    done.into_inner().unwrap()
}

#[test]
fn given_faults_when_every_state_is_visited_then_no_request_passes_after_a_receipt() {
    for (scope, outcome) in explore_all(suite::small()) {
        assert!(outcome.violation.is_none(), "{scope}: {:#?}", outcome.violation);
        assert!(outcome.is_complete && outcome.states > 10_000, "{scope}: {} states", outcome.states);
        assert_eq!(outcome.live_checks > 0, scope.live, "{scope}");
    }
}

#[test]
fn given_a_mistake_when_states_are_visited_then_it_is_found() {
    let scopes = suite::mutants();
    let listed: BTreeSet<_> = scopes.iter().flat_map(|scope| &scope.mutants).map(|mutant| *mutant as usize).collect();
    assert_eq!(listed.len(), Mutant::COUNT, "every mutant is listed");
    for (scope, outcome) in explore_all(scopes) {
        assert!(outcome.violation.is_some_and(|violation| !violation.trace.is_empty()), "{scope}: not found");
    }
}

/// The scopes in which mutants are found hold without them. Otherwise it might be the scope that is broken.
#[test]
fn given_the_scopes_of_mistakes_when_there_is_none_then_they_hold() {
    let scopes = suite::mutants().into_iter().map(|scope| scope.with(&[]));
    let distinct: std::collections::BTreeMap<_, _> = scopes.map(|scope| (scope.to_string(), scope)).collect();
    let mut scopes: Vec<_> = distinct.into_values().collect();
    // Those of two faults are among the small ones.
    scopes.retain(|scope| scope.faults.len() < 2);
    for (scope, outcome) in explore_all(scopes) {
        assert!(outcome.violation.is_none() && outcome.is_complete, "{scope}: {:#?}", outcome.violation);
    }
}
