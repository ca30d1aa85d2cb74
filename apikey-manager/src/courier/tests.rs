use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use apikey_core::{ActorId, Clock, KeyDigest, KeyId, ManualClock, OrganizationId};
use async_trait::async_trait;
use serde_json::Value;

use super::{Courier, Outlets};
use crate::{
    alerts::*,
    events::Event,
    record::{KeyHead, KeyRecord},
    store::{Change, Changes, KeyStore},
    test_store::TestStore,
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Answers as told, by address: a status, or never (0), a panic (1), or too late (2).
#[derive(Clone, Debug, Default)]
struct Receivers {
    answers: Arc<Mutex<HashMap<String, u16>>>,
    got: Arc<Mutex<Vec<WebhookMessage>>>,
}

impl Receivers {
    fn answer(&self, url: &str, status: u16) {
        self.answers.lock().unwrap().insert(url.to_owned(), status);
    }

    fn got(&self) -> Vec<WebhookMessage> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }
}

#[async_trait]
impl WebhookSender for Receivers {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn patience(&self) -> Duration {
        10 * SECOND
    }

    async fn send(&self, message: &WebhookMessage) -> WebhookAnswer {
        let WebhookMessage { url, id, at, body, secrets } = message;
        let got = WebhookMessage::new(&**url, &**id, *at, &**body, secrets.clone());
        self.got.lock().unwrap().push(got);
        let status = self.answers.lock().unwrap().get(url).copied().unwrap_or(204);
        match status {
            0 => std::future::pending().await,
            1 => panic!("on request"),
            2 => {
                tokio::time::sleep(10 * SECOND).await;
                WebhookAnswer::failed("too late")
            }
            status => WebhookAnswer::status(status),
        }
    }
}

struct World {
    store: Arc<dyn KeyStore>,
    clock: ManualClock,
    receivers: Receivers,
    /// The alerts that the host's handler got.
    told: Arc<Mutex<Vec<AlertId>>>,
    /// How the host's handler fails next.
    failures: Arc<Mutex<Vec<&'static str>>>,
}

fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

impl World {
    fn new() -> Self {
        World {
            store: Arc::new(TestStore::default()),
            clock: ManualClock::new(),
            receivers: Receivers::default(),
            told: Arc::default(),
            failures: Arc::default(),
        }
    }

    fn courier(&self, has_host: bool) -> Courier {
        let (told, failures) = (Arc::clone(&self.told), Arc::clone(&self.failures));
        let handler: Arc<super::Handler> = Arc::new(move |alert: Alert| {
            told.lock().unwrap().push(alert.id);
            let failure = failures.lock().unwrap().pop();
            Box::pin(async move {
                match failure {
                    None => Ok(()),
                    Some("hangs") => std::future::pending().await,
                    Some("panics") => panic!("on request"),
                    Some(other) => Err(other.into()),
                }
            })
        });
        let outlets = Outlets { host: has_host.then_some(handler), sender: Some(Arc::new(self.receivers.clone())) };
        Courier::start(Arc::clone(&self.store), Clock::from(self.clock.clone()), outlets)
    }

    async fn write(&self, changes: Vec<Change>) {
        let transaction = self.store.begin(&acme()).await.unwrap();
        transaction.commit(Changes { changes, ..Changes::default() }).await.unwrap();
    }

    async fn webhook(&self, url: &str) -> Webhook {
        let id = WebhookId::generate(self.clock.wall()).unwrap();
        let secret = WebhookSecret::generate().unwrap();
        let webhook = Webhook::new(id, acme(), url, secret, self.clock.wall(), ActorId::new("alice").unwrap());
        self.write(vec![Change::SetWebhook(Box::new(webhook.clone()))]).await;
        webhook
    }

    async fn tell(&self, key: &str, for_host: bool) {
        let digest = KeyDigest::sha256_from_bytes([0; 32]);
        let (now, by) = (self.clock.wall(), ActorId::new("alice").unwrap());
        let key = KeyRecord::new(KeyId::new(key).unwrap(), acme(), digest, now, by);
        let event = Event::Revoked { key: Arc::new(KeyHead::from(&key)) };
        let reference = event.reference();
        let mut alert = NewAlert::new(now, event, reference);
        alert.for_host = for_host;
        self.write(vec![Change::Alert(Box::new(alert))]).await;
    }

    async fn deliveries(&self, webhook: &Webhook) -> Vec<Delivery> {
        let query =
            DeliveryQuery { organization: acme(), webhook: webhook.id.clone(), state: None, after: None, limit: 1_000 };
        self.store.alerts().deliveries(&query).await.unwrap()
    }

    /// Lets the courier look at the outbox, a few times.
    async fn wait(&self) {
        tokio::time::sleep(3 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn given_an_alert_when_delivered_then_the_message_says_what_happened_and_in_which_order() {
    let world = World::new();
    let webhook = world.webhook("https://a.example").await;
    let courier = world.courier(false);
    world.tell("one", false).await;
    world.tell("two", false).await;
    courier.wake();
    world.wait().await;
    let messages = world.receivers.got();
    let bodies: Vec<Value> = messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    let mut sequences = Vec::new();
    for (message, body) in messages.iter().zip(&bodies) {
        assert_eq!(message.url, "https://a.example");
        assert_eq!(message.secrets, std::slice::from_ref(&webhook.secret));
        assert_eq!((&body["type"], &body["data"]["organization"]), (&"key.revoked".into(), &"acme".into()));
        assert_eq!(body["timestamp"], world.clock.wall().to_string());
        let sequence = body["data"]["sequence"].as_u64().unwrap();
        assert_eq!(message.id, AlertId::new(sequence).to_string());
        sequences.push((sequence, body["data"]["key"]["id"].as_str().unwrap()));
    }
    sequences.sort_unstable();
    assert_eq!(sequences.iter().map(|(_, key)| *key).collect::<Vec<_>>(), ["one", "two"]);
    assert!(world.deliveries(&webhook).await.iter().all(|delivery| delivery.state == DeliveryState::Delivered));
}

#[tokio::test(start_paused = true)]
async fn given_a_receiver_that_fails_when_it_works_again_then_it_gets_the_same_message_once_more() {
    let world = World::new();
    let webhook = world.webhook("https://a.example").await;
    let _courier = world.courier(false);
    for (attempt, status) in [500, 302, 0, 1].into_iter().enumerate() {
        world.receivers.answer("https://a.example", status);
        if attempt == 0 {
            world.tell("one", false).await;
        }
        world.wait().await;
        assert_eq!(world.receivers.got().len(), 1, "{status}");
        for _ in 0..6 {
            world.wait().await;
        }
        assert_eq!(world.receivers.got().len(), 0, "not before it is due");
        let error = world.deliveries(&webhook).await.remove(0).last_answer.and_then(|answer| answer.error);
        assert_eq!(
            error.as_deref(),
            [None, None, Some("the sender took too long"), Some("the receiver panicked")][attempt]
        );
        world.clock.advance(600 * SECOND);
    }
    world.receivers.answer("https://a.example", 200);
    world.wait().await;
    let [message] = world.receivers.got().try_into().unwrap();
    let [delivery] = world.deliveries(&webhook).await.try_into().unwrap();
    assert_eq!((delivery.state, delivery.alert.to_string()), (DeliveryState::Delivered, message.id));
    world.clock.advance(DAY);
    world.wait().await;
    assert_eq!(world.receivers.got().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn given_a_receiver_that_never_answers_when_others_wait_then_they_get_theirs() {
    let world = World::new();
    world.webhook("https://dead.example").await;
    let webhook = world.webhook("https://a.example").await;
    world.receivers.answer("https://dead.example", 0);
    let _courier = world.courier(true);
    for n in 0..300 {
        world.tell(&format!("key_{n}"), true).await;
    }
    for _ in 0..4 {
        world.wait().await;
    }
    let messages = world.receivers.got();
    let (dead, alive): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.url == "https://dead.example");
    assert!(dead.len() <= 4, "{} at once", dead.len());
    assert_eq!(alive.len(), 300);
    assert_eq!(world.told.lock().unwrap().len(), 300);
    assert!(world.deliveries(&webhook).await.iter().all(|delivery| delivery.state == DeliveryState::Delivered));
}

#[tokio::test(start_paused = true)]
async fn given_more_receivers_that_are_slow_than_there_are_places_for_when_others_wait_then_they_get_theirs_at_once() {
    let world = World::new();
    for n in 0..super::MOST_TO_SLOW + 32 {
        let slow = format!("https://{n}.example");
        world.webhook(&slow).await;
        world.receivers.answer(&slow, 2);
    }
    let _courier = world.courier(false);
    world.tell("before", false).await;
    for _ in 0..10 {
        world.wait().await;
    }
    let url = "https://a.example";
    world.webhook(url).await;
    world.receivers.got();
    for n in 0..5 {
        world.tell(&format!("key_{n}"), false).await;
    }
    world.wait().await;
    let (alive, slow): (Vec<_>, Vec<_>) = world.receivers.got().into_iter().partition(|message| message.url == url);
    assert_eq!(alive.len(), 5);
    assert!((super::MOST_TO_SLOW..super::MOST_TO_SLOW + super::MOST_TO_ONE).contains(&slow.len()), "{}", slow.len());
    world.receivers.answer("https://0.example", 204);
    for _ in 0..30 {
        world.wait().await;
    }
    let got = world.receivers.got();
    let revived = got.iter().filter(|message| message.url == "https://0.example").count();
    assert_eq!(revived, 4, "one that answers again gets what waits for it");
}

#[tokio::test(start_paused = true)]
async fn given_a_host_that_fails_panics_or_hangs_when_it_works_again_then_it_gets_the_alert_with_the_same_id() {
    let world = World::new();
    let _courier = world.courier(true);
    world.failures.lock().unwrap().extend(["hangs", "panics", "the mail server is down"]);
    world.tell("one", true).await;
    for _ in 0..6 {
        for _ in 0..30 {
            world.wait().await;
        }
        world.clock.advance(600 * SECOND);
    }
    let told = world.told.lock().unwrap().clone();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|id| *id == told[0]));
}

#[tokio::test(start_paused = true)]
async fn given_a_process_that_dies_while_it_delivers_then_another_delivers_once_the_claim_is_over() {
    let world = World::new();
    world.webhook("https://a.example").await;
    world.receivers.answer("https://a.example", 0);
    let first = world.courier(false);
    world.tell("one", false).await;
    world.wait().await;
    assert_eq!(world.receivers.got().len(), 1);
    drop(first);
    world.receivers.answer("https://a.example", 200);
    let _second = world.courier(false);
    world.wait().await;
    assert_eq!(world.receivers.got().len(), 0, "the first may still be at it");
    world.clock.advance(15 * SECOND);
    world.wait().await;
    assert_eq!(world.receivers.got().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn given_a_shutdown_when_something_is_due_then_it_is_delivered_and_what_hangs_is_given_back() {
    let world = World::new();
    world.webhook("https://dead.example").await;
    world.webhook("https://a.example").await;
    world.receivers.answer("https://dead.example", 0);
    let courier = world.courier(true);
    world.tell("one", true).await;
    courier.shutdown().await;
    assert_eq!(world.told.lock().unwrap().len(), 1);
    assert_eq!(world.receivers.got().len(), 2);
    world.receivers.answer("https://dead.example", 200);
    let _next = world.courier(true);
    world.wait().await;
    let [message] = world.receivers.got().try_into().unwrap();
    assert_eq!(message.url, "https://dead.example");
}

#[tokio::test(start_paused = true)]
async fn given_a_webhook_when_it_is_disabled_or_its_secret_is_rotated_then_messages_follow_at_once() {
    let world = World::new();
    let mut webhook = world.webhook("https://a.example").await;
    let old = webhook.secret.clone();
    webhook.previous_secret = Some((old.clone(), world.clock.wall() + DAY));
    webhook.secret = WebhookSecret::generate().unwrap();
    webhook.version += 1;
    world.write(vec![Change::SetWebhook(Box::new(webhook.clone()))]).await;
    let _courier = world.courier(false);
    let mut signed = Vec::new();
    for key in ["one", "two"] {
        world.tell(key, false).await;
        world.wait().await;
        signed.extend(world.receivers.got().into_iter().map(|message| message.secrets));
        world.clock.advance(DAY);
    }
    assert_eq!(signed, [vec![webhook.secret.clone(), old], vec![webhook.secret.clone()]]);
    world.receivers.answer("https://a.example", 500);
    world.tell("three", false).await;
    world.wait().await;
    assert_eq!(world.receivers.got().len(), 1);
    webhook.is_disabled = true;
    webhook.version += 1;
    world.write(vec![Change::SetWebhook(Box::new(webhook.clone()))]).await;
    world.clock.advance(60 * SECOND);
    world.wait().await;
    assert_eq!(world.receivers.got().len(), 0);
    let delivery = world.deliveries(&webhook).await.remove(0);
    assert_eq!(delivery.last_answer, Some(WebhookAnswer::failed("the webhook is disabled")));
}
