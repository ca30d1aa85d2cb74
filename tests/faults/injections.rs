//! Faults at random moments and at random places, each for a random time.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::json;
use tokio::{
    sync::OwnedMutexGuard,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    fleet::{Fleet, Place, Trouble},
    link::{Link, get, post},
    node::{LEASE, Node, faketime},
    oracle::Known,
    proxy::Mode,
    random::Random,
    stopping::POINTS,
};

/// How long a process may take to get to a point at which it is to stop.
const POINT_COMES: Duration = Duration::from_secs(3);
/// How long a process that goes on may take to answer.
const ANSWERED: Duration = Duration::from_secs(1);
/// How long a process may take to accept that it stops nowhere, on a busy machine.
const DISARMED: Duration = Duration::from_secs(60);
/// How long a receipt may take while a process is stopped, on a busy machine.
const RECEIPT_COMES: Duration = Duration::from_secs(12);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// SIGSTOP at any moment.
    Stop,
    /// SIGSTOP at a named point.
    StopAt,
    /// SIGSTOP, then the end of a key, whose receipt has to name the process.
    StopAndEnd,
    /// SIGKILL, and another process with another wall clock.
    Kill,
    /// The way to the database.
    Network,
}

/// Draws faults, each with its place, and with the numbers for its times and all else. Nothing depends on what they do.
fn drawn(random: &Random, faults: &[Fault], number: usize, places: usize) -> Vec<(Fault, usize, Random)> {
    let mut places: VecDeque<usize> = (0..places).collect();
    places.rotate_left(random.below(places.len()));
    let mut draw = || {
        let random = random.fork();
        // One of the two that were left alone for longest.
        let place = places.remove(random.below(2)).expect("two places at least");
        places.push_back(place);
        (random.pick(faults), place, random)
    };
    (0..number).map(|_| draw()).collect()
}

#[test]
fn given_a_seed_when_faults_are_drawn_again_then_they_are_the_same_whatever_the_load_draws() {
    let drawn_of = |seed, load| {
        let (faults, kinds) = (Random::new(seed), [Fault::Stop, Fault::StopAt, Fault::Kill, Fault::Network]);
        let of_load = faults.fork();
        let mut all = Vec::new();
        for _ in 0..20 {
            (0..load).for_each(|_| assert!(of_load.below(7) < 7));
            let drawn = drawn(&faults, &kinds, 5, 3).into_iter();
            all.extend(drawn.map(|(fault, place, random)| format!("{fault:?} {place} {}", random.below(4_500))));
        }
        all
    };
    assert_eq!(drawn_of(7, 0), drawn_of(7, 100));
    assert_ne!(drawn_of(7, 0), drawn_of(8, 0));
}

impl Fleet {
    /// Injects so many faults of these kinds, several at a time, and waits until the last one is over.
    pub(crate) async fn suffer(self: &Arc<Self>, faults: &[Fault], number: usize) {
        self.suffer_of(&self.faults, faults, number).await;
    }

    /// Does the same with faults that are drawn from these numbers.
    pub(crate) async fn suffer_of(self: &Arc<Self>, random: &Random, faults: &[Fault], number: usize) {
        let mut under_way = JoinSet::new();
        for (fault, place, random) in drawn(random, faults, number, self.places.len()) {
            random.between(100, 900).await;
            if self.oracle.has_problems() {
                break;
            }
            // One process is left alone.
            while under_way.len() + 1 >= self.places.len() {
                under_way.join_next().await.unwrap().unwrap();
            }
            let place = Arc::clone(&self.places[place]);
            let node = place.wait().await;
            let fleet = Arc::clone(self);
            under_way.spawn(async move { fleet.inject(fault, &random, place, node).await });
            while let Some(injected) = under_way.try_join_next() {
                injected.unwrap();
            }
        }
        while let Some(injected) = under_way.join_next().await {
            injected.unwrap();
        }
    }

    async fn inject(
        self: Arc<Self>,
        fault: Fault,
        random: &Random,
        place: Arc<Place>,
        mut held: OwnedMutexGuard<Option<Node>>,
    ) {
        let was_well = place.is_well_since(Instant::now());
        let _trouble = Trouble::at(&place);
        let name = &place.name;
        match fault {
            Fault::Network => {
                let modes = [Mode::Cut, Mode::Silent, Mode::ToDatabase, Mode::ToProcess, Mode::Late];
                let (mode, proxy) = (random.pick(&modes), place.proxy.as_ref().unwrap());
                self.oracle.inject(&format!("{name}: the network is {mode:?}"));
                proxy.set(mode);
                random.between(300, 4_500).await;
                proxy.set(Mode::Pass);
                self.oracle.tell(&format!("{name}: the network passes again"));
            }
            Fault::Kill => {
                let ahead = if faketime().is_some() { random.pick(&[-5, 0, 5]) } else { 0 };
                self.oracle.inject(&format!("{name} is killed; the next one's clock is {ahead} s ahead"));
                held.take().unwrap().kill();
                random.between(0, 1_000).await;
                *held = Some(place.start(ahead).await);
                self.oracle.tell(&format!("{name} is back"));
            }
            Fault::Stop => {
                let node = held.as_ref().unwrap();
                node.signal(Signal::STOP);
                self.oracle.inject(&format!("{name} is stopped"));
                random.between(300, 4_500).await;
                self.go_on(&place, node).await;
            }
            Fault::StopAt => {
                let point = random.below(POINTS.len());
                let node = held.as_ref().unwrap();
                let armed = Link::default().ask(place.address(), &get(&format!("/stop-at/{point}"), "")).await;
                let stops = async {
                    while !node.is_stopped() {
                        sleep(Duration::from_millis(2)).await;
                    }
                };
                if armed.is_some() && timeout(POINT_COMES, stops).await.is_ok() {
                    self.oracle.inject(&format!("{name} has stopped {}", POINTS[point]));
                    random.between(0, 4_500).await;
                } else {
                    self.oracle.tell(&format!("{name} does not get to the point {}", POINTS[point]));
                }
                self.go_on(&place, node).await;
                // It may get there only now.
                let nowhere = get(&format!("/stop-at/{}", POINTS.len()), "");
                let disarmed = async {
                    let ask = || async { Link::default().ask(place.address(), &nowhere).await };
                    while !matches!(timeout(ANSWERED, ask()).await, Ok(Some(_))) {
                        node.signal(Signal::CONT);
                        sleep(Duration::from_millis(20)).await;
                    }
                };
                if timeout(DISARMED, disarmed).await.is_err() {
                    self.oracle.report(&format!("{name} does not answer any more"));
                }
                node.signal(Signal::CONT);
            }
            Fault::StopAndEnd => {
                let node = held.as_ref().unwrap();
                let id = Link::default().ask(place.address(), &get("/id", "")).await.map(|answer| answer.body);
                node.signal(Signal::STOP);
                let since = Instant::now();
                self.oracle.inject(&format!("{name} is stopped, and a key ends"));
                if let (Some(id), true) = (id, was_well) {
                    self.end_without(&place, &id, since).await;
                }
                self.go_on(&place, node).await;
            }
        }
    }

    async fn go_on(self: &Arc<Self>, place: &Arc<Place>, node: &Node) {
        self.ambush(place);
        sleep(Duration::from_millis(20)).await;
        node.signal(Signal::CONT);
        self.oracle.tell(&format!("{} goes on", place.name));
    }

    /// Revokes a key while the process with this id is stopped. The receipt names it, unless its row may have been swept before.
    async fn end_without(self: &Arc<Self>, stopped: &Place, id: &str, since: Instant) {
        let live = self.oracle.keys().into_iter();
        let mut live = live.filter(|key| key.state().known == Known::Live && !key.is_spent.load(Relaxed));
        let other = self.places.iter().find(|place| place.name != stopped.name && place.is_well_since(since));
        let (Some(key), Some(other)) = (live.next(), other) else { return };
        key.is_spent.store(true, Relaxed);
        if !key.begin(Known::Live) {
            return;
        }
        let mut link = Link::default();
        let request =
            post(&format!("api-keys/{}/revoke", key.id), &self.admin, &json!({"reason": "leaked"}).to_string());
        let answer = timeout(RECEIPT_COMES, link.ask(other.address(), &request)).await.ok().flatten();
        let took = since.elapsed();
        let Some(answer) = answer.filter(|answer| answer.receipt.is_some()) else {
            // It may hold a lock that all changes of a file need, so it has to go on first.
            let fleet = Arc::clone(self);
            tokio::spawn(async move { crate::changes::revoke(&fleet, &mut Link::default(), &key).await });
            return;
        };
        let receipt = answer.receipt_text();
        self.settle(&key, Known::Ended, receipt);
        self.oracle.receipt(took);
        if receipt.contains(id) {
            self.oracle.counts.named.fetch_add(1, Relaxed);
        } else if took < LEASE / 2 || self.has_row(id).await {
            // Otherwise its row was swept, as it had stood still for as long as a receipt waits. On a busy machine the last beat
            // was some time before.
            let (name, millis) = (&stopped.name, took.as_millis());
            self.oracle.report(&format!("{name} ({id}) was stopped {millis} ms ago, and the receipt is {receipt}"));
        }
    }
}
