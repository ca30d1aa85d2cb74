//! Many keys at once: the descendants of a key, the keys of an account, and all keys of an organization.

use std::collections::BTreeSet;

use apikey_core::KeyId;
use apikey_manager::{
    AccountUpdate, BulkRevocation, KeyRecord, KeyUpdate, ManageError, NewAccount, NewKey, Overlap, Patch, Selection,
    Status,
};

use crate::{bed::Bed, stage::Stage, stage::user};

/// Returns the ids of these keys, as a set.
fn set(keys: &[KeyRecord]) -> BTreeSet<String> {
    keys.iter().map(|key| key.id.to_string()).collect()
}

fn named(ids: &[KeyId]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

async fn revoked(stage: &Stage) -> BTreeSet<String> {
    let keys = stage.bed.store.keys(&stage.bed.every_key(&stage.ours)).await.unwrap();
    keys.iter().filter(|key| key.revoked.is_some()).map(|key| key.id.to_string()).collect()
}

/// A bulk revocation with descendants revokes every key that a key issued, recursively.
#[tokio::test]
async fn a_cascade_revokes_the_whole_line() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let mut line = vec![keys.issue(host, NewKey::new("root").scopes(["*"])).await.unwrap()];
    for parent in [0, 0, 1, 2, 3] {
        let by = stage.actor(&line[parent]).await;
        line.push(keys.issue(&by, NewKey::new("child").scopes(["*"])).await.unwrap());
    }
    let line: Vec<_> = line.iter().map(|issued| issued.record().clone()).collect();
    let root = &line[0];
    let apart = stage.issue().await.unwrap();
    assert_eq!(line[5].created_by_key.as_ref(), Some(&line[3].id), "the key that issued a key");
    // One of them has ended already; the keys that it issued have not.
    keys.revoke(host, &line[1].id, "before").await.unwrap();
    let (first, made) = keys.revoke_with_descendants(host, &root.id, "leaked").await.unwrap();
    let over = [root.id.to_string(), line[1].id.to_string()];
    let expected: BTreeSet<_> = set(&line).into_iter().filter(|id| !over.contains(id)).collect();
    assert!(first.revoked.is_some(), "the first key is revoked");
    assert_eq!(named(&made.keys), expected, "the keys that were revoked with it");
    assert_eq!((made.remaining, made.next), (0, None), "what is left to be revoked");
    assert_eq!(revoked(&stage).await, set(&line), "the keys that are revoked");
    assert!(stage.stored(apart.id()).await.revoked.is_none(), "a key of another line is not revoked");
    let before = stage.dump().await;
    let (_, again) = keys.revoke_with_descendants(host, &root.id, "again").await.unwrap();
    assert_eq!(again.keys, [], "the keys revoked the second time");
    assert_eq!(stage.dump().await, before.one_revision_later(), "what is kept after the second time");
}

/// Keys are revoked by issuer, account, environment or all together, and no others are.
#[tokio::test]
async fn a_selection_revokes_exactly_its_keys() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host) = (&stage.keys, &stage.host);
    let alice = user(&stage.ours, "*");
    let theirs = apikey_manager::Actor::host("tests", stage.bed.organization("theirs")).unwrap();
    let other = keys.issue(&theirs, NewKey::new("theirs").environment("test")).await.unwrap();
    let account = keys.create_account(host, NewAccount::new("an account")).await.unwrap();
    let of = |n: usize| {
        let key = NewKey::new("a key").environment(if n & 1 == 0 { "live" } else { "test" });
        if n & 2 == 0 { key } else { key.service_account(account.id.clone()) }
    };
    let mut all = Vec::new();
    for n in 0..8 {
        let by = if n & 4 == 0 { host } else { &alice };
        all.push(keys.issue(by, of(n)).await.unwrap().record().clone());
    }
    let pick = |wanted: &dyn Fn(usize) -> bool| -> BTreeSet<String> {
        (0..8).filter(|n| wanted(*n)).map(|n| all[n].id.to_string()).collect()
    };
    let steps: [(Selection, BTreeSet<String>); 4] = [
        (Selection::CreatedBy(apikey_manager::ActorId::new("alice").unwrap()), pick(&|n| n & 4 != 0)),
        (Selection::Environment("test".to_owned()), pick(&|n| n & 4 != 0 || n & 1 != 0)),
        (Selection::ServiceAccount(account.id.clone()), pick(&|n| n != 0)),
        (Selection::Everything, pick(&|_| true)),
    ];
    for (selection, expected) in steps {
        let before = revoked(&stage).await;
        let revocation = || BulkRevocation::new(selection.clone()).reason("all of them");
        let told = keys.preview_revocation(host, revocation()).await.unwrap();
        assert_eq!(revoked(&stage).await, before, "the keys that are revoked after a preview");
        let ended = keys.revoke_selected(host, revocation()).await.unwrap();
        assert_eq!(told, ended, "what was told before of {selection:?}");
        assert_eq!(revoked(&stage).await, expected, "the keys that are revoked after {selection:?}");
        let new: BTreeSet<_> = expected.difference(&before).cloned().collect();
        assert_eq!(named(&ended.keys), new, "the keys that {selection:?} is told to have revoked");
    }
    let other = stage.bed.store.key(theirs.organization(), other.id()).await.unwrap();
    assert!(other.is_some_and(|key| key.revoked.is_none()), "another organization's key is not revoked");
}

/// Secrets that a revoked key obtained by rotating other keys end, and those keys stay valid.
#[tokio::test]
async fn secrets_that_a_revoked_key_rotated_end() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let issue = async |name: &str| keys.issue(host, NewKey::new(name).scopes(["*"])).await;
    let (thief, victim, switched, apart) = (
        issue("thief").await.unwrap(),
        issue("victim").await.unwrap(),
        issue("switched").await.unwrap(),
        issue("apart").await.unwrap(),
    );
    let by = stage.actor(&thief).await;
    stage.at(1);
    let stolen = keys.rotate(&by, victim.id(), Overlap::UntilEnded).await.unwrap();
    let made = keys.issue(&stage.actor(&stolen).await, NewKey::new("made").scopes(["*"])).await.unwrap();
    keys.disable(host, switched.id()).await.unwrap();
    keys.enable(&by, switched.id()).await.unwrap();
    let (revocation, whose) = (|| BulkRevocation::new(Selection::Key(thief.id().clone())).descendants(true), host);
    let told = keys.preview_revocation(whose, revocation()).await.unwrap();
    let (_, ended) = keys.revoke_with_descendants(whose, thief.id(), "stolen").await.unwrap();
    let secret = (victim.id().clone(), stolen.record().secrets[0].digest.clone());
    assert_eq!(
        named(&told.keys),
        set(&[thief.record().clone(), made.record().clone()]),
        "the keys that were told before"
    );
    assert_eq!(named(&ended.keys), set(&[made.record().clone()]), "the keys that ended with the thief's");
    for step in [&told, &ended] {
        assert_eq!(step.secrets, std::slice::from_ref(&secret), "the secrets that end");
        assert_eq!(step.widened, std::slice::from_ref(switched.id()), "the keys that were let do more");
    }
    let stored = stage.stored(victim.id()).await;
    assert_eq!(stored.status(bed.at(2)), Status::Active, "the status of a key of which a secret was ended");
    assert!(stored.secrets[0].ended_at.is_some() && stored.secrets[1].ended_at.is_none(), "the stolen secret ended");
    assert!(bed.found(&secret.1).await.is_secret_ended, "the read path sees that it ended");
    assert!(stage.stored(apart.id()).await.revoked.is_none(), "a key of another line is not revoked");
    let again = keys.revoke_selected(whose, revocation()).await.unwrap();
    assert_eq!((again.keys.len(), again.secrets.len(), again.remaining), (0, 0, 0), "what is ended the second time");
}

/// Many keys are revoked in steps, each of which holds, and the asking key comes last.
#[tokio::test]
async fn many_keys_are_revoked_in_steps() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, bed) = (&stage.keys, &stage.bed);
    let admin = keys.issue(&stage.host, NewKey::new("admin").scopes(["*"])).await.unwrap();
    let by = stage.actor(&admin).await;
    bed.insert(&(0..1_100).map(|_| bed.key(&stage.ours)).collect::<Vec<_>>()).await;
    let mut revocation = BulkRevocation::new(Selection::Everything).reason("all of them");
    let mut left = 1_101;
    let mut ended = BTreeSet::new();
    for _ in 0..3 {
        let step = keys.revoke_selected(&by, revocation.clone()).await.unwrap();
        assert!(step.keys.len() <= 500, "a step ends at most 500 keys, not {}", step.keys.len());
        left -= step.keys.len() as u64;
        assert_eq!(step.remaining, left, "how many are left after a step");
        let own_ends = step.keys.contains(admin.id());
        assert_eq!(own_ends, step.next.is_none(), "the key that asks ends with the last step");
        ended.extend(named(&step.keys));
        let Some(next) = step.next else { break };
        revocation = revocation.after(next);
    }
    assert_eq!((left, ended.len()), (0, 1_101), "what is left after three steps, and what they ended");
    assert_eq!(revoked(&stage).await.len(), 1_101, "the keys that are revoked");
    // Deleting an account revokes all of its keys.
    let account = keys.create_account(&stage.host, NewAccount::new("an account")).await.unwrap();
    let of_account = |_| {
        let mut key = bed.key(&stage.ours);
        key.service_account = Some(account.id.clone());
        key
    };
    let more: Vec<_> = (0..600).map(of_account).collect();
    bed.insert(&more).await;
    keys.delete_account(&stage.host, &account.id).await.unwrap();
    ended.extend(set(&more));
    assert_eq!(revoked(&stage).await, ended, "the keys that are revoked, those of the deleted account among them");
    let events = bed.store.audit(&bed.every_event(&stage.ours)).await.unwrap();
    let told: BTreeSet<_> = events
        .iter()
        .filter(|event| event.action == apikey_manager::Action::KeyRevoked)
        .collect::<Vec<_>>()
        .into_iter()
        .map(|event| event.target.clone())
        .collect();
    assert_eq!(told, ended, "the keys whose revocation is told");
}

/// A service account is renamed, disabled, enabled, rotated and deleted with all its keys.
#[tokio::test]
async fn keys_follow_their_service_account() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let account = keys.create_account(host, NewAccount::new("deploys").description("what for")).await.unwrap();
    let of_account = || NewKey::new("a key").service_account(account.id.clone());
    let [a, b] = [keys.issue(host, of_account()).await.unwrap(), keys.issue(host, of_account()).await.unwrap()];
    let free = stage.issue().await.unwrap();
    let update = AccountUpdate::new().if_version(1).name(Patch::To("renamed".to_owned()));
    assert_eq!(keys.update_account(host, &account.id, update).await.unwrap().name, "renamed", "the account's name");
    let is_off = async |key: &KeyRecord| bed.found(&key.secrets[0].digest).await.is_account_disabled;
    for (is_disabled, version) in [(true, 3), (true, 3), (false, 4), (false, 4)] {
        let switched = match is_disabled {
            true => keys.disable_account(host, &account.id).await.unwrap(),
            false => keys.enable_account(host, &account.id).await.unwrap(),
        };
        assert_eq!((switched.disabled.is_some(), switched.version), (is_disabled, version), "the account's state");
        for key in [&a, &b] {
            assert_eq!(
                is_off(key.record()).await,
                is_disabled,
                "is the account of a key off, as the read path sees it"
            );
        }
        assert!(!is_off(free.record()).await, "a key without an account has none that is off");
    }
    let rotated = keys.rotate_account(host, &account.id, Overlap::UntilEnded).await.unwrap();
    assert_eq!(rotated.len(), 2, "the keys of the account that were rotated");
    for key in &rotated {
        assert_eq!(stage.stored(key.id()).await.status(bed.now()), Status::Rotating, "the status of a rotated key");
    }
    assert_eq!(stage.stored(free.id()).await.secrets.len(), 1, "the secrets of a key without an account");
    keys.delete_account(host, &account.id).await.unwrap();
    for key in [&a, &b] {
        let key = stage.stored(key.id()).await;
        assert_eq!(key.status(bed.now()), Status::Revoked, "the status of a key whose account was deleted");
        assert_eq!(key.service_account.as_ref(), Some(&account.id), "the account that a key keeps");
    }
    assert_eq!(
        stage.stored(free.id()).await.status(bed.now()),
        Status::Active,
        "the status of a key without an account"
    );
}

/// A suspension applies to every key of the organization, and to no others.
#[tokio::test]
async fn a_suspension_holds_for_every_key() {
    let bed = Bed::new();
    let stage = Stage::new(bed);
    let (keys, host, bed) = (&stage.keys, &stage.host, &stage.bed);
    let key = stage.issue().await.unwrap();
    let digest = &key.record().secrets[0].digest;
    let theirs = apikey_manager::Actor::host("tests", bed.organization("theirs")).unwrap();
    let other = keys.issue(&theirs, NewKey::new("theirs")).await.unwrap();
    for is_suspended in [true, true, false, false] {
        let record = match is_suspended {
            true => keys.suspend_organization(host).await.unwrap(),
            false => keys.resume_organization(host).await.unwrap(),
        };
        assert_eq!(record.suspended.is_some(), is_suspended, "is it suspended");
        assert_eq!(bed.found(digest).await.is_organization_suspended, is_suspended, "is it, as the read path sees it");
        let other = bed.found(&other.record().secrets[0].digest).await;
        assert!(!other.is_organization_suspended, "another organization is not suspended");
    }
    let alice = user(&stage.ours, "*");
    let is_host_only = |error: &ManageError| error.code() == "forbidden";
    stage.fails("a suspension by a user", keys.suspend_organization(&alice), "forbidden", is_host_only).await;
    assert_eq!(stage.stored(key.id()).await.version, 1, "the version of a key: a suspension does not change it");
    drop(keys.update(host, key.id(), KeyUpdate::new().name(Patch::To("other".to_owned()))).await.unwrap());
}
