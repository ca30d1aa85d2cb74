//! Changes of alerts, their receivers and the outbox.

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{AlertId, AlertSettings, DeliveryId, NewAlert, StoreError, Switched, Webhook, WebhookId};

use super::{Writer, values::version};
use crate::{
    alerts::{events_text, json, number},
    query::Value,
};

impl Writer<'_> {
    /// Adds alerts that the log doesn't have, and their deliveries.
    pub(super) async fn add_alerts(&mut self, alerts: &[NewAlert]) -> Result<(), StoreError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(alerts.len());
        for alert in alerts {
            self.is_own(alert.organization())?;
            let (at, by) = super::switched(alert.acknowledged.as_ref());
            rows.push(vec![
                self.organization.as_str().into(),
                alert.event.key().id.as_str().into(),
                alert.event.name().into(),
                alert.reference.as_str().into(),
                alert.at.as_millis().into(),
                json(&alert.event)?.into(),
                at,
                by,
            ]);
        }
        let insert = "INSERT INTO @alert \
             (organization, key_id, event, reference, at, body, acknowledged_at, acknowledged_by) ";
        if self.write(insert, rows, " ON CONFLICT (reference) DO NOTHING").await? == 0 {
            return Ok(());
        }
        let deliver = "INSERT INTO @delivery \
             (organization, alert_id, event, receiver, created_at, state, attempts, due_at) \
             SELECT a.organization, a.id, a.event, ";
        for alerts in alerts.chunks(super::CHUNK) {
            let to_webhooks = "w.id, a.at, 'pending', 0, a.at FROM @alert a JOIN @webhook w \
                 ON w.organization = a.organization AND w.disabled = 0 \
                 AND (w.events = '' OR w.events LIKE '% ' || a.event || ' %') WHERE a.reference";
            let to_host = "'host', a.at, 'pending', 0, a.at FROM @alert a WHERE a.reference";
            let of_all: Vec<Value> = alerts.iter().map(|alert| alert.reference.as_str().into()).collect();
            let for_host = alerts.iter().filter(|alert| alert.for_host);
            let of_host: Vec<Value> = for_host.map(|alert| alert.reference.as_str().into()).collect();
            for (receivers, references) in [(to_webhooks, of_all), (to_host, of_host)] {
                if !references.is_empty() {
                    let mut query = self.names.query(&format!("{deliver}{receivers}"));
                    query.push_one_of(&references).push(" ON CONFLICT (alert_id, receiver) DO NOTHING");
                    self.execute(query).await?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn acknowledge_alert(&mut self, id: AlertId, by: &Switched) -> Result<(), StoreError> {
        let set = "UPDATE @alert SET acknowledged_at = COALESCE(acknowledged_at, $1), \
                   acknowledged_by = COALESCE(acknowledged_by, $2) WHERE id = $3 AND organization = $4";
        let set = self.names.query(set).bind(by.at.as_millis()).bind(by.by.as_str()).bind(number(id.number()));
        let set = set.bind(self.organization.as_str());
        self.one(set, "there is no such alert").await
    }

    pub(super) async fn close_alerts(
        &mut self,
        keys: &[KeyId],
        events: &[&str],
        by: &Switched,
    ) -> Result<(), StoreError> {
        let events: Vec<Value> = events.iter().map(|event| (*event).into()).collect();
        for keys in keys.chunks(super::CHUNK) {
            let keys: Vec<Value> = keys.iter().map(|key| key.as_str().into()).collect();
            let set = "UPDATE @alert SET acknowledged_at = $1, acknowledged_by = $2 \
                       WHERE acknowledged_at IS NULL AND organization = $3 AND key_id";
            let mut set = self.names.query(set).bind(by.at.as_millis()).bind(by.by.as_str());
            set = set.bind(self.organization.as_str());
            set.push_one_of(&keys).push(" AND event").push_one_of(&events);
            self.execute(set).await?;
        }
        Ok(())
    }

    pub(super) async fn set_alert_settings(&mut self, settings: &AlertSettings) -> Result<(), StoreError> {
        let set = "INSERT INTO @alert_settings (organization, settings) VALUES ($1, $2) \
                   ON CONFLICT (organization) DO UPDATE SET settings = excluded.settings";
        let set = self.names.query(set).bind(self.organization.as_str()).bind(json(settings)?);
        self.execute(set).await.map(drop)
    }

    pub(super) async fn set_webhook(&mut self, webhook: &Webhook) -> Result<(), StoreError> {
        self.is_own(&webhook.organization)?;
        let previous = webhook.previous_secret.as_ref();
        let values: Vec<Value> = vec![
            webhook.id.as_str().into(),
            self.organization.as_str().into(),
            webhook.url.as_str().into(),
            webhook.description.as_str().into(),
            events_text(&webhook.events).into(),
            i64::from(webhook.is_disabled).into(),
            webhook.secret.expose_secret().into(),
            previous.map(|(secret, _)| secret.expose_secret()).into(),
            previous.map(|(_, ends_at)| ends_at.as_millis()).into(),
            webhook.created_at.as_millis().into(),
            webhook.created_by.as_str().into(),
            version(webhook.version)?,
        ];
        let set = match webhook.version {
            1 => {
                "INSERT INTO @webhook (id, organization, url, description, events, disabled, secret, previous_secret, \
                 previous_ends_at, created_at, created_by, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
            }
            _ => {
                "UPDATE @webhook SET url = $3, description = $4, events = $5, disabled = $6, secret = $7, \
                 previous_secret = $8, previous_ends_at = $9, created_at = $10, created_by = $11, version = $12 \
                 WHERE id = $1 AND organization = $2 AND version = $12 - 1"
            }
        };
        let query = values.into_iter().fold(self.names.query(set), |query, value| query.bind(value));
        self.one(query, "the record has changed").await
    }

    pub(super) async fn delete_webhook(&mut self, id: &WebhookId) -> Result<(), StoreError> {
        let delete = "DELETE FROM @webhook WHERE id = $1 AND organization = $2";
        let delete = self.names.query(delete).bind(id.as_str()).bind(self.organization.as_str());
        self.one(delete, "there is no such webhook").await?;
        let deliveries = self.names.query("DELETE FROM @delivery WHERE receiver = $1").bind(id.as_str());
        self.execute(deliveries).await.map(drop)
    }

    pub(super) async fn retry_delivery(&mut self, id: DeliveryId, at: Timestamp) -> Result<(), StoreError> {
        let set = "UPDATE @delivery SET state = 'pending', due_at = $1 \
                   WHERE id = $2 AND organization = $3 AND state = 'parked'";
        let set = self.names.query(set).bind(at.as_millis()).bind(number(id.number()));
        self.one(set.bind(self.organization.as_str()), "there is no such delivery that was given up").await
    }

    async fn one(&mut self, query: crate::query::Query<'_>, otherwise: &str) -> Result<(), StoreError> {
        match self.execute(query).await? {
            1 => Ok(()),
            _ => Err(StoreError::conflict(otherwise)),
        }
    }
}
