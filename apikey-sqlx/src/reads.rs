//! The queries of the store and of transactions.

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{
    AccountQuery, Action, ActorId, AuditEvent, AuditQuery, Counts, Cursor, KeyFilter, KeySort, OrganizationId,
    OrganizationRecord, Remembered, ServiceAccount, ServiceAccountId, Status, StoreError,
};

use crate::{
    query::{Names, Query, Value},
    row::{self, Batch, HEAD, KEY, Row, SECRET, corrupt},
};

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// The time of a key in a list of each order. [`EXPIRY`] matches its index, with `Timestamp::MAX` for keys without an
/// expiry.
const CREATED: &str = "k.created_at";
const EXPIRY: &str = "COALESCE(k.expires_at, 253402300799999)";
const LAST_USE: &str = "CASE WHEN k.last_used_at > COALESCE((SELECT max(w.at) FROM @seen w WHERE w.key_id = k.id), 0) \
    THEN k.last_used_at ELSE COALESCE((SELECT max(w.at) FROM @seen w WHERE w.key_id = k.id), 0) END";

/// Selects keys by `condition`, which starts with their table `k` and includes `ORDER BY`, and their secrets.
///
/// `place` is the time by which a list of them is ordered.
fn keys_where<'n>(names: &'n Names, place: &str, condition: impl FnOnce(&mut Query<'n>), order: &str) -> Query<'n> {
    let mut query = names.query(&format!("WITH page AS (SELECT k.*, {place} AS place FROM @key k WHERE "));
    condition(&mut query);
    query.push(&format!(
        ") SELECT {KEY}, {SECRET}, k.place FROM page k JOIN @secret s ON s.key_id = k.id \
         LEFT JOIN @seen n ON n.key_id = s.key_id AND n.number = s.number \
         ORDER BY {order}, s.number DESC"
    ));
    query
}

pub(crate) fn key<'n>(names: &'n Names, organization: &OrganizationId, id: &KeyId) -> Query<'n> {
    let condition = |query: &mut Query<'n>| {
        query.push("k.id = ").push_value(id.as_str());
        query.push(" AND k.organization = ").push_value(organization.as_str());
    };
    keys_where(names, CREATED, condition, "k.id")
}

/// Selects a page of a list, or the whole list.
pub(crate) fn keys<'n>(
    names: &'n Names,
    organization: &OrganizationId,
    filter: &KeyFilter,
    sort: KeySort,
    now: Timestamp,
    after: Option<&Cursor>,
    most: usize,
) -> Query<'n> {
    let (place, is_descending) = match sort {
        KeySort::Expiry => (EXPIRY, false),
        KeySort::LastUse => (LAST_USE, false),
        _ => (CREATED, true),
    };
    let order = |place: &str| match is_descending {
        true => format!("{place} DESC, k.id DESC"),
        false => format!("{place}, k.id"),
    };
    let condition = |query: &mut Query<'n>| {
        query.push("k.organization = ").push_value(organization.as_str());
        push_filter(query, filter, now);
        // If the status has its own index, with another time, `+` keeps SQLite from preferring the list's index.
        let has_own = matches!(filter.status, Some(Status::Expired | Status::NotYetValid));
        match after {
            Some(after) if !is_descending => {
                query.push(&format!(" AND ({place}, k.id) > (")).push_value(after.at.as_millis());
                query.push(", ").push_value(after.id.as_str()).push(")");
            }
            after => push_after(query, if has_own { "+k.created_at" } else { CREATED }, "k.id", after),
        }
        query.push(&format!(" ORDER BY {} LIMIT ", order(place))).push_value(limit(most));
    };
    keys_where(names, place, condition, &order("k.place"))
}

pub(crate) fn expiring(names: &Names, from: Timestamp, to: Timestamp, most: usize) -> Query<'_> {
    let condition = |query: &mut Query<'_>| {
        query
            .push("k.revoked_at IS NULL AND k.expires_at IS NOT NULL AND k.expires_at >= ")
            .push_value(from.as_millis());
        query.push(" AND k.expires_at < ").push_value(to.as_millis());
        query.push(" ORDER BY k.expires_at, k.id LIMIT ").push_value(limit(most));
    };
    keys_where(names, CREATED, condition, "k.expires_at, k.id")
}

/// Selects ids alone, within a change.
pub(crate) fn ids<'n>(
    names: &'n Names,
    organization: &OrganizationId,
    filter: &KeyFilter,
    now: Timestamp,
) -> Query<'n> {
    let mut query = names.query("SELECT k.id FROM @key k WHERE k.organization = ");
    query.push_value(organization.as_str());
    push_filter(&mut query, filter, now);
    query
}

pub(crate) fn heads<'n>(names: &'n Names, organization: &OrganizationId, ids: &[Value]) -> Query<'n> {
    let mut query = names.query(&format!("SELECT {HEAD} FROM @key k WHERE k.organization = "));
    query.push_value(organization.as_str()).push(" AND k.id").push_one_of(ids);
    query
}

pub(crate) fn scan<'n>(names: &'n Names, after: Option<&str>, most: usize) -> Query<'n> {
    let condition = |query: &mut Query<'n>| {
        query.push("k.id > ").push_value(after.unwrap_or_default());
        query.push(" ORDER BY k.id LIMIT ").push_value(limit(most));
    };
    keys_where(names, CREATED, condition, "k.id")
}

fn push_filter(query: &mut Query<'_>, filter: &KeyFilter, now: Timestamp) {
    if let Some(environment) = &filter.environment {
        query.push(" AND k.environment = ").push_value(environment.as_str());
    }
    if let Some(account) = &filter.service_account {
        query.push(" AND k.service_account = ").push_value(account.as_str());
    }
    if let Some(creator) = &filter.created_by {
        query.push(" AND k.created_by = ").push_value(creator.as_str());
    }
    if let Some(parent) = &filter.created_by_key {
        query.push(" AND k.created_by_key = ").push_value(parent.as_str());
    }
    if let Some(status) = filter.status {
        push_status(query, status, now.as_millis());
    }
    if let Some(text) = &filter.text {
        push_text(query, text);
    }
    if let Some(before) = filter.last_used_before {
        query.push(" AND (k.last_used_at IS NULL OR k.last_used_at < ").push_value(before.as_millis());
        query.push(") AND NOT EXISTS (SELECT 1 FROM @seen w WHERE w.key_id = k.id AND w.at >= ");
        query.push_value(before.as_millis()).push(")");
        push_used(query);
    }
    match filter.unused {
        Some(true) => {
            query.push(" AND k.last_used_at IS NULL AND NOT EXISTS (SELECT 1 FROM @seen w WHERE w.key_id = k.id)");
        }
        Some(false) => push_used(query),
        None => {}
    }
    if let Some(before) = filter.expires_before {
        query.push(&format!(" AND k.expires_at IS NOT NULL AND {EXPIRY} < ")).push_value(before.as_millis());
    }
    if let Some(age) = filter.rotation_due {
        query
            .push(" AND (SELECT r.created_at FROM @secret r WHERE r.key_id = k.id ORDER BY r.number DESC LIMIT 1) <= ");
        query.push_value(now.saturating_sub(age).as_millis());
    }
    if let Some(last) = &filter.down_to {
        query.push(" AND (k.created_at, k.id) >= (").push_value(last.at.as_millis());
        query.push(", ").push_value(last.id.as_str()).push(")");
    }
}

fn push_used(query: &mut Query<'_>) {
    query.push(" AND (k.last_used_at IS NOT NULL OR EXISTS (SELECT 1 FROM @seen w WHERE w.key_id = k.id))");
}

/// Reads only an index.
pub(crate) fn place<'n>(
    names: &'n Names,
    organization: &OrganizationId,
    after: Option<&Cursor>,
    count: usize,
) -> Query<'n> {
    let mut query = names.query("SELECT created_at, id FROM @key WHERE organization = ");
    query.push_value(organization.as_str());
    push_after(&mut query, "created_at", "id", after);
    query.push(" ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ").push_value(limit(count.saturating_sub(1)));
    query
}

pub(crate) fn read_place(rows: &[Row]) -> Result<Option<Cursor>, StoreError> {
    rows.first().map(|row| row::place(row, "created_at")).transpose()
}

/// The condition for a [`KeyRecord::status`](apikey_manager::KeyRecord::status), in the same order.
fn push_status(query: &mut Query<'_>, status: Status, now: i64) {
    if status == Status::Revoked {
        query.push(" AND k.revoked_at IS NOT NULL");
        return;
    }
    query.push(" AND k.revoked_at IS NULL");
    if status == Status::Expired {
        query.push(" AND k.expires_at <= ").push_value(now);
        return;
    }
    query.push(" AND (k.expires_at IS NULL OR k.expires_at > ").push_value(now).push(")");
    if status == Status::Disabled {
        query.push(" AND k.disabled_at IS NOT NULL");
        return;
    }
    query.push(" AND k.disabled_at IS NULL");
    if status == Status::NotYetValid {
        query.push(" AND k.not_before > ").push_value(now);
        return;
    }
    query.push(" AND (k.not_before IS NULL OR k.not_before <= ").push_value(now).push(")");
    if status == Status::Rotating {
        // A key with two live secrets was rotated. Checked for each of the organization's own keys, because a list of
        // all rotated keys would grow with every organization.
        query.push(" AND EXISTS (SELECT 1 FROM @secret r WHERE r.key_id = k.id AND r.number > 1)");
    }
    query.push(
        " AND (SELECT count(*) FROM @secret l WHERE l.key_id = k.id AND l.ended_at IS NULL \
                AND (l.ends_at IS NULL OR l.ends_at > ",
    );
    query.push_value(now).push(match status {
        Status::Rotating => ")) > 1",
        _ => ")) < 2",
    });
}

/// The condition for a search text. Only ASCII letters are case-insensitive: `lower` of SQLite knows no others, and in
/// PostgreSQL the columns' collation doesn't.
fn push_text(query: &mut Query<'_>, text: &str) {
    let wanted = text.to_ascii_lowercase();
    for (at, field) in ["name", "description", "hint"].into_iter().enumerate() {
        query.push(if at == 0 { " AND (" } else { " OR " });
        query.push_contains(&format!("lower(k.{field})"), &wanted);
    }
    query.push(" OR k.id = ").push_value(text).push(")");
}

/// The condition for rows after a place, newest first.
fn push_after(query: &mut Query<'_>, at: &str, id: &str, after: Option<&Cursor>) {
    if let Some(after) = after {
        query.push(&format!(" AND ({at}, {id}) < (")).push_value(after.at.as_millis());
        query.push(", ").push_value(after.id.as_str()).push(")");
    }
}

const ACCOUNT: &str = "id, organization, name, description, disabled_at, disabled_by, created_at, created_by, version";

pub(crate) fn account<'n>(names: &'n Names, organization: &OrganizationId, id: &ServiceAccountId) -> Query<'n> {
    names
        .query(&format!("SELECT {ACCOUNT} FROM @service_account WHERE id = $1 AND organization = $2"))
        .bind(id.as_str())
        .bind(organization.as_str())
}

pub(crate) fn accounts<'n>(names: &'n Names, asked: &AccountQuery, after: Option<&Cursor>, most: usize) -> Query<'n> {
    let mut query = names.query(&format!("SELECT {ACCOUNT} FROM @service_account WHERE organization = "));
    query.push_value(asked.organization.as_str());
    push_after(&mut query, "created_at", "id", after);
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_value(limit(most));
    query
}

pub(crate) fn read_account(rows: &[Row]) -> Result<Option<ServiceAccount>, StoreError> {
    rows.first().map(Row::account).transpose()
}

pub(crate) fn read_accounts(rows: &[Row]) -> Result<Batch<ServiceAccount>, StoreError> {
    Batch::single(rows, |row| row::place(row, "created_at"), Row::account)
}

pub(crate) fn organization<'n>(names: &'n Names, id: &OrganizationId) -> Query<'n> {
    names.query("SELECT suspended_at, suspended_by FROM @organization WHERE id = $1").bind(id.as_str())
}

pub(crate) fn read_organization(rows: &[Row], id: &OrganizationId) -> Result<OrganizationRecord, StoreError> {
    let mut record = OrganizationRecord::new(id.clone());
    if let Some(row) = rows.first() {
        record.suspended = row.switched("suspended_at", "suspended_by")?;
    }
    Ok(record)
}

pub(crate) fn counts<'n>(names: &'n Names, organization: &OrganizationId, now: Timestamp) -> Query<'n> {
    let counted = "SELECT count(*) FROM @key WHERE organization = $1 AND revoked_at IS NULL AND expires_at";
    names
        .query(&format!(
            "SELECT ({counted} IS NULL) + ({counted} > $2) AS keys, \
             (SELECT count(*) FROM @service_account WHERE organization = $1) AS service_accounts"
        ))
        .bind(organization.as_str())
        .bind(now.as_millis())
}

pub(crate) fn read_counts(rows: &[Row]) -> Result<Counts, StoreError> {
    let row = rows.first().ok_or_else(|| corrupt("no counts"))?;
    Ok(Counts { keys: row.get("keys")?, service_accounts: row.get("service_accounts")? })
}

pub(crate) fn has_made<'n>(
    names: &'n Names,
    organization: &OrganizationId,
    actor: &ActorId,
    presented: &KeyDigest,
    secret: &KeyDigest,
) -> Query<'n> {
    let mut query = names.query("SELECT made FROM @lineage WHERE organization = ");
    query.push_value(organization.as_str()).push(" AND actor = ").push_value(actor.as_str());
    query.push(" AND presented = ").push_value(presented).push(" AND digest = ").push_value(secret);
    query
}

pub(crate) fn marker<'n>(names: &'n Names, name: &str) -> Query<'n> {
    names.query("SELECT value FROM @marker WHERE name = $1").bind(name)
}

pub(crate) fn read_marker(rows: &[Row]) -> Result<Option<String>, StoreError> {
    rows.first().map(|row| row.get("value")).transpose()
}

pub(crate) fn remembered<'n>(names: &'n Names, organization: &OrganizationId, request: &str) -> Query<'n> {
    let query = names.query("SELECT request, input, keys, at FROM @request WHERE organization = $1 AND request = $2");
    query.bind(organization.as_str()).bind(request)
}

pub(crate) fn read_remembered(rows: &[Row]) -> Result<Option<Remembered>, StoreError> {
    let Some(row) = rows.first() else { return Ok(None) };
    let keys = row.get::<&str>("keys")?.split_whitespace().map(KeyId::new).collect::<Result<_, _>>();
    let keys = keys.map_err(|error| corrupt(&format!("the keys of a request: {error}")))?;
    Ok(Some(Remembered { request: row.get("request")?, input: row.get("input")?, keys, at: row.get("at")? }))
}

pub(crate) fn audit<'n>(names: &'n Names, asked: &AuditQuery, after: Option<&Cursor>, most: usize) -> Query<'n> {
    let mut query = names.query(
        "SELECT id, at, organization, actor, action, target, state_before, state_after, request_id \
         FROM @audit WHERE organization = ",
    );
    query.push_value(asked.organization.as_str());
    let filter = &asked.filter;
    if let Some(actor) = &filter.actor {
        query.push(" AND actor = ").push_value(actor.as_str());
    }
    if let Some(action) = filter.action {
        query.push(" AND action = ").push_value(action.as_str());
    }
    if let Some(target) = &filter.target {
        query.push(" AND target = ").push_value(target.as_str());
    }
    if let Some(from) = filter.from {
        query.push(" AND at >= ").push_value(from.as_millis());
    }
    if let Some(to) = filter.to {
        query.push(" AND at < ").push_value(to.as_millis());
    }
    push_after(&mut query, "at", "id", after);
    query.push(" ORDER BY at DESC, id DESC LIMIT ").push_value(limit(most));
    query
}

pub(crate) fn read_audit(rows: &[Row]) -> Result<Batch<AuditEvent>, StoreError> {
    let read = |row: &Row| {
        let (id, at, organization): (String, _, _) = (row.get("id")?, row.get("at")?, row.get("organization")?);
        let (actor, action, target): (_, &str, &str) = (row.get("actor")?, row.get("action")?, row.get("target")?);
        let action = action.parse::<Action>().map_err(|_| corrupt("an action of a newer version"))?;
        let mut event = AuditEvent::new(id, at, organization, actor, action, target);
        event.before = row.get("state_before")?;
        event.after = row.get("state_after")?;
        event.request_id = row.get("request_id")?;
        Ok(event)
    };
    Batch::single(rows, |row| row::place(row, "at"), read)
}
