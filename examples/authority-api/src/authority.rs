//! Revocations, settings and the signed list, in tables beside those of the keys: the part of this template that your
//! product replaces. It knows neither HTTP nor keys.

use std::time::SystemTime;

use actix_apikey::BoxError;
use humantime::format_rfc3339_seconds;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, any::AnyPoolOptions};

use crate::signer::Signer;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS authority_revocation (
        id TEXT NOT NULL PRIMARY KEY, reason TEXT NOT NULL, revoked_by TEXT NOT NULL, revoked_at TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS authority_tenant (
        one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL, sign_on_change BIGINT NOT NULL,
        signing_key TEXT NOT NULL, version BIGINT NOT NULL, list TEXT NOT NULL);
    INSERT INTO authority_tenant VALUES (1, 'main', 1, '', 0, '') ON CONFLICT DO NOTHING;";

/// How many revocations are on a page.
const PAGE: usize = 200;

pub(crate) struct Authority {
    pool: AnyPool,
    signer: Signer,
}

type Columns = (String, String, String, String);

/// An id that counts no more, with who said so and why.
#[derive(Serialize)]
pub(crate) struct Revocation {
    id: String,
    reason: String,
    revoked_by: String,
    revoked_at: String,
}

#[derive(Serialize)]
pub(crate) struct Page {
    items: Vec<Revocation>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRevocation {
    id: String,
    #[serde(default)]
    reason: String,
}

/// What is signed.
#[derive(Serialize)]
struct List {
    tenant: String,
    version: i64,
    issued_at: String,
    revoked: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Settings {
    name: String,
    /// Is the list signed anew with each revocation? If not, only when asked for.
    sign_on_change: bool,
}

/// What is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSettings {
    name: Option<String>,
    sign_on_change: Option<bool>,
}

/// Why something was not done.
pub(crate) enum Refusal {
    Invalid(&'static str),
    Exists,
    Unknown,
    Failed(sqlx::Error),
}

impl Authority {
    /// Opens the tables, which are made if there are none. Lists are signed with `signing_key`, or else with one that is
    /// made at the first start and kept in the database.
    pub(crate) async fn open(url: &str, signing_key: Option<&str>) -> Result<Self, BoxError> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(5).connect(url).await?;
        // SQLite locks its file. PostgreSQL makes no table twice at once, even if it is asked to be content with one.
        let lock = if url.starts_with("postgres") { "SELECT pg_advisory_xact_lock(7264830184);" } else { "" };
        sqlx::raw_sql(AssertSqlSafe(format!("{lock}{TABLES}"))).execute(&pool).await?;
        let keep = "UPDATE authority_tenant SET signing_key = $1 WHERE signing_key = ''";
        sqlx::query(keep).bind(Signer::generate()?).execute(&pool).await?;
        let read = sqlx::query_as("SELECT signing_key, list FROM authority_tenant");
        let (kept, list): (String, String) = read.fetch_one(&pool).await?;
        let authority = Authority { pool, signer: Signer::parse(signing_key.unwrap_or(&kept))? };
        if !authority.signer.has_signed(&list) {
            authority.regenerate().await?;
        }
        Ok(authority)
    }

    pub(crate) async fn revoke(&self, new: NewRevocation, by: &str) -> Result<Revocation, Refusal> {
        let NewRevocation { id, reason } = new;
        if !is_id(&id) {
            return Err(Refusal::Invalid("An id is 1 to 128 letters, digits, dots, underscores, colons and hyphens."));
        }
        if reason.len() > 500 {
            return Err(Refusal::Invalid("A reason has up to 500 bytes."));
        }
        let revocation = Revocation { id, reason, revoked_by: by.to_owned(), revoked_at: now() };
        let mut change = self.pool.begin().await?;
        let insert = "INSERT INTO authority_revocation (id, reason, revoked_by, revoked_at)
            VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let Revocation { id, reason, revoked_by, revoked_at } = &revocation;
        let insert =
            [id, reason, revoked_by, revoked_at].into_iter().fold(sqlx::query(insert), |query, text| query.bind(text));
        if insert.execute(&mut *change).await?.rows_affected() == 0 {
            return Err(Refusal::Exists);
        }
        self.sign_if_set(&mut change).await?;
        change.commit().await?;
        Ok(revocation)
    }

    pub(crate) async fn reinstate(&self, id: &str) -> Result<(), Refusal> {
        let mut change = self.pool.begin().await?;
        let delete = sqlx::query("DELETE FROM authority_revocation WHERE id = $1").bind(id);
        if delete.execute(&mut *change).await?.rows_affected() == 0 {
            return Err(Refusal::Unknown);
        }
        self.sign_if_set(&mut change).await?;
        Ok(change.commit().await?)
    }

    pub(crate) async fn find(&self, id: &str) -> sqlx::Result<Option<Revocation>> {
        let find = sqlx::query_as("SELECT id, reason, revoked_by, revoked_at FROM authority_revocation WHERE id = $1");
        Ok(find.bind(id).fetch_optional(&self.pool).await?.map(|columns: Columns| columns.into()))
    }

    /// The revocations whose ids sort after this one.
    pub(crate) async fn list(&self, after: &str) -> sqlx::Result<Page> {
        let list = "SELECT id, reason, revoked_by, revoked_at FROM authority_revocation
            WHERE id > $1 ORDER BY id LIMIT $2";
        let found: Vec<Columns> = sqlx::query_as(list).bind(after).bind(PAGE as i64 + 1).fetch_all(&self.pool).await?;
        let mut items: Vec<_> = found.into_iter().map(Revocation::from).collect();
        let has_more = items.len() > PAGE;
        items.truncate(PAGE);
        Ok(Page { next: items.last().filter(|_| has_more).map(|last| last.id.clone()), items })
    }

    pub(crate) async fn signed_list(&self) -> sqlx::Result<String> {
        sqlx::query_scalar("SELECT list FROM authority_tenant").fetch_one(&self.pool).await
    }

    /// Signs a list of all that is revoked now.
    pub(crate) async fn regenerate(&self) -> sqlx::Result<String> {
        let mut change = self.pool.begin().await?;
        let list = self.sign(&mut change).await?;
        change.commit().await?;
        Ok(list)
    }

    pub(crate) fn key_set(&self) -> Value {
        self.signer.key_set()
    }

    pub(crate) async fn settings(&self) -> sqlx::Result<Settings> {
        read_settings(&mut *self.pool.acquire().await?).await
    }

    pub(crate) async fn set(&self, new: NewSettings) -> Result<Settings, Refusal> {
        let mut change = self.pool.begin().await?;
        if let Some(name) = new.name {
            if !(1..=100).contains(&name.len()) || name.contains(char::is_control) {
                return Err(Refusal::Invalid("A name has 1 to 100 bytes, and no control characters."));
            }
            sqlx::query("UPDATE authority_tenant SET name = $1").bind(name).execute(&mut *change).await?;
        }
        if let Some(sign) = new.sign_on_change {
            let set = "UPDATE authority_tenant SET sign_on_change = $1";
            sqlx::query(set).bind(i64::from(sign)).execute(&mut *change).await?;
        }
        let settings = read_settings(&mut change).await?;
        change.commit().await?;
        Ok(settings)
    }

    async fn sign_if_set(&self, change: &mut AnyConnection) -> sqlx::Result<()> {
        if read_settings(change).await?.sign_on_change {
            self.sign(change).await?;
        }
        Ok(())
    }

    async fn sign(&self, change: &mut AnyConnection) -> sqlx::Result<String> {
        // First of all, as it makes other changes wait: a later version has all that an earlier one has.
        let next = "UPDATE authority_tenant SET version = version + 1 RETURNING name, version";
        let (tenant, version) = sqlx::query_as(next).fetch_one(&mut *change).await?;
        let revoked = sqlx::query_scalar("SELECT id FROM authority_revocation ORDER BY id").fetch_all(&mut *change);
        let list = List { tenant, version, issued_at: now(), revoked: revoked.await? };
        let list = self.signer.sign(&list).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query("UPDATE authority_tenant SET list = $1").bind(list.clone()).execute(change).await?;
        Ok(list)
    }
}

async fn read_settings(connection: &mut AnyConnection) -> sqlx::Result<Settings> {
    let read = sqlx::query_as("SELECT name, sign_on_change FROM authority_tenant");
    let (name, sign_on_change): (String, i64) = read.fetch_one(connection).await?;
    Ok(Settings { name, sign_on_change: sign_on_change != 0 })
}

impl From<Columns> for Revocation {
    fn from((id, reason, revoked_by, revoked_at): Columns) -> Self {
        Revocation { id, reason, revoked_by, revoked_at }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Refusal::Failed(error)
    }
}

/// One segment of a path, so that every revocation can be reached by its URL.
fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    (1..=128).contains(&id.len()) && id.chars().all(allowed) && !matches!(id, "." | "..")
}

fn now() -> String {
    format_rfc3339_seconds(SystemTime::now()).to_string()
}
