//! The states of a key, and the ways between them.

use apikey_core::Timestamp;
use std::{sync::Arc, time::Duration};

use super::stage::Stage;
use crate::{
    ImportKey, KeyUpdate, ManageError, NewKey, Overlap, PageRequest, Set, Status,
    audit::Action,
    conformance::{
        bed::Bed,
        outcome::{Outcome, ensure, same},
    },
    query::{AuditFilter, KeyFilter},
};

pub(in crate::conformance) async fn given_a_key_when_time_passes_then_its_status_follows(bed: Arc<Bed>) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let new = NewKey::new("a key").not_before(bed.at(10)).expires_at(bed.at(100));
    let key = keys.issue(host, new).await?;
    let steps = [
        (0, Status::NotYetValid),
        (9, Status::NotYetValid),
        (10, Status::Active),
        (20, Status::Active),
        (21, Status::Rotating),
        (30, Status::Rotating),
        (31, Status::Active),
        (40, Status::Disabled),
        (50, Status::Active),
        (99, Status::Active),
        (100, Status::Expired),
        (200, Status::Expired),
        (201, Status::Active),
        (202, Status::Revoked),
    ];
    for (seconds, expected) in steps {
        stage.at(seconds);
        match seconds {
            21 => drop(keys.rotate(host, key.id(), Overlap::For(Duration::from_secs(10))).await?),
            40 => drop(keys.disable(host, key.id()).await?),
            50 => drop(keys.enable(host, key.id()).await?),
            201 => {
                let update = KeyUpdate::new().expires_at(Set::To(bed.at(300)));
                drop(keys.update(host, key.id(), update).await?);
            }
            202 => drop(keys.revoke(host, key.id(), "over").await?),
            _ => {}
        }
        let now = bed.at(seconds);
        same!(stage.stored(key.id()).await?.status(now), expected, "the status after {seconds} s");
        for status in Status::ALL {
            let filter = KeyFilter { status: Some(status), ..KeyFilter::default() };
            let listed = keys.list(host, filter, PageRequest::first()).await?.items.len();
            same!(listed, usize::from(status == expected), "the keys that are {status} after {seconds} s");
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn given_rotations_when_made_then_at_most_two_secrets_live(bed: Arc<Bed>) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await?;
    let overlaps = [
        (Overlap::UntilEnded, 2),
        (Overlap::For(Duration::from_secs(500)), 2),
        (Overlap::UntilEnded, 2),
        (Overlap::None, 1),
        (Overlap::UntilEnded, 2),
        (Overlap::UntilEnded, 2),
    ];
    for (n, (overlap, expected)) in overlaps.into_iter().enumerate() {
        let now = bed.at(n as i64);
        stage.at(n as i64);
        let before = stage.stored(key.id()).await?;
        let rotated = keys.rotate(host, key.id(), overlap).await?;
        let after = stage.stored(key.id()).await?;
        same!(&after, rotated.record(), "the record of the rotation");
        same!(after.live_secrets(now).count(), expected, "the live secrets after {overlap:?}");
        same!(after.secrets.len(), before.secrets.len() + 1, "the secrets ever made");
        same!(after.secrets[0].ends_at, None, "the end of the newest secret");
        ensure!(rotated.secret().expose_secret() != key.secret().expose_secret(), "a rotation makes another secret");
        if expected == 2 {
            ensure!(after.secrets[1].is_live(now), "of the older secrets the newest lives on");
        }
        same!(
            (&after.scopes, &after.metadata, after.created_at, &after.created_by),
            (&before.scopes, &before.metadata, before.created_at, &before.created_by),
            "what a rotation keeps"
        );
    }
    let ended = keys.end_overlap(host, key.id()).await?;
    same!(ended.live_secrets(bed.at(5)).count(), 1, "the live secrets after the overlap was ended");
    same!(stage.stored(key.id()).await?, ended, "the record after the overlap was ended");
    let before = stage.dump().await?;
    keys.end_overlap(host, key.id()).await?;
    same!(stage.dump().await?, before, "what is kept after an overlap was ended twice");
    Ok(())
}

pub(in crate::conformance) async fn given_many_rotations_when_made_then_a_record_has_the_latest_secrets(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await?;
    let mut made = vec![key.record().secrets[0].digest.clone()];
    for n in 1..40 {
        stage.at(n);
        let overlap = if n % 2 == 0 { Overlap::UntilEnded } else { Overlap::None };
        let rotated = keys.rotate(host, key.id(), overlap).await?;
        same!(&stage.stored(key.id()).await?, rotated.record(), "the record of the rotation");
        made.insert(0, rotated.record().secrets[0].digest.clone());
    }
    let secrets = stage.stored(key.id()).await?.secrets;
    let digests: Vec<_> = secrets.iter().map(|secret| secret.digest.clone()).collect();
    same!(digests, made[..16], "the secrets that a record has");
    same!(bed.found_by(&made).await?.len(), 16, "how many of the secrets ever made find the key");
    same!(bed.store.begin(host.organization()).await?.taken(&made).await?.len(), 40, "how many can't come back");
    Ok(())
}

pub(in crate::conformance) async fn given_a_secret_that_ends_when_rotated_again_then_it_ends_no_later(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await?;
    let mut ends: Vec<(String, Option<Timestamp>)> = Vec::new();
    let seconds = |seconds| Overlap::For(Duration::from_secs(seconds));
    let overlaps = [seconds(100), seconds(1_000), Overlap::UntilEnded, seconds(50), seconds(10_000), Overlap::None];
    for (n, overlap) in overlaps.into_iter().enumerate() {
        stage.at(n as i64 * 10);
        keys.rotate(host, key.id(), overlap).await?;
        let stored = stage.stored(key.id()).await?;
        for (digest, before) in &ends {
            let secret = stored.secrets.iter().find(|secret| secret.digest.to_string() == *digest);
            let Some(after) = secret.map(|secret| secret.ends_at) else {
                crate::conformance::outcome::fail!("a secret is gone after a rotation")
            };
            let is_no_later = match (before, after) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(before), Some(after)) => after <= *before,
            };
            ensure!(is_no_later, "{overlap:?} moved a secret's end from {before:?} to {after:?}");
        }
        let all = stored.secrets.iter().map(|secret| (secret.digest.to_string(), secret.ends_at));
        ends = all.collect();
        if let Overlap::For(overlap) = overlap {
            same!(stored.secrets[1].ends_at, Some(bed.at(n as i64 * 10) + overlap), "the end of the older secret");
        }
    }
    Ok(())
}

pub(in crate::conformance) async fn given_a_revoked_key_when_anything_is_tried_then_it_stays_revoked(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await?;
    stage.at(5);
    let revoked = keys.revoke(host, key.id(), "leaked").await?;
    let stored = stage.stored(key.id()).await?;
    same!(stored.revoked.as_ref().map(|end| (end.at, end.reason.as_str())), Some((bed.at(5), "leaked")), "its end");
    same!(stored, revoked, "the record of the revocation");
    stage.at(6);
    let before = stage.dump().await?;
    same!(keys.revoke(host, key.id(), "again").await?, revoked, "the record of a second revocation");
    same!(stage.dump().await?, before, "what is kept after a second revocation");
    let is_over = |error: &ManageError| matches!(error, ManageError::WrongState { status: Status::Revoked, .. });
    let update = || KeyUpdate::new().expires_at(Set::To(bed.at(900)));
    stage.fails("enable", keys.enable(host, key.id()), "it is revoked", is_over).await?;
    stage.fails("disable", keys.disable(host, key.id()), "it is revoked", is_over).await?;
    stage.fails("update", keys.update(host, key.id(), update()), "it is revoked", is_over).await?;
    stage.fails("rotate", keys.rotate(host, key.id(), Overlap::None), "it is revoked", is_over).await?;
    stage.fails("duplicate", keys.duplicate(host, key.id()), "it is revoked", is_over).await?;
    same!(stage.stored(key.id()).await?, revoked, "the record after all of this");
    let found = bed.found(&revoked.secrets[0].digest).await?;
    ensure!(found.is_revoked, "the read path sees the revocation");
    Ok(())
}

pub(in crate::conformance) async fn given_an_active_key_when_deleted_then_it_was_revoked_and_its_story_stays(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await?;
    stage.at(1);
    keys.delete(host, key.id()).await?;
    let filter = AuditFilter { target: Some(key.id().to_string()), ..AuditFilter::default() };
    let events = keys.audit(host, filter, PageRequest::first()).await?.items;
    let mut actions: Vec<_> = events.iter().map(|event| event.action).collect();
    actions.sort_by_key(|action| action.as_str());
    same!(actions, [Action::KeyDeleted, Action::KeyIssued, Action::KeyRevoked], "what is told of the key");
    ensure!(stage.bed.found_by(&[key.record().secrets[0].digest.clone()]).await?.is_empty(), "it is found no more");
    let text = key.secret().expose_secret().parse()?;
    let imported = keys.import(host, "again", [ImportKey::raw("again", text)], 10, |_| {});
    let is_taken = |error: &ManageError| matches!(error, ManageError::Import(rows) if rows.len() == 1);
    stage.fails("an import of a deleted key", imported, "the row", is_taken).await?;
    let by_id = ImportKey::hashed("again", stage.bed.digest()).id(key.id().clone());
    let imported = keys.import(host, "its id", [by_id], 10, |_| {});
    stage.fails("an import under a deleted key's id", imported, "the row", is_taken).await?;
    Ok(())
}
