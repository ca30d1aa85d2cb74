//! The extent of a bulk revocation: the selected keys, and their descendants by lineage.
//!
//! A row of `reached` is a whole key or one of its secrets. The descendants of a secret are the keys and secrets that
//! were made by presenting it, not everything that its key made.

use apikey_core::KeyId;
use apikey_manager::{ActorId, MAX_PAGE, Reach, ReachQuery, Selection, StoreError, Target};

use crate::{
    changes::{MADE_KEY, MADE_WIDENING},
    database::{Change, Database},
    error,
    query::{Names, Query},
    row::{Row, everything, scopes},
};

/// The connection to query: the store's, or an open transaction's.
pub(crate) enum Source<'s> {
    Store(&'s Database),
    Change(&'s mut Change),
}

impl Source<'_> {
    async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<Row>, StoreError> {
        match self {
            Source::Store(database) => database.fetch(query).await,
            Source::Change(change) => change.fetch(query).await.map_err(error::failed),
        }
    }
}

pub(crate) async fn reach(mut source: Source<'_>, names: &Names, asked: &ReachQuery) -> Result<Reach, StoreError> {
    let mut reach = Reach::default();
    for row in &source.fetch(scopes_left(names, asked)).await? {
        reach.scopes.push((scopes(row.get("scopes")?).unwrap_or_else(|_| everything()), row.get("keys")?));
    }
    if !reach.scopes.is_empty() {
        for row in &source.fetch(targets(names, asked)).await? {
            let is_whole = row.get::<Option<&str>>("algorithm")?.is_none();
            let secret = if is_whole { None } else { Some(row.digest()?) };
            reach.targets.push(Target { key: row.get("key_id")?, secret });
        }
    }
    if asked.descendants {
        for row in &source.fetch(widened(names, asked)).await? {
            reach.widened.push(row.get("id")?);
        }
    }
    reach.is_known = !reach.scopes.is_empty() || !source.fetch(roots_alone(names, asked)).await?.is_empty();
    reach.scopes.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
    Ok(reach)
}

/// Returns the selection as rows of `reached`.
fn push_roots(query: &mut Query<'_>, asked: &ReachQuery) {
    query.push("SELECT k.id AS key_id, CAST(NULL AS BYTEA) AS digest FROM @key k WHERE k.organization = ");
    query.push_value(asked.organization.as_str());
    match &asked.selection {
        Selection::Key(key) => query.push(" AND k.id = ").push_value(key.as_str()),
        Selection::CreatedBy(actor) => query.push(" AND k.created_by = ").push_value(actor.as_str()),
        Selection::ServiceAccount(account) => query.push(" AND k.service_account = ").push_value(account.as_str()),
        Selection::Environment(environment) => query.push(" AND k.environment = ").push_value(environment.as_str()),
        _ => query,
    };
}

fn creator(asked: &ReachQuery) -> Option<&ActorId> {
    match &asked.selection {
        Selection::CreatedBy(actor) => Some(actor),
        _ => None,
    }
}

/// Returns one row if the selection names anything.
fn roots_alone<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = names.query("SELECT key_id FROM (");
    push_roots(&mut query, asked);
    query.push(") AS roots");
    if let Some(actor) = creator(asked) {
        query.push(" UNION ALL SELECT l.key_id FROM @lineage l WHERE l.organization = ");
        query.push_value(asked.organization.as_str());
        query.push(" AND l.actor = ").push_value(actor.as_str());
    }
    query.push(" LIMIT 1");
    query
}

/// The subject of a row of lineage: a whole key or a secret.
fn made() -> String {
    format!("l.key_id, CASE WHEN l.made = '{MADE_KEY}' THEN NULL ELSE l.digest END AS digest")
}

/// Creates `WITH … reached`, and `marked`, which says for each row whether its key is reached as a whole.
fn reached<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = names.query("WITH RECURSIVE reached (key_id, digest) AS (SELECT key_id, digest FROM (");
    push_roots(&mut query, asked);
    if asked.descendants {
        if let Some(actor) = creator(asked) {
            query.push(&format!(" UNION ALL SELECT {} FROM @lineage l WHERE l.organization = ", made()));
            query.push_value(asked.organization.as_str());
            query.push(" AND l.actor = ").push_value(actor.as_str());
            query.push(&format!(" AND l.made <> '{MADE_WIDENING}'"));
        }
        query.push(&format!(") AS roots UNION SELECT {} FROM reached r JOIN @lineage l ON l.organization = ", made()));
        query.push_value(asked.organization.as_str());
        query.push(&format!(
            " AND l.actor = 'key:' || r.key_id AND l.made <> '{MADE_WIDENING}' \
             AND (r.digest IS NULL OR l.presented = r.digest)"
        ));
    } else {
        query.push(") AS roots");
    }
    query.push(
        "), marked AS (SELECT key_id, digest, \
         max(CASE WHEN digest IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY key_id) AS is_whole FROM reached)",
    );
    query
}

/// Creates `reached`, and `rest` with the rows that are not revoked yet.
fn rest<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = reached(names, asked);
    query.push(
        ", rest AS (SELECT m.key_id, m.digest, s.algorithm, k.scopes FROM marked m JOIN @key k ON k.id = m.key_id \
         LEFT JOIN @secret s ON s.digest = m.digest AND s.key_id = m.key_id AND s.ended_at IS NULL \
         AND (s.ends_at IS NULL OR s.ends_at > ",
    );
    query.push_value(asked.now.as_millis()).push(") WHERE k.organization = ");
    query.push_value(asked.organization.as_str()).push(" AND k.revoked_at IS NULL");
    if let Some(after) = &asked.after {
        query.push(" AND (k.id > ").push_value(after.as_str());
        query.push(" OR k.id = ").push_value(asked.last.as_ref().map(KeyId::as_str)).push(")");
    }
    query.push(" AND (m.digest IS NULL OR (m.is_whole = 0 AND s.digest IS NOT NULL)))");
    query
}

fn scopes_left<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = rest(names, asked);
    query.push(" SELECT scopes, CAST(count(DISTINCT key_id) AS BIGINT) AS keys FROM rest GROUP BY scopes");
    query
}

fn targets<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = rest(names, asked);
    query.push(" SELECT key_id, digest, algorithm FROM rest ORDER BY CASE WHEN key_id = ");
    query.push_value(asked.last.as_ref().map(KeyId::as_str));
    query.push(" THEN 1 ELSE 0 END, key_id, digest LIMIT ");
    query.push_value(i64::try_from(asked.limit).unwrap_or(i64::MAX));
    query
}

fn widened<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = reached(names, asked);
    let widening = format!("l.made = '{MADE_WIDENING}'");
    query.push(", widened AS (SELECT l.key_id FROM marked m JOIN @lineage l ON l.organization = ");
    query.push_value(asked.organization.as_str());
    query.push(&format!(
        " AND l.actor = 'key:' || m.key_id AND {widening} WHERE m.digest IS NULL OR l.presented = m.digest"
    ));
    if let Some(actor) = creator(asked) {
        query.push(" UNION ALL SELECT l.key_id FROM @lineage l WHERE l.organization = ");
        query.push_value(asked.organization.as_str());
        query.push(" AND l.actor = ").push_value(actor.as_str());
        query.push(&format!(" AND {widening}"));
    }
    query.push(
        ") SELECT DISTINCT k.id FROM widened w JOIN @key k ON k.id = w.key_id WHERE k.revoked_at IS NULL \
         AND k.organization = ",
    );
    query.push_value(asked.organization.as_str());
    query.push(" AND k.id NOT IN (SELECT key_id FROM reached WHERE digest IS NULL) ORDER BY k.id LIMIT ");
    query.push_value(MAX_PAGE as i64);
    query
}
