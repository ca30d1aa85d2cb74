use std::sync::Mutex;

use apikey_core::{Clock, KeyDigest, KeyId, ManualClock, Timestamp};

use crate::record::KeyRecord;

use super::{Sweeper, *};
use crate::{
    ActorId, AlertFilter, AlertId, AlertQuery, AlertSettings, KeyStore, UsageBatch, UsageRow,
    courier::{Courier, Outlets},
    events::*,
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

struct World {
    store: TestStore,
    clock: ManualClock,
    told: Mutex<Option<AlertId>>,
}

impl World {
    fn new() -> Self {
        World { store: TestStore::default(), clock: ManualClock::new(), told: Mutex::default() }
    }

    fn node(&self) -> Sweeper {
        let clock = Clock::from(self.clock.clone());
        let store: Arc<dyn KeyStore> = Arc::new(self.store.clone());
        let courier = Courier::start(Arc::clone(&store), clock.clone(), Outlets::default());
        Sweeper::new(store, clock, SweepSettings::default(), Arc::new(courier))
    }

    /// Returns the alerts since the last call, oldest first.
    async fn told(&self) -> Vec<String> {
        let (organization, filter) = (OrganizationId::new("acme").unwrap(), AlertFilter::default());
        let query = AlertQuery { organization, filter, after: None, limit: 1_000 };
        let mut alerts = self.store.alerts().list(&query).await.unwrap();
        let mut told = self.told.lock().unwrap();
        alerts.retain(|alert| Some(alert.id) > *told);
        *told = alerts.first().map(|alert| alert.id).or(*told);
        alerts.iter().rev().map(|alert| format!("{} {}", alert.event.key().id, alert.event.name())).collect()
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
        told.extend(world.told().await.into_iter().map(|event| format!("{} {event}", day + 1)));
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
async fn given_nobody_swept_before_when_swept_first_then_what_is_due_is_told_but_no_old_expiry() {
    let world = World::new();
    world.expiring_key("a", DAY).await;
    world.clock.advance(7 * DAY);
    world.expiring_key("b", DAY).await;
    world.clock.advance(2 * DAY);
    assert!(world.node().sweep().await.unwrap());
    world.clock.advance(DAY);
    assert!(world.node().sweep().await.unwrap());
    assert_eq!(world.told().await, ["b key.expired"]);
}

#[tokio::test(start_paused = true)]
async fn given_an_organization_s_own_thresholds_when_swept_then_they_hold_for_its_keys_at_once() {
    let world = World::new();
    let node = world.node();
    world.store.insert(key("a", world.clock.wall())).await;
    world.clock.advance(40 * DAY);
    assert!(node.sweep().await.unwrap());
    assert_eq!(world.told().await, [""; 0]);
    let mut settings = AlertSettings::from(&Thresholds::new());
    settings.rotation_days = Some(30);
    settings.unused_days = None;
    let transaction = world.store.begin(&OrganizationId::new("acme").unwrap()).await.unwrap();
    let changes = vec![crate::Change::SetAlertSettings(settings)];
    transaction.commit(crate::Changes { changes, ..Default::default() }).await.unwrap();
    world.clock.advance(HOUR);
    assert!(node.sweep().await.unwrap());
    world.clock.advance(100 * DAY);
    assert!(node.sweep().await.unwrap());
    assert_eq!(world.told().await, ["a key.rotation_due"]);
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
    assert_eq!(world.told().await, [""; 0]);
    assert!(!other.sweep().await.unwrap(), "the other may still be at it");
    assert!(one.sweep().await.unwrap(), "its own claim");
    assert_eq!(world.told().await, ["a key.expired"]);

    world.expiring_key("b", HOUR).await;
    world.clock.advance(2 * HOUR);
    world.store.fail([Fault::Hangs]);
    assert!(tokio::time::timeout(HOUR, one.sweep()).await.is_err());
    assert!(!other.sweep().await.unwrap());
    world.clock.advance(HOUR);
    assert!(other.sweep().await.unwrap(), "the claim is over");
    assert_eq!(world.told().await, ["b key.expired"]);
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
            told.extend(world.told().await.into_iter().map(|event| format!("{hour} {event}")));
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
    assert_eq!(world.told().await, ["a key.expired"]);
}

#[tokio::test(start_paused = true)]
async fn given_a_sweep_when_it_runs_then_it_prunes_and_when_dropped_or_shut_down_it_is_gone() {
    let world = World::new();
    let held = Arc::strong_count(&world.store.pruned);
    let start = |world: &World| {
        let clock = Clock::from(world.clock.clone());
        let store: Arc<dyn KeyStore> = Arc::new(world.store.clone());
        let courier = Courier::start(Arc::clone(&store), clock.clone(), Outlets::default());
        Sweep::start(store, clock, SweepSettings::default(), Arc::new(courier))
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

#[tokio::test(start_paused = true)]
async fn given_organizations_that_can_t_be_written_when_swept_then_others_are_told_and_old_data_goes() {
    let world = World::new();
    let node = world.node();
    world.expiring_key("z", HOUR).await;
    let birch = OrganizationId::new("birch").unwrap();
    let mut record = key("a", world.clock.wall());
    (record.organization, record.expires_at) = (birch.clone(), Some(world.clock.wall() + HOUR));
    world.store.insert(record).await;
    world.clock.advance(2 * HOUR);
    world.store.locked.lock().unwrap().push(birch.clone());
    node.sweep().await.unwrap_err();
    assert_eq!(world.told().await, ["z key.expired"]);
    assert_eq!(world.store.pruned.lock().unwrap().len(), 1);
    world.store.locked.lock().unwrap().clear();
    assert!(node.sweep().await.unwrap(), "it is made again");
    let query = AlertQuery { organization: birch, filter: AlertFilter::default(), after: None, limit: 10 };
    assert_eq!(world.store.alerts().list(&query).await.unwrap().len(), 1);
    assert_eq!(world.told().await, [""; 0], "once");
}

#[tokio::test(start_paused = true)]
async fn given_a_key_that_is_changed_or_deleted_while_it_is_swept_then_nobody_is_told_of_what_it_was() {
    let world = World::new();
    let node = world.node();
    let read = ["changed", "deleted", "same"].map(|id| key(id, world.clock.wall()));
    let told = |record: &KeyRecord| {
        let event = Event::RotationDue { key: Arc::new(KeyHead::from(record)), since: world.clock.wall() };
        let reference = event.reference();
        NewAlert::new(world.clock.wall(), event, reference)
    };
    let alerts = read.each_ref().map(told);
    world.store.insert(read[2].clone()).await;
    let mut changed = read[0].clone();
    world.store.insert(changed.clone()).await;
    changed.version += 1;
    let transaction = world.store.begin(&changed.organization).await.unwrap();
    let changes = vec![Change::UpdateKey(Box::new(changed))];
    transaction.commit(Changes { changes, ..Changes::default() }).await.unwrap();
    let mut failures = Vec::new();
    node.write(alerts.into(), &mut failures).await.unwrap();
    assert_eq!((world.told().await, failures.len()), (vec!["same key.rotation_due".to_owned()], 0));
}
