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
    sessions::{Sessions, settings},
};

const CONNECTIONS: u32 = 12;
/// One for a renewal's statements, and one for when that has to be replaced. A listener has another.
const DETACHED: u32 = 2;
const OLDEST: i32 = 140_000;
/// The parameter of a URL by which users of sqlx say that a pooler lends sessions.
const NO_CACHE: &str = "statement-cache-capacity=0";
/// Poolers' errors for a start parameter that they don't support: a violation of the protocol, or the class of features that
/// are missing.
const REFUSED_PARAMETER: [&str; 2] = ["08P01", "0A"];
/// The number of connections that are asked for their sessions if a pooler may be there. More than there are poolers behind
/// one address, so that two of them meet at one pooler.
const WITNESSES: usize = 12;
/// The number of times that they are asked.
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
    check(&mut first, options.timeout).await?;
    let is_told = options.is_behind_pooler || parameters.split('&').any(|parameter| parameter == NO_CACHE);
    let sessions = sessions(&server, first, is_told, options.timeout).await?;
    let pool = pool(options.max_connections.unwrap_or(CONNECTIONS), options.timeout);
    Ok(database(pool.connect_lazy_with(server), true, sessions, names, options))
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
pub(crate) fn detached(pool_of_store: &PgPool, sessions: Sessions, timeout: Duration) -> (Pools, Lanes) {
    let server = pool_of_store.connect_options().as_ref().clone();
    let pool = pool(DETACHED, timeout).connect_lazy_with(server);
    (Pools::Postgres { pool, is_own: true, sessions }, Lanes::of_server(DETACHED))
}

/// Returns a pool of one connection to the same server. A listener that is given up may hold its connection for as long as a
/// silent network lets it, which must not be at the expense of renewals.
pub(crate) fn of_a_listener(pool_of_store: &PgPool, timeout: Duration) -> PgPool {
    pool(1, timeout).connect_lazy_with(pool_of_store.connect_options().as_ref().clone())
}

/// Uses a service's pool.
pub(crate) async fn open(pool: PgPool, options: &SqlOptions) -> Result<Database, ConnectError> {
    let names = options.names(Dialect::Postgres)?;
    let (server, mut first) = reach(pool.connect_options().as_ref().clone(), options.timeout).await?;
    check(&mut first, options.timeout).await?;
    let sessions = sessions(&server, first, options.is_behind_pooler, options.timeout).await?;
    Ok(database(pool, false, sessions, names, options))
}

/// `is_own` is `true` if the pool is the store's and is closed with it.
fn database(pool: PgPool, is_own: bool, sessions: Sessions, names: Names, options: &SqlOptions) -> Database {
    let lanes = Lanes::of_server(pool.options().get_max_connections());
    Database::new(Pools::Postgres { pool, is_own, sessions }, lanes, names, options.timeout)
}

/// Opens a connection with the settings of the store's own sessions, and returns the options for more.
///
/// The settings are start parameters. A `SET` would stay in a session that a pooler lends to the next client. A pooler
/// ignores or refuses start parameters that it doesn't track per client; if it refuses them, the store does without.
async fn reach(server: PgConnectOptions, timeout: Duration) -> Result<(PgConnectOptions, PgConnection), ConnectError> {
    let own = server.clone().options(settings(timeout));
    match connect_to(&own, timeout).await {
        Err(sqlx::Error::Database(refused))
            if refused.code().is_some_and(|code| REFUSED_PARAMETER.iter().any(|refusal| code.starts_with(refusal))) =>
        {
            let connection = connect_to(&server, timeout).await?;
            Ok((server, connection))
        }
        connection => Ok((own, connection?)),
    }
}

async fn connect_to(server: &PgConnectOptions, timeout: Duration) -> Result<PgConnection, sqlx::Error> {
    within(timeout, PgConnection::connect_with(server)).await
}

/// A pooler that has no session left accepts a connection, and lets its first statement wait.
async fn within<T>(timeout: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(timeout, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
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

async fn check(connection: &mut PgConnection, timeout: Duration) -> Result<(), ConnectError> {
    match within(timeout, Server::of(connection)).await?.unsuitable() {
        None => Ok(()),
        Some(reason) => Err(ConnectError::Unsuitable(reason)),
    }
}

/// Finds out who has a connection's session between two transactions, unless it `is_told` that others do. `first` is a
/// connection with the settings of the store's own sessions, if the server has taken them.
async fn sessions(
    server: &PgConnectOptions,
    mut first: PgConnection,
    is_told: bool,
    timeout: Duration,
) -> Result<Sessions, ConnectError> {
    let is_lent = is_told || {
        let has_taken = within(timeout, has_settings(&mut first)).await?;
        let limit = timeout.min(Duration::from_secs(3));
        match meet(server, 2, limit).await {
            Ok(false) if !has_taken => meet(server, WITNESSES, limit).await.unwrap_or(true),
            Ok(shares) => shares,
            // There are no connections left, or they are slow. Only a server itself, or a pooler of sessions, takes settings.
            Err(_) => !has_taken,
        }
    };
    let _ = first.close().await;
    if !is_lent {
        return Ok(Sessions::Own);
    }
    // Twice, because a pooler reports its own troubles with the same code.
    if within(timeout, transact(server)).await.is_err() {
        match within(timeout, transact(server)).await {
            Err(sqlx::Error::Database(_)) => {
                let reason =
                    "it is behind a pooler that refuses transactions; have the pooler pool transactions or sessions";
                return Err(ConnectError::Unsuitable(reason.to_owned()));
            }
            transacted => transacted?,
        }
    }
    tracing::info!(target: "apikey", "a pooler lends sessions of the server, so each statement has a transaction");
    Ok(Sessions::Lent)
}

/// Returns `true` if the settings of the connection's start are in force.
async fn has_settings(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let asked = "SELECT current_setting('enable_seqscan')::bool OR current_setting('enable_hashjoin')::bool";
    sqlx::raw_sql(asked).fetch_one(connection).await?.try_get::<bool, _>(0).map(|is_usual| !is_usual)
}

/// Returns `true` if a connection's session changes, or if connections share one: a pooler lends sessions. `false` proves
/// nothing, because other clients may have taken part, and there may be several poolers.
async fn meet(server: &PgConnectOptions, connections: usize, timeout: Duration) -> Result<bool, sqlx::Error> {
    let mut witnesses = Vec::with_capacity(connections);
    for _ in 0..connections {
        witnesses.push((connect_to(server, timeout).await?, HashSet::new()));
    }
    for _ in 0..MEETINGS {
        for (connection, sessions) in &mut witnesses {
            // Twice, because connections that take turns may each have the same one of as many sessions.
            for _ in 0..2 {
                sessions.insert(within(timeout, session(connection)).await?);
            }
        }
    }
    let changes = witnesses.iter().any(|(_, sessions)| sessions.len() > 1);
    let all: HashSet<_> = witnesses.iter().flat_map(|(_, sessions)| sessions).collect();
    let shares = changes || all.len() < connections;
    for (connection, _) in witnesses {
        let _ = connection.close().await;
    }
    Ok(shares)
}

/// The identity of a connection's session: its process and, if its role may see it, its start.
async fn session(connection: &mut PgConnection) -> Result<(i32, Option<String>), sqlx::Error> {
    let asked = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = sqlx::raw_sql(asked).fetch_one(connection).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn transact(server: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(server).await?;
    for statement in ["BEGIN", "SELECT 1", "COMMIT"] {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    connection.close().await
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
    use apikey_testkit::{PgBouncer, PrivatePostgres};

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

    const LENT: [&str; 3] =
        ["pool_mode = transaction", "default_pool_size = 3", "ignore_startup_parameters = extra_float_digits"];

    #[tokio::test]
    async fn given_sessions_that_a_pooler_lends_when_asked_then_each_statement_has_the_stores_settings_and_leaves_none()
    {
        let Some(server) = PrivatePostgres::shared() else { return };
        let Some(pooler) = PgBouncer::before(server, &LENT) else { return };
        let options = SqlOptions::new().timeout(Duration::from_secs(7));
        let url = pooler.url_of(&server.create_database());
        let database = connect(&url, &options).await.unwrap();
        assert!(matches!(database.pools, Pools::Postgres { sessions: Sessions::Lent, .. }));
        let query = database.names.query("SELECT name || '=' || setting AS told FROM pg_settings");
        let mut change = database.begin().await.unwrap();
        let in_change = change.fetch(query.clone()).await.unwrap();
        change.rollback().await;
        for rows in [database.look_up(query.clone()).await.unwrap(), database.fetch(query).await.unwrap(), in_change] {
            let set: Vec<&str> = rows.iter().map(|row| row.get("told").unwrap()).collect();
            for (name, value) in settings(options.timeout) {
                assert!(set.contains(&&*format!("{name}={value}")), "{name}");
            }
        }
        for _ in 0..10 {
            let mut next = PgConnection::connect(&url).await.unwrap();
            assert!(!has_settings(&mut next).await.unwrap(), "a setting that outlives a transaction");
        }
    }
}
