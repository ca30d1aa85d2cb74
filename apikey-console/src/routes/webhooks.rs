//! `/v1/webhooks`: addresses that an organization's alerts are sent to, and what has become of each delivery.

use std::time::Duration;

use apikey_core::Timestamp;
use apikey_manager::{
    Cursor, Delivery, DeliveryId, DeliveryState, ManageError, NewWebhook, Page, Webhook, WebhookAnswer, WebhookId,
    WebhookUpdate,
};
use axum::response::Response;
use http::{StatusCode, header::LOCATION};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    call::{Caller, Json, PathId, PathIds, Query},
    input::{self, Given, Input, Limit, page},
    precondition::{self, IfMatch, Tags},
    problem::Failure,
    reply::{self, next_cursor},
    schema::{EventName, Remark},
};

/// An address that alerts are sent to.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    /// The id, which never changes.
    id: String,
    /// The address.
    url: String,
    /// The purpose.
    description: String,
    /// The events that are sent; none for all.
    #[schema(value_type = Vec<EventName>)]
    events: Vec<String>,
    /// `true` if nothing is sent.
    disabled: bool,
    /// The time of creation.
    created_at: Timestamp,
    /// The actor who created it.
    created_by: String,
    /// Until when the previous secret signs, too.
    previous_secret_ends_at: Option<Timestamp>,
    /// The version, which is also the entity tag.
    #[schema(minimum = 1)]
    version: u64,
}

/// All webhooks, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookList)]
pub(crate) struct WebhookList {
    #[schema(max_items = 20)]
    items: Vec<WebhookView>,
}

/// A webhook with its new signing secret, which is shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(crate) struct WithSecret {
    #[serde(flatten)]
    webhook: WebhookView,
    /// The secret, for the receiver to verify signatures with.
    #[schema(examples("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))]
    secret: String,
}

impl WebhookView {
    fn of(webhook: Webhook) -> Self {
        WebhookView {
            id: webhook.id.to_string(),
            url: webhook.url,
            description: webhook.description,
            events: webhook.events,
            disabled: webhook.is_disabled,
            created_at: webhook.created_at,
            created_by: webhook.created_by.to_string(),
            previous_secret_ends_at: webhook.previous_secret.map(|(_, ends_at)| ends_at),
            version: webhook.version,
        }
    }
}

fn shown(webhook: Webhook) -> Result<Response, Failure> {
    let version = webhook.version;
    reply::versioned(&WebhookView::of(webhook), version)
}

fn shown_once(status: StatusCode, webhook: Webhook) -> Result<Response, Failure> {
    let secret = webhook.secret.expose_secret().to_owned();
    reply::secret(status, &WithSecret { webhook: WebhookView::of(webhook), secret })
}

/// Lists webhooks
///
/// An organization has at most 20. Answered 404 with the code `webhooks_not_offered`, as every route of webhooks is, if the
/// service sends none.
#[utoipa::path(get, path = "/webhooks", operation_id = "list_webhooks", tag = "alerts",
    responses((status = 200, description = "The webhooks.", body = WebhookList)))]
pub(crate) async fn list(caller: Caller) -> Result<Response, Failure> {
    let webhooks = caller.keys().list_webhooks(&caller.actor).await?;
    reply::json(StatusCode::OK, &WebhookList { items: webhooks.into_iter().map(WebhookView::of).collect() })
}

/// A new webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhook)]
pub(crate) struct CreateWebhook {
    /// The address.
    #[schema(max_length = 2000)]
    url: String,
    /// The purpose.
    #[schema(value_type = Option<Remark>)]
    description: Option<String>,
    /// The events that are sent; none for all.
    #[schema(value_type = Option<Vec<EventName>>)]
    events: Option<Vec<String>>,
}

impl Input for CreateWebhook {
    fn resource() -> Option<RefOr<Schema>> {
        Some(WebhookView::schema())
    }
}

/// Creates a webhook
///
/// Messages are signed as Standard Webhooks specifies.
#[utoipa::path(post, path = "/webhooks", operation_id = "create_webhook", tag = "alerts", request_body = CreateWebhook,
    responses((status = 201, description = "The webhook and its secret.", body = WithSecret, headers(
        ("Location" = String, description = "The address of the webhook."),
    ))))]
pub(crate) async fn create(caller: Caller, Json(sent): Json<CreateWebhook>) -> Result<Response, Failure> {
    let webhook = NewWebhook::new(sent.url).description(sent.description.unwrap_or_default());
    let webhook = webhook.events(sent.events.unwrap_or_default());
    let made = caller.keys().create_webhook(&caller.actor, webhook).await?;
    let location = caller.location(&format!("webhooks/{}", made.id));
    Ok(reply::with(shown_once(StatusCode::CREATED, made)?, LOCATION, &location))
}

/// Reads a webhook
#[utoipa::path(get, path = "/webhooks/{id}", operation_id = "get_webhook", tag = "alerts",
    responses((status = 200, description = "The webhook.", body = WebhookView,
        headers(("ETag" = String, description = "The version.")))))]
pub(crate) async fn get(caller: Caller, PathId(id): PathId<WebhookId>) -> Result<Response, Failure> {
    shown(caller.keys().webhook(&caller.actor, &id).await?)
}

/// A change of a webhook, as a merge patch (RFC 7396): absent fields stay, null clears.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookPatch)]
pub(crate) struct PatchWebhook {
    /// The address.
    #[schema(value_type = Option<String>, required = false, max_length = 2000)]
    url: Option<String>,
    /// The purpose.
    #[schema(value_type = Option<Remark>, required = false)]
    description: Given<String>,
    /// The events that are sent; none for all.
    #[schema(value_type = Option<Vec<EventName>>, required = false)]
    events: Given<Vec<String>>,
    /// `true` to send nothing.
    #[schema(value_type = Option<bool>, required = false)]
    disabled: Option<bool>,
}

impl Input for PatchWebhook {
    fn resource() -> Option<RefOr<Schema>> {
        Some(WebhookView::schema())
    }
}

/// Changes a webhook
#[utoipa::path(patch, path = "/webhooks/{id}", operation_id = "change_webhook", tag = "alerts",
    params(("If-Match" = Option<String>, Header, description = "The entity tag of the version to change.")),
    request_body(content((PatchWebhook = "application/merge-patch+json"), (PatchWebhook = "application/json"))),
    responses((status = 200, description = "The changed webhook.", body = WebhookView,
        headers(("ETag" = String, description = "The version.")))))]
pub(crate) async fn update(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    IfMatch(wanted): IfMatch,
    Json(patch): Json<PatchWebhook>,
) -> Result<Response, Failure> {
    let mut update = WebhookUpdate::new().description(patch.description).events(patch.events);
    if let Some(url) = patch.url {
        update = update.url(url);
    }
    if let Some(disabled) = patch.disabled {
        update = update.disabled(disabled);
    }
    if let Some(wanted @ Tags::Versions(_)) = wanted {
        let before = caller.keys().webhook(&caller.actor, &id).await?;
        if !wanted.has(before.version) {
            return Err(precondition::failed());
        }
        update = update.if_version(before.version);
    }
    match caller.keys().update_webhook(&caller.actor, &id, update).await {
        Ok(webhook) => shown(webhook),
        Err(ManageError::StaleVersion { .. }) => Err(precondition::failed()),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a webhook
///
/// Its deliveries are deleted, too. What is being sent may still arrive.
#[utoipa::path(delete, path = "/webhooks/{id}", operation_id = "delete_webhook", tag = "alerts",
    responses((status = 204, description = "It is deleted.")))]
pub(crate) async fn delete(caller: Caller, PathId(id): PathId<WebhookId>) -> Result<Response, Failure> {
    caller.keys().delete_webhook(&caller.actor, &id).await?;
    Ok(reply::no_content())
}

/// The outcome of an attempt.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookAnswer)]
pub(crate) struct AnswerView {
    /// The status of the receiver's answer, if there was one.
    status: Option<u16>,
    /// Why there was no answer.
    error: Option<String>,
}

impl AnswerView {
    fn of(answer: WebhookAnswer) -> Self {
        AnswerView { status: answer.status, error: answer.error }
    }
}

/// Sends a test message
///
/// It has the type `webhook.test`, is sent at once, and is not repeated.
#[utoipa::path(post, path = "/webhooks/{id}/test", operation_id = "test_webhook", tag = "alerts",
    responses((status = 200, description = "What came of it.", body = AnswerView)))]
pub(crate) async fn test(caller: Caller, PathId(id): PathId<WebhookId>) -> Result<Response, Failure> {
    let answer = caller.keys().test_webhook(&caller.actor, &id).await?;
    reply::json(StatusCode::OK, &AnswerView::of(answer))
}

/// The overlap of a rotation: how long the replaced secret signs beside the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretRotation)]
pub(crate) struct RotateSecret {
    /// Seconds: up to 7 days, and a day if absent. 0 ends the old secret now.
    #[schema(maximum = 604800, default = 86400)]
    overlap_seconds: Option<u64>,
}

impl Input for RotateSecret {}

/// Rotates a webhook's secret
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", operation_id = "rotate_webhook_secret", tag = "alerts",
    request_body = Option<RotateSecret>,
    responses((status = 200, description = "The webhook and its new secret.", body = WithSecret)))]
pub(crate) async fn rotate_secret(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    sent: Option<Json<RotateSecret>>,
) -> Result<Response, Failure> {
    let overlap = sent.and_then(|Json(sent)| sent.overlap_seconds).unwrap_or(86_400);
    let rotated = caller.keys().rotate_webhook_secret(&caller.actor, &id, Duration::from_secs(overlap)).await?;
    shown_once(StatusCode::OK, rotated)
}

/// The delivery of an alert to a webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    /// The id.
    id: String,
    /// The id of the alert, which the receiver gets as `webhook-id`.
    alert_id: String,
    /// The event.
    event: String,
    /// The time at which the alert was written.
    created_at: Timestamp,
    /// `pending` while it is attempted, `delivered` once the receiver has accepted it, `parked` if it was given up after
    /// three days.
    #[schema(value_type = String, examples("pending"))]
    state: &'static str,
    /// The number of attempts.
    attempts: u32,
    /// The time of the next attempt.
    next_attempt_at: Option<Timestamp>,
    /// The time of the last attempt.
    last_attempt_at: Option<Timestamp>,
    /// The status of the last answer.
    last_status: Option<u16>,
    /// Why there was no answer.
    last_error: Option<String>,
}

/// A page of deliveries, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryPage)]
pub(crate) struct DeliveryPage {
    #[schema(max_items = 200)]
    items: Vec<DeliveryView>,
    /// The `cursor` of the next page, or null on the last one.
    next_cursor: Option<String>,
}

impl DeliveryPage {
    fn of(page: Page<Delivery>) -> Self {
        let next_cursor = next_cursor(&page);
        DeliveryPage { items: page.items.into_iter().map(DeliveryView::of).collect(), next_cursor }
    }
}

impl DeliveryView {
    fn of(delivery: Delivery) -> Self {
        let (last_status, last_error) = delivery.last_answer.map_or((None, None), |last| (last.status, last.error));
        DeliveryView {
            id: delivery.id.to_string(),
            alert_id: delivery.alert.to_string(),
            event: delivery.event,
            created_at: delivery.created_at,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at,
            last_attempt_at: delivery.last_attempt_at,
            last_status,
            last_error,
        }
    }
}

/// The parameters of a list of deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeliveries {
    /// The page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<Limit>,
    /// The `next_cursor` of the previous page.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::parsed")]
    cursor: Option<Cursor>,
    /// Only deliveries in this state: `pending`, `delivered` or `parked`.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "input::delivery_state")]
    state: Option<DeliveryState>,
}

impl Input for ListDeliveries {}

/// Lists a webhook's deliveries
///
/// Newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", operation_id = "list_webhook_deliveries", tag = "alerts",
    params(ListDeliveries), responses((status = 200, description = "A page of deliveries.", body = DeliveryPage)))]
pub(crate) async fn deliveries(
    caller: Caller,
    PathId(id): PathId<WebhookId>,
    Query(params): Query<ListDeliveries>,
) -> Result<Response, Failure> {
    let page = page(params.limit, params.cursor);
    let deliveries = caller.keys().deliveries(&caller.actor, &id, params.state, page).await?;
    reply::json(StatusCode::OK, &DeliveryPage::of(deliveries))
}

/// Retries a delivery that was given up
///
/// It is attempted once more.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{delivery_id}/retry", operation_id = "retry_webhook_delivery",
    tag = "alerts", params(("delivery_id" = String, Path, description = "The id of the delivery.")),
    responses((status = 200, description = "The delivery, pending again.", body = DeliveryView)))]
pub(crate) async fn retry(
    caller: Caller,
    PathIds(id, delivery): PathIds<WebhookId, DeliveryId>,
) -> Result<Response, Failure> {
    let delivery = caller.keys().retry_delivery(&caller.actor, &id, delivery).await?;
    reply::json(StatusCode::OK, &DeliveryView::of(delivery))
}
