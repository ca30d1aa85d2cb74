//! Whoever revokes the key, from the commit to the receipt.

use apikey_fleet::{Moment, NodeRow, Progress, Revision, Wait};

use crate::{
    scope::{Mutant, Scope},
    store::Server,
};

/// After how many attempts whoever revokes gives up.
pub(crate) const ATTEMPTS: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Revoker {
    /// Nothing has happened yet.
    Idle,
    /// For mutants: what was taken before the commit.
    Begun(Taken),
    /// The change is committed, the answer is under way.
    Committed {
        revision: u8,
        taken: Option<Taken>,
    },
    Waiting {
        wait: Wait,
        taken: Option<Taken>,
    },
    Done,
    /// The connection was lost with the commit, which may be executed later.
    Unknown {
        is_late: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Taken {
    pub(crate) number: u8,
    at: Moment,
    rows: Vec<NodeRow>,
}

impl Revoker {
    /// Whether a mutant needs something from before the commit.
    pub(crate) fn begins(scope: &Scope) -> bool {
        [Mutant::SequenceAsRevision, Mutant::RowsBeforeCommit, Mutant::WaitsSinceBeforeCommit]
            .into_iter()
            .any(|mutant| scope.is(mutant))
    }

    pub(crate) fn begin(scope: &Scope, number: u8, now: Moment, primary: &Server) -> Self {
        let rows = if scope.is(Mutant::RowsBeforeCommit) { primary.rows.clone() } else { Vec::new() };
        Revoker::Begun(Taken { number, at: now, rows })
    }

    /// The commit's answer is there.
    pub(crate) fn wait(&mut self, scope: &Scope, now: Moment, own: Option<apikey_fleet::NodeId>) {
        let Revoker::Committed { revision, taken } = self else { return };
        let taken = taken.take();
        let early = taken.as_ref().filter(|_| scope.is(Mutant::WaitsSinceBeforeCommit)).map(|taken| taken.at);
        let wait = Wait::new(Revision::new((*revision).into()), early.unwrap_or(now), own);
        *self = Revoker::Waiting { wait, taken };
    }

    /// Reads the rows of nodes at a server that has `head`, and looks whether the wait is over.
    pub(crate) fn look(&mut self, scope: &Scope, head: u8, rows: &[NodeRow], now: Moment) {
        let Revoker::Waiting { wait, taken } = self else { return };
        let early = taken.take().filter(|_| scope.is(Mutant::RowsBeforeCommit)).map(|taken| taken.rows);
        let mut rows = early.unwrap_or_else(|| rows.to_vec());
        if scope.is(Mutant::NoDrift) {
            rows.iter_mut().for_each(|row| row.lease = row.lease * 4 / 5);
        }
        if wait.answer(Revision::new(head.into()), &rows) && matches!(wait.progress(now), Progress::Done(_)) {
            *self = Revoker::Done;
        }
    }

    /// Rows read before the commit.
    pub(crate) fn taken_rows(&self) -> &[NodeRow] {
        match self {
            Revoker::Begun(taken)
            | Revoker::Committed { taken: Some(taken), .. }
            | Revoker::Waiting { taken: Some(taken), .. } => &taken.rows,
            _ => &[],
        }
    }

    pub(crate) fn waits(&self) -> bool {
        matches!(self, Revoker::Committed { .. } | Revoker::Waiting { .. })
    }
}
