//! Usage is counted once, adds up, and outlives its keys.

use std::sync::Arc;

use apikey_core::Timestamp;
use apikey_manager::{Bucket, Change, KeyRecord, SecretRecord, UsageBucket, UsageOf, UsageQuery, UsageRow};

use crate::bed::{Bed, HOUR, for_steps};

/// A batch is added once, by its id.
pub(crate) async fn a_batch_counts_once(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let mut batch = bed.batch([bed.used(&key, 5, 2)]);
    assert!(bed.store.add_usage(&batch).await.unwrap(), "a batch with a new id must be added");
    assert!(!bed.store.add_usage(&batch).await.unwrap(), "a batch with a known id must be told from a new one");
    assert_eq!(bed.total(&ours, UsageOf::Organization).await, (5, 2), "the total after one batch came twice");
    batch.rows[0].ok = 1_000;
    batch.at = bed.at(60);
    assert!(!bed.store.add_usage(&batch).await.unwrap(), "a known id is known whatever the batch holds");
    assert_eq!(bed.total(&ours, UsageOf::Organization).await, (5, 2), "the total after another batch with a known id");
    let empty = bed.batch([]);
    assert!(bed.store.add_usage(&empty).await.unwrap(), "a batch without rows is a batch");
    assert!(!bed.store.add_usage(&empty).await.unwrap(), "a batch without rows is known when it comes again");
}

/// Batches add up, key by key and hour by hour.
pub(crate) async fn batches_add_up(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let [a, b] = [bed.key(&ours), bed.key(&ours)];
    bed.insert([&a, &b]).await;
    let next = |row: UsageRow| UsageRow { hour: bed.at(HOUR), ..row };
    let large = u64::from(u32::MAX) * 100;
    let batches = [
        bed.batch([bed.used(&a, 1, 2), bed.used(&b, 10, 20)]),
        bed.batch([bed.used(&a, 100, 200), next(bed.used(&a, 7, 0))]),
        bed.batch([next(bed.used(&b, large, large + 1)), bed.used(&b, 0, 1)]),
    ];
    for batch in &batches {
        assert!(bed.store.add_usage(batch).await.unwrap(), "a batch with a new id must be added");
    }
    let usage = |of| bed.all_usage(&ours, of);
    let hour = |start, ok, refused| UsageBucket { start, ok, refused };
    let (first, second) = (bed.now(), bed.at(HOUR));
    let of_a = bed.store.usage(&usage(UsageOf::Key(a.id.clone()))).await.unwrap();
    assert_eq!(of_a, [hour(first, 101, 202), hour(second, 7, 0)], "the usage of the first key");
    let of_b = bed.store.usage(&usage(UsageOf::Key(b.id.clone()))).await.unwrap();
    assert_eq!(of_b, [hour(first, 10, 21), hour(second, large, large + 1)], "the usage of the second key");
    let of_all = bed.store.usage(&usage(UsageOf::Organization)).await.unwrap();
    assert_eq!(of_all, [hour(first, 111, 223), hour(second, large + 7, large + 1)], "the usage of both");
}

/// Usage is filtered by key, account, environment or organization.
pub(crate) async fn usage_is_told_by_account_and_environment(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let accounts = [bed.account(&ours), bed.account(&ours)];
    let (mut keys, mut rows) = (Vec::new(), Vec::new());
    for account in &accounts {
        bed.insert_account(account).await;
    }
    for (n, account) in [None, Some(0), Some(1)].into_iter().enumerate() {
        for (m, environment) in [None, Some("live"), Some("test")].into_iter().enumerate() {
            let mut key = bed.key(&ours);
            key.service_account = account.map(|account: usize| accounts[account].id.clone());
            key.environment = environment.map(str::to_owned);
            let bit = 1 << (3 * n + m);
            rows.push(bed.used(&key, bit, bit << 16));
            keys.push(key);
        }
    }
    bed.insert(&keys).await;
    bed.store.add_usage(&bed.batch(rows)).await.unwrap();
    let cases = [
        (UsageOf::Organization, 0b111_111_111),
        (UsageOf::Account(accounts[0].id.clone()), 0b000_111_000),
        (UsageOf::Account(accounts[1].id.clone()), 0b111_000_000),
        (UsageOf::Account(bed.account(&ours).id), 0),
        (UsageOf::Environment("live".to_owned()), 0b010_010_010),
        (UsageOf::Environment("test".to_owned()), 0b100_100_100),
        (UsageOf::Environment(String::new()), 0),
        (UsageOf::Key(keys[4].id.clone()), 0b000_010_000),
        (UsageOf::Key(bed.id()), 0),
    ];
    for (of, expected) in cases {
        assert_eq!(bed.total(&ours, of.clone()).await, (expected, expected << 16), "the total of {of:?}");
    }
}

/// Usage in a span is returned by the hour, oldest first.
pub(crate) async fn hours_come_oldest_first(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await;
    let hours = [3, 0, 30, 1];
    let rows = hours.map(|hour| UsageRow { hour: bed.at(hour * HOUR), ..bed.used(&key, hour as u64 + 1, 0) });
    bed.store.add_usage(&bed.batch(rows)).await.unwrap();
    let cases = [
        (bed.at(0), bed.at(31 * HOUR), vec![0, 1, 3, 30]),
        (bed.at(HOUR), bed.at(3 * HOUR), vec![1]),
        (bed.at(HOUR), bed.at(4 * HOUR), vec![1, 3]),
        (bed.at(2 * HOUR), bed.at(30 * HOUR), vec![3]),
        (bed.at(4 * HOUR), bed.at(30 * HOUR), vec![]),
        (bed.at(HOUR), bed.at(HOUR), vec![]),
    ];
    for (from, to, expected) in cases {
        for of in [UsageOf::Key(key.id.clone()), UsageOf::Organization] {
            let query = UsageQuery { from, to, ..bed.all_usage(&ours, of) };
            let expected: Vec<_> = expected
                .iter()
                .map(|hour| UsageBucket { start: bed.at(hour * HOUR), ok: *hour as u64 + 1, refused: 0 })
                .collect();
            assert_eq!(bed.store.usage(&query).await.unwrap(), expected, "the usage that {query:?} asks for");
        }
    }
}

/// Adjoining spans add up, by the hour and by the day, wherever they are divided, for every subject.
pub(crate) async fn the_parts_of_a_span_add_up(bed: Arc<Bed>) {
    const DAYS: i64 = 4;
    let ours = bed.organization("ours");
    let account = bed.account(&ours);
    let mut keys = [bed.key(&ours), bed.key(&ours), bed.key(&ours)];
    keys[1].service_account = Some(account.id.clone());
    keys[2].environment = Some("live".to_owned());
    bed.insert(&keys).await;
    let begins = Bucket::Day.start(bed.now());
    let at = |hour: i64| begins + Bucket::Hour.length() * u32::try_from(hour).unwrap_or_default();
    // Each hour counts one bit, by the keys in turn, so that missing or repeated hours show. Some hours have no usage.
    let counted = (0..24 * DAYS).filter(|hour| hour % 7 != 3);
    let rows: Vec<_> = counted
        .map(|hour| UsageRow { hour: at(hour), ..bed.used(&keys[hour as usize % 3], 1 << (hour % 48), hour as u64) })
        .collect();
    for rows in rows.chunks(10) {
        bed.store.add_usage(&bed.batch(rows.iter().cloned())).await.unwrap();
    }
    let whose = [
        (UsageOf::Organization, 0..3),
        (UsageOf::Key(keys[0].id.clone()), 0..1),
        (UsageOf::Account(account.id), 1..2),
        (UsageOf::Environment("live".to_owned()), 2..3),
    ];
    // Within an hour or a day, around midnight, and over whole days and parts of them.
    let spans = [
        (0, 1),
        (0, 24),
        (1, 23),
        (23, 25),
        (0, 48),
        (5, 30),
        (23, 49),
        (24, 72),
        (24, 71),
        (25, 72),
        (0, 96),
        (1, 95),
    ];
    for (of, of_keys) in whose {
        let of_keys: Vec<_> = keys[of_keys].iter().map(|key| key.id.clone()).collect();
        for (from, to) in spans {
            for bucket in [Bucket::Hour, Bucket::Day] {
                let mut expected: Vec<UsageBucket> = Vec::new();
                for row in
                    rows.iter().filter(|row| of_keys.contains(&row.key) && (at(from)..at(to)).contains(&row.hour))
                {
                    let start = bucket.start(row.hour);
                    match expected.last_mut().filter(|last| last.start == start) {
                        Some(last) => (last.ok, last.refused) = (last.ok + row.ok, last.refused + row.refused),
                        None => expected.push(UsageBucket { start, ok: row.ok, refused: row.refused }),
                    }
                }
                let query = UsageQuery { from: at(from), to: at(to), bucket, ..bed.all_usage(&ours, of.clone()) };
                let told = bed.store.usage(&query).await.unwrap();
                assert_eq!(told, expected, "the usage of {of:?} from hour {from} to hour {to}, by the {bucket:?}");
            }
        }
    }
}

/// Usage stays after its key and its account are deleted.
pub(crate) async fn usage_outlives_its_key(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (account, mut key) = (bed.account(&ours), bed.key(&ours));
    (key.service_account, key.environment) = (Some(account.id.clone()), Some("live".to_owned()));
    bed.insert_account(&account).await;
    bed.insert([&key]).await;
    bed.store.add_usage(&bed.batch([bed.used(&key, 5, 2)])).await.unwrap();
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await.unwrap();
    bed.commit(&ours, [Change::DeleteAccount(account.id.clone())]).await.unwrap();
    let whose = [
        UsageOf::Key(key.id),
        UsageOf::Account(account.id),
        UsageOf::Environment("live".to_owned()),
        UsageOf::Organization,
    ];
    for of in whose {
        assert_eq!(bed.total(&ours, of.clone()).await, (5, 2), "the total of {of:?} after the deletion");
    }
}

/// A row counts for the owner that it names, even if the key, the account or the organization has changed since.
pub(crate) async fn usage_of_a_deleted_key_is_still_added(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let (account, key, mut gone, unknown) = (bed.account(&ours), bed.key(&ours), bed.key(&ours), bed.key(&ours));
    (gone.service_account, gone.environment) = (Some(account.id.clone()), Some("live".to_owned()));
    bed.insert_account(&account).await;
    bed.insert([&key, &gone]).await;
    bed.commit(&ours, [Change::DeleteKey(gone.id.clone())]).await.unwrap();
    bed.commit(&ours, [Change::DeleteAccount(account.id.clone())]).await.unwrap();
    let used = |key: &KeyRecord, ok, refused| UsageRow {
        last_used: vec![(key.secrets[0].digest.clone(), bed.at(5))],
        ..bed.used(key, ok, refused)
    };
    let mut stranger = used(&unknown, 1_000, 2_000);
    stranger.organization = bed.organization("an organization that nothing is kept of");
    let rows = [used(&key, 1, 2), used(&gone, 10, 20), used(&unknown, 100, 200)];
    assert!(
        bed.store.add_usage(&bed.batch(rows)).await.unwrap(),
        "a batch with rows of keys that are gone must be added"
    );
    let stranger = bed.batch([UsageRow { key: bed.id(), ..stranger }]);
    assert!(
        bed.store.add_usage(&stranger).await.unwrap(),
        "a batch of an organization that is not known must be added"
    );
    let cases = [
        (UsageOf::Key(gone.id.clone()), (10, 20)),
        (UsageOf::Account(account.id), (10, 20)),
        (UsageOf::Environment("live".to_owned()), (10, 20)),
        (UsageOf::Key(unknown.id), (100, 200)),
        (UsageOf::Organization, (111, 222)),
    ];
    for (of, expected) in cases {
        assert_eq!(bed.total(&ours, of.clone()).await, expected, "the usage of {of:?}, of keys that are gone");
    }
    let theirs = &stranger.rows[0].organization;
    assert_eq!(bed.total(theirs, UsageOf::Organization).await, (1_000, 2_000), "the usage of the unknown organization");
    assert_eq!(bed.stored(&key).await.last_used_at, Some(bed.at(5)), "when the known key was last used");
    assert!(
        bed.store.key(&ours, &gone.id).await.unwrap().is_none(),
        "a key that is gone does not come back by its use"
    );
}

/// When a key and its secrets were last used is told, and never moves back.
pub(crate) async fn the_last_use_never_moves_back(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    let other = bed.key(&ours);
    bed.insert([&key, &other]).await;
    let [newer, older] = [0, 1].map(|secret: usize| key.secrets[secret].digest.clone());
    // Each: what is told, then when the newer secret, the older one and the key were last used.
    let cases = [
        (vec![(&newer, 10)], (Some(10), None, Some(10))),
        (vec![(&older, 5)], (Some(10), Some(5), Some(10))),
        (vec![(&newer, 7), (&older, 4)], (Some(10), Some(5), Some(10))),
        (vec![(&older, 20), (&newer, 12)], (Some(12), Some(20), Some(20))),
        (vec![], (Some(12), Some(20), Some(20))),
    ];
    for (told, (newer_used, older_used, key_used)) in cases {
        let last_used = told.into_iter().map(|(digest, at)| (digest.clone(), bed.at(at))).collect();
        let row = UsageRow { last_used, ..bed.used(&key, 1, 0) };
        bed.store.add_usage(&bed.batch([row])).await.unwrap();
        let used = |key: &KeyRecord| -> [Option<Timestamp>; 3] {
            [key.secrets[0].last_used_at, key.secrets[1].last_used_at, key.last_used_at]
        };
        let expected = [newer_used, older_used, key_used].map(|at| at.map(|at| bed.at(at)));
        assert_eq!(used(&bed.stored(&key).await), expected, "when the secrets and the key were last used");
        assert_eq!(
            used(
                &bed.store
                    .keys(&bed.every_key(&ours))
                    .await
                    .unwrap()
                    .into_iter()
                    .find(|found| found.id == key.id)
                    .unwrap_or_else(|| other.clone())
            ),
            expected,
            "the same, in a list"
        );
    }
    assert_eq!(bed.stored(&other).await, other, "a key that was not used");
    assert_eq!(bed.stored(&key).await.version, 1, "the version: a use is no change");
}

/// Concurrent batches are all counted.
pub(crate) async fn batches_added_at_once_are_all_counted(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let keys: Vec<_> = (0..10).map(|_| bed.key(&ours)).collect();
    bed.insert(&keys).await;
    let shared = Arc::new(keys);
    bed.at_once(30, |bed, n| {
        let keys = Arc::clone(&shared);
        async move {
            let used = |key: &KeyRecord| UsageRow {
                last_used: vec![(key.secrets[0].digest.clone(), bed.at(n as i64))],
                ..bed.used(key, 1, 2)
            };
            let batch = bed.batch(keys.iter().map(used));
            let first = bed.store.add_usage(&batch).await.unwrap();
            tokio::task::yield_now().await;
            let second = bed.store.add_usage(&batch).await.unwrap();
            assert_eq!((first, second), (true, false), "whether a batch was new, the first and the second time");
        }
    })
    .await;
    for key in shared.iter() {
        assert_eq!(bed.total(&ours, UsageOf::Key(key.id.clone())).await, (30, 60), "the total of a key");
        assert_eq!(bed.stored(key).await.last_used_at, Some(bed.at(29)), "when the key was last used");
    }
    assert_eq!(bed.total(&ours, UsageOf::Organization).await, (300, 600), "the total of the organization");
}

/// A batch is added completely or not at all, so that it can be sent again.
pub(crate) async fn a_batch_dropped_midway_counts_once(bed: Arc<Bed>) {
    let ours = bed.organization("ours");
    let keys: Vec<_> = (0..5).map(|_| bed.key(&ours)).collect();
    bed.insert(&keys).await;
    for (n, steps) in [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64, 256].into_iter().enumerate() {
        let batch = bed.batch(keys.iter().map(|key| bed.used(key, 1, 1)));
        for_steps(bed.store.add_usage(&batch), steps).await.transpose().unwrap();
        bed.store.add_usage(&batch).await.unwrap();
        let expected = 5 * (n as u64 + 1);
        let total = bed.total(&ours, UsageOf::Organization).await;
        assert_eq!(
            total,
            (expected, expected),
            "the total after a batch that was dropped after {steps} steps and sent again"
        );
    }
}
