//! Usage of one key, of the organization, or of one of its service accounts or environments.

use std::ops::Range;

use apikey_core::{KeyId, Timestamp};
use apikey_manager::{Bucket, ServiceAccountId, Usage, UsageOf};
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

/// The usage.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    /// The beginning of the span.
    from: Timestamp,
    /// The end of the span, which is excluded.
    to: Timestamp,
    #[schema(value_type = BucketLength)]
    bucket: &'static str,
    /// Accepted requests.
    ok: u64,
    /// Requests that lacked a scope.
    refused: u64,
    /// The buckets, oldest first, without empty ones. A day at the edge of the span counts the part inside the span.
    buckets: Vec<BucketView>,
}

impl UsageView {
    pub(crate) fn of(usage: Usage, span: Range<Timestamp>, bucket: Bucket) -> Self {
        let buckets = usage.buckets.iter();
        UsageView {
            from: span.start,
            to: span.end,
            bucket: bucket.as_str(),
            ok: usage.ok,
            refused: usage.refused,
            buckets: buckets.map(|one| BucketView { start: one.start, ok: one.ok, refused: one.refused }).collect(),
        }
    }
}

/// The usage of an hour or a day.
#[derive(Serialize, ToSchema)]
#[schema(as = UsageBucket)]
pub(crate) struct BucketView {
    /// The beginning of the hour or day, in UTC.
    start: Timestamp,
    ok: u64,
    refused: u64,
}

/// The size of usage buckets.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "the names of `Bucket`, for the document")]
pub(crate) enum BucketLength {
    Hour,
    Day,
}

/// The parameters of a key's usage.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Span {
    /// The beginning: a full hour in UTC, in any offset. The default is 24 hours before `to` by the hour, and 30 days
    /// by the day.
    #[param(value_type = Option<Timestamp>, example = "2026-01-01T00:00:00Z")]
    from: Option<Timestamp>,
    /// The end, which is excluded: a full hour in UTC, at most 32 days after `from` by the hour, and 367 by the day.
    /// The default is the end of the current hour, or of the current day in UTC.
    #[param(value_type = Option<Timestamp>, example = "2026-01-02T00:00:00Z")]
    to: Option<Timestamp>,
    /// By the hour (the default) or by the day of UTC.
    #[param(value_type = Option<BucketLength>)]
    #[serde(deserialize_with = "input::bucket")]
    bucket: Option<Bucket>,
}

impl Input for Span {}

/// Reads a key's usage
///
/// A deleted key keeps its usage. Usage is counted by the hour: `from` and `to` must be full hours in UTC, and other
/// times are answered 422. Adjoining spans therefore share no request and miss none. Days of time zones with half-hour
/// offsets are not available.
#[utoipa::path(get, path = "/api-keys/{id}/usage", operation_id = "get_api_key_usage", tag = "usage", params(Span),
    responses((status = 200, description = "The usage.", body = UsageView)))]
pub(crate) async fn of_key(
    caller: Caller,
    PathId(id): PathId<KeyId>,
    Query(span): Query<Span>,
) -> Result<Response, Failure> {
    counted(&caller, UsageOf::Key(id), span).await
}

/// The parameters of the organization's usage.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrganizationUsage {
    /// The beginning: a full hour in UTC, in any offset. The default is 24 hours before `to` by the hour, and 30 days
    /// by the day.
    #[param(value_type = Option<Timestamp>, example = "2026-01-01T00:00:00Z")]
    from: Option<Timestamp>,
    /// The end, which is excluded: a full hour in UTC, at most 32 days after `from` by the hour, and 367 by the day.
    /// The default is the end of the current hour, or of the current day in UTC.
    #[param(value_type = Option<Timestamp>, example = "2026-01-02T00:00:00Z")]
    to: Option<Timestamp>,
    /// By the hour (the default) or by the day of UTC.
    #[param(value_type = Option<BucketLength>)]
    #[serde(deserialize_with = "input::bucket")]
    bucket: Option<Bucket>,
    /// Only this service account.
    #[param(value_type = Option<Id>)]
    service_account: Option<ServiceAccountId>,
    /// Only this environment.
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
/// Or the usage of one service account or environment, including keys that were deleted since. Usage is counted by the
/// hour: `from` and `to` must be full hours in UTC, and other times are answered 422. Adjoining spans therefore share
/// no request and miss none. Days of time zones with half-hour offsets are not available.
#[utoipa::path(get, path = "/usage", operation_id = "get_usage", tag = "usage", params(OrganizationUsage),
    responses((status = 200, description = "The usage.", body = UsageView)))]
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
    let to = span.to.unwrap_or_else(|| bucket.end(caller.keys().now()));
    let from = span.from.unwrap_or_else(|| to.saturating_sub(bucket.usual_span()));
    let usage = caller.keys().usage(&caller.actor, of, from, to, bucket).await?;
    reply::json(StatusCode::OK, &UsageView::of(usage, from..to, bucket))
}
