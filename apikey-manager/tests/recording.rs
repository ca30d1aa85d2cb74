//! Background recording of a manager: usage, activity and events. Nothing is lost at shutdown.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use apikey_core::{
    AuthenticatedKey, KeyFormat, ManualClock, RequestReport, ScopeMarker,
    adapter::{Authentication, Header, HeaderLines, RequestView},
    scopes,
};
use apikey_manager::{
    ActivitySettings, Actor, Alert, Bucket, Due, IssuedKey, KeyManager, KeyManagerBuilder, KeyStore, ManageError,
    MemoryStore, NewAccount, NewKey, OrganizationId, Overlap, PageRequest, UsageOf, UsageSettings,
};

const HOUR: Duration = Duration::from_secs(3_600);

scopes! {
    /// The scope that the requests require.
    Asked {
        /// A scope that no key has.
        Admin = "admin",
    }
}

struct Request(String);

impl RequestView for Request {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

struct Service {
    keys: KeyManager,
    store: MemoryStore,
    host: Actor,
    clock: ManualClock,
}

impl Service {
    fn new(configure: impl FnOnce(KeyManagerBuilder) -> KeyManagerBuilder) -> Self {
        let (clock, store) = (ManualClock::new(), MemoryStore::new());
        let builder = KeyManager::builder(store.clone())
            .format(KeyFormat::builder("t").build().unwrap())
            .clock(clock.clone())
            // Longer than a test, so that it doesn't happen by itself.
            .usage(UsageSettings::new().interval(Duration::from_secs(3_000)));
        let keys = configure(builder).build().unwrap();
        let host = Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap();
        Service { keys, store, host, clock }
    }

    async fn issue(&self, key: NewKey) -> IssuedKey {
        self.keys.issue(&self.host, key).await.unwrap()
    }

    async fn request(&self, key: &IssuedKey) -> AuthenticatedKey {
        let request = Request(format!("Bearer {}", key.secret().expose_secret()));
        let decision = match self.keys.authenticator().authenticate(&request) {
            Authentication::Done(decision) => decision,
            Authentication::Loading(loading) => loading.await,
        };
        decision.unwrap().unwrap()
    }

    async fn used(&self, of: UsageOf) -> (u64, u64) {
        let hour = Bucket::Hour.start(self.clock.wall());
        let usage = self.keys.usage(&self.host, of, hour - HOUR, hour + HOUR, Bucket::Hour).await.unwrap();
        (usage.ok, usage.refused)
    }
}

#[tokio::test]
async fn given_requests_when_usage_is_asked_for_then_those_just_made_are_in_it_by_whatever_it_is_summed() {
    let service = Service::new(|builder| builder);
    let account = service.keys.create_account(&service.host, NewAccount::new("robot")).await.unwrap().id;
    let key = service.issue(NewKey::new("k").service_account(account.clone())).await;
    let other = service.issue(NewKey::new("other")).await;
    for _ in 0..3 {
        service.request(&key).await;
    }
    service.request(&key).await.require_scopes(&Admin::SCOPE.into()).unwrap_err();
    service.request(&other).await;
    assert_eq!(service.used(UsageOf::Key(key.id().clone())).await, (3, 1));
    assert_eq!(service.used(UsageOf::Account(account)).await, (3, 1));
    assert_eq!(service.used(UsageOf::Organization).await, (4, 1));
    let record = service.keys.get(&service.host, key.id()).await.unwrap();
    assert!(record.last_used_at.is_some() && record.secrets[0].last_used_at.is_some());
}

#[tokio::test]
async fn given_a_rotation_when_the_old_secret_is_used_then_its_last_use_is_told_apart() {
    let service = Service::new(|builder| builder);
    let old = service.issue(NewKey::new("k")).await;
    let new = service.keys.rotate(&service.host, old.id(), Overlap::UntilEnded).await.unwrap();
    service.request(&old).await;
    let moment = service.clock.wall();
    service.clock.advance(Duration::from_secs(180));
    service.request(&new).await;
    service.used(UsageOf::Organization).await;
    let record = service.keys.get(&service.host, old.id()).await.unwrap();
    let used = |at: usize| record.secrets[at].last_used_at.unwrap();
    let since = |at: usize| service.clock.wall().saturating_since(used(at));
    assert_eq!(since(0), Duration::ZERO);
    assert!(moment.saturating_since(used(1)) < Duration::from_millis(30), "3 minutes ago");
}

#[tokio::test]
async fn given_counts_in_memory_when_shut_down_then_they_are_in_the_store() {
    let service = Service::new(|builder| builder);
    let key = service.issue(NewKey::new("k")).await;
    for _ in 0..5 {
        service.request(&key).await;
    }
    service.keys.shutdown().await;
    let query = apikey_manager::UsageQuery {
        organization: service.host.organization().clone(),
        of: UsageOf::Key(key.id().clone()),
        from: service.clock.wall() - HOUR,
        to: service.clock.wall() + HOUR,
        bucket: Bucket::Hour,
    };
    assert_eq!(service.store.usage(&query).await.unwrap().iter().map(|hour| hour.ok).sum::<u64>(), 5);
}

#[tokio::test]
async fn given_activity_when_asked_for_then_what_a_key_did_is_told_after_its_deletion_too() {
    let service = Service::new(|builder| builder.activity(ActivitySettings::new()));
    let key = service.issue(NewKey::new("k")).await;
    let caller = service.request(&key).await;
    let report = RequestReport::new(service.clock.wall(), "GET", 200).route("/files/{name}").address("192.0.2.7");
    service.keys.authenticator().record_activity(&caller, &report);
    let span = service.clock.wall() - HOUR..service.clock.wall() + HOUR;
    for is_deleted in [false, true] {
        if is_deleted {
            service.keys.delete(&service.host, key.id()).await.unwrap();
        }
        let page = service.keys.activity(&service.host, key.id(), span.clone(), PageRequest::first()).await.unwrap();
        let [activity] = page.items.try_into().unwrap();
        assert_eq!(activity.route.as_deref(), Some("/files/{name}"));
        assert_eq!((activity.method.as_str(), activity.status), ("GET", 200));
    }
    let stranger = Actor::host("test", OrganizationId::new("other").unwrap()).unwrap();
    let refused = service.keys.activity(&stranger, key.id(), span, PageRequest::first()).await;
    assert!(matches!(refused, Err(ManageError::NotFound(_))));
}

#[tokio::test]
async fn given_a_handler_when_keys_are_issued_and_revoked_then_it_is_told_of_what_was_done_and_nothing_else() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let service = Service::new(|builder| {
        builder.on_alert(move |alert: Alert| {
            log.lock().unwrap().push(format!("{} {}", alert.event.name(), alert.event.key().name));
            async { Ok(()) }
        })
    });
    let key = service.issue(NewKey::new("one")).await;
    service.keys.issue(&service.host, NewKey::new("")).await.unwrap_err();
    service.keys.revoke(&service.host, key.id(), "").await.unwrap();
    service.keys.revoke(&service.host, key.id(), "").await.unwrap();
    let other = service.issue(NewKey::new("two")).await;
    service.keys.delete(&service.host, other.id()).await.unwrap();
    service.keys.shutdown().await;
    let expected = ["key.issued one", "key.revoked one", "key.issued two", "key.revoked two"];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[tokio::test]
async fn given_a_key_near_its_end_when_asked_what_is_due_then_it_is_told_by_the_managers_thresholds() {
    let service = Service::new(|builder| builder);
    let key = service.issue(NewKey::new("k").expires_in(30 * 24 * HOUR)).await;
    assert_eq!(service.keys.due(key.record()), []);
    service.clock.advance(25 * 24 * HOUR);
    assert!(matches!(service.keys.due(key.record())[..], [Due::Expiring { .. }]));
}
