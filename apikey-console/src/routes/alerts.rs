//! `/v1/alerts`: what an organization is told about its keys, and `/v1/alert-settings`: when.

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{Alert, AlertFilter, AlertId, AlertSettings, Cursor, Event, Page, Thresholds};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    call::{Caller, Json, PathId, Query},
    input::{self, Given, Input, Limit, page},
    problem::Failure,
    reply::{self, next_cursor},
    schema::{EventName, WantedId},
};

/// An event that an organization is told of.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub(crate) struct AlertView {
    /// The id. Repeated deliveries of an alert have the same.
    #[schema(examples("alt_00000000000000000042"))]
    id: String,
    /// A number that is greater for later alerts.
    sequence: u64,
    /// The event.
    #[schema(value_type = EventName)]
    event: &'static str,
    /// The time at which it was found.
    at: Timestamp,
    /// The key as it was.
    key: AlertKey,
    /// More about the event: `expires_at` and `within_seconds`, `expired_at`, `since`, or `hour`, `requests` and the usual
    /// number, `median`.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// The time at which it was acknowledged.
    acknowledged_at: Option<Timestamp>,
    /// The actor who acknowledged it.
    acknowledged_by: Option<String>,
}

/// The key of an alert, as it was.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertKey {
    /// The id.
    id: String,
    /// The name.
    name: String,
    /// The beginning and the end of its secret.
    hint: String,
    /// The environment.
    environment: Option<String>,
    /// The service account that owns it.
    service_account: Option<String>,
}

/// A page of alerts, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertPage)]
pub(crate) struct AlertPage {
    #[schema(max_items = 200)]
    items: Vec<AlertView>,
    /// The `cursor` of the next page, or null on the last one.
    next_cursor: Option<String>,
}

impl AlertPage {
    fn of(page: Page<Alert>) -> Self {
        let next_cursor = next_cursor(&page);
        AlertPage { items: page.items.into_iter().map(AlertView::of).collect(), next_cursor }
    }
}

impl AlertView {
    fn of(alert: Alert) -> Self {
        let key = alert.event.key();
        AlertView {
            id: alert.id.to_string(),
            sequence: alert.sequence(),
            event: alert.event.name(),
            at: alert.at,
            key: AlertKey {
                id: key.id.to_string(),
                name: key.name.clone(),
                hint: key.hint.clone(),
                environment: key.environment.clone(),
                service_account: key.service_account.as_ref().map(ToString::to_string),
            },
            details: details(&alert.event),
            acknowledged_at: alert.acknowledged.as_ref().map(|by| by.at),
            acknowledged_by: alert.acknowledged.map(|by| by.by.to_string()),
        }
    }
}

/// Returns the event's values apart from its name and its key.
fn details(event: &Event) -> Map<String, Value> {
    let Ok(Value::Object(mut details)) = serde_json::to_value(event) else { return Map::new() };
    details.remove("event");
    details.remove("key");
    match details.remove("spike") {
        Some(Value::Object(spike)) => spike,
        _ => details,
    }
}

/// The parameters of a list of alerts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAlerts {
    /// The page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
    /// `false` for open alerts, `true` for acknowledged ones.
    #[serde(deserialize_with = "input::flag")]
    acknowledged: Option<bool>,
    /// Only this event, such as `key.expiring`.
    #[param(value_type = Option<EventName>)]
    #[serde(deserialize_with = "input::event")]
    event: Option<String>,
    /// Only alerts about the key with this id.
    #[param(value_type = Option<WantedId>)]
    #[serde(deserialize_with = "input::parsed")]
    key: Option<KeyId>,
}

impl Input for ListAlerts {}

/// Lists alerts
///
/// Newest first.
#[utoipa::path(get, path = "/alerts", operation_id = "list_alerts", tag = "alerts", params(ListAlerts),
    responses((status = 200, description = "A page of alerts.", body = AlertPage)))]
pub(crate) async fn list(caller: Caller, Query(params): Query<ListAlerts>) -> Result<Response, Failure> {
    let mut filter = AlertFilter::default();
    filter.acknowledged = params.acknowledged;
    filter.event = params.event;
    filter.key = params.key;
    let alerts = caller.keys().alerts(&caller.actor, filter, page(params.limit, params.cursor)).await?;
    reply::json(StatusCode::OK, &AlertPage::of(alerts))
}

/// Acknowledges an alert
///
/// It is open no more. The first acknowledgement stays.
#[utoipa::path(post, path = "/alerts/{id}/acknowledge", operation_id = "acknowledge_alert", tag = "alerts",
    responses((status = 200, description = "The alert.", body = AlertView)))]
pub(crate) async fn acknowledge(caller: Caller, PathId(id): PathId<AlertId>) -> Result<Response, Failure> {
    let alert = caller.keys().acknowledge_alert(&caller.actor, id).await?;
    reply::json(StatusCode::OK, &AlertView::of(alert))
}

/// When an organization is told about its keys.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertSettings)]
pub(crate) struct SettingsView {
    /// How many days before its expiry a key counts as expiring. Each number causes one alert.
    #[schema(max_items = 5)]
    expiring_days: Vec<u32>,
    /// After how many days without use a key counts as unused; null for never.
    unused_days: Option<u32>,
    /// From which age of the newest secret, in days, a rotation is due; null for never.
    rotation_days: Option<u32>,
    /// From which multiple of the usual use an hour is a spike; null for never.
    spike_factor: Option<u64>,
    /// The least number of requests of a spike.
    spike_minimum: u64,
}

impl SettingsView {
    fn of(settings: AlertSettings) -> Self {
        SettingsView {
            expiring_days: settings.expiring_days,
            unused_days: settings.unused_days,
            rotation_days: settings.rotation_days,
            spike_factor: settings.spike_factor,
            spike_minimum: settings.spike_minimum,
        }
    }
}

/// Reads when the organization is told about its keys
#[utoipa::path(get, path = "/alert-settings", operation_id = "get_alert_settings", tag = "alerts",
    responses((status = 200, description = "The settings.", body = SettingsView)))]
pub(crate) async fn settings(caller: Caller) -> Result<Response, Failure> {
    let settings = caller.keys().alert_settings(&caller.actor).await?;
    reply::json(StatusCode::OK, &SettingsView::of(settings))
}

/// A change of the settings, as a merge patch (RFC 7396): absent fields stay, null is for never.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertSettingsPatch)]
pub(crate) struct PatchSettings {
    /// How many days before its expiry a key counts as expiring; null for no number.
    #[schema(value_type = Option<Vec<u32>>, required = false, max_items = 5)]
    expiring_days: Given<Vec<u64>>,
    /// After how many days without use a key counts as unused.
    #[schema(value_type = Option<u32>, required = false, minimum = 1, maximum = 3650)]
    unused_days: Given<u64>,
    /// From which age of the newest secret, in days, a rotation is due.
    #[schema(value_type = Option<u32>, required = false, minimum = 1, maximum = 3650)]
    rotation_days: Given<u64>,
    /// From which multiple of the usual use an hour is a spike.
    #[schema(value_type = Option<u64>, required = false, minimum = 2, maximum = 1000000)]
    spike_factor: Given<u64>,
    /// The least number of requests of a spike; null for the usual one.
    #[schema(value_type = Option<u64>, required = false, minimum = 1, maximum = 1000000000000_u64)]
    spike_minimum: Given<u64>,
}

impl Input for PatchSettings {
    fn resource() -> Option<RefOr<Schema>> {
        Some(SettingsView::schema())
    }
}

/// Changes when the organization is told about its keys
#[utoipa::path(patch, path = "/alert-settings", operation_id = "change_alert_settings", tag = "alerts",
    request_body(content((PatchSettings = "application/merge-patch+json"), (PatchSettings = "application/json"))),
    responses((status = 200, description = "The changed settings.", body = SettingsView)))]
pub(crate) async fn change_settings(caller: Caller, Json(patch): Json<PatchSettings>) -> Result<Response, Failure> {
    fn set<T, G>(field: &mut T, given: Given<G>, value: impl FnOnce(Option<G>) -> T) {
        match given {
            Given::Absent => {}
            Given::Null => *field = value(None),
            Given::Value(given) => *field = value(Some(given)),
        }
    }
    // What is too large for a number of days is out of range.
    let days = |days: u64| u32::try_from(days).unwrap_or(u32::MAX);
    let change = move |settings: &mut AlertSettings| {
        let all = |all: Option<Vec<u64>>| all.into_iter().flatten().map(days).collect();
        set(&mut settings.expiring_days, patch.expiring_days, all);
        set(&mut settings.unused_days, patch.unused_days, |given| given.map(days));
        set(&mut settings.rotation_days, patch.rotation_days, |given| given.map(days));
        set(&mut settings.spike_factor, patch.spike_factor, |given| given);
        let usual = AlertSettings::from(&Thresholds::new()).spike_minimum;
        set(&mut settings.spike_minimum, patch.spike_minimum, |given| given.unwrap_or(usual));
    };
    let settings = caller.keys().update_alert_settings(&caller.actor, change).await?;
    reply::json(StatusCode::OK, &SettingsView::of(settings))
}
