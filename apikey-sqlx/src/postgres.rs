//! PostgreSQL: which servers may be used, and what connections and transactions are set to.

use std::{str::FromStr, time::Duration};

use apikey_manager::OrganizationId;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, pool::PoolOptions, postgres::PgConnectOptions};

use crate::{
    database::{Change, Database, Pools},
    error::ConnectError,
    options::{Dialect, SqlOptions},
    query::Names,
};

const CONNECTIONS: u32 = 10;
const OLDEST: i32 = 140_000;

/// What a URL may set. sqlx logs parameters it doesn't know, with their values.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

pub(crate) async fn connect(url: &str, options: &SqlOptions) -> Result<Database, ConnectError> {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        if !PARAMETERS.contains(&name) && !name.starts_with("options[") {
            return Err(ConnectError::Url("has a parameter that is not known"));
        }
    }
    let server = PgConnectOptions::from_str(url)
        .map_err(|_| ConnectError::Url("is not of the form postgres://user:password@host:port/database"))?;
    let settings = settings(options.timeout);
    let pool = PoolOptions::<Postgres>::new()
        .max_connections(options.max_connections.unwrap_or(CONNECTIONS))
        .acquire_timeout(options.timeout.min(Duration::from_secs(3)))
        // A question to the server before every question to the server: reads try another connection instead.
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await?;
                // A name that led to the primary may lead to its standby after a failover.
                match unsuitable(connection).await? {
                    None => Ok(()),
                    Some(reason) => Err(sqlx::Error::Protocol(reason)),
                }
            })
        });
    // Reached once without the pool, which would ask a server that refuses again and again.
    let mut first = tokio::time::timeout(options.timeout, PgConnection::connect_with(&server))
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)??;
    check(&mut first).await?;
    first.close().await?;
    open(pool.connect_lazy_with(server), true, options).await
}

/// `is_own`: is the pool the store's, to be closed with it?
pub(crate) async fn open(pool: PgPool, is_own: bool, options: &SqlOptions) -> Result<Database, ConnectError> {
    let names = options.names(Dialect::Postgres)?;
    if !is_own {
        check(&mut *pool.acquire().await?).await?;
    }
    Ok(Database::new(Pools::Postgres { pool, is_own }, names, options.timeout))
}

async fn check(connection: &mut PgConnection) -> Result<(), ConnectError> {
    let version: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(&mut *connection).await?;
    if version < OLDEST {
        let version = version / 10_000;
        return Err(ConnectError::Unsuitable(format!("it is PostgreSQL {version}, and must be 14 or later")));
    }
    match unsuitable(connection).await? {
        None => Ok(()),
        Some(reason) => Err(ConnectError::Unsuitable(reason)),
    }
}

async fn unsuitable(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let (is_recovering, is_read_only): (bool, bool) =
        sqlx::query_as("SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool")
            .fetch_one(connection)
            .await?;
    Ok(match (is_recovering, is_read_only) {
        (true, _) => Some("it is recovering, or a standby".to_owned()),
        (_, true) => Some("it is read-only".to_owned()),
        _ => None,
    })
}

/// Nothing waits for ever. And every statement is made to go by an index from row to row; other ways of joining are
/// switched off, since without fresh statistics, as after an import, the planner reads whole tables for one key, or
/// spends a hundred times a look-up's time on compiling it.
fn settings(timeout: Duration) -> String {
    let millis = timeout.as_millis();
    format!(
        "SET statement_timeout = {millis}; SET lock_timeout = {millis}; \
         SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET jit = off"
    )
}

/// How a change begins, on a pool whose connections somebody else has set up too. Rows are locked, so read committed is
/// enough, and nothing ever has to be tried again; `READ WRITE` is not said, since it would overrule a server that has
/// been made read-only.
pub(crate) fn begin(timeout: Duration) -> String {
    let millis = timeout.as_millis();
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; \
         SET LOCAL statement_timeout = {millis}; \
         SET LOCAL lock_timeout = {millis}; \
         SET LOCAL idle_in_transaction_session_timeout = {}; \
         SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
        3 * millis,
    )
}

/// Waits for whoever has this number, and has it until the change ends.
pub(crate) async fn lock(change: &mut Change, names: &Names, number: i64) -> Result<(), sqlx::Error> {
    change.execute(names.query("SELECT pg_advisory_xact_lock($1)").bind(number)).await.map(drop)
}

/// Locks an organization's row, which is made where there is none.
pub(crate) async fn lock_organization(
    change: &mut Change,
    names: &Names,
    organization: &OrganizationId,
) -> Result<(), sqlx::Error> {
    let lock = || names.query("SELECT 1 FROM @organization WHERE id = $1 FOR UPDATE").bind(organization.as_str());
    if change.fetch(lock()).await?.is_empty() {
        let made = "INSERT INTO @organization (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
        change.execute(names.query(made).bind(organization.as_str())).await?;
        change.fetch(lock()).await?;
    }
    Ok(())
}
