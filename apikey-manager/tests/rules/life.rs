//! The states of a key, and the transitions between them.

use std::time::Duration;

use apikey_manager::{
    Action, AuditFilter, ImportKey, KeyFilter, KeyUpdate, ManageError, NewKey, Overlap, PageRequest, Patch, Status,
};

use crate::{
    bed::{Bed, made},
    stage::Stage,
};

/// A key's status follows from its record and the time, in reads and in lists.
#[tokio::test]
async fn the_status_follows_the_time() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let new = NewKey::new("a key").not_before(bed.at(10)).expires_at(bed.at(100));
    let key = keys.issue(host, new).await.unwrap();
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
            21 => drop(keys.rotate(host, key.id(), Overlap::For(Duration::from_secs(10))).await.unwrap()),
            40 => drop(keys.disable(host, key.id()).await.unwrap()),
            50 => drop(keys.enable(host, key.id()).await.unwrap()),
            201 => {
                let update = KeyUpdate::new().expires_at(Patch::To(bed.at(300)));
                drop(keys.update(host, key.id(), update).await.unwrap());
            }
            202 => drop(keys.revoke(host, key.id(), "over").await.unwrap()),
            _ => {}
        }
        let now = bed.at(seconds);
        assert_eq!(stage.stored(key.id()).await.status(now), expected, "the status after {seconds} s");
        for status in Status::ALL {
            let filter = made(|it: &mut KeyFilter| it.status = Some(status));
            let listed = keys.list(host, filter, PageRequest::first()).await.unwrap().items.len();
            assert_eq!(listed, usize::from(status == expected), "the keys that are {status} after {seconds} s");
        }
    }
}

/// A key has at most two live secrets, and one without an overlap.
#[tokio::test]
async fn at_most_two_secrets_live() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
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
        let before = stage.stored(key.id()).await;
        let rotated = keys.rotate(host, key.id(), overlap).await.unwrap();
        let after = stage.stored(key.id()).await;
        assert_eq!(&after, rotated.record(), "the record of the rotation");
        assert_eq!(after.live_secrets(now).count(), expected, "the live secrets after {overlap:?}");
        assert_eq!(after.secrets.len(), before.secrets.len() + 1, "the secrets ever made");
        assert_eq!(after.secrets[0].ends_at, None, "the end of the newest secret");
        assert!(rotated.secret().expose_secret() != key.secret().expose_secret(), "a rotation makes another secret");
        if expected == 2 {
            assert!(after.secrets[1].is_live(now), "of the older secrets the newest lives on");
        }
        assert_eq!(
            (&after.scopes, &after.metadata, after.created_at, &after.created_by),
            (&before.scopes, &before.metadata, before.created_at, &before.created_by),
            "what a rotation keeps"
        );
    }
    let ended = keys.end_overlap(host, key.id()).await.unwrap();
    assert_eq!(ended.live_secrets(bed.at(5)).count(), 1, "the live secrets after the overlap was ended");
    assert_eq!(stage.stored(key.id()).await, ended, "the record after the overlap was ended");
    let before = stage.dump().await;
    keys.end_overlap(host, key.id()).await.unwrap();
    assert_eq!(stage.dump().await, before.one_revision_later(), "what is kept after an overlap was ended twice");
}

/// A record contains the latest sixteen secrets, however often the key was rotated.
#[tokio::test]
async fn a_record_has_the_latest_sixteen_secrets() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
    let mut made = vec![key.record().secrets[0].digest.clone()];
    for n in 1..40 {
        stage.at(n);
        let overlap = if n % 2 == 0 { Overlap::UntilEnded } else { Overlap::None };
        let rotated = keys.rotate(host, key.id(), overlap).await.unwrap();
        assert_eq!(&stage.stored(key.id()).await, rotated.record(), "the record of the rotation");
        made.insert(0, rotated.record().secrets[0].digest.clone());
    }
    let secrets = stage.stored(key.id()).await.secrets;
    let digests: Vec<_> = secrets.iter().map(|secret| secret.digest.clone()).collect();
    assert_eq!(digests, made[..16], "the secrets that a record has");
    assert_eq!(bed.found_by(&made).await.len(), 16, "how many of the secrets ever made find the key");
    assert_eq!(
        bed.store.begin(host.organization()).await.unwrap().taken(&made).await.unwrap().len(),
        40,
        "how many can't come back"
    );
}

/// No rotation extends the life of a secret.
#[tokio::test]
async fn no_rotation_lengthens_a_secrets_life() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
    let mut ends: Vec<(String, Option<apikey_core::Timestamp>)> = Vec::new();
    let seconds = |seconds| Overlap::For(Duration::from_secs(seconds));
    let overlaps = [seconds(100), seconds(1_000), Overlap::UntilEnded, seconds(50), seconds(10_000), Overlap::None];
    for (n, overlap) in overlaps.into_iter().enumerate() {
        stage.at(n as i64 * 10);
        keys.rotate(host, key.id(), overlap).await.unwrap();
        let stored = stage.stored(key.id()).await;
        for (digest, before) in &ends {
            let secret = stored.secrets.iter().find(|secret| secret.digest.to_string() == *digest);
            let Some(after) = secret.map(|secret| secret.ends_at) else { panic!("a secret is gone after a rotation") };
            let is_no_later = match (before, after) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(before), Some(after)) => after <= *before,
            };
            assert!(is_no_later, "{overlap:?} moved a secret's end from {before:?} to {after:?}");
        }
        let all = stored.secrets.iter().map(|secret| (secret.digest.to_string(), secret.ends_at));
        ends = all.collect();
        if let Overlap::For(overlap) = overlap {
            assert_eq!(stored.secrets[1].ends_at, Some(bed.at(n as i64 * 10) + overlap), "the end of the older secret");
        }
    }
}

/// A revocation is permanent; a second one changes nothing.
#[tokio::test]
async fn a_revocation_is_final() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
    stage.at(5);
    let revoked = keys.revoke(host, key.id(), "leaked").await.unwrap();
    let stored = stage.stored(key.id()).await;
    assert_eq!(
        stored.revoked.as_ref().map(|end| (end.at, end.reason.as_str())),
        Some((bed.at(5), "leaked")),
        "its end"
    );
    assert_eq!(stored, revoked, "the record of the revocation");
    stage.at(6);
    let before = stage.dump().await;
    assert_eq!(keys.revoke(host, key.id(), "again").await.unwrap(), revoked, "the record of a second revocation");
    assert_eq!(stage.dump().await, before.one_revision_later(), "what is kept after a second revocation");
    let is_over = |error: &ManageError| matches!(error, ManageError::WrongState { status: Status::Revoked, .. });
    let update = || KeyUpdate::new().expires_at(Patch::To(bed.at(900)));
    stage.fails("enable", keys.enable(host, key.id()), "it is revoked", is_over).await;
    stage.fails("disable", keys.disable(host, key.id()), "it is revoked", is_over).await;
    stage.fails("update", keys.update(host, key.id(), update()), "it is revoked", is_over).await;
    stage.fails("rotate", keys.rotate(host, key.id(), Overlap::None), "it is revoked", is_over).await;
    stage.fails("duplicate", keys.duplicate(host, key.id()), "it is revoked", is_over).await;
    assert_eq!(stage.stored(key.id()).await, revoked, "the record after all of this");
    let found = bed.found(&revoked.secrets[0].digest).await;
    assert!(found.is_revoked, "the read path sees the revocation");
}

/// Deleting an active key revokes it; its events stay, and it can't be used again.
#[tokio::test]
async fn a_deleted_key_was_revoked_and_its_events_stay() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let key = stage.issue().await.unwrap();
    stage.at(1);
    keys.delete(host, key.id()).await.unwrap();
    let filter = made(|it: &mut AuditFilter| it.target = Some(key.id().to_string()));
    let events = keys.audit(host, filter, PageRequest::first()).await.unwrap().items;
    let mut actions: Vec<_> = events.iter().map(|event| event.action).collect();
    actions.sort_by_key(|action| action.as_str());
    assert_eq!(actions, [Action::KeyDeleted, Action::KeyIssued, Action::KeyRevoked], "what is told of the key");
    assert!(stage.bed.found_by(&[key.record().secrets[0].digest.clone()]).await.is_empty(), "it is found no more");
    let text = key.secret().expose_secret().parse().unwrap();
    let imported = keys.import(host, "again", [ImportKey::raw("again", text)], 10, |_| {});
    let is_taken = |error: &ManageError| matches!(error, ManageError::Import(rows) if rows.len() == 1);
    stage.fails("an import of a deleted key", imported, "the row", is_taken).await;
    let by_id = ImportKey::hashed("again", stage.bed.digest()).id(key.id().clone());
    let imported = keys.import(host, "its id", [by_id], 10, |_| {});
    stage.fails("an import under a deleted key's id", imported, "the row", is_taken).await;
}
