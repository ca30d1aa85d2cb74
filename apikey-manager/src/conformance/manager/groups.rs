//! Many keys at once: those that a key issued, those of an account, all of an organization.

use std::{collections::BTreeSet, sync::Arc};

use apikey_core::KeyId;

use super::stage::{Stage, key_actor, user};
use crate::{
    KeyUpdate, ManageError, NewKey, Overlap, Status,
    conformance::{
        bed::{Bed, actor},
        outcome::{Failure, Outcome, ensure, same},
    },
    manager::{AccountUpdate, BulkRevocation, NewAccount, Set},
    query::Selection,
    record::KeyRecord,
};

/// The ids of these keys, in no order.
fn set(keys: &[KeyRecord]) -> BTreeSet<String> {
    keys.iter().map(|key| key.id.to_string()).collect()
}

fn named(ids: &[KeyId]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

async fn revoked(stage: &Stage) -> Result<BTreeSet<String>, Failure> {
    let keys = stage.bed.store.keys(&stage.bed.every_key(&stage.ours)).await?;
    Ok(keys.iter().filter(|key| key.revoked.is_some()).map(|key| key.id.to_string()).collect())
}

pub(in crate::conformance) async fn given_keys_that_issued_keys_when_the_first_is_revoked_then_all_of_its_line_are(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host) = (&stage.keys, &stage.host);
    let root = keys.issue(host, NewKey::new("root").scopes(["*"])).await?.record().clone();
    let mut line = vec![root.clone()];
    for parent in [0, 0, 1, 2, 3] {
        let by = key_actor(&line[parent]);
        line.push(keys.issue(&by, NewKey::new("child").scopes(["*"])).await?.record().clone());
    }
    let apart = stage.issue().await?;
    same!(line[5].created_by_key.as_ref(), Some(&line[3].id), "the key that issued a key");
    // One of them is over already; what it issued is not.
    keys.revoke(host, &line[1].id, "before").await?;
    let (first, made) = keys.revoke_with_descendants(host, &root.id, "leaked").await?;
    let over = [root.id.to_string(), line[1].id.to_string()];
    let expected: BTreeSet<_> = set(&line).into_iter().filter(|id| !over.contains(id)).collect();
    ensure!(first.revoked.is_some(), "the first key is revoked");
    same!(named(&made.keys), expected, "the keys that were revoked with it");
    same!((made.remaining, made.next), (0, None), "what is left to be revoked");
    same!(revoked(&stage).await?, set(&line), "the keys that are revoked");
    ensure!(stage.stored(apart.id()).await?.revoked.is_none(), "a key of another line is not revoked");
    let before = stage.dump().await?;
    let (_, again) = keys.revoke_with_descendants(host, &root.id, "again").await?;
    same!(again.keys, [], "the keys revoked the second time");
    same!(stage.dump().await?, before, "what is kept after the second time");
    Ok(())
}

pub(in crate::conformance) async fn given_a_selection_when_revoked_then_exactly_its_keys_are(bed: Arc<Bed>) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host) = (&stage.keys, &stage.host);
    let alice = user(&stage.ours, "*")?;
    let theirs = crate::Actor::host("tests", stage.bed.organization("theirs"))?;
    let other = keys.issue(&theirs, NewKey::new("theirs").environment("test")).await?;
    let account = keys.create_account(host, NewAccount::new("an account")).await?;
    let of = |n: usize| {
        let key = NewKey::new("a key").environment(if n & 1 == 0 { "live" } else { "test" });
        if n & 2 == 0 { key } else { key.service_account(account.id.clone()) }
    };
    let mut all = Vec::new();
    for n in 0..8 {
        let by = if n & 4 == 0 { host } else { &alice };
        all.push(keys.issue(by, of(n)).await?.record().clone());
    }
    let pick = |wanted: &dyn Fn(usize) -> bool| -> BTreeSet<String> {
        (0..8).filter(|n| wanted(*n)).map(|n| all[n].id.to_string()).collect()
    };
    let steps: [(Selection, BTreeSet<String>); 4] = [
        (Selection::CreatedBy(actor("alice")), pick(&|n| n & 4 != 0)),
        (Selection::Environment("test".to_owned()), pick(&|n| n & 4 != 0 || n & 1 != 0)),
        (Selection::ServiceAccount(account.id.clone()), pick(&|n| n != 0)),
        (Selection::Everything, pick(&|_| true)),
    ];
    for (selection, expected) in steps {
        let before = revoked(&stage).await?;
        let revocation = || BulkRevocation::new(selection.clone()).reason("all of them");
        let told = keys.preview_revocation(host, revocation()).await?;
        same!(revoked(&stage).await?, before, "the keys that are revoked after a preview");
        let ended = keys.revoke_selected(host, revocation()).await?;
        same!(told, ended, "what was told before of {selection:?}");
        same!(revoked(&stage).await?, expected, "the keys that are revoked after {selection:?}");
        let new: BTreeSet<_> = expected.difference(&before).cloned().collect();
        same!(named(&ended.keys), new, "the keys that {selection:?} is told to have revoked");
    }
    let other = stage.bed.store.key(theirs.organization(), other.id()).await?;
    ensure!(other.is_some_and(|key| key.revoked.is_none()), "another organization's key is not revoked");
    Ok(())
}

pub(in crate::conformance) async fn given_a_thief_that_rotated_keys_when_revoked_with_its_line_then_those_secrets_end(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let issue = async |name: &str| keys.issue(host, NewKey::new(name).scopes(["*"])).await;
    let (thief, victim, switched, apart) =
        (issue("thief").await?, issue("victim").await?, issue("switched").await?, issue("apart").await?);
    let by = key_actor(thief.record());
    stage.at(1);
    let stolen = keys.rotate(&by, victim.id(), Overlap::UntilEnded).await?;
    let made = keys.issue(&key_actor(stolen.record()), NewKey::new("made").scopes(["*"])).await?;
    keys.disable(host, switched.id()).await?;
    keys.enable(&by, switched.id()).await?;
    let (revocation, whose) = (|| BulkRevocation::new(Selection::Key(thief.id().clone())).descendants(true), host);
    let told = keys.preview_revocation(whose, revocation()).await?;
    let (_, ended) = keys.revoke_with_descendants(whose, thief.id(), "stolen").await?;
    let secret = (victim.id().clone(), stolen.record().secrets[0].digest.clone());
    same!(named(&told.keys), set(&[thief.record().clone(), made.record().clone()]), "the keys that were told before");
    same!(named(&ended.keys), set(&[made.record().clone()]), "the keys that ended with the thief's");
    for step in [&told, &ended] {
        same!(step.secrets, std::slice::from_ref(&secret), "the secrets that end");
        same!(step.widened, std::slice::from_ref(switched.id()), "the keys that were let do more");
    }
    let stored = stage.stored(victim.id()).await?;
    same!(stored.status(bed.at(2)), Status::Active, "the status of a key of which a secret was ended");
    ensure!(stored.secrets[0].ended_at.is_some() && stored.secrets[1].ended_at.is_none(), "the stolen secret ended");
    ensure!(bed.found(&secret.1).await?.is_secret_ended, "the read path sees that it ended");
    ensure!(stage.stored(apart.id()).await?.revoked.is_none(), "a key of another line is not revoked");
    let again = keys.revoke_selected(whose, revocation()).await?;
    same!((again.keys.len(), again.secrets.len(), again.remaining), (0, 0, 0), "what is ended the second time");
    Ok(())
}

pub(in crate::conformance) async fn given_more_keys_than_a_step_when_revoked_then_steps_end_all(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, bed) = (&stage.keys, &stage.bed);
    let admin = keys.issue(&stage.host, NewKey::new("admin").scopes(["*"])).await?;
    let by = key_actor(admin.record());
    bed.insert(&(0..1_100).map(|_| bed.key(&stage.ours)).collect::<Vec<_>>()).await?;
    let mut revocation = BulkRevocation::new(Selection::Everything).reason("all of them");
    let mut left = 1_101;
    let mut ended = BTreeSet::new();
    for _ in 0..3 {
        let step = keys.revoke_selected(&by, revocation.clone()).await?;
        ensure!(step.keys.len() <= 500, "a step ends at most 500 keys, not {}", step.keys.len());
        left -= step.keys.len() as u64;
        same!(step.remaining, left, "how many are left after a step");
        let own_ends = step.keys.contains(admin.id());
        same!(own_ends, step.next.is_none(), "the key that asks ends with the last step");
        ended.extend(named(&step.keys));
        let Some(next) = step.next else { break };
        revocation = revocation.after(next);
    }
    same!((left, ended.len()), (0, 1_101), "what is left after three steps, and what they ended");
    same!(revoked(&stage).await?.len(), 1_101, "the keys that are revoked");
    // An account that goes takes all of its keys along.
    let account = keys.create_account(&stage.host, NewAccount::new("an account")).await?;
    let of_account = |_| KeyRecord { service_account: Some(account.id.clone()), ..bed.key(&stage.ours) };
    let more: Vec<_> = (0..600).map(of_account).collect();
    bed.insert(&more).await?;
    keys.delete_account(&stage.host, &account.id).await?;
    ended.extend(set(&more));
    same!(revoked(&stage).await?, ended, "the keys that are revoked, those of the deleted account among them");
    let events = bed.store.audit(&bed.every_event(&stage.ours)).await?;
    let told: BTreeSet<_> = events
        .iter()
        .filter(|event| event.action == crate::Action::KeyRevoked)
        .collect::<Vec<_>>()
        .into_iter()
        .map(|event| event.target.clone())
        .collect();
    same!(told, ended, "the keys whose revocation is told");
    Ok(())
}

pub(in crate::conformance) async fn given_a_service_account_when_switched_then_its_keys_follow(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let account = keys.create_account(host, NewAccount::new("deploys").description("what for")).await?;
    let of_account = || NewKey::new("a key").service_account(account.id.clone());
    let [a, b] = [keys.issue(host, of_account()).await?, keys.issue(host, of_account()).await?];
    let free = stage.issue().await?;
    let update = AccountUpdate::new().if_version(1).name(Set::To("renamed".to_owned()));
    same!(keys.update_account(host, &account.id, update).await?.name, "renamed", "the account's name");
    let is_off = async |key: &KeyRecord| Ok::<_, Failure>(bed.found(&key.secrets[0].digest).await?.is_account_disabled);
    for (is_disabled, version) in [(true, 3), (true, 3), (false, 4), (false, 4)] {
        let switched = match is_disabled {
            true => keys.disable_account(host, &account.id).await?,
            false => keys.enable_account(host, &account.id).await?,
        };
        same!((switched.disabled.is_some(), switched.version), (is_disabled, version), "the account's state");
        for key in [&a, &b] {
            same!(is_off(key.record()).await?, is_disabled, "is the account of a key off, as the read path sees it");
        }
        ensure!(!is_off(free.record()).await?, "a key without an account has none that is off");
    }
    let rotated = keys.rotate_account(host, &account.id, Overlap::UntilEnded).await?;
    same!(rotated.len(), 2, "the keys of the account that were rotated");
    for key in &rotated {
        same!(stage.stored(key.id()).await?.status(bed.now()), Status::Rotating, "the status of a rotated key");
    }
    same!(stage.stored(free.id()).await?.secrets.len(), 1, "the secrets of a key without an account");
    keys.delete_account(host, &account.id).await?;
    for key in [&a, &b] {
        let key = stage.stored(key.id()).await?;
        same!(key.status(bed.now()), Status::Revoked, "the status of a key whose account was deleted");
        same!(key.service_account.as_ref(), Some(&account.id), "the account that a key keeps");
    }
    same!(stage.stored(free.id()).await?.status(bed.now()), Status::Active, "the status of a key without an account");
    Ok(())
}

pub(in crate::conformance) async fn given_an_organization_when_suspended_then_its_keys_are_told_so(
    bed: Arc<Bed>,
) -> Outcome {
    let stage = Stage::new(bed)?;
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await?;
    let digest = &key.record().secrets[0].digest;
    let theirs = crate::Actor::host("tests", bed.organization("theirs"))?;
    let other = keys.issue(&theirs, NewKey::new("theirs")).await?;
    for is_suspended in [true, true, false, false] {
        let record = match is_suspended {
            true => keys.suspend_organization(host).await?,
            false => keys.resume_organization(host).await?,
        };
        same!(record.suspended.is_some(), is_suspended, "is it suspended");
        same!(bed.found(digest).await?.is_organization_suspended, is_suspended, "is it, as the read path sees it");
        let other = bed.found(&other.record().secrets[0].digest).await?;
        ensure!(!other.is_organization_suspended, "another organization is not suspended");
    }
    let alice = user(&stage.ours, "*")?;
    let is_host_only = |error: &ManageError| error.code() == "forbidden";
    stage.fails("a suspension by a user", keys.suspend_organization(&alice), "forbidden", is_host_only).await?;
    same!(stage.stored(key.id()).await?.version, 1, "the version of a key: a suspension does not change it");
    drop(keys.update(host, key.id(), KeyUpdate::new().name(Set::To("other".to_owned()))).await?);
    Ok(())
}
