//! What must hold, and what must be found.

use crate::scope::{
    Fault::{self, Failover, Late, Leave, Loss, Other, Own, Prune, Restart, Restore, RestoreKept, Sweep, Undone},
    Mutant, Scope,
};

/// Scopes that tests explore completely.
#[must_use]
pub fn small() -> Vec<Scope> {
    let scope = |seconds, faults: &[Fault]| Scope::new(1, seconds, faults);
    vec![
        scope(4, &[Loss, Leave]),
        scope(3, &[Other, Prune]),
        scope(3, &[Loss, Prune]),
        scope(4, &[Leave, Sweep]),
        scope(3, &[Late, Sweep]),
        scope(3, &[Restart, Leave]),
        scope(3, &[Loss, Late]),
        scope(3, &[Failover, Loss]),
        scope(3, &[Failover, Restart]),
        scope(3, &[Failover, Prune]),
        scope(4, &[Other, Restore]),
        scope(4, &[Loss, Undone]),
        scope(3, &[Other, RestoreKept]),
        scope(4, &[Loss]).live(),
        scope(3, &[Own, Loss]).live(),
        scope(3, &[Own, Failover, Other]),
        scope(3, &[Own, RestoreKept]).live(),
        scope(4, &[Own, Undone]).live(),
    ]
}

/// Scopes that are explored completely by command.
#[must_use]
pub fn large() -> Vec<Scope> {
    let scope = |seconds, faults: &[Fault]| Scope::new(1, seconds, faults);
    vec![
        scope(5, &[Loss, Other, Leave]),
        scope(4, &[Loss, Other, Prune]),
        scope(5, &[Late, Sweep]),
        scope(5, &[Loss, Sweep]),
        scope(6, &[Leave, Sweep]),
        scope(3, &[Restart, Sweep]),
        scope(4, &[Loss, Late, Other]),
        scope(4, &[Failover, Loss, Other]),
        scope(4, &[Failover, Restart, Leave]),
        scope(4, &[Failover, Other, Prune]),
        scope(5, &[Loss, Other, Restore]),
        scope(4, &[Leave, Other, Restore, Prune]),
        scope(6, &[Loss, Late, Undone]),
        scope(4, &[Loss, Other, RestoreKept]),
        scope(3, &[Other, RestoreKept, Prune]),
        scope(8, &[Loss]).live(),
        scope(4, &[Own, Loss, Late, Other]).live(),
        scope(4, &[Own, Failover, Other, Loss]),
        scope(4, &[Own, RestoreKept, Loss, Other]).live(),
        scope(5, &[Own, Undone, Loss]).live(),
    ]
}

/// Scopes of several nodes, by command. Those that are not complete end at their limit.
#[must_use]
pub fn several() -> Vec<Scope> {
    let scope = |nodes, seconds, faults: &[Fault]| Scope::new(nodes, seconds, faults).limit(20_000_000);
    vec![scope(2, 3, &[]), scope(2, 2, &[Own]), scope(2, 2, &[Loss]).live(), scope(2, 2, &[Failover]), scope(3, 3, &[])]
}

/// Every mutant, in a scope in which it must be found.
#[must_use]
pub fn mutants() -> Vec<Scope> {
    let mutant = |mutant: Mutant, seconds: u8, faults: &[Fault]| Scope::new(1, seconds, faults).with(&[mutant]);
    vec![
        mutant(Mutant::SequenceAsRevision, 3, &[Other]),
        mutant(Mutant::WallClock, 3, &[]),
        mutant(Mutant::JoinInOneSnapshot, 3, &[Sweep]),
        mutant(Mutant::EntryBeforeLease, 3, &[]),
        mutant(Mutant::WaitingJoinsOlderLoad, 3, &[]),
        mutant(Mutant::RepeatedRevokeReturns, 3, &[Loss]),
        mutant(Mutant::LeavesWhileServing, 3, &[Leave]),
        mutant(Mutant::FillsWithoutVersion, 3, &[]),
        mutant(Mutant::LeaseBeforeChanges, 3, &[]),
        mutant(Mutant::RowsBeforeCommit, 3, &[]),
        mutant(Mutant::NoDrift, 3, &[]),
        mutant(Mutant::WaitsSinceBeforeCommit, 3, &[]),
        mutant(Mutant::BeginsAfterBeat, 3, &[Sweep]),
        mutant(Mutant::BeginsAfterRead, 3, &[]),
        mutant(Mutant::AcknowledgesFirst, 3, &[]),
        Scope::new(1, 3, &[]).with(&[Mutant::JoinKeepsCache, Mutant::LoadsBeforeJoin]),
        mutant(Mutant::GapIgnored, 3, &[Prune]),
        mutant(Mutant::SweepIgnoresBeat, 3, &[Sweep]),
        mutant(Mutant::BeatGoesBack, 3, &[Sweep, Late]),
        mutant(Mutant::LeaseShrinks, 3, &[Restart]),
        mutant(Mutant::LoadIgnoresFloor, 3, &[Failover]),
        mutant(Mutant::LooksUpWithoutLease, 3, &[Failover]),
        mutant(Mutant::OlderRenewalReleases, 3, &[]),
        mutant(Mutant::RenewalOutlivesLeave, 3, &[Leave]),
        mutant(Mutant::BeatAcknowledges, 3, &[RestoreKept, Other]),
        mutant(Mutant::RestoredAtOnce, 3, &[Restore, Other]),
        mutant(Mutant::UnknownCommitIsReceipt, 3, &[Loss, Late]),
        mutant(Mutant::LoadsBeforeJoin, 3, &[Failover, Restart]),
        mutant(Mutant::ChangesFromOldPrimary, 3, &[Failover]),
        mutant(Mutant::RowsFromOldPrimary, 3, &[Failover]),
        mutant(Mutant::NeverAcknowledges, 3, &[]).live(),
        mutant(Mutant::OwnFloorStays, 3, &[Own, Failover]),
        mutant(Mutant::OwnNodeUntold, 3, &[Own]),
        mutant(Mutant::NonceIgnored, 3, &[RestoreKept, Other]),
        mutant(Mutant::LapseKeepsCache, 3, &[Undone]),
        mutant(Mutant::FloorUnknown, 3, &[Own, RestoreKept]).live(),
        mutant(Mutant::FloorUnknown, 3, &[Own, Undone]).live(),
    ]
}
