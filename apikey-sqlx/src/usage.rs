//! Usage and activity: what is counted, written in batches, and removed when it is old.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use apikey_core::KeyDigest;
use apikey_manager::{
    Activity, ActivityQuery, Cursor, Prune, Pruned, StoreError, UsageBatch, UsageHour, UsageOf, UsageQuery, time,
};

use crate::{
    database::{Change, Database},
    error::Failure,
    query::{Names, Query, Value},
    reads::bound,
    row::{Batch, Reader, Row, corrupt},
};

/// Rows of one statement.
const CHUNK: usize = 500;
/// Rows that one transaction removes, so that nobody waits long for it.
const PRUNED_AT_ONCE: i64 = 10_000;
const TRIES: usize = 4;
const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR_MILLIS: i64 = 3_600_000;

/// Tried again where a key was deleted under its feet, or another batch was in the way.
pub(crate) async fn add(database: &Database, batch: &UsageBatch) -> Result<bool, StoreError> {
    for _ in 1..TRIES {
        match add_once(database, batch).await {
            Err(error) if error.is_conflict() => {}
            result => return result,
        }
    }
    add_once(database, batch).await
}

async fn add_once(database: &Database, batch: &UsageBatch) -> Result<bool, StoreError> {
    database.change(async |change| write(change, &database.names, batch).await).await
}

async fn write(change: &mut Change, names: &Names, batch: &UsageBatch) -> Result<bool, Failure> {
    let own = names
        .query("INSERT INTO @usage_batch (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(batch.id.as_str())
        .bind(time::to_millis(batch.at));
    if change.execute(own).await? == 0 {
        return Ok(false);
    }
    // Summed and sorted: a statement may meet a row once, and all batches take their locks in one order.
    let mut hours = BTreeMap::<_, (u64, u64)>::new();
    let mut seen = BTreeMap::new();
    for row in &batch.rows {
        let hour = time::to_millis(row.hour);
        let sum = hours.entry((row.key.as_str(), hour)).or_default();
        *sum = (sum.0.saturating_add(row.ok), sum.1.saturating_add(row.refused));
        for (digest, at) in &row.last_used {
            let place = (row.key.as_str(), digest.as_bytes(), digest.algorithm().to_string());
            let last = seen.entry(place).or_insert(i64::MIN);
            *last = time::to_millis(*at).max(*last);
        }
    }
    let hours: Vec<_> = hours.into_iter().collect();
    for chunk in hours.chunks(CHUNK) {
        let rows = chunk.iter().map(|((key, hour), (ok, refused))| {
            vec![(*key).into(), (*hour).into(), whole(*ok).into(), whole(*refused).into()]
        });
        change.execute(add_hours(names, rows)).await?;
    }
    let seen: Vec<_> = seen.into_iter().collect();
    for chunk in seen.chunks(CHUNK) {
        let rows = chunk.iter().map(|((key, digest, algorithm), at)| {
            vec![(*key).into(), Value::Digest(**digest), algorithm.as_str().into(), (*at).into()]
        });
        change.execute(add_seen(names, rows)).await?;
    }
    Ok(true)
}

fn add_hours(names: &Names, rows: impl ExactSizeIterator<Item = Vec<Value>>) -> Query<'_> {
    let mut query = names.query(
        "INSERT INTO @usage AS u (key_id, hour, organization, service_account, environment, ok, refused) \
         SELECT k.id, v.column2, k.organization, k.service_account, k.environment, v.column3, v.column4 FROM (",
    );
    // `CROSS JOIN`, lest SQLite read all keys in the order asked for and look each up among the rows.
    query.push_rows(rows, CHUNK).push(
        ") AS v CROSS JOIN @key k WHERE k.id = v.column1 ORDER BY k.id, v.column2 \
         ON CONFLICT (key_id, hour) DO UPDATE SET ok = u.ok + excluded.ok, refused = u.refused + excluded.refused",
    );
    query
}

fn add_seen(names: &Names, rows: impl ExactSizeIterator<Item = Vec<Value>>) -> Query<'_> {
    let mut query =
        names.query("INSERT INTO @seen AS n (key_id, number, at) SELECT s.key_id, s.number, v.column4 FROM (");
    query.push_rows(rows, CHUNK).push(
        ") AS v CROSS JOIN @secret s \
         WHERE s.digest = v.column2 AND s.algorithm = v.column3 AND s.key_id = v.column1 ORDER BY s.key_id, s.number \
         ON CONFLICT (key_id, number) DO UPDATE SET at = excluded.at WHERE n.at < excluded.at",
    );
    query
}

/// When secrets were last used, as keys that are taken over bring it along.
pub(crate) async fn set_seen(
    change: &mut Change,
    names: &Names,
    seen: &[(&str, &KeyDigest, SystemTime)],
) -> Result<(), Failure> {
    for chunk in seen.chunks(CHUNK) {
        let rows = chunk.iter().map(|(key, digest, at)| {
            vec![(*key).into(), (*digest).into(), digest.algorithm().to_string().into(), time::to_millis(*at).into()]
        });
        change.execute(add_seen(names, rows)).await?;
    }
    Ok(())
}

pub(crate) fn hours<'n>(names: &'n Names, asked: &UsageQuery) -> Query<'n> {
    let mut query = names
        .query("SELECT hour, CAST(sum(ok) AS BIGINT), CAST(sum(refused) AS BIGINT) FROM @usage WHERE organization = ");
    query.push_value(asked.organization.as_str());
    match &asked.of {
        UsageOf::Key(key) => query.push(" AND key_id = ").push_value(key.as_str()),
        UsageOf::Account(account) => query.push(" AND service_account = ").push_value(account.as_str()),
        UsageOf::Environment(environment) => query.push(" AND environment = ").push_value(environment.as_str()),
        UsageOf::Organization => &mut query,
    };
    let from = time::to_millis(asked.from).div_euclid(HOUR_MILLIS).saturating_mul(HOUR_MILLIS);
    query.push(" AND hour >= ").push_value(from);
    query.push(" AND hour < ").push_value(bound(asked.to)).push(" GROUP BY hour ORDER BY hour");
    query
}

pub(crate) fn read_hours(rows: &[Row]) -> Result<Vec<UsageHour>, StoreError> {
    let read = |row: &Row| {
        let mut reader = row.reader();
        Ok(UsageHour { hour: reader.moment()?, ok: reader.count()?, refused: reader.count()? })
    };
    rows.iter().map(read).collect()
}

pub(crate) async fn add_activity(database: &Database, activity: &[Activity]) -> Result<(), StoreError> {
    if activity.is_empty() {
        return Ok(());
    }
    let added = database.change(async |change| {
        for chunk in activity.chunks(CHUNK) {
            let rows = chunk.iter().map(|request| {
                vec![
                    request.organization.as_str().into(),
                    request.key.as_str().into(),
                    time::to_millis(request.at).into(),
                    without_nul(&request.method).into(),
                    request.route.as_deref().map(without_nul).as_deref().into(),
                    i64::from(request.status).into(),
                    request.address.as_deref().map(without_nul).as_deref().into(),
                    request.user_agent.as_deref().map(without_nul).as_deref().into(),
                ]
            });
            let mut query = database
                .names
                .query("INSERT INTO @activity (organization, key_id, at, method, route, status, address, user_agent) ");
            query.push_rows(rows, CHUNK);
            change.execute(query).await?;
        }
        Ok(())
    });
    added.await
}

/// PostgreSQL keeps no NUL, and what callers send must not stop the batch it is in.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn activity<'n>(names: &'n Names, asked: &ActivityQuery, after: Option<&Cursor>, most: usize) -> Query<'n> {
    let mut query = names.query(
        "SELECT id, organization, key_id, at, method, route, status, address, user_agent FROM @activity \
         WHERE key_id = ",
    );
    query.push_value(asked.key.as_str());
    query.push(" AND organization = ").push_value(asked.organization.as_str());
    query.push(" AND at >= ").push_value(bound(asked.from));
    query.push(" AND at < ").push_value(bound(asked.to));
    if let Some(after) = after {
        query.push(" AND (at, id) < (").push_value(time::to_millis(after.at));
        query.push(", ").push_value(after.id.parse::<i64>().unwrap_or(0)).push(")");
    }
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    query.push(" ORDER BY at DESC, id DESC LIMIT ").push_value(limit);
    query
}

pub(crate) fn read_activity(rows: &[Row]) -> Result<Batch<(String, Activity)>, StoreError> {
    // As text the ids sort as the numbers do.
    let name = |id: i64| format!("{id:020}");
    let place = |row: &Row| {
        let mut reader = row.reader();
        let id = name(reader.int()?);
        reader.skip(2);
        Ok(Cursor { at: reader.moment()?, id })
    };
    let read = |mut reader: Reader<'_>| {
        let id = reader.int()?;
        let (organization, key, at) = (reader.organization()?, reader.key_id()?, reader.moment()?);
        let method = reader.text()?.to_owned();
        let route = reader.optional_text()?.map(str::to_owned);
        let status = u16::try_from(reader.int()?).map_err(|_| corrupt("a status"))?;
        let mut request = Activity::new(organization, key, at, method, status);
        request.route = route;
        request.address = reader.optional_text()?.map(str::to_owned);
        request.user_agent = reader.optional_text()?.map(str::to_owned);
        Ok((name(id), request))
    };
    Batch::single(rows, place, read)
}

pub(crate) async fn prune(database: &Database, prune: &Prune, now: SystemTime) -> Result<Pruned, StoreError> {
    let mut pruned = Pruned::default();
    if let Some(before) = prune.usage_before {
        let rows = "DELETE FROM @usage WHERE (key_id, hour) IN \
                    (SELECT key_id, hour FROM @usage WHERE hour < $1 LIMIT $2)";
        pruned.usage = remove(database, rows, bound(before), false).await?;
    }
    if let Some(before) = prune.activity_before {
        let rows = "DELETE FROM @activity WHERE id IN (SELECT id FROM @activity WHERE at < $1 LIMIT $2)";
        pruned.activity = remove(database, rows, bound(before), false).await?;
    }
    if let Some(before) = prune.audit_before {
        let rows = "DELETE FROM @audit WHERE id IN (SELECT id FROM @audit WHERE at < $1 LIMIT $2)";
        pruned.audit = remove(database, rows, bound(before), true).await?;
    }
    let day_ago = now.checked_sub(DAY).map_or(i64::MIN, time::to_millis);
    let batches = "DELETE FROM @usage_batch WHERE id IN (SELECT id FROM @usage_batch WHERE at < $1 LIMIT $2)";
    remove(database, batches, day_ago, false).await?;
    Ok(pruned)
}

/// Removes a part at a time, each in a transaction of its own.
async fn remove(database: &Database, sql: &str, before: i64, is_audit: bool) -> Result<u64, StoreError> {
    let names = &database.names;
    let mut removed = 0;
    loop {
        let removing = database.change(async |change| {
            // The table's trigger lets nothing go that is later than what stands here, and the next statement takes it back.
            if is_audit {
                change.execute(names.query("UPDATE @audit_retention SET cutoff = $1").bind(before)).await?;
            }
            let count = change.execute(names.query(sql).bind(before).bind(PRUNED_AT_ONCE)).await?;
            if is_audit {
                change.execute(names.query("UPDATE @audit_retention SET cutoff = NULL")).await?;
            }
            Ok(count)
        });
        let count = removing.await?;
        removed += count;
        if count < PRUNED_AT_ONCE.unsigned_abs() {
            return Ok(removed);
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use apikey_manager::KeyStore;

    use super::*;
    use crate::{found, options::SqlOptions, sqlite};

    /// How each table is read: `SCAN` from end to end, `SEARCH` by an index.
    async fn plan(database: &Database, mut query: Query<'_>) -> Vec<(String, String)> {
        query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows = database.fetch(query).await.unwrap();
        let details = rows.iter().map(|row| {
            let mut reader = row.reader();
            reader.skip(3);
            let mut words = reader.text().unwrap().split(' ').map(str::to_owned);
            (words.next().unwrap_or_default(), words.next().unwrap_or_default())
        });
        details.filter(|(how, _)| how == "SCAN" || how == "SEARCH").collect()
    }

    #[tokio::test]
    async fn given_statements_that_name_keys_when_planned_then_none_reads_all_keys() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        crate::SqlStore::connect(&url).await.unwrap().close().await;
        let database = sqlite::connect(&url, &SqlOptions::new()).await.unwrap();
        let names = &database.names;
        let rows = || (0..CHUNK).map(|_| vec![Value::Int(None), Value::Int(None), Value::Int(None), Value::Int(None)]);
        let digests: Vec<_> = (0..100).map(|n| KeyDigest::sha256_from_bytes([n; 32])).collect();
        let statements = [
            (add_hours(names, rows()), vec!["k"]),
            (add_seen(names, rows()), vec!["s"]),
            (found::query(names, &digests), vec!["s", "k"]),
        ];
        for (query, tables) in statements {
            let plan = plan(&database, query).await;
            for table in tables {
                let read: Vec<_> = plan.iter().filter(|(_, read)| read == table).map(|(how, _)| how.as_str()).collect();
                assert_eq!(read, ["SEARCH"], "{table}: {plan:?}");
            }
        }
        database.close().await;
    }
}
