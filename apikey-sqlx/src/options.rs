//! The settings of a store's tables and connections.

use std::time::Duration;

use crate::{dialect::Dialect, error::ConnectError, query::Names};

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// The settings of a store's tables and connections.
///
/// ```
/// use apikey_sqlx::SqlOptions;
///
/// let options = SqlOptions::new().prefix("keys_").max_connections(4);
/// # #[cfg(feature = "sqlite")]
/// assert!(options.migrations(apikey_sqlx::Dialect::Sqlite)?.contains("CREATE TABLE keys_secret"));
/// # Ok::<(), apikey_sqlx::ConnectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqlOptions {
    pub(crate) prefix: String,
    pub(crate) schema: Option<String>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) migrate: bool,
    pub(crate) timeout: Duration,
    pub(crate) is_behind_pooler: bool,
}

impl Default for SqlOptions {
    fn default() -> Self {
        SqlOptions::new()
    }
}

impl SqlOptions {
    /// Creates the default settings: the prefix `apikey_`, and `connect` migrates.
    #[must_use]
    pub fn new() -> Self {
        SqlOptions {
            prefix: "apikey_".to_owned(),
            schema: None,
            max_connections: None,
            migrate: true,
            timeout: Duration::from_secs(10),
            is_behind_pooler: false,
        }
    }

    /// Sets the prefix of the names of tables, indexes, triggers and functions: up to 32 characters of `[a-z0-9_]`, not
    /// beginning with a digit. The default is `apikey_`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the PostgreSQL schema of the tables, which the migrations create if needed. It has the characters of a
    /// prefix. The default is the first schema of the connection's search path.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Sets the largest number of connections that the store opens itself: at least 3. The default is 12 for
    /// PostgreSQL. For SQLite it is 6 that read, beside one that writes.
    ///
    /// Lookups of keys, changes, and reads have a part each, and none waits for another. Of twelve connections to
    /// PostgreSQL, four are for lookups, two for reads and six for changes. Of six to SQLite, four are for lookups
    /// and two for reads. A service's own pool is divided alike and should have at least 3 connections, too.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = Some(connections);
        self
    }

    /// Sets whether `connect` applies the migrations. If it doesn't, tables of another version are an error. The
    /// default is `true`.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Sets the time limit for a statement, a lock or a connection: from 100 ms to a day. The default is 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says that a pooler between the store and PostgreSQL lends a session for each transaction, as PgBouncer does with
    /// `pool_mode = transaction`. In a URL, the parameter `statement-cache-capacity=0` says the same.
    ///
    /// `connect` finds such a pooler by itself: its connections see sessions change, or see each other's. Say it where
    /// that can't be seen, as with a session for every client that happens to be connected.
    #[must_use]
    pub fn transaction_pooling(mut self) -> Self {
        self.is_behind_pooler = true;
        self
    }

    /// Checks the settings.
    pub(crate) fn names(&self, dialect: Dialect) -> Result<Names, ConnectError> {
        check("prefix", &self.prefix)?;
        if let Some(schema) = &self.schema {
            check("schema", schema)?;
        }
        match (dialect, &self.schema) {
            #[cfg(feature = "sqlite")]
            (Dialect::Sqlite, Some(_)) => {
                Err(ConnectError::Option { option: "schema", reason: "SQLite has no schemas; use a prefix" })
            }
            _ if self.max_connections.is_some_and(|connections| connections < 3) => {
                let reason = "must be at least 3: one each for lookups, changes and reads";
                Err(ConnectError::Option { option: "max_connections", reason })
            }
            _ if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&self.timeout) => {
                Err(ConnectError::Option { option: "timeout", reason: "must be from 100 ms to a day" })
            }
            (dialect, schema) => Ok(Names::new(dialect, schema.as_deref(), &self.prefix)),
        }
    }
}

fn check(option: &'static str, name: &str) -> Result<(), ConnectError> {
    let is_first = |c: u8| c.is_ascii_lowercase() || c == b'_';
    let is_good = name.bytes().all(|c| is_first(c) || c.is_ascii_digit());
    match name.as_bytes() {
        [first, ..] if is_first(*first) && is_good && name.len() <= 32 => Ok(()),
        _ => Err(ConnectError::Option {
            option,
            reason: "must be 1 to 32 characters of [a-z0-9_] that don't begin with a digit",
        }),
    }
}
