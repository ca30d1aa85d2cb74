//! Processes on one database, and the load on them: probes, streams and changes.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use apikey_manager::{Actor, KeyManager, KeyStore, NewKey, OrganizationId};
use apikey_sqlx::SqlStore;
use support::patiently;
use tokio::{
    io::AsyncBufReadExt,
    sync::{OwnedMutexGuard, watch},
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{
    changes,
    link::{Link, get, open},
    node::{Node, format},
    oracle::{Key, Known, Oracle},
    proxy::Proxy,
    random::Random,
    size,
    stopping::uptime,
};

/// Probes that are sent to each process at once.
const PROBERS: usize = 4;
/// Changes that are under way at once: most of them wait for a process that is stopped.
const CHANGERS: usize = 8;
const BETWEEN_PROBES: Duration = Duration::from_millis(10);
/// How soon a stream ends, counted from the receipt for its key, at a process that suffers nothing.
const STREAM_ENDS: Duration = Duration::from_secs(1);
const BETWEEN_TICKS: Duration = Duration::from_millis(50);
/// How late a tick is when the machine stands still: nothing is said about processes that nothing runs.
const STALL: Duration = Duration::from_millis(250);
/// How long after a fault a process may still suffer from it.
const AFTERMATH: Duration = Duration::from_secs(3);
/// How long a process may take to tell what it has read.
const EXPLAINED: Duration = Duration::from_secs(5);
/// Longer than recovery takes, so that a test fails instead of hanging.
const RECOVERY: Duration = Duration::from_secs(30);
/// Longer than a process that has recovered takes to answer for every key, on a busy machine.
const ALL_ASKED: Duration = Duration::from_secs(90);

/// One place of the fleet, which a process after another takes.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) proxy: Option<Proxy>,
    address: Mutex<SocketAddr>,
    /// Its process, while no fault is at it.
    node: Arc<tokio::sync::Mutex<Option<Node>>>,
    /// Faults at it, and the time since when there is none.
    troubles: Mutex<(usize, Instant)>,
}

pub(crate) struct Fleet {
    pub(crate) places: Vec<Arc<Place>>,
    pub(crate) oracle: Arc<Oracle>,
    /// For the load.
    pub(crate) random: Random,
    /// For faults. The same seed has the same ones, at the same places and for the same times.
    pub(crate) faults: Random,
    pub(crate) admin: String,
    /// The database's own URL.
    direct: String,
    pub(crate) stopped: watch::Sender<bool>,
    /// When the last stall of this machine ended.
    stalled: Mutex<Option<Instant>>,
    load: tokio::sync::Mutex<JoinSet<()>>,
}

/// A fault at a place, while this lives.
pub(crate) struct Trouble<'a>(&'a Place);

impl<'a> Trouble<'a> {
    pub(crate) fn at(place: &'a Place) -> Self {
        place.troubles.lock().unwrap().0 += 1;
        Trouble(place)
    }
}

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        let mut troubles = self.0.troubles.lock().unwrap();
        *troubles = (troubles.0 - 1, Instant::now());
    }
}

impl Place {
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    /// Returns `true` if no fault has touched it since a while before `time`.
    pub(crate) fn is_well_since(&self, time: Instant) -> bool {
        let (faults, since) = *self.troubles.lock().unwrap();
        faults == 0 && since + AFTERMATH < time
    }

    /// Returns its process, unless another fault is at it.
    pub(crate) fn take(&self) -> Option<OwnedMutexGuard<Option<Node>>> {
        Arc::clone(&self.node).try_lock_owned().ok()
    }

    /// Waits until no other fault is at it, and returns its process.
    pub(crate) async fn wait(&self) -> OwnedMutexGuard<Option<Node>> {
        Arc::clone(&self.node).lock_owned().await
    }

    pub(crate) async fn start(&self, ahead: i64) -> Node {
        let url = self.url.clone();
        let node = spawn_blocking(move || Node::start(&url, ahead)).await.unwrap();
        *self.address.lock().unwrap() = node.address;
        node
    }
}

impl Fleet {
    /// Starts processes at these URLs, each through its proxy if it has one, and the load on them. `direct` is the database's
    /// own URL.
    pub(crate) async fn start(oracle: Oracle, direct: &str, urls: Vec<(String, Option<Proxy>)>) -> Arc<Self> {
        let faults = Random::new(oracle.seed);
        let (random, oracle) = (faults.fork(), Arc::new(oracle));
        let admin = admin(direct).await;
        let started = urls.into_iter().enumerate().map(|(number, (url, proxy))| async move {
            let node = {
                let url = url.clone();
                spawn_blocking(move || Node::start(&url, 0)).await.unwrap()
            };
            let (address, node) = (Mutex::new(node.address), Arc::new(tokio::sync::Mutex::new(Some(node))));
            let name = format!("process {number}");
            Arc::new(Place { name, url, proxy, address, node, troubles: Mutex::new((0, Instant::now())) })
        });
        let places = futures_util::future::join_all(started).await;
        let stopped = watch::Sender::new(false);
        let (direct, load, stalled) = (direct.to_owned(), tokio::sync::Mutex::default(), Mutex::default());
        let fleet = Arc::new(Fleet { places, oracle, random, faults, admin, direct, stopped, stalled, load });
        let mut load = fleet.load.lock().await;
        load.spawn(tick_for_ever(Arc::clone(&fleet)));
        for place in &fleet.places {
            for _ in 0..PROBERS {
                load.spawn(probe_for_ever(Arc::clone(&fleet), Arc::clone(place)));
            }
            load.spawn(stream_for_ever(Arc::clone(&fleet), Arc::clone(place)));
        }
        for _ in 0..CHANGERS {
            load.spawn(changes::change_for_ever(Arc::clone(&fleet)));
        }
        drop(load);
        fleet
    }

    /// Returns `true` if the machine stood still after `time`.
    async fn has_stalled_since(&self, time: Instant) -> bool {
        // A stall that ends just now is seen with the next tick.
        sleep(BETWEEN_TICKS * 2).await;
        self.stalled.lock().unwrap().is_some_and(|ended| ended > time)
    }

    /// Waits until no process suffers from anything.
    pub(crate) async fn calm(&self) {
        while !self.places.iter().all(|place| place.is_well_since(Instant::now())) {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns some process.
    pub(crate) fn somewhere(&self) -> &Place {
        &self.places[self.random.below(self.places.len())]
    }

    /// Sends probes with ended keys, which are answered once the process goes on.
    pub(crate) fn ambush(self: &Arc<Self>, place: &Arc<Place>) {
        for _ in 0..8 {
            let (fleet, place) = (Arc::clone(self), Arc::clone(place));
            tokio::spawn(async move { fleet.probe(&mut Link::default(), &place).await });
        }
    }

    /// The receipt is there: every process is asked at once, also those that are stopped.
    pub(crate) fn settle(self: &Arc<Self>, key: &Arc<Key>, known: Known, receipt: &str) {
        key.settle(known, receipt);
        for place in &self.places {
            let (fleet, place, key) = (Arc::clone(self), Arc::clone(place), Arc::clone(key));
            tokio::spawn(async move { fleet.probe_with(&key, &mut Link::default(), &place).await });
        }
    }

    /// Returns `true` if there is a row of this process.
    pub(crate) async fn has_row(&self, id: &str) -> bool {
        let url = self.direct.as_str();
        let store = patiently(|| SqlStore::connect(url)).await;
        let (_, rows) = store.fleet().nodes().await.unwrap();
        store.close().await;
        rows.iter().any(|row| format!("{:032x}", row.id.get()) == id)
    }

    async fn probe(&self, link: &mut Link, place: &Place) {
        if let Some(key) = self.oracle.pick(|end| self.random.below(end)) {
            self.probe_with(&key, link, place).await;
        }
    }

    async fn probe_with(&self, key: &Key, link: &mut Link, place: &Place) {
        let (state, began) = (key.state(), Instant::now());
        let answer = link.ask(place.address(), &get("/probe", &key.secret)).await;
        if answer.is_none() {
            sleep(BETWEEN_PROBES * 5).await;
        }
        if !self.oracle.judge(&place.name, key, state, began, answer.map(|answer| answer.status)) {
            self.explain(&key.id).await;
        }
    }

    /// Writes down what every process has read of a key, and of the changes.
    async fn explain(&self, key: &str) {
        let folder = format!("apikey-faults-{}-{}", self.oracle.name.replace(' ', "-"), self.oracle.seed);
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).unwrap();
        for place in &self.places {
            let read =
                timeout(EXPLAINED, Link::default().ask(place.address(), &get(&format!("/read/{key}"), ""))).await;
            let read = read.ok().flatten().map_or_else(|| "no answer".to_owned(), |answer| answer.body);
            fs::write(folder.join(place.name.replace(' ', "-")), read).unwrap();
        }
        self.oracle.tell(&format!(
            "what they have read is in {}; {} ms of uptime",
            folder.display(),
            uptime().as_millis()
        ));
    }

    /// Ends the load, and demands that every process, now that no fault is left, refuses every ended key and lets every other
    /// one in, and that a full run had so many faults.
    pub(crate) async fn finish(self: Arc<Self>, faults: usize) {
        // In a short run on a busy machine, the load may not have come to everything yet.
        let begun = Instant::now();
        while !self.oracle.has_asked() && begun.elapsed() < RECOVERY * 2 {
            sleep(BETWEEN_PROBES * 5).await;
        }
        self.stopped.send_replace(true);
        let mut load = self.load.lock().await;
        while let Some(ended) = load.join_next().await {
            ended.unwrap();
        }
        for place in &self.places {
            // Whoever has a fault at it gives the process back first.
            let _node = place.node.lock().await;
            let mut last = String::new();
            let recovered = timeout(RECOVERY + ALL_ASKED, async {
                let mut link = Link::default();
                loop {
                    match link.ask(place.address(), &get("/probe", &self.admin)).await {
                        Some(answer) if answer.status == 200 => break,
                        Some(answer) => last = answer.body,
                        None => {}
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                for key in self.oracle.keys() {
                    let expected = match key.state().known {
                        Known::Live => 200,
                        Known::Ended => 401,
                        Known::Nothing => continue,
                    };
                    // A lease may end while the machine is busy.
                    let status = loop {
                        match link.ask(place.address(), &get("/probe", &key.secret)).await.map(|answer| answer.status) {
                            None | Some(503) => sleep(Duration::from_millis(20)).await,
                            Some(status) => break status,
                        }
                    };
                    if status != expected {
                        let Key { id, .. } = key.as_ref();
                        self.oracle.report(&format!("{} has recovered, and answers {id} with {status}", place.name));
                    }
                }
            });
            if recovered.await.is_err() {
                self.oracle.report(&format!("{} does not recover: {last}", place.name));
            }
        }
        self.oracle.finish(size(1, faults) as u64);
    }
}

/// Issues a key for the management API, and returns its secret.
pub(crate) async fn admin(url: &str) -> String {
    let store = patiently(|| SqlStore::connect(url)).await;
    let keys = KeyManager::builder(store).format(format()).without_requests().build().unwrap();
    let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
    let issued = keys.issue(&host, NewKey::new("admin").scopes(["*"])).await.unwrap();
    keys.shutdown().await;
    issued.secret().expose_secret().to_owned()
}

/// Notes when this process, and so the machine, stands still.
async fn tick_for_ever(fleet: Arc<Fleet>) {
    let mut last = Instant::now();
    while !*fleet.stopped.borrow() {
        sleep(BETWEEN_TICKS).await;
        let now = Instant::now();
        if now - last > STALL {
            *fleet.stalled.lock().unwrap() = Some(now);
        }
        last = now;
    }
}

async fn probe_for_ever(fleet: Arc<Fleet>, place: Arc<Place>) {
    let mut link = Link::default();
    while !*fleet.stopped.borrow() {
        fleet.probe(&mut link, &place).await;
        sleep(BETWEEN_PROBES).await;
    }
}

/// Opens streams one after another, and looks whether they end with their keys.
async fn stream_for_ever(fleet: Arc<Fleet>, place: Arc<Place>) {
    let mut stopped = fleet.stopped.subscribe();
    while !*stopped.borrow() {
        sleep(BETWEEN_PROBES).await;
        let Some(key) = fleet.oracle.pick(|end| fleet.random.below(end)) else { continue };
        let before = key.state();
        if before.known != Known::Live || key.is_spent.load(Relaxed) {
            continue;
        }
        let Some(mut stream) = open(place.address(), &key.secret).await else { continue };
        let mut states = key.watch();
        let mut line = String::new();
        let read_to_end = async {
            while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
                line.clear();
            }
        };
        tokio::pin!(read_to_end);
        let ended = tokio::select! {
            // The process was killed, or the change has arrived before its receipt.
            () = &mut read_to_end => {
                let is_changed = key.state().number != before.number;
                fleet.oracle.counts.streams.fetch_add(u64::from(is_changed), Relaxed);
                continue;
            }
            _ = stopped.wait_for(|stopped| *stopped) => return,
            state = states.wait_for(|state| state.known == Known::Ended) => state.unwrap().clone(),
        };
        let (receipt, is_alone) = (Instant::now(), ended.number == before.number + 2);
        if timeout(STREAM_ENDS, &mut read_to_end).await.is_ok() {
            fleet.oracle.counts.streams.fetch_add(1, Relaxed);
            continue;
        }
        let took = receipt.elapsed().as_millis();
        let what = format!("a stream of {} goes on at {} {took} ms after the receipt", key.id, place.name);
        if is_alone && place.is_well_since(ended.began) {
            // A process that was waited out, because another holds a lock that its renewals need, keeps its streams open until
            // its next renewal.
            let own = Link::default().ask(place.address(), &get("/id", "")).await.map(|own| own.body);
            if own.is_some_and(|own| own.is_empty() || !ended.receipt.contains(&own)) {
                if fleet.has_stalled_since(receipt).await {
                    fleet.oracle.counts.excused.fetch_add(1, Relaxed);
                } else {
                    fleet.oracle.report(&what);
                }
            }
        }
        tokio::select! {
            // If the key has been enabled since, the process may have heard of that first.
            last = timeout(RECOVERY, &mut read_to_end) => if last.is_err() && key.state().number == ended.number {
                fleet.oracle.report(&format!("{what}, and does not end"));
            },
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}
