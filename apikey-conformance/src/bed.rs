//! The store under test, and records with ids and digests that no other check uses.

use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apikey_core::{KeyDigest, KeyId, Timestamp};

use apikey_manager::{
    AccountQuery, Action, ActorId, AuditEvent, AuditFilter, AuditQuery, Bucket, Change, Changes, Cursor, Found,
    FoundKey, KeyFilter, KeyQuery, KeyRecord, KeySort, KeyStore, Lookup, OrganizationId, OrganizationRecord,
    ServiceAccount, ServiceAccountId, StoreError, Switched, UsageBatch, UsageBucket, UsageOf, UsageQuery, UsageRow,
};

/// The time that checks use as now: the beginning of an hour.
const NOW: i64 = 1_800_000_000_000;

/// Longer than any list of a check.
const ALL: usize = 100_000;

/// A store under test, and unique names.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) store: Arc<dyn KeyStore>,
    seed: [u8; 16],
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

impl Bed {
    pub(crate) fn new(store: Arc<dyn KeyStore>) -> Arc<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).unwrap();
        Arc::new(Bed { store, seed, made: AtomicU64::new(0) })
    }

    /// Returns the time this many seconds after now.
    pub(crate) fn at(&self, seconds: i64) -> Timestamp {
        Timestamp::from_millis(NOW + seconds * 1_000).unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.at(0)
    }

    /// Returns a text that no other bed uses.
    pub(crate) fn tag(&self) -> String {
        self.seed[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn unique(&self) -> String {
        format!("{}-{:06}", self.tag(), self.made.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn organization(&self, name: &str) -> OrganizationId {
        OrganizationId::new(format!("{name} {}", self.tag())).expect("a short name without control characters")
    }

    pub(crate) fn id(&self) -> KeyId {
        KeyId::new(self.unique()).expect("hex digits and dashes")
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        KeyDigest::sha256_from_bytes(self.digest_bytes())
    }

    pub(crate) fn digest_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.seed);
        bytes[16..24].copy_from_slice(&self.made.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes
    }

    /// Returns an ordinary key.
    pub(crate) fn key(&self, organization: &OrganizationId) -> KeyRecord {
        let mut key = KeyRecord::new(self.id(), organization.clone(), self.digest(), self.now(), actor("alice"));
        key.name = "a key".to_owned();
        key
    }

    pub(crate) fn account(&self, organization: &OrganizationId) -> ServiceAccount {
        let id = ServiceAccountId::new(format!("sa_{}", self.unique())).expect("hex digits and dashes");
        ServiceAccount::new(id, organization.clone(), "an account", self.now(), actor("alice"))
    }

    pub(crate) fn event(&self, organization: &OrganizationId, action: Action, target: impl Display) -> AuditEvent {
        let id = format!("evt_{}", self.unique());
        AuditEvent::new(id, self.now(), organization.clone(), actor("alice"), action, target.to_string())
    }

    /// Commits changes of access.
    pub(crate) async fn commit(
        &self,
        organization: &OrganizationId,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<Option<u64>, StoreError> {
        self.store.begin(organization).await?.commit(affecting(changes)).await
    }

    /// Inserts keys, in one transaction for each organization.
    pub(crate) async fn insert<'a>(&self, keys: impl IntoIterator<Item = &'a KeyRecord>) {
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_by(|a, b| a.organization.cmp(&b.organization));
        for keys in keys.chunk_by(|a, b| a.organization == b.organization) {
            self.commit(&keys[0].organization, keys.iter().copied().map(insertion)).await.unwrap();
        }
    }

    pub(crate) async fn insert_account(&self, account: &ServiceAccount) {
        self.commit(&account.organization, [Change::InsertAccount(account.clone())]).await.unwrap();
    }

    /// Returns a key as stored.
    pub(crate) async fn stored(&self, key: &KeyRecord) -> KeyRecord {
        self.store.key(&key.organization, &key.id).await.unwrap().expect("the key is stored")
    }

    /// Returns what the digest finds, which must be one key.
    pub(crate) async fn found(&self, digest: &KeyDigest) -> FoundKey {
        let found = self.found_by(std::slice::from_ref(digest)).await;
        let [found] = <[FoundKey; 1]>::try_from(found).expect("one digest finds one key");
        found
    }

    /// Returns what the digests find.
    pub(crate) async fn found_by(&self, digests: &[KeyDigest]) -> Vec<FoundKey> {
        self.look_up(digests).await.1
    }

    /// Returns what the digests find, and the revision of the answer.
    pub(crate) async fn look_up(&self, digests: &[KeyDigest]) -> (u64, Vec<FoundKey>) {
        let Lookup { revision, found } = self.store.find(digests).await.unwrap();
        let found = found.into_iter().map(|found| match found {
            Found::Key(key) => *key,
            Found::Corrupt { error, .. } => panic!("a corrupt row: {error}"),
        });
        (revision, found.collect())
    }

    pub(crate) fn every_key(&self, organization: &OrganizationId) -> KeyQuery {
        KeyQuery {
            organization: organization.clone(),
            filter: KeyFilter::default(),
            sort: KeySort::Created,
            now: self.now(),
            after: None,
            limit: ALL,
        }
    }

    pub(crate) fn every_account(&self, organization: &OrganizationId) -> AccountQuery {
        AccountQuery { organization: organization.clone(), after: None, limit: ALL }
    }

    pub(crate) fn every_event(&self, organization: &OrganizationId) -> AuditQuery {
        AuditQuery { organization: organization.clone(), filter: AuditFilter::default(), after: None, limit: ALL }
    }

    pub(crate) fn all_usage(&self, organization: &OrganizationId, of: UsageOf) -> UsageQuery {
        let (from, to) = (self.at(-HOUR * 1_000), self.at(HOUR * 1_000));
        UsageQuery { organization: organization.clone(), of, from, to, bucket: Bucket::Hour }
    }

    /// Returns the number of accepted and of refused requests.
    pub(crate) async fn total(&self, organization: &OrganizationId, of: UsageOf) -> (u64, u64) {
        let hours = self.store.usage(&self.all_usage(organization, of)).await.unwrap();
        hours.iter().fold((0, 0), |(ok, refused), hour| (ok + hour.ok, refused + hour.refused))
    }

    pub(crate) fn batch(&self, rows: impl IntoIterator<Item = UsageRow>) -> UsageBatch {
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by(|a, b| (&a.key, a.hour).cmp(&(&b.key, b.hour)));
        UsageBatch { id: self.unique(), at: self.now(), rows }
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

    pub(crate) async fn dump(&self, organizations: &[&OrganizationId]) -> Dump {
        let revision = self.store.revision().await.unwrap();
        let (mut accounts, mut events, mut usage) = (Vec::new(), Vec::new(), Vec::new());
        let mut dump =
            Dump { organizations: vec![], keys: vec![], accounts: vec![], events: vec![], usage: vec![], revision };
        for organization in organizations {
            dump.organizations.push(self.store.organization(organization).await.unwrap());
            dump.keys.extend(self.store.keys(&self.every_key(organization)).await.unwrap());
            accounts.extend(self.store.accounts(&self.every_account(organization)).await.unwrap());
            events.extend(self.store.audit(&self.every_event(organization)).await.unwrap());
            usage.extend(self.store.usage(&self.all_usage(organization, UsageOf::Organization)).await.unwrap());
        }
        Dump { accounts, events, usage, ..dump }
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

pub(crate) const HOUR: i64 = 3_600;

pub(crate) fn actor(name: &str) -> ActorId {
    ActorId::new(name).expect("a short name")
}

pub(crate) fn switched(at: Timestamp) -> Switched {
    Switched { at, by: actor("bob") }
}

pub(crate) fn insertion(key: &KeyRecord) -> Change {
    Change::InsertKey(Box::new(key.clone()))
}

/// Returns the next version of a key's record.
pub(crate) fn update(mut key: KeyRecord) -> Change {
    key.version += 1;
    Change::UpdateKey(Box::new(key))
}

pub(crate) fn affecting(changes: impl IntoIterator<Item = Change>) -> Changes {
    Changes { changes: changes.into_iter().collect(), affects_callers: true, ..Changes::default() }
}

#[track_caller]
pub(crate) fn assert_conflict<T: Debug>(result: Result<T, StoreError>, what: &str) {
    let is_conflict = result.as_ref().is_err_and(StoreError::is_conflict);
    assert!(is_conflict, "{what} must be refused as a conflict, but: {result:?}");
}

/// Returns an empty filter, changed by `set`.
pub(crate) fn made<T: Default>(set: impl FnOnce(&mut T)) -> T {
    let mut made = T::default();
    set(&mut made);
    made
}

/// Returns ids in order.
pub(crate) fn ids(keys: &[KeyRecord]) -> Vec<&str> {
    keys.iter().map(|key| key.id.as_str()).collect()
}

/// Returns all pages of a list with `size` rows each. `read` takes the cursor, and `place` returns the place of a row.
pub(crate) async fn pages<T: Debug, F: Future<Output = Result<Vec<T>, StoreError>>>(
    size: usize,
    read: impl Fn(Option<Cursor>) -> F,
    place: impl Fn(&T) -> Cursor,
) -> Vec<T> {
    let (mut rows, mut after) = (Vec::new(), None);
    let mut seen = BTreeSet::new();
    loop {
        let page = read(after.take()).await.unwrap();
        assert!(page.len() <= size, "a page of at most {size} rows has {}", page.len());
        let Some(last) = page.last() else { return rows };
        after = Some(place(last));
        for row in page {
            assert!(seen.insert(place(&row).to_string()), "a row stands on two pages: {row:?}");
            rows.push(row);
        }
    }
}

pub(crate) fn place_of_key(key: &KeyRecord) -> Cursor {
    Cursor { at: key.created_at, id: key.id.as_str().to_owned() }
}

/// Polls `future` this many times and drops it. Returns its output, if it was ready.
pub(crate) async fn for_steps<F: Future>(future: F, steps: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    for _ in 0..steps {
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
        if let std::task::Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// The longest time that a store may need.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A reproducible pseudorandom sequence.
#[derive(Debug)]
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Marsaglia's xorshift64*.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(crate) fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.below(2) == 0).then_some(value)
    }
}
