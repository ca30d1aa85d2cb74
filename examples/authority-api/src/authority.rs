//! Revocations, settings and the signed list, in tables beside those of the keys. Your product replaces this file.

use std::time::SystemTime;

use actix_apikey::Problem;
use actix_web::http::StatusCode;
use anyhow::anyhow;
use humantime::format_rfc3339_seconds;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Transaction, any::AnyPoolOptions};

use crate::signer::Signer;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS authority_revocation (
        id TEXT NOT NULL PRIMARY KEY, reason TEXT NOT NULL, revoked_by TEXT NOT NULL, revoked_at TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS authority_tenant (
        one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL, sign_on_change BIGINT NOT NULL,
        signing_key TEXT NOT NULL, version BIGINT NOT NULL, list TEXT NOT NULL);
    INSERT INTO authority_tenant VALUES (1, 'main', 1, '', 0, '') ON CONFLICT DO NOTHING;";

/// The number of revocations on a page.
const PAGE: usize = 200;

pub(crate) struct Authority {
    pool: AnyPool,
    pub(crate) signer: Signer,
}

/// A revoked id, with the reason, the actor and the time.
type Revocation = (String, String, String, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRevocation {
    id: String,
    #[serde(default)]
    reason: String,
}

/// Absent fields stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSettings {
    name: Option<String>,
    sign_on_change: Option<bool>,
}

/// The errors, with their answers.
pub(crate) struct Refusal(Problem);
type Done<T> = Result<T, Refusal>;

impl Authority {
    /// Opens the tables, and creates them if needed. Lists are signed with `signing_key`, or with a key that the first
    /// start creates in the database.
    pub(crate) async fn open(url: &str, signing_key: Option<String>) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(5).connect(url).await?;
        // SQLite locks its file. On PostgreSQL, concurrent `CREATE TABLE IF NOT EXISTS` can fail.
        let lock = if url.starts_with("postgres") { "SELECT pg_advisory_xact_lock(7264830184);" } else { "" };
        sqlx::raw_sql(AssertSqlSafe(format!("{lock}{TABLES}"))).execute(&pool).await?;
        let keep = "UPDATE authority_tenant SET signing_key = CASE signing_key WHEN '' THEN $1 ELSE signing_key END
            RETURNING signing_key, list";
        let (kept, list): (String, String) = sqlx::query_as(keep).bind(Signer::generate()?).fetch_one(&pool).await?;
        let authority = Authority { pool, signer: Signer::parse(&signing_key.unwrap_or(kept))? };
        if !authority.signer.has_signed(&list) {
            authority.regenerate().await.map_err(|Refusal(problem)| anyhow!("{problem}"))?;
        }
        Ok(authority)
    }

    pub(crate) async fn revoke(&self, NewRevocation { id, reason }: NewRevocation, by: &str) -> Done<Value> {
        if !is_id(&id) || reason.len() > 500 {
            return invalid("An id is 1 to 128 letters, digits and .-_:, and a reason has up to 500 bytes.");
        }
        let mut change = self.pool.begin().await?;
        let insert = "INSERT INTO authority_revocation (id, reason, revoked_by, revoked_at)
            VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let row = [id, reason, by.to_owned(), now()];
        let insert = row.iter().fold(sqlx::query(insert), |query, text| query.bind(text));
        if insert.execute(&mut *change).await?.rows_affected() == 0 {
            return Err(Refusal(Problem::new(StatusCode::CONFLICT, "revoked_already", "This id is revoked already.")));
        }
        self.commit(change).await?;
        Ok(revocation(row.into()))
    }

    pub(crate) async fn reinstate(&self, id: &str) -> Done<()> {
        let mut change = self.pool.begin().await?;
        let delete = sqlx::query("DELETE FROM authority_revocation WHERE id = $1").bind(id);
        if delete.execute(&mut *change).await?.rows_affected() == 0 {
            return Err(not_revoked());
        }
        self.commit(change).await
    }

    pub(crate) async fn find(&self, id: &str) -> Done<Option<Value>> {
        let find = sqlx::query_as("SELECT id, reason, revoked_by, revoked_at FROM authority_revocation WHERE id = $1");
        Ok(find.bind(id).fetch_optional(&self.pool).await?.map(revocation))
    }

    /// Only revocations whose ids sort after this one.
    pub(crate) async fn list(&self, after: &str) -> Done<Value> {
        let list = "SELECT id, reason, revoked_by, revoked_at FROM authority_revocation
            WHERE id > $1 ORDER BY id LIMIT $2";
        let found: Vec<Revocation> =
            sqlx::query_as(list).bind(after).bind(PAGE as i64 + 1).fetch_all(&self.pool).await?;
        // The `after` of the next page; null on the last page.
        let next = if found.len() > PAGE { json!(found[PAGE - 1].0) } else { Value::Null };
        Ok(json!({"items": found.into_iter().take(PAGE).map(revocation).collect::<Vec<_>>(), "next": next}))
    }

    pub(crate) async fn signed_list(&self) -> Done<String> {
        Ok(sqlx::query_scalar("SELECT list FROM authority_tenant").fetch_one(&self.pool).await?)
    }

    /// Signs a list of all current revocations.
    pub(crate) async fn regenerate(&self) -> Done<String> {
        let mut change = self.pool.begin().await?;
        let list = sign(&self.signer, &mut change).await?;
        change.commit().await?;
        Ok(list)
    }

    pub(crate) async fn settings(&self) -> Done<Value> {
        Ok(read_settings(&mut *self.pool.acquire().await?).await?)
    }

    pub(crate) async fn set(&self, new: NewSettings) -> Done<Value> {
        let is_name = |name: &String| (1..=100).contains(&name.len()) && !name.contains(char::is_control);
        if !new.name.iter().all(is_name) {
            return invalid("A name has 1 to 100 bytes, and no control characters.");
        }
        let set = "UPDATE authority_tenant
            SET name = COALESCE($1, name), sign_on_change = COALESCE($2, sign_on_change)";
        sqlx::query(set).bind(new.name).bind(new.sign_on_change.map(i64::from)).execute(&self.pool).await?;
        self.settings().await
    }

    /// Commits revocations, and signs a new list unless lists are signed only on request.
    async fn commit(&self, mut change: Transaction<'_, Any>) -> Done<()> {
        if read_settings(&mut change).await?["sign_on_change"] == true {
            sign(&self.signer, &mut change).await?;
        }
        Ok(change.commit().await?)
    }
}

async fn sign(signer: &Signer, change: &mut AnyConnection) -> sqlx::Result<String> {
    // Updated first, so that other changes wait: a later version contains everything of an earlier one.
    let next = "UPDATE authority_tenant SET version = version + 1 RETURNING name, version";
    let (tenant, version): (String, i64) = sqlx::query_as(next).fetch_one(&mut *change).await?;
    let revoked = sqlx::query_scalar("SELECT id FROM authority_revocation ORDER BY id").fetch_all(&mut *change);
    let revoked: Vec<String> = revoked.await?;
    let list = json!({"tenant": tenant, "version": version, "issued_at": now(), "revoked": revoked});
    let list = signer.sign(&list);
    sqlx::query("UPDATE authority_tenant SET list = $1").bind(list.clone()).execute(change).await?;
    Ok(list)
}

async fn read_settings(connection: &mut AnyConnection) -> sqlx::Result<Value> {
    let read = sqlx::query_as("SELECT name, sign_on_change FROM authority_tenant");
    let (name, sign_on_change): (String, i64) = read.fetch_one(connection).await?;
    Ok(json!({"name": name, "sign_on_change": sign_on_change != 0}))
}

fn revocation((id, reason, revoked_by, revoked_at): Revocation) -> Value {
    json!({"id": id, "reason": reason, "revoked_by": revoked_by, "revoked_at": revoked_at})
}

fn invalid<T>(detail: &'static str) -> Done<T> {
    Err(Refusal(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)))
}

pub(crate) fn not_revoked() -> Refusal {
    Refusal(Problem::new(StatusCode::NOT_FOUND, "not_found", "This id is not revoked."))
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "the database doesn't do its part");
        Refusal(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later."))
    }
}

impl From<Refusal> for Problem {
    fn from(Refusal(problem): Refusal) -> Self {
        problem
    }
}

/// An id is one path segment, so that every revocation has a URL.
fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    (1..=128).contains(&id.len()) && id.chars().all(allowed) && !matches!(id, "." | "..")
}

fn now() -> String {
    format_rfc3339_seconds(SystemTime::now()).to_string()
}
