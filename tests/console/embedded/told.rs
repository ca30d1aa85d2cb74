//! An organization that is told of its keys: one is old and unused, one is used as never before, and a receiver is down.

use std::time::Duration;

use apikey_core::{KeyFormat, ManualClock, Timestamp};
use apikey_manager::{
    Actor, AlertFilter, DeliveryState, KeyManager, KeyManagerBuilder, KeyStore, MemoryStore, NewKey, NewWebhook,
    OrganizationId, PageRequest, UsageBatch, UsageRow, WebhookAnswer, WebhookId, WebhookMessage, WebhookSender,
};
use async_trait::async_trait;
use tokio::time::{sleep, timeout};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How many alerts are open in the end.
const OPEN: usize = 5;

/// Receivers that take everything, but for those that are down.
#[derive(Debug)]
struct Receivers;

#[async_trait]
impl WebhookSender for Receivers {
    fn check(&self, url: &str) -> Result<(), String> {
        url.starts_with("https://").then_some(()).ok_or_else(|| "must begin with https://".to_owned())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn send(&self, message: &WebhookMessage) -> WebhookAnswer {
        match message.url.contains("down") {
            true => WebhookAnswer::failed("no answer within 10 s"),
            false => WebhookAnswer::status(204),
        }
    }
}

fn builder(store: &MemoryStore) -> KeyManagerBuilder {
    let format = KeyFormat::builder("acme").environment("live").build().unwrap();
    KeyManager::builder(store.clone()).format(format).webhooks(Receivers).reads(super::reads())
}

/// A manager of the same keys as it was some time ago.
fn before(store: &MemoryStore, ago: Duration) -> KeyManager {
    let clock = ManualClock::new();
    clock.set_wall(Timestamp::now().saturating_sub(ago));
    builder(store).clock(clock).build().unwrap()
}

/// Returns the last hour whose counts are surely written, in which a spike is found.
fn last_written() -> Timestamp {
    let written = Timestamp::now().saturating_sub(Duration::from_secs(60)).as_millis() / 3_600_000 * 3_600_000;
    Timestamp::from_millis(written).unwrap().saturating_sub(HOUR)
}

/// The organization once everything was found: the open alerts, and the delivery that was given up.
pub(super) async fn keys() -> KeyManager {
    loop {
        let last = last_written();
        if let Some(keys) = found_with_spike_in(last).await {
            return keys;
        }
        // A spike that nobody has found before the next hour is found no more.
        assert_ne!(last, last_written(), "not everything is found");
    }
}

async fn found_with_spike_in(last: Timestamp) -> Option<KeyManager> {
    let store = MemoryStore::new();
    let host = Actor::host("seed", OrganizationId::new("acme").unwrap()).unwrap();
    let old = before(&store, 97 * DAY + HOUR);
    let end = Timestamp::now().saturating_add(6 * DAY + HOUR);
    old.issue(&host, NewKey::new("deploy-bot").scopes(["keys:read"]).expires_at(end)).await.unwrap();
    // A later key, whose alerts are later, too.
    let old = before(&store, 97 * DAY);
    let ci = old.issue(&host, NewKey::new("ci").scopes(["keys:read"])).await.unwrap();
    let ci = old.get(&host, ci.id()).await.unwrap();
    let rows = (0..8 * 24).rev().map(|back| {
        let hour = last.saturating_sub(back * HOUR);
        UsageRow {
            key: ci.id.clone(),
            organization: ci.organization.clone(),
            service_account: None,
            environment: ci.environment.clone(),
            hour,
            ok: if back == 0 { 12_000 } else { 300 },
            refused: 0,
            last_used: vec![(ci.secrets[0].digest.clone(), hour)],
        }
    });
    let batch = UsageBatch { id: "seed".to_owned(), at: Timestamp::now(), rows: rows.collect() };
    assert!(store.add_usage(&batch).await.unwrap());
    // What happened five days ago could not be sent for more than three.
    let lately = before(&store, 5 * DAY);
    let webhook = NewWebhook::new("https://down.example.com/alerts").description("The team's channel");
    let webhook = lately.create_webhook(&host, webhook).await.unwrap();
    lately.issue(&host, NewKey::new("moved")).await.unwrap();
    let keys = builder(&store).sweep_interval(Duration::from_secs(1)).build().unwrap();
    timeout(Duration::from_secs(60), found(&keys, &host, &webhook.id)).await.ok().map(|()| keys)
}

/// Returns once the alerts are written and the delivery is given up.
async fn found(keys: &KeyManager, host: &Actor, webhook: &WebhookId) {
    let mut filter = AlertFilter::default();
    filter.acknowledged = Some(false);
    loop {
        let open = keys.alerts(host, filter.clone(), PageRequest::first()).await.unwrap().items.len();
        let parked = Some(DeliveryState::Parked);
        let parked = keys.deliveries(host, webhook, parked, PageRequest::first()).await.unwrap().items.len();
        if (open, parked) == (OPEN, 1) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
