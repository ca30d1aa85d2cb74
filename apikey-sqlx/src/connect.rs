//! Opens a store from a URL or a pool, after checking whether the database can be used.

use crate::{database::Database, dialect::Dialect, error::ConnectError, migrate, options::SqlOptions, store::SqlStore};

impl SqlStore {
    /// Opens the store at `url`, with the [default options](SqlOptions::new).
    ///
    /// `sqlite:keys.db` and `sqlite:///var/lib/keys.db` name a file, which is created if it is missing and is readable
    /// by its owner only. A service may have tables of its own in that file: the store opens connections of its own,
    /// because the durability of a commit is a setting of the connection. `postgres://user:password@host/database` (or
    /// `postgresql:`) names a server.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]. No error contains a part of the URL.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        SqlOptions::new().connect(url).await
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

    /// Opens the store on the connections of `pool`. [Closing](apikey_manager::KeyStore::close) the store leaves it
    /// open.
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
