use std::sync::Mutex;

use apikey_core::{Clock, KeyDigest, KeyId, ManualClock, Timestamp};

use crate::record::KeyRecord;

use super::{sweep::Sweeper, *};
use crate::{
    ActorId, KeyStore, Revocation, SecretRecord, UsageBatch, UsageBucket, UsageRow,
    organization::Switched,
    test_store::{Fault, TestStore},
};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn start() -> Timestamp {
    ManualClock::new().wall()
}

fn key(id: &str, created_at: Timestamp) -> KeyRecord {
    let acme = OrganizationId::new("acme").unwrap();
    let mut digest = [0; 32];
    digest[..id.len()].copy_from_slice(id.as_bytes());
    let digest = KeyDigest::sha256_from_bytes(digest);
    KeyRecord::new(KeyId::new(id).unwrap(), acme, digest, created_at, ActorId::new("host").unwrap())
}

#[test]
fn given_records_of_every_kind_when_asked_what_is_due_then_what_the_thresholds_say() {
    let now = start();
    let old = now - 100 * DAY;
    let host = ActorId::new("host").unwrap();
    type Change = Box<dyn Fn(&mut KeyRecord)>;
    let revoked = Revocation { at: now, by: host.clone(), reason: String::new() };
    let disabled = Switched { at: now, by: host };
    let expires = |at: Timestamp| move |key: &mut KeyRecord| key.expires_at = Some(at);
    let cases: Vec<(&str, Timestamp, Change, &[&str])> = vec![
        ("new", now, Box::new(|_| {}), &[]),
        ("old and never used", old, Box::new(|_| {}), &["unused", "rotation"]),
        ("old and used", old, Box::new(move |key| key.last_used_at = Some(now - DAY)), &["rotation"]),
        ("not used since", old, Box::new(move |key| key.last_used_at = Some(now - 90 * DAY)), &["unused", "rotation"]),
        ("valid only lately", old, Box::new(move |key| key.not_before = Some(now - DAY)), &["rotation"]),
        (
            "rotated",
            old,
            Box::new(move |key| key.secrets.insert(0, SecretRecord::new(key.secrets[0].digest.clone(), now - DAY))),
            &["unused"],
        ),
        ("expiring within 8 days", now - DAY, Box::new(expires(now + 8 * DAY)), &[]),
        ("expiring within 7 days", now - DAY, Box::new(expires(now + 7 * DAY)), &["expiring 7"]),
        ("expiring within a day", now - 9 * DAY, Box::new(expires(now + DAY)), &["expiring 1"]),
        ("issued for 6 days", now, Box::new(expires(now + 6 * DAY)), &[]),
        ("expired", old, Box::new(expires(now)), &["expired"]),
        (
            "disabled and expiring",
            old,
            Box::new(move |key| {
                key.disabled = Some(disabled.clone());
                key.expires_at = Some(now + DAY);
            }),
            &["expiring 1"],
        ),
        (
            "revoked and expired",
            old,
            Box::new(move |key| {
                key.revoked = Some(revoked.clone());
                key.expires_at = Some(now);
            }),
            &[],
        ),
    ];
    for (name, created_at, change, expected) in cases {
        let mut record = key("k", created_at);
        change(&mut record);
        let due = due(&record, now, &Thresholds::new());
        assert!(due.iter().all(|due| due.moment() <= now), "{name}");
        let named = due.iter().map(|due| match due {
            Due::Expiring { within, .. } => format!("expiring {}", within.as_secs() / DAY.as_secs()),
            Due::Expired { .. } => "expired".to_owned(),
            Due::Unused { .. } => "unused".to_owned(),
            Due::RotationDue { .. } => "rotation".to_owned(),
        });
        assert_eq!(named.collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn given_hours_of_use_when_compared_with_what_is_usual_then_a_spike_is_what_the_documentation_says() {
    let hour = start();
    let before = |hours: u32| hour - HOUR * hours;
    let used = |hours_ago: u32, ok| UsageBucket { start: before(hours_ago), ok, refused: 0 };
    let threshold = SpikeThreshold::new().factor(10).minimum(100);
    let steady = |each: u64| (1..=168).map(|ago| used(ago, each)).collect::<Vec<_>>();
    let cases = [
        ("nothing before", vec![], 100, 200, Some(0)),
        ("too few", vec![], 99, 200, None),
        ("usual", steady(50), 499, 200, None),
        ("ten times the usual", steady(50), 500, 200, Some(50)),
        ("half of the hours", steady(50).split_off(84), 500, 200, Some(50)),
        ("less than half of the hours", steady(50).split_off(85), 100, 200, Some(0)),
        ("use of more than 7 days ago", (169..400).map(|ago| used(ago, 1_000)).collect(), 100, 500, Some(0)),
        ("of the age of a day", vec![], 100, 24, Some(0)),
        ("younger", vec![], 1_000_000, 23, None),
        ("young and busy", (1..=13).map(|ago| used(ago, 50)).collect(), 499, 24, None),
    ];
    for (name, mut usage, requests, age, median) in cases {
        usage.push(UsageBucket { start: hour, ok: requests - 30, refused: 30 });
        let spike = threshold.spike(hour, before(age), &usage);
        assert_eq!(
            spike.map(|spike| (spike.requests, spike.median)),
            median.map(|median| (requests, median)),
            "{name}"
        );
    }
}

struct World {
    store: TestStore,
    clock: ManualClock,
    told: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        World { store: TestStore::default(), clock: ManualClock::new(), told: Arc::default() }
    }

    fn events(&self) -> Events {
        let told = Arc::clone(&self.told);
        Events::start(move |event| {
            let told = Arc::clone(&told);
            let name = format!("{} {}", event.key().id, event.name());
            assert!(!name.starts_with("panics_at_once"), "on request");
            async move {
                assert!(!name.starts_with("panics"), "on request");
                if name.starts_with("hangs") {
                    std::future::pending::<()>().await;
                }
                told.lock().unwrap().push(name);
            }
        })
    }

    fn node(&self) -> Sweeper {
        let settings = SweepSettings::default();
        Sweeper::new(Arc::new(self.store.clone()), Clock::from(self.clock.clone()), settings, self.events())
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    async fn expiring_key(&self, id: &str, lives: Duration) {
        let mut record = key(id, self.clock.wall());
        record.expires_at = Some(self.clock.wall() + lives);
        self.store.insert(record).await;
    }
}

#[tokio::test(start_paused = true)]
async fn given_keys_whose_moments_pass_when_swept_then_each_is_told_once_by_one_of_the_nodes() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    assert!(one.sweep().await.unwrap());
    world.expiring_key("a", 8 * DAY).await;
    world.expiring_key("b", 100 * DAY).await;
    let mut told = Vec::new();
    for day in 0..110 {
        world.clock.advance(DAY);
        let (first, second) = if day % 2 == 0 { (&one, &other) } else { (&other, &one) };
        assert!(first.sweep().await.unwrap());
        assert!(!second.sweep().await.unwrap(), "it has just been swept");
        told.extend(world.told().into_iter().map(|event| format!("{} {event}", day + 1)));
    }
    let expected = [
        "1 a key.expiring",
        "7 a key.expiring",
        "8 a key.expired",
        "90 b key.unused",
        "90 b key.rotation_due",
        "93 b key.expiring",
        "99 b key.expiring",
        "100 b key.expired",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn given_nobody_swept_before_when_swept_first_then_what_was_due_long_ago_is_not_told() {
    let world = World::new();
    world.expiring_key("a", DAY).await;
    world.clock.advance(2 * DAY);
    assert!(world.node().sweep().await.unwrap());
    world.clock.advance(DAY);
    assert!(world.node().sweep().await.unwrap());
    assert_eq!(world.told(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn given_a_sweep_that_fails_or_dies_when_made_again_then_all_is_told_at_least_once() {
    let world = World::new();
    let (one, other) = (world.node(), world.node());
    one.sweep().await.unwrap();
    world.expiring_key("a", HOUR).await;
    world.clock.advance(2 * HOUR);
    world.store.fail([Fault::Unavailable]);
    one.sweep().await.unwrap_err();
    assert_eq!(world.told(), [""; 0]);
    assert!(!other.sweep().await.unwrap(), "the other may still be at it");
    assert!(one.sweep().await.unwrap(), "its own claim");
    assert_eq!(world.told(), ["a key.expired"]);

    world.expiring_key("b", HOUR).await;
    world.clock.advance(2 * HOUR);
    world.store.fail([Fault::Hangs]);
    assert!(tokio::time::timeout(HOUR, one.sweep()).await.is_err());
    assert!(!other.sweep().await.unwrap());
    world.clock.advance(HOUR);
    assert!(other.sweep().await.unwrap(), "the claim is over");
    assert_eq!(world.told(), ["b key.expired"]);
}

#[tokio::test(start_paused = true)]
async fn given_a_claim_that_another_node_took_when_the_first_goes_on_then_it_stops() {
    let world = World::new();
    world.node().sweep().await.unwrap();
    world.expiring_key("a", HOUR).await;
    world.expiring_key("b", HOUR).await;
    world.clock.advance(2 * HOUR);
    // While the slow sweep reports its first key, its claim ends, and the other one sweeps.
    let other = Arc::new(world.node());
    let (clock, told) = (world.clock.clone(), Arc::clone(&world.told));
    let slow = Events::start(move |event| {
        let (clock, told, other) = (clock.clone(), Arc::clone(&told), Arc::clone(&other));
        async move {
            clock.advance(HOUR);
            assert!(other.sweep().await.unwrap());
            told.lock().unwrap().push(format!("{} again", event.key().id));
        }
    });
    let clock = Clock::from(world.clock.clone());
    let one = Sweeper::new(Arc::new(world.store.clone()), clock, SweepSettings::default(), slow);
    assert!(!one.sweep().await.unwrap());
    assert_eq!(world.told(), ["a key.expired", "b key.expired", "a again"]);
}

#[tokio::test(start_paused = true)]
async fn given_handlers_that_panic_or_hang_when_swept_then_the_others_are_told() {
    let world = World::new();
    let node = world.node();
    node.sweep().await.unwrap();
    for id in ["hangs", "panics", "panics_at_once", "z"] {
        world.expiring_key(id, HOUR).await;
    }
    world.clock.advance(2 * HOUR);
    assert!(node.sweep().await.unwrap());
    assert_eq!(world.told(), ["z key.expired"]);
}

#[tokio::test(start_paused = true)]
async fn given_emitted_events_when_flushed_then_all_are_told_in_order_whatever_the_handler_does() {
    let world = World::new();
    let events = world.events();
    for id in ["a", "panics", "b"] {
        events.emit(Event::Issued { key: Arc::new((&key(id, start())).into()) });
    }
    events.emit(Event::Revoked { key: Arc::new((&key("a", start())).into()) });
    events.flush().await;
    assert_eq!(world.told(), ["a key.issued", "b key.issued", "a key.revoked"]);
    Events::default().emit(Event::Issued { key: Arc::new((&key("a", start())).into()) });
    Events::default().flush().await;
}

#[tokio::test(start_paused = true)]
async fn given_a_key_that_is_used_far_more_than_usual_when_the_hour_is_over_then_it_is_told_once() {
    let world = World::new();
    let node = world.node();
    let record = key("a", world.clock.wall());
    let digest = record.secrets[0].digest.clone();
    world.store.insert(record.clone()).await;
    let mut told = Vec::new();
    for hour in 0..40_u32 {
        let began = world.clock.wall();
        let ok = if hour == 30 { 5_000 } else { 100 };
        let last_used = vec![(digest.clone(), began)];
        let row = UsageRow {
            key: record.id.clone(),
            organization: record.organization.clone(),
            service_account: None,
            environment: None,
            hour: began,
            ok,
            refused: 0,
            last_used,
        };
        let rows = vec![row];
        world.store.add_usage(&UsageBatch { id: format!("b{hour}"), at: began, rows }).await.unwrap();
        for _ in 0..6 {
            node.sweep().await.unwrap();
            told.extend(world.told().into_iter().map(|event| format!("{hour} {event}")));
            world.clock.advance(HOUR / 6);
        }
    }
    assert_eq!(told, ["31 a key.usage_spike"]);
}

#[tokio::test(start_paused = true)]
async fn given_a_clock_that_was_far_ahead_when_it_is_right_again_then_sweeps_go_on() {
    let world = World::new();
    let node = world.node();
    world.clock.set_wall(start() + 1_000 * DAY);
    node.sweep().await.unwrap();
    world.clock.set_wall(start());
    node.sweep().await.unwrap();
    world.expiring_key("a", HOUR).await;
    world.clock.advance(2 * HOUR);
    assert!(node.sweep().await.unwrap());
    assert_eq!(world.told(), ["a key.expired"]);
}

#[tokio::test(start_paused = true)]
async fn given_a_sweep_when_it_runs_then_it_prunes_and_when_dropped_or_shut_down_it_is_gone() {
    let world = World::new();
    let held = Arc::strong_count(&world.store.pruned);
    let start = |world: &World| {
        let clock = Clock::from(world.clock.clone());
        Sweep::start(Arc::new(world.store.clone()), clock, SweepSettings::default(), Events::default())
    };
    let sweep = start(&world);
    for _ in 0..4 {
        tokio::time::sleep(SweepSettings::default().interval).await;
        world.clock.advance(SweepSettings::default().interval);
    }
    let pruned = world.store.pruned.lock().unwrap().clone();
    assert!(!pruned.is_empty() && pruned[0].usage_before.is_some() && pruned[0].audit_before.is_none());
    sweep.shutdown().await;
    assert_eq!(Arc::strong_count(&world.store.pruned), held);
    let sweep = start(&world);
    tokio::task::yield_now().await;
    drop(sweep);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&world.store.pruned), held);
}
