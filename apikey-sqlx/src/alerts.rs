//! Alerts, webhooks and deliveries as rows.

use apikey_core::{OrganizationId, Timestamp};
use apikey_manager::{
    Alert, AlertId, AlertSettings, Cursor, Delivery, DeliveryId, Receiver, StoreError, Webhook, WebhookAnswer,
    WebhookSecret,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    query::{Names, Query, Value},
    row::{Batch, Row, corrupt},
};

/// The columns of an alert, from a table `a`, named apart from those of a delivery and a webhook.
pub(crate) const ALERT: &str = "a.id AS alert_number, a.at AS alert_at, a.body, a.acknowledged_at, a.acknowledged_by";
/// The columns of a delivery, from a table `d`.
pub(crate) const DELIVERY: &str = "d.id, d.organization, d.alert_id, d.event, d.receiver, d.created_at, d.state, d.attempts, \
    d.due_at, d.last_at, d.last_status, d.last_error";
/// The columns of a webhook, from a table `w`, named apart from those of a delivery.
pub(crate) const WEBHOOK: &str = "w.id AS webhook, w.organization AS webhook_organization, w.url, w.description, w.events, \
    w.disabled, w.secret, w.previous_secret, w.previous_ends_at, w.created_at AS webhook_created_at, w.created_by, \
    w.version";

/// Returns the number of an id as it is stored. None is greater: see [`AlertId`]'s parsing.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::unavailable)
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(&error.to_string()))
}

/// Returns names as they are stored, each between spaces, so that one can be searched for.
pub(crate) fn events_text(events: &[String]) -> String {
    match events {
        [] => String::new(),
        events => format!(" {} ", events.join(" ")),
    }
}

pub(crate) fn settings<'n>(names: &'n Names, organizations: &[OrganizationId]) -> Query<'n> {
    let organizations: Vec<Value> = organizations.iter().map(|id| id.as_str().into()).collect();
    let mut query = names.query("SELECT organization, settings FROM @alert_settings WHERE organization");
    query.push_one_of(&organizations);
    query
}

pub(crate) fn read_settings(rows: &[Row]) -> Result<Vec<(OrganizationId, AlertSettings)>, StoreError> {
    let place = |row: &Row| Ok(Cursor { at: Timestamp::UNIX_EPOCH, id: row.get("organization")? });
    let read = |row: &Row| Ok((row.get("organization")?, from_json(row.get("settings")?)?));
    Ok(Batch::single(rows, place, read)?.items)
}

pub(crate) fn webhooks<'n>(names: &'n Names, organization: &OrganizationId) -> Query<'n> {
    let read = format!("SELECT {WEBHOOK} FROM @webhook w WHERE w.organization = $1 ORDER BY w.created_at, w.id");
    names.query(&read).bind(organization.as_str())
}

pub(crate) fn read_webhooks(rows: &[Row]) -> Result<Vec<Webhook>, StoreError> {
    let place = |row: &Row| Ok(Cursor { at: row.get("webhook_created_at")?, id: row.get("webhook")? });
    Ok(Batch::single(rows, place, read_webhook)?.items)
}

pub(crate) fn read_alerts(rows: &[Row]) -> Result<Batch<Alert>, StoreError> {
    let id = |row: &Row| Ok(AlertId::new(row.get("alert_number")?).to_string());
    Batch::single(rows, |row| Ok(Cursor { at: row.get("alert_at")?, id: id(row)? }), read_alert)
}

pub(crate) fn read_deliveries(rows: &[Row]) -> Result<Batch<Delivery>, StoreError> {
    let id = |row: &Row| Ok(DeliveryId::new(row.get("id")?).to_string());
    Batch::single(rows, |row| Ok(Cursor { at: row.get("created_at")?, id: id(row)? }), read_delivery)
}

pub(crate) fn read_webhook(row: &Row) -> Result<Webhook, StoreError> {
    let id = row.get::<&str>("webhook")?.parse().map_err(|_| corrupt("a webhook's id"))?;
    let secret = WebhookSecret::from_text(row.get::<&str>("secret")?);
    let (organization, url): (_, &str) = (row.get("webhook_organization")?, row.get("url")?);
    let (at, by) = (row.get("webhook_created_at")?, row.get("created_by")?);
    let mut webhook = Webhook::new(id, organization, url, secret, at, by);
    webhook.description = row.get("description")?;
    webhook.events = row.get::<&str>("events")?.split_whitespace().map(str::to_owned).collect();
    webhook.is_disabled = row.get::<i64>("disabled")? != 0;
    let previous: Option<&str> = row.get("previous_secret")?;
    webhook.previous_secret = previous.map(WebhookSecret::from_text).zip(row.get("previous_ends_at")?);
    webhook.version = row.get("version")?;
    Ok(webhook)
}

pub(crate) fn read_alert(row: &Row) -> Result<Alert, StoreError> {
    let id = AlertId::new(row.get("alert_number")?);
    let mut alert = Alert::new(id, row.get("alert_at")?, from_json(row.get("body")?)?);
    alert.acknowledged = row.switched("acknowledged_at", "acknowledged_by")?;
    Ok(alert)
}

pub(crate) fn read_delivery(row: &Row) -> Result<Delivery, StoreError> {
    let id = DeliveryId::new(row.get("id")?);
    let receiver = Receiver::parse(row.get("receiver")?).ok_or_else(|| corrupt("a receiver"))?;
    let (organization, alert) = (row.get("organization")?, AlertId::new(row.get("alert_id")?));
    let event: &str = row.get("event")?;
    let mut delivery = Delivery::new(id, organization, alert, event, receiver, row.get("created_at")?);
    delivery.state = row.get::<&str>("state")?.parse().map_err(|_| corrupt("a state of a delivery"))?;
    delivery.attempts = u32::try_from(row.get::<u64>("attempts")?).unwrap_or(u32::MAX);
    delivery.next_attempt_at = row.get("due_at")?;
    delivery.last_attempt_at = row.get("last_at")?;
    if delivery.last_attempt_at.is_some() {
        let mut answer = WebhookAnswer::failed("");
        answer.status = row.get::<Option<i64>>("last_status")?.and_then(|status| u16::try_from(status).ok());
        answer.error = row.get("last_error")?;
        delivery.last_answer = Some(answer);
    }
    Ok(delivery)
}
