//! Opens a store from a URL or a pool, after checking whether the database can be used.

use crate::{database::Database, dialect::Dialect, error::ConnectError, migrate, options::SqlOptions, store::SqlStore};

impl SqlStore {
    /// Opens the store at `url`, with the [default options](SqlOptions::new).
    ///
    /// `sqlite:keys.db` and `sqlite:///var/lib/keys.db` name a file, which is created if it is missing and is readable by its
    /// owner only. `postgres://user:password@host/database` (or `postgresql:`) names a server.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]. No error contains a part of the URL.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        SqlOptions::new().connect(url).await
    }

    /// Opens the store in the file that `pool` is connected to, with the [default options](SqlOptions::new).
    ///
    /// # Errors
    ///
    /// As [`SqlOptions::from_sqlite_pool`].
    #[cfg(feature = "sqlite")]
    pub async fn from_sqlite_pool(pool: &sqlx::SqlitePool) -> Result<Self, ConnectError> {
        SqlOptions::new().from_sqlite_pool(pool).await
    }

    /// Opens the store on the connections of `pool`, with the [default options](SqlOptions::new).
    ///
    /// # Errors
    ///
    /// As [`SqlOptions::from_postgres_pool`].
    #[cfg(feature = "postgres")]
    pub async fn from_postgres_pool(pool: sqlx::PgPool) -> Result<Self, ConnectError> {
        SqlOptions::new().from_postgres_pool(pool).await
    }
}

impl SqlOptions {
    /// Returns the migrations as SQL, to be applied by hand. Set [`migrate(false)`](SqlOptions::migrate) then.
    ///
    /// # Errors
    ///
    /// Returns an error if the prefix or the schema is malformed.
    pub fn migrations(&self, dialect: Dialect) -> Result<String, ConnectError> {
        Ok(migrate::printed(&self.names(dialect)?, self.schema.as_deref()))
    }

    /// Opens the store at `url`; see [`SqlStore::connect`].
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]. No error contains a part of the URL.
    pub async fn connect(&self, url: &str) -> Result<SqlStore, ConnectError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            #[cfg(feature = "sqlite")]
            Some("sqlite") => self.open(crate::sqlite::connect(url, self).await?).await,
            #[cfg(not(feature = "sqlite"))]
            Some("sqlite") => Err(ConnectError::Feature { url: "sqlite:", feature: "sqlite" }),
            #[cfg(feature = "postgres")]
            Some("postgres" | "postgresql") => self.open(crate::postgres::connect(url, self).await?).await,
            #[cfg(not(feature = "postgres"))]
            Some("postgres" | "postgresql") => Err(ConnectError::Feature { url: "postgres:", feature: "postgres" }),
            _ => Err(ConnectError::Url("begins with neither `sqlite:` nor `postgres:`")),
        }
    }

    /// Opens the store in the file that `pool` is connected to.
    ///
    /// The store opens connections of its own with the pool's options, because the durability of a commit is a setting of the
    /// connection and the service's other tables may need another.
    ///
    /// # Errors
    ///
    /// Returns an error if the pool's database is in memory, where other connections don't see it, or as
    /// [`SqlStore::connect`].
    #[cfg(feature = "sqlite")]
    pub async fn from_sqlite_pool(&self, pool: &sqlx::SqlitePool) -> Result<SqlStore, ConnectError> {
        self.open(crate::sqlite::open(pool.connect_options().as_ref().clone(), self).await?).await
    }

    /// Opens the store on the connections of `pool`. [Closing](apikey_manager::KeyStore::close) the store leaves it open.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::connect`].
    #[cfg(feature = "postgres")]
    pub async fn from_postgres_pool(&self, pool: sqlx::PgPool) -> Result<SqlStore, ConnectError> {
        self.open(crate::postgres::open(pool, self).await?).await
    }

    async fn open(&self, database: Database) -> Result<SqlStore, ConnectError> {
        match self.migrate {
            true => migrate::apply(&database, self.schema.as_deref()).await?,
            false => migrate::verify(&database).await?,
        }
        Ok(SqlStore::new(database))
    }
}
