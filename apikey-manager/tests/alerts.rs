//! Webhooks and their tests, the thresholds of alerts, and what processes that serve no requests do to keys.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use apikey_core::KeyFormat;
use apikey_manager::{
    Actor, Alert, AlertFilter, AlertSettings, AuditFilter, Busy, KeyManager, KeyManagerBuilder, KeyStore, Limited,
    ManageError, MemoryStore, NewKey, NewWebhook, OrganizationId, PageRequest, Retention, Thresholds, Webhook,
    WebhookAnswer, WebhookMessage, WebhookSender, WebhookUpdate,
};
use async_trait::async_trait;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

/// Accepts everything but what is for an address with `hangs`, which is never answered.
#[derive(Clone, Debug, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

impl Sent {
    fn messages(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl WebhookSender for Sent {
    fn check(&self, url: &str) -> Result<(), String> {
        url.starts_with("https://").then_some(()).ok_or_else(|| "not https".to_owned())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn send(&self, message: &WebhookMessage) -> WebhookAnswer {
        if message.url.contains("hangs") {
            return std::future::pending().await;
        }
        self.0.lock().unwrap().push(message.body.clone());
        WebhookAnswer::status(204)
    }
}

fn builder(store: &MemoryStore) -> KeyManagerBuilder {
    KeyManager::builder(store.clone()).format(KeyFormat::builder("t").build().unwrap())
}

fn host(organization: &str) -> Actor {
    Actor::host("test", OrganizationId::new(organization).unwrap()).unwrap()
}

async fn create(keys: &KeyManager, organization: &str, url: &str) -> Webhook {
    keys.create_webhook(&host(organization), NewWebhook::new(url)).await.unwrap()
}

/// Waits until `get` returns something.
async fn until<T>(mut get: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            match get().await {
                Some(got) => break got,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    };
    timeout(PATIENCE, waiting).await.unwrap()
}

#[tokio::test]
async fn given_a_command_when_it_changes_keys_then_the_handler_and_the_webhooks_of_the_service_are_told() {
    let (store, sent, told) = (MemoryStore::new(), Sent::default(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&told);
    let service = builder(&store).webhooks(sent.clone()).on_alert(move |alert: Alert| {
        log.lock().unwrap().push(alert.event.name());
        async { Ok(()) }
    });
    let service = service.build().unwrap();
    create(&service, "acme", "https://a.example").await;
    until(async || store.marker("has_alert_handler").await.unwrap().filter(|has| has == "true")).await;
    let command = builder(&store).without_requests().build().unwrap();
    let key = command.issue(&host("acme"), NewKey::new("k")).await.unwrap();
    command.revoke(&host("acme"), key.id(), "").await.unwrap();
    command.shutdown().await;
    until(async || (told.lock().unwrap().len() + sent.messages().len() == 4).then_some(())).await;
    assert_eq!(*told.lock().unwrap(), ["key.issued", "key.revoked"]);
    let messages = sent.messages().join(" ");
    assert!(messages.contains("key.issued") && messages.contains("key.revoked"), "{messages}");
    service.shutdown().await;
    // A service without a handler: nothing is left for one.
    let service = builder(&store).build().unwrap();
    until(async || store.marker("has_alert_handler").await.unwrap().filter(|has| has == "false")).await;
    service.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn given_a_command_that_takes_long_when_something_is_due_then_it_is_left_to_the_service() {
    let store = MemoryStore::new();
    let second = Duration::from_secs(1);
    let retention = Retention::new().usage(second).activity(second).audit(second);
    let command = builder(&store).without_requests().sweep_interval(second).retention(retention);
    let command = command.thresholds(Thresholds::new().expiring([second * 86_400])).build().unwrap();
    command.issue(&host("acme"), NewKey::new("k").expires_in(second * 3_600)).await.unwrap();
    sleep(second * 60).await;
    let mut open = AlertFilter::default();
    open.acknowledged = Some(false);
    assert_eq!(command.alerts(&host("acme"), open, PageRequest::first()).await.unwrap().items, []);
    let events = command.audit(&host("acme"), AuditFilter::default(), PageRequest::first()).await.unwrap();
    assert_eq!(events.items.len(), 1);
    assert_eq!(store.marker("swept_until").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn given_receivers_that_hang_when_tested_then_reads_go_on_and_an_organization_has_one_test_at_a_time() {
    let keys = builder(&MemoryStore::new()).webhooks(Sent::default()).build().unwrap();
    let mut tests = Vec::new();
    for n in 0..16 {
        let organization = format!("o{n}");
        let id = create(&keys, &organization, "https://hangs.example").await.id;
        let keys = keys.clone();
        tests.push(tokio::spawn(async move { keys.test_webhook(&host(&organization), &id).await.map(drop) }));
    }
    sleep(Duration::from_millis(100)).await;
    let id = keys.list_webhooks(&host("o0")).await.unwrap()[0].id.clone();
    let second = keys.test_webhook(&host("o0"), &id).await;
    assert!(matches!(second, Err(ManageError::Busy(Busy::Organization))), "{second:?}");
    for n in 0..20 {
        keys.alerts(&host(&format!("o{n}")), AlertFilter::default(), PageRequest::first()).await.unwrap();
    }
    tests.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn given_webhooks_when_changed_then_each_change_is_in_the_trail_and_wrong_ones_change_nothing() {
    let (store, sent, acme) = (MemoryStore::new(), Sent::default(), host("acme"));
    let keys = builder(&store).webhooks(sent.clone()).build().unwrap();
    let webhook = create(&keys, "acme", "https://a.example").await;
    let update = |version| WebhookUpdate::new().if_version(version).description("new");
    keys.update_webhook(&acme, &webhook.id, update(1)).await.unwrap();
    let stale = keys.update_webhook(&acme, &webhook.id, update(1)).await;
    assert!(matches!(stale, Err(ManageError::StaleVersion { current: 2 })), "{stale:?}");
    let fields = |error: ManageError| match error {
        ManageError::Invalid(fields) => fields.iter().map(|field| field.field.clone()).collect::<Vec<_>>(),
        error => panic!("{error:?}"),
    };
    let unknown = NewWebhook::new("http://a.example").events(["key.from_the_future"]);
    assert_eq!(fields(keys.create_webhook(&acme, unknown).await.unwrap_err()), ["url", "events"]);
    let week = Duration::from_secs(7 * 86_400);
    let long = keys.rotate_webhook_secret(&acme, &webhook.id, week + Duration::from_millis(1)).await;
    assert_eq!(fields(long.unwrap_err()), ["overlap"]);
    let rotated = keys.rotate_webhook_secret(&acme, &webhook.id, week).await.unwrap();
    assert_eq!(rotated.previous_secret.unwrap().0, webhook.secret);
    let rotated = keys.rotate_webhook_secret(&acme, &webhook.id, Duration::ZERO).await.unwrap();
    assert_eq!(rotated.previous_secret, None);
    for _ in 1..20 {
        create(&keys, "acme", "https://more.example").await;
    }
    let more = keys.create_webhook(&acme, NewWebhook::new("https://more.example")).await;
    assert!(
        matches!(more, Err(ManageError::LimitReached { of: Limited::Webhooks, used: 20, allowed: 20 })),
        "{more:?}"
    );
    create(&keys, "birch", "https://b.example").await;
    keys.delete_webhook(&acme, &webhook.id).await.unwrap();
    let gone = keys.delete_webhook(&acme, &webhook.id).await;
    assert!(matches!(gone, Err(ManageError::NotFound(_))), "{gone:?}");
    keys.update_alert_settings(&acme, |settings| settings.unused_days = None).await.unwrap();
    let events = keys.audit(&acme, AuditFilter::default(), PageRequest::first()).await.unwrap().items;
    let actions: Vec<_> = events.iter().rev().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions[..4],
        ["webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.secret_rotated"]
    );
    assert_eq!(actions[23..], ["webhook.deleted", "alert_settings.updated"]);
    let text = format!("{events:?}");
    assert!(!text.contains(webhook.secret.expose_secret()) && !text.contains("whsec_"), "{text}");
    assert_eq!(sent.messages(), [""; 0]);

    let keys = builder(&store).build().unwrap();
    let not_offered = keys.create_webhook(&acme, NewWebhook::new("https://a.example")).await;
    assert!(matches!(not_offered, Err(ManageError::WebhooksNotOffered)), "{not_offered:?}");
    let unknown = keys.webhook(&acme, &webhook.id).await;
    assert!(matches!(unknown, Err(ManageError::WebhooksNotOffered)), "{unknown:?}");
}

#[tokio::test]
async fn given_thresholds_when_changed_then_what_is_out_of_range_is_refused_and_the_host_s_own_may_be_any() {
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let own = Thresholds::new().expiring((1..=6).map(days)).unused(days(4_000)).rotation(days(4_000));
    let keys = builder(&MemoryStore::new()).thresholds(own).build().unwrap();
    let acme = host("acme");
    let change = async |change: fn(&mut AlertSettings)| match keys.update_alert_settings(&acme, change).await {
        Ok(_) => Vec::new(),
        Err(ManageError::Invalid(fields)) => fields.iter().map(|field| field.field.clone()).collect(),
        Err(error) => panic!("{error:?}"),
    };
    let wrong = [
        change(|settings| settings.expiring_days = vec![1, 2, 3, 4, 5, 7]).await,
        change(|settings| settings.expiring_days = vec![366]).await,
        change(|settings| settings.unused_days = Some(0)).await,
        change(|settings| settings.rotation_days = Some(3_651)).await,
        change(|settings| settings.spike_factor = Some(1)).await,
        change(|settings| settings.spike_minimum = 0).await,
    ];
    let fields: BTreeSet<_> = wrong.iter().flatten().map(String::as_str).collect();
    assert!(wrong.iter().all(|wrong| wrong.len() == 1), "{wrong:?}");
    assert_eq!(fields, ["expiring_days", "rotation_days", "spike_factor", "spike_minimum", "unused_days"].into());
    assert_eq!(change(|settings| settings.spike_factor = Some(50)).await, [""; 0], "the other fields are the host's");
    assert_eq!(keys.alert_settings(&acme).await.unwrap().unused_days, Some(4_000));
}
