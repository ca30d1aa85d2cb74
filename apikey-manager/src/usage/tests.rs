use apikey_core::{
    Scope, ScopeSet, TestKey, TestKeys, Timestamp,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};

use tokio::time::timeout;

use super::*;
use crate::{
    ActorId, KeyRecord, OrganizationId, UsageBucket, UsageOf, UsageQuery,
    query::HOUR,
    test_store::{Fault, TestStore},
};

struct Bearer(String);

impl RequestView for Bearer {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        (header == Header::Authorization).then_some(self.0.as_bytes()).into_iter().collect()
    }
}

struct World {
    keys: TestKeys,
    store: TestStore,
    fleet: Arc<fleet::State>,
}

fn scopes(scopes: &str) -> ScopeSet {
    ScopeSet::parse(scopes).unwrap()
}

fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

impl World {
    fn new() -> Self {
        let keys = TestKeys::with(|builder| builder.count_usage(true).cache_ttl(Duration::MAX));
        World { keys, store: TestStore::default(), fleet: fleet::State::new(Arc::default()) }
    }

    async fn key(&self) -> TestKey {
        let key =
            self.keys.key_with(|claims| claims.with_organization("acme".parse().unwrap()).with_scopes(scopes("a")));
        let digest = apikey_core::KeyHasher::sha256().digest(key.secret());
        let now = self.keys.clock().wall();
        let host = ActorId::new("host").unwrap();
        self.store.insert(KeyRecord::new(key.id().clone(), acme(), digest, now, host)).await;
        key
    }

    fn writer(&self, settings: UsageSettings) -> Writer<CountedUsage> {
        write_usage(Arc::new(self.store.clone()), self.keys.authenticator(), settings, self.fleet.clone())
    }

    async fn requests(&self, key: &TestKey, requests: usize, refused: usize) {
        for number in 0..requests {
            let handle = match self.keys.authenticator().authenticate(&Bearer(key.authorization())) {
                Authentication::Done(decision) => decision,
                Authentication::Loading(loading) => loading.await,
            };
            if number < refused {
                let scope = Scope::new("b").unwrap();
                handle.unwrap().unwrap().require_scopes(&scope.into()).unwrap_err();
            }
        }
    }

    /// Advances both clocks, and runs everything that is due.
    async fn pass(&self, span: Duration) {
        self.keys.clock().advance(span);
        tokio::time::sleep(span).await;
    }

    async fn hours(&self, key: &TestKey) -> Vec<(u64, u64)> {
        let usage = self.usage(key).await;
        usage.iter().map(|hour| (hour.ok, hour.refused)).collect()
    }

    async fn usage(&self, key: &TestKey) -> Vec<UsageBucket> {
        let of = UsageOf::Key(key.id().clone());
        let to = self.keys.clock().wall() + HOUR;
        let query = UsageQuery { organization: acme(), of, from: Timestamp::UNIX_EPOCH, to, bucket: Bucket::Hour };
        self.store.usage(&query).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn given_requests_when_the_interval_has_passed_then_they_are_in_the_store_with_their_last_use() {
    let world = World::new();
    let key = world.key().await;
    let writer = world.writer(UsageSettings::new());
    world.requests(&key, 5, 2).await;
    let used_at = world.keys.clock().wall();
    world.pass(Duration::from_secs(4)).await;
    assert_eq!(world.hours(&key).await, []);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.hours(&key).await, [(3, 2)]);
    let record = world.store.key(&acme(), key.id()).await.unwrap().unwrap();
    assert_eq!((record.last_used_at, record.secrets[0].last_used_at), (Some(used_at), Some(used_at)));
    writer.flush().await.unwrap();
    assert_eq!(world.store.batch_ids().len(), 1, "nothing was counted, nothing is written");
}

#[tokio::test(start_paused = true)]
async fn given_keys_that_are_gone_from_the_store_when_their_use_is_written_then_it_counts_for_whose_it_was() {
    let world = World::new();
    let writer = world.writer(UsageSettings::new());
    let key = world.keys.key_with(|claims| {
        claims
            .with_organization("acme".parse().unwrap())
            .with_service_account("sa_1".parse().unwrap())
            .with_environment("live")
            .with_scopes(scopes("a"))
    });
    world.requests(&key, 5, 2).await;
    writer.flush().await.unwrap();
    let batches = world.store.batches.lock().unwrap().clone();
    let [row] = &batches[0].rows[..] else { panic!("{batches:?}") };
    assert_eq!(row.organization, acme());
    assert_eq!(row.service_account.as_ref().map(|account| account.as_str()), Some("sa_1"));
    assert_eq!(row.environment.as_deref(), Some("live"));
    assert_eq!(world.hours(&key).await, [(3, 2)], "of a key that the store has never heard of");
}

#[tokio::test(start_paused = true)]
async fn given_a_shutdown_when_it_returns_then_nothing_is_left_and_nothing_runs() {
    let world = World::new();
    let key = world.key().await;
    let writer = world.writer(UsageSettings::new());
    world.requests(&key, 3, 0).await;
    world.store.fail([Fault::Unavailable, Fault::WrittenUnknown]);
    writer.shutdown().await;
    assert_eq!(world.hours(&key).await, [(3, 0)]);
    world.requests(&key, 1, 0).await;
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.hours(&key).await, [(3, 0)]);
    writer.shutdown().await;
    assert_eq!(world.hours(&key).await, [(4, 0)]);
}

#[tokio::test(start_paused = true)]
async fn given_a_writer_that_is_dropped_then_its_task_is_gone_with_all_it_held() {
    let world = World::new();
    let held = Arc::strong_count(&world.store.batches);
    let writer = world.writer(UsageSettings::new());
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&world.store.batches) > held);
    drop(writer);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&world.store.batches), held);
}

#[tokio::test(start_paused = true)]
async fn given_failures_of_every_kind_when_written_again_then_under_one_id_and_counted_once() {
    for fault in [Fault::Unavailable, Fault::WrittenUnknown, Fault::Hangs, Fault::WrittenHangs, Fault::Panics] {
        let world = World::new();
        let key = world.key().await;
        let writer = world.writer(UsageSettings::new());
        world.requests(&key, 7, 1).await;
        world.store.fail([fault, fault]);
        world.pass(Duration::from_secs(6)).await;
        world.requests(&key, 2, 0).await;
        world.pass(Duration::from_secs(200)).await;
        writer.flush().await.unwrap();
        assert_eq!(world.hours(&key).await, [(8, 1)], "{fault:?}");
        let ids = world.store.batch_ids();
        assert!(ids.len() == 4 && ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{fault:?}: {ids:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_flush_that_is_dropped_while_it_writes_when_flushed_again_then_it_is_counted_once() {
    for fault in [Fault::Hangs, Fault::WrittenHangs] {
        let world = World::new();
        let key = world.key().await;
        let writer = world.writer(UsageSettings::new().interval(Duration::from_secs(600)));
        world.requests(&key, 7, 1).await;
        world.store.fail([fault]);
        assert!(timeout(Duration::from_secs(1), writer.flush()).await.is_err());
        writer.flush().await.unwrap();
        assert_eq!(world.hours(&key).await, [(6, 1)], "{fault:?}");
        let ids = world.store.batch_ids();
        assert_eq!(ids[0], ids[1]);
    }
}

#[tokio::test(start_paused = true)]
async fn given_a_batch_that_may_be_written_when_the_store_may_have_forgotten_it_then_it_is_given_up() {
    let world = World::new();
    let key = world.key().await;
    let writer = world.writer(UsageSettings::new().interval(Duration::from_secs(600)));
    world.requests(&key, 7, 0).await;
    world.store.fail([Fault::WrittenUnknown]);
    writer.flush().await.unwrap_err();
    world.keys.clock().advance(Duration::from_secs(24 * 3_600));
    world.requests(&key, 1, 0).await;
    // The task that writes the next batch is dropped before the answer.
    world.store.fail([Fault::WrittenHangs]);
    assert!(timeout(Duration::from_secs(1), writer.flush()).await.is_err());
    world.keys.clock().advance(Duration::from_secs(24 * 3_600));
    writer.flush().await.unwrap();
    assert_eq!(world.hours(&key).await, [(7, 0), (1, 0)]);
    assert_eq!(world.store.batch_ids().len(), 2, "neither was written again");
    world.requests(&key, 5, 0).await;
    world.store.fail([Fault::Unavailable]);
    writer.flush().await.unwrap_err();
    world.keys.clock().advance(Duration::from_secs(24 * 3_600));
    writer.flush().await.unwrap();
    assert_eq!(world.hours(&key).await, [(7, 0), (1, 0), (5, 0)], "what surely was not written is never given up");
}

#[tokio::test(start_paused = true)]
async fn given_a_full_hour_when_it_ends_then_its_counts_are_taken_although_the_interval_is_longer() {
    let world = World::new();
    let key = world.key().await;
    // ManualClock begins at a full hour.
    let _writer = world.writer(UsageSettings::new().interval(Duration::from_secs(2_500)));
    tokio::task::yield_now().await;
    // In steps, because the two clocks move one after the other.
    let pass = async |seconds| {
        for _ in 0..seconds {
            world.pass(Duration::from_secs(1)).await;
        }
    };
    pass(2_501).await;
    world.requests(&key, 2, 0).await;
    pass(1_098).await;
    assert_eq!(world.hours(&key).await, []);
    pass(2).await;
    world.requests(&key, 1, 0).await;
    pass(45).await;
    assert_eq!(world.hours(&key).await[0], (2, 0), "all processes write soon after the hour");
    pass(2_500).await;
    assert_eq!(world.hours(&key).await, [(2, 0), (1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn given_many_processes_when_usage_is_counted_then_each_writes_less_often() {
    let world = World::new();
    world.fleet.set_nodes(1_000);
    let key = world.key().await;
    let _writer = world.writer(UsageSettings::new());
    world.requests(&key, 1, 0).await;
    world.pass(Duration::from_secs(39)).await;
    assert_eq!(world.hours(&key).await, [], "ten times the interval, and a fifth less");
    world.pass(Duration::from_secs(12)).await;
    assert_eq!(world.hours(&key).await, [(1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn given_processes_that_start_together_when_usage_is_due_then_they_write_at_different_times() {
    let worlds: Vec<_> = (0..20).map(|_| World::new()).collect();
    let mut keys = Vec::new();
    for world in &worlds {
        let key = world.key().await;
        world.requests(&key, 1, 0).await;
        keys.push((key, world.writer(UsageSettings::new())));
    }
    let written = async || {
        let mut written = 0;
        for (world, (key, _)) in worlds.iter().zip(&keys) {
            written += world.hours(key).await.len();
        }
        written
    };
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    // All of twenty on one side of the middle: twice in a million runs.
    assert!((1..20).contains(&written().await));
    tokio::time::sleep(Duration::from_millis(501)).await;
    assert_eq!(written().await, 20);
}

#[tokio::test(start_paused = true)]
async fn given_more_keys_than_a_batch_when_written_then_every_batch_is_sorted_and_none_is_larger() {
    let world = World::new();
    let mut keys = Vec::new();
    for _ in 0..25 {
        keys.push(world.key().await);
        world.requests(&keys[keys.len() - 1], 1, 0).await;
    }
    let writer = world.writer(UsageSettings::new().batch_size(10));
    writer.flush().await.unwrap();
    let batches = world.store.batches.lock().unwrap().clone();
    assert_eq!(batches.iter().map(|batch| batch.rows.len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert!(batches.iter().all(|batch| batch.rows.is_sorted_by_key(|row| (row.key.clone(), row.hour))));
    assert_eq!(batches.iter().map(|batch| &batch.id).collect::<std::collections::HashSet<_>>().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn given_refusals_that_come_after_their_requests_were_written_then_the_next_good_ones_make_up_for_them() {
    let world = World::new();
    let key = world.key().await;
    let writer = world.writer(UsageSettings::new());
    let handle = match world.keys.authenticator().authenticate(&Bearer(key.authorization())) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    };
    writer.flush().await.unwrap();
    handle.unwrap().unwrap().require_scopes(&Scope::new("b").unwrap().into()).unwrap_err();
    writer.flush().await.unwrap();
    world.requests(&key, 3, 0).await;
    writer.flush().await.unwrap();
    assert_eq!(world.hours(&key).await, [(3, 1)], "four requests, one of them refused");
}

#[test]
fn given_a_store_that_never_answers_when_more_is_counted_than_fits_then_the_oldest_goes_and_is_told() {
    use apikey_core::{KeyDigest, KeyId, KeyUsage};
    let start = Bucket::Hour.start(Timestamp::UNIX_EPOCH + HOUR * 500_000);
    let used = |key: usize, hour: u32| {
        let id = KeyId::new(format!("k{key:03}")).unwrap();
        let mut used = KeyUsage::new(id, KeyDigest::sha256_from_bytes([0; 32]), 1, start + HOUR * hour);
        used.organization = Some(acme());
        used
    };
    let mut pending = Pending::new(100);
    assert_eq!(pending.add((0..60).map(|key| used(key, 0)).collect()), 0);
    assert_eq!(pending.add((0..40).map(|key| used(key, 1)).collect()), 0);
    let lost = pending.add((0..40).map(|key| used(key, 2)).collect());
    assert_eq!((lost, pending.requests()), (53, 87));
    let (batch, _) = pending.next_batch(1_000, start).unwrap();
    let hours = batch.unwrap().rows.iter().fold([0; 3], |mut hours, row| {
        hours[(row.hour.saturating_since(start).as_secs() / 3_600) as usize] += 1;
        hours
    });
    assert_eq!(hours, [7, 40, 40]);
}

#[tokio::test(start_paused = true)]
async fn given_more_keys_than_an_authenticator_lists_when_used_then_only_what_fills_half_the_room_is_written_early() {
    const KEYS: usize = 8_192;
    for (capacity, expected) in [(4 * KEYS, vec![]), (KEYS, vec![(1, 0)])] {
        let world = World::new();
        let settings = UsageSettings::new().interval(Duration::from_secs(600)).capacity(capacity);
        let writer = world.writer(settings);
        let mut keys = Vec::with_capacity(KEYS);
        for _ in 0..KEYS {
            let key = world.key().await;
            world.requests(&key, 1, 0).await;
            keys.push(key);
        }
        world.pass(Duration::from_secs(1)).await;
        assert!(world.keys.authenticator().take_usage().is_empty(), "what piles up is taken");
        assert_eq!(world.hours(&keys[0]).await, expected, "with room for {capacity}");
        world.pass(Duration::from_secs(600)).await;
        for key in [&keys[0], &keys[KEYS - 1]] {
            assert_eq!(world.hours(key).await, [(1, 0)], "with room for {capacity}, when it is due");
        }
        writer.shutdown().await;
    }
}
