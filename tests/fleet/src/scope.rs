//! What may happen in one exploration, and what is wrong in it on purpose.

use std::fmt;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections, statements and answers are lost at any point.
    Loss,
    /// A statement that was given up may be executed later, or once more.
    Late,
    /// Another change commits, for which nobody waits.
    Other,
    /// The log of changes is pruned.
    Prune,
    /// Nodes leave.
    Leave,
    /// Rows of dead nodes are swept.
    Sweep,
    /// Another server takes over; the deposed one still answers reads, as of then.
    Failover,
    /// The database is restored from a backup, and stays closed for the longest lease.
    Restore,
    /// The key is revoked at first, and there is a receipt for it. The other change lets it in again, and is undone when the
    /// database is restored, as above. Nobody revokes.
    Undone,
    /// The latest change is lost at once, as in a failover to a server that lags; rows of nodes are kept. With [`Own`](Fault::Own)
    /// it may be the revocation, which has to be made again then.
    RestoreKept,
    /// A node begins anew under another id, and leaves its row behind.
    Restart,
    /// Node A is in the process of whoever revokes, and of whoever lets the key in again.
    Own,
}

/// What is wrong. All of it is done to the machine from outside: to what goes in, to what comes out, and to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    SequenceAsRevision,
    WallClock,
    JoinInOneSnapshot,
    EntryBeforeLease,
    WaitingJoinsOlderLoad,
    RepeatedRevokeReturns,
    LeavesWhileServing,
    FillsWithoutVersion,
    LeaseBeforeChanges,
    RowsBeforeCommit,
    NoDrift,
    WaitsSinceBeforeCommit,
    BeginsAfterBeat,
    BeginsAfterRead,
    AcknowledgesFirst,
    JoinKeepsCache,
    GapIgnored,
    SweepIgnoresBeat,
    BeatGoesBack,
    LeaseShrinks,
    LoadIgnoresFloor,
    LooksUpWithoutLease,
    OlderRenewalReleases,
    RenewalOutlivesLeave,
    BeatAcknowledges,
    RestoredAtOnce,
    UnknownCommitIsReceipt,
    LoadsBeforeJoin,
    ChangesFromOldPrimary,
    RowsFromOldPrimary,
    NeverAcknowledges,
    OwnFloorStays,
    OwnNodeUntold,
    NonceIgnored,
    LapseKeepsCache,
    FloorUnknown,
}

/// One exploration.
#[derive(Clone, Debug)]
pub struct Scope {
    /// How many nodes there are: 1 to 3.
    pub nodes: usize,
    /// How many seconds the fastest clock goes on for.
    pub seconds: u8,
    /// Whether to check what must happen if nothing fails from some point on: a receipt that somebody waits for needs no time,
    /// and a node that renews its lease can look keys up.
    pub live: bool,
    /// How many states to visit at most.
    pub limit: usize,
    pub faults: Vec<Fault>,
    pub mutants: Vec<Mutant>,
    faults_set: u64,
    mutants_set: u64,
}

impl Scope {
    #[must_use]
    pub fn new(nodes: usize, seconds: u8, faults: &[Fault]) -> Self {
        let faults_set = faults.iter().fold(0, |set, fault| set | 1 << *fault as u32);
        let limit = 100_000_000;
        Scope {
            nodes,
            seconds,
            live: false,
            limit,
            faults: faults.to_vec(),
            mutants: vec![],
            faults_set,
            mutants_set: 0,
        }
    }

    /// Checks liveness, too.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    #[must_use]
    pub fn with(mut self, mutants: &[Mutant]) -> Self {
        self.mutants = mutants.to_vec();
        self.mutants_set = mutants.iter().fold(0, |set, mutant| set | 1 << *mutant as u32);
        self
    }

    pub(crate) fn may(&self, fault: Fault) -> bool {
        self.faults_set & 1 << fault as u32 != 0
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutants_set & 1 << mutant as u32 != 0
    }
}

impl Mutant {
    /// How many there are.
    pub const COUNT: usize = Mutant::FloorUnknown as usize + 1;
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope { nodes, seconds, live, faults, mutants, .. } = self;
        write!(f, "{nodes} node(s), {seconds} s, {faults:?}")?;
        if *live {
            f.write_str(", live")?;
        }
        if mutants.is_empty() { Ok(()) } else { write!(f, ", {mutants:?}") }
    }
}
