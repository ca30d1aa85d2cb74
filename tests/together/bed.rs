//! A database, managers on it, and callers.

use std::{path::Path, time::Duration};

use apikey_core::{
    AuthenticatedKey, KeyFormat, Rejection,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};
use apikey_manager::{Actor, IssuedKey, KeyManager, KeyManagerBuilder, NewKey, OrganizationId, Receipt, Receipts};
use apikey_sqlx::SqlStore;
use apikey_testkit::{PgBouncer, PrivatePostgres};
use support::{patiently, ready};
use tempfile::TempDir;

/// Longer than anything takes, so that a test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bed {
    pub(crate) url: String,
    /// Around a pooler.
    direct: String,
    _folder: Option<TempDir>,
    _pooler: Option<PgBouncer>,
}

/// Longer than a test takes on one database.
const LIMIT: Duration = Duration::from_secs(300);

/// Waits for what comes to an end, and fails if it doesn't.
pub(crate) async fn within_limit(waited_for: impl Future<Output = ()>) {
    tokio::time::timeout(LIMIT, waited_for).await.expect("it exceeds its time limit");
}

/// Runs `test` on a file, on a server, and behind a pooler that lends a session for each transaction.
pub(crate) async fn on_each_database(test: impl AsyncFn(&Bed)) {
    let test = async |bed: &Bed| within_limit(test(bed)).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", Path::join(folder.path(), "keys.db").display());
    test(&Bed { direct: url.clone(), url, _folder: Some(folder), _pooler: None }).await;
    let Some(server) = PrivatePostgres::shared() else { return };
    test(&Bed::on(server.create_database())).await;
    let settings = ["pool_mode = transaction", "default_pool_size = 20", "server_round_robin = 1"];
    let Some(pooler) = PgBouncer::before(server, &settings) else { return };
    let direct = server.create_database();
    test(&Bed { url: pooler.url_of(&direct), direct, _folder: None, _pooler: Some(pooler) }).await;
}

impl Bed {
    pub(crate) fn on(url: String) -> Self {
        Bed { direct: url.clone(), url, _folder: None, _pooler: None }
    }

    /// Another process would do the same.
    pub(crate) async fn store(&self) -> SqlStore {
        patiently(|| SqlStore::connect(&self.url)).await
    }

    pub(crate) async fn builder(&self) -> KeyManagerBuilder {
        KeyManager::builder(self.store().await).format(KeyFormat::builder("tst").build().unwrap())
    }

    /// A manager that has joined the others.
    pub(crate) async fn manager(&self) -> KeyManager {
        let keys = self.builder().await.build().unwrap();
        ready(&keys).await;
        keys
    }

    /// Runs statements as an operator would.
    pub(crate) async fn run(&self, sql: &str) {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => {
                let file = sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
                let pool = sqlx::SqlitePool::connect_with(file).await.unwrap();
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&pool).await.unwrap();
                pool.close().await;
            }
            None => drop(PrivatePostgres::shared().unwrap().psql(&self.direct, sql)),
        }
    }
}

pub(crate) fn host() -> Actor {
    Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap()
}

pub(crate) async fn issue(keys: &KeyManager, key: NewKey) -> IssuedKey {
    keys.issue(&host(), key).await.unwrap()
}

/// Returns the receipt of what `change` does.
pub(crate) async fn receipt_of<T, E: std::fmt::Debug>(change: impl AsyncFnOnce(Actor) -> Result<T, E>) -> Receipt {
    let receipts = Receipts::default();
    change(host().with_receipts(&receipts)).await.unwrap();
    receipts.take().expect("a receipt")
}

struct Request(String);

impl RequestView for Request {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

/// A request with the key.
pub(crate) async fn request(keys: &KeyManager, key: &IssuedKey) -> Result<AuthenticatedKey, Rejection> {
    request_with(keys, key.secret().expose_secret()).await
}

pub(crate) async fn request_with(keys: &KeyManager, secret: &str) -> Result<AuthenticatedKey, Rejection> {
    let request = Request(format!("Bearer {secret}"));
    let decision = match keys.authenticator().authenticate(&request) {
        Authentication::Done(decision) => decision,
        Authentication::Loading(loading) => loading.await,
    };
    Ok(decision?.expect("a caller"))
}

pub(crate) async fn admit(keys: &KeyManager, key: &IssuedKey) -> AuthenticatedKey {
    request(keys, key).await.unwrap_or_else(|refused| panic!("refused with {}", refused.status()))
}

/// The status of the refusal.
pub(crate) async fn refusal(keys: &KeyManager, key: &IssuedKey) -> u16 {
    request(keys, key).await.expect_err("a refusal").status()
}

/// Waits until the key of a request under way is dead.
pub(crate) async fn ended(caller: &AuthenticatedKey) {
    assert!(tokio::time::timeout(PATIENCE, caller.revoked()).await.is_ok(), "what is under way goes on");
}
