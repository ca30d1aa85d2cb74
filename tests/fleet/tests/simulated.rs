//! Thousands of fleets in virtual time.

use fleet::simulation::{Plan, Report, simulate, simulate_all};

/// Asserts that each kind of trouble that the protocol is about has occurred, and often enough.
fn assert_eventful(report: &Report, seeds: u64) {
    println!("{report}");
    let Report { receipts, waited_out, unknown, hits, loads, regained, joins, lost_places, .. } = report;
    let Report { stale_answers, swept, failovers, restores, uncounted, .. } = report;
    assert!(receipts.len() as u64 > seeds * 3, "receipts");
    assert!(*hits > seeds * 20 && *loads > seeds * 20 && *regained > seeds, "requests");
    for (what, count) in [
        ("waited out", waited_out),
        ("unknown commits", unknown),
        ("joins", joins),
        ("lost places", lost_places),
        ("stale answers", stale_answers),
        ("rows swept", swept),
        ("uncounted renewals", uncounted),
    ] {
        assert!(*count > seeds / 2, "{what}: {count}");
    }
    assert!(*failovers > seeds / 10 && *restores > seeds / 20, "{failovers} failovers, {restores} restores");
}

#[test]
fn given_five_nodes_and_faults_when_keys_change_then_receipts_are_true() {
    let seeds = 10_000;
    match simulate_all(Plan::of(5), 0..seeds) {
        Ok(report) => assert_eventful(&report, seeds),
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn given_fifty_nodes_and_faults_when_keys_change_then_receipts_are_true() {
    let seeds = 200;
    match simulate_all(Plan::of(50), 0..seeds) {
        Ok(report) => assert_eventful(&report, seeds),
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn given_healthy_nodes_when_keys_change_then_no_receipt_waits_for_a_lease() {
    let report =
        simulate_all(Plan { is_calm: true, ..Plan::of(20) }, 0..100).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report}");
    let Report { receipts, waited_out, unknown, unavailable, lost_places, .. } = &report;
    assert!(receipts.len() > 1_000);
    assert_eq!((*waited_out, *unknown, *unavailable, *lost_places), (0, 0, 0, 0));
    // Where a hint was lost, the next renewal brings the change: after 800 ms at most, by a slow clock 910 ms.
    assert!(receipts.iter().all(|nanos| *nanos < 1_000_000_000), "{:?}", receipts.iter().max());
}

#[test]
fn given_a_mistake_when_fleets_are_simulated_then_it_is_found() {
    let plan = Plan::of(5);
    for (plan, found) in [
        (Plan { ignores_floor: true, ..plan }, "was answered at"),
        (Plan { waits_for_nobody: true, ..plan }, "was answered at"),
        (Plan { hides_floor: true, ..plan }, "can look no key up"),
    ] {
        let violation = simulate_all(plan, 0..10_000).expect_err("a violation");
        assert!(violation.contains(found), "{plan:?}: {violation}");
    }
}

#[test]
fn given_a_seed_when_it_is_simulated_again_then_the_same_happens() {
    let once = || simulate(Plan::of(5), 7).map(|report| report.to_string());
    assert_eq!(once(), once());
}
