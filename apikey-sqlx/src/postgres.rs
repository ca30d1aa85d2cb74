//! PostgreSQL: the checks of a server, and the settings of connections and transactions.

use std::{collections::HashSet, str::FromStr, time::Duration};

use apikey_manager::OrganizationId;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Row, pool::PoolOptions, postgres::PgConnectOptions};

use crate::{
    database::{Change, Database, Pools},
    dialect::Dialect,
    error::{ConnectError, Failure},
    lanes::Lanes,
    options::SqlOptions,
    query::Names,
};

const CONNECTIONS: u32 = 12;
/// One for each kind of statement. Mostly one is open.
const DETACHED: u32 = 3;
const OLDEST: i32 = 140_000;
/// Poolers' error for a start parameter that they don't support.
const PROTOCOL_VIOLATION: &str = "08P01";
/// The number of times that two connections are asked for their sessions.
const MEETINGS: usize = 3;

/// The parameters that a URL may set. sqlx logs unknown ones with their values.
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
    let names = options.names(Dialect::Postgres)?;
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        if !PARAMETERS.contains(&name) && !name.starts_with("options[") {
            return Err(ConnectError::Url("has a parameter that is not known"));
        }
    }
    let server = PgConnectOptions::from_str(url)
        .map_err(|_| ConnectError::Url("is not of the form postgres://user:password@host:port/database"))?
        // No such number is ever read, and poolers refuse unknown parameters.
        .extra_float_digits(None);
    // Connected without the pool, which would retry a server that refuses.
    let (server, mut first) = reach(server, options.timeout).await?;
    check(&mut first).await?;
    let _ = first.close().await;
    refuse_poolers_of_transactions(&server, options.timeout).await?;
    let pool = pool(options.max_connections.unwrap_or(CONNECTIONS), options.timeout);
    Ok(database(pool.connect_lazy_with(server), true, names, options))
}

/// Returns the options of the store's own pools.
fn pool(connections: u32, timeout: Duration) -> PoolOptions<Postgres> {
    PoolOptions::<Postgres>::new()
        .max_connections(connections)
        .acquire_timeout(timeout.min(Duration::from_secs(3)))
        // It would be a round trip before each statement. Reads retry on another connection instead.
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // After a failover the primary's name may lead to a standby.
                match Server::of(connection).await?.unsuitable() {
                    None => Ok(()),
                    Some(reason) => Err(sqlx::Error::Protocol(reason)),
                }
            })
        })
}

/// Returns a small pool to the same server, whose connections are the caller's alone.
pub(crate) fn detached(pool_of_store: &PgPool, timeout: Duration) -> (Pools, Lanes) {
    let server = pool_of_store.connect_options().as_ref().clone();
    let pool = pool(DETACHED, timeout).connect_lazy_with(server);
    (Pools::Postgres { pool, is_own: true }, Lanes::of_server(DETACHED))
}

/// Uses a service's pool.
pub(crate) async fn open(pool: PgPool, options: &SqlOptions) -> Result<Database, ConnectError> {
    let names = options.names(Dialect::Postgres)?;
    check(&mut *pool.acquire().await?).await?;
    refuse_poolers_of_transactions(&pool.connect_options(), options.timeout).await?;
    Ok(database(pool, false, names, options))
}

/// `is_own` is `true` if the pool is the store's and is closed with it.
fn database(pool: PgPool, is_own: bool, names: Names, options: &SqlOptions) -> Database {
    let lanes = Lanes::of_server(pool.options().get_max_connections());
    Database::new(Pools::Postgres { pool, is_own }, lanes, names, options.timeout)
}

/// Opens a connection with the settings of the store's own sessions, and returns the options for more.
///
/// The settings are start parameters. A `SET` would stay in a session that a pooler lends to the next client. A pooler
/// ignores or refuses start parameters that it doesn't track per client; if it refuses them, the store does without.
async fn reach(server: PgConnectOptions, timeout: Duration) -> Result<(PgConnectOptions, PgConnection), ConnectError> {
    let own = server.clone().options(settings(timeout));
    match connect_to(&own, timeout).await {
        Err(sqlx::Error::Database(refused)) if refused.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
            let connection = connect_to(&server, timeout).await?;
            Ok((server, connection))
        }
        connection => Ok((own, connection?)),
    }
}

async fn connect_to(server: &PgConnectOptions, timeout: Duration) -> Result<PgConnection, sqlx::Error> {
    let connection = tokio::time::timeout(timeout, PgConnection::connect_with(server)).await;
    connection.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// The facts about a server that decide whether it can be used.
struct Server {
    version: i32,
    encoding: String,
    is_recovering: bool,
    is_read_only: bool,
}

impl Server {
    async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        // Not prepared, because prepared statements fail on some of the connections that this is to recognize.
        let asked = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), \
                     pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool";
        let row = sqlx::raw_sql(asked).fetch_one(connection).await?;
        Ok(Server {
            version: row.try_get(0)?,
            encoding: row.try_get(1)?,
            is_recovering: row.try_get(2)?,
            is_read_only: row.try_get(3)?,
        })
    }

    /// Returns the reason why the server can't be used, if there is one.
    fn unsuitable(&self) -> Option<String> {
        match self {
            Server { version: ..OLDEST, .. } => {
                Some(format!("it is PostgreSQL {}, and must be 14 or later", self.version / 10_000))
            }
            Server { encoding, .. } if encoding != "UTF8" => {
                Some(format!("its encoding is {encoding}, and must be UTF8: not all names could be kept"))
            }
            Server { is_recovering: true, .. } => Some("it is recovering, or a standby".to_owned()),
            Server { is_read_only: true, .. } => Some("it is read-only".to_owned()),
            _ => None,
        }
    }
}

async fn check(connection: &mut PgConnection) -> Result<(), ConnectError> {
    match Server::of(connection).await?.unsuitable() {
        None => Ok(()),
        Some(reason) => Err(ConnectError::Unsuitable(reason)),
    }
}

async fn refuse_poolers_of_transactions(server: &PgConnectOptions, timeout: Duration) -> Result<(), ConnectError> {
    let met = tokio::time::timeout(timeout.min(Duration::from_secs(3)), meet(server)).await;
    // A failed check is not suspicious.
    if !matches!(met, Ok(Ok(true))) {
        return Ok(());
    }
    let reason =
        "it is behind a pooler of transactions; connect to the server itself, or have the pooler pool sessions";
    Err(ConnectError::Unsuitable(reason.to_owned()))
}

/// Returns `true` if two connections share a session, which a pooler then lends for each transaction. `false` proves
/// nothing: another client may have been faster.
async fn meet(server: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let (mut one, mut other) = (PgConnection::connect_with(server).await?, PgConnection::connect_with(server).await?);
    let (mut of_one, mut of_other) = (HashSet::new(), HashSet::new());
    for _ in 0..MEETINGS {
        of_one.insert(session(&mut one).await?);
        of_other.insert(session(&mut other).await?);
    }
    let _ = (one.close().await, other.close().await);
    Ok(!of_one.is_disjoint(&of_other))
}

/// The identity of a connection's session: its process and its start.
async fn session(connection: &mut PgConnection) -> Result<(i32, String), sqlx::Error> {
    let asked = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = sqlx::raw_sql(asked).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Time limits and planner settings. Only index scans and nested loops are enabled: with stale statistics, as after an
/// import, the planner would read whole tables for one key, or spend a hundred times a lookup's time on compiling it.
fn settings(timeout: Duration) -> [(&'static str, String); 6] {
    let millis = timeout.as_millis().to_string();
    let off = || "off".to_owned();
    [
        ("statement_timeout", millis.clone()),
        ("lock_timeout", millis),
        ("enable_hashjoin", off()),
        ("enable_mergejoin", off()),
        ("enable_seqscan", off()),
        ("jit", off()),
    ]
}

/// Waits for the advisory lock with this number and holds it until the change ends.
pub(crate) async fn lock(change: &mut Change, names: &Names, number: i64) -> Result<(), Failure> {
    change.execute(names.query("SELECT pg_advisory_xact_lock($1)").bind(number)).await.map(drop)
}

/// Locks an organization's row, which is created if needed.
pub(crate) async fn lock_organization(
    change: &mut Change,
    names: &Names,
    organization: &OrganizationId,
) -> Result<(), Failure> {
    let lock = || names.query("SELECT 1 FROM @organization WHERE id = $1 FOR UPDATE").bind(organization.as_str());
    if change.fetch(lock()).await?.is_empty() {
        let made = "INSERT INTO @organization (id) VALUES ($1) ON CONFLICT (id) DO NOTHING";
        change.execute(names.query(made).bind(organization.as_str())).await?;
        change.fetch(lock()).await?;
    }
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use apikey_testkit::PrivatePostgres;

    use super::*;

    #[tokio::test]
    async fn given_sessions_of_the_stores_own_when_asked_then_they_have_its_settings_from_the_start() {
        let Some(server) = PrivatePostgres::shared() else { return };
        let options = SqlOptions::new().timeout(Duration::from_secs(7));
        let database = connect(&server.create_database(), &options).await.unwrap();
        let query = database.names.query("SELECT name || '=' || setting || ' by ' || source AS told FROM pg_settings ");
        for rows in [database.look_up(query.clone()).await.unwrap(), database.fetch(query).await.unwrap()] {
            let set: Vec<&str> = rows.iter().map(|row| row.get("told").unwrap()).collect();
            for (name, value) in settings(options.timeout) {
                assert!(set.contains(&&*format!("{name}={value} by client")), "{name}");
            }
            assert!(set.iter().all(|set| !set.ends_with("by session")), "a setting that outlives the store: {set:?}");
        }
    }
}
