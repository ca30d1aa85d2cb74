//! Explores and simulates by command: `cargo run --release -p apikey-fleet-tests -- …`
//!
//! - `small|large|several|mutants [words]` explores scopes, or those whose description contains all of the words;
//! - `simulate NODES SEEDS [FIRST]` simulates fleets;
//! - `sizes` simulates healthy fleets of 3 to 1,000 nodes, and prints how soon receipts come and what the database has to do.

use std::process::ExitCode;

use fleet::{
    Outcome, Scope, explore,
    simulation::{Plan, simulate_all},
    suite,
};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, words)) = words.split_first() else { return usage() };
    let (scopes, is_found) = match command.as_str() {
        "small" => (suite::small(), false),
        "large" => (suite::large(), false),
        "several" => (suite::several(), false),
        "mutants" => (suite::mutants(), true),
        "sizes" => return sizes(),
        "simulate" => return simulations(words),
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

fn simulations(words: &[String]) -> ExitCode {
    let numbers: Vec<u64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let (nodes, seeds, first) = match numbers[..] {
        [nodes, seeds] => (nodes, seeds, 0),
        [nodes, seeds, first] => (nodes, seeds, first),
        _ => return usage(),
    };
    match simulate_all(Plan::of(nodes as usize), first..first + seeds) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Leases are ten seconds long, and there are two changes a second.
fn sizes() -> ExitCode {
    println!("| nodes | hints that arrive | receipts | median | 99 % | longest | statements a second |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for (nodes, hints) in [3, 30, 100, 300, 1_000].into_iter().flat_map(|nodes| [(nodes, 1_000), (nodes, 700)]) {
        let seeds = 5;
        let plan = Plan { is_calm: true, leases: (10_000, 10_000), seconds: 60, hints, ..Plan::of(nodes) };
        let report = match simulate_all(plan, 0..seeds) {
            Ok(report) => report,
            Err(violation) => {
                println!("{violation}");
                return ExitCode::FAILURE;
            }
        };
        println!(
            "| {nodes} | {} % | {} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} |",
            hints / 10,
            report.receipts.len(),
            report.receipts_at(500),
            report.receipts_at(990),
            report.receipts_at(1000),
            report.statements as f64 / (plan.seconds * seeds) as f64,
        );
    }
    ExitCode::SUCCESS
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
    eprintln!(
        "usage: fleet small|large|several|mutants [words of a scope], or: fleet simulate NODES SEEDS [FIRST], or: fleet sizes"
    );
    ExitCode::from(2)
}
