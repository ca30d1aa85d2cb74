//! Explores by command. `cargo run --release -p apikey-fleet-tests -- small|large|several|mutants [words]`
//!
//! With words, only scopes are explored whose description contains all of them.

use std::process::ExitCode;

use fleet::{Outcome, Scope, explore, suite};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, words)) = words.split_first() else { return usage() };
    let (scopes, is_found) = match command.as_str() {
        "small" => (suite::small(), false),
        "large" => (suite::large(), false),
        "several" => (suite::several(), false),
        "mutants" => (suite::mutants(), true),
        _ => return usage(),
    };
    let (mut states, mut surprises) = (0, 0);
    for scope in scopes.iter().filter(|scope| words.iter().all(|word| scope.to_string().contains(word))) {
        let outcome = explore(scope);
        report(scope, &outcome);
        states += outcome.states;
        surprises += usize::from(outcome.violation.is_some() != is_found);
    }
    println!("{states} states, {surprises} surprises");
    ExitCode::from(u8::from(surprises > 0))
}

fn report(scope: &Scope, outcome: &Outcome) {
    let Outcome { states, edges, depth, live_checks, took, bytes, .. } = outcome;
    let verdict = match (&outcome.violation, outcome.is_complete) {
        (Some(violation), _) => format!("{} after {} steps", violation.what, violation.trace.len()),
        (None, true) => "holds".to_owned(),
        (None, false) => "holds as far as explored".to_owned(),
    };
    let (seconds, megabytes) = (took.as_secs_f64(), bytes / 1_000_000);
    println!("{scope}: {verdict}");
    println!("    {states} states, {edges} steps, depth {depth}, {live_checks} live, {seconds:.1} s, {megabytes} MB");
    for (number, step) in outcome.violation.iter().flat_map(|violation| &violation.trace).enumerate() {
        println!("    {:>2}. {step}", number + 1);
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: fleet small|large|several|mutants [words of a scope]");
    ExitCode::from(2)
}
