use apikey_core::{Claims, KeyId, OrganizationId, Timestamp};

use tokio::time::sleep;

use super::*;
use crate::test_store::{Fault, TestStore};

fn request(number: usize) -> Activity {
    Activity {
        organization: OrganizationId::new("acme").unwrap(),
        key: KeyId::new("k").unwrap(),
        at: Timestamp::UNIX_EPOCH,
        method: "GET".to_owned(),
        route: Some(format!("/{number}")),
        status: 200,
        address: None,
        user_agent: None,
    }
}

fn log(store: &TestStore, settings: ActivitySettings) -> ActivityLog {
    ActivityLog::start(Arc::new(store.clone()), settings)
}

fn written(store: &TestStore) -> Vec<Activity> {
    store.activity.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn given_requests_when_the_interval_has_passed_or_a_batch_is_full_then_they_are_written_in_order() {
    let store = TestStore::default();
    let log = log(&store, ActivitySettings::new().batch_size(10));
    tokio::task::yield_now().await;
    (0..9).for_each(|number| log.record(request(number)));
    sleep(Duration::from_secs(4)).await;
    assert_eq!(written(&store), []);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(written(&store), (0..9).map(request).collect::<Vec<_>>());
    (9..25).for_each(|number| log.record(request(number)));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(written(&store), (0..25).map(request).collect::<Vec<_>>());
    assert_eq!(log.left_out(), 0);
}

#[tokio::test(start_paused = true)]
async fn given_a_store_that_fails_when_requests_keep_coming_then_they_are_sampled_and_what_is_left_out_is_counted() {
    let store = TestStore::default();
    let log = log(&store, ActivitySettings::new().interval(Duration::from_secs(3_600)).batch_size(5_000).capacity(80));
    (0..1_000).for_each(|number| log.record(request(number)));
    // 40 of 40, 20 of 40, 10 of 40, 10 of 160.
    let kept = log.0.outbox().queue().len();
    assert_eq!((kept, log.left_out()), (80, 920));
    store.fail([Fault::Unavailable, Fault::Panics]);
    log.flush().await.unwrap_err();
    log.flush().await.unwrap_err();
    log.flush().await.unwrap();
    let written: Vec<_> = written(&store).into_iter().map(|activity| activity.route.unwrap()).collect();
    assert_eq!(written.len(), 80);
    assert_eq!(&written[38..42], ["/38", "/39", "/41", "/43"], "every one, then each second");
    log.record(request(0));
    assert_eq!(log.left_out(), 920, "with room again, each is recorded");
}

#[tokio::test(start_paused = true)]
async fn given_a_shutdown_when_the_store_fails_at_first_then_nothing_is_lost() {
    let store = TestStore::default();
    let log = log(&store, ActivitySettings::new());
    (0..3).for_each(|number| log.record(request(number)));
    store.fail([Fault::Unavailable, Fault::Hangs]);
    log.shutdown().await;
    assert_eq!(written(&store).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn given_a_shutdown_when_a_write_is_under_way_then_nothing_is_written_twice() {
    let store = TestStore::default();
    let log = log(&store, ActivitySettings::new());
    tokio::task::yield_now().await;
    (0..3).for_each(|number| log.record(request(number)));
    store.fail([Fault::WrittenSlowly]);
    while written(&store).is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    log.record(request(3));
    log.shutdown().await;
    assert_eq!(written(&store), (0..4).map(request).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn given_the_last_clone_when_dropped_then_the_task_is_gone_with_all_it_held() {
    let store = TestStore::default();
    let held = Arc::strong_count(&store.activity);
    let log = log(&store, ActivitySettings::new());
    tokio::task::yield_now().await;
    drop(log.clone());
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&store.activity) > held);
    drop(log);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&store.activity), held);
}

#[tokio::test(start_paused = true)]
async fn given_a_report_of_an_adapter_when_recorded_then_it_is_kept_short_and_only_of_keys_with_an_organization() {
    let store = TestStore::default();
    let log = log(&store, ActivitySettings::new());
    let key = |organization: Option<&str>| {
        let claims = Claims::new(KeyId::new("k").unwrap());
        AuthenticatedKey::fake(match organization {
            Some(organization) => claims.with_organization(organization.parse().unwrap()),
            None => claims,
        })
    };
    let agent = format!("a\u{7f}{}", "ä".repeat(200));
    let report = RequestReport::new(Timestamp::UNIX_EPOCH, "GET", 200).route("/7").user_agent(&agent);
    ActivitySink::record(&log, &key(None), &report);
    ActivitySink::record(&log, &key(Some("acme")), &report);
    log.flush().await.unwrap();
    let mut expected = request(7);
    expected.user_agent = Some(format!("a{}", "ä".repeat(127)));
    assert_eq!(written(&store), [expected]);
}
