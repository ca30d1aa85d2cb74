//! Stores and records for the tests.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use apikey_conformance::Fixture;
use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{ActorId, Change, Changes, KeyRecord, KeyStore, OrganizationId, StoreError};
use apikey_sqlx::{SqlOptions, SqlStore};
use apikey_testkit::{PgBouncer, PrivatePostgres};
use tempfile::TempDir;

/// An empty database, which any number of stores can open.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    folder: Option<TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        Place { name: "sqlite", url, folder: Some(folder) }
    }

    pub(crate) fn postgres() -> Option<Self> {
        let url = PrivatePostgres::shared()?.create_database();
        Some(Place { name: "postgres", url, folder: None })
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Place::sqlite()).chain(Place::postgres())
    }

    pub(crate) async fn open(&self) -> SqlStore {
        self.open_with(SqlOptions::new()).await
    }

    pub(crate) async fn open_with(&self, options: SqlOptions) -> SqlStore {
        // A busy machine may take longer than the three seconds that a connection may take.
        let begun = Instant::now();
        loop {
            match options.connect(&self.url).await {
                Ok(store) => return store,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
            }
        }
    }

    /// Runs statements outside the store.
    pub(crate) async fn run(&self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self.folder {
            Some(_) => sqlx::raw_sql(sql).execute(&sqlx::SqlitePool::connect(&self.url).await?).await.map(drop),
            None => sqlx::raw_sql(sql).execute(&sqlx::PgPool::connect(&self.url).await?).await.map(drop),
        }
    }

    /// Returns the number of rows that a statement selects.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(count(*) AS BIGINT) FROM ({sql}) AS rows"));
        match self.folder {
            Some(_) => {
                let pool = sqlx::SqlitePool::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
            }
            None => {
                let pool = sqlx::PgPool::connect(&self.url).await.unwrap();
                sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
            }
        }
    }

    /// Returns the files of a SQLite database.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let folder = self.folder.as_ref().unwrap().path();
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
    }
}

pub(crate) async fn sqlite_fixture() -> Fixture {
    let place = Place::sqlite();
    Fixture::new(place.open().await).keeping(place)
}

pub(crate) async fn postgres_fixture() -> Option<Fixture> {
    let place = Place::postgres()?;
    Some(Fixture::new(place.open().await).keeping(place))
}

/// Each transaction has another session than the last one, if several are open.
pub(crate) async fn pooler_fixture() -> Option<Fixture> {
    let server = PrivatePostgres::shared()?;
    let settings = ["pool_mode = transaction", "default_pool_size = 20", "server_round_robin = 1"];
    let pooler = PgBouncer::before(server, &settings)?;
    let store = SqlStore::connect(&pooler.url_of(&server.create_database())).await.unwrap();
    Some(Fixture::new(store).keeping(pooler))
}

pub(crate) fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

pub(crate) fn digest(n: u64) -> KeyDigest {
    let mut bytes = [0xa5; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    KeyDigest::sha256_from_bytes(bytes)
}

pub(crate) fn id(n: u64) -> KeyId {
    KeyId::new(format!("key_{n:08}")).unwrap()
}

pub(crate) fn someone() -> ActorId {
    ActorId::new("someone").unwrap()
}

/// Returns the `n`th key of acme.
pub(crate) fn key(n: u64) -> KeyRecord {
    let mut key = KeyRecord::new(id(n), acme(), digest(n), at(1_000_000 + n as i64), someone());
    key.name = format!("key {n}");
    key
}

pub(crate) fn insert(key: KeyRecord) -> Change {
    Change::InsertKey(Box::new(key))
}

pub(crate) fn changes(steps: impl IntoIterator<Item = Change>) -> Changes {
    let mut changes = Changes::default();
    changes.changes.extend(steps);
    changes.affects_callers = true;
    changes
}

/// Commits one change of acme.
pub(crate) async fn commit(
    store: &dyn KeyStore,
    steps: impl IntoIterator<Item = Change>,
) -> Result<Option<u64>, StoreError> {
    store.begin(&acme()).await?.commit(changes(steps)).await
}
