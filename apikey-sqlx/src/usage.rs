//! Usage: each batch is written once, and summed as it is written.

use std::{collections::BTreeMap, ops::Range};

use apikey_core::{KeyDigest, Timestamp};
use apikey_manager::{Bucket, StoreError, UsageBatch, UsageBucket, UsageOf, UsageQuery, UsageRow};

use crate::{
    database::{Change, Database},
    error::Failure,
    query::{CHUNK, Names, Query, Value},
    row::Row,
};

const TRIES: usize = 4;
const DAY_MILLIS: i64 = 24 * 3_600_000;
/// The subjects of sums; see the table.
const WHOLE: i64 = 0;
const OF_ACCOUNT: i64 = 1;
const OF_ENVIRONMENT: i64 = 2;

/// Retries if a key was deleted or another batch was written at the same time.
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
        .bind(batch.at.as_millis());
    if change.execute(own).await? == 0 {
        return Ok(false);
    }
    // Summed, because a statement may touch a row only once, and sorted, so that all batches lock rows in one order.
    let mut hours = BTreeMap::<_, Count>::new();
    let mut sums = BTreeMap::<_, Count>::new();
    let mut seen = BTreeMap::new();
    for row in &batch.rows {
        let [hour, day] = [Bucket::Hour, Bucket::Day].map(|bucket| bucket.start(row.hour).as_millis());
        hours.entry((row.key.as_str(), hour, row.organization.as_str())).or_default().add(row);
        let parts = [
            Some((WHOLE, "")),
            row.service_account.as_ref().map(|account| (OF_ACCOUNT, account.as_str())),
            row.environment.as_deref().map(|environment| (OF_ENVIRONMENT, environment)),
        ];
        for (part, name) in parts.into_iter().flatten() {
            for (length, start) in [(1, hour), (24, day)] {
                sums.entry((row.organization.as_str(), part, name, length, start)).or_default().add(row);
            }
        }
        for (digest, at) in &row.last_used {
            let place = (row.key.as_str(), digest.as_bytes(), digest.algorithm().to_string());
            let last = seen.entry(place).or_insert(i64::MIN);
            *last = at.as_millis().max(*last);
        }
    }
    let hours: Vec<_> = hours.into_iter().collect();
    for chunk in hours.chunks(CHUNK) {
        let rows = chunk.iter().map(|((key, hour, organization), count)| {
            vec![(*key).into(), (*hour).into(), (*organization).into(), whole(count.ok), whole(count.refused)]
        });
        change.execute(add_hours(names, rows)).await?;
    }
    let sums: Vec<_> = sums.into_iter().collect();
    for chunk in sums.chunks(CHUNK) {
        let rows = chunk.iter().map(|((organization, part, name, length, start), count)| {
            let place = [(*organization).into(), (*part).into(), (*name).into(), (*length).into(), (*start).into()];
            place.into_iter().chain([whole(count.ok), whole(count.refused)]).collect()
        });
        change.execute(add_sums(names, rows)).await?;
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

#[derive(Default)]
struct Count {
    ok: u64,
    refused: u64,
}

impl Count {
    fn add(&mut self, row: &UsageRow) {
        self.ok = self.ok.saturating_add(row.ok);
        self.refused = self.refused.saturating_add(row.refused);
    }
}

/// The largest count of a row. A span has fewer than 16,384 rows, so their sum fits both databases' integers.
const MOST: i64 = i64::MAX / 16_384;

/// The update of an existing row: its counts grow, up to [`MOST`].
fn grown() -> String {
    let grown = |column| {
        let sum = format!("u.{column} + excluded.{column}");
        format!("{column} = CASE WHEN {sum} < {MOST} THEN {sum} ELSE {MOST} END")
    };
    format!("DO UPDATE SET {}, {}", grown("ok"), grown("refused"))
}

fn whole(count: u64) -> Value {
    i64::try_from(count).unwrap_or(MOST).min(MOST).into()
}

fn add_hours(names: &Names, rows: impl ExactSizeIterator<Item = Vec<Value>>) -> Query<'_> {
    let mut query = names.query("INSERT INTO @usage AS u (key_id, hour, organization, ok, refused) ");
    query.push_rows(rows, CHUNK).push(" ON CONFLICT (key_id, hour) ").push(&grown());
    query
}

fn add_sums(names: &Names, rows: impl ExactSizeIterator<Item = Vec<Value>>) -> Query<'_> {
    let mut query = names.query("INSERT INTO @usage_sum AS u (organization, part, name, hours, start, ok, refused) ");
    query.push_rows(rows, CHUNK).push(" ON CONFLICT (organization, part, name, hours, start) ").push(&grown());
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

/// Stores the last use of imported secrets.
pub(crate) async fn set_seen(
    change: &mut Change,
    names: &Names,
    seen: &[(&str, &KeyDigest, Timestamp)],
) -> Result<(), Failure> {
    for chunk in seen.chunks(CHUNK) {
        let rows = chunk.iter().map(|(key, digest, at)| {
            vec![(*key).into(), (*digest).into(), digest.algorithm().to_string().into(), at.as_millis().into()]
        });
        change.execute(add_seen(names, rows)).await?;
    }
    Ok(())
}

/// Selects buckets. A key's usage is summed from its own hours, of which a span has few; other usage from the sums.
pub(crate) fn buckets<'n>(names: &'n Names, asked: &UsageQuery) -> Query<'n> {
    let (from, to) = (asked.from.as_millis(), asked.to.as_millis());
    let (part, name) = match &asked.of {
        UsageOf::Key(key) => {
            let start = match asked.bucket {
                Bucket::Hour => "hour",
                Bucket::Day => "hour - (hour % 86400000 + 86400000) % 86400000",
            };
            let mut query = names.query(&format!("{} FROM (SELECT {start} AS start, ok, refused FROM @usage", SUMMED));
            query.push(" WHERE key_id = ").push_value(key.as_str());
            query.push(" AND organization = ").push_value(asked.organization.as_str());
            query.push(" AND hour >= ").push_value(from).push(" AND hour < ").push_value(to).push(") AS h");
            query.push(" GROUP BY start ORDER BY start");
            return query;
        }
        UsageOf::Account(account) => (OF_ACCOUNT, account.as_str()),
        UsageOf::Environment(environment) => (OF_ENVIRONMENT, environment.as_str()),
        UsageOf::Organization => (WHOLE, ""),
    };
    let mut query = names.query(&format!("{SUMMED} FROM ("));
    for (at, (hours, span)) in spans(from, to, asked.bucket).into_iter().enumerate() {
        let start = match asked.bucket == Bucket::Day && hours == 1 {
            true => "start - (start % 86400000 + 86400000) % 86400000",
            false => "start",
        };
        query.push(if at == 0 { "" } else { " UNION ALL " });
        query.push(&format!("SELECT {start} AS start, ok, refused FROM @usage_sum WHERE organization = "));
        query.push_value(asked.organization.as_str()).push(" AND part = ").push_value(part);
        query.push(" AND name = ").push_value(name).push(" AND hours = ").push_value(hours);
        query.push(" AND start >= ").push_value(span.start).push(" AND start < ").push_value(span.end);
    }
    query.push(") AS s GROUP BY start ORDER BY start");
    query
}

const SUMMED: &str = "SELECT start, CAST(sum(ok) AS BIGINT) AS ok, CAST(sum(refused) AS BIGINT) AS refused";

/// Returns the sums that make up `from..to`, each with its length in hours: whole days from the sums of days, the rest
/// from the sums of hours.
fn spans(from: i64, to: i64, bucket: Bucket) -> Vec<(i64, Range<i64>)> {
    let first_day = from.div_euclid(DAY_MILLIS).saturating_add(i64::from(from.rem_euclid(DAY_MILLIS) > 0));
    let (first_day, last_day) =
        (first_day.saturating_mul(DAY_MILLIS), to.div_euclid(DAY_MILLIS).saturating_mul(DAY_MILLIS));
    match bucket == Bucket::Day && first_day < last_day {
        true => {
            let parts = [(1, from..first_day), (24, first_day..last_day), (1, last_day..to)];
            parts.into_iter().filter(|(_, span)| !span.is_empty()).collect()
        }
        false => vec![(1, from..to)],
    }
}

pub(crate) fn read_buckets(rows: &[Row]) -> Result<Vec<UsageBucket>, StoreError> {
    let read =
        |row: &Row| Ok(UsageBucket { start: row.get("start")?, ok: row.get("ok")?, refused: row.get("refused")? });
    rows.iter().map(read).collect()
}

#[cfg(test)]
#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod tests {
    use apikey_core::KeyId;
    use apikey_manager::{KeyStore, OrganizationId, ServiceAccountId};
    use apikey_testkit::PrivatePostgres;

    use super::*;
    use crate::{SqlStore, found, options::SqlOptions, postgres, sqlite};

    /// Returns how each table is read: `SCAN` for a whole table, or `SEARCH` with an index.
    async fn plan(database: &Database, mut query: Query<'_>) -> Vec<String> {
        query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows = database.fetch(query).await.unwrap();
        let details = rows.iter().map(|row| row.get::<String>("detail").unwrap());
        details.filter(|detail| detail.starts_with("SCAN ") || detail.starts_with("SEARCH ")).collect()
    }

    /// Creates a SQLite database with the store's tables.
    async fn sqlite_database(folder: &std::path::Path) -> (SqlStore, Database) {
        let url = format!("sqlite:{}", folder.join("keys.db").display());
        (SqlStore::connect(&url).await.unwrap(), sqlite::connect(&url, &SqlOptions::new()).await.unwrap())
    }

    #[tokio::test]
    async fn given_statements_that_name_keys_when_planned_then_none_reads_all_keys() {
        let folder = tempfile::tempdir().unwrap();
        let (store, database) = sqlite_database(folder.path()).await;
        let names = &database.names;
        let rows = || (0..CHUNK).map(|_| vec![Value::Int(None), Value::Int(None), Value::Int(None), Value::Int(None)]);
        let digests: Vec<_> = (0..100).map(|n| KeyDigest::sha256_from_bytes([n; 32])).collect();
        let statements = [(add_seen(names, rows()), vec!["s"]), (found::query(names, &digests), vec!["s", "k"])];
        for (query, tables) in statements {
            let plan = plan(&database, query).await;
            for table in tables {
                let read: Vec<_> = plan.iter().filter(|read| read.split(' ').nth(1) == Some(table)).collect();
                assert!(read.len() == 1 && read[0].starts_with("SEARCH "), "{table}: {plan:?}");
            }
        }
        database.close().await;
        store.close().await;
    }

    const KEYS: usize = 300;
    const DAYS: i64 = 6;

    fn acme() -> OrganizationId {
        OrganizationId::new("acme").unwrap()
    }

    fn key(number: usize) -> KeyId {
        KeyId::new(format!("key_{number:04}")).unwrap()
    }

    fn account(number: usize) -> ServiceAccountId {
        ServiceAccountId::new(format!("sa_{number}")).unwrap()
    }

    /// Uses each of many keys in each hour of some days.
    async fn fill(store: &SqlStore) {
        for hour in 0..DAYS * 24 {
            let rows = (0..KEYS).map(|number| UsageRow {
                key: key(number),
                organization: acme(),
                service_account: Some(account(number % 30)),
                environment: Some(["live", "test"][number % 2].to_owned()),
                hour: Timestamp::from_millis(hour * 3_600_000).unwrap(),
                ok: 1,
                refused: 2,
                last_used: Vec::new(),
            });
            let batch = UsageBatch { id: format!("{hour}"), at: Timestamp::UNIX_EPOCH, rows: rows.collect() };
            assert!(store.add_usage(&batch).await.unwrap());
        }
    }

    /// Returns queries, each with the number of buckets in the result and the most rows that may be read.
    fn questions() -> Vec<(UsageQuery, usize, usize)> {
        let whose = [
            UsageOf::Organization,
            UsageOf::Account(account(7)),
            UsageOf::Environment("live".to_owned()),
            UsageOf::Key(key(7)),
        ];
        let mut questions = Vec::new();
        for of in whose {
            let is_key = matches!(of, UsageOf::Key(_));
            for (from, to, bucket, told, read) in [
                (0, DAYS * 24, Bucket::Day, DAYS, DAYS),
                // Half a day at both ends.
                (12, DAYS * 24 - 12, Bucket::Day, DAYS, DAYS - 2 + 24),
                (0, DAYS * 24, Bucket::Hour, DAYS * 24, DAYS * 24),
                (30, 40, Bucket::Day, 1, 10),
            ] {
                let [from, to_moment] = [from, to].map(|hour| Timestamp::from_millis(hour * 3_600_000).unwrap());
                let hours = to_moment.saturating_since(from).as_secs() / 3_600;
                let query = UsageQuery { organization: acme(), of: of.clone(), from, to: to_moment, bucket };
                // Only a key's own hours are read.
                let read = if is_key { hours as usize } else { read as usize };
                questions.push((query, told as usize, read));
            }
        }
        questions
    }

    #[tokio::test]
    async fn given_many_keys_and_hours_when_usage_is_read_from_sqlite_then_it_costs_by_what_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (store, database) = sqlite_database(folder.path()).await;
        fill(&store).await;
        for (asked, told, read) in questions() {
            let query = buckets(&database.names, &asked);
            let plan = plan(&database, query.clone()).await;
            // Every column of the key up to the span, so that only rows that count are read.
            let is_narrow = |step: &String| {
                let by_sum = "(organization=? AND part=? AND name=? AND hours=? AND start>? AND start<?)";
                let by_key = "(key_id=? AND hour>? AND hour<?)";
                step.starts_with("SEARCH ") && (step.contains(by_sum) || step.contains(by_key))
            };
            let tables: Vec<_> = plan.iter().filter(|step| step.contains("usage")).collect();
            assert!(!tables.is_empty() && tables.iter().all(|step| is_narrow(step)), "{asked:?}: {plan:?}");
            let mut counted = query.clone();
            let inner = query.sql.split_once(" GROUP BY ").unwrap().0.replace(SUMMED, "SELECT count(*) AS rows");
            counted.sql = inner;
            let rows = database.fetch(counted).await.unwrap();
            assert_eq!(rows[0].get::<i64>("rows").unwrap(), read as i64, "rows read for {asked:?}");
            assert_eq!(read_buckets(&database.fetch(query).await.unwrap()).unwrap().len(), told, "{asked:?}");
        }
        database.close().await;
        store.close().await;
    }

    #[tokio::test]
    async fn given_many_keys_and_hours_when_usage_is_read_from_postgres_then_it_costs_by_what_is_told() {
        let Some(server) = PrivatePostgres::shared() else { return };
        let url = server.create_database();
        let store = SqlStore::connect(&url).await.unwrap();
        let database = postgres::connect(&url, &SqlOptions::new()).await.unwrap();
        // Statistics that the server gathers midway would change its plans.
        let unwatched = "ALTER TABLE apikey_usage SET (autovacuum_enabled = off); \
                         ALTER TABLE apikey_usage_sum SET (autovacuum_enabled = off)";
        database.change(async |change| change.run(unwatched.to_owned()).await).await.unwrap();
        fill(&store).await;
        for (asked, told, read) in questions() {
            let query = buckets(&database.names, &asked);
            let mut explained = query.clone();
            explained.sql.insert_str(0, "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) ");
            let rows = database.fetch(explained).await.unwrap();
            let plan: Vec<_> = rows.iter().map(|row| row.get::<String>("QUERY PLAN").unwrap()).collect();
            // The rows that scans of tables have read, including those read in vain.
            let scans = plan.iter().filter(|step| step.contains(" on apikey_usage") || step.contains("Rows Removed"));
            let count = |step: &String| {
                let (_, rows) = step.rsplit_once("rows=").or_else(|| step.rsplit_once(": ")).unwrap();
                let rows: String = rows.chars().take_while(|c| c.is_ascii_digit()).collect();
                rows.parse::<usize>().unwrap()
            };
            assert_eq!(scans.map(count).sum::<usize>(), read, "rows read for {asked:?}: {plan:#?}");
            assert_eq!(read_buckets(&database.fetch(query).await.unwrap()).unwrap().len(), told, "{asked:?}");
        }
        database.close().await;
        store.close().await;
    }
}
