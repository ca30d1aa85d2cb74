//! A store in memory for the rules, and unique names.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use apikey_core::{KeyDigest, KeyId, Timestamp};
use apikey_manager::{
    AccountQuery, ActorId, AuditEvent, AuditFilter, AuditQuery, Bucket, Change, Changes, Found, FoundKey, KeyFilter,
    KeyQuery, KeyRecord, KeySort, KeyStore, MemoryStore, OrganizationId, OrganizationRecord, ServiceAccount,
    UsageBucket, UsageOf, UsageQuery, UsageRow,
};

/// The time that the rules use as now: the beginning of an hour.
const NOW: i64 = 1_800_000_000_000;
/// More rows than any rule inserts.
const ALL: usize = 100_000;
pub(crate) const HOUR: i64 = 3_600;

#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) memory: MemoryStore,
    pub(crate) store: Arc<dyn KeyStore>,
    made: AtomicU64,
}

/// The complete state of some organizations, for comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dump {
    organizations: Vec<OrganizationRecord>,
    keys: Vec<KeyRecord>,
    accounts: Vec<ServiceAccount>,
    events: Vec<AuditEvent>,
    usage: Vec<UsageBucket>,
    revision: u64,
}

impl Dump {
    /// The same after one more revision. A repeated end takes one, since whoever repeats it waits like the first.
    pub(crate) fn one_revision_later(mut self) -> Self {
        self.revision += 1;
        self
    }
}

impl Bed {
    pub(crate) fn new() -> Arc<Self> {
        let memory = MemoryStore::new();
        Arc::new(Bed { store: Arc::new(memory.clone()), memory, made: AtomicU64::new(1) })
    }

    /// Returns the time this many seconds after now.
    pub(crate) fn at(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW + seconds * 1_000).unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.at(0)
    }

    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn unique(&self) -> String {
        format!("made-{:06}", self.next())
    }

    pub(crate) fn organization(&self, name: &str) -> OrganizationId {
        OrganizationId::new(name).unwrap()
    }

    pub(crate) fn id(&self) -> KeyId {
        KeyId::new(self.unique()).unwrap()
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        let mut bytes = [0xd1; 32];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        KeyDigest::sha256_from_bytes(bytes)
    }

    /// Returns what the digest finds, which must be one key.
    pub(crate) async fn found(&self, digest: &KeyDigest) -> FoundKey {
        let [found] = <[FoundKey; 1]>::try_from(self.found_by(std::slice::from_ref(digest)).await).unwrap();
        found
    }

    pub(crate) async fn found_by(&self, digests: &[KeyDigest]) -> Vec<FoundKey> {
        let found = self.store.find(digests).await.unwrap().found.into_iter().map(|found| match found {
            Found::Key(key) => *key,
            Found::Corrupt { error, .. } => panic!("a corrupt row: {error}"),
        });
        found.collect()
    }

    pub(crate) fn every_key(&self, organization: &OrganizationId) -> KeyQuery {
        let (organization, filter) = (organization.clone(), KeyFilter::default());
        KeyQuery { organization, filter, sort: KeySort::Created, now: self.now(), after: None, limit: ALL }
    }

    pub(crate) fn every_event(&self, organization: &OrganizationId) -> AuditQuery {
        let (organization, filter) = (organization.clone(), AuditFilter::default());
        AuditQuery { organization, filter, after: None, limit: ALL }
    }

    pub(crate) async fn dump(&self, organizations: &[&OrganizationId]) -> Dump {
        let store = &self.store;
        let revision = store.revision().await.unwrap();
        let mut dump = Dump {
            organizations: Vec::new(),
            keys: Vec::new(),
            accounts: Vec::new(),
            events: Vec::new(),
            usage: Vec::new(),
            revision,
        };
        for &organization in organizations {
            let (from, to) = (self.at(-HOUR * 1_000), self.at(HOUR * 1_000));
            let (of, bucket) = (UsageOf::Organization, Bucket::Hour);
            let usage = UsageQuery { organization: organization.clone(), of, from, to, bucket };
            let accounts = AccountQuery { organization: organization.clone(), after: None, limit: ALL };
            dump.organizations.push(store.organization(organization).await.unwrap());
            dump.keys.extend(store.keys(&self.every_key(organization)).await.unwrap());
            dump.accounts.extend(store.accounts(&accounts).await.unwrap());
            dump.events.extend(store.audit(&self.every_event(organization)).await.unwrap());
            dump.usage.extend(store.usage(&usage).await.unwrap());
        }
        dump
    }

    /// Returns an ordinary key.
    pub(crate) fn key(&self, organization: &OrganizationId) -> KeyRecord {
        let by = ActorId::new("alice").unwrap();
        let mut key = KeyRecord::new(self.id(), organization.clone(), self.digest(), self.now(), by);
        key.name = "a key".to_owned();
        key
    }

    /// Inserts keys of one organization.
    pub(crate) async fn insert(&self, keys: &[KeyRecord]) {
        let mut changes = Changes::default();
        changes.changes.extend(keys.iter().map(|key| Change::InsertKey(Box::new(key.clone()))));
        self.store.begin(&keys[0].organization).await.unwrap().commit(changes).await.unwrap();
    }

    /// Returns this many requests of a key in the hour that begins now.
    pub(crate) fn used(&self, key: &KeyRecord, ok: u64, refused: u64) -> UsageRow {
        UsageRow {
            key: key.id.clone(),
            organization: key.organization.clone(),
            service_account: key.service_account.clone(),
            environment: key.environment.clone(),
            hour: self.now(),
            ok,
            refused,
            last_used: Vec::new(),
        }
    }

    /// Runs it `count` times concurrently, and returns the results in order.
    pub(crate) async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        self: &Arc<Self>,
        count: usize,
        work: impl Fn(Arc<Bed>, usize) -> F,
    ) -> Vec<T> {
        let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(work(Arc::clone(self), n))).collect();
        let mut results = Vec::with_capacity(count);
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }
}

/// Returns an empty filter, changed by `set`.
pub(crate) fn made<T: Default>(set: impl FnOnce(&mut T)) -> T {
    let mut made = T::default();
    set(&mut made);
    made
}
