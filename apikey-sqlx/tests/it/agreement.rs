//! A store in a database answers as the store in memory does, after any sequence of operations.

use std::{fmt::Debug, time::Duration};

use apikey_core::{KeyDigest, PepperVersion, ScopeSet, Timestamp};
use apikey_manager::{
    AccountQuery, Action, ActorId, AuditEvent, AuditFilter, AuditQuery, Bucket, Change, Cursor, Found, FoundKey,
    KeyFilter, KeyQuery, KeyRecord, KeySort, KeyState, KeyStore, Lineage, Lookup, Made, MemoryStore, OrganizationId,
    OrganizationRecord, Prune, ReachQuery, Revocation, SecretRecord, Selection, ServiceAccount, ServiceAccountId,
    Status, StoreError, Switched, UsageBatch, UsageOf, UsageQuery, UsageRow,
};
use serde_json::json;

use crate::support::{Place, at, changes, id};

/// Pseudorandom numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.roll(3) == 0).then_some(value)
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize].clone()
    }

    fn moment(&mut self) -> Timestamp {
        at(1_000_000 + self.roll(40) as i64)
    }

    /// Returns a moment for a query: a near one, the first or the last.
    fn any_moment(&mut self) -> Timestamp {
        match self.roll(8) {
            0 => Timestamp::UNIX_EPOCH,
            1 => Timestamp::MAX,
            _ => self.moment(),
        }
    }

    fn organization(&mut self) -> OrganizationId {
        self.pick(&["acme", "Ümlaut & Söhne"].map(|name| OrganizationId::new(name).unwrap()))
    }

    fn account(&mut self) -> ServiceAccountId {
        ServiceAccountId::new(format!("sa_{}", self.roll(6))).unwrap()
    }

    fn actor(&mut self) -> ActorId {
        self.pick(&["alice", "bob"].map(|name| ActorId::new(name).unwrap()))
    }

    fn switched(&mut self) -> Option<Switched> {
        let switched = Switched { at: self.moment(), by: self.actor() };
        self.maybe(switched)
    }

    fn digest(&mut self) -> KeyDigest {
        let bytes = [self.roll(60) as u8; 32];
        match self.roll(4) {
            0 => KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(2), bytes),
            _ => KeyDigest::sha256_from_bytes(bytes),
        }
    }

    fn key(&mut self, organization: OrganizationId) -> KeyRecord {
        let (number, digest, created_at, by) = (self.roll(40), self.digest(), self.moment(), self.actor());
        let mut key = KeyRecord::new(id(number), organization, digest, created_at, by);
        if self.roll(8) == 0 {
            let older = SecretRecord::new(self.digest(), created_at);
            key.secrets.push(older);
        }
        self.fill(&mut key);
        key
    }

    fn fill(&mut self, key: &mut KeyRecord) {
        let names = ["Deploy 100%", "deploy_bot", "Écoute", "écoute", "a!b\\c", "DEPLOY", "\u{10ffff}\u{202e}"];
        key.name = self.pick(&names).to_owned();
        key.description = self.pick(&names).to_owned();
        key.hint = self.pick(&["", "tsk_live_7fQ2…9dKp"]).to_owned();
        let (environment, account) = (self.pick(&["live", "test"]).to_owned(), self.account());
        key.environment = self.maybe(environment);
        key.service_account = self.maybe(account);
        let parent = id(self.roll(40));
        key.created_by_key = self.maybe(parent);
        key.scopes = ScopeSet::parse(self.pick(&["", "files:read", "files:* keys:admin"])).unwrap_or(ScopeSet::empty());
        let (not_before, expires_at) = (self.moment(), self.moment());
        (key.not_before, key.expires_at) = (self.maybe(not_before), self.maybe(expires_at));
        key.disabled = self.switched();
        let reason = self.pick(&["", "leaked"]).to_owned();
        key.revoked = self.switched().map(|Switched { at, by }| Revocation { at, by, reason });
        let metadata = match self.roll(4) {
            0 => json!({}),
            3 => json!({"x": {"$serde_json::private::RawValue": "!"}, "$serde_json::private::Number": "1"}),
            1 => json!({"z": 1, "a": [1.0, 0.1, 1e300, 5e-324, -0.0, u64::MAX, i64::MIN], "é": null}),
            _ => json!({"π": std::f64::consts::PI, "third": 1.0 / 3.0, "deep": {"x": [{"y": "\u{1f511}\u{1}"}]}}),
        };
        key.metadata = metadata.as_object().cloned().unwrap_or_default().into();
        for secret in &mut key.secrets {
            let (superseded_at, ends_at) = (self.moment(), self.moment());
            (secret.superseded_at, secret.ends_at) = (self.maybe(superseded_at), self.maybe(ends_at));
            let ended_at = self.moment();
            secret.ended_at = if self.roll(4) == 0 { Some(ended_at) } else { None };
        }
    }

    async fn step(&mut self, model: &MemoryStore, organization: &OrganizationId, event: &mut u64) -> Change {
        let stored = model.key(organization, &id(self.roll(40))).await.unwrap();
        match (self.roll(16), stored) {
            (0..4, None) => Change::InsertKey(Box::new(self.key(organization.clone()))),
            (0..8, Some(mut key)) => {
                if self.roll(3) == 0 {
                    let secret = SecretRecord::new(self.digest(), self.moment());
                    key.secrets.insert(0, secret);
                }
                self.fill(&mut key);
                key.version += u64::from(self.roll(10) != 0);
                Change::UpdateKey(Box::new(key))
            }
            (8, Some(key)) if self.roll(2) == 0 => {
                let (spared, foreign) = (self.roll(2) as usize, self.digest());
                let retired = key.secrets.iter().skip(spared).map(|secret| secret.digest.clone());
                let foreign = if self.roll(5) == 0 { Some(foreign) } else { None };
                Change::RetireSecrets(key.id.clone(), retired.chain(foreign).collect())
            }
            (8, _) => Change::DeleteKey(id(self.roll(40))),
            (12, Some(key)) => {
                let (version, reason) =
                    (key.version + u64::from(self.roll(10) != 0), self.pick(&["", "leaked"]).to_owned());
                let revoked = self.switched().map(|Switched { at, by }| Revocation { at, by, reason });
                Change::SetState(Box::new(KeyState { id: key.id, version, disabled: self.switched(), revoked }))
            }
            (13, Some(key)) => {
                let foreign = self.digest();
                let ended = key.secrets.iter().filter(|_| self.roll(2) == 0).map(|secret| secret.digest.clone());
                let mut ended: Vec<_> = ended.collect();
                if self.roll(9) == 0 {
                    ended.push(foreign);
                }
                let version = key.version + u64::from(self.roll(10) != 0);
                Change::EndSecrets(key.id, version, ended, self.moment())
            }
            (14.., Some(key)) => {
                let presented = model.key(organization, &id(self.roll(40))).await.unwrap();
                let actor = presented.as_ref().map_or_else(|| self.actor(), |key| ActorId::of_key(&key.id));
                let made = match self.roll(3) {
                    0 => Made::Key,
                    1 => Made::Secret(self.pick(&key.secrets).digest),
                    _ => Made::Widening,
                };
                let presented = presented.map(|key| self.pick(&key.secrets).digest);
                Change::Lineage(Lineage { actor, presented, key: key.id, made })
            }
            (9, _) => {
                let (id, created_at, by) = (self.account(), self.moment(), self.actor());
                match model.account(organization, &id).await.unwrap() {
                    None => Change::InsertAccount(ServiceAccount::new(id, organization.clone(), "bot", created_at, by)),
                    Some(_) if self.roll(4) == 0 => Change::DeleteAccount(id),
                    Some(mut account) => {
                        account.disabled = self.switched();
                        account.description = "changed".to_owned();
                        account.version += 1;
                        Change::UpdateAccount(account)
                    }
                }
            }
            (10, _) if self.roll(2) == 0 => {
                let ends = ["", "", "", "\0"];
                let (name, value) = (self.pick(&ends), self.pick(&ends));
                Change::SetMarker(format!("m{}{name}", self.roll(9)), format!("{}{value}", self.roll(9)))
            }
            (10, _) => {
                let mut record = OrganizationRecord::new(organization.clone());
                record.suspended = self.switched();
                Change::SetOrganization(record)
            }
            _ => {
                *event += 1;
                let (id, target) = (format!("evt_{event:06}"), format!("key_{}", self.roll(3)));
                let (moment, actor, action) = (self.moment(), self.actor(), self.pick(Action::ALL));
                let mut told = AuditEvent::new(id, moment, organization.clone(), actor, action, target);
                told.before = self.maybe(r#"{"name":"before"}"#.parse().unwrap());
                told.request_id = self.maybe("r-1".to_owned());
                Change::Audit(told)
            }
        }
    }

    /// Returns usage of existing keys and of some that don't exist.
    async fn usage(&mut self, number: u64, model: &MemoryStore) -> UsageBatch {
        let mut rows = Vec::new();
        for key in model.scan(None, 99).await.unwrap() {
            let digests = key.secrets.iter().map(|secret| secret.digest.clone());
            let gone = id(1_000 + u64::from(key.organization.as_str() == "acme"));
            rows.push(UsageRow {
                key: if self.roll(9) == 0 { gone } else { key.id.clone() },
                organization: key.organization.clone(),
                service_account: key.service_account.clone(),
                environment: key.environment.clone(),
                hour: at(3_600_000 * self.roll(100) as i64),
                ok: self.roll(100),
                refused: self.roll(3),
                last_used: digests.map(|digest| (digest, self.moment())).collect(),
            });
            if self.roll(5) == 0 {
                rows.push(rows[rows.len() - 1].clone());
            }
        }
        rows.retain(|_| self.roll(3) == 0);
        rows.sort_by(|a, b| (&a.key, a.hour).cmp(&(&b.key, b.hour)));
        UsageBatch { id: format!("batch {number}"), at: at(1_000_000), rows }
    }

    fn reach(&mut self, organization: OrganizationId) -> ReachQuery {
        let selection = match self.roll(5) {
            0 => Selection::Key(id(self.roll(40))),
            1 => Selection::CreatedBy(self.actor()),
            2 => Selection::ServiceAccount(self.account()),
            3 => Selection::Environment(self.pick(&["live", "test", "none"]).to_owned()),
            _ => Selection::Everything,
        };
        let (last, after) = (id(self.roll(40)), id(self.roll(40)));
        let (last, after) = (self.maybe(last), self.maybe(after));
        let (descendants, keep_accounts) = (self.roll(2) == 0, self.roll(3) == 0);
        let (now, limit) = (self.moment(), 1 + self.roll(30) as usize);
        ReachQuery { organization, selection, descendants, keep_accounts, now, last, after, limit }
    }

    /// Returns a cursor from a page, or one that never was.
    fn cursor(&mut self) -> Cursor {
        let moments = [0, 1_000_000, 1_000_020, Timestamp::MAX.as_millis() - 20];
        let moment = at(self.pick(&moments) + self.roll(20) as i64);
        let ids = ["key_00000007", "key_00000033", "", "\0", "key_00000007\0", "evt_000003", "~", "é"];
        Cursor { at: moment, id: self.pick(&ids).to_owned() }
    }

    fn filter(&mut self) -> KeyFilter {
        let mut filter = KeyFilter::default();
        let long = "y".repeat(10_000);
        let texts = [
            "deploy",
            "100%",
            "_",
            "é",
            "É",
            "7fq2…",
            "key_00000003",
            "!b\\",
            "nowhere",
            "",
            "\0",
            "deploy\0",
            "\u{202e}",
            "\n",
            "'",
            "\u{10ffff}",
            &long,
        ];
        let (status, text) = (self.pick(&Status::ALL), self.pick(&texts).to_owned());
        (filter.status, filter.text) = (self.maybe(status), self.maybe(text));
        let environments = ["live", "live", "test", "", "li\0ve", "live\0", "Live"];
        let (environment, account, by) = (self.pick(&environments).to_owned(), self.account(), self.actor());
        (filter.environment, filter.service_account) = (self.maybe(environment), self.maybe(account));
        let parent = id(self.roll(40));
        (filter.created_by, filter.created_by_key) = (self.maybe(by), self.maybe(parent));
        let last = self.cursor();
        filter.down_to = self.maybe(last);
        if self.roll(2) == 0 {
            let (used, expiry, age) = (self.any_moment(), self.any_moment(), Duration::from_millis(self.roll(60)));
            (filter.last_used_before, filter.expires_before) = (self.maybe(used), self.maybe(expiry));
            (filter.unused, filter.rotation_due) = (self.pick(&[None, None, Some(true), Some(false)]), self.maybe(age));
        }
        filter
    }
}

/// Formats an answer for comparison; errors by their kind.
fn shown<T: Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:#?}"),
        Err(error) => format!("conflict: {}", error.is_conflict()),
    }
}

/// Formats what was found, once for each digest and in order.
fn sorted(found: Result<Lookup, StoreError>) -> String {
    shown(found.map(|Lookup { found, .. }| {
        let key = |found| match found {
            Found::Key(key) => *key,
            Found::Corrupt { error, .. } => panic!("{error}"),
        };
        let mut found: Vec<FoundKey> = found.into_iter().map(key).collect();
        found.sort_by_key(|found| found.digest.to_string());
        found.dedup_by(|a, b| a.digest == b.digest);
        found
    }))
}

async fn compare(dice: &mut Dice, model: &MemoryStore, store: &dyn KeyStore) {
    let organization = dice.organization();
    for number in 0..40 {
        let (id, digest) = (id(number), dice.digest());
        assert_eq!(shown(store.key(&organization, &id).await), shown(model.key(&organization, &id).await));
        let asked = [digest.clone(), dice.digest(), digest];
        assert_eq!(sorted(store.find(&asked).await), sorted(model.find(&asked).await));
    }
    for _ in 0..12 {
        let after = dice.cursor();
        let after = dice.maybe(after);
        let (filter, now, limit) = (dice.filter(), dice.any_moment(), dice.pick(&[0, 1, 5, 19, 1 << 40, usize::MAX]));
        let sort = dice.pick(&[KeySort::Created, KeySort::Expiry, KeySort::LastUse]);
        let query = KeyQuery { organization: organization.clone(), filter, sort, now, after: after.clone(), limit };
        assert_eq!(shown(store.keys(&query).await), shown(model.keys(&query).await), "{query:?}");
        let (mut one, mut other) =
            (store.begin(&organization).await.unwrap(), model.begin(&organization).await.unwrap());
        let (mut ids, mut of_model) =
            (one.ids(&query.filter, now).await.unwrap(), other.ids(&query.filter, now).await.unwrap());
        ids.sort();
        of_model.sort();
        assert_eq!(ids, of_model);
        let (mut heads, mut of_model) = (one.heads(&ids).await.unwrap(), other.heads(&ids).await.unwrap());
        heads.sort_by(|a, b| a.id.cmp(&b.id));
        of_model.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(heads, of_model);
        drop((one, other));
        let reach = dice.reach(organization.clone());
        assert_eq!(shown(store.reach(&reach).await), shown(model.reach(&reach).await), "{reach:?}");
        assert_eq!(shown(store.counts(&organization, now).await), shown(model.counts(&organization, now).await));
        let (from, to) = (dice.any_moment(), dice.any_moment());
        assert_eq!(shown(store.expiring(from, to, limit).await), shown(model.expiring(from, to, limit).await));
        let mut filter = AuditFilter::default();
        let target = dice.pick(&["key_1", "key_1\0", "\0", "", "KEY_1"]).to_owned();
        let (actor, action) = (dice.actor(), dice.pick(Action::ALL));
        (filter.actor, filter.action) = (dice.maybe(actor), dice.maybe(action));
        (filter.target, filter.from, filter.to) = (dice.maybe(target), dice.maybe(from), dice.maybe(to));
        let query = AuditQuery { organization: organization.clone(), filter, after: after.clone(), limit };
        assert_eq!(shown(store.audit(&query).await), shown(model.audit(&query).await), "{query:?}");
        let of = match dice.roll(4) {
            0 => UsageOf::Key(id(dice.roll(40))),
            1 => UsageOf::Account(dice.account()),
            2 => UsageOf::Environment(dice.pick(&["live", "live\0", ""]).to_owned()),
            _ => UsageOf::Organization,
        };
        let (from, bucket) = (at(3_600_000 * dice.roll(100) as i64), dice.pick(&[Bucket::Hour, Bucket::Day]));
        let to = from + Bucket::Hour.length() * dice.roll(80) as u32;
        let query = UsageQuery { organization: organization.clone(), of, from, to, bucket };
        assert_eq!(shown(store.usage(&query).await), shown(model.usage(&query).await), "{query:?}");
        // However a span is divided, its parts add up to it.
        let cut = from + Bucket::Hour.length() * dice.roll(80) as u32;
        let total = async |from, to| {
            let query = UsageQuery { from, to, ..query.clone() };
            let buckets = store.usage(&query).await.unwrap();
            buckets.iter().fold((0, 0), |(ok, refused), one| (ok + one.ok, refused + one.refused))
        };
        let (cut, whole) = (cut.min(to), total(from, to).await);
        let ((ok, refused), (more, more_refused)) = (total(from, cut).await, total(cut, to).await);
        assert_eq!((ok + more, refused + more_refused), whole, "{query:?} cut at {cut:?}");
    }
    let start = id(dice.roll(40));
    assert_eq!(shown(store.scan(Some(&start), 9).await), shown(model.scan(Some(&start), 9).await));
    assert_eq!(shown(store.scan(None, 99).await), shown(model.scan(None, 99).await));
    for _ in 0..4 {
        let after = dice.cursor();
        let query = AccountQuery { organization: organization.clone(), after: dice.maybe(after), limit: 5 };
        assert_eq!(shown(store.accounts(&query).await), shown(model.accounts(&query).await), "{query:?}");
        let (after, count) = (dice.cursor(), dice.pick(&[0, 1, 3, 1 << 40]));
        let after = dice.maybe(after);
        let (one, other) = (
            store.place(&organization, after.as_ref(), count).await,
            model.place(&organization, after.as_ref(), count).await,
        );
        assert_eq!(shown(one), shown(other), "{count} after {after:?}");
    }
    for name in ["m3\0", "\0", ""] {
        assert_eq!(shown(store.marker(name).await), shown(model.marker(name).await));
    }
    assert_eq!(shown(store.organization(&organization).await), shown(model.organization(&organization).await));
    assert_eq!(shown(store.marker("m3").await), shown(model.marker("m3").await));
    assert_eq!(shown(store.revision().await), shown(model.revision().await));
    let (mut one, mut other) = (store.begin(&organization).await.unwrap(), model.begin(&organization).await.unwrap());
    let (ids, digests): (Vec<_>, Vec<_>) = (0..40).map(|n| (id(n), dice.digest())).unzip();
    assert_eq!(shown(one.taken_ids(&ids).await), shown(other.taken_ids(&ids).await));
    assert_eq!(shown(one.taken(&digests).await), shown(other.taken(&digests).await));
}

async fn drive(seed: u64, store: &dyn KeyStore) {
    let (mut dice, model, mut event) = (Dice(seed), MemoryStore::new(), 0);
    for round in 0..80 {
        let organization = dice.organization();
        let mut steps = Vec::new();
        for _ in 0..=dice.roll(4) {
            steps.push(dice.step(&model, &organization, &mut event).await);
        }
        let mut whole = changes(steps);
        whole.affects_callers = dice.roll(2) == 0;
        let mut same = changes(whole.changes.clone());
        same.affects_callers = whole.affects_callers;
        let described = format!("{whole:?}");
        let one = store.begin(&organization).await.unwrap().commit(whole).await;
        let other = model.begin(&organization).await.unwrap().commit(same).await;
        if let Err(error) = &one {
            assert!(!error.is_unavailable() && !error.is_unknown(), "{error:?}: {described}");
        }
        assert_eq!(shown(one), shown(other), "round {round}: {described}");
        let batch = dice.usage(round / 2, &model).await;
        assert_eq!(shown(store.add_usage(&batch).await), shown(model.add_usage(&batch).await));
        if round % 10 == 0 {
            compare(&mut dice, &model, store).await;
        }
    }
    let mut prune = Prune::default();
    prune.audit_before = Some(at(1_000_020));
    prune.usage_before = Some(at(86_400_000 / 2));
    let now = at(1_000_000 + 86_400_000 + 1);
    assert_eq!(shown(store.prune(&prune, now).await), shown(model.prune(&prune, now).await));
    compare(&mut dice, &model, store).await;
    assert_eq!(
        shown(store.add_usage(&dice.usage(0, &model).await).await),
        "true",
        "ids of batches are forgotten after a day"
    );
}

#[tokio::test]
async fn given_any_changes_when_made_in_memory_and_in_a_database_then_both_answer_alike() {
    for place in Place::all() {
        for seed in [1, 4_242] {
            let store = place.open_with(apikey_sqlx::SqlOptions::new().prefix(format!("seed{seed}_"))).await;
            drive(seed, &store).await;
            store.close().await;
        }
    }
}
