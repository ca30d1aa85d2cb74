//! What every request may rely on, and what was found to break it.
//!
//! A change makes its key's state unknown when it begins, and known when its receipt has returned. A request is judged if its
//! key's state was known when it began, and no change had begun when it was answered.

use std::{
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// How many injections and receipts a failure tells of.
const TOLD: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    /// Every process lets it in, or answers 503.
    Live,
    /// No process lets it in.
    Ended,
}

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) known: Known,
    /// The number of changes, begun or confirmed.
    pub(crate) number: u64,
    /// When the last change began.
    pub(crate) began: Instant,
    /// The receipt of the last change that was confirmed.
    pub(crate) receipt: Arc<str>,
}

/// A secret, and the key that it is of.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// `true` if its end is final, or nobody knows whether it has ended.
    pub(crate) is_spent: AtomicBool,
    state: watch::Sender<State>,
}

impl Key {
    pub(crate) fn new(id: String, secret: String) -> Arc<Self> {
        let state =
            watch::Sender::new(State { known: Known::Live, number: 0, began: Instant::now(), receipt: Arc::default() });
        Arc::new(Key { id, secret, is_spent: false.into(), state })
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// A change is about to be sent. Returns `false` if another one is under way.
    pub(crate) fn begin(&self, from: Known) -> bool {
        self.state.send_if_modified(|state| {
            let begins = state.known == from;
            if begins {
                let receipt = Arc::clone(&state.receipt);
                *state = State { known: Known::Nothing, number: state.number + 1, began: Instant::now(), receipt };
            }
            begins
        })
    }

    /// The receipt is there.
    pub(crate) fn settle(&self, known: Known, receipt: &str) {
        self.state.send_modify(|state| {
            *state = State { known, number: state.number + 1, began: state.began, receipt: receipt.into() };
        });
    }
}

pub(crate) struct Oracle {
    pub(crate) name: String,
    pub(crate) seed: u64,
    /// `true` if a server that was deposed may answer lookups. It doesn't know a key that was issued since, and issuing has no
    /// receipt, so such keys are judged once another change of them has one.
    pub(crate) has_deposed: bool,
    start: Instant,
    keys: Mutex<Vec<Arc<Key>>>,
    history: Mutex<Vec<String>>,
    problems: Mutex<Vec<String>>,
    receipts: Mutex<Vec<Duration>>,
    is_finished: AtomicBool,
    pub(crate) counts: Counts,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        if !self.is_finished.load(Relaxed) {
            self.tell_of_the_unfinished();
        }
    }
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) injections: AtomicU64,
    pub(crate) probes: AtomicU64,
    pub(crate) let_in: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unavailable: AtomicU64,
    pub(crate) unanswered: AtomicU64,
    /// Probes with keys whose receipt had returned.
    pub(crate) of_ended: AtomicU64,
    /// Of these, those that were refused by a process that knew of the end.
    pub(crate) ended_refused: AtomicU64,
    pub(crate) of_live: AtomicU64,
    pub(crate) streams: AtomicU64,
    /// Streams that went on for too long while the machine stood still.
    pub(crate) excused: AtomicU64,
    pub(crate) named: AtomicU64,
    pub(crate) waited_out: AtomicU64,
}

impl Oracle {
    pub(crate) fn new(name: &str, seed: u64, has_deposed: bool) -> Self {
        println!("{name}: APIKEY_SEED={seed}");
        Oracle {
            name: name.to_owned(),
            seed,
            has_deposed,
            start: Instant::now(),
            keys: Mutex::default(),
            history: Mutex::default(),
            problems: Mutex::default(),
            receipts: Mutex::default(),
            is_finished: AtomicBool::new(false),
            counts: Counts::default(),
        }
    }

    pub(crate) fn add(&self, key: Arc<Key>) {
        self.keys.lock().unwrap().push(key);
    }

    pub(crate) fn keys(&self) -> Vec<Arc<Key>> {
        self.keys.lock().unwrap().clone()
    }

    /// Returns a key: half of the time one of the latest.
    pub(crate) fn pick(&self, below: impl Fn(usize) -> usize) -> Option<Arc<Key>> {
        let keys = self.keys.lock().unwrap();
        let among = if below(2) == 0 { keys.len() } else { keys.len().min(24) };
        (among > 0).then(|| Arc::clone(&keys[keys.len() - 1 - below(among)]))
    }

    pub(crate) fn tell(&self, what: &str) {
        let line = format!("{:>6} ms: {what}", self.start.elapsed().as_millis());
        self.history.lock().unwrap().push(line);
    }

    pub(crate) fn inject(&self, what: &str) {
        self.counts.injections.fetch_add(1, Relaxed);
        self.tell(what);
    }

    pub(crate) fn receipt(&self, took: Duration) {
        self.receipts.lock().unwrap().push(took);
    }

    /// Something is wrong.
    pub(crate) fn report(&self, what: &str) {
        let problem = format!("{:>6} ms: {what}", self.start.elapsed().as_millis());
        self.tell(what);
        self.problems.lock().unwrap().push(problem);
    }

    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.lock().unwrap().is_empty()
    }

    /// Judges the answer to a request that began when its key's state was `before`. Returns `false` for the first answer that
    /// contradicts a receipt.
    pub(crate) fn judge(&self, place: &str, key: &Key, before: State, began: Instant, status: Option<u16>) -> bool {
        let Counts { probes, let_in, refused, unavailable, unanswered, of_ended, ended_refused, of_live, .. } =
            &self.counts;
        probes.fetch_add(u64::from(status.is_some()), Relaxed);
        let count = match status {
            Some(200) => let_in,
            Some(401) => refused,
            Some(503) => unavailable,
            None => unanswered,
            Some(other) => {
                self.report(&format!("{place} answered {other}"));
                return true;
            }
        };
        count.fetch_add(1, Relaxed);
        if status.is_none() || before.known == Known::Nothing || key.state().number != before.number {
            return true;
        }
        if before.number == 0 && self.has_deposed {
            return true;
        }
        let is_first = !self.has_problems();
        let took = began.elapsed().as_millis();
        match before.known {
            Known::Ended => {
                of_ended.fetch_add(1, Relaxed);
                ended_refused.fetch_add(u64::from(status == Some(401)), Relaxed);
                if status == Some(200) {
                    self.report(&format!("{place} let in {} after the receipt of its end ({took} ms)", key.id));
                }
            }
            _ => {
                of_live.fetch_add(1, Relaxed);
                if status == Some(401) {
                    self.report(&format!("{place} refused {} after the receipt of its addition ({took} ms)", key.id));
                }
            }
        }
        !(is_first && self.has_problems())
    }

    /// Returns `true` if there was something of each kind that is judged.
    pub(crate) fn has_asked(&self) -> bool {
        let Counts { ended_refused, of_live, streams, .. } = &self.counts;
        ![ended_refused, of_live, streams].iter().any(|count| count.load(Relaxed) == 0)
            && !self.receipts.lock().unwrap().is_empty()
    }

    /// Prints what was going on if nobody has asked for a verdict, because the test was given up.
    fn tell_of_the_unfinished(&self) {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let told = &history[history.len().saturating_sub(TOLD)..];
        println!("{} is given up:\n{}\nAPIKEY_SEED={}", self.name, told.join("\n"), self.seed);
    }

    /// Prints what was done, and fails if something was wrong, or there were fewer faults than so many.
    pub(crate) fn finish(&self, faults: u64) {
        self.is_finished.store(true, Relaxed);
        let mut receipts = self.receipts.lock().unwrap().clone();
        receipts.sort_unstable();
        let at =
            |percent: usize| receipts.get((receipts.len().max(1) - 1) * percent / 100).map_or(0, |t| t.as_millis());
        let count = |count: &AtomicU64| count.load(Relaxed);
        let Counts { injections, probes, let_in, refused, unavailable, unanswered, .. } = &self.counts;
        let Counts { of_ended, ended_refused, of_live, streams, excused, named, waited_out, .. } = &self.counts;
        let mut report = format!(
            "{}: seed {}, {} s, {} injections, {} probes ({} let in, {} refused, {} unavailable, {} unanswered), of these {} with \
             ended keys, {} of them refused with 401, and {} with added ones; {} streams ended ({} late on a stalled machine), \
             {} receipts ({} ms at the median, {} ms at most; {} name processes, \
             checked {} times)",
            self.name,
            self.seed,
            self.start.elapsed().as_secs(),
            count(injections),
            count(probes),
            count(let_in),
            count(refused),
            count(unavailable),
            count(unanswered),
            count(of_ended),
            count(ended_refused),
            count(of_live),
            count(streams),
            count(excused),
            receipts.len(),
            at(50),
            at(100),
            count(waited_out),
            count(named),
        );
        println!("{report}");
        if !self.has_asked() {
            self.report("nothing was asked");
        }
        if count(injections) < faults {
            self.report(&format!("there were {} faults, and should be {faults}", count(injections)));
        }
        let problems = self.problems.lock().unwrap();
        if problems.is_empty() {
            return;
        }
        let history = self.history.lock().unwrap();
        write!(report, "\n{} problems:\n{}", problems.len(), problems[..problems.len().min(20)].join("\n")).unwrap();
        let told = &history[history.len().saturating_sub(TOLD)..];
        write!(report, "\nlast injections and receipts:\n{}\nAPIKEY_SEED={}", told.join("\n"), self.seed).unwrap();
        panic!("{report}");
    }
}
