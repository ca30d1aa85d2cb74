//! The thread that renews this process's lease, and applies what others have changed.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, thread, time::Duration};

use apikey_core::{Authenticator, Clock, WeakAuthenticator};
use apikey_fleet::{Beat, Change, Effect, Moment, Node, NodeId, NodeRow, Schedule, Settings, Sighting, Statement};
use futures_util::FutureExt;
use tokio::{runtime, time::timeout};

use super::{
    clock,
    recheck::Recheck,
    state::State,
    telemetry::{self, Renewal},
};
use crate::{
    chance,
    resolver::StoreResolver,
    store::{FleetStore, Invalidation, KeyStore, StoreError, StoreState},
};

/// The pause after a panic, which is a mistake of the store's or of somebody's waker.
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// Up to so many nodes, each looks for nodes that ended without leaving. Of more, some do.
const LOOKERS: usize = 16;

/// What the thread serves.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) settings: Settings,
    pub(super) state: Arc<State>,
    pub(super) store: Arc<dyn KeyStore>,
    pub(super) resolver: Arc<StoreResolver>,
    pub(super) authenticator: WeakAuthenticator,
    pub(super) clock: Clock,
    /// The host's, for lookups.
    pub(super) runtime: runtime::Handle,
}

/// Starts the thread. It ends when the state is stopped, which the end of the authenticator does, too.
pub(super) fn spawn(served: Served) -> Result<(), StoreError> {
    let own = runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::unavailable)?;
    let run = move || {
        own.block_on(async {
            while !served.state.is_stopped() {
                let run = AssertUnwindSafe(async { Driver::new(served.clone())?.run().await }).catch_unwind();
                match run.await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::error!(target: "apikey", error = &error as &dyn std::error::Error, "no lease can be renewed");
                        tokio::time::sleep(AFTER_A_PANIC).await;
                    }
                    // The next run has another id, and joins with an empty cache.
                    Err(_) => {
                        served.state.withdraw();
                        served.state.floor().forget();
                        tracing::error!(target: "apikey", "the renewal of the lease panicked");
                        tokio::time::sleep(AFTER_A_PANIC).await;
                    }
                }
            }
        });
        served.state.leave();
        // Connections may wait for a server that is gone.
        own.shutdown_background();
    };
    thread::Builder::new().name("apikey-fleet".to_owned()).spawn(run).map_err(StoreError::unavailable)?;
    Ok(())
}

struct Driver {
    served: Served,
    store: Box<dyn FleetStore>,
    node: Node,
    schedule: Schedule,
    recheck: Recheck,
    sightings: HashMap<NodeId, Sighting>,
    looks_at: Moment,
    /// Whether the last renewal failed, so that an outage is told once.
    is_failing: bool,
}

/// Why a renewal did not count.
enum Failed {
    Store(StoreError),
    Late,
    Uncounted(apikey_fleet::Uncounted),
    /// A process uses the database alone.
    NotAlone,
}

impl Driver {
    fn new(served: Served) -> Result<Self, StoreError> {
        let node = Node::new(served.settings, node_id()?);
        served.state.set_own(node.id());
        let now = clock::now();
        Ok(Driver {
            // Made here, so that its connections belong to this thread's runtime.
            store: served.store.fleet().detached(),
            schedule: Schedule::new(served.settings, now),
            recheck: Recheck::new(Arc::clone(&served.resolver), served.authenticator.clone(), served.runtime.clone()),
            sightings: HashMap::new(),
            looks_at: now.saturating_add(served.settings.leased()),
            is_failing: false,
            node,
            served,
        })
    }

    async fn run(mut self) -> Result<(), StoreError> {
        while !self.served.state.is_stopped() {
            self.pause().await;
            if !self.served.state.is_stopped() {
                self.renew().await?;
            }
        }
        let limit = self.served.settings.patience();
        for effect in self.node.leave::<()>() {
            if let Effect::Ask(statement) = effect {
                let _ = timeout(limit, execute(self.store.as_ref(), statement)).await;
            }
        }
        Ok(())
    }

    /// Waits until a renewal is due: by the schedule, for a request, or because something has changed.
    async fn pause(&mut self) {
        let Driver { store, schedule, node, served, is_failing, .. } = self;
        let hint = async {
            match node.applied() {
                // A store that fails is asked by the schedule.
                Some(known) if !*is_failing => store.changed(known.revision).await,
                _ => std::future::pending().await,
            }
        };
        let mut hint = std::pin::pin!(hint.fuse());
        loop {
            if let Some(arrival) = served.state.take_wanted() {
                schedule.want(arrival);
            }
            let left = schedule.due().saturating_since(clock::now());
            if left.is_zero() || served.state.is_stopped() {
                return;
            }
            tokio::select! {
                // The clock of leases goes on while the machine sleeps, and this one may not, so it is looked at again.
                () = tokio::time::sleep(left.min(Duration::from_secs(1))) => {}
                () = served.state.woken() => {}
                () = &mut hint => schedule.hint(clock::now(), served.state.nodes(), chance::random()),
            }
        }
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let asked = self.served.clock.now();
        let began = clock::now();
        let statement = self.node.begin(began, self.served.state.floor().newest());
        let answered = timeout(
            self.served.settings.patience(),
            ask((self.store.as_ref(), &self.served.state), &mut self.node, statement),
        );
        let read = match answered.await {
            Ok(Ok(StoreState { snapshot, time })) => {
                // Drawn in any case, so that a failure changes nothing.
                let fresh = node_id()?;
                let read = self.node.read(snapshot, || fresh).map_err(Failed::Uncounted);
                read.inspect(|_| self.served.clock.set_by_server(time, asked))
            }
            Ok(Err(failed)) => Err(failed),
            Err(_) => Err(Failed::Late),
        };
        match read {
            Ok(effects) => self.apply(effects, began).await,
            Err(failed) => self.fail(&failed, began),
        }
        Ok(())
    }

    async fn apply(&mut self, effects: Vec<Effect<Vec<Invalidation>>>, began: Moment) {
        let state = Arc::clone(&self.served.state);
        let Some(authenticator) = self.served.authenticator.upgrade() else { return state.stop() };
        let counts = effects.iter().any(|effect| matches!(effect, Effect::Release { .. }));
        let renewal = match effects.first() {
            _ if !counts => Renewal::Lost,
            Some(Effect::Flush { .. }) => Renewal::Joined,
            _ => Renewal::Counted,
        };
        telemetry::renewed(renewal, clock::now().saturating_since(began));
        for effect in effects {
            match effect {
                Effect::Withdraw => state.withdraw(),
                Effect::Flush { joined } => {
                    match joined {
                        Some(revision) => state.floor().join(revision),
                        None => state.floor().forget(),
                    }
                    self.recheck.add(authenticator.doubt(None));
                }
                Effect::Apply { changes, to } => {
                    state.floor().raise(to);
                    self.invalidate(&authenticator, changes);
                }
                Effect::Hold(lease) => {
                    state.hold(lease);
                    telemetry::holds(Moment::from_nanos(lease.to_bits()).saturating_since(clock::now()));
                }
                Effect::Release { began } => state.release(began),
                Effect::Ask(statement) => {
                    // Its failure is seen at the next renewal, which asks again.
                    let _ = timeout(self.served.settings.patience(), execute(self.store.as_ref(), statement)).await;
                }
            }
        }
        state.set_own(self.node.id());
        if !counts {
            tracing::warn!(target: "apikey", "this process has lost its place among the changes, and looks all keys up again");
            return self.schedule.restart(clock::now());
        }
        if std::mem::take(&mut self.is_failing) {
            tracing::info!(target: "apikey", "the lease is renewed again");
        }
        self.schedule.succeeded(began, chance::random());
        self.look_for_the_dead().await;
    }

    fn invalidate(&self, authenticator: &Authenticator, changes: Vec<Change<Vec<Invalidation>>>) {
        for invalidation in changes.into_iter().flat_map(|change| change.targets) {
            if let Invalidation::Organization(organization) = &invalidation {
                self.recheck.add(authenticator.doubt(Some(organization)));
            } else {
                invalidation.apply_to(authenticator);
            }
        }
    }

    fn fail(&mut self, failed: &Failed, began: Moment) {
        self.node.give_up();
        telemetry::renewed(Renewal::Failed, clock::now().saturating_since(began));
        let why = match failed {
            Failed::Store(error) => error.described(),
            Failed::Late => "the store takes longer than a lease lasts".to_owned(),
            Failed::Uncounted(uncounted) => uncounted.to_string(),
            Failed::NotAlone => {
                "another process uses the database alone; end it, or let it join. If it was killed, start it so \
                                 once more and shut it down, or delete the row whose lease_ms is 0"
                    .to_owned()
            }
        };
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(target: "apikey", why, "the lease was not renewed");
        }
        self.served.state.fail(began, why);
        self.schedule.failed(clock::now(), chance::random());
    }

    /// Deletes rows of nodes that can hold no lease any more, since changes would wait for them.
    async fn look_for_the_dead(&mut self) {
        let now = clock::now();
        if now < self.looks_at {
            return;
        }
        let lease = self.served.settings.leased();
        self.looks_at = now.saturating_add(chance::shortened(lease));
        let limit = self.served.settings.patience();
        let Ok(Ok((_, rows))) = timeout(limit, self.store.nodes()).await else { return };
        self.served.state.set_nodes(rows.len());
        let share = LOOKERS as f64 / rows.len().max(1) as f64;
        let own = self.node.id();
        let others: Vec<NodeRow> =
            rows.into_iter().filter(|row| row.id != own && !super::alone::is_alone(row)).collect();
        self.sightings.retain(|id, _| others.iter().any(|row| row.id == *id));
        let now = clock::now();
        for row in others {
            let sighting = self.sightings.entry(row.id).or_insert_with(|| Sighting::new(&row, now));
            if let Some(sweep) = sighting.look(&row, now)
                && chance::part() < share
                && let Ok(Ok(true)) = timeout(limit, self.store.sweep(sweep)).await
            {
                tracing::info!(target: "apikey", node = format_args!("{:032x}", row.id.get()), "a process has ended without leaving");
            }
        }
    }
}

/// Executes the two statements of a renewal.
async fn ask(
    (store, state): (&dyn FleetStore, &State),
    node: &mut Node,
    statement: Statement,
) -> Result<StoreState, Failed> {
    execute(store, statement).await.map_err(Failed::Store)?;
    // Whoever is alone looks for rows after its own was written, so one of the two sees the other. It may have swept a row
    // whose process had no lease any more when the row was written again, but not one whose process still has it.
    if node.applied().is_none() || !state.is_open(clock::now()) {
        let (_, rows) = store.nodes().await.map_err(Failed::Store)?;
        // Another server than the one that was written to may lack the row of whoever is alone, too.
        if !has_row(&rows, node.id(), node.beat()) {
            return Err(Failed::Uncounted(apikey_fleet::Uncounted::NotOurRow));
        }
        if rows.iter().any(super::alone::is_alone) {
            return Err(Failed::NotAlone);
        }
        state.set_nodes(rows.len());
    }
    match node.beaten() {
        Some(Statement::Read { id, since }) => store.snapshot(id, since).await.map_err(Failed::Store),
        _ => Err(Failed::Uncounted(apikey_fleet::Uncounted::NotAsked)),
    }
}

/// Returns `true` if a node's row is there as it was written, so that the server is the one that it was written to.
pub(super) fn has_row(rows: &[NodeRow], id: NodeId, beat: Beat) -> bool {
    rows.iter().any(|row| (row.id, row.beat) == (id, beat))
}

async fn execute(store: &dyn FleetStore, statement: Statement) -> Result<(), StoreError> {
    match statement {
        Statement::Beat { id, lease, beat, replaces } => store.beat(id, lease, beat, replaces).await,
        Statement::Read { id, since } => store.snapshot(id, since).await.map(drop),
        Statement::Acknowledge { id, applied } => store.acknowledge(id, applied).await,
        Statement::Leave { id } => store.leave(id).await,
    }
}

pub(super) fn node_id() -> Result<NodeId, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::unavailable)?;
    Ok(NodeId::new(u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use apikey_fleet::Revision;

    use super::*;
    use crate::{MemoryStore, fleet::elsewhere::Elsewhere, floor::Floor};

    #[tokio::test]
    async fn given_a_change_of_this_process_that_the_database_has_lost_when_renewed_then_lookups_are_answered_again() {
        let (store, floor): (Arc<dyn KeyStore>, _) = (Arc::new(MemoryStore::new()), Arc::<Floor>::default());
        let state = State::new(Arc::clone(&floor));
        let runtime = runtime::Handle::current();
        let resolver = Arc::new(StoreResolver::new(Arc::clone(&store), Arc::clone(&floor), runtime.clone()));
        let authenticator = Authenticator::builder(Arc::clone(&resolver)).build().unwrap();
        let settings = Settings::new().lease(Settings::SHORTEST).unwrap();
        let (clock, weak) = (Clock::default(), authenticator.downgrade());
        spawn(Served { settings, state: Arc::clone(&state), store, resolver, authenticator: weak, clock, runtime })
            .unwrap();
        assert!(state.regain().await);
        floor.raise(Revision::new(9));
        let begun = Instant::now();
        while !floor.begin_load().is_some_and(|load| load.accepts(Revision::ZERO)) {
            assert!(begun.elapsed() < Duration::from_secs(20), "every lookup is refused");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        state.stop();
        state.has_left().await;
    }

    #[tokio::test]
    async fn given_another_server_that_tells_of_rows_when_joining_then_the_renewal_does_not_count() {
        let (state, settings) = (State::new(Arc::default()), Settings::new());
        let mut node = Node::new(settings, NodeId::new(1));
        let store = MemoryStore::new();
        let elsewhere = Elsewhere { written: store.clone(), read: MemoryStore::new() };
        let statement = node.begin(clock::now(), state.floor().newest());
        let asked = ask((&elsewhere, &state), &mut node, statement).await;
        assert!(matches!(asked, Err(Failed::Uncounted(apikey_fleet::Uncounted::NotOurRow))));
        let statement = node.begin(clock::now(), state.floor().newest());
        assert!(ask((&store, &state), &mut node, statement).await.is_ok());
    }
}
