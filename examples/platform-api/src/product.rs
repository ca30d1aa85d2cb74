//! Customers with their plans, projects and members, and sessions, in tables beside those of the keys. Your product replaces
//! this file and `tables.sql`.

use std::{fmt::Display, sync::LazyLock};

use anyhow::{Context, ensure};
use apikey_manager::{Actor, Limits, OrganizationId, Rights};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use axum::http::StatusCode;
use axum_apikey::{Problem, ScopeSet};
use sha2::{Digest, Sha256};
use sqlx::{AnyPool, AssertSqlSafe, any::AnyPoolOptions};
use tokio::{sync::Semaphore, task::spawn_blocking};
use tower_sessions::{SessionStore, cookie::time::OffsetDateTime, session::Id, session::Record, session_store};

/// The plans, and how many keys each allows.
pub(crate) const PLANS: [(&str, Option<u64>); 3] = [("free", Some(3)), ("team", Some(25)), ("enterprise", None)];

/// Somebody who signs in, and the settings of their organization.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) email: String,
    pub(crate) organization: String,
    pub(crate) plan: String,
    /// `revoke` or `quarantine`.
    pub(crate) on_leak: String,
}

/// What a session holds: an address, and the hash of its password. Another password ends the sessions of the old one, and
/// whoever is removed and added again has none.
pub(crate) type Login = (String, String);

#[derive(Clone, Debug)]
pub(crate) struct Product(AnyPool);

/// The hash of a password that nobody has, so that unknown members take as long as known ones.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash(&Id::default().to_string()).unwrap_or_default());
/// The number of passwords that are hashed at once: each takes 19 MiB.
static HASHING: Semaphore = Semaphore::const_new(2);

impl Product {
    /// Opens the tables, and creates them if needed.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(5).connect(url).await?;
        // SQLite locks its file. On PostgreSQL, concurrent `CREATE TABLE IF NOT EXISTS` can fail.
        let lock = if url.starts_with("postgres") { "SELECT pg_advisory_xact_lock(5028841971);" } else { "" };
        sqlx::raw_sql(AssertSqlSafe(format!("{lock}{}", include_str!("../tables.sql")))).execute(&pool).await?;
        Ok(Product(pool))
    }

    /// Returns the plan of an organization, and what becomes of its leaked keys.
    pub(crate) async fn terms(&self, organization: &str) -> anyhow::Result<(String, String)> {
        let find = sqlx::query_as("SELECT plan, on_leak FROM platform_organization WHERE id = $1");
        let found = find.bind(organization).fetch_optional(&self.0).await?;
        found.with_context(|| format!("there is no organization {organization}"))
    }

    /// Returns the limits of a plan. The keys' manager asks before each new key.
    pub(crate) async fn limits(self, organization: OrganizationId) -> Result<Limits, axum::BoxError> {
        let (plan, _) = self.terms(organization.as_str()).await?;
        let (_, keys) = PLANS.into_iter().find(|(name, _)| *name == plan).context("an unknown plan")?;
        Ok(keys.map_or(Limits::new(), |keys| Limits::new().keys(keys)))
    }

    /// Creates an organization, or changes its plan and, if given, what becomes of its leaked keys.
    pub(crate) async fn set(&self, of: impl AsRef<str>, plan: &str, on_leak: Option<&str>) -> sqlx::Result<()> {
        let set = "INSERT INTO platform_organization VALUES ($1, $2, COALESCE($3, 'revoke')) ON CONFLICT (id)
            DO UPDATE SET plan = excluded.plan, on_leak = COALESCE($3, platform_organization.on_leak)";
        sqlx::query(set).bind(of.as_ref()).bind(plan).bind(on_leak).execute(&self.0).await.map(drop)
    }

    /// Adds a member, or gives one another password, which ends their sessions.
    pub(crate) async fn set_member(&self, of: &OrganizationId, email: &str, password: &str) -> anyhow::Result<()> {
        let email = email.trim().to_lowercase();
        // The address names them in the audit trail, too.
        let is_actor = Actor::user(&email, of.clone(), Rights::scopes(ScopeSet::default())).is_ok();
        ensure!(is_actor && email.len() <= 100 && email.contains('@') && !email.contains(' '), "no email address");
        self.terms(of.as_str()).await?;
        let set = "INSERT INTO platform_member VALUES ($1, $2, $3) ON CONFLICT (email) DO UPDATE
            SET password = excluded.password WHERE platform_member.organization = excluded.organization";
        let set = sqlx::query(set).bind(email).bind(of.as_str()).bind(hash(password)?).execute(&self.0).await?;
        ensure!(set.rows_affected() == 1, "this address is a member's of another organization");
        Ok(())
    }

    /// Removes a member, whose sessions are nobody's from then on. Returns `false` if there is none.
    pub(crate) async fn remove_member(&self, organization: &str, email: &str) -> sqlx::Result<bool> {
        let remove = sqlx::query("DELETE FROM platform_member WHERE organization = $1 AND email = $2");
        Ok(remove.bind(organization).bind(email).execute(&self.0).await?.rows_affected() == 1)
    }

    pub(crate) async fn members(&self, organization: &str) -> sqlx::Result<Vec<String>> {
        let list = sqlx::query_scalar("SELECT email FROM platform_member WHERE organization = $1 ORDER BY email");
        list.bind(organization).fetch_all(&self.0).await
    }

    pub(crate) async fn member(&self, (email, hash): &Login) -> sqlx::Result<Option<Member>> {
        let find = "SELECT email, organization, plan, on_leak FROM platform_member
            JOIN platform_organization ON id = organization WHERE email = $1 AND password = $2";
        let found = sqlx::query_as(find).bind(email).bind(hash).fetch_optional(&self.0).await?;
        Ok(found.map(|(email, organization, plan, on_leak)| Member { email, organization, plan, on_leak }))
    }

    /// Returns the login of the member with this address and password.
    pub(crate) async fn sign_in(&self, email: &str, password: String) -> anyhow::Result<Option<Login>> {
        let email = email.trim().to_lowercase();
        let find = sqlx::query_scalar("SELECT password FROM platform_member WHERE email = $1");
        let known: Option<String> = find.bind(&email).fetch_optional(&self.0).await?;
        let (turn, hash) = (HASHING.acquire().await?, known.clone());
        let is_right = spawn_blocking(move || {
            let hash = hash.as_ref().unwrap_or(&NOBODY);
            // Hashing goes on if nobody waits for it any more, and its turn lasts as long.
            (Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok(), turn).0
        });
        let is_right = is_right.await?;
        // They may have been removed, or got another password, meanwhile: requests ask for the member of this login.
        Ok(known.filter(|_| is_right).map(|hash| (email, hash)))
    }

    /// The projects of an organization. Each environment has its own, so that a leaked `dev` key harms nothing live.
    pub(crate) async fn projects(&self, (of, environment): (&str, &str)) -> sqlx::Result<Vec<String>> {
        let list = "SELECT name FROM platform_project WHERE organization = $1 AND environment = $2 ORDER BY name";
        sqlx::query_scalar(list).bind(of).bind(environment).fetch_all(&self.0).await
    }

    /// Creates a project, unless there is one of this name, or no room.
    pub(crate) async fn add_project(&self, of: (&str, &str), name: &str) -> anyhow::Result<()> {
        let is_name = !name.trim().is_empty() && name.chars().count() <= 200;
        ensure!(is_name, Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "A name has 1 to 200 characters."));
        let has_room = self.projects(of).await?.len() < 1_000;
        ensure!(has_room, Problem::new(StatusCode::CONFLICT, "too_many_projects", "There are 1,000 projects already."));
        let add = sqlx::query("INSERT INTO platform_project VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
        let is_new = add.bind(of.0).bind(of.1).bind(name).execute(&self.0).await?.rows_affected() == 1;
        ensure!(is_new, Problem::new(StatusCode::CONFLICT, "project_exists", "There is a project of this name."));
        Ok(())
    }
}

/// Hashes as OWASP recommends: Argon2id with 19 MiB, two passes and one lane.
fn hash(password: &str) -> anyhow::Result<String> {
    ensure!((12..=200).contains(&password.len()), "a password has 12 to 200 bytes");
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// Sessions by the digest of their id, so that a copy of the database signs nobody in.
#[async_trait]
impl SessionStore for Product {
    /// An id has 128 random bits, so no two sessions have the same.
    async fn create(&self, session: &mut Record) -> session_store::Result<()> {
        let sweep = sqlx::query("DELETE FROM platform_session WHERE ends_at <= $1");
        sweep.bind(OffsetDateTime::now_utc().unix_timestamp()).execute(&self.0).await.map_err(failed)?;
        self.save(session).await
    }

    async fn save(&self, Record { id, data, expiry_date }: &Record) -> session_store::Result<()> {
        let save = "INSERT INTO platform_session VALUES ($1, $2, $3)
            ON CONFLICT (digest) DO UPDATE SET data = excluded.data, ends_at = excluded.ends_at";
        let data = serde_json::to_string(data).map_err(failed)?;
        let save = sqlx::query(save).bind(digest(id)).bind(data).bind(expiry_date.unix_timestamp());
        save.execute(&self.0).await.map(drop).map_err(failed)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let load = sqlx::query_as("SELECT data, ends_at FROM platform_session WHERE digest = $1");
        let found: Option<(String, i64)> = load.bind(digest(id)).fetch_optional(&self.0).await.map_err(failed)?;
        let Some((data, ends_at)) = found else { return Ok(None) };
        let data = serde_json::from_str(&data).map_err(failed)?;
        let expiry_date = OffsetDateTime::from_unix_timestamp(ends_at).map_err(failed)?;
        Ok(Some(Record { id: *id, data, expiry_date }).filter(|found| found.expiry_date > OffsetDateTime::now_utc()))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        let delete = sqlx::query("DELETE FROM platform_session WHERE digest = $1").bind(digest(id));
        delete.execute(&self.0).await.map(drop).map_err(failed)
    }
}

fn digest(id: &Id) -> String {
    base16ct::lower::encode_string(&Sha256::digest(id.0.to_be_bytes()))
}

fn failed(error: impl Display) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}
