//! What was counted is counted once, adds up, and outlives its keys.

use std::{sync::Arc, time::SystemTime};

use crate::{
    conformance::{
        bed::{Bed, HOUR, for_steps},
        outcome::{Outcome, ensure, same},
    },
    query::{UsageHour, UsageOf, UsageQuery, UsageRow},
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
    let hour = |hour, ok, refused| UsageHour { hour, ok, refused };
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
        (bed.at(HOUR), bed.at(3 * HOUR + 1), vec![1, 3]),
        // The hour of the moment counts, and so does one that has begun.
        (bed.at(HOUR + 1), bed.at(3 * HOUR), vec![1]),
        (bed.at(2 * HOUR - 1), bed.at(30 * HOUR), vec![1, 3]),
        (bed.at(2 * HOUR), bed.at(30 * HOUR), vec![3]),
        (bed.at(4 * HOUR), bed.at(30 * HOUR), vec![]),
        (bed.at(HOUR), bed.at(HOUR), vec![]),
    ];
    for (from, to, expected) in cases {
        for of in [UsageOf::Key(key.id.clone()), UsageOf::Organization] {
            let query = UsageQuery { organization: ours.clone(), of, from, to };
            let expected: Vec<_> = expected
                .iter()
                .map(|hour| UsageHour { hour: bed.at(hour * HOUR), ok: *hour as u64 + 1, refused: 0 })
                .collect();
            same!(bed.store.usage(&query).await?, expected, "the usage that {query:?} asks for");
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

pub(in crate::conformance) async fn given_rows_of_keys_that_are_gone_when_added_then_the_others_count(
    bed: Arc<Bed>,
) -> Outcome {
    let ours = bed.organization("ours");
    let (key, gone, unknown) = (bed.key(&ours), bed.key(&ours), bed.key(&ours));
    bed.insert([&key, &gone]).await?;
    bed.commit(&ours, [Change::DeleteKey(gone.id.clone())]).await?;
    let rows = [&key, &gone, &unknown]
        .map(|key| UsageRow { last_used: vec![(key.secrets[0].digest.clone(), bed.at(5))], ..bed.used(key, 5, 2) });
    ensure!(bed.store.add_usage(&bed.batch(rows)).await?, "a batch with rows of keys that are gone must be added");
    same!(bed.total(&ours, UsageOf::Organization).await?, (5, 2), "the total, without the keys that are gone");
    same!(bed.total(&ours, UsageOf::Key(gone.id)).await?, (0, 0), "the usage of a key used after it was gone");
    same!(bed.stored(&key).await?.last_used_at, Some(bed.at(5)), "when the known key was last used");
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
        let used = |key: &KeyRecord| -> [Option<SystemTime>; 3] {
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
