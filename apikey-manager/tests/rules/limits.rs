//! Limits of the plan are checked against the current use, under the organization's lock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use apikey_manager::{
    FoundKey, ImportKey, KeyUpdate, Limited, Limits, ManageError, NewAccount, NewKey, Overlap, Patch,
};

use crate::{bed::Bed, stage::Stage};

/// Returns a stage with this limit of keys, and the limit, which can be changed.
fn limited(bed: Arc<Bed>, allowed: u64) -> (Stage, Arc<AtomicU64>) {
    let plan = Arc::new(AtomicU64::new(allowed));
    let asked = Arc::clone(&plan);
    let limits = move |_| {
        let allowed = asked.load(Ordering::Relaxed);
        async move { Ok(Limits::new().keys(allowed).service_accounts(2)) }
    };
    (Stage::with(bed, |builder| builder.limits(limits)), plan)
}

fn is_reached(error: &ManageError, expected: (Limited, u64, u64)) -> bool {
    matches!(error, ManageError::LimitReached { of, used, allowed } if (*of, *used, *allowed) == expected)
}

/// Fifty concurrent issues with a limit of 10 create exactly 10 keys.
#[tokio::test]
async fn fifty_callers_at_limit_ten_get_ten_keys() {
    let bed = Bed::new();
    let (stage, _) = limited(Arc::clone(&bed), 10);
    // They come from ten processes, because within one process, changes queue before they reach the store.
    let managers: Vec<_> = (0..10).map(|_| limited(Arc::clone(&bed), 10).0.keys).collect();
    let host = stage.host.clone();
    let issued = stage
        .bed
        .at_once(50, move |_, n| {
            let (keys, host) = (managers[n % managers.len()].clone(), host.clone());
            async move {
                match keys.issue(&host, NewKey::new("a key")).await {
                    Ok(_) => 1,
                    Err(error) if is_reached(&error, (Limited::Keys, 10, 10)) => {
                        assert_eq!(error.to_string(), "10 of 10 keys are in use", "the message");
                        0
                    }
                    Err(other) => panic!("a key must be issued or the limit be told, but: {other:?}"),
                }
            }
        })
        .await;
    assert_eq!(issued.into_iter().sum::<u64>(), 10, "how many of fifty got a key");
    assert_eq!(stage.bed.store.counts(&stage.ours, stage.bed.now()).await.unwrap().keys, 10, "the keys that there are");
}

/// An import beyond the limit is refused, and the error has the numbers.
#[tokio::test]
async fn an_import_beyond_the_limit_is_refused() {
    let bed = Bed::new();
    let (stage, _) = limited(bed, 10);
    for _ in 0..8 {
        stage.issue().await.unwrap();
    }
    let rows = |count: usize| (0..count).map(|_| ImportKey::hashed("imported", stage.bed.digest())).collect::<Vec<_>>();
    let imported = stage.keys.import(&stage.host, "three", rows(3), 10, |_| {});
    let is_told = |error: &ManageError| {
        is_reached(error, (Limited::Keys, 8, 10)) && error.to_string() == "8 of 10 keys are in use"
    };
    stage.fails("an import of three", imported, "8 of 10", is_told).await;
    stage.keys.import(&stage.host, "two", rows(2), 10, |_| {}).await.unwrap();
    let full = |error: &ManageError| is_reached(error, (Limited::Keys, 10, 10));
    stage.fails("an eleventh key", stage.issue(), "10 of 10", full).await;
}

/// Keys count until they are revoked or expire, and again after an extension.
#[tokio::test]
async fn ended_keys_make_room_until_they_return() {
    let bed = Bed::new();
    let (stage, _) = limited(bed, 3);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let mortal = keys.issue(host, NewKey::new("a key").expires_at(bed.at(100))).await.unwrap();
    let [a, b] = [stage.issue().await.unwrap(), stage.issue().await.unwrap()];
    let full = |error: &ManageError| is_reached(error, (Limited::Keys, 3, 3));
    stage.fails("a fourth key", stage.issue(), "3 of 3", full).await;
    keys.disable(host, a.id()).await.unwrap();
    stage.fails("a fourth key beside a disabled one", stage.issue(), "3 of 3", full).await;
    stage.fails("a duplicate", keys.duplicate(host, b.id()), "3 of 3", full).await;
    keys.revoke(host, a.id(), "").await.unwrap();
    stage.issue().await.unwrap();
    stage.fails("a fourth key again", stage.issue(), "3 of 3", full).await;
    stage.at(100);
    stage.issue().await.unwrap();
    let extend = || KeyUpdate::new().expires_at(Patch::To(bed.at(500)));
    stage.fails("an extension", keys.update(host, mortal.id(), extend()), "3 of 3", full).await;
    let revive = KeyUpdate::new().expires_at(Patch::Clear);
    stage.fails("an expiry that is cleared", keys.update(host, mortal.id(), revive), "3 of 3", full).await;
    keys.delete(host, b.id()).await.unwrap();
    keys.update(host, mortal.id(), extend()).await.unwrap();
    stage.fails("a key beside the extended one", stage.issue(), "3 of 3", full).await;
}

/// A lowered limit refuses new keys and keeps existing ones.
#[tokio::test]
async fn a_lowered_limit_breaks_no_key_and_adds_none() {
    let bed = Bed::new();
    let (stage, plan) = limited(bed, 5);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let mut issued = Vec::new();
    for _ in 0..5 {
        issued.push(stage.issue().await.unwrap());
    }
    plan.store(2, Ordering::Relaxed);
    for key in &issued {
        let key = key.record();
        assert_eq!(stage.stored(&key.id).await, *key, "a key over the lowered limit");
        let found = bed.found(&key.secrets[0].digest).await;
        assert_eq!(found, FoundKey::of(key, &key.secrets[0]), "a key over the lowered limit, found");
    }
    let over = |error: &ManageError| is_reached(error, (Limited::Keys, 5, 2));
    stage.fails("another key", stage.issue(), "5 of 2", over).await;
    let key = &issued[0];
    keys.disable(host, key.id()).await.unwrap();
    keys.enable(host, key.id()).await.unwrap();
    keys.rotate(host, key.id(), apikey_manager::Overlap::None).await.unwrap();
    let update = KeyUpdate::new().expires_at(Patch::To(bed.at(500)));
    keys.update(host, key.id(), update).await.unwrap();
    assert_eq!(
        bed.store.counts(&stage.ours, bed.now()).await.unwrap().keys,
        5,
        "the keys after all that is allowed over a limit"
    );
    for _ in 0..2 {
        keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    }
    let full = |error: &ManageError| is_reached(error, (Limited::ServiceAccounts, 2, 2));
    stage.fails("a third account", keys.create_account(host, NewAccount::new("third")), "2 of 2", full).await;
}

/// A plan's longest overlap applies to every rotation.
#[tokio::test]
async fn an_overlap_beyond_the_limit_names_its_field() {
    let hour = Duration::from_secs(3_600);
    for (longest, fits) in [(Duration::ZERO, None), (hour, Some(hour))] {
        let limits = move |_| async move { Ok(Limits::new().longest_overlap(longest)) };
        let stage = Stage::with(Bed::new(), |builder| builder.limits(limits));
        let (keys, host) = (&stage.keys, &stage.host);
        let key = stage.issue().await.unwrap();
        let own = stage.actor(&key).await;
        for overlap in [Overlap::For(longest + Duration::from_millis(1)), Overlap::UntilEnded] {
            let rotate = keys.rotate(host, key.id(), overlap);
            stage.refuses("a rotation", rotate, "overlap", "too_long").await;
        }
        let rotate = keys.rotate_self(&own, hour * 2);
        stage.refuses("a key that rotates itself", rotate, "overlap", "too_long").await;
        let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
        let rotate = keys.rotate_account(host, &account.id, Overlap::UntilEnded);
        stage.refuses("a rotation of an account", rotate, "overlap", "too_long").await;
        keys.rotate(host, key.id(), Overlap::None).await.unwrap();
        if let Some(fits) = fits {
            keys.rotate(host, key.id(), Overlap::For(fits)).await.unwrap();
        }
    }
}

/// A leaked secret is ended even if the plan can't be looked up.
#[tokio::test]
async fn a_rotation_without_an_overlap_needs_no_plan() {
    let broken = |_| async { Err("the plans are away".into()) };
    let stage = Stage::new(Bed::new());
    let key = stage.issue().await.unwrap();
    let other = Stage::with(Arc::clone(&stage.bed), |builder| builder.limits(broken));
    other.keys.rotate(&other.host, key.id(), Overlap::None).await.unwrap();
    let rotated = other.keys.rotate(&other.host, key.id(), Overlap::UntilEnded).await;
    assert!(matches!(rotated, Err(ManageError::Limits(_))), "{rotated:?}");
}

/// A plan's lifetimes apply to new keys and to extensions.
#[tokio::test]
async fn a_lifetime_beyond_the_limit_names_its_field() {
    let bed = Bed::new();
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let limits = move |_| async move {
        Ok(Limits::new().longest_lifetime(days(90)).default_lifetime(days(30)).expiry_required(true))
    };
    let stage = Stage::with(bed, |builder| builder.limits(limits));
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
    assert_eq!(stage.stored(key.id()).await.expires_at, Some(bed.now() + days(30)), "the expiry by default");
    let new = || NewKey::new("a key");
    let never = keys.issue(host, new().expiry(apikey_manager::Expiry::Never));
    stage.refuses("a key without an expiry", never, "expires_at", "required").await;
    stage.refuses("a key for 91 days", keys.issue(host, new().expires_in(days(91))), "expires_in", "too_late").await;
    let late = bed.now() + days(90) + Duration::from_millis(1);
    stage.refuses("a later expiry", keys.issue(host, new().expires_at(late)), "expires_at", "too_late").await;
    keys.issue(host, new().expires_in(days(90))).await.unwrap();
    let update = KeyUpdate::new().expires_at(Patch::Clear);
    stage.refuses("an expiry that is cleared", keys.update(host, key.id(), update), "expires_at", "required").await;
    let update = KeyUpdate::new().expires_at(Patch::To(late));
    stage.refuses("an extension", keys.update(host, key.id(), update), "expires_at", "too_late").await;
}
