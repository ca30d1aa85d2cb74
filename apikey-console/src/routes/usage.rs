//! How much keys were used: of one key, and of the organization, one of its service accounts or environments.

use std::time::Duration;

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{Bucket, ServiceAccountId, UsageOf};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    call::{Caller, PathId, Query},
    input::{self, Input},
    problem::{Failure, FieldProblem},
    reply,
    schema::{Id, Wanted},
};

const DAY: Duration = Duration::from_secs(86_400);

/// What was counted.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    /// From this hour on, as it was asked for or is usual.
    from: Timestamp,
    /// Up to this hour, which is not counted.
    to: Timestamp,
    #[schema(value_type = BucketLength)]
    bucket: &'static str,
    /// Requests that were let in and had the scopes they needed.
    ok: u64,
    /// Requests that were let in and refused for a missing scope.
    refused: u64,
    /// Bucket by bucket, oldest first; those without any are left out. Of a day that lies in the span in part, that part
    /// is counted.
    buckets: Vec<BucketView>,
}

/// What was counted in an hour or a day.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageBucket)]
pub(crate) struct BucketView {
    /// The beginning of the hour or the day, in UTC.
    start: Timestamp,
    ok: u64,
    refused: u64,
}

/// How finely usage is told.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the names of `Bucket`, for the document")]
pub(crate) enum BucketLength {
    Hour,
    Day,
}

/// Which span of time, and how finely.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Span {
    /// From this hour on: a full hour in UTC, in whatever offset it is written. Unless given, 24 hours before `to` by the
    /// hour, 30 days by the day.
    #[param(value_type = Option<Timestamp>, example = "2026-01-01T00:00:00Z")]
    from: Option<Timestamp>,
    /// Up to this hour, which is not counted: a full hour in UTC, at most 32 days after `from` by the hour, 367 by the day.
    /// Unless given, the end of the current hour, or by the day of the current day of UTC.
    #[param(value_type = Option<Timestamp>, example = "2026-01-02T00:00:00Z")]
    to: Option<Timestamp>,
    /// How finely: by the hour unless given, or by the day of UTC.
    #[param(value_type = Option<BucketLength>)]
    #[serde(deserialize_with = "input::bucket")]
    bucket: Option<Bucket>,
}

impl Input for Span {}

/// Reads a key's usage
///
/// A key that was deleted still has its usage; one that never was has none. Usage is counted by the hour: `from` and
/// `to` must be full hours in UTC, and other moments are answered 422. So adjoining spans share no request and miss none,
/// by the hour and by the day. The days of a time zone that is half an hour off UTC can't be asked for.
#[utoipa::path(get, path = "/api-keys/{id}/usage", operation_id = "get_api_key_usage", tag = "usage", params(Span),
    responses((status = 200, description = "What was counted.", body = UsageView)))]
pub(crate) async fn of_key(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    Query(span): Query<Span>,
) -> Result<Response, Failure> {
    counted(&caller, UsageOf::Key(id), span).await
}

/// Whose usage, when, and how finely.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrganizationUsage {
    /// From this hour on: a full hour in UTC, in whatever offset it is written. Unless given, 24 hours before `to` by the
    /// hour, 30 days by the day.
    #[param(value_type = Option<Timestamp>, example = "2026-01-01T00:00:00Z")]
    from: Option<Timestamp>,
    /// Up to this hour, which is not counted: a full hour in UTC, at most 32 days after `from` by the hour, 367 by the day.
    /// Unless given, the end of the current hour, or by the day of the current day of UTC.
    #[param(value_type = Option<Timestamp>, example = "2026-01-02T00:00:00Z")]
    to: Option<Timestamp>,
    /// How finely: by the hour unless given, or by the day of UTC.
    #[param(value_type = Option<BucketLength>)]
    #[serde(deserialize_with = "input::bucket")]
    bucket: Option<Bucket>,
    /// Of the service account of this id alone.
    #[param(value_type = Option<Id>)]
    #[serde(deserialize_with = "input::parsed")]
    service_account: Option<ServiceAccountId>,
    /// Of this environment alone.
    #[param(value_type = Option<Wanted>)]
    environment: Option<String>,
}

impl Input for OrganizationUsage {
    fn check(&self, mistakes: &mut Vec<FieldProblem>) {
        if self.service_account.is_some() && self.environment.is_some() {
            mistakes.push(FieldProblem::new("environment", "conflicting", "must not be given with service_account"));
        }
    }
}

/// Reads the organization's usage
///
/// Or that of one of its service accounts or environments; what became of their keys since makes no difference. Usage is
/// counted by the hour: `from` and `to` must be full hours in UTC, and other moments are answered 422. So adjoining spans
/// share no request and miss none, by the hour and by the day. The days of a time zone that is half an hour off UTC can't
/// be asked for.
#[utoipa::path(get, path = "/usage", operation_id = "get_usage", tag = "usage", params(OrganizationUsage),
    responses((status = 200, description = "What was counted.", body = UsageView)))]
pub(crate) async fn of_organization(
    caller: Caller,
    Query(params): Query<OrganizationUsage>,
) -> Result<Response, Failure> {
    let OrganizationUsage { from, to, bucket, service_account, environment } = params;
    let of = match (service_account, environment) {
        (Some(account), _) => UsageOf::Account(account),
        (None, Some(environment)) => UsageOf::Environment(environment),
        (None, None) => UsageOf::Organization,
    };
    counted(&caller, of, Span { from, to, bucket }).await
}

async fn counted(caller: &Caller, of: UsageOf, span: Span) -> Result<Response, Failure> {
    let bucket = span.bucket.unwrap_or_default();
    let (name, usual) = match bucket {
        Bucket::Day => ("day", 30 * DAY),
        Bucket::Hour => ("hour", DAY),
    };
    let to = span.to.unwrap_or_else(|| bucket.end(caller.keys().now()));
    let usual_from = || to.saturating_sub(usual);
    let from = span.from.unwrap_or_else(usual_from);
    let usage = caller.keys().usage(&caller.actor, of, from, to, bucket).await?;
    let buckets = usage.buckets.iter();
    let view = UsageView {
        from,
        to,
        bucket: name,
        ok: usage.ok,
        refused: usage.refused,
        buckets: buckets.map(|one| BucketView { start: one.start, ok: one.ok, refused: one.refused }).collect(),
    };
    reply::json(StatusCode::OK, &view)
}
