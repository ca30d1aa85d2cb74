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
    query.push("SELECT k.id AS key_id, CAST(NULL AS BYTEA) AS digest FROM @key k WHERE ");
    push_selection(query, asked);
}

/// Limits `k` to the selection.
fn push_selection(query: &mut Query<'_>, asked: &ReachQuery) {
    query.push("k.organization = ");
    query.push_value(asked.organization.as_str());
    match &asked.selection {
        Selection::Key(key) => query.push(" AND k.id = ").push_value(key.as_str()),
        Selection::CreatedBy(actor) => query.push(" AND k.created_by = ").push_value(actor.as_str()),
        Selection::ServiceAccount(account) => query.push(" AND k.service_account = ").push_value(account.as_str()),
        Selection::Environment(environment) => query.push(" AND k.environment = ").push_value(environment.as_str()),
        _ => query,
    };
    if asked.keep_accounts {
        query.push(" AND k.service_account IS NULL");
    }
}

/// Leaves out lineage of the keys of service accounts, if they are kept.
fn push_kept(query: &mut Query<'_>, asked: &ReachQuery) {
    if asked.keep_accounts {
        query.push(
            " AND NOT EXISTS (SELECT 1 FROM @key kept WHERE kept.id = l.key_id AND kept.service_account IS NOT NULL)",
        );
    }
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

/// Creates `WITH … reached` with the selection and its descendants, and `marked`, which says for each row whether its key is
/// reached as a whole.
fn reached<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    let mut query = names.query("WITH RECURSIVE reached (key_id, digest) AS (SELECT key_id, digest FROM (");
    push_roots(&mut query, asked);
    if let Some(actor) = creator(asked) {
        query.push(&format!(" UNION ALL SELECT {} FROM @lineage l WHERE l.organization = ", made()));
        query.push_value(asked.organization.as_str());
        query.push(" AND l.actor = ").push_value(actor.as_str());
        query.push(&format!(" AND l.made <> '{MADE_WIDENING}'"));
        push_kept(&mut query, asked);
    }
    query.push(&format!(") AS roots UNION SELECT {} FROM reached r JOIN @lineage l ON ", made()));
    push_filter(&mut query, "l.organization", asked);
    query.push(&format!(
        " AND l.actor = 'key:' || r.key_id AND l.made <> '{MADE_WIDENING}' \
         AND (r.digest IS NULL OR l.presented = r.digest)"
    ));
    push_kept(&mut query, asked);
    query.push(
        "), marked AS (SELECT key_id, digest, \
         max(CASE WHEN digest IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY key_id) AS is_whole FROM reached)",
    );
    query
}

/// Filters rows that another index finds by their organization. `IS TRUE` keeps the planner from the organization's index:
/// with stale statistics it would read all of the organization for each row.
fn push_filter(query: &mut Query<'_>, column: &str, asked: &ReachQuery) {
    query.push(&format!("({column} = ")).push_value(asked.organization.as_str()).push(") IS TRUE");
}

/// Filters keys that another index finds by whether they are revoked. The plain condition would allow the partial index of
/// those that are not, of which the planner would read all for each row.
const NOT_REVOKED: &str = "CASE WHEN k.revoked_at IS NULL THEN 1 ELSE 0 END = 1";

/// Limits `k` to what previous steps have left.
fn push_after(query: &mut Query<'_>, asked: &ReachQuery) {
    if let Some(after) = &asked.after {
        query.push(" AND (k.id > ").push_value(after.as_str());
        query.push(" OR k.id = ").push_value(asked.last.as_ref().map(KeyId::as_str)).push(")");
    }
}

/// Creates `rest` with the rows of `reached` that are not revoked yet.
fn rest<'n>(names: &'n Names, asked: &ReachQuery) -> Query<'n> {
    if !asked.descendants {
        // Only whole keys are selected, so the recursion isn't needed. Each step reads all keys that are left, so it must be
        // cheap.
        let mut query = names.query(
            "WITH rest AS (SELECT k.id AS key_id, CAST(NULL AS BYTEA) AS digest, CAST(NULL AS TEXT) AS algorithm, k.scopes \
             FROM @key k WHERE ",
        );
        push_selection(&mut query, asked);
        query.push(" AND k.revoked_at IS NULL");
        push_after(&mut query, asked);
        query.push(")");
        return query;
    }
    let mut query = reached(names, asked);
    query.push(
        ", rest AS (SELECT m.key_id, m.digest, s.algorithm, k.scopes FROM marked m JOIN @key k ON k.id = m.key_id \
         LEFT JOIN @secret s ON s.digest = m.digest AND s.key_id = m.key_id AND s.ended_at IS NULL \
         AND (s.ends_at IS NULL OR s.ends_at > ",
    );
    query.push_value(asked.now.as_millis()).push(") WHERE ");
    push_filter(&mut query, "k.organization", asked);
    query.push(" AND ").push(NOT_REVOKED);
    push_after(&mut query, asked);
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
    query.push(", widened AS (SELECT l.key_id FROM marked m JOIN @lineage l ON ");
    push_filter(&mut query, "l.organization", asked);
    query.push(&format!(
        " AND l.actor = 'key:' || m.key_id AND {widening} WHERE m.digest IS NULL OR l.presented = m.digest"
    ));
    if let Some(actor) = creator(asked) {
        query.push(" UNION ALL SELECT l.key_id FROM @lineage l WHERE l.organization = ");
        query.push_value(asked.organization.as_str());
        query.push(" AND l.actor = ").push_value(actor.as_str());
        query.push(&format!(" AND {widening}"));
    }
    query.push(") SELECT DISTINCT k.id FROM widened w JOIN @key k ON k.id = w.key_id WHERE ");
    query.push(NOT_REVOKED).push(" AND ");
    push_filter(&mut query, "k.organization", asked);
    query.push(" AND k.id NOT IN (SELECT key_id FROM reached WHERE digest IS NULL) ORDER BY k.id LIMIT ");
    query.push_value(MAX_PAGE as i64);
    query
}

#[cfg(test)]
#[cfg(all(unix, feature = "postgres"))]
mod tests {
    use apikey_core::{KeyFormat, Timestamp};
    use apikey_manager::{Actor, ImportKey, KeyManager, OrganizationId};
    use apikey_testkit::PrivatePostgres;

    use super::*;
    use crate::SqlStore;

    const KEYS: u64 = 1_000;

    /// Returns the most rows that any part of a plan has read.
    async fn most_read(store: &SqlStore, mut statement: Query<'_>) -> u64 {
        statement.sql.insert_str(0, "EXPLAIN (ANALYZE, TIMING OFF) ");
        let plan = store.database.fetch(statement).await.unwrap();
        let number = |line: &str, name: &str| {
            let (_, rest) = line.split_once(name)?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let (mut most, mut loops) = (0, 1);
        for row in &plan {
            let line: &str = row.get("QUERY PLAN").unwrap();
            loops = number(line, " loops=").unwrap_or(loops);
            let rows = number(line, "(actual rows=").or_else(|| number(line, "Rows Removed by Join Filter: "));
            let rows = rows.or_else(|| number(line, "Rows Removed by Filter: "));
            most = most.max(rows.unwrap_or(0) * loops);
        }
        most
    }

    /// The planner thinks that the organization has a few keys: nobody has analyzed the tables since the import.
    #[tokio::test]
    async fn given_many_keys_and_stale_statistics_when_selected_then_each_is_read_a_few_times() {
        let Some(server) = PrivatePostgres::start_with(&["autovacuum=off"]) else { return };
        let url = server.create_database();
        let format = KeyFormat::builder("tst").build().unwrap();
        let store = SqlStore::connect(&url).await.unwrap();
        let keys = KeyManager::builder(store.clone()).format(format.clone()).without_requests().build().unwrap();
        let organization = OrganizationId::new("acme").unwrap();
        let host = Actor::host("test", organization.clone()).unwrap();
        let rows: Vec<_> = (0..KEYS).map(|n| ImportKey::raw(format!("{n}"), format.generate().unwrap())).collect();
        keys.import(&host, "import", rows, 1_000, |_| ()).await.unwrap();
        // Each key has made the next, and widened it.
        for made in [MADE_KEY, MADE_WIDENING] {
            let lineage = format!(
                "INSERT INTO @lineage (organization, actor, key_id, made) SELECT organization, \
                 'key:' || lag(id) OVER (ORDER BY id), id, '{made}' FROM @key ORDER BY id OFFSET 1"
            );
            let lineage = store.database.names.query(&lineage);
            store.database.change(async |change| change.execute(lineage).await).await.unwrap();
        }
        let first = KeyId::new("key_0").unwrap();
        let asked = |selection: Selection, descendants, keep_accounts, after: Option<&KeyId>| ReachQuery {
            organization: organization.clone(),
            selection,
            descendants,
            keep_accounts,
            now: Timestamp::now(),
            last: None,
            after: after.cloned(),
            limit: 500,
        };
        let created = || Selection::CreatedBy(host.id().clone());
        for asked in [
            asked(Selection::Everything, false, false, None),
            asked(Selection::Everything, false, false, Some(&first)),
            asked(created(), false, true, None),
            asked(Selection::Everything, true, false, None),
            asked(Selection::Everything, true, false, Some(&first)),
            asked(created(), true, false, None),
            asked(created(), true, true, None),
        ] {
            let names = &store.database.names;
            for (name, statement) in [("scopes", scopes_left(names, &asked)), ("targets", targets(names, &asked))] {
                let most = most_read(&store, statement).await;
                assert!((KEYS..=2 * KEYS).contains(&most), "{name} of {asked:?}: {most} rows");
            }
            if asked.descendants {
                let most = most_read(&store, widened(names, &asked)).await;
                assert!((KEYS..=2 * KEYS).contains(&most), "widened of {asked:?}: {most} rows");
            }
        }
        keys.shutdown().await;
    }
}
