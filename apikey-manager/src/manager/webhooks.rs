//! Creates, changes, tests and deletes webhooks, and lists their deliveries.

use std::{sync::Arc, time::Duration};

use apikey_core::KeyId;
use serde_json::{Map, Value};

use super::{
    KeyManager, PageRequest, Patch, Shared,
    alerts::numbered,
    operation::{Operation, difference},
    read::page,
};
use crate::{
    actor::Actor,
    alerts::{
        Delivery, DeliveryId, DeliveryQuery, DeliveryState, MOST_WEBHOOKS, Receiver, Webhook, WebhookAnswer, WebhookId,
        WebhookMessage, WebhookSecret, WebhookSender,
    },
    audit::Action,
    courier,
    error::{Limited, ManageError, Missing},
    events::Event,
    query::{DAY, Page},
    rights::{Level, Standing},
    store::Change,
    validate::Fields,
};

/// The longest time that a replaced secret signs beside the new one.
const LONGEST_OVERLAP: Duration = DAY.saturating_mul(7);
/// The longest address, in bytes.
const LONGEST_URL: usize = 2_000;

/// A new webhook.
#[derive(Clone, Debug)]
#[must_use]
pub struct NewWebhook {
    url: String,
    description: String,
    events: Vec<String>,
}

impl NewWebhook {
    /// Creates a webhook for all events at this address.
    pub fn new(url: impl Into<String>) -> Self {
        NewWebhook { url: url.into(), description: String::new(), events: Vec::new() }
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the names of the events that are sent, such as `key.expiring`; none for all.
    pub fn events<E: Into<String>>(mut self, events: impl IntoIterator<Item = E>) -> Self {
        self.events = events.into_iter().map(Into::into).collect();
        self
    }
}

/// A change of a webhook. Fields that are not set stay.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct WebhookUpdate {
    version: Option<u64>,
    url: Option<String>,
    description: Patch<String>,
    events: Patch<Vec<String>>,
    is_disabled: Option<bool>,
}

impl WebhookUpdate {
    /// Creates a change that changes nothing.
    pub fn new() -> Self {
        WebhookUpdate::default()
    }

    /// Sets the version that the record must still have.
    pub fn if_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets the address.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the description.
    pub fn description(mut self, description: impl Into<Patch<String>>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the names of the events that are sent; none for all.
    pub fn events(mut self, events: impl Into<Patch<Vec<String>>>) -> Self {
        self.events = events.into();
        self
    }

    /// Sets whether nothing is sent.
    pub fn disabled(mut self, is_disabled: bool) -> Self {
        self.is_disabled = Some(is_disabled);
        self
    }
}

/// All of these operations require `keys:admin`, and fail with [`WebhooksNotOffered`](ManageError::WebhooksNotOffered)
/// where the host has no [sender](crate::KeyManagerBuilder::webhooks).
impl KeyManager {
    /// Creates a webhook. Its [secret](Webhook::secret) is shown once.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid) (`url`, `description`, `events`), [`Forbidden`](ManageError::Forbidden),
    /// [`LimitReached`](ManageError::LimitReached).
    pub async fn create_webhook(&self, actor: &Actor, webhook: NewWebhook) -> Result<Webhook, ManageError> {
        let actor = actor.clone();
        self.run(async move |shared: Arc<Shared>| {
            let sender = shared.sender()?;
            let mut fields = Fields::default();
            check_url(&mut fields, &*sender, &webhook.url);
            fields.description(&webhook.description);
            check_events(&mut fields, &webhook.events);
            fields.finish().map_err(ManageError::Invalid)?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let used = operation.transaction.webhooks().await?.len();
            if used >= MOST_WEBHOOKS {
                let (used, allowed) = (used as u64, MOST_WEBHOOKS as u64);
                return Err(ManageError::LimitReached { of: Limited::Webhooks, used, allowed });
            }
            let (id, now) = (WebhookId::generate(operation.now)?, operation.now);
            let (organization, by) = (operation.actor.organization.clone(), operation.actor.id.clone());
            let mut made = Webhook::new(id, organization, webhook.url, WebhookSecret::generate()?, now, by);
            made.description = webhook.description;
            made.events = webhook.events;
            operation.change(Change::SetWebhook(Box::new(made.clone())));
            operation.audit(Action::WebhookCreated, made.id.as_str(), None, Some(describe(&made)))?;
            operation.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Returns the organization's webhooks, oldest first.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`Busy`](ManageError::Busy).
    pub async fn list_webhooks(&self, actor: &Actor) -> Result<Vec<Webhook>, ManageError> {
        self.may_administer(actor)?;
        let organization = actor.organization.clone();
        self.read(actor, async move |shared| Ok(shared.store.alerts().webhooks(&organization).await?)).await
    }

    /// Returns a webhook.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Busy`](ManageError::Busy).
    pub async fn webhook(&self, actor: &Actor, id: &WebhookId) -> Result<Webhook, ManageError> {
        find(self.list_webhooks(actor).await?, id)
    }

    /// Changes a webhook.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid), [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound),
    /// [`StaleVersion`](ManageError::StaleVersion).
    pub async fn update_webhook(
        &self,
        actor: &Actor,
        id: &WebhookId,
        update: WebhookUpdate,
    ) -> Result<Webhook, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            let sender = shared.sender()?;
            let mut fields = Fields::default();
            if let Some(url) = &update.url {
                check_url(&mut fields, &*sender, url);
            }
            if let Patch::To(description) = &update.description {
                fields.description(description);
            }
            if let Patch::To(events) = &update.events {
                check_events(&mut fields, events);
            }
            fields.finish().map_err(ManageError::Invalid)?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let before = find(operation.transaction.webhooks().await?, &id)?;
            if update.version.is_some_and(|version| version != before.version) {
                return Err(ManageError::StaleVersion { current: before.version });
            }
            let mut webhook = before.clone();
            webhook.url = update.url.unwrap_or(webhook.url);
            update.description.apply_to(&mut webhook.description);
            update.events.apply_to(&mut webhook.events);
            webhook.is_disabled = update.is_disabled.unwrap_or(webhook.is_disabled);
            if webhook != before {
                webhook.version += 1;
                let (was, is) = difference(describe(&before), describe(&webhook));
                operation.change(Change::SetWebhook(Box::new(webhook.clone())));
                operation.audit(Action::WebhookUpdated, id.as_str(), Some(was), Some(is))?;
                operation.commit().await?;
            }
            Ok(webhook)
        })
        .await
    }

    /// Replaces a webhook's secret. The previous one signs beside the new one for `overlap`, up to 7 days; the one before
    /// it signs no more.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ManageError::Invalid) (`overlap`), [`Forbidden`](ManageError::Forbidden),
    /// [`NotFound`](ManageError::NotFound).
    pub async fn rotate_webhook_secret(
        &self,
        actor: &Actor,
        id: &WebhookId,
        overlap: Duration,
    ) -> Result<Webhook, ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            shared.sender()?;
            if overlap > LONGEST_OVERLAP {
                return Err(ManageError::field("overlap", "too_long", "an overlap may be at most 7 days"));
            }
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let mut webhook = find(operation.transaction.webhooks().await?, &id)?;
            let previous = std::mem::replace(&mut webhook.secret, WebhookSecret::generate()?);
            webhook.previous_secret = (!overlap.is_zero()).then(|| (previous, operation.now + overlap));
            webhook.version += 1;
            operation.change(Change::SetWebhook(Box::new(webhook.clone())));
            operation.audit(Action::WebhookSecretRotated, id.as_str(), None, None)?;
            operation.commit().await?;
            Ok(webhook)
        })
        .await
    }

    /// Deletes a webhook and its deliveries. What is under way may still arrive.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound).
    pub async fn delete_webhook(&self, actor: &Actor, id: &WebhookId) -> Result<(), ManageError> {
        let (actor, id) = (actor.clone(), id.clone());
        self.run(async move |shared: Arc<Shared>| {
            shared.sender()?;
            let mut operation = Operation::begin(shared, actor, Level::Admin).await?;
            let webhook = find(operation.transaction.webhooks().await?, &id)?;
            operation.change(Change::DeleteWebhook(id.clone()));
            operation.audit(Action::WebhookDeleted, id.as_str(), Some(describe(&webhook)), None)?;
            operation.commit().await
        })
        .await
    }

    /// Sends one message of the type `webhook.test` now, and returns the receiver's answer. It is not repeated. An
    /// organization has one test at a time.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Busy`](ManageError::Busy).
    pub async fn test_webhook(&self, actor: &Actor, id: &WebhookId) -> Result<WebhookAnswer, ManageError> {
        let webhook = self.webhook(actor, id).await?;
        self.run_within(&self.0.webhook_tests, actor, async move |shared| {
            let (sender, now) = (shared.sender()?, shared.now());
            let body = courier::message("webhook.test", now, &webhook.organization, Map::new());
            let id = format!("test_{}", KeyId::generate(now)?);
            Ok(sender.send(&WebhookMessage::new(&*webhook.url, id, now, body, webhook.secrets(now))).await)
        })
        .await
    }

    /// Returns a page of a webhook's deliveries, newest first.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`Busy`](ManageError::Busy),
    /// [`Invalid`](ManageError::Invalid) (`limit`, `cursor`).
    pub async fn deliveries(
        &self,
        actor: &Actor,
        id: &WebhookId,
        state: Option<DeliveryState>,
        request: PageRequest,
    ) -> Result<Page<Delivery>, ManageError> {
        let webhook = self.webhook(actor, id).await?.id;
        let (after, limit) = request.parts(Fields::default())?;
        let after = numbered(after.map(|after| after.id))?;
        let organization = actor.organization.clone();
        self.read(actor, async move |shared| {
            let query = DeliveryQuery { organization, webhook, state, after, limit: limit + 1 };
            Ok(page(shared.store.alerts().deliveries(&query).await?, limit, Delivery::place))
        })
        .await
    }

    /// Has a delivery that was given up attempted once more, now.
    ///
    /// # Errors
    ///
    /// [`Forbidden`](ManageError::Forbidden), [`NotFound`](ManageError::NotFound), [`NotParked`](ManageError::NotParked).
    pub async fn retry_delivery(
        &self,
        actor: &Actor,
        webhook: &WebhookId,
        id: DeliveryId,
    ) -> Result<Delivery, ManageError> {
        let (actor, webhook) = (actor.clone(), webhook.clone());
        self.run(async move |shared: Arc<Shared>| {
            shared.sender()?;
            let mut operation = Operation::begin(Arc::clone(&shared), actor, Level::Admin).await?;
            let found = operation.transaction.delivery(id).await?;
            let found = found.filter(|delivery| delivery.receiver == Receiver::Webhook(webhook));
            let mut delivery = found.ok_or(ManageError::NotFound(Missing::Delivery))?;
            if delivery.state != DeliveryState::Parked {
                return Err(ManageError::NotParked);
            }
            let now = operation.now;
            operation.change(Change::RetryDelivery(id, now));
            operation.commit().await?;
            shared.courier.wake();
            delivery.state = DeliveryState::Pending;
            delivery.next_attempt_at = Some(now);
            Ok(delivery)
        })
        .await
    }

    fn may_administer(&self, actor: &Actor) -> Result<(), ManageError> {
        self.may_read(actor)?;
        Standing::of(&actor.rights, &self.0.catalog).needs(Level::Admin)?;
        self.0.sender().map(drop)
    }
}

impl Shared {
    fn sender(&self) -> Result<Arc<dyn WebhookSender>, ManageError> {
        self.courier.outlets().sender.clone().ok_or(ManageError::WebhooksNotOffered)
    }
}

fn find(webhooks: Vec<Webhook>, id: &WebhookId) -> Result<Webhook, ManageError> {
    webhooks.into_iter().find(|webhook| webhook.id == *id).ok_or(ManageError::NotFound(Missing::Webhook))
}

fn check_url(fields: &mut Fields, sender: &dyn WebhookSender, url: &str) {
    if url.len() > LONGEST_URL {
        fields.push("url", "too_long", "an address has at most 2000 bytes");
    } else if let Err(reason) = sender.check(url) {
        fields.push("url", "not_allowed", reason);
    }
}

fn check_events(fields: &mut Fields, events: &[String]) {
    if events.iter().any(|event| !Event::NAMES.contains(&event.as_str())) {
        fields.push("events", "unknown", format!("each is one of {}", Event::NAMES.join(", ")));
    } else if events.len() > Event::NAMES.len() {
        fields.push("events", "too_many", "each name once");
    }
}

fn describe(webhook: &Webhook) -> Map<String, Value> {
    let shown = [
        ("url", webhook.url.as_str().into()),
        ("description", webhook.description.as_str().into()),
        ("events", webhook.events.clone().into()),
        ("disabled", webhook.is_disabled.into()),
    ];
    shown.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
