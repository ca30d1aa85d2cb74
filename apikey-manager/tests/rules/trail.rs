//! Every action is recorded without secrets, and all use is counted.

use std::collections::BTreeSet;

use apikey_manager::{
    AccountUpdate, Action, AuditFilter, Bucket, ImportKey, KeyUpdate, NewAccount, NewKey, Overlap, PageRequest, Patch,
    UsageBatch, UsageOf, UsageRow,
};

use crate::{
    bed::{Bed, HOUR},
    stage::Stage,
};

/// Each action is recorded once, with its actor, target, time and request, and without secrets or digests.
#[tokio::test]
async fn each_action_is_told_once_without_secrets() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, bed) = (&stage.keys, &stage.bed);
    let host = &stage.host.clone().with_request_id("req-1");
    let mut secrets: Vec<String> = Vec::new();
    let mut digests = Vec::new();

    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    let update = AccountUpdate::new().description(Patch::To("what for".to_owned()));
    keys.update_account(host, &account.id, update).await.unwrap();
    keys.disable_account(host, &account.id).await.unwrap();
    keys.enable_account(host, &account.id).await.unwrap();
    let key = keys.issue(host, NewKey::new("a key").scopes(["files:read"])).await.unwrap();
    let copy = keys.duplicate(host, key.id()).await.unwrap();
    keys.update(host, key.id(), KeyUpdate::new().name(Patch::To("renamed".to_owned()))).await.unwrap();
    let rotated = keys.rotate(host, key.id(), Overlap::UntilEnded).await.unwrap();
    keys.end_overlap(host, key.id()).await.unwrap();
    keys.disable(host, key.id()).await.unwrap();
    keys.enable(host, key.id()).await.unwrap();
    keys.revoke(host, key.id(), "leaked").await.unwrap();
    keys.delete(host, key.id()).await.unwrap();
    keys.import(host, "import", [ImportKey::hashed("imported", bed.digest())], 10, |_| {}).await.unwrap();
    keys.delete_account(host, &account.id).await.unwrap();
    keys.suspend_organization(host).await.unwrap();
    keys.resume_organization(host).await.unwrap();

    for issued in [&key, &copy, &rotated] {
        secrets.push(issued.secret().expose_secret().to_owned());
        digests.extend(issued.record().secrets.iter().map(|secret| secret.digest.to_string()));
    }
    let events = keys.audit(host, AuditFilter::default(), PageRequest::first().limit(200)).await.unwrap().items;
    let expected = [
        (Action::AccountCreated, account.id.as_str()),
        (Action::AccountUpdated, account.id.as_str()),
        (Action::AccountDisabled, account.id.as_str()),
        (Action::AccountEnabled, account.id.as_str()),
        (Action::KeyIssued, key.id().as_str()),
        (Action::KeyDuplicated, copy.id().as_str()),
        (Action::KeyUpdated, key.id().as_str()),
        (Action::KeyRotated, key.id().as_str()),
        (Action::KeyOverlapEnded, key.id().as_str()),
        (Action::KeyDisabled, key.id().as_str()),
        (Action::KeyEnabled, key.id().as_str()),
        (Action::KeyRevoked, key.id().as_str()),
        (Action::KeyDeleted, key.id().as_str()),
        (Action::AccountDeleted, account.id.as_str()),
        (Action::OrganizationSuspended, stage.ours.as_str()),
        (Action::OrganizationResumed, stage.ours.as_str()),
    ];
    for (action, target) in expected {
        let told: Vec<_> = events.iter().filter(|event| event.action == action).collect();
        assert_eq!(told.len(), 1, "how often {action} is told");
        let event = told[0];
        assert_eq!(event.target, target, "what {action} was done to");
        assert_eq!(event.actor, *host.id(), "who did {action}");
        assert_eq!(event.request_id.as_deref(), Some("req-1"), "the request that asked for {action}");
        assert_eq!((event.at, &event.organization), (bed.now(), &stage.ours), "when and where {action} was done");
    }
    assert_eq!(events.len(), expected.len() + 1, "the events, the import's one among them");
    assert_eq!(
        events.iter().map(|event| &event.id).collect::<BTreeSet<_>>().len(),
        events.len(),
        "their different ids"
    );
    let text = format!("{events:?}");
    for secret in secrets.iter().chain(&digests) {
        let tail = secret.rsplit(':').next().unwrap_or(secret);
        assert!(!text.contains(tail), "an event tells a secret or its digest");
    }
    let renamed = events.iter().find(|event| event.action == Action::KeyUpdated);
    let names = renamed.map(|event| {
        [&event.before, &event.after].map(|side| {
            let name = side.as_ref().and_then(|fields| fields.get("name"));
            name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
        })
    });
    assert_eq!(names, Some(["a key", "renamed"].map(str::to_owned)), "the name before and after");
}

/// Usage is returned by key, account, environment and organization, with each secret's last use.
#[tokio::test]
async fn usage_tells_totals_and_last_uses() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    let first = keys.issue(host, NewKey::new("a key").service_account(account.id.clone())).await.unwrap();
    let second = keys.issue(host, NewKey::new("a key").environment("test")).await.unwrap();
    let rotated = keys.rotate(host, first.id(), Overlap::UntilEnded).await.unwrap();
    let secrets = &rotated.record().secrets;
    let mut rows = vec![
        UsageRow {
            last_used: vec![(secrets[0].digest.clone(), bed.at(60)), (secrets[1].digest.clone(), bed.at(20))],
            ..bed.used(first.record(), 5, 2)
        },
        UsageRow { hour: bed.at(HOUR), ..bed.used(first.record(), 1, 0) },
        bed.used(second.record(), 10, 0),
    ];
    rows.sort_by(|a, b| (&a.key, a.hour).cmp(&(&b.key, b.hour)));
    bed.store.add_usage(&UsageBatch { id: bed.unique(), at: bed.now(), rows }).await.unwrap();
    let stored = stage.stored(first.id()).await;
    let used: Vec<_> = stored.secrets.iter().map(|secret| secret.last_used_at).collect();
    assert_eq!(used, [Some(bed.at(60)), Some(bed.at(20))], "when the new secret and the old one were last used");
    assert_eq!(stored.last_used_at, Some(bed.at(60)), "when the key was last used");
    let cases = [
        (UsageOf::Key(first.id().clone()), (6, 2)),
        (UsageOf::Account(account.id.clone()), (6, 2)),
        (UsageOf::Environment("live".to_owned()), (6, 2)),
        (UsageOf::Environment("test".to_owned()), (10, 0)),
        (UsageOf::Organization, (16, 2)),
    ];
    keys.delete(host, second.id()).await.unwrap();
    for (of, expected) in cases {
        let usage = keys.usage(host, of.clone(), bed.now(), bed.at(2 * HOUR), Bucket::Hour).await.unwrap();
        assert_eq!((usage.ok, usage.refused), expected, "the usage of {of:?}");
        let sums = usage.buckets.iter().fold((0, 0), |(ok, refused), hour| (ok + hour.ok, refused + hour.refused));
        assert_eq!(sums, expected, "the usage of {of:?}, hour by hour");
    }
}

/// Every accepted request counts, even if its key changes before the count is written.
#[tokio::test]
async fn unwritten_usage_of_an_ended_key_counts() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    let deleted = keys.issue(host, NewKey::new("deleted")).await.unwrap();
    let of_account = keys.issue(host, NewKey::new("of an account").service_account(account.id.clone())).await.unwrap();
    let revoked = keys.issue(host, NewKey::new("revoked").environment("test")).await.unwrap();
    let rotated = keys.issue(host, NewKey::new("rotated").environment("test")).await.unwrap();
    for (requests, key) in [(3, &deleted), (20, &of_account), (100, &revoked), (4_000, &rotated)] {
        for _ in 0..requests {
            stage.present(key).await;
        }
    }
    keys.delete(host, deleted.id()).await.unwrap();
    keys.delete_account(host, &account.id).await.unwrap();
    keys.delete(host, of_account.id()).await.unwrap();
    keys.revoke(host, revoked.id(), "").await.unwrap();
    keys.rotate(host, rotated.id(), Overlap::None).await.unwrap();
    keys.suspend_organization(host).await.unwrap();
    let cases = [
        (UsageOf::Key(deleted.id().clone()), 3),
        (UsageOf::Key(of_account.id().clone()), 20),
        (UsageOf::Account(account.id), 20),
        (UsageOf::Environment("live".to_owned()), 23),
        (UsageOf::Environment("test".to_owned()), 4_100),
        (UsageOf::Organization, 4_123),
    ];
    for (of, expected) in cases {
        for bucket in [Bucket::Hour, Bucket::Day] {
            let usage = keys.usage(host, of.clone(), bed.now(), bed.at(2 * HOUR), bucket).await.unwrap();
            assert_eq!((usage.ok, usage.refused), (expected, 0), "the usage of {of:?}");
        }
    }
}
