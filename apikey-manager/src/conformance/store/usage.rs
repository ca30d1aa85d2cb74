//! What was counted is counted once, adds up, and outlives its keys.

use apikey_core::Timestamp;
use std::sync::Arc;

use crate::{
    conformance::{
        bed::{Bed, HOUR, for_steps},
        outcome::{Outcome, ensure, same},
    },
    query::{Bucket, UsageBucket, UsageOf, UsageQuery, UsageRow},
    record::{KeyRecord, SecretRecord},
    store::Change,
};

pub(in crate::conformance) async fn given_a_batch_when_added_again_then_it_changes_nothing(bed: Arc<Bed>) -> Outcome {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    let mut batch = bed.batch([bed.used(&key, 5, 2)]);
    ensure!(bed.store.add_usage(&batch).await?, "a batch with a new id must be added");
    ensure!(!bed.store.add_usage(&batch).await?, "a batch with a known id must be told from a new one");
    same!(bed.total(&ours, UsageOf::Organization).await?, (5, 2), "the total after one batch came twice");
    batch.rows[0].ok = 1_000;
    batch.at = bed.at(60);
    ensure!(!bed.store.add_usage(&batch).await?, "a known id is known whatever the batch holds");
    same!(bed.total(&ours, UsageOf::Organization).await?, (5, 2), "the total after another batch with a known id");
    let empty = bed.batch([]);
    ensure!(bed.store.add_usage(&empty).await?, "a batch without rows is a batch");
    ensure!(!bed.store.add_usage(&empty).await?, "a batch without rows is known when it comes again");
    Ok(())
}

pub(in crate::conformance) async fn given_several_batches_when_added_then_they_add_up(bed: Arc<Bed>) -> Outcome {
    let ours = bed.organization("ours");
    let [a, b] = [bed.key(&ours), bed.key(&ours)];
    bed.insert([&a, &b]).await?;
    let next = |row: UsageRow| UsageRow { hour: bed.at(HOUR), ..row };
    let large = u64::from(u32::MAX) * 100;
    let batches = [
        bed.batch([bed.used(&a, 1, 2), bed.used(&b, 10, 20)]),
        bed.batch([bed.used(&a, 100, 200), next(bed.used(&a, 7, 0))]),
        bed.batch([next(bed.used(&b, large, large + 1)), bed.used(&b, 0, 1)]),
    ];
    for batch in &batches {
        ensure!(bed.store.add_usage(batch).await?, "a batch with a new id must be added");
    }
    let usage = |of| bed.all_usage(&ours, of);
    let hour = |start, ok, refused| UsageBucket { start, ok, refused };
    let (first, second) = (bed.now(), bed.at(HOUR));
    let of_a = bed.store.usage(&usage(UsageOf::Key(a.id.clone()))).await?;
    same!(of_a, [hour(first, 101, 202), hour(second, 7, 0)], "the usage of the first key");
    let of_b = bed.store.usage(&usage(UsageOf::Key(b.id.clone()))).await?;
    same!(of_b, [hour(first, 10, 21), hour(second, large, large + 1)], "the usage of the second key");
    let of_all = bed.store.usage(&usage(UsageOf::Organization)).await?;
    same!(of_all, [hour(first, 111, 223), hour(second, large + 7, large + 1)], "the usage of both");
    Ok(())
}

pub(in crate::conformance) async fn given_usage_when_asked_by_account_or_environment_then_theirs_is_told(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let accounts = [bed.account(&ours), bed.account(&ours)];
    let (mut keys, mut rows) = (Vec::new(), Vec::new());
    for account in &accounts {
        bed.insert_account(account).await?;
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
    bed.insert(&keys).await?;
    bed.store.add_usage(&bed.batch(rows)).await?;
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
        same!(bed.total(&ours, of.clone()).await?, (expected, expected << 16), "the total of {of:?}");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_usage_when_asked_for_a_span_then_its_hours_come_oldest_first(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let key = bed.key(&ours);
    bed.insert([&key]).await?;
    let hours = [3, 0, 30, 1];
    let rows = hours.map(|hour| UsageRow { hour: bed.at(hour * HOUR), ..bed.used(&key, hour as u64 + 1, 0) });
    bed.store.add_usage(&bed.batch(rows)).await?;
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
            same!(bed.store.usage(&query).await?, expected, "the usage that {query:?} asks for");
        }
    }
    Ok(())
}

/// What adjoining spans add up to, by the hour and by the day, where they are cut at any hour of some days.
pub(in crate::conformance) async fn given_usage_when_a_span_is_cut_anywhere_then_its_parts_add_up(
    bed: Arc<Bed>,
) -> Outcome {
    const DAYS: i64 = 4;
    let ours = bed.organization("ours");
    let account = bed.account(&ours);
    let mut keys = [bed.key(&ours), bed.key(&ours), bed.key(&ours)];
    keys[1].service_account = Some(account.id.clone());
    keys[2].environment = Some("live".to_owned());
    bed.insert(&keys).await?;
    let begins = Bucket::Day.start(bed.now());
    let at = |hour: i64| begins + Bucket::Hour.length() * u32::try_from(hour).unwrap_or_default();
    // Each hour counts a bit of its own, by a key in turn: whatever is missing or told twice shows. Some have nothing.
    let counted = (0..24 * DAYS).filter(|hour| hour % 7 != 3);
    let rows: Vec<_> = counted
        .map(|hour| UsageRow { hour: at(hour), ..bed.used(&keys[hour as usize % 3], 1 << (hour % 48), hour as u64) })
        .collect();
    for rows in rows.chunks(10) {
        bed.store.add_usage(&bed.batch(rows.iter().cloned())).await?;
    }
    let whose = [
        (UsageOf::Organization, 0..3),
        (UsageOf::Key(keys[0].id.clone()), 0..1),
        (UsageOf::Account(account.id), 1..2),
        (UsageOf::Environment("live".to_owned()), 2..3),
    ];
    // Within an hour or a day, around midnight, over whole days and parts of them.
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
                let told = bed.store.usage(&query).await?;
                same!(told, expected, "the usage of {of:?} from hour {from} to hour {to}, by the {bucket:?}");
            }
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_deleted_key_when_usage_is_read_then_what_it_did_still_counts(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let (account, mut key) = (bed.account(&ours), bed.key(&ours));
    (key.service_account, key.environment) = (Some(account.id.clone()), Some("live".to_owned()));
    bed.insert_account(&account).await?;
    bed.insert([&key]).await?;
    bed.store.add_usage(&bed.batch([bed.used(&key, 5, 2)])).await?;
    bed.commit(&ours, [Change::DeleteKey(key.id.clone())]).await?;
    bed.commit(&ours, [Change::DeleteAccount(account.id.clone())]).await?;
    let whose = [
        UsageOf::Key(key.id),
        UsageOf::Account(account.id),
        UsageOf::Environment("live".to_owned()),
        UsageOf::Organization,
    ];
    for of in whose {
        same!(bed.total(&ours, of.clone()).await?, (5, 2), "the total of {of:?} after the deletion");
    }
    Ok(())
}

pub(in crate::conformance) async fn given_rows_of_keys_that_are_gone_when_added_then_they_count_for_whom_they_name(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let (account, key, mut gone, unknown) = (bed.account(&ours), bed.key(&ours), bed.key(&ours), bed.key(&ours));
    (gone.service_account, gone.environment) = (Some(account.id.clone()), Some("live".to_owned()));
    bed.insert_account(&account).await?;
    bed.insert([&key, &gone]).await?;
    bed.commit(&ours, [Change::DeleteKey(gone.id.clone())]).await?;
    bed.commit(&ours, [Change::DeleteAccount(account.id.clone())]).await?;
    let used = |key: &KeyRecord, ok, refused| UsageRow {
        last_used: vec![(key.secrets[0].digest.clone(), bed.at(5))],
        ..bed.used(key, ok, refused)
    };
    let mut stranger = used(&unknown, 1_000, 2_000);
    stranger.organization = bed.organization("an organization that nothing is kept of");
    let rows = [used(&key, 1, 2), used(&gone, 10, 20), used(&unknown, 100, 200)];
    ensure!(bed.store.add_usage(&bed.batch(rows)).await?, "a batch with rows of keys that are gone must be added");
    let stranger = bed.batch([UsageRow { key: bed.id(), ..stranger }]);
    ensure!(bed.store.add_usage(&stranger).await?, "a batch of an organization that is not known must be added");
    let cases = [
        (UsageOf::Key(gone.id.clone()), (10, 20)),
        (UsageOf::Account(account.id), (10, 20)),
        (UsageOf::Environment("live".to_owned()), (10, 20)),
        (UsageOf::Key(unknown.id), (100, 200)),
        (UsageOf::Organization, (111, 222)),
    ];
    for (of, expected) in cases {
        same!(bed.total(&ours, of.clone()).await?, expected, "the usage of {of:?}, of keys that are gone");
    }
    let theirs = &stranger.rows[0].organization;
    same!(bed.total(theirs, UsageOf::Organization).await?, (1_000, 2_000), "the usage of the unknown organization");
    same!(bed.stored(&key).await?.last_used_at, Some(bed.at(5)), "when the known key was last used");
    ensure!(bed.store.key(&ours, &gone.id).await?.is_none(), "a key that is gone does not come back by its use");
    Ok(())
}

pub(in crate::conformance) async fn given_uses_in_any_order_when_added_then_the_last_use_never_moves_back(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let mut key = bed.key(&ours);
    key.secrets.push(SecretRecord::new(bed.digest(), bed.at(-10)));
    let other = bed.key(&ours);
    bed.insert([&key, &other]).await?;
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
        bed.store.add_usage(&bed.batch([row])).await?;
        let used = |key: &KeyRecord| -> [Option<Timestamp>; 3] {
            [key.secrets[0].last_used_at, key.secrets[1].last_used_at, key.last_used_at]
        };
        let expected = [newer_used, older_used, key_used].map(|at| at.map(|at| bed.at(at)));
        same!(used(&bed.stored(&key).await?), expected, "when the secrets and the key were last used");
        same!(
            used(
                &bed.store
                    .keys(&bed.every_key(&ours))
                    .await?
                    .into_iter()
                    .find(|found| found.id == key.id)
                    .unwrap_or_else(|| other.clone())
            ),
            expected,
            "the same, in a list"
        );
    }
    same!(bed.stored(&other).await?, other, "a key that was not used");
    same!(bed.stored(&key).await?.version, 1, "the version: a use is no change");
    Ok(())
}

pub(in crate::conformance) async fn given_many_batches_when_added_at_once_then_all_are_counted(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let keys: Vec<_> = (0..10).map(|_| bed.key(&ours)).collect();
    bed.insert(&keys).await?;
    let shared = Arc::new(keys);
    bed.at_once(30, |bed, n| {
        let keys = Arc::clone(&shared);
        async move {
            let used = |key: &KeyRecord| UsageRow {
                last_used: vec![(key.secrets[0].digest.clone(), bed.at(n as i64))],
                ..bed.used(key, 1, 2)
            };
            let batch = bed.batch(keys.iter().map(used));
            let first = bed.store.add_usage(&batch).await?;
            tokio::task::yield_now().await;
            let second = bed.store.add_usage(&batch).await?;
            same!((first, second), (true, false), "whether a batch was new, the first and the second time");
            Ok(())
        }
    })
    .await?;
    for key in shared.iter() {
        same!(bed.total(&ours, UsageOf::Key(key.id.clone())).await?, (30, 60), "the total of a key");
        same!(bed.stored(key).await?.last_used_at, Some(bed.at(29)), "when the key was last used");
    }
    same!(bed.total(&ours, UsageOf::Organization).await?, (300, 600), "the total of the organization");
    Ok(())
}

pub(in crate::conformance) async fn given_a_batch_that_was_dropped_midway_when_sent_again_then_it_counts_once(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let keys: Vec<_> = (0..5).map(|_| bed.key(&ours)).collect();
    bed.insert(&keys).await?;
    for (n, steps) in [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64, 256].into_iter().enumerate() {
        let batch = bed.batch(keys.iter().map(|key| bed.used(key, 1, 1)));
        for_steps(bed.store.add_usage(&batch), steps).await.transpose()?;
        bed.store.add_usage(&batch).await?;
        let expected = 5 * (n as u64 + 1);
        let total = bed.total(&ours, UsageOf::Organization).await?;
        same!(
            total,
            (expected, expected),
            "the total after a batch that was dropped after {steps} steps and sent again"
        );
    }
    Ok(())
}
