//! The tables of `tables.sql`, and the records of workspaces. Your product replaces the records.

use std::fmt::Display;

use actix_apikey::{Problem, Timestamp};
use actix_web::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, AssertSqlSafe, Executor, FromRow, Transaction};

const TABLES: &str = include_str!("../tables.sql");

/// The number of records on a page.
const PAGE: usize = 200;

pub(crate) struct Store {
    pub(crate) pool: AnyPool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRecord {
    title: String,
    content: String,
}

/// A record: id, title, content, the key that changed it last, and when.
type Row = (String, String, String, String, String);
pub(crate) type Done<T> = Result<T, Problem>;

impl Store {
    /// Opens the tables, and creates them if needed.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(5).connect(url).await?;
        // SQLite locks its file. On PostgreSQL, concurrent `CREATE TABLE IF NOT EXISTS` can fail.
        let lock = if url.starts_with("postgres") { "SELECT pg_advisory_xact_lock(3806217745);" } else { "" };
        sqlx::raw_sql(AssertSqlSafe(format!("{lock}{TABLES}"))).execute(&pool).await?;
        Ok(Store { pool })
    }

    /// Begins a change of a workspace. Others wait until it ends.
    pub(crate) async fn begin(&self, workspace: &str) -> Done<Transaction<'static, Any>> {
        let mut change = self.pool.begin().await.map_err(unavailable)?;
        let lock = "INSERT INTO workspace VALUES ($1, 1)
            ON CONFLICT (id) DO UPDATE SET changes = workspace.changes + 1";
        execute(&mut *change, lock, [workspace]).await?;
        Ok(change)
    }

    /// Creates a record, or replaces it. Returns the record and what changed.
    pub(crate) async fn put(&self, workspace: &str, id: &str, new: NewRecord, by: &str) -> Done<Value> {
        let NewRecord { title, content } = new;
        if !is_id(id) || !(1..=200).contains(&title.len()) || content.len() > 100_000 {
            return Err(invalid("An id has 1-128 letters, digits and .-_:, a title 1-200 bytes, a content 100000."));
        }
        let mut change = self.begin(workspace).await?;
        let old = find(&mut *change, workspace, id).await?;
        let is_new = |(field, new): &(&str, &String)| old.as_ref().is_none_or(|old| old[field] != **new);
        let changed = [("title", &title), ("content", &content)].into_iter().filter(is_new);
        let changed: Vec<_> = changed.map(|(field, _)| field).collect();
        let told = match old {
            Some(old) if changed.is_empty() => return Ok(json!({"change": "none", "changed": [], "record": old})),
            Some(_) => "updated",
            None => "created",
        };
        let put = "INSERT INTO workspace_record (workspace, id, title, content, changed_by, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, id) DO UPDATE SET title = excluded.title,
            content = excluded.content, changed_by = excluded.changed_by, changed_at = excluded.changed_at";
        let now = format!("{:.0}", Timestamp::now());
        execute(&mut *change, put, [workspace, id, &title, &content, by, &now]).await?;
        change.commit().await.map_err(unavailable)?;
        Ok(json!({"change": told, "changed": changed, "record": record((id.into(), title, content, by.into(), now))}))
    }

    /// Deletes a record. Returns it as it was.
    pub(crate) async fn delete(&self, workspace: &str, id: &str) -> Done<Value> {
        let mut change = self.begin(workspace).await?;
        let old = find(&mut *change, workspace, id).await?.ok_or_else(no_record)?;
        let delete = "DELETE FROM workspace_record WHERE workspace = $1 AND id = $2";
        execute(&mut *change, delete, [workspace, id]).await?;
        change.commit().await.map_err(unavailable)?;
        Ok(json!({"change": "deleted", "changed": ["title", "content"], "record": old}))
    }

    pub(crate) async fn get(&self, workspace: &str, id: &str) -> Done<Value> {
        find(&self.pool, workspace, id).await?.ok_or_else(no_record)
    }

    /// Only records whose ids sort after this one.
    pub(crate) async fn list(&self, workspace: &str, after: &str) -> Done<Value> {
        let list = "SELECT id, title, content, changed_by, changed_at FROM workspace_record
            WHERE workspace = $1 AND id > $2 ORDER BY id LIMIT 201";
        let found: Vec<Row> = rows(&self.pool, list, [workspace, after]).await?;
        // The `after` of the next page; null on the last page.
        let next = (found.len() > PAGE).then(|| found[PAGE - 1].0.clone());
        Ok(json!({"items": found.into_iter().take(PAGE).map(record).collect::<Vec<_>>(), "next": next}))
    }
}

async fn find(on: impl Executor<'_, Database = Any>, workspace: &str, id: &str) -> Done<Option<Value>> {
    let find = "SELECT id, title, content, changed_by, changed_at FROM workspace_record
        WHERE workspace = $1 AND id = $2";
    Ok(rows(on, find, [workspace, id]).await?.pop().map(record))
}

/// Runs a statement, and returns the number of rows that it has changed.
pub(crate) async fn execute<const N: usize>(
    on: impl Executor<'_, Database = Any>,
    statement: &'static str,
    fields: [&str; N],
) -> Done<u64> {
    let statement = fields.into_iter().fold(sqlx::query(statement), |one, field| one.bind(field.to_owned()));
    Ok(statement.execute(on).await.map_err(unavailable)?.rows_affected())
}

/// Runs a query, and returns its rows.
pub(crate) async fn rows<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin, const N: usize>(
    on: impl Executor<'_, Database = Any>,
    query: &'static str,
    fields: [&str; N],
) -> Done<Vec<T>> {
    let query = fields.into_iter().fold(sqlx::query_as(query), |one, field| one.bind(field.to_owned()));
    query.fetch_all(on).await.map_err(unavailable)
}

fn record((id, title, content, changed_by, changed_at): Row) -> Value {
    json!({"id": id, "title": title, "content": content, "changed_by": changed_by, "changed_at": changed_at})
}

/// An id is one path segment, so that every record has a URL.
fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    (1..=128).contains(&id.len()) && id.chars().all(allowed) && !matches!(id, "." | "..")
}

fn no_record() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "There is no such record in this workspace.")
}

pub(crate) fn invalid(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
}

/// For the database's errors, and those of the system: no memory, no randomness.
pub(crate) fn unavailable(error: impl Display) -> Problem {
    tracing::error!(%error, "a request failed");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later.")
}
