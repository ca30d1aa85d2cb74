//! Everything done is told, with nothing that must stay secret; what was used is counted.

use std::{collections::BTreeSet, sync::Arc};

use apikey_core::{
    PlaintextKey,
    adapter::{Authentication, Header, HeaderLines, RequestView},
};

use super::stage::Stage;
use crate::{
    ImportKey, KeyUpdate, NewKey, Overlap, PageRequest, Set,
    audit::Action,
    conformance::{
        bed::{Bed, HOUR},
        outcome::{Outcome, ensure, same},
    },
    manager::{AccountUpdate, NewAccount},
    query::{AuditFilter, Bucket, UsageOf, UsageRow},
};

pub(in crate::conformance) async fn given_every_action_when_done_then_it_is_told_once_and_without_secrets(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, bed) = (&stage.keys, &stage.bed);
    let host = &stage.host.clone().with_request_id("req-1");
    let mut secrets: Vec<String> = Vec::new();
    let mut digests = Vec::new();

    let account = keys.create_account(host, NewAccount::new("an account")).await?;
    let update = AccountUpdate::new().description(Set::To("what for".to_owned()));
    keys.update_account(host, &account.id, update).await?;
    keys.disable_account(host, &account.id).await?;
    keys.enable_account(host, &account.id).await?;
    let key = keys.issue(host, NewKey::new("a key").scopes(["files:read"])).await?;
    let copy = keys.duplicate(host, key.id()).await?;
    keys.update(host, key.id(), KeyUpdate::new().name(Set::To("renamed".to_owned()))).await?;
    let rotated = keys.rotate(host, key.id(), Overlap::UntilEnded).await?;
    keys.end_overlap(host, key.id()).await?;
    keys.disable(host, key.id()).await?;
    keys.enable(host, key.id()).await?;
    keys.revoke(host, key.id(), "leaked").await?;
    keys.delete(host, key.id()).await?;
    keys.import(host, "import", [ImportKey::hashed("imported", bed.digest())], 10, |_| {}).await?;
    keys.delete_account(host, &account.id).await?;
    keys.suspend_organization(host).await?;
    keys.resume_organization(host).await?;

    for issued in [&key, &copy, &rotated] {
        secrets.push(issued.secret().expose_secret().to_owned());
        digests.extend(issued.record().secrets.iter().map(|secret| secret.digest.to_string()));
    }
    let events = keys.audit(host, AuditFilter::default(), PageRequest::first().limit(200)).await?.items;
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
        same!(told.len(), 1, "how often {action} is told");
        let event = told[0];
        same!(event.target, target, "what {action} was done to");
        same!(event.actor, *host.id(), "who did {action}");
        same!(event.request_id.as_deref(), Some("req-1"), "the request that asked for {action}");
        same!((event.at, &event.organization), (bed.now(), &stage.ours), "when and where {action} was done");
    }
    same!(events.len(), expected.len() + 1, "the events, the import's one among them");
    same!(events.iter().map(|event| &event.id).collect::<BTreeSet<_>>().len(), events.len(), "their different ids");
    let text = format!("{events:?}");
    for secret in secrets.iter().chain(&digests) {
        let tail = secret.rsplit(':').next().unwrap_or(secret);
        ensure!(!text.contains(tail), "an event tells a secret or its digest");
    }
    let renamed = events.iter().find(|event| event.action == Action::KeyUpdated);
    let names = renamed.map(|event| {
        [&event.before, &event.after].map(|side| {
            let name = side.as_ref().and_then(|fields| fields.get("name"));
            name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
        })
    });
    same!(names, Some(["a key", "renamed"].map(str::to_owned)), "the name before and after");
    Ok(())
}

pub(in crate::conformance) async fn given_usage_when_asked_for_then_totals_and_last_uses_are_told(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let account = keys.create_account(host, NewAccount::new("an account")).await?;
    let first = keys.issue(host, NewKey::new("a key").service_account(account.id.clone())).await?;
    let second = keys.issue(host, NewKey::new("a key").environment("test")).await?;
    let rotated = keys.rotate(host, first.id(), Overlap::UntilEnded).await?;
    let secrets = &rotated.record().secrets;
    let rows = [
        UsageRow {
            last_used: vec![(secrets[0].digest.clone(), bed.at(60)), (secrets[1].digest.clone(), bed.at(20))],
            ..bed.used(first.record(), 5, 2)
        },
        UsageRow { hour: bed.at(HOUR), ..bed.used(first.record(), 1, 0) },
        bed.used(second.record(), 10, 0),
    ];
    bed.store.add_usage(&bed.batch(rows)).await?;
    let stored = stage.stored(first.id()).await?;
    let used: Vec<_> = stored.secrets.iter().map(|secret| secret.last_used_at).collect();
    same!(used, [Some(bed.at(60)), Some(bed.at(20))], "when the new secret and the old one were last used");
    same!(stored.last_used_at, Some(bed.at(60)), "when the key was last used");
    let cases = [
        (UsageOf::Key(first.id().clone()), (6, 2)),
        (UsageOf::Account(account.id.clone()), (6, 2)),
        (UsageOf::Environment("live".to_owned()), (6, 2)),
        (UsageOf::Environment("test".to_owned()), (10, 0)),
        (UsageOf::Organization, (16, 2)),
    ];
    keys.delete(host, second.id()).await?;
    for (of, expected) in cases {
        let usage = keys.usage(host, of.clone(), bed.now(), bed.at(2 * HOUR), Bucket::Hour).await?;
        same!((usage.ok, usage.refused), expected, "the usage of {of:?}");
        let sums = usage.buckets.iter().fold((0, 0), |(ok, refused), hour| (ok + hour.ok, refused + hour.refused));
        same!(sums, expected, "the usage of {of:?}, hour by hour");
    }
    Ok(())
}

/// A request with a key.
struct Bearer(String);

impl Bearer {
    fn of(key: &PlaintextKey) -> Self {
        Bearer(format!("Bearer {}", key.expose_secret()))
    }
}

impl RequestView for Bearer {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        (header == Header::Authorization).then_some(self.0.as_bytes()).into_iter().collect()
    }
}

pub(in crate::conformance) async fn given_keys_that_end_when_their_use_is_not_written_yet_then_it_counts_all_the_same(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let account = keys.create_account(host, NewAccount::new("an account")).await?;
    let deleted = keys.issue(host, NewKey::new("deleted")).await?;
    let of_account = keys.issue(host, NewKey::new("of an account").service_account(account.id.clone())).await?;
    let revoked = keys.issue(host, NewKey::new("revoked").environment("test")).await?;
    let rotated = keys.issue(host, NewKey::new("rotated").environment("test")).await?;
    for (requests, key) in [(3, &deleted), (20, &of_account), (100, &revoked), (4_000, &rotated)] {
        for _ in 0..requests {
            let decision = match keys.authenticator().authenticate(&Bearer::of(key.secret())) {
                Authentication::Done(decision) => decision,
                Authentication::Loading(loading) => loading.await,
            };
            ensure!(decision.is_ok(), "a key that was just issued must be let in");
        }
    }
    keys.delete(host, deleted.id()).await?;
    keys.delete_account(host, &account.id).await?;
    keys.delete(host, of_account.id()).await?;
    keys.revoke(host, revoked.id(), "").await?;
    keys.rotate(host, rotated.id(), Overlap::None).await?;
    keys.suspend_organization(host).await?;
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
            let usage = keys.usage(host, of.clone(), bed.now(), bed.at(2 * HOUR), bucket).await?;
            same!((usage.ok, usage.refused), (expected, 0), "the usage of {of:?}");
        }
    }
    Ok(())
}
