//! A database, and the keys that are there before any process starts.

use std::time::Duration;

use apikey_core::{KeyFormat, ManualClock, Timestamp};
use apikey_manager::{
    Actor, Bucket, IssuedKey, KeyManager, KeyStore, NewKey, OrganizationId, Overlap, UsageBatch, UsageRow,
};
use apikey_sqlx::SqlStore;
use apikey_testkit::PrivatePostgres;
use tempfile::TempDir;
use tokio::join;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

/// Runs `test` on a file and on a server at the same time, since it mostly waits.
pub(crate) async fn on_each_database(test: impl AsyncFn(Database)) {
    let on_server = async {
        if let Some(database) = Database::postgres() {
            test(database).await;
        }
    };
    join!(test(Database::sqlite()), on_server);
}

impl Database {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("keys.db").display());
        Database { url, _folder: Some(folder) }
    }

    /// Returns `None` where there is no PostgreSQL.
    fn postgres() -> Option<Self> {
        Some(Database { url: PrivatePostgres::shared()?.create_database(), _folder: None })
    }

    pub(crate) async fn store(&self) -> SqlStore {
        support::patiently(|| SqlStore::connect(&self.url)).await
    }

    /// Issues a key for the management API, and returns its secret.
    pub(crate) async fn admin(&self) -> String {
        let keys = self.visitor(ManualClock::new(), Timestamp::now()).await;
        let secret = issue(&keys, NewKey::new("admin").scopes(["*"])).await.secret().expose_secret().to_owned();
        keys.shutdown().await;
        secret
    }

    /// A manager whose clock shows `now`.
    async fn visitor(&self, clock: ManualClock, now: Timestamp) -> KeyManager {
        clock.set_wall(now);
        KeyManager::builder(self.store().await).format(format()).clock(clock).without_requests().build().unwrap()
    }

    /// Makes a key for each kind of alert that a sweep finds, and returns their ids with the names of the alerts.
    pub(crate) async fn keys_that_are_due(&self) -> [(String, String); 4] {
        let (clock, now) = (ManualClock::new(), Timestamp::now());
        let keys = self.visitor(clock.clone(), now.saturating_sub(DAY * 91)).await;
        let (old, unused) = (issue(&keys, NewKey::new("old")).await, issue(&keys, NewKey::new("unused")).await);
        clock.set_wall(now.saturating_sub(DAY * 20));
        let expiring = issue(&keys, NewKey::new("expiring").expires_in(DAY * 27 - HOUR)).await;
        let spiking = issue(&keys, NewKey::new("spiking")).await;
        // Its secret is new, but nobody uses it.
        keys.rotate(&host(), unused.id(), Overlap::None).await.unwrap();

        let this_hour = Bucket::Hour.start(now);
        let used = |key: &IssuedKey, hours_ago: u32, requests: u64| {
            let (hour, record) = (this_hour.saturating_sub(HOUR * hours_ago), key.record());
            let last_used = vec![(record.secrets[0].digest.clone(), hour)];
            UsageRow {
                key: record.id.clone(),
                organization: record.organization.clone(),
                service_account: None,
                environment: record.environment.clone(),
                hour,
                ok: requests,
                refused: 0,
                last_used,
            }
        };
        // The last hour that all processes have surely written is one of these, and after the next minute another.
        let spike = (0..=2).map(|hours_ago| used(&spiking, hours_ago, 5_000));
        let usual = (3..=100).map(|hours_ago| used(&spiking, hours_ago, 100));
        let mut rows: Vec<_> = spike.chain(usual).chain([used(&old, 0, 1)]).collect();
        rows.sort_by(|a, b| (&a.key, a.hour).cmp(&(&b.key, b.hour)));
        let store = self.store().await;
        assert!(store.add_usage(&UsageBatch { id: "usage".to_owned(), at: now, rows }).await.unwrap());
        store.close().await;
        keys.shutdown().await;
        let due = [
            (expiring, "key.expiring"),
            (old, "key.rotation_due"),
            (unused, "key.unused"),
            (spiking, "key.usage_spike"),
        ];
        due.map(|(key, event)| (key.id().to_string(), event.to_owned()))
    }

    /// Issues keys that nobody has used for a month and a half, and returns their ids.
    pub(crate) async fn unused_keys(&self, number: usize) -> Vec<String> {
        let keys = self.visitor(ManualClock::new(), Timestamp::now().saturating_sub(DAY * 45)).await;
        let mut ids = Vec::new();
        for n in 0..number {
            ids.push(issue(&keys, NewKey::new(format!("unused {n}"))).await.id().to_string());
        }
        keys.shutdown().await;
        ids
    }

    /// Has the next sweep look at everything again, as after a crash in the midst of the last one.
    pub(crate) async fn sweep_again(&self) {
        let store = self.store().await;
        loop {
            let swept = store.marker("swept_until").await.unwrap();
            if store.advance_marker("swept_until", swept.as_deref(), "0").await.unwrap() {
                break store.close().await;
            }
        }
    }
}

pub(crate) fn format() -> KeyFormat {
    KeyFormat::builder("tst").build().unwrap()
}

fn host() -> Actor {
    Actor::host("test", OrganizationId::new("acme").unwrap()).unwrap()
}

async fn issue(keys: &KeyManager, key: NewKey) -> IssuedKey {
    keys.issue(&host(), key).await.unwrap()
}
