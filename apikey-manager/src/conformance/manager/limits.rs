//! What a plan allows is held against what there is, under the organization's lock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::stage::Stage;
use crate::{
    FoundKey, ImportKey, KeyUpdate, Limited, Limits, ManageError, NewKey, Set,
    conformance::{
        bed::Bed,
        outcome::{Failure, Outcome, fail, same},
    },
    manager::NewAccount,
};

/// A stage where this many keys are allowed, which may be changed.
fn limited(bed: Arc<Bed>, allowed: u64) -> Result<(Stage, Arc<AtomicU64>), Failure> {
    let plan = Arc::new(AtomicU64::new(allowed));
    let asked = Arc::clone(&plan);
    let limits = move |_| {
        let allowed = asked.load(Ordering::Relaxed);
        async move { Ok(Limits::new().keys(allowed).service_accounts(2)) }
    };
    Ok((Stage::with(bed, |builder| builder.limits(limits))?, plan))
}

fn is_reached(error: &ManageError, expected: (Limited, u64, u64)) -> bool {
    matches!(error, ManageError::LimitReached { of, used, allowed } if (*of, *used, *allowed) == expected)
}

pub(in crate::conformance) async fn given_fifty_callers_at_limit_ten_when_they_issue_then_exactly_ten_do(
    bed: Arc<Bed>,
) -> Outcome {
    let (stage, _) = limited(Arc::clone(&bed), 10)?;
    // As of ten processes: within one, changes stand in line before they reach the store.
    let managers = (0..10).map(|_| Ok(limited(Arc::clone(&bed), 10)?.0.keys)).collect::<Result<Vec<_>, Failure>>()?;
    let host = stage.host.clone();
    let issued = stage
        .bed
        .at_once(50, move |_, n| {
            let (keys, host) = (managers[n % managers.len()].clone(), host.clone());
            async move {
                match keys.issue(&host, NewKey::new("a key")).await {
                    Ok(_) => Ok(1),
                    Err(error) if is_reached(&error, (Limited::Keys, 10, 10)) => {
                        same!(error.to_string(), "10 of 10 keys are in use", "the message");
                        Ok(0)
                    }
                    Err(other) => fail!("a key must be issued or the limit be told, but: {other:?}"),
                }
            }
        })
        .await?;
    same!(issued.into_iter().sum::<u64>(), 10, "how many of fifty got a key");
    same!(stage.bed.store.counts(&stage.ours, stage.bed.now()).await?.keys, 10, "the keys that there are");
    Ok(())
}

pub(in crate::conformance) async fn given_eight_of_ten_keys_when_three_are_imported_then_none_is(
    bed: Arc<Bed>,
) -> Outcome {
    let (stage, _) = limited(bed, 10)?;
    for _ in 0..8 {
        stage.issue().await?;
    }
    let rows = |count: usize| (0..count).map(|_| ImportKey::hashed("imported", stage.bed.digest())).collect::<Vec<_>>();
    let imported = stage.keys.import(&stage.host, "three", rows(3), 10, |_| {});
    let is_told = |error: &ManageError| {
        is_reached(error, (Limited::Keys, 8, 10)) && error.to_string() == "8 of 10 keys are in use"
    };
    stage.fails("an import of three", imported, "8 of 10", is_told).await?;
    stage.keys.import(&stage.host, "two", rows(2), 10, |_| {}).await?;
    let full = |error: &ManageError| is_reached(error, (Limited::Keys, 10, 10));
    stage.fails("an eleventh key", stage.issue(), "10 of 10", full).await?;
    Ok(())
}

pub(in crate::conformance) async fn given_a_full_organization_when_keys_end_then_there_is_room_until_they_return(
    bed: Arc<Bed>,
) -> Outcome {
    let (stage, _) = limited(bed, 3)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let mortal = keys.issue(host, NewKey::new("a key").expires_at(bed.at(100))).await?;
    let [a, b] = [stage.issue().await?, stage.issue().await?];
    let full = |error: &ManageError| is_reached(error, (Limited::Keys, 3, 3));
    stage.fails("a fourth key", stage.issue(), "3 of 3", full).await?;
    keys.disable(host, a.id()).await?;
    stage.fails("a fourth key beside a disabled one", stage.issue(), "3 of 3", full).await?;
    stage.fails("a duplicate", keys.duplicate(host, b.id()), "3 of 3", full).await?;
    keys.revoke(host, a.id(), "").await?;
    stage.issue().await?;
    stage.fails("a fourth key again", stage.issue(), "3 of 3", full).await?;
    stage.at(100);
    stage.issue().await?;
    let extend = || KeyUpdate::new().expires_at(Set::To(bed.at(500)));
    stage.fails("an extension", keys.update(host, mortal.id(), extend()), "3 of 3", full).await?;
    let revive = KeyUpdate::new().expires_at(Set::Clear);
    stage.fails("an expiry that is cleared", keys.update(host, mortal.id(), revive), "3 of 3", full).await?;
    keys.delete(host, b.id()).await?;
    keys.update(host, mortal.id(), extend()).await?;
    stage.fails("a key beside the extended one", stage.issue(), "3 of 3", full).await?;
    Ok(())
}

pub(in crate::conformance) async fn given_a_lowered_limit_when_keys_are_over_it_then_none_breaks_and_none_is_added(
    bed: Arc<Bed>,
) -> Outcome {
    let (stage, plan) = limited(bed, 5)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let mut issued = Vec::new();
    for _ in 0..5 {
        issued.push(stage.issue().await?);
    }
    plan.store(2, Ordering::Relaxed);
    for key in &issued {
        let key = key.record();
        same!(bed.stored(key).await?, *key, "a key over the lowered limit");
        let found = bed.found(&key.secrets[0].digest).await?;
        same!(found, FoundKey::of(key, &key.secrets[0], found.revision), "a key over the lowered limit, found");
    }
    let over = |error: &ManageError| is_reached(error, (Limited::Keys, 5, 2));
    stage.fails("another key", stage.issue(), "5 of 2", over).await?;
    let key = &issued[0];
    keys.disable(host, key.id()).await?;
    keys.enable(host, key.id()).await?;
    keys.rotate(host, key.id(), crate::Overlap::None).await?;
    let update = KeyUpdate::new().expires_at(Set::To(bed.at(500)));
    keys.update(host, key.id(), update).await?;
    same!(bed.store.counts(&stage.ours, bed.now()).await?.keys, 5, "the keys after all that is allowed over a limit");
    for _ in 0..2 {
        keys.create_account(host, NewAccount::new("an account")).await?;
    }
    let full = |error: &ManageError| is_reached(error, (Limited::ServiceAccounts, 2, 2));
    stage.fails("a third account", keys.create_account(host, NewAccount::new("third")), "2 of 2", full).await?;
    Ok(())
}

pub(in crate::conformance) async fn given_limits_of_lifetimes_when_exceeded_then_the_field_is_named(
    bed: Arc<Bed>,
) -> Outcome {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let limits = move |_| async move {
        Ok(Limits::new().longest_lifetime(days(90)).default_lifetime(days(30)).expiry_required(true))
    };
    let stage = Stage::with(bed, |builder| builder.limits(limits))?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await?;
    same!(stage.stored(key.id()).await?.expires_at, Some(bed.now() + days(30)), "the expiry by default");
    let new = || NewKey::new("a key");
    let never = keys.issue(host, new().expiry(crate::Expiry::Never));
    stage.refuses("a key without an expiry", never, "expires_at", "required").await?;
    stage.refuses("a key for 91 days", keys.issue(host, new().expires_in(days(91))), "expires_in", "too_late").await?;
    let late = bed.now() + days(90) + Duration::from_millis(1);
    stage.refuses("a later expiry", keys.issue(host, new().expires_at(late)), "expires_at", "too_late").await?;
    keys.issue(host, new().expires_in(days(90))).await?;
    let update = KeyUpdate::new().expires_at(Set::Clear);
    stage.refuses("an expiry that is cleared", keys.update(host, key.id(), update), "expires_at", "required").await?;
    let update = KeyUpdate::new().expires_at(Set::To(late));
    stage.refuses("an extension", keys.update(host, key.id(), update), "expires_at", "too_late").await?;
    Ok(())
}
